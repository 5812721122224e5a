#include "scenario_check.h"

#include <string.h>

#include "../fakes/faults.h"
#include "../fakes/reply.h"
#include "../fault/rule_parse.h"
#include "../fault/rule_set.h"
#include "contract.h"
#include "validate.h"

struct checker {
    const char *path;
    struct diags *diags;
    const char *const *layouts;
    struct view root, expect;
    struct pool pool;
    int claim; /* enum claim; -1: missing or wrong in itself */
    size_t plan_count;
};

#define SAY(checker, node, ...)                                                                    \
    diags_add((checker)->diags, (checker)->path, (node)->line, (node)->column, __VA_ARGS__)

/* Whether a value is there and right in itself, so that the getters may read it. */
static bool is_good(const struct view *view)
{
    CLEANUP(diags_release) struct diags unseen = DIAGS_INIT;
    return view->node && validate_tree("", view, &unseen) == 0;
}

/* A part of the file; one that is no mapping has no parts. */
static struct view part(struct view view, const char *name)
{
    if (view.node && view.node->kind != NODE_MAP)
        view.node = NULL;
    return schema_get(view, name);
}

/* The value's index, or the default's; -1 when there is neither or it is wrong. */
static int value_of(struct view view)
{
    if (view.node ? !is_good(&view) : !view.key->def)
        return -1;
    return schema_enum(view);
}

/* --- expect --------------------------------------------------------------- */

static void check_reasons(const struct checker *checker)
{
    struct view reason = part(checker->expect, "reason");
    struct view fired = part(checker->expect, "fired");
    struct view faults = part(checker->root, "faults");
    if (checker->claim == CLAIM_EITHER && !reason.node)
        SAY(checker, part(checker->expect, "claim").node, "claim: either needs a reason");
    if (!fired.node || value_of(fired) != FIRED_ANY)
        return;
    if (!faults.node)
        SAY(checker, fired.node, "fired: there are no faults that could fire");
    else if (!reason.node)
        SAY(checker, fired.node, "fired: any needs a reason");
}

static void check_exit(const struct checker *checker)
{
    struct view view = part(checker->expect, "exit");
    if (!is_good(&view))
        return;
    int64_t status = schema_int(view);
    if (status == 77 || status == 99)
        SAY(checker, view.node, "exit: %d claims nothing: 77 is UNSUPPORTED, 99 is ERROR",
            (int)status);
    else if (status == 0 && checker->claim == CLAIM_FAILURE)
        SAY(checker, view.node, "exit: 0 claims success, and claim is failure");
    else if (status != 0 && checker->claim == CLAIM_SUCCESS)
        SAY(checker, view.node, "exit: %d claims failure, and claim is success", (int)status);
}

/* How many calls of a verb the expectation allows in one run. */
static struct range calls_of(const struct checker *checker, const char *verb)
{
    struct view view = part(part(checker->expect, "calls"), verb);
    if (!is_good(&view))
        view.node = NULL;
    return schema_range(view);
}

static void check_execs(const struct checker *checker)
{
    struct range exec = calls_of(checker, "exec");
    struct view settle = part(checker->expect, "settle_ms");
    struct view status = part(checker->expect, "exec_status");
    if (is_good(&settle)) {
        int64_t min = schema_int(schema_get(settle, "min"));
        int64_t max = schema_int(schema_get(settle, "max"));
        if (min > max)
            SAY(checker, settle.node, "settle_ms: min %lld is above max %lld", (long long)min,
                (long long)max);
    }
    if (settle.node && exec.max <= 1)
        SAY(checker, settle.node, "settle_ms needs two execs, and calls.exec is at most %lld",
            (long long)exec.max);
    int64_t count = status.node && status.node->kind == NODE_LIST ? (int64_t)status.node->count : 0;
    if (count && (count < exec.min || count > exec.max))
        SAY(checker, status.node, "exec_status: a list of %lld, which calls.exec does not allow",
            (long long)count);
}

