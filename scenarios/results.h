/*
 * results.h: results files read back, and the one place that knows what a run's events add up to.
 *
 * A results file is NDJSON: the events of one or more runs (runner.h) and explorations
 * (explore_results.h), each from its begin event to its end event. A run that was cut off has
 * no end event, and perhaps a torn last line. All reports are drawn from a struct results; `run`
 * fills one with the events as they come, `report` and `merge` from files.
 */
#ifndef KILLPOINT_RESULTS_H
#define KILLPOINT_RESULTS_H

#include "explored.h"
#include "judge.h"
#include "shard.h"

struct run_results {
    char *path;          /* the file; NULL: none */
    struct shard shard;  /* what was to be played of the plan */
    json_t *begin, *end; /* end NULL: it was cut off */
    json_t **events;     /* of the plan's trials, in the suite's order; NULL: not played */
    size_t count;        /* of the plan */
};

struct results {
    struct run_results *runs;
    size_t n_runs;
    struct explored **explorations;
    size_t n_explorations;
};
#define RESULTS_INIT                                                                               \
    {                                                                                              \
        NULL, 0, NULL, 0                                                                           \
    }
void results_release(struct results *results);

/*
 * Adds what a file holds. Errors: those of open(2); -ENODATA: not one event, as of a run that was
 * killed at once; -EINVAL with FILE:LINE: what stands there are no such events.
 */
int results_add_file(struct results *results, const char *path, struct err *err);

/* A run of its own; begin is shared. -EINVAL: it is no begin event of a run. */
int results_add_run(struct results *results, json_t *begin, struct err *err);

/* Takes an event in and shares it. -EINVAL: it is of no trial of the plan, or there already. */
int run_results_add(struct run_results *run, json_t *event, struct err *err);

/* The k-th trial's id. */
const char *run_results_id(const struct run_results *run, size_t k);
/* Whether it was to be played: it is in the run's shard. */
bool run_results_has(const struct run_results *run, size_t k);
/* It ended badly, or was to be played and was not. */
bool run_results_is_bad(const struct run_results *run, size_t k);
/* The same, and the file has no later word on it from the same backend. */
bool results_last_is_bad(const struct results *results, size_t run, size_t k);

/* How often each verdict is there. */
void run_results_count(const struct run_results *run, size_t ret_counts[VERDICT_COUNT]);
bool run_results_is_interrupted(const struct run_results *run);
/* It has ended and judged nothing: every report says so, as an error. */
bool run_results_is_nothing(const struct run_results *run);
#define RESULTS_NOTHING                                                                            \
    "nothing was judged: no trial passed or failed, so the run says nothing about the "            \
    "backend"

/* Of a run: what comes of its verdicts and its expectation list. */
enum run_status {
    RUN_AS_EXPECTED = 0,
    RUN_UNEXPECTED = 1,
    RUN_HARNESS = 3,
    RUN_NOTHING = 4, /* nothing judged, not all of it by SKIP; not of a shard, which may be empty */
    RUN_INTERRUPTED = 130
};

/*
 * Makes the end event of a run, all of whose events are there, and takes it in. outdated, which is
 * handed over, lists the entries of the expectation list that have grown old:
 * {"path", "line", "column", "text"}. They are judged for a whole run; a shard only keeps them.
 */
enum run_status run_results_finish(struct run_results *run, bool interrupted, json_t *outdated,
                                   int64_t ms);
/* Of a whole run those entries, borrowed; of a shard NULL. */
json_t *run_results_outdated(const struct run_results *run);

/* Opens a file to add events behind what is there. Errors: those of open(2). */
int results_append(const char *path, FILE **ret_file, struct err *err);
/*
 * Whether results may be written there.
 * Errors: -EINVAL for "-", and for a file that holds something else.
 */
int results_check_target(const char *path, struct err *err);

/* Writes one event's line, at once. Returns 0 or -errno. */
int results_write_event(FILE *file, const json_t *event);

/* Of an object: the text, or "". */
const char *results_text(const json_t *object, const char *key);
/* Of a run of a trial's event: what it said on stderr, or else on stdout, or "". */
const char *results_said(const json_t *run);

#endif
