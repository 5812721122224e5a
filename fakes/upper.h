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

#include <sys/stat.h>

#include "../fault/io.h"

#define UPPER_SUM_LEN 32

/*
 * A copy of the folder `upper` in from_fd, as `upper` in to_fd, where there is none. ret_sum: 32
 * hex digits of all that was read, times of reading left out: equal folders have equal ones; or
 * NULL.
 */
int upper_copy(int from_fd, int to_fd, char ret_sum[UPPER_SUM_LEN + 1], struct err *err);

/*
 * Copies single entries, for who decides himself which. Files that have several names there have
 * them in the copy too, while it lasts.
 */
struct upper_copier {
    int to_root_fd;
    struct upper_twin *twins;
    struct XXH3_state_s *hash;  /* of the entry that is being copied */
    uint64_t sum_low, sum_high; /* of all entries' hashes, in whatever order they come */
};
/* to_root_fd: what the paths of entries begin at. */
int upper_copier_init(struct upper_copier *copier, int to_root_fd, struct err *err);
void upper_copier_release(struct upper_copier *copier);
/*
 * name of one folder becomes name of the other, where it is not; a folder with all below it.
 * path: the copy's; NULL, for no folder: a file of its own, whatever names it has. Returns 0 or
 * -errno, as do the others.
 */
int upper_copier_add(struct upper_copier *copier, int from_dir_fd, int to_dir_fd, const char *name,
                     const char *path);
/* Owner, mode, attributes and times, which are *st, of an entry that is there. */
int upper_copier_add_metadata(struct upper_copier *copier, int from_dir_fd, int to_dir_fd,
                              const char *name, const struct stat *st);
/* The names in a folder, sorted, without . and .. ; freed with io_free_list(). Closes dir_fd. */
int upper_read_names(int dir_fd, char ***ret_names);

/* machine_fd: the machine's folder. What was saved before is replaced as one. */
int upper_save(int machine_fd, struct err *err);

/* The upper is as it was saved; -ENOENT when nothing was. */
int upper_restore(int machine_fd, struct err *err);

#endif
