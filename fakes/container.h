/*
 * container.h: the root file system and the confinement of a machine's processes.
 *
 * There are two kinds. container_namespaces is the real one: the VMM has mount, PID, network,
 * UTS and IPC namespaces of its own, the machine's files are an overlay, and each container
 * has a first process whose end is everybody's. container_copied is for where these are refused,
 * as in a container without privileges: the overlay is a copied tree (copied_tree.h), entered
 * with chroot(2), and the VMM adopts and sweeps whoever is below it. What it has not: a first
 * process of the container; mounts, so no /proc, no read-only paths and no disk of its own
 * size; and nothing keeps a guest that means harm from the host.
 *
 * Both keep what the guest changed in the same form, MACHINE/upper. In a machine's life part()
 * comes first, in the monitor; then settle(), mount() and, once nobody of the guest lives any
 * more, unmount() in the VMM, with the machine's folder as its working folder; enter() in a
 * fresh child of that; bury() in the monitor, when the VMM has ended.
 *
 * With namespaces nothing cleans up: mounts and processes go with their namespaces.
 */
#ifndef KILLPOINT_CONTAINER_H
#define KILLPOINT_CONTAINER_H

#include "layout.h"
#include "state.h"

struct container_kind {
    const char *option; /* of the VMM's command line */
    bool has_init;      /* containers have a first process, and a PID namespace with it */
    /* -ENOTSUP: no machine can be in that folder; the text says what to do. */
    int (*check_place)(const char *state_path, struct err *err);
    /* What is forked next is apart from the host. */
    int (*part)(struct err *err);
    int (*settle)(const struct record *record, struct err *err);
    /*
     * The guest's root is there, and shows what layout and upper say. machine_fd: the machine's
     * folder. -ENOTSUP: not for this layout or record.
     */
    int (*mount)(int machine_fd, const struct layout *layout, const struct record *record,
                 struct err *err);
    /* It is not there any more; the upper has all of it. */
    int (*unmount)(int machine_fd, const struct layout *layout, struct err *err);
    /* The upper has all that the guest's root shows now. */
    int (*refresh)(int machine_fd, const struct layout *layout, struct err *err);
    /* In a child: the guest's root becomes its own. */
    int (*enter)(const struct record *record, struct err *err);
    /* Sends SIGKILL to everybody of the machine but the VMM; who is just forked may be missed. */
    void (*kill_all)(void);
    /* Nobody of the machine is left. */
    void (*bury)(void);
    /*
     * For others than the VMM, while it runs: where the guest's root and the refreshed upper are.
     * The caller frees both paths.
     */
    int (*show)(const char *machine_path, pid_t vmm_pid, const struct layout *layout, bool has_disk,
                char **ret_merged, char **ret_upper, struct err *err);
};

extern const struct container_kind container_namespaces, container_copied;

/*
 * The kind that this place allows, found out by trying: container_namespaces, or
 * container_copied with *ret_why saying what is refused. state_path: where the machines are.
 */
const struct container_kind *container_choose(const char *state_path, struct err *ret_why);

/*
 * Keeps the capabilities package scripts need; no MKNOD, SYS_ADMIN, SYS_PTRACE, NET_ADMIN over
 * anything of the host. (In a user namespace of its own a guest has all, over that alone.)
 */
int container_confine(struct err *err);

/* Fills an empty /dev with its devices and links, mounts aside. */
int container_fill_dev(int dev_fd, struct err *err);

#endif
