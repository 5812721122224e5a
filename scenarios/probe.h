/*
 * probe.h: whether a backend's adapter is fit to be judged at all.
 *
 * Four trials of the suite are played: two that any backend can do, one of them on a machine
 * of a random name, and two that nobody can. What a verdict is worth depends on that: a
 * backend that fails everywhere, or that claims success for what cannot be, has shown nothing
 * of how it takes a kill. Labels, fingerprints and the number of calls are for `run` to judge.
 */
#ifndef KILLPOINT_PROBE_H
#define KILLPOINT_PROBE_H

#include <jansson.h>
#include <stdbool.h>

#include "../fault/io.h"

struct probe_case {
    const char *id; /* of the scenario */
    bool possible;  /* success is right, else a claimed failure */
    const char *what;
};
#define PROBE_N_CASES 4
extern const struct probe_case probe_cases[PROBE_N_CASES];

enum probe_end {
    PROBE_GOOD,
    PROBE_BAD,
    PROBE_UNSUPPORTED, /* it says 77, or its expectation list skips the trial */
    PROBE_UNKNOWN,     /* the harness could not play it */
};

/* How a trial's event (runner.h) ended. Appends what was found, one line without its end. */
enum probe_end probe_judge(const struct probe_case *item, json_t *event, struct buf *found);

/*
 * What the events say together, by the places of probe_cases; all of them are there. Appends
 * sentences that end with newlines: what is wrong, and what to look at. Returns PROBE_GOOD,
 * PROBE_BAD or PROBE_UNKNOWN.
 */
enum probe_end probe_conclude(json_t *const events[PROBE_N_CASES], struct buf *text);

#endif
