#include "resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sight.h"

#define LINKS_MAX 40 /* path_resolution(7) */
#define DELETED " (deleted)"
#define PROC "/proc/"

/* Where a link of /proc points: into the tree, to what has no name any more, or elsewhere. */
#define LINK_MAX_BYTES (PATH_MAX + 32)
struct place {
    char link[LINK_MAX_BYTES]; /* as it is to be read from here */
    enum { PLACE_TREE, PLACE_DELETED, PLACE_OUTSIDE } kind;
    bool lost_name;
    char path[PATH_MAX]; /* "" for the guest's root */
    struct stat stat;
};

struct walk {
    const struct resolve_root *root;
    pid_t pid;
    const char *own_root; /* the tracee's, as path: ".." stops there */
    char path[PATH_MAX];  /* resolved so far; "" is the guest's root */
    size_t len;
    size_t deleted_len; /* of path: a folder without a name, or 0 */
    const char *rest;   /* still to be resolved: the caller's text, or in expanded */
    char expanded[2 * PATH_MAX];
    int links;
    bool missing;
};

void resolve_root_release(struct resolve_root *root)
{
    io_close(&root->fd);
}

void resolved_release(struct resolved *resolved)
{
    buf_release(&resolved->path);
}

/* In the tree. Errors: as readlinkat(2); -ENAMETOOLONG when it does not fit. */
static int read_link(const struct resolve_root *root, const char *path, char text[PATH_MAX])
{
    ssize_t n = readlinkat(root->fd, path, text, PATH_MAX);
    if (n < 0)
        return -errno;
    if (n == PATH_MAX)
        return -ENAMETOOLONG;
    text[n] = '\0';
    return 0;
}

int resolve_root_open(pid_t pid, struct resolve_root *ret_root, struct err *err)
{
    char path[32], prefix[PATH_MAX];
    snprintf(path, sizeof path, "/proc/%d/root", (int)pid);
    int ret = sight_read_link(pid, path, prefix);
    CLEANUP(io_close) int fd = ret < 0 ? ret : sight_open(pid, path, O_PATH | O_DIRECTORY);
    struct stat st;
    if (sight_is_refused(fd))
        return sight_refused(pid, -fd, err);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_set(err, fd < 0 ? -fd : errno, "open %s", path);
    ret_root->fd = steal_fd(&fd);
    ret_root->dev = st.st_dev;
    ret_root->ino = st.st_ino;
    strcpy(ret_root->prefix, strcmp(prefix, "/") == 0 ? "" : prefix);
    return 0;
}

/* Text of /proc as the guest would have it, "" for its root; NULL: it lies elsewhere. */
static const char *strip(const struct resolve_root *root, const char *text)
{
    size_t len = strlen(root->prefix);
    if (text[0] != '/' || strncmp(text, root->prefix, len) != 0)
        return NULL;
    text += len;
    if (text[0] != '/' && text[0] != '\0')
        return NULL;
    return strcmp(text, "/") == 0 ? "" : text;
}

/* For calls relative to the root's descriptor. */
static const char *below_root(const char *path)
{
    return *path ? path + 1 : ".";
}

static bool cut_deleted(char *path)
{
    size_t len = strlen(path), end = strlen(DELETED);
    if (len <= end || strcmp(path + len - end, DELETED) != 0)
        return false;
    path[len - end] = '\0';
    return true;
}

