#include "validate.h"

#include <errno.h>
#include <string.h>

#include "../fakes/reply.h"
#include "../fault/rule_parse.h"

struct walk {
    const char *path;
    struct diags *diags;
};

#define SAY(walk, node, ...)                                                                       \
    diags_add((walk)->diags, (walk)->path, (node)->line, (node)->column, __VA_ARGS__)

static void check(const struct walk *walk, const struct view *view);

static size_t key_count(const struct schema_key *keys)
{
    size_t count = 0;
    while (keys[count].name)
        count++;
    return count;
}

static void complain_type(const struct walk *walk, const struct view *view, enum node_type found,
                          const char *text)
{
    CLEANUP(buf_release) struct buf wanted = BUF_INIT;
    enum schema_kind kind = view->key->kind;
    bool wants_text = kind == SCHEMA_TEXT || kind == SCHEMA_ENUM || kind == SCHEMA_MODE;
    bool reads_else = found == TYPE_INT || found == TYPE_FLOAT || found == TYPE_BOOL;
    schema_type_text(view->key, &wanted);
    SAY(walk, view->node, "%s: expected %s, found %s%s%.60s%s", view->key->name, buf_str(&wanted),
        yaml_type_words(found), text && *text ? ": " : "", text ? text : "",
        wants_text && reads_else ? " (quotes make it text)" : "");
}

/* The place inside a scalar is known only where the file has the text as it stands. */
static void check_rule(const struct walk *walk, const struct view *view, const char *text)
{
    struct rule rule;
    struct err err;
    size_t byte = 1;
    const struct node *node = view->node;
    if (!rule_parse(text, reply_names, &rule, &byte, &err)) {
        rule_release(&rule);
        return;
    }
    int column = node->column;
    if (node->plain && node->one_line && !strcmp(node->text, text))
        for (size_t i = 0; i + 1 < byte; i++)
            column += ((unsigned char)text[i] & 0xc0) != 0x80;
    diags_add(walk->diags, walk->path, node->line, column, "%s", err.msg);
}

static void check_enum(const struct walk *walk, const struct view *view, const char *text)
{
    const struct schema_key *key = view->key;
    if (schema_enum_index(key, text) >= 0)
        return;
    CLEANUP(buf_release) struct buf wanted = BUF_INIT;
    size_t count = 0;
    while (key->values[count])
        count++;
    const char *near = diag_nearest(text, key->values, count, sizeof *key->values);
    schema_type_text(key, &wanted);
    if (near)
        SAY(walk, view->node, "%s: '%.60s' is not %s; did you mean '%s'?", key->name, text,
            buf_str(&wanted), near);
    else
        SAY(walk, view->node, "%s: '%.60s' is not %s", key->name, text, buf_str(&wanted));
}

static bool int_is_good(const struct walk *walk, const struct view *view, const char *text)
{
    int64_t number = 0;
    const struct schema_key *key = view->key;
    if (schema_parse_int(text, &number) < 0) {
        SAY(walk, view->node, "%s: '%.60s': write integers in decimal, without leading zeros",
            key->name, text);
        return false;
    }
    if (number < key->min || number > key->max) {
        SAY(walk, view->node, "%s: %lld is not from %lld to %lld", key->name, (long long)number,
            (long long)key->min, (long long)key->max);
        return false;
    }
    return true;
}

static void check_text(const struct walk *walk, const struct view *view, const char *text)
{
    const struct schema_key *key = view->key;
    if (!*text && !(key->flags & SCHEMA_EMPTY_OK))
        SAY(walk, view->node, "%s: must not be empty", key->name);
    else if (key->kind == SCHEMA_ENUM)
        check_enum(walk, view, text);
    else if (key->kind == SCHEMA_RULE)
        check_rule(walk, view, text);
    else if (!schema_text_is_good(key, text))
        complain_type(walk, view, TYPE_TEXT, text);
}

static void check_scalar(const struct walk *walk, const struct view *view)
{
    CLEANUP(scalar_release) struct scalar scalar = scalar_read(view);
    switch (view->key->kind) {
    case SCHEMA_INT:
    case SCHEMA_RANGE:
        if (scalar.type != TYPE_INT)
            complain_type(walk, view, scalar.type, scalar.text);
        else
            int_is_good(walk, view, scalar.text);
        return;
    case SCHEMA_BOOL:
        if (scalar.type != TYPE_BOOL ||
            (strcmp(scalar.text, "true") != 0 && strcmp(scalar.text, "false") != 0))
            complain_type(walk, view, scalar.type, scalar.text);
        return;
    case SCHEMA_ANY:
        if (scalar.type == TYPE_NULL || !*scalar.text)
            complain_type(walk, view, TYPE_NULL, "");
        return;
    case SCHEMA_SIZE:
        /* A bare number of bytes is as good as one with its unit. */
        if (scalar.type == TYPE_INT) {
            check_text(walk, view, scalar.text);
            return;
        }
        break;
    case SCHEMA_LIST:
    case SCHEMA_MAP:
    case SCHEMA_NAMED: complain_type(walk, view, scalar.type, scalar.text); return;
    default: break;
    }
    if (scalar.type != TYPE_TEXT)
        complain_type(walk, view, scalar.type, scalar.text);
    else
        check_text(walk, view, scalar.text);
}

static void complain_unknown(const struct walk *walk, const struct view *view,
                             const struct node *name)
{
    const struct schema_key *keys = view->key->keys;
    const char *near = diag_nearest(name->text, &keys->name, key_count(keys), sizeof *keys);
    CLEANUP(buf_release) struct buf all = BUF_INIT;
    if (near) {
        SAY(walk, name, "unknown key '%.60s' in %s; did you mean '%s'?", name->text,
            view->key->name, near);
        return;
    }
    for (; keys->name; keys++)
        buf_printf(&all, "%s%s", all.len ? ", " : "", keys->name);
    SAY(walk, name, "unknown key '%.60s' in %s; it has: %s", name->text, view->key->name,
        buf_str(&all));
}

