#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fakes/slot.h"
#include "../fakes/wire.h"
#include "../scenarios/lanes.h"

#define CLIENTS 8
#define DEADLINE_MS 20000

/* --- the client's side without a server ------------------------------------------------- */

static void without_a_server_there_is_no_limit(void **state)
{
    (void)state;
    CLEANUP(dir_remove) char *folder = dir_make();
    CLEANUP(io_free) char *path = io_format("%s/slots", folder);
    CLEANUP(io_free) char *missing = io_format("%s/none", folder);
    struct err err = {""};
    int fd = -2;
    assert_int_equal(slot_take(folder, &fd, &err), 0);
    assert_int_equal(fd, -1);
    CLEANUP(io_close) int folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CLEANUP(io_close) int listener = wire_listen(folder_fd, "slots");
    assert_true(listener >= 0);
    io_close(&listener); /* the socket's file stays behind */
    fd = -2;
    assert_int_equal(slot_take(folder, &fd, &err), 0);
    assert_int_equal(fd, -1);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(io_write_file(AT_FDCWD, path, "", 0, 0600, &err), 0);
    assert_int_equal(slot_take(folder, &fd, &err), 0);
    assert_int_equal(fd, -1);
    fd = -2;
    assert_int_equal(slot_take(missing, &fd, &err), -ENOENT);
    assert_int_equal(fd, -2);
    assert_non_null(strstr(err.msg, "/none"));
}

/* --- both sides ------------------------------------------------------------------------------ */

/* Clients are children that write 'a' when they have their turn and 'z' before they end. */
struct bench {
    struct loop loop;
    struct slots slots;
    struct watch reports;
    struct timer deadline;
    int report_write_fd;
    int at_work, most, turns, ended;
    int wanted; /* ends to wait for */
    bool late;
};

static void on_child(struct loop *loop, pid_t pid, int status)
{
    (void)pid, (void)status;
    struct bench *bench = container_of(loop, struct bench, loop);
    if (++bench->ended == bench->wanted)
        loop_stop(loop);
}

static void on_report(struct loop *loop, struct watch *watch, unsigned events)
{
    (void)loop, (void)events;
    struct bench *bench = container_of(watch, struct bench, reports);
    char byte;
    if (read(watch->fd, &byte, 1) != 1)
        return;
    bench->turns += byte == 'a';
    bench->at_work += byte == 'a' ? 1 : -1;
    if (bench->at_work > bench->most)
        bench->most = bench->at_work;
}

static void on_deadline(struct loop *loop, struct timer *timer)
{
    container_of(timer, struct bench, deadline)->late = true;
    loop_stop(loop);
}

static void start(struct bench *bench, const char *folder, unsigned limit)
{
    struct err err = {""};
    int fds[2];
    *bench = (struct bench){.reports = {-1, on_report}, .deadline = {.fire = on_deadline}};
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    bench->report_write_fd = fds[1];
    if (loop_init(&bench->loop, on_child, NULL, NULL, &err) < 0 ||
        slots_init(&bench->slots, &bench->loop, folder, limit, &err) < 0 ||
        loop_watch(&bench->loop, &bench->reports, fds[0], EPOLLIN) < 0)
        fail_msg("%s", err.msg);
}

static void client(const char *folder, int report_fd, unsigned hold_ms)
{
    int fd;
    if (slot_take(folder, &fd, NULL) < 0 || fd < 0 || write(report_fd, "a", 1) != 1)
        _exit(1);
    usleep(hold_ms * 1000);
    _exit(write(report_fd, "z", 1) != 1);
}

static pid_t start_client(struct bench *bench, const char *folder, unsigned hold_ms)
{
    pid_t pid = fork();
    if (pid == 0)
        client(folder, bench->report_write_fd, hold_ms);
    assert_true(pid > 0);
    return pid;
}

static void finish(struct bench *bench, int wanted)
{
    struct err err = {""};
    bench->wanted = wanted;
    bench->loop.stopped = false;
    loop_set_timer(&bench->loop, &bench->deadline, io_now_ms() + DEADLINE_MS);
    if (loop_run(&bench->loop, &err) < 0)
        fail_msg("%s", err.msg);
    loop_clear_timer(&bench->loop, &bench->deadline);
    if (bench->late)
        fail_msg("%d of %d clients ended in time", bench->ended, wanted);
}

static void release(struct bench *bench)
{
    slots_release(&bench->slots);
    int fd = bench->reports.fd;
    loop_unwatch(&bench->loop, &bench->reports);
    io_close(&fd);
    io_close(&bench->report_write_fd);
    loop_release(&bench->loop);
}

static void no_more_than_the_limit_work_at_once_and_all_get_their_turn(void **state)
{
    (void)state;
    for (unsigned limit = 1; limit <= 3; limit++) {
        CLEANUP(dir_remove) char *folder = dir_make();
        struct bench bench;
        start(&bench, folder, limit);
        for (int i = 0; i < CLIENTS; i++)
            start_client(&bench, folder, 15);
        finish(&bench, CLIENTS);
        while (bench.at_work > 0) /* what is still in the pipe */
            on_report(&bench.loop, &bench.reports, EPOLLIN);
        assert_int_equal(bench.turns, CLIENTS);
        assert_int_equal(bench.most, limit);
        release(&bench);
    }
}

