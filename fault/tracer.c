#include "tracer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>

#define CALL_STOP 0x80  /* PTRACE_O_TRACESYSGOOD */
#define LINEAGE_MAX 200 /* bytes */
#define TREE_NONE 0     /* of who has ended, or whose whole session ended before it was seen */

/*
 * Every stop is paid for, so those of the second kind are left to who cannot be followed without
 * them: an execve takes another thread's number, and a first thread that ends is told of
 * only when all have.
 */
#define OPTIONS                                                                                    \
    (PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL |          \
     PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD)
#define OPTIONS_OF_THREADS (OPTIONS | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT)

static struct tracee *find(const struct tracer *tracer, pid_t tid)
{
    struct tracee *at = tracer->tracees;
    while (at && at->tid != tid)
        at = at->next;
    return at;
}

/* kill(2) takes any thread's number, and the whole process gets the signal. */
static bool is_thread_of(pid_t process, pid_t tid)
{
    return syscall(SYS_tgkill, process, tid, 0) == 0;
}

/* A number of /proc/TID/status; 0 when it cannot be read any more. */
static pid_t read_status(pid_t tid, const char *key)
{
    char path[64];
    CLEANUP(buf_release) struct buf status = BUF_INIT;
    snprintf(path, sizeof path, "/proc/%d/status", (int)tid);
    if (io_read_file(AT_FDCWD, path, &status, 1 << 16, NULL) < 0)
        return 0;
    const char *line = strstr(buf_str(&status), key);
    return line ? atoi(line + strlen(key)) : 0;
}

/* Its thread group; tid itself when it cannot be read any more. */
static pid_t process_of(pid_t tid)
{
    if (is_thread_of(tid, tid))
        return tid;
    pid_t process = read_status(tid, "\nTgid:");
    return process > 0 ? process : tid;
}

static struct tracee *add(struct tracer *tracer, pid_t tid, int tree)
{
    struct tracee *tracee = calloc(1, sizeof *tracee);
    if (!tracee)
        abort();
    tracee->tid = tid;
    tracee->process = process_of(tid);
    tracee->tree = tree;
    tracee->next = tracer->tracees;
    tracer->tracees = tracee;
    return tracee;
}

static void drop(struct tracer *tracer, pid_t tid)
{
    for (struct tracee **at = &tracer->tracees; *at; at = &(*at)->next)
        if ((*at)->tid == tid) {
            struct tracee *gone = *at;
            *at = gone->next;
            if (tracer->hooks && gone->state != TRACEE_ENDED)
                tracer->hooks->gone(tracer, gone, gone->tree);
            free(gone->lineage);
            free(gone);
            return;
        }
}

void tracer_release(struct tracer *tracer)
{
    while (tracer->tracees)
        drop(tracer, tracer->tracees->tid);
}

int tracer_seize(struct tracer *tracer, pid_t pid, int tree, struct err *err)
{
    if (ptrace(PTRACE_SEIZE, pid, 0L, OPTIONS_OF_THREADS) < 0)
        return err_set(err, errno, "trace process %d", (int)pid);
    struct tracee *first = add(tracer, pid, tree);
    first->announced = first->begun = true;
    first->lineage = io_format("/");
    return 0;
}

void tracer_tell_execs(struct tracee *tracee)
{
    tracee->no_end = false;
    ptrace(PTRACE_SETOPTIONS, tracee->tid, 0L, OPTIONS_OF_THREADS);
}

/* ESRCH is no error here: a SIGKILL from elsewhere takes a tracee out of any stop. */
static void restart(struct tracee *tracee, bool to_exit, long signum)
{
    if (tracee->state == TRACEE_STOPPED)
        tracee->state = TRACEE_RUNS;
    ptrace(to_exit ? PTRACE_SYSCALL : PTRACE_CONT, tracee->tid, 0L, signum);
}

static bool tree_is_still(const struct tracer *tracer, int tree)
{
    for (const struct tracee *at = tracer->tracees; at; at = at->next)
        if (at->tree == tree && at->state == TRACEE_RUNS && !at->in_vfork && !at->exiting)
            return false;
    return true;
}

static void kill_when_still(struct tracer *tracer, int tree)
{
    if (!tree_is_still(tracer, tree))
        return;
    for (struct tracee *at = tracer->tracees; at; at = at->next)
        if (at->tree == tree && at->state != TRACEE_KILLED) {
            at->state = TRACEE_KILLED;
            kill(at->tid, SIGKILL);
        }
}

/* Lets a stopped tracee go on, unless its tree is being frozen. */
static void go_on(struct tracer *tracer, struct tracee *tracee, long signum)
{
    if (tracee->state == TRACEE_KILLED)
        restart(tracee, false, 0);
    else if (tracee->freezing)
        kill_when_still(tracer, tracee->tree);
    else
        restart(tracee, false, signum);
}

void tracer_resume(struct tracer *tracer, struct tracee *tracee, enum tracer_next next)
{
    if (tracee->freezing)
        kill_when_still(tracer, tracee->tree);
    else if (tracee->state == TRACEE_STOPPED && next != TRACER_HOLD)
        restart(tracee, next == TRACER_RUN_TO_EXIT, 0);
}

