#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../fakes/state.h"

static int set_up(void **state)
{
    *state = dir_make();
    return 0;
}

static int tear_down(void **state)
{
    dir_remove((char **)state);
    return 0;
}

/* A record of a machine called name, in static storage. */
static struct record record_named(char *name)
{
    static char image[] = "debian:bookworm", layout[] = "bookworm", workdir[] = "/srv";
    static char one[] = "A=1", two[] = "B=x=\xc3\xa4", path[] = "/etc/ssl";
    static char *env[] = {one, two, NULL}, *read_only[] = {path, NULL};
    return (struct record){.name = name,
                           .image = image,
                           .layout = layout,
                           .workdir = workdir,
                           .env = env,
                           .read_only = read_only,
                           .disk_bytes = 1LL << 40,
                           .created_at = 1700000000,
                           .cpus = 4,
                           .memory_mib = 8192,
                           .storage_gib = 20,
                           .overlay_gib = 10,
                           .network = true,
                           .ports = 2};
}

static void create(const char *folder, const char *name)
{
    char *copy = io_format("%s", name);
    struct record record = record_named(copy);
    struct err err = {""};
    if (state_create(folder, &record, &err) < 0)
        fail_msg("%s: %s", name, err.msg);
    free(copy);
}

static const struct {
    const char *name;
    const char *machine;
    int ret;
} name_rows[] = {
    {"letter", "a", 0},
    {"digit first", "0a", 0},
    {"all kinds of characters", "Ab-9_z", 0},
    {"underscore at the end", "a_", 0},
    {"empty", "", -EINVAL},
    {"dash first", "-a", -EINVAL},
    {"underscore first", "_a", -EINVAL},
    {"two dashes", "a--b", -EINVAL},
    {"dash at the end", "a-", -EINVAL},
    {"dot", "a.b", -EINVAL},
    {"parent", "..", -EINVAL},
    {"slash", "a/b", -EINVAL},
    {"blank", "a b", -EINVAL},
    {"newline at the end", "a\n", -EINVAL},
    {"not ASCII", "\xc3\xa4", -EINVAL},
    {"63 characters", "a12345678901234567890123456789012345678901234567890123456789012", 0},
    {"64 characters", "a123456789012345678901234567890123456789012345678901234567890123", -EINVAL},
};

static void machine_names_are_checked(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof name_rows / sizeof *name_rows; i++) {
        struct err err = {""};
        int ret = state_check_name(name_rows[i].machine, &err);
        if (ret != name_rows[i].ret || (ret < 0 && !err.msg[0]))
            fail_msg("%s: returned %d, '%s'", name_rows[i].name, ret, err.msg);
    }
}

static void record_comes_back_as_written(void **state)
{
    struct record back;
    create(*state, "m");
    assert_int_equal(state_read(*state, "m", &back, NULL), 0);
    assert_string_equal(back.name, "m");
    assert_string_equal(back.image, "debian:bookworm");
    assert_string_equal(back.layout, "bookworm");
    assert_string_equal(back.workdir, "/srv");
    assert_string_equal(back.env[0], "A=1");
    assert_string_equal(back.env[1], "B=x=\xc3\xa4");
    assert_null(back.env[2]);
    assert_string_equal(back.read_only[0], "/etc/ssl");
    assert_null(back.read_only[1]);
    assert_true(back.disk_bytes == 1LL << 40);
    assert_true(back.created_at == 1700000000);
    assert_false(back.started);
    assert_int_equal(back.cpus, 4);
    assert_true(back.memory_mib == 8192);
    assert_true(back.storage_gib == 20);
    assert_true(back.overlay_gib == 10);
    assert_true(back.network);
    assert_int_equal(back.ports, 2);
    record_release(&back);
}

static void record_without_workdir_and_lists_comes_back(void **state)
{
    char name[] = "bare";
    struct record record = record_named(name), back;
    record.workdir = NULL;
    record.env = record.read_only = NULL;
    assert_int_equal(state_create(*state, &record, NULL), 0);
    assert_int_equal(state_read(*state, "bare", &back, NULL), 0);
    assert_null(back.workdir);
    assert_null(back.env[0]);
    assert_null(back.read_only[0]);
    record_release(&back);
}

