/*
 * killpoint as a program: exit statuses, what it prints, what it writes to --results, and
 * lines of its own that must do what they say when they are pasted.
 */
#include "play.h"

#include <jansson.h>

#define CALM "expect: {claim: success, store: {must: report}}"

#define MATRIX(values) "matrix: {n: [" values "]}\nguest:\n  - mkdir: {path: '/tmp/${n}'}\n"

/* --- exit statuses of run ------------------------------------------------------------- */

struct row {
    const char *name;
    const char *scenario; /* more YAML of play/one; NULL: there is none */
    const char *entry;    /* of the expectation list of backend `yes` and `no`; NULL: no list */
    const char *script;
    int code;
    const char *out, *err; /* must stand there; NULL: nothing more */
};

#define ENTRY "match: play/one, reason: of a test, ref: bug 12"
static const struct row rows[] = {
    {"all as expected", CALM, NULL, "killpoint run -- true", 0, "1 passed, 0 failed", NULL},
    {"a wrong claim", CALM, NULL, "killpoint run -- false", 1, "FAIL        play/one@", NULL},
    {"an expected failure", CALM, ENTRY ", verdict: xfail", "killpoint run --backend no", 0,
     "XFAIL       play/one@bookworm-mini  -- of a test (bug 12)", NULL},
    {"an entry of one check", CALM,
     "match: 'play/one:claim', reason: of a test, ref: t, verdict: xfail",
     "killpoint run --backend no", 0, "XFAIL       play/one@bookworm-mini  -- of a test", NULL},
    {"an entry of a check that does not fail", CALM,
     "match: 'play/one:time', reason: of a test, ref: t, verdict: xfail",
     "killpoint run --backend yes", 1, "XPASS       play/one@", NULL},
    {"an entry of another check than fails", CALM,
     "match: 'play/one:time', reason: of a test, ref: t, verdict: xfail",
     "killpoint run --backend no", 1, "FAIL        play/one@", NULL},
    {"an entry that skips and expired", CALM, ENTRY ", verdict: skip, expires: 2020-02-29",
     "killpoint run --backend no", 1, "SKIP        play/one@", "expired after 2020-02-29"},
    {"a stale entry", CALM, ENTRY ", verdict: xfail", "killpoint run --backend yes", 1,
     "XPASS       play/one@", NULL},
    {"an entry that skips", CALM, ENTRY ", verdict: skip", "killpoint run --backend no", 0,
     "SKIP        play/one@bookworm-mini  -- of a test (bug 12)", NULL},
    {"an entry without a reference", CALM, "match: play/one, reason: r, verdict: xfail",
     "killpoint run --backend no", 2, "", "the key 'ref' is missing"},
    {"an unmatched entry", CALM, "match: play/two, reason: of a test, ref: t, verdict: xfail",
     "killpoint run --backend yes", 1, "1 passed, 0 failed", "'play/two' matches no trial"},
    {"an expired entry", CALM, ENTRY ", verdict: xfail, expires: 2020-02-29",
     "killpoint run --backend no", 1, "XFAIL       play/one@", "expired after 2020-02-29"},
    {"a rule that never fires", "faults: ['exec#2 begin']\n" CALM, NULL,
     "killpoint run -- smolvm machine exec --name {machine} -- true", 3, "UNRESOLVED  play/one@",
     NULL},
    {"a prestate step that fails", "guest:\n  - run: exit 3\n" CALM, NULL, "killpoint run -- true",
     3, "ERROR       play/one@", NULL},
    {"results that cannot be written", CALM, NULL, "killpoint run --results /dev/full -- true", 3,
     "1 passed, 0 failed", "/dev/full"},
    {"a table that cannot be written", CALM, NULL, "killpoint run -- true >/dev/full", 3, NULL,
     "write stdout"},
    {"no backend", CALM, NULL, "killpoint run", 2, NULL, "--backend"},
    {"a backend twice", CALM, NULL, "killpoint run --backend yes -- true", 2, NULL, "--backend"},
    {"no command", CALM, NULL, "killpoint run --", 2, NULL, "no command"},
    {"an unknown option", CALM, NULL, "killpoint run --bogus -- true", 2, NULL, "--bogus"},
    {"an unknown backend", CALM, NULL, "killpoint run --backend nobody", 2, NULL,
     "unknown backend 'nobody'; a file"},
    {"an unknown layout", CALM, NULL, "killpoint run --layout nowhere -- true", 2, NULL, "nowhere"},
    {"a mistyped backend", CALM, NULL, "killpoint run --backend yess", 2, NULL,
     "unknown backend 'yess'; did you mean 'yes'?"},
    {"a mistyped placeholder", CALM, NULL, "killpoint run -- echo '{cert} {machne}'", 2, NULL,
     "unknown placeholder '{machne}'; did you mean '{machine}'?"},
    {"no jobs", CALM, NULL, "killpoint run -j 0 -- true", 2, NULL, "-j"},
    {"an unknown driver", CALM, NULL, "killpoint run --driver podman -- true", 2, NULL, "podman"},
    {"a results file in no folder", CALM, NULL, "killpoint run --results no/where -- true", 2, NULL,
     "no/where"},
    {"a layout that is not built", CALM, NULL, "KILLPOINT_LAYOUTS=$KP killpoint run -- true", 2,
     NULL, "bookworm-mini"},
    {"a bad scenario file", "bogus: 1\n" CALM, NULL, "killpoint run -- true", 2, NULL,
     "one.yaml:6:1: error: "},
    {"a bad backend file", CALM, "match: play/one", "killpoint run --backend no", 2, NULL,
     "no.expect.yaml:"},
    {"a glob that selects nothing", CALM, NULL, "killpoint run 'other/*' -- true", 4, NULL,
     "other/*"},
    {"a driver that no scenario has", CALM, NULL, "killpoint run --driver docker -- true", 4, NULL,
     ""},
    {"no scenario at all", NULL, NULL, "killpoint run -- true", 4, NULL, ""},
    {"a scenario for another driver", "driver: docker\n" CALM, NULL, "killpoint run -- true", 4,
     "UNSUPPORTED play/one@", NULL},
};

