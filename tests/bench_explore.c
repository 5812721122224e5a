#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fault/home.h"
#include "../scenarios/cmdline.h"
#include "../scenarios/explore.h"
#include "../scenarios/trial_run.h"

#define SAMPLES 9
#define COPIES 2
#define REPEATS 5 /* of an exploration that takes seconds */

struct lab {
    struct buf ca, key;
    char *faultrun;
    unsigned cores;
};

#define RECOVERIES ((size_t)SAMPLES * COPIES)

struct recovery {
    double ms[RECOVERIES];
};

/* --- the plain way ------------------------------------------------------------------------ */

/* A copy whose install was killed at that point. */
static void make_killed_copy(const struct lab *lab, const struct layout *layout, const char *name,
                             unsigned point)
{
    CLEANUP(io_free) char *number = io_format("%u", point);
    const char *const killer[] = {lab->faultrun, "--point", number, "--", NULL};
    int status;
    bench_make_copy(name, layout, &lab->ca);
    pid_t pid = bench_start(killer, name, BENCH_INSTALL, -1);
    bench_must(waitpid(pid, &status, 0) == pid, "install");
}

/* What a rerun in such a copy takes, while each core has one. */
static void time_recoveries(const struct lab *lab, const struct layout *layout, unsigned point,
                            double *ret_ms)
{
    static const char *const names[] = {"a", "b"};
    static const char *const plain[] = {NULL};
    pid_t pids[COPIES];
    int status;
    for (size_t i = 0; i < COPIES; i++)
        make_killed_copy(lab, layout, names[i], point);
    int64_t start_ns = io_now_ns();
    for (size_t i = 0; i < COPIES; i++)
        pids[i] = bench_start(plain, names[i], BENCH_INSTALL, (int)(i % lab->cores));
    for (size_t ended = 0; ended < COPIES; ended++) {
        pid_t pid = waitpid(-1, &status, 0);
        bench_must(pid > 0 && status == 0, "install");
        ret_ms[pid == pids[1]] = bench_ms_since(start_ns);
    }
    for (size_t i = 0; i < COPIES; i++)
        bench_remove_copy(names[i]);
}

/* Over points that are spread evenly. */
static struct recovery measure_recovery(const struct lab *lab, const struct layout *layout,
                                        size_t points)
{
    struct recovery recovery;
    for (size_t i = 0; i < SAMPLES; i++)
        time_recoveries(lab, layout, (unsigned)(1 + points * (2 * i + 1) / (2 * SAMPLES)),
                        &recovery.ms[i * COPIES]);
    return recovery;
}

static double mean(const struct recovery *recovery)
{
    double sum = 0;
    for (size_t i = 0; i < RECOVERIES; i++)
        sum += recovery->ms[i];
    return sum / (double)RECOVERIES;
}

