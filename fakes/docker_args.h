/*
 * docker_args.h: the command line of docker, as its parser (cobra, pflag) reads it.
 *
 *   docker VERB [FLAG…] [ARGUMENT…]
 *
 * What a verb takes is one table each in docker_args.c. `-it`, `-uX`, `-u X`, `--user X` and
 * `--user=X` are read; `--` ends the flags. exec, run and create stop reading flags at the first
 * argument. Flags of the real CLI that are not built are refused in words of the fake's own, but
 * for those of run and create, which are refused as unknown, as other verbs are.
 *
 * Source: docker/cli 28.2, cli/command/container, cli/required.go.
 */
#ifndef KILLPOINT_DOCKER_ARGS_H
#define KILLPOINT_DOCKER_ARGS_H

#include "../fault/io.h"

enum docker_verb {
    DOCKER_NONE,
    DOCKER_CREATE,
    DOCKER_RUN,
    DOCKER_START,
    DOCKER_EXEC,
    DOCKER_CP,
    DOCKER_INSPECT,
    DOCKER_PS,
    DOCKER_STOP,
    DOCKER_KILL,
    DOCKER_RM,
    DOCKER_VERSION
};

/* loud: --quiet=false. Strings point into argv; env is allocated, and operands where they had to be
 * gathered. */
struct docker_args {
    enum docker_verb verb;
    const char *name, *user, *workdir, *format, *signal, *ignored, *old_time;
    const char **env;
    const char **operands; /* NULL-terminated */
    size_t n_operands;
    bool interactive, tty, detach, all, quiet, loud, force;
};
void docker_args_release(struct docker_args *args);

/* "exec"; "" for DOCKER_NONE. */
const char *docker_verb_word(enum docker_verb verb);

/* Returns 0 with *ret_args filled, or the exit status with what belongs on stderr in *text. */
int docker_args_parse(const char *const *argv, struct docker_args *ret_args, struct buf *text);

#endif
