/*
 * `killpoint explore` as a program, with backends whose outcome at every point is known.
 */
#include <jansson.h>

#include "play.h"

#define SCRIPT                                                                                     \
    "'smolvm machine cp \"$1\" \"$2:$3\" && smolvm machine exec --name \"$2\" -- sh -c \""         \
    "chmod 644 $3 && update-ca-certificates && openssl verify -CAfile $4 $3\"' "                   \
    "x {cert} {machine} {ca_path} {bundle}"

/* Never retries: a kill before the end is a failure at every point, which a rerun may heal. */
static void without_a_retry_every_point_is_a_failure(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    struct run done = play("killpoint explore --layout bookworm-mini --results r -- sh -c " SCRIPT
                           " && exit 9; s=$?; grep -c '\"claim\":\"failure\",\"execs\":1' r; "
                           "grep -c '\"event\":\"case\"' r; exit $s");
    play_check_code("no retry", &done, 1);
    play_check_has("no retry", done.out, "failure claimed: ");
    play_check_has("no retry", done.out, " with another outcome\n");
    play_check_has(
        "no retry", done.out,
        " 0 end in a claimed success over a store that some clients cannot use, 0 in one "
        "over a dirty guest, ");
    const char *counts = strstr(done.out, " with another outcome\n");
    int failures = 0, cases = 0;
    assert_int_equal(sscanf(counts, " with another outcome\n%d\n%d", &failures, &cases), 2);
    assert_true(cases >= 10);
    assert_int_equal(failures, cases);
    run_release(&done);
}

/* Trusts the retry: that is wrong at some points, the same ones every time. */
static void the_upstream_policy_breaks_stores_the_same_way_twice(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    static const char command[] =
        "for i in 1 2; do killpoint explore --layout bookworm-mini --results r$i -- {bin}/"
        "provision-ca --policy upstream --machine {machine} --plan {plan} >out$i; "
        "[ $? = 1 ] || exit 9; done; cmp r1 r2 && cat out1";
    struct run done = play(command);
    play_check_code("upstream", &done, 0);
    play_check_has("upstream", done.out,
                   "SUCCESS CLAIMED OVER A STORE THAT SOME CLIENTS CANNOT USE: ");
    play_check_has("upstream", done.out, "must/hashdir-finds-ca");
    play_check_has("upstream", done.out, "8 states executed for real as well, 0 with another");
    run_release(&done);
}

/* A retry that throws everything away and installs anew mends every point. */
#define REBUILD                                                                                    \
    "'c=\"chmod 644 $3 && rm -rf /etc/ssl/certs/* /tmp/ca-certificates* && "                       \
    "update-ca-certificates --fresh && openssl verify -CAfile $4 $3\"; "                           \
    "smolvm machine cp \"$1\" \"$2:$3\" || exit; for i in 1 2; do "                                \
    "smolvm machine exec --name \"$2\" -- sh -c \"$c\"; s=$?; [ $s = 137 ] || exit $s; done; "     \
    "exit 1' x {cert} {machine} {ca_path} {bundle}"

static void who_wipes_and_rebuilds_ends_exact_at_every_point(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    struct run done = play("killpoint explore --layout bookworm-mini --results r --markdown m -- "
                           "sh -c " REBUILD " || exit 9; cat m; "
                           "grep -c '\"class\":\"fine\",\"claim\":\"success\",\"execs\":2' r; "
                           "grep -c '\"event\":\"case\"' r");
    play_check_code("rebuild", &done, 0);
    play_check_has("rebuild", done.out, "0 in a claimed failure, ");
    play_check_has("rebuild", done.out, "| success claimed after a retry |");
    int fine = 0, cases = 0;
    const char *counts = strstr(strstr(done.out, "## killpoint explore"), " another outcome\n");
    assert_int_equal(sscanf(counts, " another outcome\n%d\n%d", &fine, &cases), 2);
    assert_true(cases >= 10);
    assert_int_equal(fine, cases);
    run_release(&done);
}

/* Two kills are a claimed failure, and one more run ends exact: no finding at depth 2. */
static void a_second_kill_is_a_failure_that_one_rerun_heals(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    struct run done =
        play("killpoint explore --layout bookworm-mini --depth 2 --points 3..5 --results r -- sh "
             "-c " REBUILD " || exit 9; grep -c '\"claim\":\"failure\",\"execs\":2' r; "
             "grep -c '\"healed_by\":1' r; grep -c '\"event\":\"case\"' r");
    play_check_code("two kills", &done, 0);
    int failures = 0, healed = 0, cases = 0;
    const char *counts = strstr(done.out, " another outcome\n");
    assert_int_equal(sscanf(counts, " another outcome\n%d\n%d\n%d", &failures, &healed, &cases), 3);
    assert_true(cases >= 30);
    assert_int_equal(failures, cases);
    assert_int_equal(healed, cases);
    run_release(&done);
}

