#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <openssl/evp.h>

static void entry_release(struct tree_entry *entry)
{
    free(entry->path);
    free(entry->target);
    *entry = (struct tree_entry){0};
}

void tree_release(struct tree *tree)
{
    for (size_t i = 0; i < tree->n; i++)
        entry_release(&tree->entries[i]);
    free(tree->entries);
    *tree = (struct tree){0};
}

void tree_diffs_release(struct tree_diffs *diffs)
{
    for (size_t i = 0; i < TREE_DIFFS_LISTED; i++) {
        free(diffs->list[i].path);
        free(diffs->list[i].expected);
        free(diffs->list[i].found);
    }
    *diffs = (struct tree_diffs){0};
}

static void close_dir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

static int open_folder(int dir_fd, const char *name)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int open_root(const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? err_set(err, errno, "open %s", path) : fd;
}

static bool is_whiteout(const struct stat *st)
{
    return S_ISCHR(st->st_mode) && st->st_rdev == 0;
}

static bool is_opaque(int fd)
{
    char value[2] = "";
    return fgetxattr(fd, "trusted.overlay.opaque", value, 1) == 1 && *value == 'y';
}

static bool is_redirected(int fd)
{
    return fgetxattr(fd, "trusted.overlay.redirect", NULL, 0) >= 0;
}

/* --- states ----------------------------------------------------------------- */

/* What walk_to() found at the end of a path. */
struct place {
    int parent_fd;    /* -1: the path ends before its last name */
    const char *name; /* the last name, inside the path */
    bool opaque;      /* a folder on the way hides what lies in lower layers */
    bool covered;     /* a whiteout or other non-folder on the way does */
};

/* Goes to the folder of a path name by name, so that no link can lead elsewhere. */
static int walk_to(int root_fd, const char *path, struct place *ret_place, struct err *err)
{
    CLEANUP(io_close) int fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return err_set(err, errno, "dup");
    CLEANUP(io_free) char *copy = io_format("%s", path);
    struct place place = {.parent_fd = -1, .name = strrchr(path, '/') + 1};
    char *name = copy + 1;
    for (char *slash; (slash = strchr(name, '/')); name = slash + 1) {
        *slash = '\0';
        struct stat st;
        int next = open_folder(fd, name);
        if (next == -ENOENT || next == -ENOTDIR || next == -ELOOP) {
            place.covered = fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
            *ret_place = place;
            return 0;
        }
        if (next < 0)
            return err_set(err, -next, "open %s", path);
        io_close(&fd);
        fd = next;
        place.opaque |= is_opaque(fd);
    }
    place.parent_fd = steal_fd(&fd);
    *ret_place = place;
    return 0;
}

static int hash_fd(int fd, unsigned char sha256[32])
{
    static const size_t chunk_bytes = 65536;
    CLEANUP(io_free) char *chunk = malloc(chunk_bytes);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (!chunk || !ctx || !EVP_DigestInit_ex(ctx, EVP_sha256(), NULL))
        abort();
    ssize_t n = 0;
    for (size_t total = 0; total < TREE_MAX_BYTES; total += (size_t)n) {
        n = read(fd, chunk, chunk_bytes);
        if (n <= 0)
            break;
        EVP_DigestUpdate(ctx, chunk, (size_t)n);
    }
    int ret = n < 0 ? -errno : 0;
    EVP_DigestFinal_ex(ctx, sha256, NULL);
    EVP_MD_CTX_free(ctx);
    return ret;
}

static int read_content(int dir_fd, const char *name, struct tree_entry *entry)
{
    CLEANUP(io_close)
    int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    return S_ISREG(st.st_mode) ? hash_fd(fd, entry->sha256) : -EAGAIN;
}

static int read_target(int dir_fd, const char *name, struct tree_entry *entry)
{
    char target[PATH_MAX];
    ssize_t len = readlinkat(dir_fd, name, target, sizeof target - 1);
    if (len < 0)
        return -errno;
    target[len] = '\0';
    entry->target = io_format("%s", target);
    return 0;
}

/* Fills in how name is; mode stays 0 when there is nothing. */
static int read_entry(int dir_fd, const char *name, struct tree_entry *entry, struct err *err)
{
    struct stat st;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : err_set(err, errno, "stat %s", entry->path);
    int ret = 0;
    if (S_ISREG(st.st_mode))
        ret = read_content(dir_fd, name, entry);
    else if (S_ISLNK(st.st_mode))
        ret = read_target(dir_fd, name, entry);
    if (ret < 0)
        return err_set(err, -ret, "read %s", entry->path);
    entry->mode = st.st_mode;
    entry->uid = st.st_uid;
    entry->gid = st.st_gid;
    entry->rdev = S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode) ? st.st_rdev : 0;
    entry->size_bytes = S_ISREG(st.st_mode) ? st.st_size : 0;
    return 0;
}

