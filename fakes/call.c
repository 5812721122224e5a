#include "call.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "journal.h"
#include "vmm.h"

#define QUEUE_LIMIT_BYTES (1u << 20)

static void call_begin(struct call *call);
static void call_run(struct call *call);
static void call_check_drained(struct call *call);
static void call_finish(struct call *call);

void call_free(struct call *call)
{
    struct loop *loop = &call->vmm->loop;
    loop_unwatch(loop, &call->connection);
    loop_unwatch(loop, &call->out);
    loop_unwatch(loop, &call->err);
    loop_unwatch(loop, &call->in);
    loop_unwatch(loop, &call->report);
    loop_clear_timer(loop, &call->timeout);
    loop_clear_timer(loop, &call->drain);
    loop_clear_timer(loop, &call->hold);
    for (size_t i = 0; i < call->n_alarms; i++)
        loop_clear_timer(loop, &call->alarms[i].timer);
    for (struct call **at = &call->vmm->calls; *at; at = &(*at)->next)
        if (*at == call) {
            *at = call->next;
            break;
        }
    free(call->alarms);
    free(call->argv);
    free(call->env);
    free(call->cli_argv);
    buf_release(&call->request);
    buf_release(&call->in_queue);
    faults_release(&call->own_faults);
    reply_release(&call->reply);
    guest_process_release(&call->process);
    io_close(&call->host_fd);
    wire_release(&call->wire);
    free(call);
}

/* --- the client ------------------------------------------------------------- */

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

static bool is_over(const struct call *call)
{
    bool process_over = call->process.pid <= 0 || call->ended;
    return process_over && call->client_gone && call->state != CALL_HELD;
}

static void client_left(struct call *call)
{
    loop_unwatch(&call->vmm->loop, &call->connection);
    io_close(&call->wire.fd);
    call->client_gone = true;
    journal_for_client(call);
    if (call->process.pid > 0 && !call->ended && !call->process.joined)
        kill(call->process.pid, SIGKILL);
    if (is_over(call))
        call_free(call);
}

static void watch_connection(struct call *call)
{
    unsigned events = wire_pending(&call->wire) > 0 ? (unsigned)EPOLLOUT : 0;
    if (call->in_queue.len < QUEUE_LIMIT_BYTES)
        events |= EPOLLIN;
    loop_change(&call->vmm->loop, &call->connection, events);
}

/* Returns false when the call is gone. */
static bool flush_client(struct call *call)
{
    if (call->client_gone)
        return true;
    if (wire_flush(&call->wire) < 0) {
        client_left(call);
        return false;
    }
    watch_connection(call);
    return true;
}

static void send_client(struct call *call, enum wire_type type, const void *data, size_t len)
{
    for (size_t at = 0; !call->client_gone && (at < len || at == 0); at += QUEUE_LIMIT_BYTES) {
        size_t part = len - at < QUEUE_LIMIT_BYTES ? len - at : QUEUE_LIMIT_BYTES;
        wire_queue(&call->wire, type, (const char *)data + at, part);
    }
}

static void send_end(struct call *call, enum wire_type type)
{
    CLEANUP(buf_release) struct buf pairs = BUF_INIT;
    CLEANUP(buf_release) struct buf rules = BUF_INIT;
    faults_print_json(call->faults, &rules);
    wire_pair_number(&pairs, "status", call->reply.status);
    wire_pair_number(&pairs, "size_bytes", (int64_t)call->reply.size_bytes);
    wire_pair(&pairs, "rules", buf_str(&rules));
    send_client(call, type, pairs.data, pairs.len);
}

/* Sends the reply; the client is waited for until it has written its journal line. */
static void call_reply(struct call *call)
{
    if (call->state == CALL_REPLIED)
        return;
    call->state = CALL_REPLIED;
    if (call->reply.out.len > 0)
        send_client(call, WIRE_OUT, call->reply.out.data, call->reply.out.len);
    if (call->reply.err.len > 0)
        send_client(call, WIRE_ERR, call->reply.err.data, call->reply.err.len);
    send_end(call, WIRE_REPLY);
    buf_clear(&call->reply.out);
    buf_clear(&call->reply.err);
    if (flush_client(call) && is_over(call))
        call_free(call);
}

