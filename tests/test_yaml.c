#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "../scenarios/yaml.h"
#include "random.h"

/* --- what is refused ------------------------------------------------------ */

static const struct {
    const char *name;
    const char *text;
    int line, column;
    const char *fragment;
} refused[] = {
    {"nothing", "", 1, 1, "the file is empty"},
    {"comments alone", "# one\n# two\n", 1, 1, "the file is empty"},
    {"an alias", "a: 1\nb: *x\n", 2, 4, "aliases"},
    {"an anchor on a scalar", "a: &x 1\n", 1, 4, "anchors"},
    {"an anchor on a list", "a: &x [1]\n", 1, 4, "anchors"},
    {"an anchor on a mapping", "a: 1\nb: &x {c: 1}\n", 2, 4, "anchors"},
    {"a tag", "a: !!str 1\n", 1, 4, "tags"},
    {"a tag of one's own", "a:\n  - !x 1\n", 2, 5, "tags"},
    {"a tag on a list", "a: !!seq [1]\n", 1, 4, "tags"},
    {"a tag on a mapping", "a: !!map {}\n", 1, 4, "tags"},
    {"the bare tag", "a: ! 1\n", 1, 4, "tags"},
    {"a merge key", "a: 1\n<<: {b: 1}\n", 2, 1, "merge keys"},
    {"a duplicate key", "a: 1\nb: 2\na: 3\n", 3, 1, "duplicate key 'a', first on line 1"},
    {"a duplicate key, quoted", "a: 1\n'a': 3\n", 2, 1, "duplicate key 'a', first on line 1"},
    {"a duplicate key inside", "a:\n  b: {c: 1, d: 2, c: 3}\n", 2, 19, "duplicate key 'c'"},
    {"a list as a key", "a: 1\n? [b]\n: 2\n", 2, 3, "a key must be a word"},
    {"a mapping as a key", "? {b: 1}\n: 2\n", 1, 3, "a key must be a word"},
    {"a second document", "a: 1\n---\nb: 2\n", 2, 1, "a second document"},
    {"a tab", "a:\n\tb: 1\n", 2, 1, "YAML syntax"},
    {"an open bracket", "a: [1, 2\n", 2, 1, "YAML syntax"},
    {"an open quote", "a: 'x\n", 2, 1, "YAML syntax"},
    {"a colon too many", "title: all of it: done\n", 1, 17, "YAML syntax"},
    {"a byte that is no UTF-8", "a: 1\nb: \xff\n", 2, 4, "no YAML text"},
    {"a control byte", "a: \x01\n", 1, 4, "no YAML text"},
    {"a NUL byte by escape", "a: \"x\\0y\"\n", 1, 4, "a NUL byte"},
    {"17 levels", "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]\n", 1, 17, "nested too deeply"},
    {"behind letters of two bytes", "a: \"\xc3\xa4\xc3\xa4\", b\n", 1, 8, "YAML syntax"},
};

static void each_refusal_has_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        CLEANUP(pool_release) struct pool pool = POOL_INIT;
        CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
        struct node *root = NULL;
        const char *text = refused[i].text;
        int ret = yaml_parse("f", text, strlen(text), &pool, &diags, &root);
        if (ret != -EINVAL || diags.count != 1)
            fail_msg("%s: returns %d with %zu diagnostics", refused[i].name, ret, diags.count);
        const struct diag *diag = diags.items;
        if (diag->line != refused[i].line || diag->column != refused[i].column ||
            !strstr(diag->text, refused[i].fragment))
            fail_msg("%s: %d:%d: %s", refused[i].name, diag->line, diag->column, diag->text);
        assert_string_equal(diag->path, "f");
    }
}

