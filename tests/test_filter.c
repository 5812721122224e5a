/* The filter in a program of its own: this one, executed again with a case as its argument. */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fault/arch.h"
#include "../fault/filter.h"
#include "../fault/op.h"

#define X32_BIT 0x40000000L
/* The sixth argument of a call that the tracer is to skip, and what it then returns. */
#define SKIP_ME 0x5ec000L
#define STOPPED(message) (0x7a00000000000000L + (long)(message))

/* --- the tracee: says on stdout what is not as it should be ----------------------------- */

static void install(unsigned wants)
{
    CLEANUP(filter_release) struct filter filter = {NULL, 0};
    struct err err = {""};
    char go;
    if (read(0, &go, 1) != 1 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        filter_build(wants, &filter, &err) < 0 || filter_install(&filter) < 0)
        _exit(100);
}

static void expect(const char *name, long result, long expected)
{
    if (result != expected)
        printf("%s: %#lx, not %#lx\n", name, (unsigned long)result, (unsigned long)expected);
}

static long call(long number, long arg1, long arg2, long arg3)
{
    return syscall(number, -1L, arg1, arg2, arg3, 0L, SKIP_ME);
}

static int each_call(void)
{
    size_t count, tried = 0;
    const struct op_call *calls = op_calls(&count);
    install(FILTER_EXITS);
    for (size_t i = 0; i < count; i++) {
        const char *name = calls[i].name;
        int number = seccomp_syscall_resolve_name(name);
        long args[3] = {0, 0, 0};
        if (strcmp(name, "open") == 0 || strcmp(name, "openat") == 0)
            args[0] = args[1] = O_CREAT | O_WRONLY;
        if (strncmp(name, "ficlone", 7) == 0) {
            number = SYS_ioctl;
            args[0] = (long)(strcmp(name, "ficlone") == 0 ? FICLONE : FICLONERANGE);
        } else if (number == __NR_SCMP_ERROR)
            number = calls[i].number;
        if (number < 0)
            continue; /* not of this architecture */
        expect(name, call(number, args[0], args[1], args[2]), STOPPED(i));
        tried++;
    }
    printf("%zu calls\n", tried);
    return 0;
}

static int row_of(const char *name)
{
    size_t count;
    const struct op_call *calls = op_calls(&count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(calls[i].name, name) == 0)
            return (int)i;
    return -1;
}

static int arguments(void)
{
    long openat_row = row_of("openat");
    install(FILTER_EXITS | FILTER_SENDS);
    expect("openat truncates", call(SYS_openat, 0, O_RDWR | O_TRUNC, 0), STOPPED(openat_row));
    expect("openat does both", call(SYS_openat, 0, O_CREAT | O_TRUNC, 0), STOPPED(openat_row));
    expect("openat appends", call(SYS_openat, 0, O_WRONLY | O_APPEND, 0), -1);
    expect("openat without a name", call(SYS_openat, 0, O_TMPFILE | O_RDWR, 0600), -1);
#ifdef SYS_open
    expect("open truncates", call(SYS_open, O_WRONLY | O_TRUNC, 0, 0), STOPPED(row_of("open")));
    expect("open's mode is no flag", call(SYS_open, O_RDONLY, O_CREAT, 0), -1);
#endif
    expect("high bits of a request", call(SYS_ioctl, (long)(FICLONE | 1UL << 40), 0, 0),
           STOPPED(row_of("ficlone")));
    expect("another ioctl", call(SYS_ioctl, FICLONE + 1, 0, 0), -1);
    expect("shared map", call(SYS_mmap, 4096, PROT_READ | PROT_WRITE, MAP_SHARED),
           STOPPED(FILTER_MMAP));
    expect("shared and checked", call(SYS_mmap, 4096, PROT_WRITE, MAP_SHARED_VALIDATE),
           STOPPED(FILTER_MMAP));
    expect("exit_group", call(SYS_exit_group, 0, 0, 0), STOPPED(FILTER_EXIT_GROUP));
    expect("sendto", call(SYS_sendto, 0, 0, 0), STOPPED(FILTER_SEND));
    expect("sendmsg", call(SYS_sendmsg, 0, 0, 0), STOPPED(FILTER_SEND));
    expect("sendmmsg", call(SYS_sendmmsg, 0, 0, 0), STOPPED(FILTER_SEND));
    expect("a handle that truncates", syscall(SYS_open_by_handle_at, -1, NULL, O_TRUNC), -1);
    expect("its errno", errno, EPERM);
    expect("a handle", syscall(SYS_open_by_handle_at, -1, NULL, O_WRONLY), -1);
    expect("its own errno", errno == EPERM, getuid() != 0);
    expect("io_uring_setup", syscall(SYS_io_uring_setup, 1, NULL), -1);
    expect("io_uring_setup's errno", errno, ENOSYS);
    expect("io_setup", syscall(SYS_io_setup, 1, NULL), -1);
    expect("io_setup's errno", errno, ENOSYS);
    return 0;
}

