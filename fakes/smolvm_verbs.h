/*
 * smolvm_verbs.h: what each verb of `smolvm machine` does.
 *
 * A verb appends what it says to run->out and run->err and returns the exit status; main()
 * writes the journal line and then both streams, stdout first, as the real exec does. What
 * must be seen earlier (a prompt) goes out by smolvm_run_flush(); what was streamed while
 * the call went on is in the buffers too and counted as written.
 *
 * Exit status 1 is the real CLI's error; SMOLVM_EXIT_OWN is a fault of the fake or of its
 * use: a layout that is not built, a state folder that cannot be written.
 */
#ifndef KILLPOINT_SMOLVM_VERBS_H
#define KILLPOINT_SMOLVM_VERBS_H

#include "client.h"
#include "smolvm_args.h"
#include "state.h"

#define SMOLVM_EXIT_OWN 2
#define SMOLVM_DEFAULT_MACHINE "default"

/* One call of the CLI. */
struct smolvm_run {
    /* set by main() */
    const char *state_path;
    int version;
    const char *faults; /* rules, one a line; NULL: none given */
    const char *const *argv;
    const struct smolvm_args *args;
    /* set by the verb */
    char *machine; /* owned; NULL: none named */
    struct buf out, err;
    size_t out_written, err_written; /* how much of them has gone out */
    bool called;                     /* client_call() was made, and this is what came of it: */
    struct reply reply;
};
void smolvm_run_release(struct smolvm_run *run);

/* Writes what has not gone out yet, stdout before stderr. A closed reader is no error. */
void smolvm_run_flush(struct smolvm_run *run);

/* Appends our own error line. Returns SMOLVM_EXIT_OWN. */
int smolvm_run_own_error(struct smolvm_run *run, const struct err *err);

/* Writes the journal line. verb: "" for a refused call. Returns the status, or our own. */
int smolvm_run_journal(struct smolvm_run *run, const char *verb, int64_t start_ns, int status);

/* Reads the record of run->machine. 0, or -ENOENT, or another -errno with err set. */
int smolvm_run_record(struct smolvm_run *run, struct record *ret_record, struct err *err);

/* Plays run->args. Returns the exit status. */
int smolvm_verb_run(struct smolvm_run *run);

#endif
