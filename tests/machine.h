/*
 * machine.h: the fake smolvm as a program, with a state folder and a machine of a test's own.
 *
 * machine_set_up() and machine_tear_down() stand around every test; a test that starts a
 * machine needs one built layout.
 */
#ifndef KILLPOINT_TESTS_MACHINE_H
#define KILLPOINT_TESTS_MACHINE_H

#include "support.h"

#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fakes/layout.h"
#include "../fault/home.h"

/* One test's state folder, with smolvm first on PATH and nothing left of other settings. */
static inline int machine_set_up(void **state)
{
    CLEANUP(io_free) char *program = NULL;
    struct err err;
    if (home_find("fakes/smolvm", &program, &err) < 0)
        fail_msg("%s", err.msg);
    *strrchr(program, '/') = '\0';
    const char *old = getenv("PATH");
    if (!old || strncmp(old, program, strlen(program)) != 0) {
        CLEANUP(io_free) char *path = io_format("%s:%s", program, old ? old : "/usr/bin:/bin");
        setenv("PATH", path, 1);
    }
    char *folder = dir_make();
    *state = folder;
    setenv("KILLPOINT_STATE", folder, 1);
    unsetenv("KILLPOINT_FAULTS");
    unsetenv("SMOLVM_FAKE_VERSION");
    return 0;
}

static inline int machine_tear_down(void **state)
{
    struct run done = run_sh("for m in $(ls \"$KILLPOINT_STATE/machines\" 2>/dev/null); do "
                             "smolvm machine stop --name $m; done");
    run_release(&done);
    dir_remove((char **)state);
    return 0;
}

/* The layout to play on; skips the test, or fails it in CI, where none is built. */
static inline const char *some_layout(void)
{
    static const char *const names[] = {"bookworm-mini", "bookworm", "host"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct layout layout = LAYOUT_INIT;
        if (layout_open(names[i], &layout, NULL) < 0)
            continue;
        layout_release(&layout);
        return names[i];
    }
    if (getenv("CI"))
        fail_msg("no layout is built, and in CI a skip is a failure");
    print_message("skipped: no layout is built (ci/layouts bookworm-mini)\n");
    skip();
    return NULL;
}

/* A running machine `t`. */
static inline void start_machine(void)
{
    struct run done = run_sh("smolvm machine create t --image %s >/dev/null && "
                             "smolvm machine start --name t >/dev/null",
                             some_layout());
    check_success(&done);
    run_release(&done);
}

struct row {
    const char *name;
    const char *before; /* a shell command, its output dropped; NULL: none */
    const char *command;
    int code;
    const char *out, *err; /* exact; err may be NULL: anything */
};

static inline void check_row(const struct row *row)
{
    if (row->before) {
        struct run before = run_sh("%s", row->before);
        run_release(&before);
    }
    struct run done = run_sh("%s", row->command);
    if (done.how != PROC_EXITED || done.code != row->code || strcmp(done.out, row->out) != 0 ||
        (row->err && strcmp(done.err, row->err) != 0))
        fail_msg("%s: exit %d, expected %d\n--- stdout\n%s--- expected\n%s--- stderr\n%s"
                 "--- expected\n%s",
                 row->name, done.code, row->code, done.out, row->out, done.err,
                 row->err ? row->err : "anything\n");
    run_release(&done);
}

/* Runs a shell command that must end with 0, and compares its stdout. */
static inline void check_out(const char *expected, const char *command)
{
    struct run done = run_sh("%s", command);
    check_success(&done);
    if (strcmp(done.out, expected) != 0)
        fail_msg("%s: printed '%s', expected '%s'", command, done.out, expected);
    run_release(&done);
}

/* Compares the journal, as "SEQ VERB MACHINE STATUS SIGNAL FIRED" in lines; what is null or
 * missing is `-`. FIRED is the first rule's count. */
static inline void check_journal(const char *expected)
{
    CLEANUP(buf_release) struct buf found = BUF_INIT;
    CLEANUP(io_free) char *path = io_format("%s/journal.ndjson", getenv("KILLPOINT_STATE"));
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    for (json_t *line; (line = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL));) {
        const json_t *rule = json_array_get(json_object_get(line, "rules"), 0);
        const json_t *words[] = {json_object_get(line, "seq"),     json_object_get(line, "verb"),
                                 json_object_get(line, "machine"), json_object_get(line, "status"),
                                 json_object_get(line, "signal"),  json_object_get(rule, "fired")};
        for (size_t i = 0; i < 6; i++) {
            const char *blank = i < 5 ? " " : "\n";
            if (json_is_integer(words[i]))
                buf_printf(&found, "%lld%s", (long long)json_integer_value(words[i]), blank);
            else if (json_is_string(words[i]))
                buf_printf(&found, "%s%s", json_string_value(words[i]), blank);
            else
                buf_printf(&found, "-%s", blank);
        }
        json_decref(line);
    }
    fclose(file);
    assert_string_equal(buf_str(&found), expected);
}

#define NOT_RUNNING(name)                                                                          \
    "Error: agent operation failed: connect: machine '" name                                       \
    "' is not running. Use 'smolvm machine start --name " name "' first.\n"

#define TEST(name) cmocka_unit_test_setup_teardown(name, machine_set_up, machine_tear_down)

#endif
