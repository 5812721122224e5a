#include "support.h"
#include "random.h"

#include <errno.h>
#include <string.h>

#include "../fault/address.h"

static const char *const places[] = {"open",    "write",  "truncate", "rename",   "link",
                                     "symlink", "unlink", "mkdir",    "rmdir",    "mknod",
                                     "chmod",   "chown",  "utime",    "xattr",    "sync",
                                     "begin",   "spawn",  "exit",     "pipewrite"};
#define PLACES (sizeof places / sizeof places[0])

static char *random_bytes(struct random *random, const char *prefix, size_t max)
{
    static const char bytes[] = "abXY09/_.:#%, =\n\t\x01\x7f\xc3\xff+@~";
    struct buf text = BUF_INIT;
    buf_add(&text, prefix);
    for (size_t len = random_below(random, max + 1); len > 0; len--) {
        char any = (char)(1 + random_below(random, 255));
        buf_append(&text,
                   random_bit(random) ? &any : &bytes[random_below(random, sizeof bytes - 1)], 1);
    }
    return text.data;
}

static void a_printed_address_is_read_back_the_same(void **state)
{
    (void)state;
    uint64_t rounds;
    struct random random = random_start(&rounds);
    for (uint64_t i = 0; i < rounds; i++) {
        CLEANUP(address_release) struct address address = ADDRESS_INIT, again = ADDRESS_INIT;
        CLEANUP(io_free) char *comm = random_bytes(&random, "", RULE_COMM_MAX);
        CLEANUP(buf_release) struct buf text = BUF_INIT, text_again = BUF_INIT;
        size_t place = random_below(&random, PLACES);
        struct err err;
        snprintf(address.comm, sizeof address.comm, "%s", comm);
        address.place = places[place];
        address.path = random_bytes(&random, "/", 40);
        address.n = (uint32_t)(1 + random_below(&random, RULE_ORDINAL_MAX));
        address_print(&address, &text);
        if (address_parse(buf_str(&text), &again, NULL, &err) < 0)
            fail_msg("%s: %s", buf_str(&text), err.msg);
        address_print(&again, &text_again);
        if (!address_equal(&address, &again) || strcmp(text.data, text_again.data) != 0)
            fail_msg("%s became %s", text.data, text_again.data);
        again.n++;
        assert_false(address_equal(&address, &again));
    }
}

static void no_damaged_address_is_read_as_another_text(void **state)
{
    (void)state;
    uint64_t rounds;
    struct random random = random_start(&rounds);
    uint64_t accepted = 0;
    for (uint64_t i = 0; i < rounds; i++) {
        char text[] = "my%20sh:rename:/tmp/a%3Ab.X#12";
        for (uint64_t damages = 1 + random_below(&random, 3); damages > 0; damages--)
            text[random_below(&random, sizeof text - 1)] = (char)(1 + random_below(&random, 127));
        CLEANUP(address_release) struct address address = ADDRESS_INIT;
        CLEANUP(buf_release) struct buf again = BUF_INIT;
        size_t column = 0;
        if (address_parse(text, &address, &column, NULL) == 0) {
            address_print(&address, &again);
            assert_string_equal(text, again.data);
            accepted++;
        } else if (column < 1 || column > sizeof text) {
            fail_msg("%s: column %zu", text, column);
        }
    }
    assert_true(accepted > 0 && accepted < rounds);
}

static void an_address_says_what_it_means(void **state)
{
    (void)state;
    static const struct {
        const char *text, *comm, *place, *path;
        uint32_t n;
    } rows[] = {
        {"openssl:symlink:/etc/ssl/certs/5ed36f99.0#1", "openssl", "symlink",
         "/etc/ssl/certs/5ed36f99.0", 1},
        {"a%3Ab%23:write:/x%20y%2C%25%0A#1000000000", "a:b#", "write", "/x y,%\n", 1000000000},
        {":exit:/2/1#3", "", "exit", "/2/1", 3},
        {"sync:sync:/#1", "sync", "sync", "/", 1},
        {"dpkg:open:/usr/\xc3\xa4#7", "dpkg", "open", "/usr/\xc3\xa4", 7},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        CLEANUP(address_release) struct address address = ADDRESS_INIT;
        struct err err;
        if (address_parse(rows[i].text, &address, NULL, &err) < 0)
            fail_msg("%s: %s", rows[i].text, err.msg);
        assert_string_equal(address.comm, rows[i].comm);
        assert_string_equal(address.place, rows[i].place);
        assert_string_equal(address.path, rows[i].path);
        assert_int_equal(address.n, rows[i].n);
    }
}

