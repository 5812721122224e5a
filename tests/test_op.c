#include "support.h"

#include <errno.h>
#include <string.h>

#include "../fault/op.h"

static void every_operation_is_found_by_its_name(void **state)
{
    (void)state;
    for (unsigned op = 0; op < OP_COUNT; op++) {
        enum op found = OP_COUNT;
        const char *name = op_name((enum op)op);
        if (op_find(name, strlen(name), &found) < 0 || found != (enum op)op)
            fail_msg("%s", name);
    }
}

static void every_call_reads_as_its_operation(void **state)
{
    (void)state;
    size_t count;
    const struct op_call *calls = op_calls(&count);
    for (size_t i = 0; i < count; i++) {
        enum op found = OP_COUNT;
        if (op_find(calls[i].name, strlen(calls[i].name), &found) < 0 || found != calls[i].op)
            fail_msg("%s", calls[i].name);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(calls[i].name, calls[j].name);
    }
}

static void unknown_names_are_not_found(void **state)
{
    (void)state;
    static const char *const names[] = {"",       "renam",          "renameat22",
                                        "Rename", "close",          "write ",
                                        "tee",    "io_uring_setup", "open_by_handle_at"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        enum op found = OP_COUNT;
        assert_int_equal(op_find(names[i], strlen(names[i]), &found), -ENOENT);
        assert_int_equal(found, OP_COUNT);
    }
}

/* NAME(2) or NAME(3p). */
static bool is_page(const char *page)
{
    size_t len = strspn(page, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return len > 0 && (strcmp(page + len, "(2)") == 0 || strcmp(page + len, "(3p)") == 0);
}

static void every_error_has_a_name_and_cites_a_page(void **state)
{
    (void)state;
    size_t count, errnums = 0;
    const struct op_errors *rows = op_errors(&count);
    for (size_t i = 0; i < count; i++) {
        if (!is_page(rows[i].page))
            fail_msg("row %zu: %s", i, rows[i].page);
        assert_int_equal(rows[i].errnums[OP_ERRORS_MAX - 1], 0);
        assert_int_not_equal(rows[i].errnums[0], 0);
        for (const int *at = rows[i].errnums; *at; at++, errnums++) {
            assert_non_null(op_errno_name(*at));
            assert_int_not_equal(*at, EBADFD);
        }
    }
    print_message("%zu errors in %zu rows\n", errnums, count);
}

static bool names_call(const char *list, const char *call)
{
    CLEANUP(io_free) char *padded = io_format(" %s ", list);
    CLEANUP(io_free) char *word = io_format(" %s ", call);
    return strstr(padded, word) != NULL;
}

static void no_call_has_an_error_twice(void **state)
{
    (void)state;
    size_t call_count, row_count;
    const struct op_call *calls = op_calls(&call_count);
    const struct op_errors *rows = op_errors(&row_count);
    for (size_t c = 0; c < call_count; c++) {
        for (int errnum = 1; errnum < 256; errnum++) {
            unsigned times = 0;
            for (size_t r = 0; r < row_count; r++) {
                if (rows[r].op != calls[c].op ||
                    (rows[r].calls && !names_call(rows[r].calls, calls[c].name)))
                    continue;
                for (const int *at = rows[r].errnums; *at; at++)
                    times += *at == errnum;
            }
            if (times > 1)
                fail_msg("%s %s: %u times", calls[c].name, op_errno_name(errnum), times);
            assert_int_equal(times == 1, op_can_fail(calls[c].op, calls[c].name, errnum) != NULL);
        }
    }
}

static void rows_name_calls_of_their_operation(void **state)
{
    (void)state;
    size_t count;
    const struct op_errors *rows = op_errors(&count);
    for (size_t i = 0; i < count; i++) {
        for (const char *at = rows[i].calls ? rows[i].calls : ""; *at; at += strspn(at, " ")) {
            size_t len = strcspn(at, " ");
            enum op op = OP_COUNT;
            bool removes_dir = rows[i].op == OP_RMDIR && strncmp(at, "unlinkat", len) == 0;
            if (op_find(at, len, &op) < 0 || (op != rows[i].op && !removes_dir))
                fail_msg("row %zu: %s", i, at);
            at += len;
        }
    }
}

static void only_sync_itself_never_fails(void **state)
{
    (void)state;
    size_t count;
    const struct op_call *calls = op_calls(&count);
    for (size_t i = 0; i < count; i++) {
        bool fails = false;
        for (int errnum = 1; errnum < 256; errnum++)
            fails = fails || op_can_fail(calls[i].op, calls[i].name, errnum);
        if (fails == (strcmp(calls[i].name, "sync") == 0))
            fail_msg("%s", calls[i].name);
    }
}

static const struct {
    const char *name;
    enum op op;
    const char *call;
    int errnum;
    const char *page;
} errors[] = {
    {"a full disk under write", OP_WRITE, "write", ENOSPC, "write(2)"},
    {"a bad disk under write", OP_WRITE, NULL, EIO, "write(2)"},
    {"a reader that left is no file's matter", OP_WRITE, NULL, EPIPE, NULL},
    {"write knows no other file system", OP_WRITE, "write", EXDEV, NULL},
    {"copy_file_range does", OP_WRITE, "copy_file_range", EXDEV, "copy_file_range(2)"},
    {"so some write does", OP_WRITE, NULL, EXDEV, "copy_file_range(2)"},
    {"a read-only tree under open", OP_OPEN, "openat", EROFS, "open(2)"},
    {"a full disk under open", OP_OPEN, "creat", ENOSPC, "open(2)"},
    {"open has no descriptor", OP_OPEN, "open", EBADF, NULL},
    {"openat has", OP_OPEN, "openat", EBADF, "open(2)"},
    {"a bad disk under rename", OP_RENAME, "rename", EIO, "rename(3p)"},
    {"a full disk under rename", OP_RENAME, "renameat2", ENOSPC, "rename(2)"},
    {"a read-only tree under rename", OP_RENAME, "renameat", EROFS, "rename(2)"},
    {"a bad disk under link", OP_LINK, "linkat", EIO, "link(2)"},
    {"a full disk under symlink", OP_SYMLINK, "symlink", ENOSPC, "symlink(2)"},
    {"unlink needs no space", OP_UNLINK, NULL, ENOSPC, NULL},
    {"a bad disk under unlink", OP_UNLINK, "unlink", EIO, "unlink(2)"},
    {"a full disk under mkdir", OP_MKDIR, "mkdirat", ENOSPC, "mkdir(2)"},
    {"a bad disk under rmdir", OP_RMDIR, "rmdir", EIO, "rmdir(3p)"},
    {"rmdir through unlinkat", OP_RMDIR, "unlinkat", ENOTEMPTY, "rmdir(2)"},
    {"an address in use", OP_MKNOD, "bind", EADDRINUSE, "bind(2)"},
    {"mknod has no address", OP_MKNOD, "mknod", EADDRINUSE, NULL},
    {"a read-only tree under chmod", OP_CHMOD, "fchmod", EROFS, "chmod(2)"},
    {"fchmod has no path", OP_CHMOD, "fchmod", ENOENT, NULL},
    {"a bad disk under chown", OP_CHOWN, "fchownat", EIO, "chown(2)"},
    {"a read-only tree under utimensat", OP_UTIME, "utimensat", EROFS, "utimensat(2)"},
    {"a full disk under setxattr", OP_XATTR, "fsetxattr", ENOSPC, "setxattr(2)"},
    {"removexattr needs no space", OP_XATTR, "removexattr", ENOSPC, NULL},
    {"fallocate", OP_TRUNCATE, "fallocate", ENOSPC, "fallocate(2)"},
    {"ftruncate needs no space", OP_TRUNCATE, "ftruncate", ENOSPC, NULL},
    {"a bad disk under fsync", OP_SYNC, "fdatasync", EIO, "fsync(2)"},
};

static void errors_are_those_of_the_pages(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        const char *page = op_can_fail(errors[i].op, errors[i].call, errors[i].errnum);
        if (!page != !errors[i].page || (page && strcmp(page, errors[i].page) != 0))
            fail_msg("%s: found %s", errors[i].name, page ? page : "no page");
    }
}

