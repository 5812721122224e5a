#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../fault/io.h"

static char *folder;

static int set_up(void **state)
{
    (void)state;
    folder = dir_make();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dir_remove(&folder);
    return 0;
}

static void close_keeps_errno_and_forgets_the_number(void **state)
{
    (void)state;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), closed = fd;
    assert_true(fd >= 0);
    errno = EDOM;
    io_close(&fd);
    assert_int_equal(errno, EDOM);
    assert_int_equal(fd, -1);
    assert_int_equal(fcntl(closed, F_GETFD), -1);
    errno = EDOM;
    io_close(&fd);
    assert_int_equal(errno, EDOM);
}

static void steal_leaves_nothing_behind(void **state)
{
    (void)state;
    int fd = 5;
    char *text = io_format("%d", 5), *kept = text;
    assert_int_equal(steal_fd(&fd), 5);
    assert_int_equal(fd, -1);
    char *stolen = steal_ptr(&text);
    assert_ptr_equal(stolen, kept);
    assert_null(text);
    io_free(&stolen);
    assert_null(stolen);
    FILE *file = NULL;
    io_fclose(&file);
}

static void buf_grows_and_stays_terminated(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT;
    assert_string_equal(buf_str(&buf), "");
    for (size_t i = 0; i < 2000; i++) {
        assert_int_equal(buf.len, i);
        buf_append(&buf, "x", 1);
        assert_int_equal(buf.data[buf.len], '\0');
    }
    buf_clear(&buf);
    assert_string_equal(buf_str(&buf), "");
    buf_add(&buf, "a");
    buf_append(&buf, "\0b", 2);
    buf_printf(&buf, "%s-%d", "c", 7);
    buf_append(&buf, NULL, 0);
    assert_int_equal(buf.len, 6);
    assert_memory_equal(buf.data, "a\0bc-7", 7);
    buf_clear(&buf);
    for (size_t len = 250; len < 260; len++) { /* around the first capacity */
        buf_release(&buf);
        buf_printf(&buf, "%*s", (int)len, "y");
        assert_int_equal(strlen(buf_str(&buf)), len);
    }
    buf_release(&buf);
    assert_null(buf.data);
}

static void read_all_stops_past_its_limit(void **state)
{
    (void)state;
    CLEANUP(io_free) char *path = io_format("%s/f", folder);
    char bytes[40000];
    memset(bytes, 'b', sizeof bytes);
    assert_int_equal(io_write_file(AT_FDCWD, path, bytes, sizeof bytes, 0644, NULL), 0);
    static const struct {
        size_t max_bytes;
        int ret;
    } rows[] = {{40001, 0}, {40000, 0}, {39999, -EFBIG}, {0, -EFBIG}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(buf_release) struct buf buf = BUF_INIT;
        struct err err = {""};
        assert_int_equal(io_read_file(AT_FDCWD, path, &buf, rows[i].max_bytes, &err), rows[i].ret);
        assert_int_equal(*err.msg != '\0', rows[i].ret < 0);
        if (rows[i].ret == 0)
            assert_memory_equal(buf.data, bytes, sizeof bytes);
    }
}

