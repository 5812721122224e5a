#include "explore_cmd.h"

#include <argp.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "../fakes/layout.h"
#include "cmdline.h"
#include "explore_report.h"
#include "suite.h"

#define NAME "killpoint explore"

enum { EXIT_FINDINGS = 1, EXIT_USAGE = 2, EXIT_UNTRUSTED = 3, EXIT_INTERRUPTED = 130 };
enum { OPT_BACKEND = 256, OPT_LAYOUT, OPT_SCOPE, OPT_POINTS, OPT_RESULTS, OPT_REAL };

struct options {
    struct explore_options explore;
    const char *backend, *results;
    const char *const *command; /* behind --; NULL: none */
    bool points_given;
};

static const struct argp_option option_table[] = {
    {"backend", OPT_BACKEND, "NAME", 0, "A file of scenarios/backends, or FILE.yaml", 0},
    {"layout", OPT_LAYOUT, "L", 0, "The guest's tree (bookworm)", 0},
    {"scope", OPT_SCOPE, "S", 0, "Who dies: tree (the default), process, torn, all", 0},
    {"points", OPT_POINTS, "P", 0,
     "Of process scope: all, or representative (the default on layouts of more than five roots)",
     0},
    {"no-shortcut", OPT_REAL, NULL, 0, "Execute every point for real", 0},
    {"jobs", 'j', "N", 0, "How many machine calls work at once (the cores)", 0},
    {"results", OPT_RESULTS, "FILE", 0, "Write every case to it, as NDJSON", 0},
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

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;
    char *end;
    switch (key) {
    case OPT_BACKEND: options->backend = arg; return 0;
    case OPT_LAYOUT: options->explore.layout = arg; return 0;
    case OPT_SCOPE: return -parse_scope(arg, &options->explore.scopes);
    case OPT_POINTS:
        options->points_given = true;
        options->explore.representative = strcmp(arg, "representative") == 0;
        if (!options->explore.representative && strcmp(arg, "all") != 0)
            return -cmdline_fail(NAME, -EINVAL, "--points takes all or representative: '%s'", arg);
        return 0;
    case OPT_RESULTS: options->results = arg; return 0;
    case OPT_REAL: options->explore.no_shortcut = true; return 0;
    case 'j':
        options->explore.jobs = (unsigned)strtoul(arg, &end, 10);
        if (*end || arg[0] < '1' || arg[0] > '9' || options->explore.jobs > 1024)
            return -cmdline_fail(NAME, -EINVAL, "-j takes a number from 1 to 1024: '%s'", arg);
        return 0;
    case ARGP_KEY_ARG: return -cmdline_fail(NAME, -EINVAL, "what is '%s' for?", arg);
    default: return ARGP_ERR_UNKNOWN;
    }
}

static int parse(int argc, char **argv, struct options *options)
{
    static const struct argp argp = {
        option_table,
        parse_option,
        "[-- CMD ARG...]",
        "Kills the first exec of a backend at every crash point, and judges what the guest's trust "
        "store is when the backend has had its retry.\v"
        "Exit status: 0 no finding, 1 findings, 2 wrong usage or a bad file, 3 the result is not "
        "to be trusted, 130 interrupted.",
        NULL,
        NULL,
        NULL};
    int own = argc;
    for (int i = 1; i < argc && own == argc; i++)
        if (strcmp(argv[i], "--") == 0)
            own = i;
    if (own < argc)
        options->command = (const char *const *)argv + own + 1;
    char *rest = argv[own];
    argv[own] = NULL;
    int ret = cmdline_parse(&argp, NAME, own, argv, options);
    argv[own] = rest;
    if (ret < 0)
        return ret;
    if (!options->backend == !options->command)
        return cmdline_fail(NAME, -EINVAL, "give either --backend NAME or -- CMD");
    if (options->command && !options->command[0])
        return cmdline_fail(NAME, -EINVAL, "no command behind --");
    return 0;
}

