/*
 * vmm.h: the process behind a running machine.
 *
 * `smolvm _boot-vm` starts two processes. The monitor stays in the host's namespaces,
 * holds MACHINE/lock and waits for the other one; when that is gone, so is all of the
 * machine. The VMM is the first process of a PID namespace of its own (with mount,
 * network, UTS and IPC namespaces), so that its death, of whatever cause, is the death of
 * every process and mount of the machine; with --copied (container.h) the monitor ends who is
 * left. It serves the CLIs on MACHINE/sock.
 *
 *   smolvm _boot-vm --owned|--free --namespaces|--copied STATE NAME [RULES]
 *     stdin   --owned: the read end of the owner's pipe; end-of-file there ends the machine
 *     stdout  pairs (wire.h): "pid" N, then "ready" "" or "error" TEXT and "errno" N; where a
 *             rule on `start` says what the CLI shows: "status" N and "text", or "killed" "";
 *             "rules", how often each fired
 *     stderr  MACHINE/vmm.log
 */
#ifndef KILLPOINT_VMM_H
#define KILLPOINT_VMM_H

#include <sched.h>

#include "call.h"
#include "recording.h"

struct vmm {
    const struct container_kind *kind;
    struct loop loop;
    struct engine engine;
    struct filter filter; /* of calls with rules inside; built for the first of them */
    struct guest guest;
    struct record record;
    struct layout layout;
    char *state_path;
    int machine_fd;
    struct watch listener, owner;
    struct faults armed, stop_faults; /* the second only while a stop has rules of its own */
    struct vmm_alarm *alarms;         /* of `at` in start and stop */
    bool stops;                       /* no rule keeps it from that any more */
    struct timer stopping;
    struct call *stopper;       /* the connection of the CLI that stops the machine */
    struct recording recording; /* of one call, or of none */
    struct replays replays;     /* what is put in place of calls */
    cpu_set_t cores;            /* the VMM's own, while on_core */
    bool on_core;               /* it traces, and stays on one of them */
    bool loses_files;           /* a rule may lose files, so syncs are followed */
    struct err distrust;        /* why a call's processes were not followed exactly; "": all were */
    struct call *calls;
    int last_tree;
    uint32_t counts[4]; /* calls so far, by enum rule_call */
    unsigned uploads;
    int64_t main_started_ms;
};

/* The whole of `_boot-vm`; argv[0] is "_boot-vm". Returns the exit status. */
int vmm_main(int argc, char **argv);

/* A sync was done: what is there now survives lose=all. */
void vmm_synced(struct vmm *vmm);
/*
 * The CLI stops the machine, under the rules on `stop`: those of text, or the armed ones
 * when it is "". The machine ends now or after a delay, or not at all when a rule at begin says so.
 */
void vmm_stop(struct vmm *vmm, struct call *call, const char *text);
/* Everything the guest has is replaced by the recorded state, with a fresh main command. */
int vmm_replace_files(struct vmm *vmm, const struct replay *replay, struct err *err);
/*
 * Arms rules for the machine's run from here, with counts from 1, its record read anew and a
 * main command that nothing has run beside. The recording and the replays, which may be empty, are
 * handed over.
 */
int vmm_arm(struct vmm *vmm, const char *rules, struct recording *recording,
            struct replays *replays, struct err *err);

#endif
