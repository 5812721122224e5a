/*
 * trial.h: the trials that scenarios stand for, and how they are selected.
 *
 * A trial is one scenario on one layout with one driver. Its id never changes while its
 * file keeps its id:
 *
 *     install/undisturbed@bookworm
 *     kill/at-times[ms=50]@bookworm        matrix values, names in the file's order
 *     kill/at-times[ms=50]@bookworm+docker every driver but smolvm
 *
 * In the brackets each byte of a value but letters, digits and ._+- is written '_'.
 *
 * A glob selects trials. `*` is any run of bytes, '/' too, `?` is any one byte, everything
 * else is itself, brackets too, so that an id can be pasted. It is held against the whole
 * id, the id without @layout, and the id without the brackets as well: `kill/at-times`
 * and `kill/at-times[ms=50]` both do what they look like.
 */
#ifndef KILLPOINT_TRIAL_H
#define KILLPOINT_TRIAL_H

#include "scenario.h"

struct arming;
struct tree;

struct trial {
    const struct scenario *scenario;
    char *id; /* owned */
    const char *layout;
    enum driver driver;
    /* Both of the explorer alone, borrowed; NULL: none. */
    const struct arming *arming;  /* a recording or a replay; its rules are the scenario's */
    const struct tree *reference; /* of the exact level, made before */
    /* Of several plans: ends with the first run that ends well, or that is a rerun and changes no
     * file; the machine is looked at after each. */
    bool until_good;
};

struct trials {
    struct trial *items;
    size_t count;
};
#define TRIALS_INIT                                                                                \
    {                                                                                              \
        NULL, 0                                                                                    \
    }
void trials_release(struct trials *trials);

struct selection {
    const char *const *layouts; /* instead of each scenario's own; NULL: its own */
    int driver;                 /* only this one; -1: each scenario's own */
    const char *const *globs;   /* those that match one; NULL or empty: all */
    const char *const *tags;    /* those that have one; NULL or empty: all */
    const char *const *ids;     /* just these; NULL: all */
};
/*
 * The trials of a set, in the set's order; their strings need the set. Each glob that
 * selects nothing is the caller's to find with trial_matches(). Aborts when memory ends.
 */
void scenario_expand(const struct scenario_set *set, const struct selection *selection,
                     struct trials *ret_trials);
bool trial_matches(const char *trial_id, const char *glob);

#endif
