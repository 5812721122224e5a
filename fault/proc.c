#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

void capture_release(struct capture *capture)
{
    buf_release(&capture->head);
    buf_release(&capture->tail);
    capture->tail_start = 0;
    capture->size_bytes = 0;
}

void capture_add(struct capture *capture, const void *data, size_t len)
{
    const char *at = data;
    capture->size_bytes += len;
    size_t room = CAPTURE_HEAD_BYTES - capture->head.len;
    size_t part = len < room ? len : room;
    if (part > 0)
        buf_append(&capture->head, at, part);
    at += part;
    len -= part;
    if (len > CAPTURE_TAIL_BYTES) {
        at += len - CAPTURE_TAIL_BYTES;
        len = CAPTURE_TAIL_BYTES;
    }
    room = CAPTURE_TAIL_BYTES - capture->tail.len;
    part = len < room ? len : room;
    if (part > 0)
        buf_append(&capture->tail, at, part);
    for (size_t i = part; i < len; i++) {
        capture->tail.data[capture->tail_start] = at[i];
        capture->tail_start = (capture->tail_start + 1) % CAPTURE_TAIL_BYTES;
    }
}

void capture_text(const struct capture *capture, struct buf *text)
{
    buf_append(text, buf_str(&capture->head), capture->head.len);
    uint64_t kept = capture->head.len + capture->tail.len;
    if (capture->size_bytes > kept)
        buf_printf(text, "\n[%llu bytes left out]\n",
                   (unsigned long long)(capture->size_bytes - kept));
    if (capture->tail.len > 0) {
        buf_append(text, capture->tail.data + capture->tail_start,
                   capture->tail.len - capture->tail_start);
        buf_append(text, capture->tail.data, capture->tail_start);
    }
}

#define FD_LIMIT 65536 /* where a kernel without close_range(2) stops looking */

/* close_range(2), which glibc of Debian 11 and Valgrind may lack. */
static void close_fds(unsigned first, unsigned last, unsigned flags)
{
    if (first > last || syscall(SYS_close_range, first, last, flags) == 0)
        return;
    for (unsigned fd = first; fd <= last && fd < FD_LIMIT; fd++)
        if (flags)
            fcntl((int)fd, F_SETFD, FD_CLOEXEC);
        else
            close((int)fd);
}

void proc_close_others(const int *kept, size_t n_kept)
{
    unsigned first = 3;
    for (size_t i = 0; i < n_kept; i++) {
        if (kept[i] < (int)first)
            continue;
        close_fds(first, (unsigned)kept[i] - 1, 0);
        first = (unsigned)kept[i] + 1;
    }
    close_fds(first, ~0U, 0);
}

enum spawn_stage { STAGE_FDS, STAGE_CHDIR, STAGE_EXEC };
static const char *const stage_words[] = {"set up descriptors for", "change folder for", "execute"};

struct spawn_report {
    enum spawn_stage stage;
    int errnum;
};

static void __attribute__((noreturn)) spawn_fail(int report_fd, enum spawn_stage stage)
{
    struct spawn_report report = {stage, errno};
    ssize_t n = write(report_fd, &report, sizeof report);
    (void)n;
    _exit(127);
}

static int child_fd(int fd, int target)
{
    if (fd < 0)
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd == target) { /* dup2 would leave close-on-exec set */
        int flags = fcntl(fd, F_GETFD);
        return flags < 0 ? -1 : fcntl(fd, F_SETFD, flags & ~FD_CLOEXEC);
    }
    return fd < 0 ? -1 : dup2(fd, target);
}

/* In the caller's memory, until it executes: only async-signal-safe calls. */
static void __attribute__((noreturn))
spawn_child(const struct proc_spec *spec, pid_t parent, int report_fd)
{
    sigset_t none;
    sigemptyset(&none);
    for (int signum = 1; signum < NSIG; signum++)
        signal(signum, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (spec->death_signal) {
        prctl(PR_SET_PDEATHSIG, spec->death_signal);
        if (getppid() != parent)
            _exit(127);
    }
    if (spec->new_session)
        setsid();
    /* Sources 0, 1 and 2 may not be overwritten before they are used. */
    int fds[3] = {spec->stdin_fd, spec->stdout_fd, spec->stderr_fd};
    for (int i = 0; i < 3; i++)
        if (fds[i] >= 0 && fds[i] < 3 && fds[i] != i &&
            (fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3)) < 0)
            spawn_fail(report_fd, STAGE_FDS);
    for (int i = 0; i < 3; i++)
        if (child_fd(fds[i], i) < 0)
            spawn_fail(report_fd, STAGE_FDS);
    if (spec->cwd && chdir(spec->cwd) < 0)
        spawn_fail(report_fd, STAGE_CHDIR);
    /* Whatever our own caller left open is not the program's to have. */
    close_fds(3, ~0U, CLOSE_RANGE_CLOEXEC);
    /* execvpe() takes arrays of mutable strings and changes none of them. */
    union {
        const char *const *in;
        char *const *out;
    } argv = {.in = spec->argv}, envp = {.in = spec->envp};
    execvpe(argv.out[0], argv.out, envp.in ? envp.out : environ);
    spawn_fail(report_fd, STAGE_EXEC);
}

