#include "random.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fault/resolve.h"

#define TEN "0123456789"
#define FIFTY TEN TEN TEN TEN TEN
#define N255 FIFTY FIFTY FIFTY FIFTY FIFTY "12345"

/* --- a guest: a process with a root and with descriptors of its own ----------------------- */

/* One row makes a folder (ends with a slash), a link or an empty file. */
static const struct {
    const char *path, *target;
} tree[] = {
    {"etc/", NULL},
    {"etc/ssl/", NULL},
    {"etc/ssl/certs/", NULL},
    {"etc/ssl/certs/ca.pem", NULL},
    {"etc/certs", "ssl/certs"},
    {"etc/abs", "/etc/ssl"},
    {"etc/chain", "/etc/abs/certs/"},
    {"etc/up", "../etc/./certs/.."},
    {"etc/out", "../../../etc/ssl"},
    {"etc/file", "certs/ca.pem"},
    {"etc/loop", "loop"},
    {"etc/dangling", "/gone/new"},
    {"etc/new", "certs/new"},
    {"etc/odd (deleted)", NULL},
    {"etc/log", NULL},
    {"dev/", NULL},
    {"dev/fd", "/proc/self/fd"},
    {"dev/stdout", "/proc/self/fd/1"},
    {N255 "/", NULL},
    {N255 "/" N255, NULL},
    {"jail/", NULL},
    {"jail/etc/", NULL},
    {"jail/link", "/etc"},
    {"home/", NULL},
    {"proc/", NULL},
    {"tmp/", NULL},
};

/* What the guest's process has open. */
enum {
    FD_DIR = 40,
    FD_FILE,
    FD_DELETED,
    FD_LINKED,
    FD_ODD,
    FD_DELETED_DIR,
    FD_OUTSIDE,
    FD_PIPE,
    FD_MEMFD,
    FD_NAMELESS
};

static char *make_tree(void)
{
    CLEANUP(dir_remove) char *made = dir_make();
    char *folder = realpath(made, NULL);
    assert_non_null(folder);
    int dir_fd = open(folder, O_PATH | O_CLOEXEC);
    for (size_t i = 0; i < sizeof tree / sizeof *tree; i++) {
        const char *path = tree[i].path;
        int ret;
        if (tree[i].target)
            ret = symlinkat(tree[i].target, dir_fd, path);
        else if (path[strlen(path) - 1] == '/')
            ret = mkdirat(dir_fd, path, 0755);
        else
            ret = mknodat(dir_fd, path, S_IFREG | 0644, 0);
        assert_int_equal(ret, 0);
    }
    io_close(&dir_fd);
    io_free(&made);
    return folder;
}

static void put(int fd, int as)
{
    if (fd < 0 || dup2(fd, as) < 0)
        _exit(1);
    close(fd);
}

static void open_descriptors(void)
{
    int pipe_fds[2];
    put(open("/etc/abs", O_RDONLY), FD_DIR);
    put(open("/etc/file", O_RDWR), FD_FILE);
    put(open("/etc/log", O_WRONLY), 1);
    put(open("/etc/gone", O_RDWR | O_CREAT, 0600), FD_DELETED);
    put(open("/etc/first", O_RDWR | O_CREAT, 0600), FD_LINKED);
    put(open("/etc/odd (deleted)", O_RDWR), FD_ODD);
    put(mkdir("/etc/dir", 0755) < 0 ? -1 : open("/etc/dir", O_PATH), FD_DELETED_DIR);
    put(memfd_create("etc", 0), FD_MEMFD);
    put(open("/tmp", O_TMPFILE | O_RDWR, 0600), FD_NAMELESS);
    if (unlink("/etc/gone") < 0 || link("/etc/first", "/etc/second") < 0 ||
        unlink("/etc/first") < 0 || rmdir("/etc/dir") < 0 || pipe(pipe_fds) < 0)
        _exit(2);
    put(pipe_fds[1], FD_PIPE);
    if (chdir("/home") < 0)
        _exit(3);
}

static int pivot(const char *folder)
{
    return mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
           mount(folder, folder, "none", MS_BIND, NULL) < 0 || chdir(folder) < 0 ||
           mount("proc", "proc", "proc", 0, NULL) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
           umount2(".", MNT_DETACH) < 0 || chdir("/") < 0;
}

