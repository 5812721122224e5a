#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "../scenarios/diag.h"

static void check_print(struct diags *diags, const char *expected)
{
    char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);
    diags_print(diags, file);
    fclose(file);
    assert_string_equal(text, expected);
    free(text);
}

static void lines_stand_by_file_and_place(void **state)
{
    (void)state;
    struct diags diags = DIAGS_INIT;
    check_print(&diags, "");
    diags_add(&diags, "b.yaml", 3, 1, "third");
    diags_add(&diags, "b.yaml", 1, 9, "second %d", 2);
    diags_add(&diags, "b.yaml", 1, 2, "first");
    diags_add(&diags, "a.yaml", 1, 1, "other file, came later");
    diags_add(&diags, "a.yaml", 0, 0, "the whole file");
    check_print(&diags, "b.yaml:1:2: error: first\n"
                        "b.yaml:1:9: error: second 2\n"
                        "b.yaml:3:1: error: third\n"
                        "a.yaml: error: the whole file\n"
                        "a.yaml:1:1: error: other file, came later\n");
    diags_release(&diags);
}

static void same_text_at_the_same_place_is_kept_once(void **state)
{
    (void)state;
    struct diags diags = DIAGS_INIT;
    for (int i = 0; i < 3; i++) {
        diags_add(&diags, "a", 1, 1, "x");
        diags_add(&diags, "a", 1, 1, "y");
        diags_add(&diags, "a", 1, 2, "x");
        diags_add(&diags, "a", 2, 1, "x");
        diags_add(&diags, "b", 1, 1, "x");
    }
    assert_int_equal(diags.count, 5);
    assert_int_equal(diags.told, 15);
    diags_release(&diags);
}

static void control_bytes_do_not_reach_the_terminal(void **state)
{
    (void)state;
    struct diags diags = DIAGS_INIT;
    diags_add(&diags, "a", 1, 1, "%s", "\x1b[31mred\n\x7f");
    check_print(&diags, "a:1:1: error:  [31mred  \n");
    diags_release(&diags);
}

static void many_diagnostics_stay_in_order(void **state)
{
    (void)state;
    struct diags diags = DIAGS_INIT;
    for (int i = 100; i > 0; i--)
        diags_add(&diags, "a", i, 1, "%d", i);
    char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);
    diags_print(&diags, file);
    fclose(file);
    int line = 0;
    for (char *at = text; *at; at = strchr(at, '\n') + 1) {
        char expected[64];
        snprintf(expected, sizeof expected, "a:%d:1: error: %d\n", line + 1, line + 1);
        assert_memory_equal(at, expected, strlen(expected));
        line++;
    }
    assert_int_equal(line, 100);
    free(text);
    diags_release(&diags);
}

static void nearest_name_is_what_was_meant(void **state)
{
    (void)state;
    static const char *const names[] = {"claim", "calls", "settle_ms", "store", "log", "exit"};
    static const struct {
        const char *text, *nearest;
    } rows[] = {
        {"claim", "claim"},  {"clam", "claim"}, {"clams", "claim"}, {"setle_ms", "settle_ms"},
        {"stores", "store"}, {"lgo", "log"},    {"lo", "log"},      {"xxxxxx", NULL},
        {"", NULL},          {"exitt", "exit"}};
    char long_text[100];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *found = diag_nearest(rows[i].text, names, 6, sizeof *names);
        if (!!found != !!rows[i].nearest || (found && strcmp(found, rows[i].nearest) != 0))
            fail_msg("'%s': %s", rows[i].text, found ? found : "none");
    }
    memset(long_text, 'a', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    assert_null(diag_nearest(long_text, names, 6, sizeof *names));
    const char *const long_names[] = {long_text, "claim"};
    assert_string_equal(diag_nearest("claim", long_names, 2, sizeof *long_names), "claim");
}

static void names_may_stand_in_a_table(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int other;
    } table[] = {{"alpha", 1}, {"beta", 2}};
    assert_ptr_equal(diag_nearest("bata", &table[0].name, 2, sizeof *table), table[1].name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_stand_by_file_and_place),
        cmocka_unit_test(same_text_at_the_same_place_is_kept_once),
        cmocka_unit_test(control_bytes_do_not_reach_the_terminal),
        cmocka_unit_test(many_diagnostics_stay_in_order),
        cmocka_unit_test(nearest_name_is_what_was_meant),
        cmocka_unit_test(names_may_stand_in_a_table),
    };
    return cmocka_run_group_tests_name("diag", tests, NULL, NULL);
}
