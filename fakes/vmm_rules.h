/*
 * vmm_rules.h: what rules do to the machine as a whole: those on start and stop, and those of
 * the scopes init and vm in any call.
 */
#ifndef KILLPOINT_VMM_RULES_H
#define KILLPOINT_VMM_RULES_H

#include "vmm.h"

/* Ends the container's main command, as a rule with scope=init says. False: none lived. */
bool vmm_kill_main(struct vmm *vmm);
/*
 * The VM dies here and now, as the rule says, leaving the counts of its rules in
 * MACHINE/fired.json and telling them to the calls; with lose=all its files are again what they
 * were at the last sync.
 */
void vmm_die(struct vmm *vmm, const struct rule *rule) __attribute__((noreturn));
/* As faults_parse(); -ENOTSUP also for scopes that the machine has not. */
int vmm_parse_faults(const struct vmm *vmm, struct faults *faults, const char *text,
                     struct err *err);
/*
 * Rules of a single call, in place of *faults. -ENOTSUP: as vmm_parse_faults(), and for lose=all
 * where syncs are not followed.
 */
int vmm_take_faults(const struct vmm *vmm, struct faults *faults, const char *text,
                    struct err *err);
/* The rules on `stop` that are in force: those that a stop brought, else those that are armed. */
struct faults *vmm_stopping_faults(struct vmm *vmm);
/* Does what a rule on start or stop says; what the CLI is to show goes into *forced. */
void vmm_apply_rule(struct vmm *vmm, struct faults *faults, int index, struct reply *forced);
/* Sets off the rules with `at` in start or stop, which began at from_ms. */
void vmm_set_alarms(struct vmm *vmm, struct faults *faults, enum rule_call call, int64_t from_ms);
/* Those of *faults, or all for NULL, will not fire any more. */
void vmm_clear_alarms(struct vmm *vmm, const struct faults *faults);

#endif
