#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>

#include "reply.h"

void faults_release(struct faults *faults)
{
    rule_set_release(&faults->set);
    free(faults->fired);
    faults->fired = NULL;
}

int faults_check_rule(const struct rule *rule, struct err *err)
{
    bool is_process = rule->place == RULE_BEGIN && rule->scope == RULE_PROCESS;
    if (rule->call == RULE_CP && (is_process || rule->place == RULE_SPAWN))
        return err_text(err, ENOTSUP, "a copy is one process, which starts and executes nothing");
    if ((rule->call == RULE_START || rule->call == RULE_STOP) && rule->place == RULE_AT &&
        (rule->action != RULE_SIGNAL || rule->scope == RULE_CLIENT))
        return err_text(err, ENOTSUP,
                        "%s is over at any time that could be told: at takes scope=init and vm "
                        "alone",
                        rule_call_words[rule->call]);
    return 0;
}

int faults_parse(struct faults *faults, const char *text, struct err *err)
{
    CLEANUP(faults_release) struct faults parsed = FAULTS_INIT;
    int ret = text && *text ? rule_set_parse(text, reply_names, &parsed.set, err) : 0;
    for (size_t i = 0; i < parsed.set.count && ret == 0; i++)
        if ((ret = faults_check_rule(&parsed.set.rules[i], err)) < 0)
            err_wrap(err, ret, "rule %zu", i + 1);
    if (ret < 0)
        return ret;
    parsed.fired = calloc(parsed.set.count + 1, sizeof *parsed.fired);
    if (!parsed.fired)
        abort();
    struct faults old = *faults;
    *faults = parsed;
    parsed = old;
    return 0;
}

int faults_next(const struct faults *faults, enum rule_call call, uint32_t nth,
                enum rule_place place, size_t *at)
{
    while (*at < faults->set.count) {
        size_t index = (*at)++;
        const struct rule *rule = &faults->set.rules[index];
        bool is_process = place == RULE_BEGIN && rule->scope == RULE_PROCESS; /* the engine's */
        if (rule->place == place && !is_process && rule_in_call(rule, call, nth))
            return (int)index;
    }
    return -1;
}

bool faults_kill_trees(const struct faults *faults, enum rule_call call, uint32_t nth)
{
    for (size_t i = 0; i < faults->set.count; i++) {
        const struct rule *rule = &faults->set.rules[i];
        if (rule_in_call(rule, call, nth) && rule->place != RULE_BEGIN &&
            rule->action == RULE_SIGNAL && rule->scope == RULE_TREE)
            return true;
    }
    return false;
}

void faults_print_json(const struct faults *faults, struct buf *json)
{
    json_t *list = json_array();
    for (size_t i = 0; i < faults->set.count; i++) {
        CLEANUP(buf_release) struct buf text = BUF_INIT;
        rule_print(&faults->set.rules[i], &text);
        json_array_append_new(list, json_pack("{s:s, s:I}", "rule", buf_str(&text), "fired",
                                              (json_int_t)faults->fired[i]));
    }
    char *dump = json_dumps(list, JSON_COMPACT);
    if (!dump)
        abort();
    buf_add(json, dump);
    free(dump);
    json_decref(list);
}

bool faults_may_lose_files(const struct faults *faults)
{
    for (size_t i = 0; i < faults->set.count; i++)
        if (faults->set.rules[i].lose_all)
            return true;
    return false;
}

bool faults_need_namespaces(const struct rule_set *rules)
{
    for (size_t i = 0; i < rules->count; i++)
        if (rules->rules[i].action == RULE_SIGNAL &&
            (rules->rules[i].scope == RULE_INIT_PROCESS || rules->rules[i].scope == RULE_VM))
            return true;
    return false;
}

int faults_from_environment(char **ret_faults, struct err *err)
{
    const char *given = getenv("KILLPOINT_FAULTS");
    if (!given || !*given)
        return 0;
    CLEANUP(faults_release) struct faults faults = FAULTS_INIT;
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    int ret = faults_parse(&faults, given, err);
    /* The machine has another working folder, so it gets the rules and not the file's name. */
    if (ret == 0 && given[0] == '@')
        ret = io_read_file(AT_FDCWD, given + 1, &text, RULE_SET_BYTES_MAX, err);
    if (ret < 0)
        return err_wrap(err, ret, "KILLPOINT_FAULTS");
    *ret_faults = io_format("%s", given[0] == '@' ? buf_str(&text) : given);
    return 0;
}
