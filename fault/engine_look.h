/*
 * engine_look.h: what /proc shows of a tree's processes, beyond a single attempt.
 */
#ifndef KILLPOINT_ENGINE_LOOK_H
#define KILLPOINT_ENGINE_LOOK_H

#include "engine.h"

/* The process's name; "" when it is gone. */
void engine_look_comm(pid_t tid, char comm[RULE_COMM_MAX + 1]);

/* At the tree's first stop: the command's root and streams; before it was the caller's child. */
int engine_look_at_start(struct engine_tree *tree, pid_t tid, struct err *err);

/* Whether the call is about what the command got as 0, 1 or 2. */
bool engine_look_is_own_file(const struct engine_tree *tree, const struct attempt *attempt);

/* The attempt's file has lost its name: it gets one that it still has, if one is known. */
void engine_look_for_name(struct engine_tree *tree, struct attempt *attempt);
/* Before a call: the file's name is kept if it has others; after its success: new ones are, and
 * what is gone is not. */
void engine_look_at_links(struct engine_tree *tree, const struct attempt *attempt);
void engine_look_at_new_links(struct engine_tree *tree, const struct attempt *attempt);

/* At a call's entry, which the filter told of by data: whether it writes to a pipe or a socket.
 * Most writes do, so it is asked before anything else. */
bool engine_look_is_pipewrite(pid_t tid, unsigned data);

/* At a shared mapping of a file: it counts when the file is open for writing, for then it may
 * be written without a call. */
void engine_look_at_mapping(struct engine_tree *tree, pid_t tid);

#endif