/* Kills strace and its tree when it has told of so many calls; 0: never. Returns the calls. */
static size_t read_log(pid_t pid, size_t calls)
{
    CLEANUP(io_close) int fd = open("log", O_RDONLY | O_CLOEXEC);
    char chunk[4096];
    ssize_t n;
    size_t seen = 0;
    bench_must(fd >= 0, "log");
    while ((n = read(fd, chunk, sizeof chunk)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            seen += chunk[i] == '\n';
        if (calls && seen >= calls) {
            kill(-pid, SIGKILL);
            calls = 0;
        }
    }
    int status;
    bench_must(waitpid(pid, &status, 0) == pid, "strace");
    return seen;
}

/* ms of one point the way of strace: killed at a call, and run again; on a core by itself. */
static double time_strace(const struct lab *lab, const struct layout *layout,
                          const struct bench_strace *strace, size_t calls, size_t *ret_calls)
{
    const char *const plain[] = {NULL};
    bench_make_copy("a", layout, &lab->ca);
    int64_t start_ns = io_now_ns();
    *ret_calls = read_log(bench_start(strace->argv, "a", BENCH_INSTALL, 0), calls);
    bench_run(plain, "a", BENCH_INSTALL, 0);
    double ms = bench_ms_since(start_ns);
    bench_remove_copy("a");
    return ms;
}

static double median_strace(const struct lab *lab, const struct layout *layout)
{
    struct bench_strace strace;
    double ms[SAMPLES];
    size_t all, seen;
    bench_must(mkfifo("log", 0600) == 0, "log");
    bench_strace_init(&strace, "log");
    time_strace(lab, layout, &strace, 0, &all);
    for (size_t i = 0; i < SAMPLES; i++)
        ms[i] = time_strace(lab, layout, &strace, 1 + all * i / SAMPLES, &seen);
    free(strace.trace);
    unlink("log");
    return bench_median(ms, SAMPLES);
}

/* --- our way --------------------------------------------------------------------------------- */

struct measured {
    double wall_ms;
    double case_ms; /* of a core, while all have one */
    size_t cases, points, states;
};

static struct measured run_explore(const struct lab *lab, const char *layout, unsigned scopes,
                                   const char *settle, bool no_shortcut, unsigned rounds)
{
    const char *command[] = {"{bin}/provision-ca", "--policy",  "upstream", "--settle", settle,
                             "--machine",          "{machine}", "--plan",   "{plan}",   NULL};
    struct backend backend;
    struct exploration found;
    struct err err;
    if (backend_from_command(command, &backend, &err) < 0)
        bench_give_up("backend", &err);
    const struct explore_options options = {.backend = &backend,
                                            .backend_name = "upstream",
                                            .layout = layout,
                                            .backend_digest = "-",
                                            .layout_digest = "000000000000",
                                            .scopes = scopes,
                                            .depth = 1,
                                            .shard = SHARD_ALL,
                                            .call = RULE_EXEC,
                                            .nth = 1,
                                            .choice = CHOOSE_ALL,
                                            .no_shortcut = no_shortcut,
                                            .rounds = rounds,
                                            .jobs = lab->cores};
    int64_t start_ns = io_now_ns();
    int ret = explore(&options, &found, &err);
    if (ret < 0)
        bench_give_up(layout, &err);
    struct measured outcome = {.wall_ms = bench_ms_since(start_ns),
                               .case_ms = (double)found.play_ms * lab->cores /
                                          (double)(found.n_cases * (rounds ? rounds : 1)),
                               .cases = found.n_cases,
                               .points = found.points.count,
                               .states = found.points.n_states};
    exploration_release(&found);
    backend_release(&backend);
    return outcome;
}

/* --- rows ----------------------------------------------------------------------------------- */

static void open_layout(const char *name, struct layout *layout)
{
    struct err err;
    *layout = (struct layout)LAYOUT_INIT;
    if (layout_open(name, layout, &err) < 0)
        bench_give_up(name, &err);
}

static void print_number(const char *what, const char *unit, double value)
{
    printf("  %-62s %8.2f  %s\n", what, value, unit);
    fflush(stdout);
}

static void measure_whole(const struct lab *lab)
{
    CLEANUP(layout_release) struct layout layout;
    open_layout("bookworm", &layout);
    /* Before and after the recoveries: the machine's speed drifts. */
    struct measured whole[2];
    whole[0] = run_explore(lab, "bookworm", EXPLORE_TREE, "1", false, 0);
    struct recovery recovery = measure_recovery(lab, &layout, whole[0].points);
    whole[1] = run_explore(lab, "bookworm", EXPLORE_TREE, "1", false, 0);
    double recovery_ms = bench_median(recovery.ms, RECOVERIES);
    double whole_ms = (whole[0].wall_ms + whole[1].wall_ms) / 2;
    struct measured ours = run_explore(lab, "bookworm", EXPLORE_TREE, "0", false, 1);
    struct measured real = run_explore(lab, "bookworm", EXPLORE_TREE, "0", true, 1);
    double strace_ms = median_strace(lab, &layout);
    double least_ms = (double)whole[0].states * recovery_ms / lab->cores;
    printf("Every crash point of upstream on bookworm, all roots, tree scope: %zu states, %u "
           "cores\n",
           whole[0].states, lab->cores);
    print_number("a plain recovery install, one a core, median over 9 points", "ms", recovery_ms);
    print_number("the whole exploration, settle 1 s, before it", "s", whole[0].wall_ms / 1e3);
    print_number("and after it", "s", whole[1].wall_ms / 1e3);
    print_number("their mean against states x recovery / cores (at most 1.25)", "times",
                 whole_ms / least_ms);
    print_number("a point whose state is put in place: its retry and the audit", "ms of a core",
                 ours.case_ms);
    print_number("a point whose prefix is executed again, against it (at least 1.35)", "times",
                 real.case_ms / ours.case_ms);
    print_number("strace, killed at a call, and a rerun, against a point of ours", "times",
                 strace_ms / ours.case_ms);
}

/* How the cost of a point grows with the roots; without settling, which takes no core. */
static void measure_growth(const struct lab *lab)
{
    /* Of few cases many rounds, so that the last ones, beside which a core has none, are few. */
    static const struct {
        const char *layout;
        unsigned rounds;
        size_t repeats;
    } rows[] = {{"bookworm-mini", 8, REPEATS},
                {"bookworm-20", 4, REPEATS},
                {"bookworm-80", 1, 3},
                {"bookworm", 1, 3}};
    printf("A point of tree scope (state put in place, retry, audit; no settle) against a plain "
           "recovery install, both the mean over the points:\n");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(layout_release) struct layout layout;
        double ratios[REPEATS], harness[REPEATS];
        open_layout(rows[i].layout, &layout);
        for (size_t k = 0; k < rows[i].repeats; k++) {
            struct measured ours =
                run_explore(lab, rows[i].layout, EXPLORE_TREE, "0", false, rows[i].rounds);
            struct recovery recovery = measure_recovery(lab, &layout, ours.points);
            double recovery_ms = mean(&recovery);
            ratios[k] = ours.case_ms / recovery_ms;
            harness[k] = ours.case_ms - recovery_ms;
        }
        CLEANUP(io_free) char *what = io_format("%s, %d roots", rows[i].layout, layout.roots);
        bench_print_row(what, "times", ratios, rows[i].repeats);
        bench_print_row("  more than the install", "ms", harness, rows[i].repeats);
    }
}

