#include "sight.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/uio.h>
#include <unistd.h>

#include "arch.h"

/* --- memory ---------------------------------------------------------------------- */

static int peek(pid_t tid, uint64_t at, long *ret_word)
{
    errno = 0;
    *ret_word = ptrace(PTRACE_PEEKDATA, tid, (void *)(uintptr_t)at, NULL);
    return errno ? -errno : 0;
}

/* ptrace(2) says the same of a hole and of a process out of sight; its program is no hole. */
static int tell_hole(pid_t tid, int ret)
{
    struct arch_regs regs = {.has_new_number = false};
    long word;
    if (ret != -EIO && ret != -EFAULT)
        return ret;
    ret = arch_read(tid, &regs);
    if (ret < 0)
        return ret;
    return peek(tid, arch_ip(&regs) & ~(sizeof word - 1), &word) == 0 ? -EFAULT : -EPERM;
}

static int peek_all(pid_t tid, uint64_t at, char *data, size_t len)
{
    while (len > 0) {
        long word;
        size_t skip = at % sizeof word;
        size_t part = sizeof word - skip < len ? sizeof word - skip : len;
        int ret = peek(tid, at - skip, &word);
        if (ret < 0)
            return tell_hole(tid, ret);
        memcpy(data, (const char *)&word + skip, part);
        data += part;
        at += part;
        len -= part;
    }
    return 0;
}

int sight_read_memory(pid_t tid, uint64_t at, void *data, size_t len)
{
    struct iovec here = {data, len};
    struct iovec there = {(void *)(uintptr_t)at, len};
    ssize_t n = process_vm_readv(tid, &here, 1, &there, 1, 0);
    if (n < 0 && errno == EPERM)
        return peek_all(tid, at, data, len);
    return n < 0 ? -errno : n == (ssize_t)len ? 0 : -EFAULT;
}

/* --- /proc -------------------------------------------------------------------------- */

bool sight_is_refused(int ret)
{
    return ret == -EACCES || ret == -EPERM;
}

/* The process's user and group count for us at files. */
static bool put_on(pid_t pid)
{
    char path[64];
    unsigned uid, gid;
    CLEANUP(buf_release) struct buf status = BUF_INIT;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    if (io_read_file(AT_FDCWD, path, &status, 1 << 16, NULL) < 0)
        return false;
    const char *uids = strstr(buf_str(&status), "\nUid:");
    const char *gids = strstr(buf_str(&status), "\nGid:");
    if (!uids || !gids || sscanf(uids, "\nUid: %u", &uid) != 1 ||
        sscanf(gids, "\nGid: %u", &gid) != 1)
        return false;
    setfsgid(gid);
    setfsuid(uid);
    return true;
}

/* After each try: whether to try again, in the process's clothes; the second time they go off. */
static bool again(pid_t pid, int ret, bool *worn)
{
    if (*worn) {
        setfsuid(geteuid());
        setfsgid(getegid());
        return false;
    }
    return *worn = sight_is_refused(ret) && put_on(pid);
}

int sight_read_link(pid_t pid, const char *path, char text[PATH_MAX])
{
    bool worn = false;
    ssize_t n;
    do {
        n = readlink(path, text, PATH_MAX);
        n = n < 0 ? -errno : n;
    } while (again(pid, (int)n, &worn));
    if (n < 0 || n == PATH_MAX)
        return n < 0 ? (int)n : -ENAMETOOLONG;
    text[n] = '\0';
    return 0;
}

int sight_stat(pid_t pid, const char *path, struct stat *ret_stat)
{
    bool worn = false;
    int ret;
    do
        ret = stat(path, ret_stat) < 0 ? -errno : 0;
    while (again(pid, ret, &worn));
    return ret;
}

int sight_statfs(pid_t pid, const char *path, struct statfs *ret_statfs)
{
    bool worn = false;
    int ret;
    do
        ret = statfs(path, ret_statfs) < 0 ? -errno : 0;
    while (again(pid, ret, &worn));
    return ret;
}

int sight_open(pid_t pid, const char *path, int flags)
{
    bool worn = false;
    int ret;
    do {
        ret = open(path, flags | O_CLOEXEC);
        ret = ret < 0 ? -errno : ret;
    } while (again(pid, ret, &worn));
    return ret;
}

int sight_refused(pid_t pid, int errnum, struct err *err)
{
    char path[64], comm[32] = "";
    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    CLEANUP(io_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, comm, sizeof comm - 1);
    comm[n > 0 ? n - 1 : 0] = '\0';
    return err_text(err, errnum,
                    "process %d (%s) cannot be looked at, so its calls are not known: it has "
                    "changed its user or runs a program that it may not read, and only a tracer "
                    "with CAP_SYS_PTRACE sees what such a process does",
                    (int)pid, comm);
}
