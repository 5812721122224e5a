/*
 * Bundles: what is in one, that it is whole and of bounded size whatever a backend does, and that
 * it plays its case again, or is refused.
 */
#include "play.h"

#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fakes/layout.h"
#include "../scenarios/bundle.h"

#define RUN "killpoint run --layout bookworm-mini --evidence \"$KP/found\" "
#define CALM "expect: {claim: success, store: {must: pass}}"
#define ONE "$(echo \"$KP\"/found/*.json)"

static json_t *read_bundle(const char *glob)
{
    struct run done = run_sh("cd \"$KP/found\" && printf %%s \"$PWD\"/%s", glob);
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    struct err err;
    check_success(&done);
    if (io_read_file(AT_FDCWD, done.out, &text, BUNDLE_MAX_BYTES, &err) < 0)
        fail_msg("%s", err.msg);
    for (const char *at = buf_str(&text); *at; at++)
        if ((unsigned char)*at >= 0x80 || (*at < ' ' && *at != '\n'))
            fail_msg("byte %d in a bundle", *at);
    json_t *bundle = json_loadb(text.data, text.len, 0, NULL);
    assert_non_null(bundle);
    run_release(&done);
    return bundle;
}

static const char *text_of(const json_t *json, const char *part, const char *key)
{
    const char *text = json_string_value(json_object_get(json_object_get(json, part), key));
    if (!text)
        fail_msg("the bundle has no %s.%s", part, key);
    return text;
}

static const json_t *find_check(const json_t *bundle, const char *id)
{
    size_t index;
    const json_t *check;
    json_array_foreach(json_object_get(json_object_get(bundle, "event"), "checks"), index, check)
    {
        if (strcmp(json_string_value(json_object_get(check, "id")), id) == 0)
            return check;
    }
    fail_msg("there is no check %s", id);
    return NULL;
}

static void check_run(const char *script, int code, const char *out)
{
    struct run done = play(script);
    play_check_code(script, &done, code);
    if (out)
        play_check_has(script, done.out, out);
    run_release(&done);
}

/* --- what is in it ----------------------------------------------------------------------- */

/* Half an install: the link is there, the hash is not. */
#define HALF                                                                                       \
    "-- sh -c 'smolvm machine cp $2 $1:$3 && smolvm machine exec --name $1 -- sh -c "              \
    "\"ln -s $3 /etc/ssl/certs/half.pem; echo half\"; printf \"\\\\033[31mred \\\\377\"' "         \
    "sh {machine} {cert} {ca_path}"

static void a_bundle_has_all_that_is_known(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    struct utsname kernel;
    CLEANUP(layout_release) struct layout layout = LAYOUT_INIT;
    assert_int_equal(layout_open("bookworm-mini", &layout, NULL), 0);
    uname(&kernel);
    play_add("one", CALM);
    play_add("two", "expect: {claim: success, store: {must: report}}");
    check_run(RUN HALF, 1, "FAIL        play/one@");
    check_run("ls \"$KP/found\" | wc -l", 0, "1\n");
    json_t *bundle = read_bundle("play_one@bookworm-mini-*.json");
    struct run text = run_sh("cat \"$KP/scenarios/suite/one.yaml\"");
    assert_string_equal(text_of(bundle, "scenario", "text"), text.out);
    run_release(&text);
    assert_string_equal(text_of(bundle, "layout", "digest"), layout.digest);
    assert_string_equal(text_of(bundle, "event", "verdict"), "FAIL");
    const char *found = json_string_value(json_object_get(bundle, "kernel"));
    assert_non_null(found);
    assert_non_null(strstr(found, kernel.release));
    assert_int_equal(strlen(json_string_value(json_object_get(bundle, "killpoint"))), 16);
    const json_t *event = json_object_get(bundle, "event");
    assert_int_equal(json_array_size(json_object_get(event, "calls")), 2);
    const json_t *call = json_array_get(json_object_get(event, "calls"), 1);
    assert_string_equal(text_of(call, "stdout", "head"), "half\n");
    const json_t *run = json_array_get(json_object_get(event, "runs"), 0);
    const char *out = json_string_value(json_object_get(run, "stdout"));
    assert_non_null(out);
    assert_non_null(strstr(out, "\x1b[31mred"));
    /* The scenario does not ask for it. */
    const json_t *exact = find_check(bundle, "store/exact/files");
    assert_string_equal(json_string_value(json_object_get(exact, "result")), "fail");
    const char *diff = json_string_value(json_object_get(exact, "found"));
    assert_non_null(diff);
    assert_non_null(strstr(diff, "/etc/ssl/certs/half.pem"));
    json_decref(bundle);
}

static void what_ends_well_leaves_no_bundle(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    play_add("one", CALM);
    check_run(RUN "-- " PLAY_GOOD, 0, "1 passed, 0 failed");
    check_run("ls \"$KP/found\" | wc -l", 0, "0");
}

