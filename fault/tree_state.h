/*
 * tree_state.h: a digest of what a tree of files is now, against what it was.
 *
 * It says after each call whether the call changed the files. It counts only the paths that
 * were touched so far, so that a call costs what it touches: each path that is not as it
 * was adds a number made of its name, its original and its present, and the digest is all
 * of them by XOR. So it depends on the two trees alone, not on the way from one to the
 * other, and is zero when everything is as it was.
 *
 * What counts of a file: type, mode, owner, device number, content, link target, extended
 * attributes but those of overlayfs. Not times, inode numbers and numbers of links.
 *
 * The order: tree_state_touch() before a call with every path that the call names (both of
 * a rename or a link), the call alone, then tree_state_update() with the same paths. A
 * touched path's further names (hard links) change with it, once they are touched as well.
 *
 * Paths are absolute in the tree and canonical: no parent is a symbolic link. root_fd is
 * the tree's root. The tree is hostile: no link is followed and nothing but regular files
 * is opened. Extended attributes are read through /proc/self/fd.
 */
#ifndef KILLPOINT_TREE_STATE_H
#define KILLPOINT_TREE_STATE_H

#include "content.h"

struct tree_state {
    /* Appends what a path counts as in the digest, asked once for each; NULL: as itself. */
    void (*add_name)(struct tree_state *, const char *path, struct buf *name);
    void *entries;      /* tsearch(3): by path */
    uint64_t digest[2]; /* compare it with that before the call */
    size_t n_linked;    /* entries that began with more names than one */
    char *unreadable;   /* owned: the first file that could not be read, so that a change of its
                           content alone is not seen; NULL: none */
};
#define TREE_STATE_INIT                                                                            \
    {                                                                                              \
        .entries = NULL                                                                            \
    }

void tree_state_release(struct tree_state *state);

/*
 * Before a call: what the path is now is its original, unless it was touched before. There
 * may be nothing.
 *   deep   for what may rename a folder: all below it too, but for other file systems
 * Returns 0. Errors: those of lstat, open, read, readlink, readdir, listxattr but for
 * ENOENT, ENOTDIR (there is nothing), EACCES and EPERM (see unreadable).
 */
int tree_state_touch(struct tree_state *state, int root_fd, const char *path, bool deep,
                     struct err *err);

#define TREE_STATE_WHOLE ((struct content_range){0, INT64_MAX})

/*
 * After a call: looks at the path again, which was touched.
 *   range  of a regular file, the bytes that the call may have changed where they already
 *          were; what a change of size brought or took is found without: {0, 0} for an
 *          append and a chmod, TREE_STATE_WHOLE when in doubt
 * Returns and errors as tree_state_touch().
 */
int tree_state_update(struct tree_state *state, int root_fd, const char *path, bool deep,
                      struct content_range range, struct err *err);

/*
 * Looks at every touched path again, in full.
 * Returns how many were not as the state had them, which is a change that nobody told; then
 * *ret_path is the first of them by name, the caller frees it. Errors as tree_state_touch().
 */
int tree_state_rehash(struct tree_state *state, int root_fd, char **ret_path, struct err *err);

/* The file cannot be read under this name, nor under another one that is known. */
void tree_state_cannot_read(struct tree_state *state, const char *path);

/* The digest as TREE_STATE_DIGEST_LEN hex digits, NUL-terminated. */
#define TREE_STATE_DIGEST_LEN 32
void tree_state_digest(const struct tree_state *state, char ret_text[TREE_STATE_DIGEST_LEN + 1]);

#endif