static int quiet(void)
{
    install(0);
    expect("sendto", call(SYS_sendto, 0, 0, 0), -1);
    int status;
    struct stat stat_buf;
    pid_t pid = fork();
    if (pid == 0)
        _exit(3);
    if (waitpid(pid, &status, 0) != pid || WEXITSTATUS(status) != 3)
        return 1;
    pid = vfork();
    if (pid == 0) {
        execlp("true", "true", NULL);
        _exit(127);
    }
    if (waitpid(pid, &status, 0) != pid || status != 0)
        return 2;
    int fd = open("/proc/self/exe", O_RDONLY);
    if (fd < 0 || read(fd, &status, sizeof status) != sizeof status || fstat(fd, &stat_buf) < 0 ||
        stat("/", &stat_buf) < 0 || access("/", R_OK) < 0)
        return 3;
    if (mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED ||
        mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED ||
        mmap(NULL, 4096, PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
        return 4;
#ifdef SYS_open
    if (syscall(SYS_open, "/", O_RDONLY) < 0)
        return 5;
#endif
    return close(fd) < 0 ? 6 : 0;
}

static int foreign(void)
{
    install(0);
#ifdef __x86_64__
    long result = 20; /* i386's getpid */
    __asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
    expect("int 0x80", result, STOPPED(FILTER_FOREIGN));
    expect("x32", syscall(X32_BIT + SYS_getpid), STOPPED(FILTER_FOREIGN));
#endif
    return 0;
}

static int write_digits(void)
{
    install(0);
    ssize_t n = write(1, "0123456789", 10);
    return n < 0 ? errno : (int)n;
}

static const struct {
    const char *name;
    int (*run)(void);
} cases[] = {
    {"each call", each_call}, {"arguments", arguments}, {"quiet", quiet},
    {"foreign", foreign},     {"write", write_digits},
};

static int tracee_main(const char *name)
{
    alarm(60);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (strcmp(cases[i].name, name) == 0) {
            int status = cases[i].run();
            fflush(stdout);
            _exit(status); /* LeakSanitizer cannot look at a tracee */
        }
    return 101;
}

/* --- the tracer ------------------------------------------------------------------------- */

/* What is done at an entry, and at the exit when it returns PTRACE_SYSCALL. */
struct actions {
    enum __ptrace_request (*entry)(struct arch_regs *regs, unsigned long message);
    void (*exit)(struct arch_regs *regs);
};

struct outcome {
    int stops, status;
    char *out;
};

static void outcome_release(struct outcome *outcome)
{
    io_free(&outcome->out);
}

static int take_stop(pid_t pid, int status, const struct actions *actions, struct outcome *outcome)
{
    struct arch_regs regs;
    unsigned long message = 0;
    int signum = WSTOPSIG(status);
    if (status >> 16 == PTRACE_EVENT_SECCOMP) {
        assert_int_equal(ptrace(PTRACE_GETEVENTMSG, pid, 0L, &message), 0);
        assert_int_equal(arch_read(pid, &regs), 0);
        outcome->stops++;
        enum __ptrace_request request = actions->entry(&regs, message);
        assert_int_equal(arch_write(pid, &regs), 0);
        return (int)ptrace((enum __ptrace_request)request, pid, 0L, 0L);
    }
    if (signum == (SIGTRAP | 0x80)) {
        assert_int_equal(arch_read(pid, &regs), 0);
        actions->exit(&regs);
        assert_int_equal(arch_write(pid, &regs), 0);
        return (int)ptrace(PTRACE_CONT, pid, 0L, 0L);
    }
    return (int)ptrace(PTRACE_CONT, pid, 0L, (long)(status >> 16 ? 0 : signum));
}

static struct outcome trace(const char *name, const struct actions *actions)
{
    struct outcome outcome = {.stops = 0};
    struct err err = {""};
    CLEANUP(io_free) char *program = realpath("/proc/self/exe", NULL); /* Valgrind's is its own */
    int in[2], out[2];
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    struct proc_spec spec = {.argv = (const char *const[]){program, name, NULL},
                             .stdin_fd = in[0],
                             .stdout_fd = out[1],
                             .stderr_fd = 2};
    pid_t pid = proc_spawn(&spec, &err);
    if (pid < 0)
        fail_msg("%s", err.msg);
    long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL;
    assert_int_equal(ptrace(PTRACE_SEIZE, pid, 0L, options), 0);
    assert_int_equal(write(in[1], "\n", 1), 1);
    io_close(&in[0]);
    io_close(&in[1]);
    io_close(&out[1]);
    while (waitpid(pid, &outcome.status, 0) == pid && WIFSTOPPED(outcome.status))
        assert_int_equal(take_stop(pid, outcome.status, actions, &outcome), 0);
    struct buf text = BUF_INIT;
    buf_add(&text, "");
    assert_int_equal(io_read_all(out[0], &text, 1 << 20), 0);
    io_close(&out[0]);
    outcome.out = text.data;
    return outcome;
}

/* --- tests ------------------------------------------------------------------------------ */

static enum __ptrace_request skip_marked(struct arch_regs *regs, unsigned long message)
{
    if (message == FILTER_FOREIGN || arch_argument(regs, 5) == (uint64_t)SKIP_ME) {
        arch_set_number(regs, -1);
        arch_set_result(regs, STOPPED(message));
    }
    return PTRACE_CONT;
}

static enum __ptrace_request go_on(struct arch_regs *regs, unsigned long message)
{
    (void)regs;
    (void)message;
    return PTRACE_CONT;
}

static void each_call_stops_with_its_own_row(void **state)
{
    (void)state;
    const struct actions actions = {.entry = skip_marked};
    CLEANUP(outcome_release) struct outcome outcome = trace("each call", &actions);
    size_t count;
    op_calls(&count);
#ifdef __x86_64__
    CLEANUP(io_free) char *expected = io_format("%zu calls\n", count);
    assert_string_equal(outcome.out, expected);
#endif
    assert_true(outcome.stops > 40);
    assert_int_equal(outcome.status, 0);
}

static void arguments_decide_where_they_must(void **state)
{
    (void)state;
    const struct actions actions = {.entry = skip_marked};
    CLEANUP(outcome_release) struct outcome outcome = trace("arguments", &actions);
    assert_string_equal(outcome.out, "");
    assert_int_equal(outcome.status, 0);
}

static void what_changes_no_file_does_not_stop(void **state)
{
    (void)state;
    const struct actions actions = {.entry = go_on};
    CLEANUP(outcome_release) struct outcome outcome = trace("quiet", &actions);
    assert_int_equal(outcome.stops, 0);
    assert_int_equal(outcome.status, 0);
}

static void foreign_calls_are_seen(void **state)
{
    (void)state;
    const struct actions actions = {.entry = skip_marked};
    CLEANUP(outcome_release) struct outcome outcome = trace("foreign", &actions);
    assert_string_equal(outcome.out, "");
    assert_int_equal(outcome.status, 0);
#ifdef __x86_64__
    assert_int_equal(outcome.stops, 2);
#endif
}

static enum __ptrace_request tear(struct arch_regs *regs, unsigned long message)
{
    assert_int_equal(message, row_of("write"));
    assert_int_equal(arch_number(regs), SYS_write);
    assert_int_equal(arch_argument(regs, 0), 1);
    assert_int_equal(arch_argument(regs, 2), 10);
    assert_int_not_equal(arch_ip(regs), 0);
    arch_set_argument(regs, 2, 4);
    return PTRACE_SYSCALL;
}

static void look_at_torn(struct arch_regs *regs)
{
    assert_int_equal(arch_result(regs), 4);
}

static void say_disk_is_full(struct arch_regs *regs)
{
    arch_set_result(regs, -ENOSPC);
}

static void changed_registers_reach_the_call_and_its_caller(void **state)
{
    (void)state;
    static const struct {
        struct actions actions;
        int code;
    } rows[] = {{{tear, look_at_torn}, 4}, {{tear, say_disk_is_full}, ENOSPC}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(outcome_release) struct outcome outcome = trace("write", &rows[i].actions);
        assert_string_equal(outcome.out, "0123");
        assert_true(WIFEXITED(outcome.status));
        assert_int_equal(WEXITSTATUS(outcome.status), rows[i].code);
        assert_int_equal(outcome.stops, 1);
    }
}

int main(int argc, char **argv)
{
    if (argc == 2)
        return tracee_main(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_call_stops_with_its_own_row),
        cmocka_unit_test(arguments_decide_where_they_must),
        cmocka_unit_test(what_changes_no_file_does_not_stop),
        cmocka_unit_test(foreign_calls_are_seen),
        cmocka_unit_test(changed_registers_reach_the_call_and_its_caller),
    };
    return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
