/*
 * attempt.h: a stopped call of the filter, read from its registers and memory.
 *
 * Says which files the call is about, as the guest names them, and changes the call: how
 * much it writes, what it returns, whether it is done at all. Who is stopped when, and what
 * is to be done there, is engine.h's.
 */
#ifndef KILLPOINT_ATTEMPT_H
#define KILLPOINT_ATTEMPT_H

#include "arch.h"
#include "op.h"
#include "resolve.h"
#include "tree_state.h"

enum attempt_kind {
    ATTEMPT_NONE, /* changes no file of the tree: it fails by itself, or is about something else */
    ATTEMPT_CALL
};

struct attempt {
    enum attempt_kind kind;
    const struct op_call *call;
    enum op op;
    struct arch_regs regs; /* at the entry */
    struct resolved path;
    struct resolved target; /* of a rename, when has_target */
    bool has_target;
    bool by_fd;
    bool makes_temporary; /* as mkstemp(3) and mkdtemp(3) do */
    struct content_range range;
    int64_t write_from;             /* where in the file a write begins; -1: not known */
    uint64_t poked_at, poked_value; /* memory that attempt_cut() changed; 0: none */
};
#define ATTEMPT_INIT                                                                               \
    {                                                                                              \
        .kind = ATTEMPT_NONE                                                                       \
    }

void attempt_release(struct attempt *attempt);

/*
 * The thread stands at the entry of a call that is the filter's row (of op_calls()).
 * Errors: -ESRCH when it was killed meanwhile; -EACCES or -EPERM when it is out of sight
 * (sight.h); others of reading /proc.
 */
int attempt_read(pid_t tid, unsigned row, const struct resolve_root *root,
                 struct attempt *ret_attempt, struct err *err);

/* The two calls have the same number, arguments and place: one of them restarts the other. */
bool attempt_is_same_call(const struct arch_regs *a, const struct arch_regs *b);

/*
 * At the entry: the call will write at most so many bytes. Returns 0, or -EOPNOTSUPP for a
 * call that cannot be cut (FICLONE), and what writing to the thread fails with.
 */
int attempt_cut(struct attempt *attempt, pid_t tid, uint64_t bytes);
/* At the exit: memory and arguments are as they were before attempt_cut(). */
void attempt_uncut(const struct attempt *attempt, pid_t tid);

/* At the entry: the call is not done. */
int attempt_skip(const struct attempt *attempt, pid_t tid);
/* At the exit of a skipped call: it returns that. */
int attempt_return(const struct attempt *attempt, pid_t tid, int64_t result);
/* At the exit of a skipped call: it starts anew, behind the handlers of pending signals. */
int attempt_restart(const struct attempt *attempt, pid_t tid);

#endif
