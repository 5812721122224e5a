/*
 * tree.h: which files an install changed, and how they are now.
 *
 * A guest is an overlay: all it changed is in the upper folder. A snapshot holds, for
 * every path that the upper folder names, how the merged tree shows it: type, mode,
 * owner, size, content, target of a link, device. Times are left out, and sizes of
 * folders, which say nothing. Two snapshots over the same layers are compared path by
 * path; a path that only one of them changed is looked up in the layers.
 *
 * The guest's files are hostile input: no symbolic link is ever followed, only regular
 * files are opened, and of each at most TREE_MAX_BYTES are hashed.
 */
#ifndef KILLPOINT_TREE_H
#define KILLPOINT_TREE_H

#include "../fault/io.h"

#define TREE_MAX_BYTES ((size_t)64 << 20)
#define TREE_MAX_DEPTH 64
#define TREE_DIFFS_LISTED 20

/* How one path is. */
struct tree_entry {
    char *path;  /* "/etc/ssl/certs" */
    mode_t mode; /* with the type; 0: there is nothing */
    uid_t uid;
    gid_t gid;
    dev_t rdev;               /* of devices, else 0 */
    off_t size_bytes;         /* of regular files, else 0 */
    char *target;             /* of symbolic links, else NULL */
    unsigned char sha256[32]; /* of regular files, else zeros */
};

/* Sorted by path, each path once. */
struct tree {
    struct tree_entry *entries;
    size_t n;
};

void tree_release(struct tree *tree);

/*
 * Takes a snapshot. merged_path is the guest's root (may be /proc/PID/root), upper_path the
 * overlay's upper folder, layers the lower folders, topmost first, NULL-terminated. Below a
 * folder that upper made opaque or redirected, every path of the layers and of the merged
 * tree counts. upper_path NULL: every path of merged_path but those below mount points, for
 * plain copied trees. Nothing may write to the tree meanwhile.
 * Returns 0. Errors: those of openat(2) and read(2); -ELOOP, deeper than TREE_MAX_DEPTH.
 * Source: the kernel's Documentation/filesystems/overlayfs.rst (whiteouts, opaque).
 */
int tree_snapshot(const char *merged_path, const char *upper_path, const char *const *layers,
                  struct tree *ret_tree, struct err *err);

struct tree_diff {
    char *path;
    char *expected, *found; /* one line each, such as "file 0644 0:0 12 bytes 9f86d081884c" */
};

/* The first TREE_DIFFS_LISTED differences by path, and how many there are in all. */
struct tree_diffs {
    struct tree_diff list[TREE_DIFFS_LISTED];
    size_t n;
};

void tree_diffs_release(struct tree_diffs *diffs);

/* Compares. Layers as above; NULL: a path that only one of the two holds is a difference. */
int tree_compare(const struct tree *reference, const struct tree *found, const char *const *layers,
                 struct tree_diffs *ret_diffs, struct err *err);

#endif
