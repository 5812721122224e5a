#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "../fault/home.h"
#include "../fault/proc.h"
#include "container.h"
#include "reply.h"
#include "state.h"
#include "wire.h"

#define STOP_DEADLINE_MS 30000
#define STOP_RETRY_MS 1
#define END_DEADLINE_MS 5000
#define UPLOAD_MAX_BYTES (UINT64_C(4) << 30)

static int open_machine(const char *state_path, const char *name, struct err *err)
{
    CLEANUP(io_free) char *path = state_machine_path(state_path, name);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? err_set(err, errno, "open %s", path) : fd;
}

/* --- starting and stopping ------------------------------------------------------ */

/* What a rule on start or stop wants shown. Returns whether the pair is one of these. */
static bool take_forced(struct reply *forced, const char *key, const char *value)
{
    if (!forced)
        return false;
    if (strcmp(key, "status") == 0)
        forced->status = (int)strtol(value, NULL, 10);
    else if (strcmp(key, "text") == 0)
        buf_add(&forced->err, value);
    else if (strcmp(key, "killed") == 0)
        forced->killed = true;
    else if (strcmp(key, "rules") == 0)
        buf_add(&forced->rules_json, value);
    else
        return false;
    return true;
}

/* The starter's side of vmm.h's pairs. */
static int read_boot_answer(int fd, struct reply *forced, pid_t *ret_pid, struct err *err)
{
    CLEANUP(buf_release) struct buf answer = BUF_INIT;
    int ret = io_read_all(fd, &answer, 65536);
    if (ret < 0)
        return err_set(err, -ret, "read the VMM's answer");
    size_t at = 0;
    const char *key, *value, *text = NULL;
    pid_t pid = 0;
    int errnum = 0;
    bool ready = false;
    while (wire_next_pair(buf_str(&answer), answer.len, &at, &key, &value) > 0) {
        if (strcmp(key, "pid") == 0)
            pid = (pid_t)strtol(value, NULL, 10);
        else if (strcmp(key, "ready") == 0)
            ready = true;
        else if (strcmp(key, "error") == 0)
            text = value;
        else if (strcmp(key, "errno") == 0)
            errnum = (int)strtol(value, NULL, 10);
        else
            take_forced(forced, key, value);
    }
    if (ready && pid > 0) {
        *ret_pid = pid;
        return 0;
    }
    return err_text(err, errnum > 0 ? errnum : EIO, "%s",
                    text ? text : "the VMM ended before it was ready");
}

/*
 * A machine whose connection ended is on its way out: it is waited for, so that whoever
 * looks next finds it gone. Its lock is no help: the next start may have that already.
 */
static void wait_for_end(const char *state_path, const char *name)
{
    pid_t pid = state_vmm_pid(state_path, name);
    int64_t deadline_ms = io_now_ms() + END_DEADLINE_MS;
    while (pid > 0 && state_vmm_pid(state_path, name) == pid && io_now_ms() < deadline_ms)
        poll(NULL, 0, 1);
}

