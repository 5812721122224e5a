#include "support.h"
#include "random.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "../fault/tree_state.h"

#define NOTHING "00000000000000000000000000000000"

struct box {
    char *path;
    int fd;
};

static void box_release(struct box *box)
{
    io_close(&box->fd);
    dir_remove(&box->path);
}

/* A tree: /file "content" 0644, /twin1 and /twin2 one file, /d/e/f, /link, /pipe. */
static struct box box_make(void)
{
    struct box box = {dir_make(), -1};
    box.fd = open(box.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(box.fd >= 0);
    CLEANUP(run_release)
    struct run made = run_sh("cd %s && umask 022 && printf content >file && printf twin >twin1 && "
                             "ln twin1 twin2 && mkdir -p d/e && printf f >d/e/f && "
                             "ln -s file link && mkfifo pipe",
                             box.path);
    check_success(&made);
    return box;
}

struct digest {
    char text[TREE_STATE_DIGEST_LEN + 1];
};

static struct digest digest_of(const struct tree_state *state)
{
    struct digest digest;
    tree_state_digest(state, digest.text);
    return digest;
}

/* Runs a shell command in the tree between touches and updates of paths, " "-separated. */
static struct digest change(struct tree_state *state, const struct box *box, const char *paths,
                            const char *command)
{
    struct err err;
    for (int after = 0; after < 2; after++) {
        CLEANUP(io_free) char *words = io_format("%s", paths);
        if (after) {
            CLEANUP(run_release)
            struct run done = run_sh("cd %s && umask 022 && %s", box->path, command);
            check_success(&done);
        }
        for (char *at = words, *path; (path = strsep(&at, " "));) {
            int ret = after ? tree_state_update(state, box->fd, path, true, TREE_STATE_WHOLE, &err)
                            : tree_state_touch(state, box->fd, path, true, &err);
            if (ret < 0)
                fail_msg("%s: %s: %s", command, path, err.msg);
        }
    }
    return digest_of(state);
}

static void check_same(struct digest a, const char *b)
{
    assert_string_equal(a.text, b);
}

static void what_counts_changes_the_digest_and_its_restoring_zeroes_it(void **state)
{
    (void)state;
    static const struct {
        const char *name, *paths, *there, *back;
        bool counts;
    } rows[] = {
        {"create", "/new", ": >new", "rm new", true},
        {"write", "/file", "printf Content >file", "printf content >file", true},
        {"append", "/file", "printf x >>file", "truncate -s -1 file", true},
        {"truncate", "/file", "truncate -s 3 file", "printf tent >>file", true},
        {"mode", "/file", "chmod 600 file", "chmod 644 file", true},
        {"mode of a folder", "/d", "chmod 700 d", "chmod 755 d", true},
        {"unlink", "/file", "mv file /tmp/$$; rm /tmp/$$", "printf content >file", true},
        {"rename", "/file /other", "mv file other", "mv other file", true},
        {"rename over", "/file /d/e/f", "cp -p d/e/f keep; mv file d/e/f",
         "mv d/e/f file; mv keep d/e/f", true},
        {"rename a folder", "/d /g", "mv d g", "mv g d", true},
        {"mkdir", "/n", "mkdir n", "rmdir n", true},
        {"rmdir", "/d/e/f /d/e", "rm d/e/f; rmdir d/e", "mkdir d/e; printf f >d/e/f", true},
        {"symlink", "/n", "ln -s file n", "rm n", true},
        {"a link's target", "/link", "ln -sfn pipe link", "ln -sfn file link", true},
        {"folder to link", "/d /g", "mv d g; ln -s g d", "rm d; mv g d", true},
        {"mkfifo", "/n", "mkfifo n", "rm n", true},
        {"file to fifo", "/file", "rm file; mkfifo file", "rm file; printf content >file", true},
        {"hard link", "/file /n", "ln file n", "rm n", true},
        {"a twin's content", "/twin1", "printf x >>twin1", "truncate -s -1 twin2", true},
        {"times", "/file", "touch -d 2001-02-03 file", ":", false},
        {"another inode", "/file", "cp -p file n; mv n file", ":", false},
        {"one link more", "/file", "ln file n", ":", false},
        {"nothing", "/none", ":", ":", false},
        {"a file below a file", "/file/none", ":", ":", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        CLEANUP(box_release) struct box box = box_make();
        CLEANUP(tree_state_release) struct tree_state tree = TREE_STATE_INIT;
        CLEANUP(io_free) char *untold = NULL;
        check_same(digest_of(&tree), NOTHING);
        struct digest there = change(&tree, &box, rows[i].paths, rows[i].there);
        if ((strcmp(there.text, NOTHING) != 0) != rows[i].counts)
            fail_msg("%s: %s", rows[i].name, there.text);
        struct digest back = change(&tree, &box, rows[i].paths, rows[i].back);
        if (strcmp(back.text, NOTHING) != 0)
            fail_msg("%s, back: %s", rows[i].name, back.text);
        assert_int_equal(tree_state_rehash(&tree, box.fd, &untold, NULL), 0);
        assert_false(tree.unreadable);
    }
}

static void owners_devices_and_attributes_count(void **state)
{
    (void)state;
    need_root();
    CLEANUP(box_release) struct box box = box_make();
    CLEANUP(tree_state_release) struct tree_state tree = TREE_STATE_INIT;
    CLEANUP(io_free) char *file = io_format("%s/file", box.path);
    struct err err;
    struct digest a = change(&tree, &box, "/file", "chown 7 file");
    struct digest b = change(&tree, &box, "/file", "chown 0:7 file");
    assert_string_not_equal(a.text, b.text);
    check_same(change(&tree, &box, "/file", "chown 0:0 file"), NOTHING);
    a = change(&tree, &box, "/null", "mknod null c 1 3");
    b = change(&tree, &box, "/null", "rm null; mknod null c 1 5");
    assert_string_not_equal(a.text, b.text);
    check_same(change(&tree, &box, "/null", "rm null"), NOTHING);

    static const char *const names[] = {"trusted.a", "trusted.b", "trusted.overlay.opaque"};
    struct digest seen[3];
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(setxattr(file, names[i], "x", 1, 0), 0);
        assert_int_equal(
            tree_state_update(&tree, box.fd, "/file", false, (struct content_range){0, 0}, &err),
            0);
        seen[i] = digest_of(&tree);
    }
    assert_string_not_equal(seen[0].text, NOTHING);
    assert_string_not_equal(seen[0].text, seen[1].text);
    assert_string_equal(seen[1].text, seen[2].text);
    assert_int_equal(setxattr(file, "trusted.b", "y", 1, 0), 0);
    struct digest other = change(&tree, &box, "/file", ":");
    assert_string_not_equal(other.text, seen[1].text);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(removexattr(file, names[i]), 0);
    check_same(change(&tree, &box, "/file", ":"), NOTHING);
}

static void the_way_to_a_tree_does_not_matter(void **state)
{
    (void)state;
    static const char *const ways[][4][2] = {
        {{"/a", "printf 1 >a"}, {"/b", "printf 2 >b"}, {"/d /g", "mv d g"}, {"/file", "rm file"}},
        {{"/file", "rm file"}, {"/d /g", "mv d g"}, {"/b", "printf 2 >b"}, {"/a", "printf 1 >a"}},
        {{"/file /a", "mv file a; printf 1 >a"},
         {"/d /h", "mv d h"},
         {"/h /g /x", "mv h g; : >x; rm x"},
         {"/b /c", "printf 2 >c; mv c b"}},
    };
    struct digest first = {NOTHING};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        CLEANUP(box_release) struct box box = box_make();
        CLEANUP(tree_state_release) struct tree_state tree = TREE_STATE_INIT;
        struct digest digest;
        for (size_t step = 0; step < 4; step++)
            digest = change(&tree, &box, ways[i][step][0], ways[i][step][1]);
        if (i == 0)
            first = digest;
        assert_string_not_equal(digest.text, NOTHING);
        check_same(digest, first.text);
    }
}

