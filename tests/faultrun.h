/*
 * faultrun.h: build/bin/faultrun as a program, for its tests.
 *
 * Scripts find it as $FR, and stand in a fresh folder of everybody's, $D.
 */
#ifndef KILLPOINT_TESTS_FAULTRUN_H
#define KILLPOINT_TESTS_FAULTRUN_H

#include "support.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../fault/home.h"

/* How often a sweep goes round: TEST_HEAVY=1 asks for the long one. */
static inline int faultrun_rounds(int light, int heavy)
{
    return getenv("TEST_HEAVY") ? heavy : light;
}

static inline int faultrun_set_up(void **state)
{
    CLEANUP(io_free) char *program = NULL;
    struct err err;
    if (home_find("bin/faultrun", &program, &err) < 0)
        fail_msg("%s", err.msg);
    setenv("FR", program, 1);
    char *folder = dir_make();
    *state = folder;
    setenv("D", folder, 1);
    return chmod(folder, 0777);
}

static inline int faultrun_tear_down(void **state)
{
    dir_remove((char **)state);
    return 0;
}

#define faultrun_test(function)                                                                    \
    cmocka_unit_test_setup_teardown(function, faultrun_set_up, faultrun_tear_down)

/* Runs a shell script in $D. */
static inline struct run faultrun_play(const char *script)
{
    return run_sh("cd \"$D\" || exit\n%s", script);
}

/* stdout, after a script that must end with 0; the caller frees it. */
static inline char *faultrun_out(const char *script)
{
    CLEANUP(run_release) struct run done = faultrun_play(script);
    check_success(&done);
    return steal_ptr(&done.out);
}

/* A script and how it is to end. */
struct faultrun_row {
    const char *name, *script;
    int code;
    const char *out; /* all of it; NULL: not looked at */
    const char *err; /* a part of it; NULL: empty */
};

static inline void faultrun_check(const struct faultrun_row *row)
{
    CLEANUP(run_release) struct run done = faultrun_play(row->script);
    if (done.how != PROC_EXITED || done.code != row->code ||
        (row->out && strcmp(done.out, row->out) != 0) ||
        (row->err ? !strstr(done.err, row->err) : *done.err != '\0'))
        fail_msg("%s: how %d, code %d\n--- stdout\n%s\n--- stderr\n%s", row->name, done.how,
                 done.code, done.out, done.err);
}

#define NOBODY "setpriv --reuid 65534 --regid 65534 --clear-groups "

/* What stands behind key up to the next `,` or `"` of a line of JSON; the caller frees it. */
static inline char *faultrun_value(const char *line, const char *key)
{
    CLEANUP(io_free) char *quoted = io_format("\"%s\":", key);
    const char *at = strstr(line, quoted);
    if (!at)
        fail_msg("%s is missing in %s", key, line);
    at += strlen(quoted);
    at += *at == '"';
    return io_format("%.*s", (int)strcspn(at, "\",}"), at);
}

#endif
