#include "bench.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fakes/container.h"
#include "../fault/home.h"
#include "../scenarios/audit.h"
#include "../scenarios/trial_run.h"

/* The least that a machine can cost: namespaces, overlay, a process, and all of it gone. */
static double bare_machine(const struct layout *layout, const char *folder)
{
    int64_t start_ns = io_now_ns();
    pid_t outer = fork();
    if (outer == 0) {
        if (unshare(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC) < 0)
            _exit(1);
        pid_t inner = fork();
        if (inner == 0) {
            CLEANUP(io_free)
            char *options = io_format("lowerdir=%s,upperdir=%s/upper,workdir=%s/work",
                                      layout->layers[0], folder, folder);
            CLEANUP(io_free) char *merged = io_format("%s/merged", folder);
            bool done = mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
                        mount("overlay", merged, "overlay", 0, options) == 0 && chroot(merged) == 0;
            _exit(done ? 0 : 1);
        }
        int status = 1;
        waitpid(inner, &status, 0);
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
    }
    int status = 1;
    waitpid(outer, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? bench_ms_since(start_ns) : -1;
}

static const struct plan plan_items[] = {{.routes = (const char *const[]){"api.example.com", NULL},
                                          .egress = "ca",
                                          .pipelock = "pipelock",
                                          .chosen = "ca",
                                          .label = LABEL_EGRESS}};

/* A whole trial with a backend that does nothing, audit and judgement left out. */
static double whole_trial(const struct trial_setup *setup, const char *layout, double *ret_audit_ms)
{
    static const char *const none[] = {NULL};
    const struct scenario scenario = {.path = "bench",
                                      .id = "bench",
                                      .needs = none,
                                      .plan_count = 1,
                                      .plans = plan_items,
                                      .run_ms = 30000,
                                      .faults = none,
                                      .expect = {.exit = -1, .contains = none}};
    char id[] = "bench";
    const struct trial trial = {.scenario = &scenario, .id = id, .layout = layout};
    struct evidence evidence = {.runs = NULL};
    struct err err;
    int64_t start_ns = io_now_ns();
    int ret = trial_run(setup, &trial, &evidence, &err);
    if (ret < 0)
        bench_give_up("trial", &err);
    io_remove_tree(AT_FDCWD, setup->folder, NULL);
    double all_ms = bench_ms_since(start_ns);
    double backend_ms =
        (double)(evidence.runs[0].sandbox.end_ns - evidence.runs[0].sandbox.start_ns) / 1e6;
    *ret_audit_ms = evidence.audit_ms;
    evidence_release(&evidence);
    return all_ms - backend_ms - *ret_audit_ms;
}

static void bench_layout(const char *state, const char *layout_name)
{
    struct err err;
    CLEANUP(io_free) char *fixtures = NULL;
    CLEANUP(layout_release) struct layout layout = LAYOUT_INIT;
    if (home_find("scenarios/fixtures", &fixtures, &err) < 0 ||
        layout_open(layout_name, &layout, &err) < 0)
        bench_give_up(layout_name, &err);
    CLEANUP(io_free) char *bare = io_format("%s/bare", state);
    static const char *const below[] = {"upper", "work", "merged"};
    for (size_t i = 0; i < 3; i++) {
        CLEANUP(io_free) char *path = io_format("%s/%s", bare, below[i]);
        if (io_make_dirs(path, 0755, &err) < 0)
            bench_give_up(path, &err);
    }
    struct backend backend;
    if (backend_from_command((const char *const[]){"true", NULL}, &backend, &err) < 0)
        bench_give_up("backend", &err);
    double trial_ms[ROUNDS], bare_ms[ROUNDS], audit_ms[ROUNDS], more_ms[ROUNDS], both_ms[ROUNDS];
    CLEANUP(io_free) char *folder = io_format("%s/t", state);
    CLEANUP(audit_known_release) struct audit_known known = {0};
    CLEANUP(buf_release) struct buf ca = BUF_INIT;
    CLEANUP(buf_release) struct buf key = BUF_INIT;
    audit_learn(layout.layers[0], &known); /* as the runner does before its first trial */
    if (trial_read_ca(fixtures, "ca", &ca, &key, &err) < 0)
        bench_give_up(fixtures, &err);
    audit_learn_ca(&ca, &key, &known);
    const struct trial_setup setup = {folder, fixtures, &backend, &known, &container_namespaces};
    for (int i = -1; i < ROUNDS; i++) { /* the first round warms up */
        double audit, bare_one = bare_machine(&layout, bare);
        double trial_one = whole_trial(&setup, layout_name, &audit);
        if (i < 0)
            continue;
        bare_ms[i] = bare_one;
        trial_ms[i] = trial_one;
        audit_ms[i] = audit;
        more_ms[i] = trial_one - bare_one;
        both_ms[i] = trial_one + audit;
    }
    backend_release(&backend);
    printf("A trial of a backend that does nothing, layout %s, %d pairs, medians:\n", layout_name,
           ROUNDS);
    bench_print_row("harness time, machine's start to its folder's removal", "ms", trial_ms,
                    ROUNDS);
    bench_print_row("a bare machine: namespaces, overlay, chroot, tear-down", "ms", bare_ms,
                    ROUNDS);
    bench_print_row("difference, pair by pair", "ms", more_ms, ROUNDS);
    bench_print_row("the audit of the store, not in the above", "ms", audit_ms, ROUNDS);
    bench_print_row("harness and audit together (at most 25 is wanted)", "ms", both_ms, ROUNDS);
}

void bench_trials(const char *state)
{
    bench_layout(state, "bookworm-mini");
    bench_layout(state, "bookworm");
}