static int read_path(int root_fd, struct tree_entry *entry, struct err *err)
{
    struct place place;
    int ret = walk_to(root_fd, entry->path, &place, err);
    if (ret < 0 || place.parent_fd < 0)
        return ret;
    ret = read_entry(place.parent_fd, place.name, entry, err);
    io_close(&place.parent_fd);
    return ret;
}

/* How the layers show a path before anything was changed. */
static int read_layers(const char *const *layers, struct tree_entry *entry, struct err *err)
{
    bool hidden = false;
    for (; *layers && !hidden; layers++) {
        CLEANUP(io_close) int root_fd = open_root(*layers, err);
        if (root_fd < 0)
            return root_fd;
        struct place place;
        struct stat st;
        int ret = walk_to(root_fd, entry->path, &place, err);
        if (ret < 0)
            return ret;
        hidden = place.covered || place.opaque;
        CLEANUP(io_close) int fd = place.parent_fd;
        if (fd < 0 || fstatat(fd, place.name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        return is_whiteout(&st) ? 0 : read_entry(fd, place.name, entry, err);
    }
    return 0;
}

/* --- which paths -------------------------------------------------------------- */

enum walk_kind { WALK_UPPER, WALK_LAYER, WALK_ALL };

struct walk {
    enum walk_kind kind;
    int merged_fd;
    const char *const *layers;
    dev_t dev; /* WALK_ALL: of the root, other folders are mount points */
    struct tree *tree;
};

static int walk_below(struct walk *walk, int dir_fd, const char *path, int depth, struct err *err);

static void add_path(struct tree *tree, const char *path)
{
    if ((tree->n & (tree->n - 1)) == 0) {
        tree->entries =
            reallocarray(tree->entries, tree->n ? 2 * tree->n : 1, sizeof *tree->entries);
        if (!tree->entries)
            abort();
    }
    tree->entries[tree->n++] = (struct tree_entry){.path = io_format("%s", path)};
}

/* Every path below one folder of another tree; a tree without that folder adds none. */
static int add_subtree(const struct walk *from, int root_fd, const char *path, struct err *err)
{
    CLEANUP(io_free) char *inside = io_format("%s/.", path);
    struct place place;
    int ret = walk_to(root_fd, inside, &place, err);
    if (ret < 0 || place.parent_fd < 0)
        return ret;
    CLEANUP(io_close) int fd = place.parent_fd;
    struct walk walk = *from;
    walk.kind = WALK_LAYER;
    return walk_below(&walk, fd, path, 0, err);
}

/* What upper itself does not name, because the whole folder was replaced. */
static int add_replaced(const struct walk *walk, const char *path, struct err *err)
{
    int ret = add_subtree(walk, walk->merged_fd, path, err);
    for (const char *const *layer = walk->layers; ret == 0 && layer && *layer; layer++) {
        CLEANUP(io_close) int fd = open_root(*layer, err);
        ret = fd < 0 ? fd : add_subtree(walk, fd, path, err);
    }
    return ret;
}

static int walk_entry(struct walk *walk, int dir_fd, const char *name, const char *path, int depth,
                      struct err *err)
{
    struct stat st;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return err_set(err, errno, "stat %s", path);
    add_path(walk->tree, path);
    if (!S_ISDIR(st.st_mode) || (walk->kind == WALK_ALL && st.st_dev != walk->dev))
        return 0;
    CLEANUP(io_close) int fd = open_folder(dir_fd, name);
    if (fd < 0)
        return err_set(err, -fd, "open %s", path);
    if (walk->kind == WALK_UPPER && (is_opaque(fd) || is_redirected(fd))) {
        int ret = add_replaced(walk, path, err);
        if (ret < 0)
            return ret;
    }
    return walk_below(walk, fd, path, depth + 1, err);
}

static int walk_below(struct walk *walk, int dir_fd, const char *path, int depth, struct err *err)
{
    if (depth > TREE_MAX_DEPTH)
        return err_text(err, ELOOP, "%.200s…: more than %d folders deep", path, TREE_MAX_DEPTH);
    int fd = open_folder(dir_fd, ".");
    CLEANUP(close_dir) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir)
        return err_set(err, fd < 0 ? -fd : errno, "open %s", path);
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        CLEANUP(io_free) char *below = io_format("%s/%s", path, entry->d_name);
        int ret = walk_entry(walk, dir_fd, entry->d_name, below, depth, err);
        if (ret < 0)
            return ret;
    }
    return 0;
}

static int compare_entries(const void *a, const void *b)
{
    const struct tree_entry *left = a, *right = b;
    return strcmp(left->path, right->path);
}

static void sort_entries(struct tree *tree)
{
    size_t kept = 0;
    if (tree->n > 0)
        qsort(tree->entries, tree->n, sizeof *tree->entries, compare_entries);
    for (size_t i = 0; i < tree->n; i++) {
        if (kept > 0 && strcmp(tree->entries[kept - 1].path, tree->entries[i].path) == 0)
            entry_release(&tree->entries[i]);
        else
            tree->entries[kept++] = tree->entries[i];
    }
    tree->n = kept;
}

