/*
 * bench: paired timings, printed as ratios and differences, never asserted.
 *
 * Each pair is measured in one loop, A B A B, so that a drift of the machine's speed
 * meets both. Medians are printed with minimum and maximum.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fakes/client.h"
#include "../fakes/layout.h"
#include "../fakes/state.h"
#include "../fault/home.h"
#include "../fault/op.h"
#include "../fault/proc.h"
#include "../scenarios/audit.h"
#include "../scenarios/trial_run.h"

#define ROUNDS 41

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static void print_row(const char *what, const char *unit, double *values, size_t n)
{
    qsort(values, n, sizeof *values, compare);
    printf("  %-58s %8.2f  (%.2f to %.2f) %s\n", what, values[n / 2], values[0], values[n - 1],
           unit);
}

static void give_up(const char *what, const struct err *err)
{
    fprintf(stderr, "bench: %s: %s\n", what, err->msg);
    exit(3);
}

static double ms_since(int64_t start_ns)
{
    return (double)(io_now_ns() - start_ns) / 1e6;
}

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
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? ms_since(start_ns) : -1;
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
        give_up("trial", &err);
    io_remove_tree(AT_FDCWD, setup->folder, NULL);
    double all_ms = ms_since(start_ns);
    double backend_ms =
        (double)(evidence.runs[0].sandbox.end_ns - evidence.runs[0].sandbox.start_ns) / 1e6;
    *ret_audit_ms = evidence.audit_ms;
    evidence_release(&evidence);
    return all_ms - backend_ms - *ret_audit_ms;
}

static void bench_trial(const char *state, const char *layout_name)
{
    struct err err;
    CLEANUP(io_free) char *fixtures = NULL;
    CLEANUP(layout_release) struct layout layout = LAYOUT_INIT;
    if (home_find("scenarios/fixtures", &fixtures, &err) < 0 ||
        layout_open(layout_name, &layout, &err) < 0)
        give_up(layout_name, &err);
    CLEANUP(io_free) char *bare = io_format("%s/bare", state);
    static const char *const below[] = {"upper", "work", "merged"};
    for (size_t i = 0; i < 3; i++) {
        CLEANUP(io_free) char *path = io_format("%s/%s", bare, below[i]);
        if (io_make_dirs(path, 0755, &err) < 0)
            give_up(path, &err);
    }
    struct backend backend;
    if (backend_from_command((const char *const[]){"true", NULL}, &backend, &err) < 0)
        give_up("backend", &err);
    double trial_ms[ROUNDS], bare_ms[ROUNDS], audit_ms[ROUNDS], more_ms[ROUNDS], both_ms[ROUNDS];
    CLEANUP(io_free) char *folder = io_format("%s/t", state);
    CLEANUP(audit_known_release) struct audit_known known = {0};
    CLEANUP(buf_release) struct buf ca = BUF_INIT;
    CLEANUP(buf_release) struct buf key = BUF_INIT;
    audit_learn(layout.layers[0], &known); /* as the runner does before its first trial */
    if (trial_read_ca(fixtures, "ca", &ca, &key, &err) < 0)
        give_up(fixtures, &err);
    audit_learn_ca(&ca, &key, &known);
    const struct trial_setup setup = {folder, fixtures, &backend, &known};
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
    print_row("harness time, machine's start to its folder's removal", "ms", trial_ms, ROUNDS);
    print_row("a bare machine: namespaces, overlay, chroot, tear-down", "ms", bare_ms, ROUNDS);
    print_row("difference, pair by pair", "ms", more_ms, ROUNDS);
    print_row("the audit of the store, not in the above", "ms", audit_ms, ROUNDS);
    print_row("harness and audit together (at most 25 is wanted)", "ms", both_ms, ROUNDS);
}

/* --- the engine ---------------------------------------------------------------------------- */

#define CA "/usr/local/share/ca-certificates/ca.crt"

/* The upstream script, as provision-ca has it executed. */
static const char install[] = "chown root:root " CA " && chmod 644 " CA
                              " && update-ca-certificates && openssl verify -CAfile "
                              "/etc/ssl/certs/ca-certificates.crt " CA;

static void must(bool done, const char *what)
{
    if (done)
        return;
    fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
    exit(3);
}

/* A fresh copy of the layout, in memory, at NAME/root. */
static void make_copy(const char *name, const struct layout *layout, const struct buf *ca)
{
    static const char *const below[] = {"upper", "work", "root"};
    CLEANUP(io_free)
    char *options =
        io_format("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", layout->layers[0], name, name);
    must(mount("none", name, "tmpfs", 0, NULL) == 0, "tmpfs");
    for (size_t i = 0; i < 3; i++) {
        CLEANUP(io_free) char *path = io_format("%s/%s", name, below[i]);
        must(mkdir(path, 0755) == 0, path);
    }
    CLEANUP(io_free) char *root = io_format("%s/root", name);
    CLEANUP(io_free) char *proc = io_format("%s/proc", root);
    CLEANUP(io_free) char *file = io_format("%s" CA, root);
    must(mount("none", root, "overlay", 0, options) == 0, root);
    must(mount("none", proc, "proc", 0, NULL) == 0, proc);
    must(io_write_file(AT_FDCWD, file, ca->data, ca->len, 0644, NULL) == 0, file);
}

