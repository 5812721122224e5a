/*
 * `killpoint explore` as a program, with backends whose outcome at every point is known.
 */
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
    play_check_has("true", done.err, "undisturbed, the backend does not succeed");
    run_release(&done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_a_retry_every_point_is_a_failure, play_set_up,
                                        play_tear_down),
        cmocka_unit_test_setup_teardown(the_upstream_policy_breaks_stores_the_same_way_twice,
                                        play_set_up, play_tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_left_when_it_is_interrupted, play_set_up,
                                        play_tear_down),
        cmocka_unit_test_setup_teardown(wrong_usage_is_told, play_set_up, play_tear_down),
        cmocka_unit_test_setup_teardown(a_backend_without_a_call_is_not_explored, play_set_up,
                                        play_tear_down),
    };
    return cmocka_run_group_tests_name("killpoint_explore", tests, NULL, NULL);
}
