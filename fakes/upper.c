#include "upper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <xxhash.h>

/* A file with several names, and the first of them in the copy. */
struct upper_twin {
    dev_t dev;
    ino_t ino;
    char *path;
    struct upper_twin *next;
};

int upper_copier_init(struct upper_copier *copier, int to_root_fd, struct err *err)
{
    *copier = (struct upper_copier){.to_root_fd = fcntl(to_root_fd, F_DUPFD_CLOEXEC, 0),
                                    .hash = XXH3_createState()};
    if (!copier->hash)
        abort();
    XXH3_128bits_reset(copier->hash);
    return copier->to_root_fd < 0 ? err_set(err, errno, "dup") : 0;
}

void upper_copier_release(struct upper_copier *copier)
{
    while (copier->twins) {
        struct upper_twin *twin = copier->twins;
        copier->twins = twin->next;
        free(twin->path);
        free(twin);
    }
    io_close(&copier->to_root_fd);
    XXH3_freeState(copier->hash);
}

static const char *find_twin(struct upper_copier *copy, const struct stat *st, const char *path)
{
    if (!path || S_ISDIR(st->st_mode) || st->st_nlink < 2)
        return NULL;
    for (struct upper_twin *at = copy->twins; at; at = at->next)
        if (at->dev == st->st_dev && at->ino == st->st_ino)
            return at->path;
    struct upper_twin *twin = malloc(sizeof *twin);
    if (!twin)
        abort();
    *twin = (struct upper_twin){st->st_dev, st->st_ino, io_format("%s", path), copy->twins};
    copy->twins = twin;
    return NULL;
}

static void add_text(struct upper_copier *copy, const char *text)
{
    XXH3_128bits_update(copy->hash, text, strlen(text) + 1);
}

static int copy_content(struct upper_copier *copy, int from_dir_fd, int to_dir_fd, const char *name)
{
    CLEANUP(io_close) int from = openat(from_dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    CLEANUP(io_close)
    int to = openat(to_dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (from < 0 || to < 0)
        return -errno;
    ssize_t n;
    char chunk[1 << 16];
    while ((n = read(from, chunk, sizeof chunk)) > 0) {
        XXH3_128bits_update(copy->hash, chunk, (size_t)n);
        int ret = io_write_all(to, chunk, (size_t)n);
        if (ret < 0)
            return ret;
    }
    return n < 0 ? -errno : 0;
}

/* Both paths are of /proc/self/fd: these calls have no form with a folder's descriptor. */
static int copy_attributes(struct upper_copier *copy, int from_dir_fd, int to_dir_fd,
                           const char *name)
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
        add_text(copy, at);
        XXH3_128bits_update(copy->hash, value, (size_t)n);
    }
    return 0;
}

/* The entry's hash is full. */
static void add_entry(struct upper_copier *copy)
{
    XXH128_hash_t hash = XXH3_128bits_digest(copy->hash);
    copy->sum_low += hash.low64;
    copy->sum_high += hash.high64;
}

