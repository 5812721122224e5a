#include "yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <yaml.h>

#include "../fault/io.h"

struct load {
    const char *path;
    const char *text;
    size_t len;
    struct pool *pool;
    struct diags *diags;
};

static int place(size_t from_zero)
{
    return from_zero < INT_MAX ? (int)from_zero + 1 : INT_MAX;
}

static void complain(const struct load *load, yaml_mark_t mark, const char *text)
{
    diags_add(load->diags, load->path, place(mark.line), place(mark.column), "%s", text);
}

/* A reader's error (bad UTF-8, control bytes) knows only its byte offset. */
static yaml_mark_t mark_at_offset(const struct load *load, size_t offset)
{
    yaml_mark_t mark = {offset, 0, 0};
    for (size_t i = 0; i < offset && i < load->len; i++) {
        unsigned char c = (unsigned char)load->text[i];
        if (c == '\n') {
            mark.line++;
            mark.column = 0;
        } else if ((c & 0xc0) != 0x80) {
            mark.column++;
        }
    }
    return mark;
}

/* libyaml's error as a diagnostic: the one place that knows its conventions. */
static void complain_parser(const struct load *load, const yaml_parser_t *parser)
{
    const char *problem = parser->problem ? parser->problem : "out of memory";
    if (parser->error == YAML_READER_ERROR) {
        yaml_mark_t mark = mark_at_offset(load, parser->problem_offset);
        diags_add(load->diags, load->path, place(mark.line), place(mark.column), "no YAML text: %s",
                  problem);
        return;
    }
    yaml_mark_t mark = parser->problem_mark;
    if (parser->context)
        diags_add(load->diags, load->path, place(mark.line), place(mark.column),
                  "YAML syntax: %s %s (line %d)", problem, parser->context,
                  place(parser->context_mark.line));
    else
        diags_add(load->diags, load->path, place(mark.line), place(mark.column), "YAML syntax: %s",
                  problem);
}

static bool tag_is_used(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        /* A quoted scalar without a tag comes without one; `! x` comes as "!". */
        return event->data.scalar.tag;
    case YAML_SEQUENCE_START_EVENT: return event->data.sequence_start.tag;
    case YAML_MAPPING_START_EVENT: return event->data.mapping_start.tag;
    default: return false;
    }
}

static bool anchor_is_used(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT: return event->data.scalar.anchor;
    case YAML_SEQUENCE_START_EVENT: return event->data.sequence_start.anchor;
    case YAML_MAPPING_START_EVENT: return event->data.mapping_start.anchor;
    default: return false;
    }
}

struct scan {
    int depth;
    int documents;
    bool done;
};

/* Returns 0, or -EINVAL when reading on makes no sense. */
static int scan_event(const struct load *load, const yaml_event_t *event, struct scan *scan)
{
    if (tag_is_used(event))
        complain(load, event->start_mark, "tags (!name) are not allowed here");
    if (anchor_is_used(event))
        complain(load, event->start_mark, "anchors (&name) are not allowed here");
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        complain(load, event->start_mark, "aliases (*name) are not allowed here");
        break;
    case YAML_DOCUMENT_START_EVENT:
        if (++scan->documents == 2)
            complain(load, event->start_mark, "a second document: one document a file");
        break;
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        if (++scan->depth > YAML_DEPTH_MAX) {
            complain(load, event->start_mark, "nested too deeply");
            return -EINVAL;
        }
        break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: scan->depth--; break;
    case YAML_STREAM_END_EVENT: scan->done = true; break;
    default: break;
    }
    return 0;
}

/* The document API drops anchors and resolves aliases, so a first pass looks for them. */
static int scan_text(const struct load *load)
{
    yaml_parser_t parser;
    struct scan scan = {0, 0, false};
    size_t before = load->diags->told;
    int ret = 0;
    if (!yaml_parser_initialize(&parser))
        return -EINVAL;
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)load->text, load->len);
    while (!ret && !scan.done && scan.documents < 2) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            complain_parser(load, &parser);
            ret = -EINVAL;
            break;
        }
        ret = scan_event(load, &event, &scan);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    if (!ret && !scan.documents)
        diags_add(load->diags, load->path, 1, 1, "the file is empty");
    return load->diags->told == before ? 0 : -EINVAL;
}

static void convert_scalar(const struct load *load, const yaml_node_t *from, struct node *node)
{
    const char *text = (const char *)from->data.scalar.value;
    node->kind = NODE_SCALAR;
    node->plain = from->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    node->one_line = from->start_mark.line == from->end_mark.line;
    node->text = pool_copy_n(load->pool, text, from->data.scalar.length);
    if (strlen(node->text) != from->data.scalar.length)
        complain(load, from->start_mark, "a NUL byte in a text");
}

static struct node *convert(const struct load *load, yaml_document_t *document, int index);

