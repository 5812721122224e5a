#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../fault/filter.h"
#include "../fault/offspring.h"

#define REPORT_MAX_BYTES 65536
#define REAP_MS 2000 /* for the init to end its own */

/* What the init tells first; the names of leaked processes follow as text. */
struct init_report {
    int errnum; /* the backend could not be started */
    int status; /* of waitpid() */
    int64_t end_ns;
    char text[200];
};

void sandbox_result_release(struct sandbox_result *result)
{
    proc_result_release(&result->proc);
    buf_release(&result->leaks);
}

/* --- the init ------------------------------------------------------------------ */

static void name_process(pid_t pid, struct buf *leaks)
{
    CLEANUP(io_free) char *path = io_format("/proc/%d/comm", (int)pid);
    CLEANUP(buf_release) struct buf comm = BUF_INIT;
    if (io_read_file(AT_FDCWD, path, &comm, 64, NULL) < 0)
        return;
    buf_printf(leaks, "%d %s", (int)pid, buf_str(&comm));
}

static void list_leaks(struct buf *leaks)
{
    CLEANUP(io_free) pid_t *pids = NULL;
    size_t count = offspring_list(&pids);
    for (size_t i = 0; i < count; i++)
        name_process(pids[i], leaks);
}

/* Until a child's change, at most for that long (-1: for ever), or for the signal to end. */
static void await_child(int64_t left_ms)
{
    sigset_t set;
    sigprocmask(SIG_BLOCK, NULL, &set);
    const struct timespec wait = {left_ms / 1000, left_ms % 1000 * 1000000};
    int signum = left_ms < 0 ? sigwaitinfo(&set, NULL) : sigtimedwait(&set, NULL, &wait);
    if (signum == SIGTERM) {
        offspring_end();
        _exit(1);
    }
}

/* Waits until no process is left, but not past the grace. */
static bool all_ended(int64_t deadline_ms)
{
    for (;;) {
        pid_t pid = waitpid(-1, NULL, WNOHANG);
        if (pid < 0 && errno == ECHILD)
            return true;
        if (pid > 0)
            continue;
        int64_t left = deadline_ms - io_now_ms();
        if (left <= 0)
            return false;
        await_child(left);
    }
}

static void __attribute__((noreturn))
report_and_exit(int report_fd, const struct init_report *report, const struct buf *leaks)
{
    io_write_all(report_fd, report, sizeof *report);
    io_write_all(report_fd, buf_str(leaks), leaks->len);
    offspring_end();
    _exit(0);
}

/*
 * A caller that died before the death signal was asked for sends none. Its pid is no help,
 * for init's parent is outside the namespace; but then nobody holds the pipe's other end.
 */
static void die_with_caller(int report_fd, int signum)
{
    prctl(PR_SET_PDEATHSIG, signum);
    struct pollfd pipe = {.fd = report_fd};
    if (poll(&pipe, 1, 0) != 0)
        _exit(1);
}

static int make_namespaces(struct err *err)
{
    if (unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC) < 0 ||
        mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        return err_set(err, errno, "prepare the backend's namespaces");
    return 0;
}

static int adopt_alone(struct err *err)
{
    int ret = filter_spare_others();
    return ret < 0 ? err_set(err, -ret, "keep the backend from kill(-1)")
                   : offspring_adopt(true, err);
}

static int end_signal(const struct sandbox_spec *spec)
{
    return spec->no_namespaces ? SIGTERM : SIGKILL;
}

/* Which signals are waited for: as first process of a namespace it is immune to the second. */
static void block_signals(const struct sandbox_spec *spec)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    if (spec->no_namespaces)
        sigaddset(&set, SIGTERM);
    signal(SIGCHLD, SIG_DFL); /* who ignores one is not told of it */
    signal(SIGTERM, SIG_DFL);
    sigprocmask(SIG_SETMASK, &set, NULL);
}

/* Orphans come here, too; only the backend's end counts. */
static int wait_for_backend(pid_t backend)
{
    int status;
    for (;;) {
        pid_t gone = waitpid(-1, &status, WNOHANG);
        if (gone == backend)
            return status;
        if (gone <= 0)
            await_child(-1);
    }
}

