/*
 * resolve.h: where a tracee's path or descriptor lies in the guest's tree.
 *
 * The answer is a path that is absolute in the guest's root, through no symlink, and
 * without "." and "..". resolve_root_open() once a tree; then resolve_path() and
 * resolve_fd() while the process asked about stands still. It may have its own working
 * folder and have called chroot(2) itself; both are read from /proc each time, and so are
 * /proc/self, /dev/stdout and their like: they are the tracee's, never ours.
 *
 * openat2(RESOLVE_IN_ROOT) answers for nearly all paths. For links of /proc and dangling ones,
 * and where the kernel lacks or refuses the call, links are read one component at a time. The tree
 * must not change meanwhile. What the answer does not say: whether the tracee may do it.
 * Source: path_resolution(7), openat2(2), proc(5).
 */
#ifndef KILLPOINT_RESOLVE_H
#define KILLPOINT_RESOLVE_H

#include <limits.h>
#include <sys/stat.h>

#include "io.h"

struct resolve_root {
    int fd;                /* O_PATH */
    dev_t dev;             /* of the root itself: what is on its file system is on a real one */
    ino_t ino;             /* and by this a process is known to have no other root */
    char prefix[PATH_MAX]; /* what /proc shows before a path of the guest; "" for none */
};

/*
 * In the tree is what can change the guest's files. It is not: what lies outside the root,
 * on a pseudo file system (proc, sysfs, devpts, …) or has no name any more; pipes, sockets, memfds.
 */
struct resolved {
    struct buf path;  /* not in the tree: as /proc tells it, for people */
    struct stat stat; /* of the path itself, if it exists; of a descriptor, always */
    bool exists;
    bool in_tree;
    bool lost_name; /* it lives on under another name than path */
};
#define RESOLVED_INIT                                                                              \
    {                                                                                              \
        .path = BUF_INIT                                                                           \
    }

void resolve_root_release(struct resolve_root *root);
void resolved_release(struct resolved *resolved);

/* The root of pid now is the guest's root. Errors: -EACCES, -ENOENT, as open(2) of /proc. */
int resolve_root_open(pid_t pid, struct resolve_root *ret_root, struct err *err);

/*
 * dir_fd: a descriptor of pid, or AT_FDCWD. follow: also the last component, as a slash behind it
 * demands in any case; a dangling link gives the path that would be created. A path that leads
 * through what is missing or loops gives its text, normalised, and does not exist.
 * ret_resolved may be used again and again, its path keeps its memory.
 * Errors: -ENOENT for an empty path; -EBADF when dir_fd is none; -ENAMETOOLONG; -ESRCH.
 */
int resolve_path(const struct resolve_root *root, pid_t pid, int dir_fd, const char *path,
                 bool follow, struct resolved *ret_resolved, struct err *err);

/*
 * A descriptor of pid. A file that lost this name but has another one is in the tree, under the
 * name it had: lost_name says so.
 * Errors: -EBADF; -ENAMETOOLONG.
 */
int resolve_fd(const struct resolve_root *root, pid_t pid, int fd, struct resolved *ret_resolved,
               struct err *err);

#endif