/* place->link is set. Its text alone does not tell: names may end with " (deleted)". */
static int find_place(const struct resolve_root *root, pid_t pid, struct place *place)
{
    struct stat named;
    char text[PATH_MAX];
    int ret = sight_read_link(pid, place->link, text);
    if (ret == 0)
        ret = sight_stat(pid, place->link, &place->stat);
    if (ret < 0)
        return ret;
    const char *path = strip(root, text);
    strcpy(place->path, path ? path : text);
    place->kind = PLACE_OUTSIDE;
    place->lost_name = false;
    if (!path)
        return 0;
    if (fstatat(root->fd, below_root(path), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
        named.st_dev == place->stat.st_dev && named.st_ino == place->stat.st_ino)
        place->kind = PLACE_TREE;
    else if (cut_deleted(place->path)) {
        place->kind = PLACE_TREE;
        if (S_ISDIR(place->stat.st_mode) || place->stat.st_nlink == 0) {
            place->kind = PLACE_DELETED;
            strcat(place->path, DELETED);
        }
        place->lost_name = place->kind == PLACE_TREE;
    }
    return 0;
}

/* --- is it a real file system? ---------------------------------------------------------- */

static const long pseudo_types[] = {PROC_SUPER_MAGIC,
                                    SYSFS_MAGIC,
                                    DEVPTS_SUPER_MAGIC,
                                    CGROUP_SUPER_MAGIC,
                                    CGROUP2_SUPER_MAGIC,
                                    PIPEFS_MAGIC,
                                    SOCKFS_MAGIC,
                                    ANON_INODE_FS_MAGIC,
                                    DEBUGFS_MAGIC,
                                    TRACEFS_MAGIC,
                                    SECURITYFS_MAGIC,
                                    SELINUX_MAGIC,
                                    BINFMTFS_MAGIC,
                                    NSFS_MAGIC,
                                    BPF_FS_MAGIC,
                                    EFIVARFS_MAGIC,
                                    PSTOREFS_MAGIC,
                                    0x19800202 /* mqueue */,
                                    0x62656570 /* configfs */,
                                    0x65735543 /* fusectl */};

/* Returns 1 or 0, or -errno. */
static int is_pseudo(pid_t pid, const char *path)
{
    struct statfs fs;
    int ret = sight_statfs(pid, path, &fs);
    if (ret < 0)
        return ret;
    for (size_t i = 0; i < sizeof pseudo_types / sizeof *pseudo_types; i++)
        if ((long)fs.f_type == pseudo_types[i])
            return 1;
    return 0;
}

/*
 * The file system of what was found, or of the nearest folder above which exists. Nearly
 * always it is the root's own, and that costs little to see.
 */
static bool is_on_pseudo(const struct walk *walk, const struct resolved *found)
{
    char path[LINK_MAX_BYTES];
    int start = snprintf(path, sizeof path, "/proc/self/fd/%d", walk->root->fd);
    struct stat st = found->stat;
    bool exists = found->exists;
    strcpy(path + start, walk->path);
    int ret = exists && !S_ISLNK(st.st_mode) && st.st_dev != walk->root->dev
                  ? is_pseudo(walk->pid, path)
                  : -ENOENT;
    while (ret < 0 && path[start]) {
        if (exists && st.st_dev == walk->root->dev)
            return false;
        *strrchr(path, '/') = '\0';
        exists = fstatat(walk->root->fd, below_root(path + start), &st, AT_SYMLINK_NOFOLLOW) == 0;
        if (exists && st.st_dev != walk->root->dev)
            ret = is_pseudo(walk->pid, path);
    }
    return ret > 0;
}

/* --- at once ---------------------------------------------------------------------------- */

/* Without links of /proc, which lead elsewhere: they are the walk's. Returns a descriptor. */
static int open_at_once(int root_fd, const char *path, bool follow)
{
    const struct open_how how = {.flags = O_PATH | O_CLOEXEC | (follow ? 0U : (unsigned)O_NOFOLLOW),
                                 .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, root_fd, path, &how, sizeof how);
}

/* What the descriptor is called in the tree. Not of pseudo file systems: /proc/self is ours. */
static bool read_name(struct walk *walk, int fd, dev_t own_dev)
{
    struct stat st;
    char link[64], text[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, text, sizeof text);
    if (n < 0 || n == PATH_MAX || fstat(fd, &st) < 0 ||
        (st.st_dev != own_dev && is_pseudo(walk->pid, link) != 0))
        return false;
    text[n] = '\0';
    const char *path = strip(walk->root, text);
    if (path)
        walk->len = (size_t)(stpcpy(walk->path, path) - walk->path);
    return path != NULL;
}

/* What is not there yet: its folder is, and it is no link either that would lead elsewhere. */
static bool name_in_folder(struct walk *walk, int root_fd, char *path, dev_t own_dev)
{
    struct stat st;
    char *slash = strrchr(path, '/');
    const char *name = slash + 1;
    if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return false;
    *slash = '\0';
    CLEANUP(io_close) int fd = open_at_once(root_fd, *path ? path : "/", true);
    if (fd < 0 || (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT) ||
        !read_name(walk, fd, own_dev) || walk->len + 1 + strlen(name) >= sizeof walk->path)
        return false;
    walk->len = (size_t)(stpcpy(stpcpy(walk->path + walk->len, "/"), name) - walk->path);
    return true;
}

/*
 * openat2(2) answers in one call what the walk asks a component at a time. Returns whether
 * walk->path is the answer; if not, as where the kernel lacks the call, there is the walk.
 */
static bool resolve_at_once(struct walk *walk, const struct place *own_root, const char *from,
                            const char *path, bool follow)
{
    char text[2 * PATH_MAX], link[64];
    size_t own_len = strlen(own_root->path);
    if (strncmp(from, own_root->path, own_len) != 0 || (from[own_len] && from[own_len] != '/'))
        return false;
    snprintf(text, sizeof text, "%s/%s", from + own_len, path);
    snprintf(link, sizeof link, "/proc/%d/root", (int)walk->pid);
    CLEANUP(io_close)
    int own_fd = *own_root->path ? sight_open(walk->pid, link, O_PATH | O_DIRECTORY) : -1;
    int root_fd = *own_root->path ? own_fd : walk->root->fd;
    CLEANUP(io_close) int fd = open_at_once(root_fd, text, follow);
    if (fd < 0 && errno == ENOENT)
        return name_in_folder(walk, root_fd, text, own_root->stat.st_dev);
    return fd >= 0 && read_name(walk, fd, own_root->stat.st_dev);
}

/* --- walking ---------------------------------------------------------------------------- */

static void walk_cut(struct walk *walk, size_t len)
{
    walk->path[walk->len = len] = '\0';
    if (len < walk->deleted_len)
        walk->deleted_len = 0;
}

static void walk_up(struct walk *walk)
{
    const char *slash = strrchr(walk->path, '/');
    if (slash && strcmp(walk->path, walk->own_root) != 0)
        walk_cut(walk, (size_t)(slash - walk->path));
}

static int walk_down(struct walk *walk, const char *name, size_t len)
{
    if (walk->len + 1 + len >= sizeof walk->path)
        return -ENAMETOOLONG;
    walk->path[walk->len] = '/';
    memcpy(walk->path + walk->len + 1, name, len);
    walk_cut(walk, walk->len + 1 + len);
    return 0;
}

static void walk_jump(struct walk *walk, const struct place *place)
{
    strcpy(walk->path, place->path);
    walk->len = strlen(place->path);
    walk->deleted_len = place->kind == PLACE_DELETED ? walk->len : 0;
}

/*
 * Whether path is one of /proc/PID's, whose links lead to a file and not to a text; ret_link is
 * its name from here. /proc is the tracee's own root's. /proc/self and /proc/thread-self are no
 * links but folders of the tracee, and are read where our own /proc has them.
 */
static bool is_magic(const struct walk *walk, char ret_link[LINK_MAX_BYTES])
{
    size_t own_len = strlen(walk->own_root);
    const char *name = walk->path + own_len + strlen(PROC);
    if (strncmp(walk->path, walk->own_root, own_len) != 0 ||
        strncmp(walk->path + own_len, PROC, strlen(PROC)) != 0)
        return false;
    size_t len = strcspn(name, "/");
    bool own = (len == 4 && strncmp(name, "self", len) == 0) ||
               (len == 11 && strncmp(name, "thread-self", len) == 0);
    if (own)
        snprintf(ret_link, LINK_MAX_BYTES, "/proc/%d%s", (int)walk->pid, name + len);
    else
        snprintf(ret_link, LINK_MAX_BYTES, "/proc/self/fd/%d%s", walk->root->fd, walk->path);
    return own || name[len] == '/';
}

/* Puts a link's target in place of its name. */
static int walk_expand(struct walk *walk, const char *target)
{
    size_t target_len = strlen(target), rest_len = strlen(walk->rest);
    if (target_len + rest_len >= sizeof walk->expanded)
        return -ENAMETOOLONG;
    memmove(walk->expanded + target_len, walk->rest, rest_len + 1);
    memcpy(walk->expanded, target, target_len);
    walk->rest = walk->expanded;
    walk_up(walk);
    if (target[0] == '/') {
        strcpy(walk->path, walk->own_root);
        walk->len = strlen(walk->path);
        walk->deleted_len = 0;
    }
    return 0;
}

/* Returns 1 when the walk ends at ret_place, else 0 or -errno. */
static int walk_follow(struct walk *walk, bool last, struct place *ret_place)
{
    char target[PATH_MAX];
    bool magic = is_magic(walk, ret_place->link);
    int ret = magic ? find_place(walk->root, walk->pid, ret_place)
                    : read_link(walk->root, below_root(walk->path), target);
    if (ret == -EINVAL) /* no link */
        return 0;
    if (ret < 0 || walk->links++ == LINKS_MAX) {
        walk->missing = true;
        return 0;
    }
    if (!magic)
        return walk_expand(walk, target);
    walk_jump(walk, ret_place);
    return last || ret_place->kind == PLACE_OUTSIDE;
}

static int walk_all(struct walk *walk, bool follow, struct place *ret_place)
{
    int ret = 0;
    while (ret == 0 && *(walk->rest += strspn(walk->rest, "/"))) {
        const char *name = walk->rest;
        size_t len = strcspn(name, "/");
        walk->rest += len;
        bool last = walk->rest[strspn(walk->rest, "/")] == '\0';
        if (len == 2 && strncmp(name, "..", len) == 0)
            walk_up(walk);
        else if (len != 1 || *name != '.') {
            ret = walk_down(walk, name, len);
            if (ret == 0 && !walk->missing && (!last || follow || *walk->rest))
                ret = walk_follow(walk, last, ret_place);
        }
    }
    return ret;
}

/* fd: of the process; AT_FDCWD is its working folder. */
static int find_own_place(const struct resolve_root *root, pid_t pid, int fd,
                          struct place *ret_place)
{
    snprintf(ret_place->link, LINK_MAX_BYTES, fd == AT_FDCWD ? "/proc/%d/cwd" : "/proc/%d/fd/%d",
             (int)pid, fd);
    int ret = find_place(root, pid, ret_place);
    return ret == -ENOENT ? (fd == AT_FDCWD ? -ESRCH : -EBADF) : ret;
}

/* The tracee's own root, which nearly always is the guest's. */
static int find_own_root(const struct resolve_root *root, pid_t pid, struct place *ret_place)
{
    snprintf(ret_place->link, LINK_MAX_BYTES, "/proc/%d/root", (int)pid);
    int ret = sight_stat(pid, ret_place->link, &ret_place->stat);
    if (ret < 0)
        return ret == -ENOENT ? -ESRCH : ret;
    ret_place->kind = PLACE_TREE;
    ret_place->lost_name = false;
    ret_place->path[0] = '\0';
    bool same = ret_place->stat.st_dev == root->dev && ret_place->stat.st_ino == root->ino;
    return same ? 0 : find_place(root, pid, ret_place);
}

static void set_path(struct resolved *resolved, const char *path)
{
    buf_clear(&resolved->path);
    buf_add(&resolved->path, *path ? path : "/");
}

/* rest: of a path that went on from there. */
static void set_place(const struct resolve_root *root, pid_t pid, const struct place *place,
                      const char *rest, struct resolved *ret_resolved)
{
    set_path(ret_resolved, place->path);
    buf_add(&ret_resolved->path, *rest && *rest != '/' ? "/" : "");
    buf_add(&ret_resolved->path, rest);
    ret_resolved->exists = !*rest;
    ret_resolved->lost_name = place->lost_name && !*rest;
    ret_resolved->stat = place->stat;
    ret_resolved->in_tree = place->kind == PLACE_TREE &&
                            (place->stat.st_dev == root->dev || is_pseudo(pid, place->link) == 0);
}

static void set_walked(const struct walk *walk, struct resolved *ret_resolved)
{
    struct resolved *resolved = ret_resolved;
    resolved->stat = (struct stat){.st_ino = 0};
    resolved->exists = !walk->missing && fstatat(walk->root->fd, below_root(walk->path),
                                                 &resolved->stat, AT_SYMLINK_NOFOLLOW) == 0;
    resolved->in_tree = !walk->deleted_len && !is_on_pseudo(walk, resolved);
    resolved->lost_name = false;
    set_path(resolved, walk->path);
}

int resolve_path(const struct resolve_root *root, pid_t pid, int dir_fd, const char *path,
                 bool follow, struct resolved *ret_resolved, struct err *err)
{
    struct place own_root, place;
    struct walk walk;
    if (!*path)
        return err_set(err, ENOENT, "resolve an empty path");
    struct place *start = *path == '/' ? &own_root : &place;
    int ret = find_own_root(root, pid, &own_root);
    if (ret == 0 && start == &place)
        ret = find_own_place(root, pid, dir_fd, &place);
    if (ret < 0)
        return err_set(err, -ret, "resolve %s for process %d", path, (int)pid);
    if (start->kind == PLACE_OUTSIDE) {
        set_place(root, pid, start, path, ret_resolved);
        return 0;
    }
    walk.root = root;
    walk.pid = pid;
    walk.own_root = own_root.kind == PLACE_OUTSIDE ? "" : own_root.path;
    walk.rest = path;
    walk.links = 0;
    walk.missing = false;
    walk.deleted_len = 0;
    if (start->kind == PLACE_TREE && own_root.kind == PLACE_TREE &&
        resolve_at_once(&walk, &own_root, start->path, path, follow)) {
        set_walked(&walk, ret_resolved);
        return 0;
    }
    walk_jump(&walk, start);
    ret = walk_all(&walk, follow, &place);
    if (ret < 0)
        return err_set(err, -ret, "resolve %s for process %d", path, (int)pid);
    if (ret > 0)
        set_place(root, pid, &place, walk.rest + strspn(walk.rest, "/"), ret_resolved);
    else
        set_walked(&walk, ret_resolved);
    return 0;
}

int resolve_fd(const struct resolve_root *root, pid_t pid, int fd, struct resolved *ret_resolved,
               struct err *err)
{
    struct place place;
    int ret = find_own_place(root, pid, fd, &place);
    if (ret < 0)
        return err_set(err, -ret, "resolve descriptor %d of process %d", fd, (int)pid);
    set_place(root, pid, &place, "", ret_resolved);
    return 0;
}
