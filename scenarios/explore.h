/*
 * explore.h: every crash point of one call, each judged by what the backend makes of it.
 *
 * One undisturbed run is recorded, twice: both traces must agree. Then each distinct state
 * of the guest's files is given to the backend as what its call left behind when it was
 * killed, once for all points that it stands for, and the backend goes on for real. Points of
 * process and torn scope, and a sample of the others, are executed for real instead, by a
 * rule that names the address. After a bad end the backend is run again, undisturbed, up to
 * twice, to see whether the damage heals.
 */
#ifndef KILLPOINT_EXPLORE_H
#define KILLPOINT_EXPLORE_H

#include "explore_points.h"
#include "runner.h"

enum explore_scope { EXPLORE_TREE = 1, EXPLORE_PROCESS = 2, EXPLORE_TORN = 4, EXPLORE_ALL = 7 };

/* What the backend says, worst first. */
enum explore_claim {
    CLAIM_BROKEN, /* the harness failed, or the place was not met again: nothing is known */
    CLAIM_TIMEOUT,
    CLAIM_CRASH,
    CLAIM_FAILED,
    CLAIM_DONE
};

struct ending {
    enum explore_claim claim;
    int64_t execs;
    uint32_t findings; /* bit K: the K-th check of audit_defs() fails */
    char *said;        /* why it is broken, or the backend's last line on stderr; owned */
};

/* One thing that is played: a state, or a place that is killed for real. */
struct explore_case {
    enum explore_scope scope;
    bool real;             /* executed for real, not put in place */
    size_t point;          /* index of the first point it stands for; SIZE_MAX: a place */
    const char *address;   /* NULL: behind the last point */
    int64_t persist_bytes; /* of a torn write; else -1 */
    size_t stands_for;     /* how many points */
    struct ending ending;
    int healed_by; /* the n-th rerun; 0: it did not heal; -1: there was nothing to heal */
};

struct explore_options {
    const struct backend *backend;
    const char *layout;
    unsigned scopes; /* of enum explore_scope */
    enum rule_call call;
    uint32_t nth;
    bool no_shortcut;    /* everything for real */
    bool representative; /* of process scope only some places of each kind */
    unsigned jobs;
    void (*on_progress)(void *context, const char *what, size_t done, size_t total);
    void *context;
};

struct exploration {
    struct crash_points points;
    struct explore_case *cases; /* states in order, then torn writes, then places */
    size_t n_cases;
    size_t n_places;        /* that there are; the cases may be fewer */
    size_t checked, parted; /* states executed for real as well, and with another outcome */
    char *parted_at;        /* the first of them; NULL: none */
    bool interrupted;
};
void exploration_release(struct exploration *exploration);

/*
 * Explores. Errors: -EILSEQ the two recordings part (the text says where); -EPROTO the call was
 * not made or cannot be followed exactly; those of runner_run().
 */
int explore(const struct explore_options *options, struct exploration *ret_exploration,
            struct err *err);

/* The findings of one level of the audit. */
uint32_t explore_level_mask(int level);

#endif
