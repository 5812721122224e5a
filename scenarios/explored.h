/*
 * explored.h: an exploration as its events tell it: enough for every report, and not to go on with.
 */
#ifndef KILLPOINT_EXPLORED_H
#define KILLPOINT_EXPLORED_H

#include "explore_results.h"

struct explored {
    json_t *lines;
    struct token *tokens;           /* of the cases */
    struct explore_options options; /* what reports tell of them; borrows from the lines */
    struct exploration found;       /* borrows from the tokens; its cases point to its points */
};
void explored_free(struct explored *explored); /* NULL is allowed */

/* Takes the lines in, the begin event first, and shares them; a new object, the caller's. -EINVAL:
 * they are not what explore_results.h says. */
int explored_load(json_t *lines, struct explored **ret_explored, struct err *err);

#endif