static void freeze(struct tracee *tracee)
{
    if (tracee->freezing || tracee->state == TRACEE_KILLED)
        return;
    tracee->freezing = true;
    if (tracee->state == TRACEE_RUNS)
        ptrace(PTRACE_INTERRUPT, tracee->tid, 0L, 0L);
}

static char *make_lineage(const char *parent, unsigned long number)
{
    size_t len = strlen(parent);
    if (len > LINEAGE_MAX)
        return io_format("/~%016llx/%lu", (unsigned long long)XXH3_64bits(parent, len), number);
    return io_format("%s%s%lu", parent, parent[1] ? "/" : "", number);
}

static bool wants_hooks(const struct tracer *tracer, const struct tracee *tracee)
{
    return tracer->hooks && !tracee->freezing && tracee->state == TRACEE_STOPPED;
}

/* It stands in its first stop, and whose child it is is known, or never will be. */
static void begin(struct tracer *tracer, struct tracee *child)
{
    child->awaited = false;
    if (!child->lineage)
        child->lineage = io_format("/0");
    if (wants_hooks(tracer, child))
        tracer_resume(tracer, child, tracer->hooks->began(tracer, child, false));
    else
        go_on(tracer, child, 0);
}

/* A new process or thread of parent's tree; its own stops, even its end, may have come before. */
static void adopt(struct tracer *tracer, struct tracee *parent, pid_t tid)
{
    struct tracee *child = find(tracer, tid);
    unsigned long number = ++parent->children;
    if (child && child->state == TRACEE_ENDED) {
        drop(tracer, tid);
        return;
    }
    if (!child) {
        child = add(tracer, tid, parent->tree);
        child->freezing = parent->freezing;
    }
    child->announced = true;
    child->tree = parent->tree;
    child->no_end = parent->no_end && child->tid == child->process; /* options are inherited */
    if (!child->lineage)
        child->lineage = make_lineage(parent->lineage ? parent->lineage : "/0", number);
    if (parent->freezing)
        freeze(child);
    if (child->awaited)
        begin(tracer, child);
}

/*
 * The first stop of a child that its parent's event did not announce yet, or never will:
 * the event is lost when the parent is killed in its stop. Both are in one session, and
 * every tree has its own.
 */
static struct tracee *add_unannounced(struct tracer *tracer, pid_t tid)
{
    pid_t session = getsid(tid);
    const struct tracee *relative = tracer->tracees;
    while (relative &&
           (session < 0 || relative->tree == TREE_NONE || getsid(relative->tid) != session))
        relative = relative->next;
    struct tracee *child = add(tracer, tid, relative ? relative->tree : TREE_NONE);
    child->freezing = relative && relative->freezing;
    return child;
}

/*
 * The event's message. A tracee that was killed in this stop may stand in its exit stop by
 * now, if it has one, whose message is another; what it stands in after the reading tells.
 */
static int read_message(const struct tracee *tracee, int event, unsigned long *ret_message)
{
    siginfo_t stop;
    if (ptrace(PTRACE_GETEVENTMSG, tracee->tid, 0L, ret_message) < 0)
        return -errno;
    if (tracee->no_end)
        return 0;
    if (ptrace(PTRACE_GETSIGINFO, tracee->tid, 0L, &stop) < 0)
        return -errno;
    return stop.si_code >> 8 == event ? 0 : -ESRCH;
}

/* Its parent's event will come: the parent is there, and in no state to lose it. */
static bool has_parent(const struct tracer *tracer, const struct tracee *child)
{
    const struct tracee *parent = find(tracer, read_status(child->tid, "\nPPid:"));
    return parent && parent->state != TRACEE_KILLED && parent->state != TRACEE_ENDED;
}

/* A process has ended: whoever waited for its word waits for nothing. */
static void begin_orphans(struct tracer *tracer)
{
    for (struct tracee *at = tracer->tracees, *next; at; at = next) {
        next = at->next;
        if (at->awaited && !has_parent(tracer, at))
            begin(tracer, at);
    }
}

static void spawned(struct tracer *tracer, struct tracee *parent, pid_t tid)
{
    const struct tracee *child = find(tracer, tid);
    bool is_thread = child ? child->process == parent->process : is_thread_of(parent->process, tid);
    adopt(tracer, parent, tid);
    if (is_thread)
        tracer_tell_execs(parent);
    if (!is_thread && wants_hooks(tracer, parent))
        tracer_resume(tracer, parent, tracer->hooks->spawned(tracer, parent));
    else
        go_on(tracer, parent, 0);
}

