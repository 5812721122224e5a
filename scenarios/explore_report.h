/*
 * explore_report.h: what people read of an exploration.
 *
 * The worst first: success claimed over a store that fails a must-check, then what is only
 * dirty, then crashes, then claimed failures, then what ended well; in each, what stays before
 * what a rerun heals. One outcome is one row: which points, one token, and what is broken for
 * whom. The same rows on a terminal and as Markdown.
 */
#ifndef KILLPOINT_EXPLORE_REPORT_H
#define KILLPOINT_EXPLORE_REPORT_H

#include <stdio.h>

#include "explore_results.h"

/* "success claimed after a retry; healed by rerun 1" */
void explore_add_outcome(const struct explore_case *item, struct buf *text);

/* In sentences: how the kills end, and what was covered. */
void explore_add_summary(const struct explore_options *options, const struct exploration *found,
                         struct buf *text);

void explore_print_table(FILE *file, const struct explore_options *options,
                         const struct exploration *found);
void explore_print_markdown(FILE *file, const struct explore_options *options,
                            const struct exploration *found);

#endif
