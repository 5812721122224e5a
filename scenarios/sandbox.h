/*
 * sandbox.h: running a backend so that nothing of it survives.
 *
 * The backend is a child of a small init, the first process of a PID namespace with a
 * /proc of its own. When the backend has ended, whoever still lives there is a leak: it is
 * named, and killed with the namespace. When the caller dies, so does all of it.
 *
 * Where namespaces are refused the init adopts and sweeps whom the backend leaves, and does so when
 * the caller dies, too. A backend that means harm can kill that init there: for this the caller
 * is to adopt orphans as well (offspring.h).
 */
#ifndef KILLPOINT_SANDBOX_H
#define KILLPOINT_SANDBOX_H

#include "../fault/proc.h"

#define SANDBOX_GRACE_MS 300 /* for children that are on their way out when the backend ends */

struct sandbox_spec {
    const char *const *argv;
    const char *const *envp;
    const char *cwd;
    int64_t deadline_ms; /* from the start */
    bool no_namespaces;
};

struct sandbox_result {
    struct proc_result proc; /* PROC_TIMEOUT: the deadline was over */
    struct buf leaks;        /* "PID COMM" lines; empty: none */
    int64_t start_ns, end_ns;
};
void sandbox_result_release(struct sandbox_result *result);

/* A backend that was started. Start at SANDBOX_INIT. */
struct sandbox {
    pid_t init_pid;
    int out_fd, err_fd, report_fd;
    int64_t start_ns, deadline_ms;
    int end_signal; /* that makes the init end, and everybody with it */
};
#define SANDBOX_INIT                                                                               \
    {                                                                                              \
        -1, -1, -1, -1, 0, 0, 0                                                                    \
    }
/* Kills what still runs. */
void sandbox_release(struct sandbox *sandbox);

/* Starts the backend and returns at once. */
int sandbox_start(const struct sandbox_spec *spec, struct sandbox *ret_sandbox, struct err *err);

/*
 * Waits for its end, or for its deadline. -ENOENT and the like: it could not be executed.
 * While several run at once, each keeps at most a pipe's worth of output back meanwhile.
 */
int sandbox_finish(struct sandbox *sandbox, struct sandbox_result *ret_result, struct err *err);

#endif
