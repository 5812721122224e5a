#include "support.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "../scenarios/merge.h"

#define BEGIN(backend, shard)                                                                      \
    "{\"event\":\"begin\",\"version\":1,\"backend\":\"" backend "\",\"title\":\"t\",\"suite\":"    \
    "\"5\",\"layouts\":{\"m\":\"d1\"},\"shard\":\"" shard                                          \
    "\",\"plan\":[\"a@m\",\"b@m\",\"c@m\",\"d@m\"]}\n"
#define TRIAL(id, verdict) "{\"event\":\"trial\",\"id\":\"" id "\",\"verdict\":\"" verdict "\"}\n"
#define END "{\"event\":\"end\",\"exit\":0,\"ms\":5,\"interrupted\":false,\"outdated\":[]}\n"

/* Of two shards: which of a, b, c, d is in which is the hash's to say. */
static const char *const ids[] = {"a@m", "b@m", "c@m", "d@m"};

static char *folder;

static int set_up(void **state)
{
    (void)state;
    folder = dir_make();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dir_remove(&folder);
    return 0;
}

static char *write_file(const char *name, const char *text)
{
    struct err err;
    char *path = io_format("%s/%s", folder, name);
    if (io_write_file(AT_FDCWD, path, text, strlen(text), 0644, &err) < 0)
        fail_msg("%s", err.msg);
    return path;
}

static void what_is_no_results_file_is_told_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text, *err;
    } rows[] = {
        {"empty", "", "r: there are no events in it"},
        {"no JSON", BEGIN("x", "1/1") "hello\n", "r:2: no JSON object"},
        {"no JSON between", BEGIN("x", "1/1") "hello\n" END, "r:2: no JSON object"},
        {"no begin", TRIAL("a@m", "PASS"), "r:1: no begin event"},
        {"no plan", "{\"event\":\"begin\",\"shard\":\"1/1\"}\n", "r:1: no begin event of a run"},
        {"no shard", "{\"event\":\"begin\",\"plan\":[]}\n", "r:1: no begin event of a run"},
        {"a plan of numbers", "{\"event\":\"begin\",\"plan\":[1],\"shard\":\"1/1\"}\n",
         "the plan holds no ids"},
        {"twice", BEGIN("x", "1/1") TRIAL("a@m", "PASS") TRIAL("a@m", "PASS"),
         "r:3: the trial 'a@m' again"},
        {"not planned", BEGIN("x", "1/1") TRIAL("e@m", "PASS"), "'e@m' is not in the plan"},
        {"behind the end", BEGIN("x", "1/1") END TRIAL("a@m", "PASS"),
         "r:3: an event 'trial' has no place there"},
        {"another event", BEGIN("x", "1/1") "{\"event\":\"rerun\"}\n",
         "an event 'rerun' has no place there"},
        {"an exploration of no depth", "{\"event\":\"begin\",\"trace\":\"0\",\"shard\":\"1/1\"}\n",
         "depth is neither 1 nor 2"},
#define EXPLORED                                                                                   \
    "{\"event\":\"begin\",\"trace\":\"0\",\"shard\":\"1/1\",\"depth\":1,\"call\":\"exec#1\""
        {"second calls of no points", EXPLORED ",\"seconds\":9}\n", "9 second calls behind 0"},
        {"too many cases", EXPLORED ",\"cases\":999999999999}\n", "999999999999 cases are too"},
        {"no token", EXPLORED "}\n{\"event\":\"case\"}\n", "r:2: "},
        {"no such point",
         EXPLORED "}\n{\"event\":\"case\",\"at\":[1],\"token\":\"kp1:000000000000:111111111111:"
                  "222222222222:exec#1:tree:end\"}\n",
         "there is no such point"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(results_release) struct results results = RESULTS_INIT;
        CLEANUP(io_free) char *path = write_file("r", rows[i].text);
        struct err err = {""};
        if (results_add_file(&results, path, &err) == 0 || !strstr(err.msg, rows[i].err))
            fail_msg("%s: '%s' instead of '%s'", rows[i].name, err.msg, rows[i].err);
    }
}