static void __attribute__((noreturn))
sandbox_init(const struct sandbox_spec *spec, int out_fd, int err_fd, int report_fd)
{
    struct init_report report = {0};
    struct buf leaks = BUF_INIT;
    struct err err;
    /* The three were opened in this order, and numbers only grow. What else the caller
     * holds, the read ends of these pipes too, must not be held here as well. */
    proc_close_others((const int[]){out_fd, err_fd, report_fd}, 3);
    block_signals(spec);
    die_with_caller(report_fd, end_signal(spec));
    prctl(PR_SET_NAME, "killpoint-init");
    struct proc_spec backend = {.argv = spec->argv,
                                .envp = spec->envp,
                                .cwd = spec->cwd,
                                .stdin_fd = -1,
                                .stdout_fd = out_fd,
                                .stderr_fd = err_fd,
                                .new_session = true};
    for (const char *const *env = spec->envp; env && *env; env++)
        if (strncmp(*env, "PATH=", 5) == 0)
            setenv("PATH", *env + 5, 1); /* where argv[0] is looked up: the fakes are first */
    int ret = spec->no_namespaces ? adopt_alone(&err) : make_namespaces(&err);
    pid_t pid = ret < 0 ? ret : proc_spawn(&backend, &err);
    if (pid < 0) {
        report.errnum = -pid;
        snprintf(report.text, sizeof report.text, "%.*s", (int)sizeof report.text - 1, err.msg);
        report_and_exit(report_fd, &report, &leaks);
    }
    report.status = wait_for_backend(pid);
    report.end_ns = io_now_ns();
    if (!all_ended(io_now_ms() + SANDBOX_GRACE_MS))
        list_leaks(&leaks);
    report_and_exit(report_fd, &report, &leaks);
}

/* --- the caller ------------------------------------------------------------------ */

static pid_t fork_sandbox(const struct sandbox_spec *spec)
{
    if (spec->no_namespaces) {
        pid_t child = fork();
        return child < 0 ? -errno : child;
    }
    CLEANUP(io_close) int own_fd = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
    if (own_fd < 0 || unshare(CLONE_NEWPID) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0)
        return 0;
    if (pid < 0)
        pid = -errno;
    return setns(own_fd, CLONE_NEWPID) < 0 ? -errno : pid;
}

static void drain(int *fd, struct capture *capture, struct buf *text)
{
    static char chunk[65536];
    ssize_t n = read(*fd, chunk, sizeof chunk);
    if (n < 0 && errno == EINTR)
        return;
    if (n <= 0)
        io_close(fd);
    else if (capture)
        capture_add(capture, chunk, (size_t)n);
    else if (text->len < REPORT_MAX_BYTES)
        buf_append(text, chunk, (size_t)n);
}

/* Reads all three streams to their ends. Returns false when the deadline came first. */
static bool collect(struct sandbox *sandbox, struct sandbox_result *result, struct buf *report)
{
    while (sandbox->out_fd >= 0 || sandbox->err_fd >= 0 || sandbox->report_fd >= 0) {
        int64_t left = sandbox->deadline_ms - io_now_ms();
        if (left <= 0)
            return false;
        struct pollfd fds[3] = {{.fd = sandbox->out_fd, .events = POLLIN},
                                {.fd = sandbox->err_fd, .events = POLLIN},
                                {.fd = sandbox->report_fd, .events = POLLIN}};
        if (poll(fds, 3, left > 60000 ? 60000 : (int)left) <= 0)
            continue;
        if (fds[0].revents)
            drain(&sandbox->out_fd, &result->proc.out, NULL);
        if (fds[1].revents)
            drain(&sandbox->err_fd, &result->proc.err, NULL);
        if (fds[2].revents)
            drain(&sandbox->report_fd, NULL, report);
    }
    return true;
}