static void second_machine_of_a_name_is_refused(void **state)
{
    char name[] = "m";
    struct record record = record_named(name);
    struct err err = {""};
    create(*state, "m");
    assert_int_equal(state_create(*state, &record, &err), -EEXIST);
    assert_non_null(strstr(err.msg, "already exists"));
    CLEANUP(io_free_list) char **names = NULL;
    assert_int_equal(state_list(*state, &names, NULL), 0);
    assert_string_equal(names[0], "m");
    assert_null(names[1]);
}

static void failed_create_leaves_nothing(void **state)
{
    static char bytes[] = "\xff";
    char name[] = "m";
    struct record record = record_named(name), back;
    record.workdir = bytes; /* JSON cannot hold it */
    assert_int_equal(state_create(*state, &record, NULL), -EINVAL);
    assert_int_equal(state_read(*state, "m", &back, NULL), -ENOENT);
    struct run ls = run_sh("ls -A %s", (const char *)*state);
    assert_string_equal(ls.out, "");
    run_release(&ls);
}

static void update_replaces_the_record(void **state)
{
    char name[] = "m", other[] = "other";
    struct record record = record_named(name), back;
    create(*state, "m");
    record.started = true;
    assert_int_equal(state_update(*state, &record, NULL), 0);
    assert_int_equal(state_read(*state, "m", &back, NULL), 0);
    assert_true(back.started);
    record_release(&back);
    record.name = other;
    assert_int_equal(state_update(*state, &record, NULL), -ENOENT);
}

static void unknown_machine_is_enoent_everywhere(void **state)
{
    struct record back;
    assert_int_equal(state_read(*state, "no", &back, NULL), -ENOENT);
    assert_int_equal(state_remove(*state, "no", NULL), -ENOENT);
    assert_int_equal(state_vmm_pid(*state, "no"), 0);
}

static void name_with_a_slash_never_becomes_a_path(void **state)
{
    struct record back;
    create(*state, "m");
    assert_int_equal(state_read(*state, "../machines/m", &back, NULL), -ENOENT);
    assert_int_equal(state_remove(*state, "../machines/m", NULL), -ENOENT);
    assert_int_equal(state_remove(*state, ".", NULL), -ENOENT);
    assert_int_equal(state_read(*state, "m", &back, NULL), 0);
    record_release(&back);
}

static void spoilt_record_is_an_error_and_not_a_machine_less(void **state)
{
    static const struct {
        const char *name, *text;
    } rows[] = {{"no JSON", "{"}, {"no keys", "{}"}, {"wrong type", "{\"name\": 1}"}};
    create(*state, "m");
    CLEANUP(io_free) char *path = io_format("%s/machines/m/record.json", (char *)*state);
    for (size_t i = 0; i < 3; i++) {
        struct record back;
        struct err err = {""};
        const char *text = rows[i].text;
        assert_int_equal(io_write_file(AT_FDCWD, path, text, strlen(text), 0600, NULL), 0);
        if (state_read(*state, "m", &back, &err) != -EINVAL || !strstr(err.msg, "record.json"))
            fail_msg("%s: '%s'", rows[i].name, err.msg);
    }
}

static void list_is_sorted_and_skips_what_is_no_machine(void **state)
{
    CLEANUP(io_free_list) char **names = NULL;
    assert_int_equal(state_list(*state, &names, NULL), 0);
    assert_null(names[0]);
    io_free_list(&names);
    create(*state, "b");
    create(*state, "a");
    create(*state, "C");
    CLEANUP(io_free) char *rest = io_format("%s/machines/.new-abc", (char *)*state);
    assert_int_equal(mkdir(rest, 0700), 0);
    assert_int_equal(state_list(*state, &names, NULL), 0);
    assert_string_equal(names[0], "C");
    assert_string_equal(names[1], "a");
    assert_string_equal(names[2], "b");
    assert_null(names[3]);
}

/* Plays the VMM: its pid file, and its lock in the returned descriptor. */
static int hold_machine(const char *folder, const char *name)
{
    CLEANUP(io_free) char *lock = io_format("%s/machines/%s/lock", folder, name);
    CLEANUP(io_free) char *pid = io_format("%s/machines/%s/pid", folder, name);
    int fd = -1;
    assert_int_equal(io_lock_file(AT_FDCWD, lock, 0, &fd), 0);
    assert_int_equal(io_write_file(AT_FDCWD, pid, "4711\n", 5, 0600, NULL), 0);
    return fd;
}

static void machine_runs_exactly_while_its_lock_is_held(void **state)
{
    create(*state, "m");
    assert_int_equal(state_vmm_pid(*state, "m"), 0);
    CLEANUP(io_close) int lock_fd = hold_machine(*state, "m");
    assert_int_equal(state_vmm_pid(*state, "m"), 4711);
    io_close(&lock_fd);
    assert_int_equal(state_vmm_pid(*state, "m"), 0);
}