static int enter_chroot(const char *folder)
{
    return chroot(folder) < 0 || chdir("/") < 0;
}

struct guest {
    char *folder;
    pid_t pid;
    struct resolve_root root;
};

/* enter and then, which may be NULL, run in the guest; flags as for clone(2). */
static struct guest guest_start(unsigned long flags, int (*enter)(const char *folder),
                                const char *then)
{
    struct guest guest = {.folder = make_tree()};
    struct err err = {""};
    int ready[2];
    char byte;
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    guest.pid = (pid_t)syscall(SYS_clone, flags | SIGCHLD, 0L, 0L, 0L, 0L);
    assert_true(guest.pid >= 0);
    if (guest.pid == 0) {
        put(open("/tmp", O_PATH), FD_OUTSIDE);
        if (enter(guest.folder))
            _exit(4);
        open_descriptors();
        if (then && enter_chroot(then))
            _exit(5);
        if (write(ready[1], "", 1) == 1)
            pause();
        _exit(6);
    }
    io_close(&ready[1]);
    if (read(ready[0], &byte, 1) != 1) {
        int status;
        waitpid(guest.pid, &status, 0);
        fail_msg("the guest did not start: %#x", (unsigned)status);
    }
    io_close(&ready[0]);
    if (resolve_root_open(guest.pid, &guest.root, &err) < 0)
        fail_msg("%s", err.msg);
    return guest;
}

static void guest_stop(struct guest *guest)
{
    kill(guest->pid, SIGKILL);
    waitpid(guest->pid, NULL, 0);
    resolve_root_release(&guest->root);
    dir_remove(&guest->folder);
}

/* --- rows --------------------------------------------------------------------------------- */

enum { LACKS = 0, EXISTS = 1, FOREIGN = 2 };

static const struct row {
    const char *path;
    int dir_fd;
    bool follow;
    const char *expected;
    int flags;
} rows[] = {
    {"/", AT_FDCWD, true, "/", EXISTS},
    {"/etc/ssl/certs/ca.pem", AT_FDCWD, true, "/etc/ssl/certs/ca.pem", EXISTS},
    {"//etc/.//ssl/./certs/../certs/x", AT_FDCWD, false, "/etc/ssl/certs/x", LACKS},
    {"/../../etc", AT_FDCWD, false, "/etc", EXISTS},
    {"/etc/certs/x", AT_FDCWD, false, "/etc/ssl/certs/x", LACKS},
    {"/etc/certs", AT_FDCWD, false, "/etc/certs", EXISTS},
    {"/etc/certs", AT_FDCWD, true, "/etc/ssl/certs", EXISTS},
    {"/etc/certs/", AT_FDCWD, false, "/etc/ssl/certs", EXISTS},
    {"/etc/certs/.", AT_FDCWD, false, "/etc/ssl/certs", EXISTS},
    {"/etc/certs/..", AT_FDCWD, false, "/etc/ssl", EXISTS},
    {"/etc/abs/x", AT_FDCWD, false, "/etc/ssl/x", LACKS},
    {"/etc/chain/ca.pem", AT_FDCWD, false, "/etc/ssl/certs/ca.pem", EXISTS},
    {"/etc/chain", AT_FDCWD, true, "/etc/ssl/certs", EXISTS},
    {"/etc/up/x", AT_FDCWD, false, "/etc/ssl/x", LACKS},
    {"/etc/out/x", AT_FDCWD, false, "/etc/ssl/x", LACKS},
    {"/etc/file", AT_FDCWD, true, "/etc/ssl/certs/ca.pem", EXISTS},
    {"/etc/loop", AT_FDCWD, false, "/etc/loop", EXISTS},
    {"/etc/loop", AT_FDCWD, true, "/etc/loop", LACKS},
    {"/etc/loop/x", AT_FDCWD, false, "/etc/loop/x", LACKS},
    {"/etc/dangling", AT_FDCWD, false, "/etc/dangling", EXISTS},
    {"/etc/dangling", AT_FDCWD, true, "/gone/new", LACKS},
    {"/etc/new", AT_FDCWD, true, "/etc/ssl/certs/new", LACKS},
    {"/none/below/../x/", AT_FDCWD, false, "/none/x", LACKS},
    {"/none/../etc", AT_FDCWD, false, "/etc", LACKS},
    {"/etc/log/x", AT_FDCWD, false, "/etc/log/x", LACKS},
    {"/etc/odd (deleted)", AT_FDCWD, false, "/etc/odd (deleted)", EXISTS},
    {"/" N255 "/" N255, AT_FDCWD, false, "/" N255 "/" N255, EXISTS},
    {"/" N255 "/" N255 "6", AT_FDCWD, false, "/" N255 "/" N255 "6", LACKS},
    {"x", AT_FDCWD, false, "/home/x", LACKS},
    {".", AT_FDCWD, false, "/home", EXISTS},
    {"../etc/certs/x", AT_FDCWD, false, "/etc/ssl/certs/x", LACKS},
    {"../../../etc", AT_FDCWD, false, "/etc", EXISTS},
    {"certs/ca.pem", FD_DIR, false, "/etc/ssl/certs/ca.pem", EXISTS},
    {"../up", FD_DIR, true, "/etc/ssl", EXISTS},
    {"/etc", FD_PIPE, false, "/etc", EXISTS},
    {"x", FD_FILE, false, "/etc/ssl/certs/ca.pem/x", LACKS},
    {"x", FD_DELETED_DIR, false, "/etc/dir (deleted)/x", FOREIGN},
    {"../x", FD_DELETED_DIR, false, "/etc/x", LACKS},
    {"/dev/stdout", AT_FDCWD, false, "/dev/stdout", EXISTS},
    {"/dev/stdout", AT_FDCWD, true, "/etc/log", EXISTS},
    {"/dev/fd/41", AT_FDCWD, true, "/etc/ssl/certs/ca.pem", EXISTS},
    {"/dev/fd/40/certs/x", AT_FDCWD, false, "/etc/ssl/certs/x", LACKS},
    {"/proc/self/fd/41", AT_FDCWD, true, "/etc/ssl/certs/ca.pem", EXISTS},
    {"/proc/thread-self/fd/41", AT_FDCWD, true, "/etc/ssl/certs/ca.pem", EXISTS},
    {"/proc/self/fd/42", AT_FDCWD, true, "/etc/gone (deleted)", EXISTS | FOREIGN},
    {"/proc/self/cwd/x", AT_FDCWD, false, "/home/x", LACKS},
    {"/proc/self/root/etc/certs/x", AT_FDCWD, false, "/etc/ssl/certs/x", LACKS},
};

