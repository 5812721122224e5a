/*
 * explore_points.h: the crash points of one recorded call, read from its recording.
 *
 * fakes/recording.h says what a recording is. Points of equal states are told apart by
 * their addresses and share one state, which is played once for all of them.
 */
#ifndef KILLPOINT_EXPLORE_POINTS_H
#define KILLPOINT_EXPLORE_POINTS_H

#include "../fault/address.h"
#include "../fault/tree_state.h"

struct crash_point {
    uint64_t ordinal; /* from 1 */
    char *address;    /* the attempt that comes next; NULL: behind the last */
    size_t state;     /* an index */
    uint64_t out_bytes, err_bytes;
    int64_t write_from, write_bytes; /* of a write that came whole; else bytes is 0 */
};

struct crash_points {
    char *path; /* of the recording */
    struct crash_point *items;
    size_t count;
    char (*states)[TREE_STATE_DIGEST_LEN + 1]; /* in the order of their first points */
    size_t n_states;
    char *call;     /* as text: two calls are the same exactly when this is */
    bool has_stdin; /* what it reads there is not known */
    char **places;  /* addresses of process scope, sorted, NULL-terminated */
    char trace[TRACE_DIGEST_LEN + 1];
    uint64_t attempts;
};
#define CRASH_POINTS_INIT                                                                          \
    {                                                                                              \
        .path = NULL                                                                               \
    }
void crash_points_release(struct crash_points *points);

/* Whether the call was made at all. */
bool crash_points_exist(const char *path);

/*
 * Reads a recording. The last item is the state behind the last point. Errors: -EPROTO: it is
 * not finished, or the engine did not trust it.
 */
int crash_points_read(const char *path, struct crash_points *ret_points, struct err *err);

#endif
