#include "smolvm_calls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "slot.h"
#include "smolvm_text.h"

/* Whether the machine is there and runs; if not, says so and returns the exit status. */
static int check_running(struct smolvm_run *run)
{
    CLEANUP(record_release) struct record record = {0};
    struct err err;
    int ret = smolvm_run_record(run, &record, &err);
    if (ret == -ENOENT) {
        smolvm_text_unknown(&run->err, run->machine);
        return 1;
    }
    if (ret < 0)
        return smolvm_run_own_error(run, &err);
    if (state_vmm_pid(run->state_path, run->machine) > 0)
        return 0;
    smolvm_text_not_running(&run->err, run->machine);
    return 1;
}

/* Takes over what the reply shows. */
static void take_output(struct smolvm_run *run)
{
    const struct reply *reply = &run->reply;
    /* A client that dies never gets to print what it had not printed yet. */
    if (!reply->killed || reply->written) {
        buf_append(&run->out, buf_str(&reply->out), reply->out.len);
        buf_append(&run->err, buf_str(&reply->err), reply->err.len);
    }
    if (reply->written) {
        run->out_written = run->out.len;
        run->err_written = run->err.len;
    }
}

int smolvm_calls_make(struct smolvm_run *run, struct request *request, struct err *err)
{
    CLEANUP(io_close) int slot_fd = -1;
    int ret = slot_take(run->state_path, &slot_fd, err);
    if (ret < 0)
        return ret;
    request->faults = run->faults;
    request->cli_argv = run->argv;
    ret = client_call(run->state_path, run->machine, request, &run->reply, err);
    if (ret < 0)
        return ret;
    run->called = true;
    take_output(run);
    return 0;
}

/* Makes the call; its reply stays in the run. Returns the exit status. */
static int make_call(struct smolvm_run *run, struct request *request)
{
    struct err err;
    int status = check_running(run);
    if (status != 0)
        return status;
    int ret = smolvm_calls_make(run, request, &err);
    if (ret == -ENOTCONN) {
        smolvm_text_not_running(&run->err, run->machine);
        return 1;
    }
    return ret < 0 ? smolvm_run_own_error(run, &err) : run->reply.status;
}

/* --- exec ---------------------------------------------------------------------------- */

int smolvm_calls_exec(struct smolvm_run *run)
{
    static const char *const shell[] = {"/bin/sh", NULL};
    const struct smolvm_args *args = run->args;
    bool is_shell = args->verb == SMOLVM_SHELL;
    size_t count = 0;
    while (args->env[count])
        count++;
    CLEANUP(io_free) const char **env = calloc(count + 1, sizeof *env);
    if (!env)
        abort();
    /* Items without `=` or with an empty key are dropped, as the real CLI does. */
    for (size_t i = 0, kept = 0; i < count; i++)
        if (strchr(args->env[i], '=') && args->env[i][0] != '=')
            env[kept++] = args->env[i];
    struct request request = {.verb = CLIENT_EXEC,
                              .argv = is_shell ? shell : args->command,
                              .env = env,
                              .cwd = args->workdir,
                              .timeout_ms = args->timeout_ms,
                              .interactive = args->interactive || is_shell,
                              .tty = is_shell ? isatty(STDIN_FILENO) == 1 : args->tty,
                              .stream = args->stream};
    return make_call(run, &request);
}

/* --- cp ------------------------------------------------------------------------------ */

/* Sets the path as the guest's agent takes it, or the exit status 1 and what is wrong. */
static int check_guest_path(struct smolvm_run *run, const char *path, char **ret_path)
{
    if (!*path) {
        smolvm_text_error(&run->err, "agent operation failed: cp: guest path cannot be empty");
        return 1;
    }
    for (const char *part = path; *part; part += *part == '/') {
        size_t len = strcspn(part, "/");
        if ((len == 1 && part[0] == '.') || (len == 2 && memcmp(part, "..", 2) == 0)) {
            smolvm_text_error(&run->err,
                              "agent operation failed: cp: invalid guest path %s: parent traversal "
                              "is not allowed",
                              path);
            return 1;
        }
        part += len;
    }
    *ret_path = io_format("%s%s", path[0] == '/' ? "" : "/", path);
    return 0;
}

int smolvm_calls_copy(struct smolvm_run *run)
{
    const char *src = run->args->src, *dst = run->args->dst;
    bool upload = !strchr(src, ':');
    const char *guest = upload ? dst : src, *host = upload ? src : dst;
    const char *colon = strchr(guest, ':');
    if (!colon) {
        smolvm_text_error(&run->err, "config operation failed: cp: one of SRC or DST must use "
                                     "machine:path syntax (e.g., myvm:/workspace/file)");
        return 1;
    }
    run->machine = io_format("%.*s", (int)(colon - guest), guest);
    int status = check_running(run);
    if (status != 0)
        return status;
    CLEANUP(io_free) char *guest_path = NULL;
    status = check_guest_path(run, colon + 1, &guest_path);
    if (status != 0)
        return status;
    struct request request = {.verb = upload ? CLIENT_UPLOAD : CLIENT_DOWNLOAD,
                              .guest_path = guest_path,
                              .host_path = host};
    int64_t start_ms = io_now_ms();
    status = make_call(run, &request);
    if (status != 0 || run->reply.killed)
        return status;
    CLEANUP(io_free)
    char *label = upload ? io_format("Uploading %s -> %s", host, colon + 1)
                         : io_format("Downloading %s -> %s", colon + 1, host);
    smolvm_text_copied(&run->err, run->version, label, run->reply.size_bytes, upload,
                       io_now_ms() - start_ms);
    return 0;
}
