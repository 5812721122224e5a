#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "../scenarios/expectation.h"

/* Writes the entries as a list into a fresh folder. */
static char *make_list(const char *dir, const char *entries)
{
    char *path = io_format("%s/x.expect.yaml", dir);
    CLEANUP(io_free) char *text = io_format("format: 1\nexpectations:\n%s", entries);
    struct err err;
    if (io_write_file(AT_FDCWD, path, text, strlen(text), 0644, &err) < 0)
        fail_msg("%s", err.msg);
    return path;
}

struct lists {
    struct pool pool;
    struct diags diags;
    struct expectations list;
};

static void lists_release(struct lists *lists)
{
    pool_release(&lists->pool);
    diags_release(&lists->diags);
}

static int load(const char *entries, struct lists *lists)
{
    CLEANUP(dir_remove) char *dir = dir_make();
    CLEANUP(io_free) char *path = make_list(dir, entries);
    int ret = expectations_load(path, &lists->pool, &lists->list, &lists->diags);
    assert_int_equal(ret == 0, lists->diags.count == 0);
    return ret;
}

#define LISTS(name)                                                                                \
    CLEANUP(lists_release) struct lists name = {POOL_INIT, DIAGS_INIT, {NULL, NULL, 0}}

static void load_good(const char *entries, struct lists *lists)
{
    if (load(entries, lists) < 0)
        fail_msg("%s", lists->diags.items[0].text);
}

/* --- loading -------------------------------------------------------------- */

static void entries_are_read(void **state)
{
    (void)state;
    LISTS(lists);
    load_good("- match: kill/*\n  verdict: xfail\n  reason: later\n  ref: t\n"
              "- match: 'a/b[ms=50]@trixie:store/must/ca-file'\n  verdict: xfail\n"
              "  reason: so\n  ref: issue 3\n  expires: 2027-06-30\n  layout: tri*\n"
              "- match: slow/*\n  verdict: skip\n  reason: too slow\n  ref: t\n",
              &lists);
    const struct expectation *items = lists.list.items;
    assert_int_equal(lists.list.count, 3);
    assert_string_equal(items[0].glob, "kill/*");
    assert_null(items[0].check);
    assert_string_equal(items[0].ref, "t");
    assert_null(items[0].layout);
    assert_int_equal(items[0].expires, 0);
    assert_int_equal(items[0].verdict, EXPECTED_XFAIL);
    assert_string_equal(items[0].reason, "later");
    assert_string_equal(items[1].glob, "a/b[ms=50]@trixie");
    assert_string_equal(items[1].check, "store/must/ca-file");
    assert_string_equal(items[1].ref, "issue 3");
    assert_string_equal(items[1].layout, "tri*");
    assert_int_equal(items[1].expires, 20270630);
    assert_int_equal(items[1].line, 7);
    assert_int_equal(items[1].column, 10);
    assert_int_equal(items[2].verdict, EXPECTED_SKIP);
}

#define REST "\n  verdict: xfail\n  reason: x\n  ref: t\n"

static const struct {
    const char *name;
    const char *entries;
    int line, column;
    const char *fragment;
} refused[] = {
    {"no such check", "- match: a/b:claims" REST, 3, 10, "there is no check 'claims'"},
    {"an empty check", "- match: 'a/b:'" REST, 3, 10, "there is no check ''"},
    {"an empty glob", "- match: ':claim'" REST, 3, 10, "the glob is empty"},
    {"the same twice", "- match: a/b" REST "- match: a/b" REST, 7, 10,
     "'a/b' again, first on line 3"},
    {"the same twice on a layout", "- match: a\n  layout: b" REST "- match: a\n  layout: b" REST, 8,
     10, "'a' again, first on line 3"},
    {"no reason", "- match: a/b\n  verdict: xfail\n  ref: t\n", 3, 3,
     "the key 'reason' is missing"},
    {"no ref", "- match: a/b\n  verdict: skip\n  reason: x\n", 3, 3, "the key 'ref' is missing"},
    {"another verdict", "- match: a/b\n  verdict: pass\n  reason: x\n  ref: t\n", 4, 12,
     "verdict: 'pass'"},
    {"no day", "- match: a/b\n  expires: 2027-02-30" REST, 4, 12, "expires: expected a date"},
    {"no entries", "  []\n", 3, 3, "must not be empty"},
};