static void write_backends(const char *entry)
{
    static const char *const names[] = {"yes", "no"};
    for (size_t i = 0; i < 2; i++) {
        CLEANUP(io_free) char *file = io_format("backends/%s.yaml", names[i]);
        CLEANUP(io_free) char *list = io_format("backends/%s.expect.yaml", names[i]);
        CLEANUP(io_free)
        char *text =
            io_format("format: 1\nname: %s\ntitle: of a test\ncommand:\n"
                      "  smolvm: [%s]\n%s%s%s",
                      names[i], i == 0 ? "'true'" : "'false'", entry ? "expectations: " : "",
                      entry ? names[i] : "", entry ? ".expect.yaml\n" : "");
        CLEANUP(io_free)
        char *entries = io_format("format: 1\nexpectations:\n  - {%s}\n", entry ? entry : "");
        play_write(file, text);
        if (entry)
            play_write(list, entries);
    }
}

static void check_row(const struct row *row)
{
    struct run done = play("rm -f scenarios/suite/*");
    run_release(&done);
    if (row->scenario)
        play_add("one", row->scenario);
    write_backends(row->entry);
    done = play(row->script);
    play_check_code(row->name, &done, row->code);
    if (row->out)
        play_check_has(row->name, done.out, row->out);
    else
        assert_string_equal(done.out, "");
    if (row->err)
        play_check_has(row->name, done.err, row->err);
    else
        assert_string_equal(done.err, "");
    run_release(&done);
}

static void each_exit_status_says_what_it_should(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_row(&rows[i]);
}

static void trouble_of_the_harness_comes_before_findings(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    play_add("one", CALM);
    play_add("two", "guest:\n  - run: exit 3\n" CALM);
    struct run done = play("killpoint run -- false");
    play_check_code("an error and a failure", &done, 3);
    play_check_has("both", done.out, "FAIL        play/one@");
    play_check_has("both", done.out, "ERROR       play/two@");
    run_release(&done);
}

static void where_everything_fails_the_adapter_is_doubted(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    play_add("one", CALM);
    play_add("two", "expect: {claim: failure}");
    struct run one = play("killpoint run -- false");
    play_check_code("one of two", &one, 1);
    assert_null(strstr(one.out, "adapter"));
    run_release(&one);
    play_add("two", CALM);
    struct run all = play("killpoint run -- false");
    play_check_code("both", &all, 1);
    play_check_has("both", all.out, "\neverything fails: the adapter is probably broken");
    run_release(&all);
}

/* --- what it prints -------------------------------------------------------------------- */

