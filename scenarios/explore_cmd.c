#include "explore_cmd.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../fakes/layout.h"
#include "../fakes/smolvm_values.h"
#include "cmdline.h"
#include "explore_report.h"
#include "report_out.h"
#include "runner.h"
#include "suite.h"

#define NAME "killpoint explore"
#define MINI_ROOTS 5

enum { EXIT_FINDINGS = 1, EXIT_USAGE = 2, EXIT_UNTRUSTED = 3, EXIT_INTERRUPTED = 130 };
enum {
    OPT_BACKEND = 256,
    OPT_LAYOUT,
    OPT_SCOPE,
    OPT_CALL,
    OPT_POINTS,
    OPT_DEPTH,
    OPT_SHARD,
    OPT_BUDGET,
    OPT_RESULTS,
    OPT_RESUME,
    OPT_REAL
};

struct options {
    struct explore_options explore;
    struct report_out out;
    const char *backend;
    const char *const *command; /* behind --; NULL: none */
};

static const struct argp_option option_table[] = {
    {"backend", OPT_BACKEND, "NAME", 0, "A file of scenarios/backends, or FILE.yaml", 0},
    {"layout", OPT_LAYOUT, "L", 0, "The guest's tree (bookworm)", 0},
    {"scope", OPT_SCOPE, "S", 0, "Who dies: tree (the default), process, torn, all", 0},
    {"call", OPT_CALL, "CALL", 0, "Which call is killed: exec#N (exec#1)", 0},
    {"points", OPT_POINTS, "P", 0,
     "all; representative: the first, middle and last of a kind; N or N..M; or one address "
     "(all; on layouts of more than five roots representative ones of process scope and pairs)",
     0},
    {"depth", OPT_DEPTH, "N", 0, "2: the call behind it is killed too (1)", 0},
    {"jobs", 'j', "N", 0, "How many machine calls work at once (the cores)", 0},
    {"shard", OPT_SHARD, "M/N", 0, "Only the M-th of N parts", 0},
    {"budget", OPT_BUDGET, "TIME", 0, "Begin nothing after that time: 90s, 10m", 0},
    {"results", OPT_RESULTS, "FILE", 0, "Write what is found, as NDJSON, as it is found", 0},
    {"resume", OPT_RESUME, "FILE", 0, "Go on with such a file, and do not play again what it has",
     0},
    {"no-shortcut", OPT_REAL, NULL, 0, "Execute every point for real", 0},
    {0},
};

static int parse_scope(const char *arg, unsigned *ret_scopes)
{
    static const struct {
        const char *name;
        unsigned scopes;
    } rows[] = {{"tree", EXPLORE_TREE},
                {"process", EXPLORE_PROCESS},
                {"torn", EXPLORE_TORN},
                {"all", EXPLORE_ALL}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(arg, rows[i].name) == 0) {
            *ret_scopes = rows[i].scopes;
            return 0;
        }
    return cmdline_fail(NAME, -EINVAL, "--scope takes tree, process, torn or all: '%s'", arg);
}

/* A whole number from 1 to most. Returns what is behind it, or NULL. */
static const char *parse_number(const char *text, uint64_t most, uint64_t *ret_number)
{
    char *end;
    errno = 0;
    uint64_t number = strtoull(text, &end, 10);
    if (*text < '1' || *text > '9' || errno || number > most)
        return NULL;
    *ret_number = number;
    return end;
}

static int parse_points(const char *arg, struct explore_options *explore)
{
    CLEANUP(address_release) struct address address = ADDRESS_INIT;
    const char *end = parse_number(arg, UINT32_MAX, &explore->from);
    explore->to = explore->from;
    if (end && strncmp(end, "..", 2) == 0)
        end = parse_number(end + 2, UINT32_MAX, &explore->to);
    explore->address = arg;
    if (end && *end == '\0' && explore->from <= explore->to)
        explore->choice = CHOOSE_RANGE;
    else if (strcmp(arg, "all") == 0)
        explore->choice = CHOOSE_ALL;
    else if (strcmp(arg, "representative") == 0)
        explore->choice = CHOOSE_REPRESENTATIVE;
    else if (strcmp(arg, "end") == 0 || address_parse(arg, &address, NULL, NULL) == 0)
        explore->choice = CHOOSE_ADDRESS;
    else
        return cmdline_fail(NAME, -EINVAL,
                            "--points takes all, representative, N, N..M or an address: '%s'", arg);
    return 0;
}