int client_boot(const struct boot *boot, pid_t *ret_vmm_pid, struct err *err)
{
    CLEANUP(io_close) int machine_fd = open_machine(boot->state_path, boot->name, err);
    if (machine_fd < 0)
        return machine_fd;
    CLEANUP(io_free) char *program = NULL;
    int ret = home_find("fakes/smolvm", &program, err);
    if (ret < 0)
        return ret;
    CLEANUP(io_close)
    int log_fd = openat(machine_fd, "vmm.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    CLEANUP(io_close) int read_fd = -1;
    CLEANUP(io_close) int write_fd = -1;
    ret = log_fd < 0 ? -errno : io_pipe(&read_fd, &write_fd);
    if (ret < 0)
        return err_set(err, -ret, "prepare the VMM's streams");
    const char *argv[] = {program,
                          "_boot-vm",
                          boot->owner_fd >= 0 ? "--owned" : "--free",
                          boot->kind->option,
                          boot->state_path,
                          boot->name,
                          boot->faults,
                          NULL};
    struct proc_spec spec = {.argv = argv,
                             .cwd = "/",
                             .stdin_fd = boot->owner_fd,
                             .stdout_fd = write_fd,
                             .stderr_fd = log_fd,
                             .new_session = true};
    pid_t monitor = proc_spawn(&spec, err);
    if (monitor < 0)
        return monitor;
    io_close(&write_fd);
    ret = read_boot_answer(read_fd, boot->ret_reply, ret_vmm_pid, err);
    if (ret < 0 && ret != -EALREADY)
        wait_for_end(boot->state_path, boot->name);
    return ret;
}

static int connect_machine(int machine_fd, struct err *err)
{
    int fd = wire_connect(machine_fd, "sock");
    if (fd < 0)
        return err_text(err, ENOTCONN, "the machine is not running");
    return fd;
}

/*
 * Sends the pairs of a control call and reads until the answer or the end. Returns 1 when the
 * answer says that the machine goes on running although it was to be stopped.
 */
static int control(const char *state_path, const char *name, const struct buf *pairs,
                   struct reply *answer, struct err *err)
{
    CLEANUP(io_close) int machine_fd = open_machine(state_path, name, err);
    if (machine_fd < 0)
        return machine_fd;
    CLEANUP(wire_release) struct wire wire = WIRE_INIT;
    wire.fd = connect_machine(machine_fd, err);
    if (wire.fd < 0)
        return -ENOTCONN;
    wire_queue(&wire, WIRE_CONTROL, pairs->data, pairs->len);
    int ret = wire_flush(&wire);
    while (ret == 0 && !wire.ended) {
        enum wire_type type;
        const char *data, *key, *text;
        size_t len, at = 0;
        ret = wire_fill(&wire);
        if (ret < 0 || wire_next(&wire, &type, &data, &len) <= 0)
            continue;
        while (wire_next_pair(data, len, &at, &key, &text) > 0) {
            if (strcmp(key, "error") == 0)
                return err_text(err, EINVAL, "%s", text);
            if (!take_forced(answer, key, text) && strcmp(key, "runs") == 0)
                ret = 1;
        }
        return ret;
    }
    if (strncmp(pairs->data, "stop", 4) == 0)
        return 0;
    return err_text(err, EPIPE, "the machine ended during `%s`", pairs->data);
}

static int control_word(const char *state_path, const char *name, const char *verb,
                        const char *value, struct reply *answer, struct err *err)
{
    CLEANUP(buf_release) struct buf pairs = BUF_INIT;
    wire_pair(&pairs, verb, value ? value : "");
    return control(state_path, name, &pairs, answer, err);
}

int client_arm(const char *state_path, const char *name, const struct arming *arming,
               struct err *err)
{
    CLEANUP(buf_release) struct buf pairs = BUF_INIT;
    wire_pair(&pairs, "arm", arming->faults ? arming->faults : "");
    if (arming->record_path) {
        wire_pair(&pairs, "record", arming->record_path);
        wire_pair_number(&pairs, "record-call", arming->call);
        wire_pair_number(&pairs, "record-nth", arming->nth);
    }
    for (size_t i = 0; i < ARMING_STATES_MAX && arming->states[i].path; i++) {
        const struct arming_state *state = &arming->states[i];
        wire_pair(&pairs, "replay", state->path); /* begins one */
        wire_pair(&pairs, "state", state->state);
        wire_pair_number(&pairs, "out", (int64_t)state->out_bytes);
        wire_pair_number(&pairs, "err", (int64_t)state->err_bytes);
        wire_pair_number(&pairs, "call", state->call);
        wire_pair_number(&pairs, "nth", state->nth);
    }
    return control(state_path, name, &pairs, NULL, err);
}

int client_report(const char *state_path, const char *name, struct buf *rules_json, struct err *err)
{
    CLEANUP(reply_release) struct reply answer = REPLY_INIT;
    int ret = control_word(state_path, name, "report", NULL, &answer, err);
    if (ret == 0)
        buf_add(rules_json, buf_str(&answer.rules_json));
    return ret;
}

/* said: what the control call returned. */
static int wait_for_stop(const char *state_path, const char *name, int said, struct err *err)
{
    CLEANUP(io_close) int machine_fd = open_machine(state_path, name, err);
    if (machine_fd < 0)
        return machine_fd;
    /* The lock's holder waits for the VMM, so nothing of the machine lives once it is free. */
    CLEANUP(io_close) int lock_fd = -1;
    int locked;
    int64_t deadline_ms = io_now_ms() + STOP_DEADLINE_MS;
    while ((locked = io_lock_file(machine_fd, "lock", 0, &lock_fd)) == -EAGAIN) {
        if (io_now_ms() >= deadline_ms)
            return err_text(err, ETIMEDOUT, "the machine does not end");
        poll(NULL, 0, STOP_RETRY_MS);
        /* One that was only starting had nobody yet to be told. */
        if (said == -ENOTCONN)
            said = control_word(state_path, name, "stop", NULL, NULL, NULL);
    }
    return locked == 0 || locked == -ENOENT ? 0
                                            : err_set(err, -locked, "wait for the machine's end");
}

int client_stop(const char *state_path, const char *name, struct err *err)
{
    int ret = control_word(state_path, name, "stop", NULL, NULL, err);
    return ret < 0 && ret != -ENOTCONN ? ret : wait_for_stop(state_path, name, ret, err);
}

int client_stop_by_rules(const char *state_path, const char *name, const char *faults,
                         struct reply *ret_reply, struct err *err)
{
    int ret = control_word(state_path, name, "stop-by-rules", faults, ret_reply, err);
    if (ret == 1)
        return 0;
    return ret < 0 && ret != -ENOTCONN ? ret : wait_for_stop(state_path, name, ret, err);
}

/* --- calls ---------------------------------------------------------------------- */

static void queue_request(struct wire *wire, const struct request *request)
{
    CLEANUP(buf_release) struct buf pairs = BUF_INIT;
    static const char *const verbs[] = {"exec", "upload", "download"};
    wire_pair(&pairs, "verb", verbs[request->verb]);
    if (request->faults)
        wire_pair(&pairs, "faults", request->faults);
    for (const char *const *at = request->cli_argv; at && *at; at++)
        wire_pair(&pairs, "cli", *at);
    for (const char *const *at = request->argv; at && *at; at++)
        wire_pair(&pairs, "arg", *at);
    for (const char *const *at = request->env; at && *at; at++)
        wire_pair(&pairs, "env", *at);
    if (request->cwd)
        wire_pair(&pairs, "cwd", request->cwd);
    if (request->user)
        wire_pair(&pairs, "user", request->user);
    if (request->guest_path)
        wire_pair(&pairs, "path", request->guest_path);
    if (request->docker)
        wire_pair(&pairs, "docker", request->docker);
    if (request->timeout_ms > 0)
        wire_pair_number(&pairs, "timeout_ms", request->timeout_ms);
    if (request->interactive)
        wire_pair(&pairs, "interactive", "");
    if (request->tty)
        wire_pair(&pairs, "tty", "");
    if (request->stream)
        wire_pair(&pairs, "stream", "");
    wire_queue(wire, WIRE_REQUEST, pairs.data, pairs.len);
}

/* One call's state on this side. */
struct session {
    const struct request *request;
    struct wire wire;
    int host_fd;
    bool host_is_new; /* made by us */
    bool in_open;     /* stdin is to be read */
    bool done;
    struct reply *reply;
};

static void take_reply(struct session *session, enum wire_type type, const char *data, size_t len)
{
    size_t at = 0;
    const char *key, *value;
    struct reply *reply = session->reply;
    while (wire_next_pair(data, len, &at, &key, &value) > 0) {
        if (strcmp(key, "status") == 0)
            reply->status = (int)strtol(value, NULL, 10);
        else if (strcmp(key, "size_bytes") == 0)
            reply->size_bytes = strtoull(value, NULL, 10);
        else if (strcmp(key, "rules") == 0)
            buf_add(&reply->rules_json, value);
    }
    reply->killed = type == WIRE_KILLED;
    session->done = type != WIRE_COUNTS;
}

static void fail_host_file(struct session *session, const char *what)
{
    int errnum = errno;
    session->reply->status = 1;
    buf_printf(&session->reply->err,
               "Error: agent operation failed: %s local file: %s: %s (os error %d)\n", what,
               session->request->host_path, strerror(errnum), errnum);
    session->done = true;
}

/* What is there is cut by the agent (agent.h), once it has something to send. */
static int make_host_file(struct session *session)
{
    const char *path = session->request->host_path;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    session->host_is_new = fd >= 0;
    return fd < 0 && errno == EEXIST ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644) : fd;
}

