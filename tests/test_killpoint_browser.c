/*
 * The HTML report in a browser; report_browser.py has the checks.
 */
#include "play.h"

static void the_page_can_be_used_by_mouse_and_keyboard(void **state)
{
    (void)state;
    CLEANUP(io_free) char *script = NULL;
    struct err err;
    if (home_find("tests/report_browser.py", &script, &err) < 0)
        fail_msg("%s", err.msg);
    CLEANUP(io_free) char *line = io_format("/usr/bin/python3 '%s'", script);
    struct run done = play(line);
    bool missing = done.how == PROC_EXITED && done.code == 77 && !getenv("CI");
    if (missing)
        print_message("skipped: %s", done.out);
    else
        play_check_code("the page", &done, 0);
    run_release(&done);
    if (missing)
        skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_page_can_be_used_by_mouse_and_keyboard, play_set_up,
                                        play_tear_down),
    };
    return cmocka_run_group_tests_name("killpoint_browser", tests, NULL, NULL);
}