static int take_report(const struct buf *text, struct sandbox_result *result, struct err *err)
{
    struct init_report report;
    if (text->len < sizeof report)
        return err_text(err, EIO, "the backend's init ended without a report");
    memcpy(&report, text->data, sizeof report);
    if (report.errnum)
        return err_text(err, report.errnum, "%s", report.text);
    buf_append(&result->leaks, text->data + sizeof report, text->len - sizeof report);
    result->end_ns = report.end_ns;
    result->proc.how = WIFSIGNALED(report.status) ? PROC_SIGNALED : PROC_EXITED;
    result->proc.code =
        WIFSIGNALED(report.status) ? WTERMSIG(report.status) : WEXITSTATUS(report.status);
    return 0;
}

static void end_init(const struct sandbox *sandbox)
{
    kill(sandbox->init_pid, sandbox->end_signal);
    kill(sandbox->init_pid, SIGCONT);
}

/* Without namespaces a backend can hold its init up, which then does not end by itself. */
static void reap(struct sandbox *sandbox)
{
    int64_t deadline_ms = io_now_ms() + REAP_MS;
    while (sandbox->init_pid > 0) {
        pid_t pid = waitpid(sandbox->init_pid, NULL, WNOHANG);
        if (pid > 0 || (pid < 0 && errno != EINTR))
            break;
        if (io_now_ms() >= deadline_ms)
            kill(sandbox->init_pid, SIGKILL);
        poll(NULL, 0, 1);
    }
    sandbox->init_pid = -1;
}

void sandbox_release(struct sandbox *sandbox)
{
    if (sandbox->init_pid > 0)
        end_init(sandbox);
    reap(sandbox);
    io_close(&sandbox->out_fd);
    io_close(&sandbox->err_fd);
    io_close(&sandbox->report_fd);
}

int sandbox_start(const struct sandbox_spec *spec, struct sandbox *ret_sandbox, struct err *err)
{
    CLEANUP(sandbox_release) struct sandbox sandbox = SANDBOX_INIT;
    CLEANUP(io_close) int out_end = -1;
    CLEANUP(io_close) int err_end = -1;
    CLEANUP(io_close) int report_end = -1;
    int ret = io_pipe(&sandbox.out_fd, &out_end);
    if (ret == 0)
        ret = io_pipe(&sandbox.err_fd, &err_end);
    if (ret == 0)
        ret = io_pipe(&sandbox.report_fd, &report_end);
    if (ret < 0)
        return err_set(err, -ret, "pipe");
    sandbox.start_ns = io_now_ns();
    sandbox.deadline_ms = (sandbox.start_ns + 999999) / 1000000 + spec->deadline_ms;
    sandbox.end_signal = end_signal(spec);
    sandbox.init_pid = fork_sandbox(spec);
    if (sandbox.init_pid == 0) {
        io_close(&sandbox.out_fd);
        io_close(&sandbox.err_fd);
        io_close(&sandbox.report_fd);
        sandbox_init(spec, out_end, err_end, report_end);
    }
    if (sandbox.init_pid < 0)
        return err_set(err, -sandbox.init_pid, "make the backend's namespaces");
    *ret_sandbox = sandbox;
    sandbox = (struct sandbox)SANDBOX_INIT;
    return 0;
}

int sandbox_finish(struct sandbox *sandbox, struct sandbox_result *ret_result, struct err *err)
{
    CLEANUP(sandbox_result_release) struct sandbox_result result = {.proc = PROC_RESULT_INIT};
    CLEANUP(buf_release) struct buf report = BUF_INIT;
    result.start_ns = sandbox->start_ns;
    if (collect(sandbox, &result, &report)) {
        int ret = take_report(&report, &result, err);
        if (ret < 0)
            return ret;
    } else {
        result.proc.how = PROC_TIMEOUT;
        end_init(sandbox);
        result.end_ns = io_now_ns();
    }
    reap(sandbox);
    result.proc.ms = (result.end_ns - result.start_ns) / 1000000;
    *ret_result = result;
    result = (struct sandbox_result){.proc = PROC_RESULT_INIT};
    return 0;
}
