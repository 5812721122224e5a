#include "call_client.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "call_output.h"
#include "journal.h"
#include "vmm.h"
#include "vmm_rules.h"

/* A killed client cannot write its own line. */
static void journal_for_client(struct call *call)
{
    if (call->journaled || !call->cli_argv)
        return;
    struct buf none = BUF_INIT;
    CLEANUP(buf_release) struct buf rules = BUF_INIT;
    faults_print_json(call->faults, &rules);
    struct journal_entry entry = {.start_ns = call->started_ns,
                                  .end_ns = io_now_ns(),
                                  .argv = call->cli_argv,
                                  .verb = call->kind == RULE_CP ? "cp" : "exec",
                                  .machine = call->vmm->record.name,
                                  .status = -1,
                                  .signal = SIGKILL,
                                  .out = &none,
                                  .err = &none,
                                  .rules_json = buf_str(&rules)};
    struct err err;
    if (journal_append(call->vmm->state_path, &entry, &err) < 0)
        dprintf(2, "journal: %s\n", err.msg);
    call->journaled = true;
}

/* A client may be gone when we write to it, and what it said before not be read yet. */
static void read_last_words(struct call *call)
{
    enum wire_type type;
    const char *data;
    size_t len, before;
    do {
        while (wire_next(&call->wire, &type, &data, &len) > 0)
            call->journaled |= type == WIRE_JOURNALED;
        before = call->wire.in.len - call->wire.in_used;
    } while (!call->wire.ended && wire_fill(&call->wire) == 0 && call->wire.in.len > before);
}

static void client_left(struct call *call)
{
    read_last_words(call);
    loop_unwatch(&call->vmm->loop, &call->connection);
    io_close(&call->wire.fd);
    call->client_gone = true;
    call_output_pace(call);
    buf_release(&call->reply.out); /* nobody will read it */
    buf_release(&call->reply.err);
    journal_for_client(call);
    if (call->process.pid > 0 && !call->ended && !call->process.joined)
        kill(call->process.pid, SIGKILL);
    if (call_is_over(call))
        call_free(call);
}

void call_client_watch(struct call *call)
{
    unsigned events = wire_pending(&call->wire) > 0 ? (unsigned)EPOLLOUT : 0;
    if (call->in_queue.len < QUEUE_LIMIT_BYTES)
        events |= EPOLLIN;
    loop_change(&call->vmm->loop, &call->connection, events);
    call_output_pace(call);
}

bool call_client_flush(struct call *call)
{
    if (call->client_gone)
        return true;
    if (wire_flush(&call->wire) < 0) {
        client_left(call);
        return false;
    }
    call_client_watch(call);
    return true;
}

void call_client_send(struct call *call, enum wire_type type, const void *data, size_t len)
{
    for (size_t at = 0; !call->client_gone && (at < len || at == 0); at += QUEUE_LIMIT_BYTES) {
        size_t part = len - at < QUEUE_LIMIT_BYTES ? len - at : QUEUE_LIMIT_BYTES;
        /* Nothing may be added to a NULL of no bytes, not even 0. */
        wire_queue(&call->wire, type, at > 0 ? (const char *)data + at : data, part);
    }
}

void call_client_send_end(struct call *call, enum wire_type type)
{
    CLEANUP(buf_release) struct buf pairs = BUF_INIT;
    CLEANUP(buf_release) struct buf rules = BUF_INIT;
    faults_print_json(call->faults, &rules);
    wire_pair_number(&pairs, "status", call->reply.status);
    wire_pair_number(&pairs, "size_bytes", (int64_t)call->reply.size_bytes);
    wire_pair(&pairs, "rules", buf_str(&rules));
    call_client_send(call, type, pairs.data, pairs.len);
}

void call_client_kill(struct call *call)
{
    if (call->client_killed || call->client_gone || call->state == CALL_REPLIED)
        return;
    call->client_killed = true;
    call_client_send_end(call, WIRE_KILLED);
    wire_flush(&call->wire);
    call_client_watch(call); /* what is left goes out when the loop says so */
}

static const char **add_string(const char **list, size_t *count, const char *text)
{
    list = realloc(list, (*count + 2) * sizeof *list);
    if (!list)
        abort();
    list[(*count)++] = text;
    list[*count] = NULL;
    return list;
}

