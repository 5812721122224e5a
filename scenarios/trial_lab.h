/*
 * trial_lab.h: a trial while it is played; trial_run.c makes it and runs the backend, trial_look.c
 * looks at what that left.
 */
#ifndef KILLPOINT_TRIAL_LAB_H
#define KILLPOINT_TRIAL_LAB_H

#include "../fakes/layout.h"
#include "evidence.h"
#include "scenario_check.h"
#include "trial_run.h"

/* One machine of the trial. */
struct lab_machine {
    char *name;
    pid_t vmm_pid;
    bool booted;
};

/* The trial while it is played. */
struct lab {
    const struct trial_setup *setup;
    const struct trial *trial;
    const struct scenario *scenario;
    struct layout layout;
    struct lab_machine machines[SCENARIO_MACHINES_MAX];
    size_t n_machines;
    int owner_read_fd, owner_write_fd; /* the machines end when the write end is closed */
    char *rules;
    struct evidence evidence;
};

/* --- trial_run.c ------------------------------------------------------------------------ */

int lab_boot_machine(struct lab *lab, struct lab_machine *machine, struct err *err);

/* The next of lab->machines: booted, with the scenario's prestate, its rules armed. */
int lab_make_machine(struct lab *lab, struct err *err);

/* --- trial_look.c ----------------------------------------------------------------------- */

/* The journal's lines that belong to the run: on the machine it was told, within its time. */
int lab_read_calls(struct lab *lab, struct evidence_run *run, struct err *err);

/* How often each rule fired: the VMM says so, or has left it in writing when a rule ended it. */
int lab_read_rules(struct lab *lab, struct evidence_run *run, struct err *err);

/* For the exact level: what an undisturbed install of that fixture changes. */
int lab_make_reference(struct lab *lab, const char *fixture, struct tree *ret_tree,
                       struct err *err);

/* Fills lab->evidence.audits. */
int lab_audit_machines(struct lab *lab, struct err *err);

/*
 * Holds what ended badly against an undisturbed install, too, whether or not that was to be
 * judged. Where that cannot be made, the verdict stands without.
 */
void lab_compare_bad(struct lab *lab);

/* Looks at the k-th run's machine. *files: before the run, then behind it. Returns 1 when no
 * further run would tell anything new, 0 or -errno. */
int lab_look_after_run(struct lab *lab, size_t k, struct tree *files, struct err *err);

#endif
