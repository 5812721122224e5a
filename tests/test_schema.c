#include "support.h"

#include <errno.h>
#include <string.h>

#include "../scenarios/json_schema.h"
#include "../scenarios/keys.h"
#include "../scenarios/validate.h"

/* --- the walker ----------------------------------------------------------- */

/* A table of its own, with each kind of value. */
static const char *const colours[] = {"red", "green", NULL};
static const struct schema_key inner_keys[] = {
    {.name = "n", .kind = SCHEMA_INT, .flags = SCHEMA_REQUIRED, .min = 0, .max = 9},
    {.name = "left", .kind = SCHEMA_TEXT, .one_of = 1},
    {.name = "right", .kind = SCHEMA_TEXT, .one_of = 1},
    {.name = NULL}};
static const struct schema_key colour = {.name = "colour", .kind = SCHEMA_ENUM, .values = colours};
static const struct schema_key root_keys[] = {
    {.name = "text", .kind = SCHEMA_TEXT},
    {.name = "blank", .kind = SCHEMA_TEXT, .flags = SCHEMA_EMPTY_OK},
    {.name = "int", .kind = SCHEMA_INT, .min = -5, .max = 5, .def = "3"},
    {.name = "bool", .kind = SCHEMA_BOOL, .def = "false"},
    {.name = "colour", .kind = SCHEMA_ENUM, .values = colours, .def = "green"},
    {.name = "id", .kind = SCHEMA_ID},
    {.name = "ids", .kind = SCHEMA_ID, .flags = SCHEMA_SLASH},
    {.name = "path", .kind = SCHEMA_PATH},
    {.name = "mode", .kind = SCHEMA_MODE, .def = "0755"},
    {.name = "size", .kind = SCHEMA_SIZE},
    {.name = "date", .kind = SCHEMA_DATE},
    {.name = "rule", .kind = SCHEMA_RULE, .flags = SCHEMA_VARS},
    {.name = "any", .kind = SCHEMA_ANY},
    {.name = "range", .kind = SCHEMA_RANGE, .min = 0, .max = 100},
    {.name = "list", .kind = SCHEMA_LIST, .item = &colour},
    {.name = "one", .kind = SCHEMA_LIST, .flags = SCHEMA_ONE_OK, .item = &colour, .def = "red"},
    {.name = "none", .kind = SCHEMA_LIST, .flags = SCHEMA_EMPTY_OK, .item = &colour},
    {.name = "map", .kind = SCHEMA_MAP, .keys = inner_keys},
    {.name = "named", .kind = SCHEMA_NAMED, .item = &colour},
    {.name = "vars", .kind = SCHEMA_INT, .flags = SCHEMA_VARS, .min = 0, .max = 9},
    {.name = NULL}};
static const struct schema_key root_key = {.name = "thing", .kind = SCHEMA_MAP, .keys = root_keys};

static int check(const char *text, struct pool *pool, struct diags *diags, struct view *ret_root)
{
    struct node *root = NULL;
    if (yaml_parse("f", text, strlen(text), pool, diags, &root) < 0)
        return -EINVAL;
    *ret_root = (struct view){.node = root, .key = &root_key};
    return validate_tree("f", ret_root, diags);
}

