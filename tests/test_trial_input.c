#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../fault/home.h"
#include "../scenarios/trial_input.h"

static const char *const routes[] = {"api.example.com", NULL};

static char *find_fixtures(void)
{
    char *path = NULL;
    struct err err;
    if (home_find("scenarios/fixtures", &path, &err) < 0)
        fail_msg("%s", err.msg);
    return path;
}

static void a_run_gets_its_plan_and_both_certificates(void **state)
{
    (void)state;
    CLEANUP(dir_remove) char *dir = dir_make();
    CLEANUP(io_free) char *fixtures = find_fixtures();
    const struct plan plan = {.routes = routes, .egress = "ca", .pipelock = "two"};
    struct err err;
    if (trial_input_write(&plan, fixtures, dir, &err) < 0)
        fail_msg("%s", err.msg);
    struct run same = run_sh("cd '%s' && cmp first.crt '%s/ca.crt' && cmp second.crt '%s/two.crt'",
                             dir, fixtures, fixtures);
    check_success(&same);
    run_release(&same);
    CLEANUP(io_free) char *path = io_format("%s/plan.json", dir);
    json_t *json = json_load_file(path, 0, NULL);
    const char *egress = NULL, *route = NULL, *pipelock = NULL;
    assert_int_equal(json_unpack(json, "{s:{s:s, s:[s]}, s:{s:s}}", "egress", "ca_cert", &egress,
                                 "routes", &route, "pipelock", "ca_cert", &pipelock),
                     0);
    assert_string_equal(egress, "first.crt");
    assert_string_equal(route, "api.example.com");
    assert_string_equal(pipelock, "second.crt");
    json_decref(json);
}

static void what_is_unreadable_is_a_folder(void **state)
{
    (void)state;
    CLEANUP(dir_remove) char *dir = dir_make();
    CLEANUP(io_free) char *fixtures = find_fixtures();
    const struct plan plan = {.routes = routes, .egress = "unreadable", .pipelock = "pipelock"};
    CLEANUP(io_free) char *path = io_format("%s/first.crt", dir);
    struct err err;
    struct stat st;
    if (trial_input_write(&plan, fixtures, dir, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    const struct plan bad = {.routes = routes, .egress = "nothing", .pipelock = "pipelock"};
    assert_int_equal(trial_input_write(&bad, fixtures, dir, &err), -ENOENT);
    assert_non_null(strstr(err.msg, "nothing.crt"));
}

static void a_fingerprint_is_what_openssl_says(void **state)
{
    (void)state;
    static const struct {
        const char *fixture;
        bool has;
    } rows[] = {{"ca", true}, {"expired", true}, {"none", false}, {"empty", false}, {"der", false}};
    CLEANUP(io_free) char *fixtures = find_fixtures();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(buf_release) struct buf print = BUF_INIT;
        CLEANUP(io_free) char *path = io_format("%s/%s.crt", fixtures, rows[i].fixture);
        trial_input_fingerprint(path, &print);
        struct run said = run_sh("openssl x509 -in '%s' -noout -fingerprint -sha256 2>/dev/null | "
                                 "grep -q '=%s$'",
                                 path, buf_str(&print));
        if (rows[i].has ? print.len == 0 || said.code != 0 : print.len != 0)
            fail_msg("%s: '%s'", rows[i].fixture, buf_str(&print));
        run_release(&said);
    }
}

static void a_machines_name_is_not_known_before(void **state)
{
    (void)state;
    CLEANUP(io_free) char *one = trial_input_machine_name();
    CLEANUP(io_free) char *two = trial_input_machine_name();
    assert_string_not_equal(one, two);
    assert_int_equal(strspn(one, "abcdefghijklmnopqrstuvwxyz0123456789-"), strlen(one));
    assert_true(strlen(one) > 10 && !strstr(one, "--"));
}

#define HEAD "format: 1\nid: a/b\ntitle: t\nlevel: must\n"

static const struct {
    const char *text;
    int ret;
    enum machine_name name;
} names[] = {
    {HEAD "expect: {claim: success}\n", 0, MACHINE_NAME_USUAL},
    {HEAD "machine_name: random\nexpect: {claim: success}\n", 0, MACHINE_NAME_RANDOM},
    {HEAD "machine_name: missing\nexpect: {claim: failure}\n", 0, MACHINE_NAME_MISSING},
    {HEAD "machine_name: missing\nexpect: {claim: success}\n", -EINVAL, MACHINE_NAME_MISSING},
    {HEAD "machine_name: kp1\nexpect: {claim: success}\n", -EINVAL, MACHINE_NAME_USUAL},
};

static void a_scenario_says_which_name_it_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        CLEANUP(scenario_set_release) struct scenario_set set = SCENARIO_SET_INIT;
        CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
        int ret = scenario_parse("f", names[i].text, strlen(names[i].text), NULL, &set, &diags);
        if (ret != names[i].ret || (ret == 0 && set.items[0]->machine_name != names[i].name))
            fail_msg("%d:\n%s", ret, names[i].text);
        if (ret < 0)
            assert_int_equal(diags.items[0].line, 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_gets_its_plan_and_both_certificates),
        cmocka_unit_test(what_is_unreadable_is_a_folder),
        cmocka_unit_test(a_fingerprint_is_what_openssl_says),
        cmocka_unit_test(a_machines_name_is_not_known_before),
        cmocka_unit_test(a_scenario_says_which_name_it_is),
    };
    return cmocka_run_group_tests_name("trial_input", tests, NULL, NULL);
}
