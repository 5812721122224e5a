#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fault/proc.h"

/* --- capture ------------------------------------------------------------------------ */

/* Byte i of an endless stream that shows where it was cut. */
static char stream_byte(uint64_t i)
{
    return (char)('a' + (i * 7 + i / 1000) % 26);
}

static void check_capture(size_t total, size_t piece)
{
    struct capture capture = CAPTURE_INIT;
    CLEANUP(buf_release) struct buf all = BUF_INIT;
    CLEANUP(buf_release) struct buf expected = BUF_INIT;
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    for (size_t i = 0; i < total; i++) {
        char byte = stream_byte(i);
        buf_append(&all, &byte, 1);
    }
    for (size_t at = 0; at < total; at += piece)
        capture_add(&capture, all.data + at, total - at < piece ? total - at : piece);
    const size_t most = CAPTURE_HEAD_BYTES + CAPTURE_TAIL_BYTES;
    if (total <= most)
        buf_append(&expected, buf_str(&all), all.len);
    else {
        buf_append(&expected, all.data, CAPTURE_HEAD_BYTES);
        buf_printf(&expected, "\n[%zu bytes left out]\n", total - most);
        buf_append(&expected, all.data + total - CAPTURE_TAIL_BYTES, CAPTURE_TAIL_BYTES);
    }
    capture_text(&capture, &text);
    if (capture.size_bytes != total || text.len != expected.len ||
        memcmp(buf_str(&text), buf_str(&expected), text.len) != 0)
        fail_msg("%zu bytes in pieces of %zu are not kept right", total, piece);
    capture_release(&capture);
    assert_int_equal(capture.size_bytes, 0);
}

static void capture_keeps_the_first_and_the_last_bytes(void **state)
{
    (void)state;
    static const size_t totals[] = {0,      1,      65535,  65536,  65537,
                                    131071, 131072, 131073, 200000, 400001};
    static const size_t pieces[] = {1, 1000, 65536, 65537, 300000};
    for (size_t i = 0; i < sizeof totals / sizeof *totals; i++)
        for (size_t k = 0; k < sizeof pieces / sizeof *pieces; k++)
            check_capture(totals[i], pieces[k]);
}

/* --- running -------------------------------------------------------------------------- */

static const struct row {
    const char *name, *script;
    const char *input; /* NULL: none, stdin is /dev/null */
    enum proc_how how;
    int code;
    const char *out, *err;
} rows[] = {
    {"exit status", "exit 3", NULL, PROC_EXITED, 3, "", ""},
    {"both streams", "echo o; echo e >&2", NULL, PROC_EXITED, 0, "o\n", "e\n"},
    {"signal", "kill -TERM $$", NULL, PROC_SIGNALED, SIGTERM, "", ""},
    {"status above 128 is no signal", "exit 137", NULL, PROC_EXITED, 137, "", ""},
    {"input", "cat", "abc", PROC_EXITED, 0, "abc", ""},
    {"empty input", "cat; echo end", "", PROC_EXITED, 0, "end\n", ""},
    {"nobody reads the input", "exec <&-; sleep 0.05; echo end", "abc", PROC_EXITED, 0, "end\n",
     ""},
    {"no input", "cat; echo end", NULL, PROC_EXITED, 0, "end\n", ""},
    {"an orphan's output is waited for", "(sleep 0.1; echo late) & echo soon", NULL, PROC_EXITED, 0,
     "soon\nlate\n", ""},
    {"signals come as usual", "kill -PIPE $$", NULL, PROC_SIGNALED, SIGPIPE, "", ""},
    {"no signal is blocked", "grep -c '^SigBlk:.0000000000000000$' /proc/self/status", NULL,
     PROC_EXITED, 0, "1\n", ""},
};