static void remove_copy(const char *name)
{
    CLEANUP(io_free) char *root = io_format("%s/root", name);
    CLEANUP(io_free) char *proc = io_format("%s/proc", root);
    must(umount2(proc, 0) == 0 && umount2(root, 0) == 0 && umount2(name, 0) == 0, "umount");
}

/* Starts `tool chroot NAME/root sh -c install`, on a core by itself unless that is negative. */
static pid_t start_install(const char *const *tool, const char *name, int core)
{
    CLEANUP(io_free) char *root = io_format("%s/root", name);
    CLEANUP(io_free) char *number = io_format("%d", core);
    const char *argv[24];
    size_t n = 0;
    if (core >= 0) {
        argv[n++] = "taskset";
        argv[n++] = "-c";
        argv[n++] = number;
    }
    while (*tool)
        argv[n++] = *tool++;
    const char *const chrooted[] = {"chroot", root, "sh", "-c", install, NULL};
    memcpy(&argv[n], chrooted, sizeof chrooted);
    const struct proc_spec spec = {.argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1};
    struct err err;
    pid_t pid = proc_spawn(&spec, &err);
    if (pid < 0)
        give_up(argv[0], &err);
    return pid;
}

/* ms until all of n installs that began together have ended; making the copies is left out. */
static double time_installs(const char *const *tool, int n, bool pinned,
                            const struct layout *layout, const struct buf *ca)
{
    static const char *const names[] = {"a", "b"};
    pid_t pids[2];
    for (int i = 0; i < n; i++)
        make_copy(names[i], layout, ca);
    int64_t start_ns = io_now_ns();
    for (int i = 0; i < n; i++)
        pids[i] = start_install(tool, names[i], pinned ? i : -1);
    for (int i = 0; i < n; i++) {
        int status;
        must(waitpid(pids[i], &status, 0) == pids[i] && status == 0, "install");
    }
    double ms = ms_since(start_ns);
    for (int i = 0; i < n; i++)
        remove_copy(names[i]);
    return ms;
}

/* The engine's calls for strace, which knows the FICLONE ioctls as ioctl. */
static char *trace_option(void)
{
    char *list = NULL;
    size_t size, n;
    FILE *file = open_memstream(&list, &size);
    if (!file)
        abort();
    fputs("trace=execve,ioctl", file);
    const struct op_call *calls = op_calls(&n);
    for (size_t i = 0; i < n; i++) {
        if (strncmp(calls[i].name, "ficlone", 7) != 0)
            fprintf(file, ",?%s", calls[i].name);
    }
    if (fclose(file) != 0)
        abort();
    return list;
}

/* In a mount namespace of this process's own. */
static void bench_recording(const char *state)
{
    struct err err;
    CLEANUP(io_free) char *fixtures = NULL;
    CLEANUP(io_free) char *faultrun = NULL;
    CLEANUP(io_free) char *trace = trace_option();
    CLEANUP(layout_release) struct layout layout = LAYOUT_INIT;
    CLEANUP(buf_release) struct buf ca = BUF_INIT;
    CLEANUP(buf_release) struct buf key = BUF_INIT;
    if (home_find("scenarios/fixtures", &fixtures, &err) < 0 ||
        home_find("bin/faultrun", &faultrun, &err) < 0 ||
        layout_open("bookworm", &layout, &err) < 0 ||
        trial_read_ca(fixtures, "ca", &ca, &key, &err) < 0)
        give_up("bookworm", &err);
    must(unshare(CLONE_NEWNS) == 0 && mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0,
         "mount namespace");
    must(chdir(state) == 0 && mkdir("a", 0755) == 0 && mkdir("b", 0755) == 0, state);

    const char *const plain[] = {NULL};
    const char *const ours[] = {faultrun, "--list", "--report", "2", "--", NULL};
    const char *const theirs[] = {"strace",    "-f", "--seccomp-bpf", "-o",
                                  "/dev/null", "-e", trace,           NULL};
    double plain_ms[ROUNDS], ours_ms[ROUNDS], alone[ROUNDS], beside[ROUNDS], strace[ROUNDS];
    for (int i = -1; i < ROUNDS; i++) { /* the first round warms up */
        double base = time_installs(plain, 1, false, &layout, &ca);
        double our = time_installs(ours, 1, false, &layout, &ca);
        double their = time_installs(theirs, 1, false, &layout, &ca);
        double two = time_installs(plain, 2, false, &layout, &ca);
        double our_two = time_installs(ours, 2, true, &layout, &ca);
        if (i < 0)
            continue;
        plain_ms[i] = base;
        ours_ms[i] = our;
        alone[i] = our / base;
        strace[i] = their / base;
        beside[i] = our_two / two;
    }
    printf("The upstream install script on bookworm, all roots, %d rounds, medians:\n", ROUNDS);
    print_row("in a plain chroot", "ms", plain_ms, ROUNDS);
    print_row("under faultrun --list: every crash point recorded", "ms", ours_ms, ROUNDS);
    print_row("recorded against plain, alone on all cores", "times", alone, ROUNDS);
    print_row("two at once, each recorded on its core, against two plain", "times", beside, ROUNDS);
    print_row("strace -f --seccomp-bpf of the same calls against plain", "times", strace, ROUNDS);
}

