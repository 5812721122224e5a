/*
 * loop.h: one event loop for a process with descriptors, timers and children.
 *
 * loop_init() blocks SIGCHLD and reads it from a signalfd: the loop is the one reaper of
 * its process, and hands every status of waitpid(-1, __WALL), stops of tracees included,
 * to on_child. Watches and timers are embedded in their owners, who get them back with
 * container_of(); the loop owns neither. A callback may remove any watch or timer.
 */
#ifndef KILLPOINT_LOOP_H
#define KILLPOINT_LOOP_H

#include <signal.h>
#include <stddef.h>

#include "io.h"

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

struct loop;

struct watch {
    int fd; /* -1: not in the loop */
    void (*ready)(struct loop *loop, struct watch *watch, unsigned events);
};

struct timer {
    int64_t at_ms; /* CLOCK_MONOTONIC; 0: not in the loop */
    void (*fire)(struct loop *loop, struct timer *timer);
    struct timer *next;
};

struct loop {
    int epoll_fd;
    int signal_fd;
    sigset_t signals; /* what signal_fd reads */
    size_t watches;
    bool stopped;
    struct timer *timers; /* soonest first */
    void (*on_child)(struct loop *loop, pid_t pid, int status);
    void (*on_signal)(struct loop *loop, int signum); /* of the extra signals; may be NULL */
};

/* extra_signals: more signals to be read by the loop, ended by 0; NULL: none. */
int loop_init(struct loop *loop, void (*on_child)(struct loop *, pid_t, int),
              const int *extra_signals, void (*on_signal)(struct loop *, int), struct err *err);
void loop_release(struct loop *loop);

/* Runs until loop_stop(). Returns 0 or -errno when waiting itself fails. */
int loop_run(struct loop *loop, struct err *err);
void loop_stop(struct loop *loop);

/* events: EPOLLIN, EPOLLOUT; 0 keeps the watch for errors and hang-ups alone. */
int loop_watch(struct loop *loop, struct watch *watch, int fd, unsigned events);
int loop_change(struct loop *loop, struct watch *watch, unsigned events);
/* Takes the watch out of the loop; the descriptor stays open and with the caller. */
void loop_unwatch(struct loop *loop, struct watch *watch);

/* Sets, or sets anew, a timer that fires once. */
void loop_set_timer(struct loop *loop, struct timer *timer, int64_t at_ms);
void loop_clear_timer(struct loop *loop, struct timer *timer);

/* Reaps what there is now, for callers that must know before they go on. Returns whether
 * a child is left. */
bool loop_reap(struct loop *loop);
/* The same after waiting for a child's change, at most until at_ms (as a timer's). */
bool loop_reap_until(struct loop *loop, int64_t at_ms);

#endif
