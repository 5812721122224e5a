#include "support.h"
#include "random.h"

#include <errno.h>
#include <string.h>

#include "../fault/rule_parse.h"

/* canonical NULL: it is the text itself. */
static const struct {
    const char *name;
    const char *text;
    const char *canonical;
} accepted[] = {
    {"the shortest", "begin", NULL},
    {"end", "end", NULL},
    {"an operation", "rename", NULL},
    {"several operations, in one order", "rename,open,write", "open,write,rename"},
    {"a call's name", "renameat2", "rename"},
    {"calls of one operation", "rename,renameat,renameat2", "rename"},
    {"calls of several", "pwritev2,linkat,fdatasync", "write,link,sync"},
    {"exec is every exec", "exec begin", "begin"},
    {"the design's first", "exec#1 symlink:comm=openssl:path=/etc/ssl/certs/*",
     "exec#1 symlink:path=/etc/ssl/certs/*:comm=openssl"},
    {"the design's second", "exec at:ms=120:since=start:scope=init",
     "at:ms=120:since=start:scope=init"},
    {"the issue's", "exec at:ms=300:scope=init", "at:ms=300:scope=init"},
    {"cp", "cp#1 rename", NULL},
    {"start answers late", "start begin:delay=5000", NULL},
    {"start answers badly", "start#2 end:reply=unreachable", NULL},
    {"stop and the VM", "stop at:ms=5:scope=vm", NULL},
    {"blanks around", " \t exec#2 \t rename \t", "exec#2 rename"},
    {"an early time", "at:ms=0", NULL},
    {"the last time", "at:ms=86400000", NULL},
    {"defaults spelled out", "rename:when=1+1:per=tree:timing=before:signal=KILL:scope=tree",
     "rename"},
    {"since's default", "at:since=exec:ms=1", "at:ms=1"},
    {"leading zeros", "exec#007 at:ms=007", "exec#7 at:ms=7"},
    {"when F", "rename:when=3", NULL},
    {"when F..L", "rename:when=3..5", NULL},
    {"when F+S", "rename:when=3+2", NULL},
    {"when F..L+S", "rename:when=3..7+2", NULL},
    {"when F+, as strace has it", "rename:when=3+", "rename:when=3+1"},
    {"when from the first on", "rename:when=1+", "rename"},
    {"when F..F", "rename:when=4..4", "rename:when=4"},
    {"when ends at a number of the row", "rename:when=1..10+4", "rename:when=1..9+4"},
    {"when of one number", "rename:when=5..7+3", "rename:when=5"},
    {"when at its largest", "rename:when=1000000000..1000000000+1000000000",
     "rename:when=1000000000"},
    {"counted in each process", "rename:when=2:per=process", NULL},
    {"after", "rename:timing=after", NULL},
    {"another signal", "rename:signal=SIGTERM", "rename:signal=TERM"},
    {"an error", "write:error=ENOSPC", NULL},
    {"an error by another name", "openat:error=EWOULDBLOCK", "open:error=EAGAIN"},
    {"an error of all that are named", "write,rename,symlink:error=EIO", NULL},
    {"an error of one call", "copy_file_range:error=EXDEV", "write:error=EXDEV"},
    {"held", "write:delay=7000:timing=after", "write:timing=after:delay=7000"},
    {"held before the command", "begin:delay=1", NULL},
    {"held at spawn", "spawn:comm=sh:delay=10", NULL},
    {"torn", "write:persist=4096", NULL},
    {"torn before its first byte", "write:persist=0:signal=KILL", "write:persist=0"},
    {"torn by another signal", "write:persist=10:signal=TERM", "write:signal=TERM:persist=10"},
    {"a status", "begin:status=0", NULL},
    {"a status in time", "at:ms=5:status=255", NULL},
    {"lost", "cp#1 end:reply=lost", NULL},
    {"lost to the VM", "write:scope=vm:lose=all", NULL},
    {"the client dies", "begin:scope=client", NULL},
    {"the client is asked to end", "at:ms=50:scope=client:signal=TERM",
     "at:ms=50:signal=TERM:scope=client"},
    {"one process", "spawn:scope=process", NULL},
    {"exit of one process", "exit:comm=openssl:when=2:scope=process", NULL},
    {"a writer dies", "pipewrite:comm=sed:when=2..9:scope=process", NULL},
    {"the first stop of a process", "begin:comm=awk:when=3:scope=process", NULL},
    {"a process is held at its first stop", "begin:delay=5:scope=process", NULL},
    {"argv[0] alone", "at:ms=5:scope=process", NULL},
    {"a path with everything",
     "unlink:path=/a%20b%3ac%25%23%2c%0a,#=", "unlink:path=/a%20b%3Ac%25%23%2C%0A%2C%23="},
    {"bytes past ASCII stay", "unlink:path=/\xc3\xa9%C3%A9", "unlink:path=/\xc3\xa9\xc3\xa9"},
    {"a comm of 15 bytes", "unlink:comm=update-ca-certi", NULL},
    {"an empty comm", "unlink:comm=:when=2", NULL},
    {"a comm encoded", "unlink:comm=a%3Ab", NULL},
};

