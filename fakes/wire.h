/*
 * wire.h: frames between the CLI and the VMM, over a Unix stream socket.
 *
 * A frame is a type byte, a 32-bit length in host order, and that many bytes. One call is
 * one connection: REQUEST, then STDIN* [STDIN_END] and WINSIZE from the client; OUT* ERR*
 * and at last REPLY, or KILLED, from the VMM, or COUNTS and the end; then JOURNALED from the
 * client. For a copy the VMM answers READY first, and the client's READY carries the host file
 * (SCM_RIGHTS).
 *
 * Lists of strings (REQUEST, REPLY) are NUL-terminated keys and values in turn.
 *
 * sun_path holds 107 bytes and state folders may be longer: sockets are named through
 * /proc/self/fd.
 */
#ifndef KILLPOINT_WIRE_H
#define KILLPOINT_WIRE_H

#include "../fault/io.h"

enum wire_type {
    WIRE_REQUEST = 'Q',
    WIRE_STDIN = 'I',
    WIRE_STDIN_END = 'Z',
    WIRE_WINSIZE = 'W', /* two uint16_t: rows, columns */
    WIRE_JOURNALED = 'J',
    WIRE_OUT = 'O',
    WIRE_ERR = 'E',
    WIRE_REPLY = 'R',
    WIRE_KILLED = 'K', /* a rule kills the client; same content as a reply */
    WIRE_COUNTS = 'F', /* the VM dies by a rule: one pair, how often each fired */
    WIRE_READY = 'Y',  /* cp: the request is taken; back comes READY with the host file */
    WIRE_CONTROL = 'C' /* the runner's, instead of a REQUEST: one pair, arm, report or stop */
};

#define WIRE_MAX_BYTES (64u << 20)

struct wire {
    int fd;
    int passed_fd; /* received with a frame, -1: none */
    bool ended;    /* the other side has closed */
    struct buf in;
    size_t in_used;
    struct buf out;
    size_t out_sent;
};
#define WIRE_INIT                                                                                  \
    {                                                                                              \
        -1, -1, false, BUF_INIT, 0, BUF_INIT, 0                                                    \
    }

void wire_release(struct wire *wire);

/* Puts a frame into the queue; wire_flush() sends what can be sent. */
void wire_queue(struct wire *wire, enum wire_type type, const void *data, size_t len);
/* Returns 0 (the queue may still hold bytes, see wire_pending) or -errno. */
int wire_flush(struct wire *wire);
size_t wire_pending(const struct wire *wire);
/* Sends one empty frame with a descriptor, blocking. */
int wire_send_fd(struct wire *wire, enum wire_type type, int fd);

/* sendmsg(2) and recvmsg(2) with one descriptor beside the bytes. Both return the number of
 * bytes, or -errno; *ret_fd is -1 when none came. */
ssize_t wire_put_fd(int socket_fd, const void *data, size_t len, int fd);
ssize_t wire_take_fd(int socket_fd, void *data, size_t len, int flags, int *ret_fd);

/* Reads what there is, once. Returns 0, also at the end (then ->ended), or -errno. */
int wire_fill(struct wire *wire);

/* Takes the next whole frame: 1 with the outputs set (valid until the next wire_fill),
 * 0 when there is none yet, -EPROTO for one that is too long. */
int wire_next(struct wire *wire, enum wire_type *ret_type, const char **ret_data, size_t *ret_len);

/* Key and value, with their NULs, for REQUEST and REPLY. */
void wire_pair(struct buf *buf, const char *key, const char *value);
void wire_pair_number(struct buf *buf, const char *key, int64_t value);
/* Walks the pairs: *at starts at 0. 1 with the outputs set, 0 at the end, -EPROTO. */
int wire_next_pair(const char *data, size_t len, size_t *at, const char **ret_key,
                   const char **ret_value);

/* A listening or connected socket at FOLDER/name. Returns the descriptor or -errno. */
int wire_listen(int folder_fd, const char *name);
int wire_connect(int folder_fd, const char *name);

#endif
