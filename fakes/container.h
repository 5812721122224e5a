/*
 * container.h: the root file system and the confinement of a machine's processes.
 *
 * The VMM calls container_mount() once, in mount and PID namespaces of its own. Every
 * container (the main command's, or that of an exec while no main lives) then calls
 * container_enter() in a fresh child: it gets a mount namespace with that overlay as its
 * root, its own /proc (sysctl and the like read-only), a minimal /dev, and nothing of the
 * host. container_confine() takes away the capabilities that could reach the host.
 *
 * Nothing here cleans up: mounts live in namespaces and go with their last process.
 */
#ifndef KILLPOINT_CONTAINER_H
#define KILLPOINT_CONTAINER_H

#include "layout.h"
#include "state.h"

/*
 * Mounts the overlay of layout and upper at MACHINE/merged, on a tmpfs of its own when
 * the record has a disk size. The work folder is made anew, the upper is kept.
 * machine_fd: the machine's folder. Source: kernel Documentation/filesystems/overlayfs.rst
 * (volatile: a later mount needs a work folder without its mark).
 */
int container_mount(int machine_fd, const struct layout *layout, const struct record *record,
                    struct err *err);

/*
 * In a child with a mount namespace of its own: the overlay becomes its root. The working
 * folder must be the machine's: a descriptor would lead into the VMM's mounts.
 */
int container_enter(const struct record *record, struct err *err);

/*
 * Keeps the capabilities package scripts need; no MKNOD, SYS_ADMIN, SYS_PTRACE, NET_ADMIN over
 * anything of the host. (In a user namespace of its own a guest has all, over that alone.)
 */
int container_confine(struct err *err);

/* Brings the loopback interface of this network namespace up. */
int container_loopback_up(struct err *err);

#endif
