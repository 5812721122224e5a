/*
 * runner.h: playing many trials, several at a time.
 *
 * Each trial is a process of its own (trial_run.h), which sends back one JSON line; at
 * most `jobs` of their machine calls work at once, and some times as many trials are in
 * flight, so that a backend that sleeps holds nothing.
 *
 * A run has a folder STATE/run-PID, locked while it lives. What an earlier run that was
 * killed left there is removed by the next one.
 *
 * Everything that is found goes out as events, JSON objects with a member "event":
 *   begin  {"version", "backend", "driver"?, "trials": N, "seed"?}
 *   trial  {"id", "scenario", "layout", "driver", "title", "verdict", "reason"?, "ref"?, "error"?,
 *           "ms", "folder" (the trial's, gone by now), "checks": […] (judge.h), "calls": [{"verb",
 * "status", "signal"}], "runs":
 *           [{"machine", "how", "code", "stdout", "stderr"}], "kept"?}
 *   end    {"counts": {VERDICT: N}, "exit": N, "ms", "interrupted": bool}
 */
#ifndef KILLPOINT_RUNNER_H
#define KILLPOINT_RUNNER_H

#include "backend.h"
#include "judge.h"

struct run_options {
    const struct backend *backend;
    const struct trials *trials; /* in the order they are to be started */
    unsigned jobs;
    unsigned flight;                             /* trials in flight for each of them; 0: 4 */
    enum { KEEP_NONE, KEEP_BAD, KEEP_ALL } keep; /* whose folder stays, of trials that ended */
    int64_t deadline_ms; /* of io_now_ms(): nothing is started from then on; 0: none */
    /* Called for each event, in the order of their ends. */
    void (*on_event)(void *context, json_t *event);
    /* Called a few times a second with what is going on; NULL: never. */
    void (*on_progress)(void *context, size_t done, size_t total, size_t bad);
    void *context;
};

struct run_outcome {
    size_t counts[VERDICT_COUNT];
    bool interrupted;
};

/* Whether a verdict is as it should be: PASS, XFAIL, SKIP, UNSUPPORTED. */
bool verdict_is_fine(enum verdict verdict);

/* Plays all. SIGINT and SIGTERM end it early, cleaned up. -errno: nothing could be played. */
int runner_run(const struct run_options *options, struct run_outcome *ret_outcome, struct err *err);

#endif
