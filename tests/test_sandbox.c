#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../scenarios/sandbox.h"

#define DEADLINE_MS 30000

/* Every test is run both ways. */
static bool no_namespaces;

/* Started with an argument, this program is a backend that only C can write. */
static int daemon_main(void)
{
    if (fork() > 0)
        return 0;
    setsid();
    if (fork() > 0)
        _exit(0);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    for (;;)
        pause();
}

static struct sandbox_result play_argv(const char *const *argv, int64_t deadline_ms)
{
    struct sandbox_spec spec = {
        .argv = argv, .deadline_ms = deadline_ms, .no_namespaces = no_namespaces};
    CLEANUP(sandbox_release) struct sandbox sandbox = SANDBOX_INIT;
    struct sandbox_result result = {.proc = PROC_RESULT_INIT};
    struct err err = {""};
    if (sandbox_start(&spec, &sandbox, &err) < 0 || sandbox_finish(&sandbox, &result, &err) < 0)
        fail_msg("%s", err.msg);
    return result;
}

static struct sandbox_result play(const char *script, int64_t deadline_ms)
{
    return play_argv((const char *const[]){"sh", "-c", script, NULL}, deadline_ms);
}

static const struct row {
    const char *name, *script;
    enum proc_how how;
    int code;
    const char *out, *err;
    const char *leak;     /* the name of who is left; NULL: nobody */
    bool with_namespaces; /* it sees them, or is harmless in them alone */
    bool without_namespaces;
} rows[] = {
    {"success", "echo o; echo e >&2", PROC_EXITED, 0, "o\n", "e\n", NULL},
    {"failure", "exit 3", PROC_EXITED, 3, "", "", NULL},
    {"signal", "kill -TERM $$", PROC_SIGNALED, SIGTERM, "", "", NULL},
    {"kill", "kill -KILL $$", PROC_SIGNALED, SIGKILL, "", "", NULL},
    {"status above 128 is no signal", "exit 137", PROC_EXITED, 137, "", "", NULL},
    {"no input", "cat; echo end", PROC_EXITED, 0, "end\n", "", NULL},
    {"it is not the first process", "[ $$ != 1 ] && readlink /proc/1/exe >/dev/null && echo ok",
     PROC_EXITED, 0, "ok\n", "", NULL, true},
    {"it sees no process of the host", "ls -d /proc/[0-9]* | wc -l | grep -cx '[1-5]'", PROC_EXITED,
     0, "1\n", "", NULL, true},
    {"everybody is killed at most in here", "sleep 600 & kill -KILL -1 && kill -KILL $$",
     PROC_SIGNALED, SIGKILL, "", "", NULL, true},
    {"nobody's group is everybody", "kill -0 -1 2>/dev/null; echo $?", PROC_EXITED, 0, "1\n", "",
     NULL, false, true},
    {"orphan that soon ends", "sleep 0.1 & echo done", PROC_EXITED, 0, "done\n", "", NULL},
    {"output of an orphan that soon ends", "(sleep 0.1; echo late) & echo soon", PROC_EXITED, 0,
     "soon\nlate\n", "", NULL},
    {"orphan", "sleep 600 & echo done", PROC_EXITED, 0, "done\n", "", "sleep"},
    {"orphan without streams", "sleep 600 >/dev/null 2>&1 & exit 4", PROC_EXITED, 4, "", "",
     "sleep"},
    {"orphan of a killed backend", "sleep 600 & kill -KILL $$", PROC_SIGNALED, SIGKILL, "", "",
     "sleep"},
};

static void end_streams_and_leaks_are_told(void **state)
{
    (void)state;
    need_root();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (no_namespaces ? rows[i].with_namespaces : rows[i].without_namespaces)
            continue;
        struct sandbox_result result = play(rows[i].script, DEADLINE_MS);
        CLEANUP(buf_release) struct buf out = BUF_INIT;
        CLEANUP(buf_release) struct buf errs = BUF_INIT;
        capture_text(&result.proc.out, &out);
        capture_text(&result.proc.err, &errs);
        const char *leaks = buf_str(&result.leaks);
        bool named = rows[i].leak ? strstr(leaks, rows[i].leak) != NULL : *leaks == '\0';
        if (result.proc.how != rows[i].how || result.proc.code != rows[i].code || !named ||
            strcmp(buf_str(&out), rows[i].out) != 0 || strcmp(buf_str(&errs), rows[i].err) != 0)
            fail_msg("%s: how %d, code %d, leaks '%s', stdout '%s', stderr '%s'", rows[i].name,
                     result.proc.how, result.proc.code, leaks, buf_str(&out), buf_str(&errs));
        assert_true(result.end_ns >= result.start_ns);
        assert_true(result.proc.ms < DEADLINE_MS);
        sandbox_result_release(&result);
    }
}

