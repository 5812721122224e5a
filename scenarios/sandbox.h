/*
 * sandbox.h: running a backend so that nothing of it survives.
 *
 * The backend is a child of a small init, the first process of a PID namespace with a
 * /proc of its own. When the backend has ended, whoever still lives there is a leak: it is
 * named, and killed with the namespace. When the caller dies, so does all of it.
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
};

struct sandbox_result {
    struct proc_result proc; /* PROC_TIMEOUT: the deadline was over */
    struct buf leaks;        /* "PID COMM" lines; empty: none */
    int64_t start_ns, end_ns;
};
void sandbox_result_release(struct sandbox_result *result);

/* -ENOENT and the like: the backend could not be executed. */
int sandbox_run(const struct sandbox_spec *spec, struct sandbox_result *ret_result,
                struct err *err);

#endif
