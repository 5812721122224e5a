#include "attempt.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "sight.h"

#define MEMORY_PAGE 4096
#define IOV_READ 16          /* parts of a write that are looked at */
#define WRITE_MAX 0x7ffff000 /* what one call can write; write(2) */

void attempt_release(struct attempt *attempt)
{
    resolved_release(&attempt->path);
    resolved_release(&attempt->target);
}

/* --- the thread's memory ------------------------------------------------------- */

/* A string ends somewhere: what lies behind its page may not be there. */
static int read_string(pid_t tid, uint64_t at, char text[PATH_MAX])
{
    size_t len = 0;
    while (len < PATH_MAX) {
        size_t chunk = MEMORY_PAGE - (size_t)((at + len) % MEMORY_PAGE);
        if (chunk > PATH_MAX - len)
            chunk = PATH_MAX - len;
        if (chunk > 256)
            chunk = 256;
        int ret = sight_read_memory(tid, at + len, text + len, chunk);
        if (ret < 0)
            return ret;
        if (memchr(text + len, '\0', chunk))
            return 0;
        len += chunk;
    }
    return -ENAMETOOLONG;
}

static int poke(pid_t tid, uint64_t at, uint64_t value)
{
    return ptrace(PTRACE_POKEDATA, tid, (void *)(uintptr_t)at, (void *)(uintptr_t)value) < 0
               ? -errno
               : 0;
}

/* --- reading --------------------------------------------------------------------- */

static uint64_t argument(const struct attempt *attempt, signed char place)
{
    return place ? arch_argument(&attempt->regs, place - 1) : 0;
}

static bool is_call(const struct attempt *attempt, const char *name)
{
    return strcmp(attempt->call->name, name) == 0;
}

/* Its length is a number of parts, in an array that its second argument points to. */
static bool has_parts(const struct attempt *attempt)
{
    return is_call(attempt, "writev") || is_call(attempt, "pwritev") ||
           is_call(attempt, "pwritev2");
}

/* What the flags of a call say, wherever they stand. */
struct call_flags {
    bool follows, empty_path;
};

static int read_open_flags(struct attempt *attempt, pid_t tid, struct call_flags *flags)
{
    uint64_t bits = argument(attempt, attempt->call->args.flags);
    uint64_t mode = argument(attempt, attempt->call->args.mode);
    if (is_call(attempt, "openat2")) {
        struct open_how how = {0};
        int ret = sight_read_memory(tid, bits, &how, sizeof how);
        if (ret < 0)
            return ret;
        bits = how.flags;
        mode = how.mode;
    }
    if (is_call(attempt, "creat"))
        bits = O_CREAT | O_TRUNC | O_WRONLY;
    const uint64_t temporary = O_RDWR | O_CREAT | O_EXCL;
    attempt->makes_temporary = (bits & temporary) == temporary && (mode & 07777) == 0600;
    flags->follows = !(bits & O_NOFOLLOW) && (bits & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL);
    if (!(bits & (O_CREAT | O_TRUNC)))
        attempt->call = NULL; /* an openat2 that only reads */
    return 0;
}

static void read_at_flags(struct attempt *attempt, struct call_flags *flags)
{
    uint64_t bits = argument(attempt, attempt->call->args.flags);
    if (bits & AT_SYMLINK_NOFOLLOW)
        flags->follows = false;
    flags->empty_path = bits & AT_EMPTY_PATH;
    if (attempt->op == OP_UNLINK && (bits & AT_REMOVEDIR))
        attempt->op = OP_RMDIR;
}

static int dir_of(const struct attempt *attempt, signed char place)
{
    return place ? (int)argument(attempt, place) : AT_FDCWD;
}

