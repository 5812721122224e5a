/*
 * What killpoint leaves behind, however it ends: nothing. Whether something is left is asked
 * of all processes of this machine: the state folder's name is unique, and stands in what a
 * process was called with, in its environment, or in its mounts.
 */
#include "play.h"

#include <ctype.h>
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#define DEADLINE_MS 20000
#define RULES "expect: {claim: success}"

static void nap(void)
{
    poll(NULL, 0, 10);
}

/* Whether a file of /proc/PID holds text; a process that is gone holds nothing. */
static bool proc_has(const char *pid, const char *file, const char *text)
{
    CLEANUP(io_free) char *path = io_format("/proc/%s/%s", pid, file);
    CLEANUP(buf_release) struct buf bytes = BUF_INIT;
    if (io_read_file(AT_FDCWD, path, &bytes, 16 << 20, NULL) < 0)
        return false;
    return memmem(buf_str(&bytes), bytes.len, text, strlen(text)) != NULL;
}

/* Adds "PID COMM" of every process that has to do with the state folder. */
static void add_users(const char *state_path, struct buf *found)
{
    CLEANUP(io_free) char *self = io_format("%d", (int)getpid());
    DIR *dir = opendir("/proc");
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        const char *pid = entry->d_name;
        if (!isdigit((unsigned char)*pid))
            continue;
        if (proc_has(pid, "mountinfo", state_path) ||
            (strcmp(pid, self) != 0 &&
             (proc_has(pid, "cmdline", state_path) || proc_has(pid, "environ", state_path)))) {
            CLEANUP(io_free) char *path = io_format("/proc/%s/comm", pid);
            CLEANUP(buf_release) struct buf comm = BUF_INIT;
            io_read_file(AT_FDCWD, path, &comm, 64, NULL);
            buf_printf(found, "%s %s", pid, buf_str(&comm));
        }
    }
    closedir(dir);
}

/* After a kill -9 the kernel still has to do its part, so this waits a while. */
static void check_no_users(const char *name)
{
    int64_t deadline_ms = io_now_ms() + DEADLINE_MS;
    for (;;) {
        CLEANUP(buf_release) struct buf found = BUF_INIT;
        add_users(getenv("KILLPOINT_STATE"), &found);
        if (found.len == 0)
            return;
        if (io_now_ms() > deadline_ms)
            fail_msg("%s: still there:\n%s", name, buf_str(&found));
        nap();
    }
}

/* The names in the state folder, sorted, each with a blank behind it. */
static void check_state(const char *name, const char *expected)
{
    struct run done = play("ls -A \"$KILLPOINT_STATE\" | tr '\\n' ' '");
    if (strcmp(done.out, expected) != 0)
        fail_msg("%s: the state folder holds '%s', expected '%s'", name, done.out, expected);
    run_release(&done);
}

static void wait_for_file(const char *name)
{
    CLEANUP(io_free) char *path = io_format("%s/%s", getenv("KP"), name);
    int64_t deadline_ms = io_now_ms() + DEADLINE_MS;
    while (access(path, F_OK) < 0) {
        if (io_now_ms() > deadline_ms)
            fail_msg("%s did not come", path);
        nap();
    }
}

/* Starts a run, whose backend is a shell script. */
static pid_t spawn_run(const char *script)
{
    CLEANUP(io_free) char *program = io_format("%s/bin/killpoint", getenv("KP"));
    CLEANUP(io_free) char *results = io_format("%s/results", getenv("KP"));
    const char *const argv[] = {program, "run", "-j", "2",    "--results", results,
                                "--",    "sh",  "-c", script, NULL};
    const struct proc_spec spec = {
        .argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1, .new_session = true};
    struct err err;
    pid_t pid = proc_spawn(&spec, &err);
    if (pid < 0)
        fail_msg("%s", err.msg);
    return pid;
}

/* The same, with a backend that says that it is there and then hangs inside an exec. */
static pid_t start_run(void)
{
    CLEANUP(io_free)
    char *script = io_format("smolvm machine exec --name {machine} -- sleep 1000 & "
                             "setsid sleep 1000 & : >%s/started; wait",
                             getenv("KP"));
    CLEANUP(io_free) char *started = io_format("%s/started", getenv("KP"));
    unlink(started); /* every backend of the run before has made it */
    pid_t pid = spawn_run(script);
    wait_for_file("started");
    return pid;
}

/* Waits for the end of a run. Returns waitpid()'s status. */
static int wait_for_end(pid_t pid)
{
    int status;
    int64_t deadline_ms = io_now_ms() + DEADLINE_MS;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (io_now_ms() > deadline_ms) {
            kill(pid, SIGKILL);
            fail_msg("killpoint did not end");
        }
        nap();
    }
    return status;
}

