/*
 * expectation.h: what a backend is known not to do right, in a list beside it
 * (scenarios/backends/NAME.expect.yaml).
 *
 * An entry matches trials by a glob (trial.h), or by GLOB:CHECK one check of them.
 *   xfail GLOB        the trial must end badly: XFAIL; when it passes: XPASS
 *   xfail GLOB:CHECK  that check must fail, in every trial matched; other failing checks
 *                     still make the trial FAIL; when the check passes: XPASS
 *   skip GLOB         the trial is not played
 *   skip GLOB:CHECK   that check is not looked at: it may fail, which alone is XFAIL, or pass
 * A list that has grown old fails the run: an entry that matches no trial, or whose day
 * has passed, or whose trial passes (that is XPASS).
 */
#ifndef KILLPOINT_EXPECTATION_H
#define KILLPOINT_EXPECTATION_H

#include "trial.h"

enum expected { EXPECTED_XFAIL, EXPECTED_SKIP };

struct expectation {
    const char *match; /* as the file has it */
    const char *glob;
    const char *check; /* NULL: the trial as a whole */
    enum expected verdict;
    const char *reason; /* why */
    const char *ref;    /* where it is followed up */
    const char *layout; /* glob; NULL: any */
    int expires;        /* YYYYMMDD, the last day it holds; 0: never */
    int line, column;   /* of match, for diagnostics */
};

struct expectations {
    const char *path; /* of the list's file; NULL: the backend has none */
    struct expectation *items;
    size_t count;
};

/* Loads a list; it lives in pool. 0, or -EINVAL with diagnostics added. */
int expectations_load(const char *path, struct pool *pool, struct expectations *ret_list,
                      struct diags *diags);

/*
 * Adds a diagnostic for each entry that matches no trial (give all that there are, not
 * only the selected ones) and for each that has expired on the day YYYYMMDD. Returns how
 * many; such a run ends 1.
 */
size_t expectations_outdated(const struct expectations *list, const struct trials *all, int today,
                             struct diags *diags);

bool expectation_matches(const struct expectation *entry, const struct trial *trial);

/* The entry that says the trial is not to be played, or NULL. */
const struct expectation *expectations_skip(const struct expectations *list,
                                            const struct trial *trial);

/*
 * What a played trial's outcome counts as. failing are the ids of the checks that failed,
 * NULL-terminated; bad says that the trial ended badly (FAIL, TIMEOUT, CRASH, LEAK: with
 * the latter three failing may be empty). Not for UNRESOLVED, ERROR and UNSUPPORTED, which
 * no entry covers.
 */
enum outcome {
    OUTCOME_AS_IS, /* no entry says otherwise: PASS, or the bad verdict */
    OUTCOME_XFAIL, /* ended badly, and every failing check is covered */
    OUTCOME_XPASS, /* an entry's failure did not come, and nothing else is wrong */
};
/* *ret_entry, when not NULL, is the entry that decided, or NULL. */
enum outcome expectations_apply(const struct expectations *list, const struct trial *trial,
                                bool bad, const char *const *failing,
                                const struct expectation **ret_entry);

#endif