static void valid_rules_are_read_and_printed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++) {
        CLEANUP(rule_release) struct rule rule = RULE_INIT;
        CLEANUP(buf_release) struct buf text = BUF_INIT;
        size_t column = 0;
        struct err err;
        if (rule_parse(accepted[i].text, NULL, &rule, &column, &err) < 0)
            fail_msg("%s: column %zu: %s", accepted[i].name, column, err.msg);
        rule_print(&rule, &text);
        const char *canonical = accepted[i].canonical ? accepted[i].canonical : accepted[i].text;
        if (strcmp(buf_str(&text), canonical) != 0)
            fail_msg("%s: printed %s", accepted[i].name, buf_str(&text));
    }
}

static const struct {
    const char *name;
    const char *text;
    size_t column;
    const char *fragment;
} rejected[] = {
    {"empty", "", 1, "empty"},
    {"blank", "  \t", 1, "empty"},
    {"an unknown place", "renam", 1, "the place \"renam\" is none of: begin, end"},
    {"the places are listed", "renam", 1, "rename, link"},
    {"an unknown place after a call", "exec#1 renam", 8, "\"renam\""},
    {"an unknown place in a list", "open,renam", 6, "\"renam\""},
    {"case", "Begin", 1, "\"Begin\""},
    {"an unknown call", "exce rename", 1, "the call \"exce\" is none of: exec, start, cp, stop"},
    {"a call alone", "exec", 5, "a place is needed"},
    {"a numbered call alone", "cp#1", 5, "a place is needed"},
    {"a call and keys", "exec :when=1", 6, "a place is needed"},
    {"a number on a place", "rename#1", 7, "only \":KEY=VALUE\" can follow"},
    {"a number on nothing", "#1 rename", 1, "the call \"\""},
    {"the zeroth call", "exec#0 rename", 6, "1 to 1000000000"},
    {"no number", "exec# rename", 6, "\"\" is no number"},
    {"no such number", "exec#x rename", 6, "\"x\" is no number"},
    {"a number too many", "exec#1000000001 rename", 6, "1 to 1000000000"},
    {"a number past all types", "exec#99999999999999999999999 rename", 6, "is no number"},
    {"a signed number", "exec#+1 rename", 6, "is no number"},
    {"a blank for a colon", "rename path=/x", 7, "only \":KEY=VALUE\""},
    {"a blank for a colon after a call", "exec rename path=/x", 12, "only \":KEY=VALUE\""},
    {"a blank after begin", "exec begin status=1", 11, "only \":KEY=VALUE\""},
    {"a place in a list", "begin,end", 1, "\"begin\" stands alone"},
    {"a place behind operations", "write,end", 7, "\"end\" stands alone"},
    {"an empty item", "open,,write", 6, "a place is missing"},
    {"a comma at the end", "open,", 6, "a place is missing"},
    {"keys alone", ":when=1", 1, "a place is missing"},
    {"a colon at the end", "rename:", 8, "the key \"\" is none of: ms, since"},
    {"an unknown key", "rename:pth=/x", 8, "the key \"pth\" is none of"},
    {"a key alone", "rename:path", 12, "after \"path\""},
    {"a key with a colon", "rename:path:when=1", 12, "after \"path\""},
    {"a key without value", "rename:path=", 13, "path= has no value"},
    {"a key without value before another", "rename:path=:when=1", 13, "path= has no value"},
    {"a key twice", "rename:when=1:when=2", 15, "when= is given twice"},
    {"a blank in a value", "rename:path=/a b", 15, "written %20"},
    {"a tab in a value", "rename:path=/a\tb", 15, "written %09"},
    {"a newline in a value", "rename:path=/a\n", 15, "written %0A"},
    {"half an escape", "rename:path=/a%2", 15, "two hex digits"},
    {"no escape", "rename:path=/a%zz", 15, "two hex digits"},
    {"an escape into the next key", "rename:path=/a%2:when=1", 15, "two hex digits"},
    {"NUL", "rename:path=/a%00", 15, "two hex digits"},
    {"a relative path", "rename:path=etc", 13, "must begin with \"/\""},
    {"a long comm", "rename:comm=update-ca-certificates", 13, "at most 15 bytes"},
    {"when 0", "rename:when=0", 13, "when=F \"0\""},
    {"when nothing", "rename:when=..3", 13, "when=F \"\""},
    {"when ends early", "rename:when=4..3", 16, "ends before it begins"},
    {"when ends nowhere", "rename:when=4..", 16, "when=F..L"},
    {"when with one dot", "rename:when=4.5", 14, "F[..L][+S]"},
    {"when with three dots", "rename:when=4...5", 16, "when=F..L"},
    {"when without step", "rename:when=4+0", 15, "when=F+S"},
    {"when with two steps", "rename:when=4+1+1", 15, "when=F+S"},
    {"when backwards", "rename:when=4+2..9", 15, "when=F+S"},
    {"a negative when", "rename:when=-1", 13, "when=F"},
    {"an unknown scope", "rename:scope=guest", 14, "tree, process, init, vm, client"},
    {"an unknown timing", "rename:timing=late", 15, "before, after"},
    {"an unknown per", "rename:when=1:per=call", 19, "tree, process"},
    {"an unknown signal", "rename:signal=KIL", 15, "no signal's name"},
    {"a signal's number", "rename:signal=9", 15, "no signal's name"},
    {"a signal's prefix", "rename:signal=SIG", 15, "no signal's name"},
    {"an unknown error", "rename:error=ENOPE", 14, "no error's name"},
    {"an error in small letters", "rename:error=eio", 14, "no error's name"},
    {"at without time", "at", 1, "at:ms=N"},
    {"at without time after a call", "exec at:since=start", 6, "at:ms=N"},
    {"a time too far", "at:ms=86400001", 7, "0 to 86400000"},
    {"a time elsewhere", "rename:ms=1", 8, "ms= goes with at"},
    {"since elsewhere", "begin:since=start", 7, "since= goes with at"},
    {"a path at begin", "begin:path=/x", 7, "only under scope=process"},
    {"a path at end", "end:path=/x", 5, "path= does not go with end"},
    {"comm at begin", "begin:comm=sh", 7, "only under scope=process"},
    {"comm at end", "end:comm=sh", 5, "comm= does not go with end"},
    {"comm at a time", "at:ms=1:comm=sh", 9, "comm= does not go with at"},
    {"when at a time", "at:ms=1:when=1", 9, "when= does not go with at"},
    {"when at end", "exec#1 end:when=1", 12, "when= does not go with end"},
    {"per without when", "rename:per=process", 8, "there is no when="},
    {"timing at spawn", "spawn:timing=before", 7, "timing= goes with operations"},
    {"two actions", "begin:status=1:delay=5", 16, "status= and delay= are two actions"},
    {"two actions the other way", "begin:delay=5:status=1", 15, "delay= and status="},
    {"a signal and an error", "write:signal=KILL:error=EIO", 19, "signal= and error="},
    {"torn and failed", "write:error=EIO:persist=5", 17, "error= and persist="},
    {"torn elsewhere", "rename:persist=5", 8, "write alone"},
    {"torn beside others", "write,rename:persist=5", 14, "write alone"},
    {"torn at begin", "begin:persist=5", 7, "write alone"},
    {"torn too late", "write:persist=2147479553", 15, "0 to 2147479552"},
    {"torn after", "write:timing=after:persist=5", 7, "timing=after does not go with persist="},
    {"failed after", "write:error=EIO:timing=after", 17, "timing=after does not go with error="},
    {"an error at begin", "begin:error=EIO", 7, "error= goes with operations"},
    {"an error that cannot be", "rename:error=EBADFD", 8, "rename cannot fail with EBADFD"},
    {"the errors that can be", "unlink:error=ENOSPC", 8, "but with: EPERM ENOENT EIO"},
    {"an error of one of two", "write,unlink:error=ENOSPC", 14, "unlink cannot fail with ENOSPC"},
    {"no delay", "write:delay=0", 13, "1 to 86400000"},
    {"a delay in time", "at:ms=1:delay=5", 9, "nobody stands there"},
    {"a status past a byte", "begin:status=256", 14, "0 to 255"},
    {"a status at a start", "spawn:status=1", 7, "status= goes with begin, end, at and operations"},
    {"a reply at exit", "exit:reply=lost", 6, "reply= goes with begin, end, at and operations"},
    {"a reply's form", "end:reply=Lost", 11, "a-z, 0-9 and -"},
    {"a reply's first letter", "end:reply=9lost", 11, "a-z, 0-9 and -"},
    {"scope without signal", "begin:status=1:scope=client", 16, "there is none"},
    {"scope of an error", "write:error=EIO:scope=process", 17, "there is none"},
    {"the process at end", "end:scope=process", 5, "the process is gone"},
    {"init by another signal", "begin:scope=init:signal=TERM", 18, "signal=KILL alone"},
    {"the VM by another signal", "begin:signal=TERM:scope=vm", 7, "signal=KILL alone"},
    {"files lost without VM", "begin:lose=all", 7, "lose=all goes with scope=vm"},
    {"files lost with init", "begin:scope=init:lose=all", 18, "lose=all goes with scope=vm"},
    {"some files lost", "begin:scope=vm:lose=some", 21, "\"some\" is none of: all"},
    {"an operation of start", "start rename", 7, "runs no command"},
    {"a spawn of stop", "stop#1 spawn", 8, "runs no command"},
    {"the tree of start", "start begin", 7, "scope=init, vm or client"},
    {"the process of stop", "stop begin:scope=process", 12, "scope=init, vm or client"},
    {"a control byte is shown as ?", "ren\x01me", 1, "\"ren?me\""},
};