/* Descriptors by themselves; path NULL: any text. */
static const struct {
    int fd;
    const char *path;
    int flags;
} fd_rows[] = {
    {FD_DIR, "/etc/ssl", EXISTS},
    {FD_FILE, "/etc/ssl/certs/ca.pem", EXISTS},
    {1, "/etc/log", EXISTS},
    {FD_DELETED, "/etc/gone (deleted)", EXISTS | FOREIGN},
    {FD_LINKED, "/etc/first", EXISTS},
    {FD_ODD, "/etc/odd (deleted)", EXISTS},
    {FD_DELETED_DIR, "/etc/dir (deleted)", EXISTS | FOREIGN},
    {FD_PIPE, NULL, EXISTS | FOREIGN},
    {FD_MEMFD, "/memfd:etc (deleted)", EXISTS | FOREIGN},
    {FD_NAMELESS, NULL, EXISTS | FOREIGN},
};

static void check(const char *where, const char *what, const struct resolved *found,
                  const char *prefix, const char *expected, int flags)
{
    CLEANUP(io_free) char *path = io_format("%s%s", prefix, expected ? expected : "");
    const char *text = buf_str(&found->path);
    if (*prefix && expected && strcmp(expected, "/") == 0)
        path[strlen(path) - 1] = '\0';
    if ((expected && strcmp(text, path) != 0) || found->exists != ((flags & EXISTS) != 0) ||
        found->in_tree != !(flags & FOREIGN) || (found->exists && found->stat.st_ino == 0))
        fail_msg("%s: %s: %s, exists %d, in the tree %d; expected %s, %d, %d", where, what, text,
                 found->exists, found->in_tree, path, flags & EXISTS, !(flags & FOREIGN));
}

