#include "engine_rules.h"

#include <signal.h>
#include <stdlib.h>

/* How often a rule matched; process 0: in the whole tree. */
struct engine_count {
    size_t rule;
    pid_t process;
    uint64_t n;
    struct engine_count *next;
};

static uint64_t count(struct engine_tree *tree, size_t rule, pid_t process)
{
    struct engine_count *at = tree->counts;
    while (at && (at->rule != rule || at->process != process))
        at = at->next;
    if (!at) {
        at = calloc(1, sizeof *at);
        if (!at)
            abort();
        *at = (struct engine_count){rule, process, 0, tree->counts};
        tree->counts = at;
    }
    return ++at->n;
}

int engine_rules_match(struct engine_tree *tree, const struct tracee *tracee, enum rule_place place,
                       const struct attempt *attempt, const struct address *address)
{
    int first = -1;
    for (size_t i = 0; tree->rules && i < tree->rules->count; i++) {
        const struct rule *rule = &tree->rules->rules[i];
        if (rule->place != place || !rule_in_call(rule, tree->call, tree->nth) ||
            (place == RULE_BEGIN && rule->scope != RULE_PROCESS) ||
            !rule_matches(rule, address->path, address->comm))
            continue;
        if (attempt && !(rule->ops & OP_BIT(attempt->op)))
            continue;
        if (attempt && rule->action == RULE_ERROR &&
            !op_can_fail(attempt->op, attempt->call->name, rule->errnum))
            continue;
        if (attempt && rule->persist_bytes >= 0 && !attempt->call->args.length)
            continue;
        uint64_t n = count(tree, i, rule->per == RULE_PER_PROCESS ? tracee->process : 0);
        if (first < 0 && rule_when_has(&rule->when, n))
            first = (int)i;
    }
    return first;
}

bool engine_rules_are_deadly(const struct rule *rule)
{
    return rule->signal == SIGKILL && rule->scope != RULE_CLIENT;
}

void engine_rules_fired(struct engine_tree *tree, const struct rule *rule, int times)
{
    for (size_t i = 0; tree->rules && i < tree->rules->count; i++)
        if (rule == &tree->rules->rules[i])
            tree->fired[i] += (uint64_t)times;
}

bool engine_rules_send(struct engine *engine, struct engine_tree *tree, const struct tracee *tracee,
                       const struct rule *rule)
{
    struct tracer *tracer = &engine->tracer;
    bool sent = true;
    engine_rules_fired(tree, rule, 1);
    if (rule->action == RULE_STATUS || rule->action == RULE_REPLY)
        sent = tree->owner->act_outside(tree, rule);
    else if (rule->scope == RULE_TREE)
        tracer_kill(tracer, tree->number, rule->signal);
    else if (rule->scope == RULE_PROCESS)
        tracer_kill_process(tracer, tracee->process, rule->signal);
    else
        sent = tree->owner->act_outside(tree, rule);
    if (!sent)
        engine_rules_fired(tree, rule, -1);
    return sent;
}

void engine_rules_forget(struct engine_tree *tree, pid_t process)
{
    struct engine_count **at = &tree->counts;
    while (*at) {
        struct engine_count *count = *at;
        if (process < 0 || count->process == process) {
            *at = count->next;
            free(count);
        } else
            at = &count->next;
    }
}

uint64_t engine_matched(const struct engine_tree *tree, size_t i)
{
    uint64_t n = 0;
    for (const struct engine_count *at = tree->counts; at; at = at->next)
        n += at->rule == i ? at->n : 0;
    return n;
}

bool engine_rules_care(const struct engine_tree *tree, enum rule_place place)
{
    bool found = tree->records_places;
    for (size_t i = 0; !found && tree->rules && i < tree->rules->count; i++)
        found = tree->rules->rules[i].place == place;
    return found;
}

bool engine_needs_filter(const struct engine_tree *tree)
{
    if (tree->records || tree->records_places || tree->stop_at_point)
        return true;
    for (size_t i = 0; tree->rules && i < tree->rules->count; i++) {
        const struct rule *rule = &tree->rules->rules[i];
        bool is_process = rule->place == RULE_BEGIN && rule->scope == RULE_PROCESS;
        if (rule_in_call(rule, tree->call, tree->nth) && (is_process || rule->place >= RULE_SPAWN))
            return true;
    }
    return false;
}

unsigned engine_filter_wants(const struct engine_tree *tree)
{
    return (engine_rules_care(tree, RULE_EXIT) ? FILTER_EXITS : 0) |
           (engine_rules_care(tree, RULE_PIPEWRITE) ? FILTER_SENDS : 0);
}
