#include "support.h"

#include <errno.h>
#include <string.h>

#include "../fakes/faults.h"

static void parse(struct faults *faults, const char *text)
{
    struct err err = {""};
    if (faults_parse(faults, text, &err) < 0)
        fail_msg("%s: %s", text ? text : "NULL", err.msg);
}

static void nothing_arms_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = {NULL, "", "\n \n", "# a comment"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        CLEANUP(faults_release) struct faults faults = FAULTS_INIT;
        CLEANUP(buf_release) struct buf json = BUF_INIT;
        parse(&faults, texts[i]);
        assert_int_equal(faults.set.count, 0);
        assert_non_null(faults.fired);
        faults_print_json(&faults, &json);
        assert_string_equal(buf_str(&json), "[]");
    }
}

static void mistake_leaves_the_armed_rules_as_they_were(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        int ret;
    } rows[] = {
        {"no rule", "exec frobnicate", -EINVAL},
        {"unknown reply", "exec end:reply=nosuch", -EINVAL},
        {"the same twice", "begin\nbegin", -EEXIST},
        {"no such file", "@/nonexistent", -ENOENT},
        {"a copy executes nothing", "cp begin:scope=process", -ENOTSUP},
        {"a copy forks nothing", "cp spawn", -ENOTSUP},
        {"a time after the end of start", "start at:ms=5:reply=lost", -ENOTSUP},
        {"a time after the end of stop", "stop at:ms=5:scope=client", -ENOTSUP},
        {"the second of two", "begin\ncp spawn", -ENOTSUP},
    };
    CLEANUP(faults_release) struct faults faults = FAULTS_INIT;
    parse(&faults, "end:status=7");
    faults.fired[0] = 3;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err err = {""};
        int ret = faults_parse(&faults, rows[i].text, &err);
        if (ret != rows[i].ret || !*err.msg)
            fail_msg("%s: %d, '%s'", rows[i].name, ret, err.msg);
        assert_int_equal(faults.set.count, 1);
        assert_int_equal(faults.fired[0], 3);
    }
    parse(&faults, "begin\nend");
    assert_int_equal(faults.set.count, 2);
    assert_int_equal(faults.fired[0] + faults.fired[1], 0);
}

static void next_walks_the_rules_of_a_call_and_a_place(void **state)
{
    (void)state;
    CLEANUP(faults_release) struct faults faults = FAULTS_INIT;
    parse(&faults, "exec#2 begin:status=1\ncp begin:status=2\nbegin:status=3\nend:status=4\n"
                   "exec#2 end:status=5");
    static const struct {
        const char *name;
        enum rule_call call;
        uint32_t nth;
        enum rule_place place;
        const char *found;
    } rows[] = {
        {"first exec", RULE_EXEC, 1, RULE_BEGIN, "2 "},
        {"second exec", RULE_EXEC, 2, RULE_BEGIN, "0 2 "},
        {"end of the first", RULE_EXEC, 1, RULE_END, "3 "},
        {"end of the second", RULE_EXEC, 2, RULE_END, "3 4 "},
        {"cp", RULE_CP, 2, RULE_BEGIN, "1 "},
        {"no rule on cp's end", RULE_CP, 1, RULE_END, ""},
        {"no rule on a time", RULE_EXEC, 1, RULE_AT, ""},
        {"no rule on stop", RULE_STOP, 1, RULE_BEGIN, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(buf_release) struct buf found = BUF_INIT;
        size_t at = 0;
        int index;
        while ((index = faults_next(&faults, rows[i].call, rows[i].nth, rows[i].place, &at)) >= 0)
            buf_printf(&found, "%d ", index);
        if (strcmp(buf_str(&found), rows[i].found) != 0)
            fail_msg("%s: rules %s", rows[i].name, buf_str(&found));
    }
}

static void tracer_is_wanted_for_killed_trees_alone(void **state)
{
    (void)state;
    static const struct {
        const char *rules;
        enum rule_call call;
        bool needed;
    } rows[] = {
        {"", RULE_EXEC, false},
        {"at:ms=5", RULE_EXEC, true},
        {"at:ms=5:signal=TERM", RULE_EXEC, true},
        {"exec#1 at:ms=5", RULE_EXEC, true},
        {"exec#2 at:ms=5", RULE_EXEC, false},
        {"cp at:ms=5", RULE_EXEC, false},
        {"cp at:ms=5", RULE_CP, true},
        {"at:ms=5:scope=process", RULE_EXEC, false},
        {"at:ms=5:scope=init", RULE_EXEC, false},
        {"at:ms=5:scope=vm", RULE_EXEC, false},
        {"at:ms=5:reply=lost", RULE_EXEC, false},
        {"begin", RULE_EXEC, false},
        {"begin\nat:ms=5", RULE_EXEC, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(faults_release) struct faults faults = FAULTS_INIT;
        parse(&faults, rows[i].rules);
        if (faults_kill_trees(&faults, rows[i].call, 1) != rows[i].needed)
            fail_msg("%s", rows[i].rules);
    }
}

static void json_tells_each_rule_and_its_count(void **state)
{
    (void)state;
    CLEANUP(faults_release) struct faults faults = FAULTS_INIT;
    CLEANUP(buf_release) struct buf json = BUF_INIT;
    parse(&faults, "  exec#1  begin\ncp end:reply=lost");
    faults.fired[1] = 2;
    faults_print_json(&faults, &json);
    assert_string_equal(buf_str(&json), "[{\"rule\":\"exec#1 begin\",\"fired\":0},"
                                        "{\"rule\":\"cp end:reply=lost\",\"fired\":2}]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_arms_nothing),
        cmocka_unit_test(mistake_leaves_the_armed_rules_as_they_were),
        cmocka_unit_test(next_walks_the_rules_of_a_call_and_a_place),
        cmocka_unit_test(tracer_is_wanted_for_killed_trees_alone),
        cmocka_unit_test(json_tells_each_rule_and_its_count),
    };
    return cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}
