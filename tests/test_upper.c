/*
 * Copies of a machine's upper folder: what is put back is what was there, to the last
 * attribute.
 */
#include "support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "../fakes/upper.h"

/* In the future, so that reading does not change it (relatime), and in the past. */
static const struct timespec times[2] = {{2208988800, 123456789}, {978307200, 987654321}};

static void must(int ret, const char *what)
{
    if (ret < 0)
        fail_msg("%s: %s", what, strerror(errno));
}

static void write_file(int dir_fd, const char *path, const char *text)
{
    CLEANUP(io_close) int fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    must(fd, path);
    must(io_write_all(fd, text, strlen(text)), path);
}

static void add_attribute(int dir_fd, const char *path, const char *name, const void *value,
                          size_t len)
{
    CLEANUP(io_free) char *full = io_format("/proc/self/fd/%d/%s", dir_fd, path);
    must(lsetxattr(full, name, value, len, 0), name);
}

/* --- what is put in the upper folder ------------------------------------------------- */

static void make_files(int fd)
{
    write_file(fd, "plain", "text");
    write_file(fd, "empty", "");
    write_file(fd, "odd \n name\xff", "x");
    must(fchmodat(fd, "plain", 0640, 0), "chmod");
    must(fchownat(fd, "empty", 1234, 4321, 0), "chown");
}

