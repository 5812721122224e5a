/*
 * client.h: the CLI's side of a machine: starting its VMM, and calls to it.
 *
 * A call is one connection to the VMM's socket. It ends in a struct reply, which is what
 * the real CLI would show: an exit status, bytes for stdout, bytes for stderr. The VMM
 * makes it, and where the VMM cannot (it died), the client takes it from the table of
 * replies (reply.h), so the caller prints and exits and decides nothing.
 */
#ifndef KILLPOINT_CLIENT_H
#define KILLPOINT_CLIENT_H

#include "../fault/rule.h"

enum client_verb { CLIENT_EXEC, CLIENT_UPLOAD, CLIENT_DOWNLOAD };

struct request {
    enum client_verb verb;
    const char *faults;          /* rules, one a line, for this call; NULL: the machine's own */
    const char *const *cli_argv; /* for the journal line of a client that was killed */
    /* exec */
    const char *const *argv;
    const char *const *env; /* K=V, NULL-terminated, after the container's and the record's */
    const char *cwd;        /* NULL: the record's */
    const char *user;       /* as in guest_user.h */
    int64_t timeout_ms;     /* 0: none */
    bool interactive;       /* forward stdin_fd to the command */
    bool tty;               /* the command gets a terminal */
    bool stream;            /* write output to fds 1 and 2 as it comes */
    /* upload and download */
    const char *guest_path;
    const char *host_path; /* opened by the client, as the real CLI does */
    /* NULL: smolvm's call; else docker's, and of an upload the host file's own name */
    const char *docker;
};

struct reply {
    int status;
    struct buf out;
    struct buf err;
    uint64_t size_bytes;   /* cp: how much was copied */
    bool written;          /* out and err went to fds 1 and 2 already, as they came */
    bool killed;           /* a rule kills the client: journal, then die of SIGKILL */
    struct buf rules_json; /* JSON list: rules armed and how often each fired, for the journal */
    int fd;                /* the connection, kept for client_journaled() */
};
#define REPLY_INIT                                                                                 \
    {                                                                                              \
        0, BUF_INIT, BUF_INIT, 0, false, false, BUF_INIT, -1                                       \
    }
void reply_release(struct reply *reply);

struct container_kind;

/* How a boot is wanted. */
struct boot {
    const struct container_kind *kind;
    const char *state_path;
    const char *name;
    const char *faults; /* rules armed for the machine's whole run; NULL: none */
    /* What a rule on `start` wants shown instead; status -1: nothing. May be NULL. */
    struct reply *ret_reply;
    int owner_fd; /* read end of the owner's pipe: EOF there ends the VMM; -1: lives until stop */
};

/*
 * Starts the machine's VMM and waits until its main command runs.
 * Errors: -EALREADY it runs already; -ECANCELED a rule kept it from starting; -ENOENT no such
 * machine, or its layout is not built.
 */
int client_boot(const struct boot *boot, pid_t *ret_vmm_pid, struct err *err);

/* The kill of one call: a recorded state stands for it. */
struct arming_state {
    const char *path; /* the recording; NULL: the call is made */
    const char *state;
    uint64_t out_bytes, err_bytes; /* how much the command had written by then */
    enum rule_call call;
    uint32_t nth;
};

#define ARMING_STATES_MAX 2

/* What is armed: see recording.h. */
struct arming {
    const char *faults;      /* rules, one a line; NULL: none */
    const char *record_path; /* the call is recorded there; NULL: not */
    enum rule_call call;     /* which one */
    uint32_t nth;
    struct arming_state states[ARMING_STATES_MAX];
};

/*
 * Arms this for the machine from here on, instead of the rules of its boot: calls count from
 * 1 again, the record is read again (its read_only paths hold from now), and the main
 * command is started anew if anything has run beside it. `since=start` means now.
 */
int client_arm(const char *state_path, const char *name, const struct arming *arming,
               struct err *err);

/* How often each armed rule fired, as JSON: [{"rule": "…", "fired": N}, …]. */
int client_report(const char *state_path, const char *name, struct buf *rules_json,
                  struct err *err);

/* Ends the machine's VMM, its guests and its mounts, without rules. 0 also when it did not run. */
int client_stop(const char *state_path, const char *name, struct err *err);
/*
 * The same as a call of the backend's, under the rules on `stop`: faults, else (NULL) those
 * armed. ret_reply: what they want shown; status -1: nothing.
 */
int client_stop_by_rules(const char *state_path, const char *name, const char *faults,
                         struct reply *ret_reply, struct err *err);

/*
 * Makes one call. Returns 0 with *ret_reply filled (whatever its status), or
 * -ENOTCONN: the machine is not running; other -errno: our own failure.
 */
int client_call(const char *state_path, const char *name, const struct request *request,
                struct reply *ret_reply, struct err *err);

/*
 * Closes the call. Call it after the call's journal line is written: the VMM writes that
 * line itself for a client that ends without.
 */
void client_journaled(struct reply *reply);

#endif
