#include "layout_file.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "keys.h"
#include "validate.h"

struct checking {
    const char *path;
    const char *base; /* path behind its last '/' */
    struct pool *pool;
    struct diags *diags;
};

#define SAY(checking, node, ...)                                                                   \
    diags_add((checking)->diags, (checking)->path, (node)->line, (node)->column, __VA_ARGS__)

/* Keys that go with one way alone to make a layout. */
static const struct {
    const char *key;
    const char *with;
} companions[] = {
    {"packages", "suite"}, {"roots", "base"}, {"deselected", "base"},
    {"local", "base"},     {"hook", "base"},
};

static void check_companions(const struct checking *checking, struct view root)
{
    for (size_t i = 0; i < sizeof companions / sizeof *companions; i++) {
        struct view view = schema_get(root, companions[i].key);
        if (schema_has(view) && !schema_has(schema_get(root, companions[i].with)))
            SAY(checking, view.node, "%s: goes with '%s' only", companions[i].key,
                companions[i].with);
    }
}

static bool is_flat(const struct node *node, const char *forbidden)
{
    return node->kind == NODE_SCALAR && node->plain && node->one_line &&
           !strpbrk(node->text, forbidden);
}

/* `key: value` and `key: [a, b]`, each on one line that begins with the key. */
static void check_style(const struct checking *checking, const struct node *map)
{
    for (size_t i = 0; i < map->count; i++) {
        const struct node *key = map->keys[i], *value = map->items[i];
        bool flat = key->column == 1 && key->plain && value->line == key->line;
        if (value->kind == NODE_LIST)
            for (size_t k = 0; k < value->count; k++)
                flat &= value->items[k]->line == key->line && is_flat(value->items[k], ":,");
        else
            flat &= is_flat(value, ":");
        if (!flat)
            SAY(checking, key,
                "%s: ci/layouts reads one `key: value` or `key: [a, b]` a line, without quotes, "
                "and no ':' in a value nor ',' in an item",
                key->text);
    }
}

static void check_beside(const struct checking *checking, struct view view, const char *before,
                         const char *after)
{
    bool list = view.key->kind == SCHEMA_LIST;
    for (size_t i = 0; i < schema_count(view); i++) {
        struct view item = list ? schema_item(view, i) : view;
        const char *text = schema_text(item, checking->pool);
        const char *name = pool_format(checking->pool, "%s%s%s", before, text, after);
        const char *file = pool_format(
            checking->pool, "%.*s%s", (int)(checking->base - checking->path), checking->path, name);
        if (access(file, F_OK) < 0)
            SAY(checking, item.node, "%s: there is no %s beside this file", view.key->name, name);
    }
}

static void check_layout(const struct checking *checking, struct view root)
{
    struct view name = schema_get(root, "name"), base = schema_get(root, "base");
    struct view host = schema_get(root, "host");
    const char *file = pool_format(checking->pool, "%s.yaml", schema_text(name, checking->pool));
    if (strcmp(file, checking->base) != 0)
        SAY(checking, name.node, "name: the file must be named %s, this is %s", file,
            checking->base);
    if (schema_has(base) && !strcmp(base.node->text, name.node->text))
        SAY(checking, base.node, "base: a layout cannot change itself");
    else
        check_beside(checking, base, "", ".yaml");
    if (schema_has(host) && !schema_bool(host))
        SAY(checking, host.node, "host: true is the only value that says something");
    check_beside(checking, schema_get(root, "local"), "files/", "");
    check_beside(checking, schema_get(root, "hook"), "files/", "");
    check_companions(checking, root);
    check_style(checking, root.node);
}

int layout_file_check(const char *path, struct diags *diags)
{
    CLEANUP(pool_release) struct pool pool = POOL_INIT;
    const char *slash = strrchr(path, '/');
    const struct checking checking = {path, slash ? slash + 1 : path, &pool, diags};
    struct view root;
    size_t before = diags->told;
    if (validate_file(path, &keys_layout, &pool, diags, &root) < 0)
        return -EINVAL;
    check_layout(&checking, root);
    return diags->told == before ? 0 : -EINVAL;
}
