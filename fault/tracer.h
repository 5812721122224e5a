/*
 * tracer.h: following a process tree with ptrace, and ending all of it at one instant.
 *
 * A tracer belongs to one process, which hands it every status its reaper sees; it never
 * waits itself. A tree is one seized process and all it forks, known by a number of the
 * caller's. It has a session of its own (setsid(2) before the seize): by it a child is
 * known whose parent was killed before the fork was told. PTRACE_O_EXITKILL: when the tracer's
 * process dies, so do its trees.
 *
 * Killing is in two steps, so that no member sees another one die: every member is
 * stopped first (a parent inside vfork(2) and who is on the way out run nothing more and
 * count as stopped), then all are sent SIGKILL with kill(2). A signal put on a ptrace restart at an
 * event stop would be ignored by the kernel.
 *
 * Order of calls: tracer_seize() while the process waits for its go-ahead; then
 * tracer_status() for every status, to the last end: a tracee that is killed stops once
 * more on its way; tracer_kill() at any time; tracer_release().
 * Source: ptrace(2).
 */
#ifndef KILLPOINT_TRACER_H
#define KILLPOINT_TRACER_H

#include "io.h"

struct tracee;

struct tracer {
    struct tracee *tracees;
};

enum tracer_result {
    TRACER_FOREIGN, /* no tracee: the caller's own child, or nothing it knows */
    TRACER_TAKEN,   /* a stop */
    TRACER_ENDED    /* the end of a process or a thread: the caller may know it as its child */
};

void tracer_release(struct tracer *tracer);

/* tree: a positive number. Errors: -EPERM when it is traced already or may not be. */
int tracer_seize(struct tracer *tracer, pid_t pid, int tree, struct err *err);

/* Takes one status of waitpid(-1, __WALL). */
enum tracer_result tracer_status(struct tracer *tracer, pid_t pid, int status);

/* Sends signum to every process of the tree; SIGKILL ends all of it at one instant. The
 * ends come through tracer_status(). Returns how many processes and threads it had. */
int tracer_kill(struct tracer *tracer, int tree, int signum);

/* How many processes and threads of the tree live. */
int tracer_count(const struct tracer *tracer, int tree);

#endif
