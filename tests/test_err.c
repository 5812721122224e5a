#include "support.h"

#include <errno.h>
#include <string.h>

#include "../fault/err.h"

static void err_set_adds_the_errors_own_words(void **state)
{
    (void)state;
    struct err err = {"old"};
    assert_int_equal(err_set(&err, ENOENT, "open %s", "x"), -ENOENT);
    assert_string_equal(err.msg, "open x: No such file or directory");
}

static void err_text_adds_nothing(void **state)
{
    (void)state;
    struct err err = {"old"};
    assert_int_equal(err_text(&err, EINVAL, "%d is too many", 3), -EINVAL);
    assert_string_equal(err.msg, "3 is too many");
}

static void err_wrap_puts_context_in_front(void **state)
{
    (void)state;
    struct err err = {"old"};
    assert_int_equal(err_wrap(&err, -EIO, "read %s", "x"), -EIO);
    assert_string_equal(err.msg, "read x: old");
    assert_int_equal(err_wrap(&err, -EIO, "copy %s", err.msg), -EIO);
    assert_string_equal(err.msg + strlen(err.msg) - strlen(": read x: old"), ": read x: old");
}

static void null_drops_the_text(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, ENOENT, "x"), -ENOENT);
    assert_int_equal(err_text(NULL, EIO, "x"), -EIO);
    assert_int_equal(err_wrap(NULL, -EPERM, "x"), -EPERM);
}

static void long_texts_are_cut_and_terminated(void **state)
{
    (void)state;
    struct err err = {""};
    char text[3000];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    err_text(&err, EIO, "%s", text);
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
    err_set(&err, EIO, "%s", text);
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
    err_wrap(&err, -EIO, "context");
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
    assert_memory_equal(err.msg, "context: aaa", 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(err_set_adds_the_errors_own_words),
        cmocka_unit_test(err_text_adds_nothing),
        cmocka_unit_test(err_wrap_puts_context_in_front),
        cmocka_unit_test(null_drops_the_text),
        cmocka_unit_test(long_texts_are_cut_and_terminated),
    };
    return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
