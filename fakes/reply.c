#include "reply.h"

#include <string.h>

#define AGENT_FAILED "Error: agent operation failed: "
#define NOT_RUNNING                                                                                \
    AGENT_FAILED "connect: machine '%s' is not running. "                                          \
                 "Use 'smolvm machine start --name %s' first.\n"
#define WARNING "2026-06-02T03:28:00.000000Z  WARN smolvm::agent: the agent's socket was busy\n"

/* One row is one X: the names are wanted as an array of their own, too. */
#define REPLY_ROWS(X)                                                                              \
    X("lost", 1, false, "Error: io operation failed: connection closed\n",                         \
      "error: io operation failed: connection closed\n",                                           \
      AGENT_FAILED "run interactive: connection to VM lost\n", "client.rs:1620; E9, E11, C3")      \
    X("reset", 1, false, "Error: io operation failed: Connection reset by peer (os error 104)\n",  \
      "error: io operation failed: Connection reset by peer (os error 104)\n", NULL,               \
      "client.rs:1620; E10")                                                                       \
    X("late", 1, false,                                                                            \
      "Error: io operation failed: Resource temporarily unavailable (os error 11)\n", NULL, NULL,  \
      "reply past the client's read timeout")                                                      \
    X("not-running", 1, false, NOT_RUNNING, NULL, NULL, "stopped machine; C1")                     \
    X("unreachable", 1, false, NOT_RUNNING, NULL, NULL, "unresponsive agent; E12")                 \
    X("container-gone", 1, false, "the container `%s` is not running\n", NULL, NULL,               \
      "crun 1.8.1; E6")                                                                            \
    X("join-broken-pipe", 1, false, "write to sync socket: Broken pipe\n", NULL, NULL,             \
      "crun 1.8.1; E6")                                                                            \
    X("join-no-process", 1, false, "fail startup\nsetns(pid=2, CLONE_NEWUSER): No such process\n", \
      NULL, NULL, "crun 1.8.1; E6")                                                                \
    X("join-pid-reused", 1, false,                                                                 \
      "fail startup\ncontainer process not found, the pid was reused: No such process\n", NULL,    \
      NULL, "crun 1.8.1; E6")                                                                      \
    X("client-disconnected", 137, true, "\nclient disconnected", NULL, NULL,                       \
      "storage.rs:2484; E7")                                                                       \
    X("timed-out", 124, true, "\ncommand timed out after 1000ms", NULL, NULL,                      \
      "the caller's --timeout; E14")                                                               \
    X("warned", 0, true, WARNING, NULL, NULL, "RUST_LOG's default; E20")                           \
    X("warned-killed", 137, true, WARNING, NULL, NULL, "RUST_LOG's default; E20, E1")

#define AS_ROW(name, status, keeps, text, stream, interactive, source)                             \
    {name, status, keeps, text, stream, interactive, source},
#define AS_NAME(name, ...) name,

const struct reply_row reply_rows[] = {REPLY_ROWS(AS_ROW){NULL, 0, false, NULL, NULL, NULL, NULL}};
const char *const reply_names[] = {REPLY_ROWS(AS_NAME) NULL};

const struct reply_row *reply_find(const char *name)
{
    for (const struct reply_row *row = reply_rows; row->name; row++)
        if (strcmp(row->name, name) == 0)
            return row;
    return NULL;
}

void reply_release(struct reply *reply)
{
    buf_release(&reply->out);
    buf_release(&reply->err);
    buf_release(&reply->rules_json);
}

void reply_apply(const struct reply_row *row, const char *machine, enum reply_mode mode,
                 struct reply *reply)
{
    const char *text = mode == REPLY_STREAM        ? row->stream
                       : mode == REPLY_INTERACTIVE ? row->interactive
                                                   : NULL;
    if (!row->keeps_output) {
        buf_clear(&reply->out);
        buf_clear(&reply->err);
    }
    reply->status = row->status;
    for (const char *at = text ? text : row->text; *at; at++) {
        if (at[0] == '%' && at[1] == 's') {
            buf_add(&reply->err, machine);
            at++;
        } else
            buf_append(&reply->err, at, 1);
    }
}
