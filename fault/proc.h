/*
 * proc.h: starting programs, and running one to its end.
 *
 * proc_spawn() is the only place of this project that forks to execute a program
 * outside a guest. A child starts with no signal blocked or ignored, whatever its caller
 * inherited. Between fork and exec only async-signal-safe calls are made; a child that cannot start
 * reports {stage, errno} through a close-on-exec pipe.
 *
 * proc_run() waits with signalfd(SIGCHLD) and poll, and reaps only its own child. It is
 * for processes that have no event loop of their own (tests, a trial's worker).
 */
#ifndef KILLPOINT_PROC_H
#define KILLPOINT_PROC_H

#include "io.h"

/* What is kept of a stream of any length: its first and its last bytes. */
#define CAPTURE_HEAD_BYTES 65536
#define CAPTURE_TAIL_BYTES 65536

struct capture {
    struct buf head;     /* the first CAPTURE_HEAD_BYTES */
    struct buf tail;     /* ring of the last CAPTURE_TAIL_BYTES after the head */
    size_t tail_start;   /* where the ring's oldest byte is */
    uint64_t size_bytes; /* all that came */
};
#define CAPTURE_INIT                                                                               \
    {                                                                                              \
        BUF_INIT, BUF_INIT, 0, 0                                                                   \
    }

void capture_release(struct capture *capture);
void capture_add(struct capture *capture, const void *data, size_t len);
/* Appends what was kept; "[N bytes left out]" on a line of its own stands for the rest. */
void capture_text(const struct capture *capture, struct buf *text);

struct proc_spec {
    const char *const *argv; /* argv[0] is looked up in the PATH of this process */
    const char *const *envp; /* NULL: this process's environment */
    const char *cwd;         /* NULL: this process's */
    int stdin_fd;            /* -1: /dev/null, for all three */
    int stdout_fd;
    int stderr_fd;
    bool new_session;
    int death_signal; /* sent when the parent thread dies; 0: none */
};

/*
 * For a child that executes nothing and must let go of what it inherited: closes every
 * descriptor above 2 but those kept, which are in ascending order.
 */
void proc_close_others(const int *kept, size_t n_kept);

/* Starts a program; it inherits its three streams and no other descriptor. Returns its pid, or
 * -errno when it could not be executed. */
pid_t proc_spawn(const struct proc_spec *spec, struct err *err);

enum proc_how { PROC_EXITED, PROC_SIGNALED, PROC_TIMEOUT };

struct proc_result {
    enum proc_how how;
    int code; /* exit status or signal; 0 for PROC_TIMEOUT */
    struct capture out, err;
    int64_t ms;
};
#define PROC_RESULT_INIT                                                                           \
    {                                                                                              \
        PROC_EXITED, 0, CAPTURE_INIT, CAPTURE_INIT, 0                                              \
    }
void proc_result_release(struct proc_result *result);

/*
 * Runs a program to its end and keeps its output. The spec's stdout_fd and stderr_fd are
 * not used. input may be NULL (then stdin_fd counts). Past timeout_ms (-1: none) the
 * program's process is killed and reaped, and the result says PROC_TIMEOUT.
 * Returns 0 or -errno when it could not be started.
 */
int proc_run(const struct proc_spec *spec, const struct buf *input, int64_t timeout_ms,
             struct proc_result *ret_result, struct err *err);

#endif
