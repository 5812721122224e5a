/*
 * smolvm: the fake of the CLI. Reads the command line and the environment, plays one verb,
 * journals it, prints.
 *
 *   SMOLVM_FAKE_VERSION   which version it is, 0.8.0 if unset (smolvm_text.h)
 *   KILLPOINT_STATE       where the machines are (state.h)
 *   KILLPOINT_FAULTS      rules for this call, or `@FILE` (../fault/rule.h)
 *
 * A trial's smolvm, a name beside a link to the machines, heeds neither of the last two (state.h).
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "faults.h"
#include "smolvm_text.h"
#include "smolvm_verbs.h"
#include "vmm.h"

/* Fills in what comes from the environment. */
static int read_environment(struct smolvm_run *run, char **ret_faults, struct err *err)
{
    const char *version = getenv("SMOLVM_FAKE_VERSION");
    int ret = smolvm_version_parse(version && *version ? version : SMOLVM_VERSION_DEFAULT,
                                   &run->version, err);
    return ret < 0 ? ret : faults_from_environment(ret_faults, err);
}

/* Returns the exit status. */
static int play(struct smolvm_run *run, struct smolvm_args *args, const struct err *state_err)
{
    struct err err;
    CLEANUP(io_free) char *faults = NULL;
    if (read_environment(run, &faults, &err) < 0)
        return smolvm_run_own_error(run, &err);
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    int ret = smolvm_args_parse(run->version, run->argv, args, &text);
    if (ret != 0) {
        struct buf *stream = ret > 0 ? &run->out : &run->err;
        buf_append(stream, buf_str(&text), text.len);
        return ret > 0 ? 0 : 2;
    }
    if (!run->state_path)
        return smolvm_run_own_error(run, state_err);
    run->faults = faults;
    run->args = args;
    int status = smolvm_verb_run(run);
    run->faults = NULL;
    return status;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "_boot-vm") == 0)
        return vmm_main(argc - 1, argv + 1);
    int64_t start_ns = io_now_ns();
    struct err state_err = {""};
    CLEANUP(io_free) char *state_path = NULL;
    /* Refused calls are journaled too, so this comes first; --help works without. */
    state_find(&state_path, &state_err);
    CLEANUP(smolvm_args_release) struct smolvm_args args = {0};
    CLEANUP(smolvm_run_release)
    struct smolvm_run run = {.state_path = state_path, .argv = (const char *const *)argv};
    int status = play(&run, &args, &state_err) & 0xff;
    status = smolvm_run_journal(&run, smolvm_verb_word(args.verb), start_ns, status);
    if (run.reply.killed)
        kill(getpid(), SIGKILL);
    smolvm_run_flush(&run);
    return status;
}
