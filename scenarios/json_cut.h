/*
 * json_cut.h: what is only to be looked at, shortened and said to be.
 */
#ifndef KILLPOINT_JSON_CUT_H
#define KILLPOINT_JSON_CUT_H

#include <jansson.h>

/*
 * A copy, a new reference, in which no string holds more than max_text bytes of the old one and no
 * list more than max_list items: the middle is left out, and a text there says how much it was.
 */
json_t *json_cut(const json_t *value, size_t max_text, size_t max_list);

#endif
