#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fault/loop.h"
#include "../fault/tracer.h"
#include "random.h"
#include "tracer_members.h"

#define TREE 7
#define DEADLINE_MS 20000
#define ROUNDS 200

/* --- the tracing process ------------------------------------------------------------ */

struct bench {
    struct loop loop;
    struct tracer tracer;
    struct timer kill_timer, deadline;
    char *folder;
    pid_t root;
    int root_status; /* as waitpid() has it; -1: it lives */
    int go_fd, alive_fd;
    bool late;
};

static void on_child(struct loop *loop, pid_t pid, int status)
{
    struct bench *bench = container_of(loop, struct bench, loop);
    enum tracer_result result = tracer_status(&bench->tracer, pid, status);
    if (result != TRACER_TAKEN && pid == bench->root)
        bench->root_status = status;
    if (result != TRACER_TAKEN && tracer_count(&bench->tracer, TREE) == 0)
        loop_stop(loop);
}

static void on_kill_timer(struct loop *loop, struct timer *timer)
{
    (void)loop;
    struct bench *bench = container_of(timer, struct bench, kill_timer);
    tracer_kill(&bench->tracer, TREE, SIGKILL);
}

static void on_deadline(struct loop *loop, struct timer *timer)
{
    container_of(timer, struct bench, deadline)->late = true;
    loop_stop(loop);
}

/* The whole of a file in the bench's folder; the caller frees it. */
static char *text_of(const struct bench *bench, const char *name)
{
    struct buf text = BUF_INIT;
    CLEANUP(io_free) char *path = io_format("%s/%s", bench->folder, name);
    if (io_read_file(AT_FDCWD, path, &text, 1 << 20, NULL) < 0 || !text.data)
        buf_add(&text, "");
    return text.data;
}

