#include "smolvm_verbs.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "container.h"
#include "journal.h"
#include "smolvm_calls.h"
#include "smolvm_list.h"
#include "smolvm_text.h"

void smolvm_run_release(struct smolvm_run *run)
{
    free(run->machine);
    run->machine = NULL;
    buf_release(&run->out);
    buf_release(&run->err);
    reply_release(&run->reply);
}

void smolvm_run_flush(struct smolvm_run *run)
{
    /* The real CLI ignores a reader that went away, and the status still counts. */
    void (*before)(int) = signal(SIGPIPE, SIG_IGN);
    io_write_all(STDOUT_FILENO, buf_str(&run->out) + run->out_written,
                 run->out.len - run->out_written);
    io_write_all(STDERR_FILENO, buf_str(&run->err) + run->err_written,
                 run->err.len - run->err_written);
    run->out_written = run->out.len;
    run->err_written = run->err.len;
    signal(SIGPIPE, before);
}

int smolvm_run_own_error(struct smolvm_run *run, const struct err *err)
{
    buf_printf(&run->err, "error: %s\n", err->msg);
    return SMOLVM_EXIT_OWN;
}

int smolvm_run_journal(struct smolvm_run *run, const char *verb, int64_t start_ns, int status)
{
    struct err err;
    bool killed = run->reply.killed;
    const struct buf *rules = &run->reply.rules_json;
    const struct journal_entry entry = {.start_ns = start_ns,
                                        .end_ns = io_now_ns(),
                                        .argv = run->argv,
                                        .verb = verb,
                                        .machine = run->machine,
                                        .status = killed ? -1 : status,
                                        .signal = killed ? SIGKILL : 0,
                                        .out = &run->out,
                                        .err = &run->err,
                                        .rules_json = rules->len ? buf_str(rules) : NULL};
    if (!run->state_path)
        return status;
    if (journal_append(run->state_path, &entry, &err) < 0)
        return smolvm_run_own_error(run, &err);
    if (run->called)
        client_journaled(&run->reply);
    return status;
}

int smolvm_run_record(struct smolvm_run *run, struct record *ret_record, struct err *err)
{
    return state_read(run->state_path, run->machine, ret_record, err);
}

/* The exit status where the machine has no record that can be read. */
static int no_record(struct smolvm_run *run, int ret, const struct err *err)
{
    if (ret != -ENOENT)
        return smolvm_run_own_error(run, err);
    smolvm_text_unknown(&run->err, run->machine);
    return 1;
}

/* --- create -------------------------------------------------------------------- */

/* The real CLI drops items without `=` or with an empty key, and says nothing. */
static char **copy_env(const char *const *items)
{
    size_t count = 0;
    while (items[count])
        count++;
    char **env = calloc(count + 1, sizeof *env);
    if (!env)
        abort();
    for (size_t i = 0, kept = 0; i < count; i++)
        if (strchr(items[i], '=') && items[i][0] != '=')
            env[kept++] = io_format("%s", items[i]);
    return env;
}

/* Which layout, or "" for an image that no layout stands for: that is found out by the pull,
 * which the real machine does at its start, in the guest. */
static int find_layout(const char *image, char **ret_layout, struct err *err)
{
    int ret = layout_for_image(image, ret_layout, err);
    if (ret == -ENOENT) {
        *ret_layout = io_format("%s", "");
        return 0;
    }
    return ret;
}

static int create_fails(struct smolvm_run *run, int ret, const struct err *err)
{
    if (ret == -EEXIST)
        smolvm_text_error(&run->err,
                          "config operation failed: create machine: machine '%s' already exists",
                          run->machine);
    else
        smolvm_text_error(&run->err, "config operation failed: create machine: %s", err->msg);
    return 1;
}

