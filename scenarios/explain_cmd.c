#include "explain_cmd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmdline.h"
#include "explain_topic.h"
#include "json_schema.h"
#include "keys.h"

#define NAME "killpoint explain"
#define COLUMN 30 /* where the words begin in lists of keys */

/* --- names ---------------------------------------------------------------- */

/* Everything that can be asked for. */
struct names {
    struct pool pool;
    const char **items;
    size_t count;
};

static void names_release(struct names *names)
{
    free(names->items);
    pool_release(&names->pool);
}

static void add_name(struct names *names, const char *name)
{
    names->items = reallocarray(names->items, names->count + 1, sizeof *names->items);
    if (!names->items)
        abort();
    names->items[names->count++] = name;
}

/* The key whose members can be asked for: lists and free names are looked through. */
static const struct schema_key *inner_key(const struct schema_key *key)
{
    while (key->kind == SCHEMA_LIST || key->kind == SCHEMA_NAMED)
        key = key->item;
    return key;
}

static void add_keys(struct names *names, const char *prefix, const struct schema_key *key)
{
    key = inner_key(key);
    if (key->kind != SCHEMA_MAP)
        return;
    for (const struct schema_key *child = key->keys; child->name; child++) {
        const char *name =
            pool_format(&names->pool, "%s%s%s", prefix, *prefix ? "." : "", child->name);
        add_name(names, name);
        add_keys(names, name, child);
    }
}

static void list_names(struct names *names)
{
    add_keys(names, "", &keys_scenario);
    for (const struct schema_key *const *kind = keys_all; *kind; kind++) {
        add_name(names, (*kind)->name);
        if (*kind != &keys_scenario)
            add_keys(names, (*kind)->name, *kind);
    }
    for (const struct explain_topic *topic = explain_topics; topic->name; topic++)
        add_name(names, topic->name);
}

static const struct schema_key *find_kind(const char *name, size_t len)
{
    for (const struct schema_key *const *kind = keys_all; *kind; kind++)
        if (strlen((*kind)->name) == len && !memcmp((*kind)->name, name, len))
            return *kind;
    return NULL;
}

/* A name of which what was asked for is the end (`claim`: expect.claim), else the nearest. */
static const char *guess(const struct names *names, const char *wanted)
{
    size_t len = strlen(wanted);
    for (size_t i = 0; i < names->count; i++) {
        const char *name = names->items[i];
        size_t name_len = strlen(name);
        if (len && name_len > len && name[name_len - len - 1] == '.' &&
            !strcmp(name + name_len - len, wanted))
            return name;
    }
    return diag_nearest(wanted, names->items, names->count, sizeof *names->items);
}

/* --- one key -------------------------------------------------------------- */

static void write_default(struct buf *text, const struct schema_key *key)
{
    if (key->flags & SCHEMA_REQUIRED)
        buf_add(text, "  required\n");
    else if (key->one_of)
        buf_add(text, "  one of a group: exactly one of these keys is there\n");
    else if (key->def || key->def_text)
        buf_printf(text, "  default: %s\n", key->def ? key->def : key->def_text);
}

static void write_example(struct buf *text, const char *example)
{
    buf_add(text, "\n  Example:\n");
    while (*example) {
        size_t len = strcspn(example, "\n");
        buf_printf(text, "    %.*s\n", (int)len, example);
        example += len + (example[len] == '\n');
    }
}

/* A key in a list: its name, and the first sentence about it in a column of its own. */
static void write_line(struct buf *text, const char *name, const struct schema_key *key)
{
    CLEANUP(buf_release) struct buf column = BUF_INIT;
    const char *doc = key->doc ? key->doc : "";
    const char *end = strstr(doc, ". ");
    CLEANUP(io_free)
    char *sentence = io_format("%.*s", end ? (int)(end + 1 - doc) : (int)strlen(doc), doc);
    explain_wrap(&column, COLUMN, sentence);
    buf_printf(text, "  %-*s", COLUMN - 2, name);
    if (strlen(name) > COLUMN - 4)
        buf_printf(text, "\n%*s", COLUMN, "");
    buf_add(text, buf_str(&column) + strspn(buf_str(&column), " "));
}

static void write_key(struct buf *text, const char *name, const struct schema_key *key)
{
    CLEANUP(buf_release) struct buf type = BUF_INIT;
    const struct schema_key *inner = inner_key(key);
    buf_printf(text, "%s\n", name);
    schema_type_text(key, &type);
    explain_wrap(text, 2, buf_str(&type));
    write_default(text, key);
    if (key->doc) {
        buf_add(text, "\n");
        explain_wrap(text, 2, key->doc);
    }
    if (key->example)
        write_example(text, key->example);
    if (inner->kind != SCHEMA_MAP)
        return;
    buf_add(text, "\n  Keys:\n");
    for (const struct schema_key *child = inner->keys; child->name; child++)
        write_line(text, child->name, child);
}

