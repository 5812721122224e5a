/*
 * smolvm_calls.h: `machine exec`, `shell` and `cp`, the verbs that work inside the guest.
 *
 * Each is one turn (slot.h) and one client_call().
 */
#ifndef KILLPOINT_SMOLVM_CALLS_H
#define KILLPOINT_SMOLVM_CALLS_H

#include "smolvm_verbs.h"

/* Both return the exit status. `shell` is exec of /bin/sh with -i, and -t on a terminal. */
int smolvm_calls_exec(struct smolvm_run *run);

/*
 * cp's direction: SRC with a ':' is MACHINE:PATH and a download, asked first, so a host path
 * with a ':' cannot be uploaded; else DST with a ':' is an upload. A relative guest path is
 * taken from /. Source: smolvm 0.8.0, src/cli/machine.rs.
 */
int smolvm_calls_copy(struct smolvm_run *run);

/* One turn and one call, with the run's rules; the reply stays in the run, what it shows is taken
 * over. 0 or -errno, as client_call(). */
int smolvm_calls_make(struct smolvm_run *run, struct request *request, struct err *err);

#endif
