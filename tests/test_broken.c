/*
 * The suite must catch mistakes: each mutant of tests/broken/ has one, and says which check must
 * find it. mutants.c plays them; here its rule is tried on made-up results first.
 */
#include "support.h"

#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "../fault/home.h"
#include "mutant.h"

#define MUTANTS_MIN 25
#define CHANGED_LINES_MAX 5
#define RUN_MS 900000

/* --- the rule on made-up results ---------------------------------------------------------- */

#define HEADER "# must be caught by: claim in kill/*\n# and: log/fatal in kill/*\n"
#define CHECK(id, result) "{\"id\":\"" id "\",\"result\":\"" result "\",\"decides\":true}"
#define TRIAL(id, verdict, checks)                                                                 \
    "\"" id "@x\":{\"id\":\"" id "@x\",\"verdict\":\"" verdict "\",\"checks\":[" checks "]}"
#define WELL(id) TRIAL(id, "PASS", CHECK("claim", "pass") "," CHECK("log/fatal", "pass"))
#define CAUGHT(id) TRIAL(id, "FAIL", CHECK("claim", "fail") "," CHECK("log/fatal", "fail"))

struct rule_case {
    const char *name;
    const char *header;
    const char *found;
    const char *objection; /* NULL: none */
};
static const struct rule_case rule_cases[] = {
    {"caught", HEADER, WELL(MUTANT_UNDISTURBED) "," CAUGHT("kill/a"), NULL},
    {"a right backend", HEADER, WELL(MUTANT_UNDISTURBED) "," WELL("kill/a"),
     "claim does not catch it"},
    {"caught in one of two", HEADER,
     WELL(MUTANT_UNDISTURBED) "," CAUGHT("kill/a") "," WELL("kill/b"),
     "does not catch it in kill/b"},
    {"an unrelated check", "# must be caught by: claim in kill/*\n",
     WELL(MUTANT_UNDISTURBED) "," CAUGHT("kill/a"), "log/fatal fails in kill/a"},
    {"a listed check, but elsewhere", HEADER,
     WELL(MUTANT_UNDISTURBED) "," CAUGHT("kill/a") "," CAUGHT("cp/a"), "log/fatal fails in cp/a"},
    {"a listed check that never fails", HEADER "# and: settle in *\n",
     WELL(MUTANT_UNDISTURBED) "," CAUGHT("kill/a"), "its file lists settle"},
    {"hidden by the verdict", HEADER,
     WELL(MUTANT_UNDISTURBED) "," TRIAL("kill/a", "XFAIL", CHECK("claim", "fail")),
     "is XFAIL although checks fail"},
    {"no verdict", HEADER,
     WELL(MUTANT_UNDISTURBED) "," TRIAL("kill/a", "UNRESOLVED", CHECK("claim", "pass")),
     "kill/a@x is UNRESOLVED, for the right backend PASS"},
    {"shown undisturbed, unsaid", "# must be caught by: claim in *\n# and: log/fatal in *\n",
     CAUGHT(MUTANT_UNDISTURBED), "fails, its file says otherwise"},
    {"said undisturbed, not shown", HEADER "# shows undisturbed\n",
     WELL(MUTANT_UNDISTURBED) "," CAUGHT("kill/a"), "passes, its file says otherwise"},
    {"its scenario not played", HEADER, WELL(MUTANT_UNDISTURBED), "kill/* was not played"},
    {"undisturbed not played", HEADER, CAUGHT("kill/a"), MUTANT_UNDISTURBED " was not played"},
};