static struct proc_result run_script(const char *script, const char *input, int64_t timeout_ms)
{
    struct proc_spec spec = {.argv = (const char *const[]){"sh", "-c", script, NULL},
                             .stdin_fd = -1};
    struct proc_result result = PROC_RESULT_INIT;
    struct err err = {""};
    CLEANUP(buf_release) struct buf bytes = BUF_INIT;
    buf_add(&bytes, input ? input : "");
    if (proc_run(&spec, input ? &bytes : NULL, timeout_ms, &result, &err) < 0)
        fail_msg("%s", err.msg);
    return result;
}

static void run_tells_end_and_streams(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(proc_result_release)
        struct proc_result result = run_script(rows[i].script, rows[i].input, -1);
        CLEANUP(buf_release) struct buf out = BUF_INIT;
        CLEANUP(buf_release) struct buf errs = BUF_INIT;
        capture_text(&result.out, &out);
        capture_text(&result.err, &errs);
        if (result.how != rows[i].how || result.code != rows[i].code ||
            strcmp(buf_str(&out), rows[i].out) != 0 || strcmp(buf_str(&errs), rows[i].err) != 0)
            fail_msg("%s: how %d, code %d, stdout '%s', stderr '%s'", rows[i].name, result.how,
                     result.code, buf_str(&out), buf_str(&errs));
    }
}

static void run_ends_a_program_past_its_time(void **state)
{
    (void)state;
    CLEANUP(proc_result_release)
    struct proc_result result = run_script("echo begun; exec sleep 60", NULL, 200);
    assert_int_equal(result.how, PROC_TIMEOUT);
    assert_int_equal(result.code, 0);
    assert_in_range(result.ms, 200, 10000);
    assert_string_equal(buf_str(&result.out.head), "begun\n");
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nothing is left to reap */
    assert_int_equal(errno, ECHILD);
}

static void run_moves_more_than_pipes_hold_in_all_directions(void **state)
{
    (void)state;
    CLEANUP(buf_release) struct buf input = BUF_INIT;
    while (input.len < 3000000)
        buf_add(&input, "0123456789abcde\n");
    struct proc_spec spec = {.argv = (const char *const[]){"tee", "/dev/stderr", NULL},
                             .stdin_fd = -1};
    CLEANUP(proc_result_release) struct proc_result result = PROC_RESULT_INIT;
    assert_int_equal(proc_run(&spec, &input, 60000, &result, NULL), 0);
    assert_int_equal(result.how, PROC_EXITED);
    assert_int_equal(result.out.size_bytes, input.len);
    assert_int_equal(result.err.size_bytes, input.len);
}

static void run_leaves_other_children_and_the_mask_alone(void **state)
{
    (void)state;
    struct proc_spec spec = {.argv = (const char *const[]){"true", NULL}, .stdin_fd = -1};
    spec.stdout_fd = spec.stderr_fd = -1;
    pid_t other = proc_spawn(&spec, NULL);
    assert_true(other > 0);
    CLEANUP(proc_result_release) struct proc_result result = run_script("sleep 0.1", "x", -1);
    assert_int_equal(result.how, PROC_EXITED);
    int status;
    assert_int_equal(waitpid(other, &status, 0), other);
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    assert_false(sigismember(&mask, SIGCHLD));
    assert_false(sigismember(&mask, SIGPIPE));
}

