/*
 * A copied tree shows and keeps what an overlay would: each row's script is run in both, and
 * what is seen and what is kept must be the same.
 */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../fakes/copied_tree.h"
#include "../scenarios/tree.h"

static const struct row {
    const char *name, *script; /* run in the tree's root */
} rows[] = {
    {"nothing", ":"},
    {"a new file", "echo new >etc/new"},
    {"a new folder with files", "mkdir -p opt/a/b; echo x >opt/a/b/c; ln -s c opt/a/b/d"},
    {"a changed file", "echo more >>etc/plain"},
    {"a changed file with its old time and size",
     "touch -r etc/plain t; printf 'other' >etc/plain; touch -r t etc/plain; rm t"},
    {"another mode", "chmod 600 etc/plain"},
    {"another owner", "chown 5:6 etc/plain etc/link"},
    {"another time", "touch -d @12345 etc/plain etc"},
    {"a folder's mode", "chmod 700 etc"},
    {"a removed file", "rm etc/plain"},
    {"a removed folder", "rm -r usr"},
    {"a removed folder that was made again", "rm -r usr; mkdir usr; echo x >usr/new"},
    {"a file instead of a folder", "rm -r usr; echo x >usr"},
    {"a folder instead of a file", "rm etc/plain; mkdir etc/plain; echo x >etc/plain/x"},
    {"a link instead of a file", "ln -sf nowhere etc/plain"},
    {"a renamed file", "mv etc/plain etc/renamed"},
    {"a file put over another", "mv etc/plain usr/share/deep"},
    {"one name of two", "echo more >>usr/one"},
    {"a hard link of the guest's", "echo x >etc/a; ln etc/a usr/b; echo y >>etc/a"},
    {"special files", "mkfifo etc/fifo; mknod etc/zero c 1 5"},
    {"odd names", "touch \"etc/$(printf 'a\\n\\377 b')\" etc/-n"},
    {"things of /dev, which are nobody's", "mkdir -p dev; echo x >dev/x"},
};

/* The layer, an overlay on it with its upper, and a copied tree with its own. */
static struct {
    char *folder;
    char *layer, *merged, *upper, *copy;
    char *layers[2];
    int copy_fd;
} bench;

static void sh(const char *folder, const char *script)
{
    struct run done = run_sh("cd '%s' && %s", folder, script);
    check_success(&done);
    run_release(&done);
}

static void mount_overlay(void)
{
    CLEANUP(io_free)
    char *options = io_format("lowerdir=%s,upperdir=%s,workdir=%s/work,volatile", bench.layer,
                              bench.upper, bench.folder);
    if (mount("overlay", bench.merged, "overlay", 0, options) < 0)
        fail_msg("mount: %s", strerror(errno));
}

static int set_up(void **state)
{
    (void)state;
    need_root();
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0)
        fail_msg("unshare: %s", strerror(errno));
    bench.folder = dir_make();
    bench.layer = io_format("%s/layer", bench.folder);
    bench.merged = io_format("%s/merged", bench.folder);
    bench.upper = io_format("%s/upper", bench.folder);
    bench.copy = io_format("%s/copy", bench.folder);
    bench.layers[0] = bench.layer;
    sh(bench.folder, "mkdir layer merged upper work copy copy/upper; cd layer;"
                     "mkdir -p etc/empty usr/share dev; echo text >etc/plain; ln -s plain etc/link;"
                     "echo deep >usr/share/deep; echo two >usr/one; ln usr/one usr/two;"
                     "touch -d @1000000000 etc/plain usr/share/deep; touch -hd @99 etc/link");
    mount_overlay();
    bench.copy_fd = open(bench.copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    umount2(bench.merged, MNT_DETACH);
    io_close(&bench.copy_fd);
    io_free(&bench.layer);
    io_free(&bench.merged);
    io_free(&bench.upper);
    io_free(&bench.copy);
    dir_remove(&bench.folder);
    return 0;
}

