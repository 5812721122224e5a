#include "call_words.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "vmm.h"

/* Go's words for an errno, freed by the caller. */
static char *lower_error(int errnum)
{
    char *text = io_format("%s", strerror(errnum));
    text[0] = (char)tolower((unsigned char)text[0]);
    return text;
}

/* Which texts a reply has. */
static enum reply_mode reply_mode(const struct call *call)
{
    if (call->kind == RULE_CP)
        return REPLY_BUFFERED;
    return call->interactive || call->tty ? REPLY_INTERACTIVE
           : call->stream                 ? REPLY_STREAM
                                          : REPLY_BUFFERED;
}

void call_words_row(struct call *call, const struct reply_row *row)
{
    const struct record *record = &call->vmm->record;
    if (!call->docker) {
        reply_apply(row, record->name, reply_mode(call), &call->reply);
        return;
    }
    char id[RECORD_ID_SIZE];
    record_id(record, id);
    const struct reply_subject subject = {id, record->name, call->guest_path, call->upload};
    enum reply_docker kind = call->kind == RULE_CP   ? REPLY_DOCKER_CP
                             : call->process.pid > 0 ? REPLY_DOCKER_EXEC
                                                     : REPLY_DOCKER_BEGINS;
    reply_apply_docker(row, &subject, kind, &call->reply);
}

#define DAEMON "Error response from daemon: "
/* containerd's guess, which is part of the text. */
#define NOT_A_FOLDER                                                                               \
    ": Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified "   \
    "host path exists and is the expected type"

/* What runc says goes where the command's output would have. */
static void explain_docker_failure(struct call *call)
{
    const struct guest_failure *failure = &call->failure;
    struct buf *out = &call->reply.out;
    bool missing = failure->errnum == ENOENT;
    CLEANUP(io_free) char *why = lower_error(failure->errnum);
    if (failure->stage == GUEST_USER) { /* that is the daemon's to know */
        call->reply.status = 1;
        buf_printf(&call->reply.err, DAEMON "%s\n", failure->text);
        return;
    }
    if (failure->stage == GUEST_EXECUTE && failure->errnum == ENOEXEC) {
        call->reply.status = 255;
        buf_printf(&call->reply.err, "exec %s: %s\n", call->argv[0], why);
        return;
    }
    call->reply.status = missing || failure->stage == GUEST_CHDIR ? 127 : 126;
    buf_add(out, "OCI runtime exec failed: exec failed: unable to start container process: ");
    if (failure->stage == GUEST_CHDIR)
        buf_printf(out, "chdir to cwd (\"%s\") set in config.json failed: %s%s", call->cwd, why,
                   failure->errnum == ENOTDIR ? NOT_A_FOLDER : "");
    else if (failure->stage != GUEST_EXECUTE)
        buf_printf(out, "%s: %s", failure->text, why);
    else if (missing && !strchr(call->argv[0], '/'))
        buf_printf(out, "exec: \"%s\": executable file not found in $PATH", call->argv[0]);
    else if (missing)
        buf_printf(out, "exec: \"%s\": stat %s: %s", call->argv[0], call->argv[0], why);
    else
        buf_printf(out, "exec: \"%s\": %s", call->argv[0], why);
    buf_add(out, "\r\n");
}

void call_words_failure(struct call *call)
{
    const struct guest_failure *failure = &call->failure;
    struct buf *err = &call->reply.err;
    if (call->docker) {
        explain_docker_failure(call);
        return;
    }
    call->reply.status = call->process.joined ? 255 : 1;
    if (failure->stage == GUEST_EXECUTE && failure->errnum == ENOENT)
        buf_printf(err, "executable file `%s` not found in $PATH: %s\n", call->argv[0],
                   strerror(failure->errnum));
    else if (failure->stage == GUEST_EXECUTE)
        buf_printf(err, "open executable: %s\n", strerror(failure->errnum));
    else if (failure->stage == GUEST_CHDIR)
        buf_printf(err, "chdir: %s\n", strerror(failure->errnum));
    else
        buf_printf(err, "Error: agent operation failed: vm exec: %s: %s\n", failure->text,
                   strerror(failure->errnum));
}

static void explain_docker_copy(struct call *call)
{
    CLEANUP(io_free) char *why = lower_error(call->result.errnum);
    buf_add(&call->reply.err, DAEMON);
    if (call->result.errnum == ENOTDIR)
        buf_add(&call->reply.err, "extraction point is not a directory\n");
    else if (call->result.errnum == ENOENT)
        buf_printf(&call->reply.err, "Could not find the file %s in container %s\n",
                   call->result.text, call->vmm->record.name);
    else
        buf_printf(&call->reply.err, "%s: %s\n", call->result.text, why);
}

void call_words_copy(struct call *call)
{
    if (!call->has_result) { /* the agent died with the copy */
        call_words_row(call, reply_find("lost"));
        return;
    }
    call->reply.size_bytes = call->result.size_bytes;
    call->reply.status = call->result.errnum ? 1 : 0;
    if (call->result.errnum && call->docker)
        explain_docker_copy(call);
    else if (call->result.errnum)
        buf_printf(&call->reply.err, "Error: agent operation failed: %s\n", call->result.text);
}
