/*
 * random.h: random numbers for tests that try many cases.
 *
 * The seed is printed: TEST_SEED=N makes the same cases again. TEST_ROUNDS=N is how many,
 * for slow tools; the default is 100000.
 */
#ifndef KILLPOINT_TESTS_RANDOM_H
#define KILLPOINT_TESTS_RANDOM_H

#include <stdlib.h>

#include "support.h"

struct random {
    uint64_t now;
};

static inline uint64_t random_below(struct random *random, uint64_t limit)
{
    random->now ^= random->now << 13;
    random->now ^= random->now >> 7;
    random->now ^= random->now << 17;
    return random->now % limit;
}

static inline bool random_bit(struct random *random)
{
    return random_below(random, 2) == 0;
}

static inline struct random random_start(uint64_t *ret_rounds)
{
    const char *seed = getenv("TEST_SEED"), *rounds = getenv("TEST_ROUNDS");
    uint64_t value = seed ? strtoull(seed, NULL, 10) : (uint64_t)io_now_ns();
    *ret_rounds = rounds ? strtoull(rounds, NULL, 10) : 100000;
    print_message("TEST_SEED=%ju\n", (uintmax_t)value);
    return (struct random){value * 2 + 1};
}

#endif
