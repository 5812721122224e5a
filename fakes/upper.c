#include "upper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* A file with several names, and the first of them in the copy. */
struct twin {
    dev_t dev;
    ino_t ino;
    char *path;
    struct twin *next;
};

struct copy {
    int to_root_fd;
    struct twin *twins;
};

static void copy_release(struct copy *copy)
{
    while (copy->twins) {
        struct twin *twin = copy->twins;
        copy->twins = twin->next;
        free(twin->path);
        free(twin);
    }
    io_close(&copy->to_root_fd);
}

static const char *find_twin(struct copy *copy, const struct stat *st, const char *path)
{
    if (S_ISDIR(st->st_mode) || st->st_nlink < 2)
        return NULL;
    for (struct twin *at = copy->twins; at; at = at->next)
        if (at->dev == st->st_dev && at->ino == st->st_ino)
            return at->path;
    struct twin *twin = malloc(sizeof *twin);
    if (!twin)
        abort();
    *twin = (struct twin){st->st_dev, st->st_ino, io_format("%s", path), copy->twins};
    copy->twins = twin;
    return NULL;
}

static int copy_content(int from_dir_fd, int to_dir_fd, const char *name)
{
    CLEANUP(io_close) int from = openat(from_dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    CLEANUP(io_close)
    int to = openat(to_dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (from < 0 || to < 0)
        return -errno;
    ssize_t n;
    while ((n = copy_file_range(from, NULL, to, NULL, 1 << 30, 0)) > 0)
        ;
    if (n == 0)
        return 0;
    if (errno != EXDEV && errno != EINVAL && errno != EOPNOTSUPP)
        return -errno;
    char chunk[1 << 14];
    while ((n = read(from, chunk, sizeof chunk)) > 0) {
        int ret = io_write_all(to, chunk, (size_t)n);
        if (ret < 0)
            return ret;
    }
    return n < 0 ? -errno : 0;
}

/* Both paths are of /proc/self/fd: these calls have no form with a folder's descriptor. */
static int copy_attributes(int from_dir_fd, int to_dir_fd, const char *name)
{
    CLEANUP(io_free) char *from = io_format("/proc/self/fd/%d/%s", from_dir_fd, name);
    CLEANUP(io_free) char *to = io_format("/proc/self/fd/%d/%s", to_dir_fd, name);
    char names[4096], value[4096];
    ssize_t len = llistxattr(from, names, sizeof names);
    if (len < 0)
        return errno == EOPNOTSUPP ? 0 : -errno;
    for (const char *at = names; at < names + len; at += strlen(at) + 1) {
        ssize_t n = lgetxattr(from, at, value, sizeof value);
        if (n < 0 || lsetxattr(to, at, value, (size_t)n, 0) < 0)
            return -errno;
    }
    return 0;
}

static int copy_metadata(int from_dir_fd, int to_dir_fd, const char *name, const struct stat *st)
{
    const struct timespec times[2] = {st->st_atim, st->st_mtim};
    /* First, for it takes a file's capabilities and set-id bits away. */
    if (fchownat(to_dir_fd, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    int ret = copy_attributes(from_dir_fd, to_dir_fd, name);
    if (ret < 0)
        return ret;
    if (!S_ISLNK(st->st_mode) && fchmodat(to_dir_fd, name, st->st_mode & 07777, 0) < 0)
        return -errno;
    return utimensat(to_dir_fd, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int copy_folder(struct copy *copy, int from_dir_fd, int to_dir_fd, const char *name,
                       const char *path);

static int copy_link(int from_dir_fd, int to_dir_fd, const char *name)
{
    char target[4096];
    ssize_t len = readlinkat(from_dir_fd, name, target, sizeof target - 1);
    if (len < 0)
        return -errno;
    target[len] = '\0';
    return symlinkat(target, to_dir_fd, name) < 0 ? -errno : 0;
}

static int copy_entry(struct copy *copy, int from_dir_fd, int to_dir_fd, const char *name,
                      const char *path)
{
    struct stat st;
    if (fstatat(from_dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    const char *twin = find_twin(copy, &st, path);
    if (twin)
        return linkat(copy->to_root_fd, twin, to_dir_fd, name, 0) < 0 ? -errno : 0;
    int ret;
    if (S_ISDIR(st.st_mode))
        ret = copy_folder(copy, from_dir_fd, to_dir_fd, name, path);
    else if (S_ISLNK(st.st_mode))
        ret = copy_link(from_dir_fd, to_dir_fd, name);
    else if (S_ISREG(st.st_mode))
        ret = copy_content(from_dir_fd, to_dir_fd, name);
    else
        ret = mknodat(to_dir_fd, name, st.st_mode, st.st_rdev) < 0 ? -errno : 0;
    return ret < 0 ? ret : copy_metadata(from_dir_fd, to_dir_fd, name, &st);
}

static void dir_close(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

static int copy_folder(struct copy *copy, int from_dir_fd, int to_dir_fd, const char *name,
                       const char *path)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    if (mkdirat(to_dir_fd, name, 0700) < 0)
        return -errno;
    CLEANUP(io_close) int to_fd = openat(to_dir_fd, name, flags);
    CLEANUP(io_close) int from_fd = openat(from_dir_fd, name, flags);
    CLEANUP(dir_close) DIR *dir = from_fd < 0 ? NULL : fdopendir(from_fd);
    if (!dir || to_fd < 0)
        return -errno;
    int here = steal_fd(&from_fd);
    struct dirent *entry;
    while (errno = 0, (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        CLEANUP(io_free) char *below = io_format("%s/%s", path, entry->d_name);
        int ret = copy_entry(copy, here, to_fd, entry->d_name, below);
        if (ret < 0)
            return ret;
    }
    return -errno;
}

int upper_copy(int from_fd, int to_fd, struct err *err)
{
    CLEANUP(copy_release) struct copy copy = {fcntl(to_fd, F_DUPFD_CLOEXEC, 0), NULL};
    int ret = copy.to_root_fd < 0 ? -errno : copy_entry(&copy, from_fd, to_fd, "upper", "upper");
    return ret < 0 ? err_set(err, -ret, "copy the upper folder") : 0;
}

int upper_save(int machine_fd, struct err *err)
{
    int ret = io_remove_tree(machine_fd, "synced.new", err);
    if (ret == 0 && mkdirat(machine_fd, "synced.new", 0700) < 0)
        ret = err_set(err, errno, "mkdir synced.new");
    if (ret < 0)
        return ret;
    CLEANUP(io_close)
    int fd = openat(machine_fd, "synced.new", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ret = fd < 0 ? err_set(err, errno, "open synced.new") : upper_copy(machine_fd, fd, err);
    if (ret == 0)
        ret = io_remove_tree(machine_fd, "synced", err);
    if (ret == 0 && renameat(machine_fd, "synced.new", machine_fd, "synced") < 0)
        ret = err_set(err, errno, "rename synced.new");
    return ret;
}

int upper_restore(int machine_fd, struct err *err)
{
    if (faccessat(machine_fd, "synced/upper", F_OK, 0) < 0)
        return err_set(err, errno, "find what was synced");
    int ret = io_remove_tree(machine_fd, "upper", err);
    if (ret == 0 && renameat(machine_fd, "synced/upper", machine_fd, "upper") < 0)
        ret = err_set(err, errno, "put back what was synced");
    return ret < 0 ? ret : io_remove_tree(machine_fd, "synced", err);
}
