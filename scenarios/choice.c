#include "choice.h"

#include <errno.h>
#include <string.h>

#include "cmdline.h"
#include "keys.h"
#include "results.h"

enum { OPT_LAYOUT = 512, OPT_DRIVER, OPT_TAG, OPT_FAILED, OPT_SHARD };

static const struct argp_option option_table[] = {
    {"layout", OPT_LAYOUT, "L", 0, "On this layout instead of each scenario's own; again for more",
     0},
    {"driver", OPT_DRIVER, "D", 0, "Only the trials of this driver: smolvm, docker", 0},
    {"tag", OPT_TAG, "TAG", 0, "Only scenarios with this tag; again for more", 0},
    {"failed-from", OPT_FAILED, "RESULTS", 0,
     "Only what did not end as expected there, of the same backend", 0},
    {"shard", OPT_SHARD, "M/N", 0,
     "Only the M-th of N parts; an empty part is no failure. `killpoint merge` puts them together",
     0},
    {0},
};

void choice_init(struct choice *choice, const char *verb, int argc)
{
    size_t room = (size_t)argc + 1;
    *choice = (struct choice){.verb = verb, .pool = POOL_INIT, .driver = -1, .shard = SHARD_ALL};
    choice->layouts = pool_alloc(&choice->pool, room, sizeof *choice->layouts);
    choice->globs = pool_alloc(&choice->pool, room, sizeof *choice->globs);
    choice->tags = pool_alloc(&choice->pool, room, sizeof *choice->tags);
}

void choice_release(struct choice *choice)
{
    pool_release(&choice->pool);
}

static int parse_driver(struct choice *choice, const char *arg)
{
    const struct schema_key *key = schema_find(&keys_scenario, "driver");
    choice->driver = schema_enum_index(key->kind == SCHEMA_LIST ? key->item : key, arg);
    return choice->driver >= 0
               ? 0
               : -cmdline_fail(choice->verb, -EINVAL, "--driver takes smolvm or docker: '%s'", arg);
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct choice *choice = state->input;
    switch (key) {
    case OPT_LAYOUT: choice->layouts[choice->n_layouts++] = arg; return 0;
    case OPT_DRIVER: return parse_driver(choice, arg);
    case OPT_TAG: choice->tags[choice->n_tags++] = arg; return 0;
    case OPT_FAILED: choice->failed_from = arg; return 0;
    case OPT_SHARD:
        if (shard_parse(arg, &choice->shard) < 0)
            return -cmdline_fail(choice->verb, -EINVAL, "--shard takes M/N, M from 1 to N: '%s'",
                                 arg);
        return 0;
    case ARGP_KEY_ARG: choice->globs[choice->n_globs++] = arg; return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

const struct argp choice_argp = {option_table, parse_option, NULL, NULL, NULL, NULL, NULL};

static bool is_of(const struct run_results *run, const char *backend)
{
    return !backend || strcmp(results_text(run->begin, "backend"), backend) == 0;
}

/* The ids of what ended badly in the file; they live in the pool. */
static int read_failed(struct choice *choice, const char *backend, const char *const **ret_ids,
                       struct err *err)
{
    CLEANUP(results_release) struct results results = RESULTS_INIT;
    if (results_add_file(&results, choice->failed_from, err) < 0)
        return -EINVAL;
    if (results.n_runs == 0)
        return err_text(err, EINVAL, "%s: there is no run in it, but an exploration",
                        choice->failed_from);
    size_t room = 1, n = 0;
    bool known = false;
    for (size_t i = 0; i < results.n_runs; i++) {
        room += results.runs[i].count;
        known |= is_of(&results.runs[i], backend);
    }
    if (!known)
        return err_text(err, EINVAL, "%s: there is no run of the backend '%s' in it",
                        choice->failed_from, backend);
    const char **ids = pool_alloc(&choice->pool, room, sizeof *ids);
    for (size_t i = 0; i < results.n_runs; i++)
        for (size_t k = 0; is_of(&results.runs[i], backend) && k < results.runs[i].count; k++)
            if (results_last_is_bad(&results, i, k))
                ids[n++] = pool_copy(&choice->pool, run_results_id(&results.runs[i], k));
    if (n == 0)
        return err_text(err, ENOENT, "%s: everything there ended as expected", choice->failed_from);
    *ret_ids = ids;
    return 0;
}

int choice_select(struct choice *choice, const struct suite *suite, const char *backend,
                  struct trials *ret_trials, struct err *err)
{
    const char *const *ids = NULL;
    int ret = choice->failed_from ? read_failed(choice, backend, &ids, err) : 0;
    if (ret < 0)
        return ret;
    const struct selection selection = {.layouts = choice->n_layouts ? choice->layouts : NULL,
                                        .driver = choice->driver,
                                        .globs = choice->globs,
                                        .tags = choice->tags,
                                        .ids = ids};
    return suite_select(suite, &selection, ret_trials, err);
}
