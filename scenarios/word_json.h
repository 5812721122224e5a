/*
 * word_json.h: a word of a command line as JSON, and back, whatever bytes it has.
 *
 * A word is a string; one that is no UTF-8, which JSON cannot hold, is {"bytes": TEXT} with what is
 * not printable ASCII as `%XX` (io.h).
 */
#ifndef KILLPOINT_WORD_JSON_H
#define KILLPOINT_WORD_JSON_H

#include <jansson.h>

#include "../fault/io.h"

/* New references. words is NULL-terminated, or NULL for none. */
json_t *word_json(const char *word);
json_t *word_json_list(const char *const *words);

/* Adds the word's bytes. -EINVAL: it is none, and nothing is added. */
int word_json_read(const json_t *json, struct buf *ret_word);

#endif
