#include "tree_state.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <xxhash.h>

#define HIDDEN_XATTRS "trusted.overlay."

struct version {
    XXH128_hash_t hash; /* all zero: there is nothing */
    dev_t dev;
    ino_t ino;
    mode_t mode;
    nlink_t links;
    int64_t size_bytes;
};

struct tracked {
    char *path;
    XXH128_hash_t name;
    struct version original, now;
    struct content content; /* of now */
};

static const struct version missing;

static bool same_hash(const struct version *a, const struct version *b)
{
    return XXH128_isEqual(a->hash, b->hash);
}

static bool same_inode(const struct version *a, const struct version *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->mode && b->mode;
}

static bool has_other_names(const struct version *version)
{
    return version->links > 1 && !S_ISDIR(version->mode);
}

static bool is_below(const char *path, const char *top)
{
    size_t len = strcmp(top, "/") == 0 ? 0 : strlen(top);
    return strncmp(path, top, len) == 0 && path[len] == '/';
}

/* --- the entries ---------------------------------------------------------------------- */

static int compare_entries(const void *a, const void *b)
{
    const struct tracked *left = a, *right = b;
    return strcmp(left->path, right->path);
}

static void free_entry(void *node)
{
    struct tracked *entry = node;
    free(entry->path);
    content_release(&entry->content);
    free(entry);
}

void tree_state_release(struct tree_state *state)
{
    tdestroy(state->entries, free_entry);
    free(state->unreadable);
    *state = (struct tree_state)TREE_STATE_INIT;
}

void tree_state_cannot_read(struct tree_state *state, const char *path)
{
    if (!state->unreadable)
        state->unreadable = io_format("%s", path);
}

static struct tracked *find(const struct tree_state *state, char *path)
{
    struct tracked wanted = {.path = path};
    struct tracked **found = tfind(&wanted, &state->entries, compare_entries);
    return found ? *found : NULL;
}

/* A new entry, of a path where nothing is and was. */
static struct tracked *add(struct tree_state *state, const char *path)
{
    struct tracked *entry = calloc(1, sizeof *entry);
    if (!entry)
        abort();
    entry->path = io_format("%s", path);
    CLEANUP(buf_release) struct buf name = BUF_INIT;
    if (state->add_name)
        state->add_name(state, path, &name);
    else
        buf_add(&name, path);
    entry->name = XXH3_128bits(name.data, name.len);
    if (!tsearch(entry, &state->entries, compare_entries))
        abort();
    return entry;
}

static void mix(struct tree_state *state, const struct tracked *entry)
{
    if (same_hash(&entry->original, &entry->now))
        return;
    XXH128_hash_t parts[] = {entry->name, entry->original.hash, entry->now.hash};
    XXH128_hash_t all = XXH3_128bits(parts, sizeof parts);
    state->digest[0] ^= all.high64;
    state->digest[1] ^= all.low64;
}

static void set_now(struct tree_state *state, struct tracked *entry, const struct version *now)
{
    mix(state, entry);
    entry->now = *now;
    mix(state, entry);
}

/* --- one file ------------------------------------------------------------------------- */

struct reader {
    struct tree_state *state;
    int root_fd;
    struct tracked *entry; /* what is read, and what is known of it */
    struct err *err;
};

static const char *below_root(const struct reader *r)
{
    return r->entry->path[1] ? r->entry->path + 1 : ".";
}

/* What an unprivileged engine may not see is no failure; 0 where errnum says so. */
static int forgive(struct reader *r, int errnum, const char *what)
{
    if (errnum != EACCES && errnum != EPERM)
        return err_set(r->err, errnum, "%s %s", what, r->entry->path);
    tree_state_cannot_read(r->state, r->entry->path);
    return 0;
}

static int read_content(struct reader *r, const struct version *now, struct content_range range,
                        XXH128_hash_t *ret)
{
    struct tracked *entry = r->entry;
    CLEANUP(io_close)
    int fd = openat(r->root_fd, below_root(r), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        content_release(&entry->content);
        return forgive(r, errno, "open");
    }
    if (!same_inode(&entry->now, now))
        content_release(&entry->content);
    int ret_code =
        content_update(&entry->content, fd, entry->now.size_bytes, now->size_bytes, range);
    if (ret_code < 0)
        return err_set(r->err, -ret_code, "read %s", entry->path);
    *ret = entry->content.digest;
    return 0;
}

static int read_target(struct reader *r, XXH128_hash_t *ret)
{
    char target[PATH_MAX];
    ssize_t len = readlinkat(r->root_fd, below_root(r), target, sizeof target);
    if (len < 0)
        return forgive(r, errno, "readlink");
    *ret = XXH3_128bits(target, (size_t)len);
    return 0;
}