/* prefix: before the paths that are expected, when root is more than the guest's. */
static void check_rows(const char *where, const struct resolve_root *root, pid_t pid,
                       const char *prefix)
{
    CLEANUP(resolved_release) struct resolved found = RESOLVED_INIT;
    struct err err = {""};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *row = &rows[i];
        if (resolve_path(root, pid, row->dir_fd, row->path, row->follow, &found, &err) < 0)
            fail_msg("%s: %s", where, err.msg);
        check(where, row->path, &found, prefix, row->expected, row->flags);
    }
    for (size_t i = 0; i < sizeof fd_rows / sizeof *fd_rows; i++) {
        CLEANUP(io_free) char *what = io_format("descriptor %d", fd_rows[i].fd);
        if (resolve_fd(root, pid, fd_rows[i].fd, &found, &err) < 0)
            fail_msg("%s: %s", where, err.msg);
        bool is_memfd = fd_rows[i].fd == FD_MEMFD;
        check(where, what, &found, is_memfd ? "" : prefix, fd_rows[i].path, fd_rows[i].flags);
    }
}

static void expect_path(const struct guest *guest, const char *path, bool follow,
                        const char *expected, int flags)
{
    CLEANUP(resolved_release) struct resolved found = RESOLVED_INIT;
    assert_int_equal(resolve_path(&guest->root, guest->pid, AT_FDCWD, path, follow, &found, NULL),
                     0);
    check("guest", path, &found, "", expected, flags);
}

/* --- tests -------------------------------------------------------------------------------- */

static void chrooted_process_is_seen_from_its_root_and_from_ours(void **state)
{
    (void)state;
    need_root();
    CLEANUP(guest_stop) struct guest guest = guest_start(0, enter_chroot, NULL);
    struct resolve_root ours;
    assert_int_equal(resolve_root_open(getpid(), &ours, NULL), 0);
    check_rows("chroot", &guest.root, guest.pid, "");
    check_rows("chroot from outside", &ours, guest.pid, guest.folder);
    resolve_root_release(&ours);
}

static void process_of_another_mount_namespace_is_seen_from_its_root(void **state)
{
    (void)state;
    need_root();
    CLEANUP(guest_stop)
    struct guest guest = guest_start(CLONE_NEWNS | CLONE_NEWPID, pivot, NULL);
    check_rows("pivot_root", &guest.root, guest.pid, "");
    expect_path(&guest, "/proc/self/status", false, "/proc/self/status", LACKS | FOREIGN);
    expect_path(&guest, "/proc/1/fd/41", true, "/etc/ssl/certs/ca.pem", EXISTS);
    expect_path(&guest, "/proc/sys/kernel/x", false, "/proc/sys/kernel/x", FOREIGN);
    expect_path(&guest, "/proc/mounts", true, "/proc/self/mounts", FOREIGN);
    expect_path(&guest, "/proc", false, "/proc", EXISTS | FOREIGN);
}

static void process_with_an_inner_root_stays_in_it(void **state)
{
    (void)state;
    need_root();
    CLEANUP(guest_stop) struct guest guest = guest_start(0, enter_chroot, "/jail");
    /* The guest's root is the outer one. */
    struct stat st;
    assert_int_equal(stat(guest.folder, &st), 0);
    resolve_root_release(&guest.root);
    guest.root = (struct resolve_root){.dev = st.st_dev, .ino = st.st_ino};
    guest.root.fd = open(guest.folder, O_PATH | O_CLOEXEC);
    strcpy(guest.root.prefix, guest.folder);
    expect_path(&guest, "/etc/x", false, "/jail/etc/x", LACKS);
    expect_path(&guest, "/../../etc", false, "/jail/etc", EXISTS);
    expect_path(&guest, "/link", true, "/jail/etc", EXISTS);
    expect_path(&guest, "../../x", false, "/jail/x", LACKS);
}

static void what_lies_outside_is_not_in_the_tree(void **state)
{
    (void)state;
    need_root();
    for (int i = 0; i < 2; i++) {
        CLEANUP(guest_stop)
        struct guest guest =
            i == 0 ? guest_start(0, enter_chroot, NULL) : guest_start(CLONE_NEWNS, pivot, NULL);
        CLEANUP(resolved_release) struct resolved found = RESOLVED_INIT;
        assert_int_equal(resolve_path(&guest.root, guest.pid, FD_OUTSIDE, "x", false, &found, NULL),
                         0);
        assert_false(found.in_tree);
        assert_false(found.exists);
        assert_int_equal(resolve_fd(&guest.root, guest.pid, FD_OUTSIDE, &found, NULL), 0);
        assert_false(found.in_tree);
    }
}

