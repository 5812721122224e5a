/*
 * vmm.h: the process behind a running machine.
 *
 * `smolvm _boot-vm` starts two processes. The monitor stays in the host's namespaces,
 * holds MACHINE/lock and waits for the other one; when that is gone, so is all of the
 * machine. The VMM is the first process of a PID namespace of its own (with mount,
 * network, UTS and IPC namespaces), so that its death, of whatever cause, is the death of
 * every process and mount of the machine. It serves the CLIs on MACHINE/sock.
 *
 *   smolvm _boot-vm --owned|--free STATE NAME [RULES]
 *     stdin   --owned: the read end of the owner's pipe; end-of-file there ends the machine
 *     stdout  pairs (wire.h): "pid" N, then "ready" "" or "error" TEXT and "errno" N; where a
 *             rule on `start` says what the CLI shows: "status" N and "text", or "killed" ""
 *     stderr  MACHINE/vmm.log
 */
#ifndef KILLPOINT_VMM_H
#define KILLPOINT_VMM_H

#include "call.h"

struct vmm {
    struct loop loop;
    struct tracer tracer;
    struct guest guest;
    struct record record;
    struct layout layout;
    char *state_path;
    int machine_fd;
    struct watch listener, owner;
    struct faults armed;
    struct call *calls;
    int last_tree;
    uint32_t counts[4]; /* calls so far, by enum rule_call */
    unsigned uploads;
    int64_t main_started_ms;
};

/* The whole of `_boot-vm`; argv[0] is "_boot-vm". Returns the exit status. */
int vmm_main(int argc, char **argv);

/* Ends the container's main command, as a rule with scope=init says. False: none lived. */
bool vmm_kill_main(struct vmm *vmm);
/* The VM dies here and now, leaving the counts of its rules in MACHINE/fired.json. */
void vmm_die(struct vmm *vmm) __attribute__((noreturn));
/* Arms rules for the machine's run from here, with counts from 1, its record read anew and a
 * fresh main command. */
int vmm_arm(struct vmm *vmm, const char *rules, struct err *err);

#endif