/* "PID NAME" in lines, one for each, and nobody lives afterwards. */
static void every_leak_is_one_line_and_is_killed(void **state)
{
    (void)state;
    need_root();
    CLEANUP(dir_remove) char *folder = dir_make();
    CLEANUP(io_free)
    char *script = io_format("mkfifo '%s/p'; sleep 600 3<>'%s/p' & sleep 601 4<>'%s/p' & exit 0",
                             folder, folder, folder);
    struct sandbox_result result = play(script, DEADLINE_MS);
    const char *at = buf_str(&result.leaks);
    int lines = 0;
    for (; *at; lines++) {
        char *end;
        assert_true(strtol(at, &end, 10) > 1);
        assert_memory_equal(end, " sleep\n", 7);
        at = end + 7;
    }
    assert_int_equal(lines, 2);
    sandbox_result_release(&result);
    CLEANUP(io_free) char *path = io_format("%s/p", folder);
    assert_int_equal(open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC), -1); /* no reader lives */
    assert_int_equal(errno, ENXIO);
}

static void daemon_that_ignores_signals_does_not_survive(void **state)
{
    (void)state;
    need_root();
    CLEANUP(io_free) char *program = realpath("/proc/self/exe", NULL);
    int64_t start = io_now_ms();
    struct sandbox_result result =
        play_argv((const char *const[]){program, "daemon", NULL}, DEADLINE_MS);
    assert_int_equal(result.proc.how, PROC_EXITED);
    assert_int_equal(result.proc.code, 0);
    assert_non_null(strstr(buf_str(&result.leaks), " test_sandbox\n"));
    assert_in_range(io_now_ms() - start, SANDBOX_GRACE_MS, DEADLINE_MS);
    sandbox_result_release(&result);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void backend_past_its_deadline_is_killed_with_all_it_started(void **state)
{
    (void)state;
    need_root();
    CLEANUP(dir_remove) char *folder = dir_make();
    CLEANUP(io_free)
    char *script = io_format("mkfifo '%s/p'; echo begun; sleep 600 3<>'%s/p'", folder, folder);
    struct sandbox_result result = play(script, 400);
    assert_int_equal(result.proc.how, PROC_TIMEOUT);
    assert_in_range(result.proc.ms, 400, DEADLINE_MS);
    assert_string_equal(buf_str(&result.proc.out.head), "begun\n");
    sandbox_result_release(&result);
    CLEANUP(io_free) char *path = io_format("%s/p", folder);
    assert_int_equal(open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC), -1);
    assert_int_equal(errno, ENXIO);
}

/* It ends itself after a while, for here nobody sweeps behind the init, as a trial's process does.
 */
static void backend_that_holds_its_init_up_is_over_in_time(void **state)
{
    (void)state;
    need_root();
    int64_t start_ms = io_now_ms();
    struct sandbox_result result =
        play("p=$PPID; hold() { i=0; while [ $i -lt 30000000 ]; do "
             "kill -STOP $p 2>/dev/null || exit 0; i=$((i + 1)); done; }; "
             "hold & hold & hold & hold",
             300);
    assert_int_equal(result.proc.how, PROC_TIMEOUT);
    assert_true(io_now_ms() - start_ms < 10000); /* the backend itself takes longer */
    sandbox_result_release(&result);
}

static void endless_output_is_cut_and_counted(void **state)
{
    (void)state;
    need_root();
    struct sandbox_result result =
        play("head -c 200000000 /dev/zero; echo end; echo last >&2", DEADLINE_MS);
    assert_int_equal(result.proc.how, PROC_EXITED);
    assert_int_equal(result.proc.out.size_bytes, 200000004);
    assert_int_equal(result.proc.out.head.len, CAPTURE_HEAD_BYTES);
    assert_int_equal(result.proc.out.tail.len, CAPTURE_TAIL_BYTES);
    CLEANUP(buf_release) struct buf out = BUF_INIT;
    capture_text(&result.proc.out, &out);
    assert_memory_equal(out.data + out.len - 4, "end\n", 4);
    assert_string_equal(buf_str(&result.proc.err.head), "last\n");
    sandbox_result_release(&result);
}

static void backend_that_cannot_be_executed_is_an_error(void **state)
{
    (void)state;
    need_root();
    static const struct {
        const char *name, *program, *cwd;
        int ret;
    } cases[] = {{"no such program", "/nonexistent", NULL, -ENOENT},
                 {"no program", "/etc/passwd", NULL, -EACCES},
                 {"no such folder", "true", "/nonexistent", -ENOENT}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sandbox_spec spec = {.argv = (const char *const[]){cases[i].program, NULL},
                                    .cwd = cases[i].cwd,
                                    .deadline_ms = DEADLINE_MS,
                                    .no_namespaces = no_namespaces};
        CLEANUP(sandbox_release) struct sandbox sandbox = SANDBOX_INIT;
        struct sandbox_result result = {.proc = PROC_RESULT_INIT};
        struct err err = {""};
        int ret = sandbox_start(&spec, &sandbox, &err);
        if (ret == 0)
            ret = sandbox_finish(&sandbox, &result, &err);
        if (ret != cases[i].ret || !strstr(err.msg, cases[i].program))
            fail_msg("%s: %d, '%s'", cases[i].name, ret, err.msg);
    }
}