static void place(void)
{
    struct err err = {""};
    CLEANUP(io_close)
    int upper_fd = openat(bench.copy_fd, "upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (copied_tree_place(bench.copy_fd, upper_fd, bench.layers, &err) < 0)
        fail_msg("%s", err.msg);
}

static void collect(void)
{
    struct err err = {""};
    if (copied_tree_collect(bench.copy_fd, bench.copy_fd, bench.layers, &err) < 0)
        fail_msg("%s", err.msg);
}

/* upper NULL: every path of merged. */
static struct tree snapshot(const char *merged, const char *upper)
{
    struct tree tree = {NULL, 0};
    struct err err = {""};
    if (tree_snapshot(merged, upper, (const char *const *)bench.layers, &tree, &err) < 0)
        fail_msg("%s", err.msg);
    return tree;
}

static void check_same(const char *name, const char *what, const struct tree *expected,
                       const struct tree *found, const char *const *layers)
{
    CLEANUP(tree_diffs_release) struct tree_diffs diffs = {.n = 0};
    struct err err = {""};
    if (tree_compare(expected, found, layers, &diffs, &err) < 0)
        fail_msg("%s", err.msg);
    if (diffs.n > 0)
        fail_msg("%s: %s: %s: expected %s, found %s", name, what, diffs.list[0].path,
                 diffs.list[0].expected, diffs.list[0].found);
}

static bool is_in_dev(const struct tree_entry *entry)
{
    return strcmp(entry->path, "/dev") == 0 || strncmp(entry->path, "/dev/", 5) == 0;
}

static void forget_dev(struct tree *tree)
{
    size_t kept = 0;
    for (size_t i = 0; i < tree->n; i++)
        if (is_in_dev(&tree->entries[i])) {
            free(tree->entries[i].path);
            free(tree->entries[i].target);
        } else
            tree->entries[kept++] = tree->entries[i];
    tree->n = kept;
}

/* Everything that can be seen is the same in both. */
static void check_all(const char *name, const char *what)
{
    CLEANUP(io_free) char *copied = io_format("%s/merged", bench.copy);
    CLEANUP(tree_release) struct tree expected = snapshot(bench.merged, NULL);
    CLEANUP(tree_release) struct tree found = snapshot(copied, NULL);
    forget_dev(&expected);
    forget_dev(&found);
    check_same(name, what, &expected, &found, NULL);
}

static bool is_below_nothing(const struct tree_entry *entry, const struct tree *tree)
{
    for (size_t i = 0; i < tree->n; i++) {
        size_t len = strlen(tree->entries[i].path);
        if (tree->entries[i].mode == 0 && strncmp(entry->path, tree->entries[i].path, len) == 0 &&
            entry->path[len] == '/')
            return true;
    }
    return false;
}

/* A folder that is gone is named once; overlayfs may call the one above it opaque. */
static void forget_below_nothing(struct tree *tree, const struct tree *other)
{
    size_t kept = 0;
    for (size_t i = 0; i < tree->n; i++)
        if (is_below_nothing(&tree->entries[i], other)) {
            free(tree->entries[i].path);
            free(tree->entries[i].target);
        } else
            tree->entries[kept++] = tree->entries[i];
    tree->n = kept;
}

/* What is kept says the same of every path that either names. */
static void check_kept(const char *name)
{
    CLEANUP(io_free) char *copied = io_format("%s/merged", bench.copy);
    CLEANUP(io_free) char *upper = io_format("%s/upper", bench.copy);
    CLEANUP(tree_release) struct tree expected = snapshot(bench.merged, bench.upper);
    CLEANUP(tree_release) struct tree found = snapshot(copied, upper);
    forget_dev(&expected);
    forget_below_nothing(&expected, &found);
    assert_true(expected.n == 0 || found.n > 0);
    check_same(name, "what is kept", &expected, &found, (const char *const *)bench.layers);
}

static void a_copied_tree_is_as_an_overlay(void **state)
{
    CLEANUP(io_free) char *copied = NULL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        set_up(state);
        copied = io_format("%s/merged", bench.copy);
        place();
        check_all(rows[i].name, "filled");
        sh(bench.merged, rows[i].script);
        sh(copied, rows[i].script);
        check_all(rows[i].name, "after the script");
        collect();
        check_kept(rows[i].name);
        /* From the upper alone, and then over what is there. */
        sh(bench.copy, "rm -r merged placed");
        place();
        check_all(rows[i].name, "filled from what was kept");
        sh(bench.copy, "rm -r upper; mkdir upper");
        place();
        sh(copied, rows[i].script);
        place();
        sh(bench.folder, "umount merged; rm -r upper work; mkdir upper work");
        mount_overlay();
        check_all(rows[i].name, "put back");
        io_free(&copied);
        tear_down(state);
    }
}

static void times_are_kept_to_the_nanosecond(void **state)
{
    (void)state;
    CLEANUP(io_free) char *copied = io_format("%s/merged/etc/plain", bench.copy);
    CLEANUP(io_free) char *layer = io_format("%s/etc/plain", bench.layer);
    struct stat before, after;
    sh(bench.layer, "touch -d @1234567.123456789 etc/plain");
    place();
    assert_int_equal(stat(layer, &before), 0);
    assert_int_equal(stat(copied, &after), 0);
    assert_int_equal(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
}

static void what_is_as_it_was_is_not_touched(void **state)
{
    (void)state;
    CLEANUP(io_free) char *deep = io_format("%s/merged/usr/share/deep", bench.copy);
    CLEANUP(io_free) char *plain = io_format("%s/merged/etc/plain", bench.copy);
    struct stat deep_before, plain_before, after;
    place();
    /* Its clock ticks some hundred times a second: what is younger than the mark is copied again.
     */
    usleep(20000);
    sh(bench.copy, "mv placed old; touch placed");
    assert_int_equal(stat(deep, &deep_before), 0);
    assert_int_equal(stat(plain, &plain_before), 0);
    usleep(20000);
    sh(bench.copy, "echo x >>merged/etc/plain");
    place();
    assert_int_equal(stat(deep, &after), 0);
    assert_int_equal(deep_before.st_ino, after.st_ino);
    assert_int_equal(deep_before.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
    assert_int_equal(stat(plain, &after), 0);
    assert_int_equal(plain_before.st_size, after.st_size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copied_tree_is_as_an_overlay),
        cmocka_unit_test_setup_teardown(times_are_kept_to_the_nanosecond, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_as_it_was_is_not_touched, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
