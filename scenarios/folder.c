#include "folder.h"

#include <errno.h>
#include <fts.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../fault/io.h"

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_yaml_name(const char *name)
{
    size_t len = strlen(name);
    return *name != '.' && len > 5 && !strcmp(name + len - 5, ".yaml");
}

int folder_list(const char *path, struct pool *pool, struct diags *diags,
                const char *const **ret_paths)
{
    CLEANUP(io_free) const char **paths = NULL;
    size_t count = 0;
    int ret = 0;
    char *roots[] = {pool_copy(pool, path), NULL};
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, NULL);
    if (!fts)
        abort();
    for (FTSENT *entry; (entry = fts_read(fts));) {
        if (entry->fts_info == FTS_NS || entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR) {
            diags_add(diags, entry->fts_path, 0, 0, "%s", strerror(entry->fts_errno));
            ret = -EINVAL;
        } else if (entry->fts_info == FTS_D && entry->fts_level && *entry->fts_name == '.') {
            fts_set(fts, entry, FTS_SKIP);
        } else if (entry->fts_info != FTS_D && entry->fts_info != FTS_DP &&
                   is_yaml_name(entry->fts_name)) {
            paths = reallocarray(paths, count + 1, sizeof *paths);
            if (!paths)
                abort();
            paths[count++] = pool_copy(pool, entry->fts_path);
        }
    }
    fts_close(fts);
    const char **sorted = pool_alloc(pool, count + 1, sizeof *sorted);
    if (count) {
        qsort(paths, count, sizeof *paths, compare_paths);
        memcpy(sorted, paths, count * sizeof *paths);
    }
    *ret_paths = sorted;
    return ret;
}
