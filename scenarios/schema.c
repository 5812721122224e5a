#include "schema.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void scalar_release(struct scalar *scalar)
{
    free(scalar->text);
}

static const struct schema_var *find_var(const struct view *view, const char *name, size_t len)
{
    for (size_t i = 0; view->vars_on && i < view->vars->count; i++) {
        struct schema_var *var = &view->vars->items[i];
        if (strlen(var->name) == len && !memcmp(var->name, name, len)) {
            var->used = true;
            return var;
        }
    }
    return NULL;
}

/* The variable that `${name}` at text is, or NULL; *ret_len is the length of `${name}`. */
static const struct schema_var *var_at(const struct view *view, const char *text, size_t *ret_len)
{
    if (strncmp(text, "${", 2) != 0)
        return NULL;
    const char *end = strchr(text, '}');
    if (!end)
        return NULL;
    *ret_len = (size_t)(end - text) + 1;
    return find_var(view, text + 2, *ret_len - 3);
}

struct scalar scalar_read(const struct view *view)
{
    const struct node *node = view->node;
    size_t len = 0;
    const struct schema_var *whole = var_at(view, node->text, &len);
    if (whole && !node->text[len]) {
        const struct node *value = whole->value;
        return (struct scalar){io_format("%s", value->text), yaml_type(value->text, value->plain)};
    }
    struct buf text = BUF_INIT;
    bool replaced = false;
    for (const char *c = node->text; *c; c += len) {
        const struct schema_var *var = var_at(view, c, &len);
        if (var) {
            buf_add(&text, var->value->text);
            replaced = true;
        } else {
            buf_append(&text, c, len = 1);
        }
    }
    buf_add(&text, "");
    return (struct scalar){text.data ? text.data : io_format("%s", ""),
                           replaced ? TYPE_TEXT : yaml_type(node->text, node->plain)};
}

/* --- single values -------------------------------------------------------- */

/* Decimal without sign tricks: "-"? then 0 or a digit run without leading zero. */
int schema_parse_int(const char *text, int64_t *ret_number)
{
    const char *digits = text + (*text == '-');
    char *end;
    if (!strcmp(text, "-0") || (*digits == '0' && digits[1]) || *digits < '0' || *digits > '9')
        return -EINVAL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || *end)
        return -EINVAL;
    *ret_number = value;
    return 0;
}

static int parse_size(const char *text, int64_t *ret)
{
    static const struct {
        const char *unit;
        int shift;
    } units[] = {{"", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}};
    size_t digits = strspn(text, "0123456789");
    if (!digits || digits > 9 || *text == '0')
        return -EINVAL;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (!strcmp(text + digits, units[i].unit)) {
            *ret = strtoll(text, NULL, 10) << units[i].shift;
            return 0;
        }
    return -EINVAL;
}

static int parse_mode(const char *text, int64_t *ret)
{
    size_t len = strlen(text);
    if (len != 4 || text[0] < '0' || strspn(text, "01234567") != len)
        return -EINVAL;
    *ret = strtol(text, NULL, 8);
    return 0;
}

int schema_parse_date(const char *text)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (strlen(text) != 10 || text[4] != '-' || text[7] != '-')
        return -EINVAL;
    for (int i = 0; i < 10; i++)
        if (i != 4 && i != 7 && (text[i] < '0' || text[i] > '9'))
            return -EINVAL;
    int year = atoi(text), month = atoi(text + 5), day = atoi(text + 8);
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (year < 1970 || month < 1 || month > 12 || day < 1 ||
        day > days[month - 1] + (month == 2 && leap))
        return -EINVAL;
    return year * 10000 + month * 100 + day;
}

static bool id_is_good(const char *text, bool slash)
{
    char before = '/';
    for (; *text; before = *text++) {
        bool word = (*text >= 'a' && *text <= 'z') || (*text >= '0' && *text <= '9');
        bool inner = *text == '-' || *text == '_' || *text == '.';
        if (*text == '/' ? !slash || before == '/' : !word && (!inner || before == '/'))
            return false;
    }
    return before != '/';
}

static bool path_is_good(const char *text)
{
    if (*text != '/' || !text[1])
        return false;
    while (*text) {
        size_t part = strcspn(++text, "/");
        if (!part || (part == 1 && text[0] == '.') || (part == 2 && !strncmp(text, "..", 2)))
            return false;
        text += part;
    }
    return true;
}

int schema_enum_index(const struct schema_key *key, const char *text)
{
    for (int i = 0; key->values[i]; i++)
        if (!strcmp(key->values[i], text))
            return i;
    return -EINVAL;
}

bool schema_text_is_good(const struct schema_key *key, const char *text)
{
    int64_t number;
    switch (key->kind) {
    case SCHEMA_ID: return id_is_good(text, key->flags & SCHEMA_SLASH);
    case SCHEMA_PATH: return path_is_good(text);
    case SCHEMA_MODE: return !parse_mode(text, &number);
    case SCHEMA_SIZE: return !parse_size(text, &number);
    case SCHEMA_DATE: return schema_parse_date(text) > 0;
    default: return true;
    }
}

const struct schema_key *schema_find_key(const struct schema_key *keys, const char *name)
{
    for (; keys->name; keys++)
        if (!strcmp(keys->name, name))
            return keys;
    return NULL;
}

/* --- views ---------------------------------------------------------------- */

struct view schema_below(const struct view *view, const struct schema_key *key,
                         const struct node *node)
{
    bool on = view->vars && (view->vars_on || key->flags & SCHEMA_VARS);
    return (struct view){node, key, view->vars, on};
}

struct view schema_get(struct view view, const char *name)
{
    const struct schema_key *key = schema_find_key(view.key->keys, name);
    assert(key);
    return schema_below(&view, key, view.node ? yaml_get(view.node, name) : NULL);
}

