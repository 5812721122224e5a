/*
 * suite.h: the project's own scenarios, found beside the programs, and a choice of them.
 */
#ifndef KILLPOINT_SUITE_H
#define KILLPOINT_SUITE_H

#include "backend.h"
#include "trial.h"

struct suite {
    struct pool pool;
    const char *const *layouts; /* the names that scenarios/layouts describes; NULL-terminated */
    struct scenario_set scenarios;
    char digest[13]; /* of the files' bytes */
};
#define SUITE_INIT                                                                                 \
    {                                                                                              \
        .pool = POOL_INIT, .scenarios = SCENARIO_SET_INIT                                          \
    }
void suite_release(struct suite *suite);

/*
 * Loads all of scenarios/suite. Returns 0; -EINVAL with diagnostics added: some files are
 * bad; any other -errno with err set: the folders cannot be found or read.
 */
int suite_load(struct suite *ret_suite, struct diags *diags, struct err *err);

/*
 * The trials that are selected; they need the suite. Errors: -EINVAL there is no such layout,
 * tag or id; -ENOENT a glob, or everything together, selects nothing.
 */
int suite_select(const struct suite *suite, const struct selection *selection,
                 struct trials *ret_trials, struct err *err);

/*
 * The YAML files below one of the folders scenarios/NAME, as folder_list() has them.
 * Returns 0; -EINVAL with diagnostics added; another -errno with err set: no such folder.
 */
int suite_files(const char *name, struct pool *pool, struct diags *diags,
                const char *const **ret_paths, struct err *err);
/* The names of what lies there, layouts or backends: NAME of each NAME.yaml. Returns as above. */
int suite_names(const char *name, struct pool *pool, struct diags *diags,
                const char *const **ret_names, struct err *err);

/*
 * The backend of that name in scenarios/backends, or of a file, which has a '/' or ends in
 * .yaml. Returns as suite_files(); -EINVAL with err set: there is none of that name.
 */
int suite_load_backend(const char *name, struct backend *ret_backend, struct diags *diags,
                       struct err *err);

#endif
