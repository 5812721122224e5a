#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_LINKS 40

/* Rust's rendering of an errno, which the real agent is written in. */
static void fail(struct agent_result *result, int errnum, const char *what, const char *path)
{
    result->errnum = errnum;
    snprintf(result->text, sizeof result->text, "%s %s: %s (os error %d)", what, path,
             strerror(errnum), errnum);
}

/*
 * Walks to the folder of `path`, making missing folders. A link is followed only when it
 * stays below the root by its own words: the real agent resolves parents from outside the
 * container's root, where an absolute link leads elsewhere.
 */
struct walk {
    int fds[128]; /* the folders from / to here */
    size_t depth;
    int links;
    bool make;
};

static void walk_release(struct walk *walk)
{
    while (walk->depth > 0)
        io_close(&walk->fds[--walk->depth]);
}

static int walk_path(struct walk *walk, const char *path);

static int walk_link(struct walk *walk, const char *name)
{
    char target[4096];
    ssize_t len = readlinkat(walk->fds[walk->depth - 1], name, target, sizeof target - 1);
    if (len < 0)
        return -errno;
    target[len] = '\0';
    if (++walk->links > MAX_LINKS)
        return -ELOOP;
    return target[0] == '/' ? -EXDEV : walk_path(walk, target);
}

static int walk_part(struct walk *walk, const char *name)
{
    if (strcmp(name, ".") == 0 || *name == '\0')
        return 0;
    if (strcmp(name, "..") == 0) {
        if (walk->depth == 1)
            return -EXDEV;
        io_close(&walk->fds[--walk->depth]);
        return 0;
    }
    int here = walk->fds[walk->depth - 1];
    if (walk->depth == sizeof walk->fds / sizeof *walk->fds)
        return -ENAMETOOLONG;
    struct stat st;
    if (fstatat(here, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno != ENOENT || !walk->make || mkdirat(here, name, 0755) < 0)
            return -errno;
    } else if (S_ISLNK(st.st_mode))
        return walk_link(walk, name);
    int fd = openat(here, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    walk->fds[walk->depth++] = fd;
    return 0;
}

static int walk_path(struct walk *walk, const char *path)
{
    CLEANUP(io_free) char *copy = io_format("%s", path);
    char *rest = copy;
    for (char *part = strsep(&rest, "/"); part; part = strsep(&rest, "/")) {
        int ret = walk_part(walk, part);
        if (ret < 0)
            return ret;
    }
    return 0;
}

static int walk_to_parent(struct walk *walk, const char *path, const char *name)
{
    walk->fds[0] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (walk->fds[0] < 0)
        return -errno;
    walk->depth = 1;
    CLEANUP(io_free) char *parent = io_format("%.*s", (int)(name - path), path);
    return walk_path(walk, parent);
}

static int copy_bytes(int from, int to, uint64_t *ret_size)
{
    static char chunk[1 << 16];
    for (;;) {
        ssize_t n = read(from, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        int ret = io_write_all(to, chunk, (size_t)n);
        if (ret < 0)
            return ret;
        *ret_size += (uint64_t)n;
    }
}

static int write_temporary(const struct agent_job *job, int dir_fd, const char *temp,
                           struct agent_result *result)
{
    unlinkat(dir_fd, temp, 0);
    CLEANUP(io_close)
    int fd = openat(dir_fd, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    int ret = copy_bytes(job->host_fd, fd, &result->size_bytes);
    if (ret == 0 && result->size_bytes > AGENT_SINGLE_SHOT_BYTES && fsync(fd) < 0)
        ret = -errno;
    return ret;
}

static void upload(const struct agent_job *job, struct agent_result *result)
{
    const char *name = strrchr(job->guest_path, '/') + 1;
    CLEANUP(walk_release) struct walk walk = {.make = true};
    int ret = walk_to_parent(&walk, job->guest_path, name);
    if (ret == -EXDEV) {
        result->errnum = EXDEV;
        snprintf(result->text, sizeof result->text,
                 "write file: resolved parent escapes allowed root");
        return;
    }
    if (ret < 0) {
        fail(result, -ret, "write file: failed to create parent of", job->guest_path);
        return;
    }
    int dir_fd = walk.fds[walk.depth - 1];
    CLEANUP(io_free) char *temp = io_format("%s.smolvm-upload.1.%u", name, job->counter);
    CLEANUP(io_free)
    char *temp_path = io_format("%s.smolvm-upload.1.%u", job->guest_path, job->counter);
    ret = write_temporary(job, dir_fd, temp, result);
    if (ret < 0)
        fail(result, -ret, "write file: failed to write", temp_path);
    else if (renameat(dir_fd, temp, dir_fd, name) < 0)
        fail(result, errno, "write file: failed to rename onto", job->guest_path);
    if (result->errnum)
        unlinkat(dir_fd, temp, 0);
}

static void download(const struct agent_job *job, struct agent_result *result)
{
    CLEANUP(io_close) int fd = open(job->guest_path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        fail(result, errno, "read file: failed to open", job->guest_path);
    else if (!S_ISREG(st.st_mode))
        fail(result, S_ISDIR(st.st_mode) ? EISDIR : EINVAL, "read file: failed to read",
             job->guest_path);
    else {
        int ret = ftruncate(job->host_fd, 0) < 0 && errno != EINVAL ? -errno : 0;
        if (ret == 0)
            ret = copy_bytes(fd, job->host_fd, &result->size_bytes);
        if (ret < 0)
            fail(result, -ret, "read file: failed to read", job->guest_path);
    }
}

/* --- docker's ------------------------------------------------------------------------ */

static void fail_docker(struct agent_result *result, int errnum, const char *path)
{
    result->errnum = errnum;
    snprintf(result->text, sizeof result->text, "%s", path);
}

/* Where it goes: into a folder, or to where a link there points. */
static char *docker_target(const struct agent_job *job)
{
    char link[4096];
    struct stat st;
    const char *path = job->guest_path;
    const char *slash = strrchr(path, '/');
    ssize_t len = readlink(path, link, sizeof link - 1);
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return io_format("%s/%s", path, job->docker);
    if (len < 0)
        return io_format("%s", path);
    link[len] = '\0';
    return link[0] == '/' ? io_format("%s", link)
                          : io_format("%.*s/%s", (int)(slash - path), path, link);
}

static int write_docker(const struct agent_job *job, const char *target, uint64_t *ret_size)
{
    struct stat from, there;
    if (fstat(job->host_fd, &from) < 0)
        return -errno;
    if (lstat(target, &there) == 0 && unlink(target) < 0)
        return -errno;
    mode_t mode = from.st_mode & 07777;
    CLEANUP(io_close) int fd = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return -errno;
    int ret = copy_bytes(job->host_fd, fd, ret_size);
    if (ret == 0 && (fchown(fd, from.st_uid, from.st_gid) < 0 || fchmod(fd, mode) < 0))
        ret = -errno;
    return ret;
}

static void upload_docker(const struct agent_job *job, struct agent_result *result)
{
    CLEANUP(io_free) char *target = docker_target(job);
    int ret = write_docker(job, target, &result->size_bytes);
    if (ret < 0)
        fail_docker(result, -ret, ret == -ENOENT ? dirname(target) : target);
}

static void download_docker(const struct agent_job *job, struct agent_result *result)
{
    download(job, result);
    if (result->errnum)
        fail_docker(result, result->errnum, job->guest_path);
}

void agent_run(const struct agent_job *job, struct agent_result *ret_result)
{
    *ret_result = (struct agent_result){.errnum = 0};
    umask(022);
    if (job->docker && job->upload)
        upload_docker(job, ret_result);
    else if (job->docker)
        download_docker(job, ret_result);
    else if (job->upload)
        upload(job, ret_result);
    else
        download(job, ret_result);
}
