#include "support.h"

#include <libxml/parser.h>
#include <stdlib.h>
#include <string.h>

#include "../scenarios/report_formats.h"
#include "../scenarios/report_html.h"
#include "../scenarios/report_text.h"

/* One trial of each verdict, and what a hostile backend may have written. */
#define HOSTILE "</pre><script>x</script> ]]> &amp; \\u001b[31m \\ufffe 100% | `a` *b* # c\\\\d"
#define CHECKS                                                                                     \
    "\"checks\": [{\"id\": \"claim\", \"result\": \"fail\", \"decides\": true, \"expected\": "     \
    "\"success\", \"found\": \"" HOSTILE "\"}]"

static const char *const events[VERDICT_COUNT] = {
    [VERDICT_PASS] = "\"ms\": 1500",
    [VERDICT_FAIL] = CHECKS ", \"file\": \"s/a,b.yaml\", \"line\": 7, \"again\": \"again 'x'\", "
                            "\"runs\": [{\"stderr\": \"first\\nsecond " HOSTILE "\"}]",
    [VERDICT_XFAIL] = CHECKS ", \"reason\": \"it is known # so\"",
    [VERDICT_XPASS] = "\"reason\": \"it was known\"",
    [VERDICT_TIMEOUT] = CHECKS,
    [VERDICT_CRASH] = CHECKS,
    [VERDICT_LEAK] = CHECKS,
    [VERDICT_UNSUPPORTED] = "\"reason\": \"the backend has not: x\"",
    [VERDICT_SKIP] = "\"reason\": \"not now\"",
    [VERDICT_UNRESOLVED] = CHECKS,
    [VERDICT_ERROR] = "\"error\": \"no machine\"",
};

static json_t *parse(const char *text)
{
    json_error_t error;
    json_t *json = json_loads(text, 0, &error);
    if (!json)
        fail_msg("%s: %s", text, error.text);
    return json;
}

static void add(struct run_results *run, const char *text)
{
    struct err err;
    json_t *event = parse(text);
    if (run_results_add(run, event, &err) < 0)
        fail_msg("%s", err.msg);
    json_decref(event);
}

/* A run with all of them and one entry that has grown old. */
static void make(struct results *results)
{
    struct err err;
    CLEANUP(buf_release) struct buf begin = BUF_INIT;
    buf_add(&begin, "{\"event\": \"begin\", \"backend\": \"b<x>\", \"title\": \"of a test\", "
                    "\"shard\": \"1/1\", \"plan\": [");
    for (int i = 0; i < VERDICT_COUNT; i++)
        buf_printf(&begin, "%s\"t/%s@m\"", i ? ", " : "", verdict_name((enum verdict)i));
    buf_add(&begin, "]}");
    json_t *json = parse(buf_str(&begin));
    *results = (struct results)RESULTS_INIT;
    if (results_add_run(results, json, &err) < 0)
        fail_msg("%s", err.msg);
    json_decref(json);
    for (int i = 0; i < VERDICT_COUNT; i++) {
        const char *word = verdict_name((enum verdict)i);
        CLEANUP(io_free)
        char *text = io_format("{\"event\": \"trial\", \"id\": \"t/%s@m\", \"verdict\": \"%s\", "
                               "\"title\": \"%s\", %s}",
                               word, word, HOSTILE, events[i]);
        add(&results->runs[0], text);
    }
    json_t *outdated = parse("[{\"path\": \"l.yaml\", \"line\": 4, \"column\": 2, \"text\": "
                             "\"'x' matches no trial\"}]");
    assert_int_equal(run_results_finish(&results->runs[0], false, outdated, 5), RUN_HARNESS);
}

static char *print(void (*printer)(FILE *, const struct results *), const struct results *results)
{
    char *text;
    size_t len;
    FILE *file = open_memstream(&text, &len);
    printer(file, results);
    fclose(file);
    return text;
}

static void has(const char *text, const char *wanted)
{
    if (!strstr(text, wanted))
        fail_msg("'%s' is missing in\n%s", wanted, text);
}

static size_t count(const char *text, const char *wanted)
{
    size_t n = 0;
    while ((text = strstr(text, wanted))) {
        text += strlen(wanted);
        n++;
    }
    return n;
}

