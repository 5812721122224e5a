#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "../fault/home.h"
#include "../scenarios/backend.h"

static char *write_file(const char *dir, const char *name, const char *text)
{
    char *path = io_format("%s/%s", dir, name);
    struct err err;
    if (io_write_file(AT_FDCWD, path, text, strlen(text), 0644, &err) < 0)
        fail_msg("%s", err.msg);
    return path;
}

#define HEAD "format: 1\nname: x\ntitle: t\n"

static void a_backend_is_read(void **state)
{
    (void)state;
    CLEANUP(dir_remove) char *dir = dir_make();
    CLEANUP(io_free)
    char *path = write_file(dir, "x.yaml",
                            HEAD "command:\n  smolvm: ['{bin}/p', '{machine}', '{plan}']\n"
                                 "driver_signals: seen\ncapabilities: hardened-policy\n"
                                 "env: {LANG: C, EMPTY: ''}\nexpectations: x.expect.yaml\n"
                                 "exit_map: {64: 2, 0: 1}\n");
    CLEANUP(io_free)
    char *list =
        write_file(dir, "x.expect.yaml",
                   "format: 1\nexpectations:\n- {match: a/b, verdict: xfail, reason: r, ref: t}\n");
    CLEANUP(backend_release) struct backend backend = BACKEND_INIT;
    CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
    if (backend_load(path, &backend, &diags) < 0)
        fail_msg("%s", diags.items[0].text);
    assert_string_equal(backend.path, path);
    assert_string_equal(backend.dir, dir);
    assert_string_equal(backend.name, "x");
    assert_string_equal(backend.title, "t");
    assert_string_equal(backend.command[DRIVER_SMOLVM][1], "{machine}");
    assert_null(backend.command[DRIVER_SMOLVM][3]);
    assert_null(backend.command[DRIVER_DOCKER]);
    assert_string_equal(backend.env[0], "LANG=C");
    assert_string_equal(backend.env[1], "EMPTY=");
    assert_null(backend.env[2]);
    assert_string_equal(backend.expectations.path, list);
    assert_int_equal(backend.expectations.count, 1);
    assert_null(backend_argv(&backend, DRIVER_DOCKER, NULL, NULL));
    assert_int_equal(backend_status(&backend, 64), 2);
    assert_int_equal(backend_status(&backend, 0), 1);
    assert_int_equal(backend_status(&backend, 255), 255);
}

static const struct {
    const char *name;
    const char *text;
    int line, column;
    const char *fragment;
} refused[] = {
    {"another name", "format: 1\nname: y\ntitle: t\ncommand: {smolvm: [a]}\n", 2, 7,
     "the file must be named y.yaml, this is x.yaml"},
    {"no command", HEAD "command: {}\n", 4, 10, "smolvm, docker or both are needed"},
    {"an empty command", HEAD "command: {smolvm: []}\n", 4, 19, "must not be empty"},
    {"a slip in a placeholder", HEAD "command: {docker: [a, '--x={machin}']}\n", 4, 23,
     "unknown placeholder '{machin}'; did you mean '{machine}'?"},
    {"a second slip in one text", HEAD "command: {docker: ['{plan}{crt}']}\n", 4, 20,
     "unknown placeholder '{crt}'; did you mean '{cert}'?"},
    {"the runner's PATH", HEAD "command: {smolvm: [a]}\nenv: {A: b, PATH: /x}\n", 5, 13,
     "PATH is the runner's"},
    {"no exit status", HEAD "command: {smolvm: [a]}\nexit_map: {256: 1}\n", 5, 12,
     "'256' is no exit status, 0 to 255"},
    {"a status in words", HEAD "command: {smolvm: [a]}\nexit_map: {two: 2}\n", 5, 12,
     "'two' is no exit status, 0 to 255"},
    {"a meaning that is no status", HEAD "command: {smolvm: [a]}\nexit_map: {64: 256}\n", 5, 16,
     "256 is not from 0 to 255"},
    {"a derived capability", HEAD "command: {smolvm: [a]}\ncapabilities: [plan]\n", 5, 16,
     "'plan' is not one of upstream-policy, hardened-policy"},
    {"a list that is not there", HEAD "command: {smolvm: [a]}\nexpectations: no.yaml\n", 0, 0,
     "No such file"},
};

static void each_mistake_has_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        CLEANUP(dir_remove) char *dir = dir_make();
        CLEANUP(io_free) char *path = write_file(dir, "x.yaml", refused[i].text);
        CLEANUP(backend_release) struct backend backend = BACKEND_INIT;
        CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
        for (int again = 0; again < 2; again++)
            if (backend_load(path, &backend, &diags) != -EINVAL)
                fail_msg("%s: is taken, again %d", refused[i].name, again);
        assert_null(backend.name);
        const struct diag *diag = diags.items;
        if (diags.count != 1 || diag->line != refused[i].line ||
            diag->column != refused[i].column || !strstr(diag->text, refused[i].fragment))
            fail_msg("%s: %d:%d: %s", refused[i].name, diag->line, diag->column, diag->text);
    }
}

static const struct {
    const char *name;
    const char *keys;
    const char *has; /* in order, each with a blank behind it */
} capable[] = {
    {"nothing", "command: {smolvm: [a, '{cert}']}\n", ""},
    {"plan", "command: {smolvm: [a, '-p{plan}']}\n", "plan "},
    {"plan by both", "command: {smolvm: [a, '{plan}'], docker: [b, '{plan}']}\n", "plan "},
    {"plan by one of two", "command: {smolvm: [a, '{plan}'], docker: [b]}\n", ""},
    {"the shell's own plan", "command: {smolvm: [sh, -c, 'echo ${plan}']}\n", ""},
    {"signals", "driver_signals: seen\ncommand: {docker: [b]}\n", "driver-signals "},
    {"all",
     "capabilities: [upstream-policy]\ndriver_signals: seen\ncommand: {smolvm: ['{plan}']}\n",
     "upstream-policy driver-signals plan "},
};

