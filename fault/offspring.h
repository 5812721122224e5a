/*
 * offspring.h: the processes below this one, where no PID namespace holds them together.
 *
 * Who has called offspring_adopt() is given every orphan below it (prctl(2),
 * PR_SET_CHILD_SUBREAPER), so that none can leave by a second fork or setsid(2). Children are
 * found in /proc, which must be of this process's own PID namespace.
 */
#ifndef KILLPOINT_OFFSPRING_H
#define KILLPOINT_OFFSPRING_H

#include "io.h"

/* From now on, or not any more, orphans below this process become its children. Who lives below it
 * already, as a child that was there before an exec, is none of those below. */
int offspring_adopt(bool adopt, struct err *err);

/* The pids of all who live below this process, but for those; the caller frees *ret_pids. Returns
 * how many. */
size_t offspring_list(pid_t **ret_pids);

/* Sends SIGKILL to all of them; who is forked meanwhile may be missed. Returns how many. */
size_t offspring_kill(void);

/* Kills and reaps until none of them is left; the caller has adopted them. Nobody else may reap. */
void offspring_end(void);

#endif
