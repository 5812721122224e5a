/*
 * pool.h: memory that is given back all at once.
 *
 * What a file is loaded into (nodes, strings, lists) lives in one pool and dies with it.
 * The functions abort() when memory ends.
 */
#ifndef KILLPOINT_POOL_H
#define KILLPOINT_POOL_H

#include <stddef.h>

struct pool {
    void **blocks;
    size_t count;
    size_t cap;
};
#define POOL_INIT                                                                                  \
    {                                                                                              \
        NULL, 0, 0                                                                                 \
    }

void pool_release(struct pool *pool);

/* Zeroed memory for count things of size bytes; never NULL, also for a count of 0. */
void *pool_alloc(struct pool *pool, size_t count, size_t size);
char *pool_copy(struct pool *pool, const char *text);
char *pool_copy_n(struct pool *pool, const char *data, size_t len);
char *pool_format(struct pool *pool, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
