/*
 * explore_play.h: playing the cases of an exploration as trials, several at a time.
 *
 * explorer_open() makes a folder that a later run sweeps when this one is killed, and the
 * tree of an undisturbed install that endings are held against; then any number of
 * explorer_play(); explorer_release() removes the folder.
 */
#ifndef KILLPOINT_EXPLORE_PLAY_H
#define KILLPOINT_EXPLORE_PLAY_H

#include <signal.h>

#include "explore.h"
#include "tree.h"

struct explorer {
    const struct explore_options *options;
    const struct container_kind *kind;
    struct err why_copied; /* where machines are copied trees */
    char *copies;          /* where those wait; NULL: machines are none */
    char *folder;
    int lock_fd;
    struct scenario_set scenarios; /* undisturbed; and with EXPLORE_RERUNS reruns behind */
    struct tree reference;
    int64_t deadline_ms; /* 0: none */
    bool keeps;          /* the folder of each trial */
    unsigned flight;     /* trials for each job, see runner.h; 0: the runner's own choice */
};

int explorer_open(struct explorer *explorer, const struct explore_options *options,
                  struct err *err);
void explorer_release(struct explorer *explorer);

/* One trial. */
struct explorer_job {
    const struct explore_case *item; /* NULL: nothing is killed */
    bool real;                       /* by executing, whatever the case says */
    bool reruns;                     /* after a bad end: until it ends well, or nothing changes */
    const char *record_path;         /* keeps this call there; NULL: none */
    uint32_t record_nth;
    struct ending ending; /* of the first run; filled, the caller releases it */
    int healed_by;        /* filled: the n-th rerun; 0: none; -1: there was none */
    int64_t run_ms;       /* filled: what the first run took */
    json_t **ret_event;   /* the trial's event goes there, the caller's; NULL: to nobody */
};

/*
 * Plays them. on_done: for each that has ended, in the order of their ends; NULL: none. Those for
 * which there was no time keep CLAIM_NONE. Errors: -EINTR; those of runner_run().
 */
int explorer_play(struct explorer *explorer, const char *what, struct explorer_job *jobs,
                  size_t count, void (*on_done)(void *context, size_t job), void *context,
                  struct err *err);

/* -EPROTO, with the reason, when a run that nothing disturbed did not end well. */
int explorer_check_undisturbed(const struct ending *ending, struct err *err);

/*
 * SIGINT, SIGTERM and SIGHUP wait from explorer_hold_signals() on, so that no folder is left; a run
 * of trials takes them. The second function says whether one still waits, and drops it.
 */
struct explorer_signals {
    sigset_t set, old;
};
void explorer_hold_signals(struct explorer_signals *signals);
bool explorer_let_signals(const struct explorer_signals *signals);

/* How many trials for each job keep a core busy, when a run takes so long and then settles. */
unsigned explorer_flight(int64_t run_ms);

/* Fills *ending from the k-th run of a trial's event (runner.h). */
void ending_read(struct ending *ending, const json_t *event, size_t k);

#endif
