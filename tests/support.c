#include "support.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../fakes/layout.h"

static char *text_of(struct capture *capture)
{
    struct buf text = BUF_INIT;
    capture_text(capture, &text);
    char *copy = strdup(buf_str(&text));
    buf_release(&text);
    return copy;
}

struct run run(const char *const *argv)
{
    struct proc_spec spec = {.argv = argv, .stdin_fd = -1};
    struct proc_result result;
    struct err err;
    if (proc_run(&spec, NULL, getenv("TEST_HEAVY") ? 3600000 : 60000, &result, &err) < 0)
        fail_msg("%s", err.msg);
    struct run done = {result.how, result.code, text_of(&result.out), text_of(&result.err),
                       result.ms};
    proc_result_release(&result);
    return done;
}

struct run run_sh(const char *fmt, ...)
{
    char *script;
    va_list args;
    va_start(args, fmt);
    if (vasprintf(&script, fmt, args) < 0)
        abort();
    va_end(args);
    struct run done = run((const char *const[]){"sh", "-c", script, NULL});
    free(script);
    return done;
}

void run_release(struct run *run)
{
    free(run->out);
    free(run->err);
    run->out = run->err = NULL;
}

static const char *const how_words[] = {"exit", "signal", "timeout"};

static void check_code(const struct run *run, int code)
{
    if (run->how != PROC_EXITED || run->code != code)
        fail_msg("expected exit %d, found %s %d\n--- stdout\n%s\n--- stderr\n%s", code,
                 how_words[run->how], run->code, run->out, run->err);
}

void check_clean_failure(const struct run *run, int code)
{
    if (code == 0 || code == 99 || (code >= 125 && code <= 127))
        fail_msg("%d is no clean failure", code);
    check_code(run, code);
}

void check_success(const struct run *run)
{
    check_code(run, 0);
}

static void skip_for(const char *reason)
{
    if (getenv("CI"))
        fail_msg("%s, and in CI a skip is a failure", reason);
    print_message("skipped: %s\n", reason);
    skip();
}

void need_root(void)
{
    if (geteuid() != 0)
        skip_for("this needs root");
}

void need_layout(const char *name)
{
    struct layout layout = LAYOUT_INIT;
    if (layout_open(name, &layout, NULL) < 0) {
        CLEANUP(io_free) char *reason = io_format("layout %s is not built (ci/layouts)", name);
        skip_for(reason);
    }
    layout_release(&layout);
}

char *dir_make(void)
{
    const char *base = getenv("TMPDIR");
    char *path = io_format("%s/killpoint-test-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(path))
        fail_msg("mkdtemp %s", path);
    return path;
}

void dir_remove(char **path)
{
    struct err err;
    if (*path && io_remove_tree(AT_FDCWD, *path, &err) < 0)
        print_error("%s\n", err.msg);
    free(*path);
    *path = NULL;
}
