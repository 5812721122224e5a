/*
 * A trial's event, whose line has a bound, and what is cut to keep to it.
 */
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "../scenarios/json_cut.h"
#include "../scenarios/trial_event.h"

static json_t *text_of_length(size_t len)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    for (size_t i = 0; i < len; i++)
        buf_add(&text, "\001"); /* six bytes of JSON */
    return json_stringn(buf_str(&text), text.len);
}

static json_t *event_of(size_t n_calls, size_t head)
{
    json_t *event = json_pack("{s:s, s:s, s:[{s:s, s:s}], s:[]}", "id", "a/b", "verdict", "FAIL",
                              "checks", "id", "claim", "result", "fail", "calls");
    for (size_t i = 0; i < n_calls; i++)
        json_array_append_new(
            json_object_get(event, "calls"),
            json_pack("{s:s, s:o}", "verb", "exec", "head", text_of_length(head)));
    return event;
}

static void a_line_keeps_to_its_bound_and_says_what_it_lacks(void **state)
{
    static const struct {
        const char *name;
        size_t calls, head;
        bool is_cut, lacks_calls;
    } rows[] = {{"short", 3, 100, false, false},
                {"long texts", 3, 100000, true, false},
                {"many calls", 1000, 4096, true, true},
                {"none", 0, 0, false, false}};
    static const size_t max = 128 << 10;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *event = event_of(rows[i].calls, rows[i].head);
        CLEANUP(io_free) char *line = trial_event_dump(event, max);
        assert_non_null(line);
        if (strlen(line) > max)
            fail_msg("%s: %zu bytes", rows[i].name, strlen(line));
        json_t *read = json_loads(line, 0, NULL);
        size_t kept = json_array_size(json_object_get(read, "calls"));
        json_t *left_out = json_object_get(read, "calls_left_out");
        if (!left_out != !rows[i].lacks_calls ||
            kept + (size_t)json_integer_value(left_out) != rows[i].calls)
            fail_msg("%s: %zu calls, and %d left out", rows[i].name, kept,
                     (int)json_integer_value(left_out));
        if (!strstr(line, " bytes left out]") != !rows[i].is_cut)
            fail_msg("%s: %.200s", rows[i].name, line);
        assert_true(json_equal(json_object_get(read, "checks"), json_object_get(event, "checks")));
        assert_string_equal(json_string_value(json_object_get(read, "verdict")), "FAIL");
        json_decref(read);
        json_decref(event);
    }
}

static void what_is_cut_loses_its_middle(void **state)
{
    (void)state;
    json_t *value = json_pack("{s:s, s:[i,i,i,i,i], s:i}", "text", "abc\u00e4\u00e4xyz", "list", 1,
                              2, 3, 4, 5, "number", 7);
    json_t *shorter = json_cut(value, 8, 4);
    json_t *expected = json_pack("{s:s, s:[i,i,s,i,i], s:i}", "text", "abc[4 bytes left out]xyz",
                                 "list", 1, 2, "[1 left out]", 4, 5, "number", 7);
    CLEANUP(io_free) char *found = json_dumps(shorter, JSON_COMPACT | JSON_SORT_KEYS);
    CLEANUP(io_free) char *wanted = json_dumps(expected, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(found, wanted);
    json_decref(value);
    json_decref(shorter);
    json_decref(expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_keeps_to_its_bound_and_says_what_it_lacks),
        cmocka_unit_test(what_is_cut_loses_its_middle),
    };
    return cmocka_run_group_tests_name("trial_event", tests, NULL, NULL);
}
