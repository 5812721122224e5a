/*
 * smolvm_list.h: `machine ls` and `machine status`, as text and as JSON.
 *
 * Source: smolvm 0.8.0, src/cli/vm_common.rs. `status --json` is one element of
 * `ls --json`; the order of its keys means nothing.
 */
#ifndef KILLPOINT_SMOLVM_LIST_H
#define KILLPOINT_SMOLVM_LIST_H

#include "smolvm_verbs.h"

/* Both return the exit status. */
int smolvm_list_machines(struct smolvm_run *run);
int smolvm_list_status(struct smolvm_run *run);

#endif
