/*
 * json_schema.h: the table of a kind of file (keys.h) as JSON Schema, for editors.
 *
 * It says what the table says, draft 2020-12: types, limits, values, which keys must be
 * there. What the loaders check beyond that (rules' grammar, days of the calendar, what
 * several keys say together) is validate's alone. Where `${name}` may stand, a schema takes
 * it beside the value's own type.
 */
#ifndef KILLPOINT_JSON_SCHEMA_H
#define KILLPOINT_JSON_SCHEMA_H

#include <jansson.h>

#include "schema.h"

/* A new reference. */
json_t *json_schema(const struct schema_key *root);

#endif
