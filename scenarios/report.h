/*
 * report.h: what people read of a run on a terminal, drawn from its events.
 *
 * The table stands in the order of the suite and without times, so that two runs print the same.
 */
#ifndef KILLPOINT_REPORT_H
#define KILLPOINT_REPORT_H

#include "results.h"

/* The table, each bad trial's checks, one line that reproduces it, and the counts. */
void report_print_table(FILE *out, const struct run_results *run, bool times);

/* A line to paste: a shell in the machine that was left in that folder. */
void report_print_kept(FILE *out, const char *folder, const char *machine);

/*
 * For stderr: entries of the expectation list that have grown old, as `path:line:column: error:`.
 * Where GITHUB_ACTIONS is true, on GitHub and on Gitea, annotations of all that is bad as well.
 */
void report_print_problems(FILE *file, const struct results *results);

#endif
