/*
 * `killpoint explore` in parts, cut off and taken up again, and `killpoint replay`.
 */
#include "play.h"

/* Counts its runs in $KP/runs. */
#define COUNTED                                                                                    \
    "sh -c 'mktemp -p \"$0\"/runs >/dev/null; exec {bin}/provision-ca --policy upstream "          \
    "--settle 0.1 --machine {machine} --plan {plan}' \"$KP\""
#define UPSTREAM                                                                                   \
    "{bin}/provision-ca --policy upstream --settle 0.1 --machine {machine} --plan {plan}"
#define EXPLORE "killpoint explore --layout bookworm-mini "

/* What was finished is kept, whatever ends it, and the whole is as if nothing had been. */
static void what_is_finished_outlives_the_explorer(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    static const char *const signals[] = {"INT", "TERM", "KILL"};
    struct run whole = play("mkdir runs; " EXPLORE "--results whole -- " COUNTED
                            " >out; [ $? = 1 ] && ls runs | wc -l");
    play_check_code("not disturbed", &whole, 0);
    int all = atoi(whole.out);
    run_release(&whole);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        CLEANUP(io_free)
        char *script = io_format(
            "rm -rf runs part; mkdir runs; " EXPLORE "-j 1 --results part -- " COUNTED
            " >/dev/null 2>&1 & p=$!; "
            "until [ $(grep -c '\"event\":\"case\"' part 2>/dev/null) -ge 4 ] 2>/dev/null; do "
            "sleep 0.02; done; kill -%s $p; wait $p; "
            "had=$(grep -c '\"event\":\"case\"' part); before=$(ls runs | wc -l); "
            "[ $had -lt 16 ] || exit 8; printf '{\"event\":\"case\",\"tok' >>part; " EXPLORE
            "--resume part -- " COUNTED " >table; [ $? = 1 ] || exit 9; cmp part whole && "
            "echo $had $before $(ls runs | wc -l) && ls -A state",
            signals[i]);
        struct run done = play(script);
        play_check_code(signals[i], &done, 0);
        int had = 0, before = 0, after = 0, end = 0;
        assert_int_equal(sscanf(done.out, "%d %d %d\n%n", &had, &before, &after, &end), 3);
        /* None of those that were there is played again. */
        if (had < 4 || after - before > all - had)
            fail_msg("%s: %d cases were there, and %d runs were made", signals[i], had,
                     after - before);
        assert_string_equal(done.out + end, ""); /* nothing is left of the killed one */
        run_release(&done);
    }
}

static void results_of_something_else_are_refused(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    struct run done = play(
        EXPLORE "--points 1 --results r -- " UPSTREAM " >/dev/null; cp r kept; " EXPLORE
                "--points 1 --resume r -- {bin}/provision-ca --machine {machine} --plan {plan}; "
                "s=$?; cmp r kept && exit $s");
    play_check_code("another backend", &done, 2);
    play_check_has("another backend", done.err, "r:1: of another exploration: command was [");
    run_release(&done);
    done = play(EXPLORE "--scope torn --resume r -- " UPSTREAM "; s=$?; cmp r kept && exit $s");
    play_check_code("another scope", &done, 2);
    play_check_has("another scope", done.err, "r:1: of another exploration: scopes was 1, now");
    run_release(&done);
    done = play(EXPLORE "--points 1 --results /dev/null -- " UPSTREAM " >out; test -c /dev/null");
    play_check_code("a device", &done, 0);
    run_release(&done);
    done = play(EXPLORE "--points 1 --results /nosuch/r -- " UPSTREAM);
    play_check_code("no folder", &done, 2);
    run_release(&done);
    done =
        play("echo x >x; " EXPLORE "--points 1 --resume x -- " UPSTREAM "; s=$?; cat x; exit $s");
    play_check_code("no results", &done, 2);
    play_check_has("no results", done.err, "x holds something else than results");
    play_check_has("no results", done.out, "x\n");
    run_release(&done);
    done = play("echo '{x' >x; " EXPLORE "--points 1 --resume x -- " UPSTREAM);
    play_check_code("no JSON", &done, 2);
    play_check_has("no JSON", done.err, "x:1: no JSON");
    run_release(&done);
    done = play(": >x; " EXPLORE "--points 1 --resume x -- " UPSTREAM " >out; head -c 16 x");
    play_check_has("interrupted before it began", done.out, "{\"event\":\"begin\"");
    run_release(&done);
    done = play(EXPLORE "--points 1 --resume nosuch -- " UPSTREAM);
    play_check_code("no file", &done, 2);
    run_release(&done);
}

