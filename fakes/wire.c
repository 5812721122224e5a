#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define HEAD_BYTES 5u

void wire_release(struct wire *wire)
{
    io_close(&wire->fd);
    io_close(&wire->passed_fd);
    buf_release(&wire->in);
    buf_release(&wire->out);
    wire->in_used = wire->out_sent = 0;
}

void wire_queue(struct wire *wire, enum wire_type type, const void *data, size_t len)
{
    char head[HEAD_BYTES] = {(char)type};
    uint32_t size = (uint32_t)len;
    memcpy(head + 1, &size, sizeof size);
    buf_append(&wire->out, head, sizeof head);
    buf_append(&wire->out, data, len);
}

size_t wire_pending(const struct wire *wire)
{
    return wire->out.len - wire->out_sent;
}

int wire_flush(struct wire *wire)
{
    while (wire_pending(wire) > 0) {
        ssize_t n =
            send(wire->fd, wire->out.data + wire->out_sent, wire_pending(wire), MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        wire->out_sent += (size_t)n;
    }
    buf_clear(&wire->out);
    wire->out_sent = 0;
    return 0;
}

/* Room for one descriptor, aligned as cmsg(3) wants it. */
union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int))];
};

ssize_t wire_put_fd(int socket_fd, const void *data, size_t len, int fd)
{
    union {
        const void *in;
        void *out;
    } base = {.in = data}; /* sendmsg() changes nothing */
    struct iovec iov = {.iov_base = base.out, .iov_len = len};
    union control control;
    memset(&control, 0, sizeof control);
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.bytes,
                         .msg_controllen = sizeof control.bytes};
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(cmsg), &fd, sizeof fd);
    ssize_t n;
    do
        n = sendmsg(socket_fd, &msg, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

ssize_t wire_take_fd(int socket_fd, void *data, size_t len, int flags, int *ret_fd)
{
    struct iovec iov = {.iov_base = data, .iov_len = len};
    union control control;
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.bytes,
                         .msg_controllen = sizeof control.bytes};
    *ret_fd = -1;
    ssize_t n = recvmsg(socket_fd, &msg, flags | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return -errno;
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
    if (cmsg && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS)
        memcpy(ret_fd, CMSG_DATA(cmsg), sizeof *ret_fd);
    return n;
}

int wire_send_fd(struct wire *wire, enum wire_type type, int fd)
{
    const char head[HEAD_BYTES] = {(char)type};
    ssize_t n = wire_put_fd(wire->fd, head, sizeof head, fd);
    return n < 0 ? (int)n : n == (ssize_t)sizeof head ? 0 : -EIO;
}

int wire_fill(struct wire *wire)
{
    if (wire->in_used > 0) {
        wire->in.len -= wire->in_used;
        memmove(wire->in.data, wire->in.data + wire->in_used, wire->in.len + 1);
        wire->in_used = 0;
    }
    char chunk[65536];
    int passed_fd;
    ssize_t n = wire_take_fd(wire->fd, chunk, sizeof chunk, 0, &passed_fd);
    if (n < 0)
        return n == -EAGAIN || n == -EINTR ? 0 : (int)n;
    if (passed_fd >= 0) {
        io_close(&wire->passed_fd);
        wire->passed_fd = passed_fd;
    }
    if (n == 0)
        wire->ended = true;
    buf_append(&wire->in, chunk, (size_t)n);
    return 0;
}

int wire_next(struct wire *wire, enum wire_type *ret_type, const char **ret_data, size_t *ret_len)
{
    size_t have = wire->in.len - wire->in_used;
    if (have < HEAD_BYTES)
        return 0;
    const char *head = wire->in.data + wire->in_used;
    uint32_t size;
    memcpy(&size, head + 1, sizeof size);
    if (size > WIRE_MAX_BYTES)
        return -EPROTO;
    if (have - HEAD_BYTES < size)
        return 0;
    *ret_type = (enum wire_type)head[0];
    *ret_data = head + HEAD_BYTES;
    *ret_len = size;
    wire->in_used += HEAD_BYTES + size;
    return 1;
}

void wire_pair(struct buf *buf, const char *key, const char *value)
{
    buf_append(buf, key, strlen(key) + 1);
    buf_append(buf, value, strlen(value) + 1);
}

void wire_pair_number(struct buf *buf, const char *key, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)value);
    wire_pair(buf, key, text);
}

static const char *next_string(const char *data, size_t len, size_t *at)
{
    const char *start = data + *at;
    const char *end = *at < len ? memchr(start, '\0', len - *at) : NULL;
    if (!end)
        return NULL;
    *at = (size_t)(end - data) + 1;
    return start;
}

int wire_next_pair(const char *data, size_t len, size_t *at, const char **ret_key,
                   const char **ret_value)
{
    if (*at == len)
        return 0;
    const char *key = next_string(data, len, at);
    const char *value = key ? next_string(data, len, at) : NULL;
    if (!value)
        return -EPROTO;
    *ret_key = key;
    *ret_value = value;
    return 1;
}

static int make_socket(int folder_fd, const char *name, struct sockaddr_un *ret_address)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int len =
        snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", folder_fd, name);
    if (len < 0 || (size_t)len >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    *ret_address = address;
    return fd;
}

int wire_listen(int folder_fd, const char *name)
{
    struct sockaddr_un address;
    CLEANUP(io_close) int fd = make_socket(folder_fd, name, &address);
    if (fd < 0)
        return fd;
    if (unlinkat(folder_fd, name, 0) < 0 && errno != ENOENT)
        return -errno;
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 64) < 0)
        return -errno;
    return steal_fd(&fd);
}

int wire_connect(int folder_fd, const char *name)
{
    struct sockaddr_un address;
    CLEANUP(io_close) int fd = make_socket(folder_fd, name, &address);
    if (fd < 0)
        return fd;
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0)
        return -errno;
    return steal_fd(&fd);
}
