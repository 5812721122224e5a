/*
 * prestate.h: bringing a guest into the state that a scenario begins with.
 *
 * The steps are calls to the machine, made by the runner: they are not journaled, count
 * for no rule, and are done before the rules are armed.
 */
#ifndef KILLPOINT_PRESTATE_H
#define KILLPOINT_PRESTATE_H

#include "../fakes/client.h"
#include "scenario.h"

/* Where the trial's machine and the fixtures are. */
struct prestate_machine {
    const char *state_path;
    const char *name;
    const char *fixtures_path; /* scenarios/fixtures */
    const char *ca_path, *bundle;
};

/*
 * Does all steps in order. A step that fails is an error of the harness, named by the
 * scenario's file and line. read_only steps are put into the machine's record.
 */
int prestate_apply(const struct prestate_machine *machine, const struct scenario *scenario,
                   struct err *err);

/* An undisturbed install of a fixture as the upstream contract has it: one cp, one exec. */
int prestate_provision(const struct prestate_machine *machine, const char *fixture,
                       struct err *err);

#endif
