/*
 * shard.h: one of N parts of a whole, so that N machines share it.
 *
 * What is in which part follows from its own name alone: adding or choosing something moves
 * nothing else, and all parts together are the whole.
 */
#ifndef KILLPOINT_SHARD_H
#define KILLPOINT_SHARD_H

#include <stdbool.h>
#include <stdint.h>

#define SHARD_MAX 65536

struct shard {
    uint32_t number, count; /* 1 to count */
};
#define SHARD_ALL                                                                                  \
    {                                                                                              \
        1, 1                                                                                       \
    }

/* "M/N", M from 1 to N. -EINVAL for anything else; *ret_shard is untouched then. */
int shard_parse(const char *text, struct shard *ret_shard);

/* Whether what is called so belongs to it. */
bool shard_holds(const struct shard *shard, const char *name);

#endif
