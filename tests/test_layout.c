#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../fakes/layout.h"
#include "../fault/home.h"

static const char good_json[] =
    "{\"name\": \"lenny\", \"title\": \"a made-up \\\"tree\\\"\", \"suite\": \"lenny\","
    " \"debian_version\": \"5.0\", \"digest\": \"abc\", \"recipe\": \"def\", \"host\": false,"
    " \"layers\": [\"root\", \"/srv/below\"], \"hide\": [], \"hooks\": [\"a\", \"b\"],"
    " \"roots\": 5, \"packages\": {\"openssl\": \"0.9.8\", \"bash\": \"4.0\"}}";
static const char host_json[] =
    "{\"name\": \"host\", \"title\": \"t\", \"suite\": \"\", \"debian_version\": \"12.11\","
    " \"digest\": \"abc\", \"host\": true, \"layers\": [\"/\"], \"hide\": [\"/root\", \"/tmp\"],"
    " \"hooks\": [], \"roots\": 0, \"packages\": {}}";

static void layout_write(const char *layouts_path, const char *name, const char *json)
{
    CLEANUP(io_free) char *folder = io_format("%s/%s", layouts_path, name);
    CLEANUP(io_free) char *file = io_format("%s/layout.json", folder);
    struct err err;
    if (io_make_dirs(folder, 0755, &err) < 0 ||
        (json && io_write_file(AT_FDCWD, file, json, strlen(json), 0644, &err) < 0))
        fail_msg("%s", err.msg);
}

/* A layouts folder of its own for each test, with two layouts and a half-built one. */
static int layouts_setup(void **state)
{
    char *path = dir_make();
    layout_write(path, "lenny", good_json);
    layout_write(path, "host", host_json);
    layout_write(path, "half", NULL);
    layout_write(path, ".bookworm.new", good_json);
    setenv("KILLPOINT_LAYOUTS", path, 1);
    *state = path;
    return 0;
}

static int layouts_teardown(void **state)
{
    char *path = *state;
    unsetenv("KILLPOINT_LAYOUTS");
    dir_remove(&path);
    return 0;
}

static void layout_has_what_its_file_says(void **state)
{
    CLEANUP(io_free) char *below = realpath(*state, NULL);
    CLEANUP(io_free) char *root = io_format("%s/lenny/root", below);
    CLEANUP(layout_release) struct layout layout = LAYOUT_INIT;
    struct err err = {""};
    assert_int_equal(layout_open("lenny", &layout, &err), 0);
    assert_string_equal(layout.name, "lenny");
    assert_string_equal(layout.title, "a made-up \"tree\"");
    assert_string_equal(layout.suite, "lenny");
    assert_string_equal(layout.digest, "abc");
    assert_string_equal(layout.debian_version, "5.0");
    assert_string_equal(layout.layers[0], root);
    assert_string_equal(layout.layers[1], "/srv/below");
    assert_null(layout.layers[2]);
    assert_null(layout.hide[0]);
    assert_string_equal(layout.hooks[0], "a");
    assert_string_equal(layout.hooks[1], "b");
    assert_null(layout.hooks[2]);
    assert_string_equal(layout.packages[0], "bash 4.0");
    assert_string_equal(layout.packages[1], "openssl 0.9.8");
    assert_null(layout.packages[2]);
    assert_int_equal(layout.roots, 5);
    assert_false(layout.host);
    assert_string_equal(err.msg, "");
}

static void host_is_the_machine_less_what_it_hides(void **state)
{
    (void)state;
    CLEANUP(layout_release) struct layout layout = LAYOUT_INIT;
    assert_int_equal(layout_open("host", &layout, NULL), 0);
    assert_true(layout.host);
    assert_string_equal(layout.layers[0], "/");
    assert_null(layout.layers[1]);
    assert_string_equal(layout.hide[0], "/root");
    assert_string_equal(layout.hide[1], "/tmp");
    assert_null(layout.hide[2]);
    assert_null(layout.hooks[0]);
}

static const struct {
    const char *name; /* of the layout asked for */
    const char *json; /* NULL: no file is written */
    int errnum;
    const char *text; /* part of the message */
} failures[] = {
    {"bookworm", NULL, ENOENT, "layout bookworm is not built: run `ci/layouts bookworm`"},
    {"nonesuch", NULL, ENOENT, "there is no layout nonesuch"},
    {"half", NULL, ENOENT, "there is no layout half"},
    {"", NULL, ENOENT, "there is no layout "},
    {"../lenny", NULL, ENOENT, "there is no layout ../lenny"},
    {".bookworm.new", NULL, ENOENT, "there is no layout .bookworm.new"},
    {"torn", "{\"name\": \"torn\",", EINVAL, "layout.json:1:"},
    {"empty", "", EINVAL, "layout.json:1:"},
    {"list", "[]", EINVAL, "run `ci/layouts --force list`"},
    {"keyless", "{\"name\": \"keyless\"}", EINVAL, "run `ci/layouts --force keyless`"},
    {"layerless",
     "{\"name\": \"x\", \"title\": \"t\", \"suite\": \"\", \"debian_version\": \"1\","
     " \"digest\": \"a\", \"host\": true, \"layers\": [], \"hide\": [], \"hooks\": [],"
     " \"roots\": 0}",
     EINVAL, "not as ci/layouts writes it"},
    {"mistyped",
     "{\"name\": \"x\", \"title\": \"t\", \"suite\": \"\", \"debian_version\": \"1\","
     " \"digest\": \"a\", \"host\": true, \"layers\": [\"/\"], \"hide\": [7], \"hooks\": [],"
     " \"roots\": 0}",
     EINVAL, "not as ci/layouts writes it"},
};