/* The real client opens its file only once the machine has answered. */
static void send_host_file(struct session *session)
{
    const struct request *request = session->request;
    bool upload = request->verb == CLIENT_UPLOAD;
    struct stat st;
    session->host_fd =
        upload ? open(request->host_path, O_RDONLY | O_CLOEXEC) : make_host_file(session);
    if (session->host_fd < 0 || fstat(session->host_fd, &st) < 0)
        fail_host_file(session, upload ? "read" : "create");
    else if (upload && S_ISDIR(st.st_mode)) {
        errno = EISDIR;
        fail_host_file(session, "read");
    } else if (upload && (uint64_t)st.st_size > UPLOAD_MAX_BYTES) {
        session->reply->status = 1;
        buf_printf(&session->reply->err,
                   "Error: agent operation failed: write file: total_size %lld exceeds maximum "
                   "%llu\n",
                   (long long)st.st_size, (unsigned long long)UPLOAD_MAX_BYTES);
        session->done = true;
    } else if (wire_send_fd(&session->wire, WIRE_READY, session->host_fd) < 0)
        session->wire.ended = true;
}

static void take_frame(struct session *session, enum wire_type type, const char *data, size_t len)
{
    switch (type) {
    case WIRE_OUT:
        buf_append(&session->reply->out, data, len);
        if (session->reply->written)
            io_write_all(STDOUT_FILENO, data, len);
        break;
    case WIRE_ERR:
        buf_append(&session->reply->err, data, len);
        if (session->reply->written)
            io_write_all(STDERR_FILENO, data, len);
        break;
    case WIRE_READY: send_host_file(session); break;
    case WIRE_REPLY:
    case WIRE_COUNTS:
    case WIRE_KILLED: take_reply(session, type, data, len); break;
    default: break;
    }
}

