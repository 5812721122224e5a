#include "support.h"

#include <string.h>

#include "../scenarios/pool.h"

static void memory_is_zeroed_and_there_even_for_nothing(void **state)
{
    (void)state;
    struct pool pool = POOL_INIT;
    for (size_t n = 0; n < 300; n++) { /* the list of blocks grows, too */
        unsigned char *block = pool_alloc(&pool, n, 3);
        assert_non_null(block);
        for (size_t i = 0; i < n * 3; i++)
            assert_int_equal(block[i], 0);
        memset(block, 0xff, n * 3);
    }
    assert_int_equal(pool.count, 300);
    pool_release(&pool);
    assert_int_equal(pool.count, 0);
    assert_null(pool.blocks);
    pool_release(&pool);
}

static void copies_are_our_own(void **state)
{
    (void)state;
    struct pool pool = POOL_INIT;
    char text[] = "abc";
    char *copy = pool_copy(&pool, text);
    char *part = pool_copy_n(&pool, text, 2);
    char *none = pool_copy_n(&pool, text, 0);
    char *format = pool_format(&pool, "%s-%d", text, 7);
    text[0] = 'X';
    assert_string_equal(copy, "abc");
    assert_string_equal(part, "ab");
    assert_string_equal(none, "");
    assert_string_equal(format, "abc-7");
    char *bytes = pool_copy_n(&pool, "a\0b", 3);
    assert_memory_equal(bytes, "a\0b", 4);
    pool_release(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_and_there_even_for_nothing),
        cmocka_unit_test(copies_are_our_own),
    };
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