static int read_socket_path(const struct attempt *attempt, pid_t tid, char path[PATH_MAX])
{
    struct sockaddr_un address = {0};
    uint64_t len = arch_argument(&attempt->regs, 2);
    if (len <= offsetof(struct sockaddr_un, sun_path) || len > sizeof address)
        return -EINVAL;
    int ret = sight_read_memory(tid, arch_argument(&attempt->regs, 1), &address, len);
    if (ret < 0)
        return ret;
    if (address.sun_family != AF_UNIX || address.sun_path[0] == '\0')
        return -EINVAL;
    snprintf(path, PATH_MAX, "%.*s", (int)sizeof address.sun_path, address.sun_path);
    return 0;
}

/* How much a call may write: its length, or that of its parts when they are few. */
static int64_t write_length(const struct attempt *attempt, pid_t tid)
{
    struct iovec parts[IOV_READ];
    uint64_t length = argument(attempt, attempt->call->args.length), n = length;
    if (!attempt->call->args.length)
        return INT64_MAX;
    if (has_parts(attempt)) {
        if (n > IOV_READ ||
            sight_read_memory(tid, arch_argument(&attempt->regs, 1), parts, n * sizeof *parts) < 0)
            return INT64_MAX;
        length = 0;
        for (uint64_t i = 0; i < n; i++)
            length += parts[i].iov_len < WRITE_MAX ? parts[i].iov_len : WRITE_MAX;
    }
    return length < WRITE_MAX ? (int64_t)length : WRITE_MAX;
}

static struct content_range range_from(const struct attempt *attempt, pid_t tid, int64_t from)
{
    /* Behind the end the change of size tells, and what is told twice costs nothing. */
    if (from < 0 || from >= attempt->path.stat.st_size)
        return from < 0 ? TREE_STATE_WHOLE : (struct content_range){0, 0};
    int64_t length = write_length(attempt, tid);
    return (struct content_range){from, from <= INT64_MAX - length ? from + length : INT64_MAX};
}

/* Which bytes a write may overwrite, and where it begins: an appending descriptor's at the end. */
static struct content_range write_range(struct attempt *attempt, pid_t tid, int fd)
{
    bool by_offset = is_call(attempt, "pwrite64") || is_call(attempt, "pwritev");
    bool plain = is_call(attempt, "write") || is_call(attempt, "writev");
    bool copies = is_call(attempt, "sendfile") ||
                  ((is_call(attempt, "splice") || is_call(attempt, "copy_file_range")) &&
                   arch_argument(&attempt->regs, 3) == 0);
    if (by_offset) {
        int64_t from = (int64_t)arch_argument(&attempt->regs, 3);
        if (is_call(attempt, "pwrite64"))
            attempt->write_from = from;
        return range_from(attempt, tid, from);
    }
    if (!plain && !copies)
        return TREE_STATE_WHOLE;
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", (int)tid, fd);
    CLEANUP(io_close) int info_fd = sight_open(tid, path, O_RDONLY);
    char text[256] = "";
    ssize_t n = info_fd < 0 ? -1 : read(info_fd, text, sizeof text - 1);
    long long pos;
    unsigned flags;
    if (n < 0 || sscanf(text, "pos: %lld flags: %o", &pos, &flags) != 2)
        return TREE_STATE_WHOLE;
    if (plain)
        attempt->write_from = flags & O_APPEND ? attempt->path.stat.st_size : pos;
    if (flags & O_APPEND)
        return (struct content_range){0, 0};
    return range_from(attempt, tid, pos);
}

static int read_by_fd(struct attempt *attempt, pid_t tid, int fd, const struct resolve_root *root)
{
    int ret = resolve_fd(root, tid, fd, &attempt->path, NULL);
    if (ret == -EBADF || ret == -ENOENT)
        return 0; /* it will fail by itself */
    if (ret < 0)
        return ret;
    attempt->by_fd = true;
    mode_t mode = attempt->path.stat.st_mode;
    if (attempt->path.in_tree && (S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode)))
        attempt->kind = ATTEMPT_CALL;
    if (attempt->kind == ATTEMPT_CALL && attempt->op == OP_WRITE)
        attempt->range = write_range(attempt, tid, fd);
    return 0;
}

