#include "scenario_cmd.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "choice.h"
#include "cmdline.h"
#include "keys.h"
#include "layout_file.h"
#include "validate.h"

#define VALIDATE "killpoint validate"
#define LIST "killpoint list"

/* --- validate ------------------------------------------------------------- */

enum file_kind { FILE_SCENARIO, FILE_BACKEND, FILE_LAYOUT, FILE_EXPECTATIONS, FILE_KINDS };

struct checking {
    struct pool pool;
    struct diags diags;
    struct scenario_set scenarios;
    const char *const *layouts;
    size_t counts[FILE_KINDS];
};

static void checking_release(struct checking *checking)
{
    scenario_set_release(&checking->scenarios);
    diags_release(&checking->diags);
    pool_release(&checking->pool);
}

static bool is_in_folder(const char *path, const char *folder)
{
    const char *slash = strrchr(path, '/');
    size_t len = strlen(folder);
    if (!slash || (size_t)(slash - path) < len || memcmp(slash - len, folder, len) != 0)
        return false;
    return slash - len == path || slash[-(ptrdiff_t)len - 1] == '/';
}

static bool ends_with(const char *path, const char *end)
{
    size_t len = strlen(path), end_len = strlen(end);
    return len >= end_len && !strcmp(path + len - end_len, end);
}

static enum file_kind kind_by_keys(const char *path)
{
    CLEANUP(pool_release) struct pool pool = POOL_INIT;
    CLEANUP(diags_release) struct diags unused = DIAGS_INIT;
    struct node *root = NULL;
    yaml_parse_file(path, &pool, &unused, &root);
    if (!root)
        return FILE_SCENARIO;
    if (yaml_get(root, "command"))
        return FILE_BACKEND;
    if (yaml_get(root, "expectations"))
        return FILE_EXPECTATIONS;
    return yaml_get(root, "suite") || yaml_get(root, "base") || yaml_get(root, "host")
               ? FILE_LAYOUT
               : FILE_SCENARIO;
}

static enum file_kind kind_of(const char *path)
{
    if (is_in_folder(path, "backends"))
        return ends_with(path, ".expect.yaml") ? FILE_EXPECTATIONS : FILE_BACKEND;
    return is_in_folder(path, "layouts") ? FILE_LAYOUT : kind_by_keys(path);
}

static void check_backend(struct checking *checking, const char *path)
{
    struct backend backend = BACKEND_INIT;
    backend_load(path, &backend, &checking->diags);
    backend_release(&backend);
}

static void check_file(struct checking *checking, const char *path)
{
    struct expectations list;
    enum file_kind kind = kind_of(path);
    checking->counts[kind]++;
    switch (kind) {
    case FILE_BACKEND: check_backend(checking, path); break;
    case FILE_LAYOUT: layout_file_check(path, &checking->diags); break;
    case FILE_EXPECTATIONS:
        expectations_load(path, &checking->pool, &list, &checking->diags);
        break;
    default: scenario_load(path, checking->layouts, &checking->scenarios, &checking->diags); break;
    }
}

/* Only for the project's own files: other lists may be about other scenarios. */
static void check_lists(struct checking *checking, const char *const *paths)
{
    CLEANUP(trials_release) struct trials all = TRIALS_INIT;
    scenario_expand(&checking->scenarios, &(struct selection){.driver = -1}, &all);
    for (; *paths; paths++) {
        struct expectations list;
        if (kind_of(*paths) == FILE_EXPECTATIONS &&
            expectations_load(*paths, &checking->pool, &list, &checking->diags) == 0)
            expectations_outdated(&list, &all, 0, &checking->diags);
    }
}

static int check_project(struct checking *checking, struct err *err)
{
    static const char *const folders[] = {"suite", "backends", "layouts"};
    const char *const *paths[3];
    for (size_t i = 0; i < 3; i++) {
        int ret = suite_files(folders[i], &checking->pool, &checking->diags, &paths[i], err);
        if (ret < 0)
            return ret;
    }
    for (size_t i = 0; i < 3; i++)
        for (const char *const *path = paths[i]; *path; path++)
            check_file(checking, *path);
    /* Where scenarios are bad, a list's trials may only seem to be missing. */
    if (!checking->diags.count)
        check_lists(checking, paths[1]);
    return 0;
}

static void print_counts(const struct checking *checking)
{
    static const char *const words[FILE_KINDS][2] = {
        [FILE_SCENARIO] = {"scenario file", "scenario files"},
        [FILE_BACKEND] = {"backend", "backends"},
        [FILE_LAYOUT] = {"layout", "layouts"},
        [FILE_EXPECTATIONS] = {"expectation list", "expectation lists"},
    };
    const char *comma = "";
    for (size_t kind = 0; kind < FILE_KINDS; kind++) {
        size_t count = checking->counts[kind];
        if (count)
            printf("%s%zu %s", comma, count, words[kind][count != 1]);
        if (count)
            comma = ", ";
    }
    puts(": no mistakes");
}

