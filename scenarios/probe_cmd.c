#include "probe_cmd.h"

#include <argp.h>
#include <errno.h>
#include <string.h>

#include "../fakes/layout.h"
#include "cmdline.h"
#include "probe.h"
#include "results.h"
#include "runner.h"
#include "suite.h"

#define NAME "killpoint probe"
#define LAYOUT "bookworm-mini"

struct probe {
    const char *backend_name, *layout;
    const char *const *command; /* behind --; NULL: none */
    struct backend backend;
    struct suite suite;
    struct diags diags;
    struct trials trials;
    json_t *events[PROBE_N_CASES];
};

static void probe_release(struct probe *probe)
{
    for (size_t i = 0; i < PROBE_N_CASES; i++)
        json_decref(probe->events[i]);
    trials_release(&probe->trials);
    suite_release(&probe->suite);
    backend_release(&probe->backend);
    diags_release(&probe->diags);
}

enum { OPT_BACKEND = 256, OPT_LAYOUT };

static const struct argp_option option_table[] = {
    {"backend", OPT_BACKEND, "NAME", 0, "A file of scenarios/backends, or FILE.yaml", 0},
    {"layout", OPT_LAYOUT, "L", 0, "Play on this layout (" LAYOUT ")", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct probe *probe = state->input;
    switch (key) {
    case OPT_BACKEND: probe->backend_name = arg; return 0;
    case OPT_LAYOUT: probe->layout = arg; return 0;
    case ARGP_KEY_ARG: return cmdline_fail(NAME, EINVAL, "unexpected argument '%s'", arg);
    default: return ARGP_ERR_UNKNOWN;
    }
}

static int parse(int argc, char **argv, struct probe *probe)
{
    static const struct argp argp = {
        option_table,
        parse_option,
        "[-- CMD ARG...]",
        "Checks that a backend can succeed and fail before it is judged: a machine of a random "
        "name, an undisturbed install, and two that cannot be.\v"
        "Exit status: 0 the adapter works, 1 it does not, 2 wrong usage or a bad file, 3 the "
        "harness broke, 130 interrupted.",
        NULL,
        NULL,
        NULL};
    int ret = cmdline_parse_command(&argp, NAME, argc, argv, probe, &probe->command);
    if (ret == 0 && !probe->backend_name == !probe->command)
        return cmdline_fail(NAME, -EINVAL, "give either --backend NAME or -- CMD");
    return ret;
}

static int choose_trials(struct probe *probe, struct err *err)
{
    const char *const layouts[] = {probe->layout, NULL};
    const char *globs[PROBE_N_CASES + 1] = {NULL};
    for (size_t i = 0; i < PROBE_N_CASES; i++)
        globs[i] = probe_cases[i].id;
    const struct selection selection = {
        layouts, probe->backend.command[DRIVER_SMOLVM] ? DRIVER_SMOLVM : DRIVER_DOCKER, globs};
    CLEANUP(layout_release) struct layout layout = LAYOUT_INIT;
    int ret = suite_select(&probe->suite, &selection, &probe->trials, err);
    if (ret < 0)
        return ret;
    ret = layout_open(probe->layout, &layout, err);
    return ret == -ENOENT ? err_text(err, ENOENT, "not built: run `ci/layouts %s`", probe->layout)
                          : ret;
}

/* Returns the exit status, 0: go on. */
static int prepare(struct probe *probe)
{
    struct err err = {""};
    int ret = probe->command
                  ? backend_from_command(probe->command, &probe->backend, &err)
                  : suite_load_backend(probe->backend_name, &probe->backend, &probe->diags, &err);
    if (ret == 0)
        ret = suite_load(&probe->suite, &probe->diags, &err);
    if (ret == 0)
        ret = choose_trials(probe, &err);
    if (probe->diags.count > 0) {
        diags_print(&probe->diags, stderr);
        return 2;
    }
    return ret < 0 ? cmdline_fail(NAME, 2, "%s", err.msg) : 0;
}

static void on_event(void *context, json_t *event)
{
    struct probe *probe = context;
    const char *scenario = json_string_value(json_object_get(event, "scenario"));
    for (size_t i = 0; i < PROBE_N_CASES; i++)
        if (scenario && strcmp(probe_cases[i].id, scenario) == 0 && !probe->events[i])
            probe->events[i] = json_incref(event);
}

/* What the backend said, each of its lines as one of ours. */
static void print_words(json_t *event)
{
    json_t *run = json_array_get(json_object_get(event, "runs"), 0);
    const char *at = results_said(run);
    for (int lines = 0; *at && lines < 10; lines++) {
        size_t len = strcspn(at, "\n");
        CLEANUP(buf_release) struct buf line = BUF_INIT;
        for (size_t i = 0; i < len && i < 300; i++)
            buf_append(&line, (unsigned char)at[i] < ' ' || at[i] == 0x7f ? "?" : at + i, 1);
        printf("      it said: %s\n", buf_str(&line));
        at += len + (at[len] == '\n');
    }
}

static int print(const struct probe *probe)
{
    static const char *const words[] = {"good", "BAD", "unsupported", "ERROR"};
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    printf("backend %s: %s\n", probe->backend.name, probe->backend.title);
    for (size_t i = 0; i < PROBE_N_CASES; i++) {
        CLEANUP(buf_release) struct buf found = BUF_INIT;
        enum probe_end end = probe_judge(&probe_cases[i], probe->events[i], &found);
        printf("%-11s %s: %s\n", words[end], probe_cases[i].what, buf_str(&found));
        if (end == PROBE_BAD)
            print_words(probe->events[i]);
    }
    enum probe_end end = probe_conclude(probe->events, &text);
    fputs(buf_str(&text), stdout);
    return cmdline_finish(NAME, end == PROBE_GOOD ? 0 : end == PROBE_BAD ? 1 : 3);
}

int probe_cmd(int argc, char **argv)
{
    CLEANUP(probe_release)
    struct probe probe = {.layout = LAYOUT,
                          .backend = BACKEND_INIT,
                          .suite = SUITE_INIT,
                          .diags = DIAGS_INIT,
                          .trials = TRIALS_INIT};
    struct run_outcome outcome = {.interrupted = false};
    struct err err;
    if (parse(argc, argv, &probe) < 0)
        return 2;
    int status = prepare(&probe);
    if (status != 0)
        return status;
    const struct container_kind *kind;
    int ret = runner_choose_kind(&kind, &err);
    if (ret < 0)
        return cmdline_fail(NAME, 2, "%s", err.msg);
    const struct run_options run = {.backend = &probe.backend,
                                    .kind = kind,
                                    .trials = &probe.trials,
                                    .jobs = cmdline_cores(),
                                    .on_event = on_event,
                                    .context = &probe};
    ret = runner_run(&run, &outcome, &err);
    if (ret < 0)
        return cmdline_fail(NAME, ret == -EINVAL ? 2 : 3, "%s", err.msg);
    return outcome.interrupted ? 130 : print(&probe);
}