static void unusable_layouts_say_what_to_do(void **state)
{
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
        struct layout layout = {.roots = 42};
        struct err err = {""};
        if (failures[i].json)
            layout_write(*state, failures[i].name, failures[i].json);
        int ret = layout_open(failures[i].name, &layout, &err);
        if (ret != -failures[i].errnum || !strstr(err.msg, failures[i].text))
            fail_msg("%s: found %d, %s", failures[i].name, ret, err.msg);
        if (layout.roots != 42 || layout.name)
            fail_msg("%s: a failure changed the output", failures[i].name);
    }
}

static void list_has_the_complete_ones_sorted(void **state)
{
    (void)state;
    CLEANUP(io_free_list) char **names = NULL;
    assert_int_equal(layout_list(&names, NULL), 0);
    assert_string_equal(names[0], "host");
    assert_string_equal(names[1], "lenny");
    assert_null(names[2]);
}

static void list_without_a_folder_is_empty(void **state)
{
    CLEANUP(io_free) char *missing = io_format("%s/missing", (char *)*state);
    setenv("KILLPOINT_LAYOUTS", missing, 1);
    CLEANUP(io_free_list) char **names = NULL;
    assert_int_equal(layout_list(&names, NULL), 0);
    assert_null(names[0]);
}

static const struct {
    const char *name;   /* the image */
    const char *layout; /* NULL: there is none */
} images[] = {
    {"lenny", "lenny"},
    {"debian:lenny", "lenny"},
    {"debian:lenny-slim", "lenny"},
    {"debian:bookworm-slim", "bookworm"},
    {"bookworm-mini", "bookworm-mini"},
    {"debian:bookworm-mini", "bookworm-mini"},
    {"host", "host"},
    {"lenny-slim", NULL},
    {"half", NULL},
    {"debian:", NULL},
    {"debian:-slim", NULL},
    {"debian", NULL},
    {"", NULL},
    {"ubuntu:lenny", NULL},
    {"debian:../lenny", NULL},
    {"../layouts/lenny", NULL},
    {"Lenny", NULL},
};

static void images_stand_for_known_layouts_only(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof images / sizeof *images; i++) {
        CLEANUP(io_free) char *name = NULL;
        struct err err = {""};
        int ret = layout_for_image(images[i].name, &name, &err);
        if (images[i].layout ? ret != 0 || strcmp(name, images[i].layout) != 0
                             : ret != -ENOENT || name || !strstr(err.msg, "no layout stands for"))
            fail_msg("%s: found %d, %s, %s", images[i].name, ret, name ? name : "none", err.msg);
    }
}

static void home_finds_what_lies_above_the_program(void **state)
{
    (void)state;
    CLEANUP(io_free) char *path = NULL;
    struct err err = {""};
    assert_int_equal(home_find("scenarios/layouts", &path, &err), 0);
    assert_int_equal(path[0], '/');
    CLEANUP(io_free) char *file = io_format("%s/bookworm.yaml", path);
    assert_int_equal(access(file, R_OK), 0);
    char *untouched = NULL;
    assert_int_equal(home_find("no/such/thing", &untouched, &err), -ENOENT);
    assert_null(untouched);
    assert_non_null(strstr(err.msg, "there is no no/such/thing in any folder above /"));
}

static void home_does_not_depend_on_the_current_folder(void **state)
{
    CLEANUP(io_free) char *here = NULL;
    CLEANUP(io_free) char *there = NULL;
    CLEANUP(io_close) int back = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(home_find("scenarios", &here, NULL), 0);
    assert_int_equal(chdir(*state), 0);
    int ret = home_find("scenarios", &there, NULL);
    assert_int_equal(fchdir(back), 0);
    assert_int_equal(ret, 0);
    assert_string_equal(here, there);
}

#define LAYOUT_TEST(name) cmocka_unit_test_setup_teardown(name, layouts_setup, layouts_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LAYOUT_TEST(layout_has_what_its_file_says),
        LAYOUT_TEST(host_is_the_machine_less_what_it_hides),
        LAYOUT_TEST(unusable_layouts_say_what_to_do),
        LAYOUT_TEST(list_has_the_complete_ones_sorted),
        LAYOUT_TEST(list_without_a_folder_is_empty),
        LAYOUT_TEST(images_stand_for_known_layouts_only),
        LAYOUT_TEST(home_finds_what_lies_above_the_program),
        LAYOUT_TEST(home_does_not_depend_on_the_current_folder),
    };
    return cmocka_run_group_tests_name("layout", tests, NULL, NULL);
}
