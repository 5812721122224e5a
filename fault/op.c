#include "op.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define COUNT(rows) (sizeof(rows) / sizeof(rows)[0])

static const char *const names[OP_COUNT] = {
    [OP_OPEN] = "open",     [OP_WRITE] = "write", [OP_TRUNCATE] = "truncate",
    [OP_RENAME] = "rename", [OP_LINK] = "link",   [OP_SYMLINK] = "symlink",
    [OP_UNLINK] = "unlink", [OP_MKDIR] = "mkdir", [OP_RMDIR] = "rmdir",
    [OP_MKNOD] = "mknod",   [OP_CHMOD] = "chmod", [OP_CHOWN] = "chown",
    [OP_UTIME] = "utime",   [OP_XATTR] = "xattr", [OP_SYNC] = "sync",
};

static const struct op_call calls[] = {
    {"open", OP_OPEN, -1, true, {.path = 1, .flags = 2, .mode = 3}},
    {"openat", OP_OPEN, -1, true, {.dir = 1, .path = 2, .flags = 3, .mode = 4}},
    {"openat2", OP_OPEN, -1, true, {.dir = 1, .path = 2, .flags = 3}},
    {"creat", OP_OPEN, -1, true, {.path = 1, .mode = 2}},
    {"write", OP_WRITE, -1, false, {.fd = 1, .length = 3}},
    {"pwrite64", OP_WRITE, -1, false, {.fd = 1, .length = 3}},
    {"writev", OP_WRITE, -1, false, {.fd = 1, .length = 3}},
    {"pwritev", OP_WRITE, -1, false, {.fd = 1, .length = 3}},
    {"pwritev2", OP_WRITE, -1, false, {.fd = 1, .length = 3}},
    {"sendfile", OP_WRITE, -1, false, {.fd = 1, .length = 4}},
    {"splice", OP_WRITE, -1, false, {.fd = 3, .length = 5}},
    {"copy_file_range", OP_WRITE, -1, false, {.fd = 3, .length = 5}},
    {"ficlone", OP_WRITE, -1, false, {.fd = 1}},
    {"ficlonerange", OP_WRITE, -1, false, {.fd = 1}},
    {"truncate", OP_TRUNCATE, -1, true, {.path = 1}},
    {"ftruncate", OP_TRUNCATE, -1, false, {.fd = 1}},
    {"fallocate", OP_TRUNCATE, -1, false, {.fd = 1}},
    {"rename", OP_RENAME, -1, false, {.path = 1, .target = 2}},
    {"renameat", OP_RENAME, -1, false, {.dir = 1, .path = 2, .target_dir = 3, .target = 4}},
    {"renameat2", OP_RENAME, -1, false, {.dir = 1, .path = 2, .target_dir = 3, .target = 4}},
    {"link", OP_LINK, -1, false, {.path = 2}},
    {"linkat", OP_LINK, -1, false, {.dir = 3, .path = 4}},
    {"symlink", OP_SYMLINK, -1, false, {.path = 2}},
    {"symlinkat", OP_SYMLINK, -1, false, {.dir = 2, .path = 3}},
    {"unlink", OP_UNLINK, -1, false, {.path = 1}},
    {"unlinkat", OP_UNLINK, -1, false, {.dir = 1, .path = 2, .flags = 3}},
    {"mkdir", OP_MKDIR, -1, false, {.path = 1, .mode = 2}},
    {"mkdirat", OP_MKDIR, -1, false, {.dir = 1, .path = 2, .mode = 3}},
    {"rmdir", OP_RMDIR, -1, false, {.path = 1}},
    {"mknod", OP_MKNOD, -1, false, {.path = 1}},
    {"mknodat", OP_MKNOD, -1, false, {.dir = 1, .path = 2}},
    {"bind", OP_MKNOD, -1, false, {0}},
    {"chmod", OP_CHMOD, -1, true, {.path = 1}},
    {"fchmod", OP_CHMOD, -1, false, {.fd = 1}},
    {"fchmodat", OP_CHMOD, -1, true, {.dir = 1, .path = 2}},
    {"fchmodat2", OP_CHMOD, 452, true, {.dir = 1, .path = 2, .flags = 4}},
    {"chown", OP_CHOWN, -1, true, {.path = 1}},
    {"fchown", OP_CHOWN, -1, false, {.fd = 1}},
    {"lchown", OP_CHOWN, -1, false, {.path = 1}},
    {"fchownat", OP_CHOWN, -1, true, {.dir = 1, .path = 2, .flags = 5}},
    {"utime", OP_UTIME, -1, true, {.path = 1}},
    {"utimes", OP_UTIME, -1, true, {.path = 1}},
    {"futimesat", OP_UTIME, -1, true, {.dir = 1, .path = 2}},
    {"utimensat", OP_UTIME, -1, true, {.dir = 1, .path = 2, .flags = 4}},
    {"setxattr", OP_XATTR, -1, true, {.path = 1}},
    {"lsetxattr", OP_XATTR, -1, false, {.path = 1}},
    {"fsetxattr", OP_XATTR, -1, false, {.fd = 1}},
    {"setxattrat", OP_XATTR, 463, true, {.dir = 1, .path = 2, .flags = 3}},
    {"removexattr", OP_XATTR, -1, true, {.path = 1}},
    {"lremovexattr", OP_XATTR, -1, false, {.path = 1}},
    {"fremovexattr", OP_XATTR, -1, false, {.fd = 1}},
    {"removexattrat", OP_XATTR, 466, true, {.dir = 1, .path = 2, .flags = 3}},
    {"sync", OP_SYNC, -1, false, {0}},
    {"fsync", OP_SYNC, -1, false, {.fd = 1}},
    {"fdatasync", OP_SYNC, -1, false, {.fd = 1}},
    {"syncfs", OP_SYNC, -1, false, {.fd = 1}},
    {"sync_file_range", OP_SYNC, -1, false, {.fd = 1}},
    {"msync", OP_SYNC, -1, false, {0}},
};