/* Fills the call from the request's pairs; unknown keys are our own mistake. */
static int parse_request(struct call *call)
{
    size_t at = 0, n_argv = 0, n_env = 0, n_cli = 0;
    const char *key, *value;
    int ret;
    while ((ret = wire_next_pair(buf_str(&call->request), call->request.len, &at, &key, &value)) >
           0) {
        if (strcmp(key, "verb") == 0) {
            call->kind = strcmp(value, "exec") == 0 ? RULE_EXEC : RULE_CP;
            call->upload = strcmp(value, "upload") == 0;
        } else if (strcmp(key, "arg") == 0)
            call->argv = add_string(call->argv, &n_argv, value);
        else if (strcmp(key, "env") == 0)
            call->env = add_string(call->env, &n_env, value);
        else if (strcmp(key, "cli") == 0)
            call->cli_argv = add_string(call->cli_argv, &n_cli, value);
        else if (strcmp(key, "cwd") == 0)
            call->cwd = value;
        else if (strcmp(key, "user") == 0)
            call->user = value;
        else if (strcmp(key, "faults") == 0)
            call->faults_text = value;
        else if (strcmp(key, "path") == 0)
            call->guest_path = value;
        else if (strcmp(key, "docker") == 0)
            call->docker = value;
        else if (strcmp(key, "timeout_ms") == 0)
            call->timeout_ms = strtoll(value, NULL, 10);
        else if (strcmp(key, "interactive") == 0)
            call->interactive = true;
        else if (strcmp(key, "tty") == 0)
            call->tty = true;
        else if (strcmp(key, "stream") == 0)
            call->stream = true;
        else
            return -EPROTO;
    }
    return ret;
}

static void take_request(struct call *call)
{
    struct err err;
    int ret = parse_request(call);
    if (ret < 0 || (call->kind == RULE_EXEC ? !call->argv : !call->guest_path)) {
        client_left(call);
        return;
    }
    call->nth = ++call->vmm->counts[call->kind];
    if (call->faults_text) {
        if (vmm_take_faults(call->vmm, &call->own_faults, call->faults_text, &err) < 0) {
            call_fail(call, &err);
            return;
        }
        call->faults = &call->own_faults;
    }
    if (call->kind == RULE_CP) { /* the client opens its file now, and sends it */
        call_client_send(call, WIRE_READY, NULL, 0);
        call_client_flush(call);
    } else
        call_begin(call);
}

static void take_winsize(struct call *call, const char *data, size_t len)
{
    uint16_t size[2];
    if (len != sizeof size || call->process.in_fd < 0)
        return;
    memcpy(size, data, sizeof size);
    struct winsize window = {.ws_row = size[0], .ws_col = size[1]};
    ioctl(call->process.in_fd, TIOCSWINSZ, &window);
}

/* Arms what the pairs say, of which the rules are the first. */
static int arm(struct vmm *vmm, const char *data, size_t len, struct err *err)
{
    CLEANUP(recording_release) struct recording recording = RECORDING_INIT;
    CLEANUP(replays_release) struct replays replays = {.count = 0};
    struct replay *replay = replays.items;
    size_t at = 0;
    const char *key, *value, *rules = "";
    while (wire_next_pair(data, len, &at, &key, &value) > 0) {
        if (strcmp(key, "arm") == 0)
            rules = value;
        else if (strcmp(key, "record") == 0)
            recording.path = io_format("%s", value);
        else if (strcmp(key, "record-call") == 0)
            recording.call = (enum rule_call)strtol(value, NULL, 10);
        else if (strcmp(key, "record-nth") == 0)
            recording.nth = (uint32_t)strtoul(value, NULL, 10);
        else if (strcmp(key, "replay") == 0) {
            if (replays.count == ARMING_STATES_MAX)
                return err_text(err, E2BIG, "more than %d states are armed", ARMING_STATES_MAX);
            replay = &replays.items[replays.count++];
            replay->path = io_format("%s", value);
        } else if (strcmp(key, "state") == 0)
            replay->state = io_format("%s", value);
        else if (strcmp(key, "out") == 0)
            replay->out_bytes = strtoull(value, NULL, 10);
        else if (strcmp(key, "err") == 0)
            replay->err_bytes = strtoull(value, NULL, 10);
        else if (strcmp(key, "call") == 0)
            replay->call = (enum rule_call)strtol(value, NULL, 10);
        else if (strcmp(key, "nth") == 0)
            replay->nth = (uint32_t)strtoul(value, NULL, 10);
    }
    return vmm_arm(vmm, rules, &recording, &replays, err);
}

