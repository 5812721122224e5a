/*
 * yaml.h: one YAML document as a tree of nodes that know their places.
 *
 * libyaml does the parsing and is seen by yaml.c only. What makes YAML hard to read is
 * refused with its place: aliases, anchors, tags, merge keys, a second document, duplicate
 * keys, keys that are no scalars, nesting deeper than YAML_DEPTH_MAX.
 *
 * A scalar is text plus the fact whether it was written plain. What a plain scalar means
 * (null, bool, integer, other number, text) follows YAML 1.2's core schema and is told by
 * yaml_type(); nothing is ever converted silently.
 */
#ifndef KILLPOINT_YAML_H
#define KILLPOINT_YAML_H

#include <stdbool.h>

#include "diag.h"
#include "pool.h"

#define YAML_DEPTH_MAX 16
#define YAML_SIZE_MAX_BYTES (256 * 1024)

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct node {
    enum node_kind kind;
    int line, column;    /* from 1, columns in characters */
    const char *text;    /* of a scalar: no NUL byte inside */
    bool plain;          /* the scalar had no quotes and was no block */
    bool one_line;       /* the scalar began and ended on one line */
    size_t count;        /* items of a list, pairs of a map */
    struct node **keys;  /* of a map: scalars */
    struct node **items; /* of a list; a map's values */
};

enum node_type { TYPE_NULL, TYPE_BOOL, TYPE_INT, TYPE_FLOAT, TYPE_TEXT, TYPE_LIST, TYPE_MAP };

/* What text would be as a scalar written plain or not. */
enum node_type yaml_type(const char *text, bool plain);
/* "nothing (null)", "a bool", "an integer", … for messages. */
const char *yaml_type_words(enum node_type type);

/*
 * Parses one document. Nodes live in pool. Returns 0, or -EINVAL with at least one
 * diagnostic added. Where only keys were wrong (duplicate, no scalar, merge), *ret_root is
 * then the tree without them, so that its other mistakes can be told; else it is untouched.
 */
int yaml_parse(const char *path, const char *text, size_t len, struct pool *pool,
               struct diags *diags, struct node **ret_root);
/* The same for a file; one that cannot be read is a diagnostic of the file as a whole. */
int yaml_parse_file(const char *path, struct pool *pool, struct diags *diags,
                    struct node **ret_root);

/* The value of a map's key, or NULL. */
struct node *yaml_get(const struct node *map, const char *key);

#endif