static void kill_client(struct call *call)
{
    if (call->client_killed || call->client_gone || call->state == CALL_REPLIED)
        return;
    call->client_killed = true;
    send_end(call, WIRE_KILLED);
    wire_flush(&call->wire); /* what is left goes out when the loop says so */
}

/* --- rules -------------------------------------------------------------------- */

static bool kill_process(struct call *call)
{
    return call->process.pid > 0 && !call->ended && kill(call->process.pid, SIGKILL) == 0;
}

/* Returns whether somebody was there to be signalled. */
static bool signal_scope(struct call *call, const struct rule *rule)
{
    switch (rule->scope) {
    case RULE_TREE:
        if (!call->traced)
            return kill_process(call);
        return tracer_kill(&call->vmm->tracer, call->tree, rule->signal) > 0;
    case RULE_PROCESS:
        return call->process.pid > 0 && !call->ended && kill(call->process.pid, rule->signal) == 0;
    case RULE_INIT_PROCESS: return vmm_kill_main(call->vmm) || kill_process(call);
    case RULE_VM: vmm_die(call->vmm);
    case RULE_CLIENT: kill_client(call); return true;
    }
    return false;
}

static void fire(struct call *call, size_t index)
{
    const struct rule *rule = &call->faults->set.rules[index];
    call->faults->fired[index]++;
    if (rule->action == RULE_STATUS)
        call->forced_status = rule->status;
    else if (rule->action == RULE_REPLY)
        call->forced_row = reply_find(rule->reply);
}

static void on_alarm(struct loop *loop, struct timer *timer)
{
    (void)loop;
    struct call_alarm *alarm = container_of(timer, struct call_alarm, timer);
    struct call *call = alarm->call;
    if (call->state != CALL_RUNS || call->ended)
        return;
    const struct rule *rule = &call->faults->set.rules[alarm->rule];
    if (rule->action == RULE_SIGNAL) {
        call->faults->fired[alarm->rule]++; /* before a scope that does not return */
        if (!signal_scope(call, rule))
            call->faults->fired[alarm->rule]--;
        return;
    }
    fire(call, alarm->rule);
    call_finish(call); /* the command goes on alone */
}

static void set_alarms(struct call *call)
{
    size_t at = 0;
    call->alarms = calloc(call->faults->set.count + 1, sizeof *call->alarms);
    if (!call->alarms)
        abort();
    for (;;) {
        int index = faults_next(call->faults, call->kind, call->nth, RULE_AT, &at);
        if (index < 0)
            return;
        const struct rule *rule = &call->faults->set.rules[index];
        struct call_alarm *alarm = &call->alarms[call->n_alarms++];
        alarm->timer.fire = on_alarm;
        alarm->call = call;
        alarm->rule = (size_t)index;
        int64_t from =
            rule->since == RULE_SINCE_START ? call->vmm->main_started_ms : call->began_ms;
        /* A time that is over already comes at once: the rule belongs to this call. */
        loop_set_timer(&call->vmm->loop, &alarm->timer, from + rule->at_ms);
    }
}

/* --- output ------------------------------------------------------------------- */

static void take_output(struct call *call, struct watch *watch, int *fd, enum wire_type type,
                        struct buf *kept)
{
    static char chunk[65536];
    ssize_t n = read(*fd, chunk, sizeof chunk);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) { /* EIO is a terminal's end */
        loop_unwatch(&call->vmm->loop, watch);
        if (*fd == call->process.in_fd) {
            loop_unwatch(&call->vmm->loop, &call->in);
            call->process.in_fd = -1;
        }
        io_close(fd);
        call_check_drained(call);
        return;
    }
    if (call->state == CALL_REPLIED || call->client_gone)
        return; /* an orphan's words go nowhere, but it may go on */
    if (!call->stream && !call->interactive && !call->tty) {
        buf_append(kept, chunk, (size_t)n);
        return;
    }
    send_client(call, type, chunk, (size_t)n);
    flush_client(call);
}

static void on_out(struct loop *loop, struct watch *watch, unsigned events)
{
    (void)loop, (void)events;
    struct call *call = container_of(watch, struct call, out);
    take_output(call, watch, &call->process.out_fd, WIRE_OUT, &call->reply.out);
}

static void on_err(struct loop *loop, struct watch *watch, unsigned events)
{
    (void)loop, (void)events;
    struct call *call = container_of(watch, struct call, err);
    take_output(call, watch, &call->process.err_fd, WIRE_ERR, &call->reply.err);
}