static void on_progress(void *context, const char *what, size_t done, size_t total)
{
    (void)context;
    fprintf(stderr, "\r%s: %zu of %zu \033[K", what, done, total);
    fflush(stderr);
}

/* 12 hex digits of what the backend is: its command line and environment. */
static void digest_backend(const struct options *options, const struct backend *backend,
                           char ret_text[13])
{
    snprintf(ret_text, 13, "-");
    if (options->command)
        return;
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    for (const char *const *at = backend->command[DRIVER_SMOLVM]; at && *at; at++)
        buf_printf(&text, "%s\n", *at);
    for (const char *const *at = backend->env; at && *at; at++)
        buf_printf(&text, "%s\n", *at);
    snprintf(ret_text, 13, "%012llx",
             (unsigned long long)(XXH3_64bits(buf_str(&text), text.len) & 0xffffffffffff));
}

static int finish(const struct options *options, const struct exploration *found,
                  const struct explore_names *names)
{
    explore_print_table(stdout, &options->explore, found, names);
    if (options->results) {
        CLEANUP(io_fclose) FILE *file = fopen(options->results, "we");
        if (!file || !explore_print_events(file, &options->explore, found, names))
            return cmdline_fail(NAME, EXIT_UNTRUSTED, "write %s: %s", options->results,
                                strerror(errno));
    }
    bool trusted = found->parted == 0, findings = false;
    for (size_t i = 0; i < found->n_cases; i++) {
        enum explore_class class = explore_classify(&found->cases[i].ending);
        trusted &= class != CLASS_UNKNOWN || found->cases[i].scope == EXPLORE_PROCESS;
        findings |= class != CLASS_FINE;
    }
    return cmdline_finish(NAME, !trusted ? EXIT_UNTRUSTED : findings ? EXIT_FINDINGS : 0);
}

static int play(const struct options *options, const struct explore_names *names)
{
    CLEANUP(exploration_release) struct exploration found;
    struct err err;
    int ret = explore(&options->explore, &found, &err);
    if (options->explore.on_progress)
        fprintf(stderr, "\r\033[K");
    if (ret == -EINTR)
        return EXIT_INTERRUPTED;
    if (ret < 0)
        return cmdline_fail(NAME, EXIT_UNTRUSTED, "%s", err.msg);
    return finish(options, &found, names);
}

int explore_cmd(int argc, char **argv)
{
    CLEANUP(backend_release) struct backend backend = BACKEND_INIT;
    CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
    CLEANUP(layout_release) struct layout layout = LAYOUT_INIT;
    struct options options = {.explore = {.backend = &backend,
                                          .layout = "bookworm",
                                          .scopes = EXPLORE_TREE,
                                          .call = RULE_EXEC,
                                          .nth = 1}};
    struct err err;
    cpu_set_t set;
    if (parse(argc, argv, &options) < 0)
        return EXIT_USAGE;
    int ret = options.command ? backend_from_command(options.command, &backend, &err)
                              : suite_load_backend(options.backend, &backend, &diags, &err);
    if (diags.count > 0) {
        diags_print(&diags, stderr);
        return EXIT_USAGE;
    }
    if (ret == 0)
        ret = layout_open(options.explore.layout, &layout, &err);
    if (ret < 0)
        return cmdline_fail(NAME, EXIT_USAGE, "%s", err.msg);
    if (!options.explore.jobs)
        options.explore.jobs =
            sched_getaffinity(0, sizeof set, &set) < 0 ? 1 : (unsigned)CPU_COUNT(&set);
    if (!options.points_given)
        options.explore.representative = layout.roots > 5;
    if (isatty(STDERR_FILENO) && !getenv("CI"))
        options.explore.on_progress = on_progress;
    struct explore_names names = {.layout = layout.name,
                                  .backend =
                                      options.command ? "the command behind --" : options.backend};
    snprintf(names.layout_digest, sizeof names.layout_digest, "%.12s", layout.digest);
    digest_backend(&options, &backend, names.backend_digest);
    return play(&options, &names);
}