int tree_snapshot(const char *merged_path, const char *upper_path, const char *const *layers,
                  struct tree *ret_tree, struct err *err)
{
    CLEANUP(tree_release) struct tree tree = {0};
    CLEANUP(io_close) int merged_fd = open_root(merged_path, err);
    if (merged_fd < 0)
        return merged_fd;
    CLEANUP(io_close) int walk_fd = open_root(upper_path ? upper_path : merged_path, err);
    struct stat st;
    if (walk_fd < 0)
        return walk_fd;
    if (fstat(walk_fd, &st) < 0)
        return err_set(err, errno, "stat %s", merged_path);
    struct walk walk = {.kind = upper_path ? WALK_UPPER : WALK_ALL,
                        .merged_fd = merged_fd,
                        .layers = layers,
                        .dev = st.st_dev,
                        .tree = &tree};
    int ret = walk_below(&walk, walk_fd, "", 0, err);
    sort_entries(&tree);
    for (size_t i = 0; ret == 0 && i < tree.n; i++)
        ret = read_path(merged_fd, &tree.entries[i], err);
    if (ret < 0)
        return err_wrap(err, ret, "snapshot of %s", merged_path);
    *ret_tree = tree;
    tree = (struct tree){0};
    return 0;
}

/* --- comparing ------------------------------------------------------------------ */

static bool same_entry(const struct tree_entry *a, const struct tree_entry *b)
{
    if (a->mode != b->mode || a->uid != b->uid || a->gid != b->gid || a->rdev != b->rdev ||
        a->size_bytes != b->size_bytes)
        return false;
    if (a->target || b->target)
        return a->target && b->target && strcmp(a->target, b->target) == 0;
    return memcmp(a->sha256, b->sha256, sizeof a->sha256) == 0;
}

static char *describe(const struct tree_entry *entry)
{
    CLEANUP(io_free)
    char *owner = io_format("%04o %u:%u", entry->mode & 07777, entry->uid, entry->gid);
    switch (entry->mode & S_IFMT) {
    case 0: return io_format("nothing");
    case S_IFREG: {
        const unsigned char *sum = entry->sha256;
        return io_format("file %s %lld bytes %02x%02x%02x%02x%02x%02x", owner,
                         (long long)entry->size_bytes, sum[0], sum[1], sum[2], sum[3], sum[4],
                         sum[5]);
    }
    case S_IFLNK: return io_format("link %u:%u -> %s", entry->uid, entry->gid, entry->target);
    case S_IFDIR: return io_format("folder %s", owner);
    case S_IFIFO: return io_format("FIFO %s", owner);
    case S_IFSOCK: return io_format("socket %s", owner);
    default:
        return io_format("device %c%u:%u %s", S_ISBLK(entry->mode) ? 'b' : 'c', major(entry->rdev),
                         minor(entry->rdev), owner);
    }
}

static void add_diff(struct tree_diffs *diffs, const struct tree_entry *expected,
                     const struct tree_entry *found)
{
    if (same_entry(expected, found))
        return;
    if (diffs->n++ >= TREE_DIFFS_LISTED)
        return;
    diffs->list[diffs->n - 1] =
        (struct tree_diff){io_format("%s", expected->path), describe(expected), describe(found)};
}

/* Compares an entry of one side with what the layers show, for the side that kept that. */
static int compare_one(const struct tree_entry *entry, bool is_found, const char *const *layers,
                       struct tree_diffs *diffs, struct err *err)
{
    CLEANUP(entry_release)
    struct tree_entry kept = {.path = io_format("%s", entry->path)};
    int ret = layers ? read_layers(layers, &kept, err) : 0;
    if (ret == 0)
        add_diff(diffs, is_found ? &kept : entry, is_found ? entry : &kept);
    return ret;
}

int tree_compare(const struct tree *reference, const struct tree *found, const char *const *layers,
                 struct tree_diffs *ret_diffs, struct err *err)
{
    CLEANUP(tree_diffs_release) struct tree_diffs diffs = {0};
    size_t i = 0, j = 0;
    while (i < reference->n || j < found->n) {
        int order = i == reference->n ? 1
                    : j == found->n   ? -1
                                      : strcmp(reference->entries[i].path, found->entries[j].path);
        int ret = 0;
        if (order == 0)
            add_diff(&diffs, &reference->entries[i++], &found->entries[j++]);
        else if (order < 0)
            ret = compare_one(&reference->entries[i++], false, layers, &diffs, err);
        else
            ret = compare_one(&found->entries[j++], true, layers, &diffs, err);
        if (ret < 0)
            return ret;
    }
    *ret_diffs = diffs;
    diffs = (struct tree_diffs){0};
    return 0;
}