static void names_of_one_file_change_together(void **state)
{
    (void)state;
    CLEANUP(box_release) struct box box = box_make();
    CLEANUP(tree_state_release) struct tree_state tree = TREE_STATE_INIT;
    CLEANUP(io_free) char *untold = NULL;
    struct digest one = change(&tree, &box, "/twin1", "printf x >>twin1");
    /* The second name was changed before it was touched: its original is the first's. */
    struct digest both = change(&tree, &box, "/twin2", ":");
    assert_string_not_equal(one.text, both.text);
    check_same(change(&tree, &box, "/twin2", "truncate -s 4 twin2"), NOTHING);
    /* A name that is a file of its own has no more part in it. */
    change(&tree, &box, "/twin2", "rm twin2; printf twin >twin2");
    check_same(digest_of(&tree), NOTHING);
    check_same(change(&tree, &box, "/twin1", "printf x >>twin1"), one.text);
    assert_int_equal(tree_state_rehash(&tree, box.fd, &untold, NULL), 0);
}

static void a_change_that_nobody_told_is_found(void **state)
{
    (void)state;
    CLEANUP(box_release) struct box box = box_make();
    CLEANUP(tree_state_release) struct tree_state tree = TREE_STATE_INIT;
    CLEANUP(io_free) char *untold = NULL;
    struct digest before = change(&tree, &box, "/file /d/e/f /none", "printf 1 >file");
    CLEANUP(run_release) struct run done = run_sh("cd %s; printf X >d/e/f; : >none", box.path);
    check_success(&done);
    assert_int_equal(tree_state_rehash(&tree, box.fd, &untold, NULL), 2);
    assert_string_equal(untold, "/d/e/f");
    assert_string_not_equal(digest_of(&tree).text, before.text);
    assert_int_equal(tree_state_rehash(&tree, box.fd, &untold, NULL), 0);
}

