/*
 * content.h: a digest of a file's bytes, which costs what was changed.
 *
 * Bytes are hashed by blocks, each with its place, and the digest is all of them by XOR: so a
 * changed block is taken out and put in, and the others are not looked at. Blocks of zeros
 * count for nothing, whether they are written or a hole, and holes are not read. Equal bytes
 * and equal sizes give equal digests, whatever the way to them; the size itself is not in it.
 */
#ifndef KILLPOINT_CONTENT_H
#define KILLPOINT_CONTENT_H

#include <stddef.h>
#include <stdint.h>
#include <xxhash.h>

#include "io.h"

struct content {
    struct content_block *blocks; /* those that are not zero, by their place */
    size_t n, room;
    XXH128_hash_t digest;
    bool known;
};
#define CONTENT_INIT                                                                               \
    {                                                                                              \
        .blocks = NULL                                                                             \
    }

/* Nothing is known any more. */
void content_release(struct content *content);

/* Bytes from `from` (0, …) up to but not including `to` (at most INT64_MAX). */
struct content_range {
    int64_t from, to;
};

/*
 * Reads what may have changed since the last call, or all of what is not known: the bytes of
 * range, and what the change of size brought or took.
 * Returns 0, or -errno of read(2) or lseek(2): then nothing is known.
 */
int content_update(struct content *content, int fd, int64_t old_bytes, int64_t new_bytes,
                   struct content_range range);

#endif