static error_t parse_files(int key, char *arg, struct argp_state *state)
{
    const char ***files = state->input;
    if (key != ARGP_KEY_ARG)
        return ARGP_ERR_UNKNOWN;
    *(*files)++ = arg;
    return 0;
}

int validate_cmd(int argc, char **argv)
{
    static const struct argp argp = {
        NULL,
        parse_files,
        "[FILE...]",
        "Checks scenario, backend, layout and expectation files; without FILE all of the "
        "project's.\vExit status: 0 no mistakes, 2 mistakes or wrong usage.",
        NULL,
        NULL,
        NULL};
    CLEANUP(checking_release)
    struct checking checking = {POOL_INIT, DIAGS_INIT, SCENARIO_SET_INIT, NULL, {0}};
    const char **files = pool_alloc(&checking.pool, (size_t)argc + 1, sizeof *files);
    const char **end = files;
    struct err err;
    if (cmdline_parse(&argp, VALIDATE, argc, argv, &end) < 0)
        return 2;
    int ret = suite_names("layouts", &checking.pool, &checking.diags, &checking.layouts, &err);
    if (ret >= 0 && files == end)
        ret = check_project(&checking, &err);
    for (; ret >= 0 && *files; files++)
        check_file(&checking, *files);
    if (checking.diags.count) {
        diags_print(&checking.diags, stderr);
        return 2;
    }
    if (ret < 0)
        return cmdline_fail(VALIDATE, 2, "%s", err.msg);
    print_counts(&checking);
    return cmdline_finish(VALIDATE, 0);
}

/* --- list ----------------------------------------------------------------- */

struct list_options {
    struct choice choice;
    bool json;
};

enum { OPT_JSON = 256 }; /* beyond the characters: no short form */

static const struct argp_option list_table[] = {
    {"json", OPT_JSON, NULL, 0, "One JSON array", 0},
    {0},
};

/* The words of an enumeration, as scenario files have them. */
static const struct schema_key *words_of(const char *name)
{
    const struct schema_key *key = schema_find(&keys_scenario, name);
    return key->kind == SCHEMA_LIST ? key->item : key;
}

static error_t parse_list(int key, char *arg, struct argp_state *state)
{
    struct list_options *options = state->input;
    (void)arg;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &options->choice; return 0;
    case OPT_JSON: options->json = true; return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static json_t *trial_json(const struct trial *trial)
{
    const struct scenario *scenario = trial->scenario;
    json_t *tags = json_array();
    for (const char *const *tag = scenario->tags; *tag; tag++)
        json_array_append_new(tags, json_string(*tag));
    return json_pack("{ss ss ss ss ss ss so}", "id", trial->id, "scenario", scenario->id, "layout",
                     trial->layout, "driver", words_of("driver")->values[trial->driver], "level",
                     words_of("level")->values[scenario->level], "title", scenario->title, "tags",
                     tags);
}

static void print_trials(const struct trials *trials, const struct list_options *options)
{
    json_t *all = options->json ? json_array() : NULL;
    for (size_t i = 0; i < trials->count; i++)
        if (!shard_holds(&options->choice.shard, trials->items[i].id))
            continue;
        else if (options->json)
            json_array_append_new(all, trial_json(&trials->items[i]));
        else
            puts(trials->items[i].id);
    if (options->json) {
        json_dumpf(all, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(all);
    }
}

static int list_suite(struct list_options *options)
{
    CLEANUP(suite_release) struct suite suite = SUITE_INIT;
    CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
    CLEANUP(trials_release) struct trials trials = TRIALS_INIT;
    struct err err;
    int ret = suite_load(&suite, &diags, &err);
    if (diags.count) {
        diags_print(&diags, stderr);
        return 2;
    }
    if (ret < 0)
        return cmdline_fail(LIST, 2, "%s", err.msg);
    ret = choice_select(&options->choice, &suite, NULL, &trials, &err);
    if (ret < 0)
        return cmdline_fail(LIST, ret == -ENOENT ? 4 : 2, "%s", err.msg);
    print_trials(&trials, options);
    return cmdline_finish(LIST, 0);
}

int list_cmd(int argc, char **argv)
{
    static const struct argp_child children[] = {{&choice_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {
        list_table,
        parse_list,
        "[ID-GLOB...]",
        "Lists trials, all or those whose id matches one of the globs (* any run of bytes, ? any "
        "byte).\vExit status: 0, 2 wrong usage or bad files, 4 nothing is selected.",
        children,
        NULL,
        NULL};
    struct list_options options = {.json = false};
    choice_init(&options.choice, LIST, argc);
    int ret = cmdline_parse(&argp, LIST, argc, argv, &options) < 0 ? 2 : list_suite(&options);
    choice_release(&options.choice);
    return ret;
}
