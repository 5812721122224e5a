#include "scenario_matrix.h"

#include <string.h>

static bool is_list_of_scalars(const struct node *node)
{
    if (node->kind != NODE_LIST || !node->count)
        return false;
    for (size_t i = 0; i < node->count; i++)
        if (node->items[i]->kind != NODE_SCALAR)
            return false;
    return true;
}

/* The byte as an id shows it. */
static char id_byte(char byte)
{
    return strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-", byte) ? byte
                                                                                              : '_';
}

static bool same_in_id(const char *a, const char *b)
{
    while (*a && *b && id_byte(*a) == id_byte(*b)) {
        a++;
        b++;
    }
    return !*a && !*b;
}

static void check_ids(const char *path, const struct node *list, struct diags *diags)
{
    for (size_t i = 0; i < list->count; i++)
        for (size_t k = 0; k < i; k++)
            if (same_in_id(list->items[i]->text, list->items[k]->text)) {
                diags_add(diags, path, list->items[i]->line, list->items[i]->column,
                          "matrix: '%.60s' and '%.60s' are the same in an id", list->items[k]->text,
                          list->items[i]->text);
                break;
            }
}

void scenario_matrix_init(const char *path, const struct node *root, struct pool *pool,
                          struct diags *diags, struct scenario_matrix *ret_matrix)
{
    const struct node *map = yaml_get(root, "matrix");
    size_t count = map && map->kind == NODE_MAP ? map->count : 0;
    struct scenario_matrix matrix = {{pool_alloc(pool, count, sizeof(struct schema_var)), 0},
                                     1,
                                     pool_alloc(pool, count, sizeof(struct node *)),
                                     pool_alloc(pool, count, sizeof(struct node *))};
    bool too_many = false;
    for (size_t i = 0; i < count; i++) {
        const struct node *list = map->items[i];
        size_t k = matrix.vars.count;
        if (!is_list_of_scalars(list))
            continue;
        matrix.names[k] = map->keys[i];
        matrix.lists[k] = list;
        matrix.vars.items[k] = (struct schema_var){map->keys[i]->text, list->items[0], false};
        matrix.vars.count++;
        too_many |= list->count > SCENARIO_COMBINATIONS_MAX / matrix.combinations;
        if (too_many)
            continue;
        matrix.combinations *= list->count;
        check_ids(path, list, diags);
    }
    if (too_many) {
        matrix.combinations = 1;
        diags_add(diags, path, map->line, map->column, "matrix: more than %d combinations",
                  SCENARIO_COMBINATIONS_MAX);
    }
    *ret_matrix = matrix;
}

void scenario_matrix_select(struct scenario_matrix *matrix, size_t index)
{
    for (size_t i = matrix->vars.count; i-- > 0; index /= matrix->lists[i]->count)
        matrix->vars.items[i].value = matrix->lists[i]->items[index % matrix->lists[i]->count];
}

const char *scenario_matrix_id(const struct scenario_matrix *matrix, const char *base_id,
                               struct pool *pool)
{
    CLEANUP(buf_release) struct buf id = BUF_INIT;
    buf_add(&id, base_id);
    for (size_t i = 0; i < matrix->vars.count; i++) {
        const struct schema_var *var = &matrix->vars.items[i];
        buf_printf(&id, "%s%s=", i ? "," : "[", var->name);
        for (const char *c = var->value->text; *c; c++)
            buf_append(&id, &(char){id_byte(*c)}, 1);
    }
    if (matrix->vars.count)
        buf_add(&id, "]");
    return pool_copy(pool, buf_str(&id));
}

/* Whether any scalar but those of the matrix itself holds the text. */
static bool mentions(const struct node *node, const struct node *matrix, const char *text)
{
    if (node == matrix)
        return false;
    if (node->kind == NODE_SCALAR)
        return strstr(node->text, text);
    for (size_t i = 0; i < node->count; i++)
        if (mentions(node->items[i], matrix, text))
            return true;
    return false;
}

void scenario_matrix_check_used(const struct scenario_matrix *matrix, const char *path,
                                const struct node *root, bool clean, struct diags *diags)
{
    for (size_t i = 0; i < matrix->vars.count; i++) {
        const struct schema_var *var = &matrix->vars.items[i];
        CLEANUP(io_free) char *text = io_format("${%s}", var->name);
        if (var->used || (!clean && mentions(root, yaml_get(root, "matrix"), text)))
            continue;
        diags_add(diags, path, matrix->names[i]->line, matrix->names[i]->column,
                  "matrix: nothing uses %s in plan, guest, limits, faults or expect", text);
    }
}
