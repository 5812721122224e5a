/*
 * schema.h: what a file may say, as tables, and the getters that read it by them.
 *
 * One table describes each kind of file (keys.h). The validator, the getters, the JSON
 * Schema (json_schema.h) and `killpoint explain` all read the same table, so a key, its
 * range, its default and its meaning stand in one place.
 *
 * First validate_tree() (validate.h). Only when it found nothing may the getters be used: they take
 * what they find for right, and give the table's default for what is missing. A view is a
 * node together with its key; views of missing keys exist and have a NULL node.
 *
 * Matrix values: below a key with SCHEMA_VARS, `${name}` in a scalar is replaced when name
 * is one of the variables, and stays as it is otherwise (it may be the shell's). A scalar
 * that is nothing but `${name}` becomes the value with its type, so that an integer can be
 * a variable; anywhere else it becomes part of a text.
 */
#ifndef KILLPOINT_SCHEMA_H
#define KILLPOINT_SCHEMA_H

#include <stdint.h>

#include "../fault/io.h"
#include "yaml.h"

enum schema_kind {
    SCHEMA_TEXT,  /* text; what reads as a number, bool or null needs quotes */
    SCHEMA_INT,   /* decimal, no leading zeros, min to max */
    SCHEMA_ENUM,  /* one of values */
    SCHEMA_ID,    /* a-z 0-9 - _ and, with SCHEMA_SLASH, parts divided by '/' */
    SCHEMA_PATH,  /* absolute, without "." and ".." */
    SCHEMA_MODE,  /* "0644": octal in quotes */
    SCHEMA_SIZE,  /* 65536, 64KiB, 8MiB, 1GiB */
    SCHEMA_DATE,  /* YYYY-MM-DD, a day of the calendar */
    SCHEMA_RULE,  /* fault/rule.h */
    SCHEMA_ANY,   /* any scalar but null: a matrix value */
    SCHEMA_BOOL,  /* true or false */
    SCHEMA_RANGE, /* an integer, or {min, max} of it */
    SCHEMA_LIST,  /* of item; with SCHEMA_ONE_OK a single item counts as a list of one */
    SCHEMA_MAP,   /* with keys */
    SCHEMA_NAMED, /* a mapping from names of one's own choice to item */
};

enum schema_flag {
    SCHEMA_REQUIRED = 1,
    SCHEMA_ONE_OK = 2,
    SCHEMA_SLASH = 4,
    SCHEMA_VARS = 8,      /* ${name} may be used in it and below */
    SCHEMA_EMPTY_OK = 16, /* an empty text; an empty list or mapping */
};

struct schema_key {
    const char *name;
    enum schema_kind kind;
    unsigned flags;
    /* Keys of a map with the same group above 0: exactly one of them must be there. */
    int one_of;
    const char *def;           /* the default, as a file would say it; NULL: none */
    const char *def_text;      /* where the default depends: in words */
    int64_t min, max;          /* SCHEMA_INT, SCHEMA_RANGE: the limits */
    const char *const *values; /* SCHEMA_ENUM: NULL-terminated */
    const struct schema_key *item;
    const struct schema_key *keys; /* ends with a NULL name */
    const char *doc;               /* what it means, in sentences */
    const char *example;           /* lines of YAML */
};

struct schema_var {
    const char *name;
    const struct node *value; /* a scalar */
    bool used;                /* set when read */
};

struct schema_vars {
    struct schema_var *items;
    size_t count;
};

struct view {
    const struct node *node; /* NULL: not in the file */
    const struct schema_key *key;
    struct schema_vars *vars; /* NULL: none */
    bool vars_on;             /* below a key with SCHEMA_VARS */
};

/* Getters, after validate_tree() returned 0. Strings live in pool or in the tree's. */
struct view schema_get(struct view view, const char *name);
size_t schema_count(struct view view);
struct view schema_item(struct view view, size_t i);
/* SCHEMA_NAMED: the name of the i-th pair. */
const char *schema_name(struct view view, size_t i);
bool schema_has(struct view view);
int64_t schema_int(struct view view); /* also sizes in bytes and modes */
bool schema_bool(struct view view);
/* The index in key->values. The view has a value or a default. */
int schema_enum(struct view view);
/* NULL when missing without default. */
const char *schema_text(struct view view, struct pool *pool);
/* A list's texts, NULL-terminated; never NULL. */
const char *const *schema_texts(struct view view, struct pool *pool);

struct range {
    int64_t min, max;
};
/* Missing: everything from key->min to key->max. */
struct range schema_range(struct view view);

/* The key that a dotted name such as "expect.claim" stands for, through lists; or NULL. */
const struct schema_key *schema_find(const struct schema_key *root, const char *dotted);
/* What a value may be: "an integer from 0 to 255", "one of a, b". Appends. */
void schema_type_text(const struct schema_key *key, struct buf *text);

/* --- for the walker ------------------------------------------------------- */

/* A scalar after its variables; text is owned. */
struct scalar {
    char *text;
    enum node_type type;
};
void scalar_release(struct scalar *scalar);
struct scalar scalar_read(const struct view *view);

struct view schema_below(const struct view *view, const struct schema_key *key,
                         const struct node *node);
const struct schema_key *schema_find_key(const struct schema_key *keys, const char *name);
/* -EINVAL: none of the values. */
int schema_enum_index(const struct schema_key *key, const char *text);
/* -EINVAL: no decimal integer of 64 bits, or one with leading zeros. */
int schema_parse_int(const char *text, int64_t *ret_number);
/* A day as YYYYMMDD, or -EINVAL. */
int schema_parse_date(const char *text);
/* Whether the text fits a kind that has a form of its own (id, path, mode, size, date). */
bool schema_text_is_good(const struct schema_key *key, const char *text);

#endif
