/*
 * contract.h: what a backend must, should and may do: the checks of a trial, one table.
 *
 * The judge takes ids and levels from it, files may name no other check, and `killpoint
 * explain checks` and README.md show it. The checks of the guest's store are the rows of the
 * audit's table (audit_check.h); as checks of a trial their ids begin with store/.
 */
#ifndef KILLPOINT_CONTRACT_H
#define KILLPOINT_CONTRACT_H

#include "scenario.h"

enum contract_check {
    CONTRACT_CLAIM,
    CONTRACT_EXIT,
    CONTRACT_IDEMPOTENT,
    CONTRACT_TIME,
    CONTRACT_CP,
    CONTRACT_EXEC,
    CONTRACT_SETTLE,
    CONTRACT_EXEC_STATUS,
    CONTRACT_EXEC_STDOUT,
    CONTRACT_LABEL,
    CONTRACT_FINGERPRINT,
    CONTRACT_FATAL,
    CONTRACT_CONTAINS,
    CONTRACT_PROCESSES,
    CONTRACT_FIRED,
    CONTRACT_N_CHECKS
};

struct contract_def {
    const char *id; /* immutable */
    enum level level;
    const char *what;   /* what must hold */
    const char *why;    /* what goes wrong for somebody when it does not */
    const char *source; /* where the demand comes from */
};
/* By enum contract_check. */
extern const struct contract_def contract_defs[CONTRACT_N_CHECKS];

const char *contract_level_name(enum level level);

/* Whether there is such a check: one of the table, or store/LEVEL/ID of the audit. */
bool contract_has(const char *id);

#endif
