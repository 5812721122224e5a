#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void stream_add(struct stream *stream, const char *data, size_t len)
{
    if (!stream->kept && !(stream->kept = malloc(STREAM_HEAD_BYTES + STREAM_TAIL_BYTES)))
        abort();
    while (len > 0) {
        size_t at, room;
        if (stream->size_bytes < STREAM_HEAD_BYTES) {
            at = (size_t)stream->size_bytes;
            room = STREAM_HEAD_BYTES - at;
        } else {
            size_t in_ring = (size_t)((stream->size_bytes - STREAM_HEAD_BYTES) % STREAM_TAIL_BYTES);
            at = STREAM_HEAD_BYTES + in_ring;
            room = STREAM_TAIL_BYTES - in_ring;
        }
        size_t part = len < room ? len : room;
        memcpy(stream->kept + at, data, part);
        stream->size_bytes += part;
        data += part;
        len -= part;
    }
}

/* The bytes left out between head and tail. */
static uint64_t stream_missing(const struct stream *stream)
{
    uint64_t room = STREAM_HEAD_BYTES + STREAM_TAIL_BYTES;
    return stream->size_bytes > room ? stream->size_bytes - room : 0;
}

char *stream_text(const struct stream *stream)
{
    uint64_t missing = stream_missing(stream);
    size_t len = (size_t)(stream->size_bytes - missing);
    char *text = malloc(len + 1);
    if (!text)
        abort();
    size_t start = 0; /* where the ring's oldest byte is */
    if (missing > 0)
        start = (size_t)(missing % STREAM_TAIL_BYTES);
    size_t head = len < STREAM_HEAD_BYTES ? len : STREAM_HEAD_BYTES;
    if (head > 0)
        memcpy(text, stream->kept, head);
    if (len > head) {
        const char *ring = stream->kept + STREAM_HEAD_BYTES;
        size_t tail = len - head;
        memcpy(text + head, ring + start, tail - start);
        memcpy(text + len - start, ring, start);
    }
    text[len] = '\0';
    return text;
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void quote_bytes(const char *data, const char *end, FILE *file)
{
    for (; data < end; data++) {
        unsigned char c = (unsigned char)*data;
        if (c == '\n')
            fputs("\\n", file);
        else if (c == '\t')
            fputs("\\t", file);
        else if (c == '\r')
            fputs("\\r", file);
        else if (c == '"' || c == '\\')
            fprintf(file, "\\%c", c);
        else if (c < 0x20 || c > 0x7e)
            fprintf(file, "\\x%02x", c);
        else
            fputc(c, file);
    }
}

void stream_quote(const struct stream *stream, FILE *file)
{
    CLEANUP(free_text) char *text = stream_text(stream);
    uint64_t missing = stream_missing(stream);
    const char *at = text, *end = text + (stream->size_bytes - missing);
    const char *gap = missing > 0 ? text + STREAM_HEAD_BYTES : end;
    while (at < gap && is_blank(*at))
        at++;
    const char *low = missing > 0 ? gap : at;
    while (end > low && is_blank(end[-1]))
        end--;
    fputc('"', file);
    if (missing > 0) {
        quote_bytes(at, gap, file);
        fprintf(file, "[%llu bytes left out]", (unsigned long long)missing);
        at = gap;
    }
    quote_bytes(at, end, file);
    fputc('"', file);
}

void command_result_release(struct command_result *result)
{
    free_text(&result->out.kept);
    free_text(&result->err.kept);
}

/* In the caller's memory: only async-signal-safe calls. Tells errno through report_fd when it
 * cannot execute. */
static void __attribute__((noreturn))
run_child(const char *const *argv, int out_fd, int err_fd, int report_fd)
{
    sigset_t none;
    sigemptyset(&none);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null_fd >= 0 && dup2(null_fd, 0) == 0 && dup2(out_fd, 1) == 1 && dup2(err_fd, 2) == 2) {
        /* execvp() takes an array of mutable strings and changes none of them. */
        union {
            const char *const *in;
            char *const *out;
        } args = {.in = argv};
        execvp(args.out[0], args.out);
    }
    int errnum = errno;
    ssize_t n = write(report_fd, &errnum, sizeof errnum);
    (void)n;
    _exit(127);
}

/*
 * Starts argv with these two as its stdout and stderr. Returns its pid or -errno.
 * Not posix_spawn(3): Valgrind's clone shares no memory, and loses the error of its exec. Not
 * fork(2): copying our page tables costs more than the child's own work.
 */