static void each_mistake_has_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        LISTS(lists);
        if (load(refused[i].entries, &lists) == 0 || lists.diags.count != 1)
            fail_msg("%s: %zu diagnostics", refused[i].name, lists.diags.count);
        const struct diag *diag = lists.diags.items;
        if (diag->line != refused[i].line || diag->column != refused[i].column ||
            !strstr(diag->text, refused[i].fragment))
            fail_msg("%s: %d:%d: %s", refused[i].name, diag->line, diag->column, diag->text);
        assert_null(lists.list.items);
    }
}

static void entries_for_different_layouts_are_no_repetition(void **state)
{
    (void)state;
    LISTS(lists);
    load_good("- match: a\n  layout: b" REST "- match: a\n  layout: c" REST "- match: a" REST,
              &lists);
    assert_int_equal(lists.list.count, 3);
}

static void a_bad_list_is_bad_again(void **state)
{
    (void)state;
    LISTS(lists);
    CLEANUP(dir_remove) char *dir = dir_make();
    CLEANUP(io_free)
    char *path = make_list(dir, "- match: a/b\n  verdict: 7\n  reason: x\n  ref: t\n");
    for (int i = 0; i < 2; i++)
        assert_int_equal(expectations_load(path, &lists.pool, &lists.list, &lists.diags), -EINVAL);
    assert_int_equal(lists.diags.count, 1);
}

/* --- matching ------------------------------------------------------------- */

static struct trial trial_of(const char *id, const char *layout)
{
    return (struct trial){.id = (char *)(uintptr_t)id, .layout = layout, .driver = DRIVER_SMOLVM};
}

#define SKIP "- match: a/b:claim\n  verdict: skip\n  reason: x\n  ref: t\n"

static void skip_is_found_by_glob_and_layout(void **state)
{
    (void)state;
    LISTS(lists);
    load_good("- match: a/*\n  verdict: skip\n  reason: one\n  ref: t\n  layout: trixie*\n"
              "- match: c/d" REST,
              &lists);
    const struct trial trixie = trial_of("a/b@trixie-mini", "trixie-mini");
    const struct trial bookworm = trial_of("a/b@bookworm", "bookworm");
    const struct trial failing = trial_of("c/d@trixie", "trixie");
    assert_ptr_equal(expectations_skip(&lists.list, &trixie), &lists.list.items[0]);
    assert_null(expectations_skip(&lists.list, &bookworm));
    assert_null(expectations_skip(&lists.list, &failing));
    LISTS(checks);
    load_good(SKIP, &checks); /* it is played */
    const struct trial skipped = trial_of("a/b@trixie", "trixie");
    assert_null(expectations_skip(&checks.list, &skipped));
}

static void old_entries_are_told(void **state)
{
    (void)state;
    LISTS(lists);
    load_good("- match: a/b\n  expires: 2026-11-22" REST "- match: gone/*" REST
              "- match: a/*\n  expires: 2026-11-23" REST
              "- match: gone/too\n  expires: 2020-01-01" REST,
              &lists);
    struct trial items[] = {trial_of("a/b@bookworm", "bookworm")};
    const struct trials all = {items, 1};
    assert_int_equal(expectations_outdated(&lists.list, &all, 20261123, &lists.diags), 3);
    assert_int_equal(lists.diags.count, 4);
    assert_string_equal(lists.diags.items[0].text, "'a/b' expired after 2026-11-22");
    assert_int_equal(lists.diags.items[0].line, 3);
    assert_int_equal(lists.diags.items[0].column, 10);
    assert_string_equal(lists.diags.items[1].text, "'gone/*' matches no trial: remove the entry");
    assert_int_equal(lists.diags.items[1].line, 8);
    assert_int_equal(expectations_outdated(&lists.list, &all, 20261124, &lists.diags), 4);
}

/* --- what a trial counts as ----------------------------------------------- */

#define WHOLE "- match: a/b" REST
#define CLAIM "- match: a/b:claim" REST
#define FILES "- match: a/b:store/must/ca-file" REST

