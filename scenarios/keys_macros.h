/*
 * keys_macros.h: short forms for the rows of the tables in keys.c and keys_scenario.c.
 */
#ifndef KILLPOINT_KEYS_MACROS_H
#define KILLPOINT_KEYS_MACROS_H

#include "keys.h"

#define TEXT_ITEM(word)                                                                            \
    (&(const struct schema_key){.name = word, .kind = SCHEMA_TEXT, .doc = "One text."})
#define ID_ITEM(word) (&(const struct schema_key){.name = word, .kind = SCHEMA_ID})
#define ENUM_ITEM(word, list)                                                                      \
    (&(const struct schema_key){.name = word, .kind = SCHEMA_ENUM, .values = list})
#define END                                                                                        \
    {                                                                                              \
        .name = NULL                                                                               \
    }
#define FORMAT                                                                                     \
    {                                                                                              \
        .name = "format", .kind = SCHEMA_INT, .flags = SCHEMA_REQUIRED, .min = 1, .max = 1,        \
        .doc = "The version of this kind of file. It changes only when old files stop loading.",   \
        .example = "format: 1\n"                                                                   \
    }

#endif