static void a_run_leaves_nothing(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    play_add("one", RULES);
    play_add("two", "limits: {disk: 32MiB}\n" RULES);
    play_add("three", "faults: ['exec at:ms=50:scope=vm']\nexpect: {claim: failure}");
    struct run done = play("killpoint run -j 2 -- " PLAY_GOOD);
    run_release(&done);
    check_no_users("after a run");
    check_state("after a run", "");
}

static void an_interrupted_run_leaves_nothing_and_says_130(void **state)
{
    static const struct {
        const char *name;
        int signum;
    } rows[] = {{"SIGINT", SIGINT}, {"SIGTERM", SIGTERM}, {"SIGHUP", SIGHUP}};
    (void)state;
    need_layout("bookworm-mini");
    play_add("one", RULES);
    play_add("two", RULES);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        pid_t pid = start_run();
        kill(pid, rows[i].signum);
        int status = wait_for_end(pid);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 130)
            fail_msg("%s: status %x, expected exit 130", rows[i].name, (unsigned)status);
        check_no_users(rows[i].name);
        check_state(rows[i].name, "");
        struct run done = play("tail -n 1 results");
        play_check_has(rows[i].name, done.out, "\"event\":\"end\"");
        play_check_has(rows[i].name, done.out, "\"exit\":130");
        play_check_has(rows[i].name, done.out, "\"interrupted\":true");
        run_release(&done);
    }
}

/* Each time a little later: in the set-up, while trials are started, while they run. */
static void no_moment_is_bad_for_an_interrupt(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    play_add("one", "matrix: {n: [1, 2, 3, 4, 5, 6, 7, 8]}\n"
                    "guest:\n  - mkdir: {path: '/tmp/${n}'}\n" RULES);
    for (int ms = 0; ms < 120; ms += 3) {
        CLEANUP(io_free) char *name = io_format("SIGTERM after %d ms", ms);
        pid_t pid = spawn_run("sleep 1000");
        poll(NULL, 0, ms);
        kill(pid, SIGTERM);
        int status = wait_for_end(pid);
        bool early = WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM; /* still reading files */
        if (!early && (!WIFEXITED(status) || WEXITSTATUS(status) != 130))
            fail_msg("%s: status %x, expected exit 130", name, (unsigned)status);
        check_no_users(name);
        check_state(name, "");
    }
}

static void no_moment_is_bad_for_a_kill(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    play_add("one", RULES);
    play_add("two", RULES);
    for (int ms = 0; ms < 120; ms += 3) {
        CLEANUP(io_free) char *name = io_format("SIGKILL after %d ms", ms);
        pid_t pid = spawn_run("sleep 1000");
        poll(NULL, 0, ms);
        kill(pid, SIGKILL);
        wait_for_end(pid);
        check_no_users(name);
    }
    struct run done = play("killpoint run -- " PLAY_GOOD);
    play_check_code("the next run", &done, 0);
    run_release(&done);
    check_state("after the next run", "");
}

static void a_killed_run_leaves_its_folder_alone_and_the_next_one_removes_it(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    play_add("one", RULES);
    pid_t pid = start_run();
    CLEANUP(io_free) char *folder = io_format("run-%d ", (int)pid);
    check_state("while it runs", folder);
    kill(pid, SIGKILL);
    wait_for_end(pid);
    check_no_users("after kill -9");
    check_state("after kill -9", folder);
    struct run done = play("killpoint run -- " PLAY_GOOD);
    play_check_code("the next run", &done, 0);
    run_release(&done);
    check_state("after the next run", "");
}

static void a_run_does_not_touch_the_folder_of_a_live_one(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    play_add("one", RULES);
    pid_t pid = start_run();
    CLEANUP(io_free) char *folder = io_format("run-%d ", (int)pid);
    struct run done = play("killpoint run -- " PLAY_GOOD);
    play_check_code("the other run", &done, 0);
    run_release(&done);
    check_state("after the other run", folder);
    kill(pid, SIGTERM);
    wait_for_end(pid);
    check_state("after both", "");
}

static void runs_that_start_at_once_do_not_meet(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    play_add("one", "expect: {claim: success, store: {must: report}}");
    for (int round = 0; round < 5; round++) {
        struct run done = play("for i in 1 2 3 4 5 6 7 8; do killpoint run -- true & p=\"$p $!\"; "
                               "done; for i in $p; do wait $i || exit 1; done");
        play_check_code("eight runs at once", &done, 0);
        run_release(&done);
        check_state("eight runs at once", "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, play_set_up, play_tear_down)
        T(a_run_leaves_nothing),
        T(an_interrupted_run_leaves_nothing_and_says_130),
        T(no_moment_is_bad_for_an_interrupt),
        T(no_moment_is_bad_for_a_kill),
        T(a_killed_run_leaves_its_folder_alone_and_the_next_one_removes_it),
        T(a_run_does_not_touch_the_folder_of_a_live_one),
        T(runs_that_start_at_once_do_not_meet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