static const struct {
    const char *name;
    const char *entries;
    bool bad;
    const char *failing[3];
    enum outcome outcome;
    int entry; /* index; -1: none */
} applied[] = {
    {"no entry, passes", "- match: x/y" REST, false, {NULL}, OUTCOME_AS_IS, -1},
    {"no entry, fails", "- match: x/y" REST, true, {"claim"}, OUTCOME_AS_IS, -1},
    {"whole, fails", WHOLE, true, {"claim", "exit"}, OUTCOME_XFAIL, 0},
    {"whole, times out", WHOLE, true, {NULL}, OUTCOME_XFAIL, 0},
    {"whole, passes", WHOLE, false, {NULL}, OUTCOME_XPASS, 0},
    {"check, fails so", CLAIM, true, {"claim"}, OUTCOME_XFAIL, 0},
    {"check, another fails", CLAIM, true, {"exit"}, OUTCOME_AS_IS, -1},
    {"check, another fails too", CLAIM, true, {"claim", "exit"}, OUTCOME_AS_IS, -1},
    {"check, another fails first", CLAIM, true, {"exit", "claim"}, OUTCOME_AS_IS, -1},
    {"check, leaks", CLAIM, true, {NULL}, OUTCOME_AS_IS, -1},
    {"check, passes", CLAIM, false, {NULL}, OUTCOME_XPASS, 0},
    {"two checks, both fail", CLAIM FILES, true, {"store/must/ca-file", "claim"}, OUTCOME_XFAIL, 1},
    {"two checks, one fails", CLAIM FILES, true, {"claim"}, OUTCOME_XPASS, 1},
    {"two checks, none fails", CLAIM FILES, false, {NULL}, OUTCOME_XPASS, 0},
    {"whole and check, both come", WHOLE CLAIM, true, {"claim", "exit"}, OUTCOME_XFAIL, 0},
    {"whole and check, the check passes", WHOLE CLAIM, true, {"exit"}, OUTCOME_XPASS, 1},
    {"skip covers nothing",
     "- match: a/b\n  verdict: skip\n  reason: x\n  ref: t\n",
     true,
     {"claim"},
     OUTCOME_AS_IS,
     -1},
    {"check skipped, fails", SKIP, true, {"claim"}, OUTCOME_XFAIL, 0},
    {"check skipped, passes", SKIP, false, {NULL}, OUTCOME_AS_IS, -1},
    {"check skipped, another fails too", SKIP, true, {"claim", "exit"}, OUTCOME_AS_IS, -1},
    {"check skipped, leaks", SKIP, true, {NULL}, OUTCOME_AS_IS, -1},
    {"check skipped, another is known",
     SKIP FILES,
     true,
     {"claim", "store/must/ca-file"},
     OUTCOME_XFAIL,
     0},
    {"another layout", "- match: a/b\n  layout: trixie" REST, true, {"claim"}, OUTCOME_AS_IS, -1},
    {"another trial on the id", "- match: a/b@trixie" REST, true, {"claim"}, OUTCOME_AS_IS, -1},
    {"no list", NULL, true, {"claim"}, OUTCOME_AS_IS, -1},
};

static void an_outcome_is_what_the_entries_say(void **state)
{
    (void)state;
    const struct trial trial = trial_of("a/b@bookworm", "bookworm");
    for (size_t i = 0; i < sizeof applied / sizeof *applied; i++) {
        LISTS(lists);
        const struct expectation *entry = NULL;
        if (applied[i].entries)
            load_good(applied[i].entries, &lists);
        enum outcome outcome =
            expectations_apply(&lists.list, &trial, applied[i].bad, applied[i].failing, &entry);
        int index = entry ? (int)(entry - lists.list.items) : -1;
        if (outcome != applied[i].outcome || index != applied[i].entry)
            fail_msg("%s: outcome %d by entry %d", applied[i].name, (int)outcome, index);
        assert_int_equal(
            expectations_apply(&lists.list, &trial, applied[i].bad, applied[i].failing, NULL),
            outcome);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_read),
        cmocka_unit_test(each_mistake_has_its_place),
        cmocka_unit_test(entries_for_different_layouts_are_no_repetition),
        cmocka_unit_test(a_bad_list_is_bad_again),
        cmocka_unit_test(skip_is_found_by_glob_and_layout),
        cmocka_unit_test(old_entries_are_told),
        cmocka_unit_test(an_outcome_is_what_the_entries_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
