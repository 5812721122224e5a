/*
 * The kind of container.h that needs no privileges. The tree is MACHINE/copied/merged
 * (copied_tree.h). Copying a layout takes a while, so a machine that ends leaves its tree in
 * STATE/copies, where there is such a folder, and the next one of that layout puts it back; else it
 * stays for the machine's own next start. `placed` is called `kept` once the upper has all of it.
 */
#include "container.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../fault/offspring.h"
#include "copied_tree.h"

#define COPY "copied"
#define PLACED COPY "/placed" /* by copied_tree_place() */
#define KEPT COPY "/kept"
#define SPARES "../../copies" /* from the machine's folder: of the state folder */
#define DIGEST_DIGITS 16

static int check_place(const char *state_path, struct err *err)
{
    CLEANUP(io_free) char *path = io_format("%s/.null-%d", state_path, (int)getpid());
    struct statvfs vfs;
    bool made = mknod(path, S_IFCHR | 0600, makedev(1, 3)) == 0;
    CLEANUP(io_close) int fd = made ? open(path, O_WRONLY | O_CLOEXEC) : -1;
    const char *why = fd < 0 ? strerror(errno) : "noexec";
    unlink(path);
    if (fd >= 0 && statvfs(state_path, &vfs) == 0 && !(vfs.f_flag & ST_NOEXEC))
        return 0;
    return err_text(err, ENOTSUP,
                    "machines are copied trees here, and %s takes no %s (%s): set KILLPOINT_STATE "
                    "to a folder on another file system",
                    state_path, fd < 0 ? "devices" : "programs", why);
}

static int adopt(struct err *err)
{
    return offspring_adopt(true, err);
}

static int settle(const struct record *record, struct err *err)
{
    (void)record;
    return adopt(err);
}

static void kill_all(void)
{
    offspring_kill();
}

/* --- files ------------------------------------------------------------------------- */

static int open_copy(int machine_fd, struct err *err)
{
    int fd = openat(machine_fd, COPY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? err_set(err, errno, "open the copied tree") : fd;
}

static int check_possible(const struct layout *layout, const struct record *record, struct err *err)
{
    static const char why[] = "this needs mounts, and here machines are copied trees";
    if (record->disk_bytes > 0)
        return err_text(err, ENOTSUP, "a disk of its own size: %s", why);
    if (record->read_only && record->read_only[0])
        return err_text(err, ENOTSUP, "read-only paths: %s", why);
    if (layout->host || layout->hide[0])
        return err_text(err, ENOTSUP, "the layout %s: %s", layout->name, why);
    return 0;
}

/* A machine that ended left it; of several who want it one gets it. */
static void take_spare(int machine_fd, const struct layout *layout)
{
    int fd = openat(machine_fd, SPARES, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    while (dir && (entry = readdir(dir)))
        if (strncmp(entry->d_name, layout->digest, DIGEST_DIGITS) == 0 &&
            renameat(dirfd(dir), entry->d_name, machine_fd, COPY) == 0)
            break;
    if (dir)
        closedir(dir);
}

static int fill_dev(int copy_fd, struct err *err)
{
    int ret = io_remove_tree(copy_fd, "merged/dev", err);
    if (ret < 0)
        return ret;
    if (mkdirat(copy_fd, "merged/dev", 0755) < 0)
        return err_set(err, errno, "make /dev");
    CLEANUP(io_close) int fd = openat(copy_fd, "merged/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? err_set(err, errno, "open /dev") : container_fill_dev(fd, err);
}

static int refresh(int machine_fd, const struct layout *layout, struct err *err)
{
    CLEANUP(io_close) int copy_fd = open_copy(machine_fd, err);
    return copy_fd < 0 ? copy_fd : copied_tree_collect(copy_fd, machine_fd, layout->layers, err);
}

static int mount(int machine_fd, const struct layout *layout, const struct record *record,
                 struct err *err)
{
    int ret = check_possible(layout, record, err);
    if (ret == 0 && faccessat(machine_fd, COPY, F_OK, 0) < 0)
        take_spare(machine_fd, layout);
    /* A VMM that was killed has collected nothing. */
    if (ret == 0 && faccessat(machine_fd, PLACED, F_OK, 0) == 0)
        ret = refresh(machine_fd, layout, err);
    if (ret < 0)
        return ret;
    renameat(machine_fd, KEPT, machine_fd, PLACED);
    mkdirat(machine_fd, COPY, 0700); /* they may be there: opening tells */
    mkdirat(machine_fd, "upper", 0755);
    CLEANUP(io_close) int copy_fd = open_copy(machine_fd, err);
    if (copy_fd < 0)
        return copy_fd;
    CLEANUP(io_close)
    int upper_fd = openat(machine_fd, "upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (upper_fd < 0)
        return err_set(err, errno, "open the upper folder");
    ret = copied_tree_place(copy_fd, upper_fd, layout->layers, err);
    return ret < 0 ? ret : fill_dev(copy_fd, err);
}

static int unmount(int machine_fd, const struct layout *layout, struct err *err)
{
    char spare[64];
    int ret = refresh(machine_fd, layout, err);
    if (ret < 0)
        return ret;
    if (renameat(machine_fd, PLACED, machine_fd, KEPT) < 0)
        return err_set(err, errno, "keep the copied tree");
    snprintf(spare, sizeof spare, SPARES "/%.*s.%d", DIGEST_DIGITS, layout->digest, (int)getpid());
    renameat(machine_fd, COPY, machine_fd, spare); /* nobody may want it */
    return 0;
}

static int enter(const struct record *record, struct err *err)
{
    (void)record;
    if (chdir(COPY "/merged") < 0 || chroot(".") < 0 || chdir("/") < 0)
        return err_set(err, errno, "enter the copied tree");
    return 0;
}

static int show(const char *machine_path, pid_t vmm_pid, const struct layout *layout, bool has_disk,
                char **ret_merged, char **ret_upper, struct err *err)
{
    (void)vmm_pid, (void)has_disk;
    CLEANUP(io_close) int machine_fd = open(machine_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (machine_fd < 0)
        return err_set(err, errno, "open %s", machine_path);
    int ret = refresh(machine_fd, layout, err);
    if (ret < 0)
        return ret;
    *ret_merged = io_format("%s/" COPY "/merged", machine_path);
    *ret_upper = io_format("%s/upper", machine_path);
    return 0;
}

const struct container_kind container_copied = {.option = "--copied",
                                                .has_init = false,
                                                .check_place = check_place,
                                                .part = adopt,
                                                .settle = settle,
                                                .mount = mount,
                                                .unmount = unmount,
                                                .refresh = refresh,
                                                .enter = enter,
                                                .kill_all = kill_all,
                                                .bury = offspring_end,
                                                .show = show};
