/*
 * killpoint: proves whether a program that installs a CA into a Debian guest survives
 * being killed. One verb a line in the table below.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "audit_cmd.h"
#include "cmdline.h"
#include "explain_cmd.h"
#include "explore_cmd.h"
#include "probe_cmd.h"
#include "replay_cmd.h"
#include "report_cmd.h"
#include "run_cmd.h"
#include "scenario_cmd.h"

static const struct {
    const char *name;
    int (*function)(int argc, char **argv);
    bool needs_root;
    const char *help;
} verbs[] = {
    {"run", run_cmd, true, "play scenarios with a backend and judge the guests"},
    {"probe", probe_cmd, true, "check that a backend can succeed and fail at all"},
    {"explore", explore_cmd, true, "kill a backend's call at every crash point"},
    {"replay", replay_cmd, true, "play the point of a token, or the case of a bundle, again"},
    {"report", report_cmd, false, "draw JUnit, TAP, Markdown and HTML from results files"},
    {"merge", merge_cmd, false, "put the results of all shards of a run together"},
    {"list", list_cmd, false, "name the trials that `run` would play"},
    {"validate", validate_cmd, false, "check scenario, backend and layout files"},
    {"explain", explain_cmd, false, "say what a key, a check or a rule means"},
    {"audit", audit_cmd, true, "judge the trust store of any Debian tree"},
    {"layouts", layouts_cmd, false, "list the layouts that are built"},
};
#define N_VERBS (sizeof verbs / sizeof *verbs)

static void print_help(FILE *file)
{
    fprintf(file, "Usage: killpoint VERB [ARG...]\n\n");
    for (size_t i = 0; i < N_VERBS; i++)
        fprintf(file, "  %-9s %s\n", verbs[i].name, verbs[i].help);
    fprintf(file, "\n`killpoint VERB --help` tells more.\n");
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "killpoint: a verb is missing; see killpoint --help\n");
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help(stdout);
        return cmdline_finish("killpoint", 0);
    }
    for (size_t i = 0; i < N_VERBS; i++) {
        if (strcmp(argv[1], verbs[i].name) != 0)
            continue;
        bool only_help = argc > 2 && strcmp(argv[2], "--help") == 0;
        if (verbs[i].needs_root && geteuid() != 0 && !only_help) {
            fprintf(stderr, "killpoint %s: must be root\n", argv[1]);
            return 2;
        }
        return verbs[i].function(argc - 1, argv + 1);
    }
    fprintf(stderr, "killpoint: no verb '%s'; see killpoint --help\n", argv[1]);
    return 2;
}
