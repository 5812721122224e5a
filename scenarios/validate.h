/*
 * validate.h: the walker that holds a file's tree against its table (schema.h).
 */
#ifndef KILLPOINT_VALIDATE_H
#define KILLPOINT_VALIDATE_H

#include "schema.h"

/*
 * Checks types, limits, unknown and missing keys, and groups. What several keys say
 * together is for the module that loads this kind of file. path is for the diagnostics.
 * Returns 0, or -EINVAL with every mistake added to diags.
 */
int validate_tree(const char *path, const struct view *root, struct diags *diags);

/*
 * Parses a file and checks it. Nodes live in pool. Returns 0 with *ret_root set, or -EINVAL
 * with every mistake added to diags.
 */
int validate_file(const char *path, const struct schema_key *key, struct pool *pool,
                  struct diags *diags, struct view *ret_root);

#endif