static void invalid_rules_name_the_place_of_the_mistake(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rejected / sizeof rejected[0]; i++) {
        struct rule rule = RULE_INIT;
        size_t column = 0;
        struct err err = {""};
        int ret = rule_parse(rejected[i].text, NULL, &rule, &column, &err);
        if (ret != -EINVAL || column != rejected[i].column ||
            !strstr(err.msg, rejected[i].fragment))
            fail_msg("%s: found %d, column %zu: %s", rejected[i].name, ret, column, err.msg);
        struct rule untouched = RULE_INIT;
        assert_true(rule_equal(&rule, &untouched));
        assert_int_equal(rule_parse(rejected[i].text, NULL, &rule, NULL, NULL), -EINVAL);
    }
}

static void a_rule_too_long_is_refused(void **state)
{
    (void)state;
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    buf_add(&text, "rename:path=/");
    while (text.len <= RULE_TEXT_MAX)
        buf_add(&text, "x");
    struct rule rule;
    size_t column;
    struct err err;
    assert_int_equal(rule_parse(buf_str(&text), NULL, &rule, &column, &err), -EINVAL);
    assert_int_equal(column, RULE_TEXT_MAX + 1);
}

static void replies_are_those_of_the_caller(void **state)
{
    (void)state;
    static const char *const names[] = {"lost", "not-running", NULL};
    CLEANUP(rule_release) struct rule rule = RULE_INIT;
    size_t column;
    struct err err;
    assert_int_equal(rule_parse("end:reply=not-running", names, &rule, &column, &err), 0);
    assert_string_equal(rule.reply, "not-running");
    struct rule none;
    assert_int_equal(rule_parse("end:reply=los", names, &none, &column, &err), -EINVAL);
    assert_int_equal(column, 11);
    assert_non_null(strstr(err.msg, "\"los\" is none of: lost, not-running"));
}