static void check_fails(const struct checker *checker)
{
    struct view fails = part(part(checker->expect, "store"), "fails");
    bool is_list = fails.node && fails.node->kind == NODE_LIST;
    for (size_t i = 0; is_list && i < fails.node->count; i++) {
        struct view item = schema_item(fails, i);
        CLEANUP(io_free) char *id = io_format("store/%s", item.node->text ? item.node->text : "");
        if (!contract_has(id))
            SAY(checker, item.node, "fails: '%.60s' is no check of the audit",
                id + strlen("store/"));
    }
}

static void check_log(const struct checker *checker)
{
    struct view log = part(checker->expect, "log");
    struct view fatal = part(log, "fatal"), label = part(log, "label");
    int verb = fatal.node ? value_of(fatal) : -1;
    if (verb == FATAL_CP || verb == FATAL_EXEC) {
        const char *name = verb == FATAL_CP ? "cp" : "exec";
        if (checker->claim == CLAIM_SUCCESS)
            SAY(checker, fatal.node, "fatal: nothing is fatal where the claim is success");
        if (calls_of(checker, name).max == 0)
            SAY(checker, fatal.node, "fatal: calls.%s is 0, so none can fail", name);
    }
    int wanted = label.node ? value_of(label) : -1;
    struct view plans = part(checker->root, "plan");
    if (wanted <= LABEL_ANY || (plans.node && !is_good(&plans)))
        return;
    for (size_t i = 0; i < checker->plan_count; i++) {
        struct view routes =
            plans.node ? schema_get(schema_item(plans, i), "routes") : (struct view){0};
        bool egress = !routes.node || schema_count(routes) > 0;
        if (egress != (wanted == LABEL_EGRESS))
            SAY(checker, label.node, "label: plan %zu picks %s", i + 1,
                egress ? "egress" : "pipelock");
    }
}

/* --- faults --------------------------------------------------------------- */

/* Calls are counted per machine, expectations per run. */
static void check_can_fire(const struct checker *checker, const struct node *node,
                           const struct rule *rule)
{
    struct view machines = part(checker->root, "machines");
    const char *verb = rule_call_words[rule->call];
    if ((rule->call != RULE_EXEC && rule->call != RULE_CP) ||
        value_of(part(checker->expect, "fired")) == FIRED_ANY)
        return;
    int64_t runs = value_of(machines) == MACHINES_EACH ? 1 : (int64_t)checker->plan_count;
    int64_t most = calls_of(checker, verb).max * runs;
    if (rule->call_nth > most)
        SAY(checker, node, "faults: %s#%u cannot fire: expect.calls.%s allows %lld", verb,
            rule->call_nth, verb, (long long)most);
    else if (most == 0)
        SAY(checker, node, "faults: the rule cannot fire: expect.calls.%s is 0", verb);
}

static void check_faults(struct checker *checker)
{
    CLEANUP(rule_set_release) struct rule_set rules = RULE_SET_INIT;
    struct view faults = part(checker->root, "faults");
    size_t count = schema_count(faults);
    for (size_t i = 0; i < count; i++) {
        CLEANUP(rule_release) struct rule rule = RULE_INIT;
        struct err err;
        struct view item = schema_item(faults, i);
        if (!is_good(&item) ||
            rule_parse(schema_text(item, &checker->pool), reply_names, &rule, NULL, &err) < 0)
            continue;
        check_can_fire(checker, item.node, &rule);
        if (faults_check_rule(&rule, &err) < 0)
            SAY(checker, item.node, "faults: %s", err.msg);
        if (rule_set_add(&rules, &rule, &err) < 0)
            SAY(checker, item.node, "faults: %s", err.msg);
    }
}

/* --- what it is played on ------------------------------------------------- */