static void what_may_not_be_read_is_said(void **state)
{
    (void)state;
    need_root();
    CLEANUP(box_release) struct box box = box_make();
    CLEANUP(run_release)
    struct run done = run_sh("chmod 755 %s; chmod 600 %s/file", box.path, box.path);
    check_success(&done);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct tree_state tree = TREE_STATE_INIT;
        bool good = setgid(65534) == 0 && setuid(65534) == 0;
        good =
            good && tree_state_touch(&tree, box.fd, "/d/e/f", false, NULL) == 0 && !tree.unreadable;
        good =
            good && tree_state_touch(&tree, box.fd, "/file", false, NULL) == 0 && tree.unreadable;
        _exit(good ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* --- random work ---------------------------------------------------------------------- */

static const char *const names[] = {"a", "b", "c", "dd"};

static char *random_path(struct random *random)
{
    struct buf path = BUF_INIT;
    for (uint64_t depth = 1 + random_below(random, 3); depth > 0; depth--)
        buf_printf(&path, "/%s", names[random_below(random, 4)]);
    return path.data;
}

/* The engine's paths have no links as parents. */
static bool is_canonical(const struct box *box, const char *path)
{
    CLEANUP(io_free) char *parent = io_format("%s", path + 1);
    struct stat st;
    for (char *slash = parent; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = '\0';
        if (fstatat(box->fd, parent, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
            return false;
    }
    return true;
}

static void write_some(struct random *random, int fd, struct content_range *ret_range)
{
    static char bytes[200000];
    size_t len = (size_t)random_below(random, random_bit(random) ? sizeof bytes : 10);
    memset(bytes, (int)random_below(random, 256), len);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    if (!S_ISREG(st.st_mode))
        return;
    if (random_bit(random)) { /* an append: the size says it */
        *ret_range = (struct content_range){0, 0};
        assert_int_equal(pwrite(fd, bytes, len, st.st_size), len);
    } else {
        int64_t at = (int64_t)random_below(random, (uint64_t)st.st_size + 1000);
        *ret_range = (struct content_range){at, at + (int64_t)len};
        assert_int_equal(pwrite(fd, bytes, len, at), len);
    }
}

/* One call, that may well fail; says which bytes of path it may have changed. */
static void random_call(struct random *random, int root, const char *path, const char *other,
                        struct content_range *ret_range)
{
    static const int flags[] = {0, O_TRUNC, O_EXCL};
    const char *p = path + 1, *o = other + 1;
    CLEANUP(io_close) int fd = -1;
    CLEANUP(io_free) char *proc = io_format("/proc/self/fd/%d%s", root, path);
    int ret = 0, flag;
    *ret_range = (struct content_range){0, 0};
    switch (random_below(random, 15)) {
    case 0:
    case 1:
    case 2:
    case 3:
        flag = flags[random_below(random, 3)];
        fd = openat(root, p, O_CREAT | O_RDWR | O_NOFOLLOW | O_NONBLOCK | flag, 0644);
        if (fd >= 0)
            write_some(random, fd, ret_range);
        if (flag == O_TRUNC)
            *ret_range = TREE_STATE_WHOLE;
        break;
    case 4: ret = unlinkat(root, p, 0); break;
    case 5: ret = unlinkat(root, p, AT_REMOVEDIR); break;
    case 6:
    case 7: ret = mkdirat(root, p, 0755); break;
    case 8: ret = symlinkat(names[random_below(random, 4)], root, p); break;
    case 9: ret = linkat(root, o, root, p, 0); break;
    case 10: ret = fchmodat(root, p, random_bit(random) ? 0755 : 0700, AT_SYMLINK_NOFOLLOW); break;
    case 11: ret = mkfifoat(root, p, 0644); break;
    case 12: ret = lsetxattr(proc, random_bit(random) ? "user.a" : "user.b", "v", 1, 0); break;
    case 13: ret = renameat(root, o, root, p); break;
    case 14: ret = renameat2(root, o, root, p, RENAME_EXCHANGE); break;
    }
    (void)ret;
}

static void random_calls_leave_the_digest_that_the_trees_give(void **state)
{
    (void)state;
    uint64_t rounds;
    struct random random = random_start(&rounds);
    unsigned returned = 0, differed = 0;
    rounds = rounds / 1000 + 1;
    for (uint64_t i = 0; i < rounds; i++) {
        CLEANUP(box_release) struct box box = {dir_make(), -1};
        CLEANUP(tree_state_release)
        struct tree_state tree = TREE_STATE_INIT, whole = TREE_STATE_INIT;
        struct err err = {""};
        box.fd = open(box.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        struct content_range range;
        for (uint64_t before = random_below(&random, 20); before > 0; before--) {
            CLEANUP(io_free) char *path = random_path(&random), *other = random_path(&random);
            if (is_canonical(&box, path) && is_canonical(&box, other))
                random_call(&random, box.fd, path, other, &range);
        }
        /* One that knows the whole tree from the beginning, and one that learns as it goes. */
        assert_int_equal(tree_state_touch(&whole, box.fd, "/", true, &err), 0);
        for (int step = 0; step < 100; step++) {
            CLEANUP(io_free) char *path = random_path(&random), *other = random_path(&random);
            CLEANUP(io_free) char *untold = NULL;
            if (!is_canonical(&box, path) || !is_canonical(&box, other))
                continue;
            if (tree_state_touch(&tree, box.fd, path, true, &err) < 0 ||
                tree_state_touch(&tree, box.fd, other, true, &err) < 0)
                fail_msg("%s", err.msg);
            random_call(&random, box.fd, path, other, &range);
            if (tree_state_update(&tree, box.fd, path, true, range, &err) < 0 ||
                tree_state_update(&tree, box.fd, other, true, range, &err) < 0)
                fail_msg("%s", err.msg);
            struct digest digest = digest_of(&tree);
            if (tree_state_rehash(&tree, box.fd, &untold, &err) != 0)
                fail_msg("round %ju, step %d: %s", (uintmax_t)i, step, untold ? untold : err.msg);
            check_same(digest_of(&tree), digest.text);
        }
        /* Names of one file that were never touched are the one thing that it cannot know. */
        for (size_t a = 0; a < 4; a++) {
            CLEANUP(io_free) char *path = io_format("/%s", names[a]);
            assert_int_equal(tree_state_touch(&tree, box.fd, path, true, &err), 0);
        }
        assert_int_equal(tree_state_update(&whole, box.fd, "/", true, TREE_STATE_WHOLE, &err), 0);
        check_same(digest_of(&tree), digest_of(&whole).text);
        bool same = strcmp(digest_of(&tree).text, NOTHING) == 0;
        returned += same;
        differed += !same;
    }
    print_message("%u of %u trees changed\n", differed, differed + returned);
    assert_true(differed > 0);
}

static void a_growing_file_costs_what_is_new(void **state)
{
    (void)state;
    CLEANUP(box_release) struct box box = box_make();
    CLEANUP(tree_state_release) struct tree_state tree = TREE_STATE_INIT;
    CLEANUP(io_free) char *path = io_format("%s/file", box.path), *untold = NULL;
    CLEANUP(io_close) int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    char block[1500];
    memset(block, 'x', sizeof block);
    int64_t spent_ns = 0;
    for (int i = 0; i < 140; i++) {
        assert_int_equal(write(fd, block, sizeof block), sizeof block);
        int64_t start = io_now_ns();
        assert_int_equal(tree_state_touch(&tree, box.fd, "/file", false, NULL), 0);
        assert_int_equal(
            tree_state_update(&tree, box.fd, "/file", false, (struct content_range){0, 0}, NULL),
            0);
        spent_ns += io_now_ns() - start;
    }
    print_message("140 appends: %jd us\n", (intmax_t)spent_ns / 1000);
    assert_int_equal(tree_state_rehash(&tree, box.fd, &untold, NULL), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_counts_changes_the_digest_and_its_restoring_zeroes_it),
        cmocka_unit_test(owners_devices_and_attributes_count),
        cmocka_unit_test(the_way_to_a_tree_does_not_matter),
        cmocka_unit_test(names_of_one_file_change_together),
        cmocka_unit_test(a_change_that_nobody_told_is_found),
        cmocka_unit_test(what_may_not_be_read_is_said),
        cmocka_unit_test(random_calls_leave_the_digest_that_the_trees_give),
        cmocka_unit_test(a_growing_file_costs_what_is_new),
    };
    return cmocka_run_group_tests_name("tree_state", tests, NULL, NULL);
}
