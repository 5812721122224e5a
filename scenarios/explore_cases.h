/*
 * explore_cases.h: what there is to be played, from recordings.
 *
 * First all cases are added, in their order; then explore_choose_cases() leaves those that the
 * options ask for and gives each its token.
 */
#ifndef KILLPOINT_EXPLORE_CASES_H
#define KILLPOINT_EXPLORE_CASES_H

#include "explore.h"

/* Each distinct state of one recording, for all points that it stands for. */
void explore_add_states(struct exploration *found, const struct crash_points *points, bool real);
/* Each page border of the file inside a write. */
void explore_add_torn(struct exploration *found);
/* The caller's own changes, and the places of process scope. */
void explore_add_places(struct exploration *found);
/* Behind the first state, a case of depth 1, each state of the second call. */
void explore_add_pairs(struct exploration *found, const struct explore_case *first,
                       const struct crash_points *second);

void explore_choose_cases(const struct explore_options *options, struct exploration *found);

/* Of a row of cases of one scope whose addresses are alike but for PATH and N: the first, the
 * middle or the last. */
bool explore_is_representative(const struct exploration *found, size_t index);
/* The second of such a row. */
bool explore_is_second(const struct exploration *found, size_t index);

/* Whether this crash point of the first call is one of those that the case stands for. */
bool explore_stands_for(const struct explore_case *item, size_t point);

/* Of an address: COMM and PLACE. */
size_t explore_kind_length(const char *address);

#endif