static void junit_is_xml_whatever_a_backend_wrote(void **state)
{
    (void)state;
    CLEANUP(results_release) struct results results;
    make(&results);
    CLEANUP(io_free) char *text = print(report_print_junit, &results);
    xmlDocPtr doc = xmlReadMemory(text, (int)strlen(text), "junit", NULL, XML_PARSE_NONET);
    if (!doc)
        fail_msg("no XML:\n%s", text);
    xmlFreeDoc(doc);
    xmlCleanupParser();
    has(text,
        "<testsuites name=\"killpoint\" tests=\"12\" failures=\"3\" errors=\"5\" skipped=\"3\" "
        "time=\"1.500\">");
    has(text, "<testsuite name=\"b&lt;x&gt; on m\" tests=\"11\" failures=\"2\" errors=\"5\" "
              "skipped=\"3\" time=\"1.500\">");
    has(text, "<testcase classname=\"b&lt;x&gt; on m\" name=\"t/FAIL@m\" time=\"0.000\" "
              "file=\"s/a,b.yaml\" line=\"7\">");
    has(text, "<skipped message=\"XFAIL: it is known # so\"/>");
    has(text, "<skipped message=\"UNSUPPORTED: the backend has not: x\"/>");
    has(text, "<failure message=\"XPASS: it was known\" type=\"XPASS\"");
    has(text, "<error message=\"ERROR: no machine\" type=\"ERROR\"");
    has(text, "<failure message=\"FAIL: 'x' matches no trial\" type=\"FAIL\"");
    has(text, "<system-err>first\nsecond &lt;/pre&gt;");
    assert_int_equal(count(text, "<system-err>"), 1);
}

static void tap_has_a_line_for_each_with_its_directive(void **state)
{
    (void)state;
    CLEANUP(results_release) struct results results;
    make(&results);
    CLEANUP(io_free) char *text = print(report_print_tap, &results);
    assert_int_equal(strncmp(text, "TAP version 14\n1..12\nok 1 - b<x> on m: t/PASS@m\n", 48), 0);
    has(text, "\nnot ok 2 - b<x> on m: t/FAIL@m\n  ---\n  verdict: \"FAIL\"\n");
    has(text, "  failed:\n    - check: \"claim\"\n      expected: \"success\"\n      found: \"");
    has(text, "\n  again: \"again 'x'\"\n  ...\n");
    has(text, "\nnot ok 3 - b<x> on m: t/XFAIL@m # TODO it is known \\# so\n");
    has(text, "\nnot ok 4 - b<x> on m: t/XPASS@m\n  ---\n");
    has(text, "\nok 8 - b<x> on m: t/UNSUPPORTED@m # SKIP the backend has not: x\n");
    has(text, "\nok 9 - b<x> on m: t/SKIP@m # SKIP not now\n");
    has(text, "\nnot ok 12 - b<x>, expectations: l.yaml:4\n");
    assert_int_equal(count(text, "\nok ") + count(text, "\nnot ok "), 12);
    assert_null(strchr(text, 0x1b));
}

static void markdown_shows_texts_as_they_are(void **state)
{
    (void)state;
    CLEANUP(results_release) struct results results;
    make(&results);
    CLEANUP(io_free) char *text = print(report_print_markdown, &results);
    has(text, "## killpoint: backend b&#60;x&#62;: of a test\n");
    has(text, "| FAIL | t/FAIL&#64;m | claim&#58; expected success, found "
              "&#60;/pre&#62;&#60;script&#62;x&#60;/script&#62; ");
    has(text, "| FAIL | l.yaml&#58;4 | 'x' matches no trial |  |\n");
    has(text, "<details><summary>2 known not to be right</summary>\n");
    assert_null(strstr(text, "<script"));
    assert_null(strchr(text, '`'));
    assert_null(strchr(text, '*'));
}

static void annotations_stay_on_one_line(void **state)
{
    (void)state;
    CLEANUP(results_release) struct results results;
    make(&results);
    CLEANUP(io_free) char *text = print(report_print_annotations, &results);
    has(text, "::error file=s/a%2Cb.yaml,line=7,title=FAIL t/FAIL@m::claim: expected success, ");
    has(text, " 100%25 | ");
    has(text, "::error title=ERROR t/ERROR@m::no machine\n");
    has(text, "::error file=l.yaml,line=4,title=FAIL l.yaml%3A4::'x' matches no trial\n");
    assert_int_equal(count(text, "\n"), 8);
    assert_int_equal(count(text, "::error "), 8);
}