static void spawn_says_why_nothing_started(void **state)
{
    (void)state;
    static const struct {
        const char *name, *program, *cwd;
        int ret;
        const char *text;
    } cases[] = {
        {"no such program", "/nonexistent", NULL, -ENOENT, "execute /nonexistent: No such file"},
        {"not in PATH", "no-such-program", NULL, -ENOENT, "execute no-such-program: "},
        {"no program", "/etc/passwd", NULL, -EACCES, "execute /etc/passwd: Permission denied"},
        {"no such folder", "true", "/nonexistent", -ENOENT, "change folder for true: No such file"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct proc_spec spec = {.argv = (const char *const[]){cases[i].program, NULL},
                                 .cwd = cases[i].cwd,
                                 .stdin_fd = -1,
                                 .stdout_fd = -1,
                                 .stderr_fd = -1};
        struct err err = {""};
        if (proc_spawn(&spec, &err) != cases[i].ret || !strstr(err.msg, cases[i].text))
            fail_msg("%s: '%s'", cases[i].name, err.msg);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    }
}

static void spawn_gives_folder_environment_and_session(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    struct proc_spec spec = {
        .argv = (const char *const[]){"sh", "-c",
                                      "pwd; echo $A-$HOME; cut -d' ' -f1,6 /proc/$$/stat", NULL},
        .envp = (const char *const[]){"A=b", "PATH=/usr/bin:/bin", NULL},
        .cwd = "/usr",
        .stdin_fd = -1,
        .stdout_fd = fds[1],
        .stderr_fd = -1,
        .new_session = true};
    pid_t pid = proc_spawn(&spec, NULL);
    assert_true(pid > 0);
    io_close(&fds[1]);
    CLEANUP(buf_release) struct buf out = BUF_INIT;
    assert_int_equal(io_read_all(fds[0], &out, 1000), 0);
    io_close(&fds[0]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    CLEANUP(io_free) char *expected = io_format("/usr\nb-\n%d %d\n", (int)pid, (int)pid);
    assert_string_equal(buf_str(&out), expected);
}

/* All places in which 0, 1 and 2 may stand; 0 is the input, 1 and 2 the outputs. */
static void spawn_takes_its_descriptors_from_anywhere(void **state)
{
    (void)state;
    struct run swapped = run_sh("exec 3>&1 4>&2; { echo o; echo e >&2; } 1>&4 2>&3");
    assert_string_equal(swapped.out, "e\n");
    assert_string_equal(swapped.err, "o\n");
    run_release(&swapped);
    int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10), fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
    /* Our 2 is to be the child's 1, and /dev/null its 2. */
    struct proc_spec spec = {.argv = (const char *const[]){"sh", "-c", "echo o; echo e >&2", NULL},
                             .stdin_fd = -1,
                             .stdout_fd = STDERR_FILENO,
                             .stderr_fd = -1};
    pid_t pid = proc_spawn(&spec, NULL);
    dup2(saved, STDERR_FILENO);
    io_close(&saved);
    io_close(&fds[1]);
    CLEANUP(buf_release) struct buf out = BUF_INIT;
    int ret = io_read_all(fds[0], &out, 1000);
    io_close(&fds[0]);
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(ret, 0);
    assert_string_equal(buf_str(&out), "o\n");
}

/* A parent that ends takes its child along: the pipe's other end is closed soon. */
static void death_signal_ends_the_child_with_its_parent(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pid_t parent = fork();
    if (parent == 0) {
        struct proc_spec spec = {.argv = (const char *const[]){"sleep", "60", NULL},
                                 .stdin_fd = -1,
                                 .stdout_fd = fds[1],
                                 .stderr_fd = -1,
                                 .death_signal = SIGKILL};
        _exit(proc_spawn(&spec, NULL) > 0 ? 0 : 1);
    }
    io_close(&fds[1]);
    int status;
    assert_int_equal(waitpid(parent, &status, 0), parent);
    assert_int_equal(status, 0);
    int64_t start = io_now_ms();
    char byte;
    assert_int_equal(read(fds[0], &byte, 1), 0);
    assert_true(io_now_ms() - start < 20000);
    io_close(&fds[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(capture_keeps_the_first_and_the_last_bytes),
        cmocka_unit_test(run_tells_end_and_streams),
        cmocka_unit_test(run_ends_a_program_past_its_time),
        cmocka_unit_test(run_moves_more_than_pipes_hold_in_all_directions),
        cmocka_unit_test(run_leaves_other_children_and_the_mask_alone),
        cmocka_unit_test(spawn_says_why_nothing_started),
        cmocka_unit_test(spawn_gives_folder_environment_and_session),
        cmocka_unit_test(spawn_takes_its_descriptors_from_anywhere),
        cmocka_unit_test(death_signal_ends_the_child_with_its_parent),
    };
    return cmocka_run_group_tests_name("proc", tests, NULL, NULL);
}
