#include "support.h"
#include "random.h"

#include <string.h>

#include "../fault/rule_parse.h"

static char *random_text(struct random *random, const char *prefix, size_t max)
{
    static const char bytes[] = "ab*?[]\\/.:#%, =\n\t\x01\x7f\xc3\xff+@~";
    struct buf text = BUF_INIT;
    buf_add(&text, prefix);
    for (size_t len = 1 + random_below(random, max); len > 0; len--)
        buf_append(&text, &bytes[random_below(random, sizeof bytes - 1)], 1);
    return text.data;
}

static uint32_t random_ordinal(struct random *random)
{
    uint64_t limit = random_bit(random) ? 20 : RULE_ORDINAL_MAX;
    return (uint32_t)(1 + random_below(random, limit));
}

static struct rule_when random_when(struct random *random)
{
    struct rule_when when = {random_ordinal(random), UINT32_MAX, random_ordinal(random)};
    if (random_bit(random))
        return when;
    uint64_t more = random_below(random, 30) * when.step;
    if (when.first + more <= RULE_ORDINAL_MAX)
        when.last = (uint32_t)(when.first + more);
    else
        when.last = when.first;
    if (when.last == when.first)
        when.step = 1;
    return when;
}

static int random_errnum(struct random *random, unsigned ops)
{
    int errnum = 1 + (int)random_below(random, 130);
    for (int tries = 0; tries < 130; tries++, errnum = errnum % 130 + 1) {
        unsigned can = 0;
        for (unsigned op = 0; op < OP_COUNT; op++) {
            if (op_can_fail((enum op)op, NULL, errnum))
                can |= OP_BIT(op);
        }
        if ((ops & ~can) == 0)
            return errnum;
    }
    return 0;
}

static void random_signal(struct random *random, struct rule *rule)
{
    bool command = rule->call == RULE_EXEC || rule->call == RULE_CP;
    do
        rule->scope = (enum rule_scope)random_below(random, 5);
    while ((!command && rule->scope <= RULE_PROCESS) ||
           (rule->place == RULE_END && rule->scope == RULE_PROCESS));
    if (rule->scope != RULE_INIT_PROCESS && rule->scope != RULE_VM && random_bit(random))
        rule->signal = 1 + (int)random_below(random, SIGSYS);
    rule->lose_all = rule->scope == RULE_VM && random_bit(random);
    if (rule->ops == OP_BIT(OP_WRITE) && random_bit(random))
        rule->persist_bytes = (int64_t)random_below(random, RULE_PERSIST_MAX + 1ULL);
}

static void random_action(struct random *random, struct rule *rule)
{
    bool wide = rule->place <= RULE_AT || rule->place == RULE_OPERATION;
    rule->action = (enum rule_action)random_below(random, 5);
    if (rule->action == RULE_ERROR)
        rule->errnum = rule->ops ? random_errnum(random, rule->ops) : 0;
    if ((rule->action == RULE_ERROR && !rule->errnum) ||
        (rule->action == RULE_DELAY && rule->place == RULE_AT) ||
        (rule->action >= RULE_STATUS && !wide))
        rule->action = RULE_SIGNAL;
    if (rule->action == RULE_SIGNAL) {
        random_signal(random, rule);
        if (rule->call != RULE_EXEC && rule->call != RULE_CP)
            assert_true(rule->scope > RULE_PROCESS);
        return;
    }
    rule->signal = 0;
    if (rule->action == RULE_DELAY)
        rule->delay_ms = 1 + (int64_t)random_below(random, RULE_MS_MAX);
    if (rule->action == RULE_STATUS)
        rule->status = (int)random_below(random, 256);
    if (rule->action == RULE_REPLY)
        rule->reply = io_format("r%ju-x", (uintmax_t)random_below(random, 100));
    if (rule->action == RULE_DELAY && rule->place == RULE_BEGIN && rule->call == RULE_EXEC)
        rule->scope = random_bit(random) ? RULE_PROCESS : RULE_TREE;
}