static const struct {
    const char *text;
    int line, column;
    const char *fragment;
} wrong[] = {
    {"[1]\n", 1, 1, "thing: expected a mapping, found a list"},
    {"hello\n", 1, 1, "thing: expected a mapping, found text: hello"},
    {"text: 1\n", 1, 7, "text: expected text, found an integer: 1 (quotes make it text)"},
    {"text: yes\ntxt: 1\n", 2, 1, "unknown key 'txt' in thing; did you mean 'text'?"},
    {"completely_else: 1\n", 1, 1, "unknown key 'completely_else' in thing; it has: text, blank"},
    {"text:\n", 1, 6, "text: expected text, found nothing (null)"},
    {"text: true\n", 1, 7, "found a bool: true (quotes"},
    {"text: 1.5\n", 1, 7, "found a number: 1.5 (quotes"},
    {"text: ''\n", 1, 7, "text: must not be empty"},
    {"text: [a]\n", 1, 7, "text: expected text, found a list"},
    {"text: {a: 1}\n", 1, 7, "text: expected text, found a mapping"},
    {"int: 6\n", 1, 6, "int: 6 is not from -5 to 5"},
    {"int: -6\n", 1, 6, "int: -6 is not from -5 to 5"},
    {"int: 03\n", 1, 6, "write integers in decimal"},
    {"int: 0x3\n", 1, 6, "write integers in decimal"},
    {"int: +3\n", 1, 6, "write integers in decimal"},
    {"int: 99999999999999999999\n", 1, 6, "write integers in decimal"},
    {"int: '3'\n", 1, 6, "int: expected an integer from -5 to 5, found text: 3"},
    {"int: 3.0\n", 1, 6, "found a number: 3.0"},
    {"bool: yes\n", 1, 7, "bool: expected true or false, found text: yes"},
    {"bool: True\n", 1, 7, "bool: expected true or false, found a bool: True"},
    {"bool: 'true'\n", 1, 7, "bool: expected true or false, found text: true"},
    {"colour: gren\n", 1, 9, "colour: 'gren' is not one of red, green; did you mean 'green'?"},
    {"colour: Violett\n", 1, 9, "colour: 'Violett' is not one of red, green"},
    {"colour: 3\n", 1, 9, "colour: expected one of red, green, found an integer"},
    {"id: A\n", 1, 5, "id: expected an id"},
    {"id: -a\n", 1, 5, "id: expected an id"},
    {"id: a/b\n", 1, 5, "id: expected an id"},
    {"ids: a//b\n", 1, 6, "ids: expected an id"},
    {"ids: a/\n", 1, 6, "ids: expected an id"},
    {"ids: /a\n", 1, 6, "ids: expected an id"},
    {"ids: a/.b\n", 1, 6, "ids: expected an id"},
    {"path: a/b\n", 1, 7, "path: expected an absolute path"},
    {"path: /\n", 1, 7, "path: expected an absolute path"},
    {"path: /a/../b\n", 1, 7, "path: expected an absolute path"},
    {"path: /a/./b\n", 1, 7, "path: expected an absolute path"},
    {"path: /a//b\n", 1, 7, "path: expected an absolute path"},
    {"path: /a/\n", 1, 7, "path: expected an absolute path"},
    {"mode: 0644\n", 1, 7, "found an integer: 0644 (quotes make it text)"},
    {"mode: '644'\n", 1, 7, "mode: expected a mode"},
    {"mode: '0648'\n", 1, 7, "mode: expected a mode"},
    {"size: 8MB\n", 1, 7, "size: expected a size"},
    {"size: 0\n", 1, 7, "size: expected a size"},
    {"size: -1\n", 1, 7, "size: expected a size"},
    {"date: 2027-02-29\n", 1, 7, "date: expected a date"},
    {"date: 2027-13-01\n", 1, 7, "date: expected a date"},
    {"date: 27-01-01\n", 1, 7, "date: expected a date"},
    {"rule: exec#1 nowhere\n", 1, 14, ""},
    {"rule: 'exec#1 nowhere'\n", 1, 7, ""},
    {"rule: end:reply=lots\n", 1, 17, ""},
    {"any: null\n", 1, 6, "any: expected a scalar, found nothing"},
    {"any: [a]\n", 1, 6, "any: expected a scalar, found a list"},
    {"range: 101\n", 1, 8, "range: 101 is not from 0 to 100"},
    {"range: {min: 3, max: 2}\n", 1, 8, "range: min 3 is above max 2"},
    {"range: {}\n", 1, 8, "range: 'min', 'max' or both are needed"},
    {"range: {min: -1}\n", 1, 14, "min: -1 is not from 0 to 100"},
    {"range: {mid: 1}\n", 1, 9, "unknown key 'mid' in range"},
    {"list: red\n", 1, 7, "list: expected a list; each item: one of red, green, found text"},
    {"list: []\n", 1, 7, "list: must not be empty"},
    {"list: [red, blu]\n", 1, 13, "colour: 'blu' is not"},
    {"one: []\n", 1, 6, "one: must not be empty"},
    {"one: blue\n", 1, 6, "colour: 'blue' is not"},
    {"map: {left: a}\n", 1, 6, "map: the key 'n' is missing"},
    {"map: {n: 1}\n", 1, 6, "map: exactly one of left, right is needed"},
    {"map: {n: 1, left: a, right: b}\n", 1, 22, "map: 'right' beside 'left': exactly one of"},
    {"map: 7\n", 1, 6, "map: expected a mapping, found an integer: 7"},
    {"named: {}\n", 1, 8, "named: must not be empty"},
    {"named: {a-b: red}\n", 1, 9, "named: the name 'a-b'"},
    {"named: {a: blue}\n", 1, 12, "colour: 'blue' is not"},
    {"vars: '${n}'\n", 1, 7, "vars: expected an integer from 0 to 9, found text: ${n}"},
};

