#include <errno.h>
#include <string.h>

#include "../scenarios/token.h"
#include "support.h"

#define HEAD "kp1:bbf35161286d:cc907e70b2a5:5443412c5512:exec#1:"

static void what_is_printed_is_read_again(void **state)
{
    (void)state;
    static const char *const rows[] = {
        HEAD "tree:openssl:symlink:/etc/ssl/certs/451e2d0a.0#1",
        HEAD "tree:end",
        HEAD "process:sed:pipewrite:/3/1#12",
        HEAD "torn:sed:write:/etc/ssl/certs/ca-certificates.crt.new#4:persist=820",
        HEAD "tree:mv:rename:/a+b#2+sed:write:/c+d#3",
        HEAD "tree:mv:rename:/a#2+end",
        HEAD "tree:end+end",
        HEAD "tree:end:open:/x#1",
        "kp1:bbf35161286d:cc907e70b2a5:-:exec#2:tree:sh:rename:/x#1",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct token token;
        struct err err;
        CLEANUP(buf_release) struct buf text = BUF_INIT;
        if (token_parse(rows[i], &token, &err) < 0)
            fail_msg("%s: %s", rows[i], err.msg);
        token_print(&token, &text);
        assert_string_equal(buf_str(&text), rows[i]);
        token_release(&token);
    }
}

static void what_is_no_token_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *err;
    } rows[] = {
        {"", "a token begins with kp1:"},
        {"kp2:bbf35161286d:", "a token begins with kp1:"},
        {"kp1:bbf3:cc907e70b2a5:-:exec#1:tree:end", "the layout is not 12 hex digits"},
        {"kp1:bbf35161286d:xx907e70b2a5:-:exec#1:tree:end", "the trace is not 12 hex digits"},
        {"kp1:bbf35161286d:cc907e70b2a5:mine:exec#1:tree:end", "the backend is neither"},
        {"kp1:bbf35161286d:cc907e70b2a5:-:exec:tree:end", "'exec' is no call"},
        {"kp1:bbf35161286d:cc907e70b2a5:-:exec#0:tree:end", "'exec#0' is no call"},
        {"kp1:bbf35161286d:cc907e70b2a5:-:cp#1:tree:end", "'cp#1' is no call"},
        {HEAD "torn:sh:write:/x#1:persist=07", "is not how a number of bytes is written"},
        {HEAD "vm:end", "'vm' is no scope"},
        {HEAD "tree:sh", "'sh' is no address"},
        {HEAD "tree:end+", "'' is no address"},
        {HEAD "tree:end+end+end", "'+end' is too much"},
        {HEAD "tree:sh:open:/x#1:persist=3", "':persist=3' is too much"},
        {HEAD "torn:sh:write:/x#1", "a torn write needs :persist=BYTES"},
        {HEAD "torn:sh:write:/x#1:persist=-1", "a torn write needs :persist=BYTES"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct token token = TOKEN_INIT;
        struct err err = {""};
        assert_int_equal(token_parse(rows[i].text, &token, &err), -EINVAL);
        if (!strstr(err.msg, rows[i].err))
            fail_msg("%s: '%s' is missing in: %s", rows[i].text, rows[i].err, err.msg);
    }
}

/* No change of one byte is read as the same token, or ends worse than in a refusal. */
static void a_damaged_token_is_another_or_none(void **state)
{
    (void)state;
    static const char whole[] = HEAD "tree:mv:rename:/a#2+sed:write:/c#3";
    for (size_t i = 0; i < strlen(whole); i++)
        for (int byte = 1; byte < 256; byte++) {
            char text[sizeof whole];
            memcpy(text, whole, sizeof whole);
            if (text[i] == (char)byte)
                continue;
            text[i] = (char)byte;
            struct token token;
            CLEANUP(buf_release) struct buf again = BUF_INIT;
            if (token_parse(text, &token, NULL) < 0)
                continue;
            token_print(&token, &again);
            if (strcmp(buf_str(&again), text) != 0)
                fail_msg("%s is read as %s", text, buf_str(&again));
            token_release(&token);
        }
}

static void a_token_is_a_rule_for_each_of_its_kills(void **state)
{
    (void)state;
    static const struct {
        const char *text, *rules[2];
    } rows[] = {
        {HEAD "tree:mv:rename:/a#2+end",
         {"exec#1 rename:comm=mv:path=/a:when=2:scope=tree", "exec#2 end"}},
        {HEAD "process:sed:pipewrite:/3/1#12",
         {"exec#1 pipewrite:comm=sed:path=/3/1:when=12:scope=process"}},
        {HEAD "torn:sed:write:/x#4:persist=820",
         {"exec#1 write:comm=sed:path=/x:when=4:scope=tree:persist=820"}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct token token;
        assert_int_equal(token_parse(rows[i].text, &token, NULL), 0);
        for (size_t k = 0; k < 2 && rows[i].rules[k]; k++) {
            CLEANUP(buf_release) struct buf rule = BUF_INIT;
            assert_int_equal(token_add_rule(&token, k, &rule, NULL), 0);
            assert_string_equal(buf_str(&rule), rows[i].rules[k]);
        }
        token_release(&token);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_printed_is_read_again),
        cmocka_unit_test(what_is_no_token_is_refused),
        cmocka_unit_test(a_damaged_token_is_another_or_none),
        cmocka_unit_test(a_token_is_a_rule_for_each_of_its_kills),
    };
    return cmocka_run_group_tests_name("token", tests, NULL, NULL);
}
