/*
 * folder.h: the YAML files below a folder.
 */
#ifndef KILLPOINT_FOLDER_H
#define KILLPOINT_FOLDER_H

#include "diag.h"

/*
 * Every *.yaml below a folder, by path in byte order; the list is NULL-terminated and all
 * lives in pool. Hidden files and folders are left out; links to files are followed, links
 * to folders are not. Returns 0, or -EINVAL with a diagnostic for each folder that cannot be
 * read; *ret_paths is what could be.
 */
int folder_list(const char *path, struct pool *pool, struct diags *diags,
                const char *const **ret_paths);

#endif
