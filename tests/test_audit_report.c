#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../scenarios/audit.h"

/* A child that ends by itself gets LONG_MS, so that a loaded machine makes no difference. */
#define LONG_MS 60000

static void receive(void (*child)(int fd), int timeout_ms, int expected, const char *text)
{
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(fds[0]);
        child(fds[1]);
        _exit(0);
    }
    close(fds[1]);
    struct audit_report report = {0};
    struct err err = {""};
    int ret = audit_report_receive(fds[0], pid, timeout_ms, &report, &err);
    close(fds[0]);
    assert_int_equal(ret, expected);
    assert_non_null(strstr(err.msg, text));
    assert_null(report.results[0].def);
    assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);
}

static void child_crashes(int fd)
{
    (void)fd;
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
}
static void child_waits(int fd)
{
    (void)fd;
    pause();
}
static void child_talks(int fd)
{
    for (;;)
        if (io_write_all(fd, "xxxxxxxxxxxxxxxx", 16) < 0)
            return;
}
static void child_lies(int fd)
{
    io_write_all(fd, "{\"checks\": [1, 2]}\n", 18);
}
static void child_is_silent(int fd)
{
    (void)fd;
}
static void child_fails(int fd)
{
    (void)fd;
    _exit(7);
}

static void a_child_that_goes_wrong_is_an_error_of_the_audit(void **state)
{
    (void)state;
    receive(child_crashes, LONG_MS, -EIO, "audit child died of signal 11");
    receive(child_waits, 300, -ETIMEDOUT, "longer than 300 ms");
    receive(child_talks, LONG_MS, -EFBIG, "report");
    receive(child_lies, LONG_MS, -EIO, "no report");
    receive(child_is_silent, LONG_MS, -EIO, "no report");
    receive(child_fails, LONG_MS, -EIO, "ended with status 7");
}

static void the_table_is_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < AUDIT_N_CHECKS; i++) {
        const struct audit_def *def = &audit_defs()[i];
        const char *level = audit_level_name(def->level);
        assert_non_null(def->id);
        assert_memory_equal(def->id, level, strlen(level));
        assert_int_equal(def->id[strlen(level)], '/');
        assert_true(*def->expected && *def->why && *def->source);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(def->id, audit_defs()[j].id);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_sound),
        cmocka_unit_test(a_child_that_goes_wrong_is_an_error_of_the_audit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
