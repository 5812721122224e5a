#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "../scenarios/report.h"

/* Three trials, in the suite's order; events are made up and come in any order. */
#define BEGIN                                                                                      \
    "{\"event\": \"begin\", \"backend\": \"hardened\", \"title\": \"a title\", \"shard\": "        \
    "\"1/1\","                                                                                     \
    " \"plan\": [\"a/one@mini\", \"b/two[ms=5]@mini\", \"c/three@full\"]}"

struct bench {
    struct results results;
    char *table; /* what was printed, after finish() */
};

static json_t *parse(const char *text)
{
    json_error_t error;
    json_t *json = json_loads(text, 0, &error);
    if (!json)
        fail_msg("%s: %s", text, error.text);
    return json;
}

static void start(struct bench *bench)
{
    struct err err;
    json_t *begin = parse(BEGIN);
    *bench = (struct bench){.results = RESULTS_INIT};
    if (results_add_run(&bench->results, begin, &err) < 0)
        fail_msg("%s", err.msg);
    json_decref(begin);
}

static void tell(struct bench *bench, const char *more)
{
    struct err err;
    CLEANUP(io_free) char *text = io_format("{\"event\": \"trial\", %s}", more);
    json_t *event = parse(text);
    if (run_results_add(&bench->results.runs[0], event, &err) < 0)
        fail_msg("%s", err.msg);
    json_decref(event);
}

static enum run_status finish(struct bench *bench, bool times)
{
    size_t len;
    FILE *out = open_memstream(&bench->table, &len);
    enum run_status status = run_results_finish(&bench->results.runs[0], false, json_array(), 5);
    report_print_table(out, &bench->results.runs[0], times);
    fclose(out);
    return status;
}

static void release(struct bench *bench)
{
    results_release(&bench->results);
    free(bench->table);
}

static void table_stands_in_the_suites_order(void **state)
{
    (void)state;
    struct bench bench;
    start(&bench);
    tell(&bench, "\"id\": \"c/three@full\", \"verdict\": \"PASS\", \"ms\": 1234");
    tell(&bench, "\"id\": \"b/two[ms=5]@mini\", \"verdict\": \"XFAIL\", \"reason\": \"known\"");
    tell(&bench, "\"id\": \"a/one@mini\", \"verdict\": \"SKIP\", \"reason\": \"not built\"");
    assert_int_equal(finish(&bench, false), RUN_AS_EXPECTED);
    assert_string_equal(bench.table, "backend hardened: a title\n"
                                     "SKIP        a/one@mini  -- not built\n"
                                     "XFAIL       b/two[ms=5]@mini  -- known\n"
                                     "PASS        c/three@full\n"
                                     "1 PASS, 1 XFAIL, 1 SKIP\n"
                                     "2 passed, 0 failed, 1 skipped\n");
    release(&bench);
}

#define BAD_EVENT                                                                                  \
    "\"id\": \"b/two[ms=5]@mini\", \"verdict\": \"FAIL\", \"ms\": 1250, \"checks\": ["             \
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
    " \"runs\": [{\"stderr\": \"/state/run-1/5/x\\nsecond\\u001b[31m\\u007f\"}],"                  \
    " \"again\": \"killpoint run --backend hardened 'b/two[ms=5]@mini'\""

static void bad_trial_shows_what_decided_and_how_to_see_it_again(void **state)
{
    (void)state;
    struct bench bench;
    start(&bench);
    tell(&bench, BAD_EVENT);
    tell(&bench, "\"id\": \"c/three@full\", \"verdict\": \"ERROR\", \"error\": \"no machine\","
                 " \"kept\": \"/state of/kept-1-2\"");
    assert_int_equal(finish(&bench, false), RUN_HARNESS);
    assert_string_equal(
        bench.table,
        "backend hardened: a title\n"
        "FAIL        b/two[ms=5]@mini\n"
        "    claim\n      expected  success\n      found     exit status 1\n"
        "    fired\n      expected  exec begin\n      found     0 times\n"
        "    processes\n      expected  none\n      found     7 sleep\\n8 sh\n"
        "    it said   TRIAL/x\\nsecond?[31m?\n"
        "    again     killpoint run --backend hardened 'b/two[ms=5]@mini'\n"
        "ERROR       c/three@full\n"
        "    no machine\n"
        "    enter     KILLPOINT_STATE='/state of/kept-1-2' sh -c 'smolvm machine start --name kp1 "
        "&& smolvm machine shell --name kp1'\n"
        "1 FAIL, 1 ERROR\n"
        "0 passed, 2 failed, 0 skipped\n");
    release(&bench);
}

static void nothing_played_is_said(void **state)
{
    (void)state;
    struct bench bench;
    start(&bench);
    finish(&bench, false);
    assert_string_equal(bench.table,
                        "backend hardened: a title\nnothing was played\n"
                        "0 passed, 0 failed, 0 skipped\n" RESULTS_NOTHING ": it has failed\n");
    release(&bench);
}

static void times_are_for_terminals_alone(void **state)
{
    (void)state;
    struct bench bench;
    start(&bench);
    tell(&bench, "\"id\": \"a/one@mini\", \"verdict\": \"PASS\", \"ms\": 1234");
    finish(&bench, true);
    assert_non_null(strstr(bench.table, "PASS        a/one@mini  (1.2 s)\n"));
    release(&bench);
}

/* Both cuts fall into a character, which is kept whole or left out. */
static void of_long_texts_start_and_end_are_shown(void **state)
{
    (void)state;
    struct bench bench;
    CLEANUP(io_free)
    char *event = io_format(
        "\"id\": \"a/one@mini\", \"verdict\": \"FAIL\", \"checks\": [{\"id\": \"x\", \"result\":"
        " \"fail\", \"decides\": true, \"expected\": \"%0300d\", \"found\": "
        "\"%099d\u00e9middle\u00e9%0198dE\"}]",
        0, 0, 0);
    CLEANUP(io_free)
    char *expected =
        io_format("      expected  %0300d\n      found     %099d\u00e9 \u2026 %0198dE\n", 0, 0, 0);
    start(&bench);
    tell(&bench, event);
    finish(&bench, false);
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
        CLEANUP(io_free)
        char *event = io_format(
            "\"id\": \"a/one@mini\", \"verdict\": \"%s\", \"checks\": [" CHECK(
                "claim", "true") "," CHECK("settle",
                                           "true") "," CHECK("fired",
                                                             "false") "," CHECK("store/must/x",
                                                                                "true") "]",
            verdicts[i]);
        CLEANUP(io_free)
        char *expected = io_format("%-11s a/one@mini\n"
                                   "    claim\n      expected  y\n      found     z\n"
                                   "    fired\n      expected  y\n      found     z\n"
                                   "    2 more failed, as is to be expected then\n",
                                   verdicts[i]);
        start(&bench);
        tell(&bench, event);
        finish(&bench, false);
        assert_non_null(strstr(bench.table, expected));
        release(&bench);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_stands_in_the_suites_order),
        cmocka_unit_test(bad_trial_shows_what_decided_and_how_to_see_it_again),
        cmocka_unit_test(nothing_played_is_said),
        cmocka_unit_test(times_are_for_terminals_alone),
        cmocka_unit_test(of_long_texts_start_and_end_are_shown),
        cmocka_unit_test(what_follows_from_a_crash_is_only_counted),
    };
    return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