/*
 * From the pages of man-pages 6.03. EBADF stands with the calls that take a descriptor. The second
 * list are the cited ones.
 */
static const struct op_errors errors[] = {
    {OP_OPEN,
     NULL,
     "open(2)",
     {EACCES, EBUSY,      EDQUOT,       EEXIST, EFAULT, EFBIG,   EINTR,  EINVAL, EISDIR,
      ELOOP,  EMFILE,     ENAMETOOLONG, ENFILE, ENODEV, ENOENT,  ENOMEM, ENOSPC, ENOTDIR,
      ENXIO,  EOPNOTSUPP, EOVERFLOW,    EPERM,  EROFS,  ETXTBSY, EAGAIN},
     {EBUSY, EDQUOT, EFBIG, EINTR, ENFILE, ENODEV, ENOMEM, EOPNOTSUPP, EOVERFLOW, EAGAIN}},
    {OP_OPEN, "openat openat2", "open(2)", {EBADF}},
    {OP_OPEN, "openat2", "openat2(2)", {E2BIG, EXDEV}},

    {OP_WRITE,
     "write pwrite64 writev pwritev pwritev2",
     "write(2)",
     {EBADF, EDQUOT, EFAULT, EFBIG, EINTR, EINVAL, EIO, ENOSPC, EPERM},
     {EDQUOT, EINTR, EIO, EPERM}},
    {OP_WRITE, "pwritev2", "writev(2)", {EOPNOTSUPP}},
    {OP_WRITE,
     "sendfile",
     "sendfile(2)",
     {EAGAIN, EBADF, EFAULT, EINVAL, EIO, ENOMEM, EOVERFLOW, ESPIPE},
     {EAGAIN, EIO, ENOMEM, EOVERFLOW}},
    {OP_WRITE, "splice", "splice(2)", {EAGAIN, EBADF, EINVAL, ENOMEM, ESPIPE}, {ENOMEM}},
    {OP_WRITE,
     "copy_file_range",
     "copy_file_range(2)",
     {EBADF, EFBIG, EINVAL, EIO, EISDIR, ENOMEM, ENOSPC, EOPNOTSUPP, EOVERFLOW, EPERM, ETXTBSY,
      EXDEV},
     {EFBIG, EIO, ENOMEM, ENOSPC, EOPNOTSUPP, EPERM, ETXTBSY}},
    {OP_WRITE,
     "ficlone ficlonerange",
     "ioctl_ficlonerange(2)",
     {EBADF, EINVAL, EISDIR, EOPNOTSUPP, EPERM, ETXTBSY, EXDEV},
     {EPERM, ETXTBSY}},

    {OP_TRUNCATE,
     "truncate",
     "truncate(2)",
     {EACCES, EFAULT, EFBIG, EINTR, EINVAL, EIO, EISDIR, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR,
      EPERM, EROFS, ETXTBSY},
     {EINTR, EIO, EPERM}},
    {OP_TRUNCATE,
     "ftruncate",
     "truncate(2)",
     {EBADF, EFBIG, EINTR, EINVAL, EIO, EPERM},
     {EINTR, EIO, EPERM}},
    {OP_TRUNCATE,
     "fallocate",
     "fallocate(2)",
     {EBADF, EFBIG, EINTR, EINVAL, EIO, ENODEV, ENOSPC, ENOSYS, EOPNOTSUPP, EPERM, ESPIPE, ETXTBSY},
     {EINTR, EIO, ENOSYS, EPERM, ETXTBSY}},

    {OP_RENAME,
     NULL,
     "rename(2)",
     {EACCES, EBUSY, EDQUOT, EEXIST, EFAULT, EINVAL, EISDIR, ELOOP, EMLINK, ENAMETOOLONG, ENOENT,
      ENOMEM, ENOSPC, ENOTDIR, ENOTEMPTY, EPERM, EROFS, EXDEV},
     {EDQUOT, EMLINK, ENOMEM}},
    {OP_RENAME, NULL, "rename(3p)", {EIO}, {EIO}},
    {OP_RENAME, "renameat renameat2", "rename(2)", {EBADF}},

    {OP_LINK,
     NULL,
     "link(2)",
     {EACCES, EDQUOT, EEXIST, EFAULT, EIO, ELOOP, EMLINK, ENAMETOOLONG, ENOENT, ENOMEM, ENOSPC,
      ENOTDIR, EPERM, EROFS, EXDEV},
     {EDQUOT, EIO, EMLINK, ENOMEM}},
    {OP_LINK, "linkat", "link(2)", {EBADF, EINVAL}},

    {OP_SYMLINK,
     NULL,
     "symlink(2)",
     {EACCES, EDQUOT, EEXIST, EFAULT, EIO, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOSPC, ENOTDIR,
      EPERM, EROFS},
     {EDQUOT, EIO, ENOMEM, EPERM}},
    {OP_SYMLINK, "symlinkat", "symlink(2)", {EBADF}},

    {OP_UNLINK,
     NULL,
     "unlink(2)",
     {EACCES, EBUSY, EFAULT, EIO, EISDIR, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR, EPERM,
      EROFS},
     {EBUSY, EIO, ENOMEM}},
    {OP_UNLINK, "unlinkat", "unlink(2)", {EBADF, EINVAL}},

    {OP_MKDIR,
     NULL,
     "mkdir(2)",
     {EACCES, EDQUOT, EEXIST, EFAULT, EINVAL, ELOOP, EMLINK, ENAMETOOLONG, ENOENT, ENOMEM, ENOSPC,
      ENOTDIR, EPERM, EROFS},
     {EDQUOT, EINVAL, EMLINK, ENOMEM, EPERM}},
    {OP_MKDIR, "mkdirat", "mkdir(2)", {EBADF}},

    {OP_RMDIR,
     NULL,
     "rmdir(2)",
     {EACCES, EBUSY, EFAULT, EINVAL, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR, ENOTEMPTY, EPERM,
      EROFS},
     {ENOMEM}},
    {OP_RMDIR, NULL, "rmdir(3p)", {EIO}, {EIO}},
    {OP_RMDIR, "unlinkat", "unlink(2)", {EBADF}},

    {OP_MKNOD,
     "mknod mknodat",
     "mknod(2)",
     {EACCES, EDQUOT, EEXIST, EFAULT, EINVAL, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOSPC, ENOTDIR,
      EPERM, EROFS},
     {EDQUOT, ENOMEM}},
    {OP_MKNOD, "mknod mknodat", "mknod(3p)", {EIO}, {EIO}},
    {OP_MKNOD, "mknodat", "mknod(2)", {EBADF}},
    {OP_MKNOD,
     "bind",
     "bind(2)",
     {EACCES, EADDRINUSE, EADDRNOTAVAIL, EBADF, EFAULT, EINVAL, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM,
      ENOTDIR, ENOTSOCK, EROFS},
     {EADDRNOTAVAIL, ENAMETOOLONG, ENOMEM}},

    {OP_CHMOD, NULL, "chmod(2)", {EIO, EPERM, EROFS}, {EIO}},
    {OP_CHMOD,
     "chmod fchmodat fchmodat2",
     "chmod(2)",
     {EACCES, EFAULT, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR},
     {ENOMEM}},
    {OP_CHMOD, "fchmod fchmodat fchmodat2", "chmod(2)", {EBADF}},
    {OP_CHMOD, "fchmodat fchmodat2", "chmod(2)", {EINVAL, EOPNOTSUPP}},

    {OP_CHOWN, NULL, "chown(2)", {EIO, EPERM, EROFS}, {EIO}},
    {OP_CHOWN,
     "chown lchown fchownat",
     "chown(2)",
     {EACCES, EFAULT, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR},
     {ENOMEM}},
    {OP_CHOWN, "fchown fchownat", "chown(2)", {EBADF}},
    {OP_CHOWN, "fchownat", "chown(2)", {EINVAL}},

    {OP_UTIME, "utime utimes futimesat", "utime(2)", {EACCES, ENOENT, EPERM, EROFS}},
    {OP_UTIME, "futimesat", "futimesat(2)", {EBADF, ENOTDIR}},
    {OP_UTIME,
     "utimensat",
     "utimensat(2)",
     {EACCES, EBADF, EFAULT, EINVAL, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, EPERM, EROFS, ESRCH},
     {ESRCH}},

    /* Both xattr pages add "the errors documented in stat(2)". */
    {OP_XATTR,
     "setxattr lsetxattr fsetxattr setxattrat",
     "setxattr(2)",
     {EDQUOT, EEXIST, ENODATA, ENOSPC, EOPNOTSUPP, EPERM, ERANGE},
     {EDQUOT}},
    {OP_XATTR,
     "removexattr lremovexattr fremovexattr removexattrat",
     "removexattr(2)",
     {ENODATA, EOPNOTSUPP}},
    {OP_XATTR,
     "setxattr lsetxattr setxattrat removexattr lremovexattr removexattrat",
     "stat(2)",
     {EACCES, EFAULT, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR},
     {ENOMEM}},
    {OP_XATTR, "fsetxattr setxattrat fremovexattr removexattrat", "stat(2)", {EBADF}},

    {OP_SYNC,
     "fsync fdatasync",
     "fsync(2)",
     {EBADF, EDQUOT, EINTR, EINVAL, EIO, ENOSPC, EROFS},
     {EDQUOT, EINTR, EIO, ENOSPC, EROFS}},
    {OP_SYNC, "syncfs", "sync(2)", {EBADF, EDQUOT, EIO, ENOSPC}, {EDQUOT, EIO, ENOSPC}},
    {OP_SYNC,
     "sync_file_range",
     "sync_file_range(2)",
     {EBADF, EINVAL, EIO, ENOMEM, ENOSPC, ESPIPE},
     {EIO, ENOMEM, ENOSPC}},
    {OP_SYNC, "msync", "msync(2)", {EBUSY, EINVAL, ENOMEM}, {EBUSY}},
};