static void mistakes_are_refused_where_they_stand(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t column;
        const char *says;
    } rows[] = {
        {"", 1, "COMM:OP:PATH#N"},
        {"sh", 3, "COMM:OP:PATH#N"},
        {"sh:open:/a", 11, "COMM:OP:PATH#N"},
        {"sixteen-bytes-xx:open:/a#1", 1, "15 bytes"},
        {"sh:openat:/a#1", 4, "no operation"},
        {"sh::/a#1", 4, "no operation"},
        {"sh:end:#1", 4, "no operation"},
        {"sh:open:#1", 9, "begin with"},
        {"sh:open:a#1", 9, "begin with"},
        {"sh:exit:#1", 9, "begin with"},
        {"sh:open:/a%2#1", 11, "two hex digits"},
        {"s%00:open:/a#1", 2, "not both 0"},
        {"sh:open:/a#", 12, "a number"},
        {"sh:open:/a#0", 12, "a number"},
        {"sh:open:/a#-1", 12, "a number"},
        {"sh:open:/a#1000000001", 12, "a number"},
        {"sh:open:/a#99999999999999999999", 12, "a number"},
        {"sh:open:/a#01", 12, "written sh:open:/a#1"},
        {"sh:open:/a# 1", 12, "written sh:open:/a#1"},
        {"sh:open:/a#1 ", 13, "written sh:open:/a#1"},
        {"sh:open:/a#1#1", 13, "written sh:open:/a#1"},
        {"sh:open:/a b#1", 11, "written sh:open:/a%20b#1"},
        {"sh:open:/a:b#1", 11, "written sh:open:/a%3Ab#1"},
        {"sh:open:/a%3ab#1", 13, "written sh:open:/a%3Ab#1"},
        {"sh:open:/%61#1", 10, "written sh:open:/a#1"},
        {"s,h:open:/a#1", 2, "written s%2Ch:open:/a#1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct address address = ADDRESS_INIT;
        struct err err = {""};
        size_t column = 0;
        int ret = address_parse(rows[i].text, &address, &column, &err);
        if (ret != -EINVAL || column != rows[i].column || !strstr(err.msg, rows[i].says))
            fail_msg("\"%s\": %d, column %zu: %s", rows[i].text, ret, column, err.msg);
        assert_null(address.path);
    }
}

/* --- the book ------------------------------------------------------------------------- */

static void check_next(struct address_book *book, const char *comm, const char *place,
                       const char *path, const char *wanted)
{
    CLEANUP(address_release) struct address address = ADDRESS_INIT;
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    address_book_name(book, comm, place, path, &address);
    address_print(&address, &text);
    if (strcmp(buf_str(&text), wanted) != 0)
        fail_msg("%s instead of %s", buf_str(&text), wanted);
}

static void a_book_counts_each_name_for_itself(void **state)
{
    (void)state;
    CLEANUP(address_book_release) struct address_book book = ADDRESS_BOOK_INIT;
    check_next(&book, "sh", "write", "/a", "sh:write:/a#1");
    check_next(&book, "sh", "write", "/a", "sh:write:/a#2");
    check_next(&book, "sh", "write", "/b", "sh:write:/b#1");
    check_next(&book, "sh", "open", "/a", "sh:open:/a#1");
    check_next(&book, "cp", "write", "/a", "cp:write:/a#1");
    check_next(&book, "sh", "exit", "/2", "sh:exit:/2#1");
    check_next(&book, "sh", "exit", "/2", "sh:exit:/2#2");
    check_next(&book, "sh", "write", "/a", "sh:write:/a#3");
    check_next(&book, "a:write", "open", "/a", "a%3Awrite:open:/a#1");
    check_next(&book, "sixteen-bytes-xx", "open", "/a", "sixteen-bytes-x:open:/a#1");
}

