/*
 * docker: the fake of the CLI. Reads the command line and the environment as smolvm_main.c does,
 * but for SMOLVM_FAKE_VERSION: it is docker 28.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "docker_verbs.h"
#include "faults.h"

/* The machine says these in smolvm's words. */
static int check_faults(const char *text, struct err *err)
{
    CLEANUP(faults_release) struct faults faults = FAULTS_INIT;
    int ret = faults_parse(&faults, text, err);
    for (size_t i = 0; ret == 0 && i < faults.set.count; i++) {
        const struct rule *rule = &faults.set.rules[i];
        if (rule->action == RULE_REPLY && rule->call != RULE_EXEC && rule->call != RULE_CP)
            ret =
                err_text(err, ENOTSUP, "KILLPOINT_FAULTS: docker has replies to exec and cp alone");
    }
    return ret;
}

/* Returns the exit status. */
static int play(struct smolvm_run *run, struct docker_args *args, const struct err *state_err)
{
    struct err err;
    CLEANUP(io_free) char *faults = NULL;
    if (faults_from_environment(&faults, &err) < 0 || check_faults(faults, &err) < 0)
        return smolvm_run_own_error(run, &err);
    int status = docker_args_parse(run->argv, args, &run->err);
    if (status != 0) {
        args->verb = DOCKER_NONE;
        return status;
    }
    if (!run->state_path)
        return smolvm_run_own_error(run, state_err);
    run->faults = faults;
    status = docker_verb_run(run, args);
    run->faults = NULL;
    return status;
}

int main(int argc, char **argv)
{
    (void)argc;
    int64_t start_ns = io_now_ns();
    struct err state_err = {""};
    CLEANUP(io_free) char *state_path = NULL;
    state_find(&state_path, &state_err);
    CLEANUP(docker_args_release) struct docker_args args = {0};
    CLEANUP(smolvm_run_release)
    struct smolvm_run run = {.state_path = state_path, .argv = (const char *const *)argv};
    int status = play(&run, &args, &state_err) & 0xff;
    status = smolvm_run_journal(&run, docker_verb_word(args.verb), start_ns, status);
    if (run.reply.killed)
        kill(getpid(), SIGKILL);
    smolvm_run_flush(&run);
    return status;
}
