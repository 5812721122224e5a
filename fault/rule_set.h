/*
 * rule_set.h: the rules that are armed together; the first one that matches wins.
 *
 * Two rules of a set may not both claim the same attempt by the same words: the same
 * CALL, #N, path=, comm= and scope=process-or-not of begin, an operation in common (for
 * at: the same time), and a number of when= in common. Counts per tree and per process
 * can always fall together. Other rules may overlap, the general one behind the special.
 */
#ifndef KILLPOINT_RULE_SET_H
#define KILLPOINT_RULE_SET_H

#include "rule.h"

#define RULE_SET_BYTES_MAX 1048576 /* of the text or the file */

struct rule_set {
    struct rule *rules;
    size_t count;
};
#define RULE_SET_INIT                                                                              \
    {                                                                                              \
        NULL, 0                                                                                    \
    }

void rule_set_release(struct rule_set *set);

/*
 * Adds a rule behind the others and takes what it owns: *rule is empty afterwards.
 * Returns 0, or -EEXIST when an earlier rule has its attempts; the rule is then untouched.
 */
int rule_set_add(struct rule_set *set, struct rule *rule, struct err *err);

/*
 * Reads rules, one a line. Blank lines and lines whose first byte but blanks is '#' are
 * skipped. "@FILE" reads them from a file instead. reply_names as for rule_parse().
 * Returns 0 with *ret_set filled, possibly with no rule; or the first mistake: -EINVAL or
 * -EEXIST with "rule N, column C: …", N counting rules, or "FILE:LINE:COLUMN: …"; or
 * what reading the file gave.
 */
int rule_set_parse(const char *text, const char *const *reply_names, struct rule_set *ret_set,
                   struct err *err);

#endif