#define LIAR                                                                                       \
    "'smolvm machine cp \"$1\" \"$2:$3\"; smolvm machine exec --name \"$2\" -- sh -c \""           \
    "chmod 644 $3 && update-ca-certificates\"; exit 0' x {cert} {machine} {ca_path}"

/* Claims success whatever happened: a must-finding until the last change that matters is done. */
static void a_liar_is_found_out_until_the_last_change_that_matters(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    struct run done = play("killpoint explore --layout bookworm-mini --results r -- sh -c " LIAR
                           "; [ $? = 1 ] || exit 9; "
                           "grep -o '\"event\":\"case\".*' r | sed 's/.*:tree:\\([^#\"]*\\).*"
                           "\"class\":\"\\([a-z]*\\)\".*/\\1 \\2/'");
    play_check_code("liar", &done, 0);
    const char *rows = strstr(done.out, " another outcome\n");
    const char *rename = strstr(rows, "mv:rename:/etc/ssl/certs/ca-certificates.crt.new broken\n");
    if (!rename)
        fail_msg("before the rename of the bundle nothing is broken:\n%s", rows);
    /* After the rename the links are all there is to come; the hash link is made before it. */
    const char *next = strchr(rename, '\n');
    if (strstr(next, " broken") || strstr(next, " refused"))
        fail_msg("something is broken after the last change that matters:\n%s", rows);
    for (const char *at = rows + strlen(" another outcome\n"); at < next; at = strchr(at, '\n') + 1)
        if (strncmp(strchr(at, ' '), " broken\n", 8) != 0)
            fail_msg("not broken: %.60s in\n%s", at, rows);
    run_release(&done);
}

/*
 * Three plain commands, whose table is written by hand. The bundle is moved away, copied back and
 * the other one removed, in a second exec that is killed; no retry, and success claimed.
 */
static void three_plain_commands_have_the_table_written_by_hand(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    static const struct {
        const char *address, *class, *checks;
        int points;
    } rows[] = {
        /* When all is done, the files are as they were before. */
        {"mv:rename:/etc/ssl/certs/ca-certificates.crt#1", "fine", "", 2},
        {"cp:open:/etc/ssl/certs/ca-certificates.crt#1", "broken",
         "must/bundle-parses must/bundle-readable must/bundle-has-ca must/bundle-has-roots "
         "must/tls-bundle exact/files ",
         1},
        {"cp:write:/etc/ssl/certs/ca-certificates.crt#2", "broken", /* #1 is a clone, refused */
         "must/bundle-parses must/bundle-has-ca must/bundle-has-roots must/tls-bundle "
         "exact/files ",
         1},
        {"rm:unlink:/root/b#1", "dirty", "exact/files ", 1},
    };
    struct run done =
        play("killpoint explore --layout bookworm-mini --call exec#2 --results r -- sh -c "
             "'smolvm machine cp \"$1\" \"$2:$3\" && smolvm machine exec --name \"$2\" -- sh -c "
             "\"chmod 644 $3 && update-ca-certificates\" && "
             "smolvm machine exec --name \"$2\" -- sh -c \"mv $4 /root/b; cp /root/b $4; "
             "rm /root/b\"; exit 0' x {cert} {machine} {ca_path} {bundle} >out; "
             "[ $? = 1 ] || exit 9; cat r");
    play_check_code("three commands", &done, 0);
    char *line = strtok(done.out, "\n");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        line = strtok(NULL, "\n"); /* the first one is the head */
        assert_non_null(line);
        json_t *event = json_loads(line, 0, NULL);
        const char *token = json_string_value(json_object_get(event, "token"));
        assert_non_null(token);
        assert_string_equal(strstr(token, ":tree:") + strlen(":tree:"), rows[i].address);
        CLEANUP(buf_release) struct buf checks = BUF_INIT;
        size_t index;
        json_t *id;
        json_array_foreach(json_object_get(event, "findings"), index, id)
            buf_printf(&checks, "%s ", json_string_value(id));
        assert_string_equal(buf_str(&checks), rows[i].checks);
        assert_string_equal(json_string_value(json_object_get(event, "class")), rows[i].class);
        assert_int_equal(json_integer_value(json_object_get(event, "points")), rows[i].points);
        json_decref(event);
    }
    line = strtok(NULL, "\n");
    assert_null(strstr(line, "\"event\":\"case\""));
    for (int k = 0; k < 3; k++) { /* the first, the middle and the last of three that are bad */
        play_check_has("a rerun", line, "\"healed_by\":1}");
        line = strtok(NULL, "\n");
    }
    run_release(&done);
}

