/*
 * sight.h: what a tracer may see of a stopped tracee: its memory, and what /proc shows of it.
 *
 * The kernel lets the tracer of a process read its memory, but to whom it belongs decides
 * over process_vm_readv(2) and over the links of /proc/PID. A process that changed its user
 * is out of sight there for a root without CAP_SYS_PTRACE, as containers have it. So what
 * fails is tried once more: memory word by word with ptrace(2), and /proc through the
 * process's own user and group, which a root with CAP_SETUID and CAP_SETGID may wear as
 * file system ids for that moment (and is not dumpable itself from then on, and without its
 * death signal, as prctl(2) has it). Who may be looked at without costs no call more.
 *
 * Out of sight stays, without CAP_SYS_PTRACE, a process that is not dumpable: it changed its
 * user and has executed nothing since, or it runs a program that its user may not read.
 * Source: ptrace(2), "Ptrace access mode checking"; prctl(2), PR_SET_DUMPABLE; setfsuid(2).
 */
#ifndef KILLPOINT_SIGHT_H
#define KILLPOINT_SIGHT_H

#include <limits.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "io.h"

/* Errors: -EFAULT nothing is mapped there; -EPERM it is out of sight; -ESRCH. */
int sight_read_memory(pid_t tid, uint64_t at, void *data, size_t len);

/*
 * readlink(2), with a NUL; stat(2); statfs(2); open(2), close-on-exec, which returns the
 * descriptor. path: of /proc. pid: whose eyes see it when ours do not.
 * Return 0 or -errno; -EACCES or -EPERM: it is out of sight; -ENAMETOOLONG: a link's text does
 * not fit.
 */
int sight_read_link(pid_t pid, const char *path, char text[PATH_MAX]);
int sight_stat(pid_t pid, const char *path, struct stat *ret_stat);
int sight_statfs(pid_t pid, const char *path, struct statfs *ret_statfs);
int sight_open(pid_t pid, const char *path, int flags);

/* Whether that error says that a process is out of sight. */
bool sight_is_refused(int ret);
/* Says which process that is, and why it can be so. Returns -errnum. */
int sight_refused(pid_t pid, int errnum, struct err *err);

#endif
