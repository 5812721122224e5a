/*
 * copied_tree.h: a plain tree of files that shows what an overlay would show.
 *
 * copied_tree_place() makes the tree what layers with an upper folder on top say, and touches
 * only what differs: an empty folder is filled, one that was used before is put back.
 * copied_tree_collect() is the way back: the upper folder gets what in the tree is not as in the
 * layers, in overlayfs' form (whiteouts, but no opaque folders: what is gone from a folder is
 * named). /dev is left out of both. As overlayfs has it, names of one file in the layers are
 * files of their own.
 *
 * A file that was changed and then given its old times has a change time that is newer than the
 * time of the file `placed`, which is made when the tree is all there.
 */
#ifndef KILLPOINT_COPIED_TREE_H
#define KILLPOINT_COPIED_TREE_H

#include "../fault/io.h"

/*
 * copy_fd: the folder of the tree `merged` and the file `placed`; both are made where they are
 * missing. upper_fd: the upper folder. layers: paths, topmost first, NULL-terminated.
 */
int copied_tree_place(int copy_fd, int upper_fd, char *const *layers, struct err *err);

/* The folder `upper` in to_fd is replaced. */
int copied_tree_collect(int copy_fd, int to_fd, char *const *layers, struct err *err);

#endif