/* Names that share a number with another one; strerrorname_np() knows only that. */
static const struct {
    const char *name;
    int errnum;
} aliases[] = {{"EWOULDBLOCK", EWOULDBLOCK}, {"ENOTSUP", ENOTSUP}};

const struct op_call *op_calls(size_t *ret_count)
{
    *ret_count = COUNT(calls);
    return calls;
}

const struct op_errors *op_errors(size_t *ret_count)
{
    *ret_count = COUNT(errors);
    return errors;
}

const char *op_name(enum op op)
{
    return names[op];
}

static bool is_word(const char *name, const char *word, size_t len)
{
    return strlen(name) == len && memcmp(name, word, len) == 0;
}

int op_find(const char *word, size_t len, enum op *ret_op)
{
    /* A call named like an operation belongs to it, so `xattr` alone needs the first loop. */
    for (unsigned op = 0; op < OP_COUNT; op++) {
        if (is_word(names[op], word, len)) {
            *ret_op = (enum op)op;
            return 0;
        }
    }
    for (size_t i = 0; i < COUNT(calls); i++) {
        if (is_word(calls[i].name, word, len)) {
            *ret_op = calls[i].op;
            return 0;
        }
    }
    return -ENOENT;
}

static bool list_has(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = list; *at; at += strspn(at, " ")) {
        size_t item = strcspn(at, " ");
        if (item == len && memcmp(at, word, len) == 0)
            return true;
        at += item;
    }
    return false;
}

const char *op_can_fail(enum op op, const char *call, int errnum)
{
    for (size_t i = 0; i < COUNT(errors); i++) {
        const struct op_errors *row = &errors[i];
        if (row->op != op || (call && row->calls && !list_has(row->calls, call)))
            continue;
        for (const int *at = row->errnums; *at; at++) {
            if (*at == errnum)
                return row->page;
        }
    }
    return NULL;
}

int op_errno(const char *word, size_t len)
{
    for (size_t i = 0; i < COUNT(aliases); i++) {
        if (is_word(aliases[i].name, word, len))
            return aliases[i].errnum;
    }
    for (int errnum = 1; errnum < 4096; errnum++) {
        const char *name = op_errno_name(errnum);
        if (name && is_word(name, word, len))
            return errnum;
    }
    return 0;
}

const char *op_errno_name(int errnum)
{
    return errnum > 0 ? strerrorname_np(errnum) : NULL;
}
