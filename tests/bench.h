/*
 * bench.h: what the parts of the bench share. `make bench` runs all; `bench PART…` some of
 * trial, recording, policies, explore, growth and minis.
 *
 * Each pair is measured in one loop, A B A B, so that a drift of the machine's speed
 * meets both. Medians are printed with minimum and maximum.
 */
#ifndef KILLPOINT_TESTS_BENCH_H
#define KILLPOINT_TESTS_BENCH_H

#include "../fakes/layout.h"
#include "../fault/io.h"

#define ROUNDS 21

/* Sorts the values. */
void bench_print_row(const char *what, const char *unit, double *values, size_t n);
double bench_median(double *values, size_t n);
void bench_give_up(const char *what, const struct err *err);
/* Ends the program with errno's text when it was not done. */
void bench_must(bool done, const char *what);
double bench_ms_since(int64_t start_ns);

/* The upstream script, as provision-ca has it executed, and where its CA lies. */
#define BENCH_CA "/usr/local/share/ca-certificates/bot-bottle-mitm.crt"
#define BENCH_INSTALL                                                                              \
    "chown root:root " BENCH_CA " && chmod 644 " BENCH_CA                                          \
    " && update-ca-certificates && openssl verify -CAfile "                                        \
    "/etc/ssl/certs/ca-certificates.crt " BENCH_CA

/* A fresh copy of the layout, in memory, at NAME/root below the current folder. */
void bench_make_copy(const char *name, const struct layout *layout, const struct buf *ca);
void bench_remove_copy(const char *name);
/* Starts `tool chroot NAME/root sh -c SCRIPT`, on a core by itself unless that is negative. */
pid_t bench_start(const char *const *tool, const char *name, const char *script, int core);
/* ms until it has ended, with status 0. */
double bench_run(const char *const *tool, const char *name, const char *script, int core);
/* strace of the calls that the engine stops, with what it prints going to log_path. */
struct bench_strace {
    char *trace;
    const char *argv[12];
};
void bench_strace_init(struct bench_strace *strace, const char *log_path);

void bench_trials(const char *state);
/* These in a mount namespace of this process's own, in a folder that is empty. */
void bench_recording(void);
void bench_policies(void);
void bench_explore(void);
void bench_growth(void);
void bench_minis(void);

#endif