/* From its third run on the backend spoils a saved state, before that is put in place. */
static void a_damaged_state_is_noticed(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    struct run done = play(
        "mkdir runs; killpoint explore --layout bookworm-mini -- sh -c '"
        "mktemp -p \"$KP\"/runs >/dev/null; [ $(ls \"$KP\"/runs | wc -l) -lt 3 ] || "
        "for f in ../../../../run-*-explore/first/*/upper/usr/local/share/ca-certificates/*; do "
        "echo >>\"$f\"; done; exec {bin}/provision-ca --machine {machine} --plan {plan}'");
    play_check_code("damaged", &done, 3);
    play_check_has("damaged", done.out, "nothing is known: ");
    play_check_has("damaged", done.out, " is damaged: its digest is ");
    run_release(&done);
}

/* A call whose words change from run to run cannot be put in place; it is executed instead. */
static void a_call_of_changing_words_is_executed_for_real(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    struct run done =
        play("killpoint explore --layout bookworm-mini --points 3..4 -- sh -c "
             "'smolvm machine cp \"$1\" \"$2:$3\" && smolvm machine exec --name \"$2\" "
             "-e N=$(cat /proc/sys/kernel/random/uuid) -- sh -c \"update-ca-certificates\"' "
             "x {cert} {machine} {ca_path}");
    play_check_code("changing words", &done, 1);
    play_check_has("changing words", done.out,
                   "all were executed for real: the call is another one in each run");
    run_release(&done);
}

static void nothing_is_left_when_it_is_interrupted(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    struct run done = play("killpoint explore --layout bookworm-mini -- " PLAY_GOOD " & p=$!; "
                           "sleep 3; kill -INT $p; wait $p; s=$?; ls -A state; exit $s");
    play_check_code("interrupted", &done, 130);
    assert_string_equal(done.out, "");
    run_release(&done);
}

static void wrong_usage_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *name, *args, *err;
    } rows[] = {
        {"scope", "--scope guest -- true", "--scope takes tree, process, torn or all: 'guest'"},
        {"no backend", "", "give either --backend NAME or -- CMD"},
        {"layout", "--layout nosuch -- true", "nosuch"},
        {"a word", "what -- true", "what is 'what' for?"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(io_free) char *script = io_format("killpoint explore %s", rows[i].args);
        struct run done = play(script);
        play_check_code(rows[i].name, &done, 2);
        play_check_has(rows[i].name, done.err, rows[i].err);
        run_release(&done);
    }
}

/* A backend that calls nothing has no crash points to be explored. */
static void a_backend_without_a_call_is_not_explored(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    struct run done = play("killpoint explore --layout bookworm-mini -- true");
    play_check_code("true", &done, 3);
    play_check_has("true", done.err,
                   "undisturbed, the backend claims success, but the audit finds: must/ca-file ");
    run_release(&done);
    play_write("d.yaml", "format: 1\nname: d\ntitle: by docker\ncommand:\n  docker: ['true']\n");
    done = play("for cmd in 'exit 77' 'echo no database; exit 3' 'kill -SEGV $$'; do "
                "killpoint explore --layout bookworm-mini -- sh -c \"$cmd\"; done; "
                "killpoint explore --layout bookworm-mini --backend \"$KP/scenarios/d.yaml\"");
    play_check_code("docker alone", &done, 2);
    assert_string_equal(
        done.err,
        "killpoint explore: undisturbed, the backend does not succeed: exit status 77: \n"
        "killpoint explore: undisturbed, the backend does not succeed: exit status 3: no database\n"
        "killpoint explore: undisturbed, the backend is killed by signal 11 (Segmentation fault)\n"
        "killpoint explore: the backend d has no command for smolvm, which explore drives\n");
    run_release(&done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_a_retry_every_point_is_a_failure, play_set_up,
                                        play_tear_down),
        cmocka_unit_test_setup_teardown(the_upstream_policy_breaks_stores_the_same_way_twice,
                                        play_set_up, play_tear_down),
        cmocka_unit_test_setup_teardown(who_wipes_and_rebuilds_ends_exact_at_every_point,
                                        play_set_up, play_tear_down),
        cmocka_unit_test_setup_teardown(a_second_kill_is_a_failure_that_one_rerun_heals,
                                        play_set_up, play_tear_down),
        cmocka_unit_test_setup_teardown(a_liar_is_found_out_until_the_last_change_that_matters,
                                        play_set_up, play_tear_down),
        cmocka_unit_test_setup_teardown(three_plain_commands_have_the_table_written_by_hand,
                                        play_set_up, play_tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_state_is_noticed, play_set_up, play_tear_down),
        cmocka_unit_test_setup_teardown(a_call_of_changing_words_is_executed_for_real, play_set_up,
                                        play_tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_left_when_it_is_interrupted, play_set_up,
                                        play_tear_down),
        cmocka_unit_test_setup_teardown(wrong_usage_is_told, play_set_up, play_tear_down),
        cmocka_unit_test_setup_teardown(a_backend_without_a_call_is_not_explored, play_set_up,
                                        play_tear_down),
    };
    return cmocka_run_group_tests_name("killpoint_explore", tests, NULL, NULL);
}
