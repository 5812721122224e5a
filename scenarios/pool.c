#include "pool.h"

#include "../fault/io.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *keep(struct pool *pool, void *block)
{
    if (!block)
        abort();
    if (pool->count == pool->cap) {
        pool->cap = pool->cap ? pool->cap * 2 : 64;
        pool->blocks = reallocarray(pool->blocks, pool->cap, sizeof *pool->blocks);
        if (!pool->blocks)
            abort();
    }
    return pool->blocks[pool->count++] = block;
}

void pool_release(struct pool *pool)
{
    for (size_t i = 0; i < pool->count; i++)
        free(pool->blocks[i]);
    free(pool->blocks);
    *pool = (struct pool)POOL_INIT;
}

void *pool_alloc(struct pool *pool, size_t count, size_t size)
{
    return keep(pool, calloc(count ? count : 1, size));
}

char *pool_copy_n(struct pool *pool, const char *data, size_t len)
{
    char *copy = pool_alloc(pool, len + 1, 1);
    memcpy(copy, data, len);
    return copy;
}

char *pool_copy(struct pool *pool, const char *text)
{
    return pool_copy_n(pool, text, strlen(text));
}

char *pool_format(struct pool *pool, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = io_vformat(fmt, args);
    va_end(args);
    return keep(pool, text);
}