static void backend_gets_folder_and_environment(void **state)
{
    (void)state;
    need_root();
    struct sandbox_spec spec = {.argv =
                                    (const char *const[]){"sh", "-c", "pwd; echo $A-$HOME", NULL},
                                .envp = (const char *const[]){"A=b", "PATH=/usr/bin:/bin", NULL},
                                .cwd = "/usr",
                                .deadline_ms = DEADLINE_MS,
                                .no_namespaces = no_namespaces};
    CLEANUP(sandbox_release) struct sandbox sandbox = SANDBOX_INIT;
    struct sandbox_result result = {.proc = PROC_RESULT_INIT};
    assert_int_equal(sandbox_start(&spec, &sandbox, NULL), 0);
    assert_int_equal(sandbox_finish(&sandbox, &result, NULL), 0);
    assert_string_equal(buf_str(&result.proc.out.head), "/usr\nb-\n");
    sandbox_result_release(&result);
}

static void two_backends_run_at_once(void **state)
{
    (void)state;
    need_root();
    struct sandbox_spec spec = {.argv = (const char *const[]){"sh", "-c", "sleep 0.3; pwd", NULL},
                                .deadline_ms = DEADLINE_MS,
                                .no_namespaces = no_namespaces};
    struct sandbox sandboxes[2];
    int64_t start = io_now_ms();
    for (size_t i = 0; i < 2; i++) {
        spec.cwd = i ? "/usr" : "/";
        assert_int_equal(sandbox_start(&spec, &sandboxes[i], NULL), 0);
    }
    for (size_t i = 0; i < 2; i++) {
        struct sandbox_result result = {.proc = PROC_RESULT_INIT};
        assert_int_equal(sandbox_finish(&sandboxes[i], &result, NULL), 0);
        assert_string_equal(buf_str(&result.proc.out.head), i ? "/usr\n" : "/\n");
        assert_true(result.start_ns / 1000000 - start < 300);
        sandbox_result_release(&result);
        sandbox_release(&sandboxes[i]);
    }
}

/* A caller that is killed between start and finish. */
static void backend_ends_with_its_caller(void **state)
{
    (void)state;
    need_root();
    CLEANUP(dir_remove) char *folder = dir_make();
    CLEANUP(io_free) char *path = io_format("%s/p", folder);
    CLEANUP(io_free) char *script = io_format("sleep 600 3<>'%s'", path);
    struct run made = run_sh("mkfifo '%s'", path);
    check_success(&made);
    run_release(&made);
    pid_t caller = fork();
    if (caller == 0) {
        struct sandbox_spec spec = {.argv = (const char *const[]){"sh", "-c", script, NULL},
                                    .deadline_ms = DEADLINE_MS,
                                    .no_namespaces = no_namespaces};
        struct sandbox sandbox = SANDBOX_INIT;
        if (sandbox_start(&spec, &sandbox, NULL) < 0)
            _exit(1);
        for (;;)
            pause();
    }
    int64_t deadline = io_now_ms() + DEADLINE_MS;
    int fd;
    while ((fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC)) < 0 && io_now_ms() < deadline)
        usleep(1000);
    assert_true(fd >= 0); /* the backend runs */
    io_close(&fd);
    kill(caller, SIGKILL);
    assert_int_equal(waitpid(caller, NULL, 0), caller);
    while ((fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC)) >= 0 && io_now_ms() < deadline) {
        io_close(&fd);
        usleep(1000);
    }
    assert_int_equal(fd, -1);
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return daemon_main();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(end_streams_and_leaks_are_told),
        cmocka_unit_test(every_leak_is_one_line_and_is_killed),
        cmocka_unit_test(daemon_that_ignores_signals_does_not_survive),
        cmocka_unit_test(backend_past_its_deadline_is_killed_with_all_it_started),
        cmocka_unit_test(backend_that_holds_its_init_up_is_over_in_time),
        cmocka_unit_test(endless_output_is_cut_and_counted),
        cmocka_unit_test(backend_that_cannot_be_executed_is_an_error),
        cmocka_unit_test(backend_gets_folder_and_environment),
        cmocka_unit_test(two_backends_run_at_once),
        cmocka_unit_test(backend_ends_with_its_caller),
    };
    int failed = cmocka_run_group_tests_name("sandbox", tests, NULL, NULL);
    no_namespaces = true;
    return failed + cmocka_run_group_tests_name("without namespaces", tests, NULL, NULL);
}
