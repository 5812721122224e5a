#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../fakes/wire.h"

struct ends {
    struct wire a, b;
};

static void connect_ends(struct ends *ends)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    *ends = (struct ends){WIRE_INIT, WIRE_INIT};
    ends->a.fd = pair[0];
    ends->b.fd = pair[1];
}

static void release(struct ends *ends)
{
    wire_release(&ends->a);
    wire_release(&ends->b);
}

static void check_frame(struct wire *wire, enum wire_type type, const char *data, size_t len)
{
    enum wire_type found;
    const char *found_data;
    size_t found_len;
    assert_int_equal(wire_next(wire, &found, &found_data, &found_len), 1);
    assert_int_equal(found, type);
    assert_int_equal(found_len, len);
    assert_memory_equal(found_data, data, len);
}

static void check_no_frame(struct wire *wire)
{
    enum wire_type type;
    const char *data;
    size_t len;
    assert_int_equal(wire_next(wire, &type, &data, &len), 0);
}

static void frames_arrive_in_order_with_all_bytes(void **state)
{
    (void)state;
    struct ends ends;
    connect_ends(&ends);
    wire_queue(&ends.a, WIRE_OUT, "a\0b", 3);
    wire_queue(&ends.a, WIRE_STDIN_END, NULL, 0);
    wire_queue(&ends.a, WIRE_ERR, "later", 5);
    assert_int_equal(wire_pending(&ends.a), 3 * 5 + 3 + 5);
    check_no_frame(&ends.b);
    assert_int_equal(wire_flush(&ends.a), 0);
    assert_int_equal(wire_pending(&ends.a), 0);
    assert_int_equal(wire_fill(&ends.b), 0);
    check_frame(&ends.b, WIRE_OUT, "a\0b", 3);
    check_frame(&ends.b, WIRE_STDIN_END, "", 0);
    check_frame(&ends.b, WIRE_ERR, "later", 5);
    check_no_frame(&ends.b);
    assert_false(ends.b.ended);
    release(&ends);
}

static void frame_in_pieces_waits_until_it_is_whole(void **state)
{
    (void)state;
    struct ends ends;
    connect_ends(&ends);
    wire_queue(&ends.a, WIRE_OUT, "hello", 5);
    for (size_t i = 0; i < ends.a.out.len; i++) {
        check_no_frame(&ends.b);
        assert_int_equal(send(ends.a.fd, ends.a.out.data + i, 1, 0), 1);
        assert_int_equal(wire_fill(&ends.b), 0);
    }
    check_frame(&ends.b, WIRE_OUT, "hello", 5);
    assert_int_equal(wire_fill(&ends.b), 0); /* nothing there: no error */
    check_no_frame(&ends.b);
    release(&ends);
}

static void queue_holds_what_the_socket_does_not_take(void **state)
{
    (void)state;
    struct ends ends;
    connect_ends(&ends);
    CLEANUP(buf_release) struct buf big = BUF_INIT;
    while (big.len < 4000000)
        buf_printf(&big, "%zu ", big.len);
    wire_queue(&ends.a, WIRE_OUT, big.data, big.len);
    wire_queue(&ends.a, WIRE_ERR, "end", 3);
    assert_int_equal(wire_flush(&ends.a), 0);
    assert_true(wire_pending(&ends.a) > 0);
    size_t rounds = 0;
    while (ends.b.in.len < big.len + 5 + 8 && rounds++ < 100000) {
        assert_int_equal(wire_flush(&ends.a), 0);
        assert_int_equal(wire_fill(&ends.b), 0);
    }
    check_frame(&ends.b, WIRE_OUT, big.data, big.len);
    check_frame(&ends.b, WIRE_ERR, "end", 3);
    release(&ends);
}

static void end_of_the_other_side_is_told_behind_its_last_frame(void **state)
{
    (void)state;
    struct ends ends;
    connect_ends(&ends);
    wire_queue(&ends.a, WIRE_REPLY, "x", 1);
    assert_int_equal(wire_flush(&ends.a), 0);
    wire_release(&ends.a);
    assert_int_equal(wire_fill(&ends.b), 0);
    assert_false(ends.b.ended);
    assert_int_equal(wire_fill(&ends.b), 0);
    assert_true(ends.b.ended);
    check_frame(&ends.b, WIRE_REPLY, "x", 1);
    wire_queue(&ends.b, WIRE_OUT, "x", 1);
    assert_int_equal(wire_flush(&ends.b), -EPIPE); /* and no SIGPIPE */
    release(&ends);
}

static void frame_that_is_too_long_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t size;
        int ret;
    } rows[] = {{"longest", WIRE_MAX_BYTES, 0},
                {"one more", WIRE_MAX_BYTES + 1, -EPROTO},
                {"all bits", UINT32_MAX, -EPROTO}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ends ends;
        connect_ends(&ends);
        char head[5] = {WIRE_OUT};
        memcpy(head + 1, &rows[i].size, 4);
        assert_int_equal(send(ends.a.fd, head, sizeof head, 0), (ssize_t)sizeof head);
        assert_int_equal(wire_fill(&ends.b), 0);
        enum wire_type type;
        const char *data;
        size_t len;
        if (wire_next(&ends.b, &type, &data, &len) != rows[i].ret)
            fail_msg("%s", rows[i].name);
        release(&ends);
    }
}