static void who_holds_a_turn_for_long_keeps_nobody_waiting(void **state)
{
    (void)state;
    CLEANUP(dir_remove) char *folder = dir_make();
    struct bench bench;
    start(&bench, folder, 1);
    for (int i = 0; i < 2; i++)
        start_client(&bench, folder, SLOTS_PATIENCE_MS + 2000);
    finish(&bench, 2);
    assert_int_equal(bench.turns, 2);
    assert_int_equal(bench.most, 2);
    release(&bench);
}

static void killed_client_gives_its_turn_back(void **state)
{
    (void)state;
    CLEANUP(dir_remove) char *folder = dir_make();
    struct bench bench;
    start(&bench, folder, 1);
    pid_t holder = fork();
    if (holder == 0)
        client(folder, bench.report_write_fd, 60000);
    bench.wanted = -1;
    while (bench.turns == 0) { /* until it has its turn */
        struct epoll_event event;
        epoll_wait(bench.loop.epoll_fd, &event, 1, 100);
        if (event.data.ptr) {
            struct watch *watch = event.data.ptr;
            watch->ready(&bench.loop, watch, event.events);
        }
    }
    bench.at_work = 0; /* it never says that it ends */
    start_client(&bench, folder, 1);
    assert_int_equal(kill(holder, SIGKILL), 0);
    finish(&bench, 2);
    release(&bench);
}

static void waiting_clients_go_on_when_the_server_ends(void **state)
{
    (void)state;
    CLEANUP(dir_remove) char *folder = dir_make();
    struct bench bench;
    start(&bench, folder, 0);
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        int fd = -2;
        int ret = slot_take(folder, &fd, NULL);
        _exit(ret == 0 && fd == -1 && write(fds[1], "u", 1) == 1 ? 0 : 1);
    }
    while (!bench.slots.queue) {
        struct epoll_event event;
        if (epoll_wait(bench.loop.epoll_fd, &event, 1, 100) == 1 && event.data.ptr) {
            struct watch *watch = event.data.ptr;
            watch->ready(&bench.loop, watch, event.events);
        }
    }
    assert_int_equal(bench.slots.busy, 0);
    slots_release(&bench.slots);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    io_close(&fds[0]);
    io_close(&fds[1]);
    release(&bench);
}

static void server_says_where_it_cannot_listen(void **state)
{
    (void)state;
    struct loop loop;
    struct slots slots;
    struct err err = {""};
    assert_int_equal(loop_init(&loop, on_child, NULL, NULL, &err), 0);
    assert_int_equal(slots_init(&slots, &loop, "/nonexistent", 1, &err), -ENOENT);
    assert_non_null(strstr(err.msg, "/nonexistent"));
    slots_release(&slots);
    loop_release(&loop);
}

static void pinned_lanes_have_a_turn_and_a_core_each(void **state)
{
    (void)state;
    CLEANUP(dir_remove) char *folder = dir_make();
    struct loop loop;
    struct lanes lanes;
    cpu_set_t all, own;
    assert_int_equal(loop_init(&loop, on_child, NULL, NULL, NULL), 0);
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    size_t cores = (size_t)CPU_COUNT(&all);
    assert_int_equal(lanes_open(&lanes, &loop, folder, 2 * (unsigned)cores, true, NULL), 0);
    assert_int_equal(lanes.count, 2 * cores);
    for (size_t i = 0; i < lanes.count; i++) {
        const struct lane *lane = lanes_emptiest(&lanes);
        assert_ptr_equal(lane, &lanes.items[i]);
        assert_int_equal(lane->slots.limit, 1);
        lane_stay(lane);
        assert_int_equal(sched_getaffinity(0, sizeof own, &own), 0);
        assert_int_equal(CPU_COUNT(&own), 1);
        assert_true(CPU_ISSET((size_t)lane->core, &own) && CPU_ISSET((size_t)lane->core, &all));
        assert_true(i == 0 || i == cores || lane->core != lanes.items[i - 1].core);
        assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
        lanes.items[i].in_flight++;
    }
    assert_int_equal(lanes.items[0].core, lanes.items[cores].core);
    lanes_close(&lanes);
    loop_release(&loop);
}

static void unpinned_trials_share_one_lane(void **state)
{
    (void)state;
    CLEANUP(dir_remove) char *folder = dir_make();
    struct loop loop;
    struct lanes lanes;
    cpu_set_t all;
    assert_int_equal(loop_init(&loop, on_child, NULL, NULL, NULL), 0);
    assert_int_equal(lanes_open(&lanes, &loop, folder, 3, false, NULL), 0);
    assert_int_equal(lanes.count, 1);
    assert_int_equal(lanes.items[0].slots.limit, 3);
    assert_int_equal(lanes.items[0].core, -1);
    lanes_close(&lanes);
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    assert_int_equal(lanes_open(&lanes, &loop, folder, (unsigned)CPU_COUNT(&all) - 1, true, NULL),
                     0);
    assert_int_equal(lanes.items[0].core, -1);
    lanes_close(&lanes);
    loop_release(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_server_there_is_no_limit),
        cmocka_unit_test(no_more_than_the_limit_work_at_once_and_all_get_their_turn),
        cmocka_unit_test(killed_client_gives_its_turn_back),
        cmocka_unit_test(who_holds_a_turn_for_long_keeps_nobody_waiting),
        cmocka_unit_test(waiting_clients_go_on_when_the_server_ends),
        cmocka_unit_test(server_says_where_it_cannot_listen),
        cmocka_unit_test(pinned_lanes_have_a_turn_and_a_core_each),
        cmocka_unit_test(unpinned_trials_share_one_lane),
    };
    return cmocka_run_group_tests_name("slots", tests, NULL, NULL);
}
