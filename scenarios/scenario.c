#include "scenario.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "folder.h"
#include "keys.h"
#include "scenario_check.h"
#include "scenario_matrix.h"
#include "validate.h"

void scenario_set_release(struct scenario_set *set)
{
    free(set->items);
    pool_release(&set->pool);
    *set = (struct scenario_set)SCENARIO_SET_INIT;
}

/* --- from a tree without mistakes to a struct ------------------------------ */

static struct plan read_plan(struct view view, struct pool *pool)
{
    static const char *const default_routes[] = {"api.example.com", NULL};
    struct view routes = schema_get(view, "routes");
    struct plan plan = {
        .routes = routes.node ? schema_texts(routes, pool) : default_routes,
        .egress = schema_text(schema_get(view, "egress"), pool),
        .pipelock = schema_text(schema_get(view, "pipelock"), pool),
    };
    plan.label = *plan.routes ? LABEL_EGRESS : LABEL_PIPELOCK;
    plan.chosen = *plan.routes ? plan.egress : plan.pipelock;
    return plan;
}

static void read_plans(struct view view, struct scenario *scenario, struct pool *pool)
{
    size_t count = view.node ? schema_count(view) : 1;
    struct plan *plans = pool_alloc(pool, count, sizeof *plans);
    for (size_t i = 0; i < count; i++) {
        struct view item =
            view.node ? schema_item(view, i) : schema_below(&view, view.key->item, NULL);
        plans[i] = read_plan(item, pool);
    }
    scenario->plans = plans;
    scenario->plan_count = count;
}

static void read_drivers(struct view view, struct scenario *scenario, struct pool *pool)
{
    size_t count = view.node ? schema_count(view) : 1;
    enum driver *drivers = pool_alloc(pool, count, sizeof *drivers);
    if (!view.node)
        drivers[0] = (enum driver)schema_enum_index(view.key->item, view.key->def);
    for (size_t i = 0; view.node && i < count; i++)
        drivers[i] = (enum driver)schema_enum(schema_item(view, i));
    scenario->drivers = drivers;
    scenario->driver_count = count;
}

static struct step read_step(struct view view, struct pool *pool)
{
    static const char *const words[] = {[STEP_RUN] = "run",
                                        [STEP_WRITE] = "write",
                                        [STEP_SYMLINK] = "symlink",
                                        [STEP_REMOVE] = "remove",
                                        [STEP_MKDIR] = "mkdir",
                                        [STEP_PROVISION] = "provision",
                                        [STEP_READ_ONLY] = "read_only"};
    struct step step = {.line = view.node->line};
    while (!schema_has(schema_get(view, words[step.kind])))
        step.kind++;
    struct view value = schema_get(view, words[step.kind]);
    switch (step.kind) {
    case STEP_RUN: step.text = schema_text(value, pool); break;
    case STEP_PROVISION: step.fixture = schema_text(value, pool); break;
    case STEP_REMOVE:
    case STEP_READ_ONLY: step.path = schema_text(value, pool); break;
    case STEP_WRITE:
        step.text = schema_text(schema_get(value, "text"), pool);
        step.fixture = schema_text(schema_get(value, "fixture"), pool);
        step.owner = schema_text(schema_get(value, "owner"), pool);
        step.append = schema_bool(schema_get(value, "append"));
        break;
    case STEP_SYMLINK: step.target = schema_text(schema_get(value, "target"), pool); break;
    case STEP_MKDIR: break;
    }
    if (value.key->kind == SCHEMA_MAP)
        step.path = schema_text(schema_get(value, "path"), pool);
    if (step.kind == STEP_WRITE || step.kind == STEP_MKDIR)
        step.mode = (unsigned)schema_int(schema_get(value, "mode"));
    return step;
}

