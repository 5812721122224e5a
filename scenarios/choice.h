/*
 * choice.h: which trials a command line asks for; `run` and `list` take the same options.
 *
 * A verb's parser takes choice_argp as a child and gives it, at ARGP_KEY_INIT, a struct choice
 * in state->child_inputs[]. All options together narrow the choice; --tag, --layout and globs
 * may be given several times and mean any of them.
 *
 * The shard is not part of choice_select(): what it gives is the same for all shards, and says
 * what they are to play together.
 */
#ifndef KILLPOINT_CHOICE_H
#define KILLPOINT_CHOICE_H

#include <argp.h>

#include "shard.h"
#include "suite.h"

struct choice {
    const char *verb; /* "killpoint run", for messages */
    struct pool pool;
    const char **layouts, **globs, **tags; /* NULL-terminated */
    size_t n_layouts, n_globs, n_tags;
    int driver;              /* -1: each scenario's own */
    const char *failed_from; /* a results file; NULL: none */
    struct shard shard;
};
/* Room for as many words as the command line has. */
void choice_init(struct choice *choice, const char *verb, int argc);
void choice_release(struct choice *choice);

extern const struct argp choice_argp;

/*
 * The trials, without regard to the shard. failed_from goes by backend, layout and driver: of its
 * runs only those of that backend count; NULL: of any. Returns as suite_select(); with failed_from
 * also -EINVAL: there is no such file, or no run of the backend in it; -ENOENT: nothing failed
 * there.
 */
int choice_select(struct choice *choice, const struct suite *suite, const char *backend,
                  struct trials *ret_trials, struct err *err);

#endif
