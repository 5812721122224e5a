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

#define UPPER_SUM_LEN 32

/*
 * A copy of the folder `upper` in from_fd, as `upper` in to_fd, where there is none. ret_sum: 32
 * hex digits of all that was read, times of reading left out: equal folders have equal ones; or
 * NULL.
 */
int upper_copy(int from_fd, int to_fd, char ret_sum[UPPER_SUM_LEN + 1], struct err *err);

/* machine_fd: the machine's folder. What was saved before is replaced as one. */
int upper_save(int machine_fd, struct err *err);

/* The upper is as it was saved; -ENOENT when nothing was. */
int upper_restore(int machine_fd, struct err *err);

#endif
