/*
 * explore_report.h: what people and machines read of an exploration.
 *
 * The table has the worst first: success claimed over a store that fails a must-check, then
 * what is only dirty, then claimed failures, then what ended well. Neighbouring points with one
 * outcome are one row, with one representative address and, for each, the token.
 */
#ifndef KILLPOINT_EXPLORE_REPORT_H
#define KILLPOINT_EXPLORE_REPORT_H

#include <stdio.h>

#include "explore.h"

/* Worst first. */
enum explore_class {
    CLASS_BROKEN_STORE, /* success claimed, a must-check failed */
    CLASS_DIRTY_STORE,  /* success claimed, a should- or exact-check failed */
    CLASS_ENDED,        /* crash or timeout */
    CLASS_REFUSED,      /* failure claimed */
    CLASS_FINE,         /* success claimed, nothing found */
    CLASS_UNKNOWN,      /* nothing is known */
    CLASS_COUNT
};
enum explore_class explore_classify(const struct ending *ending);

/* What a token is made of besides the address; 12 hex digits each, or "-". */
struct explore_names {
    const char *layout, *backend; /* as people call them */
    char layout_digest[13], backend_digest[13];
};

void explore_print_table(FILE *file, const struct explore_options *options,
                         const struct exploration *exploration, const struct explore_names *names);

/* One NDJSON line a case, and an end line. Returns false when it could not be written. */
bool explore_print_events(FILE *file, const struct explore_options *options,
                          const struct exploration *exploration, const struct explore_names *names);

#endif