static void forward_stdin(struct session *session)
{
    char chunk[16384];
    ssize_t n = read(STDIN_FILENO, chunk, sizeof chunk);
    if (n < 0 && errno == EINTR)
        return;
    if (n > 0)
        wire_queue(&session->wire, WIRE_STDIN, chunk, (size_t)n);
    else {
        wire_queue(&session->wire, WIRE_STDIN_END, NULL, 0);
        session->in_open = false;
    }
}

static void send_winsize(struct session *session)
{
    struct winsize window;
    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &window) < 0)
        return;
    uint16_t size[2] = {window.ws_row, window.ws_col};
    wire_queue(&session->wire, WIRE_WINSIZE, size, sizeof size);
}

static int step(struct session *session)
{
    /* A writable socket has room for a whole chunk (unix(7)), so sending that never blocks; to
     * one that is not, nothing is sent: the machine may itself wait until its output is read. */
    struct pollfd room = {.fd = session->wire.fd, .events = POLLOUT};
    bool full = session->in_open && poll(&room, 1, 0) == 0;
    struct pollfd fds[2] = {
        {.fd = session->wire.fd, .events = full ? POLLIN | POLLOUT : POLLIN},
        {.fd = session->in_open && !full ? STDIN_FILENO : -1, .events = POLLIN}};
    if (poll(fds, 2, -1) < 0)
        return errno == EINTR ? 0 : -errno;
    if (fds[1].revents)
        forward_stdin(session);
    if (wire_flush(&session->wire) < 0)
        session->wire.ended = true;
    if (!(fds[0].revents & ~POLLOUT))
        return 0;
    if (wire_fill(&session->wire) < 0)
        session->wire.ended = true;
    enum wire_type type;
    const char *data;
    size_t len;
    int ret = 0;
    while (!session->done && (ret = wire_next(&session->wire, &type, &data, &len)) > 0)
        take_frame(session, type, data, len);
    return ret < 0 ? ret : 0;
}