/* Of each group exactly one key is there; a second one is told where it stands. */
static void check_groups(const struct walk *walk, const struct view *view)
{
    const struct schema_key *keys = view->key->keys;
    const struct node *first = NULL;
    CLEANUP(buf_release) struct buf all = BUF_INIT;
    for (const struct schema_key *key = keys; key->name; key++)
        if (key->one_of)
            buf_printf(&all, "%s%s", all.len ? ", " : "", key->name);
    if (!all.len)
        return;
    for (size_t i = 0; i < view->node->count; i++) {
        const struct node *name = view->node->keys[i];
        const struct schema_key *key = schema_find_key(keys, name->text);
        if (!key || !key->one_of)
            continue;
        if (first)
            SAY(walk, name, "%s: '%s' beside '%s': exactly one of %s", view->key->name, name->text,
                first->text, buf_str(&all));
        else
            first = name;
    }
    if (!first)
        SAY(walk, view->node, "%s: exactly one of %s is needed", view->key->name, buf_str(&all));
}

static void check_map(const struct walk *walk, const struct view *view)
{
    for (size_t i = 0; i < view->node->count; i++) {
        const struct node *name = view->node->keys[i];
        const struct schema_key *key = schema_find_key(view->key->keys, name->text);
        if (!key) {
            complain_unknown(walk, view, name);
            continue;
        }
        struct view child = schema_below(view, key, view->node->items[i]);
        check(walk, &child);
    }
    for (const struct schema_key *key = view->key->keys; key->name; key++)
        if (key->flags & SCHEMA_REQUIRED && !yaml_get(view->node, key->name))
            SAY(walk, view->node, "%s: the key '%s' is missing", view->key->name, key->name);
    check_groups(walk, view);
}

static void check_range(const struct walk *walk, const struct view *view)
{
    struct schema_key ends[] = {
        {.name = "min", .kind = SCHEMA_INT}, {.name = "max", .kind = SCHEMA_INT}, {.name = NULL}};
    struct schema_key map = {.name = view->key->name, .kind = SCHEMA_MAP, .keys = ends};
    size_t before = walk->diags->told;
    ends[0].min = ends[1].min = view->key->min;
    ends[0].max = ends[1].max = view->key->max;
    check_map(walk, &(struct view){view->node, &map, view->vars, view->vars_on});
    if (walk->diags->told != before)
        return;
    struct range range = schema_range(*view);
    if (!view->node->count)
        SAY(walk, view->node, "%s: 'min', 'max' or both are needed", view->key->name);
    else if (range.min > range.max)
        SAY(walk, view->node, "%s: min %lld is above max %lld", view->key->name,
            (long long)range.min, (long long)range.max);
}

static void check_named(const struct walk *walk, const struct view *view)
{
    for (size_t i = 0; i < view->node->count; i++) {
        const struct node *name = view->node->keys[i];
        struct view child = schema_below(view, view->key->item, view->node->items[i]);
        if (!*name->text || name->text[strspn(name->text, "abcdefghijklmnopqrstuvwxyz"
                                                          "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                                          "0123456789_")])
            SAY(walk, name, "%s: the name '%.60s': letters, digits and '_' only", view->key->name,
                name->text);
        check(walk, &child);
    }
}

/* The item is checked in the list's name: "layout: expected …". */
static void check_items(const struct walk *walk, const struct view *view)
{
    for (size_t i = 0; i < view->node->count; i++) {
        struct view child = schema_below(view, view->key->item, view->node->items[i]);
        check(walk, &child);
    }
}

static void check(const struct walk *walk, const struct view *view)
{
    const struct schema_key *key = view->key;
    const struct node *node = view->node;
    if (key->kind == SCHEMA_LIST && node->kind != NODE_LIST && key->flags & SCHEMA_ONE_OK) {
        struct view child = schema_below(view, key->item, node);
        check(walk, &child);
        return;
    }
    if (node->kind == NODE_SCALAR) {
        check_scalar(walk, view);
        return;
    }
    bool list = key->kind == SCHEMA_LIST;
    bool map = key->kind == SCHEMA_MAP || key->kind == SCHEMA_NAMED || key->kind == SCHEMA_RANGE;
    if (node->kind == NODE_LIST ? !list : !map) {
        complain_type(walk, view, node->kind == NODE_LIST ? TYPE_LIST : TYPE_MAP, NULL);
        return;
    }
    if (!node->count && (list || key->kind == SCHEMA_NAMED) && !(key->flags & SCHEMA_EMPTY_OK))
        SAY(walk, node, "%s: must not be empty", key->name);
    else if (list)
        check_items(walk, view);
    else if (key->kind == SCHEMA_NAMED)
        check_named(walk, view);
    else if (key->kind == SCHEMA_RANGE)
        check_range(walk, view);
    else
        check_map(walk, view);
}

int validate_tree(const char *path, const struct view *root, struct diags *diags)
{
    size_t before = diags->told;
    check(&(struct walk){path, diags}, root);
    return diags->told == before ? 0 : -EINVAL;
}

int validate_file(const char *path, const struct schema_key *key, struct pool *pool,
                  struct diags *diags, struct view *ret_root)
{
    struct node *tree = NULL;
    int parsed = yaml_parse_file(path, pool, diags, &tree);
    if (!tree)
        return -EINVAL;
    struct view root = {.node = tree, .key = key};
    if (validate_tree(path, &root, diags) < 0 || parsed < 0)
        return -EINVAL;
    *ret_root = root;
    return 0;
}