int upper_copier_add_metadata(struct upper_copier *copy, int from_dir_fd, int to_dir_fd,
                              const char *name, const struct stat *st)
{
    const struct timespec times[2] = {st->st_atim, st->st_mtim};
    /* First, for it takes a file's capabilities and set-id bits away. */
    if (fchownat(to_dir_fd, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    int ret = copy_attributes(copy, from_dir_fd, to_dir_fd, name);
    if (ret < 0)
        return ret;
    if (!S_ISLNK(st->st_mode) && fchmodat(to_dir_fd, name, st->st_mode & 07777, 0) < 0)
        return -errno;
    return utimensat(to_dir_fd, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int copy_folder(struct upper_copier *copy, int from_dir_fd, int to_dir_fd, const char *name,
                       const char *path);

static int copy_link(struct upper_copier *copy, int from_dir_fd, int to_dir_fd, const char *name)
{
    char target[4096];
    ssize_t len = readlinkat(from_dir_fd, name, target, sizeof target - 1);
    if (len < 0)
        return -errno;
    target[len] = '\0';
    add_text(copy, target);
    return symlinkat(target, to_dir_fd, name) < 0 ? -errno : 0;
}

static void begin_entry(struct upper_copier *copy, const char *path, const struct stat *st)
{
    const uint64_t numbers[] = {st->st_mode,
                                st->st_uid,
                                st->st_gid,
                                S_ISDIR(st->st_mode) ? 0 : st->st_rdev,
                                S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0,
                                (uint64_t)st->st_mtim.tv_sec,
                                (uint64_t)st->st_mtim.tv_nsec};
    XXH3_128bits_reset(copy->hash);
    add_text(copy, path ? path : "");
    XXH3_128bits_update(copy->hash, numbers, sizeof numbers);
}

int upper_copier_add(struct upper_copier *copy, int from_dir_fd, int to_dir_fd, const char *name,
                     const char *path)
{
    struct stat st;
    int ret = 0;
    if (fstatat(from_dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (S_ISDIR(st.st_mode) && (ret = copy_folder(copy, from_dir_fd, to_dir_fd, name, path)) < 0)
        return ret;
    begin_entry(copy, path, &st);
    const char *twin = find_twin(copy, &st, path);
    if (twin) {
        add_text(copy, twin);
        add_entry(copy);
        return linkat(copy->to_root_fd, twin, to_dir_fd, name, 0) < 0 ? -errno : 0;
    }
    if (S_ISLNK(st.st_mode))
        ret = copy_link(copy, from_dir_fd, to_dir_fd, name);
    else if (S_ISREG(st.st_mode))
        ret = copy_content(copy, from_dir_fd, to_dir_fd, name);
    else if (!S_ISDIR(st.st_mode))
        ret = mknodat(to_dir_fd, name, st.st_mode, st.st_rdev) < 0 ? -errno : 0;
    if (ret == 0)
        ret = upper_copier_add_metadata(copy, from_dir_fd, to_dir_fd, name, &st);
    add_entry(copy);
    return ret;
}

static void dir_close(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted: which of a file's names comes first is the same in every copy. */
int upper_read_names(int dir_fd, char ***ret_names)
{
    CLEANUP(dir_close) DIR *dir = fdopendir(dir_fd);
    if (!dir) {
        int ret = -errno;
        close(dir_fd);
        return ret;
    }
    char **names = calloc(1, sizeof *names);
    size_t count = 0;
    struct dirent *entry;
    while (errno = 0, names && (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        names[count++] = io_format("%s", entry->d_name);
        names = reallocarray(names, count + 1, sizeof *names);
        if (names)
            names[count] = NULL;
    }
    if (!names)
        abort();
    *ret_names = names;
    qsort(names, count, sizeof *names, by_name);
    return -errno;
}

static int copy_folder(struct upper_copier *copy, int from_dir_fd, int to_dir_fd, const char *name,
                       const char *path)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    if (mkdirat(to_dir_fd, name, 0700) < 0)
        return -errno;
    CLEANUP(io_close) int to_fd = openat(to_dir_fd, name, flags);
    CLEANUP(io_close) int from_fd = openat(from_dir_fd, name, flags);
    int list_fd = from_fd < 0 || to_fd < 0 ? -1 : openat(from_fd, ".", flags);
    if (list_fd < 0)
        return -errno;
    CLEANUP(io_free_list) char **names = NULL;
    int ret = upper_read_names(list_fd, &names);
    for (char **at = names; ret == 0 && *at; at++) {
        CLEANUP(io_free) char *below = io_format("%s/%s", path, *at);
        ret = upper_copier_add(copy, from_fd, to_fd, *at, below);
    }
    return ret;
}

int upper_copy(int from_fd, int to_fd, char ret_sum[UPPER_SUM_LEN + 1], struct err *err)
{
    CLEANUP(upper_copier_release) struct upper_copier copy;
    int ret = upper_copier_init(&copy, to_fd, err);
    if (ret == 0)
        ret = upper_copier_add(&copy, from_fd, to_fd, "upper", "upper");
    if (ret < 0)
        return err_set(err, -ret, "copy the upper folder");
    if (ret_sum)
        snprintf(ret_sum, UPPER_SUM_LEN + 1, "%016llx%016llx", (unsigned long long)copy.sum_high,
                 (unsigned long long)copy.sum_low);
    return 0;
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
    ret = fd < 0 ? err_set(err, errno, "open synced.new") : upper_copy(machine_fd, fd, NULL, err);
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