static void raw_terminal(struct termios *ret_saved, bool *ret_raw)
{
    struct termios raw;
    *ret_raw = tcgetattr(STDIN_FILENO, ret_saved) == 0;
    if (!*ret_raw)
        return;
    raw = *ret_saved;
    cfmakeraw(&raw);
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

/* The VM died under the call: what was shown already stays, and only the words are new. */
static void lose_vm(struct session *session, const char *name)
{
    const struct request *request = session->request;
    bool exec = request->verb == CLIENT_EXEC;
    enum reply_mode mode = request->interactive || request->tty ? REPLY_INTERACTIVE
                           : request->stream                    ? REPLY_STREAM
                                                                : REPLY_BUFFERED;
    struct reply *reply = session->reply;
    const struct reply_subject subject = {name, name, request->guest_path,
                                          request->verb == CLIENT_UPLOAD};
    if (request->docker)
        reply_apply_docker(reply_find("lost"), &subject, exec ? REPLY_DOCKER_EXEC : REPLY_DOCKER_CP,
                           reply);
    else
        reply_apply(reply_find("lost"), name, mode, reply);
    if (reply->written)
        io_write_all(STDERR_FILENO, buf_str(&reply->err), reply->err.len);
}

static int converse(struct session *session, const char *name)
{
    struct termios saved;
    bool raw = false;
    const struct request *request = session->request;
    session->reply->written = request->stream || request->interactive || request->tty;
    session->in_open = request->interactive;
    queue_request(&session->wire, session->request);
    if (session->request->tty) {
        raw_terminal(&saved, &raw);
        send_winsize(session);
    }
    int ret = wire_flush(&session->wire) < 0 ? -EPIPE : 0;
    while (ret == 0 && !session->done && !session->wire.ended)
        ret = step(session);
    if (raw)
        tcsetattr(STDIN_FILENO, TCSANOW, &saved);
    if (!session->done) {
        lose_vm(session, name);
        ret = 0;
    }
    return ret;
}

int client_call(const char *state_path, const char *name, const struct request *request,
                struct reply *ret_reply, struct err *err)
{
    CLEANUP(io_close) int machine_fd = open_machine(state_path, name, err);
    if (machine_fd < 0)
        return machine_fd;
    struct reply reply = REPLY_INIT;
    struct session session = {.request = request, .wire = WIRE_INIT, .host_fd = -1};
    session.reply = &reply;
    session.wire.fd = connect_machine(machine_fd, err);
    if (session.wire.fd < 0)
        return -ENOTCONN;
    int ret = converse(&session, name);
    if (session.wire.ended)
        wait_for_end(state_path, name);
    if (session.host_is_new && reply.status != 0 && !session.wire.ended)
        unlink(request->host_path);
    io_close(&session.host_fd);
    reply.fd = steal_fd(&session.wire.fd);
    wire_release(&session.wire);
    if (ret < 0) {
        io_close(&reply.fd);
        reply_release(&reply);
        return err_set(err, -ret, "call to the machine");
    }
    *ret_reply = reply;
    return 0;
}

void client_journaled(struct reply *reply)
{
    CLEANUP(wire_release) struct wire wire = WIRE_INIT;
    wire.fd = steal_fd(&reply->fd);
    wire_queue(&wire, WIRE_JOURNALED, NULL, 0);
    wire_flush(&wire);
}