/* Starts argv, which waits for a byte on stdin, and seizes it. argv[0] may be NULL: member. */
static void start(struct bench *bench, const char *const *argv, const char *out)
{
    struct err err = {""};
    *bench = (struct bench){.root_status = -1, .folder = dir_make()};
    bench->kill_timer.fire = on_kill_timer;
    bench->deadline.fire = on_deadline;
    int go[2], alive[2];
    assert_int_equal(pipe2(go, O_CLOEXEC), 0);
    assert_int_equal(pipe2(alive, O_CLOEXEC | O_NONBLOCK), 0);
    CLEANUP(io_free) char *marks = io_format("%s/marks", bench->folder);
    CLEANUP(io_free) char *out_path = io_format("%s/%s", bench->folder, out ? out : "out");
    int marks_fd = open(marks, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int out_fd = open(out_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    struct proc_spec spec = {.argv = argv,
                             .cwd = bench->folder,
                             .stdin_fd = go[0],
                             .stdout_fd = out ? out_fd : alive[1],
                             .stderr_fd = marks_fd,
                             .new_session = true};
    if (loop_init(&bench->loop, on_child, NULL, NULL, &err) < 0)
        fail_msg("%s", err.msg);
    bench->root = proc_spawn(&spec, &err);
    if (bench->root < 0 || tracer_seize(&bench->tracer, bench->root, TREE, &err) < 0)
        fail_msg("%s", err.msg);
    io_close(&marks_fd);
    io_close(&out_fd);
    io_close(&go[0]);
    io_close(&alive[1]);
    bench->go_fd = go[1];
    bench->alive_fd = alive[0];
}

/* Under Valgrind /proc/self/exe can be read, but not be executed. */
static char *this_program(void)
{
    return realpath("/proc/self/exe", NULL);
}

static void start_member(struct bench *bench, const char *name)
{
    CLEANUP(io_free) char *program = this_program();
    start(bench, (const char *const[]){program, name, NULL}, NULL);
}

static void start_script(struct bench *bench, const char *script)
{
    CLEANUP(io_free) char *text = io_format("read go; %s", script);
    start(bench, (const char *const[]){"sh", "-c", text, NULL}, "out");
}

static void go(struct bench *bench)
{
    assert_int_equal(write(bench->go_fd, "\n", 1), 1);
}

/* Runs until the tree is empty; kill_ms after now it is killed, unless that is negative. */
static void finish(struct bench *bench, int kill_ms)
{
    struct err err = {""};
    if (kill_ms >= 0)
        loop_set_timer(&bench->loop, &bench->kill_timer, io_now_ms() + kill_ms);
    loop_set_timer(&bench->loop, &bench->deadline, io_now_ms() + DEADLINE_MS);
    bench->loop.stopped = false;
    if (loop_run(&bench->loop, &err) < 0)
        fail_msg("%s", err.msg);
    loop_clear_timer(&bench->loop, &bench->kill_timer);
    loop_clear_timer(&bench->loop, &bench->deadline);
}

/* Lets the tree go on until a file of its folder holds something. */
static void run_until(struct bench *bench, const char *name)
{
    int64_t deadline = io_now_ms() + DEADLINE_MS;
    CLEANUP(io_free) char *path = io_format("%s/%s", bench->folder, name);
    while (access(path, F_OK) < 0 && io_now_ms() < deadline) {
        loop_reap(&bench->loop);
        usleep(1000);
    }
    if (access(path, F_OK) < 0)
        fail_msg("no %s came within %d ms", name, DEADLINE_MS);
}

/* Whether nobody holds the other end, at the latest after a while. */
static bool all_are_gone(int alive_fd)
{
    int64_t deadline = io_now_ms() + DEADLINE_MS;
    char byte;
    ssize_t n;
    while ((n = read(alive_fd, &byte, 1)) != 0 && io_now_ms() < deadline)
        usleep(1000);
    return n == 0;
}

static void check_all_killed(struct bench *bench, const char *name)
{
    if (bench->late)
        fail_msg("%s: %d members did not end", name, tracer_count(&bench->tracer, TREE));
    if (!all_are_gone(bench->alive_fd))
        fail_msg("%s: somebody survived", name);
    CLEANUP(io_free) char *marks = text_of(bench, "marks");
    if (*marks)
        fail_msg("%s: %s", name, marks);
}

static void release(struct bench *bench)
{
    io_close(&bench->go_fd);
    io_close(&bench->alive_fd);
    tracer_kill(&bench->tracer, TREE, SIGKILL);
    tracer_release(&bench->tracer);
    loop_release(&bench->loop);
    dir_remove(&bench->folder);
}

/* --- tests --------------------------------------------------------------------------- */

static void kill_ends_a_whole_tree_at_one_instant(void **state)
{
    (void)state;
    uint64_t rounds;
    struct random random = random_start(&rounds);
    for (int i = 0; i < ROUNDS; i++) {
        struct bench bench;
        start_member(&bench, "everything");
        go(&bench);
        finish(&bench, (int)random_below(&random, 30));
        CLEANUP(io_free) char *name = io_format("round %d", i);
        check_all_killed(&bench, name);
        assert_true(WIFSIGNALED(bench.root_status));
        assert_int_equal(WTERMSIG(bench.root_status), SIGKILL);
        release(&bench);
    }
}

static void kill_ends_each_kind_of_member(void **state)
{
    (void)state;
    for (size_t i = 0; i < TRACER_N_KINDS; i++)
        for (int ms = 0; ms < 30; ms += 10) {
            struct bench bench;
            start_member(&bench, tracer_member_kind(i));
            go(&bench);
            finish(&bench, ms);
            check_all_killed(&bench, tracer_member_kind(i));
            release(&bench);
        }
}

/* The watchers of the test above are no test unless they do see one that ends alone. */
static void watchers_see_a_lone_end(void **state)
{
    (void)state;
    struct bench bench;
    start_member(&bench, "watchers");
    go(&bench);
    int64_t deadline = io_now_ms() + DEADLINE_MS;
    while (tracer_count(&bench.tracer, TREE) < 3 && io_now_ms() < deadline) {
        loop_reap(&bench.loop);
        usleep(1000);
    }
    CLEANUP(buf_release) struct buf children = BUF_INIT;
    CLEANUP(io_free)
    char *path = io_format("/proc/%d/task/%d/children", (int)bench.root, (int)bench.root);
    assert_int_equal(io_read_file(AT_FDCWD, path, &children, 100, NULL), 0);
    assert_int_equal(kill((pid_t)atoi(buf_str(&children)), SIGKILL), 0);
    finish(&bench, -1);
    assert_false(bench.late);
    CLEANUP(io_free) char *marks = text_of(&bench, "marks");
    assert_non_null(strstr(marks, "a reader saw its writer end\n"));
    assert_non_null(strstr(marks, "a parent saw its child end\n"));
    release(&bench);
}

static void execve_by_another_thread_is_followed(void **state)
{
    (void)state;
    static const char *const names[] = {"thread executes", "executes in vfork"};
    for (size_t i = 0; i < 2; i++) {
        struct bench bench;
        start_member(&bench, names[i]);
        go(&bench);
        run_until(&bench, "executed");
        finish(&bench, 0);
        check_all_killed(&bench, names[i]);
        release(&bench);
    }
}

static void children_of_a_killed_parent_go_on(void **state)
{
    (void)state;
    struct bench bench;
    start_member(&bench, "parent is killed");
    go(&bench);
    finish(&bench, -1);
    check_all_killed(&bench, "parent is killed");
    assert_true(WIFEXITED(bench.root_status));
    release(&bench);
}

static void signal_comes_once_to_each_process(void **state)
{
    (void)state;
    struct bench bench;
    start_member(&bench, "counts signals");
    go(&bench);
    run_until(&bench, "ready");
    assert_int_equal(tracer_count(&bench.tracer, TREE), 3);
    assert_int_equal(tracer_kill(&bench.tracer, TREE, SIGUSR1), 3);
    finish(&bench, -1);
    assert_false(bench.late);
    assert_true(WIFEXITED(bench.root_status));
    assert_int_equal(WEXITSTATUS(bench.root_status), 1);
    release(&bench);
}

static const struct script {
    const char *name, *script;
    const char *out; /* all of stdout */
    int status;
} scripts[] = {
    {"exit status", "exit 3", "", 3},
    {"death by an own signal", "sh -c 'kill -TERM $$'; echo $?", "143\n", 0},
    {"handler of a signal", "trap 'echo usr1' USR1; kill -USR1 $$; echo done", "usr1\ndone\n", 0},
    {"ignored signal", "trap '' TERM; kill -TERM $$; echo done", "done\n", 0},
    {"handler of SIGCHLD in pipelines",
     "trap 'n=1' CHLD; i=0; while [ $i -lt 50 ]; do i=$((i + 1)); echo $i | cat | tail -n1; done "
     "| tail -n1; wait; echo done",
     "50\ndone\n", 0},
    {"stopped and continued",
     "sh -c 'kill -STOP $$; echo went on' & sleep 0.1; echo first; kill -CONT $!; wait $!; "
     "echo $?",
     "first\nwent on\n0\n", 0},
    {"orphan", "(sleep 0.1; echo orphan) & echo root", "root\norphan\n", 0},
};

static void traced_tree_behaves_as_an_untraced_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        struct bench bench;
        start_script(&bench, scripts[i].script);
        go(&bench);
        finish(&bench, -1);
        CLEANUP(io_free) char *out = text_of(&bench, "out");
        if (bench.late || strcmp(out, scripts[i].out) != 0 || !WIFEXITED(bench.root_status) ||
            WEXITSTATUS(bench.root_status) != scripts[i].status)
            fail_msg("%s: late %d, status %#x, stdout '%s'", scripts[i].name, bench.late,
                     (unsigned)bench.root_status, out);
        release(&bench);
    }
}

