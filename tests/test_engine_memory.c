#include "faultrun.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* The number in a line of /proc/PID/status. */
static long read_status(const char *pid, const char *key)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    CLEANUP(io_free) char *path = io_format("/proc/%s/status", pid);
    if (io_read_file(AT_FDCWD, path, &text, 1 << 16, NULL) < 0)
        return -1;
    const char *line = strstr(buf_str(&text), key);
    return line ? strtol(line + strlen(key), NULL, 10) : -1;
}

/* Changes files by so many calls, and says how the tracer's memory grew after a quarter of them:
 * malloc(3) takes what it has, 128 KiB, before it looks for what was freed. */
static int churn(int calls)
{
    CLEANUP(io_free) char *tracer = io_format("%ld", read_status("self", "TracerPid:"));
    long early_kib = -1;
    for (int i = 0; i < calls; i += 5) {
        int fd = open("a", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (write(fd, "x", 1) != 1 || fchmod(fd, 0600) < 0 || rename("a", "b") < 0 ||
            unlink("b") < 0)
            return 1;
        close(fd);
        if (early_kib < 0 && i >= calls / 4)
            early_kib = read_status(tracer, "VmHWM:");
    }
    dprintf(STDOUT_FILENO, "%ld %ld\n", early_kib, read_status(tracer, "VmHWM:"));
    return 0;
}

static void memory_is_flat(void **state)
{
    (void)state;
    static const char *const ways[] = {"--inject write:path=/nowhere", "--list --report 9"};
    CLEANUP(io_free) char *program = realpath("/proc/self/exe", NULL);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        CLEANUP(io_free)
        char *script = io_format("$FR %s -- %s churn %d 9>/dev/null 2>/dev/null || "
                                 "test $? = 125",
                                 /* a rule that never fires */ ways[i], program,
                                 faultrun_rounds(120000, 1000000));
        CLEANUP(io_free) char *out = faultrun_out(script);
        long early_kib, late_kib;
        assert_int_equal(sscanf(out, "%ld %ld", &early_kib, &late_kib), 2);
        print_message("%s: %ld KiB, then %ld KiB\n", ways[i], early_kib, late_kib);
        assert_true(early_kib > 0);
        assert_int_equal(late_kib, early_kib);
    }
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "churn") == 0)
        _exit(churn(atoi(argv[2])));
    const struct CMUnitTest tests[] = {faultrun_test(memory_is_flat)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