static int parse_small(const char *option, const char *arg, uint64_t most, unsigned *ret_number)
{
    uint64_t number;
    const char *end = parse_number(arg, most, &number);
    if (!end || *end)
        return cmdline_fail(NAME, -EINVAL, "%s takes a number from 1 to %d: '%s'", option,
                            (int)most, arg);
    *ret_number = (unsigned)number;
    return 0;
}

static int parse_results(const char *arg, bool resume, struct explore_options *explore)
{
    if (explore->results)
        return cmdline_fail(NAME, -EINVAL, "give one of --results and --resume, once");
    explore->results = arg;
    explore->resume = resume;
    return 0;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;
    struct explore_options *explore = &options->explore;
    struct err err;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &options->out; return 0;
    case OPT_BACKEND: options->backend = arg; return 0;
    case OPT_LAYOUT: explore->layout = arg; return 0;
    case OPT_SCOPE: return -parse_scope(arg, &explore->scopes);
    case OPT_CALL:
        if (token_parse_call(arg, &explore->call, &explore->nth, &err) < 0)
            return -cmdline_fail(NAME, -EINVAL, "--call: %s", err.msg);
        return 0;
    case OPT_POINTS: return -parse_points(arg, explore);
    case OPT_DEPTH: return -parse_small("--depth", arg, 2, &explore->depth);
    case OPT_SHARD:
        if (shard_parse(arg, &explore->shard) < 0)
            return -cmdline_fail(NAME, -EINVAL, "--shard takes M/N, M from 1 to N: '%s'", arg);
        return 0;
    case OPT_BUDGET:
        if (smolvm_duration_parse(arg, &explore->budget_ms, &err) < 0)
            return -cmdline_fail(NAME, -EINVAL, "--budget: %s", err.msg);
        return 0;
    case OPT_RESULTS: return -parse_results(arg, false, explore);
    case OPT_RESUME: return -parse_results(arg, true, explore);
    case OPT_REAL: explore->no_shortcut = true; return 0;
    case 'j': return -parse_small("-j", arg, 1024, &explore->jobs);
    case ARGP_KEY_ARG: return -cmdline_fail(NAME, -EINVAL, "what is '%s' for?", arg);
    default: return ARGP_ERR_UNKNOWN;
    }
}

