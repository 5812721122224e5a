/*
 * guest.h: the processes of a machine: its main command, and the commands beside it.
 *
 * While the main command lives, a command joins its PID and mount namespaces, as `crun
 * exec` does, and dies with it: the kernel kills a PID namespace when its first process
 * ends. While none lives, each command is the first process of a container of its own. Where
 * containers have no first process (container.h), commands run as if the main one lived.
 *
 * A command is started in two steps. guest_spawn() leaves it set up but waiting, so that
 * it can be traced, or killed before it began; guest_go() lets it run. Its set-up can
 * fail later than guest_spawn() returns: then one struct guest_failure comes through
 * report_fd before it exits. report_fd reads end-of-file once the command runs.
 *
 * The caller is the first process of the machine's PID namespace, with /proc its own and
 * the machine's folder as its working folder, and reaps what these functions start.
 */
#ifndef KILLPOINT_GUEST_H
#define KILLPOINT_GUEST_H

#include "../fault/filter.h"
#include "agent.h"
#include "container.h"

struct guest {
    const struct container_kind *kind;
    const struct record *record; /* borrowed */
    int own_pid_ns_fd;           /* /proc/self/ns/pid */
    pid_t main_pid;              /* 0: no main command lives */
    bool untouched;              /* nothing has run beside the main command yet */
    int main_pid_ns_fd, main_mnt_ns_fd, main_root_fd;
    int last_pid_ns_fd; /* held, so that the next container's namespace has another number */
};
#define GUEST_INIT                                                                                 \
    {                                                                                              \
        NULL, NULL, -1, 0, false, -1, -1, -1, -1                                                   \
    }

int guest_init(struct guest *guest, const struct container_kind *kind, const struct record *record,
               struct err *err);
void guest_release(struct guest *guest);

/* Starts the main command, the built-in init, and returns when it is set up. None is, where
 * containers have no first process. */
int guest_start_main(struct guest *guest, struct err *err);
/* The caller reaped main_pid: from now on no main command lives. */
void guest_main_ended(struct guest *guest);
/* Whether a command joins those that run; always, where containers have no first process. */
bool guest_main_lives(const struct guest *guest);

enum guest_stage { GUEST_SETUP, GUEST_USER, GUEST_CHDIR, GUEST_EXECUTE };

struct guest_failure {
    enum guest_stage stage;
    int errnum;
    char text[256]; /* of GUEST_SETUP and GUEST_USER */
};

struct guest_command {
    const char *const *argv; /* NULL: agent is run instead */
    const char *const *env;  /* K=V, after the container's and the record's; later ones win */
    const char *cwd;         /* NULL: the record's, else / */
    const char *user;        /* as in guest_user.h */
    bool interactive;        /* stdin is a pipe, not /dev/null */
    bool tty;
    const struct agent_job *agent;
    const struct filter *filter; /* installed just before the command runs; NULL: none */
};

struct guest_process {
    pid_t pid;
    bool joined;
    int in_fd;     /* -1 unless interactive; with a tty a duplicate of out_fd */
    int out_fd;    /* with a tty the terminal's master */
    int err_fd;    /* -1 with a tty */
    int report_fd; /* guest_failure, or struct agent_result, or end-of-file */
};
#define GUEST_PROCESS_INIT                                                                         \
    {                                                                                              \
        -1, false, -1, -1, -1, -1                                                                  \
    }
void guest_process_release(struct guest_process *process);

int guest_spawn(struct guest *guest, const struct guest_command *command,
                struct guest_process *ret_process, struct err *err);
void guest_go(struct guest_process *process);

#endif