/* Changes, removes or adds a few bytes, some of them whole words of the grammar. */
static void mutate(struct random *random, struct buf *text)
{
    static const char *const words[] = {":",       "=",          "when=1",      ":path=/x",
                                        "exec#1 ", ",",          "..",          "%",
                                        " ",       ":error=EIO", "99999999999", ":scope=vm"};
    for (uint64_t changes = 1 + random_below(random, 3); changes > 0; changes--) {
        CLEANUP(buf_release) struct buf old = *text;
        *text = (struct buf)BUF_INIT;
        size_t at = random_below(random, old.len + 1);
        size_t skipped = at < old.len ? random_below(random, 3) : 0;
        if (skipped > old.len - at)
            skipped = old.len - at;
        buf_append(text, buf_str(&old), at);
        char byte = (char)(1 + random_below(random, 255));
        if (random_bit(random))
            buf_append(text, &byte, 1);
        else
            buf_add(text, words[random_below(random, sizeof words / sizeof words[0])]);
        buf_append(text, buf_str(&old) + at + skipped, old.len - at - skipped);
    }
}

static void no_text_breaks_the_parser(void **state)
{
    (void)state;
    uint64_t rounds, valid = 0;
    struct random random = random_start(&rounds);
    for (uint64_t i = 0; i < rounds; i++) {
        CLEANUP(buf_release) struct buf text = BUF_INIT;
        CLEANUP(rule_release) struct rule rule = RULE_INIT;
        buf_add(&text, accepted[random_below(&random, sizeof accepted / sizeof accepted[0])].text);
        mutate(&random, &text);
        /* A copy of exact size, so that a read past the end is seen. */
        CLEANUP(io_free) char *exact = strdup(buf_str(&text));
        size_t column = 0;
        struct err err = {""};
        int ret = rule_parse(exact, NULL, &rule, &column, &err);
        if (ret == -EINVAL && column >= 1 && column <= text.len + 1 && err.msg[0])
            continue;
        if (ret != 0)
            fail_msg("%s: %d, column %zu: %s", exact, ret, column, err.msg);
        valid++;
        CLEANUP(buf_release) struct buf printed = BUF_INIT;
        CLEANUP(rule_release) struct rule again = RULE_INIT;
        rule_print(&rule, &printed);
        if (rule_parse(buf_str(&printed), NULL, &again, NULL, &err) < 0 ||
            !rule_equal(&rule, &again))
            fail_msg("%s printed as %s", exact, buf_str(&printed));
    }
    print_message("%ju of %ju still valid\n", (uintmax_t)valid, (uintmax_t)rounds);
    assert_true(valid < rounds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_rules_are_read_and_printed),
        cmocka_unit_test(invalid_rules_name_the_place_of_the_mistake),
        cmocka_unit_test(a_rule_too_long_is_refused),
        cmocka_unit_test(replies_are_those_of_the_caller),
        cmocka_unit_test(no_text_breaks_the_parser),
    };
    return cmocka_run_group_tests_name("rule_parse", tests, NULL, NULL);
}
