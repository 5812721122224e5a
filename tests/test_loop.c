#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fault/loop.h"

#define MAX_CHILDREN 64

struct bench {
    struct loop loop;
    struct watch watches[2];
    struct timer timers[4];
    struct buf said; /* what was called, in order */
    int children, wanted_children;
    int exit_sum;
};

static struct bench *bench_of(struct loop *loop)
{
    return container_of(loop, struct bench, loop);
}

static void on_child(struct loop *loop, pid_t pid, int status)
{
    struct bench *bench = bench_of(loop);
    assert_true(pid > 0);
    bench->exit_sum += WEXITSTATUS(status);
    if (++bench->children == bench->wanted_children)
        loop_stop(loop);
}

static void on_signal(struct loop *loop, int signum)
{
    buf_printf(&bench_of(loop)->said, "signal %d ", signum == SIGUSR1 ? 1 : 0);
    loop_stop(loop);
}

static void on_timer(struct loop *loop, struct timer *timer)
{
    struct bench *bench = bench_of(loop);
    buf_printf(&bench->said, "timer %d ", (int)(timer - bench->timers));
    if (timer == &bench->timers[3])
        loop_stop(loop);
}

static void on_watch(struct loop *loop, struct watch *watch, unsigned events)
{
    struct bench *bench = bench_of(loop);
    char byte = '-';
    ssize_t n = read(watch->fd, &byte, 1);
    buf_printf(&bench->said, "watch %d %c%s ", (int)(watch - bench->watches), byte,
               events & EPOLLHUP ? " hup" : "");
    if (n == 0)
        loop_unwatch(loop, watch);
    if (n == 0 && bench->watches[0].fd < 0 && bench->watches[1].fd < 0)
        loop_stop(loop);
}

static void start(struct bench *bench)
{
    static const int extra[] = {SIGUSR1, 0};
    struct err err = {""};
    *bench = (struct bench){.said = BUF_INIT};
    if (loop_init(&bench->loop, on_child, extra, on_signal, &err) < 0)
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < 4; i++)
        bench->timers[i].fire = on_timer;
    for (size_t i = 0; i < 2; i++)
        bench->watches[i] = (struct watch){-1, on_watch};
}

static void finish(struct bench *bench, const char *said)
{
    struct err err = {""};
    if (loop_run(&bench->loop, &err) < 0)
        fail_msg("%s", err.msg);
    assert_string_equal(buf_str(&bench->said), said);
    buf_release(&bench->said);
    loop_release(&bench->loop);
    assert_int_equal(bench->loop.epoll_fd, -1);
}

static void timers_fire_by_time_and_once(void **state)
{
    (void)state;
    struct bench bench;
    start(&bench);
    int64_t now = io_now_ms();
    loop_set_timer(&bench.loop, &bench.timers[3], now + 60);
    loop_set_timer(&bench.loop, &bench.timers[0], now + 40);
    loop_set_timer(&bench.loop, &bench.timers[1], now + 20);
    loop_set_timer(&bench.loop, &bench.timers[2], -5);
    finish(&bench, "timer 2 timer 1 timer 0 timer 3 ");
    assert_true(io_now_ms() - now >= 60);
    assert_int_equal(bench.timers[0].at_ms, 0);
}

static void timer_that_is_set_anew_or_cleared_forgets_its_time(void **state)
{
    (void)state;
    struct bench bench;
    start(&bench);
    int64_t now = io_now_ms();
    loop_set_timer(&bench.loop, &bench.timers[0], now);
    loop_set_timer(&bench.loop, &bench.timers[1], now + 10);
    loop_set_timer(&bench.loop, &bench.timers[3], now + 40);
    loop_set_timer(&bench.loop, &bench.timers[0], now + 20);
    loop_clear_timer(&bench.loop, &bench.timers[1]);
    loop_clear_timer(&bench.loop, &bench.timers[2]); /* never set */
    finish(&bench, "timer 0 timer 3 ");
}

static void clear_the_next(struct loop *loop, struct timer *timer)
{
    struct bench *bench = bench_of(loop);
    buf_add(&bench->said, "clears ");
    loop_clear_timer(loop, timer + 1);
    loop_set_timer(loop, timer, 1); /* due at once, again */
    timer->fire = on_timer;
}

static void timer_may_clear_another_that_is_due(void **state)
{
    (void)state;
    struct bench bench;
    start(&bench);
    bench.timers[0].fire = clear_the_next;
    for (int i = 0; i < 2; i++)
        loop_set_timer(&bench.loop, &bench.timers[i], 1);
    loop_set_timer(&bench.loop, &bench.timers[3], io_now_ms() + 20);
    finish(&bench, "clears timer 0 timer 3 ");
}

