#include "shard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* Returns what is behind the number, or NULL. */
static const char *parse_number(const char *text, uint32_t *ret_number)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (*text < '1' || *text > '9' || errno || number > SHARD_MAX)
        return NULL;
    *ret_number = (uint32_t)number;
    return end;
}

int shard_parse(const char *text, struct shard *ret_shard)
{
    struct shard shard;
    const char *end = parse_number(text, &shard.number);
    if (end && *end == '/')
        end = parse_number(end + 1, &shard.count);
    else
        end = NULL;
    if (!end || *end || shard.number > shard.count)
        return -EINVAL;
    *ret_shard = shard;
    return 0;
}

bool shard_holds(const struct shard *shard, const char *name)
{
    return XXH3_64bits(name, strlen(name)) % shard->count == shard->number - 1;
}