/* Five trials of four verdicts. */
static void add_some(void)
{
    play_add("fails", MATRIX("1, 2") "expect: {claim: failure}");
    play_add("passes", "expect: {claim: success}");
    play_add("unresolved", "faults: ['exec#3 begin']\nexpect: {claim: success}");
    play_add("times-out", "limits: {run_ms: 500}\nguest:\n  - write: {path: "
                          "/usr/sbin/update-ca-certificates, mode: '0755', text: \"#!/bin/sh\\n"
                          "sleep 100\\n\"}\nexpect: {claim: failure}");
}

/* Two scripts must end alike and print the same on stdout, and nothing on stderr. */
static void check_same(const char *name, const char *one, const char *two)
{
    struct run first = play(one), second = play(two);
    play_check_code(name, &first, 3);
    play_check_code(name, &second, 3);
    if (strcmp(first.out, second.out) != 0)
        fail_msg("%s:\n%s--- is not\n%s", name, first.out, second.out);
    assert_string_equal(first.err, "");
    assert_string_equal(second.err, "");
    run_release(&first);
    run_release(&second);
}

static void two_runs_print_the_same_whatever_the_order_and_the_jobs(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    add_some();
    check_same("two runs", "killpoint run -- " PLAY_GOOD, "killpoint run -- " PLAY_GOOD);
    check_same("-j 1 and -j 4", "killpoint run -j 1 -- " PLAY_GOOD,
               "killpoint run -j 4 -- " PLAY_GOOD);
    check_same("--shuffle",
               "killpoint run -- " PLAY_GOOD "; s=$?; echo shuffled with seed 7; exit $s",
               "killpoint run --shuffle 7 -- " PLAY_GOOD);
}

static void a_trials_own_paths_are_not_printed(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    play_add("one", CALM);
    struct run done = play("killpoint run -- sh -c 'echo no {plan} >&2; exit 1'");
    play_check_code("a path", &done, 1);
    play_check_has("a path", done.out, "it said   no TRIAL/plan1/plan.json");
    assert_null(strstr(done.out, "run-"));
    run_release(&done);
}

static void a_failed_check_says_what_was_expected_and_found(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    play_add("one", "expect: {claim: success, calls: {cp: 1}, store: {must: report}}");
    struct run done = play("killpoint run -- false");
    play_check_code("checks", &done, 1);
    play_check_has("claim", done.out,
                   "    claim\n      expected  success (exit status 0)\n"
                   "      found     exit status 1\n");
    play_check_has("calls", done.out, "    calls/cp\n      expected  1\n      found     0\n");
    assert_null(strstr(done.out, "\033"));
    run_release(&done);
}

/* The text behind `word` in the first line that begins with it; freed by the caller. */
static char *line_behind(const char *text, const char *word)
{
    const char *at = strstr(text, word);
    if (!at)
        fail_msg("no '%s' in\n%s", word, text);
    at += strlen(word);
    return strndup(at, strcspn(at, "\n"));
}

static const struct {
    const char *name;
    const char *script;
    const char *layout; /* that must be built, too */
} pastes[] = {
    {"a command", "killpoint run 'play/fails*n=2*' -- sh -c 'echo \"it'\\''s $HOME\" >&2; exit 0'",
     "bookworm-mini"},
    {"a backend", "killpoint run --backend yes '*n=2*'", "bookworm-mini"},
    {"a backend's file", "killpoint run --backend 'scenarios/my backends/yes.yaml' '*n=2*'",
     "bookworm-mini"},
    {"another layout", "killpoint run --layout bullseye-mini --backend yes '*n=2*'",
     "bullseye-mini"},
};

static void the_line_that_reproduces_a_failure_does(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    add_some();
    write_backends(NULL);
    struct run copied = play("cp -r scenarios/backends 'scenarios/my backends'");
    check_success(&copied);
    run_release(&copied);
    for (size_t i = 0; i < sizeof pastes / sizeof *pastes; i++) {
        need_layout(pastes[i].layout);
        struct run first = play(pastes[i].script);
        play_check_code(pastes[i].name, &first, 1);
        play_check_has(pastes[i].name, first.out, "FAIL        play/fails[n=2]@");
        CLEANUP(io_free) char *line = line_behind(first.out, "again     ");
        struct run again = play(line);
        play_check_code(line, &again, 1);
        assert_string_equal(again.out, first.out);
        run_release(&first);
        run_release(&again);
    }
}

