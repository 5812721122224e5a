#include "io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void io_close(int *fd)
{
    if (*fd < 0)
        return;
    int saved = errno;
    close(*fd);
    errno = saved;
    *fd = -1;
}

void io_fclose(FILE **file)
{
    if (*file)
        fclose(*file);
    *file = NULL;
}

void io_free(void *ptr_to_ptr)
{
    void **ptr = ptr_to_ptr;
    free(*ptr);
    *ptr = NULL;
}

int steal_fd(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

void *steal_ptr(void *ptr_to_ptr)
{
    void **ptr = ptr_to_ptr;
    void *taken = *ptr;
    *ptr = NULL;
    return taken;
}

void buf_release(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf)BUF_INIT;
}

void buf_clear(struct buf *buf)
{
    buf->len = 0;
    if (buf->data)
        buf->data[0] = '\0';
}

static void buf_reserve(struct buf *buf, size_t more)
{
    if (more < buf->cap - buf->len)
        return;
    size_t cap = buf->cap ? buf->cap : 256;
    while (cap - buf->len <= more) {
        if (cap > SIZE_MAX / 2)
            abort();
        cap *= 2;
    }
    buf->data = realloc(buf->data, cap);
    if (!buf->data)
        abort();
    buf->cap = cap;
}

void buf_append(struct buf *buf, const void *data, size_t len)
{
    buf_reserve(buf, len);
    if (len)
        memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
}

void buf_add(struct buf *buf, const char *text)
{
    buf_append(buf, text, strlen(text));
}

void buf_add_quoted(struct buf *buf, const char *text)
{
    buf_add(buf, "'");
    for (; *text; text++)
        if (*text == '\'')
            buf_add(buf, "'\\''");
        else
            buf_append(buf, text, 1);
    buf_add(buf, "'");
}

void buf_add_encoded(struct buf *buf, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c <= ' ' || c == 0x7f || strchr(":#%,", c))
            buf_printf(buf, "%%%02X", (unsigned)c);
        else
            buf_append(buf, text, 1);
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

size_t buf_add_decoded(struct buf *buf, const char *text, size_t len)
{
    size_t before = buf->len;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '%') {
            int high = i + 1 < len ? hex_digit(text[i + 1]) : -1;
            int low = i + 2 < len ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0 || high + low == 0) {
                buf->len = before;
                buf_append(buf, "", 0);
                return i;
            }
            c = (char)(high * 16 + low);
            i += 2;
        }
        buf_append(buf, &c, 1);
    }
    return len;
}

void buf_printf(struct buf *buf, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (len < 0)
        abort();
    buf_reserve(buf, (size_t)len);
    va_start(args, fmt);
    vsnprintf(buf->data + buf->len, (size_t)len + 1, fmt, args);
    va_end(args);
    buf->len += (size_t)len;
}

const char *buf_str(const struct buf *buf)
{
    return buf->data ? buf->data : "";
}

char *io_vformat(const char *fmt, va_list args)
{
    char *text = NULL;
    if (vasprintf(&text, fmt, args) < 0)
        abort();
    return text;
}

char *io_format(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = io_vformat(fmt, args);
    va_end(args);
    return text;
}

void io_free_list(char ***list)
{
    for (char **item = *list; item && *item; item++)
        free(*item);
    free(*list);
    *list = NULL;
}

int io_write_all(int fd, const void *data, size_t len)
{
    const char *at = data;
    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

int io_read_all(int fd, struct buf *buf, size_t max_bytes)
{
    char chunk[16384];
    size_t total = 0;
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return 0;
        total += (size_t)n;
        if (total > max_bytes)
            return -EFBIG;
        buf_append(buf, chunk, (size_t)n);
    }
}

int io_read_file(int dir_fd, const char *path, struct buf *buf, size_t max_bytes, struct err *err)
{
    CLEANUP(io_close) int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, errno, "open %s", path);
    int ret = io_read_all(fd, buf, max_bytes);
    if (ret < 0)
        return err_set(err, -ret, "read %s", path);
    return 0;
}

int io_write_file(int dir_fd, const char *path, const void *data, size_t len, mode_t mode,
                  struct err *err)
{
    CLEANUP(io_free) char *temp = io_format("%s.%d.new", path, (int)getpid());
    CLEANUP(io_close)
    int fd = openat(dir_fd, temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0)
        return err_set(err, errno, "create %s", temp);
    int ret = io_write_all(fd, data, len);
    if (ret == 0 && renameat(dir_fd, temp, dir_fd, path) < 0)
        ret = -errno;
    if (ret < 0) {
        unlinkat(dir_fd, temp, 0);
        return err_set(err, -ret, "write %s", path);
    }
    return 0;
}

int io_make_dirs(const char *path, mode_t mode, struct err *err)
{
    CLEANUP(io_free) char *copy = io_format("%s", path);
    for (char *at = copy + 1;; at++) {
        if (*at != '/' && *at != '\0')
            continue;
        char kept = *at;
        *at = '\0';
        if (mkdir(copy, mode) < 0 && errno != EEXIST)
            return err_set(err, errno, "mkdir %s", copy);
        if (kept == '\0')
            return 0;
        *at = kept;
    }
}

static int remove_below(int dir_fd, dev_t dev, struct err *err);

static int remove_entry(int dir_fd, const char *name, dev_t dev, struct err *err)
{
    if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return err_set(err, errno, "unlink %s", name);
    CLEANUP(io_close)
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, errno, "open %s", name);
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set(err, errno, "stat %s", name);
    if (st.st_dev != dev)
        return err_text(err, EXDEV, "remove %s: something is mounted there", name);
    int ret = remove_below(fd, dev, err);
    if (ret < 0)
        return err_wrap(err, ret, "%s", name);
    if (unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        return err_set(err, errno, "rmdir %s", name);
    return 0;
}

static void close_dir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

static int remove_below(int dir_fd, dev_t dev, struct err *err)
{
    int fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return err_set(err, errno, "dup");
    CLEANUP(close_dir) DIR *dir = fdopendir(fd);
    if (!dir) {
        int errnum = errno;
        close(fd);
        return err_set(err, errnum, "fdopendir");
    }
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        int ret = remove_entry(dir_fd, entry->d_name, dev, err);
        if (ret < 0)
            return ret;
    }
    return 0;
}

int io_remove_tree(int dir_fd, const char *name, struct err *err)
{
    /* The name itself may be a mount point, so the folder that holds it says the device. */
    const char *slash = strrchr(name, '/');
    CLEANUP(io_free)
    char *parent = slash ? io_format("%.*s", (int)(slash - name) + 1, name) : io_format(".");
    struct stat st;
    if (fstatat(dir_fd, parent, &st, 0) < 0)
        return errno == ENOENT ? 0 : err_set(err, errno, "stat %s", parent);
    return remove_entry(dir_fd, name, st.st_dev, err);
}

int io_set_nonblock(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    return 0;
}

int io_pipe(int *ret_read_fd, int *ret_write_fd)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    *ret_read_fd = fds[0];
    *ret_write_fd = fds[1];
    return 0;
}

int io_lock_file(int dir_fd, const char *path, int flags, int *ret_fd)
{
    CLEANUP(io_close) int fd = openat(dir_fd, path, O_RDWR | O_CLOEXEC | flags, 0600);
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fd < 0 || fcntl(fd, F_OFD_SETLK, &whole) < 0)
        return -errno;
    *ret_fd = steal_fd(&fd);
    return 0;
}

int64_t io_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t io_now_ms(void)
{
    return io_now_ns() / 1000000;
}