static void make_sparse(int fd)
{
    CLEANUP(io_close) int file = openat(fd, "sparse", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    must(ftruncate(file, 5 << 20), "truncate");
    must((int)pwrite(file, "middle", 6, 3 << 20), "write");
}

static void make_set_ids(int fd)
{
    write_file(fd, "setuid", "x");
    must(fchownat(fd, "setuid", 5, 6, 0), "chown");
    must(fchmodat(fd, "setuid", 06755, 0), "chmod");
    must(mkdirat(fd, "sticky", 0700), "mkdir");
    must(fchmodat(fd, "sticky", 03777, 0), "chmod");
    must(mkdirat(fd, "closed", 0), "mkdir");
}

static void make_capability(int fd)
{
    static const uint32_t net_raw[] = {0x02000001, 1u << 13, 0, 0, 0}; /* linux/capability.h */
    write_file(fd, "ping", "x");
    must(fchownat(fd, "ping", 7, 8, 0), "chown");
    add_attribute(fd, "ping", "security.capability", net_raw, sizeof net_raw);
}

static void make_attributes(int fd)
{
    char large[3500];
    memset(large, 'v', sizeof large);
    write_file(fd, "file", "x");
    add_attribute(fd, "file", "trusted.large", large, sizeof large);
    write_file(fd, "none", "x");
    add_attribute(fd, "none", "trusted.empty", "", 0);
    must(symlinkat("x", fd, "link"), "symlink");
    add_attribute(fd, "link", "trusted.link", "l", 1);
}

static void make_whiteout(int fd)
{
    must(mknodat(fd, "gone", S_IFCHR, makedev(0, 0)), "mknod");
    must(linkat(fd, "gone", fd, "gone too", 0), "link");
}

static void make_opaque(int fd)
{
    must(mkdirat(fd, "opaque", 0755), "mkdir");
    add_attribute(fd, "opaque", "trusted.overlay.opaque", "y", 1);
    write_file(fd, "opaque/new", "x");
}

static void make_hard_links(int fd)
{
    must(mkdirat(fd, "a", 0755), "mkdir");
    must(mkdirat(fd, "b", 0755), "mkdir");
    write_file(fd, "a/one", "same");
    must(linkat(fd, "a/one", fd, "b/two", 0), "link");
    must(linkat(fd, "a/one", fd, "three", 0), "link");
    must(symlinkat("t", fd, "a/s"), "symlink");
    must(linkat(fd, "a/s", fd, "b/s", 0), "link");
    write_file(fd, "other", "same");
}

static void make_links(int fd)
{
    char target[4095];
    memset(target, 't', sizeof target);
    target[sizeof target - 1] = '\0';
    must(symlinkat("../dangling", fd, "link"), "symlink");
    must(symlinkat(target, fd, "long"), "symlink");
    must(fchownat(fd, "link", 9, 10, AT_SYMLINK_NOFOLLOW), "chown");
}

static void make_special(int fd)
{
    must(mknodat(fd, "fifo", S_IFIFO | 0622, 0), "mkfifo");
    must(mknodat(fd, "socket", S_IFSOCK | 0755, 0), "mksock");
    must(mknodat(fd, "block", S_IFBLK | 0660, makedev(7, 300)), "mknod");
    must(fchmodat(fd, "fifo", 0622, 0), "chmod");
}

static void make_nothing(int fd)
{
    must(fchmod(fd, 0751), "chmod");
}

static const struct {
    const char *name;
    void (*make)(int upper_fd);
} rows[] = {
    {"files", make_files},
    {"sparse files", make_sparse},
    {"modes beyond permissions", make_set_ids},
    {"a file's capabilities", make_capability},
    {"attributes", make_attributes},
    {"whiteouts", make_whiteout},
    {"opaque folders", make_opaque},
    {"hard links", make_hard_links},
    {"symbolic links", make_links},
    {"fifos, sockets, devices", make_special},
    {"nothing", make_nothing},
};

/* --- what is there, as text ---------------------------------------------------------- */

static void describe_content(int dir_fd, const char *name, struct buf *text)
{
    char chunk[4096];
    uint64_t sum = 0;
    CLEANUP(io_close) int fd = openat(dir_fd, name, O_RDONLY | O_NOATIME | O_CLOEXEC);
    must(fd, name);
    for (ssize_t n; (n = read(fd, chunk, sizeof chunk)) > 0;)
        for (ssize_t i = 0; i < n; i++)
            sum = sum * 1099511628211u + (unsigned char)chunk[i] + 1;
    buf_printf(text, " %llx", (unsigned long long)sum);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void describe_attributes(int dir_fd, const char *name, struct buf *text)
{
    CLEANUP(io_free) char *path = io_format("/proc/self/fd/%d/%s", dir_fd, name);
    char names[4096], value[4096];
    const char *sorted[32];
    size_t count = 0;
    ssize_t len = llistxattr(path, names, sizeof names);
    must((int)len, "llistxattr");
    for (const char *at = names; at < names + len && count < 32; at += strlen(at) + 1)
        sorted[count++] = at;
    qsort(sorted, count, sizeof *sorted, compare_names);
    for (size_t i = 0; i < count; i++) {
        ssize_t n = lgetxattr(path, sorted[i], value, sizeof value);
        must((int)n, sorted[i]);
        buf_printf(text, " %s=", sorted[i]);
        for (ssize_t j = 0; j < n; j++)
            buf_printf(text, "%02x", (unsigned char)value[j]);
    }
}

static int is_visible(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

/* One line an entry; the names of one inode show its first name. */
static void describe(int dir_fd, const char *name, const char *path, ino_t firsts[64],
                     struct buf *text)
{
    struct stat st;
    char target[4096] = "";
    must(fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW), path);
    int first = 0;
    while (first < 63 && firsts[first] && firsts[first] != st.st_ino)
        first++;
    firsts[first] = st.st_ino;
    if (S_ISLNK(st.st_mode))
        must((int)readlinkat(dir_fd, name, target, sizeof target - 1), path);
    buf_printf(text, "%s %o %u:%u %x #%d/%u %lld.%09ld %lld.%09ld %s", path, st.st_mode, st.st_uid,
               st.st_gid, (unsigned)st.st_rdev, first,
               S_ISDIR(st.st_mode) ? 0 : (unsigned)st.st_nlink, (long long)st.st_atim.tv_sec,
               st.st_atim.tv_nsec, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, target);
    if (S_ISREG(st.st_mode)) {
        buf_printf(text, " %lld", (long long)st.st_size);
        describe_content(dir_fd, name, text);
    }
    describe_attributes(dir_fd, name, text);
    buf_add(text, "\n");
    if (!S_ISDIR(st.st_mode))
        return;
    CLEANUP(io_close) int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct dirent **list;
    int count = scandirat(fd, ".", &list, is_visible, alphasort);
    must(count, path);
    for (int i = 0; i < count; i++) {
        CLEANUP(io_free) char *below = io_format("%s/%s", path, list[i]->d_name);
        describe(fd, list[i]->d_name, below, firsts, text);
        free(list[i]);
    }
    free(list);
}

static void set_times(int dir_fd, const char *name)
{
    CLEANUP(io_close)
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct dirent **list;
    int count = fd < 0 ? 0 : scandirat(fd, ".", &list, is_visible, alphasort);
    for (int i = 0; i < count; i++) {
        set_times(fd, list[i]->d_name);
        free(list[i]);
    }
    if (fd >= 0)
        free(list);
    must(utimensat(dir_fd, name, times, AT_SYMLINK_NOFOLLOW), name);
}

/* --- tests ----------------------------------------------------------------------------- */

static int open_folder(int dir_fd, const char *name)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(fd, name);
    return fd;
}

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

static void describe_upper(int machine_fd, struct buf *text)
{
    ino_t firsts[64] = {0};
    describe(machine_fd, "upper", "upper", firsts, text);
}

/* Saves, spoils what is there, and puts it back. */
static void check_kept(const char *name, int machine_fd)
{
    CLEANUP(buf_release) struct buf before = BUF_INIT;
    CLEANUP(buf_release) struct buf after = BUF_INIT;
    struct err err;
    describe_upper(machine_fd, &before);
    if (upper_save(machine_fd, &err) < 0)
        fail_msg("%s: save: %s", name, err.msg);
    write_file(machine_fd, "upper/written since", "x");
    unlinkat(machine_fd, "upper/plain", 0);
    if (upper_restore(machine_fd, &err) < 0)
        fail_msg("%s: restore: %s", name, err.msg);
    describe_upper(machine_fd, &after);
    if (strcmp(buf_str(&before), buf_str(&after)) != 0)
        fail_msg("%s\n--- before\n%s--- after\n%s", name, buf_str(&before), buf_str(&after));
}

static void what_was_saved_is_put_back(void **state)
{
    need_root();
    CLEANUP(io_close) int fd = open_folder(AT_FDCWD, *state);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        must(mkdirat(fd, "upper", 0755), "mkdir");
        CLEANUP(io_close) int upper_fd = open_folder(fd, "upper");
        rows[i].make(upper_fd);
        set_times(fd, "upper");
        check_kept(rows[i].name, fd);
        assert_int_equal(faccessat(fd, "synced", F_OK, 0), -1);
        assert_int_equal(io_remove_tree(fd, "upper", NULL), 0);
    }
}

