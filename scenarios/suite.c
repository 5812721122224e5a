#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "../fault/home.h"
#include "folder.h"

void suite_release(struct suite *suite)
{
    scenario_set_release(&suite->scenarios);
    pool_release(&suite->pool);
    *suite = (struct suite)SUITE_INIT;
}

/* --- files ---------------------------------------------------------------- */

int suite_files(const char *name, struct pool *pool, struct diags *diags,
                const char *const **ret_paths, struct err *err)
{
    CLEANUP(io_free) char *beside = io_format("scenarios/%s", name);
    CLEANUP(io_free) char *folder = NULL;
    int ret = home_find(beside, &folder, err);
    return ret < 0 ? ret : folder_list(folder, pool, diags, ret_paths);
}

int suite_names(const char *name, struct pool *pool, struct diags *diags,
                const char *const **ret_names, struct err *err)
{
    const char *const *paths;
    size_t count = 0, used = 0;
    int ret = suite_files(name, pool, diags, &paths, err);
    if (ret < 0)
        return ret;
    while (paths[count])
        count++;
    const char **names = pool_alloc(pool, count + 1, sizeof *names);
    for (size_t i = 0; i < count; i++) {
        const char *base = strrchr(paths[i], '/') + 1;
        size_t len = strcspn(base, ".");
        if (strcmp(base + len, ".yaml") == 0)
            names[used++] = pool_copy_n(pool, base, len);
    }
    *ret_names = names;
    return 0;
}

/* --- scenarios ------------------------------------------------------------ */

static int take_digest(const char *folder, struct suite *suite, struct err *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    size_t folder_len = strlen(folder);
    const char *last = "";
    int ret = 0;
    for (size_t i = 0; i < suite->scenarios.count && ret == 0; i++) {
        const char *path = suite->scenarios.items[i]->path;
        if (!strcmp(path, last)) /* of one matrix */
            continue;
        buf_printf(&text, "%s\n", path + folder_len);
        ret = io_read_file(AT_FDCWD, path, &text, SIZE_MAX, err);
        last = path;
    }
    snprintf(suite->digest, sizeof suite->digest, "%012llx",
             (unsigned long long)(XXH3_64bits(buf_str(&text), text.len) & 0xffffffffffff));
    return ret;
}

int suite_load(struct suite *ret_suite, struct diags *diags, struct err *err)
{
    CLEANUP(suite_release) struct suite suite = SUITE_INIT;
    CLEANUP(io_free) char *folder = NULL;
    int ret = suite_names("layouts", &suite.pool, diags, &suite.layouts, err);
    if (ret >= 0)
        ret = home_find("scenarios/suite", &folder, err);
    if (ret >= 0)
        ret = scenario_load_dir(folder, suite.layouts, &suite.scenarios, diags);
    if (ret >= 0)
        ret = take_digest(folder, &suite, err);
    if (ret < 0)
        return ret;
    *ret_suite = suite;
    suite = (struct suite)SUITE_INIT;
    return 0;
}

static int check_layouts(const struct suite *suite, const char *const *wanted, struct err *err)
{
    size_t count = 0;
    while (suite->layouts[count])
        count++;
    for (; wanted && *wanted; wanted++) {
        bool known = false;
        for (size_t i = 0; i < count && !known; i++)
            known = !strcmp(suite->layouts[i], *wanted);
        if (known)
            continue;
        const char *near = diag_nearest(*wanted, suite->layouts, count, sizeof *suite->layouts);
        if (near)
            return err_text(err, EINVAL, "unknown layout '%s'; did you mean '%s'?", *wanted, near);
        return err_text(err, EINVAL, "unknown layout '%s'", *wanted);
    }
    return 0;
}

static bool selects(const struct trials *trials, const char *glob)
{
    for (size_t i = 0; i < trials->count; i++)
        if (trial_matches(trials->items[i].id, glob))
            return true;
    return false;
}

/* A mistyped tag, or an id of another suite, is told before anything is left out. */
static int check_words(const struct suite *suite, const struct selection *selection,
                       struct err *err)
{
    CLEANUP(trials_release) struct trials all = TRIALS_INIT;
    const struct selection wide = {.layouts = selection->layouts, .driver = selection->driver};
    scenario_expand(&suite->scenarios, &wide, &all);
    for (const char *const *tag = selection->tags; tag && *tag; tag++) {
        struct trials tagged = TRIALS_INIT;
        const char *const one[] = {*tag, NULL};
        scenario_expand(&suite->scenarios, &(struct selection){.driver = -1, .tags = one}, &tagged);
        size_t count = tagged.count;
        trials_release(&tagged);
        if (count == 0)
            return err_text(err, EINVAL, "no scenario has the tag '%s'", *tag);
    }
    for (const char *const *id = selection->ids; id && *id; id++) {
        bool known = false;
        for (size_t i = 0; i < all.count && !known; i++)
            known = !strcmp(all.items[i].id, *id);
        if (!known)
            return err_text(err, EINVAL,
                            "'%s' failed then and is no trial here: give the same --layout and "
                            "--driver as then",
                            *id);
    }
    return 0;
}

int suite_select(const struct suite *suite, const struct selection *selection,
                 struct trials *ret_trials, struct err *err)
{
    CLEANUP(trials_release) struct trials trials = TRIALS_INIT;
    int ret = check_layouts(suite, selection->layouts, err);
    if (ret == 0)
        ret = check_words(suite, selection, err);
    if (ret < 0)
        return ret;
    scenario_expand(&suite->scenarios, selection, &trials);
    for (const char *const *glob = selection->globs; glob && *glob; glob++)
        if (!selects(&trials, *glob))
            return err_text(err, ENOENT, "'%s' selects no trial", *glob);
    if (!trials.count)
        return err_text(err, ENOENT, "no trial is selected");
    *ret_trials = trials;
    trials = (struct trials)TRIALS_INIT;
    return 0;
}

static int no_backend(const char *name, struct err *err)
{
    struct pool pool = POOL_INIT;
    struct diags diags = DIAGS_INIT;
    const char *const *names, *near = NULL;
    size_t count = 0;
    int ret = suite_names("backends", &pool, &diags, &names, err);
    if (ret == 0) {
        while (names[count])
            count++;
        near = diag_nearest(name, names, count, sizeof *names);
        ret = near ? err_text(err, EINVAL, "unknown backend '%s'; did you mean '%s'?", name, near)
                   : err_text(err, EINVAL,
                              "unknown backend '%s'; a file is given with a '/' or as FILE.yaml",
                              name);
    }
    diags_release(&diags);
    pool_release(&pool);
    return ret;
}

int suite_load_backend(const char *name, struct backend *ret_backend, struct diags *diags,
                       struct err *err)
{
    CLEANUP(io_free) char *folder = NULL;
    int ret = home_find("scenarios/backends", &folder, err);
    if (ret < 0)
        return ret;
    bool is_file =
        strchr(name, '/') || (strlen(name) > 5 && strcmp(name + strlen(name) - 5, ".yaml") == 0);
    CLEANUP(io_free)
    char *path = is_file ? io_format("%s", name) : io_format("%s/%s.yaml", folder, name);
    if (access(path, R_OK) < 0)
        return is_file ? err_set(err, errno, "backend %s", path) : no_backend(name, err);
    return backend_load(path, ret_backend, diags);
}