static void write_file_replaces_as_a_whole(void **state)
{
    (void)state;
    CLEANUP(io_close) int dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct err err = {""};
    struct stat st;
    assert_int_equal(io_write_file(dir_fd, "f", "one", 3, 0600, &err), 0);
    assert_int_equal(fstatat(dir_fd, "f", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    ino_t old = st.st_ino;
    CLEANUP(io_close) int reader = openat(dir_fd, "f", O_RDONLY | O_CLOEXEC);
    assert_int_equal(io_write_file(dir_fd, "f", "second", 6, 0600, &err), 0);
    assert_int_equal(fstatat(dir_fd, "f", &st, 0), 0);
    assert_int_not_equal(st.st_ino, old);
    CLEANUP(buf_release) struct buf before = BUF_INIT;
    CLEANUP(buf_release) struct buf after = BUF_INIT;
    assert_int_equal(io_read_all(reader, &before, 100), 0);
    assert_int_equal(io_read_file(dir_fd, "f", &after, 100, &err), 0);
    assert_string_equal(buf_str(&before), "one");
    assert_string_equal(buf_str(&after), "second");
}

static void failed_write_leaves_no_temporary(void **state)
{
    (void)state;
    struct err err = {""};
    CLEANUP(io_free) char *path = io_format("%s/f", folder);
    CLEANUP(io_free) char *missing = io_format("%s/none/f", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(io_write_file(AT_FDCWD, path, "x", 1, 0600, &err), -EISDIR);
    assert_non_null(strstr(err.msg, "write "));
    assert_int_equal(io_write_file(AT_FDCWD, missing, "x", 1, 0600, &err), -ENOENT);
    struct run left = run_sh("ls -A '%s'", folder);
    assert_string_equal(left.out, "f\n");
    run_release(&left);
}

static void write_all_reports_a_full_device(void **state)
{
    (void)state;
    CLEANUP(io_close) int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_int_equal(io_write_all(fd, "x", 1), -ENOSPC);
    assert_int_equal(io_write_all(fd, "x", 0), 0);
    CLEANUP(buf_release) struct buf buf = BUF_INIT;
    assert_int_equal(io_read_all(-1, &buf, 10), -EBADF);
}

static void make_dirs_makes_all_parents_once(void **state)
{
    (void)state;
    struct err err = {""};
    CLEANUP(io_free) char *path = io_format("%s/a/b/c", folder);
    CLEANUP(io_free) char *file = io_format("%s/file", folder);
    CLEANUP(io_free) char *below = io_format("%s/file/x", folder);
    assert_int_equal(io_make_dirs(path, 0700, &err), 0);
    assert_int_equal(io_make_dirs(path, 0700, &err), 0);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(io_write_file(AT_FDCWD, file, "", 0, 0600, &err), 0);
    assert_int_equal(io_make_dirs(below, 0700, &err), -ENOTDIR);
}

static void remove_tree_removes_links_but_not_what_they_name(void **state)
{
    (void)state;
    struct err err = {""};
    struct run made =
        run_sh("cd '%s' && mkdir -p t/a/b/c kept && echo x >t/a/f && echo y >kept/f && "
               "ln -s ../kept t/link && ln -s /nowhere t/dangling && chmod 0 t/a/b && mkfifo t/p",
               folder);
    check_success(&made);
    run_release(&made);
    CLEANUP(io_close) int dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(io_remove_tree(dir_fd, "t", &err), 0);
    assert_int_equal(io_remove_tree(dir_fd, "t", &err), 0); /* a missing one is success */
    struct run left = run_sh("cd '%s' && find . | sort", folder);
    assert_string_equal(left.out, ".\n./kept\n./kept/f\n");
    run_release(&left);
}

static void remove_tree_stops_at_a_mount_point(void **state)
{
    (void)state;
    need_root();
    CLEANUP(io_free) char *inner = io_format("%s/t/m", folder);
    struct err err = {""};
    assert_int_equal(io_make_dirs(inner, 0700, &err), 0);
    assert_int_equal(mount("none", inner, "tmpfs", 0, "size=64k"), 0);
    CLEANUP(io_free) char *file = io_format("%s/f", inner);
    int written = io_write_file(AT_FDCWD, file, "x", 1, 0600, &err);
    CLEANUP(io_close) int dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int ret = io_remove_tree(dir_fd, "t", &err);
    int of_itself = io_remove_tree(dir_fd, "t/m", NULL);
    bool kept = access(file, F_OK) == 0;
    umount2(inner, MNT_DETACH);
    assert_int_equal(written, 0);
    assert_int_equal(ret, -EXDEV);
    assert_non_null(strstr(err.msg, "mounted"));
    assert_int_equal(of_itself, -EXDEV);
    assert_true(kept);
}

static void nonblock_is_set_beside_the_other_flags(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(io_set_nonblock(fds[0]), 0);
    char byte;
    assert_int_equal(read(fds[0], &byte, 1), -1);
    assert_int_equal(errno, EAGAIN);
    io_close(&fds[0]);
    io_close(&fds[1]);
    assert_int_equal(io_set_nonblock(-1), -EBADF);
}

static void lock_file_is_locked_until_it_is_closed(void **state)
{
    (void)state;
    CLEANUP(io_free) char *path = io_format("%s/lock", folder);
    CLEANUP(io_close) int one = -1;
    CLEANUP(io_close) int two = -1;
    assert_int_equal(io_lock_file(AT_FDCWD, path, 0, &one), -ENOENT);
    assert_int_equal(io_lock_file(AT_FDCWD, path, O_CREAT, &one), 0);
    assert_int_equal(io_lock_file(AT_FDCWD, path, O_CREAT, &two), -EAGAIN);
    assert_int_equal(two, -1);
    io_close(&one);
    assert_int_equal(io_lock_file(AT_FDCWD, path, 0, &two), 0);
}

static void pipe_carries_bytes_and_is_closed_on_exec(void **state)
{
    (void)state;
    CLEANUP(io_close) int read_fd = -1;
    CLEANUP(io_close) int write_fd = -1;
    char byte = '\0';
    assert_int_equal(io_pipe(&read_fd, &write_fd), 0);
    assert_int_equal(write(write_fd, "x", 1), 1);
    assert_int_equal(read(read_fd, &byte, 1), 1);
    assert_int_equal(byte, 'x');
    assert_int_equal(fcntl(read_fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(write_fd, F_GETFD), FD_CLOEXEC);
}

static void clock_goes_forward_in_both_units(void **state)
{
    (void)state;
    int64_t ms = io_now_ms(), ns = io_now_ns();
    usleep(2000);
    assert_true(io_now_ms() > ms);
    assert_true(io_now_ns() - ns >= 2000000);
    assert_true(ns / 1000000 - ms < 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(close_keeps_errno_and_forgets_the_number),
        cmocka_unit_test(steal_leaves_nothing_behind),
        cmocka_unit_test(buf_grows_and_stays_terminated),
        cmocka_unit_test_setup_teardown(read_all_stops_past_its_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(write_file_replaces_as_a_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(failed_write_leaves_no_temporary, set_up, tear_down),
        cmocka_unit_test(write_all_reports_a_full_device),
        cmocka_unit_test_setup_teardown(make_dirs_makes_all_parents_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(remove_tree_removes_links_but_not_what_they_name, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(remove_tree_stops_at_a_mount_point, set_up, tear_down),
        cmocka_unit_test(nonblock_is_set_beside_the_other_flags),
        cmocka_unit_test_setup_teardown(lock_file_is_locked_until_it_is_closed, set_up, tear_down),
        cmocka_unit_test(pipe_carries_bytes_and_is_closed_on_exec),
        cmocka_unit_test(clock_goes_forward_in_both_units),
    };
    return cmocka_run_group_tests_name("io", tests, NULL, NULL);
}
