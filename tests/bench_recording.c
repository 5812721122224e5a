#include "bench.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fault/home.h"
#include "../scenarios/trial_run.h"

/* ms until two installs that began together have ended; making the copies is left out. */
static double time_two(const char *const *tool, bool pinned, const struct layout *layout,
                       const struct buf *ca)
{
    static const char *const names[] = {"a", "b"};
    pid_t pids[2];
    for (int i = 0; i < 2; i++)
        bench_make_copy(names[i], layout, ca);
    int64_t start_ns = io_now_ns();
    for (int i = 0; i < 2; i++)
        pids[i] = bench_start(tool, names[i], BENCH_INSTALL, pinned ? i : -1);
    for (int i = 0; i < 2; i++) {
        int status;
        bench_must(waitpid(pids[i], &status, 0) == pids[i] && status == 0, "install");
    }
    double ms = bench_ms_since(start_ns);
    for (int i = 0; i < 2; i++)
        bench_remove_copy(names[i]);
    return ms;
}

static double time_one(const char *const *tool, int core, const struct layout *layout,
                       const struct buf *ca)
{
    bench_make_copy("a", layout, ca);
    double ms = bench_run(tool, "a", BENCH_INSTALL, core);
    bench_remove_copy("a");
    return ms;
}

void bench_recording(void)
{
    struct err err;
    struct bench_strace theirs;
    CLEANUP(io_free) char *fixtures = NULL;
    CLEANUP(io_free) char *faultrun = NULL;
    CLEANUP(layout_release) struct layout layout = LAYOUT_INIT;
    CLEANUP(buf_release) struct buf ca = BUF_INIT;
    CLEANUP(buf_release) struct buf key = BUF_INIT;
    if (home_find("scenarios/fixtures", &fixtures, &err) < 0 ||
        home_find("bin/faultrun", &faultrun, &err) < 0 ||
        layout_open("bookworm", &layout, &err) < 0 ||
        trial_read_ca(fixtures, "ca", &ca, &key, &err) < 0)
        bench_give_up("bookworm", &err);
    bench_strace_init(&theirs, "/dev/null");
    const char *const plain[] = {NULL};
    const char *const ours[] = {faultrun, "--list", "--report", "2", "--", NULL};
    double plain_ms[ROUNDS], ours_ms[ROUNDS], core[ROUNDS], beside[ROUNDS], alone[ROUNDS],
        strace[ROUNDS];
    for (int i = -1; i < ROUNDS; i++) { /* the first round warms up */
        double base = time_one(plain, 0, &layout, &ca);
        double our = time_one(ours, 0, &layout, &ca);
        double two = time_two(plain, false, &layout, &ca);
        double our_two = time_two(ours, true, &layout, &ca);
        double free_base = time_one(plain, -1, &layout, &ca);
        double free_our = time_one(ours, -1, &layout, &ca);
        double their = time_one(theirs.argv, -1, &layout, &ca);
        if (i < 0)
            continue;
        plain_ms[i] = base;
        ours_ms[i] = our;
        core[i] = our / base;
        beside[i] = our_two / two;
        alone[i] = free_our / free_base;
        strace[i] = their / free_base;
    }
    free(theirs.trace);
    printf("The upstream install script on bookworm, all roots, %d rounds, medians:\n", ROUNDS);
    bench_print_row("in a plain chroot, on one core", "ms", plain_ms, ROUNDS);
    bench_print_row("every crash point recorded (faultrun --list), on one core", "ms", ours_ms,
                    ROUNDS);
    bench_print_row("recorded against plain, a core each (at most 1.10)", "times", core, ROUNDS);
    bench_print_row("two at once, each recorded on its core, against two plain", "times", beside,
                    ROUNDS);
    bench_print_row("recorded against plain, all cores free for one install", "times", alone,
                    ROUNDS);
    bench_print_row("strace -f --seccomp-bpf of the same calls, all cores free", "times", strace,
                    ROUNDS);
}