static void a_kept_machine_is_entered_by_the_line_that_is_printed(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    play_add("one", "expect: {claim: failure}");
    play_add("two", "expect: {claim: success}");
    struct run done = play("killpoint run --keep -- " PLAY_GOOD "; s=$?; ls state; exit $s");
    play_check_code("--keep", &done, 1);
    play_check_has("--keep", done.out, "kept-");
    assert_null(strstr(done.out, "run-"));
    CLEANUP(io_free) char *line = line_behind(done.out, "enter     ");
    CLEANUP(io_free)
    char *script = io_format("echo 'cat /usr/local/share/ca-certificates/*' | %s; s=$?\n"
                             "for m in state/kept-*; do KILLPOINT_STATE=$m "
                             "smolvm machine stop --name kp1; done; exit $s",
                             line);
    struct run shell = play(script);
    play_check_code(line, &shell, 0);
    play_check_has("the store", shell.out, "-----BEGIN CERTIFICATE-----");
    run_release(&shell);
    run_release(&done);
    done = play("killpoint run -- true; ls -d state/kept-*");
    play_check_has("the next run leaves it", done.out, "state/kept-");
    run_release(&done);
}

static void without_keep_no_machine_is_kept(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    play_add("one", CALM);
    struct run done = play("killpoint run -- false >/dev/null; ls -A state");
    assert_string_equal(done.out, "");
    run_release(&done);
}

/* --- what it plays ----------------------------------------------------------------------- */

static int64_t results_ms(void)
{
    struct run done = play("tail -n 1 results");
    json_t *end = json_loads(done.out, 0, NULL);
    assert_non_null(end);
    int64_t ms = json_integer_value(json_object_get(end, "ms"));
    json_decref(end);
    run_release(&done);
    return ms;
}

static void one_job_lets_one_machine_call_work_at_once(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    play_add("one", MATRIX("1, 2, 3, 4") CALM);
    struct run done = play("killpoint run -j 1 --results results -- "
                           "smolvm machine exec --name {machine} -- sleep 0.5");
    play_check_code("-j 1", &done, 0);
    run_release(&done);
    if (results_ms() < 2000)
        fail_msg("four sleeps of 0.5 s took %lld ms, so some ran at once", (long long)results_ms());
}

static void more_trials_are_in_flight_than_jobs(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    play_add("one", MATRIX("1, 2, 3, 4") CALM);
    struct run done = play("killpoint run -j 1 --results results -- sleep 3");
    play_check_code("-j 1", &done, 0);
    run_release(&done);
    if (results_ms() > 11000)
        fail_msg("four backends that sleep 3 s took %lld ms", (long long)results_ms());
}

static void layout_plays_the_scenarios_there(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    need_layout("bullseye-mini");
    play_add("one", CALM);
    struct run done =
        play("killpoint run --layout bullseye-mini --layout bookworm-mini -- "
             "smolvm machine exec --name {machine} -- grep -q '^1[12]' /etc/debian_version");
    play_check_code("--layout", &done, 0);
    play_check_has("--layout", done.out, "PASS        play/one@bullseye-mini");
    play_check_has("--layout", done.out, "PASS        play/one@bookworm-mini");
    run_release(&done);
}

/* --- the results ------------------------------------------------------------------------- */

static const char *word(json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value ? value : "";
}

static void results_are_one_event_a_line_from_begin_to_end(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    add_some();
    struct run list = play("killpoint list | sort");
    struct run done = play("killpoint run --results r -- " PLAY_GOOD " >/dev/null; cat r");
    CLEANUP(buf_release) struct buf ids = BUF_INIT;
    size_t n = 0;
    json_t *event = NULL;
    char *rest = done.out;
    for (char *line; (line = strsep(&rest, "\n")) && *line; n++) {
        if (n > 0 && strcmp(word(event, "event"), "end") == 0)
            fail_msg("a line behind the end: %s", line);
        json_decref(event);
        event = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        if (!event)
            fail_msg("no JSON: %s", line);
        assert_string_equal(word(event, "event"), n == 0 ? "begin" : n <= 5 ? "trial" : "end");
        if (n >= 1 && n <= 5)
            buf_printf(&ids, "%s\n", word(event, "id"));
        if (n == 0)
            assert_int_equal(json_integer_value(json_object_get(event, "trials")), 5);
    }
    assert_int_equal(n, 7);
    assert_int_equal(json_integer_value(json_object_get(event, "exit")), 3);
    json_t *counts = json_object_get(event, "counts");
    assert_int_equal(json_integer_value(json_object_get(counts, "FAIL")), 2);
    assert_int_equal(json_integer_value(json_object_get(counts, "PASS")), 1);
    assert_int_equal(json_integer_value(json_object_get(counts, "TIMEOUT")), 1);
    assert_int_equal(json_integer_value(json_object_get(counts, "UNRESOLVED")), 1);
    json_decref(event);
    CLEANUP(io_free) char *script = io_format("sort <<'END'\n%sEND", buf_str(&ids));
    struct run sorted = play(script);
    assert_string_equal(sorted.out, list.out);
    run_release(&sorted);
    run_release(&list);
    run_release(&done);
}