static void random_tails_become_x(void **state)
{
    (void)state;
    static const struct {
        const char *made, *used, *address;
    } rows[] = {
        {"/tmp/tmp.a8Kd02mQpz", "/tmp/tmp.a8Kd02mQpz", "/tmp/tmp.XXXXXXXXXX"},
        {"/tmp/tmp.a8Kd02mQpz", "/tmp/tmp.a8Kd02mQpz/in/it", "/tmp/tmp.XXXXXXXXXX/in/it"},
        {"/tmp/t.a8Kd02mQpz", "/tmp/t.a8Kd02mQpzz", "/tmp/t.a8Kd02mQpzz"},
        {"/tmp/t.a8Kd02mQpz", "/tmp/t.a8Kd02mQp", "/tmp/t.a8Kd02mQp"},
        {"/tmp/t.a8Kd02mQpz", "/b/tmp/t.a8Kd02mQpz", "/b/tmp/t.a8Kd02mQpz"},
        /* made before the tree began */
        {"/a", "/tmp/ca-certificates.tmp.DkGn71", "/tmp/ca-certificates.tmp.XXXXXX"},
        {"/a", "/tmp/tmp.a8Kd02mQpz/in", "/tmp/tmp.XXXXXXXXXX/in"},
        {"/a", "/tmp/atmp.a8Kd02mQpz", "/tmp/atmp.a8Kd02mQpz"},
        {"/a", "/tmp/tmp.a8Kd0", "/tmp/tmp.a8Kd0"},
        {"/a", "/tmp/tmp.a8Kd02.x", "/tmp/tmp.a8Kd02.x"},
        {"/etc/ca-certificates.crt.tmp.aB3dE6", "/etc/ca-certificates.crt.tmp.aB3dE6",
         "/etc/ca-certificates.crt.tmp.XXXXXX"},
        {"/tmp/sedq9Lw2x", "/tmp/sedq9Lw2x", "/tmp/XXXXXXXXX"},
        {"/tmp/tmpab_de1f2", "/tmp/tmpab_de1f2", "/tmp/XXXXXXXXXXX"},
        {"/tmp/key-Zq81bc.pem", "/tmp/key-Zq81bc.pem", "/tmp/key-XXXXXX.pem"},
        {"/tmp/key-Zq81bc.p.pem", "/tmp/key-Zq81bc.p.pem", "/tmp/key-Zq81bc.p.pem"},
        {"/tmp/five5", "/tmp/five5", "/tmp/five5"},
        {"/tmp/abcdef-new", "/tmp/abcdef-new", "/tmp/abcdef-new"},
        {"/abcdefgh/a.b", "/abcdefgh/a.b", "/abcdefgh/a.b"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        CLEANUP(address_book_release) struct address_book book = ADDRESS_BOOK_INIT;
        CLEANUP(io_free) char *wanted = io_format("sh:open:%s#1", rows[i].address);
        address_book_temporary(&book, rows[i].made);
        check_next(&book, "sh", "open", rows[i].used, wanted);
    }
}

static void temporaries_nest_and_are_forgotten(void **state)
{
    (void)state;
    CLEANUP(address_book_release) struct address_book book = ADDRESS_BOOK_INIT;
    address_book_forget(&book, "/tmp");
    address_book_temporary(&book, "/tmp/d.aaaaaa");
    address_book_temporary(&book, "/tmp/d.aaaaaa/e.bbbbbb");
    address_book_temporary(&book, "/tmp/d.aaaaaa/e.bbbbbb");
    address_book_temporary(&book, "/tmp/f.cccccc");
    check_next(&book, "sh", "write", "/tmp/d.aaaaaa/e.bbbbbb", "sh:write:/tmp/d.XXXXXX/e.XXXXXX#1");
    address_book_forget(&book, "/tmp/d.aaaaaa/e.bbbbbb");
    check_next(&book, "rm", "unlink", "/tmp/d.aaaaaa/e.bbbbbb",
               "rm:unlink:/tmp/d.XXXXXX/e.XXXXXX#1");
    address_book_temporary(&book, "/tmp/d.aaaaaa/e.dddddd");
    check_next(&book, "sh", "write", "/tmp/d.aaaaaa/e.dddddd", "sh:write:/tmp/d.XXXXXX/e.XXXXXX#2");
    address_book_forget(&book, "/tmp/d.aaaaaa");
    check_next(&book, "rm", "rmdir", "/tmp/d.aaaaaa", "rm:rmdir:/tmp/d.XXXXXX#1");
    check_next(&book, "sh", "write", "/tmp/f.cccccc", "sh:write:/tmp/f.XXXXXX#1");
    for (int i = 0; i < 100; i++) { /* what is long gone costs nothing */
        CLEANUP(io_free) char *path = io_format("/tmp/g.%06d", i);
        address_book_temporary(&book, path);
        address_book_forget(&book, path);
    }
    check_next(&book, "sh", "write", "/tmp/d.aaaaaa/e.dddddd", "sh:write:/tmp/d.aaaaaa/e.dddddd#1");
    check_next(&book, "rm", "unlink", "/tmp/g.000099", "rm:unlink:/tmp/g.XXXXXX#1");
    check_next(&book, "sh", "write", "/tmp/f.cccccc", "sh:write:/tmp/f.XXXXXX#2");
}

/* --- the trace ------------------------------------------------------------------------ */

static void check_digest(const char *const *texts, const char *wanted, bool same)
{
    struct trace_digest digest = TRACE_DIGEST_INIT;
    char shown[TRACE_DIGEST_LEN + 1];
    for (; *texts; texts++)
        trace_digest_add(&digest, *texts);
    trace_digest_print(&digest, shown);
    assert_int_equal(strlen(shown), TRACE_DIGEST_LEN);
    assert_int_equal(strspn(shown, "0123456789abcdef"), TRACE_DIGEST_LEN);
    if ((strcmp(shown, wanted) == 0) != same)
        fail_msg("%s and %s", shown, wanted);
}

static void the_trace_digest_depends_on_texts_order_and_borders(void **state)
{
    (void)state;
    struct trace_digest digest = TRACE_DIGEST_INIT;
    char wanted[TRACE_DIGEST_LEN + 1];
    trace_digest_add(&digest, "a:open:/a#1");
    trace_digest_add(&digest, "a:open:/b#1");
    trace_digest_print(&digest, wanted);
    check_digest((const char *[]){"a:open:/a#1", "a:open:/b#1", NULL}, wanted, true);
    check_digest((const char *[]){"a:open:/b#1", "a:open:/a#1", NULL}, wanted, false);
    check_digest((const char *[]){"a:open:/a#1", "a:open:/b#2", NULL}, wanted, false);
    check_digest((const char *[]){"a:open:/a#1a:open:/b#1", NULL}, wanted, false);
    check_digest((const char *[]){"a:open:/a#1", NULL}, wanted, false);
    check_digest((const char *[]){NULL}, wanted, false);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_printed_address_is_read_back_the_same),
        cmocka_unit_test(no_damaged_address_is_read_as_another_text),
        cmocka_unit_test(an_address_says_what_it_means),
        cmocka_unit_test(mistakes_are_refused_where_they_stand),
        cmocka_unit_test(a_book_counts_each_name_for_itself),
        cmocka_unit_test(random_tails_become_x),
        cmocka_unit_test(temporaries_nest_and_are_forgotten),
        cmocka_unit_test(the_trace_digest_depends_on_texts_order_and_borders),
    };
    return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