/* --- the reference provisioner ------------------------------------------------------------- */

/* A driver that takes a chroot for its machine. */
static const char driver[] = "#!/bin/sh\n"
                             "case $2 in\n"
                             "cp) exec cp \"$3\" \"$ROOT${4#*:}\" ;;\n"
                             "exec) shift 5 && exec chroot \"$ROOT\" \"$@\" ;;\n"
                             "esac\n";

/* ms of one undisturbed provision-ca, in a fresh copy. */
static double time_provision(const char *program, const char *cert, const char *policy,
                             const struct layout *layout, const struct buf *ca)
{
    make_copy("a", layout, ca);
    const char *const argv[] = {program,     "--machine", "m",        "--cert", cert,
                                "--ca-path", CA,          "--policy", policy,   NULL};
    const struct proc_spec spec = {.argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1};
    struct err err;
    int64_t start_ns = io_now_ns();
    pid_t pid = proc_spawn(&spec, &err);
    if (pid < 0)
        give_up(program, &err);
    int status;
    must(waitpid(pid, &status, 0) == pid && status == 0, policy);
    double ms = ms_since(start_ns);
    remove_copy("a");
    return ms;
}

/* In the mount namespace and the folder of bench_recording(). */
static void bench_policies(const char *state)
{
    struct err err;
    CLEANUP(io_free) char *fixtures = NULL;
    CLEANUP(io_free) char *program = NULL;
    CLEANUP(io_free) char *path = io_format("%s/driver", state);
    CLEANUP(io_free) char *root = io_format("%s/a/root", state);
    CLEANUP(layout_release) struct layout layout = LAYOUT_INIT;
    CLEANUP(buf_release) struct buf ca = BUF_INIT;
    CLEANUP(buf_release) struct buf key = BUF_INIT;
    if (home_find("scenarios/fixtures", &fixtures, &err) < 0 ||
        home_find("bin/provision-ca", &program, &err) < 0 ||
        layout_open("bookworm", &layout, &err) < 0 ||
        trial_read_ca(fixtures, "ca", &ca, &key, &err) < 0 ||
        io_write_file(AT_FDCWD, path, driver, sizeof driver - 1, 0755, &err) < 0)
        give_up("bookworm", &err);
    CLEANUP(io_free) char *cert = io_format("%s/ca.crt", fixtures);
    must(setenv("SMOLVM", path, 1) == 0 && setenv("ROOT", root, 1) == 0, "setenv");
    double upstream_ms[ROUNDS], hardened_ms[ROUNDS], times[ROUNDS];
    for (int i = -1; i < ROUNDS; i++) { /* the first round warms up */
        double upstream = time_provision(program, cert, "upstream", &layout, &ca);
        double hardened = time_provision(program, cert, "hardened", &layout, &ca);
        if (i < 0)
            continue;
        upstream_ms[i] = upstream;
        hardened_ms[i] = hardened;
        times[i] = hardened / upstream;
    }
    printf("provision-ca, undisturbed, on bookworm, all roots, %d pairs, medians:\n", ROUNDS);
    print_row("policy upstream, in a plain chroot", "ms", upstream_ms, ROUNDS);
    print_row("policy hardened, in a plain chroot", "ms", hardened_ms, ROUNDS);
    print_row("hardened against upstream (at most 1.10 is wanted)", "times", times, ROUNDS);
}

int main(void)
{
    struct err err;
    CLEANUP(io_free) char *base = NULL;
    if (state_find(&base, &err) < 0)
        give_up("state folder", &err);
    CLEANUP(io_free) char *state = io_format("%s/bench-%d", base, (int)getpid());
    if (io_make_dirs(state, 0700, &err) < 0)
        give_up(state, &err);
    bench_trial(state, "bookworm-mini");
    bench_trial(state, "bookworm");
    bench_recording(state);
    bench_policies(state);
    must(chdir("/") == 0, "/");
    io_remove_tree(AT_FDCWD, state, NULL);
    return 0;
}