/* Any rule that the grammar allows, over all keys. */
static struct rule random_rule(struct random *random)
{
    struct rule rule = RULE_INIT;
    rule.call = (enum rule_call)random_below(random, 4);
    rule.call_nth = random_bit(random) ? random_ordinal(random) : 0;
    bool command = rule.call == RULE_EXEC || rule.call == RULE_CP;
    rule.place = (enum rule_place)random_below(random, command ? RULE_OPERATION + 1 : RULE_AT + 1);
    if (command && random_bit(random))
        rule.place = RULE_OPERATION;
    if (rule.place == RULE_OPERATION) {
        rule.ops = random_bit(random) ? OP_BIT(random_below(random, OP_COUNT))
                                      : 1 + (unsigned)random_below(random, OP_ALL);
        rule.path_glob = random_bit(random) ? random_text(random, "/", 40) : NULL;
    }
    if (rule.place == RULE_AT) {
        rule.at_ms = (int64_t)random_below(random, RULE_MS_MAX + 1);
        rule.since = random_bit(random) ? RULE_SINCE_START : RULE_SINCE_EXEC;
    }
    random_action(random, &rule);
    if (rule.ops && rule.action != RULE_ERROR && rule.persist_bytes < 0)
        rule.timing = random_bit(random) ? RULE_AFTER : RULE_BEFORE;
    if (rule.place > RULE_AT || (rule.place == RULE_BEGIN && rule.scope == RULE_PROCESS)) {
        rule.comm = random_bit(random) ? random_text(random, "", RULE_COMM_MAX) : NULL;
        if (random_bit(random))
            rule.when = random_when(random);
        if (rule.when.first != 1 || rule.when.last != UINT32_MAX || rule.when.step != 1)
            rule.per = random_bit(random) ? RULE_PER_PROCESS : RULE_PER_TREE;
    }
    return rule;
}

static void a_printed_rule_is_read_back_the_same(void **state)
{
    (void)state;
    uint64_t rounds;
    struct random random = random_start(&rounds);
    unsigned places = 0, actions = 0, scopes = 0, ops = 0;
    for (uint64_t i = 0; i < rounds; i++) {
        CLEANUP(rule_release) struct rule rule = random_rule(&random);
        CLEANUP(rule_release) struct rule again = RULE_INIT;
        CLEANUP(buf_release) struct buf text = BUF_INIT;
        CLEANUP(buf_release) struct buf text_again = BUF_INIT;
        size_t column = 0;
        struct err err;
        rule_print(&rule, &text);
        if (rule_parse(buf_str(&text), NULL, &again, &column, &err) < 0)
            fail_msg("%s: column %zu: %s", buf_str(&text), column, err.msg);
        rule_print(&again, &text_again);
        if (!rule_equal(&rule, &again) || strcmp(buf_str(&text), buf_str(&text_again)) != 0)
            fail_msg("%s became %s", buf_str(&text), buf_str(&text_again));
        places |= 1U << rule.place;
        actions |= 1U << rule.action;
        scopes |= 1U << rule.scope;
        ops |= rule.ops;
    }
    if (rounds >= 1000) { /* the generator left nothing out */
        assert_int_equal(places, (1U << (RULE_OPERATION + 1)) - 1);
        assert_int_equal(actions, (1U << (RULE_REPLY + 1)) - 1);
        assert_int_equal(scopes, (1U << (RULE_CLIENT + 1)) - 1);
        assert_int_equal(ops, OP_ALL);
    }
}

/* --- matching --------------------------------------------------------------------- */

static const struct {
    const char *name;
    const char *rule;
    const char *path;
    const char *comm;
    bool matches;
} matching[] = {
    {"no filter", "rename", "/a", "mv", true},
    {"no filter, no path", "pipewrite", NULL, "mv", true},
    {"a path", "rename:path=/a", "/a", "mv", true},
    {"another path", "rename:path=/a", "/ab", "mv", false},
    {"a star", "rename:path=/etc/ssl/certs/*", "/etc/ssl/certs/x.0", "mv", true},
    {"a star and a dot file", "rename:path=/etc/*", "/etc/.x", "mv", true},
    {"a star stops at a slash", "rename:path=/etc/*", "/etc/ssl/certs", "mv", false},
    {"a star for a folder", "rename:path=/etc/*/certs", "/etc/ssl/certs", "mv", true},
    {"the folder itself", "rename:path=/etc/*", "/etc", "mv", false},
    {"a question mark", "rename:path=/a?", "/ab", "mv", true},
    {"a question mark is no slash", "rename:path=/a?b", "/a/b", "mv", false},
    {"a set", "rename:path=/[0-9a-f].0", "/7.0", "mv", true},
    {"outside a set", "rename:path=/[0-9a-f].0", "/g.0", "mv", false},
    {"a quoted star", "rename:path=/a\\*", "/a*", "mv", true},
    {"a quoted star is no star", "rename:path=/a\\*", "/ab", "mv", false},
    {"a decoded colon", "rename:path=/a%3Ab", "/a:b", "mv", true},
    {"no path to match", "rename:path=/a", NULL, "mv", false},
    {"a comm", "rename:comm=mv", "/a", "mv", true},
    {"a comm is no glob", "rename:comm=*", "/a", "mv", false},
    {"a longer comm", "rename:comm=m", "/a", "mv", false},
    {"an empty comm", "rename:comm=", "/a", "", true},
    {"an empty comm is not any", "rename:comm=", "/a", "mv", false},
    {"no comm to match", "rename:comm=mv", "/a", NULL, false},
    {"one of two", "rename:comm=mv:path=/b", "/a", "mv", false},
};

