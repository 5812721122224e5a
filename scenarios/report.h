/*
 * report.h: what people and machines read of a run, drawn from its events (runner.h).
 *
 * The results file is NDJSON, one event a line, appended as they come; its last line is
 * the end event. The terminal gets a line of progress while trials are played and, when all are
 * done, the table of verdicts in the order of the suite, so that two runs print the same.
 */
#ifndef KILLPOINT_REPORT_H
#define KILLPOINT_REPORT_H

#include <jansson.h>
#include <stdio.h>

#include "runner.h"

struct report {
    FILE *results; /* NULL: none */
    FILE *out;     /* the table */
    bool terminal; /* stderr is one: progress, and times in the table */
    bool failed_to_write;
    const struct trials *trials; /* in the suite's order */
    json_t **events;             /* of trials, by their place in there */
    const char *backend;         /* as --backend has it; NULL: the command behind -- */
    const char *const *command;  /* behind --; NULL: none */
    const char *backend_title;
    const char *copied; /* why machines are copied trees; NULL: they are not */
};

void report_release(struct report *report);

void report_event(struct report *report, json_t *event);
void report_progress(struct report *report, size_t done, size_t total, size_t bad);

/* The table, each bad trial's checks, one line that reproduces it, and the counts. */
void report_print(struct report *report, const struct run_outcome *outcome);

#endif