static void a_bundle_is_bounded_whatever_is_written(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    play_add("one", CALM);
    check_run(
        RUN "-- sh -c 'head -c 30000000 /dev/zero | tr \"\\\\000\" \"\\\\033\" | tee /dev/stderr; "
            "for i in 1 2 3 4 5 6; do smolvm machine exec --name $1 -- "
            "\"$(head -c 100000 /dev/zero | tr \"\\\\000\" \"\\\\001\")\"; done; exit 1' "
            "sh {machine}",
        1, "FAIL");
    struct run size = run_sh("cat \"$KP\"/found/*.json | wc -c");
    assert_in_range(atoi(size.out), 1000, BUNDLE_MAX_BYTES);
    run_release(&size);
    json_t *bundle = read_bundle("*.json");
    const json_t *run =
        json_array_get(json_object_get(json_object_get(bundle, "event"), "runs"), 0);
    const char *out = json_string_value(json_object_get(run, "stdout"));
    assert_non_null(out);
    assert_non_null(strstr(out, "bytes left out]"));
    json_decref(bundle);
    check_run("killpoint replay " ONE, 1, "the outcome is the same: FAIL: claim");
}

/* --- playing it again ------------------------------------------------------------------------ */

static void a_bundle_plays_its_case_again(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    play_add("one", "matrix: {n: [a, b]}\nguest:\n  - mkdir: {path: '/tmp/${n}'}\n" CALM);
    check_run(RUN "'play/one[n=b]' " HALF, 1, "FAIL        play/one[n=b]@");
    json_t *bundle = read_bundle("*.json");
    const char *again = json_string_value(json_object_get(bundle, "again"));
    assert_non_null(again);
    struct run done = play(again);
    play_check_code("again", &done, 1);
    static const char *const lines[] = {"play/one[n=b]@bookworm-mini\ncalls\n",
                                        "exec --name",
                                        "guest, against an undisturbed install\n  ",
                                        "/etc/ssl/certs/half.pem",
                                        "?[31mred",
                                        "the outcome is the same: FAIL: store/must/"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        play_check_has("again", done.out, lines[i]);
    run_release(&done);
    json_decref(bundle);
    /* Mended. */
    check_run("killpoint replay " ONE " -- " PLAY_GOOD, 0,
              "the outcome is another one: PASS\nthe bundle has: FAIL: store/must/");
    /* Wrong in another way. */
    check_run("killpoint replay " ONE " -- false", 1, "the outcome is another one: FAIL: claim, ");
}

static void every_byte_of_a_command_comes_again(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    play_add("one", CALM);
    static const char said[] = " 61 ff 25 20 62 0a 27 63 5c";
    check_run("ln -s /bin/sh \"$(printf 's\\377')\"; " RUN
              "-- \"$KP/$(printf 's\\377')\" -c 'printf %s \"$1\" | od -An -tx1 >&2; exit 1' sh "
              "\"$(printf \"a\\\\377%% b\\nRc\\\\\\\\\" | tr R \"'\")\" >table; cat table",
              0, said);
    check_run("killpoint replay " ONE, 1, said);
    check_run("killpoint replay " ONE, 1, "the outcome is the same: FAIL: claim");
    check_run("sed -n 's/^    again     //p' table | tee again | sh", 1, said);
    json_t *bundle = read_bundle("*.json");
    const json_t *command = json_object_get(json_object_get(bundle, "backend"), "command");
    assert_string_equal(json_string_value(json_array_get(command, 3)), "sh");
    assert_string_equal(json_string_value(json_object_get(json_array_get(command, 4), "bytes")),
                        "a%FF%25%20b%0A'c\\");
    json_decref(bundle);
}

static void a_backend_of_a_file_is_found_again(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    play_add("one", CALM);
    play_write("backends/no.yaml",
               "format: 1\nname: no\ntitle: of a test\ncommand: {smolvm: ['false']}\n");
    check_run(RUN "--backend no", 1, "FAIL");
    check_run("killpoint replay " ONE, 1, "the outcome is the same: FAIL: claim");
    play_write("backends/no.yaml",
               "format: 1\nname: no\ntitle: of a test\ncommand: {smolvm: ['{bin}/provision-ca', "
               "--machine, '{machine}', --plan, '{plan}']}\n");
    check_run("killpoint replay " ONE, 0, "the outcome is another one: PASS");
}

/* --- refused -----------------------------------------------------------------------------------
 */

static const struct row {
    const char *name, *before, *err;
} rows[] = {
    {"the scenario's file is another one",
     "sed -i s/level:.must/level:\\ may/ \"$KP/scenarios/suite/one.yaml\"",
     "one.yaml:4: the scenario is not the bundle's any more: 'level: may', which was 'level: "
     "must'"},
    {"the scenario is gone", "sed -i s,play/one,play/two, \"$KP/scenarios/suite/one.yaml\"",
     "the suite has no trial play/one@bookworm-mini any more"},
    {"a package of the layout is another one",
     "l=$(dirname \"$(readlink -f "
     "\"${KILLPOINT_LAYOUTS:-$KP/layouts}/bookworm-mini/layout.json\")\");"
     "mkdir -p \"$KP/other/bookworm-mini\"; ln -s \"$l/root\" \"$KP/other/bookworm-mini/root\";"
     "sed 's/\"digest\": \"../\"digest\": \"00/; s/\"base-passwd\": \"/&0./' \"$l/layout.json\" "
     ">\"$KP/other/bookworm-mini/layout.json\"; export KILLPOINT_LAYOUTS=\"$KP/other\"",
     "layout bookworm-mini is not the bundle's any more: base-passwd 0."},
    {"no JSON", "echo { >\"$KP/found/x.json\"; rm \"$KP\"/found/play*", "x.json:2:0: "},
    {"another JSON", "echo '{\"bundle\": 2}' >\"$KP/found/x.json\"; rm \"$KP\"/found/play*",
     "no bundle of version 1"},
    {"a bundle without a verdict", "sed -i s/verdict/other/ \"$KP\"/found/play*",
     "the bundle has no event.verdict"},
    {"a bundle that is cut off", "sed -i '$d' \"$KP\"/found/play*", ".json:"},
    {"a bundle whose backend is gone", "sed -i 's/\"command\"/\"kommand\"/' \"$KP\"/found/play*",
     "unknown backend 'false'"},
    {"no such file", "rm \"$KP\"/found/*; touch \"$KP/found/x.json\"; rm \"$KP/found/x.json\"",
     "*.json: No such file or directory"},
};

static void what_is_another_case_is_refused(void **state)
{
    need_layout("bookworm-mini");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        play_add("one", CALM);
        check_run(RUN "-- false", 1, "FAIL");
        CLEANUP(io_free)
        char *script = io_format("{ %s; } && killpoint replay " ONE, rows[i].before);
        struct run done = play(script);
        play_check_code(rows[i].name, &done, 2);
        play_check_has(rows[i].name, done.err, rows[i].err);
        assert_string_equal(done.out, "");
        run_release(&done);
        play_tear_down(state);
        play_set_up(state);
    }
}