static void removed_working_folder_is_none(void **state)
{
    (void)state;
    need_root();
    CLEANUP(guest_stop) struct guest guest = guest_start(0, enter_chroot, NULL);
    CLEANUP(io_free) char *home = io_format("%s/home", guest.folder);
    assert_int_equal(rmdir(home), 0);
    expect_path(&guest, "x", false, "/home (deleted)/x", FOREIGN);
    expect_path(&guest, "../x", false, "/x", LACKS);
    expect_path(&guest, "../home/x", false, "/home/x", LACKS);
    expect_path(&guest, "/home", false, "/home", LACKS);
}

static void refusals_name_the_error_and_leave_the_result(void **state)
{
    (void)state;
    CLEANUP(resolve_root_release) struct resolve_root root;
    CLEANUP(resolved_release) struct resolved found = RESOLVED_INIT;
    CLEANUP(buf_release) struct buf deep = BUF_INIT;
    struct err err = {""};
    pid_t pid = getpid();
    assert_int_equal(resolve_root_open(pid, &root, &err), 0);
    for (int i = 0; i < 500; i++)
        buf_add(&deep, "/" TEN);
    assert_int_equal(resolve_path(&root, pid, AT_FDCWD, "", true, &found, &err), -ENOENT);
    assert_int_equal(resolve_path(&root, pid, 999, "x", true, &found, &err), -EBADF);
    assert_int_equal(resolve_fd(&root, pid, 999, &found, &err), -EBADF);
    assert_int_equal(resolve_path(&root, pid, AT_FDCWD, deep.data, true, &found, &err),
                     -ENAMETOOLONG);
    assert_int_equal(resolve_path(&root, 1 << 22, AT_FDCWD, "x", true, &found, &err), -ESRCH);
    assert_string_equal(buf_str(&found.path), "");
}

/* A path made of all that the tree has; returns whether to follow. */
static bool make_path(struct random *random, const char *folder, struct buf *path)
{
    static const char *const words[] = {"etc", "ssl",  "certs",    "abs",    "up",   "..",
                                        ".",   "file", "dangling", "ca.pem", "loop", "chain",
                                        "out", "new",  "proc",     "self",   "fd",   "cwd",
                                        "dev", "home", "bin",      "0",      "",     "log"};
    bool follow = random_bit(random);
    buf_clear(path);
    buf_add(path, random_bit(random) ? "." : random_bit(random) ? "" : folder);
    for (uint64_t n = 1 + random_below(random, 5); n > 0; n--) {
        buf_add(path, "/");
        buf_add(path, words[random_below(random, sizeof words / sizeof *words)]);
    }
    return follow;
}

/* What the kernel opens is what we name. */
static void kernel_agrees(void **state)
{
    (void)state;
    uint64_t rounds;
    struct random random = random_start(&rounds);
    struct resolve_root root;
    CLEANUP(dir_remove) char *folder = make_tree();
    CLEANUP(resolved_release) struct resolved found = RESOLVED_INIT;
    CLEANUP(buf_release) struct buf path = BUF_INIT;
    CLEANUP(io_close) int old_cwd = open(".", O_PATH | O_CLOEXEC);
    size_t opened = 0;
    assert_int_equal(resolve_root_open(getpid(), &root, NULL), 0);
    assert_int_equal(chdir(folder), 0);
    for (uint64_t i = 0; i < rounds; i++) {
        bool follow = make_path(&random, folder, &path);
        int fd = open(path.data, O_PATH | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW));
        int errnum = errno;
        struct err err = {""};
        if (resolve_path(&root, getpid(), AT_FDCWD, path.data, follow, &found, &err) < 0)
            fail_msg("%s", err.msg);
        if (fd < 0) {
            if (found.exists && errnum != ENOTDIR)
                fail_msg("%s: %s is not there", path.data, buf_str(&found.path));
            continue;
        }
        char link[64], text[PATH_MAX];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t len = readlink(link, text, sizeof text - 1);
        assert_true(len > 0);
        text[len] = '\0';
        close(fd);
        opened++;
        /* What is left under /proc is a matter of who looks. */
        if (strncmp(text, "/proc", 5) != 0 &&
            (strcmp(text, buf_str(&found.path)) != 0 || (text[0] == '/' && !found.exists)))
            fail_msg("%s, follow %d: %s, exists %d; the kernel says %s", path.data, follow,
                     buf_str(&found.path), found.exists, text);
    }
    print_message("%zu of %ju could be opened\n", opened, (uintmax_t)rounds);
    assert_true(opened > 0);
    assert_int_equal(fchdir(old_cwd), 0);
    resolve_root_release(&root);
}