static void rules_match_by_path_and_comm(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof matching / sizeof matching[0]; i++) {
        CLEANUP(rule_release) struct rule rule = RULE_INIT;
        struct err err;
        if (rule_parse(matching[i].rule, NULL, &rule, NULL, &err) < 0)
            fail_msg("%s: %s", matching[i].name, err.msg);
        if (rule_matches(&rule, matching[i].path, matching[i].comm) != matching[i].matches)
            fail_msg("%s", matching[i].name);
    }
}

static void rules_hold_in_their_calls(void **state)
{
    (void)state;
    struct rule every = RULE_INIT, second = RULE_INIT;
    second.call = RULE_CP;
    second.call_nth = 2;
    assert_true(rule_in_call(&every, RULE_EXEC, 1));
    assert_true(rule_in_call(&every, RULE_EXEC, 9));
    assert_false(rule_in_call(&every, RULE_CP, 1));
    assert_true(rule_in_call(&second, RULE_CP, 2));
    assert_false(rule_in_call(&second, RULE_CP, 1));
    assert_false(rule_in_call(&second, RULE_EXEC, 2));
}

static struct rule_when parse_when(const char *text)
{
    CLEANUP(io_free) char *line = io_format("rename:when=%s", text);
    struct rule rule = RULE_INIT;
    struct err err;
    if (rule_parse(line, NULL, &rule, NULL, &err) < 0)
        fail_msg("%s: %s", line, err.msg);
    return rule.when;
}

static const struct {
    const char *when;
    const char *firing; /* for n = 1, 2, … 12 */
} whens[] = {
    {"1", "x..........."},        {"3", "..x........."},        {"12", "...........x"},
    {"3+", "..xxxxxxxxxx"},       {"3+3", "..x..x..x..x"},      {"2..4", ".xxx........"},
    {"2..9+3", ".x..x..x...."},   {"1+1", "xxxxxxxxxxxx"},      {"2..4+9", ".x.........."},
    {"1..12+11", "x..........x"}, {"1..11+11", "x..........."},
};

static void when_picks_its_attempts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof whens / sizeof whens[0]; i++) {
        struct rule_when when = parse_when(whens[i].when);
        assert_false(rule_when_has(&when, 0));
        for (uint64_t n = 1; n <= 12; n++) {
            if (rule_when_has(&when, n) != (whens[i].firing[n - 1] == 'x'))
                fail_msg("%s at %ju", whens[i].when, (uintmax_t)n);
        }
    }
    struct rule_when open_end = parse_when("1+1");
    assert_true(rule_when_has(&open_end, UINT64_MAX));
}

static void whens_meet_where_they_have_a_number_in_common(void **state)
{
    (void)state;
    uint64_t rounds;
    struct random random = random_start(&rounds);
    unsigned met = 0;
    for (uint64_t i = 0; i < rounds / 10; i++) {
        struct rule_when when[2];
        for (int side = 0; side < 2; side++) {
            uint32_t first = 1 + (uint32_t)random_below(&random, 15);
            uint32_t step = 1 + (uint32_t)random_below(&random, 12);
            uint32_t last = first + step * (uint32_t)random_below(&random, 6);
            when[side] = (struct rule_when){first, random_bit(&random) ? last : UINT32_MAX, step};
        }
        bool meets = false;
        for (uint64_t n = 1; n < 200 && !meets; n++)
            meets = rule_when_has(&when[0], n) && rule_when_has(&when[1], n);
        if (rule_when_meets(&when[0], &when[1]) != meets)
            fail_msg("%u..%u+%u and %u..%u+%u", when[0].first, when[0].last, when[0].step,
                     when[1].first, when[1].last, when[1].step);
        met += meets;
    }
    assert_true(met > 0);
    struct rule_when a = {1, UINT32_MAX, 999999999}, b = {2, UINT32_MAX, 1000000000};
    assert_true(rule_when_meets(&a, &b));
    b.last = 1000000002;
    assert_false(rule_when_meets(&a, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_printed_rule_is_read_back_the_same),
        cmocka_unit_test(rules_match_by_path_and_comm),
        cmocka_unit_test(rules_hold_in_their_calls),
        cmocka_unit_test(when_picks_its_attempts),
        cmocka_unit_test(whens_meet_where_they_have_a_number_in_common),
    };
    return cmocka_run_group_tests_name("rule", tests, NULL, NULL);
}