static int run_create(struct smolvm_run *run)
{
    const struct smolvm_args *args = run->args;
    struct err err;
    if (!args->image) {
        err_text(&err, EINVAL, "this fake smolvm has no machines without an image, give --image");
        return create_fails(run, -EINVAL, &err);
    }
    CLEANUP(record_release)
    struct record record = {.name = io_format("%s", run->machine),
                            .image = io_format("%s", args->image),
                            .workdir = args->workdir ? io_format("%s", args->workdir) : NULL,
                            .env = copy_env(args->env),
                            .created_at = time(NULL),
                            .cpus = (int)args->cpus,
                            .memory_mib = args->memory_mib,
                            .storage_gib = args->storage_gib,
                            .overlay_gib = args->overlay_gib,
                            .network =
                                args->network || args->localhost_only || args->egress_rules > 0,
                            .ports = args->ports};
    int ret = find_layout(args->image, &record.layout, &err);
    if (ret < 0)
        return smolvm_run_own_error(run, &err);
    ret = state_create(run->state_path, &record, &err);
    if (ret < 0)
        return create_fails(run, ret, &err);
    buf_printf(&run->out, "Created machine: %s\n  CPUs: %d, Memory: %lld MiB\n", record.name,
               record.cpus, (long long)record.memory_mib);
    if (record.ports > 0)
        buf_printf(&run->out, "  Ports: %d\n", record.ports);
    buf_printf(&run->out,
               "\nUse 'smolvm machine start --name %s' to start the machine\n"
               "Then use 'smolvm machine exec --name %s -- <command>' to run commands\n",
               record.name, record.name);
    return 0;
}

/* --- start ----------------------------------------------------------------------- */

static int say_running(struct smolvm_run *run, const char *how, pid_t pid)
{
    buf_printf(&run->out, "Machine '%s' %s (PID: %d)\n", run->machine, how, (int)pid);
    return 0;
}

static void say_starting(struct smolvm_run *run, const struct record *record)
{
    buf_printf(&run->err, "Starting machine '%s'", run->machine);
    if (record->ports > 0)
        buf_printf(&run->err, " with %d port mapping(s)", record->ports);
    buf_add(&run->err, "...\n");
}

static int run_start(struct smolvm_run *run)
{
    CLEANUP(record_release) struct record record = {0};
    CLEANUP(layout_release) struct layout layout = LAYOUT_INIT;
    struct err err;
    int ret = smolvm_run_record(run, &record, &err);
    if (ret < 0)
        return no_record(run, ret, &err);
    pid_t pid = state_vmm_pid(run->state_path, run->machine);
    if (pid > 0)
        return say_running(run, "already running", pid);
    if (!record.layout[0]) {
        say_starting(run, &record);
        smolvm_text_error(&run->err,
                          "agent operation failed: pull image: failed to pull %s: manifest unknown",
                          record.image);
        return 1;
    }
    if (layout_open(record.layout, &layout, &err) < 0)
        return smolvm_run_own_error(run, &err);
    say_starting(run, &record);
    CLEANUP(reply_release) struct reply forced = REPLY_INIT;
    forced.status = -1;
    struct err why;
    const struct container_kind *kind = container_choose(run->state_path, &why);
    if (kind == &container_copied)
        buf_printf(
            &run->err,
            "WARN smolvm_fake: the machine is a copied tree, for containers are refused here "
            "(%s)\n",
            why.msg);
    if (kind->check_place(run->state_path, &err) < 0)
        return smolvm_run_own_error(run, &err);
    const struct boot boot = {.kind = kind,
                              .state_path = run->state_path,
                              .name = run->machine,
                              .faults = run->faults,
                              .ret_reply = &forced,
                              .owner_fd = -1};
    ret = client_boot(&boot, &pid, &err);
    run->reply.killed = forced.killed;
    buf_append(&run->reply.rules_json, buf_str(&forced.rules_json), forced.rules_json.len);
    if (forced.status >= 0) {
        buf_append(&run->err, buf_str(&forced.err), forced.err.len);
        return forced.status;
    }
    if (ret == -EALREADY)
        return say_running(run, "already running", state_vmm_pid(run->state_path, run->machine));
    if (ret < 0) {
        smolvm_text_error(&run->err, "agent operation failed: start machine: %s", err.msg);
        return 1;
    }
    record.started = true;
    if (state_update(run->state_path, &record, &err) < 0)
        return smolvm_run_own_error(run, &err);
    return say_running(run, "running", pid);
}

/* --- stop, delete ------------------------------------------------------------------ */

/* Says that it stops the machine, and does. by_rules: it is a stop that rules can be for.
 * 0 or the exit status. */
