/*
 * links.h: the further names of files, as far as a tree's calls told them.
 *
 * A descriptor's file may have lost the name by which it was opened and live on under another:
 * what is written to it then changes that one. The kernel does not tell it, so the names that
 * calls used or made for files with several names are kept, and asked.
 *
 * Paths are as tree_state.h has them.
 */
#ifndef KILLPOINT_LINKS_H
#define KILLPOINT_LINKS_H

#include <sys/types.h>

struct links {
    void *names; /* tsearch(3) */
};
#define LINKS_INIT                                                                                 \
    {                                                                                              \
        NULL                                                                                       \
    }

void links_release(struct links *links);

void links_add(struct links *links, const char *path);
/* The name is gone. One that is not known is nobody's business. */
void links_forget(struct links *links, const char *path);

/* The first known name, in byte order, that the file has now; NULL: none. Valid until the next
 * change. */
const char *links_find(const struct links *links, int root_fd, dev_t dev, ino_t ino);

#endif
