/*
 * backend.h: a program under test, as scenarios/backends/NAME.yaml describes it.
 *
 * Placeholders in its command lines, replaced by the runner:
 *   {machine}  the machine's name          {cert}   file of the CA that the plan picks
 *   {plan}     file of the plan            {label}  egress or pipelock, as the plan picks
 *   {ca_path}  where the CA belongs in the guest
 *   {bundle}   the guest's bundle
 *   {bin}      the folder of killpoint's own program
 *   {dir}      the folder of the backend file
 * A brace behind a '$' is the shell's, and other words in braces stay as they are.
 *
 * Capabilities are what scenarios may need. Two are not declared but follow from the
 * file: driver-signals (driver_signals: seen) and plan (every command uses {plan}). A
 * scenario that needs what a backend has not is UNSUPPORTED.
 */
#ifndef KILLPOINT_BACKEND_H
#define KILLPOINT_BACKEND_H

#include "expectation.h"

struct backend {
    struct pool pool;
    const char *path; /* of the file */
    const char *dir;  /* its folder, absolute */
    const char *name;
    const char *title;
    /* By enum driver; NULL: not for this driver. argv with placeholders. */
    const char *const *command[2];
    const char *const *env;          /* K=V */
    const char *const *capabilities; /* the derived ones too */
    const int *exit_map;             /* of each of the 256 statuses; NULL: as they are */
    struct expectations expectations;
};
#define BACKEND_INIT                                                                               \
    {                                                                                              \
        .pool = POOL_INIT                                                                          \
    }
void backend_release(struct backend *backend);

/*
 * Loads a file and the expectation list it names. 0, or -EINVAL with diagnostics added.
 * path is kept as it is for messages.
 */
int backend_load(const char *path, struct backend *ret_backend, struct diags *diags);

/*
 * The command line behind `--`, which drives smolvm and declares nothing. Its strings are
 * borrowed and may hold placeholders; a program named by a path is found from here.
 * Returns 0, or -EINVAL: a word in braces looks like a placeholder that was mistyped.
 */
int backend_from_command(const char *const *argv, struct backend *ret_backend, struct err *err);

/*
 * Whether what its commands execute is there, as far as that can be told before a trial.
 * Errors: those of access(2), with the program's name.
 */
int backend_check_programs(const struct backend *backend, struct err *err);

/* What the contract calls an exit status of it. */
int backend_status(const struct backend *backend, int status);

/* 12 hex digits of what it is: its command line for smolvm, its environment, its exit map. */
void backend_digest(const struct backend *backend, char ret_text[13]);

/* The first of a scenario's needs that the backend has not, or NULL. */
const char *backend_lacks(const struct backend *backend, const struct scenario *scenario);

struct placeholder {
    const char *name; /* without braces */
    const char *value;
};
/*
 * A command line with its placeholders replaced, or NULL: not for this driver. values ends
 * with a NULL name and holds all but {dir}, which the backend knows. Lives in pool.
 */
const char *const *backend_argv(const struct backend *backend, enum driver driver,
                                const struct placeholder *values, struct pool *pool);

#endif
