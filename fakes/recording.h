/*
 * recording.h: one call kept crash point by crash point, and put in place again.
 *
 * A recording is a folder, made by the machine that the call is made to:
 *   call.json        {"argv": […], "stdin": bool}    the call it is of
 *   stdout stderr    all that the command wrote
 *   points.ndjson    one line a crash point, in order:
 *                    {"point":N, "address":"…", "state":DIGEST, "out":N, "err":N,
 *                     "write": {"from":N, "bytes":N}?}
 *                    and at last {"end":true, "out":N, "err":N, "points":N, "attempts":N,
 *                    "state":DIGEST, "trace":"…", "mappings":N, "distrust":"…"?}; no end: the
 *                    machine died
 *   places           addresses of process scope, one a line
 *   DIGEST/upper     the machine's upper folder at that state; each state once
 *   DIGEST/sum       upper.h's digest of that folder, times included
 * A state is what the files are just before a point; out and err say how much of its output
 * the command had written by then. DIGEST is tree_state.h's, for this call.
 *
 * Putting a state in place stands for the call's run up to there and a kill of all its
 * processes: a new container on the state's files, and the reply that a kill would give.
 * That is right only for a call of the same argv and stdin: -ESTALE otherwise. A folder that is
 * not any more what was saved is -EILSEQ.
 */
#ifndef KILLPOINT_RECORDING_H
#define KILLPOINT_RECORDING_H

#include "../fault/engine.h"
#include "client.h"

struct call;

struct recording {
    char *path; /* NULL: there is none */
    enum rule_call call;
    uint32_t nth;
    int dir_fd;
    FILE *points, *places;
};
#define RECORDING_INIT                                                                             \
    {                                                                                              \
        .path = NULL, .dir_fd = -1                                                                 \
    }

void recording_release(struct recording *recording);

/* The call begins. Makes the folder, and saves the first state. */
int recording_begin(struct recording *recording, const struct call *call, struct err *err);
int recording_add(struct recording *recording, const struct call *call,
                  const struct engine_event *event, struct err *err);
/* The last of its processes is gone. */
int recording_end(struct recording *recording, const struct call *call,
                  const struct engine_tree *tree, struct err *err);

/* What is put in place instead of a call. */
struct replay {
    char *path; /* of the recording */
    char *state;
    enum rule_call call;
    uint32_t nth;
    uint64_t out_bytes, err_bytes;
};

struct replays {
    struct replay items[ARMING_STATES_MAX];
    size_t count;
};

void replays_release(struct replays *replays);

/* The one that stands for this call; NULL: it is made. */
const struct replay *replays_find(const struct replays *replays, const struct call *call);

/* Whether this call is the recorded one, so that the state may stand for it. -ESTALE: no. */
int replay_check(const struct replay *replay, const struct call *call, struct err *err);
/* The state's upper folder becomes the machine's; no overlay may be mounted on that. */
int replay_place(const struct replay *replay, int machine_fd, struct err *err);
/* What the command had written by then. */
int replay_output(const struct replay *replay, struct buf *out, struct buf *errors,
                  struct err *err);

#endif