static void a_wrong_account_of_a_mistake_is_refused(void **state)
{
    (void)state;
    json_t *good = json_loads(
        "{" WELL(MUTANT_UNDISTURBED) "," WELL("kill/a") "," WELL("kill/b") "," WELL("cp/a") "}", 0,
        NULL);
    assert_non_null(good);
    for (size_t i = 0; i < sizeof rule_cases / sizeof *rule_cases; i++) {
        const struct rule_case *row = &rule_cases[i];
        CLEANUP(mutant_release) struct mutant mutant = {NULL};
        CLEANUP(io_free) char *text = io_format("{%s}", row->found);
        json_t *found = json_loads(text, 0, NULL);
        if (!found || !mutant_parse(row->header, &mutant))
            fail_msg("%s: bad row", row->name);
        CLEANUP(io_free) char *objection = mutant_find_objection(&mutant, good, found);
        if (!objection != !row->objection || (objection && !strstr(objection, row->objection)))
            fail_msg("%s: expected '%s', found '%s'", row->name,
                     row->objection ? row->objection : "none", objection ? objection : "none");
        json_decref(found);
    }
    json_decref(good);
}

static void comments_that_name_no_check_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "machine=$1\n",
                                        "# a comment\n# must be caught by: claim in kill/*\n",
                                        "# must be caught by: claim\n",
                                        "# must be caught by: in kill/*\n",
                                        "# must be caught by: claim settle in kill/*\n",
                                        "# must be caught by: claim in kill/* cp/*\n",
                                        "# must be caught by: claim in kill/*\n# and: settle\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        CLEANUP(mutant_release) struct mutant mutant = {NULL};
        if (mutant_parse(texts[i], &mutant))
            fail_msg("taken for a mutant: %s", texts[i]);
    }
}

/* --- the mutants -------------------------------------------------------------------------- */

/* Of takes-signal-for-137 the script is right, and what is declared of it is wrong. */
static void each_mutant_differs_by_a_few_lines(void **state)
{
    (void)state;
    CLEANUP(io_free) char *folder = NULL;
    assert_int_equal(home_find("tests/broken", &folder, NULL), 0);
    CLEANUP(io_free) char *pattern = io_format("%s/*.sed", folder);
    glob_t files;
    assert_int_equal(glob(pattern, 0, NULL, &files), 0);
    assert_true(files.gl_pathc >= MUTANTS_MIN);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        const char *path = files.gl_pathv[i];
        struct run diff = run_sh("b='%s/../../scenarios/backends/posix-sh.sh'\n"
                                 "sed -f '%s' \"$b\" | sh -n && "
                                 "sed -f '%s' \"$b\" | diff \"$b\" - | grep -c '^[<>]'",
                                 folder, path, path);
        int lines = atoi(diff.out);
        bool same = strstr(path, "/takes-signal-for-137.sed") != NULL;
        if (!*diff.out || *diff.err || (lines == 0) != same || lines > CHANGED_LINES_MAX)
            fail_msg("%s differs by '%s' lines %s", path, diff.out, diff.err);
        run_release(&diff);
    }
    globfree(&files);
}

static void each_mutant_is_caught_by_its_check_and_by_no_other(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    CLEANUP(io_free) char *program = NULL;
    struct err err;
    if (home_find("tests/mutants", &program, &err) < 0)
        fail_msg("%s", err.msg);
    const char *const argv[] = {program, NULL};
    const struct proc_spec spec = {.argv = argv, .stdin_fd = -1};
    struct proc_result done = PROC_RESULT_INIT;
    if (proc_run(&spec, NULL, RUN_MS, &done, &err) < 0)
        fail_msg("%s", err.msg);
    CLEANUP(buf_release) struct buf said = BUF_INIT;
    capture_text(&done.out, &said);
    capture_text(&done.err, &said);
    if (done.how != PROC_EXITED || done.code != 0)
        fail_msg("%s", buf_str(&said));
    proc_result_release(&done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_account_of_a_mistake_is_refused),
        cmocka_unit_test(comments_that_name_no_check_are_refused),
        cmocka_unit_test(each_mutant_differs_by_a_few_lines),
        cmocka_unit_test(each_mutant_is_caught_by_its_check_and_by_no_other),
    };
    return cmocka_run_group_tests_name("broken", tests, NULL, NULL);
}
