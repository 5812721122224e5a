#include "content.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_BYTES 65536
/* Looking for holes costs calls, so it is done where they may spare more. */
#define MANY_BLOCKS 16

struct content_block {
    int64_t place;
    XXH128_hash_t hash;
};

void content_release(struct content *content)
{
    free(content->blocks);
    *content = (struct content)CONTENT_INIT;
}

/* Where a block of this place is, or would be. */
static size_t find(const struct content *content, int64_t place)
{
    size_t low = 0, high = content->n;
    if (high > 0 && content->blocks[high - 1].place < place)
        return high;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (content->blocks[middle].place < place)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void mix(struct content *content, XXH128_hash_t hash)
{
    content->digest.low64 ^= hash.low64;
    content->digest.high64 ^= hash.high64;
}

/* The blocks from one place up to another are zero. */
static void clear(struct content *content, int64_t from, int64_t to)
{
    size_t first = find(content, from), last = first;
    while (last < content->n && content->blocks[last].place < to)
        mix(content, content->blocks[last++].hash);
    if (last > first)
        memmove(&content->blocks[first], &content->blocks[last],
                (content->n - last) * sizeof *content->blocks);
    content->n -= last - first;
}

static void put(struct content *content, int64_t place, XXH128_hash_t hash)
{
    size_t at = find(content, place);
    if (at == content->n || content->blocks[at].place != place) {
        if (content->n == content->room) {
            content->room = content->room ? 2 * content->room : 1;
            content->blocks = reallocarray(content->blocks, content->room, sizeof *content->blocks);
            if (!content->blocks)
                abort();
        }
        memmove(&content->blocks[at + 1], &content->blocks[at],
                (content->n - at) * sizeof *content->blocks);
        content->n++;
    } else
        mix(content, content->blocks[at].hash);
    content->blocks[at] = (struct content_block){place, hash};
    mix(content, hash);
}

static bool is_zero(const char *bytes, size_t len)
{
    return len == 0 || (bytes[0] == '\0' && memcmp(bytes, bytes + 1, len - 1) == 0);
}

static int read_block(struct content *content, int fd, int64_t place)
{
    char bytes[BLOCK_BYTES];
    ssize_t len = pread(fd, bytes, sizeof bytes, place * BLOCK_BYTES);
    if (len < 0)
        return -errno;
    if (is_zero(bytes, (size_t)len))
        clear(content, place, place + 1);
    else
        put(content, place, XXH3_128bits_withSeed(bytes, (size_t)len, (uint64_t)place));
    return 0;
}

/* The first block from this place on that may have data; where to look for holes again. */
static int find_data(int fd, int64_t place, int64_t end, int64_t *ret_data, int64_t *ret_hole)
{
    off_t data = lseek(fd, place * BLOCK_BYTES, SEEK_DATA);
    *ret_data = *ret_hole = end;
    if (data < 0 && errno == ENXIO) /* none behind it */
        return 0;
    off_t hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
    if (hole < 0 && errno != EINVAL && errno != ENOTSUP)
        return -errno;
    *ret_data = data < 0 ? place : data / BLOCK_BYTES;
    if (hole >= 0 && (hole + BLOCK_BYTES - 1) / BLOCK_BYTES < end)
        *ret_hole = (hole + BLOCK_BYTES - 1) / BLOCK_BYTES;
    return 0;
}

/* Reads the blocks from one place up to another. */
static int read_blocks(struct content *content, int fd, int64_t from, int64_t to)
{
    bool many = to - from > MANY_BLOCKS;
    int64_t data = from, hole = to;
    int ret = 0;
    for (int64_t place = from; place < to && ret == 0; place = hole) {
        if (many)
            ret = find_data(fd, place, to, &data, &hole);
        if (ret == 0 && data > place)
            clear(content, place, data);
        for (int64_t at = data; at < hole && ret == 0; at++)
            ret = read_block(content, fd, at);
    }
    return ret;
}

int content_update(struct content *content, int fd, int64_t old_bytes, int64_t new_bytes,
                   struct content_range range)
{
    int64_t n_blocks = new_bytes / BLOCK_BYTES + (new_bytes % BLOCK_BYTES > 0);
    int64_t kept_bytes = old_bytes < new_bytes ? old_bytes : new_bytes;
    int64_t kept = old_bytes == new_bytes ? n_blocks : kept_bytes / BLOCK_BYTES;
    int64_t from = range.from / BLOCK_BYTES;
    int64_t to = range.to / BLOCK_BYTES + (range.to % BLOCK_BYTES > 0);
    if (!content->known)
        from = kept = 0;
    int ret = read_blocks(content, fd, from, to < kept ? to : kept);
    if (ret == 0)
        ret = read_blocks(content, fd, kept, n_blocks);
    if (ret < 0) {
        content_release(content);
        return ret;
    }
    clear(content, n_blocks, INT64_MAX);
    content->known = true;
    return 0;
}