/* A line for each answer about the guest. */
static void answer_all(struct random random, uint64_t rounds, const struct guest *guest,
                       struct buf *answers)
{
    CLEANUP(resolved_release) struct resolved found = RESOLVED_INIT;
    CLEANUP(buf_release) struct buf path = BUF_INIT;
    for (uint64_t i = 0; i < rounds; i++) {
        bool follow = make_path(&random, guest->folder, &path);
        int ret = resolve_path(&guest->root, guest->pid, AT_FDCWD, path.data, follow, &found, NULL);
        buf_printf(answers, "%s, follow %d: %d %s %d %d %ju\n", path.data, follow, ret,
                   buf_str(&found.path), found.exists, found.in_tree,
                   (uintmax_t)(found.in_tree ? found.stat.st_ino : 0));
    }
}

static bool forbid_openat2(void)
{
    scmp_filter_ctx context = seccomp_init(SCMP_ACT_ALLOW);
    bool ok = context &&
              seccomp_rule_add(context, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(openat2), 0) == 0 &&
              seccomp_load(context) == 0 && syscall(SYS_openat2, AT_FDCWD, "/", NULL, 0) < 0 &&
              errno == ENOSYS;
    seccomp_release(context);
    return ok;
}

/* In a process that the kernel has no openat2(2) for. */
static void answer_all_without(struct random random, uint64_t rounds, const struct guest *guest,
                               struct buf *answers)
{
    int status;
    CLEANUP(io_close) int fd = memfd_create("answers", MFD_CLOEXEC);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (!forbid_openat2())
            _exit(1);
        answer_all(random, rounds, guest, answers);
        _exit(io_write_all(fd, answers->data, answers->len) < 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(io_read_all(fd, answers, 1 << 30), 0);
}

/* Also about what is not there, links of /proc, and in a root of the process's own. */
static void walk_agrees_where_openat2_is_missing(void **state)
{
    (void)state;
    uint64_t rounds;
    need_root();
    struct random random = random_start(&rounds);
    static const struct {
        unsigned long flags;
        int (*enter)(const char *folder);
        const char *then;
    } guests[] = {{0, enter_chroot, NULL}, {CLONE_NEWNS, pivot, NULL}, {0, enter_chroot, "/etc"}};
    for (size_t i = 0; i < sizeof guests / sizeof *guests; i++) {
        CLEANUP(guest_stop)
        struct guest guest = guest_start(guests[i].flags, guests[i].enter, guests[i].then);
        CLEANUP(buf_release) struct buf at_once = BUF_INIT;
        CLEANUP(buf_release) struct buf walked = BUF_INIT;
        answer_all(random, rounds / 3, &guest, &at_once);
        answer_all_without(random, rounds / 3, &guest, &walked);
        const char *a = buf_str(&at_once), *b = buf_str(&walked);
        size_t len;
        while (len = strcspn(a, "\n"), *a && strncmp(a, b, len + 1) == 0) {
            a += len + 1;
            b += len + 1;
        }
        if (*a || *b || at_once.len == 0)
            fail_msg("guest %zu: %.*s\nwalked: %.*s", i, (int)len, a, (int)strcspn(b, "\n"), b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chrooted_process_is_seen_from_its_root_and_from_ours),
        cmocka_unit_test(process_of_another_mount_namespace_is_seen_from_its_root),
        cmocka_unit_test(process_with_an_inner_root_stays_in_it),
        cmocka_unit_test(what_lies_outside_is_not_in_the_tree),
        cmocka_unit_test(removed_working_folder_is_none),
        cmocka_unit_test(refusals_name_the_error_and_leave_the_result),
        cmocka_unit_test(kernel_agrees),
        cmocka_unit_test(walk_agrees_where_openat2_is_missing),
    };
    return cmocka_run_group_tests_name("resolve", tests, NULL, NULL);
}