static void html_escapes_all_that_others_wrote(void **state)
{
    (void)state;
    CLEANUP(results_release) struct results results;
    make(&results);
    CLEANUP(io_free) char *text = print(report_print_html, &results);
    assert_int_equal(count(text, "<script"), 1); /* our own */
    assert_int_equal(count(text, "http"), 1);    /* http-equiv */
    assert_int_equal(count(text, "<details"), 10);
    assert_int_equal(count(text, "href=\"#t0-"), 10);
    has(text, "&lt;/pre&gt;&lt;script&gt;x&lt;/script&gt; ]]&gt; &amp;amp; ");
    has(text, "<h2>Backend b&lt;x&gt;</h2>");
    assert_null(strchr(text, 0x1b));
    assert_null(strstr(text, "src="));
}

static void what_was_not_played_is_an_error(void **state)
{
    (void)state;
    CLEANUP(results_release) struct results results = RESULTS_INIT;
    json_t *begin = parse("{\"backend\": \"b\", \"shard\": \"1/1\", \"plan\": [\"x@m\"]}");
    struct err err;
    assert_int_equal(results_add_run(&results, begin, &err), 0);
    json_decref(begin);
    CLEANUP(io_free) char *junit = print(report_print_junit, &results);
    has(junit, "tests=\"1\" failures=\"0\" errors=\"1\"");
    has(junit, "<error message=\"ERROR: it was not played: the run was cut off\"");
    CLEANUP(io_free) char *html = print(report_print_html, &results);
    has(html, "The run was cut off: it is not whole.");
}

/* --- an exploration --------------------------------------------------------------------- */

#define TOKEN(scope, place) "kp1:000000000000:111111111111:222222222222:exec#1:" scope ":" place
#define CASE(scope, place, class, claim, at, more)                                                 \
    "{\"event\": \"case\", \"token\": \"" TOKEN(                                                   \
        scope, place) "\", \"scope\": \"" scope                                                    \
                      "\", \"class\": \"" class "\", \"claim\": \"" claim                          \
                                                "\", \"execs\": 2, \"points\": 1, \"at\": [" at    \
                                                "]" more "},"

static void an_exploration_is_a_line_of_all_its_points(void **state)
{
    (void)state;
    json_t *lines =
        parse("[{\"event\": \"begin\", \"version\": 1, \"trace\": \"111111111111\", \"backend\": "
              "\"b\", \"layout\": \"m\", \"call\": \"exec#1\", \"scopes\": 3, \"depth\": 1, "
              "\"shard\": \"1/1\", \"execs\": 1, \"points\": 4, \"states\": 3, \"places\": 1, "
              "\"addresses\": [\"sh:open:/a#1\", \"sh:open:/a<b#2\", \"sh:write:/a#1\", null], "
              "\"all\": 5, \"cases\": 4}," CASE(
                  "tree", "sh:open:/a#1", "broken", "success", "1, 2",
                  ", \"findings\": [\"must/hashdir-finds-ca\", \"exact/files\"], \"diff\": "
                  "\"/x: nothing instead of <i>; /y: one\", \"healed\": 0")
                  CASE("tree", "sh:write:/a#1", "fine", "success", "3", ", \"findings\": []")
                      CASE("process", "sh:exit:/1#1", "refused", "failure", "",
                           ", \"said\": \"<b>no\", \"findings\": []") "{\"event\": \"end\"}]");
    struct explored *explored = NULL;
    struct err err;
    if (explored_load(lines, &explored, &err) < 0)
        fail_msg("%s", err.msg);
    json_decref(lines);
    const struct results results = {.explorations = &explored, .n_explorations = 1};
    CLEANUP(io_free) char *html = print(report_print_html, &results);
    has(html, "<li><a class=\"tag broken\" href=\"#x0-0\" title=\"broken: point 1, sh:open:/a#1\">B"
              "</a></li><li><a class=\"tag broken\" href=\"#x0-0\" title=\"broken: point 2, "
              "sh:open:/a&lt;b#2\">B</a></li><li><a class=\"tag fine\" href=\"#x0-1\" ");
    has(html, "<span class=\"tag\" title=\"not played: point 4, end\">–</span>");
    has(html,
        "<li><code>/x: nothing instead of &lt;i&gt;</code></li><li><code>/y: one</code></li>");
    has(html, "<code>" TOKEN("tree", "sh:open:/a#1") "</code>");
    has(html, "<dd><code>&lt;b&gt;no</code></dd>");
    has(html, "success claimed after a retry; reruns heal nothing");
    assert_int_equal(count(html, "<details"), 3);
    CLEANUP(io_free) char *junit = print(report_print_junit, &results);
    has(junit, "tests=\"3\" failures=\"2\" errors=\"0\" skipped=\"0\"");
    has(junit, "again: killpoint replay '" TOKEN("tree", "sh:open:/a#1") "'\n");
    CLEANUP(io_free) char *markdown = print(report_print_markdown, &results);
    has(markdown, "## killpoint explore: b on m\n");
    has(markdown, "points 1..2");
    has(markdown, "3 of 5 cases played, 1 not for want of time");
    explored_free(explored);
}

