#include "faultrun.h"
#include "random.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_KILLED 137
#define FILES 4
#define APPENDS 100

/* --- the command that runs under faultrun: this program, with arguments ------------------ */

/* Appends a letter a call, `times` of them (0: for ms) in each of n processes and files. */
static int append(int n, int times, int64_t ms)
{
    int64_t end_ms = io_now_ms() + ms;
    for (int i = 0; i < n; i++) {
        if (fork() != 0)
            continue;
        CLEANUP(io_free) char *name = io_format("f%d", i);
        int fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        int done = 0, lost = fd < 0;
        for (; times ? done < times : io_now_ms() < end_ms; done++) {
            char letter = (char)('a' + done % 26);
            lost |= write(fd, &letter, 1) != 1;
        }
        CLEANUP(io_free) char *line = io_format("f%d %d\n", i, done);
        _exit(lost || io_write_all(STDOUT_FILENO, line, strlen(line)) < 0);
    }
    int status, bad = 0;
    while (wait(&status) > 0)
        bad |= status;
    return bad != 0;
}

/* --- counts ---------------------------------------------------------------------------------- */

static char *this_program(void)
{
    return realpath("/proc/self/exe", NULL);
}

/* The bytes of D/fI, which must be the alphabet again and again; -1: there is no such file. */
static int count_letters(int i)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    CLEANUP(io_free) char *path = io_format("%s/f%d", getenv("D"), i);
    if (io_read_file(AT_FDCWD, path, &text, 64 << 20, NULL) < 0)
        return -1;
    for (size_t at = 0; at < text.len; at++)
        assert_int_equal(text.data[at], 'a' + (int)(at % 26));
    return (int)text.len;
}

static void a_kill_among_four_leaves_exactly_the_effects_before(void **state)
{
    (void)state;
    uint64_t ignored;
    struct random random = random_start(&ignored);
    CLEANUP(io_free) char *program = this_program();
    for (int round = 0; round < faultrun_rounds(20, 200); round++) {
        int point = 1 + (int)random_below(&random, FILES * (APPENDS + 1));
        CLEANUP(io_free)
        char *script = io_format("rm -f f*; exec $FR --point %d -- %s append %d %d 0", point,
                                 program, FILES, APPENDS);
        CLEANUP(run_release) struct run killed = faultrun_play(script);
        check_clean_failure(&killed, EXIT_KILLED);
        int effects = 0;
        for (int i = 0; i < FILES; i++)
            effects += 1 + count_letters(i);
        if (effects != point - 1)
            fail_msg("killed at point %d, found %d effects", point, effects);
    }
}

static void of_sixteen_writers_no_call_is_lost_or_doubled(void **state)
{
    (void)state;
    CLEANUP(io_free) char *program = this_program();
    CLEANUP(io_free)
    char *script = io_format("exec $FR --list --report 9 -- %s append 16 0 %d 9>list", program,
                             faultrun_rounds(1000, 5000));
    CLEANUP(io_free) char *out = faultrun_out(script);
    char *rest = out;
    int total = 0, n = 0;
    for (char *line; (line = strsep(&rest, "\n")) && *line; n++) {
        int i, count;
        assert_int_equal(sscanf(line, "f%d %d", &i, &count), 2);
        assert_int_equal(count_letters(i), count);
        total += 1 + count;
    }
    assert_int_equal(n, 16);
    CLEANUP(io_free) char *lines = faultrun_out("wc -l <list");
    assert_int_equal(atoi(lines), total);
    print_message("%d calls\n", total);
}

/* The last member's end closes the pipe, which nobody else has. */
static void wait_until_all_are_gone(int alive_fd)
{
    int64_t deadline_ms = io_now_ms() + 10000;
    char text[4096];
    for (ssize_t n = 1; n != 0;) {
        struct pollfd poll_fd = {alive_fd, POLLIN, 0};
        if (io_now_ms() > deadline_ms || poll(&poll_fd, 1, 10000) <= 0)
            fail_msg("somebody lives on");
        n = read(alive_fd, text, sizeof text);
    }
}

static void nobody_outlives_faultrun(void **state)
{
    (void)state;
    uint64_t ignored;
    struct random random = random_start(&ignored);
    CLEANUP(io_free) char *program = this_program();
    const char *argv[] = {getenv("FR"), "--list", "--report", "2",     "--", program,
                          "append",     "16",     "0",        "60000", NULL};
    for (int round = 0; round < faultrun_rounds(20, 200); round++) {
        CLEANUP(io_close) int alive_fd = -1, member_fd = -1;
        assert_int_equal(io_pipe(&alive_fd, &member_fd), 0);
        struct proc_spec spec = {.argv = argv,
                                 .cwd = getenv("D"),
                                 .stdin_fd = -1,
                                 .stdout_fd = member_fd,
                                 .stderr_fd = -1};
        struct err err;
        pid_t pid = proc_spawn(&spec, &err);
        if (pid < 0)
            fail_msg("%s", err.msg);
        io_close(&member_fd);
        poll(NULL, 0, (int)random_below(&random, 100));
        int status, signum = random_bit(&random) ? SIGKILL : SIGTERM;
        kill(pid, signum);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        wait_until_all_are_gone(alive_fd);
    }
}

/* --- not felt ----------------------------------------------------------------------------------
 */

static void pipelines_with_traps_do_not_feel_it(void **state)
{
    (void)state;
    CLEANUP(io_free)
    char *script = io_format(
        "cat >s <<'END'\n"
        "trap 'n=$((n+1))' CHLD\ni=0\nwhile [ $i -lt %d ]; do i=$((i+1))\n"
        "(echo $i; echo two) | cat | cat | cat | (read a; echo $a; cat) | cat | cat | cat | cat | "
        "(cat; echo $i >o; exit 7)\n"
        "echo $?\n(exit 5) & wait $! || echo w\ndone\nEND\n"
        "sh s >plain 2>&1; echo $? >>plain; $FR --list --report 9 -- sh s >traced 2>&1 9>list; "
        "echo $? >>traced; cmp plain traced && grep -c cat list; wc -l <plain",
        faultrun_rounds(200, 10000));
    CLEANUP(io_free) char *out = faultrun_out(script);
    CLEANUP(io_free) char *expected = io_format("0\n%d\n", faultrun_rounds(200, 10000) * 4 + 1);
    assert_string_equal(out, expected);
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "append") == 0)
        _exit(append(atoi(argv[2]), atoi(argv[3]), atoi(argv[4])));
    const struct CMUnitTest tests[] = {
        faultrun_test(a_kill_among_four_leaves_exactly_the_effects_before),
        faultrun_test(of_sixteen_writers_no_call_is_lost_or_doubled),
        faultrun_test(nobody_outlives_faultrun),
        faultrun_test(pipelines_with_traps_do_not_feel_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