static void check_layout(const struct checker *checker, const struct node *node, const char *name)
{
    size_t count = 0;
    for (; checker->layouts[count]; count++)
        if (!strcmp(name, checker->layouts[count]))
            return;
    const char *near = diag_nearest(name, checker->layouts, count, sizeof name);
    if (near)
        SAY(checker, node, "layout: there is no layout '%.60s'; did you mean '%s'?", name, near);
    else
        SAY(checker, node, "layout: there is no layout '%.60s'", name);
}

static void check_layouts(struct checker *checker)
{
    struct view view = part(checker->root, "layout");
    if (!view.node)
        check_layout(checker, checker->root.node, view.key->def);
    for (size_t i = 0; i < schema_count(view); i++) {
        struct view item = schema_item(view, i);
        if (is_good(&item))
            check_layout(checker, item.node, schema_text(item, &checker->pool));
    }
}

/* Two of the same would be two trials of one id. */
static void check_twice(struct checker *checker, const char *key)
{
    struct view view = part(checker->root, key);
    if (!is_good(&view))
        return;
    const char *const *texts = schema_texts(view, &checker->pool);
    for (size_t i = 0; texts[i]; i++)
        for (size_t k = 0; k < i; k++)
            if (!strcmp(texts[i], texts[k]))
                SAY(checker, schema_item(view, i).node, "%s: '%.60s' twice", key, texts[i]);
}

static void check_machines(const struct checker *checker)
{
    struct view machines = part(checker->root, "machines");
    struct view exact = part(part(checker->expect, "store"), "exact");
    size_t count = checker->plan_count;
    if (!machines.node || value_of(machines) != MACHINES_EACH)
        return;
    if (count < 2 || count > SCENARIO_MACHINES_MAX)
        SAY(checker, machines.node, "machines: each needs 2 to %d plans, and there %s %zu",
            SCENARIO_MACHINES_MAX, count == 1 ? "is" : "are", count);
    else if (value_of(exact) == JUDGE_PASS && 2 * count > SCENARIO_MACHINES_MAX)
        SAY(checker, machines.node, "machines: with store.exact each takes at most %d plans",
            SCENARIO_MACHINES_MAX / 2);
}

static void check_machine_name(const struct checker *checker)
{
    struct view name = part(checker->root, "machine_name");
    if (name.node && value_of(name) == MACHINE_NAME_MISSING && checker->claim == CLAIM_SUCCESS)
        SAY(checker, name.node, "machine_name: missing, and claim is success");
}

static void check_steps(const struct checker *checker)
{
    struct view guest = part(checker->root, "guest");
    if (!is_good(&guest))
        return;
    for (size_t i = 0; i < schema_count(guest); i++) {
        struct view step = schema_item(guest, i), write = schema_get(step, "write");
        struct view fixtures[] = {schema_get(step, "provision"), schema_get(write, "fixture")};
        for (size_t k = 0; k < sizeof fixtures / sizeof *fixtures; k++)
            if (fixtures[k].node &&
                !strcmp(fixtures[k].key->values[schema_enum(fixtures[k])], "unreadable"))
                SAY(checker, fixtures[k].node, "guest: 'unreadable' has no bytes to write");
    }
}

void scenario_check(const char *path, const struct view *root, const char *const *layouts,
                    struct diags *diags)
{
    struct checker checker = {path, diags, layouts, *root, part(*root, "expect"), POOL_INIT, -1, 1};
    struct view plans = part(*root, "plan");
    if (root->node->kind != NODE_MAP)
        return;
    if (schema_count(plans) > 1 && plans.node->kind == NODE_LIST)
        checker.plan_count = schema_count(plans);
    checker.claim = value_of(part(checker.expect, "claim"));
    check_reasons(&checker);
    check_exit(&checker);
    check_execs(&checker);
    check_fails(&checker);
    check_log(&checker);
    check_faults(&checker);
    if (layouts)
        check_layouts(&checker);
    check_twice(&checker, "layout");
    check_twice(&checker, "driver");
    check_machines(&checker);
    check_machine_name(&checker);
    check_steps(&checker);
    pool_release(&checker.pool);
}
