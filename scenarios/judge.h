/*
 * judge.h: evidence held against a scenario's expectation.
 *
 * Every check has an id and a level (contract.h and audit_check.h have the tables), a result,
 * and what was expected and found, as text. A check that the scenario only wants reported never
 * decides. The verdict is the worst that holds:
 *   ERROR       the adapter says it is broken (status 99)
 *   TIMEOUT     a run was over its deadline
 *   CRASH       a run died by a signal
 *   UNSUPPORTED a run said so (status 77)
 *   FAIL        a deciding check failed
 *   LEAK        nothing else is wrong, but a process outlived the backend
 *   UNRESOLVED  nothing is wrong, but a rule did not fire: the fault never was; or a store
 *               to be judged died with its machine's disk
 *   PASS
 */
#ifndef KILLPOINT_JUDGE_H
#define KILLPOINT_JUDGE_H

#include "evidence.h"

enum verdict {
    VERDICT_PASS,
    VERDICT_FAIL,
    VERDICT_XFAIL,
    VERDICT_XPASS,
    VERDICT_TIMEOUT,
    VERDICT_CRASH,
    VERDICT_LEAK,
    VERDICT_UNSUPPORTED,
    VERDICT_SKIP,
    VERDICT_UNRESOLVED,
    VERDICT_ERROR,
    VERDICT_COUNT
};
const char *verdict_name(enum verdict verdict);
/* VERDICT_ERROR for an unknown name. */
enum verdict verdict_parse(const char *name);

/*
 * Judges. *ret_checks is a new JSON list of {"id", "level", "result": pass|fail|not-run,
 * "decides": bool, "expected", "found"}, in a fixed order; ids are made unique for
 * scenarios of several runs by the run's number in front of `found`.
 */
enum verdict judge(const struct scenario *scenario, const struct evidence *evidence,
                   json_t **ret_checks);

#endif
