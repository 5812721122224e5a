#include "support.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "../fakes/reply.h"
#include "../fault/home.h"
#include "../fault/rule.h"
#include "../scenarios/audit_check.h"
#include "../scenarios/contract.h"
#include "../scenarios/explain_topic.h"
#include "../scenarios/judge.h"
#include "../scenarios/keys.h"

/* Runs killpoint explain with up to two arguments. */
static struct run explain(const char *first, const char *second)
{
    CLEANUP(io_free) char *program = NULL;
    struct err err;
    if (home_find("bin/killpoint", &program, &err) < 0)
        fail_msg("%s", err.msg);
    return run((const char *const[]){program, "explain", first, first ? second : NULL, NULL});
}

static char *squeeze(const char *text)
{
    struct buf plain = BUF_INIT;
    for (; *text; text++)
        if (*text != ' ' && *text != '\n')
            buf_append(&plain, text, 1);
        else if (plain.len && plain.data[plain.len - 1] != ' ')
            buf_add(&plain, " ");
    buf_add(&plain, "");
    return plain.data;
}

/* Line breaks aside. */
static bool says(const char *text, const char *words)
{
    CLEANUP(io_free) char *squeezed = squeeze(text);
    CLEANUP(io_free) char *wanted = squeeze(words);
    return strstr(squeezed, wanted) != NULL;
}

static void check_words(const struct run *run, const char *what, const char *words)
{
    check_success(run);
    if (!says(run->out, words))
        fail_msg("%s: '%s' is not in\n%s", what, words, run->out);
}

/* --- keys ----------------------------------------------------------------- */

static void check_keys(const char *prefix, const struct schema_key *key, const struct run *all)
{
    while (key->kind == SCHEMA_LIST || key->kind == SCHEMA_NAMED)
        key = key->item;
    if (key->kind != SCHEMA_MAP)
        return;
    for (const struct schema_key *child = key->keys; child->name; child++) {
        CLEANUP(io_free)
        char *name = io_format("%s%s%s", prefix, *prefix ? "." : "", child->name);
        CLEANUP(io_free) char *line = io_format("\n  %s", name);
        CLEANUP(run_release) struct run run = explain(name, NULL);
        CLEANUP(buf_release) struct buf type = BUF_INIT;
        if (!strstr(all->out, line))
            fail_msg("%s is not listed", name);
        schema_type_text(child, &type);
        check_words(&run, name, buf_str(&type));
        check_words(&run, name, child->doc);
        if (child->def)
            check_words(&run, name, child->def);
        if (child->example)
            check_words(&run, name, child->example);
        check_keys(name, child, all);
    }
}

static void every_key_is_listed_and_explained(void **state)
{
    (void)state;
    CLEANUP(run_release) struct run all = explain(NULL, NULL);
    check_success(&all);
    for (const struct schema_key *const *kind = keys_all; *kind; kind++) {
        CLEANUP(run_release) struct run run = explain((*kind)->name, NULL);
        check_words(&run, (*kind)->name, (*kind)->doc);
        check_keys(*kind == &keys_scenario ? "" : (*kind)->name, *kind, &all);
    }
}

static void a_scenarios_key_may_have_its_kind_before_it(void **state)
{
    (void)state;
    CLEANUP(run_release) struct run run = explain("scenario.expect.claim", NULL);
    check_words(&run, "claim", "one of success, failure, either");
}

static void a_name_of_a_key_and_of_a_kind_shows_both(void **state)
{
    (void)state;
    CLEANUP(run_release) struct run run = explain("layout", NULL);
    check_words(&run, "layout", "of several each is a trial");
    check_words(&run, "layout", keys_layout.doc);
}

/* --- topics --------------------------------------------------------------- */

static void checks_names_every_check(void **state)
{
    (void)state;
    CLEANUP(run_release) struct run run = explain("checks", NULL);
    for (size_t i = 0; i < CONTRACT_N_CHECKS; i++) {
        const struct contract_def *def = &contract_defs[i];
        CLEANUP(io_free)
        char *title = io_format("%s (%s)", def->id, contract_level_name(def->level));
        check_words(&run, "checks", title);
        check_words(&run, "checks", def->what);
        check_words(&run, "checks", def->why);
        check_words(&run, "checks", def->source);
    }
    for (size_t i = 0; i < AUDIT_N_CHECKS; i++) {
        CLEANUP(io_free) char *id = io_format("store/%s", audit_defs()[i].id);
        assert_true(contract_has(id));
        check_words(&run, "checks", id);
        check_words(&run, "checks", audit_defs()[i].why);
        check_words(&run, "checks", audit_defs()[i].expected);
    }
}

static void rules_names_every_word_and_reply(void **state)
{
    (void)state;
    static const char *const *const lists[] = {rule_call_words,   rule_place_words,
                                               rule_since_words,  rule_per_words,
                                               rule_timing_words, rule_scope_words};
    CLEANUP(run_release) struct run run = explain("rules", NULL);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        for (const char *const *word = lists[i]; *word; word++)
            check_words(&run, "rules", *word);
    for (size_t key = 0; key < RULE_KEY_COUNT; key++) {
        CLEANUP(io_free) char *word = io_format(" %s=", rule_key_words[key]);
        check_words(&run, "rules", word);
    }
    for (const struct reply_row *row = reply_rows; row->name; row++) {
        CLEANUP(io_free) char *line = io_format("%s %d %s", row->name, row->status, row->source);
        check_words(&run, "rules", line);
    }
    check_words(&run, "rules", "one a line in $KILLPOINT_FAULTS, which may also be @FILE");
}

