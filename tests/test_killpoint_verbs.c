/*
 * killpoint as a program: the verbs beside run, help, and wrong usage.
 */
#include "play.h"

#include "../fakes/layout.h"

struct row {
    const char *name;
    const char *script;
    int code;
    const char *out, *err; /* must stand there; NULL: that stream is empty */
};

static const struct row rows[] = {
    {"help", "killpoint --help", 0, "Usage: killpoint VERB", NULL},
    {"run's help", "killpoint run --help", 0, "Usage: killpoint run", NULL},
    {"probe's help", "killpoint probe --help", 0, "Usage: killpoint probe", NULL},
    {"list's help", "killpoint list --help", 0, "Usage: killpoint list", NULL},
    {"validate's help", "killpoint validate --help", 0, "Usage: killpoint validate", NULL},
    {"explain's help", "killpoint explain --help", 0, "Usage: killpoint explain", NULL},
    {"audit's help", "killpoint audit --help", 0, "Usage: killpoint audit", NULL},
    {"layouts' help", "killpoint layouts --help", 0, "Usage: killpoint layouts", NULL},
    {"no verb", "killpoint", 2, NULL, "verb"},
    {"an unknown verb", "killpoint frobnicate", 2, NULL, "frobnicate"},
    {"an argument too many", "killpoint layouts bookworm", 2, NULL, "bookworm"},
    {"explain a key", "killpoint explain expect.claim", 0, "success", NULL},
    {"explain a list", "killpoint explain faults", 0, "exec", NULL},
    {"explain what is unknown", "killpoint explain expect.clam", 2, NULL, "expect.clam"},
    {"list what is not there", "killpoint list nothing/here", 4, NULL, "nothing/here"},
    {"list on an unknown layout", "killpoint list --layout nowhere", 2, NULL, "nowhere"},
    {"validate what is not there", "killpoint validate nothing.yaml", 2, NULL, "nothing.yaml"},
    {"audit no tree", "killpoint audit --root /nonexistent", 2, NULL, "/nonexistent"},
    {"audit without a tree", "killpoint audit", 2, NULL, "--root"},
    {"list into a full disk", "killpoint list >/dev/full", 3, NULL, "write stdout"},
    {"help into a full disk", "killpoint --help >/dev/full", 3, NULL, "write stdout"},
    {"layouts into a full disk", "killpoint layouts >/dev/full", 3, NULL, "write stdout"},
};

static void check_stream(const char *name, const char *found, const char *wanted)
{
    if (wanted)
        play_check_has(name, found, wanted);
    else if (*found)
        fail_msg("%s: expected nothing, found '%s'", name, found);
}

static void check_row(const struct row *row)
{
    struct run done = play(row->script);
    play_check_code(row->name, &done, row->code);
    check_stream(row->name, done.out, row->out);
    check_stream(row->name, done.err, row->err);
    const char *first_end = strchr(done.err, '\n');
    if (first_end && first_end[1])
        fail_msg("%s: more than one line: %s", row->name, done.err);
    run_release(&done);
}

static void each_verb_keeps_to_its_streams_and_statuses(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    play_add("one", "expect: {claim: success}");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_row(&rows[i]);
}

/* The programs where they were built, with the project's own scenarios. */
static struct run in_project(const char *script)
{
    CLEANUP(io_free) char *program = NULL;
    struct err err;
    if (home_find("bin/killpoint", &program, &err) < 0)
        fail_msg("%s", err.msg);
    return run_sh("k='%s'\n%s", program, script);
}

static void the_project_has_more_than_a_hundred_trials_each_with_an_id_of_its_own(void **state)
{
    (void)state;
    struct run done = in_project("[ \"$(\"$k\" list | wc -l)\" -gt 100 ]");
    check_success(&done);
    run_release(&done);
    done = in_project("\"$k\" list | sort | uniq -d");
    assert_string_equal(done.out, "");
    run_release(&done);
}

static void layouts_lists_what_is_built(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    struct run done = play("killpoint layouts");
    check_success(&done);
    play_check_has("layouts", done.out, "bookworm-mini");
    run_release(&done);
}

static void a_layouts_own_tree_is_clean(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    struct layout layout = LAYOUT_INIT;
    struct err err;
    if (layout_open("bookworm-mini", &layout, &err) < 0)
        fail_msg("%s", err.msg);
    CLEANUP(io_free) char *script = io_format("killpoint audit --root '%s'", layout.layers[0]);
    layout_release(&layout);
    struct run done = play(script);
    check_success(&done);
    run_release(&done);
}

static void without_root_there_is_one_clear_error(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    play_add("one", "expect: {claim: success}");
    static const char *const verbs[] = {"run -- true", "audit --root /"};
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        CLEANUP(io_free)
        char *script = io_format("setpriv --reuid 65534 --regid 65534 --clear-groups "
                                 "killpoint %s",
                                 verbs[i]);
        const struct row row = {verbs[i], script, 2, NULL, "must be root"};
        check_row(&row);
    }
    struct run done = play("setpriv --reuid 65534 --regid 65534 --clear-groups killpoint list");
    check_success(&done);
    run_release(&done);
}

static void colour_and_progress_are_for_terminals_alone(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    play_add("one", "expect: {claim: success, store: {must: report}}");
    struct run done = play("killpoint run -- sleep 1");
    check_success(&done);
    assert_string_equal(done.err, "");
    assert_string_equal(done.out, "backend command: sleep\n"
                                  "PASS        play/one@bookworm-mini\n"
                                  "1 PASS\n"
                                  "1 passed, 0 failed, 0 skipped\n");
    run_release(&done);
    done = play("unset CI; script -qec 'killpoint run -- sleep 1' /dev/null");
    check_success(&done);
    play_check_has("progress", done.out, "0 of 1 trials, 0 bad");
    play_check_has("times", done.out, "play/one@bookworm-mini  (");
    run_release(&done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, play_set_up, play_tear_down)
        T(each_verb_keeps_to_its_streams_and_statuses),
        T(the_project_has_more_than_a_hundred_trials_each_with_an_id_of_its_own),
        T(layouts_lists_what_is_built),
        T(a_layouts_own_tree_is_clean),
        T(without_root_there_is_one_clear_error),
        T(colour_and_progress_are_for_terminals_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