static void running_machine_is_not_removed(void **state)
{
    struct record back;
    create(*state, "m");
    CLEANUP(io_close) int lock_fd = hold_machine(*state, "m");
    assert_int_equal(state_remove(*state, "m", NULL), -EBUSY);
    assert_int_equal(state_read(*state, "m", &back, NULL), 0);
    record_release(&back);
    io_close(&lock_fd);
    assert_int_equal(state_remove(*state, "m", NULL), 0);
    assert_int_equal(state_read(*state, "m", &back, NULL), -ENOENT);
}

static void check_files(const char *folder, const char *expected)
{
    struct run ls = run_sh("cd '%s' && find . -mindepth 1 | LC_ALL=C sort", folder);
    assert_string_equal(ls.out, expected);
    run_release(&ls);
}

static void last_machine_leaves_an_empty_folder(void **state)
{
    create(*state, "a");
    create(*state, "b");
    assert_int_equal(state_remove(*state, "a", NULL), 0);
    check_files(*state, "./machines\n./machines/b\n./machines/b/lock\n./machines/b/record.json\n");
    assert_int_equal(state_remove(*state, "b", NULL), 0);
    check_files(*state, "");
}

static void leave_halves(const char *folder)
{
    struct run left = run_sh("cd '%s' && mkdir -p machines/.new machines/.gone/upper/etc && touch "
                             "machines/.new/lock machines/.gone/upper/etc/f",
                             folder);
    check_success(&left);
    run_release(&left);
}

static void what_killed_makers_left_goes_with_the_next_create_or_delete(void **state)
{
    leave_halves(*state);
    create(*state, "m");
    check_files(*state, "./machines\n./machines/m\n./machines/m/lock\n./machines/m/record.json\n");
    leave_halves(*state);
    assert_int_equal(state_remove(*state, "m", NULL), 0);
    check_files(*state, "");
}

static void check_found(const char *expected)
{
    char *found = NULL;
    struct err err = {""};
    if (state_find(&found, &err) < 0)
        fail_msg("%s", err.msg);
    assert_string_equal(found, expected);
    free(found);
}

static void state_is_where_the_environment_says(void **state)
{
    CLEANUP(io_free) char *real = realpath(*state, NULL);
    CLEANUP(io_free) char *one = io_format("%s/deep/one", real);
    CLEANUP(io_free) char *two = io_format("%s/two", real);
    setenv("KILLPOINT_STATE", one, 1);
    setenv("SMOLVM_DATA_DIR", two, 1);
    check_found(one);
    struct stat st;
    assert_int_equal(stat(one, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    setenv("KILLPOINT_STATE", "", 1);
    check_found(two);
    unsetenv("KILLPOINT_STATE");
    unsetenv("SMOLVM_DATA_DIR");
}

static void state_folder_that_is_a_file_is_refused(void **state)
{
    CLEANUP(io_free) char *path = io_format("%s/file", (char *)*state);
    assert_int_equal(io_write_file(AT_FDCWD, path, "", 0, 0600, NULL), 0);
    setenv("KILLPOINT_STATE", path, 1);
    char *found = NULL;
    struct err err = {""};
    assert_true(state_find(&found, &err) < 0);
    assert_null(found);
    assert_non_null(strstr(err.msg, "state folder"));
    unsetenv("KILLPOINT_STATE");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(machine_names_are_checked),
        TEST(record_comes_back_as_written),
        TEST(record_without_workdir_and_lists_comes_back),
        TEST(second_machine_of_a_name_is_refused),
        TEST(failed_create_leaves_nothing),
        TEST(update_replaces_the_record),
        TEST(unknown_machine_is_enoent_everywhere),
        TEST(name_with_a_slash_never_becomes_a_path),
        TEST(spoilt_record_is_an_error_and_not_a_machine_less),
        TEST(list_is_sorted_and_skips_what_is_no_machine),
        TEST(machine_runs_exactly_while_its_lock_is_held),
        TEST(running_machine_is_not_removed),
        TEST(last_machine_leaves_an_empty_folder),
        TEST(what_killed_makers_left_goes_with_the_next_create_or_delete),
        TEST(state_is_where_the_environment_says),
        TEST(state_folder_that_is_a_file_is_refused),
    };
    return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