static void read_steps(struct view view, struct scenario *scenario, struct pool *pool)
{
    size_t count = schema_count(view);
    struct step *steps = pool_alloc(pool, count, sizeof *steps);
    for (size_t i = 0; i < count; i++)
        steps[i] = read_step(schema_item(view, i), pool);
    scenario->steps = steps;
    scenario->step_count = count;
}

static void read_calls(struct view view, struct expect *expect, struct pool *pool)
{
    struct view calls = schema_get(view, "calls");
    struct view cp = schema_get(calls, "cp"), exec = schema_get(calls, "exec");
    struct view settle = schema_get(view, "settle_ms"), status = schema_get(view, "exec_status");
    int *numbers = pool_alloc(pool, schema_count(status), sizeof *numbers);
    for (size_t i = 0; i < schema_count(status); i++)
        numbers[i] = (int)schema_int(schema_item(status, i));
    expect->judge_cp = schema_has(cp);
    expect->cp = schema_range(cp);
    expect->judge_exec = schema_has(exec);
    expect->exec = schema_range(exec);
    expect->judge_settle = schema_has(settle);
    expect->settle_ms.min = schema_int(schema_get(settle, "min"));
    expect->settle_ms.max = schema_int(schema_get(settle, "max"));
    expect->exec_stdout = schema_texts(schema_get(view, "exec_stdout"), pool);
    expect->exec_status = numbers;
    expect->exec_status_count = schema_count(status);
}

static enum judge read_judge(struct view view, enum claim claim)
{
    if (view.node || view.key->def)
        return (enum judge)schema_enum(view);
    return claim == CLAIM_SUCCESS ? JUDGE_PASS : JUDGE_REPORT;
}

static struct expect read_expect(struct view view, struct pool *pool)
{
    struct view store = schema_get(view, "store"), log = schema_get(view, "log");
    struct view status = schema_get(view, "exit");
    enum claim claim = (enum claim)schema_enum(schema_get(view, "claim"));
    struct expect expect = {
        .claim = claim,
        .reason = schema_text(schema_get(view, "reason"), pool),
        .exit = schema_has(status) ? (int)schema_int(status) : -1,
        .must = read_judge(schema_get(store, "must"), claim),
        .should = read_judge(schema_get(store, "should"), claim),
        .exact = read_judge(schema_get(store, "exact"), claim),
        .fails = schema_texts(schema_get(store, "fails"), pool),
        .label = (enum label)schema_enum(schema_get(log, "label")),
        .fingerprint = (enum fingerprint)schema_enum(schema_get(log, "fingerprint")),
        .fatal = (enum fatal)schema_enum(schema_get(log, "fatal")),
        .contains = schema_texts(schema_get(log, "contains"), pool),
        .fired = (enum fired)schema_enum(schema_get(view, "fired")),
    };
    read_calls(view, &expect, pool);
    return expect;
}

static struct scenario *read_scenario(const char *path, struct view root, struct pool *pool)
{
    struct scenario *scenario = pool_alloc(pool, 1, sizeof *scenario);
    struct view limits = schema_get(root, "limits"), disk = schema_get(limits, "disk");
    *scenario = (struct scenario){
        .path = pool_copy(pool, path),
        .line = schema_get(root, "id").node->line,
        .base_id = schema_text(schema_get(root, "id"), pool),
        .title = schema_text(schema_get(root, "title"), pool),
        .level = (enum level)schema_enum(schema_get(root, "level")),
        .refs = schema_texts(schema_get(root, "refs"), pool),
        .tags = schema_texts(schema_get(root, "tags"), pool),
        .needs = schema_texts(schema_get(root, "needs"), pool),
        .layouts = schema_texts(schema_get(root, "layout"), pool),
        .machines = (enum machines)schema_enum(schema_get(root, "machines")),
        .machine_name = (enum machine_name)schema_enum(schema_get(root, "machine_name")),
        .run_ms = schema_int(schema_get(limits, "run_ms")),
        .disk_bytes = schema_has(disk) ? schema_int(disk) : 0,
        .faults = schema_texts(schema_get(root, "faults"), pool),
        .expect = read_expect(schema_get(root, "expect"), pool),
    };
    read_drivers(schema_get(root, "driver"), scenario, pool);
    read_plans(schema_get(root, "plan"), scenario, pool);
    read_steps(schema_get(root, "guest"), scenario, pool);
    return scenario;
}

