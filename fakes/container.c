#include "container.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static int make_folder(int dir_fd, const char *name, mode_t mode, struct err *err)
{
    if (mkdirat(dir_fd, name, mode) < 0 && errno != EEXIST)
        return err_set(err, errno, "mkdir %s", name);
    return 0;
}

static int open_folder(int dir_fd, const char *name, struct err *err)
{
    int fd = openat(dir_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? err_set(err, errno, "open %s", name) : fd;
}

/* Paths may hold any byte and be of any length; /proc/self/fd/N names them for mount(2). */
static int mount_at(const char *source, int dir_fd, const char *name, const char *type,
                    unsigned long flags, const char *options, struct err *err)
{
    CLEANUP(io_close) int fd = open_folder(dir_fd, name, err);
    if (fd < 0)
        return fd;
    char target[64];
    snprintf(target, sizeof target, "/proc/self/fd/%d", fd);
    if (mount(source, target, type, flags, options) < 0)
        return err_set(err, errno, "mount %s on %s (%s)", type ? type : source, name,
                       options ? options : "");
    return 0;
}

static int disk_mount(int machine_fd, int64_t size_bytes, struct err *err)
{
    char options[64];
    snprintf(options, sizeof options, "size=%lld,mode=0755", (long long)size_bytes);
    int ret = make_folder(machine_fd, "disk", 0755, err);
    return ret < 0 ? ret : mount_at("disk", machine_fd, "disk", "tmpfs", 0, options, err);
}

struct fd_list {
    int fds[16];
    size_t count;
};

static void fd_list_release(struct fd_list *list)
{
    while (list->count > 0)
        io_close(&list->fds[--list->count]);
}

static int fd_list_open(struct fd_list *list, int dir_fd, const char *path, struct buf *options,
                        struct err *err)
{
    if (list->count == sizeof list->fds / sizeof *list->fds)
        return err_text(err, E2BIG, "too many layers");
    int fd = open_folder(dir_fd, path, err);
    if (fd < 0)
        return fd;
    list->fds[list->count++] = fd;
    buf_printf(options, "/proc/self/fd/%d", fd);
    return 0;
}

static int overlay_mount(int machine_fd, int disk_fd, const struct layout *layout, struct err *err)
{
    CLEANUP(fd_list_release) struct fd_list fds = {.count = 0};
    CLEANUP(buf_release) struct buf options = BUF_INIT;
    int ret = 0;
    buf_add(&options, "lowerdir=");
    for (char **layer = layout->layers; *layer && ret == 0; layer++) {
        if (layer != layout->layers)
            buf_add(&options, ":");
        ret = fd_list_open(&fds, AT_FDCWD, *layer, &options, err);
    }
    buf_add(&options, ",upperdir=");
    if (ret == 0)
        ret = fd_list_open(&fds, disk_fd, "upper", &options, err);
    buf_add(&options, ",workdir=");
    if (ret == 0)
        ret = fd_list_open(&fds, disk_fd, "work", &options, err);
    buf_add(&options, ",volatile");
    if (ret < 0)
        return ret;
    return mount_at("overlay", machine_fd, "merged", "overlay", MS_NODEV | MS_NOATIME, options.data,
                    err);
}

/* What the guest must find empty is an opaque folder of the upper, made once. */
static int hide_folder(int upper_fd, const char *path, struct err *err)
{
    while (*path == '/')
        path++;
    if (mkdirat(upper_fd, path, strcmp(path, "tmp") == 0 ? 01777 : 0700) < 0)
        return errno == EEXIST ? 0 : err_set(err, errno, "hide /%s", path);
    CLEANUP(io_close) int fd = openat(upper_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsetxattr(fd, "trusted.overlay.opaque", "y", 1, 0) < 0 ||
        (strcmp(path, "tmp") == 0 && fchmod(fd, 01777) < 0))
        return err_set(err, errno, "hide /%s", path);
    return 0;
}

static int hide_folders(int disk_fd, const struct layout *layout, struct err *err)
{
    if (!*layout->hide)
        return 0;
    CLEANUP(io_close) int upper_fd = open_folder(disk_fd, "upper", err);
    int ret = upper_fd < 0 ? upper_fd : 0;
    for (char **path = layout->hide; *path && ret == 0; path++)
        ret = hide_folder(upper_fd, *path, err);
    return ret;
}

static int mount_files(int machine_fd, const struct layout *layout, const struct record *record,
                       struct err *err)
{
    int ret = 0;
    if (record->disk_bytes > 0)
        ret = disk_mount(machine_fd, record->disk_bytes, err);
    if (ret < 0)
        return ret;
    CLEANUP(io_close) int disk_fd = open_folder(machine_fd, record->disk_bytes ? "disk" : ".", err);
    if (disk_fd < 0)
        return disk_fd;
    ret = io_remove_tree(disk_fd, "work", err);
    if (ret == 0)
        ret = make_folder(disk_fd, "work", 0755, err);
    if (ret == 0)
        ret = make_folder(disk_fd, "upper", 0755, err);
    if (ret == 0)
        ret = make_folder(machine_fd, "merged", 0755, err);
    if (ret == 0)
        ret = hide_folders(disk_fd, layout, err);
    return ret < 0 ? ret : overlay_mount(machine_fd, disk_fd, layout, err);
}

static int unmount_files(int machine_fd, const struct layout *layout, struct err *err)
{
    (void)machine_fd, (void)layout;
    return umount2("merged", MNT_DETACH) < 0 ? err_set(err, errno, "unmount the overlay") : 0;
}

/* The overlay itself writes to the upper. */
static int refresh_upper(int machine_fd, const struct layout *layout, struct err *err)
{
    (void)machine_fd, (void)layout, (void)err;
    return 0;
}

static int show_files(const char *machine_path, pid_t vmm_pid, const struct layout *layout,
                      bool has_disk, char **ret_merged, char **ret_upper, struct err *err)
{
    (void)layout, (void)err;
    *ret_merged = io_format("/proc/%d/root%s/merged", (int)vmm_pid, machine_path);
    *ret_upper =
        io_format("/proc/%d/root%s/%supper", (int)vmm_pid, machine_path, has_disk ? "disk/" : "");
    return 0;
}

/* --- inside a container's first process ------------------------------------ */

static const struct {
    const char *name;
    unsigned minor;
    unsigned major;
} devices[] = {{"null", 3, 1},   {"zero", 5, 1},    {"full", 7, 1},
               {"random", 8, 1}, {"urandom", 9, 1}, {"tty", 0, 5}};

static const struct {
    const char *name, *target;
} dev_links[] = {{"fd", "/proc/self/fd"},
                 {"stdin", "/proc/self/fd/0"},
                 {"stdout", "/proc/self/fd/1"},
                 {"stderr", "/proc/self/fd/2"},
                 {"ptmx", "pts/ptmx"}};

int container_fill_dev(int dev_fd, struct err *err)
{
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
        if (mknodat(dev_fd, devices[i].name, S_IFCHR | 0666,
                    makedev(devices[i].major, devices[i].minor)) < 0 ||
            fchmodat(dev_fd, devices[i].name, 0666, 0) < 0)
            return err_set(err, errno, "make /dev/%s", devices[i].name);
    for (size_t i = 0; i < sizeof dev_links / sizeof *dev_links; i++)
        if (symlinkat(dev_links[i].target, dev_fd, dev_links[i].name) < 0)
            return err_set(err, errno, "make /dev/%s", dev_links[i].name);
    int ret = make_folder(dev_fd, "pts", 0755, err);
    return ret < 0 ? ret : make_folder(dev_fd, "shm", 01777, err);
}

static int mount_in_dev(int dev_fd, struct err *err)
{
    int ret = container_fill_dev(dev_fd, err);
    if (ret == 0)
        ret = mount_at("devpts", dev_fd, "pts", "devpts", MS_NOSUID | MS_NOEXEC,
                       "newinstance,ptmxmode=0666,mode=0620", err);
    if (ret == 0)
        ret = mount_at("shm", dev_fd, "shm", "tmpfs", MS_NOSUID | MS_NODEV, "size=65536k", err);
    return ret;
}

/* uid 0 may write to these without any capability, and they are the host's. */
static const char *const proc_read_only[] = {"sys", "sysrq-trigger", "irq", "bus", "fs", "acpi"};

static int proc_protect(int root_fd, struct err *err)
{
    for (size_t i = 0; i < sizeof proc_read_only / sizeof *proc_read_only; i++) {
        char path[64];
        snprintf(path, sizeof path, "proc/%s", proc_read_only[i]);
        int fd = openat(root_fd, path, O_PATH | O_CLOEXEC);
        if (fd < 0)
            continue; /* this kernel has none */
        char target[64];
        snprintf(target, sizeof target, "/proc/self/fd/%d", fd);
        int ret = mount(target, target, "none", MS_BIND, NULL);
        close(fd);
        /* Named anew: the old descriptor is still below the new mount. */
        fd = ret < 0 ? -1 : openat(root_fd, path, O_PATH | O_CLOEXEC);
        snprintf(target, sizeof target, "/proc/self/fd/%d", fd);
        if (fd < 0 ||
            mount("none", target, "none",
                  MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
            ret = -1;
        int errnum = errno;
        if (fd >= 0)
            close(fd);
        if (ret < 0)
            return err_set(err, errnum, "protect /%s", path);
    }
    return 0;
}

/* `path` below root_fd becomes read-only in this container. */
static int make_read_only(int root_fd, const char *path, struct err *err)
{
    while (*path == '/')
        path++;
    for (int pass = 0; pass < 2; pass++) {
        CLEANUP(io_close) int fd = openat(root_fd, path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        char target[64];
        snprintf(target, sizeof target, "/proc/self/fd/%d", fd);
        unsigned long flags = pass == 0 ? MS_BIND : MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NODEV;
        if (fd < 0 || mount(target, target, "none", flags, NULL) < 0)
            return err_set(err, errno, "make /%s read-only", path);
    }
    return 0;
}

static int pivot(int root_fd, struct err *err)
{
    if (fchdir(root_fd) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
        umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        return err_set(err, errno, "pivot_root");
    return 0;
}

static int enter(const struct record *record, struct err *err)
{
    if (unshare(CLONE_NEWNS) < 0)
        return err_set(err, errno, "unshare mounts");
    if (mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0)
        return err_set(err, errno, "make mounts private");
    CLEANUP(io_close) int root_fd = open_folder(AT_FDCWD, "merged", err);
    if (root_fd < 0)
        return root_fd;
    int ret =
        mount_at("proc", root_fd, "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, err);
    if (ret == 0)
        ret = proc_protect(root_fd, err);
    if (ret == 0)
        ret = mount_at("dev", root_fd, "dev", "tmpfs", MS_NOSUID, "mode=755,size=64k", err);
    for (char **path = record->read_only; path && *path && ret == 0; path++)
        ret = make_read_only(root_fd, *path, err);
    if (ret < 0)
        return ret;
    CLEANUP(io_close) int dev_fd = open_folder(root_fd, "dev", err);
    ret = dev_fd < 0 ? dev_fd : mount_in_dev(dev_fd, err);
    return ret < 0 ? ret : pivot(root_fd, err);
}

static const int kept_capabilities[] = {
    CAP_CHOWN,  CAP_DAC_OVERRIDE,     CAP_FOWNER,     CAP_FSETID,  CAP_KILL,    CAP_SETGID,
    CAP_SETUID, CAP_NET_BIND_SERVICE, CAP_SYS_CHROOT, CAP_SETFCAP, CAP_SETPCAP, CAP_AUDIT_WRITE};

int container_confine(struct err *err)
{
    uint64_t kept = 0;
    for (size_t i = 0; i < sizeof kept_capabilities / sizeof *kept_capabilities; i++)
        kept |= UINT64_C(1) << kept_capabilities[i];
    for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
        if (!(kept >> cap & 1) && prctl(PR_CAPBSET_DROP, cap) < 0 && errno != EPERM)
            return err_set(err, errno, "drop capability %d", cap);
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &header, data) < 0)
        return err_set(err, errno, "capget");
    for (int i = 0; i < 2; i++) {
        data[i].permitted &= (uint32_t)(kept >> (32 * i));
        data[i].effective = data[i].permitted;
        data[i].inheritable = 0;
    }
    if (syscall(SYS_capset, &header, data) < 0)
        return err_set(err, errno, "capset");
    return 0;
}

/* --- the VMM's own namespaces ------------------------------------------------ */

static int loopback_up(struct err *err)
{
    CLEANUP(io_close) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_name = "lo"};
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        return err_set(err, errno, "bring up lo");
    return 0;
}

static int check_place(const char *state_path, struct err *err)
{
    (void)state_path, (void)err;
    return 0;
}

static int part(struct err *err)
{
    const int all = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC;
    return unshare(all) < 0 ? err_set(err, errno, "make the machine's namespaces") : 0;
}

static int mount_proc(struct err *err)
{
    if (mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        return err_set(err, errno, "mount /proc");
    return 0;
}

static int settle(const struct record *record, struct err *err)
{
    int ret = mount_proc(err);
    if (ret == 0 && sethostname(record->name, strlen(record->name)) < 0)
        ret = err_set(err, errno, "sethostname");
    return ret < 0 ? ret : loopback_up(err);
}

/* As first process of its namespace the VMM can reach every process of the machine. */
static void kill_all(void)
{
    if (getpid() == 1)
        kill(-1, SIGKILL);
}

/* The kernel did that with the namespace. */
static void bury(void)
{
}

const struct container_kind container_namespaces = {.option = "--namespaces",
                                                    .has_init = true,
                                                    .check_place = check_place,
                                                    .part = part,
                                                    .settle = settle,
                                                    .mount = mount_files,
                                                    .unmount = unmount_files,
                                                    .refresh = refresh_upper,
                                                    .enter = enter,
                                                    .kill_all = kill_all,
                                                    .bury = bury,
                                                    .show = show_files};

/* --- whether it can be had ----------------------------------------------------- */

/* All that a machine does and that may be refused, in folder, which is empty. */
static int try_mounts(const char *folder, struct err *err)
{
    static const char *const below[] = {"layer/proc", "layer/dev"};
    char *none[] = {NULL}, *layers[] = {NULL, NULL};
    CLEANUP(io_free) char *layer = io_format("%s/layer", folder);
    const struct layout layout = {.layers = layers, .hide = none};
    const struct record record = {.name = (char[]){"try"}};
    layers[0] = layer;
    CLEANUP(io_close) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int ret = fd < 0 ? err_set(err, errno, "open %s", folder) : make_folder(fd, "layer", 0755, err);
    for (size_t i = 0; i < sizeof below / sizeof *below && ret == 0; i++)
        ret = make_folder(fd, below[i], 0755, err);
    if (ret == 0)
        ret = settle(&record, err);
    io_close(&fd);
    /* Opened only now: a descriptor from before would lead into the host's mounts. */
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (ret == 0)
        ret = mount_files(fd, &layout, &record, err);
    if (ret == 0 && fchdir(fd) < 0)
        ret = err_set(err, errno, "enter %s", folder);
    return ret < 0 ? ret : enter(&record, err);
}

#define TRIED "all of it can be had" /* who is killed while it tries says nothing */

static void __attribute__((noreturn)) try_all(const char *folder, int report_fd)
{
    struct err err = {""};
    int ret = part(&err);
    pid_t pid = ret < 0 ? -1 : fork();
    if (pid == 0) {
        ret = try_mounts(folder, &err);
        if (ret == 0)
            io_write_all(report_fd, TRIED, strlen(TRIED));
    } else if (pid > 0)
        waitpid(pid, NULL, 0);
    else if (ret == 0)
        ret = err_set(&err, errno, "fork");
    if (ret < 0)
        io_write_all(report_fd, err.msg, strlen(err.msg));
    _exit(0);
}

static int try_in(const char *folder, struct err *err)
{
    CLEANUP(io_close) int read_fd = -1;
    CLEANUP(io_close) int write_fd = -1;
    CLEANUP(buf_release) struct buf report = BUF_INIT;
    int ret = io_pipe(&read_fd, &write_fd);
    pid_t pid = ret < 0 ? ret : fork();
    if (pid == 0)
        try_all(folder, write_fd);
    if (pid < 0)
        return err_set(err, ret < 0 ? -ret : errno, "fork");
    io_close(&write_fd);
    ret = io_read_all(read_fd, &report, 4096);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    if (ret == 0 && strcmp(buf_str(&report), TRIED) == 0)
        return 0;
    return err_text(err, EPERM, "%s", report.len ? buf_str(&report) : "the try was killed");
}

const struct container_kind *container_choose(const char *state_path, struct err *ret_why)
{
    /* Its name is a run's: what a killed one leaves is swept with theirs, under the same lock. */
    CLEANUP(io_free) char *folder = io_format("%s/run-%d-try", state_path, (int)getpid());
    CLEANUP(io_close) int lock_fd = -1;
    sigset_t ends, old;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGHUP);
    if (state_lock(state_path, &lock_fd, ret_why) < 0)
        return &container_copied;
    sigprocmask(SIG_BLOCK, &ends, &old); /* they wait until the folder is gone again */
    int ret = io_make_dirs(folder, 0700, ret_why);
    if (ret == 0)
        ret = try_in(folder, ret_why);
    io_remove_tree(AT_FDCWD, folder, NULL);
    sigprocmask(SIG_SETMASK, &old, NULL);
    return ret < 0 ? &container_copied : &container_namespaces;
}