/* Errors that the call itself will run into as well. EACCES is none: what the process may not
 * resolve is found nonetheless, so it says that we may not look at the process. */
static bool is_its_own(int ret)
{
    return ret == -ENOENT || ret == -ENOTDIR || ret == -ELOOP || ret == -ENAMETOOLONG ||
           ret == -EBADF || ret == -EFAULT || ret == -EINVAL;
}

static int read_target(struct attempt *attempt, pid_t tid, const struct resolve_root *root)
{
    char path[PATH_MAX];
    const struct op_args *args = &attempt->call->args;
    int ret = read_string(tid, argument(attempt, args->target), path);
    if (ret == 0)
        ret = resolve_path(root, tid, dir_of(attempt, args->target_dir), path, false,
                           &attempt->target, NULL);
    attempt->has_target = ret == 0;
    return ret;
}

/* CuXXXXXX: what `ln -f` makes beside its target before it renames it. Source: coreutils,
 * src/force-link.c. */
static bool is_made_by_ln(const char *path)
{
    static const char random[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    const char *name = strrchr(path, '/');
    return name && strncmp(name, "/Cu", 3) == 0 && strlen(name) == strlen("/CuXXXXXX") &&
           strspn(name + 3, random) == strlen("XXXXXX");
}

static int read_by_path(struct attempt *attempt, pid_t tid, const struct resolve_root *root)
{
    const struct op_args *args = &attempt->call->args;
    struct call_flags flags = {attempt->call->follows, false};
    char path[PATH_MAX];
    int ret = 0;
    if (attempt->op == OP_OPEN)
        ret = read_open_flags(attempt, tid, &flags);
    else if (args->flags)
        read_at_flags(attempt, &flags);
    if (ret < 0 || !attempt->call)
        return ret;
    uint64_t address = argument(attempt, args->path);
    if (address == 0 && args->dir)
        return read_by_fd(attempt, tid, dir_of(attempt, args->dir), root);
    ret = is_call(attempt, "bind") ? read_socket_path(attempt, tid, path)
                                   : read_string(tid, address, path);
    if (ret == 0 && *path == '\0' && flags.empty_path)
        return read_by_fd(attempt, tid, dir_of(attempt, args->dir), root);
    if (ret == 0)
        ret = resolve_path(root, tid, dir_of(attempt, args->dir), path, flags.follows,
                           &attempt->path, NULL);
    if (ret == 0 && args->target)
        ret = read_target(attempt, tid, root);
    if (ret < 0)
        return ret;
    mode_t mode = attempt->path.exists ? attempt->path.stat.st_mode : 0;
    bool blocks = attempt->op == OP_OPEN && mode && !S_ISREG(mode);
    if (attempt->op == OP_MKDIR)
        attempt->makes_temporary = (argument(attempt, args->mode) & 07777) == 0700;
    if (attempt->op == OP_SYMLINK || attempt->op == OP_LINK)
        attempt->makes_temporary = is_made_by_ln(buf_str(&attempt->path.path));
    if (attempt->path.in_tree && !blocks)
        attempt->kind = ATTEMPT_CALL;
    return 0;
}

int attempt_read(pid_t tid, unsigned row, const struct resolve_root *root,
                 struct attempt *ret_attempt, struct err *err)
{
    size_t count;
    const struct op_call *calls = op_calls(&count);
    if (row >= count)
        return err_text(err, EPROTO, "the filter told of row %u", row);
    CLEANUP(attempt_release)
    struct attempt attempt = {
        .call = &calls[row], .op = calls[row].op, .range = TREE_STATE_WHOLE, .write_from = -1};
    const struct op_args *args = &calls[row].args;
    int ret = arch_read(tid, &attempt.regs);
    if (ret < 0)
        return err_set(err, -ret, "read the registers of %d", (int)tid);
    if (args->fd)
        ret = read_by_fd(&attempt, tid, (int)argument(&attempt, args->fd), root);
    else if (args->path || is_call(&attempt, "bind"))
        ret = read_by_path(&attempt, tid, root);
    else if (attempt.op == OP_SYNC) { /* sync(2): all files */
        attempt.kind = ATTEMPT_CALL;
        buf_add(&attempt.path.path, "/");
    }
    if (is_its_own(ret))
        attempt.kind = ATTEMPT_NONE;
    else if (sight_is_refused(ret))
        return sight_refused(tid, -ret, err);
    else if (ret < 0)
        return err_set(err, -ret, "see what %s of process %d is about", calls[row].name, (int)tid);
    attempt.call = &calls[row];
    *ret_attempt = attempt;
    attempt = (struct attempt)ATTEMPT_INIT;
    return 0;
}

bool attempt_is_same_call(const struct arch_regs *a, const struct arch_regs *b)
{
    bool same = arch_ip(a) == arch_ip(b) && arch_number(a) == arch_number(b);
    for (int i = 0; i < 6 && same; i++)
        same = arch_argument(a, i) == arch_argument(b, i);
    return same;
}

/* --- changing -------------------------------------------------------------------- */

/* The parts up to the one that holds the last byte, which is made shorter. */
static int cut_parts(struct attempt *attempt, pid_t tid, struct arch_regs *regs, uint64_t bytes)
{
    uint64_t at = arch_argument(regs, 1);
    uint64_t count = argument(attempt, attempt->call->args.length);
    for (uint64_t i = 0; i < count && i < IOV_MAX; i++) {
        struct iovec part;
        int ret = sight_read_memory(tid, at + i * sizeof part, &part, sizeof part);
        if (ret < 0)
            return ret;
        if (part.iov_len < bytes) {
            bytes -= part.iov_len;
            continue;
        }
        attempt->poked_at = at + i * sizeof part + offsetof(struct iovec, iov_len);
        attempt->poked_value = part.iov_len;
        arch_set_argument(regs, attempt->call->args.length - 1, i + 1);
        return poke(tid, attempt->poked_at, bytes);
    }
    return 0;
}

int attempt_cut(struct attempt *attempt, pid_t tid, uint64_t bytes)
{
    signed char place = attempt->call->args.length;
    if (!place)
        return -EOPNOTSUPP;
    struct arch_regs regs = attempt->regs;
    int ret = 0;
    if (has_parts(attempt))
        ret = cut_parts(attempt, tid, &regs, bytes);
    else if (argument(attempt, place) > bytes)
        arch_set_argument(&regs, place - 1, bytes);
    return ret < 0 ? ret : arch_write(tid, &regs);
}

void attempt_uncut(const struct attempt *attempt, pid_t tid)
{
    struct arch_regs regs;
    if (attempt->poked_at)
        poke(tid, attempt->poked_at, attempt->poked_value);
    if (arch_read(tid, &regs) < 0)
        return;
    int place = attempt->call->args.length - 1;
    arch_set_argument(&regs, place, arch_argument(&attempt->regs, place));
    arch_write(tid, &regs);
}

int attempt_skip(const struct attempt *attempt, pid_t tid)
{
    struct arch_regs regs = attempt->regs;
    arch_set_number(&regs, -1);
    return arch_write(tid, &regs);
}

int attempt_return(const struct attempt *attempt, pid_t tid, int64_t result)
{
    struct arch_regs regs = attempt->regs;
    arch_set_number(&regs, -1); /* not to be started anew, whatever the result */
    arch_set_result(&regs, result);
    return arch_write(tid, &regs);
}

int attempt_restart(const struct attempt *attempt, pid_t tid)
{
    struct arch_regs regs = attempt->regs;
    arch_rewind(&regs);
    return arch_write(tid, &regs);
}
