#include "faultrun.h"
#include "random.h"

#define EXIT_KILLED 137
#define POINTS_MIN 100

/*
 * As root: plays the install by hand to a fresh copy of bookworm in a mount namespace, under
 * faultrun with these options. stdout: faultrun's. `tree` is what the install changed, as
 * find(1) and sha256sum(1) see it, without what is random in names.
 */
static const char install[] =
    "cat >install <<'END'\n"
    "set -e\nL=${KILLPOINT_LAYOUTS:-$BUILD/layouts}\nmkdir -p m\nmount -t tmpfs tmpfs m\n"
    "mkdir m/u m/w m/r\n"
    "mount -t overlay overlay -o lowerdir=$L/bookworm/root,upperdir=m/u,workdir=m/w m/r\n"
    "mount -t proc proc m/r/proc\ncp $PROGRAM m/r/faultrun\n"
    "F=/usr/local/share/ca-certificates/ca.crt\ncp $FIXTURES/ca.crt m/r$F\n"
    "set +e\nchroot m/r /faultrun \"$@\" -- sh -c \"chown root:root $F && chmod 644 $F && "
    "update-ca-certificates >/dev/null && "
    "openssl verify -CAfile /etc/ssl/certs/ca-certificates.crt $F >/dev/null\"\n"
    "code=$?\n"
    "(cd m/u && { find . -printf '%p %y %m %U:%G %l\\n'; find . -type f -exec sha256sum {} +; } | "
    "sed 's/tmp\\.[[:alnum:]]\\{6,\\}/tmp/' | sort) >tree\n"
    "umount m/r/proc m/r m\nexit $code\nEND\n";

static int set_up(void **state)
{
    CLEANUP(io_free) char *fixtures = NULL;
    struct err err;
    if (home_find("scenarios/fixtures", &fixtures, &err) < 0)
        fail_msg("%s", err.msg);
    setenv("FIXTURES", fixtures, 1);
    if (faultrun_set_up(state) != 0)
        return -1;
    setenv("PROGRAM", getenv("FR"), 1);
    CLEANUP(io_free) char *build = io_format("%s", getenv("FR"));
    *strrchr(build, '/') = '\0';
    *strrchr(build, '/') = '\0';
    setenv("BUILD", build, 1);
    free(faultrun_out(install));
    return 0;
}

static void need_install(void)
{
    need_root();
    need_layout("bookworm");
}

/* One install; the caller releases it. */
static struct run play(const char *options)
{
    CLEANUP(io_free) char *script = io_format("unshare -m sh install %s", options);
    return faultrun_play(script);
}

static char *list(const char *options)
{
    CLEANUP(io_free) char *all = io_format("--list %s", options);
    CLEANUP(run_release) struct run done = play(all);
    check_success(&done);
    return steal_ptr(&done.out);
}

/* The tree that a kill at this point leaves; the caller frees it. */
static char *kill_at(int point, const char *listed_state)
{
    CLEANUP(io_free) char *options = io_format("--list --json --point %d", point);
    CLEANUP(run_release) struct run killed = play(options);
    check_clean_failure(&killed, EXIT_KILLED);
    const char *end = strstr(killed.out, "{\"end\":");
    assert_non_null(end);
    CLEANUP(io_free) char *found = faultrun_value(end, "state");
    if (strcmp(found, listed_state) != 0)
        fail_msg("point %d: state %s, listed %s", point, found, listed_state);
    char *tree = faultrun_out("cat tree");
    assert_true(strlen(tree) > 100);
    return tree;
}

static char *state_at(const char *json, int point)
{
    CLEANUP(io_free) char *key = io_format("{\"point\":%d,", point);
    const char *line = strstr(json, key);
    if (!line)
        fail_msg("no point %d", point);
    return faultrun_value(line, "state");
}

static void a_kill_at_a_point_is_the_same_each_time(void **state)
{
    (void)state;
    need_install();
    uint64_t ignored;
    struct random random = random_start(&ignored);
    CLEANUP(io_free) char *json = list("--json");
    CLEANUP(io_free) char *number = faultrun_value(strstr(json, "{\"end\":"), "points");
    int points = atoi(number);
    assert_true(points > POINTS_MIN);
    for (int round = 0; round < faultrun_rounds(5, 100); round++) {
        int first = 1 + (int)random_below(&random, (uint64_t)points - 1);
        char *trees[2] = {NULL, NULL};
        for (int i = 0; i < 2; i++) {
            CLEANUP(io_free) char *listed = state_at(json, first + i);
            trees[i] = kill_at(first + i, listed);
            CLEANUP(io_free) char *again = kill_at(first + i, listed);
            assert_string_equal(trees[i], again);
        }
        if (strcmp(trees[0], trees[1]) == 0)
            fail_msg("points %d and %d leave the same files", first, first + 1);
        free(trees[0]);
        free(trees[1]);
    }
}

static const char start_load[] = "for i in 1 2; do sh -c 'while :; do :; done' >/dev/null 2>&1 & "
                                 "echo $!; done >loads";

static void an_install_has_the_same_points_each_time(void **state)
{
    (void)state;
    need_install();
    CLEANUP(io_free) char *first = NULL;
    for (int round = 0; round < faultrun_rounds(5, 50); round++) {
        bool loaded = round % 2, other = getenv("TEST_HEAVY") && round % 4 >= 2;
        CLEANUP(io_free)
        char *release = io_format("%s/release/bin/faultrun", getenv("BUILD"));
        setenv("PROGRAM", other ? release : getenv("FR"), 1);
        if (loaded)
            free(faultrun_out(start_load));
        char *json = list("--json --attempts");
        if (loaded)
            free(faultrun_out("kill $(cat loads)"));
        if (first)
            assert_string_equal(json, first);
        io_free(&first);
        first = json;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_kill_at_a_point_is_the_same_each_time, set_up,
                                        faultrun_tear_down),
        cmocka_unit_test_setup_teardown(an_install_has_the_same_points_each_time, set_up,
                                        faultrun_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
