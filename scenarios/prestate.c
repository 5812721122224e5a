#include "prestate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../fakes/slot.h"
#include "../fakes/state.h"

/* One call that must end with status 0. */
static int call(const struct prestate_machine *machine, const struct request *request,
                struct err *err)
{
    CLEANUP(io_close) int slot_fd = -1;
    struct reply reply = REPLY_INIT;
    int ret = slot_take(machine->state_path, &slot_fd, err);
    if (ret == 0)
        ret = client_call(machine->state_path, machine->name, request, &reply, err);
    if (ret < 0)
        return ret;
    client_journaled(&reply);
    if (reply.status != 0)
        ret = err_text(err, EIO, "status %d: %.400s%.400s", reply.status, buf_str(&reply.out),
                       buf_str(&reply.err));
    reply_release(&reply);
    return ret;
}

static int run_script(const struct prestate_machine *machine, const char *script,
                      const char *const *args, struct err *err)
{
    const char *argv[12] = {"sh", "-c", script, "prestate"};
    size_t n = 4;
    for (; args && *args && n + 1 < sizeof argv / sizeof *argv; args++)
        argv[n++] = *args;
    struct request request = {.verb = CLIENT_EXEC, .faults = "", .argv = argv};
    return call(machine, &request, err);
}

static int upload(const struct prestate_machine *machine, const char *host_path,
                  const char *guest_path, struct err *err)
{
    struct request request = {
        .verb = CLIENT_UPLOAD, .faults = "", .guest_path = guest_path, .host_path = host_path};
    return call(machine, &request, err);
}

int prestate_provision(const struct prestate_machine *machine, const char *fixture, struct err *err)
{
    CLEANUP(io_free) char *cert = io_format("%s/%s.crt", machine->fixtures_path, fixture);
    int ret = upload(machine, cert, machine->ca_path, err);
    if (ret == 0)
        ret = run_script(machine,
                         "chown root:root \"$1\" && chmod 644 \"$1\" && update-ca-certificates && "
                         "openssl verify -CAfile \"$2\" \"$1\"",
                         (const char *const[]){machine->ca_path, machine->bundle, NULL}, err);
    return ret < 0 ? err_wrap(err, ret, "install %s undisturbed", fixture) : 0;
}

/* The bytes go over in a file, so that they may be any bytes and any number. */
static int write_step(const struct prestate_machine *machine, const struct step *step,
                      struct err *err)
{
    CLEANUP(io_free) char *temp = io_format("%s/prestate", machine->state_path);
    CLEANUP(io_free)
    char *fixture =
        step->fixture ? io_format("%s/%s.crt", machine->fixtures_path, step->fixture) : NULL;
    const char *text = step->text ? step->text : "";
    int ret = fixture ? 0 : io_write_file(AT_FDCWD, temp, text, strlen(text), 0600, err);
    if (ret == 0)
        ret = upload(machine, fixture ? fixture : temp, "/run/killpoint-prestate", err);
    if (!fixture)
        unlink(temp);
    if (ret < 0)
        return ret;
    char mode[8];
    snprintf(mode, sizeof mode, "%04o", step->mode);
    /* chown(1) last would take away set-user-ID. */
    const char *script = step->append
                             ? "cat /run/killpoint-prestate >>\"$1\" && rm /run/killpoint-prestate"
                             : "cat /run/killpoint-prestate >\"$1\" && chown \"$3\" \"$1\" && "
                               "chmod \"$2\" \"$1\" && rm /run/killpoint-prestate";
    return run_script(
        machine, script,
        (const char *const[]){step->path, mode, step->owner ? step->owner : "root:root", NULL},
        err);
}

static char **append_path(char **list, const char *path)
{
    size_t n = 0;
    while (list && list[n])
        n++;
    list = realloc(list, (n + 2) * sizeof *list);
    if (!list)
        abort();
    list[n] = io_format("%s", path);
    list[n + 1] = NULL;
    return list;
}

static int read_only_step(const struct prestate_machine *machine, const struct step *step,
                          struct err *err)
{
    CLEANUP(record_release) struct record record = {0};
    int ret = state_read(machine->state_path, machine->name, &record, err);
    if (ret < 0)
        return ret;
    record.read_only = append_path(record.read_only, step->path);
    return state_update(machine->state_path, &record, err);
}

static int apply_step(const struct prestate_machine *machine, const struct step *step,
                      struct err *err)
{
    char mode[8];
    snprintf(mode, sizeof mode, "%04o", step->mode);
    const char *const paths[] = {step->path, step->kind == STEP_SYMLINK ? step->target : mode,
                                 NULL};
    switch (step->kind) {
    case STEP_RUN: return run_script(machine, step->text, NULL, err);
    case STEP_WRITE: return write_step(machine, step, err);
    case STEP_SYMLINK: return run_script(machine, "ln -sfn -- \"$2\" \"$1\"", paths, err);
    case STEP_REMOVE: return run_script(machine, "ls -d -- \"$1\" && rm -r -- \"$1\"", paths, err);
    case STEP_MKDIR:
        return run_script(machine, "mkdir -p -- \"$1\" && chmod \"$2\" -- \"$1\"", paths, err);
    case STEP_PROVISION: return prestate_provision(machine, step->fixture, err);
    case STEP_READ_ONLY: return read_only_step(machine, step, err);
    }
    return 0;
}

int prestate_apply(const struct prestate_machine *machine, const struct scenario *scenario,
                   struct err *err)
{
    for (size_t i = 0; i < scenario->step_count; i++) {
        const struct step *step = &scenario->steps[i];
        int ret = apply_step(machine, step, err);
        if (ret < 0)
            return err_wrap(err, ret, "%s:%d: prestate", scenario->path, step->line);
    }
    return 0;
}
