/*
 * lanes.h: where the trials of a run are played: folders, each with a server of turns.
 *
 * A lane's trials share its turns. Mostly there is one lane with as many turns as calls may work
 * at once. Where trials are pinned there are as many lanes, with one turn and one core each: a wait
 * for another process then ends on the same core, which costs no interrupt between cores. That
 * is where each core has as many jobs; of other numbers it is not known which cores others leave
 * free, and nothing is pinned.
 */
#ifndef KILLPOINT_LANES_H
#define KILLPOINT_LANES_H

#include "slots.h"

struct lane {
    struct slots slots;
    char *folder;     /* of the folders of its trials */
    size_t in_flight; /* trials, counted by the caller */
    int core;         /* -1: any */
};

struct lanes {
    struct lane *items;
    size_t count;
};

/* Makes FOLDER/l0 and so on. Returns 0 or -errno; lanes_close() is due in either case. */
int lanes_open(struct lanes *lanes, struct loop *loop, const char *folder, unsigned jobs, bool pins,
               struct err *err);
void lanes_close(struct lanes *lanes);

/* The one with the fewest trials in flight. */
struct lane *lanes_emptiest(const struct lanes *lanes);

/* This process, and all that it starts, goes to the lane's core, if it may. */
void lane_stay(const struct lane *lane);

#endif
