#include "support.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "../fault/home.h"

static char *program(void)
{
    char *path = NULL;
    struct err err;
    if (home_find("bin/killpoint", &path, &err) < 0)
        fail_msg("%s", err.msg);
    return path;
}

static char *write_file(const char *dir, const char *name, const char *text)
{
    char *path = io_format("%s/%s", dir, name);
    CLEANUP(io_free) char *folder = io_format("%s", path);
    struct err err;
    *strrchr(folder, '/') = '\0';
    if (io_make_dirs(folder, 0755, &err) < 0 ||
        io_write_file(AT_FDCWD, path, text, strlen(text), 0644, &err) < 0)
        fail_msg("%s", err.msg);
    return path;
}

static void put_file(const char *dir, const char *name, const char *text)
{
    free(write_file(dir, name, text));
}

#define GOOD "title: t\nlevel: must\nexpect: {claim: success}\n"

/* --- validate ------------------------------------------------------------- */

static void the_projects_own_files_are_good(void **state)
{
    (void)state;
    CLEANUP(io_free) char *killpoint = program();
    CLEANUP(run_release) struct run run = run_sh("%s validate", killpoint);
    check_success(&run);
    assert_string_equal(run.err, "");
    assert_non_null(strstr(run.out, " scenario files, "));
    assert_non_null(strstr(run.out, ", 2 expectation lists: no mistakes\n"));
}

static void checks_that_must_fail_are_the_audit_s(void **state)
{
    (void)state;
    CLEANUP(dir_remove) char *dir = dir_make();
    CLEANUP(io_free) char *killpoint = program();
    CLEANUP(io_free)
    char *path = write_file(dir, "s.yaml",
                            "format: 1\nid: a/b\ntitle: t\nlevel: must\nexpect:\n"
                            "  claim: failure\n  store: {fails: [must/ca-file, must/nothing]}\n");
    CLEANUP(run_release) struct run run = run_sh("%s validate %s", killpoint, path);
    check_clean_failure(&run, 2);
    assert_non_null(strstr(run.err, "s.yaml:7:33: error: fails: 'must/nothing' is no check"));
}

static void three_mistakes_are_three_lines(void **state)
{
    (void)state;
    CLEANUP(dir_remove) char *dir = dir_make();
    CLEANUP(io_free) char *killpoint = program();
    CLEANUP(io_free)
    char *path = write_file(dir, "s.yaml",
                            "format: 1\nid: a/b\ntitle: t\nlevel: mist\nlimit: {}\n"
                            "faults:\n  - exec#1 nowhere\nexpect: {claim: success}\n");
    CLEANUP(run_release) struct run run = run_sh("%s validate %s", killpoint, path);
    CLEANUP(io_free)
    char *wanted =
        io_format("%s:4:8: error: level: 'mist' is not one of must, should, may; did you mean "
                  "'must'?\n%s:5:1: error: unknown key 'limit' in scenario; did you mean "
                  "'limits'?\n%s:7:12: error: ",
                  path, path, path);
    check_clean_failure(&run, 2);
    assert_string_equal(run.out, "");
    if (strncmp(run.err, wanted, strlen(wanted)) != 0)
        fail_msg("%s", run.err);
}

static void mistakes_of_all_files_are_told(void **state)
{
    (void)state;
    CLEANUP(dir_remove) char *dir = dir_make();
    CLEANUP(io_free) char *killpoint = program();
    put_file(dir, "a.yaml", "format: 1\nid: a/b\n" GOOD);
    put_file(dir, "b.yaml", "format: 1\nid: a/b\n" GOOD);
    put_file(dir, "backends/c.yaml", "format: 1\nname: c\n");
    put_file(dir, "layouts/d.yaml",
             "format: 1\nname: e\n"
             "title: t\nsuite: trixie\n");
    put_file(dir, "backends/c.expect.yaml", "expectations: []\n");
    CLEANUP(run_release)
    struct run run = run_sh("cd %s && %s validate a.yaml b.yaml backends/c.yaml layouts/d.yaml "
                            "backends/c.expect.yaml none.yaml",
                            dir, killpoint);
    static const char *const lines[] = {
        "b.yaml:2:5: error: id: 'a/b' is also that of a.yaml\n",
        "backends/c.yaml:1:1: error: backend: the key 'title' is missing\n",
        "backends/c.yaml:1:1: error: backend: the key 'command' is missing\n",
        "layouts/d.yaml:2:7: error: name: the file must be named e.yaml, this is d.yaml\n",
        "backends/c.expect.yaml:1:1: error: expectations: the key 'format' is missing\n",
        "backends/c.expect.yaml:1:15: error: expectations: must not be empty\n",
        "none.yaml: error: ",
    };
    check_clean_failure(&run, 2);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!strstr(run.err, lines[i]))
            fail_msg("%snot in\n%s", lines[i], run.err);
}