static void descriptor_goes_over_and_is_close_on_exec(void **state)
{
    (void)state;
    struct ends ends;
    connect_ends(&ends);
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(wire_send_fd(&ends.a, WIRE_READY, fds[1]), 0);
    assert_int_equal(wire_send_fd(&ends.a, WIRE_READY, fds[1]), 0); /* the last one is kept */
    io_close(&fds[1]);
    assert_int_equal(wire_fill(&ends.b), 0);
    assert_int_equal(wire_fill(&ends.b), 0);
    check_frame(&ends.b, WIRE_READY, "", 0);
    check_frame(&ends.b, WIRE_READY, "", 0);
    assert_true(ends.b.passed_fd >= 0);
    assert_int_equal(fcntl(ends.b.passed_fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(write(ends.b.passed_fd, "x", 1), 1);
    release(&ends);
    char bytes[2];
    assert_int_equal(read(fds[0], bytes, 2), 1);
    assert_int_equal(read(fds[0], bytes, 2), 0); /* no copy is left open */
    io_close(&fds[0]);
}

static void pairs_come_back_as_they_were_put(void **state)
{
    (void)state;
    CLEANUP(buf_release) struct buf pairs = BUF_INIT;
    wire_pair(&pairs, "key", "value");
    wire_pair(&pairs, "empty", "");
    wire_pair_number(&pairs, "least", INT64_MIN);
    static const char *const expected[] = {"key", "value", "empty",
                                           "",    "least", "-9223372036854775808"};
    size_t at = 0;
    const char *key, *value;
    for (size_t i = 0; i < 6; i += 2) {
        assert_int_equal(wire_next_pair(pairs.data, pairs.len, &at, &key, &value), 1);
        assert_string_equal(key, expected[i]);
        assert_string_equal(value, expected[i + 1]);
    }
    assert_int_equal(wire_next_pair(pairs.data, pairs.len, &at, &key, &value), 0);
}

static void half_pairs_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name, *data;
        size_t len;
    } rows[] = {{"no end of the key", "key", 3},
                {"no value", "key", 4},
                {"no end of the value", "key\0value", 9}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t at = 0;
        const char *key = NULL, *value = NULL;
        /* A copy of just that length, for Valgrind to see what is read behind it. */
        char *copy = malloc(rows[i].len);
        memcpy(copy, rows[i].data, rows[i].len);
        int ret = wire_next_pair(copy, rows[i].len, &at, &key, &value);
        free(copy);
        if (ret != -EPROTO || key || value)
            fail_msg("%s: %d", rows[i].name, ret);
    }
}

static void sockets_work_in_folders_of_any_length(void **state)
{
    (void)state;
    CLEANUP(dir_remove) char *folder = dir_make();
    CLEANUP(io_free)
    char *deep = io_format("%s/%0200d/%0200d", folder, 1, 2);
    assert_int_equal(io_make_dirs(deep, 0700, NULL), 0);
    CLEANUP(io_close) int folder_fd = open(deep, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(wire_connect(folder_fd, "sock"), -ENOENT);
    CLEANUP(io_close) int old = wire_listen(folder_fd, "sock");
    assert_true(old >= 0);
    io_close(&old);
    assert_int_equal(wire_connect(folder_fd, "sock"), -ECONNREFUSED);
    CLEANUP(io_close) int listener = wire_listen(folder_fd, "sock"); /* over the stale one */
    assert_true(listener >= 0);
    CLEANUP(io_close) int client = wire_connect(folder_fd, "sock");
    assert_true(client >= 0);
    CLEANUP(io_close) int server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_int_equal(send(client, "x", 1, 0), 1);
    char byte;
    assert_int_equal(recv(server, &byte, 1, 0), 1);
    CLEANUP(io_free) char *long_name = io_format("%0120d", 1);
    assert_int_equal(wire_listen(folder_fd, long_name), -ENAMETOOLONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_arrive_in_order_with_all_bytes),
        cmocka_unit_test(frame_in_pieces_waits_until_it_is_whole),
        cmocka_unit_test(queue_holds_what_the_socket_does_not_take),
        cmocka_unit_test(end_of_the_other_side_is_told_behind_its_last_frame),
        cmocka_unit_test(frame_that_is_too_long_is_refused),
        cmocka_unit_test(descriptor_goes_over_and_is_close_on_exec),
        cmocka_unit_test(pairs_come_back_as_they_were_put),
        cmocka_unit_test(half_pairs_are_refused),
        cmocka_unit_test(sockets_work_in_folders_of_any_length),
    };
    return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