/* By XOR, as the kernel lists them in any order. */
static int read_xattrs(struct reader *r, XXH128_hash_t *ret)
{
    char names[XATTR_LIST_MAX], value[XATTR_SIZE_MAX];
    CLEANUP(io_free)
    char *path = io_format("/proc/self/fd/%d/%s", r->root_fd, below_root(r));
    ssize_t len = llistxattr(path, names, sizeof names);
    if (len < 0)
        return errno == ENOTSUP ? 0 : forgive(r, errno, "listxattr");
    for (const char *name = names; name < names + len; name += strlen(name) + 1) {
        if (strncmp(name, HIDDEN_XATTRS, strlen(HIDDEN_XATTRS)) == 0)
            continue;
        ssize_t value_len = lgetxattr(path, name, value, sizeof value);
        int ret_code = value_len < 0 ? forgive(r, errno, "getxattr") : 0;
        if (ret_code < 0)
            return ret_code;
        XXH128_hash_t parts[] = {XXH3_128bits(name, strlen(name)),
                                 XXH3_128bits(value, value_len < 0 ? 0 : (size_t)value_len)};
        XXH128_hash_t both = XXH3_128bits(parts, sizeof parts);
        ret->low64 ^= both.low64;
        ret->high64 ^= both.high64;
    }
    return 0;
}

/* Whether a parent is no folder any more: what the path would find then is another file. */
static bool is_hidden(const struct tree_state *state, const char *path)
{
    CLEANUP(io_free) char *parent = io_format("%s", path);
    for (char *slash = parent + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        const struct tracked *entry = find(state, parent);
        *slash = '/';
        if (entry && !S_ISDIR(entry->now.mode))
            return true;
    }
    return false;
}

static int read_version(struct reader *r, struct content_range range, struct version *ret)
{
    struct stat st;
    *ret = missing;
    int errnum = 0;
    if (is_hidden(r->state, r->entry->path))
        errnum = ENOTDIR;
    else if (fstatat(r->root_fd, below_root(r), &st, AT_SYMLINK_NOFOLLOW) < 0)
        errnum = errno;
    if (errnum || !S_ISREG(st.st_mode))
        content_release(&r->entry->content);
    if (errnum)
        return errnum == ENOENT || errnum == ENOTDIR ? 0 : forgive(r, errnum, "lstat");
    bool device = S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode);
    struct version now = {.dev = st.st_dev,
                          .ino = st.st_ino,
                          .mode = st.st_mode,
                          .links = st.st_nlink,
                          .size_bytes = S_ISREG(st.st_mode) ? st.st_size : 0};
    XXH128_hash_t content = {0, 0}, xattrs = {0, 0};
    int ret_code = 0;
    if (S_ISREG(st.st_mode))
        ret_code = read_content(r, &now, range, &content);
    else if (S_ISLNK(st.st_mode))
        ret_code = read_target(r, &content);
    if (ret_code == 0)
        ret_code = read_xattrs(r, &xattrs);
    if (ret_code < 0)
        return ret_code;
    uint64_t parts[] = {st.st_mode,
                        st.st_uid,
                        st.st_gid,
                        device ? st.st_rdev : 0,
                        (uint64_t)now.size_bytes,
                        content.high64,
                        content.low64,
                        xattrs.high64,
                        xattrs.low64};
    now.hash = XXH3_128bits(parts, sizeof parts);
    *ret = now;
    return 0;
}

/* --- many files ----------------------------------------------------------------------- */

struct visit {
    struct reader reader;
    const char *top; /* NULL: every entry */
    struct content_range range;
    const struct tracked *like;
    const struct tracked *found;
    struct buf changed; /* the first path that was not as known */
    int n_changed;
    int ret;
};

static void share_now(const void *node, VISIT which, void *closure)
{
    struct tracked *entry = *(struct tracked *const *)node;
    struct visit *visit = closure;
    const struct tracked *like = visit->like;
    if ((which != postorder && which != leaf) || entry == like ||
        !same_inode(&entry->now, &like->now))
        return;
    set_now(visit->reader.state, entry, &like->now);
    content_release(&entry->content);
}

static void find_original(const void *node, VISIT which, void *closure)
{
    const struct tracked *entry = *(struct tracked *const *)node;
    struct visit *visit = closure;
    if ((which == postorder || which == leaf) && entry != visit->like &&
        has_other_names(&entry->original) && same_inode(&entry->original, &visit->like->now))
        visit->found = entry;
}

static int refresh(struct reader *r, struct content_range range)
{
    struct version now;
    int ret = read_version(r, range, &now);
    if (ret < 0)
        return ret;
    set_now(r->state, r->entry, &now);
    if (has_other_names(&now)) {
        struct visit visit = {.reader = *r, .like = r->entry};
        twalk_r(r->state->entries, share_now, &visit);
    }
    return 0;
}

