/*
 * op.h: the operations that change a file tree, the calls behind them, and their errors.
 *
 * An operation is what a rule and an address speak of: `rename`. A call is what the
 * kernel has: rename, renameat, renameat2. Whoever names a call means its operation.
 * Three tables, all constant, say which operations there are, which calls each takes
 * in, and which errors a call can return. The tables know no pids and no registers.
 *
 * Not in the tables, because no file of the tree changes: tee, vmsplice, memfd_create,
 * close; sendto and its like, which write to sockets alone. io_uring is refused by the
 * engine, and so is open_by_handle_at with O_TRUNC, which has no path; a shared mapping
 * cannot be seen. Nor are the ioctls that set what chattr(1) shows (FS_IOC_SETFLAGS,
 * FS_IOC_FSSETXATTR): the digest does not know those flags.
 */
#ifndef KILLPOINT_OP_H
#define KILLPOINT_OP_H

#include <stdbool.h>
#include <stddef.h>

enum op {
    OP_OPEN, /* with O_CREAT or O_TRUNC, or openat2 */
    OP_WRITE,
    OP_TRUNCATE,
    OP_RENAME,
    OP_LINK,
    OP_SYMLINK,
    OP_UNLINK,
    OP_MKDIR,
    OP_RMDIR, /* unlinkat with AT_REMOVEDIR too, though that name reads as unlink */
    OP_MKNOD, /* bind of a Unix socket to a path too */
    OP_CHMOD,
    OP_CHOWN,
    OP_UTIME,
    OP_XATTR,
    OP_SYNC,
    OP_COUNT
};

/* A set of operations: bit OP_BIT(op) for each. */
#define OP_BIT(op) (1U << (unsigned)(op))
#define OP_ALL (OP_BIT(OP_COUNT) - 1U)

/* Where a call's arguments stand, from 1; 0: it has no such argument. */
struct op_args {
    signed char dir;    /* the descriptor that path starts from */
    signed char path;   /* the name that is changed, created or removed; for rename the source */
    signed char fd;     /* the descriptor of what is changed */
    signed char flags;  /* open's and AT_*; for openat2 the address of struct open_how */
    signed char mode;   /* of what is created */
    signed char length; /* how many bytes are written at most, or for the v calls how many parts */
    signed char target_dir, target; /* rename's new name */
};

struct op_call {
    const char *name; /* as libseccomp calls it; the FICLONE ioctls have names of our own */
    enum op op;
    int number;   /* of calls newer than libseccomp 2.5.4, on x86_64 and aarch64; else -1 */
    bool follows; /* a link as last part of path, unless flags say otherwise */
    struct op_args args;
};

/*
 * Which errors a group of calls can return, as one manual page says under ERRORS. A row
 * speaks of work on files: what a page tells of pipes and sockets alone is left out.
 */
#define OP_ERRORS_MAX 28
struct op_errors {
    enum op op;
    const char *calls;          /* call names between blanks; NULL: every call of the operation */
    const char *page;           /* "rename(2)"; (3p) where Linux' own page forgets what POSIX has */
    int errnums[OP_ERRORS_MAX]; /* ends with 0 */
    int cited[OP_ERRORS_MAX];   /* those of them that no test provokes on a running kernel */
};

/* The tables. ret_count gets the number of rows. */
const struct op_call *op_calls(size_t *ret_count);
const struct op_errors *op_errors(size_t *ret_count);

/* "rename"; op is below OP_COUNT. */
const char *op_name(enum op op);

/*
 * The operation that a word of len bytes names, by its own name or by one of its calls'.
 * Returns 0, or -ENOENT with *ret_op untouched.
 */
int op_find(const char *word, size_t len, enum op *ret_op);

/*
 * Whether a call of the operation can fail with errnum. call is a name of op_calls(); NULL
 * asks whether any call of the operation can. An error that only some calls can return is
 * to be injected into those alone: the engine asks again, with the call at hand.
 * Returns the manual page that says so, NULL when it cannot.
 */
const char *op_can_fail(enum op op, const char *call, int errnum);

/*
 * Error names. op_errno() takes a name of len bytes, "EWOULDBLOCK" and "ENOTSUP" too.
 * Returns the number, 0 when there is none of that name.
 */
int op_errno(const char *word, size_t len);
/* "ENOSPC"; NULL when the number has no name. */
const char *op_errno_name(int errnum);

#endif