static void each_mistake_has_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CLEANUP(pool_release) struct pool pool = POOL_INIT;
        CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
        struct view root;
        int ret = check(wrong[i].text, &pool, &diags, &root);
        if (ret != -EINVAL || diags.count != 1)
            fail_msg("%s: returns %d with %zu diagnostics", wrong[i].text, ret, diags.count);
        const struct diag *diag = diags.items;
        if (diag->line != wrong[i].line || diag->column != wrong[i].column ||
            !strstr(diag->text, wrong[i].fragment))
            fail_msg("%s%d:%d: %s", wrong[i].text, diag->line, diag->column, diag->text);
    }
}

static void all_mistakes_are_told_and_none_twice(void **state)
{
    (void)state;
    CLEANUP(pool_release) struct pool pool = POOL_INIT;
    CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
    struct view root;
    const char *text = "int: 6\nlist: [red, blue, pink]\nmap: {}\nwhat: 1\n";
    assert_int_equal(check(text, &pool, &diags, &root), -EINVAL);
    assert_int_equal(diags.count, 6);
    assert_int_equal(validate_tree("f", &root, &diags), -EINVAL);
}

/* --- the getters ---------------------------------------------------------- */

static void getters_give_what_the_file_says(void **state)
{
    (void)state;
    CLEANUP(pool_release) struct pool pool = POOL_INIT;
    CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
    struct view root;
    const char *text = "text: '1'\nint: -5\nbool: true\ncolour: red\nmode: '0640'\nsize: 8MiB\n"
                       "range: {min: 3}\nlist: [red, green]\none: green\nnone: []\n"
                       "named: {b: red, a: green}\nblank: ''\ndate: 2028-02-29\n";
    if (check(text, &pool, &diags, &root) < 0)
        fail_msg("%s", diags.items[0].text);
    assert_string_equal(schema_text(schema_get(root, "text"), &pool), "1");
    assert_string_equal(schema_text(schema_get(root, "blank"), &pool), "");
    assert_int_equal(schema_int(schema_get(root, "int")), -5);
    assert_true(schema_bool(schema_get(root, "bool")));
    assert_int_equal(schema_enum(schema_get(root, "colour")), 0);
    assert_int_equal(schema_int(schema_get(root, "mode")), 0640);
    assert_int_equal(schema_int(schema_get(root, "size")), 8 << 20);
    struct range range = schema_range(schema_get(root, "range"));
    assert_int_equal(range.min, 3);
    assert_int_equal(range.max, 100);
    const char *const *list = schema_texts(schema_get(root, "list"), &pool);
    assert_string_equal(list[1], "green");
    assert_null(list[2]);
    assert_string_equal(schema_texts(schema_get(root, "one"), &pool)[0], "green");
    assert_null(schema_texts(schema_get(root, "none"), &pool)[0]);
    assert_int_equal(schema_count(schema_get(root, "named")), 2);
    assert_string_equal(schema_name(schema_get(root, "named"), 0), "b");
    assert_int_equal(schema_parse_date("2028-02-29"), 20280229);
}

static void getters_give_the_defaults(void **state)
{
    (void)state;
    CLEANUP(pool_release) struct pool pool = POOL_INIT;
    CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
    struct view root;
    assert_int_equal(check("text: x\n", &pool, &diags, &root), 0);
    assert_int_equal(schema_int(schema_get(root, "int")), 3);
    assert_false(schema_bool(schema_get(root, "bool")));
    assert_int_equal(schema_enum(schema_get(root, "colour")), 1);
    assert_int_equal(schema_int(schema_get(root, "mode")), 0755);
    assert_null(schema_text(schema_get(root, "blank"), &pool));
    assert_string_equal(schema_texts(schema_get(root, "one"), &pool)[0], "red");
    assert_null(schema_texts(schema_get(root, "list"), &pool)[0]);
    assert_int_equal(schema_range(schema_get(root, "range")).max, 100);
    assert_false(schema_has(schema_get(root, "map")));
    assert_false(schema_has(schema_get(schema_get(root, "map"), "n")));
}

