#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "../scenarios/tree.h"

/*
 * Real overlays, in a mount namespace of this program's own: two machines, `ref` and
 * `got`, over the same two layers, on a tmpfs that ends with the program.
 */
struct world {
    char *dir;
    char *lower[3]; /* topmost first, NULL at the end */
};

static void sh_in(const char *path, const char *script)
{
    struct run done = run_sh("cd %s || exit 1; umask 022; set -e\n%s", path, script);
    check_success(&done);
    run_release(&done);
}

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    *state = world;
    if (geteuid() != 0)
        fail_msg("these tests mount overlays and need root");
    assert_int_equal(unshare(CLONE_NEWNS), 0);
    assert_int_equal(mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL), 0);
    world->dir = dir_make();
    assert_int_equal(mount("none", world->dir, "tmpfs", 0, NULL), 0);
    sh_in(world->dir,
          "mkdir -p top base/etc/keep base/etc/tree/deep base/usr ref got\n"
          "echo one >base/etc/file; echo two >base/etc/keep/kept; ln -s file base/etc/link\n"
          "echo a >base/etc/tree/a; echo b >base/etc/tree/deep/b; mkfifo base/etc/fifo\n"
          "echo hidden >base/usr/hidden; mkdir -p top/usr; mknod top/usr/hidden c 0 0\n"
          "ln -s etc base/alias");
    world->lower[0] = io_format("%s/top", world->dir);
    world->lower[1] = io_format("%s/base", world->dir);
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    umount2(world->dir, MNT_DETACH);
    dir_remove(&world->dir);
    free(world->lower[0]);
    free(world->lower[1]);
    free(world);
    return 0;
}

/* A fresh machine that ran a script, as a snapshot. */
static void play(const struct world *world, const char *name, const char *script,
                 struct tree *ret_tree)
{
    CLEANUP(io_free) char *home = io_format("%s/%s", world->dir, name);
    CLEANUP(io_free) char *upper = io_format("%s/upper", home);
    CLEANUP(io_free) char *merged = io_format("%s/merged", home);
    CLEANUP(io_free)
    char *options = io_format("lowerdir=%s:%s,upperdir=%s,workdir=%s/work", world->lower[0],
                              world->lower[1], upper, home);
    sh_in(home, "rm -rf upper work merged; mkdir upper work merged");
    if (mount("overlay", merged, "overlay", 0, options) < 0)
        fail_msg("mount an overlay: %s", strerror(errno));
    sh_in(merged, script);
    struct err err;
    int ret = tree_snapshot(merged, upper, (const char *const *)world->lower, ret_tree, &err);
    umount2(merged, MNT_DETACH);
    if (ret < 0)
        fail_msg("%s", err.msg);
}

static const struct {
    const char *name;
    const char *reference, *found; /* what ran in each machine */
    const char *diffs;             /* path, expected, found: one line each */
} cases[] = {
    {"nothing was done", ":", ":", ""},
    {"the same was done", "echo x >etc/new", "echo x >etc/new", ""},
    {"only times differ", "echo x >etc/new", "echo x >etc/new; touch -d 2001-01-01 etc/new", ""},
    {"a change that was taken back", ":",
     "echo x >etc/new; rm etc/new; echo y >etc/file; echo one >etc/file", ""},
    {"a file made anew with the same content", ":", "rm etc/file; echo one >etc/file", ""},
    {"content", "echo x >etc/new", "echo y >etc/new",
     "/etc/new: file 0644 0:0 2 bytes 73cb3858a687; file 0644 0:0 2 bytes 3bb2abb69ebb\n"},
    {"one file more", ":", "echo x >etc/new",
     "/etc/new: nothing; file 0644 0:0 2 bytes 73cb3858a687\n"},
    {"one file less", "echo x >etc/new", ":",
     "/etc/new: file 0644 0:0 2 bytes 73cb3858a687; nothing\n"},
    {"a lower file changed", ":", "echo one! >etc/file",
     "/etc/file: file 0644 0:0 4 bytes 2c8b08da5ce6; file 0644 0:0 5 bytes 1ce6fb6a63ad\n"},
    {"a lower file removed", ":", "rm etc/keep/kept",
     "/etc/keep/kept: file 0644 0:0 4 bytes 27dd8ed44a83; nothing\n"},
    {"it should have been removed", "rm etc/keep/kept", ":",
     "/etc/keep/kept: nothing; file 0644 0:0 4 bytes 27dd8ed44a83\n"},
    {"mode", ":", "chmod 600 etc/file",
     "/etc/file: file 0644 0:0 4 bytes 2c8b08da5ce6; file 0600 0:0 4 bytes 2c8b08da5ce6\n"},
    {"owner", ":", "chown 3:4 etc/file",
     "/etc/file: file 0644 0:0 4 bytes 2c8b08da5ce6; file 0644 3:4 4 bytes 2c8b08da5ce6\n"},
    {"a folder's mode", ":", "chmod 1777 etc/keep",
     "/etc/keep: folder 0755 0:0; folder 1777 0:0\n"},
    {"a link's target", ":", "ln -sfn keep etc/link",
     "/etc/link: link 0:0 -> file; link 0:0 -> keep\n"},
    {"a file became a folder", ":", "rm etc/fifo; mkdir etc/fifo",
     "/etc/fifo: FIFO 0644 0:0; folder 0755 0:0\n"},
    {"a device", ":", "mknod -m 600 etc/dev c 1 7", "/etc/dev: nothing; device c1:7 0600 0:0\n"},
    {"a folder made anew hides what was in it", ":",
     "rm -r etc/tree; mkdir etc/tree; : >etc/tree/c",
     "/etc/tree/a: file 0644 0:0 2 bytes 87428fc52280; nothing\n"
     "/etc/tree/c: nothing; file 0644 0:0 0 bytes e3b0c44298fc\n"
     "/etc/tree/deep: folder 0755 0:0; nothing\n"
     "/etc/tree/deep/b: file 0644 0:0 2 bytes 0263829989b6; nothing\n"},
    {"a folder made anew as it was", ":",
     "rm -r etc/tree; mkdir -p etc/tree/deep; echo a >etc/tree/a; echo b >etc/tree/deep/b", ""},
    {"a folder that became a link", ":", "rm -r etc/keep; ln -s tree etc/keep",
     "/etc/keep: folder 0755 0:0; link 0:0 -> tree\n"},
    {"a whiteout in a layer counts as nothing", ":", "echo x >usr/hidden",
     "/usr/hidden: nothing; file 0644 0:0 2 bytes 73cb3858a687\n"},
    {"a link that became a folder is not followed", ":",
     "rm alias; mkdir alias; echo one >alias/file",
     "/alias: link 0:0 -> etc; folder 0755 0:0\n"
     "/alias/file: nothing; file 0644 0:0 4 bytes 2c8b08da5ce6\n"},
};

