/*
 * keys.h: the tables of all kinds of files (schema.h), one root key each.
 *
 * To add a key: a row in keys_scenario.c or keys.c, a member in the struct that the file is loaded
 * into, and a line in its loader. Validator, JSON Schema and `killpoint explain` follow by
 * themselves.
 */
#ifndef KILLPOINT_KEYS_H
#define KILLPOINT_KEYS_H

#include "schema.h"

extern const struct schema_key keys_scenario;
extern const struct schema_key keys_backend;
extern const struct schema_key keys_layout;
extern const struct schema_key keys_expectations;

/* By name: scenario, backend, layout, expectations. Ends with NULL. */
extern const struct schema_key *const keys_all[];

#endif
