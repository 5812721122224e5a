/*
 * support.h: what the tests share: running programs, and what a clean failure is.
 */
#ifndef KILLPOINT_TESTS_SUPPORT_H
#define KILLPOINT_TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../fault/proc.h"

/* One program's end; out and err are NUL-terminated and owned by the result. */
struct run {
    enum proc_how how;
    int code;
    char *out;
    char *err;
    int64_t ms;
};

/* Runs argv (NULL-terminated) for at most 60 s, an hour with $TEST_HEAVY; fails the test when it
 * cannot be started. */
struct run run(const char *const *argv);
/* The same through `sh -c`, for pipelines and environments. */
struct run run_sh(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void run_release(struct run *run);

/* Exit status exactly `code`, not by a signal or a timeout, nor 99 or 125 to 127. */
void check_clean_failure(const struct run *run, int code);
/* Exit status 0; prints both streams when it is not. */
void check_success(const struct run *run);

/* Skip the test where it cannot run, or fail it in CI ($CI is set), where a skip is a failure. */
void need_root(void);
void need_layout(const char *name);

/* A fresh empty folder under $TMPDIR, removed by dir_remove(). */
char *dir_make(void);
void dir_remove(char **path);

#endif
