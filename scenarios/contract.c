#include "contract.h"

#include <string.h>

#include "audit_check.h"

#define PROVISIONER "provisioner contract: "

const struct contract_def contract_defs[CONTRACT_N_CHECKS] = {
    [CONTRACT_CLAIM] =
        {"claim", LEVEL_MUST,
         "Exit status 0 claims that the CA is installed, any other that it is not, as expect.claim "
         "allows; a signal claims nothing.",
         "Who starts the machine goes by this alone. Success over a bad store is the worst end.",
         PROVISIONER "exit status; 77 and 99 as in Automake's test protocol"},
    [CONTRACT_EXIT] =
        {"exit", LEVEL_SHOULD,
         "The exit status is expect.exit exactly: 2 for a plan or certificate that is "
         "of no use.",
         "Bad input cannot be told from a machine that failed.", PROVISIONER "exit status 2"},
    [CONTRACT_IDEMPOTENT] = {"idempotent", LEVEL_MUST,
                             "The same CA once more on the same machine: success is claimed again.",
                             "Whoever lost the first answer asks again, and is told that it "
                             "failed.",
                             PROVISIONER "success is never read off \"1 added\""},
    [CONTRACT_TIME] = {"time", LEVEL_MUST,
                       "Each run ends before its deadline, limits.run_ms; else the trial is a "
                       "TIMEOUT.",
                       "A machine's start waits for its CA, for ever.", "E2, E13"},
    [CONTRACT_CP] =
        {"calls/cp", LEVEL_MUST,
         "The certificate is copied once: as many cp calls as expect.calls.cp says.",
         "A copy that is done again hides that one failed, or changes the file below an "
         "exec that is at work.",
         PROVISIONER "one cp; C1 to C7"},
    [CONTRACT_EXEC] =
        {"calls/exec", LEVEL_MUST,
         "One exec, and one more after status 137 alone: as many as expect.calls.exec says. A "
         "status that the guest's command itself returned is never retried, a failure of the "
         "driver at most once.",
         "Without a retry a kill is fatal. A retry of anything else hides what is wrong, and may "
         "never end.",
         PROVISIONER "one exec, one retry on 137; E1, E2, E17, E18"},
    [CONTRACT_SETTLE] = {"settle", LEVEL_MUST,
                         "The time from the end of the first exec to the second is in "
                         "expect.settle_ms: at least 1.0 s.",
                         "The retry meets the container that is still dying, and is killed too.",
                         PROVISIONER "settle time; E1, S2"},
    [CONTRACT_EXEC_STATUS] = {"exec-status", LEVEL_MUST,
                              "The execs ended as expect.exec_status lists it.",
                              "Some step of the script was left out, or its failure was not seen.",
                              PROVISIONER "steps chained with &&"},
    [CONTRACT_EXEC_STDOUT] = {"exec-stdout", LEVEL_MAY,
                              "The execs' stdout holds what expect.exec_stdout lists, or is empty.",
                              "The exec did other things before it ended than the scenario is "
                              "about.",
                              "the driver's journal"},
    [CONTRACT_LABEL] = {"log/label", LEVEL_MUST,
                        "The streams name the label of the CA that the plan picks, "
                        "expect.log.label, and not the other one.",
                        "Nobody can tell which proxy the machine trusts.",
                        PROVISIONER "egress with routes, else pipelock"},
    [CONTRACT_FINGERPRINT] = {"log/fingerprint", LEVEL_SHOULD,
                              "The streams together hold the chosen certificate's SHA-256 "
                              "fingerprint as often as expect.log.fingerprint says: once after "
                              "success, else not at all.",
                              "A log that is searched for it tells of an installation that was "
                              "not, or of two.",
                              PROVISIONER "one line on success"},
    [CONTRACT_FATAL] = {"log/fatal", LEVEL_SHOULD,
                        "stderr names the failed call, its status or signal, and what it printed "
                        "on stdout and stderr.",
                        "A kill, an error of the guest and one of the driver look alike.",
                        PROVISIONER "one line on failure"},
    [CONTRACT_CONTAINS] = {"log/contains", LEVEL_SHOULD,
                           "The streams hold a text of expect.log.contains; one check for each.",
                           "The guest's own words about the cause are lost.",
                           PROVISIONER "one line on failure"},
    [CONTRACT_PROCESSES] = {"processes", LEVEL_MUST,
                            "No process outlives the backend. Decides nothing; else the trial is a "
                            "LEAK.",
                            "It goes on calling a machine that others believe to be ready, and "
                            "keeps what waits for its streams.",
                            PROVISIONER "a command that ends"},
    [CONTRACT_FIRED] = {"fired", LEVEL_MUST,
                        "A rule of faults fired. Decides nothing; a rule that must fire and did "
                        "not makes the trial UNRESOLVED.",
                        "A fault that never happened proves nothing.", "the machine's report"},
};

const char *contract_level_name(enum level level)
{
    static const char *const names[] = {
        [LEVEL_MUST] = "must", [LEVEL_SHOULD] = "should", [LEVEL_MAY] = "may"};
    return names[level];
}

#define STORE "store/"

bool contract_has(const char *id)
{
    for (size_t i = 0; i < CONTRACT_N_CHECKS; i++)
        if (!strcmp(contract_defs[i].id, id))
            return true;
    if (strncmp(id, STORE, strlen(STORE)) != 0)
        return false;
    for (size_t i = 0; i < AUDIT_N_CHECKS; i++)
        if (!strcmp(audit_defs()[i].id, id + strlen(STORE)))
            return true;
    return false;
}
