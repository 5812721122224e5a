/*
 * layout.h: the built layouts, the Debian trees that guests are made from.
 *
 * `ci/layouts NAME` builds one; here they are only read. They lie in $KILLPOINT_LAYOUTS, else
 * in the nearest folder `layouts` above this program's file, which in a clone is
 * build/layouts. One layout is one folder:
 *   NAME/layout.json   what it is; struct layout has its keys, `recipe` (what it was built
 *                      from) aside
 *   NAME/root/         the tree; read-only for everybody, it is an overlay's lower
 *
 * The layout `host` has no tree of its own, its only layer is /. What it hides cannot be a
 * lower layer, for overlayfs refuses a lower inside another lower (ELOOP): whoever makes a
 * machine must make each folder of `hide` in the machine's upper, opaque, before mounting.
 */
#ifndef KILLPOINT_LAYOUT_H
#define KILLPOINT_LAYOUT_H

#include "../fault/io.h"

/* Lists are NULL-terminated and never NULL; everything is owned. */
struct layout {
    char *name;
    char *title;          /* one line for people */
    char *suite;          /* bullseye, bookworm, trixie; of `host` what its os-release says */
    char *digest;         /* 64 hex digits: packages, update-ca-certificates, trust store */
    char *debian_version; /* the tree's /etc/debian_version: "12.11" */
    char **layers;        /* absolute paths of read-only trees, topmost first */
    char **hide;          /* absolute guest paths that the guest must find empty */
    char **packages;      /* "NAME VERSION", sorted */
    char **hooks;         /* names of the hooks in /etc/ca-certificates/update.d */
    int roots;            /* roots that ca-certificates.conf enables; local CAs not counted */
    bool host;            /* the layers are this machine's own files */
};
#define LAYOUT_INIT                                                                                \
    {                                                                                              \
        0                                                                                          \
    }
void layout_release(struct layout *layout);

/*
 * Reads a built layout. Returns 0 or -errno.
 * Errors: -ENOENT it is not built (the text says how to build it, or that there is none of
 * that name); -EINVAL layout.json is not as ci/layouts writes it.
 */
int layout_open(const char *name, struct layout *ret_layout, struct err *err);

/* The names of the built layouts, sorted; none is no error. Free with io_free_list(). */
int layout_list(char ***ret_names, struct err *err);

/*
 * Which layout an image stands for: NAME, debian:NAME or debian:NAME-slim, where NAME is a
 * layout that is built or that a file in scenarios/layouts describes.
 *   ret_name  the caller frees it
 * Returns 0, or -ENOENT for anything else.
 */
int layout_for_image(const char *image, char **ret_name, struct err *err);

#endif
