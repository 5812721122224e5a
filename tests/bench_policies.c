#include "bench.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fault/home.h"
#include "../fault/proc.h"
#include "../scenarios/trial_run.h"

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
    bench_make_copy("a", layout, ca);
    const char *const argv[] = {program,     "--machine", "m",        "--cert", cert,
                                "--ca-path", BENCH_CA,    "--policy", policy,   NULL};
    const struct proc_spec spec = {.argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1};
    struct err err;
    int64_t start_ns = io_now_ns();
    pid_t pid = proc_spawn(&spec, &err);
    if (pid < 0)
        bench_give_up(program, &err);
    int status;
    bench_must(waitpid(pid, &status, 0) == pid && status == 0, policy);
    double ms = bench_ms_since(start_ns);
    bench_remove_copy("a");
    return ms;
}

void bench_policies(void)
{
    struct err err;
    CLEANUP(io_free) char *fixtures = NULL;
    CLEANUP(io_free) char *program = NULL;
    CLEANUP(io_free) char *folder = getcwd(NULL, 0);
    CLEANUP(io_free) char *path = io_format("%s/driver", folder);
    CLEANUP(io_free) char *root = io_format("%s/a/root", folder);
    CLEANUP(layout_release) struct layout layout = LAYOUT_INIT;
    CLEANUP(buf_release) struct buf ca = BUF_INIT;
    CLEANUP(buf_release) struct buf key = BUF_INIT;
    if (home_find("scenarios/fixtures", &fixtures, &err) < 0 ||
        home_find("bin/provision-ca", &program, &err) < 0 ||
        layout_open("bookworm", &layout, &err) < 0 ||
        trial_read_ca(fixtures, "ca", &ca, &key, &err) < 0 ||
        io_write_file(AT_FDCWD, path, driver, sizeof driver - 1, 0755, &err) < 0)
        bench_give_up("bookworm", &err);
    CLEANUP(io_free) char *cert = io_format("%s/ca.crt", fixtures);
    bench_must(setenv("SMOLVM", path, 1) == 0 && setenv("ROOT", root, 1) == 0, "setenv");
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
    unsetenv("SMOLVM");
    printf("provision-ca, undisturbed, on bookworm, all roots, %d pairs, medians:\n", ROUNDS);
    bench_print_row("policy upstream, in a plain chroot", "ms", upstream_ms, ROUNDS);
    bench_print_row("policy hardened, in a plain chroot", "ms", hardened_ms, ROUNDS);
    bench_print_row("hardened against upstream (at most 1.10 is wanted)", "times", times, ROUNDS);
}