static void all_mistakes_are_told(void **state)
{
    (void)state;
    static const char text[] = "a: &x 1\nb: *x\nc: !y 2\n";
    static const char keys[] = "a: 1\na: 2\n<<: 3\n? [x]\n: 4\nb: 5\n";
    CLEANUP(pool_release) struct pool pool = POOL_INIT;
    CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
    struct node *root = NULL;
    assert_int_equal(yaml_parse("f", text, strlen(text), &pool, &diags, &root), -EINVAL);
    assert_int_equal(diags.count, 3);
    assert_null(root);
    /* Where only keys are wrong, the rest of the tree is there. */
    assert_int_equal(yaml_parse("g", keys, strlen(keys), &pool, &diags, &root), -EINVAL);
    assert_int_equal(diags.count, 6);
    assert_non_null(root);
    assert_string_equal(yaml_get(root, "a")->text, "1");
    assert_string_equal(yaml_get(root, "b")->text, "5");
    assert_int_equal(root->count, 2);
}

static void a_file_that_cannot_be_read_is_told_as_a_whole(void **state)
{
    (void)state;
    CLEANUP(pool_release) struct pool pool = POOL_INIT;
    CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
    CLEANUP(dir_remove) char *dir = dir_make();
    CLEANUP(io_free) char *big = io_format("%s/big.yaml", dir);
    CLEANUP(io_free) char *text = malloc(YAML_SIZE_MAX_BYTES + 1);
    struct node *root;
    assert_int_equal(yaml_parse_file(dir, &pool, &diags, &root), -EINVAL);
    assert_int_equal(yaml_parse_file("/nowhere/x.yaml", &pool, &diags, &root), -EINVAL);
    memset(text, '#', YAML_SIZE_MAX_BYTES + 1);
    assert_int_equal(io_write_file(AT_FDCWD, big, text, YAML_SIZE_MAX_BYTES + 1, 0644, NULL), 0);
    assert_int_equal(yaml_parse_file(big, &pool, &diags, &root), -EINVAL);
    assert_int_equal(diags.count, 3);
    for (size_t i = 0; i < diags.count; i++)
        assert_int_equal(diags.items[i].line, 0);
}

/* --- what is read --------------------------------------------------------- */

static const struct {
    const char *text;
    enum node_type type;
} plain_scalars[] = {
    {"", TYPE_NULL},       {"~", TYPE_NULL},          {"null", TYPE_NULL},  {"NULL", TYPE_NULL},
    {"nUll", TYPE_TEXT},   {"true", TYPE_BOOL},       {"False", TYPE_BOOL}, {"TRUE", TYPE_BOOL},
    {"tRUE", TYPE_TEXT},   {"yes", TYPE_TEXT},        {"no", TYPE_TEXT},    {"on", TYPE_TEXT},
    {"0", TYPE_INT},       {"-7", TYPE_INT},          {"+7", TYPE_INT},     {"007", TYPE_INT},
    {"0x1f", TYPE_INT},    {"0o17", TYPE_INT},        {"0x", TYPE_TEXT},    {"0o8", TYPE_TEXT},
    {"0b1", TYPE_TEXT},    {"1_000", TYPE_TEXT},      {"1.5", TYPE_FLOAT},  {".5", TYPE_FLOAT},
    {"5.", TYPE_FLOAT},    {".", TYPE_TEXT},          {"-.5", TYPE_FLOAT},  {"2e3", TYPE_FLOAT},
    {"2E-3", TYPE_FLOAT},  {"2e", TYPE_TEXT},         {"e3", TYPE_TEXT},    {".inf", TYPE_FLOAT},
    {"-.inf", TYPE_FLOAT}, {".nan", TYPE_FLOAT},      {"1.2.3", TYPE_TEXT}, {"-", TYPE_TEXT},
    {"12:30", TYPE_TEXT},  {"2026-01-01", TYPE_TEXT},
};

static void plain_scalars_have_the_core_schemas_types(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof plain_scalars / sizeof *plain_scalars; i++) {
        const char *text = plain_scalars[i].text;
        if (yaml_type(text, true) != plain_scalars[i].type)
            fail_msg("'%s' is %s", text, yaml_type_words(yaml_type(text, true)));
        if (yaml_type(text, false) != TYPE_TEXT)
            fail_msg("'%s' in quotes is no text", text);
    }
}

