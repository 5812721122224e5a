/*
 * scenario.h: what a scenario file says.
 *
 * A file stands for one scenario or, with a matrix, for one of each combination of its
 * values; a struct scenario is one combination with every ${name} replaced. It is played as one
 * or more trials (trial.h).
 *
 * Everything lives in the set's pool until scenario_set_release().
 */
#ifndef KILLPOINT_SCENARIO_H
#define KILLPOINT_SCENARIO_H

#include "schema.h"

enum level { LEVEL_MUST, LEVEL_SHOULD, LEVEL_MAY };
enum driver { DRIVER_SMOLVM, DRIVER_DOCKER };
enum claim { CLAIM_SUCCESS, CLAIM_FAILURE, CLAIM_EITHER };
enum judge { JUDGE_REPORT, JUDGE_PASS }; /* measured and shown alone, or must pass */
enum label { LABEL_ANY, LABEL_EGRESS, LABEL_PIPELOCK };
enum fingerprint { FINGERPRINT_ANY, FINGERPRINT_ONCE, FINGERPRINT_NONE };
enum fatal { FATAL_ANY, FATAL_CP, FATAL_EXEC };
enum fired { FIRED_ALL, FIRED_ANY };
enum machines { MACHINES_ONE, MACHINES_EACH };
enum machine_name { MACHINE_NAME_USUAL, MACHINE_NAME_RANDOM, MACHINE_NAME_MISSING };

/* One run of the backend. The names are fixtures: scenarios/fixtures/NAME.crt. */
struct plan {
    const char *const *routes; /* may be empty: then the pipelock CA is to be chosen */
    const char *egress;
    const char *pipelock;
    const char *chosen; /* the one of both that this plan picks */
    enum label label;   /* LABEL_EGRESS or LABEL_PIPELOCK, for chosen */
};

enum step_kind {
    STEP_RUN,       /* sh -c text, as root in the guest; must end 0 */
    STEP_WRITE,     /* path, text or fixture, mode, owner, append */
    STEP_SYMLINK,   /* path -> target */
    STEP_REMOVE,    /* path, a whole tree; must be there */
    STEP_MKDIR,     /* path with its parents, mode */
    STEP_PROVISION, /* fixture: an undisturbed upstream install of it */
    STEP_READ_ONLY, /* path is mounted read-only from here to the trial's end */
};

/* Prestate steps are done in order, before the backend starts; none is the backend's call. */
struct step {
    enum step_kind kind;
    const char *path;
    const char *text;    /* run, write */
    const char *fixture; /* write, provision; NULL: none */
    const char *target;  /* symlink, as it is to stand in the link */
    const char *owner;   /* write: "user:group" */
    unsigned mode;       /* write, mkdir */
    bool append;         /* write: at the end of an existing file, whose mode and owner stay */
    int line;            /* in the scenario file, for messages */
};

/* What must hold; of several plans each run of the backend is held against it. */
struct expect {
    enum claim claim;
    const char *reason;    /* why the claim may be either, or why a rule need not fire; or NULL */
    int exit;              /* -1: not judged beyond the claim */
    struct range cp, exec; /* how many of the backend's calls, per run; 0 to INT32_MAX: any */
    bool judge_cp, judge_exec;
    bool judge_settle; /* from the end of exec#1 to the begin of exec#2; only with two execs */
    struct range settle_ms;
    size_t exec_status_count; /* 0: not judged */
    const int *exec_status;   /* of the run's execs in order; -S: killed by signal S */
    const char *const
        *exec_stdout; /* what each exec's stdout holds, "": it is empty; may be none */
    enum judge must, should, exact; /* the audit's levels, after the last run */
    const char *const *fails;       /* the audit's checks that must fail; may be none */
    enum label label;
    enum fingerprint fingerprint;
    enum fatal fatal;
    const char *const *contains; /* texts the backend's streams must hold; may be empty */
    enum fired fired;
};

struct scenario {
    const char *path;    /* of the file */
    int line;            /* of its id there */
    const char *base_id; /* as the file has it */
    const char *id;      /* with the matrix values: "kill/at-times[ms=50]" */
    const char *title;
    enum level level;
    const char *const *refs;
    const char *const *tags;
    const char *const *needs; /* capabilities, see backend.h */
    const char *const *layouts;
    size_t driver_count;
    const enum driver *drivers;
    size_t plan_count; /* at least 1; the k-th is the k-th run's */
    const struct plan *plans;
    enum machines machines;         /* one: runs in sequence; each: a machine a run, all at once */
    enum machine_name machine_name; /* that the backend is told */
    size_t step_count;
    const struct step *steps; /* done on every machine */
    int64_t run_ms;           /* the backend's deadline, for each run */
    int64_t disk_bytes;       /* 0: the upper is no tmpfs of its own */
    const char *const *faults;
    struct expect expect;
};

struct scenario_set {
    struct pool pool;
    struct scenario **items; /* in the order of loading, the matrix's first name slowest */
    size_t count;
};
#define SCENARIO_SET_INIT                                                                          \
    {                                                                                              \
        POOL_INIT, NULL, 0                                                                         \
    }
void scenario_set_release(struct scenario_set *set);

/*
 * Adds what one file stands for. layouts, NULL-terminated, are the names that there are;
 * NULL takes any. Returns 0, or -EINVAL with diagnostics added and nothing added to the set.
 */
int scenario_load(const char *path, const char *const *layouts, struct scenario_set *set,
                  struct diags *diags);
/* The same for a text, as if it stood in a file of that path. */
int scenario_parse(const char *path, const char *text, size_t len, const char *const *layouts,
                   struct scenario_set *set, struct diags *diags);
/*
 * Every *.yaml below a folder, by path in byte order. -EINVAL when any was bad (the good
 * ones are in the set), or when two files have the same id.
 */
int scenario_load_dir(const char *path, const char *const *layouts, struct scenario_set *set,
                      struct diags *diags);

#endif
