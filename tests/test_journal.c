#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fakes/journal.h"

static int set_up(void **state)
{
    *state = dir_make();
    return 0;
}

static int tear_down(void **state)
{
    dir_remove((char **)state);
    return 0;
}

static const char *const argv_exec[] = {"smolvm", "machine", "exec",
                                        "a\xff"
                                        "b",
                                        NULL};

static void append(const char *folder, const struct journal_entry *entry)
{
    struct err err = {""};
    if (journal_append(folder, entry, &err) < 0)
        fail_msg("%s", err.msg);
}

/* The journal's line number n, from 0, parsed; the caller drops it. */
static json_t *line(const char *folder, int n)
{
    CLEANUP(io_free) char *path = io_format("%s/journal.ndjson", folder);
    struct buf text = BUF_INIT;
    assert_int_equal(io_read_file(AT_FDCWD, path, &text, 1 << 24, NULL), 0);
    char *at = text.data;
    for (int i = 0; i < n; i++) {
        at = strchr(at, '\n');
        assert_non_null(at);
        at++;
    }
    char *end = strchr(at, '\n');
    assert_non_null(end);
    json_t *json = json_loadb(at, (size_t)(end - at), 0, NULL);
    assert_non_null(json);
    buf_release(&text);
    return json;
}

static const char *text_at(const json_t *json, const char *one, const char *two)
{
    const json_t *value = json_object_get(json, one);
    return json_string_value(two ? json_object_get(value, two) : value);
}

static void line_holds_the_whole_call(void **state)
{
    struct buf out = BUF_INIT, err = BUF_INIT;
    buf_add(&out, "abc");
    const struct journal_entry entry = {.start_ns = 5,
                                        .end_ns = INT64_MAX,
                                        .argv = argv_exec,
                                        .verb = "exec",
                                        .machine = "m",
                                        .status = 137,
                                        .out = &out,
                                        .err = &err,
                                        .rules_json = "[{\"rule\": \"begin\", \"fired\": 1}]"};
    append(*state, &entry);
    json_t *json = line(*state, 0);
    assert_int_equal(json_integer_value(json_object_get(json, "seq")), 1);
    assert_int_equal(json_integer_value(json_object_get(json, "start_ns")), 5);
    assert_true(json_integer_value(json_object_get(json, "end_ns")) == INT64_MAX);
    assert_string_equal(json_string_value(json_array_get(json_object_get(json, "argv"), 2)),
                        "exec");
    assert_string_equal(json_string_value(json_array_get(json_object_get(json, "argv"), 3)),
                        "a\xef\xbf\xbd"
                        "b");
    assert_string_equal(text_at(json, "verb", NULL), "exec");
    assert_string_equal(text_at(json, "machine", NULL), "m");
    assert_int_equal(json_integer_value(json_object_get(json, "status")), 137);
    assert_true(json_is_null(json_object_get(json, "signal")));
    assert_string_equal(text_at(json, "stdout", "head"), "abc");
    /* What xxhsum -H2 prints. */
    assert_string_equal(text_at(json, "stdout", "xxh128"), "06b05ab6733a618578af5f94892f3950");
    assert_string_equal(text_at(json, "stderr", "xxh128"), "99aa06d3014798d86001c324468d497f");
    const json_t *rule = json_array_get(json_object_get(json, "rules"), 0);
    assert_string_equal(text_at(rule, "rule", NULL), "begin");
    json_decref(json);
    buf_release(&out);
}

static void killed_call_has_a_signal_and_no_status(void **state)
{
    const struct journal_entry entry = {
        .argv = argv_exec, .verb = "exec", .status = -1, .signal = 9};
    append(*state, &entry);
    json_t *json = line(*state, 0);
    assert_true(json_is_null(json_object_get(json, "status")));
    assert_int_equal(json_integer_value(json_object_get(json, "signal")), 9);
    assert_true(json_is_null(json_object_get(json, "machine")));
    assert_int_equal(json_array_size(json_object_get(json, "rules")), 0);
    json_decref(json);
}

#define FFFD "\xef\xbf\xbd"