static void a_folder_that_takes_nothing_is_told(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    play_add("one", CALM);
    struct run done = play("killpoint run --layout bookworm-mini --evidence /dev/null/x -- false");
    play_check_code("no folder", &done, 2);
    play_check_has("no folder", done.err, "make /dev/null/x: Not a directory");
    run_release(&done);
}

/* --- cut off --------------------------------------------------------------------------------- */

static void a_cut_off_run_leaves_whole_bundles_alone(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    static const int signals[] = {SIGKILL, SIGINT};
    play_add("one", "matrix: {n: [a, b, c, d]}\nguest:\n  - mkdir: {path: '/tmp/${n}'}\n" CALM);
    play_add("slow", CALM);
    for (size_t i = 0; i < 2; i++) {
        const struct proc_spec spec = {
            .argv =
                (const char *const[]){"sh", "-c",
                                      "PATH=$KP/bin:$PATH; exec " RUN
                                      "-- sh -c 'smolvm machine exec --name $1 -- test -d /tmp/a "
                                      "|| sleep 600; exit 1' sh {machine}",
                                      NULL},
            .stdin_fd = -1,
            .stdout_fd = -1,
            .stderr_fd = -1};
        struct err err;
        pid_t pid = proc_spawn(&spec, &err);
        assert_true(pid > 0);
        int64_t deadline_ms = io_now_ms() + 60000;
        struct run found;
        while (found = run_sh("ls \"$KP\"/found/*.json 2>/dev/null"), found.code != 0) {
            run_release(&found);
            assert_true(io_now_ms() < deadline_ms);
            poll(NULL, 0, 10);
        }
        run_release(&found);
        kill(pid, signals[i]);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        found = run_sh("ls -A \"$KP/found\" | grep -v '\\.json$'");
        assert_string_equal(found.out, "");
        run_release(&found);
        json_t *bundle = read_bundle("*.json");
        assert_string_equal(text_of(bundle, "event", "id"), "play/one[n=a]@bookworm-mini");
        json_decref(bundle);
        check_run("rm -r \"$KP/found\"", 0, NULL);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, play_set_up, play_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_bundle_has_all_that_is_known),           TEST(what_ends_well_leaves_no_bundle),
        TEST(a_bundle_is_bounded_whatever_is_written),  TEST(a_bundle_plays_its_case_again),
        TEST(every_byte_of_a_command_comes_again),      TEST(a_backend_of_a_file_is_found_again),
        TEST(what_is_another_case_is_refused),          TEST(a_folder_that_takes_nothing_is_told),
        TEST(a_cut_off_run_leaves_whole_bundles_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
