#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../impl/command.h"

static void free_stream(struct stream *stream)
{
    free(stream->kept);
}

static char *quoted(const struct stream *stream)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    assert_non_null(file);
    stream_quote(stream, file);
    fclose(file);
    return text;
}

struct quote_row {
    const char *name;
    const char *data;
    const char *quoted;
};

static const struct quote_row quote_rows[] = {
    {"nothing", "", "\"\""},
    {"plain", "a b", "\"a b\""},
    {"trimmed", " \n\t a \r\n\n", "\"a\""},
    {"blanks alone", " \n\n ", "\"\""},
    {"inner newline", "a\n\nb\n", "\"a\\n\\nb\""},
    {"quotes and backslash", "say \"x\" \\n", "\"say \\\"x\\\" \\\\n\""},
    {"control bytes", "\033[1mx\001\177", "\"\\x1b[1mx\\x01\\x7f\""},
    {"tab and return", "a\tb\rc", "\"a\\tb\\rc\""},
    {"beyond ASCII", "\303\244", "\"\\xc3\\xa4\""},
};

static void quoting_makes_one_line_of_anything(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof quote_rows / sizeof *quote_rows; i++) {
        const struct quote_row *row = &quote_rows[i];
        CLEANUP(free_stream) struct stream stream = {NULL, 0};
        stream_add(&stream, row->data, strlen(row->data));
        CLEANUP(free_text) char *text = quoted(&stream);
        if (strcmp(text, row->quoted) != 0)
            fail_msg("%s: expected %s, found %s", row->name, row->quoted, text);
    }
}

/* The byte at a place of the test's endless stream: no two nearby windows look alike. */
static char byte_at(size_t place)
{
    return (char)('a' + (place * 7 + place / 26 + place / 65536) % 26);
}

static void streams_keep_head_and_tail_at_any_length(void **state)
{
    (void)state;
    static const size_t lengths[] = {0,      1,      65535,  65536,  65537,
                                     131071, 131072, 131073, 196608, 1000003};
    static const size_t chunks[] = {1000, 65536, 333333};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++) {
            size_t len = lengths[i];
            char *data = malloc(len + 1);
            assert_non_null(data);
            for (size_t at = 0; at < len; at++)
                data[at] = byte_at(at);
            CLEANUP(free_stream) struct stream stream = {NULL, 0};
            for (size_t at = 0; at < len; at += chunks[c])
                stream_add(&stream, data + at, len - at < chunks[c] ? len - at : chunks[c]);
            assert_int_equal(stream.size_bytes, len);
            CLEANUP(free_text) char *text = stream_text(&stream);
            size_t kept = len < 131072 ? len : 131072;
            size_t head = len < 65536 ? len : 65536;
            assert_int_equal(strlen(text), kept);
            assert_memory_equal(text, data, head);
            if (kept > head)
                assert_memory_equal(text + head, data + len - (kept - head), kept - head);
            free(data);
        }
}

static void quoting_says_how_much_was_left_out(void **state)
{
    (void)state;
    CLEANUP(free_stream) struct stream stream = {NULL, 0};
    stream_add(&stream, "HEAD", 4);
    for (int i = 0; i < 200; i++) {
        char fill[1000];
        memset(fill, 'x', sizeof fill);
        stream_add(&stream, fill, sizeof fill);
    }
    stream_add(&stream, "TAIL\n", 5);
    CLEANUP(free_text) char *text = quoted(&stream);
    assert_non_null(strstr(text, "x[68937 bytes left out]x"));
    assert_memory_equal(text, "\"HEADx", 6);
    assert_string_equal(text + strlen(text) - 6, "xTAIL\"");
}

static struct command_result run_sh(const char *script)
{
    CLEANUP(error_release) struct error error = {NULL};
    struct command_result result = {0};
    if (command_run((const char *const[]){"sh", "-c", script, NULL}, &result, &error) < 0)
        fail_msg("%s: %s", script, error.text);
    return result;
}

struct run_row {
    const char *name;
    const char *script;
    bool signaled;
    int code;
    const char *out;
    const char *err;
};

static const struct run_row run_rows[] = {
    {"success", "echo a; echo b >&2", false, 0, "a\n", "b\n"},
    {"a status", "echo a; exit 77", false, 77, "a\n", ""},
    {"status 137 is no signal", "exit 137", false, 137, "", ""},
    {"killed", "echo a; kill -KILL $$", true, SIGKILL, "a\n", ""},
    {"terminated", "kill -TERM $$", true, SIGTERM, "", ""},
    {"stdin is empty", "cat; readlink /proc/self/fd/0", false, 0, "/dev/null\n", ""},
    {"streams closed early", "exec >&- 2>&-; sleep 0.05; exit 5", false, 5, "", ""},
    {"a grandchild holds the streams", "echo a; sleep 8 & exit 3", false, 3, "a\n", ""},
};

static void results_tell_end_and_streams(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof run_rows / sizeof *run_rows; i++) {
        const struct run_row *row = &run_rows[i];
        time_t start = time(NULL);
        CLEANUP(command_result_release) struct command_result result = run_sh(row->script);
        CLEANUP(free_text) char *out = stream_text(&result.out);
        CLEANUP(free_text) char *err = stream_text(&result.err);
        if (result.signaled != row->signaled || result.code != row->code ||
            strcmp(out, row->out) != 0 || strcmp(err, row->err) != 0 || time(NULL) - start > 5)
            fail_msg("%s: found %d %d '%s' '%s'", row->name, result.signaled, result.code, out,
                     err);
    }
}

static void large_output_on_both_streams_neither_hangs_nor_is_kept(void **state)
{
    (void)state;
    CLEANUP(command_result_release)
    struct command_result result = run_sh("head -c 10485760 /dev/zero >&2 & head -c 10485760 "
                                          "/dev/zero; wait; echo end; echo END >&2");
    assert_int_equal(result.code, 0);
    assert_int_equal(result.out.size_bytes, 10485764);
    assert_int_equal(result.err.size_bytes, 10485764);
}

static void program_that_is_not_there_is_an_error(void **state)
{
    (void)state;
    CLEANUP(error_release) struct error error = {NULL};
    struct command_result result = {0};
    const char *const missing[] = {"killpoint-no-such-program", NULL};
    assert_int_equal(command_run(missing, &result, &error), -ENOENT);
    assert_string_equal(error.text,
                        "cannot start killpoint-no-such-program: No such file or directory");
    const char *const folder[] = {"/tmp", NULL};
    assert_int_equal(command_run(folder, &result, &error), -EACCES);
}

static void ignored_sigchld_and_blocked_signals_change_nothing(void **state)
{
    (void)state;
    sigset_t term, before, after;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    signal(SIGCHLD, SIG_IGN);
    sigprocmask(SIG_BLOCK, &term, &before);
    CLEANUP(command_result_release) struct command_result result = run_sh("kill -TERM $$; exit 1");
    sigprocmask(SIG_SETMASK, &before, &after);
    assert_true(result.signaled);
    assert_int_equal(result.code, SIGTERM);
    assert_true(sigismember(&after, SIGTERM) && !sigismember(&after, SIGCHLD));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quoting_makes_one_line_of_anything),
        cmocka_unit_test(streams_keep_head_and_tail_at_any_length),
        cmocka_unit_test(quoting_says_how_much_was_left_out),
        cmocka_unit_test(results_tell_end_and_streams),
        cmocka_unit_test(large_output_on_both_streams_neither_hangs_nor_is_kept),
        cmocka_unit_test(program_that_is_not_there_is_an_error),
        cmocka_unit_test(ignored_sigchld_and_blocked_signals_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