/* Of the lists of a kind of file, what each entry has. */
static void write_entries(struct buf *text, const struct schema_key *kind)
{
    for (const struct schema_key *child = kind->keys; child && child->name; child++) {
        const struct schema_key *entry = inner_key(child);
        if (child->kind != SCHEMA_LIST || entry->kind != SCHEMA_MAP)
            continue;
        buf_printf(text, "\n  Each of %s:\n", child->name);
        for (const struct schema_key *key = entry->keys; key->name; key++)
            write_line(text, key->name, key);
    }
}

/* --- the verb ------------------------------------------------------------- */

/* `layout` is a key of scenarios and a kind of file: both are told. */
static bool write_answer(struct buf *text, const char *wanted)
{
    size_t head = strcspn(wanted, ".");
    const struct schema_key *kind = find_kind(wanted, head);
    const struct schema_key *key = *wanted ? schema_find(&keys_scenario, wanted) : NULL;
    for (const struct explain_topic *topic = explain_topics; topic->name; topic++)
        if (!strcmp(topic->name, wanted)) {
            topic->write(text);
            return true;
        }
    if (key)
        write_key(text, wanted, key);
    if (kind && (!wanted[head] || wanted[head + 1]))
        kind = schema_find(kind, wanted + head + (wanted[head] == '.'));
    else
        kind = NULL;
    if (kind && key)
        buf_add(text, "\nAs a kind of file:\n\n");
    if (kind) {
        write_key(text, wanted, kind);
        write_entries(text, kind);
    }
    return key || kind;
}

static void write_all(struct buf *text)
{
    for (const struct schema_key *const *kind = keys_all; *kind; kind++) {
        CLEANUP(names_release) struct names names = {POOL_INIT, NULL, 0};
        const char *prefix = *kind == &keys_scenario ? "" : (*kind)->name;
        add_keys(&names, prefix, *kind);
        buf_printf(text, "%s\n", (*kind)->doc);
        for (size_t i = 0; i < names.count; i++)
            write_line(text, names.items[i],
                       schema_find(*kind, names.items[i] + strlen(prefix) + (*prefix != '\0')));
        buf_add(text, "\n");
    }
    buf_add(text, "More:\n");
    for (const struct explain_topic *topic = explain_topics; topic->name; topic++)
        buf_printf(text, "  %-28s%s\n", topic->name, topic->title);
}

struct options {
    const char *key;
    const char *schema;
};

enum { OPT_SCHEMA = 256 };

static const struct argp_option option_table[] = {
    {"json-schema", OPT_SCHEMA, "KIND", 0,
     "The JSON Schema of a kind of file: scenario, backend, layout or expectations", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case OPT_SCHEMA: options->schema = arg; return 0;
    case ARGP_KEY_ARG:
        if (options->key)
            return cmdline_fail(NAME, EINVAL, "unexpected argument '%s'", arg);
        options->key = arg;
        return 0;
    case ARGP_KEY_END:
        if (options->key && options->schema)
            return cmdline_fail(NAME, EINVAL, "KEY and --json-schema: only one of them");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static int print_schema(const char *name)
{
    const struct schema_key *kind = find_kind(name, strlen(name));
    if (!kind)
        return cmdline_fail(NAME, 2,
                            "no kind of file is named '%s': scenario, backend, layout, "
                            "expectations",
                            name);
    json_t *schema = json_schema(kind);
    json_dumpf(schema, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(schema);
    return cmdline_finish(NAME, 0);
}

static int fail_unknown(const char *wanted)
{
    CLEANUP(names_release) struct names names = {POOL_INIT, NULL, 0};
    list_names(&names);
    const char *near = guess(&names, wanted);
    if (near)
        return cmdline_fail(NAME, 2, "unknown key '%s'; did you mean '%s'?", wanted, near);
    return cmdline_fail(NAME, 2, "unknown key '%s'; without KEY all are listed", wanted);
}

int explain_cmd(int argc, char **argv)
{
    static const struct argp argp = {
        option_table,
        parse_option,
        "[KEY]",
        "Explains a key of the scenario files (expect.claim), of other files (backend.command), "
        "or a topic: checks, rules, verdicts. Without KEY: lists them all.\v"
        "Exit status: 0, 2 wrong usage or unknown key.",
        NULL,
        NULL,
        NULL};
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    struct options options = {NULL, NULL};
    if (cmdline_parse(&argp, NAME, argc, argv, &options) < 0)
        return 2;
    if (options.schema)
        return print_schema(options.schema);
    if (!options.key)
        write_all(&text);
    else if (!write_answer(&text, options.key))
        return fail_unknown(options.key);
    fputs(buf_str(&text), stdout);
    return cmdline_finish(NAME, 0);
}