/* The run behind it is whole. */
static void a_torn_line_is_passed_over_before_another_run(void **state)
{
    (void)state;
    CLEANUP(results_release) struct results results = RESULTS_INIT;
    CLEANUP(io_free)
    char *path = write_file("r", BEGIN("x", "1/1") "{\"event\":\"tri");
    struct err err;
    CLEANUP(io_fclose) FILE *file = NULL;
    assert_int_equal(results_append(path, &file, &err), 0);
    fputs(BEGIN("x", "1/1") TRIAL("a@m", "PASS") END, file);
    fflush(file);
    if (results_add_file(&results, path, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(results.n_runs, 2);
    assert_null(results.runs[0].end);
    assert_non_null(results.runs[1].end);
}

static void a_run_that_was_cut_off_is_known_by_its_missing_end(void **state)
{
    (void)state;
    CLEANUP(results_release) struct results results = RESULTS_INIT;
    CLEANUP(io_free)
    char *path = write_file("r", BEGIN("x", "1/1") TRIAL("b@m", "PASS") "{\"event\":\"tri");
    struct err err;
    if (results_add_file(&results, path, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(results.n_runs, 1);
    assert_null(results.runs[0].end);
    assert_non_null(results.runs[0].events[1]);
    assert_false(run_results_is_bad(&results.runs[0], 1));
    assert_true(run_results_is_bad(&results.runs[0], 0)); /* it was to be played */
}

/* The last word of each backend counts. */
static void what_passed_later_is_not_bad_any_more(void **state)
{
    (void)state;
    CLEANUP(results_release) struct results results = RESULTS_INIT;
    CLEANUP(io_free)
    char *path = write_file("r", BEGIN("x", "1/1") TRIAL("a@m", "FAIL") TRIAL("b@m", "CRASH")
                                     TRIAL("c@m", "XFAIL") TRIAL("d@m", "PASS")
                                         END BEGIN("x", "1/1") TRIAL("a@m", "PASS")
                                             END BEGIN("y", "1/1") TRIAL("b@m", "PASS") END);
    struct err err;
    if (results_add_file(&results, path, &err) < 0)
        fail_msg("%s", err.msg);
    static const bool bad[] = {false, true, false, false};
    for (size_t k = 0; k < 4; k++)
        if (results_last_is_bad(&results, 0, k) != bad[k])
            fail_msg("%s: bad is %d", ids[k], !bad[k]);
}

static void a_shard_takes_m_of_n(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",    "1",    "0/1",  "1/0",
                                        "2/1", "1/2x", "-1/2", "1/99999999999"};
    struct shard shard = {7, 9};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (shard_parse(wrong[i], &shard) == 0 || shard.number != 7)
            fail_msg("'%s' is taken", wrong[i]);
    assert_int_equal(shard_parse("2/3", &shard), 0);
    assert_int_equal(shard.number, 2);
    assert_int_equal(shard.count, 3);
}

/* Each name is in exactly one of them, and none is empty when there are many names. */
static void shards_share_all_names(void **state)
{
    (void)state;
    size_t counts[3] = {0};
    for (int i = 0; i < 300; i++) {
        CLEANUP(io_free) char *name = io_format("kill/at-times[ms=%d]@bookworm", i);
        size_t holders = 0;
        for (uint32_t k = 1; k <= 3; k++) {
            const struct shard shard = {k, 3};
            holders += shard_holds(&shard, name);
            counts[k - 1] += shard_holds(&shard, name);
        }
        assert_int_equal(holders, 1);
    }
    for (size_t k = 0; k < 3; k++)
        assert_in_range(counts[k], 60, 140);
}

/* --- merging ------------------------------------------------------------------------------ */

/* A shard's file of the four trials, with another word in place of each `from`. */
static char *shard_text(uint32_t number, const char *verdict)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    const struct shard shard = {number, 2};
    buf_add(&text, number == 1 ? BEGIN("x", "1/2") : BEGIN("x", "2/2"));
    for (size_t i = 4; i > 0; i--) /* in another order than the suite's */
        if (shard_holds(&shard, ids[i - 1]))
            buf_printf(&text, "{\"event\":\"trial\",\"id\":\"%s\",\"verdict\":\"%s\"}\n",
                       ids[i - 1], verdict);
    buf_add(&text, END);
    return io_format("%s", buf_str(&text));
}

static char *replace(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    assert_non_null(at);
    return io_format("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}

/* Merges these texts, NULL-terminated, each in a file of its own: r0, r1, … */
static int merge(const char *const *texts, struct results *whole, enum run_status *ret_status,
                 struct err *err)
{
    CLEANUP(results_release) struct results parts = RESULTS_INIT;
    for (size_t i = 0; texts[i]; i++) {
        CLEANUP(io_free) char *name = io_format("r%zu", i);
        CLEANUP(io_free) char *path = write_file(name, texts[i]);
        if (results_add_file(&parts, path, err) < 0)
            fail_msg("%s", err->msg);
    }
    return merge_runs(&parts, whole, ret_status, err);
}

static void all_shards_make_the_whole_in_the_suites_order(void **state)
{
    (void)state;
    CLEANUP(results_release) struct results whole = RESULTS_INIT;
    CLEANUP(io_free) char *one = shard_text(1, "PASS");
    CLEANUP(io_free) char *two = shard_text(2, "FAIL");
    const char *const texts[] = {two, one, NULL};
    enum run_status status;
    struct err err;
    if (merge(texts, &whole, &status, &err) < 0)
        fail_msg("%s", err.msg);
    const struct run_results *run = &whole.runs[0];
    for (size_t k = 0; k < 4; k++)
        assert_string_equal(results_text(run->events[k], "id"), ids[k]);
    assert_string_equal(results_text(run->begin, "shard"), "1/1");
    assert_int_equal(status, RUN_UNEXPECTED);
    assert_int_equal(json_integer_value(json_object_get(run->end, "exit")), 1);
}

/* Entries that have grown old are told once, of the whole. */
static void outdated_entries_are_judged_for_the_whole(void **state)
{
    (void)state;
#define ENTRY "{\"path\":\"l.yaml\",\"line\":3,\"column\":1,\"text\":\"old\"}"
    CLEANUP(results_release) struct results whole = RESULTS_INIT;
    CLEANUP(results_release) struct results part = RESULTS_INIT;
    CLEANUP(io_free) char *one = shard_text(1, "PASS");
    CLEANUP(io_free) char *two = shard_text(2, "PASS");
    CLEANUP(io_free) char *old_one = replace(one, "\"outdated\":[]", "\"outdated\":[" ENTRY "]");
    CLEANUP(io_free) char *old_two = replace(two, "\"outdated\":[]", "\"outdated\":[" ENTRY "]");
    const char *const texts[] = {old_one, old_two, NULL};
    enum run_status status;
    struct err err;
    if (merge(texts, &whole, &status, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(status, RUN_UNEXPECTED);
    assert_int_equal(json_array_size(run_results_outdated(&whole.runs[0])), 1);
    CLEANUP(io_free) char *path = write_file("part", old_one);
    assert_int_equal(results_add_file(&part, path, &err), 0);
    assert_null(run_results_outdated(&part.runs[0]));
}

static void what_is_not_one_whole_run_is_refused(void **state)
{
    (void)state;
    CLEANUP(io_free) char *one = shard_text(1, "PASS");
    CLEANUP(io_free) char *two = shard_text(2, "PASS");
    CLEANUP(io_free) char *cut = replace(two, END, "");
    CLEANUP(io_free) char *torn = replace(two, "\"outdated\":[]}\n", "");
    CLEANUP(io_free) char *stopped = replace(two, "\"interrupted\":false", "\"interrupted\":true");
    CLEANUP(io_free) char *suite = replace(two, "\"suite\":\"5\"", "\"suite\":\"6\"");
    CLEANUP(io_free) char *backend = replace(two, "\"backend\":\"x\"", "\"backend\":\"y\"");
    CLEANUP(io_free) char *layout = replace(two, "\"m\":\"d1\"", "\"m\":\"d2\"");
    CLEANUP(io_free) char *thirds = replace(two, "2/2", "2/3");
    const char *start = strstr(two, "{\"event\":\"trial\"");
    const char *end = strchr(start, '\n') + 1;
    CLEANUP(io_free) char *line = io_format("%.*s", (int)(end - start), start);
    CLEANUP(io_free) char *less = replace(two, line, "");
    const char *other = strstr(one, "{\"event\":\"trial\"");
    CLEANUP(io_free)
    char *stray_line = io_format("%.*s%s", (int)(strchr(other, '\n') + 1 - other), other, END);
    CLEANUP(io_free) char *stray = replace(two, END, stray_line);
    const struct {
        const char *name, *texts[4], *err;
    } rows[] = {
        {"nothing", {NULL}, "there is no run"},
        {"one missing", {one}, "1 missing: shard 2/2"},
        {"one twice", {one, two, two}, "shard 2/2 is there twice: "},
        {"cut off", {one, cut}, "r1, shard 2/2, is cut off: it has no end event"},
        {"torn", {one, torn}, "r1, shard 2/2, is cut off: it has no end event"},
        {"interrupted", {one, stopped}, "r1, shard 2/2, is of a run that was interrupted"},
        {"another suite", {one, suite}, "suite is \"6\", not \"5\""},
        {"another backend", {one, backend}, "backend is \"y\", not \"x\""},
        {"another layout", {one, layout}, "the layout m is \"d2\", not \"d1\""},
        {"thirds", {one, thirds}, "r0 is one of 2 shards, "},
        {"a trial less", {one, less}, "is missing"},
        {"a trial more", {one, stray}, "does not belong to it"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(results_release) struct results whole = RESULTS_INIT;
        enum run_status status;
        struct err err = {""};
        if (merge(rows[i].texts, &whole, &status, &err) == 0 || !strstr(err.msg, rows[i].err))
            fail_msg("%s: '%s' instead of '%s'", rows[i].name, err.msg, rows[i].err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        T(what_is_no_results_file_is_told_with_its_line),
        T(a_torn_line_is_passed_over_before_another_run),
        T(a_run_that_was_cut_off_is_known_by_its_missing_end),
        T(what_passed_later_is_not_bad_any_more),
        T(a_shard_takes_m_of_n),
        T(shards_share_all_names),
        T(all_shards_make_the_whole_in_the_suites_order),
        T(outdated_entries_are_judged_for_the_whole),
        T(what_is_not_one_whole_run_is_refused),
    };
    return cmocka_run_group_tests_name("results", tests, NULL, NULL);
}
