/*
 * Choosing trials, shards, `killpoint merge` and `killpoint report`, as programs.
 */
#include "play.h"

#include <jansson.h>

#define CALM "expect: {claim: success, store: {must: report}}"
#define MATRIX(values) "matrix: {n: [" values "]}\nguest:\n  - mkdir: {path: '/tmp/${n}'}\n"
/* Six trials; three verdicts. */
static void add_some(void)
{
    play_add("calm", MATRIX("1, 2, 3") CALM);
    play_add("wrong", "tags: [odd]\n" MATRIX("1, 2") "expect: {claim: failure}");
    play_add("unfired", "faults: ['exec#3 begin']\n" CALM);
}

static void write_backend(const char *more)
{
    CLEANUP(io_free)
    char *text = io_format("format: 1\nname: yes\ntitle: of a test\ncommand:\n  smolvm: ['true']\n"
                           "%s",
                           more);
    play_write("backends/yes.yaml", text);
}

/* --- shards -------------------------------------------------------------------------------- */

static void reports_of_merged_shards_are_those_of_the_whole_run(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    add_some();
    write_backend("");
    struct run done = play(
        "killpoint run --backend yes --results whole >table; s=$?; "
        "for k in 1 2 3; do killpoint run --backend yes --shard $k/3 --results r$k >/dev/null; "
        "done; killpoint merge r3 r1 r2 --results merged >again; m=$?; [ $s = $m ] || "
        "{ echo \"status $s, then $m\"; exit 9; }; cmp table again || exit 8; "
        "for f in junit tap markdown html; do killpoint report whole --$f a && "
        "killpoint report merged --$f b || exit 7; sed -i 's/ time=\"[0-9.]*\"//g' a b; "
        "[ -s a ] && cmp a b || exit 6; done; exit $s");
    play_check_code("merged", &done, 3);
    run_release(&done);
}

static void shards_share_the_trials_and_may_be_empty(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    add_some();
    struct run done =
        play("killpoint list | sort >all; for k in 1 2 3; do killpoint list --shard $k/3; done | "
             "sort | cmp - all || exit 9; killpoint run --shard 1/3 'play/none' -- true");
    play_check_code("no such glob", &done, 4); /* it selects nothing in the whole */
    run_release(&done);
    done = play("for k in $(seq 9); do killpoint run --shard $k/9 'play/calm[n=1]' -- true >out || "
                "exit 8; grep -c 'nothing was played' out; done | grep -c 1");
    play_check_code("empty shards", &done, 0);
    assert_string_equal(done.out, "8\n");
    run_release(&done);
}

static void an_old_expectation_is_told_by_the_whole_alone(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    play_add("calm", MATRIX("1, 2, 3") CALM);
    write_backend("expectations: yes.expect.yaml\n");
    play_write("backends/yes.expect.yaml",
               "format: 1\nexpectations:\n"
               "  - {match: play/none, verdict: xfail, reason: x, ref: t}\n");
    struct run done =
        play("for k in 1 2; do killpoint run --backend yes --shard $k/2 --results r$k || exit 9; "
             "done >/dev/null; killpoint merge r1 r2 >/dev/null");
    play_check_code("an unmatched entry", &done, 1);
    play_check_has("an unmatched entry", done.err,
                   "yes.expect.yaml:3:13: error: 'play/none' matches no trial");
    run_release(&done);
}

static void what_is_no_whole_run_is_not_merged(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    play_add("calm", MATRIX("1, 2, 3") CALM);
    struct run done = play("killpoint run --shard 1/2 --results r1 -- true >/dev/null; "
                           "killpoint merge r1 --results out; s=$?; [ ! -e out ] || exit 9; "
                           "cp r1 again; killpoint merge r1 again; [ $? = 5 ] || exit 8; "
                           "killpoint merge nosuch; [ $? = 5 ] || exit 7; "
                           "killpoint merge; [ $? = 2 ] || exit 6; "
                           "killpoint merge r1 nosuch; [ $? = 5 ] || exit 5; "
                           "killpoint merge r1 ./r1; [ $? = 2 ] || exit 12; "
                           "printf '{\"ev' >r2; killpoint merge r2 r1; [ $? = 5 ] || exit 4; "
                           "killpoint report r2 --tap -; [ $? = 2 ] || exit 3; "
                           "echo no >bad; killpoint merge r1 bad; [ $? = 2 ] || exit 1; "
                           "killpoint run --shard 2/2 --results r2 -- true >/dev/null; : >r3; "
                           "killpoint merge r1 r2 r3; [ $? = 5 ] || exit 11; exit $s");
    play_check_code("half a run", &done, 5);
    play_check_has("half a run", done.err, "killpoint merge: 1 missing: shard 2/2\n");
    play_check_has("half a run", done.err,
                   "killpoint merge: shard 1/2 is there twice: r1 and again\n");
    play_check_has("half a run", done.err, "killpoint merge: ./r1: it is given twice\n");
    play_check_has("half a run", done.err,
                   "killpoint merge: there is no run (open nosuch: No such file or directory)\n");
    play_check_has("half a run", done.err,
                   "killpoint merge: 1 missing: shard 2/2 (open nosuch: No such file or ");
    play_check_has("half a run", done.err,
                   "killpoint merge: 1 missing: shard 2/2 (r2: there are no events in it)\n");
    play_check_has("half a run", done.err, "killpoint merge: bad:1: no JSON object\n");
    play_check_has("half a run", done.err,
                   "killpoint merge: every shard is there, but not every file (r3: there are no");
    play_check_has("half a run", done.err, "killpoint merge: a results file is missing\n");
    assert_string_equal(done.out, "");
    run_release(&done);
}

