/*
 * smolvm_args.h: the command line of smolvm, as its parser (clap) reads it.
 *
 *   smolvm machine|vm VERB [FLAG…] [POSITIONAL…]
 *
 * What a verb takes, and since which version, is one table each in smolvm_args.c. Flags and
 * positionals mix; `-it`, `-nX`, `-n=X`, `--name X` and `--name=X` are read; `--` ends the
 * flags. exec is different: its first positional starts the command, and everything after
 * it, flags and `--` too, belongs to the command (clap's trailing_var_arg).
 *
 * Verbs and flags that the real CLI has and the fake does not build are refused in words of
 * our own, so that nobody takes a gap of the fake for wrong usage.
 *
 * Source: smolvm 0.8.0 and 1.1.3, src/cli/machine.rs; clap 4.
 */
#ifndef KILLPOINT_SMOLVM_ARGS_H
#define KILLPOINT_SMOLVM_ARGS_H

#include "../fault/io.h"

enum smolvm_verb {
    SMOLVM_NONE,
    SMOLVM_CREATE,
    SMOLVM_START,
    SMOLVM_STOP,
    SMOLVM_DELETE,
    SMOLVM_LS,
    SMOLVM_STATUS,
    SMOLVM_EXEC,
    SMOLVM_CP,
    SMOLVM_SHELL
};

/* Strings point into argv; only the env list is allocated. */
struct smolvm_args {
    enum smolvm_verb verb;
    const char *name; /* NULL: not given; the default machine's where the verb has one */
    const char *image, *workdir;
    const char **env;           /* -e as given, NULL-terminated */
    const char *const *command; /* exec's, NULL-terminated */
    const char *src, *dst;      /* cp's */
    int64_t timeout_ms;         /* 0: none */
    int64_t cpus, memory_mib, storage_gib, overlay_gib;
    int ports, egress_rules;
    bool network, localhost_only;
    bool force, json, verbose, interactive, tty, stream;
};
void smolvm_args_release(struct smolvm_args *args);

/* "exec"; "" for SMOLVM_NONE. */
const char *smolvm_verb_word(enum smolvm_verb verb);

/*
 * Reads argv, from argv[1] on; version as in smolvm_text.h.
 * Returns 0 with *ret_args filled; 1 when only *text is to be printed on stdout, exit 0
 * (--help, --version); -EINVAL with what belongs on stderr in *text, exit 2.
 */
int smolvm_args_parse(int version, const char *const *argv, struct smolvm_args *ret_args,
                      struct buf *text);

#endif