static void capabilities_are_declared_or_follow(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof capable / sizeof *capable; i++) {
        CLEANUP(dir_remove) char *dir = dir_make();
        CLEANUP(io_free) char *text = io_format(HEAD "%s", capable[i].keys);
        CLEANUP(io_free) char *path = write_file(dir, "x.yaml", text);
        CLEANUP(backend_release) struct backend backend = BACKEND_INIT;
        CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
        CLEANUP(buf_release) struct buf has = BUF_INIT;
        if (backend_load(path, &backend, &diags) < 0)
            fail_msg("%s: %s", capable[i].name, diags.items[0].text);
        for (const char *const *one = backend.capabilities; *one; one++)
            buf_printf(&has, "%s ", *one);
        if (strcmp(buf_str(&has), capable[i].has) != 0)
            fail_msg("%s: has %s", capable[i].name, buf_str(&has));
    }
}

static void what_a_backend_lacks_is_the_first_need_it_has_not(void **state)
{
    (void)state;
    static const char *const has[] = {"plan", "driver-signals", NULL};
    static const char *const none[] = {NULL};
    static const char *const met[] = {"driver-signals", "plan", NULL};
    static const char *const unmet[] = {"plan", "hardened-policy", "upstream-policy", NULL};
    const struct backend backend = {.capabilities = has};
    assert_null(backend_lacks(&backend, &(struct scenario){.needs = none}));
    assert_null(backend_lacks(&backend, &(struct scenario){.needs = met}));
    assert_string_equal(backend_lacks(&backend, &(struct scenario){.needs = unmet}),
                        "hardened-policy");
}

static const struct {
    const char *text;
    const char *wanted;
} replaced[] = {
    {"{machine}", "m1"},
    {"-x{machine}{label}-", "-xm1egress-"},
    {"{dir}/a", "/where/a"},
    {"{cert}", "{machine}"}, /* what a value holds is text */
    {"{print}", "{print}"},
    {"${machine}", "${machine}"},
    {"{{machine}}", "{m1}"},
    {"{machine", "{machine"},
    {"{}", "{}"},
    {"{Machine}", "{Machine}"},
    {"{ machine }", "{ machine }"},
    {"", ""},
};

static void placeholders_are_replaced_once(void **state)
{
    (void)state;
    static const struct placeholder values[] = {
        {"machine", "m1"}, {"label", "egress"}, {"cert", "{machine}"}, {NULL, NULL}};
    for (size_t i = 0; i < sizeof replaced / sizeof *replaced; i++) {
        CLEANUP(pool_release) struct pool pool = POOL_INIT;
        const char *const command[] = {"p", replaced[i].text, NULL};
        const struct backend backend = {.dir = "/where", .command = {command, NULL}};
        const char *const *argv = backend_argv(&backend, DRIVER_SMOLVM, values, &pool);
        assert_string_equal(argv[0], "p");
        if (strcmp(argv[1], replaced[i].wanted) != 0)
            fail_msg("%s: %s", replaced[i].text, argv[1]);
        assert_null(argv[2]);
    }
}

static void a_command_line_is_a_backend_too(void **state)
{
    (void)state;
    static const char *const argv[] = {"/bin/../bin/sh", "{plan}", NULL};
    static const char *const word[] = {"sh", NULL};
    CLEANUP(backend_release) struct backend by_path = BACKEND_INIT;
    CLEANUP(backend_release) struct backend by_word = BACKEND_INIT;
    assert_int_equal(backend_from_command(argv, &by_path, NULL), 0);
    assert_int_equal(backend_from_command(word, &by_word, NULL), 0);
    CLEANUP(io_free) char *shell = realpath("/bin/sh", NULL);
    assert_string_equal(by_path.command[DRIVER_SMOLVM][0], shell);
    assert_string_equal(by_path.command[DRIVER_SMOLVM][1], "{plan}");
    assert_null(by_path.command[DRIVER_SMOLVM][2]);
    assert_string_equal(by_path.capabilities[0], "plan");
    assert_null(by_path.capabilities[1]);
    assert_int_equal(by_path.expectations.count, 0);
    assert_string_equal(by_word.command[DRIVER_SMOLVM][0], "sh");
    assert_null(by_word.capabilities[0]);
    assert_null(by_word.env[0]);
    assert_int_equal(backend_status(&by_word, 64), 64);
}

static void the_projects_backends_load(void **state)
{
    (void)state;
    static const char *const names[] = {"upstream", "hardened", "posix-sh", "python"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        CLEANUP(io_free) char *beside = io_format("scenarios/backends/%s.yaml", names[i]);
        CLEANUP(io_free) char *path = NULL;
        CLEANUP(backend_release) struct backend backend = BACKEND_INIT;
        CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
        assert_int_equal(home_find(beside, &path, NULL), 0);
        if (backend_load(path, &backend, &diags) < 0)
            fail_msg("%s: %s", names[i], diags.items[0].text);
        assert_string_equal(backend.name, names[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_backend_is_read),
        cmocka_unit_test(each_mistake_has_its_place),
        cmocka_unit_test(capabilities_are_declared_or_follow),
        cmocka_unit_test(what_a_backend_lacks_is_the_first_need_it_has_not),
        cmocka_unit_test(placeholders_are_replaced_once),
        cmocka_unit_test(a_command_line_is_a_backend_too),
        cmocka_unit_test(the_projects_backends_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
