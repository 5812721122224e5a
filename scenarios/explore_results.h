/*
 * explore_results.h: what an exploration found, as events, and taken up again from them.
 *
 * NDJSON. While it goes on, lines come in the order in which things end; at the end the file
 * is replaced by one in the order of the cases, so that two runs give the same file:
 *   begin  {"version", "backend", "command"?, "layout", "layout_digest", "backend_digest", "trace",
 *           "call", "scopes", "depth", "choice", "shard", "no_shortcut", "executed"?: why all
 *           was executed for real, "execs": of an undisturbed run, "points": N, "states": N,
 *           "places": N, "addresses": of the points in their order, null for the end, "all": N,
 *           "cases": how many of all are chosen, "seconds", "no_second": of depth 2}
 *   case   {"token", "scope", "class", "claim", "execs", "points": how many it stands for,
 *           "findings": [check ids], "at": [ordinals of the points], "said"?: the last line of a
 *           backend that did not succeed, "diff"?: of the guest, against an undisturbed install,
 *           "; " between, "healed"?: as in rerun, where it is known in the end}
 *   rerun  {"token", "healed_by": the n-th rerun, 0: none}
 *   check  {"token", "same": the outcome of the case executed for real}
 *   end    {"cases": N of "all": N, "open": N not played, "classes": {CLASS: points}}
 */
#ifndef KILLPOINT_EXPLORE_RESULTS_H
#define KILLPOINT_EXPLORE_RESULTS_H

#include <jansson.h>

#include "explore.h"

/* Worst first. */
enum explore_class {
    CLASS_BROKEN_STORE, /* success claimed, a must-check failed */
    CLASS_DIRTY_STORE,  /* success claimed, a should- or exact-check failed */
    CLASS_ENDED,        /* crash or timeout */
    CLASS_REFUSED,      /* failure claimed */
    CLASS_FINE,         /* success claimed, nothing found */
    CLASS_UNKNOWN,      /* nothing is known */
    CLASS_COUNT
};
enum explore_class explore_classify(const struct ending *ending);
const char *explore_class_word(enum explore_class class);

/* A kill and then quiet is to end well; two kills in a claimed failure that one rerun heals. */
bool explore_is_finding(const struct explore_case *item);

struct explore_results {
    const char *path; /* NULL: nothing is written */
    FILE *file;
    struct err err; /* the first thing that could not be written; "": all was */
};

/*
 * Begins, or goes on with, the file of the options. When it is resumed, what it holds is filled
 * into the cases. Errors: -ESTALE it is of another exploration: err says what differs; those of
 * open(2).
 */
int explore_results_open(struct explore_results *results, const struct explore_options *options,
                         struct exploration *found, struct err *err);
void explore_results_close(struct explore_results *results);

void explore_results_add_case(struct explore_results *results, const struct explore_case *item);
void explore_results_add_rerun(struct explore_results *results, const struct explore_case *item);
void explore_results_add_check(struct explore_results *results, const struct explore_case *item);

/* What a case line says of the end; the caller releases it. */
void explore_results_read(const json_t *line, struct ending *ret_ending);
/* Fills what a line tells of a case that is there into it; other lines are nothing. */
void explore_results_take(struct exploration *found, const json_t *line);

/* All of it, in order, as one list; the caller's. */
json_t *explore_results_events(const struct explore_options *options,
                               const struct exploration *found);

/* The file as a whole, in order; the old one is there until then. What is no regular file only gets
 * its last line. */
void explore_results_finish(struct explore_results *results, const struct explore_options *options,
                            const struct exploration *found);

#endif