/* As by a job that is started again with the file of before. */
static void of_a_shard_that_was_begun_anew_the_last_run_counts(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    play_add("calm", MATRIX("1, 2, 3") CALM);
    struct run done =
        play("for k in 1 2; do killpoint run --shard $k/2 --results r$k -- true >/dev/null; done; "
             "killpoint merge r1 r2 >once || exit 9; sed -i '$d' r1; killpoint merge r1 r2; "
             "[ $? = 5 ] || exit 8; killpoint run --shard 1/2 --results r1 -- true >/dev/null; "
             "killpoint merge r1 r2 >again || exit 7; cmp once again");
    play_check_code("begun anew", &done, 0);
    play_check_has("begun anew", done.err, "r1, shard 1/2, is cut off");
    run_release(&done);
}

/* --- choosing ------------------------------------------------------------------------------- */

static void what_failed_is_played_again_alone(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    add_some();
    struct run done =
        play("killpoint run --results r -- true >/dev/null; killpoint list --failed-from r; "
             "echo; killpoint list --failed-from r 'play/wrong*'; echo; "
             "killpoint run --results r --failed-from r -- false >/dev/null; "
             "killpoint list --failed-from r");
    play_check_code("failed", &done, 0);
    assert_string_equal(done.out, "play/unfired@bookworm-mini\nplay/wrong[n=1]@bookworm-mini\n"
                                  "play/wrong[n=2]@bookworm-mini\n\nplay/wrong[n=1]@bookworm-mini\n"
                                  "play/wrong[n=2]@bookworm-mini\n\nplay/unfired@bookworm-mini\n");
    run_release(&done);
    done = play("killpoint run --results good play/calm -- true >/dev/null; "
                "killpoint run --failed-from good -- true");
    play_check_code("nothing failed", &done, 4);
    play_check_has("nothing failed", done.err, "good: everything there ended as expected");
    run_release(&done);
    done = play("rm scenarios/suite/unfired.yaml; killpoint list --failed-from r");
    play_check_code("gone", &done, 2);
    play_check_has("gone", done.err, "'play/unfired@bookworm-mini' failed then and is no trial");
    run_release(&done);
}

static void what_failed_goes_by_backend(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    add_some();
    write_backend("");
    play_write("backends/no.yaml",
               "format: 1\nname: no\ntitle: of a test\ncommand:\n  smolvm: ['false']\n");
    struct run done = play(
        "for b in yes no; do killpoint run --backend $b --results r play/calm play/wrong >out; "
        "done; for b in yes no; do killpoint run --backend $b --failed-from r --results $b >out; "
        "sed -n 's/.*\"event\":\"trial\",\"id\":\"\\([^\"]*\\).*/\\1/p' $b | sort; done; "
        "killpoint run --backend yes --failed-from no");
    play_check_code("of another backend", &done, 2);
    play_check_has("of another backend", done.err,
                   "no: there is no run of the backend 'yes' in it\n");
    assert_string_equal(done.out, "play/wrong[n=1]@bookworm-mini\nplay/wrong[n=2]@bookworm-mini\n"
                                  "play/calm[n=1]@bookworm-mini\nplay/calm[n=2]@bookworm-mini\n"
                                  "play/calm[n=3]@bookworm-mini\n");
    run_release(&done);
}