static void take_event(struct tracer *tracer, struct tracee *tracee, int event)
{
    unsigned long message = 0;
    if (read_message(tracee, event, &message) < 0)
        return; /* killed meanwhile: its exit stop, or its end, comes next */
    switch (event) {
    case PTRACE_EVENT_VFORK:
    case PTRACE_EVENT_FORK:
    case PTRACE_EVENT_CLONE:
        tracee->in_vfork = event == PTRACE_EVENT_VFORK;
        spawned(tracer, tracee, (pid_t)message);
        return;
    case PTRACE_EVENT_EXEC:
        /* An execve by another thread: that thread goes on under the leader's number. */
        if ((pid_t)message != tracee->tid)
            drop(tracer, (pid_t)message);
        tracee->exiting = false;
        tracee->no_end = ptrace(PTRACE_SETOPTIONS, tracee->tid, 0L, OPTIONS) == 0;
        if (wants_hooks(tracer, tracee)) {
            tracer_resume(tracer, tracee, tracer->hooks->began(tracer, tracee, true));
            return;
        }
        break;
    case PTRACE_EVENT_SECCOMP:
        if (wants_hooks(tracer, tracee)) {
            tracer_resume(tracer, tracee,
                          tracer->hooks->entered(tracer, tracee, (unsigned)message));
            return;
        }
        break;
    case PTRACE_EVENT_EXIT:
        /* Never held here: an execve by another thread would wait for it. */
        tracee->exiting = true;
        restart(tracee, false, 0);
        if (tracee->freezing)
            kill_when_still(tracer, tracee->tree);
        return;
    default: break;
    }
    go_on(tracer, tracee, 0);
}

static bool is_group_stop(int event, int signum)
{
    return event == PTRACE_EVENT_STOP &&
           (signum == SIGSTOP || signum == SIGTSTP || signum == SIGTTIN || signum == SIGTTOU);
}

static void take_stop(struct tracer *tracer, struct tracee *tracee, int status)
{
    int event = status >> 16;
    int signum = WSTOPSIG(status);
    bool first = !tracee->begun;
    tracee->begun = true;
    if (is_group_stop(event, signum) && !tracee->freezing && tracee->state != TRACEE_KILLED) {
        ptrace(PTRACE_LISTEN, tracee->tid, 0L, 0L); /* it is to be interrupted like who runs */
        return;
    }
    if (tracee->state == TRACEE_RUNS)
        tracee->state = TRACEE_STOPPED;
    tracee->in_vfork = false;
    if (first && tracee->tid != tracee->process)
        tracer_tell_execs(tracee);
    if (event == PTRACE_EVENT_STOP && first && tracee->tid == tracee->process) {
        tracee->awaited = tracer->hooks && !tracee->announced &&
                          (!tracer->lost_words || has_parent(tracer, tracee));
        if (!tracee->awaited)
            begin(tracer, tracee);
    } else if (event == PTRACE_EVENT_STOP)
        go_on(tracer, tracee, 0);
    else if (signum == (SIGTRAP | CALL_STOP) && wants_hooks(tracer, tracee))
        tracer_resume(tracer, tracee, tracer->hooks->left(tracer, tracee));
    else if (signum == (SIGTRAP | CALL_STOP))
        go_on(tracer, tracee, 0);
    else if (event)
        take_event(tracer, tracee, event);
    else
        go_on(tracer, tracee, signum);
}

enum tracer_result tracer_status(struct tracer *tracer, pid_t pid, int status)
{
    struct tracee *tracee = find(tracer, pid);
    if (tracee && tracee->state == TRACEE_ENDED) { /* another process has the number now */
        drop(tracer, pid);
        tracee = NULL;
    }
    if (WIFSTOPPED(status)) {
        take_stop(tracer, tracee ? tracee : add_unannounced(tracer, pid), status);
        return TRACER_TAKEN;
    }
    if (!tracee)
        return TRACER_FOREIGN;
    int tree = tracee->tree;
    bool freezing = tracee->freezing;
    tracer->lost_words |= WIFSIGNALED(status) || tracee->tid != tracee->process;
    if (tracee->announced)
        drop(tracer, pid);
    else {
        tracee->state = TRACEE_ENDED;
        tracee->tree = TREE_NONE;
        if (tracer->hooks)
            tracer->hooks->gone(tracer, tracee, tree);
    }
    begin_orphans(tracer);
    if (freezing)
        kill_when_still(tracer, tree);
    return TRACER_ENDED;
}

int tracer_kill(struct tracer *tracer, int tree, int signum)
{
    int count = 0;
    for (struct tracee *at = tracer->tracees; at; at = at->next) {
        if (at->tree != tree || at->state == TRACEE_KILLED)
            continue;
        count++;
        if (signum == SIGKILL)
            freeze(at);
        else if (at->tid == at->process)
            kill(at->tid, signum);
    }
    if (signum == SIGKILL)
        kill_when_still(tracer, tree);
    return count;
}

void tracer_kill_process(struct tracer *tracer, pid_t process, int signum)
{
    for (struct tracee *at = tracer->tracees; signum == SIGKILL && at; at = at->next)
        if (at->process == process && at->state != TRACEE_ENDED)
            at->state = TRACEE_KILLED;
    kill(process, signum);
}

bool tracer_is_killing(const struct tracee *tracee)
{
    return tracee->freezing || tracee->state == TRACEE_KILLED;
}

int tracer_count(const struct tracer *tracer, int tree)
{
    int count = 0;
    for (const struct tracee *at = tracer->tracees; at; at = at->next)
        count += at->tree == tree;
    return count;
}
