/*
 * docker_verbs.h: what each verb of docker does, on the machines of smolvm_verbs.h.
 *
 * A container's first process is the machine's own init, so a command for it is refused unless it
 * only waits (`sleep infinity`, `tail -f /dev/null`). The first error that is the fake's own, not
 * docker's, begins with `error: ` and has the status 2.
 */
#ifndef KILLPOINT_DOCKER_VERBS_H
#define KILLPOINT_DOCKER_VERBS_H

#include "docker_args.h"
#include "smolvm_verbs.h"

/* Plays args. run->args is not looked at. Returns the exit status. */
int docker_verb_run(struct smolvm_run *run, const struct docker_args *args);

#endif
