#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "../scenarios/report.h"

/* Three trials, in the suite's order; events are made up and come in any order. */
static const char *const layouts[] = {"mini", NULL};
static const struct scenario scenario = {.layouts = layouts};
static char id_a[] = "a/one@mini", id_b[] = "b/two[ms=5]@mini", id_c[] = "c/three@full";
static struct trial items[] = {{.id = id_a, .layout = "mini", .scenario = &scenario},
                               {.id = id_b, .layout = "mini", .scenario = &scenario},
                               {.id = id_c, .layout = "full", .scenario = &scenario}};
static const struct trials trials = {items, 3};

struct bench {
    struct report report;
    char *table, *results; /* what was printed, after finish() */
    size_t table_len, results_len;
};

static void start(struct bench *bench, const char *backend)
{
    *bench = (struct bench){
        .report = {.trials = &trials, .backend = backend, .backend_title = "title of the backend"}};
    bench->report.out = open_memstream(&bench->table, &bench->table_len);
    bench->report.results = open_memstream(&bench->results, &bench->results_len);
    bench->report.events = calloc(trials.count, sizeof *bench->report.events);
}

static void tell(struct bench *bench, const char *event)
{
    json_error_t error;
    json_t *json = json_loads(event, 0, &error);
    if (!json)
        fail_msg("%s: %s", event, error.text);
    report_event(&bench->report, json);
    json_decref(json);
}

static void finish(struct bench *bench, const struct run_outcome *outcome)
{
    report_print(&bench->report, outcome);
    fclose(bench->report.out);
    fclose(bench->report.results);
}

static void release(struct bench *bench)
{
    report_release(&bench->report);
    free(bench->table);
    free(bench->results);
}

static void table_stands_in_the_suites_order(void **state)
{
    (void)state;
    struct bench bench;
    struct run_outcome outcome = {.counts = {[VERDICT_PASS] = 1, [VERDICT_SKIP] = 1}};
    outcome.counts[VERDICT_XFAIL] = 1;
    start(&bench, "hardened");
    tell(&bench, "{\"event\": \"begin\", \"trials\": 3}");
    tell(&bench, "{\"id\": \"c/three@full\", \"verdict\": \"PASS\", \"ms\": 1234}");
    tell(&bench, "{\"id\": \"b/two[ms=5]@mini\", \"verdict\": \"XFAIL\", \"reason\": \"known\"}");
    tell(&bench, "{\"id\": \"a/one@mini\", \"verdict\": \"SKIP\", \"reason\": \"not built\"}");
    tell(&bench, "{\"event\": \"end\", \"exit\": 0}");
    finish(&bench, &outcome);
    assert_string_equal(bench.table, "title of the backend\n"
                                     "SKIP        a/one@mini  -- not built\n"
                                     "XFAIL       b/two[ms=5]@mini  -- known\n"
                                     "PASS        c/three@full\n"
                                     "1 PASS, 1 XFAIL, 1 SKIP\n"
                                     "2 passed, 0 failed, 1 skipped\n");
    assert_string_equal(bench.results,
                        "{\"event\":\"begin\",\"trials\":3}\n"
                        "{\"id\":\"c/three@full\",\"verdict\":\"PASS\",\"ms\":1234}\n"
                        "{\"id\":\"b/two[ms=5]@mini\",\"verdict\":\"XFAIL\",\"reason\":\"known\"}\n"
                        "{\"id\":\"a/one@mini\",\"verdict\":\"SKIP\",\"reason\":\"not built\"}\n"
                        "{\"event\":\"end\",\"exit\":0}\n");
    assert_false(bench.report.failed_to_write);
    release(&bench);
}