static const struct {
    const char *name;
    const char *bytes;
    size_t len;
    const char *head;
} head_rows[] = {
    {"ASCII", "a\n\t\"\\", 5, "a\n\t\"\\"},
    {"two, three and four bytes", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9,
     "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
    {"NUL", "a\0b", 3, "a" FFFD "b"},
    {"lone continuation", "a\x80z", 3, "a" FFFD "z"},
    {"cut at the end", "a\xe2\x82", 3, "a" FFFD FFFD},
    {"overlong", "\xc0\xaf", 2, FFFD FFFD},
    {"overlong of three", "\xe0\x80\xaf", 3, FFFD FFFD FFFD},
    {"surrogate", "\xed\xa0\x80", 3, FFFD FFFD FFFD},
    {"past the last plane", "\xf4\x90\x80\x80", 4, FFFD FFFD FFFD FFFD},
    {"0xff", "\xff", 1, FFFD},
    {"broken in the middle", "\xe2\x28\xa1", 3, FFFD "(" FFFD},
};

static void head_is_valid_utf8(void **state)
{
    for (size_t i = 0; i < sizeof head_rows / sizeof *head_rows; i++) {
        struct buf out = BUF_INIT;
        buf_append(&out, head_rows[i].bytes, head_rows[i].len);
        const struct journal_entry entry = {.argv = argv_exec, .verb = "exec", .out = &out};
        append(*state, &entry);
        json_t *json = line(*state, (int)i);
        const char *head = text_at(json, "stdout", "head");
        if (strcmp(head, head_rows[i].head) != 0)
            fail_msg("%s: '%s'", head_rows[i].name, head);
        assert_int_equal(
            json_integer_value(json_object_get(json_object_get(json, "stdout"), "bytes")),
            head_rows[i].len);
        json_decref(json);
        buf_release(&out);
    }
}

static void head_ends_at_4096_bytes_between_characters(void **state)
{
    struct buf out = BUF_INIT;
    buf_add(&out, "a");
    while (out.len < 300000)
        buf_add(&out, "\xe2\x82\xac");
    const struct journal_entry entry = {.argv = argv_exec, .verb = "exec", .out = &out};
    append(*state, &entry);
    append(*state, &entry); /* the number is found behind a long line */
    json_t *json = line(*state, 1);
    assert_int_equal(json_integer_value(json_object_get(json, "seq")), 2);
    assert_int_equal(strlen(text_at(json, "stdout", "head")), 4096);
    json_decref(json);
    buf_release(&out);
}

static void number_is_found_behind_a_line_longer_than_a_block(void **state)
{
    CLEANUP(io_free) char *word = malloc(200001);
    memset(word, 'x', 200000);
    word[200000] = '\0';
    const char *const argv[] = {"smolvm", word, NULL};
    const struct journal_entry entry = {.argv = argv, .verb = ""};
    for (int i = 0; i < 3; i++)
        append(*state, &entry);
    json_t *json = line(*state, 2);
    assert_int_equal(json_integer_value(json_object_get(json, "seq")), 3);
    json_decref(json);
}

static void half_a_line_of_a_killed_writer_is_cut_off(void **state)
{
    static const char *const rests[] = {"{", "{\"seq\": 2, \"start"};
    const struct journal_entry entry = {.argv = argv_exec, .verb = "ls"};
    CLEANUP(io_free) char *path = io_format("%s/journal.ndjson", (char *)*state);
    append(*state, &entry);
    for (int i = 0; i < 2; i++) {
        CLEANUP(io_close) int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
        assert_int_equal(io_write_all(fd, rests[i], strlen(rests[i])), 0);
        append(*state, &entry);
        json_t *json = line(*state, i + 1);
        assert_int_equal(json_integer_value(json_object_get(json, "seq")), i + 2);
        json_decref(json);
    }
}

static void journal_that_is_none_is_an_error(void **state)
{
    const struct journal_entry entry = {.argv = argv_exec, .verb = "ls"};
    CLEANUP(io_free) char *path = io_format("%s/journal.ndjson", (char *)*state);
    assert_int_equal(io_write_file(AT_FDCWD, path, "hello\n", 6, 0600, NULL), 0);
    struct err err = {""};
    assert_int_equal(journal_append(*state, &entry, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "journal.ndjson"));
}

#define WRITERS 8
#define LINES 25

static void numbers_have_no_gap_under_many_writers(void **state)
{
    const struct journal_entry entry = {.argv = argv_exec, .verb = "exec"};
    pid_t pids[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            for (int j = 0; j < LINES; j++)
                if (journal_append(*state, &entry, NULL) < 0)
                    _exit(1);
            _exit(0);
        }
        assert_true(pids[i] > 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        int status;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    for (int i = 0; i < WRITERS * LINES; i++) {
        json_t *json = line(*state, i);
        assert_int_equal(json_integer_value(json_object_get(json, "seq")), i + 1);
        json_decref(json);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(line_holds_the_whole_call),
        TEST(killed_call_has_a_signal_and_no_status),
        TEST(head_is_valid_utf8),
        TEST(head_ends_at_4096_bytes_between_characters),
        TEST(number_is_found_behind_a_line_longer_than_a_block),
        TEST(half_a_line_of_a_killed_writer_is_cut_off),
        TEST(journal_that_is_none_is_an_error),
        TEST(numbers_have_no_gap_under_many_writers),
    };
    return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
