#include "call_output.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "call_client.h"
#include "vmm.h"

/* An orphan's words go nowhere, but it may go on. */
static bool is_heard(const struct call *call)
{
    return call->state != CALL_REPLIED && !call->client_gone;
}

/* One read, kept or queued. Returns read(2)'s answer. */
static ssize_t read_output(struct call *call, int fd, enum wire_type type, struct buf *kept)
{
    static char chunk[65536];
    ssize_t n = read(fd, chunk, sizeof chunk);
    if (n <= 0 || !is_heard(call))
        return n;
    if (!call->stream && !call->interactive && !call->tty) {
        size_t room = CALL_OUTPUT_MAX_BYTES - kept->len;
        buf_append(kept, chunk, (size_t)n < room ? (size_t)n : room);
    } else
        call_client_send(call, type, chunk, (size_t)n);
    return n;
}

static void take_output(struct call *call, struct watch *watch, int *fd, enum wire_type type,
                        struct buf *kept)
{
    ssize_t n = read_output(call, *fd, type, kept);
    if (n > 0)
        call_client_flush(call);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR)) { /* EIO is a terminal's end */
        loop_unwatch(&call->vmm->loop, watch);
        io_close(fd);
        call_check_drained(call);
    }
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
    io_close(&call->process.in_fd);
    buf_clear(&call->in_queue);
    call_client_watch(call);
}

static void on_in(struct loop *loop, struct watch *watch, unsigned events)
{
    (void)loop;
    struct call *call = container_of(watch, struct call, in);
    /* Nobody reads any more; with nothing to write no write would say so. */
    if (events & (EPOLLERR | EPOLLHUP)) {
        close_in(call);
        return;
    }
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
    call_client_watch(call);
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
    int passed_fd;
    ssize_t n =
        wire_take_fd(call->process.report_fd, &message, sizeof message, MSG_DONTWAIT, &passed_fd);
    if (n == -EAGAIN || n == -EINTR)
        return;
    if (n == 1 && message.byte == 'T') {
        watch_terminal(call, passed_fd);
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

void call_output_init(struct call *call)
{
    call->out = (struct watch){-1, on_out};
    call->err = (struct watch){-1, on_err};
    call->in = (struct watch){-1, on_in};
    call->report = (struct watch){-1, on_report};
}

void call_output_pace(struct call *call)
{
    bool wait = is_heard(call) && call->wire.out.len > QUEUE_LIMIT_BYTES;
    loop_change(&call->vmm->loop, &call->out, wait ? 0 : (unsigned)EPOLLIN);
    loop_change(&call->vmm->loop, &call->err, wait ? 0 : (unsigned)EPOLLIN);
}

/* At most what is there now: the writer may never stop. */
static void drain(struct call *call, int fd, enum wire_type type, struct buf *kept)
{
    int left = 0;
    if (fd < 0 || ioctl(fd, FIONREAD, &left) < 0)
        return;
    for (ssize_t n; left > 0 && (n = read_output(call, fd, type, kept)) > 0; left -= (int)n)
        ;
}

void call_output_drain(struct call *call)
{
    drain(call, call->process.out_fd, WIRE_OUT, &call->reply.out);
    drain(call, call->process.err_fd, WIRE_ERR, &call->reply.err);
}

static void watch_stream(struct loop *loop, struct watch *watch, int fd, unsigned events)
{
    if (fd < 0)
        return;
    io_set_nonblock(fd);
    loop_watch(loop, watch, fd, events);
}

void call_output_watch(struct call *call)
{
    struct loop *loop = &call->vmm->loop;
    loop_watch(loop, &call->report, call->process.report_fd, EPOLLIN);
    watch_stream(loop, &call->out, call->process.out_fd, EPOLLIN);
    watch_stream(loop, &call->err, call->process.err_fd, EPOLLIN);
    watch_stream(loop, &call->in, call->process.in_fd, EPOLLOUT);
}

uint64_t call_output_so_far(const struct call *call, bool of_stderr)
{
    int waiting = 0;
    int fd = of_stderr ? call->process.err_fd : call->process.out_fd;
    if (fd >= 0 && ioctl(fd, FIONREAD, &waiting) < 0)
        waiting = 0;
    return (of_stderr ? call->reply.err.len : call->reply.out.len) + (uint64_t)waiting;
}
