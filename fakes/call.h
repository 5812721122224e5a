/*
 * call.h: one call to a machine, from its request to the journal's word of its end.
 *
 * A call owns its connection and, for exec and cp, one process of the guest. Its life:
 * request read -> rules at `begin` -> process spawned, traced where a rule needs it, let
 * go -> timers of `at` -> process reaped -> rules at `end` -> output drained -> reply ->
 * client journaled or gone. A command whose client is gone, or whose time is over, goes
 * on as an orphan when it had joined the main command's container (smolvm-contract:
 * 0.6.0 to 1.4.0), and is killed otherwise.
 */
#ifndef KILLPOINT_CALL_H
#define KILLPOINT_CALL_H

#include "../fault/engine.h"
#include "faults.h"
#include "guest.h"
#include "reply.h"
#include "wire.h"

#define CALL_DRAIN_MS 5000 /* a joined exec's output is waited for that long; E4 */

struct vmm;

/* A rule with `at` waiting for its time. */
struct call_alarm {
    struct timer timer;
    struct call *call;
    size_t rule;
};

/* A call's processes under the fault engine. They may outlive the call: then call is NULL,
 * and what the rules need is kept here. It ends with the last of them. */
struct call_tree {
    struct engine_tree tree;
    struct vmm *vmm;
    struct call *call;
    struct faults faults; /* the call's own, once it is gone */
    bool recorded;
};

enum call_state { CALL_READS, CALL_HELD, CALL_RUNS, CALL_DRAINS, CALL_REPLIED };

struct call {
    struct vmm *vmm;
    struct call *next;
    enum call_state state;
    enum rule_call kind; /* RULE_EXEC or RULE_CP */
    uint32_t nth;        /* of its kind on this machine, from 1 */
    int64_t began_ms;

    struct wire wire;
    struct watch connection;
    struct buf request; /* the strings below point into it */
    const char **argv, **env, **cli_argv;
    const char *cwd, *user, *faults_text, *guest_path;
    const char *docker; /* as in client.h */
    int64_t timeout_ms;
    bool upload, interactive, tty, stream;
    int host_fd;

    struct faults own_faults;
    struct faults *faults; /* own_faults, or the machine's */
    struct call_alarm *alarms;
    size_t n_alarms;

    struct guest_process process;
    struct watch out, err, in, report;
    struct buf in_queue;
    bool in_ended;
    struct call_tree *traced; /* NULL: not traced, or nobody is left */
    bool ended;               /* the process is reaped */
    int wait_status;
    struct guest_failure failure;
    bool failed; /* failure is filled */
    struct agent_result result;
    bool has_result;
    struct timer timeout, drain, hold;

    bool client_gone;   /* the connection is closed */
    bool client_killed; /* by a rule */
    bool journaled;
    int forced_status; /* -1: none */
    const struct reply_row *forced_row;
    struct reply reply;
    int64_t started_ns;
};

/* Takes over the connection. The call frees itself when all of it is done. */
void call_start(struct vmm *vmm, int connection_fd);

/* A child was reaped. True when it was the call's process. */
bool call_child_ended(struct call *call, pid_t pid, int status);

void call_free(struct call *call);

/* --- for call_client.c and call_output.c ------------------------------------- */

/* Of stdin, before the client has to wait, and of output, before the command has to. */
#define QUEUE_LIMIT_BYTES (1u << 20)

/* A whole request is there: the rules at `begin`, then the command. May free the call. */
void call_begin(struct call *call);
/* Replies with what is known; for an error of our own with its text. May free the call. */
void call_finish(struct call *call);
void call_fail(struct call *call, const struct err *err);
/* Finishes when the process has ended and its streams are at their ends. May free it. */
void call_check_drained(struct call *call);
/* Neither process nor client is left. */
bool call_is_over(const struct call *call);

#endif