static void convert_map(const struct load *load, yaml_document_t *document, const yaml_node_t *from,
                        struct node *node)
{
    size_t count = (size_t)(from->data.mapping.pairs.top - from->data.mapping.pairs.start);
    node->kind = NODE_MAP;
    node->keys = pool_alloc(load->pool, count, sizeof(struct node *));
    node->items = pool_alloc(load->pool, count, sizeof(struct node *));
    for (size_t i = 0; i < count; i++) {
        const yaml_node_pair_t *pair = &from->data.mapping.pairs.start[i];
        struct node *key = convert(load, document, pair->key);
        struct node *item = convert(load, document, pair->value);
        if (key->kind != NODE_SCALAR) {
            diags_add(load->diags, load->path, key->line, key->column, "a key must be a word");
            continue;
        }
        if (key->plain && !strcmp(key->text, "<<")) {
            diags_add(load->diags, load->path, key->line, key->column,
                      "merge keys (<<) are not allowed here");
            continue;
        }
        bool again = false;
        for (size_t j = 0; j < node->count && !again; j++)
            if ((again = !strcmp(node->keys[j]->text, key->text)))
                diags_add(load->diags, load->path, key->line, key->column,
                          "duplicate key '%s', first on line %d", key->text, node->keys[j]->line);
        if (again)
            continue;
        node->keys[node->count] = key;
        node->items[node->count++] = item;
    }
}

static struct node *convert(const struct load *load, yaml_document_t *document, int index)
{
    const yaml_node_t *from = yaml_document_get_node(document, index);
    struct node *node = pool_alloc(load->pool, 1, sizeof *node);
    node->line = place(from->start_mark.line);
    node->column = place(from->start_mark.column);
    if (from->type == YAML_SCALAR_NODE) {
        convert_scalar(load, from, node);
    } else if (from->type == YAML_MAPPING_NODE) {
        convert_map(load, document, from, node);
    } else {
        node->kind = NODE_LIST;
        node->count = (size_t)(from->data.sequence.items.top - from->data.sequence.items.start);
        node->items = pool_alloc(load->pool, node->count, sizeof(struct node *));
        for (size_t i = 0; i < node->count; i++)
            node->items[i] = convert(load, document, from->data.sequence.items.start[i]);
    }
    return node;
}

int yaml_parse(const char *path, const char *text, size_t len, struct pool *pool,
               struct diags *diags, struct node **ret_root)
{
    struct load load = {path, text, len, pool, diags};
    size_t before = diags->told;
    yaml_parser_t parser;
    yaml_document_t document;
    if (scan_text(&load) < 0)
        return -EINVAL;
    if (!yaml_parser_initialize(&parser))
        return -EINVAL;
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    if (!yaml_parser_load(&parser, &document)) {
        complain_parser(&load, &parser);
        yaml_parser_delete(&parser);
        return -EINVAL;
    }
    struct node *root = convert(&load, &document, 1);
    yaml_document_delete(&document);
    yaml_parser_delete(&parser);
    *ret_root = root;
    return diags->told == before ? 0 : -EINVAL;
}

int yaml_parse_file(const char *path, struct pool *pool, struct diags *diags,
                    struct node **ret_root)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    struct err err;
    if (io_read_file(AT_FDCWD, path, &text, YAML_SIZE_MAX_BYTES, &err) < 0) {
        diags_add(diags, path, 0, 0, "%s", err.msg);
        return -EINVAL;
    }
    return yaml_parse(path, buf_str(&text), text.len, pool, diags, ret_root);
}

struct node *yaml_get(const struct node *map, const char *key)
{
    if (map->kind != NODE_MAP)
        return NULL;
    for (size_t i = 0; i < map->count; i++)
        if (!strcmp(map->keys[i]->text, key))
            return map->items[i];
    return NULL;
}

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words; words++)
        if (!strcmp(text, *words))
            return true;
    return false;
}

/* Numbers of the core schema: 10, -3, 0x1f, 0o17, 1.5, .5, 2e3, .inf, .nan. */
static enum node_type number_type(const char *text)
{
    static const char *const odd[] = {".inf", "-.inf", "+.inf", ".nan", NULL};
    const char *c = text + (*text == '-' || *text == '+');
    size_t digits = strspn(c, "0123456789");
    if (digits && !c[digits])
        return TYPE_INT;
    if (!strncmp(text, "0x", 2) && text[2] && !text[2 + strspn(text + 2, "0123456789abcdefABCDEF")])
        return TYPE_INT;
    if (!strncmp(text, "0o", 2) && text[2] && !text[2 + strspn(text + 2, "01234567")])
        return TYPE_INT;
    if (is_one_of(text, odd))
        return TYPE_FLOAT;
    c += digits;
    if (*c == '.') {
        size_t fraction = strspn(c + 1, "0123456789");
        digits += fraction;
        c += 1 + fraction;
    }
    if (digits && (*c == 'e' || *c == 'E')) {
        c++;
        c += *c == '-' || *c == '+';
        size_t exponent = strspn(c, "0123456789");
        c = exponent ? c + exponent : "x";
    }
    return digits && !*c ? TYPE_FLOAT : TYPE_TEXT;
}

enum node_type yaml_type(const char *text, bool plain)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const bools[] = {"true", "True", "TRUE", "false", "False", "FALSE", NULL};
    if (!plain)
        return TYPE_TEXT;
    if (is_one_of(text, nulls))
        return TYPE_NULL;
    if (is_one_of(text, bools))
        return TYPE_BOOL;
    return number_type(text);
}

const char *yaml_type_words(enum node_type type)
{
    static const char *const words[] = {
        [TYPE_NULL] = "nothing (null)", [TYPE_BOOL] = "a bool", [TYPE_INT] = "an integer",
        [TYPE_FLOAT] = "a number",      [TYPE_TEXT] = "text",   [TYPE_LIST] = "a list",
        [TYPE_MAP] = "a mapping",
    };
    return words[type];
}