static void nodes_know_their_places(void **state)
{
    (void)state;
    static const char text[] = "# c\na: {b: [x, 'y']}\n\xc3\xa4: \xc3\xb6\nlong: |\n  1\n  2\n";
    CLEANUP(pool_release) struct pool pool = POOL_INIT;
    CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
    struct node *root;
    assert_int_equal(yaml_parse("f", text, strlen(text), &pool, &diags, &root), 0);
    assert_int_equal(root->kind, NODE_MAP);
    const struct node *list = yaml_get(yaml_get(root, "a"), "b");
    assert_int_equal(list->kind, NODE_LIST);
    assert_int_equal(list->line, 2);
    assert_int_equal(list->column, 8);
    assert_true(list->items[0]->plain);
    assert_false(list->items[1]->plain);
    assert_int_equal(list->items[1]->column, 12);
    /* Columns are letters, not bytes. */
    assert_int_equal(yaml_get(root, "\xc3\xa4")->column, 4);
    const struct node *block = yaml_get(root, "long");
    assert_string_equal(block->text, "1\n2\n");
    assert_false(block->plain);
    assert_false(block->one_line);
    assert_null(yaml_get(root, "b"));
    assert_null(yaml_get(list, "b"));
}

/* --- any bytes ------------------------------------------------------------ */

static void mutate(struct random *random, struct buf *text)
{
    static const char *const bits[] = {"&a ", "*a", "!x ", "<<: ", "\n---\n", "[", "{", "}", "]",
                                       "'",   "\"", "|\n", ": ",   "- ",      "?", "#", "\t"};
    uint64_t at = random_below(random, text->len + 1);
    switch (random_below(random, 4)) {
    case 0:
        if (at < text->len)
            text->data[at] = (char)random_below(random, 256);
        break;
    case 1:
        text->len = at;
        text->data[at] = '\0';
        break;
    default: {
        CLEANUP(buf_release) struct buf tail = BUF_INIT;
        buf_append(&tail, text->data + at, text->len - at);
        text->len = at;
        buf_add(text, bits[random_below(random, sizeof bits / sizeof *bits)]);
        buf_append(text, buf_str(&tail), tail.len);
    }
    }
}

static void any_bytes_are_read_or_refused(void **state)
{
    (void)state;
    static const char seed[] = "format: 1\nid: a/b\nplan: [{routes: []}, {egress: ca}]\n"
                               "matrix: {ms: [50, 100]}\nfaults:\n  - 'exec#1 at:ms=${ms}'\n"
                               "guest:\n  - run: |\n      echo x\n      true\n";
    uint64_t rounds;
    struct random random = random_start(&rounds);
    for (uint64_t round = 0; round < rounds / 10; round++) {
        CLEANUP(pool_release) struct pool pool = POOL_INIT;
        CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
        CLEANUP(buf_release) struct buf text = BUF_INIT;
        struct node *root = NULL;
        buf_add(&text, seed);
        for (uint64_t n = random_below(&random, 4) + 1; n; n--)
            mutate(&random, &text);
        int ret = yaml_parse("f", buf_str(&text), text.len, &pool, &diags, &root);
        if ((ret == 0) != (diags.count == 0) || (ret == 0 && !root))
            fail_msg("%d with %zu diagnostics for: %s", ret, diags.count, buf_str(&text));
        for (size_t i = 0; i < diags.count; i++)
            if (diags.items[i].line < 1 || diags.items[i].column < 1)
                fail_msg("no place: %s", diags.items[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_refusal_has_its_place),
        cmocka_unit_test(all_mistakes_are_told),
        cmocka_unit_test(a_file_that_cannot_be_read_is_told_as_a_whole),
        cmocka_unit_test(plain_scalars_have_the_core_schemas_types),
        cmocka_unit_test(nodes_know_their_places),
        cmocka_unit_test(any_bytes_are_read_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
