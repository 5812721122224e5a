/*
 * io.h: bytes, descriptors and files.
 *
 * CLEANUP(fn) runs fn(&variable) when the variable leaves its scope. Start such a
 * variable at NULL or -1 and hand its value over with steal_fd() or steal_ptr().
 * Every descriptor made here is close-on-exec.
 */
#ifndef KILLPOINT_IO_H
#define KILLPOINT_IO_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "err.h"

#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* Destructors for CLEANUP. io_close() keeps errno and sets *fd to -1; -1 is allowed. */
void io_close(int *fd);
void io_fclose(FILE **file);
void io_free(void *ptr_to_ptr);

int steal_fd(int *fd);
void *steal_ptr(void *ptr_to_ptr);

/* A growing byte string; data is NUL-terminated behind len, and NULL while cap is 0. */
struct buf {
    char *data;
    size_t len;
    size_t cap;
};
#define BUF_INIT                                                                                   \
    {                                                                                              \
        NULL, 0, 0                                                                                 \
    }

/* The buf functions abort() when memory ends: nothing useful can be done then. */
void buf_release(struct buf *buf);
void buf_clear(struct buf *buf);
void buf_append(struct buf *buf, const void *data, size_t len);
void buf_add(struct buf *buf, const char *text);
/* As one word of a shell: between single quotes. */
void buf_add_quoted(struct buf *buf, const char *text);
/*
 * As rules and addresses have it: `%XX` for `:`, `#`, `%`, `,`, blanks and control bytes.
 * The way back takes any byte but NUL as `%XX`, and any that is not `%` for itself; it
 * returns len, or where a `%` without two hex digits stands: then nothing is added.
 */
void buf_add_encoded(struct buf *buf, const char *text);
size_t buf_add_decoded(struct buf *buf, const char *text, size_t len);
void buf_printf(struct buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Never NULL: "" for an empty one. Valid until the next change. */
const char *buf_str(const struct buf *buf);

/* asprintf that aborts when memory ends; the caller frees the result. */
char *io_format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
char *io_vformat(const char *fmt, va_list args) __attribute__((format(printf, 1, 0)));

/* Frees a NULL-terminated list and its strings; NULL is allowed. */
void io_free_list(char ***list);

/* Writes all, across short writes and EINTR. Returns 0 or -errno. */
int io_write_all(int fd, const void *data, size_t len);

/* Reads to the end of file, appending; fails with -EFBIG past max_bytes. Returns 0 or -errno. */
int io_read_all(int fd, struct buf *buf, size_t max_bytes);

/* Reads one whole file, appending. dir_fd as for openat(2). */
int io_read_file(int dir_fd, const char *path, struct buf *buf, size_t max_bytes, struct err *err);

/* Writes one whole file: a temporary beside it, then rename. */
int io_write_file(int dir_fd, const char *path, const void *data, size_t len, mode_t mode,
                  struct err *err);

/* mkdir -p. Existing folders are left as they are. */
int io_make_dirs(const char *path, mode_t mode, struct err *err);

/* rm -rf of one name under dir_fd, never across a mount point; a missing one is success. */
int io_remove_tree(int dir_fd, const char *name, struct err *err);

int io_set_nonblock(int fd);

/* pipe2(2), close-on-exec. Returns 0 or -errno. */
int io_pipe(int *ret_read_fd, int *ret_write_fd);

/*
 * Opens a file and locks it as a whole (F_OFD_SETLK), without waiting; the lock lives as long as
 * the open file. flags: O_CREAT, where a missing one is to be made, or 0. dir_fd as for
 * openat(2). Returns 0 or -errno; -EAGAIN: somebody else holds it.
 */
int io_lock_file(int dir_fd, const char *path, int flags, int *ret_fd);

/* CLOCK_MONOTONIC in milliseconds, and in nanoseconds. */
int64_t io_now_ms(void);
int64_t io_now_ns(void);

#endif