static pid_t spawn(const char *const *argv, int out_fd, int err_fd)
{
    int report[2];
    if (pipe2(report, O_CLOEXEC) < 0)
        return -errno;
    CLEANUP(close_fd) int read_fd = report[0];
    CLEANUP(close_fd) int write_fd = report[1];
    pid_t pid = vfork();
    if (pid < 0)
        return -errno;
    if (pid == 0)
        run_child(argv, out_fd, err_fd, write_fd);
    close_fd(&write_fd);
    int errnum = 0;
    ssize_t n;
    do
        n = read(read_fd, &errnum, sizeof errnum);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof errnum)
        return pid;
    waitpid(pid, NULL, 0);
    return -errnum;
}

/* Reads once. Returns false when there is nothing more now; closes at the end of file. */
static bool drain(int *fd, struct stream *stream)
{
    char chunk[65536];
    ssize_t n;
    do
        n = read(*fd, chunk, sizeof chunk);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        stream_add(stream, chunk, (size_t)n);
    else if (n == 0)
        close_fd(fd);
    return n > 0;
}

/* A grandchild may write for ever; what the ended process left fits the pipe. */
static void drain_rest(int *fd, struct stream *stream)
{
    int pipe_bytes = *fd < 0 ? 0 : fcntl(*fd, F_GETPIPE_SZ);
    uint64_t last = stream->size_bytes + (uint64_t)(pipe_bytes > 0 ? pipe_bytes : 0);
    while (*fd >= 0 && stream->size_bytes < last && drain(fd, stream))
        ;
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Reads both streams until the process has ended, then what is left in the pipes. */
static void follow(pid_t pid, int signal_fd, int *out_fd, int *err_fd,
                   struct command_result *result)
{
    int status = 0;
    for (;;) {
        struct signalfd_siginfo info;
        while (read(signal_fd, &info, sizeof info) > 0)
            ;
        if (waitpid(pid, &status, WNOHANG) == pid)
            break;
        struct pollfd fds[3] = {{.fd = signal_fd, .events = POLLIN},
                                {.fd = *out_fd, .events = POLLIN},
                                {.fd = *err_fd, .events = POLLIN}};
        if (poll(fds, 3, -1) < 0)
            continue;
        if (fds[1].revents)
            drain(out_fd, &result->out);
        if (fds[2].revents)
            drain(err_fd, &result->err);
    }
    result->end_ns = now_ns();
    drain_rest(out_fd, &result->out);
    drain_rest(err_fd, &result->err);
    result->signaled = WIFSIGNALED(status);
    result->code = result->signaled ? WTERMSIG(status) : WEXITSTATUS(status);
}

int command_run(const char *const *argv, struct command_result *ret_result, struct error *error)
{
    int out[2], err[2];
    if (pipe2(out, O_CLOEXEC) < 0)
        return error_set(error, errno, "pipe: %s", strerror(errno));
    CLEANUP(close_fd) int out_fd = out[0];
    CLEANUP(close_fd) int out_end = out[1];
    if (pipe2(err, O_CLOEXEC) < 0)
        return error_set(error, errno, "pipe: %s", strerror(errno));
    CLEANUP(close_fd) int err_fd = err[0];
    CLEANUP(close_fd) int err_end = err[1];
    fcntl(out_fd, F_SETFL, O_NONBLOCK);
    fcntl(err_fd, F_SETFL, O_NONBLOCK);

    /* An ignored SIGCHLD, inherited, would take the exit status away. */
    sigset_t child, old;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    signal(SIGCHLD, SIG_DFL);
    sigprocmask(SIG_BLOCK, &child, &old);
    CLEANUP(close_fd) int signal_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    pid_t pid = signal_fd < 0 ? -errno : spawn(argv, out_end, err_end);
    if (pid > 0) {
        struct command_result result = {false, 0, {NULL, 0}, {NULL, 0}, 0};
        close_fd(&out_end);
        close_fd(&err_end);
        follow(pid, signal_fd, &out_fd, &err_fd, &result);
        *ret_result = result;
    } else {
        error_set(error, -pid, "cannot start %s: %s", argv[0], strerror(-pid));
    }
    sigprocmask(SIG_SETMASK, &old, NULL);
    return pid > 0 ? 0 : pid;
}
