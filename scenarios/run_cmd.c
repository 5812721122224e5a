#include "run_cmd.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "../fakes/container.h"
#include "../fakes/layout.h"
#include "bundle.h"
#include "choice.h"
#include "cmdline.h"
#include "report.h"
#include "report_out.h"
#include "report_text.h"
#include "trial_event.h"

#define NAME "killpoint run"
#define LAYOUTS "killpoint layouts"

enum { EXIT_USAGE = 2, EXIT_HARNESS = 3, EXIT_NOTHING = 4 };

struct options {
    struct choice choice;
    struct report_out out;
    const char *backend, *results, *evidence;
    const char *const *command; /* behind --; NULL: none */
    unsigned jobs;
    bool keep, shuffle;
    unsigned long seed;
};

enum { OPT_BACKEND = 256, OPT_RESULTS, OPT_EVIDENCE, OPT_KEEP, OPT_SHUFFLE };

static const struct argp_option option_table[] = {
    {"backend", OPT_BACKEND, "NAME", 0, "A file of scenarios/backends, or FILE.yaml", 0},
    {"jobs", 'j', "N", 0, "How many machine calls work at once (the cores)", 0},
    {"results", OPT_RESULTS, "FILE", 0, "Append every event to it, as NDJSON", 0},
    {"evidence", OPT_EVIDENCE, "DIR", 0,
     "Write a file of each trial that ends badly to DIR: killpoint replay FILE plays it again", 0},
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
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->choice;
        state->child_inputs[1] = &options->out;
        return 0;
    case OPT_BACKEND: options->backend = arg; return 0;
    case 'j':
        if (!parse_number(arg, 1024, &number) || number == 0)
            return -cmdline_fail(NAME, -EINVAL, "-j takes a number from 1 to 1024: '%s'", arg);
        options->jobs = (unsigned)number;
        return 0;
    case OPT_RESULTS: options->results = arg; return 0;
    case OPT_EVIDENCE: options->evidence = arg; return 0;
    case OPT_KEEP: options->keep = true; return 0;
    case OPT_SHUFFLE:
        if (!parse_number(arg, UINT32_MAX, &options->seed))
            return -cmdline_fail(NAME, -EINVAL, "--shuffle takes a number: '%s'", arg);
        options->shuffle = true;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static int parse(int argc, char **argv, struct options *options)
{
    static const struct argp_child children[] = {
        {&choice_argp, 0, NULL, 0}, {&report_out_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {
        option_table,
        parse_option,
        "[ID-GLOB...] [-- CMD ARG...]",
        "Plays scenarios with a backend and judges what its guests hold afterwards.\v"
        "Exit status: 0 as expected, 1 an unexpected verdict, 2 wrong usage or a bad file, 3 the "
        "harness broke or a fault never happened, 4 nothing selected or judged, 130 interrupted. "
        "A trial whose backend exits with 77 is UNSUPPORTED: a run that judged nothing else ends 4 "
        "and "
        "says so.",
        children,
        NULL,
        NULL};
    int ret = cmdline_parse_command(&argp, NAME, argc, argv, options, &options->command);
    if (ret < 0)
        return ret;
    if (!options->backend == !options->command)
        return cmdline_fail(NAME, -EINVAL, "give either --backend NAME or -- CMD");
    const char *const others[] = {options->results, options->choice.failed_from};
    struct err err;
    if ((options->results && results_check_target(options->results, &err) < 0) ||
        report_out_check(&options->out, others, 2, &err) < 0)
        return cmdline_fail(NAME, -EINVAL, "%s", err.msg);
    return 0;
}

/* --- what is played ---------------------------------------------------------------- */

/* All that a run stands on. */
struct play {
    struct options options;
    struct backend backend;
    struct suite suite;
    struct diags diags;
    struct trials all;   /* each scenario on its own layouts, for the expectation list */
    struct trials plan;  /* what all shards play, in the suite's order */
    struct trials order; /* what this one plays, in the order they are started; borrows of plan */
    struct results results; /* one run */
    FILE *file;             /* --results; NULL: none */
    const struct container_kind *kind;
    struct err why_copied;       /* "": machines are no copied trees */
    struct bundle_maker bundles; /* its folder NULL: none are wanted */
    struct err bundles_err;      /* why one could not be written; "": they could */
    bool failed_to_write, terminal;
};

static void play_release(struct play *play)
{
    io_fclose(&play->file);
    results_release(&play->results);
    free(play->order.items);
    trials_release(&play->plan);
    trials_release(&play->all);
    suite_release(&play->suite);
    backend_release(&play->backend);
    diags_release(&play->diags);
    choice_release(&play->options.choice);
}

static int load_backend(struct play *play, struct err *err)
{
    if (play->options.command)
        return backend_from_command(play->options.command, &play->backend, err);
    return suite_load_backend(play->options.backend, &play->backend, &play->diags, err);
}

/* Names all that are missing, so that one call of ci/layouts makes up for it. *ret_digests: of
 * those that are played. */
static int open_layouts(const struct play *play, json_t *ret_digests, struct err *err)
{
    CLEANUP(buf_release) struct buf missing = BUF_INIT;
    int ret = 0;
    for (size_t i = 0; i < play->order.count; i++) {
        CLEANUP(layout_release) struct layout layout = LAYOUT_INIT;
        const char *name = play->order.items[i].layout;
        if (json_object_get(ret_digests, name))
            continue;
        int one = layout_open(name, &layout, err);
        if (one == -ENOENT)
            buf_printf(&missing, " %s", name);
        json_object_set_new(ret_digests, name, json_sprintf("%.12s", layout.digest));
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
    struct options *options = &play->options;
    const struct selection everything = {.driver = -1};
    scenario_expand(&play->suite.scenarios, &everything, &play->all);
    int ret = choice_select(&options->choice, &play->suite, play->backend.name, &play->plan, err);
    if (ret < 0)
        return ret;
    play->order.items = calloc(play->plan.count + 1, sizeof *play->order.items);
    if (!play->order.items)
        abort();
    for (size_t i = 0; i < play->plan.count; i++)
        if (shard_holds(&options->choice.shard, play->plan.items[i].id))
            play->order.items[play->order.count++] = play->plan.items[i];
    if (options->shuffle)
        shuffle(&play->order, options->seed);
    return 0;
}

/* Of the list's bytes; "": the backend has none. */
static char *expectations_digest(const struct play *play)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    const char *path = play->backend.expectations.path;
    if (!path || io_read_file(AT_FDCWD, path, &text, SIZE_MAX, NULL) < 0)
        return io_format("%s", "");
    return io_format("%012llx",
                     (unsigned long long)(XXH3_64bits(buf_str(&text), text.len) & 0xffffffffffff));
}

static json_t *begin_event(const struct play *play, json_t *layouts)
{
    const struct shard *shard = &play->options.choice.shard;
    CLEANUP(io_free) char *expectations = expectations_digest(play);
    char digest[13];
    json_t *plan = json_array();
    backend_digest(&play->backend, digest);
    for (size_t i = 0; i < play->plan.count; i++)
        json_array_append_new(plan, json_string(play->plan.items[i].id));
    json_t *event = json_pack("{s:s, s:i, s:s, s:o, s:s, s:s, s:s, s:o, s:o, s:o, s:I}", "event",
                              "begin", "version", 1, "backend", play->backend.name, "title",
                              trial_event_text(play->backend.title, strlen(play->backend.title)),
                              "backend_digest", digest, "expectations", expectations, "suite",
                              play->suite.digest, "layouts", layouts, "shard",
                              json_sprintf("%u/%u", shard->number, shard->count), "plan", plan,
                              "trials", (json_int_t)play->order.count);
    if (play->options.shuffle)
        json_object_set_new(event, "seed", json_integer((json_int_t)play->options.seed));
    if (play->why_copied.msg[0])
        json_object_set_new(event, "copied", json_string(play->why_copied.msg));
    return event;
}

static void write_event(struct play *play, const json_t *event)
{
    if (play->file && results_write_event(play->file, event) < 0)
        play->failed_to_write = true;
}

/* Begins the results. */
static int open_results(struct play *play, struct err *err)
{
    json_t *layouts = json_object();
    int ret = open_layouts(play, layouts, err);
    json_t *begin = begin_event(play, layouts);
    if (ret == 0)
        ret = results_add_run(&play->results, begin, err);
    if (ret == 0 && play->options.results)
        ret = results_append(play->options.results, &play->file, err);
    if (ret == 0)
        write_event(play, begin);
    json_decref(begin);
    return ret;
}

/* Which machines can be had here, and where their bundles go. */
static int prepare_machines(struct play *play, struct err *err)
{
    const struct options *options = &play->options;
    struct err why = {""};
    if (runner_choose_kind(&play->kind, &why) < 0) {
        *err = why;
        return -ENOTSUP;
    }
    if (play->kind == &container_copied)
        play->why_copied = why;
    play->bundles = (struct bundle_maker){
        .folder = options->evidence,
        .backend = options->backend,
        .command = options->command ? play->backend.command[DRIVER_SMOLVM] : NULL,
        .copied = play->why_copied.msg[0] ? play->why_copied.msg : NULL,
        .trials = &play->plan};
    return options->evidence ? bundle_make_folder(options->evidence, err) : 0;
}

/* Everything that can be wrong before a trial starts. Returns the exit status, 0: go on. */
static int prepare(struct play *play)
{
    struct err err = {""};
    int ret = load_backend(play, &err);
    if (ret == 0)
        ret = backend_check_programs(&play->backend, &err);
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
        ret = prepare_machines(play, &err);
    if (ret == 0)
        ret = open_results(play, &err);
    return ret < 0 ? cmdline_fail(NAME, EXIT_USAGE, "%s", err.msg) : 0;
}

/* --- playing ------------------------------------------------------------------------- */

/* A line to paste: the same trial, by the same backend. */
static char *again_line(const struct play *play, const struct trial *trial)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    const char *const *layout = trial->scenario->layouts;
    while (*layout && strcmp(*layout, trial->layout) != 0)
        layout++;
    buf_add(&text, "killpoint run ");
    if (play->options.backend) {
        buf_add(&text, "--backend ");
        report_add_word(&text, play->options.backend);
        buf_add(&text, " ");
    }
    if (!*layout)
        buf_printf(&text, "--layout %s ", trial->layout);
    report_add_word(&text, trial->id);
    for (const char *const *word = play->options.command; word && *word; word++) {
        buf_add(&text, word == play->options.command ? " -- " : " ");
        report_add_word(&text, *word);
    }
    return io_format("%s", buf_str(&text));
}

static void on_event(void *context, json_t *event)
{
    struct play *play = context;
    bool bad = !verdict_is_fine(verdict_parse(results_text(event, "verdict")));
    if (bad)
        for (size_t i = 0; i < play->plan.count; i++)
            if (strcmp(play->plan.items[i].id, results_text(event, "id")) == 0) {
                CLEANUP(io_free) char *again = again_line(play, &play->plan.items[i]);
                json_object_set_new(event, "again", trial_event_text(again, strlen(again)));
            }
    run_results_add(&play->results.runs[0], event, NULL);
    write_event(play, event);
    if (bad && play->bundles.folder)
        bundle_write(&play->bundles, event, &play->bundles_err);
}

static void on_progress(void *context, size_t done, size_t total, size_t bad)
{
    (void)context;
    fprintf(stderr, "\r\033[K  %zu of %zu trials, %zu bad", done, total, bad);
}

static int today(void)
{
    time_t now = time(NULL);
    struct tm day;
    gmtime_r(&now, &day);
    return (day.tm_year + 1900) * 10000 + (day.tm_mon + 1) * 100 + day.tm_mday;
}

/* The entries of the expectation list that have grown old; no other mistake is left here. */
static json_t *outdated_entries(struct play *play)
{
    json_t *list = json_array();
    expectations_outdated(&play->backend.expectations, &play->all, today(), &play->diags);
    for (size_t i = 0; i < play->diags.count; i++) {
        const struct diag *diag = &play->diags.items[i];
        json_array_append_new(list,
                              json_pack("{s:s, s:i, s:i, s:s}", "path", diag->path, "line",
                                        diag->line, "column", diag->column, "text", diag->text));
    }
    return list;
}

/* What fails everywhere has most likely not even begun; not what was chosen for its failures. */
static void print_doubt(const struct play *play, const struct run_results *run)
{
    size_t counts[VERDICT_COUNT];
    if (play->options.choice.failed_from || play->options.choice.shard.count > 1)
        return;
    run_results_count(run, counts);
    size_t bad = counts[VERDICT_FAIL] + counts[VERDICT_TIMEOUT] + counts[VERDICT_CRASH];
    if (bad > 1 && counts[VERDICT_PASS] + counts[VERDICT_XFAIL] + counts[VERDICT_LEAK] == 0)
        puts("everything fails: the adapter is probably broken; `killpoint probe` says more");
}

/*
 * Everything but the results file, which has had each event at once. After an interrupt the files
 * of reports stay as they were: `killpoint report` draws those of such a run.
 */
static int tell(struct play *play, int status)
{
    struct err err;
    bool whole = status != RUN_INTERRUPTED;
    if (!report_out_has_stdout(&play->options.out)) {
        report_print_table(stdout, &play->results.runs[0], play->terminal);
        if (whole)
            print_doubt(play, &play->results.runs[0]);
        if (play->options.shuffle)
            printf("shuffled with seed %lu\n", play->options.seed);
    }
    report_print_problems(stderr, &play->results);
    if (whole && report_out_write(&play->options.out, &play->results, &err) < 0)
        return cmdline_fail(NAME, EXIT_HARNESS, "%s", err.msg);
    if (play->failed_to_write)
        return cmdline_fail(NAME, EXIT_HARNESS, "could not write the results to %s",
                            play->options.results);
    if (play->bundles_err.msg[0])
        return cmdline_fail(NAME, EXIT_HARNESS, "could not write all evidence: %s",
                            play->bundles_err.msg);
    return cmdline_finish(NAME, status);
}

static int play_all(struct play *play)
{
    struct run_outcome outcome = {.interrupted = false};
    struct err err;
    const struct run_options run = {.backend = &play->backend,
                                    .kind = play->kind,
                                    .compares_bad = play->options.evidence != NULL,
                                    .trials = &play->order,
                                    .jobs =
                                        play->options.jobs ? play->options.jobs : cmdline_cores(),
                                    .keep = play->options.keep ? KEEP_BAD : KEEP_NONE,
                                    .on_event = on_event,
                                    .on_progress = play->terminal ? on_progress : NULL,
                                    .context = play};
    int64_t start_ms = io_now_ms();
    int ret = runner_run(&run, &outcome, &err);
    if (play->terminal)
        fputs("\r\033[K", stderr);
    if (ret < 0)
        return cmdline_fail(NAME, ret == -EINVAL ? EXIT_USAGE : EXIT_HARNESS, "%s", err.msg);
    struct run_results *results = &play->results.runs[0];
    enum run_status status = run_results_finish(results, outcome.interrupted,
                                                outdated_entries(play), io_now_ms() - start_ms);
    write_event(play, results->end);
    return tell(play, (int)status);
}

int run_cmd(int argc, char **argv)
{
    CLEANUP(play_release)
    struct play play = {.options = {.out = {.verb = NAME}},
                        .backend = BACKEND_INIT,
                        .suite = SUITE_INIT,
                        .diags = DIAGS_INIT,
                        .all = TRIALS_INIT,
                        .plan = TRIALS_INIT,
                        .results = RESULTS_INIT,
                        .terminal = isatty(STDERR_FILENO) && !getenv("CI")};
    choice_init(&play.options.choice, NAME, argc);
    if (parse(argc, argv, &play.options) < 0)
        return EXIT_USAGE;
    int status = prepare(&play);
    return status != 0 ? status : play_all(&play);
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