static const struct {
    const char *name; /* of the file */
    const char *text;
    const char *line; /* of stdout */
} kinds[] = {
    {"s.yaml", "format: 1\nid: a/b\n" GOOD, "1 scenario file: no mistakes\n"},
    {"b.yaml", "format: 1\nname: b\ntitle: t\ncommand: {smolvm: [x]}\n",
     "1 backend: no mistakes\n"},
    {"backends/b.yaml", "format: 1\nname: b\ntitle: t\ncommand: {smolvm: [x]}\n",
     "1 backend: no mistakes\n"},
    {"e.yaml", "format: 1\nexpectations:\n- {match: a, verdict: skip, reason: r, ref: t}\n",
     "1 expectation list: no mistakes\n"},
    {"l.yaml", "format: 1\nname: l\ntitle: t\nsuite: trixie\n", "1 layout: no mistakes\n"},
};

static void a_files_kind_is_known_by_its_folder_or_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        CLEANUP(dir_remove) char *dir = dir_make();
        CLEANUP(io_free) char *killpoint = program();
        CLEANUP(io_free) char *path = write_file(dir, kinds[i].name, kinds[i].text);
        CLEANUP(run_release) struct run run = run_sh("%s validate %s", killpoint, path);
        check_success(&run);
        if (strcmp(run.out, kinds[i].line) != 0)
            fail_msg("%s: %s", kinds[i].name, run.out);
    }
}

#define LAYOUT "format: 1\nname: l\ntitle: t\n"

static const struct {
    const char *name;
    const char *text;
    const char *line; /* behind "l.yaml:" */
} layouts[] = {
    {"packages of a variant", LAYOUT "base: m\npackages: [x]\n",
     "5:11: error: packages: goes with 'suite' only"},
    {"roots of a suite", LAYOUT "suite: trixie\nroots: [x]\n",
     "5:8: error: roots: goes with 'base' only"},
    {"a base that is not there", LAYOUT "base: n\n",
     "4:7: error: base: there is no n.yaml beside this file"},
    {"its own base", LAYOUT "base: l\n", "4:7: error: base: a layout cannot change itself"},
    {"a file that is not there", LAYOUT "base: m\nlocal: [m.crt]\n",
     "5:9: error: local: there is no files/m.crt beside this file"},
    {"a hook that is not there", LAYOUT "base: m\nhook: h\n",
     "5:7: error: hook: there is no files/h beside this file"},
    {"no host", LAYOUT "host: false\n", "4:7: error: host: true is the only value"},
    {"two ways", LAYOUT "host: true\nsuite: trixie\n", "5:1: error: layout: 'suite' beside 'host'"},
    {"a list of lines", LAYOUT "suite: trixie\npackages:\n  - x\n",
     "5:1: error: packages: ci/layouts reads one"},
    {"quotes", LAYOUT "suite: 'trixie'\n", "4:1: error: suite: ci/layouts reads one"},
    {"a comma in an item", LAYOUT "suite: trixie\npackages: ['a,b']\n",
     "5:1: error: packages: ci/layouts reads one"},
};

static void layouts_that_would_be_misread_are_refused(void **state)
{
    (void)state;
    CLEANUP(io_free) char *killpoint = program();
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        CLEANUP(dir_remove) char *dir = dir_make();
        put_file(dir, "m.yaml", "format: 1\nname: m\ntitle: t\nsuite: trixie\n");
        CLEANUP(io_free) char *path = write_file(dir, "l.yaml", layouts[i].text);
        CLEANUP(run_release) struct run run = run_sh("%s validate %s", killpoint, path);
        CLEANUP(io_free) char *wanted = io_format("%s:%s", path, layouts[i].line);
        check_clean_failure(&run, 2);
        if (strncmp(run.err, wanted, strlen(wanted)) != 0 || strchr(run.err, '\n')[1] != '\0')
            fail_msg("%s: %s", layouts[i].name, run.err);
    }
}

/* --- list ----------------------------------------------------------------- */