/* The shards are the whole, and no case is in two of them. */
static void shards_add_up_to_the_whole(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    struct run done =
        play("for k in 1 2 3; do " EXPLORE "--shard $k/3 --results r$k -- " UPSTREAM
             " >/dev/null; [ $? = 1 ] || exit 9; done; " EXPLORE "--results whole -- " UPSTREAM
             " >/dev/null; grep -h '\"event\":\"case\"' r1 r2 r3 | sort >parts; "
             "grep -h '\"event\":\"case\"' whole | sort | cmp - parts && wc -l <parts && "
             "for k in 1 2 3; do grep -c '\"event\":\"case\"' r$k; done");
    play_check_code("shards", &done, 0);
    int all = 0, parts[3] = {0};
    assert_int_equal(sscanf(done.out, "%d %d %d %d", &all, &parts[0], &parts[1], &parts[2]), 4);
    assert_int_equal(all, 16);
    for (size_t i = 0; i < 3; i++)
        assert_in_range(parts[i], 1, 14);
    run_release(&done);
}

static void points_are_chosen_by_kind_number_and_address(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    static const struct {
        const char *points;
        int cases;
    } rows[] = {
        {"all", 16}, {"3", 1},
        {"3..5", 3}, {"representative", 14},
        {"end", 1},  {"openssl:symlink:/etc/ssl/certs/451e2d0a.0#1", 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(io_free)
        char *script = io_format(EXPLORE "--points '%s' --results r -- {bin}/provision-ca "
                                         "--machine {machine} --plan {plan} >out; s=$?; "
                                         "grep -c '\"event\":\"case\"' r; cat out; exit $s",
                                 rows[i].points);
        struct run done = play(script);
        play_check_code(rows[i].points, &done, 0);
        assert_int_equal(atoi(done.out), rows[i].cases);
        CLEANUP(io_free) char *covered = io_format("%d of 16 cases played", rows[i].cases);
        play_check_has(rows[i].points, done.out, covered);
        run_release(&done);
    }
    struct run done = play(EXPLORE "--points 999 -- " UPSTREAM);
    play_check_code("none", &done, 2);
    play_check_has("none", done.err, "no crash point is chosen, of 16");
    run_release(&done);
}

/* Who runs out of time says how many were not played, and has begun with one of each kind. */
static void a_budget_ends_it_early_and_says_so(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    struct run done =
        play(EXPLORE "-j 1 --scope all --budget 4s --results r -- " UPSTREAM "; s=$?; "
                     "grep -c '\"event\":\"case\"' r; grep -o '\"open\":[0-9]*' r; exit $s");
    play_check_code("budget", &done, 1);
    play_check_has("budget", done.out, " not for want of time\n");
    int open = 0;
    const char *text = strstr(done.out, "\"open\":");
    assert_int_equal(sscanf(text, "\"open\":%d", &open), 1);
    assert_true(open > 50);
    run_release(&done);
}

/* Tokens of every scope end as they did; 20 times each of the tree's with TEST_HEAVY. */
static void a_token_replays_to_the_same_end(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    CLEANUP(io_free)
    char *script = io_format(
        EXPLORE
        "--results tree -- " UPSTREAM " >/dev/null; " EXPLORE
        "--scope process --points representative --shard 1/12 --results process -- " UPSTREAM
        " >/dev/null; " EXPLORE "--scope torn --results torn -- " UPSTREAM " >/dev/null; " EXPLORE
        "--depth 2 --points 3 --shard 1/6 --results pairs -- " UPSTREAM " >/dev/null; "
        "for f in tree process torn pairs; do grep '\"event\":\"case\"' $f; done | "
        "sed 's/.*\"token\":\"\\([^\"]*\\)\".*\"class\":\"\\([a-z]*\\)\".*/\\1 \\2/' >tokens; "
        "grep -q '[+]' tokens || exit 7; while read -r token class; do for i in $(seq %d); do "
        "killpoint replay \"$token\" -- " UPSTREAM " >out </dev/null; s=$?; "
        "tail -n 1 out | grep -q \"^$class: \" || { echo \"$token $class: $s\"; cat out; "
        "exit 9; }; [ $s = $([ $class = fine ]; echo $?) ] || exit 8; "
        "done; done <tokens; wc -l <tokens; ls -A state",
        getenv("TEST_HEAVY") ? 20 : 1);
    struct run done = play(script);
    play_check_code("replay", &done, 0);
    char *end;
    long tokens = strtol(done.out, &end, 10);
    assert_in_range(tokens, 20, 60);
    assert_string_equal(end, "\n"); /* nothing is left */
    run_release(&done);
}

static void a_replay_shows_calls_audit_and_what_differs(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    struct run done =
        play(EXPLORE
             "--points openssl:symlink:/etc/ssl/certs/451e2d0a.0#1 --results r -- " UPSTREAM
             " >/dev/null; killpoint replay --keep \"$(grep -o 'kp1:[^\"]*' r | head -n 1)\" "
             "-- " UPSTREAM " >out; s=$?; cat out; sed -n 's/^ *enter  *//p' out | "
             "sed \"s/machine shell --name kp1/machine exec --name kp1 -- ls -l "
             "\\/etc\\/ssl\\/certs\\/451e2d0a.0/\" >enter; sh ./enter 2>&1; "
             "for k in state/kept-*; do KILLPOINT_STATE=$k smolvm machine stop --name kp1; done; "
             "exit $s");
    play_check_code("shown", &done, 1);
    play_check_has("shown", done.out, "smolvm machine exec --name kp1 -- sh -c chown ");
    play_check_has("shown", done.out, "    status 137\n");
    play_check_has("shown", done.out, "  must/hashdir-finds-ca       no 451e2d0a.0\n");
    play_check_has("shown", done.out,
                   "  /etc/ssl/certs/451e2d0a.0: nothing instead of link 0:0 -> ");
    play_check_has("shown", done.out,
                   "broken: success claimed after a retry; reruns heal nothing\n");
    play_check_has("entered", done.out, "451e2d0a.0': No such file or directory");
    run_release(&done);
}

static void a_token_that_does_not_match_is_refused(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    static const struct {
        const char *name, *change, *err;
        int code;
    } rows[] = {
        {"layout", "s/^kp1:[^:]*/kp1:000000000000/", "no layout that is built has the token's", 2},
        {"backend", "s/:-:/:000000000000:/", "the token names its backend", 2},
        {"trace", "s/^\\(kp1:[^:]*:\\)[^:]*/\\1000000000000/", "the call has another trace now, ",
         3},
        {"place", "s/#1$/#7/", "there is no openssl:symlink:", 3},
        {"text", "s/$/x/", "'x' is too much", 2},
    };
    struct run made = play(EXPLORE "--points openssl:symlink:/etc/ssl/certs/451e2d0a.0#1 "
                                   "--results r -- " UPSTREAM " >/dev/null; [ $? = 1 ]");
    play_check_code("made", &made, 0);
    run_release(&made);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(io_free)
        char *script = io_format("killpoint replay \"$(grep -o 'kp1:[^\"]*' r | head -n 1 | "
                                 "sed '%s')\" -- " UPSTREAM,
                                 rows[i].change);
        struct run done = play(script);
        play_check_code(rows[i].name, &done, rows[i].code);
        play_check_has(rows[i].name, done.err, rows[i].err);
        run_release(&done);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, play_set_up, play_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_finished_outlives_the_explorer),
        TEST(results_of_something_else_are_refused),
        TEST(shards_add_up_to_the_whole),
        TEST(points_are_chosen_by_kind_number_and_address),
        TEST(a_budget_ends_it_early_and_says_so),
        TEST(a_token_replays_to_the_same_end),
        TEST(a_replay_shows_calls_audit_and_what_differs),
        TEST(a_token_that_does_not_match_is_refused),
    };
    return cmocka_run_group_tests_name("killpoint_resume", tests, NULL, NULL);
}