static void the_last_save_counts(void **state)
{
    need_root();
    CLEANUP(io_close) int fd = open_folder(AT_FDCWD, *state);
    must(mkdirat(fd, "upper", 0755), "mkdir");
    write_file(fd, "upper/first", "1");
    assert_int_equal(upper_save(fd, NULL), 0);
    write_file(fd, "upper/second", "2");
    must(unlinkat(fd, "upper/first", 0), "unlink");
    assert_int_equal(upper_save(fd, NULL), 0);
    must(unlinkat(fd, "upper/second", 0), "unlink");
    assert_int_equal(upper_restore(fd, NULL), 0);
    assert_int_equal(faccessat(fd, "upper/second", F_OK, 0), 0);
    assert_int_equal(faccessat(fd, "upper/first", F_OK, 0), -1);
}

static void what_an_interrupted_save_left_is_no_save(void **state)
{
    need_root();
    CLEANUP(io_close) int fd = open_folder(AT_FDCWD, *state);
    must(mkdirat(fd, "upper", 0755), "mkdir");
    must(mkdirat(fd, "synced.new", 0755), "mkdir");
    must(mkdirat(fd, "synced.new/upper", 0755), "mkdir");
    write_file(fd, "synced.new/upper/half", "x");
    assert_int_equal(upper_restore(fd, NULL), -ENOENT);
    assert_int_equal(upper_save(fd, NULL), 0);
    assert_int_equal(upper_restore(fd, NULL), 0);
    assert_int_equal(faccessat(fd, "upper/half", F_OK, 0), -1);
}