static void list_prints_ids(void **state)
{
    (void)state;
    CLEANUP(io_free) char *killpoint = program();
    CLEANUP(run_release) struct run all = run_sh("%s list", killpoint);
    CLEANUP(run_release)
    struct run one = run_sh("%s list install/undisturbed@bookworm", killpoint);
    CLEANUP(run_release)
    struct run some =
        run_sh("%s list --driver smolvm --layout trixie --layout host install/undisturbed "
               "'kill/at-times[ms=50]'",
               killpoint);
    check_success(&all);
    check_success(&one);
    check_success(&some);
    assert_non_null(strstr(all.out, "install/undisturbed@bookworm\n"));
    assert_non_null(strstr(all.out, "kill/at-times[ms=50]@bookworm\n"));
    assert_string_equal(one.out, "install/undisturbed@bookworm\n");
    assert_string_equal(some.out, "install/undisturbed@trixie\ninstall/undisturbed@host\n"
                                  "kill/at-times[ms=50]@trixie\nkill/at-times[ms=50]@host\n");
}

static void list_prints_json(void **state)
{
    (void)state;
    CLEANUP(io_free) char *killpoint = program();
    CLEANUP(run_release)
    struct run run = run_sh("%s list --driver smolvm --json 'kill/at-times[ms=100]'", killpoint);
    check_success(&run);
    json_t *all = json_loads(run.out, 0, NULL);
    json_t *trial = json_array_get(all, 0);
    const char *id, *scenario, *layout, *driver, *level, *title;
    json_t *tags;
    assert_int_equal(json_array_size(all), 1);
    assert_int_equal(json_unpack(trial, "{ss ss ss ss ss ss so !}", "id", &id, "scenario",
                                 &scenario, "layout", &layout, "driver", &driver, "level", &level,
                                 "title", &title, "tags", &tags),
                     0);
    assert_string_equal(id, "kill/at-times[ms=100]@bookworm");
    assert_string_equal(scenario, "kill/at-times[ms=100]");
    assert_string_equal(layout, "bookworm");
    assert_string_equal(driver, "smolvm");
    assert_string_equal(level, "must");
    assert_true(*title && json_is_array(tags));
    json_decref(all);
}

static const struct {
    const char *arguments;
    int status;
    const char *line;
} refused[] = {
    {"list nothing-like-it", 4, "killpoint list: 'nothing-like-it' selects no trial\n"},
    {"list '*' nothing", 4, "killpoint list: 'nothing' selects no trial\n"},
    {"list --layout bokworm", 2, "killpoint list: unknown layout 'bokworm'; did you mean "},
    {"list --driver podman", 2, "killpoint list: --driver takes smolvm or docker: 'podman'\n"},
    {"list --bad", 2, "killpoint list: unrecognized option '--bad'\n"},
    {"validate --bad", 2, "killpoint validate: unrecognized option '--bad'\n"},
    {"audit x", 2, "killpoint audit: unexpected argument 'x'\n"},
    {"list >/dev/full", 3, "killpoint list: write stdout: "},
    {"validate >/dev/full", 3, "killpoint validate: write stdout: "},
};

static void a_refusal_is_one_line(void **state)
{
    (void)state;
    CLEANUP(io_free) char *killpoint = program();
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        CLEANUP(run_release) struct run run = run_sh("%s %s", killpoint, refused[i].arguments);
        check_clean_failure(&run, refused[i].status);
        if (*run.out || strncmp(run.err, refused[i].line, strlen(refused[i].line)) != 0 ||
            strchr(run.err, '\n')[1] != '\0')
            fail_msg("%s: %s%s", refused[i].arguments, run.out, run.err);
    }
}

static void help_goes_to_stdout(void **state)
{
    (void)state;
    static const char *const verbs[] = {"validate", "list", "audit"};
    CLEANUP(io_free) char *killpoint = program();
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        CLEANUP(run_release) struct run run = run_sh("%s %s --help", killpoint, verbs[i]);
        CLEANUP(io_free) char *wanted = io_format("Usage: killpoint %s ", verbs[i]);
        check_success(&run);
        assert_non_null(strstr(run.out, wanted));
        assert_string_equal(run.err, "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_projects_own_files_are_good),
        cmocka_unit_test(checks_that_must_fail_are_the_audit_s),
        cmocka_unit_test(three_mistakes_are_three_lines),
        cmocka_unit_test(mistakes_of_all_files_are_told),
        cmocka_unit_test(a_files_kind_is_known_by_its_folder_or_keys),
        cmocka_unit_test(layouts_that_would_be_misread_are_refused),
        cmocka_unit_test(list_prints_ids),
        cmocka_unit_test(list_prints_json),
        cmocka_unit_test(a_refusal_is_one_line),
        cmocka_unit_test(help_goes_to_stdout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
