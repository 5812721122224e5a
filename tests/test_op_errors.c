/*
 * Every errno of the table that this kernel can be made to give, is given: calls are made with
 * all combinations of the arguments below, as root and as nobody, and with few resources. What
 * nothing here provokes must stand in the table as cited. A cited errno that another kernel gives
 * is printed, and is no mistake: the table was taken on one kernel.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

#include "../fault/io.h"
#include "../fault/op.h"
#include "support.h"

#define NOBODY 65534
#define MAX_ARGS 7
#define MAX_VALUES 40

/* --- a small world ------------------------------------------------------------ */

static char long_name[300];
static unsigned worlds;
static long descriptors[] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};

static void put(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
    if (fd < 0 || write(fd, text, strlen(text)) < 0 || fchmod(fd, mode) < 0 || close(fd) < 0)
        fail_msg("%s: %s", path, strerror(errno));
}

static void make_folder(const char *path, mode_t mode)
{
    assert_int_equal(mkdir(path, mode), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void mount_small(const char *path, const char *options)
{
    make_folder(path, 0755);
    if (mount("killpoint-test", path, "tmpfs", 0, options) < 0)
        fail_msg("mount %s: %s", path, strerror(errno));
}

/* What stays: file systems that are full, read-only and another one, beside the worlds. */
static void build_mounts(void)
{
    mount_small("other", "mode=0777");
    make_folder("other/dir", 0777);
    mount_small("full", "mode=0777,size=4k");
    put("full/file", "text", 0666);
    mount_small("no-names", "mode=0777,nr_inodes=2");
    put("no-names/file", "text", 0666);
    mount_small("read-only", "mode=0777");
    put("read-only/file", "text", 0666);
    make_folder("read-only/dir", 0777);
    assert_int_equal(symlink("file", "read-only/link"), 0);
    if (mount(NULL, "read-only", NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0)
        fail_msg("remount: %s", strerror(errno));
    struct run done = run_sh("cp /bin/sleep other/kept");
    check_success(&done);
    run_release(&done);
    memset(long_name, 'n', sizeof long_name - 1);
}

static void repair_mounts(void)
{
    put("../full/file", "text", 0666);
    static const char *const names[] = {"../other/new", "../other/sleep", "../other/dir",
                                        "../no-names/new"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (unlink(names[i]) < 0 && errno != ENOENT)
            assert_int_equal(rmdir(names[i]), 0);
    }
    put("../no-names/file", "text", 0666);
    make_folder("../other/dir", 0777);
    assert_int_equal(link("../other/kept", "../other/sleep"), 0);
    assert_int_equal(chmod("../other/kept", 0755), 0);
    assert_int_equal(chmod("../full", 0777), 0);
    assert_int_equal(chmod("../full/file", 0666), 0);
}

/* What calls change, built anew after each call that succeeded. */
static void build_world(void)
{
    for (size_t i = 0; i < sizeof descriptors / sizeof *descriptors; i++) {
        if (descriptors[i] >= 0)
            close((int)descriptors[i]);
    }
    if (worlds)
        assert_int_equal(chdir(".."), 0);
    char name[32];
    snprintf(name, sizeof name, "w%u", worlds++);
    make_folder(name, 0777);
    assert_int_equal(chdir(name), 0);
    repair_mounts();
    put("file", "text", 0666);
    put("theirs", "text", 0644);
    assert_int_equal(setxattr("file", "trusted.k", "v", 1, 0), 0);
    make_folder("dir", 0777);
    make_folder("filled", 0777);
    put("filled/file", "", 0644);
    assert_int_equal(symlink("loop", "loop"), 0);
    assert_int_equal(symlink("file", "link"), 0);
    assert_int_equal(mkfifo("fifo", 0666), 0);
    assert_int_equal(mknod("device", S_IFCHR | 0666, makedev(240, 99)), 0);
    assert_int_equal(chmod("device", 0666), 0);
    make_folder("sticky", 01777);
    put("sticky/theirs", "", 0644);
    make_folder("sticky/dir", 0755);
    make_folder("closed", 0700);
    put("closed/file", "", 0600);
    static const struct {
        const char *path;
        int flags;
    } opened[] = {
        {"file", O_RDONLY},
        {"file", O_RDWR},
        {"file", O_WRONLY | O_APPEND},
        {"dir", O_RDONLY},
        {"file", O_PATH},
        {"fifo", O_RDWR | O_NONBLOCK},
        {"../read-only/file", O_RDONLY},
        {"../full/file", O_RDWR},
        {"../other/sleep", O_RDONLY},
    };
    size_t n = sizeof opened / sizeof *opened;
    for (size_t i = 0; i < n; i++) {
        descriptors[i] = open(opened[i].path, opened[i].flags | O_CLOEXEC);
        assert_true(descriptors[i] >= 0);
    }
    descriptors[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    descriptors[n + 1] = 9999; /* never open */
}

/* --- calls ----------------------------------------------------------------------- */

static const char *const paths[] = {"file",
                                    "theirs",
                                    "dir",
                                    "dir/.",
                                    "dir/..",
                                    "filled",
                                    "loop",
                                    "loop/x",
                                    "link",
                                    "fifo",
                                    "device",
                                    "sticky/theirs",
                                    "sticky/dir",
                                    "closed/file",
                                    "closed/new",
                                    "missing",
                                    "missing/x",
                                    "file/x",
                                    "dir/new",
                                    "",
                                    ".",
                                    "../full",
                                    "../full/file",
                                    "../no-names/new",
                                    "../no-names/file",
                                    "../read-only/file",
                                    "../read-only/dir",
                                    "../read-only/new",
                                    "../other/dir",
                                    "../other/new",
                                    "../other/sleep"};

static char text[] = "abcd";
static struct iovec part = {.iov_base = text, .iov_len = 4};
static struct open_how hows[] = {
    {.flags = O_WRONLY | O_CREAT, .mode = 0600},
    {.flags = O_WRONLY | O_CREAT, .mode = 0600, .resolve = RESOLVE_NO_XDEV},
    {.flags = O_RDWR | O_CREAT | O_EXCL, .mode = 0600},
    {.flags = 1ULL << 40}};
static struct timeval times_of_day[2];
static struct timespec times_exact[2] = {{0}, {.tv_nsec = 5}};
static struct timespec times_wrong[2] = {{.tv_nsec = -5}, {0}};
static struct sockaddr_un addresses[] = {{AF_UNIX, "file"},
                                         {AF_UNIX, "new-socket"},
                                         {AF_UNIX, "missing/x"},
                                         {AF_UNIX, "file/x"},
                                         {AF_UNIX, "loop/x"},
                                         {AF_UNIX, "closed/new"},
                                         {AF_UNIX, "../read-only/new"},
                                         {AF_INET, "x"}};
static struct file_clone_range clone_range = {.src_length = 1};
static loff_t offset;

#define A(pointer) ((long)(intptr_t)(pointer))
#define BAD_ADDRESS 1L

/*
 * One letter an argument: p a path, d where a relative path begins, f a descriptor, a number the
 * row's own list of values. A list ends with END.
 */
#define END 0x7ead7ead7eadL
struct signature {
    const char *call, *args;
    long lists[4][12];
};
#define OPEN_FLAGS                                                                                 \
    {                                                                                              \
        O_WRONLY | O_CREAT, O_WRONLY | O_CREAT | O_EXCL, O_RDWR | O_TRUNC, O_RDWR | O_NOFOLLOW,    \
            O_WRONLY | O_NONBLOCK, O_RDWR | O_TMPFILE, O_CREAT | O_DIRECTORY | O_TMPFILE,          \
            O_RDONLY | O_NOATIME, END                                                              \
    }
#define MODE                                                                                       \
    {                                                                                              \
        0600, END                                                                                  \
    }
#define LENGTHS                                                                                    \
    {                                                                                              \
        4, -1, END                                                                                 \
    }
#define KEYS                                                                                       \
    {                                                                                              \
        A("user.k"), A("trusted.k"), A("trusted.none"), A("nonsense"), A("security.capability"),   \
            A(long_name), A(""), BAD_ADDRESS, END                                                  \
    }

static const struct signature signatures[] = {
    {"open", "p01", {OPEN_FLAGS, MODE}},
    {"openat", "dp01", {OPEN_FLAGS, MODE}},
    {"openat2",
     "dp01",
     {{A(&hows[0]), A(&hows[1]), A(&hows[2]), A(&hows[3]), BAD_ADDRESS, END},
      {sizeof *hows, 8, 4096, 8192, END}}},
    {"creat", "p0", {MODE}},
    {"write", "f01", {{A("abcd"), BAD_ADDRESS, END}, LENGTHS}},
    {"pwrite64", "f012", {{A("abcd"), BAD_ADDRESS, END}, LENGTHS, {0, 5000, -1, 1L << 62, END}}},
    {"writev", "f01", {{A(&part), BAD_ADDRESS, END}, {1, -1, 5000, END}}},
    {"pwritev", "f012", {{A(&part), BAD_ADDRESS, END}, {1, -1, END}, {0, 5000, -1, END}}},
    {"pwritev2",
     "f01203",
     {{A(&part), BAD_ADDRESS, END}, {1, -1, END}, {0, 5000, END}, {0, 1 << 20, END}}},
    {"sendfile", "ff01", {{0, A(&offset), BAD_ADDRESS, END}, LENGTHS}},
    {"splice", "f0f012", {{0, A(&offset), BAD_ADDRESS, END}, {4, -1, END}, {2, 2 | 1 << 20, END}}},
    {"copy_file_range", "f0f012", {{0, A(&offset), BAD_ADDRESS, END}, LENGTHS, {0, 1, END}}},
    {"ficlone", "f0f", {{FICLONE, END}}},
    {"ficlonerange", "f01", {{FICLONERANGE, END}, {A(&clone_range), BAD_ADDRESS, END}}},
    {"truncate", "p0", {{0, 2, -1, 5000, 1L << 62, END}}},
    {"ftruncate", "f0", {{2, -1, 5000, 1L << 62, END}}},
    {"fallocate", "f012", {{0, 1, 0x80, 3, END}, {0, -1, END}, {9000, 0, 1L << 62, END}}},
    {"rename", "pp", {{0}}},
    {"renameat", "dpdp", {{0}}},
    {"renameat2", "dpdp0", {{0, 1, 2, 4, 99, END}}},
    {"link", "pp", {{0}}},
    {"linkat", "dpdp0", {{0, AT_SYMLINK_FOLLOW, AT_EMPTY_PATH, 99, END}}},
    {"symlink", "pp", {{0}}},
    {"symlinkat", "pdp", {{0}}},
    {"unlink", "p", {{0}}},
    {"unlinkat", "dp0", {{0, AT_REMOVEDIR, 99, END}}},
    {"mkdir", "p0", {MODE}},
    {"mkdirat", "dp0", {MODE}},
    {"rmdir", "p", {{0}}},
    {"mknod", "p01", {{S_IFREG | 0600, S_IFCHR | 0600, S_IFDIR | 0600, 0170000, END}, {0, END}}},
    {"mknodat", "dp01", {{S_IFREG | 0600, S_IFCHR | 0600, S_IFDIR, 0170000, END}, {0, END}}},
    {"bind",
     "f01",
     {{A(&addresses[0]), A(&addresses[1]), A(&addresses[2]), A(&addresses[3]), A(&addresses[4]),
       A(&addresses[5]), A(&addresses[6]), A(&addresses[7]), BAD_ADDRESS, END},
      {sizeof *addresses, 1, -1, END}}},
    {"chmod", "p0", {MODE}},
    {"fchmod", "f0", {MODE}},
    {"fchmodat", "dp0", {MODE}},
    {"fchmodat2", "dp01", {MODE, {0, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, 99, END}}},
    {"chown", "p00", {{7, END}}},
    {"fchown", "f00", {{7, END}}},
    {"lchown", "p00", {{7, END}}},
    {"fchownat", "dp001", {{7, END}, {0, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, 99, END}}},
    {"utime", "p0", {{0, BAD_ADDRESS, END}}},
    {"utimes", "p0", {{0, A(times_of_day), BAD_ADDRESS, END}}},
    {"futimesat", "dp0", {{0, A(times_of_day), BAD_ADDRESS, END}}},
    {"utimensat",
     "dp01",
     {{0, A(times_exact), A(times_wrong), BAD_ADDRESS, END}, {0, AT_SYMLINK_NOFOLLOW, 99, END}}},
    {"setxattr", "p0123", {KEYS, {A("v"), BAD_ADDRESS, END}, {1, 1 << 20, END}, {0, 1, 2, 9, END}}},
    {"lsetxattr", "p0123", {KEYS, {A("v"), BAD_ADDRESS, END}, {1, 1 << 20, END}, {0, 1, 2, END}}},
    {"fsetxattr", "f0123", {KEYS, {A("v"), BAD_ADDRESS, END}, {1, 1 << 20, END}, {0, 1, 2, END}}},
    {"removexattr", "p0", {KEYS}},
    {"lremovexattr", "p0", {KEYS}},
    {"fremovexattr", "f0", {KEYS}},
    {"fsync", "f", {{0}}},
    {"fdatasync", "f", {{0}}},
    {"syncfs", "f", {{0}}},
    {"sync_file_range", "f012", {{0, -1, END}, {4, -1, END}, {0, 7, 99, END}}},
    {"msync",
     "012",
     {{0, 1, 1L << 40, END}, {4096, END}, {0, MS_SYNC, 99, MS_ASYNC | MS_SYNC, END}}},
};

/* --- what comes of it ------------------------------------------------------------------ */

static const char *call_name;
static enum op call_op;
static long call_number;
static uid_t user;
static bool no_descriptor_left;
static bool seen[OP_COUNT][64][200]; /* by operation, call and errno */
static size_t call_index;

static void limit(__rlimit_resource_t what, rlim_t value)
{
    struct rlimit limits;
    assert_int_equal(getrlimit(what, &limits), 0);
    limits.rlim_cur = value == RLIM_INFINITY ? limits.rlim_max : value;
    assert_int_equal(setrlimit(what, &limits), 0);
}

static void call_once(const long *args, bool removes_dir)
{
    if (seteuid(user) < 0)
        fail_msg("seteuid: %s", strerror(errno));
    if (no_descriptor_left)
        limit(RLIMIT_NOFILE, 4);
    long ret = syscall(call_number, args[0], args[1], args[2], args[3], args[4], args[5]);
    int errnum = ret < 0 ? errno : 0;
    limit(RLIMIT_NOFILE, RLIM_INFINITY);
    assert_int_equal(seteuid(0), 0);
    seen[removes_dir ? OP_RMDIR : call_op][call_index][errnum] = true;
    if (errnum)
        return;
    if (call_op == OP_OPEN)
        close((int)ret);
    build_world();
}

static size_t list_values(const struct signature *signature, char letter, long *values)
{
    size_t n = 0;
    if (letter == 'p') {
        for (; n < sizeof paths / sizeof *paths; n++)
            values[n] = A(paths[n]);
        values[n++] = A(long_name);
        values[n++] = BAD_ADDRESS;
    } else if (letter == 'd') {
        values[n++] = AT_FDCWD;
        values[n++] = 9999;
        values[n++] = descriptors[0];
    } else if (letter == 'f') {
        for (; n < sizeof descriptors / sizeof *descriptors; n++)
            values[n] = descriptors[n];
    } else {
        for (const long *at = signature->lists[letter - '0']; *at != END; at++)
            values[n++] = *at;
    }
    return n;
}

static void combine(const struct signature *signature, size_t at, long *args)
{
    if (!signature->args[at]) {
        bool removes_dir = strcmp(call_name, "unlinkat") == 0 && args[2] == AT_REMOVEDIR;
        call_once(args, removes_dir);
        return;
    }
    long values[MAX_VALUES];
    size_t n = list_values(signature, signature->args[at], values);
    for (size_t i = 0; i < n; i++) {
        if (signature->args[at] == 'f' || signature->args[at] == 'd')
            list_values(signature, signature->args[at], values); /* opened anew */
        args[at] = values[i];
        combine(signature, at + 1, args);
    }
}

static void provoke_all(void)
{
    for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++) {
        const struct signature *signature = &signatures[i];
        size_t count;
        const struct op_call *calls = op_calls(&count);
        for (call_index = 0; call_index < count; call_index++) {
            if (strcmp(calls[call_index].name, signature->call) == 0)
                break;
        }
        assert_true(call_index < count && call_index < 64);
        const struct op_call *call = &calls[call_index];
        bool clones = strncmp(call->name, "ficlone", 7) == 0;
        call_name = call->name;
        call_op = call->op;
        call_number = call->number >= 0
                          ? call->number
                          : seccomp_syscall_resolve_name(clones ? "ioctl" : call->name);
        assert_true(call_number >= 0);
        long args[MAX_ARGS] = {0};
        combine(signature, 0, args);
        user = NOBODY;
        combine(signature, 0, args);
        user = 0;
        no_descriptor_left = call->op == OP_OPEN;
        limit(RLIMIT_FSIZE, 4500);
        combine(signature, 0, args);
        limit(RLIMIT_FSIZE, RLIM_INFINITY);
        no_descriptor_left = false;
    }
}

static bool list_has(const int *list, int errnum)
{
    while (*list && *list != errnum)
        list++;
    return *list != 0;
}

static bool was_provoked(const struct op_errors *row, int errnum)
{
    size_t count;
    const struct op_call *calls = op_calls(&count);
    for (size_t i = 0; i < count; i++) {
        CLEANUP(io_free) char *list = io_format(" %s ", row->calls ? row->calls : calls[i].name);
        CLEANUP(io_free) char *word = io_format(" %s ", calls[i].name);
        if (seen[row->op][i][errnum] && strstr(list, word))
            return true;
    }
    return false;
}

static void what_is_not_provoked_is_cited(void **state)
{
    (void)state;
    need_root();
    CLEANUP(dir_remove) char *folder = dir_make();
    assert_int_equal(unshare(CLONE_NEWNS), 0);
    assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    assert_int_equal(mount("killpoint-test", folder, "tmpfs", 0, "mode=0777"), 0);
    assert_int_equal(chdir(folder), 0);
    umask(0);
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    build_mounts();
    build_world();
    pid_t runner;
    static char name[] = "sleep", time[] = "1000", *const sleeps[] = {name, time, NULL};
    assert_int_equal(posix_spawn(&runner, "../other/sleep", NULL, NULL, sleeps, NULL), 0);
    provoke_all();
    kill(runner, SIGKILL);
    waitpid(runner, NULL, 0);
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(umount2(folder, MNT_DETACH), 0);

    size_t count, provoked = 0, cited = 0, wrong = 0;
    const struct op_errors *rows = op_errors(&count);
    for (size_t i = 0; i < count; i++) {
        for (const int *at = rows[i].errnums; *at; at++) {
            bool was = was_provoked(&rows[i], *at), says_cited = list_has(rows[i].cited, *at);
            provoked += was;
            cited += says_cited;
            if (was != says_cited)
                continue;
            wrong += !was;
            print_error("%s [%s] %s: %s, and %s in the table\n", op_name(rows[i].op),
                        rows[i].calls ? rows[i].calls : "all", op_errno_name(*at),
                        was ? "provoked" : "not provoked", says_cited ? "cited" : "not cited");
        }
    }
    print_message("%zu errors provoked, %zu cited\n", provoked, cited);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_not_provoked_is_cited)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