static void differences_are_exactly_those_that_were_made(void **state)
{
    const struct world *world = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP(tree_release) struct tree reference = {0};
        CLEANUP(tree_release) struct tree found = {0};
        CLEANUP(tree_diffs_release) struct tree_diffs diffs = {0};
        CLEANUP(buf_release) struct buf text = BUF_INIT;
        struct err err;
        play(world, "ref", cases[i].reference, &reference);
        play(world, "got", cases[i].found, &found);
        if (tree_compare(&reference, &found, (const char *const *)world->lower, &diffs, &err) < 0)
            fail_msg("%s: %s", cases[i].name, err.msg);
        for (size_t j = 0; j < diffs.n; j++)
            buf_printf(&text, "%s: %s; %s\n", diffs.list[j].path, diffs.list[j].expected,
                       diffs.list[j].found);
        if (strcmp(buf_str(&text), cases[i].diffs) != 0)
            fail_msg("%s:\n%s--- expected:\n%s", cases[i].name, buf_str(&text), cases[i].diffs);
    }
}

static void the_first_twenty_are_listed_and_all_counted(void **state)
{
    const struct world *world = *state;
    CLEANUP(tree_release) struct tree reference = {0};
    CLEANUP(tree_release) struct tree found = {0};
    CLEANUP(tree_diffs_release) struct tree_diffs diffs = {0};
    struct err err;
    play(world, "ref", ":", &reference);
    play(world, "got", "for i in $(seq 10 54); do : >etc/$i; done", &found);
    assert_int_equal(
        tree_compare(&reference, &found, (const char *const *)world->lower, &diffs, &err), 0);
    assert_int_equal(diffs.n, 45);
    assert_string_equal(diffs.list[0].path, "/etc/10");
    assert_string_equal(diffs.list[19].path, "/etc/29");
}

static void hostile_trees_are_read_without_harm(void **state)
{
    const struct world *world = *state;
    CLEANUP(tree_release) struct tree tree = {0};
    int64_t start_ms = io_now_ms();
    play(world, "got",
         "mkfifo etc/f; mknod etc/zero c 1 5; ln -s loop etc/loop; ln -s / etc/root\n"
         "truncate -s 100G etc/huge; : >\"etc/$(printf 'a\\nb')\"",
         &tree);
    assert_int_equal(tree.n, 7);
    if (io_now_ms() - start_ms > 20000)
        fail_msg("it took %d ms", (int)(io_now_ms() - start_ms));
}

static void a_bottomless_tree_is_an_error(void **state)
{
    const struct world *world = *state;
    CLEANUP(io_free) char *deep = io_format("%s/deep", world->dir);
    struct tree tree = {0};
    struct err err;
    sh_in(world->dir, "mkdir deep; cd deep; for i in $(seq 100); do mkdir d; cd d; done");
    assert_int_equal(tree_snapshot(deep, NULL, NULL, &tree, &err), -ELOOP);
    assert_null(tree.entries);
    assert_int_equal(tree_snapshot("/nonexistent", NULL, NULL, &tree, &err), -ENOENT);
}

static void a_plain_tree_is_read_whole_but_for_mounts(void **state)
{
    const struct world *world = *state;
    CLEANUP(io_free) char *plain = io_format("%s/plain", world->dir);
    CLEANUP(io_free) char *mounted = io_format("%s/plain/mnt", world->dir);
    CLEANUP(tree_release) struct tree tree = {0};
    struct err err;
    sh_in(world->dir, "mkdir -p plain/mnt plain/b; echo x >plain/b/file; echo x >plain/a");
    assert_int_equal(mount("none", mounted, "tmpfs", 0, NULL), 0);
    sh_in(mounted, ": >inside");
    assert_int_equal(tree_snapshot(plain, NULL, NULL, &tree, &err), 0);
    assert_int_equal(tree.n, 4);
    assert_string_equal(tree.entries[2].path, "/b/file");
    assert_string_equal(tree.entries[3].path, "/mnt");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(differences_are_exactly_those_that_were_made),
        cmocka_unit_test(the_first_twenty_are_listed_and_all_counted),
        cmocka_unit_test(hostile_trees_are_read_without_harm),
        cmocka_unit_test(a_bottomless_tree_is_an_error),
        cmocka_unit_test(a_plain_tree_is_read_whole_but_for_mounts),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
