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

#define SOCKET "/var/run/docker.sock"
#define CONNECT                                                                                    \
    "error during connect: Put "                                                                   \
    "\"http://%2Fvar%2Frun%2Fdocker.sock/v1.45/containers/%s/archive\": "
#define DAEMON_GONE                                                                                \
    "Cannot connect to the Docker daemon at unix://" SOCKET ". Is the docker daemon running?\n"
#define RESET "read unix @->" SOCKET ": read: connection reset by peer\n"
#define NO_CONFIG                                                                                  \
    "WARNING: Error loading config file: open /root/.docker/config.json: permission denied\n"

/*
 * docker's words for a row. Source: docker/cli cli/command/container/exec.go (255: the daemon
 * cannot be asked for the status), client/errors.go; moby daemon/exec.go, runc exec.go.
 */
static const struct docker_row {
    const char *name;
    int exec_status;
    const char *exec;
    bool on_stdout;    /* the daemon says it where the command would have */
    int status;        /* of other calls */
    const char *other; /* NULL: nothing of the kind */
} docker_rows[] = {
    {"lost", 255, "", false, 1, CONNECT "EOF\n"},
    {"reset", 1, RESET, false, 1, CONNECT RESET},
    {"not-running", 1, "Error response from daemon: container %s is not running\n", false, 0, NULL},
    {"unreachable", 1, DAEMON_GONE, false, 1, DAEMON_GONE},
    {"container-gone", 126,
     "OCI runtime exec failed: exec failed: cannot exec in a stopped container: unknown\r\n", true,
     0, NULL},
    {"warned", 0, NO_CONFIG, false, 0, NO_CONFIG},
    {"warned-killed", 137, NO_CONFIG, false, 0, NULL},
};

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

static void add_text(struct buf *buf, const char *text, const char *machine)
{
    for (const char *at = text; *at; at++) {
        if (at[0] == '%' && at[1] == 's') {
            buf_add(buf, machine);
            at++;
        } else
            buf_append(buf, at, 1);
    }
}

static void apply_docker(const char *name, const char *machine, bool exec, struct reply *reply)
{
    for (size_t i = 0; i < sizeof docker_rows / sizeof *docker_rows; i++) {
        const struct docker_row *row = &docker_rows[i];
        const char *text = exec ? row->exec : row->other;
        if (strcmp(row->name, name) != 0 || !text)
            continue;
        if (!exec)
            buf_clear(&reply->err);
        reply->status = exec ? row->exec_status : row->status;
        add_text(exec && row->on_stdout ? &reply->out : &reply->err, text, machine);
        return;
    }
    reply->status = 125;
    buf_printf(&reply->err, "error: docker has no reply '%s' to %s\n", name,
               exec ? "exec" : "this call");
}

void reply_apply(const struct reply_row *row, const char *machine, enum reply_mode mode,
                 struct reply *reply)
{
    if (mode == REPLY_DOCKER || mode == REPLY_DOCKER_EXEC) {
        apply_docker(row->name, machine, mode == REPLY_DOCKER_EXEC, reply);
        return;
    }
    const char *text = mode == REPLY_STREAM        ? row->stream
                       : mode == REPLY_INTERACTIVE ? row->interactive
                                                   : NULL;
    if (!row->keeps_output) {
        buf_clear(&reply->out);
        buf_clear(&reply->err);
    }
    reply->status = row->status;
    add_text(&reply->err, text ? text : row->text, machine);
}