static void group_stopped_member_stays_stopped_and_can_be_killed(void **state)
{
    (void)state;
    struct bench bench;
    start_script(&bench, "echo >before; kill -STOP $$; echo moved");
    go(&bench);
    run_until(&bench, "before");
    finish(&bench, 100);
    assert_false(bench.late);
    CLEANUP(io_free) char *out = text_of(&bench, "out");
    assert_string_equal(out, "");
    assert_true(WIFSIGNALED(bench.root_status));
    release(&bench);
}

static void seizing_twice_is_refused(void **state)
{
    (void)state;
    struct bench bench;
    struct err err = {""};
    start_script(&bench, "exit 0");
    assert_int_equal(tracer_seize(&bench.tracer, bench.root, TREE, &err), -EPERM);
    assert_non_null(strstr(err.msg, "trace process "));
    assert_int_equal(tracer_count(&bench.tracer, TREE), 1);
    go(&bench);
    finish(&bench, -1);
    assert_false(bench.late);
    release(&bench);
}

static void other_trees_and_other_children_are_left_alone(void **state)
{
    (void)state;
    struct bench bench;
    struct err err = {""};
    start_script(&bench, "exit 0");
    assert_int_equal(tracer_kill(&bench.tracer, TREE + 1, SIGKILL), 0);
    assert_int_equal(tracer_count(&bench.tracer, TREE + 1), 0);
    struct proc_spec spec = {.argv = (const char *const[]){"true", NULL}, .stdin_fd = -1};
    spec.stdout_fd = spec.stderr_fd = -1;
    pid_t foreign = proc_spawn(&spec, &err);
    assert_true(foreign > 0);
    int status;
    assert_int_equal(waitpid(foreign, &status, 0), foreign);
    assert_int_equal(tracer_status(&bench.tracer, foreign, status), TRACER_FOREIGN);
    go(&bench);
    finish(&bench, -1);
    assert_false(bench.late);
    assert_true(WIFEXITED(bench.root_status));
    release(&bench);
}

