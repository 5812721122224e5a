/*
 * evidence.h: what is known of a trial when it has been played, and nothing of what it
 * should have been: the judge (judge.h) holds it against the scenario.
 */
#ifndef KILLPOINT_EVIDENCE_H
#define KILLPOINT_EVIDENCE_H

#include <jansson.h>

#include "audit.h"
#include "sandbox.h"
#include "trial.h"

/* One run of the backend. */
struct evidence_run {
    const struct plan *plan;
    char *machine;                 /* owned */
    char *told;                    /* the name that the backend got for it; owned */
    struct sandbox_result sandbox; /* its exit status by the backend's exit map */
    int raw_status;                /* and as it was */
    json_t *calls;                 /* journal lines of this run on this machine, in order; owned */
    json_t *rules;                 /* [{"rule", "fired"}] of the machine, or NULL; owned */
    struct buf fingerprint;        /* of the certificate that the plan picks; empty: unusable */
    struct audit_report *audit; /* of its machine, after this run; owned; NULL: `audits` has it */
};

struct evidence {
    struct evidence_run *runs;
    size_t n_runs;
    struct audit_report *audits; /* one for each machine, after its last run; NULL: none */
    size_t n_audits;
    bool vm_lost;      /* a machine with a disk of its own died, and its files with it */
    bool machine_gone; /* the backend deleted one */
    int64_t ms;        /* all of the trial */
    double audit_ms;   /* of which reading and judging the stores, references included */
};
void evidence_release(struct evidence *evidence);

#endif