static void nothing_saved_leaves_the_upper_alone(void **state)
{
    need_root();
    CLEANUP(io_close) int fd = open_folder(AT_FDCWD, *state);
    must(mkdirat(fd, "upper", 0755), "mkdir");
    write_file(fd, "upper/kept", "x");
    assert_int_equal(upper_restore(fd, NULL), -ENOENT);
    assert_int_equal(faccessat(fd, "upper/kept", F_OK, 0), 0);
}

/* Under the usual limit of descriptors. */
static void deep_trees_are_kept(void **state)
{
    need_root();
    const int depth = 400;
    struct rlimit limit = {1024, 1024}, old;
    CLEANUP(io_close) int fd = open_folder(AT_FDCWD, *state);
    must(getrlimit(RLIMIT_NOFILE, &old), "getrlimit");
    limit.rlim_max = old.rlim_max;
    must(mkdirat(fd, "upper", 0755), "mkdir");
    int at = open_folder(fd, "upper");
    for (int i = 0; i < depth; i++) {
        must(mkdirat(at, "d", 0755), "mkdir");
        int below = open_folder(at, "d");
        close(at);
        at = below;
    }
    write_file(at, "bottom", "text");
    close(at);
    must(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
    struct err err = {""};
    int ret = upper_save(fd, &err);
    if (ret == 0)
        ret = upper_restore(fd, &err);
    at = open_folder(fd, "upper");
    for (int i = 0; i < depth; i++) {
        int below = open_folder(at, "d");
        close(at);
        at = below;
    }
    bool kept = faccessat(at, "bottom", F_OK, 0) == 0;
    close(at);
    int removed = io_remove_tree(fd, "upper", &err);
    setrlimit(RLIMIT_NOFILE, &old);
    if (ret < 0 || removed < 0 || !kept)
        fail_msg("%d, %d: %s", ret, removed, err.msg);
}

/* A copy's copy has the same sum, in whatever order a folder of many links is read; a change has
 * another. On tmpfs, which lists the last name first. */
static void equal_folders_have_equal_sums(void **state)
{
    (void)state;
    char sums[4][UPPER_SUM_LEN + 1];
    char path[] = "/dev/shm/killpoint-test-XXXXXX";
    if (!mkdtemp(path))
        skip();
    CLEANUP(io_close) int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(mkdirat(dir, "0", 0755), "mkdir");
    must(mkdirat(dir, "0/upper", 0755), "mkdir");
    CLEANUP(io_close) int upper = openat(dir, "0/upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    make_files(upper);
    make_hard_links(upper);
    for (int i = 0; i < 40; i++) {
        CLEANUP(io_free) char *name = io_format("%d-plain", i * 37 % 40);
        must(linkat(upper, "plain", upper, name, 0), name);
    }
    for (int i = 0; i < 4; i++) {
        CLEANUP(io_free) char *from = io_format("%d", i);
        CLEANUP(io_free) char *to = io_format("%d", i + 1);
        must(mkdirat(dir, to, 0755), "mkdir");
        CLEANUP(io_close) int from_fd = openat(dir, from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CLEANUP(io_close) int to_fd = openat(dir, to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct err err;
        if (i == 3) /* one bit of the owner */
            must(fchownat(from_fd, "upper/empty", 1235, 4321, 0), "chown");
        if (upper_copy(from_fd, to_fd, sums[i], &err) < 0)
            fail_msg("%s", err.msg);
    }
    io_remove_tree(AT_FDCWD, path, NULL);
    assert_string_equal(sums[0], sums[1]);
    assert_string_equal(sums[0], sums[2]);
    assert_string_not_equal(sums[0], sums[3]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_saved_is_put_back),
        TEST(the_last_save_counts),
        TEST(what_an_interrupted_save_left_is_no_save),
        TEST(nothing_saved_leaves_the_upper_alone),
        TEST(deep_trees_are_kept),
        TEST(equal_folders_have_equal_sums),
    };
    return cmocka_run_group_tests_name("upper", tests, NULL, NULL);
}