static void pairs_of_kills_have_both_places(void **state)
{
    (void)state;
    json_t *lines = parse(
        "[{\"event\": \"begin\", \"version\": 1, \"trace\": \"111111111111\", \"backend\": \"b\", "
        "\"layout\": \"m\", \"call\": \"exec#1\", \"scopes\": 1, \"depth\": 2, \"shard\": "
        "\"1/1\", \"execs\": 1, \"points\": 1, \"states\": 1, \"addresses\": "
        "[\"sh:open:/a#1\"], \"all\": 1, \"cases\": 1, \"seconds\": 1, \"no_second\": 0}," CASE(
            "tree", "sh:open:/a#1+end", "refused", "failure", "1",
            ", \"healed\": 1") "{\"event\": \"end\"}]");
    struct explored *explored = NULL;
    struct err err;
    if (explored_load(lines, &explored, &err) < 0)
        fail_msg("%s", err.msg);
    json_decref(lines);
    const struct results results = {.explorations = &explored, .n_explorations = 1};
    CLEANUP(io_free) char *html = print(report_print_html, &results);
    has(html, "title=\"refused: sh:open:/a#1, then end\">R</a>");
    has(html, "<li>point 1, <code>sh:open:/a#1</code></li><li>then <code>end</code></li>");
    has(html, "behind 1 first kills that were chosen");
    CLEANUP(io_free) char *tap = print(report_print_tap, &results);
    has(tap, "1..1\nok 1 - "); /* two kills are to end so */
    explored_free(explored);
}

/* --- texts ---------------------------------------------------------------------------- */

static void what_xml_does_not_allow_is_replaced(void **state)
{
    (void)state;
    static const struct {
        const char *words, *text;
    } rows[] = {
        {"a\tb\nc", "a\tb\nc"},
        {"a\x01z\x1b[0m\x7f", "a\xef\xbf\xbdz\xef\xbf\xbd[0m\xef\xbf\xbd"},
        {"\xef\xbf\xbe\xef\xbf\xbf\xef\xbf\xbd", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xed\xa0\x80", "\xef\xbf\xbd"},
        {"\xc3\xa9\xf0\x9f\x98\x80", "\xc3\xa9\xf0\x9f\x98\x80"},
        {"\xff\xc3", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\r", "\xef\xbf\xbd"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(buf_release) struct buf text = BUF_INIT;
        report_add_clean(&text, rows[i].words);
        assert_string_equal(buf_str(&text), rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(junit_is_xml_whatever_a_backend_wrote),
        cmocka_unit_test(tap_has_a_line_for_each_with_its_directive),
        cmocka_unit_test(markdown_shows_texts_as_they_are),
        cmocka_unit_test(annotations_stay_on_one_line),
        cmocka_unit_test(html_escapes_all_that_others_wrote),
        cmocka_unit_test(what_was_not_played_is_an_error),
        cmocka_unit_test(an_exploration_is_a_line_of_all_its_points),
        cmocka_unit_test(pairs_of_kills_have_both_places),
        cmocka_unit_test(what_xml_does_not_allow_is_replaced),
    };
    return cmocka_run_group_tests_name("report_formats", tests, NULL, NULL);
}
