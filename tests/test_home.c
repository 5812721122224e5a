#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../fault/home.h"
#include "../fault/io.h"

static void home_finds_this_program_and_the_folders_above(void **state)
{
    (void)state;
    static const char *const names[] = {"tests/test_home", "scenarios/suite", "Makefile"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct err err = {""};
        CLEANUP(io_free) char *path = NULL;
        if (home_find(names[i], &path, &err) < 0)
            fail_msg("%s: %s", names[i], err.msg);
        assert_int_equal(path[0], '/');
        assert_int_equal(access(path, F_OK), 0);
        assert_string_equal(path + strlen(path) - strlen(names[i]), names[i]);
    }
}

static void home_does_not_depend_on_the_current_folder(void **state)
{
    (void)state;
    CLEANUP(io_free) char *here = realpath(".", NULL);
    CLEANUP(io_free) char *before = NULL;
    CLEANUP(io_free) char *after = NULL;
    assert_int_equal(home_find("Makefile", &before, NULL), 0);
    assert_int_equal(chdir("/"), 0);
    int ret = home_find("Makefile", &after, NULL);
    assert_int_equal(chdir(here), 0);
    assert_int_equal(ret, 0);
    assert_string_equal(before, after);
}

static void home_says_what_is_missing(void **state)
{
    (void)state;
    struct err err = {""};
    char *path = NULL;
    assert_int_equal(home_find("tests/no such thing", &path, &err), -ENOENT);
    assert_non_null(strstr(err.msg, "tests/no such thing"));
    assert_null(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(home_finds_this_program_and_the_folders_above),
        cmocka_unit_test(home_does_not_depend_on_the_current_folder),
        cmocka_unit_test(home_says_what_is_missing),
    };
    return cmocka_run_group_tests_name("home", tests, NULL, NULL);
}