bool schema_has(struct view view)
{
    return view.node;
}

size_t schema_count(struct view view)
{
    if (!view.node)
        return 0;
    return view.node->kind == NODE_SCALAR ||
                   (view.key->kind == SCHEMA_LIST && view.node->kind == NODE_MAP)
               ? 1
               : view.node->count;
}

struct view schema_item(struct view view, size_t i)
{
    bool single = view.key->kind == SCHEMA_LIST && view.node->kind != NODE_LIST;
    return schema_below(&view, view.key->item, single ? view.node : view.node->items[i]);
}

const char *schema_name(struct view view, size_t i)
{
    return view.node->keys[i]->text;
}

/* The text of the value or of the default; NULL: neither. The caller frees it. */
static char *value_text(const struct view *view)
{
    if (view->node)
        return scalar_read(view).text;
    return view->key->def ? io_format("%s", view->key->def) : NULL;
}

int64_t schema_int(struct view view)
{
    CLEANUP(io_free) char *text = value_text(&view);
    int64_t number = 0;
    int ret;
    assert(text);
    if (view.key->kind == SCHEMA_SIZE)
        ret = parse_size(text, &number);
    else if (view.key->kind == SCHEMA_MODE)
        ret = parse_mode(text, &number);
    else
        ret = schema_parse_int(text, &number);
    assert(!ret);
    (void)ret;
    return number;
}

bool schema_bool(struct view view)
{
    CLEANUP(io_free) char *text = value_text(&view);
    return text && !strcmp(text, "true");
}

int schema_enum(struct view view)
{
    CLEANUP(io_free) char *text = value_text(&view);
    assert(text);
    return schema_enum_index(view.key, text);
}

const char *schema_text(struct view view, struct pool *pool)
{
    CLEANUP(io_free) char *text = value_text(&view);
    return text ? pool_copy(pool, text) : NULL;
}

const char *const *schema_texts(struct view view, struct pool *pool)
{
    size_t count = schema_count(view);
    bool from_default = !view.node && view.key->def;
    const char **texts = pool_alloc(pool, count + 2, sizeof *texts);
    for (size_t i = 0; i < count; i++)
        texts[i] = schema_text(schema_item(view, i), pool);
    if (from_default)
        texts[0] = view.key->def;
    return texts;
}

struct range schema_range(struct view view)
{
    const struct schema_key *key = view.key;
    struct range range = {key->min, key->max};
    if (!view.node)
        return range;
    if (view.node->kind == NODE_SCALAR) {
        range.min = range.max = schema_int(view);
        return range;
    }
    for (size_t i = 0; i < view.node->count; i++) {
        const struct schema_key end = {.name = "end", .kind = SCHEMA_INT};
        int64_t number = schema_int(schema_below(&view, &end, view.node->items[i]));
        *(strcmp(view.node->keys[i]->text, "min") ? &range.max : &range.min) = number;
    }
    return range;
}

/* --- for people ----------------------------------------------------------- */

const struct schema_key *schema_find(const struct schema_key *root, const char *dotted)
{
    const struct schema_key *key = root;
    while (*dotted) {
        char name[64];
        size_t len = strcspn(dotted, ".");
        while (key->kind == SCHEMA_LIST || key->kind == SCHEMA_NAMED)
            key = key->item;
        if (!len || len >= sizeof name || key->kind != SCHEMA_MAP)
            return NULL;
        memcpy(name, dotted, len);
        name[len] = '\0';
        key = schema_find_key(key->keys, name);
        if (!key || (dotted[len] && !dotted[len + 1]))
            return NULL;
        dotted += len + (dotted[len] == '.');
    }
    return key;
}

static void integer_text(const struct schema_key *key, struct buf *text)
{
    buf_printf(text, "an integer from %lld to %lld", (long long)key->min, (long long)key->max);
}

void schema_type_text(const struct schema_key *key, struct buf *text)
{
    static const char *const words[] = {
        [SCHEMA_TEXT] = "text",
        [SCHEMA_PATH] = "an absolute path without '.' and '..'",
        [SCHEMA_MODE] = "a mode of four octal digits in quotes, such as \"0644\"",
        [SCHEMA_SIZE] = "a size, such as 8MiB (KiB, MiB, GiB, or bytes)",
        [SCHEMA_DATE] = "a date, YYYY-MM-DD",
        [SCHEMA_RULE] = "a rule",
        [SCHEMA_ANY] = "a scalar",
        [SCHEMA_BOOL] = "true or false",
        [SCHEMA_MAP] = "a mapping",
        [SCHEMA_ID] = "an id: a-z, 0-9, and '-', '_', '.' inside",
    };
    switch (key->kind) {
    case SCHEMA_INT: integer_text(key, text); break;
    case SCHEMA_RANGE:
        integer_text(key, text);
        buf_add(text, ", or {min, max}");
        break;
    case SCHEMA_ENUM:
        buf_add(text, "one of ");
        for (size_t i = 0; key->values[i]; i++)
            buf_printf(text, "%s%s", i ? ", " : "", key->values[i]);
        break;
    case SCHEMA_ID:
        buf_add(text, words[SCHEMA_ID]);
        if (key->flags & SCHEMA_SLASH)
            buf_add(text, "; '/' between its parts");
        break;
    case SCHEMA_LIST:
        if (key->flags & SCHEMA_ONE_OK) {
            schema_type_text(key->item, text);
            buf_add(text, ", or a list of such");
            break;
        }
        buf_add(text, "a list; each item: ");
        schema_type_text(key->item, text);
        break;
    case SCHEMA_NAMED:
        buf_add(text, "a mapping of names; each value: ");
        schema_type_text(key->item, text);
        break;
    default: buf_add(text, words[key->kind]); break;
    }
}
