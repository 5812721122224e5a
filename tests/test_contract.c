#include "support.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "../fault/home.h"
#include "../scenarios/audit_check.h"
#include "../scenarios/contract.h"
#include "../scenarios/suite.h"

static void checks_exist_that_the_judge_makes(void **state)
{
    static const char *const good[] = {
        "claim", "log/fatal", "processes", "store/must/ca-file", "store/exact/files", NULL};
    static const char *const bad[] = {
        "",       "log",        "log/",         "store",
        "store/", "store/must", "must/ca-file", "store/should/ca-file",
        "claim ", NULL};
    (void)state;
    for (size_t i = 0; good[i]; i++)
        if (!contract_has(good[i]))
            fail_msg("'%s' is there", good[i]);
    for (size_t i = 0; bad[i]; i++)
        if (contract_has(bad[i]))
            fail_msg("'%s' is not there", bad[i]);
    for (size_t i = 0; i < AUDIT_N_CHECKS; i++) {
        CLEANUP(io_free) char *id = io_format("store/%s", audit_defs()[i].id);
        assert_true(contract_has(id));
    }
}

static void each_row_has_an_id_of_its_own_and_all_its_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < CONTRACT_N_CHECKS; i++) {
        const struct contract_def *def = &contract_defs[i];
        assert_true(contract_has(def->id));
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(contract_defs[k].id, def->id);
        if (!def->what || !def->why || !def->source)
            fail_msg("%s: a word is missing", def->id);
    }
}

/* --- scenarios/README.md ---------------------------------------------------------------- */

static void read_readme(struct buf *text)
{
    CLEANUP(io_free) char *path = NULL;
    struct err err;
    if (home_find("scenarios/README.md", &path, &err) < 0 ||
        io_read_file(AT_FDCWD, path, text, 1 << 20, &err) < 0)
        fail_msg("%s", err.msg);
}

/* The table as it must stand there: one row a check. */
static void write_table(struct buf *table)
{
    for (size_t i = 0; i < CONTRACT_N_CHECKS; i++) {
        const struct contract_def *def = &contract_defs[i];
        buf_printf(table, "| `%s` | %s | %s | %s | %s |\n", def->id,
                   contract_level_name(def->level), def->what, def->why, def->source);
    }
    for (size_t i = 0; i < AUDIT_N_CHECKS; i++) {
        const struct audit_def *def = &audit_defs()[i];
        buf_printf(table, "| `store/%s` | %s | Right: %s. | %s | %s |\n", def->id,
                   audit_level_name(def->level), def->expected, def->why, def->source);
    }
}

static void the_readme_has_the_table_word_for_word(void **state)
{
    (void)state;
    CLEANUP(buf_release) struct buf readme = BUF_INIT;
    CLEANUP(buf_release) struct buf table = BUF_INIT;
    read_readme(&readme);
    write_table(&table);
    if (strstr(buf_str(&readme), buf_str(&table)))
        return;
    char *rest = table.data; /* a message of cmocka's holds 1024 bytes */
    for (char *row = strsep(&rest, "\n"); row && rest; row = strsep(&rest, "\n"))
        print_message("%s\n", row);
    fail_msg("these rows must stand in scenarios/README.md");
}

/* Whether it is a check, or a glob of trials that the suite has. */
static bool is_known(const char *word, const struct trials *trials)
{
    if (contract_has(word))
        return true;
    for (size_t i = 0; i < trials->count; i++)
        if (trial_matches(trials->items[i].id, word))
            return true;
    return false;
}

/* What stands between backticks in the table "What is asked, what shows it". */
static void each_demand_is_shown_by_checks_and_scenarios_that_there_are(void **state)
{
    (void)state;
    CLEANUP(buf_release) struct buf readme = BUF_INIT;
    CLEANUP(suite_release) struct suite suite = SUITE_INIT;
    CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
    CLEANUP(trials_release) struct trials trials = TRIALS_INIT;
    struct err err;
    read_readme(&readme);
    if (suite_load(&suite, &diags, &err) < 0)
        fail_msg("%s", err.msg);
    scenario_expand(&suite.scenarios, &(struct selection){.driver = -1}, &trials);
    char *at = strstr(buf_str(&readme), "| asked | checks | shown in |");
    assert_non_null(at);
    char *end = strstr(at, "\n\n");
    assert_non_null(end);
    *end = '\0';
    size_t words = 0;
    strsep(&at, "`");
    for (char *word = strsep(&at, "`"); word && at; strsep(&at, "`"), word = strsep(&at, "`")) {
        words++;
        if (!is_known(word, &trials))
            fail_msg("'%s' is neither a check nor a scenario", word);
    }
    assert_true(words > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checks_exist_that_the_judge_makes),
        cmocka_unit_test(each_row_has_an_id_of_its_own_and_all_its_words),
        cmocka_unit_test(the_readme_has_the_table_word_for_word),
        cmocka_unit_test(each_demand_is_shown_by_checks_and_scenarios_that_there_are),
    };
    return cmocka_run_group_tests_name("contract", tests, NULL, NULL);
}
