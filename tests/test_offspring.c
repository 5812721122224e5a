/*
 * Whoever is below a process is found and ended, however it went there.
 */
#include "support.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fault/offspring.h"

static const struct row {
    const char *name, *script; /* tells with a line that all are there, and then waits */
    size_t count;              /* who lives then, the shell too */
} rows[] = {
    {"a child", "echo; exec sleep 600", 1},
    {"a grandchild", "sleep 600 & echo; wait", 2},
    {"an orphan", "(sleep 600 & sleep 600 & :); echo; exec sleep 600", 3},
    {"an orphan of another session", "setsid sh -c 'sleep 600 & wait' & sleep 0.3; echo; wait", 3},
    {"who ignores signals", "trap '' TERM HUP INT; sleep 600 & echo; wait", 2},
    {"who is stopped", "sleep 600 & kill -STOP $!; echo; wait", 2},
    {"an odd name", "cp /bin/sleep \"$D/) S 1 (\"; \"$D/) S 1 (\" 600 & echo; wait", 2},
};

/* Starts the script and waits for its line. */
static void start(const char *script)
{
    CLEANUP(io_close) int read_fd = -1;
    CLEANUP(io_close) int write_fd = -1;
    char line;
    struct err err;
    assert_int_equal(io_pipe(&read_fd, &write_fd), 0);
    const struct proc_spec spec = {.argv = (const char *const[]){"sh", "-c", script, NULL},
                                   .stdin_fd = -1,
                                   .stdout_fd = write_fd,
                                   .stderr_fd = -1};
    if (proc_spawn(&spec, &err) < 0)
        fail_msg("%s", err.msg);
    io_close(&write_fd);
    assert_int_equal(read(read_fd, &line, 1), 1);
}

static void all_are_found_and_ended(void **state)
{
    (void)state;
    CLEANUP(dir_remove) char *folder = dir_make();
    setenv("D", folder, 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(io_free) pid_t *pids = NULL;
        CLEANUP(io_free) pid_t *left = NULL;
        start(rows[i].script);
        size_t count = offspring_list(&pids);
        if (count != rows[i].count)
            fail_msg("%s: %zu are found, of %zu", rows[i].name, count, rows[i].count);
        offspring_end();
        for (size_t k = 0; k < count; k++)
            if (kill(pids[k], 0) == 0 || errno != ESRCH)
                fail_msg("%s: one of them lives", rows[i].name);
        assert_int_equal(offspring_list(&left), 0);
    }
}

/* Two shells that never stop forking. */
static void who_forks_all_the_time_is_ended(void **state)
{
    (void)state;
    start("f() { while :; do (sleep 600 & :) ; done; }; f & f & sleep 0.2; echo; wait");
    offspring_end();
    CLEANUP(io_free) pid_t *left = NULL;
    assert_int_equal(offspring_list(&left), 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void nobody_is_below_who_has_no_child(void **state)
{
    (void)state;
    CLEANUP(io_free) pid_t *pids = NULL;
    assert_int_equal(offspring_list(&pids), 0);
    assert_int_equal(offspring_kill(), 0);
    offspring_end();
}

static void who_was_there_before_is_left_alone(void **state)
{
    (void)state;
    CLEANUP(io_free) pid_t *pids = NULL;
    start("sleep 600 & echo; wait");
    assert_int_equal(offspring_list(&pids), 2);
    assert_int_equal(offspring_adopt(true, NULL), 0);
    start("sleep 600 & echo; wait");
    offspring_end();
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(kill(pids[i], 0), 0);
    for (size_t i = 0; i < 2; i++)
        kill(pids[i], SIGKILL);
    while (waitpid(-1, NULL, 0) > 0)
        ;
}

static int set_up(void **state)
{
    (void)state;
    return offspring_adopt(true, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    offspring_end();
    return offspring_adopt(false, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nobody_is_below_who_has_no_child, set_up, tear_down),
        cmocka_unit_test_setup_teardown(all_are_found_and_ended, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_was_there_before_is_left_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_forks_all_the_time_is_ended, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
