#include "report_cmd.h"

#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cmdline.h"
#include "merge.h"
#include "report.h"
#include "report_formats.h"
#include "report_out.h"

#define REPORT "killpoint report"
#define MERGE "killpoint merge"

enum { EXIT_USAGE = 2, EXIT_HARNESS = 3, EXIT_INCOMPLETE = 5 };
enum { OPT_RESULTS = 256 };

/* What both verbs are told. */
struct options {
    const char *verb;
    struct report_out out;
    const char *results; /* merge: where the whole goes; NULL: nowhere */
    const char **files;  /* NULL-terminated */
    size_t n_files;
    struct buf absent; /* merge: why files that hold no part do not, with "; " between */
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &options->out; return 0;
    case OPT_RESULTS: options->results = arg; return 0;
    case ARGP_KEY_ARG: options->files[options->n_files++] = arg; return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {{&report_out_argp, 0, NULL, 0}, {0}};

static const struct argp report_argp = {
    NULL,
    parse_option,
    "RESULTS...",
    "Draws reports from the results files of `killpoint run` and `killpoint explore`. Several runs "
    "are columns of one table in HTML.\v"
    "Exit status: 0, whatever the results are; 2 wrong usage, or a file that is none of results; 3 "
    "a report cannot be written.",
    children,
    NULL,
    NULL};

static const struct argp_option merge_table[] = {
    {"results", OPT_RESULTS, "FILE", 0, "Write the whole as one results file", 0},
    {0},
};

static const struct argp merge_argp = {
    merge_table,
    parse_option,
    "RESULTS...",
    "Puts the results of all shards of one run together, and judges them and the backend's "
    "expectation list as a whole. Where one file has a shard again, its last run counts.\v"
    "Exit status: as of `killpoint run`; 2 wrong usage, or a file that is none of results; 5 a "
    "part is missing or empty, cut off, in two files, or of another suite, backend or layout.",
    children,
    NULL,
    NULL};

static bool is_same_file(const char *one, const char *other)
{
    struct stat a, b;
    return stat(one, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino && S_ISREG(a.st_mode);
}

/* What is not there at all is a part that is missing; anything else is a bad file. */
static int add_file(struct options *options, const char *path, struct results *results)
{
    struct err err;
    int ret = results_add_file(results, path, &err);
    bool is_absent = ret == -ENOENT || ret == -ENODATA;
    if (ret < 0 && !(is_absent && strcmp(options->verb, MERGE) == 0))
        return cmdline_fail(options->verb, -EINVAL, "%s", err.msg);
    if (ret < 0)
        buf_printf(&options->absent, "%s%s", options->absent.len ? "; " : "", err.msg);
    return 0;
}

static int parse(const struct argp *argp, int argc, char **argv, struct options *options,
                 struct results *results)
{
    struct err err;
    options->out.verb = options->verb;
    options->files = calloc((size_t)argc + 1, sizeof *options->files);
    if (!options->files)
        abort();
    if (cmdline_parse(argp, options->verb, argc, argv, options) < 0)
        return -EINVAL;
    if (options->n_files == 0)
        return cmdline_fail(options->verb, -EINVAL, "a results file is missing");
    for (size_t i = 0; i < options->n_files; i++) {
        for (size_t k = 0; k < i; k++)
            if (is_same_file(options->files[i], options->files[k]))
                return cmdline_fail(options->verb, -EINVAL, "%s: it is given twice",
                                    options->files[i]);
        if (add_file(options, options->files[i], results) < 0)
            return -EINVAL;
    }
    if ((options->results && results_check_target(options->results, &err) < 0) ||
        report_out_check(&options->out, options->files, options->n_files, &err) < 0 ||
        report_out_check(&options->out, &options->results, 1, &err) < 0)
        return cmdline_fail(options->verb, -EINVAL, "%s", err.msg);
    return 0;
}

int report_cmd(int argc, char **argv)
{
    struct options options = {.verb = REPORT};
    CLEANUP(results_release) struct results results = RESULTS_INIT;
    struct err err;
    int ret = parse(&report_argp, argc, argv, &options, &results);
    free(options.files);
    if (ret < 0)
        return EXIT_USAGE;
    if (!report_out_is_wanted(&options.out))
        return cmdline_fail(REPORT, EXIT_USAGE, "say which: --junit, --tap, --markdown or --html");
    if (report_out_write(&options.out, &results, &err) < 0)
        return cmdline_fail(REPORT, EXIT_HARNESS, "%s", err.msg);
    return cmdline_finish(REPORT, 0);
}

/* The same table, annotations, and status as those of one run. */
static int tell_whole(const struct options *options, const struct results *whole, int status)
{
    struct err err;
    if (options->results && merge_write(whole, options->results, &err) < 0)
        return cmdline_fail(MERGE, EXIT_HARNESS, "%s", err.msg);
    if (!report_out_has_stdout(&options->out))
        report_print_table(stdout, &whole->runs[0], false);
    if (report_out_write(&options->out, whole, &err) < 0)
        return cmdline_fail(MERGE, EXIT_HARNESS, "%s", err.msg);
    report_print_problems(stderr, whole);
    return cmdline_finish(MERGE, status);
}

/* Returns the exit status. */
static int merge(const struct options *options, const struct results *parts)
{
    CLEANUP(results_release) struct results whole = RESULTS_INIT;
    enum run_status status;
    struct err err;
    if (parts->n_explorations > 0)
        return cmdline_fail(MERGE, EXIT_USAGE, "results of `killpoint explore` are not merged");
    for (size_t i = 0; options->results && i < parts->n_runs; i++)
        if (is_same_file(options->results, parts->runs[i].path))
            return cmdline_fail(MERGE, EXIT_USAGE, "%s is a part: --results must be another file",
                                options->results);
    int ret = merge_runs(parts, &whole, &status, &err);
    if (ret == 0 && options->absent.len > 0)
        ret = err_text(&err, ENODATA, "every shard is there, but not every file");
    if (ret < 0)
        return cmdline_fail(MERGE, EXIT_INCOMPLETE, "%s%s%s%s", err.msg,
                            options->absent.len ? " (" : "", buf_str(&options->absent),
                            options->absent.len ? ")" : "");
    return tell_whole(options, &whole, (int)status);
}

int merge_cmd(int argc, char **argv)
{
    struct options options = {.verb = MERGE};
    CLEANUP(results_release) struct results parts = RESULTS_INIT;
    int ret = parse(&merge_argp, argc, argv, &options, &parts);
    int status = ret < 0 ? EXIT_USAGE : merge(&options, &parts);
    free(options.files);
    buf_release(&options.absent);
    return status;
}
