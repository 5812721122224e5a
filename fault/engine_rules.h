/*
 * engine_rules.h: which rule fires at a place of a tree, and whom its signal gets.
 *
 * engine.h says what places are, and calls this; nobody else does.
 */
#ifndef KILLPOINT_ENGINE_RULES_H
#define KILLPOINT_ENGINE_RULES_H

#include "engine.h"

/*
 * The first rule that fires here, or -1. All that match count.
 *   attempt   NULL where the place is none of an operation
 */
int engine_rules_match(struct engine_tree *tree, const struct tracee *tracee, enum rule_place place,
                       const struct attempt *attempt, const struct address *address);

/* Whether anything is to be told or done at places of this kind. */
bool engine_rules_care(const struct engine_tree *tree, enum rule_place place);

/* The rule fired so many times more; one that is none of the tree's is nobody's business. */
void engine_rules_fired(struct engine_tree *tree, const struct rule *rule, int times);

/*
 * Sends the rule's signal. Returns whether there was somebody in its scope; when not, the rule
 * has not fired. It counts as fired before, since scope=vm does not come back.
 */
bool engine_rules_send(struct engine *engine, struct engine_tree *tree, const struct tracee *tracee,
                       const struct rule *rule);

/* Whether the thread itself is killed by the rule's signal. */
bool engine_rules_are_deadly(const struct rule *rule);

/* What was counted for this process is over; -1: for all, and for the tree. */
void engine_rules_forget(struct engine_tree *tree, pid_t process);

#endif
