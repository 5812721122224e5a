#include "rule_check.h"

#include <errno.h>

struct check {
    const struct rule *rule;
    const size_t *key_at;
    enum rule_key *ret_key;
    struct err *err;
};

#define refuse(check, key, ...)                                                                    \
    (*(check)->ret_key = (key), err_text((check)->err, EINVAL, __VA_ARGS__))

static const char *place_name(const struct rule *rule)
{
    return rule->place == RULE_OPERATION ? "an operation" : rule_place_words[rule->place];
}

static bool is_call_wide(const struct rule *rule)
{
    return rule->place == RULE_END || rule->place == RULE_AT ||
           (rule->place == RULE_BEGIN && rule->scope != RULE_PROCESS);
}

static int check_place(const struct check *check)
{
    const struct rule *rule = check->rule;
    bool at = rule->place == RULE_AT;
    if (at && !check->key_at[RULE_KEY_MS])
        return refuse(check, RULE_KEY_COUNT, "at needs a time: at:ms=N");
    if (!at && check->key_at[RULE_KEY_MS])
        return refuse(check, RULE_KEY_MS, "ms= goes with at, not with %s", place_name(rule));
    if (!at && check->key_at[RULE_KEY_SINCE])
        return refuse(check, RULE_KEY_SINCE, "since= goes with at, not with %s", place_name(rule));
    bool has_command = rule->call == RULE_EXEC || rule->call == RULE_CP;
    bool in_command =
        rule->place != RULE_BEGIN && rule->place != RULE_END && rule->place != RULE_AT;
    if (!has_command && in_command)
        return refuse(check, RULE_KEY_COUNT, "%s runs no command: its places are begin, end and at",
                      rule_call_words[rule->call]);
    return 0;
}

static int check_filters(const struct check *check)
{
    const struct rule *rule = check->rule;
    static const enum rule_key of_attempts[] = {RULE_KEY_PATH, RULE_KEY_COMM, RULE_KEY_WHEN,
                                                RULE_KEY_PER};
    if (check->key_at[RULE_KEY_TIMING] && rule->place != RULE_OPERATION)
        return refuse(check, RULE_KEY_TIMING, "timing= goes with operations, not with %s",
                      place_name(rule));
    for (size_t i = 0; i < sizeof of_attempts / sizeof *of_attempts; i++) {
        if (!check->key_at[of_attempts[i]] || !is_call_wide(rule))
            continue;
        if (rule->place == RULE_BEGIN)
            return refuse(check, of_attempts[i], "%s= goes with begin only under scope=process",
                          rule_key_words[of_attempts[i]]);
        return refuse(check, of_attempts[i], "%s= does not go with %s, which comes once a call",
                      rule_key_words[of_attempts[i]], place_name(rule));
    }
    if (check->key_at[RULE_KEY_PER] && !check->key_at[RULE_KEY_WHEN])
        return refuse(check, RULE_KEY_PER, "per= says how when= counts, and there is no when=");
    return 0;
}

/* At most one action; persist= is a part of the signal's. */
static int check_one_action(const struct check *check)
{
    static const enum rule_key actions[] = {RULE_KEY_SIGNAL, RULE_KEY_PERSIST, RULE_KEY_ERROR,
                                            RULE_KEY_DELAY,  RULE_KEY_STATUS,  RULE_KEY_REPLY};
    const size_t *at = check->key_at;
    for (size_t i = 0; i < 6; i++) {
        for (size_t j = i + 1; j < 6; j++) {
            enum rule_key a = actions[i], b = actions[j];
            if (!at[a] || !at[b] || (a == RULE_KEY_SIGNAL && b == RULE_KEY_PERSIST))
                continue;
            enum rule_key later = at[a] > at[b] ? a : b;
            return refuse(check, later, "%s= and %s= are two actions, and a rule has one",
                          rule_key_words[later == a ? b : a], rule_key_words[later]);
        }
    }
    return 0;
}