static void verdicts_names_every_verdict(void **state)
{
    (void)state;
    CLEANUP(run_release) struct run run = explain("verdicts", NULL);
    for (size_t i = 0; i < VERDICT_COUNT; i++)
        check_words(&run, "verdicts", verdict_name((enum verdict)i));
}

static void lines_end_before_column_81(void **state)
{
    (void)state;
    static const char *const what[] = {NULL, "checks", "rules", "verdicts", "expect", "backend"};
    for (size_t i = 0; i < sizeof what / sizeof *what; i++) {
        CLEANUP(run_release) struct run run = explain(what[i], NULL);
        check_success(&run);
        for (const char *line = run.out; *line; line += strcspn(line, "\n") + 1)
            if (strcspn(line, "\n") > 80)
                fail_msg("%.*s", (int)strcspn(line, "\n"), line);
    }
}

static void words_are_wrapped(void **state)
{
    (void)state;
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    CLEANUP(io_free) char *full = io_format("%078d", 0);
    explain_wrap(&text, 2, full);
    explain_wrap(&text, 2, "");
    CLEANUP(io_free) char *two = io_format("%s x", full);
    explain_wrap(&text, 2, two);
    CLEANUP(io_free) char *wanted = io_format("  %s\n\n  %s\n  x\n", full, full);
    assert_string_equal(buf_str(&text), wanted);
}

/* --- what is refused ------------------------------------------------------ */

static const struct {
    const char *first, *second;
    const char *line;
} refused[] = {
    {"claim", NULL, "unknown key 'claim'; did you mean 'expect.claim'?"},
    {"expect.clam", NULL, "unknown key 'expect.clam'; did you mean 'expect.claim'?"},
    {"backend.comand", NULL, "unknown key 'backend.comand'; did you mean 'backend.command'?"},
    {"rule", NULL, "unknown key 'rule'; did you mean 'rules'?"},
    {"expect.", NULL, "unknown key 'expect.'; did you mean 'expect'?"},
    {"backend.", NULL, "unknown key 'backend.'; did you mean 'backend'?"},
    {"zzzzzzzz", NULL, "unknown key 'zzzzzzzz'; without KEY all are listed"},
    {"", NULL, "unknown key ''; without KEY all are listed"},
    {"id", "title", "unexpected argument 'title'"},
    {"--json-schema=x", NULL, "no kind of file is named 'x'"},
    {"--json-schema=layout", "id", "KEY and --json-schema: only one of them"},
    {"--nothing", NULL, "unrecognized option '--nothing'"},
    {"--json-schema", NULL, "option '--json-schema' requires an argument"},
};

static void wrong_usage_is_one_line_and_status_2(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        CLEANUP(run_release) struct run run = explain(refused[i].first, refused[i].second);
        CLEANUP(io_free) char *start = io_format("killpoint explain: %s", refused[i].line);
        check_clean_failure(&run, 2);
        assert_string_equal(run.out, "");
        if (strncmp(run.err, start, strlen(start)) != 0 ||
            strchr(run.err, '\n') != run.err + strlen(run.err) - 1)
            fail_msg("%s: %s", refused[i].first, run.err);
    }
}

static void help_goes_to_stdout(void **state)
{
    (void)state;
    CLEANUP(run_release) struct run run = explain("--help", NULL);
    check_words(&run, "--help", "Usage: killpoint explain [OPTION...] [KEY]");
    assert_string_equal(run.err, "");
}

static void each_kind_has_a_json_schema(void **state)
{
    (void)state;
    for (const struct schema_key *const *kind = keys_all; *kind; kind++) {
        CLEANUP(run_release) struct run run = explain("--json-schema", (*kind)->name);
        check_success(&run);
        json_t *schema = json_loads(run.out, 0, NULL);
        assert_non_null(schema);
        json_t *properties = json_object_get(schema, "properties");
        for (const struct schema_key *key = (*kind)->keys; key->name; key++)
            assert_non_null(json_object_get(properties, key->name));
        json_decref(schema);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_is_listed_and_explained),
        cmocka_unit_test(a_scenarios_key_may_have_its_kind_before_it),
        cmocka_unit_test(a_name_of_a_key_and_of_a_kind_shows_both),
        cmocka_unit_test(checks_names_every_check),
        cmocka_unit_test(rules_names_every_word_and_reply),
        cmocka_unit_test(verdicts_names_every_verdict),
        cmocka_unit_test(lines_end_before_column_81),
        cmocka_unit_test(words_are_wrapped),
        cmocka_unit_test(wrong_usage_is_one_line_and_status_2),
        cmocka_unit_test(help_goes_to_stdout),
        cmocka_unit_test(each_kind_has_a_json_schema),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
