/*
 * diag.h: what is wrong with a file, and where.
 *
 * All mistakes of all files of one run are collected here; the caller prints them in the
 * end. The same text at the same place is kept once: a scenario is checked for each of
 * its matrix values, and most mistakes show in all of them.
 */
#ifndef KILLPOINT_DIAG_H
#define KILLPOINT_DIAG_H

#include <stdio.h>

#include "pool.h"

struct diag {
    const char *path;
    int line, column; /* from 1; 0: the file as a whole */
    const char *text;
};

struct diags {
    struct pool pool;
    struct diag *items;
    size_t count;
    size_t cap;
    size_t told; /* how often diags_add() was called: a mistake found again counts again */
};
#define DIAGS_INIT                                                                                 \
    {                                                                                              \
        POOL_INIT, NULL, 0, 0, 0                                                                   \
    }

void diags_release(struct diags *diags);

void diags_add(struct diags *diags, const char *path, int line, int column, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* One line each, `path:line:column: error: text`; by file as they came, by place in a file. */
void diags_print(struct diags *diags, FILE *file);

/*
 * The one of `count` names that somebody who wrote `text` most likely meant, or NULL.
 * names holds `count` pointers, `stride` bytes apart.
 */
const char *diag_nearest(const char *text, const char *const *names, size_t count, size_t stride);

#endif