static void variables_are_replaced_where_they_may_stand(void **state)
{
    (void)state;
    CLEANUP(pool_release) struct pool pool = POOL_INIT;
    CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
    struct node *tree = NULL;
    const char *text = "vars: ${n}\nrule: exec at:ms=${n}\ntext: ${n} ${m}\n";
    const struct node seven = {.kind = NODE_SCALAR, .text = "7", .plain = true};
    struct schema_var var = {"n", &seven, false};
    struct schema_vars vars = {&var, 1};
    assert_int_equal(yaml_parse("f", text, strlen(text), &pool, &diags, &tree), 0);
    struct view root = {.node = tree, .key = &root_key, .vars = &vars};
    assert_int_equal(validate_tree("f", &root, &diags), 0);
    assert_true(var.used);
    assert_int_equal(schema_int(schema_get(root, "vars")), 7);
    assert_string_equal(schema_text(schema_get(root, "rule"), &pool), "exec at:ms=7");
    assert_string_equal(schema_text(schema_get(root, "text"), &pool), "${n} ${m}");
}

/* --- the project's own tables --------------------------------------------- */

/* Calls visit for each map in a table. */
static void walk_maps(const struct schema_key *key, void (*visit)(const struct schema_key *))
{
    while (key->kind == SCHEMA_LIST || key->kind == SCHEMA_NAMED)
        key = key->item;
    if (key->kind != SCHEMA_MAP)
        return;
    visit(key);
    for (const struct schema_key *child = key->keys; child->name; child++)
        walk_maps(child, visit);
}

/* An example stands for its map, of which nothing else is there. */
static void check_example(const struct schema_key *map, const struct schema_key *key)
{
    CLEANUP(pool_release) struct pool pool = POOL_INIT;
    CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
    struct schema_key keys[32] = {0};
    struct schema_key loose = *map;
    struct node *tree = NULL;
    size_t count = 0;
    for (; map->keys[count].name; count++) {
        assert_true(count + 1 < sizeof keys / sizeof *keys);
        keys[count] = map->keys[count];
        keys[count].flags &= ~(unsigned)SCHEMA_REQUIRED;
        keys[count].one_of = 0;
    }
    loose.keys = keys;
    if (yaml_parse(key->name, key->example, strlen(key->example), &pool, &diags, &tree) < 0)
        fail_msg("%s: %s", key->name, diags.items[0].text);
    if (tree->kind == NODE_LIST)
        tree = tree->items[0];
    const struct node *matrix = yaml_get(tree, "matrix");
    struct schema_var var = {0};
    struct schema_vars vars = {&var, 0};
    if (matrix) {
        var = (struct schema_var){matrix->keys[0]->text, matrix->items[0]->items[0], false};
        vars.count = 1;
    }
    struct view root = {.node = tree, .key = &loose, .vars = &vars};
    if (!yaml_get(tree, key->name))
        fail_msg("%s: its example does not show it", key->name);
    if (validate_tree(key->name, &root, &diags) < 0)
        fail_msg("%s: %s", key->name, diags.items[0].text);
}

static void check_map(const struct schema_key *map)
{
    for (const struct schema_key *key = map->keys; key->name; key++) {
        if (!key->doc || !*key->doc || key->doc[strlen(key->doc) - 1] != '.')
            fail_msg("%s.%s: no sentence about it", map->name, key->name);
        if (key->example)
            check_example(map, key);
        if (!(key->flags & SCHEMA_REQUIRED) && !key->one_of && !key->def && !key->def_text &&
            key->kind != SCHEMA_MAP && key->kind != SCHEMA_NAMED && key->kind != SCHEMA_LIST)
            fail_msg("%s.%s: neither needed nor a default", map->name, key->name);
        if (key->def && key->kind == SCHEMA_ENUM)
            assert_true(schema_enum_index(key, key->def) >= 0);
        int64_t number;
        if (key->kind == SCHEMA_INT && (key->max <= key->min) && strcmp(key->name, "format") != 0)
            fail_msg("%s.%s: no limits", map->name, key->name);
        if (key->def && key->kind == SCHEMA_INT)
            assert_int_equal(schema_parse_int(key->def, &number), 0);
    }
}

static void the_tables_examples_and_defaults_are_right(void **state)
{
    (void)state;
    for (const struct schema_key *const *kind = keys_all; *kind; kind++)
        walk_maps(*kind, check_map);
}

/* --- JSON Schema ---------------------------------------------------------- */

