#include "loop.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

int loop_init(struct loop *loop, void (*on_child)(struct loop *, pid_t, int),
              const int *extra_signals, void (*on_signal)(struct loop *, int), struct err *err)
{
    *loop = (struct loop){
        .epoll_fd = -1, .signal_fd = -1, .on_child = on_child, .on_signal = on_signal};
    sigemptyset(&loop->signals);
    sigaddset(&loop->signals, SIGCHLD);
    for (const int *signum = extra_signals; signum && *signum; signum++)
        sigaddset(&loop->signals, *signum);
    if (sigprocmask(SIG_BLOCK, &loop->signals, NULL) < 0)
        return err_set(err, errno, "sigprocmask");
    loop->signal_fd = signalfd(-1, &loop->signals, SFD_CLOEXEC | SFD_NONBLOCK);
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (loop->signal_fd < 0 || loop->epoll_fd < 0 ||
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->signal_fd, &event) < 0) {
        int ret = err_set(err, errno, "event loop");
        loop_release(loop);
        return ret;
    }
    return 0;
}

void loop_release(struct loop *loop)
{
    io_close(&loop->signal_fd);
    io_close(&loop->epoll_fd);
}

bool loop_reap(struct loop *loop)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG | __WALL);
        if (pid <= 0)
            return pid == 0;
        loop->on_child(loop, pid, status);
    }
}

static void take_signal(struct loop *loop, int signum)
{
    if (signum > 0 && signum != SIGCHLD && loop->on_signal)
        loop->on_signal(loop, signum);
}

static bool take_signals(struct loop *loop)
{
    struct signalfd_siginfo infos[4];
    size_t n;
    do {
        ssize_t len = read(loop->signal_fd, infos, sizeof infos);
        n = len < 0 ? 0 : (size_t)len / sizeof *infos;
        for (size_t i = 0; i < n; i++)
            take_signal(loop, (int)infos[i].ssi_signo);
    } while (n == sizeof infos / sizeof *infos); /* less than asked for: that was all */
    return loop_reap(loop);
}

bool loop_reap_until(struct loop *loop, int64_t at_ms)
{
    struct pollfd changed = {.fd = loop->signal_fd, .events = POLLIN};
    int64_t left = at_ms - io_now_ms();
    poll(&changed, 1, left < 0 ? 0 : left > 3600000 ? 3600000 : (int)left);
    return take_signals(loop);
}

static void fire_timers(struct loop *loop)
{
    while (loop->timers && loop->timers->at_ms <= io_now_ms()) {
        struct timer *timer = loop->timers;
        loop->timers = timer->next;
        timer->at_ms = 0;
        timer->fire(loop, timer);
    }
}

static int wait_ms(const struct loop *loop)
{
    if (!loop->timers)
        return -1;
    int64_t left = loop->timers->at_ms - io_now_ms();
    return left < 0 ? 0 : left > 3600000 ? 3600000 : (int)left;
}

int loop_run(struct loop *loop, struct err *err)
{
    loop_reap(loop);
    while (!loop->stopped) {
        if (!loop->watches && !loop->timers) { /* a tracer's: half the calls */
            take_signal(loop, sigwaitinfo(&loop->signals, NULL));
            loop_reap(loop);
            continue;
        }
        /* One event at a time: a callback may free what a second event would name. */
        struct epoll_event event;
        int n = epoll_wait(loop->epoll_fd, &event, 1, wait_ms(loop));
        if (n < 0 && errno != EINTR)
            return err_set(err, errno, "epoll_wait");
        if (n > 0 && event.data.ptr == NULL)
            take_signals(loop);
        else if (n > 0) {
            struct watch *watch = event.data.ptr;
            watch->ready(loop, watch, event.events);
        }
        fire_timers(loop);
    }
    return 0;
}

void loop_stop(struct loop *loop)
{
    loop->stopped = true;
}

int loop_watch(struct loop *loop, struct watch *watch, int fd, unsigned events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return -errno;
    watch->fd = fd;
    loop->watches++;
    return 0;
}

int loop_change(struct loop *loop, struct watch *watch, unsigned events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (watch->fd < 0)
        return -EBADF;
    return epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) < 0 ? -errno : 0;
}

void loop_unwatch(struct loop *loop, struct watch *watch)
{
    if (watch->fd < 0)
        return;
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    loop->watches--;
    watch->fd = -1;
}

void loop_set_timer(struct loop *loop, struct timer *timer, int64_t at_ms)
{
    loop_clear_timer(loop, timer);
    timer->at_ms = at_ms > 0 ? at_ms : 1;
    struct timer **at = &loop->timers;
    while (*at && (*at)->at_ms <= timer->at_ms)
        at = &(*at)->next;
    timer->next = *at;
    *at = timer;
}

void loop_clear_timer(struct loop *loop, struct timer *timer)
{
    for (struct timer **at = &loop->timers; *at; at = &(*at)->next)
        if (*at == timer) {
            *at = timer->next;
            break;
        }
    timer->at_ms = 0;
}