static void tags_choose_scenarios(void **state)
{
    (void)state;
    add_some();
    play_add("other", "tags: [odd, new]\n" CALM);
    static const struct {
        const char *args, *out;
        int code;
    } rows[] = {
        {"--tag odd",
         "play/other@bookworm-mini\nplay/wrong[n=1]@bookworm-mini\n"
         "play/wrong[n=2]@bookworm-mini\n",
         0},
        {"--tag odd --tag new 'play/o*'", "play/other@bookworm-mini\n", 0},
        {"--tag new 'play/wrong*'", "", 4},
        {"--tag old", "", 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(io_free) char *script = io_format("killpoint list %s", rows[i].args);
        struct run done = play(script);
        play_check_code(rows[i].args, &done, rows[i].code);
        assert_string_equal(done.out, rows[i].out);
        run_release(&done);
    }
}

/* --- reports ---------------------------------------------------------------------------------- */

static void one_command_plays_and_writes_all_reports(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    add_some();
    struct run done =
        play("killpoint run --results r --junit j --tap t --markdown m --html h -- false >out; "
             "s=$?; for f in junit:j tap:t markdown:m html:h; do "
             "killpoint report r --${f%:*} - | cmp - ${f#*:} || exit 9; done; "
             "grep -c '^ok' t; grep -c '^not ok' t; exit $s");
    play_check_code("all reports", &done, 1);
    assert_string_equal(done.out, "2\n4\n");
    run_release(&done);
    done = play("killpoint run --tap - 'play/wrong[n=1]' -- false; echo $?; "
                "killpoint run --tap - --html - -- true; echo $?; killpoint report r; echo $?; "
                "killpoint report nosuch --tap -; echo $?; killpoint report r --tap /no/where; "
                "killpoint report r --tap - >/dev/full; killpoint run --junit /no/where -- true");
    play_check_code("stdout", &done, 2);
    assert_string_equal(done.out, "TAP version 14\n1..1\nok 1 - command on bookworm-mini: "
                                  "play/wrong[n=1]@bookworm-mini\n0\n2\n2\n2\n");
    play_check_has("stdout", done.err, "killpoint run: only one report can go to stdout\n");
    play_check_has("stdout", done.err, "killpoint report: say which: --junit");
    play_check_has("stdout", done.err, "killpoint report: open nosuch: No such file");
    play_check_has("stdout", done.err, "killpoint report: write /no/where: No such file");
    play_check_has("stdout", done.err, "killpoint report: write -: No space left on device\n");
    play_check_has("stdout", done.err, "killpoint run: write /no/where: No such file");
    run_release(&done);
}

static void an_old_report_stays_until_there_is_a_new_one(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    play_add("calm", CALM);
    struct run done = play(
        "echo old >j; ln -s j l; killpoint run --junit j --backend nosuch; echo $?; "
        "killpoint run --junit j --tap l --evidence e -- true; echo $?; "
        "killpoint run --results r --tap \"$PWD/r\" -- true; echo $?; "
        "killpoint run --markdown new --results r -- sh -c 'sleep 100' >table & p=$!; "
        "while ! [ -s r ]; do sleep 0.02; done; kill -TERM $p; wait $p; echo $?; "
        "killpoint report r --html r; echo $?; killpoint merge r --results s --html s; echo $?; "
        "ls -d e new r s; cat j; killpoint report r --junit l && [ -L l ] && grep -c '<testsuites' "
        "j; "
        "killpoint run --tap /dev/null --junit j -- true >table && [ -c /dev/null ] && ls *.new");
    assert_string_equal(done.out, "2\n2\n2\n130\n2\n2\nr\nold\n1\n");
    static const char *const lines[] = {
        "killpoint run: a report needs a file of its own: 'j' and 'l' are one\n",
        "killpoint report: a report needs a file of its own: 'r' and 'r' are one\n",
        "killpoint merge: a report needs a file of its own: 's' and 's' are one\n"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        play_check_has("files", done.err, lines[i]);
    run_release(&done);
}

/* Who answers "not supported" to all has not passed. */
static void where_nothing_is_judged_nothing_looks_like_success(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    play_add("calm", MATRIX("1, 2") CALM);
    play_write("backends/yes.yaml", "format: 1\nname: yes\ntitle: of a test\ncommand:\n"
                                    "  smolvm: [sh, -c, 'exit 77']\n"
                                    "expectations: yes.expect.yaml\n");
    play_write("backends/yes.expect.yaml",
               "format: 1\nexpectations:\n"
               "  - {match: 'play/calm[n=1]', verdict: skip, reason: x, ref: t}\n");
    struct run done =
        play("killpoint run --backend yes --results r --junit j --tap t --markdown m --html h; "
             "s=$?; cat j t m h >&2; killpoint merge r >/dev/null; [ $? = $s ] || exit 9; exit $s");
    play_check_code("77 to all", &done, 4);
    play_check_has("77 to all", done.out, "\nnothing was judged: no trial passed or failed, ");
    static const char *const lines[] = {
        "errors=\"1\" skipped=\"2\"", "\nnot ok 3 - yes, the run: nothing was judged\n",
        "| ERROR | nothing was judged |", "ERROR</span> nothing was judged: "};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        play_check_has("77 to all", done.err, lines[i]);
    run_release(&done);
}

/* Debian's junitparser reads what the results file says. */
static void junitparser_counts_the_same(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    struct run there = run_sh("/usr/bin/python3 -c 'import junitparser'");
    bool missing = there.how != PROC_EXITED || there.code != 0;
    run_release(&there);
    if (missing && getenv("CI"))
        fail_msg("python3-junitparser is not installed");
    if (missing)
        skip();
    add_some();
    struct run done =
        play("killpoint run --results r --junit j -- sh -c 'echo \"]]>&<x>\\033\" >&2' "
             ">/dev/null; /usr/bin/python3 - <<'END'\n"
             "import json\n"
             "from junitparser import JUnitXml, Error, Failure, Skipped\n"
             "events = [json.loads(line) for line in open('r')]\n"
             "kinds = {'PASS': None, 'FAIL': Failure, 'XPASS': Failure, 'XFAIL': Skipped,\n"
             "         'SKIP': Skipped, 'UNSUPPORTED': Skipped}\n"
             "want = {e['id']: kinds.get(e['verdict'], Error) for e in events if 'id' in e}\n"
             "xml = JUnitXml.fromfile('j')\n"
             "found = {c.name: type(c.result[0]) if c.result else None for s in xml for c in s}\n"
             "assert found == want, (found, want)\n"
             "n = lambda kind: sum(k is kind for k in want.values())\n"
             "assert (xml.tests, xml.failures, xml.errors, xml.skipped) == (\n"
             "    len(want), n(Failure), n(Error), n(Skipped))\n"
             "for suite in xml:\n"
             "    counts = (suite.tests, suite.failures, suite.errors, suite.skipped)\n"
             "    suite.update_statistics()\n"
             "    assert counts == (suite.tests, suite.failures, suite.errors, suite.skipped)\n"
             "print(len(want), n(Failure), n(Error))\n"
             "END");
    play_check_code("junitparser", &done, 0);
    assert_string_equal(done.out, "6 2 1\n");
    run_release(&done);
}

static void on_github_what_is_bad_is_annotated(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    play_add("one", "expect: {claim: failure}");
    struct run done = play("GITHUB_ACTIONS=true killpoint run -- true >/dev/null");
    play_check_code("annotated", &done, 1);
    assert_string_equal(done.err,
                        "::error file=scenarios/suite/one.yaml,line=2,title=FAIL "
                        "play/one@bookworm-mini::claim: expected failure (exit status not 0), "
                        "found exit status 0\n");
    run_release(&done);
}

/* What an exploration writes itself is what is drawn from its results, also when taken up again. */
static void reports_of_an_exploration_come_from_its_results(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    struct run done = play(
        "killpoint explore --layout bookworm-mini --results r --html h --markdown m -- "
        "{bin}/provision-ca --policy upstream --settle 0.1 --machine {machine} --plan {plan} >out; "
        "s=$?; killpoint report r --html h2 --markdown m2 --tap t --junit j || exit 9; "
        "cmp h h2 && cmp m m2 || exit 8; "
        "grep -o '<li><a class=\"tag [a-z]*\"' h | sort | uniq -c; grep -c '^ok' t; "
        "grep -o 'tests=\"[0-9]*\" failures=\"[0-9]*\" errors=\"[0-9]*\"' j | head -n 1; "
        "grep -c ': file 0600 0:0 .* instead of nothing</code>' h; exit $s");
    play_check_code("explored", &done, 1);
    play_check_has("explored", done.out, "     11 <li><a class=\"tag dirty\"\n");
    play_check_has("explored", done.out, "      3 <li><a class=\"tag broken\"\n");
    play_check_has("explored", done.out, "      2 <li><a class=\"tag fine\"\n");
    play_check_has("explored", done.out, "\n2\ntests=\"16\" failures=\"14\" errors=\"0\"\n");
    run_release(&done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, play_set_up, play_tear_down)
        T(reports_of_merged_shards_are_those_of_the_whole_run),
        T(shards_share_the_trials_and_may_be_empty),
        T(an_old_expectation_is_told_by_the_whole_alone),
        T(what_is_no_whole_run_is_not_merged),
        T(of_a_shard_that_was_begun_anew_the_last_run_counts),
        T(what_failed_is_played_again_alone),
        T(what_failed_goes_by_backend),
        T(tags_choose_scenarios),
        T(one_command_plays_and_writes_all_reports),
        T(an_old_report_stays_until_there_is_a_new_one),
        T(where_nothing_is_judged_nothing_looks_like_success),
        T(junitparser_counts_the_same),
        T(on_github_what_is_bad_is_annotated),
        T(reports_of_an_exploration_come_from_its_results),
    };
    return cmocka_run_group_tests_name("killpoint_report", tests, NULL, NULL);
}
