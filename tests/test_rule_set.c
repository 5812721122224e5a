#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "../fault/rule_set.h"

static const struct {
    const char *name;
    const char *text;
    size_t count;
} accepted[] = {
    {"nothing", "", 0},
    {"blank lines", "\n \n\t\n", 0},
    {"comments", "# one\n  # two\n", 0},
    {"one rule, no newline", "begin", 1},
    {"rules between others", "# kill twice\nexec#1 begin\n\n  exec#2 begin\n", 2},
    {"two operations", "rename\nlink", 2},
    {"two paths", "rename:path=/a\nrename:path=/b", 2},
    {"the special before the general", "rename:path=/a\nrename", 2},
    {"two comms", "rename:comm=a\nrename:comm=b", 2},
    {"two attempts", "rename:when=1\nrename:when=2", 2},
    {"odd and even attempts", "rename:when=1+2\nrename:when=2+2", 2},
    {"one after the other", "rename:when=1..4\nrename:when=5+", 2},
    {"two times", "at:ms=1\nat:ms=2", 2},
    {"two clocks", "at:ms=1\nat:ms=1:since=start", 2},
    {"two calls", "cp begin\nbegin", 2},
    {"one exec and all others", "exec#1 begin\nbegin", 2},
    {"begin of the call and of its processes", "begin:status=1\nbegin:scope=process", 2},
};

static void sets_of_rules_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++) {
        CLEANUP(rule_set_release) struct rule_set set = RULE_SET_INIT;
        struct err err;
        if (rule_set_parse(accepted[i].text, NULL, &set, &err) < 0)
            fail_msg("%s: %s", accepted[i].name, err.msg);
        if (set.count != accepted[i].count)
            fail_msg("%s: %zu rules", accepted[i].name, set.count);
    }
}

static const struct {
    const char *name;
    const char *text;
    int ret;
    const char *fragment;
} rejected[] = {
    {"a mistake", "begin:path=/x", -EINVAL, "rule 1, column 7: path= goes with begin only under"},
    {"rules count, lines do not", "# x\n\nbegin\n  renam\n", -EINVAL,
     "rule 2, column 3: the place"},
    {"a comment behind a rule", "begin # x", -EINVAL, "rule 1, column 6: "},
    {"twice", "begin\nbegin", -EEXIST,
     "rule 2, column 1: rule 1 has the same attempts already: begin"},
    {"twice by another action", "end\n end:status=1", -EEXIST, "rule 2, column 2: rule 1"},
    {"twice, the canonical text is shown", "link\nexec renameat:when=1+\nrename:error=EIO", -EEXIST,
     "rule 3, column 1: rule 2 has the same attempts already: rename"},
    {"an operation in common", "open,write\nwrite,rename", -EEXIST, "rule 2"},
    {"a number in common", "rename:when=1+3\nrename:when=2+5", -EEXIST, "rule 2"},
    {"the same time", "at:ms=5\nat:ms=5:scope=vm", -EEXIST, "rule 2"},
    {"the same path and comm", "link:path=/%61:comm=x\nlink:comm=x:path=/a", -EEXIST, "rule 2"},
    {"counted in two ways", "link:when=1\nlink:when=2:per=process", -EEXIST, "rule 2"},
    {"the same call", "cp#2 begin\ncp#2 begin:status=1", -EEXIST, "rule 2"},
    {"no such file", "@/nonexistent/rules", -ENOENT, "open /nonexistent/rules"},
    {"no file named", "@", -ENOENT, "open "},
};

static void a_mistake_is_named_by_rule_and_column(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rejected / sizeof rejected[0]; i++) {
        struct rule_set set = RULE_SET_INIT;
        struct err err = {""};
        int ret = rule_set_parse(rejected[i].text, NULL, &set, &err);
        if (ret != rejected[i].ret ||
            strncmp(err.msg, rejected[i].fragment, strlen(rejected[i].fragment)) != 0)
            fail_msg("%s: found %d: %s", rejected[i].name, ret, err.msg);
        assert_null(set.rules);
        assert_int_equal(set.count, 0);
    }
}

static void write_rules(const char *path, const char *text, size_t len)
{
    struct err err;
    if (io_write_file(AT_FDCWD, path, text, len, 0600, &err) < 0)
        fail_msg("%s", err.msg);
}

static void rules_come_from_a_file(void **state)
{
    (void)state;
    CLEANUP(dir_remove) char *dir = dir_make();
    CLEANUP(io_free) char *path = io_format("%s/rules", dir);
    CLEANUP(io_free) char *at_path = io_format("@%s", path);
    static const char good[] = "# two rules\nexec#1 begin\n\nexec#2 end:reply=lost";
    static const char wrong[] = "# one\nbegin\n  renam\n";
    static const char nul[] = "begin\nend\0\n";
    struct rule_set set = RULE_SET_INIT;
    struct err err;
    write_rules(path, good, sizeof good - 1);
    if (rule_set_parse(at_path, NULL, &set, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(set.count, 2);
    assert_string_equal(set.rules[1].reply, "lost");
    rule_set_release(&set);

    write_rules(path, wrong, sizeof wrong - 1);
    assert_int_equal(rule_set_parse(at_path, NULL, &set, &err), -EINVAL);
    CLEANUP(io_free) char *at_mistake = io_format("%s:3:3: the place \"renam\"", path);
    assert_memory_equal(err.msg, at_mistake, strlen(at_mistake));

    write_rules(path, nul, sizeof nul - 1);
    assert_int_equal(rule_set_parse(at_path, NULL, &set, &err), -EINVAL);
    CLEANUP(io_free) char *at_nul = io_format("%s:2:4: a NUL byte", path);
    assert_string_equal(err.msg, at_nul);
}

static void names_of_replies_are_checked(void **state)
{
    (void)state;
    static const char *const names[] = {"lost", NULL};
    struct rule_set set = RULE_SET_INIT;
    struct err err;
    assert_int_equal(rule_set_parse("begin\nend:reply=late", names, &set, &err), -EINVAL);
    assert_string_equal(err.msg, "rule 2, column 11: reply= \"late\" is none of: lost");
}

static void an_added_rule_belongs_to_the_set(void **state)
{
    (void)state;
    CLEANUP(rule_set_release) struct rule_set set = RULE_SET_INIT;
    struct rule rule = RULE_INIT, empty = RULE_INIT;
    struct err err;
    rule.comm = io_format("sh");
    rule.place = RULE_SPAWN;
    assert_int_equal(rule_set_add(&set, &rule, &err), 0);
    assert_true(rule_equal(&rule, &empty));
    rule.comm = io_format("sh");
    rule.place = RULE_SPAWN;
    assert_int_equal(rule_set_add(&set, &rule, &err), -EEXIST);
    assert_string_equal(rule.comm, "sh");
    assert_int_equal(set.count, 1);
    rule_release(&rule);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_of_rules_are_read),
        cmocka_unit_test(a_mistake_is_named_by_rule_and_column),
        cmocka_unit_test(rules_come_from_a_file),
        cmocka_unit_test(names_of_replies_are_checked),
        cmocka_unit_test(an_added_rule_belongs_to_the_set),
    };
    return cmocka_run_group_tests_name("rule_set", tests, NULL, NULL);
}