static void measure_minis(const struct lab *lab)
{
    static const char *const names[] = {"bullseye-mini", "bookworm-mini", "trixie-mini"};
    printf("Five roots, tree and process scope, every point (under 60 s is wanted):\n");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct measured ours =
            run_explore(lab, names[i], EXPLORE_TREE | EXPLORE_PROCESS, "1", false, 0);
        CLEANUP(io_free) char *what = io_format("%s, %zu cases", names[i], ours.cases);
        print_number(what, "s", ours.wall_ms / 1e3);
    }
}

static void run_part(void (*part)(const struct lab *lab))
{
    struct err err;
    CLEANUP(io_free) char *fixtures = NULL;
    struct lab lab = {.cores = cmdline_cores()};
    if (home_find("scenarios/fixtures", &fixtures, &err) < 0 ||
        home_find("bin/faultrun", &lab.faultrun, &err) < 0 ||
        trial_read_ca(fixtures, "ca", &lab.ca, &lab.key, &err) < 0)
        bench_give_up("fixtures", &err);
    part(&lab);
    buf_release(&lab.ca);
    buf_release(&lab.key);
    io_free(&lab.faultrun);
}

void bench_explore(void)
{
    run_part(measure_whole);
}

void bench_growth(void)
{
    run_part(measure_growth);
}

void bench_minis(void)
{
    run_part(measure_minis);
}