/* The longest event of the results has so many bytes, and holds some text that says what is cut. */
#define LOOK                                                                                       \
    "grep '\"event\":\"trial\"' r >line; wc -c <line; grep -o '[[0-9]* bytes left out' line | "    \
    "sort -u | head -n 1; grep -o 'calls_left_out\":[0-9]*' line"

static void a_trial_with_much_to_show_is_judged(void **state)
{
    static const struct {
        const char *name, *script, *left_out;
    } long_ones[] = {
        {"arguments", /* 600 kB of JSON each */
         "a=$(head -c 100000 /dev/zero | tr '\\000' '\\001'); for i in $(seq 130); do "
         "smolvm machine exec --name $1 -- $a; done; exit 1",
         "95904 bytes left out"},
        {"output", /* 48 kB of JSON each, and for checks all of it is kept */
         "c='head -c 4096 /dev/zero | tr \\\\000 \\\\001'; for i in $(seq 400); do "
         "smolvm machine exec --name $1 -- sh -c \"$c | tee /dev/stderr\"; done; exit 1",
         "bytes left out"},
    };
    (void)state;
    need_layout("bookworm-mini");
    play_add("one", "limits: {run_ms: 60000}\nexpect: {claim: failure, store: {must: report}}");
    for (size_t i = 0; i < sizeof long_ones / sizeof *long_ones; i++) {
        play_write("long.sh", long_ones[i].script);
        struct run done = play("killpoint run --results r -- sh \"$KP/scenarios/long.sh\" "
                               "{machine} || exit; " LOOK "; mv r r-before");
        play_check_code(long_ones[i].name, &done, 0);
        play_check_has(long_ones[i].name, done.out, "PASS        play/one@");
        play_check_has(long_ones[i].name, done.out, long_ones[i].left_out);
        const char *size = strstr(done.out, "skipped\n");
        assert_non_null(size);
        assert_in_range(atol(size + strlen("skipped\n")), 100000, 16 << 20);
        run_release(&done);
    }
}

static void results_are_appended(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    play_add("one", CALM);
    struct run done = play("echo '{}' >r; killpoint run --results r -- true >/dev/null; "
                           "killpoint run --results r -- true >/dev/null; wc -l <r; head -n 1 r");
    assert_string_equal(done.out, "7\n{}\n");
    run_release(&done);
}

static void results_go_into_no_file_of_something_else(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    play_add("one", CALM);
    struct run done = play("echo 'my program' >x; s=0; "
                           "for to in x -; do killpoint run --results $to -- true; s=$s$?; "
                           "killpoint explore --results $to -- true; s=$s$?; "
                           "killpoint merge --results $to x; s=$s$?; done; ls; cat x; echo $s");
    play_check_has("their end", done.out, "\nx\nmy program\n0222222\n");
    play_check_has("a program", done.err,
                   "killpoint run: x holds something else than results: it is left as it is\n");
    play_check_has("stdout", done.err,
                   "killpoint explore: results go to a file, and \"-\" is none\n");
    assert_null(strstr(done.out, "-\n"));
    run_release(&done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, play_set_up, play_tear_down)
        T(each_exit_status_says_what_it_should),
        T(trouble_of_the_harness_comes_before_findings),
        T(where_everything_fails_the_adapter_is_doubted),
        T(two_runs_print_the_same_whatever_the_order_and_the_jobs),
        T(a_trials_own_paths_are_not_printed),
        T(a_failed_check_says_what_was_expected_and_found),
        T(the_line_that_reproduces_a_failure_does),
        T(a_kept_machine_is_entered_by_the_line_that_is_printed),
        T(without_keep_no_machine_is_kept),
        T(one_job_lets_one_machine_call_work_at_once),
        T(more_trials_are_in_flight_than_jobs),
        T(layout_plays_the_scenarios_there),
        T(results_are_one_event_a_line_from_begin_to_end),
        T(a_trial_with_much_to_show_is_judged),
        T(results_are_appended),
        T(results_go_into_no_file_of_something_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