#define BAD_EVENT                                                                                  \
    "{\"id\": \"b/two[ms=5]@mini\", \"verdict\": \"FAIL\", \"ms\": 1250, \"checks\": ["            \
    "{\"id\": \"claim\", \"result\": \"fail\", \"decides\": true, \"expected\": \"success\","      \
    " \"found\": \"exit status 1\"},"                                                              \
    "{\"id\": \"calls/cp\", \"result\": \"pass\", \"decides\": true, \"expected\": \"1\","         \
    " \"found\": \"1\"},"                                                                          \
    "{\"id\": \"store/should/x\", \"result\": \"fail\", \"decides\": false, \"expected\": \"y\","  \
    " \"found\": \"z\"},"                                                                          \
    "{\"id\": \"settle\", \"result\": \"not-run\", \"decides\": true, \"expected\": \"y\","        \
    " \"found\": \"z\"},"                                                                          \
    "{\"id\": \"fired\", \"result\": \"fail\", \"decides\": false, \"expected\": \"exec begin\","  \
    " \"found\": \"0 times\"},"                                                                    \
    "{\"id\": \"processes\", \"result\": \"fail\", \"decides\": false, \"expected\": \"none\","    \
    " \"found\": \"7 sleep\\n8 sh\\n\"}],"                                                         \
    " \"folder\": \"/state/run-1/5\","                                                             \
    " \"runs\": [{\"stderr\": \"/state/run-1/5/x\\nsecond\\u001b[31m\\u007f\"}]}"

static void bad_trial_shows_what_decided_and_how_to_see_it_again(void **state)
{
    (void)state;
    struct bench bench;
    struct run_outcome outcome = {.counts = {[VERDICT_FAIL] = 1, [VERDICT_ERROR] = 1}};
    start(&bench, "hardened");
    tell(&bench, BAD_EVENT);
    tell(&bench, "{\"id\": \"c/three@full\", \"verdict\": \"ERROR\", \"error\": \"no machine\","
                 " \"kept\": \"/state of/kept-1-2\"}");
    finish(&bench, &outcome);
    assert_string_equal(
        bench.table,
        "title of the backend\n"
        "FAIL        b/two[ms=5]@mini\n"
        "    claim\n      expected  success\n      found     exit status 1\n"
        "    fired\n      expected  exec begin\n      found     0 times\n"
        "    processes\n      expected  none\n      found     7 sleep\\n8 sh\\n\n"
        "    it said   TRIAL/x\\nsecond?[31m?\n"
        "    again     killpoint run --backend hardened 'b/two[ms=5]@mini'\n"
        "ERROR       c/three@full\n"
        "    no machine\n"
        "    enter     KILLPOINT_STATE='/state of/kept-1-2' sh -c 'smolvm machine start --name kp1 "
        "&& smolvm machine shell --name kp1'\n"
        "    again     killpoint run --backend hardened --layout full c/three@full\n"
        "1 FAIL, 1 ERROR\n"
        "0 passed, 2 failed, 0 skipped\n");
    release(&bench);
}

static void command_behind_dashes_is_asked_for_again(void **state)
{
    (void)state;
    struct bench bench;
    struct run_outcome outcome = {.counts = {[VERDICT_CRASH] = 1}};
    start(&bench, NULL);
    bench.report.command = (const char *const[]){"./my tool", "--cert", "{cert}", "it's", NULL};
    tell(&bench, "{\"id\": \"a/one@mini\", \"verdict\": \"CRASH\"}");
    finish(&bench, &outcome);
    assert_non_null(strstr(bench.table,
                           "    again     killpoint run a/one@mini -- './my tool' --cert "
                           "'{cert}' 'it'\\''s'\n"));
    release(&bench);
}

static void nothing_played_is_said(void **state)
{
    (void)state;
    struct bench bench;
    struct run_outcome outcome = {.interrupted = false};
    start(&bench, "hardened");
    finish(&bench, &outcome);
    assert_string_equal(bench.table, "title of the backend\nnothing was played\n"
                                     "0 passed, 0 failed, 0 skipped\n");
    release(&bench);
}