/* Traces all kinds of members until it is killed itself. */
static int tracing_main(void)
{
    struct bench bench = {.root_status = -1};
    struct err err;
    int fds[2];
    CLEANUP(io_free) char *program = this_program();
    struct proc_spec spec = {.argv = (const char *const[]){program, "everything", NULL},
                             .stdout_fd = TRACER_ALIVE_FD,
                             .stderr_fd = TRACER_MARK_FD,
                             .new_session = true};
    if (pipe2(fds, O_CLOEXEC) < 0 || loop_init(&bench.loop, on_child, NULL, NULL, &err) < 0)
        return 1;
    spec.stdin_fd = fds[0];
    bench.root = proc_spawn(&spec, &err);
    if (bench.root < 0 || tracer_seize(&bench.tracer, bench.root, TREE, &err) < 0 ||
        write(fds[1], "\n", 1) != 1)
        return 1;
    return loop_run(&bench.loop, &err) < 0;
}

static void tree_ends_with_its_tracer(void **state)
{
    (void)state;
    for (int ms = 5; ms < 80; ms += 15) {
        CLEANUP(dir_remove) char *folder = dir_make();
        struct err err = {""};
        int alive[2];
        assert_int_equal(pipe2(alive, O_CLOEXEC | O_NONBLOCK), 0);
        CLEANUP(io_free) char *program = this_program();
        struct proc_spec spec = {.argv = (const char *const[]){program, "tracing", NULL},
                                 .cwd = folder,
                                 .stdin_fd = -1,
                                 .stdout_fd = alive[1],
                                 .stderr_fd = -1};
        pid_t pid = proc_spawn(&spec, &err);
        assert_true(pid > 0);
        io_close(&alive[1]);
        usleep((unsigned)ms * 1000);
        char byte;
        assert_int_equal(read(alive[0], &byte, 1), -1); /* somebody lives */
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        if (!all_are_gone(alive[0]))
            fail_msg("after %d ms: somebody survived the tracer", ms);
        io_close(&alive[0]);
    }
}

int main(int argc, char **argv)
{
    if (argc == 2)
        return strcmp(argv[1], "tracing") == 0 ? tracing_main() : tracer_member_main(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(traced_tree_behaves_as_an_untraced_one),
        cmocka_unit_test(kill_ends_each_kind_of_member),
        cmocka_unit_test(kill_ends_a_whole_tree_at_one_instant),
        cmocka_unit_test(watchers_see_a_lone_end),
        cmocka_unit_test(execve_by_another_thread_is_followed),
        cmocka_unit_test(children_of_a_killed_parent_go_on),
        cmocka_unit_test(signal_comes_once_to_each_process),
        cmocka_unit_test(group_stopped_member_stays_stopped_and_can_be_killed),
        cmocka_unit_test(seizing_twice_is_refused),
        cmocka_unit_test(other_trees_and_other_children_are_left_alone),
        cmocka_unit_test(tree_ends_with_its_tracer),
    };
    return cmocka_run_group_tests_name("tracer", tests, NULL, NULL);
}