static void close_in(struct call *call)
{
    loop_unwatch(&call->vmm->loop, &call->in);
    if (call->process.in_fd != call->process.out_fd)
        io_close(&call->process.in_fd);
    call->process.in_fd = -1;
}

static void on_in(struct loop *loop, struct watch *watch, unsigned events)
{
    (void)loop, (void)watch, (void)events;
    struct call *call = container_of(watch, struct call, in);
    ssize_t n = write(call->process.in_fd, buf_str(&call->in_queue), call->in_queue.len);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        close_in(call);
        return;
    }
    if (n > 0) {
        call->in_queue.len -= (size_t)n;
        memmove(call->in_queue.data, call->in_queue.data + n, call->in_queue.len);
    }
    if (call->in_queue.len == 0 && call->in_ended && !call->tty)
        close_in(call);
    else
        loop_change(&call->vmm->loop, &call->in, call->in_queue.len > 0 ? (unsigned)EPOLLOUT : 0);
    if (!call->client_gone)
        watch_connection(call);
}

static int passed_fd(struct msghdr *msg)
{
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg);
    int fd = -1;
    if (cmsg && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(cmsg), sizeof fd);
    return fd;
}

static void watch_terminal(struct call *call, int master)
{
    if (master < 0 || call->process.out_fd >= 0)
        return;
    io_set_nonblock(master);
    call->process.out_fd = master;
    loop_watch(&call->vmm->loop, &call->out, master, EPOLLIN);
    /* One descriptor cannot be in the loop twice; the input side gets one of its own. */
    call->process.in_fd = fcntl(master, F_DUPFD_CLOEXEC, 3);
    loop_watch(&call->vmm->loop, &call->in, call->process.in_fd,
               call->in_queue.len > 0 ? (unsigned)EPOLLOUT : 0);
}

/* A failure, an agent's result, a terminal's master, or the end: the command runs. */
static void on_report(struct loop *loop, struct watch *watch, unsigned events)
{
    (void)events;
    struct call *call = container_of(watch, struct call, report);
    union {
        struct guest_failure failure;
        struct agent_result result;
        char byte;
    } message;
    struct iovec iov = {.iov_base = &message, .iov_len = sizeof message};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.bytes,
                         .msg_controllen = sizeof control.bytes};
    ssize_t n = recvmsg(call->process.report_fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n == 1 && message.byte == 'T') {
        watch_terminal(call, passed_fd(&msg));
        return;
    }
    if (n == (ssize_t)sizeof message.result && call->kind == RULE_CP) {
        call->result = message.result;
        call->has_result = true;
    } else if (n == (ssize_t)sizeof message.failure) {
        call->failure = message.failure;
        call->failed = true;
    } else {
        loop_unwatch(loop, watch);
        io_close(&call->process.report_fd);
        call_check_drained(call);
    }
}

/* --- the end ------------------------------------------------------------------ */

static void end_rules(struct call *call)
{
    size_t at = 0;
    int index = faults_next(call->faults, call->kind, call->nth, RULE_END, &at);
    if (index < 0)
        return;
    const struct rule *rule = &call->faults->set.rules[index];
    fire(call, (size_t)index);
    if (rule->action == RULE_SIGNAL) {
        signal_scope(call, rule);
        if (rule->scope != RULE_CLIENT && call->forced_status < 0)
            call->forced_status = 128 + rule->signal;
    }
    if (rule->action == RULE_DELAY) {
        call->state = CALL_HELD;
        loop_set_timer(&call->vmm->loop, &call->hold, io_now_ms() + rule->delay_ms);
    }
}