/* --- one file ------------------------------------------------------------- */

static void check_id(const char *path, const struct node *id, const struct scenario_set *set,
                     struct diags *diags)
{
    if (!id || id->kind != NODE_SCALAR)
        return;
    for (size_t i = 0; i < set->count; i++)
        if (!strcmp(set->items[i]->base_id, id->text)) {
            diags_add(diags, path, id->line, id->column, "id: '%.60s' is also that of %s", id->text,
                      set->items[i]->path);
            return;
        }
}

static void add_scenario(struct scenario_set *set, struct scenario *scenario)
{
    set->items = reallocarray(set->items, set->count + 1, sizeof(struct scenario *));
    if (!set->items)
        abort();
    set->items[set->count++] = scenario;
}

/* diags holds the mistakes of this file alone. All combinations are checked, then all read. */
static int load_tree(const char *path, const struct node *root, const char *const *layouts,
                     struct scenario_set *set, struct diags *diags)
{
    CLEANUP(pool_release) struct pool pool = POOL_INIT;
    struct scenario_matrix matrix;
    scenario_matrix_init(path, root, &pool, diags, &matrix);
    const struct view view = {root, &keys_scenario, &matrix.vars, false};
    for (size_t i = 0; i < matrix.combinations; i++) {
        scenario_matrix_select(&matrix, i);
        validate_tree(path, &view, diags);
        scenario_check(path, &view, layouts, diags);
    }
    check_id(path, yaml_get(root, "id"), set, diags);
    scenario_matrix_check_used(&matrix, path, root, diags->count == 0, diags);
    if (diags->count)
        return -EINVAL;
    for (size_t i = 0; i < matrix.combinations; i++) {
        scenario_matrix_select(&matrix, i);
        struct scenario *scenario = read_scenario(path, view, &set->pool);
        scenario->id = scenario_matrix_id(&matrix, scenario->base_id, &set->pool);
        add_scenario(set, scenario);
    }
    return 0;
}

int scenario_parse(const char *path, const char *text, size_t len, const char *const *layouts,
                   struct scenario_set *set, struct diags *diags)
{
    CLEANUP(pool_release) struct pool pool = POOL_INIT;
    CLEANUP(diags_release) struct diags own = DIAGS_INIT;
    struct node *root = NULL;
    int ret = yaml_parse(path, text, len, &pool, &own, &root);
    if (root)
        ret = load_tree(path, root, layouts, set, &own);
    for (size_t i = 0; i < own.count; i++)
        diags_add(diags, path, own.items[i].line, own.items[i].column, "%s", own.items[i].text);
    return ret;
}

int scenario_load(const char *path, const char *const *layouts, struct scenario_set *set,
                  struct diags *diags)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    struct err err;
    if (io_read_file(AT_FDCWD, path, &text, YAML_SIZE_MAX_BYTES, &err) < 0) {
        diags_add(diags, path, 0, 0, "%s", err.msg);
        return -EINVAL;
    }
    return scenario_parse(path, buf_str(&text), text.len, layouts, set, diags);
}

/* --- a folder ------------------------------------------------------------- */

int scenario_load_dir(const char *path, const char *const *layouts, struct scenario_set *set,
                      struct diags *diags)
{
    CLEANUP(pool_release) struct pool pool = POOL_INIT;
    const char *const *paths;
    int ret = folder_list(path, &pool, diags, &paths);
    for (; *paths; paths++)
        if (scenario_load(*paths, layouts, set, diags) < 0)
            ret = -EINVAL;
    return ret;
}
