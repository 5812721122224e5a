/*
 * upper.h: the machine's upper folder: what its guest has changed, and would keep.
 *
 * A VM that dies without a sync loses what was written since the last one. upper_save()
 * keeps a copy at a sync, MACHINE/synced; upper_restore() puts it back once nobody writes
 * any more. Everything that overlayfs keeps there is copied: whiteouts, attributes, times,
 * hard links, sparse or not.
 */
#ifndef KILLPOINT_UPPER_H
#define KILLPOINT_UPPER_H

#include "../fault/io.h"

/* machine_fd: the machine's folder. What was saved before is replaced as one. */
int upper_save(int machine_fd, struct err *err);

/* The upper is as it was saved; -ENOENT when nothing was. */
int upper_restore(int machine_fd, struct err *err);

#endif
