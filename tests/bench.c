/*
 * bench: paired timings, printed as ratios and differences, never asserted.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fakes/state.h"
#include "../fault/op.h"
#include "../fault/proc.h"

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

double bench_median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, compare);
    return values[n / 2];
}

void bench_print_row(const char *what, const char *unit, double *values, size_t n)
{
    double median = bench_median(values, n);
    printf("  %-62s %8.2f  (%.2f to %.2f) %s\n", what, median, values[0], values[n - 1], unit);
    fflush(stdout);
}

void bench_give_up(const char *what, const struct err *err)
{
    fprintf(stderr, "bench: %s: %s\n", what, err->msg);
    exit(3);
}

void bench_must(bool done, const char *what)
{
    if (done)
        return;
    fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
    exit(3);
}

double bench_ms_since(int64_t start_ns)
{
    return (double)(io_now_ns() - start_ns) / 1e6;
}

/* --- copies and installs ---------------------------------------------------------------- */

void bench_make_copy(const char *name, const struct layout *layout, const struct buf *ca)
{
    static const char *const below[] = {"upper", "work", "root"};
    CLEANUP(io_free)
    char *options =
        io_format("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", layout->layers[0], name, name);
    bench_must(mkdir(name, 0755) == 0 || errno == EEXIST, name);
    bench_must(mount("none", name, "tmpfs", 0, NULL) == 0, "tmpfs");
    for (size_t i = 0; i < 3; i++) {
        CLEANUP(io_free) char *path = io_format("%s/%s", name, below[i]);
        bench_must(mkdir(path, 0755) == 0, path);
    }
    CLEANUP(io_free) char *root = io_format("%s/root", name);
    CLEANUP(io_free) char *proc = io_format("%s/proc", root);
    CLEANUP(io_free) char *file = io_format("%s" BENCH_CA, root);
    bench_must(mount("none", root, "overlay", 0, options) == 0, root);
    bench_must(mount("none", proc, "proc", 0, NULL) == 0, proc);
    bench_must(io_write_file(AT_FDCWD, file, ca->data, ca->len, 0644, NULL) == 0, file);
}

void bench_remove_copy(const char *name)
{
    CLEANUP(io_free) char *root = io_format("%s/root", name);
    CLEANUP(io_free) char *proc = io_format("%s/proc", root);
    bench_must(umount2(proc, 0) == 0 && umount2(root, 0) == 0 && umount2(name, 0) == 0, "umount");
}

pid_t bench_start(const char *const *tool, const char *name, const char *script, int core)
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
    const char *const chrooted[] = {"chroot", root, "sh", "-c", script, NULL};
    memcpy(&argv[n], chrooted, sizeof chrooted);
    /* A guest's: a locale and a long PATH are felt by an install's hundreds of programs. */
    static const char *const env[] = {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm-256color",
        "HOME=/root", NULL};
    const struct proc_spec spec = {.argv = argv,
                                   .envp = env,
                                   .stdin_fd = -1,
                                   .stdout_fd = -1,
                                   .stderr_fd = -1,
                                   .new_session = true};
    struct err err;
    pid_t pid = proc_spawn(&spec, &err);
    if (pid < 0)
        bench_give_up(argv[0], &err);
    return pid;
}

double bench_run(const char *const *tool, const char *name, const char *script, int core)
{
    int64_t start_ns = io_now_ns();
    pid_t pid = bench_start(tool, name, script, core);
    int status;
    bench_must(waitpid(pid, &status, 0) == pid && status == 0, "install");
    return bench_ms_since(start_ns);
}

/* strace knows the FICLONE ioctls as ioctl. */
void bench_strace_init(struct bench_strace *strace, const char *log_path)
{
    size_t size, n;
    FILE *file = open_memstream(&strace->trace, &size);
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
    const char *const argv[] = {"strace", "-f", "--seccomp-bpf", "-o",
                                log_path, "-e", strace->trace,   NULL};
    memcpy(strace->argv, argv, sizeof argv);
}

/* --- the whole ------------------------------------------------------------------------------ */

static bool is_wanted(int argc, char **argv, const char *part)
{
    bool wanted = argc < 2;
    for (int i = 1; i < argc; i++)
        wanted |= strcmp(argv[i], part) == 0;
    return wanted;
}

int main(int argc, char **argv)
{
    struct err err;
    CLEANUP(io_free) char *base = NULL;
    if (state_find(&base, &err) < 0)
        bench_give_up("state folder", &err);
    /* When this one is killed, the next run of killpoint sweeps it: its name and lock are a run's.
     */
    CLEANUP(io_free) char *state = io_format("%s/run-%d-bench", base, (int)getpid());
    CLEANUP(io_free) char *lock = io_format("%s/lock", state);
    CLEANUP(io_close) int lock_fd = -1;
    if (io_make_dirs(state, 0700, &err) < 0)
        bench_give_up(state, &err);
    bench_must(io_lock_file(AT_FDCWD, lock, O_CREAT, &lock_fd) == 0, lock);
    if (is_wanted(argc, argv, "trial"))
        bench_trials(state);
    bench_must(unshare(CLONE_NEWNS) == 0 &&
                   mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 && chdir(state) == 0,
               "mount namespace");
    if (is_wanted(argc, argv, "recording"))
        bench_recording();
    if (is_wanted(argc, argv, "policies"))
        bench_policies();
    if (is_wanted(argc, argv, "explore"))
        bench_explore();
    if (is_wanted(argc, argv, "growth"))
        bench_growth();
    if (is_wanted(argc, argv, "minis"))
        bench_minis();
    bench_must(chdir("/") == 0, "/");
    io_remove_tree(AT_FDCWD, state, NULL);
    return 0;
}
