#include "run_cmd.h"

#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../fakes/layout.h"
#include "cmdline.h"
#include "report.h"
#include "suite.h"

#define NAME "killpoint run"
#define LAYOUTS "killpoint layouts"
#define LIST_MAX 64

enum {
    EXIT_AS_EXPECTED = 0,
    EXIT_UNEXPECTED = 1,
    EXIT_USAGE = 2,
    EXIT_HARNESS = 3,
    EXIT_NOTHING = 4,
    EXIT_INTERRUPTED = 130
};

struct options {
    const char *backend, *results;
    const char *layouts[LIST_MAX + 1];
    size_t n_layouts;
    const char **globs;
    size_t n_globs;
    const char *const *command; /* behind --; NULL: none */
    int driver;                 /* -1: each scenario's own */
    unsigned jobs;
    bool keep, shuffle;
    unsigned long seed;
};

enum { OPT_BACKEND = 256, OPT_LAYOUT, OPT_DRIVER, OPT_RESULTS, OPT_KEEP, OPT_SHUFFLE };

static const struct argp_option option_table[] = {
    {"backend", OPT_BACKEND, "NAME", 0, "A file of scenarios/backends, or FILE.yaml", 0},
    {"layout", OPT_LAYOUT, "L", 0,
     "Play on this layout instead of each scenario's own; again "
     "for more",
     0},
    {"driver", OPT_DRIVER, "D", 0, "Only the trials of this driver: smolvm, docker", 0},
    {"jobs", 'j', "N", 0, "How many machine calls work at once (the cores)", 0},
    {"results", OPT_RESULTS, "FILE", 0, "Append every event to it, as NDJSON", 0},
    {"keep", OPT_KEEP, NULL, 0, "Leave the machine of a trial that ends badly", 0},
    {"shuffle", OPT_SHUFFLE, "SEED", 0, "Start the trials in another order", 0},
    {0},
};

