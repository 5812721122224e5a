/*
 * The templates of ci/templates are YAML, and use no option of killpoint that there is not.
 */
#include "support.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "../fault/home.h"

#define PROGRAM "/killpoint/build/bin/killpoint "

static const char *const templates[] = {"github.yaml", "gitea.yaml", "gitlab.yaml"};

/* What a CI looks for in each. */
static const char *const needed[][6] = {
    {"jobs", "steps", "run", "uses", "runs-on", NULL},
    {"jobs", "steps", "run", "uses", "runs-on", NULL},
    {"stages", "script", "artifacts", "parallel", "junit", NULL},
};

static struct {
    char *help[16]; /* of the verbs that were asked */
    char *verbs[16];
    size_t n_verbs;
    size_t n_commands;
} bench;

static const char *help_of(const char *verb)
{
    for (size_t i = 0; i < bench.n_verbs; i++)
        if (strcmp(bench.verbs[i], verb) == 0)
            return bench.help[i];
    CLEANUP(io_free) char *program = NULL;
    struct err err;
    if (home_find("bin/killpoint", &program, &err) < 0)
        fail_msg("%s", err.msg);
    struct run done = run((const char *const[]){program, verb, "--help", NULL});
    if (done.how != PROC_EXITED || done.code != 0)
        fail_msg("killpoint %s --help: %s", verb, done.err);
    assert_true(bench.n_verbs < sizeof bench.verbs / sizeof *bench.verbs);
    bench.verbs[bench.n_verbs] = io_format("%s", verb);
    bench.help[bench.n_verbs] = io_format("%s", done.out);
    run_release(&done);
    return bench.help[bench.n_verbs++];
}

/* argp writes "--results=FILE" for what takes a value. */
static bool knows(const char *help, const char *option)
{
    size_t len = strlen(option);
    for (const char *at = help; (at = strstr(at, option)); at += len)
        if (at[len] != '-' && (at[len] < 'a' || at[len] > 'z'))
            return true;
    return false;
}

/* One command line, up to what is the backend's. */
static void check_command(const char *name, const char *line)
{
    CLEANUP(io_free) char *copy = io_format("%.*s", (int)strcspn(line, "\n"), line);
    char *rest = copy;
    const char *verb = strsep(&rest, " ");
    const char *help = help_of(verb);
    bench.n_commands++;
    for (char *word = strsep(&rest, " "); word; word = strsep(&rest, " ")) {
        if (strcmp(word, "--") == 0)
            return;
        if (strncmp(word, "--", 2) == 0 && !knows(help, word))
            fail_msg("%s: killpoint %s has no option %s", name, verb, word);
    }
}

static void check_scalar(const char *name, const char *text)
{
    for (const char *at = text; (at = strstr(at, PROGRAM)); at += strlen(PROGRAM))
        check_command(name, at + strlen(PROGRAM));
}

static void read_document(const char *path, yaml_document_t *document)
{
    FILE *file = fopen(path, "re");
    yaml_parser_t parser;
    assert_non_null(file);
    yaml_parser_initialize(&parser);
    yaml_parser_set_input_file(&parser, file);
    if (!yaml_parser_load(&parser, document))
        fail_msg("%s:%zu: %s", path, parser.problem_mark.line + 1, parser.problem);
    yaml_parser_delete(&parser);
    fclose(file);
}

static void each_template_is_valid_and_uses_options_that_there_are(void **state)
{
    (void)state;
    CLEANUP(io_free) char *folder = NULL;
    struct err err;
    if (home_find("ci/templates", &folder, &err) < 0)
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < sizeof templates / sizeof *templates; i++) {
        CLEANUP(io_free) char *path = io_format("%s/%s", folder, templates[i]);
        yaml_document_t document;
        bool found[6] = {false};
        read_document(path, &document);
        const yaml_node_t *root = yaml_document_get_root_node(&document);
        assert_non_null(root);
        assert_int_equal(root->type, YAML_MAPPING_NODE);
        bench.n_commands = 0;
        for (int k = 1; yaml_document_get_node(&document, k); k++) {
            const yaml_node_t *node = yaml_document_get_node(&document, k);
            if (node->type != YAML_SCALAR_NODE)
                continue;
            const char *text = (const char *)node->data.scalar.value;
            for (size_t j = 0; needed[i][j]; j++)
                found[j] |= strcmp(text, needed[i][j]) == 0;
            check_scalar(templates[i], text);
        }
        for (size_t j = 0; needed[i][j]; j++)
            if (!found[j])
                fail_msg("%s: there is no %s", templates[i], needed[i][j]);
        assert_int_equal(bench.n_commands, 2); /* run, merge */
        yaml_document_delete(&document);
    }
}

/* The test's own eye. */
static void an_option_is_known_by_its_whole_name(void **state)
{
    (void)state;
    static const char help[] = "      --results=FILE   Append\n      --keep  Leave\n";
    assert_true(knows(help, "--results"));
    assert_true(knows(help, "--keep"));
    assert_false(knows(help, "--result"));
    assert_false(knows(help, "--kee"));
    assert_false(knows(help, "--keeps"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_option_is_known_by_its_whole_name),
        cmocka_unit_test(each_template_is_valid_and_uses_options_that_there_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