static int check_errnum(const struct check *check)
{
    const struct rule *rule = check->rule;
    if (rule->place != RULE_OPERATION)
        return refuse(check, RULE_KEY_ERROR, "error= goes with operations, not with %s",
                      place_name(rule));
    for (unsigned op = 0; op < OP_COUNT; op++) {
        if (!(rule->ops & OP_BIT(op)) || op_can_fail((enum op)op, NULL, rule->errnum))
            continue;
        CLEANUP(buf_release) struct buf list = BUF_INIT;
        for (int errnum = 1; errnum < 256; errnum++) {
            if (op_can_fail((enum op)op, NULL, errnum))
                buf_printf(&list, " %s", op_errno_name(errnum));
        }
        return refuse(check, RULE_KEY_ERROR, "%s cannot fail with %s, but with:%s",
                      op_name((enum op)op), op_errno_name(rule->errnum), buf_str(&list));
    }
    return 0;
}

static int check_action(const struct check *check)
{
    const struct rule *rule = check->rule;
    int ret = check_one_action(check);
    if (ret == 0 && rule->action == RULE_ERROR)
        ret = check_errnum(check);
    if (ret < 0)
        return ret;
    if (rule->persist_bytes >= 0 && rule->ops != OP_BIT(OP_WRITE))
        return refuse(check, RULE_KEY_PERSIST, "persist= goes with write alone");
    if (rule->timing == RULE_AFTER && (rule->persist_bytes >= 0 || rule->action == RULE_ERROR))
        return refuse(check, RULE_KEY_TIMING,
                      "timing=after does not go with %s=, which changes the call",
                      rule->action == RULE_ERROR ? "error" : "persist");
    if (rule->action == RULE_DELAY && rule->place == RULE_AT)
        return refuse(check, RULE_KEY_DELAY, "delay= does not go with at: nobody stands there");
    bool answers = rule->action == RULE_STATUS || rule->action == RULE_REPLY;
    enum rule_key key = rule->action == RULE_STATUS ? RULE_KEY_STATUS : RULE_KEY_REPLY;
    if (answers && rule->place != RULE_BEGIN && rule->place != RULE_END && rule->place != RULE_AT &&
        rule->place != RULE_OPERATION)
        return refuse(check, key, "%s= goes with begin, end, at and operations, not with %s",
                      rule_key_words[key], place_name(rule));
    return 0;
}

static int check_scope(const struct check *check)
{
    const struct rule *rule = check->rule;
    bool given = check->key_at[RULE_KEY_SCOPE] != 0;
    enum rule_key key = given ? RULE_KEY_SCOPE : RULE_KEY_COUNT;
    bool process_begins = rule->place == RULE_BEGIN && rule->scope == RULE_PROCESS;
    if (given && rule->action != RULE_SIGNAL && !(process_begins && rule->action == RULE_DELAY))
        return refuse(check, key, "scope= says who gets the signal, and there is none");
    if (rule->place == RULE_END && rule->scope == RULE_PROCESS)
        return refuse(check, key, "scope=process does not go with end: the process is gone");
    bool in_guest =
        rule->scope == RULE_PROCESS || (rule->scope == RULE_TREE && rule->action == RULE_SIGNAL);
    if (in_guest && (rule->call == RULE_START || rule->call == RULE_STOP))
        return refuse(check, key,
                      "%s runs no command to kill: name scope=init, vm or client, or delay=, "
                      "status= or reply=",
                      rule_call_words[rule->call]);
    if ((rule->scope == RULE_INIT_PROCESS || rule->scope == RULE_VM) && rule->signal != SIGKILL)
        return refuse(check, RULE_KEY_SIGNAL, "scope=%s is killed with signal=KILL alone",
                      rule_scope_words[rule->scope]);
    if (rule->lose_all && rule->scope != RULE_VM)
        return refuse(check, RULE_KEY_LOSE,
                      "lose=all goes with scope=vm: only then are files lost");
    return 0;
}

int rule_check(const struct rule *rule, const size_t key_at[RULE_KEY_COUNT], enum rule_key *ret_key,
               struct err *err)
{
    struct check check = {rule, key_at, ret_key, err};
    int ret = check_place(&check);
    if (ret == 0)
        ret = check_filters(&check);
    if (ret == 0)
        ret = check_action(&check);
    return ret < 0 ? ret : check_scope(&check);
}