static bool parse_number(const char *text, unsigned long max, unsigned long *ret_number)
{
    char *end;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    if (errno != 0 || *end != '\0' || text[0] < '0' || text[0] > '9' || number > max)
        return false;
    *ret_number = number;
    return true;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;
    unsigned long number;
    switch (key) {
    case OPT_BACKEND: options->backend = arg; return 0;
    case OPT_LAYOUT:
        if (options->n_layouts == LIST_MAX)
            return -cmdline_fail(NAME, -EINVAL, "too many layouts: '%s'", arg);
        options->layouts[options->n_layouts++] = arg;
        return 0;
    case OPT_DRIVER:
        options->driver = strcmp(arg, "smolvm") == 0   ? DRIVER_SMOLVM
                          : strcmp(arg, "docker") == 0 ? DRIVER_DOCKER
                                                       : -2;
        return options->driver != -2
                   ? 0
                   : -cmdline_fail(NAME, -EINVAL, "--driver takes smolvm or docker: '%s'", arg);
    case 'j':
        if (!parse_number(arg, 1024, &number) || number == 0)
            return -cmdline_fail(NAME, -EINVAL, "-j takes a number from 1 to 1024: '%s'", arg);
        options->jobs = (unsigned)number;
        return 0;
    case OPT_RESULTS: options->results = arg; return 0;
    case OPT_KEEP: options->keep = true; return 0;
    case OPT_SHUFFLE:
        if (!parse_number(arg, UINT32_MAX, &options->seed))
            return -cmdline_fail(NAME, -EINVAL, "--shuffle takes a number: '%s'", arg);
        options->shuffle = true;
        return 0;
    case ARGP_KEY_ARG: options->globs[options->n_globs++] = arg; return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static int parse(int argc, char **argv, struct options *options)
{
    static const struct argp argp = {
        option_table,
        parse_option,
        "[ID-GLOB...] [-- CMD ARG...]",
        "Plays scenarios with a backend and judges what its guests hold afterwards.\v"
        "Exit status: 0 as expected, 1 an unexpected verdict, 2 wrong usage or a bad file, 3 the "
        "harness broke or a fault never happened, 4 nothing selected or played, 130 interrupted. "
        "A trial whose backend exits with 77 is UNSUPPORTED and not played: a run of nothing else "
        "ends 4.",
        NULL,
        NULL,
        NULL};
    int ret = cmdline_parse_command(&argp, NAME, argc, argv, options, &options->command);
    if (ret < 0)
        return ret;
    if (!options->backend == !options->command)
        return cmdline_fail(NAME, -EINVAL, "give either --backend NAME or -- CMD");
    return 0;
}

/* --- what is played ---------------------------------------------------------------- */

/* All that a run stands on. */
struct play {
    struct options options;
    struct backend backend;
    struct suite suite;
    struct diags diags;
    struct trials all;    /* each scenario on its own layouts, for the expectation list */
    struct trials chosen; /* in the suite's order */
    struct trials order;  /* in the order they are started; borrows the items of chosen */
    char *title;
};

static void play_release(struct play *play)
{
    free(play->options.globs);
    free(play->order.items);
    free(play->title);
    trials_release(&play->chosen);
    trials_release(&play->all);
    suite_release(&play->suite);
    backend_release(&play->backend);
    diags_release(&play->diags);
}

static int load_backend(struct play *play, struct err *err)
{
    if (play->options.command)
        return backend_from_command(play->options.command, &play->backend, err);
    return suite_load_backend(play->options.backend, &play->backend, &play->diags, err);
}

/* Names all that are missing, so that one call of ci/layouts makes up for it. */
static int check_layouts(const struct play *play, struct err *err)
{
    CLEANUP(buf_release) struct buf missing = BUF_INIT;
    int ret = 0;
    for (size_t i = 0; i < play->chosen.count; i++) {
        struct layout layout = LAYOUT_INIT;
        const char *name = play->chosen.items[i].layout;
        bool seen = false;
        for (size_t k = 0; k < i && !seen; k++)
            seen = strcmp(play->chosen.items[k].layout, name) == 0;
        int one = seen ? 0 : layout_open(name, &layout, err);
        layout_release(&layout);
        if (one == -ENOENT)
            buf_printf(&missing, " %s", name);
        ret = ret < 0 ? ret : one;
    }
    if (missing.len > 0)
        return err_text(err, ENOENT, "not built: run `ci/layouts%s`, or choose with --layout",
                        missing.data);
    return ret;
}

static void shuffle(struct trials *trials, unsigned long seed)
{
    uint64_t state = seed + 0x9e3779b97f4a7c15u;
    for (size_t i = trials->count; i > 1; i--) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        size_t k = (size_t)((state >> 33) % i);
        struct trial kept = trials->items[i - 1];
        trials->items[i - 1] = trials->items[k];
        trials->items[k] = kept;
    }
}

static int select_trials(struct play *play, struct err *err)
{
    const struct options *options = &play->options;
    const struct selection everything = {.layouts = NULL, .driver = -1, .globs = NULL};
    const struct selection chosen = {.layouts = options->n_layouts ? options->layouts : NULL,
                                     .driver = options->driver,
                                     .globs = options->n_globs ? options->globs : NULL};
    scenario_expand(&play->suite.scenarios, &everything, &play->all);
    int ret = suite_select(&play->suite, &chosen, &play->chosen, err);
    if (ret < 0)
        return ret;
    play->order.count = play->chosen.count;
    play->order.items = calloc(play->chosen.count + 1, sizeof *play->order.items);
    if (!play->order.items)
        abort();
    memcpy(play->order.items, play->chosen.items, play->chosen.count * sizeof *play->order.items);
    if (options->shuffle)
        shuffle(&play->order, options->seed);
    return 0;
}

/* Everything that can be wrong before a trial starts. Returns the exit status, 0: go on. */
static int prepare(struct play *play)
{
    struct err err = {""};
    int ret = load_backend(play, &err);
    if (ret == 0 || play->diags.count > 0) { /* a bad backend file hides no bad scenario */
        int suite = suite_load(&play->suite, &play->diags, &err);
        ret = ret < 0 ? ret : suite;
    }
    if (play->diags.count > 0) {
        diags_print(&play->diags, stderr);
        return EXIT_USAGE;
    }
    if (ret == 0 && (ret = select_trials(play, &err)) == -ENOENT)
        return cmdline_fail(NAME, EXIT_NOTHING, "%s", err.msg);
    if (ret == 0)
        ret = check_layouts(play, &err);
    return ret < 0 ? cmdline_fail(NAME, EXIT_USAGE, "%s", err.msg) : 0;
}

/* --- playing ------------------------------------------------------------------------- */

static void on_event(void *context, json_t *event)
{
    report_event(context, event);
}

static void on_progress(void *context, size_t done, size_t total, size_t bad)
{
    report_progress(context, done, total, bad);
}

static int today(void)
{
    time_t now = time(NULL);
    struct tm day;
    gmtime_r(&now, &day);
    return (day.tm_year + 1900) * 10000 + (day.tm_mon + 1) * 100 + day.tm_mday;
}

/* Usage comes before the harness' own trouble, that before findings. */
static int exit_status(const struct run_outcome *outcome, size_t outdated)
{
    const size_t *counts = outcome->counts;
    if (outcome->interrupted)
        return EXIT_INTERRUPTED;
    if (counts[VERDICT_ERROR] > 0 || counts[VERDICT_UNRESOLVED] > 0)
        return EXIT_HARNESS;
    for (int verdict = 0; verdict < VERDICT_COUNT; verdict++)
        if (counts[verdict] > 0 && !verdict_is_fine((enum verdict)verdict))
            return EXIT_UNEXPECTED;
    if (outdated > 0)
        return EXIT_UNEXPECTED;
    /* Where nothing was supported, nothing is known. */
    bool known = counts[VERDICT_PASS] + counts[VERDICT_XFAIL] + counts[VERDICT_SKIP] > 0;
    return known ? EXIT_AS_EXPECTED : EXIT_NOTHING;
}

static json_t *begin_event(const struct play *play)
{
    json_t *event = json_pack("{s:s, s:i, s:s, s:I}", "event", "begin", "version", 1, "backend",
                              play->backend.name, "trials", (json_int_t)play->chosen.count);
    if (play->options.shuffle)
        json_object_set_new(event, "seed", json_integer((json_int_t)play->options.seed));
    return event;
}

static json_t *end_event(const struct run_outcome *outcome, int status, int64_t ms)
{
    json_t *counts = json_object();
    for (int verdict = 0; verdict < VERDICT_COUNT; verdict++)
        if (outcome->counts[verdict] > 0)
            json_object_set_new(counts, verdict_name((enum verdict)verdict),
                                json_integer((json_int_t)outcome->counts[verdict]));
    return json_pack("{s:s, s:o, s:i, s:I, s:b}", "event", "end", "counts", counts, "exit", status,
                     "ms", (json_int_t)ms, "interrupted", outcome->interrupted);
}

static void send_event(struct report *report, json_t *event)
{
    report_event(report, event);
    json_decref(event);
}

/* What fails everywhere has most likely not even begun. */
static void print_doubt(const struct run_outcome *outcome)
{
    const size_t *counts = outcome->counts;
    size_t bad = counts[VERDICT_FAIL] + counts[VERDICT_TIMEOUT] + counts[VERDICT_CRASH];
    if (bad > 1 && counts[VERDICT_PASS] + counts[VERDICT_XFAIL] + counts[VERDICT_LEAK] == 0)
        puts("everything fails: the adapter is probably broken; `killpoint probe` says more");
}

static int play_all(struct play *play, struct report *report)
{
    struct run_outcome outcome = {.interrupted = false};
    struct err err;
    const struct run_options run = {.backend = &play->backend,
                                    .trials = &play->order,
                                    .jobs =
                                        play->options.jobs ? play->options.jobs : cmdline_cores(),
                                    .keep = play->options.keep ? KEEP_BAD : KEEP_NONE,
                                    .on_event = on_event,
                                    .on_progress = report->terminal ? on_progress : NULL,
                                    .context = report};
    int64_t start_ms = io_now_ms();
    send_event(report, begin_event(play));
    int ret = runner_run(&run, &outcome, &err);
    if (ret < 0)
        return cmdline_fail(NAME, ret == -EINVAL ? EXIT_USAGE : EXIT_HARNESS, "%s", err.msg);
    size_t outdated =
        expectations_outdated(&play->backend.expectations, &play->all, today(), &play->diags);
    int status = exit_status(&outcome, outdated);
    report_print(report, &outcome);
    print_doubt(&outcome);
    if (play->options.shuffle)
        printf("shuffled with seed %lu\n", play->options.seed);
    diags_print(&play->diags, stderr);
    send_event(report, end_event(&outcome, status, io_now_ms() - start_ms));
    if (report->failed_to_write)
        return cmdline_fail(NAME, EXIT_HARNESS, "could not write the results to %s",
                            play->options.results);
    return cmdline_finish(NAME, status);
}

int run_cmd(int argc, char **argv)
{
    CLEANUP(play_release)
    struct play play = {.options = {.driver = -1},
                        .backend = BACKEND_INIT,
                        .suite = SUITE_INIT,
                        .diags = DIAGS_INIT,
                        .all = TRIALS_INIT,
                        .chosen = TRIALS_INIT};
    play.options.globs = calloc((size_t)argc + 1, sizeof *play.options.globs);
    if (!play.options.globs)
        abort();
    if (parse(argc, argv, &play.options) < 0)
        return EXIT_USAGE;
    int status = prepare(&play);
    if (status != 0)
        return status;
    CLEANUP(io_fclose) FILE *results = NULL;
    if (play.options.results && !(results = fopen(play.options.results, "ae"))) {
        return cmdline_fail(NAME, EXIT_USAGE, "open %s: %s", play.options.results, strerror(errno));
    }
    play.title = io_format("backend %s: %s", play.backend.name, play.backend.title);
    CLEANUP(report_release)
    struct report report = {.results = results,
                            .out = stdout,
                            .terminal = isatty(STDERR_FILENO) && !getenv("CI"),
                            .trials = &play.chosen,
                            .events = calloc(play.chosen.count + 1, sizeof(json_t *)),
                            .backend = play.options.backend,
                            .command = play.options.command,
                            .backend_title = play.title};
    if (!report.events)
        abort();
    return play_all(&play, &report);
}

int layouts_cmd(int argc, char **argv)
{
    char **names = NULL;
    struct err err;
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        puts("Usage: killpoint layouts\nLists the built layouts; ci/layouts NAME builds one.");
        return cmdline_finish(LAYOUTS, 0);
    }
    if (argc > 1) {
        return cmdline_fail(LAYOUTS, EXIT_USAGE, "unexpected argument '%s'", argv[1]);
    }
    if (layout_list(&names, &err) < 0)
        return cmdline_fail(LAYOUTS, EXIT_USAGE, "%s", err.msg);
    for (char **name = names; *name; name++) {
        CLEANUP(layout_release) struct layout layout = LAYOUT_INIT;
        if (layout_open(*name, &layout, &err) < 0)
            printf("%-20s unusable: %s\n", *name, err.msg);
        else
            printf("%-20s %-8s %.12s  %3d roots  %s\n", *name, layout.suite, layout.digest,
                   layout.roots, layout.title);
    }
    io_free_list(&names);
    return cmdline_finish(LAYOUTS, 0);
}
