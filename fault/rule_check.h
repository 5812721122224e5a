/*
 * rule_check.h: the combinations of place, keys and values that cannot be meant.
 *
 * A part of the parser (rule_parse.h says what may stand where). It knows no text: the
 * parser turns the key that is refused into a column.
 */
#ifndef KILLPOINT_RULE_CHECK_H
#define KILLPOINT_RULE_CHECK_H

#include "rule.h"

/*
 * key_at says where each key stands in the text, 0 where it does not: a key that is given
 * with its default value is refused as well. Where two keys exclude each other, the later
 * one is refused.
 * Returns 0, or -EINVAL: then *ret_key is the key at fault, RULE_KEY_COUNT for WHERE itself.
 */
int rule_check(const struct rule *rule, const size_t key_at[RULE_KEY_COUNT], enum rule_key *ret_key,
               struct err *err);

#endif
