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
 * A process may carry a seccomp filter whose action is TRACE: the hooks then get a stop at
 * the entry of each call that the filter names, and at its exit when they asked for it. A
 * stop that a hook holds lasts until tracer_resume(). A tracee that stops while its tree is
 * being killed goes to no hook.
 *
 * Order of calls: tracer_seize() while the process waits for its go-ahead; then
 * tracer_status() for every status, to the last end: a tracee that is killed stops once
 * more on its way; tracer_kill() at any time; tracer_release().
 * Source: ptrace(2), seccomp(2).
 */
#ifndef KILLPOINT_TRACER_H
#define KILLPOINT_TRACER_H

#include "io.h"

enum tracee_state { TRACEE_RUNS, TRACEE_STOPPED, TRACEE_KILLED, TRACEE_ENDED };

/* A thread. Callers read tid, process and tree, and own stop; the rest is the tracer's. */
struct tracee {
    pid_t tid;
    pid_t process; /* its thread group */
    int tree;
    /* Which process it is, the same in every run: "/" the tree's first, "/2/1" the first child of
     * its second. A child whose parent died before it was told is "/0" of whom it had; a long one
     * begins with a digest. NULL until it is announced. */
    char *lineage;
    struct engine_stop *stop; /* of the hooks' owner; NULL at first */
    enum tracee_state state;
    bool begun;     /* its first stop was seen */
    bool announced; /* by its parent's event; who ends before that is kept until it comes */
    bool awaited;   /* by its parent's event is to be told, before began() is called, whose it is */
    unsigned long children;
    bool in_vfork; /* its last stop was a vfork, and until its child executes or ends nothing
                      wakes it; after that it has changed no file yet, or it had stopped again */
    bool exiting;  /* runs nothing more; of a process with threads, whose first one's end is told
                      when all threads ended */
    bool freezing; /* to be left in its next stop */
    bool no_end;   /* its end is told by wait(2) alone, never by a stop before it */
    struct tracee *next;
};

struct tracer {
    struct tracee *tracees;
    const struct tracer_hooks *hooks; /* NULL: every stop goes on */
    bool lost_words; /* somebody was killed, or a thread ended: its last fork may not be told */
};

enum tracer_next {
    TRACER_RUN,
    TRACER_RUN_TO_EXIT, /* of the call at whose entry the tracee stands */
    TRACER_HOLD         /* or the hook killed it */
};

struct tracer_hooks {
    /* At the entry of a call; data: SECCOMP_RET_DATA of the filter's answer. */
    enum tracer_next (*entered)(struct tracer *, struct tracee *, unsigned data);
    /* At its exit, when it was let run to there. */
    enum tracer_next (*left)(struct tracer *, struct tracee *);
    /* The first stop of a new process, once its parent's event has told whose it is, or just after
     * an execve: the first one of a tree, one that ended other threads, and where
     * tracer_tell_execs() asked for it. */
    enum tracer_next (*began)(struct tracer *, struct tracee *, bool executed);
    /* Just after a fork, in the parent. */
    enum tracer_next (*spawned)(struct tracer *, struct tracee *);
    /* The tracee of this tree ended, or another thread's execve took its place. It does not
     * count any more. */
    void (*gone)(struct tracer *, struct tracee *, int tree);
};

enum tracer_result {
    TRACER_FOREIGN, /* no tracee: the caller's own child, or nothing it knows */
    TRACER_TAKEN,   /* a stop */
    TRACER_ENDED    /* the end of a process or a thread: the caller may know it as its child */
};

void tracer_release(struct tracer *tracer);

/* tree: a positive number. Errors: -EPERM when it is traced already or may not be. */
int tracer_seize(struct tracer *tracer, pid_t pid, int tree, struct err *err);

/* The tracee stands: its next execve, and its children's, will be told by began(). */
void tracer_tell_execs(struct tracee *tracee);

/* Takes one status of waitpid(-1, __WALL). */
enum tracer_result tracer_status(struct tracer *tracer, pid_t pid, int status);

/* Lets a tracee go on that a hook held. */
void tracer_resume(struct tracer *tracer, struct tracee *tracee, enum tracer_next next);

/* Sends signum to every process of the tree; SIGKILL ends all of it at one instant. The
 * ends come through tracer_status(). Returns how many processes and threads it had. */
int tracer_kill(struct tracer *tracer, int tree, int signum);

/* Sends signum to one process, all its threads; SIGKILL takes it out of any stop. */
void tracer_kill_process(struct tracer *tracer, pid_t process, int signum);

/* Whether it is being killed, alone or with its tree: it makes no call any more. */
bool tracer_is_killing(const struct tracee *tracee);

/* How many processes and threads of the tree live. */
int tracer_count(const struct tracer *tracer, int tree);

#endif