static void watches_hear_of_bytes_and_of_the_end(void **state)
{
    (void)state;
    struct bench bench;
    int fds[2];
    start(&bench);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(write(fds[1], "ab", 2), 2);
    io_close(&fds[1]);
    assert_int_equal(loop_watch(&bench.loop, &bench.watches[0], fds[0], EPOLLIN), 0);
    finish(&bench, "watch 0 a hup watch 0 b hup watch 0 - hup ");
    assert_int_equal(fcntl(fds[0], F_GETFD), FD_CLOEXEC); /* still open, and ours */
    io_close(&fds[0]);
}

static void drop_both(struct loop *loop, struct watch *watch, unsigned events)
{
    (void)watch, (void)events;
    struct bench *bench = bench_of(loop);
    buf_add(&bench->said, "drops both ");
    for (size_t i = 0; i < 2; i++)
        loop_unwatch(loop, &bench->watches[i]);
    loop_set_timer(loop, &bench->timers[3], io_now_ms() + 20);
}

static void watch_may_remove_another_that_is_ready(void **state)
{
    (void)state;
    struct bench bench;
    int fds[2][2];
    start(&bench);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pipe2(fds[i], O_CLOEXEC), 0);
        io_close(&fds[i][1]);
        bench.watches[i].ready = drop_both;
        assert_int_equal(loop_watch(&bench.loop, &bench.watches[i], fds[i][0], EPOLLIN), 0);
    }
    finish(&bench, "drops both timer 3 ");
    for (size_t i = 0; i < 2; i++)
        io_close(&fds[i][0]);
}

static void changed_watch_hears_of_its_new_events_alone(void **state)
{
    (void)state;
    struct bench bench;
    int fds[2];
    start(&bench);
    assert_int_equal(loop_change(&bench.loop, &bench.watches[0], EPOLLIN), -EBADF);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(loop_watch(&bench.loop, &bench.watches[0], fds[0], EPOLLIN), 0);
    assert_int_equal(loop_watch(&bench.loop, &bench.watches[1], fds[0], EPOLLIN), -EEXIST);
    assert_int_equal(bench.watches[1].fd, -1);
    assert_int_equal(loop_change(&bench.loop, &bench.watches[0], 0), 0);
    assert_int_equal(write(fds[1], "a", 1), 1);
    loop_set_timer(&bench.loop, &bench.timers[3], io_now_ms() + 20);
    finish(&bench, "timer 3 ");
    io_close(&fds[0]);
    io_close(&fds[1]);
}

static void every_child_is_reaped_though_signals_fall_together(void **state)
{
    (void)state;
    struct bench bench;
    start(&bench);
    bench.wanted_children = MAX_CHILDREN;
    for (int i = 0; i < MAX_CHILDREN; i++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(i % 2);
        assert_true(pid > 0);
    }
    finish(&bench, "");
    assert_int_equal(bench.children, MAX_CHILDREN);
    assert_int_equal(bench.exit_sum, MAX_CHILDREN / 2);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void child_that_ended_before_the_loop_ran_is_reaped(void **state)
{
    (void)state;
    struct bench bench;
    struct proc_spec spec = {.argv = (const char *const[]){"true", NULL},
                             .stdin_fd = -1,
                             .stdout_fd = -1,
                             .stderr_fd = -1};
    pid_t pid = proc_spawn(&spec, NULL);
    assert_true(pid > 0);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    start(&bench);
    bench.wanted_children = 1;
    finish(&bench, "");
}

static void extra_signals_are_handed_on(void **state)
{
    (void)state;
    struct bench bench;
    start(&bench);
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    finish(&bench, "signal 1 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_by_time_and_once),
        cmocka_unit_test(timer_that_is_set_anew_or_cleared_forgets_its_time),
        cmocka_unit_test(timer_may_clear_another_that_is_due),
        cmocka_unit_test(watches_hear_of_bytes_and_of_the_end),
        cmocka_unit_test(watch_may_remove_another_that_is_ready),
        cmocka_unit_test(changed_watch_hears_of_its_new_events_alone),
        cmocka_unit_test(every_child_is_reaped_though_signals_fall_together),
        cmocka_unit_test(child_that_ended_before_the_loop_ran_is_reaped),
        cmocka_unit_test(extra_signals_are_handed_on),
    };
    return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