static void refresh_below(const void *node, VISIT which, void *closure)
{
    struct tracked *entry = *(struct tracked *const *)node;
    struct visit *visit = closure;
    if ((which != postorder && which != leaf) || visit->ret < 0 ||
        (visit->top && !is_below(entry->path, visit->top)))
        return;
    struct version before = entry->now;
    visit->reader.entry = entry;
    visit->ret = refresh(&visit->reader, visit->range);
    if (visit->ret == 0 && !same_hash(&before, &entry->now) && visit->n_changed++ == 0)
        buf_add(&visit->changed, entry->path);
}

static void close_dir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

/* Calls fn for every name in the folder of r->entry; nothing for what is none. */
static int for_children(struct reader *r, int (*fn)(struct reader *, const char *path))
{
    if (!S_ISDIR(r->entry->now.mode))
        return 0;
    int fd = openat(r->root_fd, below_root(r), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    CLEANUP(close_dir) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        int errnum = errno;
        io_close(&fd);
        return forgive(r, errnum, "open");
    }
    struct dirent *name;
    int ret = 0;
    while (ret == 0 && (name = readdir(dir))) {
        if (strcmp(name->d_name, ".") == 0 || strcmp(name->d_name, "..") == 0)
            continue;
        const char *path = r->entry->path;
        CLEANUP(io_free) char *child = io_format("%s/%s", path[1] ? path : "", name->d_name);
        ret = fn(r, child);
    }
    return ret;
}

static int touch_one(struct reader *r, const char *path)
{
    CLEANUP(io_free) char *copy = io_format("%s", path);
    r->entry = find(r->state, copy);
    if (r->entry)
        return 0;
    r->entry = add(r->state, path);
    struct version now;
    int ret = read_version(r, TREE_STATE_WHOLE, &now);
    if (ret < 0) {
        tdelete(r->entry, &r->state->entries, compare_entries);
        free_entry(r->entry);
        return ret;
    }
    r->entry->original = r->entry->now = now;
    /* Another name of the same file may have changed it before this one was touched. */
    struct visit visit = {.like = r->entry};
    if (r->state->n_linked > 0 && !S_ISDIR(now.mode))
        twalk_r(r->state->entries, find_original, &visit);
    if (visit.found)
        r->entry->original = visit.found->original;
    r->state->n_linked += has_other_names(&r->entry->original);
    mix(r->state, r->entry);
    return 0;
}

static int touch_deep(struct reader *parent, const char *path)
{
    struct reader r = *parent;
    int ret = touch_one(&r, path);
    if (ret < 0 ||
        (parent->entry && S_ISDIR(r.entry->now.mode) && r.entry->now.dev != parent->entry->now.dev))
        return ret;
    return for_children(&r, touch_deep);
}

int tree_state_touch(struct tree_state *state, int root_fd, const char *path, bool deep,
                     struct err *err)
{
    struct reader r = {.state = state, .root_fd = root_fd, .err = err};
    return deep ? touch_deep(&r, path) : touch_one(&r, path);
}

/* What a folder brought along was not here: all that was here was touched as it went away. */
static int update_deep(struct reader *parent, const char *path)
{
    struct reader r = *parent;
    CLEANUP(io_free) char *copy = io_format("%s", path);
    r.entry = find(r.state, copy);
    if (!r.entry)
        r.entry = add(r.state, path);
    int ret = refresh(&r, TREE_STATE_WHOLE);
    if (ret < 0 || r.entry->now.dev != parent->entry->now.dev)
        return ret;
    return for_children(&r, update_deep);
}

int tree_state_update(struct tree_state *state, int root_fd, const char *path, bool deep,
                      struct content_range range, struct err *err)
{
    CLEANUP(io_free) char *copy = io_format("%s", path);
    struct reader r = {state, root_fd, find(state, copy), err};
    assert(r.entry);
    int ret = refresh(&r, range);
    if (ret < 0 || !deep)
        return ret;
    ret = for_children(&r, update_deep);
    if (ret < 0)
        return ret;
    /* What went away; the rest is known by now, its content too. Only so late, because a
       link that came may stand where a parent was, and is_hidden() must know it. */
    struct visit visit = {.reader = r, .top = path};
    twalk_r(state->entries, refresh_below, &visit);
    buf_release(&visit.changed);
    return visit.ret;
}

int tree_state_rehash(struct tree_state *state, int root_fd, char **ret_path, struct err *err)
{
    struct visit visit = {.reader = {.state = state, .root_fd = root_fd, .err = err},
                          .range = TREE_STATE_WHOLE};
    twalk_r(state->entries, refresh_below, &visit);
    if (visit.ret == 0 && visit.n_changed > 0)
        *ret_path = steal_ptr(&visit.changed.data);
    buf_release(&visit.changed);
    return visit.ret < 0 ? visit.ret : visit.n_changed;
}

void tree_state_digest(const struct tree_state *state, char ret_text[TREE_STATE_DIGEST_LEN + 1])
{
    snprintf(ret_text, TREE_STATE_DIGEST_LEN + 1, "%016" PRIx64 "%016" PRIx64, state->digest[0],
             state->digest[1]);
}