static void error_names_are_read_back(void **state)
{
    (void)state;
    unsigned named = 0;
    for (int errnum = 1; errnum < 200; errnum++) {
        const char *name = op_errno_name(errnum);
        if (name)
            assert_int_equal(op_errno(name, strlen(name)), errnum);
        named += name != NULL;
    }
    assert_true(named > 100);
    assert_int_equal(op_errno("EWOULDBLOCK", 11), EAGAIN);
    assert_int_equal(op_errno("ENOTSUP", 7), EOPNOTSUPP);
    assert_int_equal(op_errno("ENOSPCX", 6), ENOSPC);
    assert_int_equal(op_errno("ENOSPCX", 7), 0);
    assert_int_equal(op_errno("enospc", 6), 0);
    assert_int_equal(op_errno("", 0), 0);
    assert_int_equal(op_errno("0", 1), 0);
    assert_null(op_errno_name(0));
    assert_null(op_errno_name(-1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_is_found_by_its_name),
        cmocka_unit_test(every_call_reads_as_its_operation),
        cmocka_unit_test(unknown_names_are_not_found),
        cmocka_unit_test(every_error_has_a_name_and_cites_a_page),
        cmocka_unit_test(no_call_has_an_error_twice),
        cmocka_unit_test(rows_name_calls_of_their_operation),
        cmocka_unit_test(only_sync_itself_never_fails),
        cmocka_unit_test(errors_are_those_of_the_pages),
        cmocka_unit_test(error_names_are_read_back),
    };
    return cmocka_run_group_tests_name("op", tests, NULL, NULL);
}
