#include "reply.h"

#include <ctype.h>
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
#define API "http://%2Fvar%2Frun%2Fdocker.sock/v1.50/containers/"
#define DAEMON_GONE                                                                                \
    "Cannot connect to the Docker daemon at unix://" SOCKET ". Is the docker daemon running?\n"
#define CONNECT "error during connect: "
#define RESET "read unix @->" SOCKET ": read: connection reset by peer\n"
#define NO_CONFIG                                                                                  \
    "WARNING: Error loading config file: open /root/.docker/config.json: permission denied\n"

/*
 * docker's words for a row. %i: the container's id; %r: the request. A call is lost before its
 * command has begun with status 1, and with 255 and no word while it runs: then the daemon cannot
 * be asked for the status. Source: README.md, "What the real docker says".
 */
struct docker_said {
    int status;
    const char *text; /* NULL: nothing of the kind */
};

static const struct docker_row {
    const char *name;
    struct docker_said said[3]; /* by enum reply_docker */
} docker_rows[] = {
    {"lost", {{1, "unexpected EOF\n"}, {255, ""}, {1, CONNECT "%r: EOF\n"}}},
    {"reset", {{1, CONNECT "%r: " RESET}, {1, RESET}, {1, CONNECT "%r: " RESET}}},
    {"not-running",
     {{1, "Error response from daemon: container %i is not running\n"},
      {1, "Error response from daemon: container %i is not running\n"},
      {0, NULL}}},
    {"unreachable", {{1, DAEMON_GONE}, {1, DAEMON_GONE}, {1, DAEMON_GONE}}},
    {"container-gone", {{1, "unable to upgrade to tcp, received 409\n"}, {0, NULL}, {0, NULL}}},
    {"warned", {{0, NO_CONFIG}, {0, NO_CONFIG}, {0, NO_CONFIG}}},
    {"warned-killed", {{137, NO_CONFIG}, {137, NO_CONFIG}, {0, NULL}}},
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

/* As a part of a query. */
static void add_escaped(struct buf *buf, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (isalnum((unsigned char)text[i]) || strchr("-_.~", text[i]))
            buf_append(buf, text + i, 1);
        else
            buf_printf(buf, "%%%02X", (unsigned char)text[i]);
}

/* Method and address, as they stand in an error. */
static void add_request(struct buf *buf, const struct reply_subject *subject)
{
    const char *path = subject->guest_path, *slash = path ? strrchr(path, '/') : NULL;
    buf_add(buf, !path ? "Post" : subject->upload ? "Put" : "Get");
    buf_add(buf, " \"" API);
    buf_printf(buf, "%s%s", subject->name, path ? "/archive?" : "/exec");
    if (path)
        buf_add(buf, subject->upload ? "noOverwriteDirNonDir=true&path=" : "path=");
    if (path && (!subject->upload || !slash))
        add_escaped(buf, path, strlen(path));
    else if (path)
        add_escaped(buf, path, slash == path ? 1 : (size_t)(slash - path));
    buf_add(buf, "\"");
}

void reply_apply_docker(const struct reply_row *row, const struct reply_subject *subject,
                        enum reply_docker call, struct reply *reply)
{
    const struct docker_said *said = NULL;
    for (size_t i = 0; i < sizeof docker_rows / sizeof *docker_rows; i++)
        if (strcmp(docker_rows[i].name, row->name) == 0)
            said = &docker_rows[i].said[call];
    if (call == REPLY_DOCKER_CP)
        buf_clear(&reply->err);
    if (!said || !said->text) {
        reply->status = 125;
        buf_printf(&reply->err, "error: docker has no reply '%s' to this call\n", row->name);
        return;
    }
    reply->status = said->status;
    for (const char *at = said->text; *at; at++)
        if (strncmp(at, "%i", 2) == 0) {
            buf_add(&reply->err, subject->id);
            at++;
        } else if (strncmp(at, "%r", 2) == 0) {
            add_request(&reply->err, subject);
            at++;
        } else
            buf_append(&reply->err, at, 1);
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
    add_text(&reply->err, text ? text : row->text, machine);
}