static int parse(int argc, char **argv, struct options *options)
{
    static const struct argp_child children[] = {{&report_out_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {
        option_table,
        parse_option,
        "[-- CMD ARG...]",
        "Kills an exec of a backend, the first one, at every crash point, and judges what the "
        "guest's trust "
        "store is when the backend has had its retry.\v"
        "Exit status: 0 no finding in what was played, 1 findings, 2 wrong usage or a bad file, 3 "
        "the result is not to be trusted, or there was time for nothing; 130 interrupted: go on "
        "with --resume.",
        children,
        NULL,
        NULL};
    int ret = cmdline_parse_command(&argp, NAME, argc, argv, options, &options->command);
    if (ret < 0)
        return ret;
    if (!options->backend == !options->command)
        return cmdline_fail(NAME, -EINVAL, "give either --backend NAME or -- CMD");
    if (options->explore.depth == 2 && options->explore.scopes != EXPLORE_TREE)
        return cmdline_fail(NAME, -EINVAL, "--depth 2 goes with --scope tree alone");
    return 0;
}

static void on_progress(void *context, const char *what, size_t done, size_t total)
{
    (void)context;
    fprintf(stderr, "\r%s: %zu of %zu \033[K", what, done, total);
    fflush(stderr);
}

/* From the events, as `killpoint report` draws them. */
static int write_reports(const struct options *options, const struct exploration *found)
{
    struct explored *explored = NULL;
    struct err err;
    json_t *events = explore_results_events(&options->explore, found);
    int ret = explored_load(events, &explored, &err);
    json_decref(events);
    if (ret == 0) {
        const struct results results = {.explorations = &explored, .n_explorations = 1};
        ret = report_out_write(&options->out, &results, &err);
        explored_free(explored);
    }
    return ret < 0 ? cmdline_fail(NAME, ret, "%s", err.msg) : 0;
}

static int finish(const struct options *options, const struct exploration *found)
{
    if (!report_out_has_stdout(&options->out))
        explore_print_table(stdout, &options->explore, found);
    if (found->results_err.msg[0])
        return cmdline_fail(NAME, EXIT_UNTRUSTED, "%s", found->results_err.msg);
    if (report_out_is_wanted(&options->out) && write_reports(options, found) < 0)
        return EXIT_UNTRUSTED;
    bool trusted = found->n_cases == 0 || exploration_open_cases(found) < found->n_cases;
    bool findings = false;
    trusted &= !exploration_lacks_reruns(found);
    for (size_t i = 0; i < found->n_cases; i++) {
        const struct explore_case *item = &found->cases[i];
        trusted &= item->ending.claim != CLAIM_BROKEN && (!item->was_checked || item->checked_same);
        findings |= explore_is_finding(item);
    }
    return cmdline_finish(NAME, !trusted ? EXIT_UNTRUSTED : findings ? EXIT_FINDINGS : 0);
}

static int play(const struct options *options)
{
    CLEANUP(exploration_release) struct exploration found;
    struct err err;
    int ret = explore(&options->explore, &found, &err);
    if (options->explore.on_progress)
        fprintf(stderr, "\r\033[K");
    if (found.copied)
        fprintf(stderr, NAME ": " RUNNER_COPIED_NOTE "\n", found.copied);
    if (ret == -EINTR && options->explore.results && access(options->explore.results, F_OK) == 0)
        return cmdline_fail(NAME, EXIT_INTERRUPTED, "interrupted; go on with --resume %s",
                            options->explore.results);
    if (ret == -EINTR)
        return EXIT_INTERRUPTED;
    if (ret == -ESTALE || ret == -ERANGE)
        return cmdline_fail(NAME, EXIT_USAGE, "%s", err.msg);
    if (ret < 0)
        return cmdline_fail(NAME, EXIT_UNTRUSTED, "%s", err.msg);
    return finish(options, &found);
}

/* Before an hour's work, not after it. */
static int check_files(struct options *options)
{
    struct explore_options *explore = &options->explore;
    struct err err;
    struct stat st;
    if (explore->results && results_check_target(explore->results, &err) < 0)
        return cmdline_fail(NAME, -EINVAL, "%s", err.msg);
    /* Whoever was interrupted before the first case left nothing to go on with. */
    if (explore->resume && stat(explore->results, &st) == 0 && S_ISREG(st.st_mode))
        explore->resume = st.st_size > 0;
    if (report_out_check(&options->out, &explore->results, 1, &err) < 0)
        return cmdline_fail(NAME, -EINVAL, "%s", err.msg);
    if (!explore->results)
        return 0;
    int flags = explore->resume ? O_RDWR : O_WRONLY | O_CREAT;
    CLEANUP(io_close) int fd = open(explore->results, flags | O_CLOEXEC | O_NONBLOCK, 0666);
    return fd >= 0 ? 0 : cmdline_fail(NAME, -errno, "%s: %s", explore->results, strerror(errno));
}

static int load(struct options *options, struct backend *backend, struct layout *layout)
{
    CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
    struct explore_options *explore = &options->explore;
    struct err err;
    int ret = options->command ? backend_from_command(options->command, backend, &err)
                               : suite_load_backend(options->backend, backend, &diags, &err);
    if (diags.count > 0) {
        diags_print(&diags, stderr);
        return -EINVAL;
    }
    if (ret == 0)
        ret = backend_check_programs(backend, &err);
    if (ret == 0 && !backend->command[DRIVER_SMOLVM])
        ret =
            err_text(&err, EINVAL, "the backend %s has no command for smolvm, which explore drives",
                     backend->name);
    if (ret == 0)
        ret = layout_open(explore->layout, layout, &err);
    if (ret < 0)
        return cmdline_fail(NAME, ret, "%s", err.msg);
    explore->mini = layout->roots <= MINI_ROOTS;
    explore->backend_name = options->command ? "the command behind --" : options->backend;
    snprintf(explore->layout_digest, sizeof explore->layout_digest, "%.12s", layout->digest);
    if (options->command)
        snprintf(explore->backend_digest, sizeof explore->backend_digest, "-");
    else
        backend_digest(backend, explore->backend_digest);
    return 0;
}

int explore_cmd(int argc, char **argv)
{
    CLEANUP(backend_release) struct backend backend = BACKEND_INIT;
    CLEANUP(layout_release) struct layout layout = LAYOUT_INIT;
    struct options options = {.out = {.verb = NAME},
                              .explore = {.backend = &backend,
                                          .layout = "bookworm",
                                          .scopes = EXPLORE_TREE,
                                          .depth = 1,
                                          .shard = SHARD_ALL,
                                          .call = RULE_EXEC,
                                          .nth = 1}};
    if (parse(argc, argv, &options) < 0 || load(&options, &backend, &layout) < 0 ||
        check_files(&options) < 0)
        return EXIT_USAGE;
    if (!options.explore.jobs)
        options.explore.jobs = cmdline_cores();
    if (isatty(STDERR_FILENO) && !getenv("CI"))
        options.explore.on_progress = on_progress;
    return play(&options);
}
