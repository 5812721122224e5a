/*
 * filter.h: the seccomp filter that stops a tracee at each call that may change files.
 *
 * filter_build() before the fork, filter_install() in the child just before its execve:
 * everything the child starts inherits it. What it names stops with PTRACE_EVENT_SECCOMP
 * when the tracer has PTRACE_O_TRACESECCOMP, and fails with ENOSYS when nobody traces.
 *
 * The stop's message (PTRACE_GETEVENTMSG) is a row of op_calls(), or one of enum
 * filter_stop. Rows that an architecture has not are left out. Of open and openat only those with
 * O_CREAT or O_TRUNC stop; ioctl only as FICLONE and FICLONERANGE. All else runs at full
 * speed, close, fork and wait among it.
 *
 * open_by_handle_at with O_TRUNC fails with EPERM, as without CAP_DAC_READ_SEARCH: it names no
 * path. Without O_TRUNC it changes nothing, and runs.
 *
 * io_uring_setup and io_setup fail with ENOSYS: what a ring or an AIO context is told to
 * write is no call. Old kernels and containers refuse them too, so programs cope.
 * Source: seccomp(2), ptrace(2).
 */
#ifndef KILLPOINT_FILTER_H
#define KILLPOINT_FILTER_H

#include "err.h"

enum filter_stop {
    FILTER_EXIT_GROUP = 0x1000,
    FILTER_MMAP,   /* a shared writable mapping of a file; not one made writable by mprotect(2) */
    FILTER_SEND,   /* sendto, sendmsg, sendmmsg: their first argument is the socket */
    FILTER_FOREIGN /* a 32-bit or x32 call: its number means another call than it seems to */
};

/* What is stopped only when asked for. */
#define FILTER_EXITS 1U
#define FILTER_SENDS 2U

struct sock_filter;

struct filter {
    struct sock_filter *program;
    unsigned short length; /* in instructions */
};

void filter_release(struct filter *filter);

/*
 * wants: any of FILTER_EXITS and FILTER_SENDS.
 * Errors: what libseccomp says: -ENOMEM, -EFAULT for a bug of its own.
 */
int filter_build(unsigned wants, struct filter *ret_filter, struct err *err);

/*
 * For this thread and all that it starts. Async-signal-safe. no_new_privs must be set, or the
 * caller have CAP_SYS_ADMIN.
 * Errors: -EACCES when neither is so; -EINVAL when the kernel has no filters.
 */
int filter_install(const struct filter *filter);

/*
 * For this thread and all that it starts: kill(-1), which is for everybody on the machine where
 * there is no PID namespace, fails with EPERM. Sets no_new_privs where that is needed.
 * Errors: what libseccomp or the kernel say.
 */
int filter_spare_others(void);

#endif