static void explain_failure(struct call *call)
{
    const struct guest_failure *failure = &call->failure;
    struct buf *err = &call->reply.err;
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

static void explain_copy(struct call *call)
{
    if (!call->has_result) { /* the agent died with the copy */
        reply_apply(reply_find("lost"), call->vmm->record.name, &call->reply);
        return;
    }
    call->reply.size_bytes = call->result.size_bytes;
    call->reply.status = call->result.errnum ? 1 : 0;
    if (call->result.errnum)
        buf_printf(&call->reply.err, "Error: agent operation failed: %s\n", call->result.text);
}

/* Makes the reply from how the process ended and what the rules want told. */
static void call_finish(struct call *call)
{
    if (call->state == CALL_REPLIED)
        return;
    if (call->failed)
        explain_failure(call);
    else if (call->kind == RULE_CP && call->forced_status < 0)
        explain_copy(call);
    else if (call->ended)
        call->reply.status = WIFSIGNALED(call->wait_status) ? 128 + WTERMSIG(call->wait_status)
                                                            : WEXITSTATUS(call->wait_status);
    if (call->forced_status >= 0)
        call->reply.status = call->forced_status;
    if (call->forced_row)
        reply_apply(call->forced_row, call->vmm->record.name, &call->reply);
    call_reply(call);
}

static void on_drain_timeout(struct loop *loop, struct timer *timer)
{
    (void)loop;
    call_finish(container_of(timer, struct call, drain));
}

static void call_check_drained(struct call *call)
{
    if (!call->ended || call->state == CALL_HELD)
        return;
    if (call->state == CALL_REPLIED || call->client_gone) {
        if (is_over(call))
            call_free(call);
        return;
    }
    if (call->process.out_fd < 0 && call->process.err_fd < 0 && call->process.report_fd < 0)
        call_finish(call);
}

static void call_drain(struct call *call)
{
    call->state = CALL_DRAINS;
    loop_set_timer(&call->vmm->loop, &call->drain, io_now_ms() + CALL_DRAIN_MS);
    call_check_drained(call);
}

bool call_child_ended(struct call *call, pid_t pid, int status)
{
    if (call->process.pid != pid || call->ended)
        return false;
    call->ended = true;
    call->wait_status = status;
    loop_clear_timer(&call->vmm->loop, &call->timeout);
    if (call->state == CALL_REPLIED) {
        call_check_drained(call);
        return true;
    }
    end_rules(call);
    if (call->client_gone && call->state != CALL_HELD)
        call_free(call);
    else if (call->state != CALL_HELD)
        call_drain(call);
    return true;
}

/* --- the way in ---------------------------------------------------------------- */

static void on_timeout(struct loop *loop, struct timer *timer)
{
    (void)loop;
    struct call *call = container_of(timer, struct call, timeout);
    if (call->state != CALL_RUNS)
        return;
    call->forced_status = 124;
    buf_printf(&call->reply.err, "\n%s timed out after %lldms",
               call->process.joined ? "command" : "container", (long long)call->timeout_ms);
    if (!call->process.joined)
        kill(call->process.pid, SIGKILL);
    call_finish(call);
}

/* After the delay of a rule at begin or end. */
static void on_hold_over(struct loop *loop, struct timer *timer)
{
    (void)loop;
    struct call *call = container_of(timer, struct call, hold);
    if (call->ended) {
        if (call->client_gone) {
            call->state = CALL_DRAINS;
            call_free(call);
        } else
            call_drain(call);
    } else if (call->client_gone) {
        call->state = CALL_READS;
        call_free(call);
    } else
        call_run(call);
}

static int spawn(struct call *call, struct err *err)
{
    struct agent_job job = {call->upload, call->guest_path, call->host_fd, call->vmm->uploads};
    struct guest_command command = {.argv = call->argv,
                                    .env = call->env,
                                    .cwd = call->cwd,
                                    .interactive = call->interactive,
                                    .tty = call->tty,
                                    .agent = call->kind == RULE_CP ? &job : NULL};
    if (call->upload)
        call->vmm->uploads++;
    loop_reap(&call->vmm->loop); /* a main command that is dead already cannot be joined */
    int ret = guest_spawn(&call->vmm->guest, &command, &call->process, err);
    if (ret < 0)
        return ret;
    io_close(&call->host_fd);
    struct loop *loop = &call->vmm->loop;
    loop_watch(loop, &call->report, call->process.report_fd, EPOLLIN);
    if (call->process.out_fd >= 0) {
        io_set_nonblock(call->process.out_fd);
        loop_watch(loop, &call->out, call->process.out_fd, EPOLLIN);
    }
    if (call->process.err_fd >= 0) {
        io_set_nonblock(call->process.err_fd);
        loop_watch(loop, &call->err, call->process.err_fd, EPOLLIN);
    }
    if (call->process.in_fd >= 0) {
        io_set_nonblock(call->process.in_fd);
        loop_watch(loop, &call->in, call->process.in_fd, EPOLLOUT);
    }
    return 0;
}

static void fail_call(struct call *call, const struct err *err)
{
    call->forced_status = 1;
    buf_printf(&call->reply.err, "Error: agent operation failed: vm exec: %s\n", err->msg);
    call_finish(call);
}

static void call_run(struct call *call)
{
    struct err err;
    call->state = CALL_RUNS;
    call->began_ms = io_now_ms();
    if (spawn(call, &err) < 0) {
        fail_call(call, &err);
        return;
    }
    if (faults_need_tracer(call->faults, call->kind, call->nth)) {
        if (tracer_seize(&call->vmm->tracer, call->process.pid, call->tree, &err) < 0) {
            kill_process(call);
            fail_call(call, &err);
            return;
        }
        call->traced = true;
    }
    size_t at = 0;
    int index = faults_next(call->faults, call->kind, call->nth, RULE_BEGIN, &at);
    const struct rule *rule = index < 0 ? NULL : &call->faults->set.rules[index];
    if (rule && rule->action == RULE_SIGNAL && !signal_scope(call, rule))
        call->faults->fired[index]--;
    guest_go(&call->process);
    set_alarms(call);
    if (call->timeout_ms > 0)
        loop_set_timer(&call->vmm->loop, &call->timeout, call->began_ms + call->timeout_ms);
}

/* Rules at `begin` that keep the command from running, or hold it. */
static void call_begin(struct call *call)
{
    size_t at = 0;
    int index = faults_next(call->faults, call->kind, call->nth, RULE_BEGIN, &at);
    const struct rule *rule = index < 0 ? NULL : &call->faults->set.rules[index];
    if (rule)
        fire(call, (size_t)index);
    if (rule && rule->action == RULE_DELAY) {
        call->state = CALL_HELD;
        loop_set_timer(&call->vmm->loop, &call->hold, io_now_ms() + rule->delay_ms);
    } else if (rule && (rule->action == RULE_STATUS || rule->action == RULE_REPLY))
        call_finish(call);
    else
        call_run(call);
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
        else if (strcmp(key, "version") == 0)
            call->version = value;
        else if (strcmp(key, "faults") == 0)
            call->faults_text = value;
        else if (strcmp(key, "path") == 0)
            call->guest_path = value;
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
        if (faults_parse(&call->own_faults, call->faults_text, &err) < 0) {
            fail_call(call, &err);
            return;
        }
        call->faults = &call->own_faults;
    }
    if (call->kind == RULE_CP) { /* the client opens its file now, and sends it */
        send_client(call, WIRE_READY, NULL, 0);
        flush_client(call);
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

static void control(struct call *call, const char *data, size_t len);

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
    if ((events & EPOLLOUT) && !flush_client(call))
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
}

/* The runner's words: arm, report, stop. The answer is one REPLY frame. */
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
    if (strcmp(key, "arm") == 0 && vmm_arm(vmm, value, &err) < 0)
        wire_pair(&answer, "error", err.msg);
    CLEANUP(buf_release) struct buf rules = BUF_INIT;
    faults_print_json(&vmm->armed, &rules);
    wire_pair(&answer, "rules", buf_str(&rules));
    wire_pair_number(&answer, "exec", vmm->counts[RULE_EXEC]);
    wire_pair_number(&answer, "cp", vmm->counts[RULE_CP]);
    send_client(call, WIRE_REPLY, answer.data, answer.len);
    flush_client(call);
}

void call_start(struct vmm *vmm, int connection_fd)
{
    struct call *call = calloc(1, sizeof *call);
    if (!call)
        abort();
    call->vmm = vmm;
    call->next = vmm->calls;
    vmm->calls = call;
    call->tree = ++vmm->last_tree;
    call->wire = (struct wire)WIRE_INIT;
    call->wire.fd = connection_fd;
    call->process = (struct guest_process)GUEST_PROCESS_INIT;
    call->host_fd = call->forced_status = -1;
    call->faults = &vmm->armed;
    call->started_ns = io_now_ns();
    call->connection = (struct watch){-1, on_connection};
    call->out = (struct watch){-1, on_out};
    call->err = (struct watch){-1, on_err};
    call->in = (struct watch){-1, on_in};
    call->report = (struct watch){-1, on_report};
    call->timeout.fire = on_timeout;
    call->drain.fire = on_drain_timeout;
    call->hold.fire = on_hold_over;
    io_set_nonblock(connection_fd);
    loop_watch(&vmm->loop, &call->connection, connection_fd, EPOLLIN);
}