/*
 * The runner's words: arm, report, stop; and the CLI's: stop-by-rules. The answer is one
 * REPLY frame.
 */
static void control(struct call *call, const char *data, size_t len)
{
    struct vmm *vmm = call->vmm;
    CLEANUP(buf_release) struct buf answer = BUF_INIT;
    size_t at = 0;
    const char *key, *value;
    struct err err;
    call->state = CALL_REPLIED;
    if (wire_next_pair(data, len, &at, &key, &value) <= 0)
        return;
    if (strcmp(key, "stop") == 0) {
        loop_stop(&vmm->loop);
        return;
    }
    if (strcmp(key, "stop-by-rules") == 0) {
        vmm_stop(vmm, call, value);
        return;
    }
    if (strcmp(key, "arm") == 0 && arm(vmm, data, len, &err) < 0)
        wire_pair(&answer, "error", err.msg);
    if (strcmp(key, "report") == 0 && vmm->distrust.msg[0])
        wire_pair(&answer, "error", vmm->distrust.msg);
    CLEANUP(buf_release) struct buf rules = BUF_INIT;
    faults_print_json(&vmm->armed, &rules);
    wire_pair(&answer, "rules", buf_str(&rules));
    wire_pair_number(&answer, "exec", vmm->counts[RULE_EXEC]);
    wire_pair_number(&answer, "cp", vmm->counts[RULE_CP]);
    call_client_send(call, WIRE_REPLY, answer.data, answer.len);
    call_client_flush(call);
}

/* Returns false when the call is gone. */
static bool take_frame(struct call *call, enum wire_type type, const char *data, size_t len)
{
    switch (type) {
    case WIRE_REQUEST:
        if (call->request.len > 0)
            break;
        buf_append(&call->request, data, len);
        take_request(call);
        return false; /* it may be; the loop comes again for what is left */
    case WIRE_READY:  /* with the host file */
        if (call->wire.passed_fd < 0 || call->kind != RULE_CP || call->host_fd >= 0)
            break;
        call->host_fd = steal_fd(&call->wire.passed_fd);
        call_begin(call);
        return false;
    case WIRE_STDIN:
        if (call->process.in_fd < 0 && !call->tty)
            break;
        buf_append(&call->in_queue, data, len);
        if (call->process.in_fd >= 0)
            loop_change(&call->vmm->loop, &call->in, EPOLLOUT);
        break;
    case WIRE_STDIN_END:
        call->in_ended = true;
        if (call->process.in_fd >= 0)
            loop_change(&call->vmm->loop, &call->in, EPOLLOUT);
        break;
    case WIRE_WINSIZE: take_winsize(call, data, len); break;
    case WIRE_JOURNALED: call->journaled = true; break;
    case WIRE_CONTROL: control(call, data, len); return false;
    default: break;
    }
    return true;
}

static void on_connection(struct loop *loop, struct watch *watch, unsigned events)
{
    (void)loop;
    struct call *call = container_of(watch, struct call, connection);
    if ((events & EPOLLOUT) && !call_client_flush(call))
        return;
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        return;
    if (wire_fill(&call->wire) < 0)
        call->wire.ended = true;
    struct vmm *vmm = call->vmm;
    for (;;) {
        enum wire_type type;
        const char *data;
        size_t len;
        int ret = wire_next(&call->wire, &type, &data, &len);
        if (ret < 0)
            call->wire.ended = true;
        if (ret <= 0)
            break;
        if (!take_frame(call, type, data, len)) {
            struct call *at = vmm->calls;
            while (at && at != call)
                at = at->next;
            if (!at)
                return;
        }
    }
    if (call->wire.ended && !call->client_gone)
        client_left(call);
    else if (!call->client_gone)
        call_client_watch(call);
}

void call_client_init(struct call *call, int connection_fd)
{
    call->wire = (struct wire)WIRE_INIT;
    call->wire.fd = connection_fd;
    call->connection = (struct watch){-1, on_connection};
    io_set_nonblock(connection_fd);
    loop_watch(&call->vmm->loop, &call->connection, connection_fd, EPOLLIN);
}