static int stop_running(struct smolvm_run *run, bool by_rules)
{
    struct err err;
    buf_printf(&run->out, "Stopping machine '%s'...\n", run->machine);
    CLEANUP(reply_release) struct reply forced = REPLY_INIT;
    forced.status = -1;
    int ret = by_rules
                  ? client_stop_by_rules(run->state_path, run->machine, run->faults, &forced, &err)
                  : client_stop(run->state_path, run->machine, &err);
    run->reply.killed = forced.killed;
    buf_append(&run->reply.rules_json, buf_str(&forced.rules_json), forced.rules_json.len);
    buf_append(&run->err, buf_str(&forced.err), forced.err.len);
    if (ret == 0)
        return forced.status >= 0 ? forced.status : 0;
    smolvm_text_error(&run->err, "agent operation failed: stop machine: %s", err.msg);
    return 1;
}

static int run_stop(struct smolvm_run *run)
{
    CLEANUP(record_release) struct record record = {0};
    struct err err;
    int ret = smolvm_run_record(run, &record, &err);
    if (ret == -ENOENT)
        return smolvm_text_stop_unknown(run->version, run->machine, &run->out, &run->err);
    if (ret < 0)
        return smolvm_run_own_error(run, &err);
    if (state_vmm_pid(run->state_path, run->machine) == 0) {
        buf_printf(&run->out, "Machine '%s' is not running (state: %s)\n", run->machine,
                   record.started ? "stopped" : "created");
        return 0;
    }
    ret = stop_running(run, true);
    if (ret == 0)
        buf_printf(&run->out, "Stopped machine: %s\n", run->machine);
    return ret;
}

static bool confirm_delete(struct smolvm_run *run)
{
    char answer[64] = "";
    buf_printf(&run->err, "Delete machine '%s'? [y/N] ", run->machine);
    smolvm_run_flush(run);
    if (!fgets(answer, sizeof answer, stdin))
        return false;
    const char *start = answer + strspn(answer, " \t");
    size_t len = strcspn(start, " \t\r\n");
    return (len == 1 && strncasecmp(start, "y", 1) == 0) ||
           (len == 3 && strncasecmp(start, "yes", 3) == 0);
}

static int run_delete(struct smolvm_run *run)
{
    CLEANUP(record_release) struct record record = {0};
    struct err err;
    int ret = smolvm_run_record(run, &record, &err);
    /* A record that cannot be read must not keep its machine alive for ever. */
    if (ret < 0 && ret != -EINVAL)
        return no_record(run, ret, &err);
    /* 0.8.0 would leave the VM behind; this fake leaves nothing. Later versions stop it
     * before they ask. */
    if (state_vmm_pid(run->state_path, run->machine) > 0 && stop_running(run, false) != 0)
        return 1;
    if (!run->args->force && !confirm_delete(run)) {
        buf_add(&run->out, "Cancelled\n");
        return 0;
    }
    ret = state_remove(run->state_path, run->machine, &err);
    if (ret < 0)
        return no_record(run, ret, &err);
    buf_printf(&run->out, "Cleaning up data directory for vm: %s\nDeleted machine: %s\n",
               run->machine, run->machine);
    return 0;
}

/* --- all ----------------------------------------------------------------------------- */

static const struct {
    enum smolvm_verb verb;
    int (*play)(struct smolvm_run *run);
} plays[] = {
    {SMOLVM_CREATE, run_create},       {SMOLVM_START, run_start},
    {SMOLVM_STOP, run_stop},           {SMOLVM_DELETE, run_delete},
    {SMOLVM_LS, smolvm_list_machines}, {SMOLVM_STATUS, smolvm_list_status},
    {SMOLVM_EXEC, smolvm_calls_exec},  {SMOLVM_SHELL, smolvm_calls_exec},
    {SMOLVM_CP, smolvm_calls_copy},
};

/* The machine that the arguments name; cp finds its own. */
static char *named_machine(const struct smolvm_args *args)
{
    if (args->verb == SMOLVM_LS || args->verb == SMOLVM_CP)
        return NULL;
    if (args->name)
        return io_format("%s", args->name);
    if (args->verb != SMOLVM_CREATE)
        return io_format("%s", SMOLVM_DEFAULT_MACHINE);
    uint32_t number = 0;
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
        number = (uint32_t)io_now_ns();
    return io_format("vm-%08x", number);
}

int smolvm_verb_run(struct smolvm_run *run)
{
    run->machine = named_machine(run->args);
    for (size_t i = 0; i < sizeof plays / sizeof *plays; i++)
        if (plays[i].verb == run->args->verb)
            return plays[i].play(run);
    abort();
}
