/*
 * What a later provisioning makes of a crash state: both execs of a first one are killed at
 * the same place, at each place in turn; then the same CA is provisioned, or another under the
 * same path, or another under its own path. The files must be those of a machine on which
 * nothing ever went wrong.
 */
#include "machine.h"

#include "../fault/home.h"

#define INSTALL                                                                                    \
    "$PROVISION --machine %s --settle 0 --cert $FIXTURES/%s.crt --ca-path " LOCAL "%s.crt"
#define LOCAL "/usr/local/share/ca-certificates/"

struct later {
    const char *name;
    const char *cert, *path; /* of the later provisioning */
};
static const struct later laters[] = {
    {"the same CA", "ca", "first"},
    {"a rotated CA under the same path", "rotated", "first"},
    {"a second CA under its own path", "pipelock", "second"},
};

/* A rule for the n-th attempt in each; tried with n from 1 until it does not fire. */
static const char *const places[] = {
    "exec open,write,rename,symlink,unlink:path=/etc/ssl/certs/*",
    "exec open,write,unlink:path=/tmp/*",
};

static void set_paths(void)
{
    CLEANUP(io_free) char *provision = NULL;
    CLEANUP(io_free) char *fixtures = NULL;
    struct err err;
    if (home_find("bin/provision-ca", &provision, &err) < 0 ||
        home_find("scenarios/fixtures", &fixtures, &err) < 0)
        fail_msg("%s", err.msg);
    setenv("PROVISION", provision, 1);
    setenv("FIXTURES", fixtures, 1);
}

static void start(const char *name)
{
    struct run done = run_sh("smolvm machine create %s --image %s >/dev/null && "
                             "smolvm machine start --name %s >/dev/null",
                             name, some_layout(), name);
    check_success(&done);
    run_release(&done);
}

/* The store's files, modes, links and contents; the machine is gone then. */
static char *finish(const char *name)
{
    struct run done =
        run_sh("smolvm machine exec --name %s -- sh -c 'cd / && "
               "find etc/ssl/certs usr/local/share/ca-certificates tmp "
               "-printf \"%%p %%y %%m %%U:%%G %%l\\n\" | sort && "
               "sha256sum etc/ssl/certs/ca-certificates.crt usr/local/share/ca-certificates/*' && "
               "smolvm machine stop --name %s >/dev/null && smolvm machine delete %s -f >/dev/null",
               name, name, name);
    check_success(&done);
    char *text = strdup(done.out);
    run_release(&done);
    return text;
}

/* Kills both execs at the n-th attempt of place. Returns whether there was one. */
static bool break_machine(const char *place, int n)
{
    CLEANUP(io_free) char *rule = io_format("%s:when=%d", place, n);
    setenv("KILLPOINT_FAULTS", rule, 1);
    struct run done = run_sh(INSTALL, "t", "ca", "first");
    unsetenv("KILLPOINT_FAULTS");
    bool failed = done.code == 1;
    if (failed && (!strstr(done.err, "second exec failed: exit status 137") ||
                   !strstr(done.err, "the first exec: exit status 137")))
        fail_msg("%s: both kills are not named: %s", rule, done.err);
    run_release(&done);
    return failed;
}

static void a_later_provisioning_ends_as_if_nothing_had_been(void **state)
{
    (void)state;
    set_paths();
    int points = 0;
    for (size_t i = 0; i < sizeof laters / sizeof *laters; i++) {
        const struct later *later = &laters[i];
        start("r");
        struct run done =
            run_sh("smolvm machine cp $FIXTURES/ca.crt r:" LOCAL "first.crt && " INSTALL, "r",
                   later->cert, later->path);
        check_success(&done);
        run_release(&done);
        CLEANUP(io_free) char *expected = finish("r");
        for (size_t j = 0; j < sizeof places / sizeof *places; j++)
            for (int n = 1;; n++) {
                start("t");
                bool broken = break_machine(places[j], n);
                if (broken) {
                    done = run_sh(INSTALL, "t", later->cert, later->path);
                    check_success(&done);
                    run_release(&done);
                    points++;
                }
                CLEANUP(io_free) char *found = finish("t");
                if (!broken) {
                    assert_true(n > 1);
                    break;
                }
                if (strcmp(found, expected) != 0)
                    fail_msg("%s, %s, n=%d: expected\n%sfound\n%s", later->name, places[j], n,
                             expected, found);
            }
    }
    print_message("%d crash states, each with a later provisioning\n", points);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_later_provisioning_ends_as_if_nothing_had_been,
                                        machine_set_up, machine_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
