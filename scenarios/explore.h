/*
 * explore.h: every crash point of one call, each judged by what the backend makes of it.
 *
 * One undisturbed run is recorded, twice: both traces must agree. Then each distinct state
 * of the guest's files is given to the backend as what its call left behind when it was
 * killed, once for all points that it stands for, and the backend goes on for real. Points of
 * process and torn scope, and a sample of the others, are executed for real instead, by a
 * rule that names the address. With depth 2 the call behind it is killed as well: it is recorded
 * from each state, and each of its own points is one case.
 *
 * After a bad end the backend is run again, undisturbed, up to twice, to see whether the damage
 * heals: of each row of neighbours with one outcome the first, one inside and the last, and where
 * these differ, those between; at depth 2 all of them. A rerun that changes no file is the last.
 * Representative cases are mostly those, and the second of a row; they are run again at once.
 *
 * Each trial stays on one core where every core has a job (lanes.h): its nproc is 1 then.
 *
 * Everything that ends is an event at once (explore_results.h), so nothing finished is lost.
 */
#ifndef KILLPOINT_EXPLORE_H
#define KILLPOINT_EXPLORE_H

#include "explore_points.h"
#include "runner.h"
#include "shard.h"
#include "token.h"

#define EXPLORE_RERUNS 2

/* What the backend says, worst first. */
enum explore_claim {
    CLAIM_NONE,   /* it was not played */
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
    int code;          /* exit status or signal of the run that claim is about */
    char *said;        /* why it is broken, or the backend's last line on stderr; owned */
    char *diff;        /* what exact/files found, the same in each run; NULL: nothing; owned */
};

void ending_release(struct ending *ending);

/* One thing that is played: a state, or a place that is killed for real. */
struct explore_case {
    enum explore_scope scope;
    bool real; /* executed for real, not put in place */
    /* Of each call that is killed: its recording, and which point of it; SIZE_MAX: a place. */
    const struct crash_points *points[2];
    size_t point[2];
    const char *addresses[2]; /* NULL: behind the last point */
    size_t depth;             /* 1 or 2 calls are killed */
    int64_t persist_bytes;    /* of a torn write; else -1 */
    size_t stands_for;        /* how many points, or pairs of them */
    char *token;              /* owned */
    struct ending ending;
    bool retried;      /* more execs than undisturbed */
    int healed_by;     /* the n-th rerun; 0: none; -1: nothing to heal, or it is not known */
    bool reran;        /* healed_by was measured, not taken from its neighbours */
    bool rerun_failed; /* for want of time, or the harness did */
    bool was_checked;  /* executed for real as well */
    bool checked_same; /* with the same outcome */
};

/* Which cases of those that there are. */
enum explore_choice {
    CHOOSE_DEFAULT, /* all; representative ones where all would be too many */
    CHOOSE_ALL,
    CHOOSE_REPRESENTATIVE,
    CHOOSE_RANGE,  /* crash points from .. to */
    CHOOSE_ADDRESS /* of this address alone */
};

struct explore_options {
    const struct backend *backend;
    const char *backend_name; /* as people call it */
    const char *layout;
    bool mini; /* few roots: even process scope and pairs are played whole */
    char layout_digest[TOKEN_DIGITS + 1], backend_digest[TOKEN_DIGITS + 1];
    unsigned scopes; /* of enum explore_scope */
    unsigned depth;  /* 1 or 2 */
    enum rule_call call;
    uint32_t nth;
    bool no_shortcut; /* everything for real */
    unsigned rounds;  /* for the bench: each case so often, neither reruns nor checks; 0: all */
    enum explore_choice choice;
    uint64_t from, to;
    const char *address;
    struct shard shard;
    int64_t budget_ms; /* no case is begun after that; 0: no end */
    unsigned jobs;
    const char *results; /* a file for the events; NULL: none */
    bool resume;         /* what that file holds already is not played again */
    void (*on_progress)(void *context, const char *what, size_t done, size_t total);
    void *context;
};

struct exploration {
    struct crash_points points;
    struct crash_points *seconds; /* of the second call, from each first state; may be empty */
    size_t n_seconds;
    struct explore_case *cases; /* states in order, then torn writes, then places */
    size_t n_cases;
    size_t n_all;              /* cases that there are, before any choice */
    size_t n_places;           /* places of process scope that there are */
    int64_t undisturbed_execs; /* of the recorded run */
    bool cut_off;              /* read from a file that has no end of it */
    size_t n_no_second;        /* first states after which no second call was made */
    int64_t play_ms;           /* what playing the cases took, with the checks beside them */
    struct err results_err;    /* why not all is in the results file; "": it is */
    char *copied;              /* why machines are copied trees; NULL: they are not */
    char *no_shortcut;         /* why nothing could be put in place; NULL: it could */
};
void exploration_release(struct exploration *exploration);

/*
 * Explores. Errors: -EILSEQ the two recordings part (the text says where); -EPROTO the call was
 * not made or cannot be followed exactly; -ESTALE the results to be resumed are of something
 * else; -ERANGE no case is chosen; -EINTR interrupted: what was finished is in the results; those
 * of runner_run().
 */
int explore(const struct explore_options *options, struct exploration *ret_exploration,
            struct err *err);

/* Some rerun failed that had the time. */
bool exploration_lacks_reruns(const struct exploration *exploration);

/* How many cases were not played, for want of time. */
size_t exploration_open_cases(const struct exploration *exploration);

/* The findings of one level of the audit. */
uint32_t explore_level_mask(int level);

/* Success, and no finding. */
bool ending_is_good(const struct ending *ending);

#endif