pid_t proc_spawn(const struct proc_spec *spec, struct err *err)
{
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return err_set(err, errno, "pipe");
    CLEANUP(io_close) int read_fd = pipe_fds[0];
    CLEANUP(io_close) int write_fd = pipe_fds[1];
    if (write_fd < 3) { /* keep clear of the child's 0, 1 and 2 */
        int moved = fcntl(write_fd, F_DUPFD_CLOEXEC, 3);
        if (moved < 0)
            return err_set(err, errno, "dup");
        io_close(&write_fd);
        write_fd = moved;
    }
    pid_t parent = getpid();
    pid_t pid = vfork();
    if (pid < 0)
        return err_set(err, errno, "fork");
    if (pid == 0)
        spawn_child(spec, parent, write_fd);
    io_close(&write_fd);
    struct spawn_report report;
    ssize_t n;
    do
        n = read(read_fd, &report, sizeof report);
    while (n < 0 && errno == EINTR);
    if (n == (ssize_t)sizeof report) {
        waitpid(pid, NULL, 0);
        return err_set(err, report.errnum, "%s %s", stage_words[report.stage], spec->argv[0]);
    }
    return pid;
}

void proc_result_release(struct proc_result *result)
{
    capture_release(&result->out);
    capture_release(&result->err);
}

/* The running program, its pipes and the signalfd; every descriptor is -1 when done. */
struct running {
    pid_t pid;
    int in, out, err, signals;
    const struct buf *input;
    size_t input_sent;
    int64_t deadline_ms;
    bool reaped;
    int status;
};

static void feed(struct running *run)
{
    ssize_t n =
        write(run->in, run->input->data + run->input_sent, run->input->len - run->input_sent);
    if (n > 0)
        run->input_sent += (size_t)n;
    if ((n < 0 && errno != EAGAIN && errno != EINTR) || run->input_sent == run->input->len)
        io_close(&run->in);
}

static void drain(int *fd, struct capture *capture)
{
    char chunk[16384];
    ssize_t n = read(*fd, chunk, sizeof chunk);
    if (n > 0)
        capture_add(capture, chunk, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        io_close(fd);
}

static bool try_reap(struct running *run)
{
    struct signalfd_siginfo info;
    while (read(run->signals, &info, sizeof info) > 0)
        ;
    if (!run->reaped && waitpid(run->pid, &run->status, WNOHANG) == run->pid)
        run->reaped = true;
    return run->reaped;
}

/* Runs until the program is reaped and its pipes are at their ends. */
static void supervise(struct running *run, struct proc_result *result)
{
    try_reap(run);
    while (!run->reaped || run->out >= 0 || run->err >= 0) {
        int64_t left = run->deadline_ms < 0 ? -1 : run->deadline_ms - io_now_ms();
        if (run->deadline_ms >= 0 && left <= 0) {
            result->how = PROC_TIMEOUT;
            kill(run->pid, SIGKILL);
            if (!run->reaped)
                waitpid(run->pid, &run->status, 0);
            run->reaped = true;
            return;
        }
        struct pollfd fds[4] = {{.fd = run->signals, .events = POLLIN},
                                {.fd = run->out, .events = POLLIN},
                                {.fd = run->err, .events = POLLIN},
                                {.fd = run->in, .events = POLLOUT}};
        if (poll(fds, 4, left > 1000000 ? 1000000 : (int)left) < 0)
            continue;
        if (fds[0].revents)
            try_reap(run);
        if (fds[1].revents)
            drain(&run->out, &result->out);
        if (fds[2].revents)
            drain(&run->err, &result->err);
        if (fds[3].revents)
            feed(run);
    }
}

static void running_release(struct running *run)
{
    io_close(&run->in);
    io_close(&run->out);
    io_close(&run->err);
    io_close(&run->signals);
}

int proc_run(const struct proc_spec *spec, const struct buf *input, int64_t timeout_ms,
             struct proc_result *ret_result, struct err *err)
{
    sigset_t child, old;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    if (input)
        sigaddset(&child, SIGPIPE);
    int64_t start = io_now_ms();
    CLEANUP(running_release)
    struct running run = {.pid = -1, .in = -1, .out = -1, .err = -1, .signals = -1};
    run.input = input;
    run.deadline_ms = timeout_ms < 0 ? -1 : start + timeout_ms;
    CLEANUP(io_close) int in_end = -1;
    CLEANUP(io_close) int out_end = -1;
    CLEANUP(io_close) int err_end = -1;
    int ret = io_pipe(&run.out, &out_end);
    if (ret == 0)
        ret = io_pipe(&run.err, &err_end);
    if (ret == 0 && input)
        ret = io_pipe(&in_end, &run.in);
    if (ret < 0)
        return err_set(err, -ret, "pipe");
    if (input)
        io_set_nonblock(run.in);

    sigprocmask(SIG_BLOCK, &child, &old);
    run.signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    struct proc_spec piped = *spec;
    piped.stdin_fd = input ? in_end : spec->stdin_fd;
    piped.stdout_fd = out_end;
    piped.stderr_fd = err_end;
    run.pid = run.signals < 0 ? err_set(err, errno, "signalfd") : proc_spawn(&piped, err);
    if (run.pid < 0) {
        sigprocmask(SIG_SETMASK, &old, NULL);
        return run.pid;
    }
    io_close(&in_end);
    io_close(&out_end);
    io_close(&err_end);
    struct proc_result result = PROC_RESULT_INIT;
    if (input && input->len == 0)
        io_close(&run.in);
    supervise(&run, &result);
    sigprocmask(SIG_SETMASK, &old, NULL);
    if (result.how != PROC_TIMEOUT) {
        result.how = WIFSIGNALED(run.status) ? PROC_SIGNALED : PROC_EXITED;
        result.code = WIFSIGNALED(run.status) ? WTERMSIG(run.status) : WEXITSTATUS(run.status);
    }
    result.ms = io_now_ms() - start;
    *ret_result = result;
    return 0;
}