static void times_are_for_terminals_alone(void **state)
{
    (void)state;
    struct bench bench;
    struct run_outcome outcome = {.counts = {[VERDICT_PASS] = 1}};
    start(&bench, "hardened");
    tell(&bench, "{\"id\": \"a/one@mini\", \"verdict\": \"PASS\", \"ms\": 1234}");
    bench.report.terminal = true;
    finish(&bench, &outcome);
    assert_non_null(strstr(bench.table, "PASS        a/one@mini  (1.2 s)\n"));
    release(&bench);
}

/* Both cuts fall into a character, which is kept whole or left out. */
static void of_long_texts_start_and_end_are_shown(void **state)
{
    (void)state;
    struct bench bench;
    struct run_outcome outcome = {.counts = {[VERDICT_FAIL] = 1}};
    CLEANUP(io_free)
    char *event = io_format(
        "{\"id\": \"a/one@mini\", \"verdict\": \"FAIL\", \"checks\": [{\"id\": \"x\", \"result\":"
        " \"fail\", \"decides\": true, \"expected\": \"%0300d\", \"found\": "
        "\"%099d\u00e9middle\u00e9%0198dE\"}]}",
        0, 0, 0);
    CLEANUP(io_free)
    char *expected =
        io_format("      expected  %0300d\n      found     %099d\u00e9 \u2026 %0198dE\n", 0, 0, 0);
    start(&bench, "hardened");
    tell(&bench, event);
    finish(&bench, &outcome);
    assert_non_null(strstr(bench.table, expected));
    release(&bench);
}

#define CHECK(id, decides)                                                                         \
    "{\"id\": \"" id "\", \"result\": \"fail\", \"decides\": " decides ", \"expected\": \"y\","    \
    " \"found\": \"z\"}"

static void what_follows_from_a_crash_is_only_counted(void **state)
{
    (void)state;
    static const char *const verdicts[] = {"CRASH", "TIMEOUT"};
    for (size_t i = 0; i < 2; i++) {
        struct bench bench;
        struct run_outcome outcome = {.counts = {[VERDICT_CRASH] = 1}};
        CLEANUP(io_free)
        char *event = io_format(
            "{\"id\": \"a/one@mini\", \"verdict\": \"%s\", \"checks\": [" CHECK(
                "claim", "true") "," CHECK("settle",
                                           "true") "," CHECK("fired",
                                                             "false") "," CHECK("store/must/x",
                                                                                "true") "]}",
            verdicts[i]);
        CLEANUP(io_free)
        char *expected = io_format("%-11s a/one@mini\n"
                                   "    claim\n      expected  y\n      found     z\n"
                                   "    fired\n      expected  y\n      found     z\n"
                                   "    2 more failed, as is to be expected then\n"
                                   "    again     ",
                                   verdicts[i]);
        start(&bench, "hardened");
        tell(&bench, event);
        finish(&bench, &outcome);
        assert_non_null(strstr(bench.table, expected));
        release(&bench);
    }
}

static void full_disk_is_noticed(void **state)
{
    (void)state;
    struct bench bench;
    struct run_outcome outcome = {.counts = {[VERDICT_PASS] = 1}};
    start(&bench, "hardened");
    fclose(bench.report.results);
    bench.report.results = fopen("/dev/full", "we");
    tell(&bench, "{\"id\": \"a/one@mini\", \"verdict\": \"PASS\"}");
    assert_true(bench.report.failed_to_write);
    finish(&bench, &outcome);
    release(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_stands_in_the_suites_order),
        cmocka_unit_test(bad_trial_shows_what_decided_and_how_to_see_it_again),
        cmocka_unit_test(command_behind_dashes_is_asked_for_again),
        cmocka_unit_test(nothing_played_is_said),
        cmocka_unit_test(times_are_for_terminals_alone),
        cmocka_unit_test(of_long_texts_start_and_end_are_shown),
        cmocka_unit_test(what_follows_from_a_crash_is_only_counted),
        cmocka_unit_test(full_disk_is_noticed),
    };
    return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
