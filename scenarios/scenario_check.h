/*
 * scenario_check.h: what the keys of a scenario file say together.
 *
 * validate_tree() (validate.h) holds each key against its row; this holds keys against each
 * other: expectations that no backend can meet, rules that can never fire, names that do
 * not exist. A part that is wrong in itself is left to the walker, and the others are
 * still held against each other, so that one run tells all mistakes of a file.
 */
#ifndef KILLPOINT_SCENARIO_CHECK_H
#define KILLPOINT_SCENARIO_CHECK_H

#include "schema.h"

/* Of machines: each, see trial_run.c. The reference of an exact level takes one more each. */
#define SCENARIO_MACHINES_MAX 8

/*
 * Adds every mistake to diags. root is a view of keys_scenario with its variables set;
 * layouts, NULL-terminated, are the names that there are, or NULL for any.
 */
void scenario_check(const char *path, const struct view *root, const char *const *layouts,
                    struct diags *diags);

#endif
