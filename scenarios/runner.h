/*
 * runner.h: playing many trials, several at a time.
 *
 * Each trial is a process of its own (trial_run.h), which sends back one JSON line of at most
 * 16 MiB, what is only shown cut to that and said to be (json_cut.h); at
 * most `jobs` of their machine calls work at once, and some times as many trials are in
 * flight, so that a backend that sleeps holds nothing.
 *
 * A run has a folder STATE/run-PID, locked while it lives. What an earlier run that was
 * killed left there is removed by the next one.
 *
 * Each trial that has ended goes out as an event, a JSON object; scenarios/README.md lists all
 * events of a run. run_cmd.c adds the begin and the end.
 */
#ifndef KILLPOINT_RUNNER_H
#define KILLPOINT_RUNNER_H

#include "backend.h"
#include "judge.h"

struct container_kind;

struct run_options {
    const struct backend *backend;
    const struct container_kind *kind; /* of the machines, as runner_choose_kind() says */
    const struct trials *trials;       /* in the order they are to be started */
    unsigned jobs;
    unsigned flight; /* trials in flight for each of them; 0: 4 */
    bool pins; /* each trial, with all its processes, stays on one core: it is faster, but nothing
                * of a trial happens at the same time */
    enum { KEEP_NONE, KEEP_BAD, KEEP_ALL } keep; /* whose folder stays, of trials that ended */
    const char *copies_path; /* a folder for copied trees that outlives the run; NULL: the run's */
    bool compares_bad;   /* a trial that ends badly is held against an undisturbed install, too */
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

/*
 * Which kind of machines can be had where a run would make them. With container_copied *ret_why
 * says why, and trials that need more are UNSUPPORTED. -errno: there is no place for them.
 */
int runner_choose_kind(const struct container_kind **ret_kind, struct err *ret_why);

/* A line for people, with that text. */
#define RUNNER_COPIED_NOTE "machines are copied trees, for containers are refused here (%s)"

/* Plays all. SIGINT and SIGTERM end it early, cleaned up. -errno: nothing could be played. */
int runner_run(const struct run_options *options, struct run_outcome *ret_outcome, struct err *err);

#endif