/* The part of a schema that is an object with properties: itself, or behind anyOf or items. */
static json_t *object_part(json_t *schema)
{
    json_t *part, *parts = json_object_get(schema, "anyOf");
    size_t i;
    if (json_object_get(schema, "properties"))
        return schema;
    json_array_foreach(parts, i, part)
    {
        json_t *found = object_part(part);
        if (found)
            return found;
    }
    part = json_object_get(schema, "items");
    if (!part)
        part = json_object_get(schema, "additionalProperties");
    return json_is_object(part) ? object_part(part) : NULL;
}

static void compare(const struct schema_key *key, json_t *schema)
{
    while (key->kind == SCHEMA_LIST || key->kind == SCHEMA_NAMED)
        key = key->item;
    if (key->kind != SCHEMA_MAP)
        return;
    json_t *object = object_part(schema);
    if (!object)
        fail_msg("%s: no object", key->name);
    assert_true(json_is_false(json_object_get(object, "additionalProperties")));
    json_t *properties = json_object_get(object, "properties");
    json_t *required = json_object_get(object, "required"), *name;
    size_t count = 0, n_required = 0, i;
    for (const struct schema_key *child = key->keys; child->name; child++, count++) {
        json_t *property = json_object_get(properties, child->name);
        if (!property || !json_object_get(property, "description"))
            fail_msg("%s.%s: missing, or without a description", key->name, child->name);
        n_required += (child->flags & SCHEMA_REQUIRED) != 0;
        compare(child, property);
    }
    assert_int_equal(json_object_size(properties), count);
    assert_int_equal(json_array_size(required), n_required);
    json_array_foreach(required, i, name)
        assert_non_null(json_object_get(properties, json_string_value(name)));
}

static void the_json_schema_has_every_key(void **state)
{
    (void)state;
    for (const struct schema_key *const *kind = keys_all; *kind; kind++) {
        json_t *schema = json_schema(*kind);
        char *text = json_dumps(schema, 0);
        json_t *again = json_loads(text, 0, NULL);
        assert_non_null(again);
        assert_true(json_equal(schema, again));
        assert_string_equal(json_string_value(json_object_get(again, "title")), (*kind)->name);
        assert_non_null(strstr(text, "draft/2020-12/schema"));
        compare(*kind, again);
        json_decref(again);
        json_decref(schema);
        free(text);
    }
}

static void the_json_schema_says_what_the_kinds_are(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        const char *json;
    } rows[] = {
        {"text", "{\"type\":\"string\",\"minLength\":1}"},
        {"blank", "{\"type\":\"string\"}"},
        {"int", "{\"type\":\"integer\",\"minimum\":-5,\"maximum\":5,\"default\":3}"},
        {"bool", "{\"type\":\"boolean\",\"default\":false}"},
        {"colour", "{\"enum\":[\"red\",\"green\"],\"default\":\"green\"}"},
        {"none", "{\"type\":\"array\",\"items\":{\"enum\":[\"red\",\"green\"]}}"},
        {"list", "{\"type\":\"array\",\"items\":{\"enum\":[\"red\",\"green\"]},\"minItems\":1}"},
        {"named", "{\"type\":\"object\",\"propertyNames\":{\"pattern\":\"^[A-Za-z0-9_]+$\"},"
                  "\"additionalProperties\":{\"enum\":[\"red\",\"green\"]},\"minProperties\":1}"},
        {"vars", "{\"anyOf\":[{\"type\":\"integer\",\"minimum\":0,\"maximum\":9},"
                 "{\"type\":\"string\",\"pattern\":\"\\\\$\\\\{[A-Za-z0-9_]+\\\\}\"}]}"},
    };
    json_t *schema = json_schema(&root_key);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *wanted = json_loads(rows[i].json, 0, NULL);
        json_t *found = json_object_get(json_object_get(schema, "properties"), rows[i].key);
        char *text = json_dumps(found, JSON_COMPACT);
        if (!wanted || !json_equal(wanted, found))
            fail_msg("%s: %s", rows[i].key, text);
        free(text);
        json_decref(wanted);
    }
    json_decref(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_mistake_has_its_place),
        cmocka_unit_test(all_mistakes_are_told_and_none_twice),
        cmocka_unit_test(getters_give_what_the_file_says),
        cmocka_unit_test(getters_give_the_defaults),
        cmocka_unit_test(variables_are_replaced_where_they_may_stand),
        cmocka_unit_test(the_tables_examples_and_defaults_are_right),
        cmocka_unit_test(the_json_schema_has_every_key),
        cmocka_unit_test(the_json_schema_says_what_the_kinds_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
