#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fakes/agent.h"

static char *root;

static int set_up(void **state)
{
    (void)state;
    root = dir_make();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dir_remove(&root);
    return 0;
}

/* The agent walks from "/": it works in a child whose root is the test's folder. */
static struct agent_result run_agent(const struct agent_job *job)
{
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct agent_result result;
        if (chroot(root) < 0 || chdir("/") < 0)
            _exit(1);
        umask(077);
        agent_run(job, &result);
        _exit(write(fds[1], &result, sizeof result) != (ssize_t)sizeof result);
    }
    io_close(&fds[1]);
    struct agent_result result;
    ssize_t n = read(fds[0], &result, sizeof result);
    io_close(&fds[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(n, (ssize_t)sizeof result);
    return result;
}

struct row {
    const char *name;
    const char *before; /* run in the root's folder; NULL: nothing */
    const char *path;
    int errnum;
    const char *text;  /* exact; NULL: none */
    const char *after; /* must end 0 in the root's folder */
};

#define HAS(path) "[ \"$(cat " path ")\" = new ] && [ \"$(stat -c %a-%u-%g " path ")\" = 644-0-0 ]"
#define ESCAPES "write file: resolved parent escapes allowed root"

static const struct row uploads[] = {
    {"new file", "mkdir etc", "/etc/f", 0, NULL, HAS("etc/f") " && [ $(ls -A etc) = f ]"},
    {"file of the root", NULL, "/f", 0, NULL, HAS("f")},
    {"file with another mode and owner", "echo old >f; chmod 600 f; chown 5:5 f", "/f", 0, NULL,
     HAS("f")},
    {"missing parents", NULL, "/a/b/f", 0, NULL,
     HAS("a/b/f") " && [ $(stat -c %a a)$(stat -c %a a/b) = 755755 ]"},
    {"parents that are there keep their mode", "mkdir -m 700 a", "/a/f", 0, NULL,
     HAS("a/f") " && [ $(stat -c %a a) = 700 ]"},
    {"parent that is a relative link", "mkdir -p a/real; ln -s ../a/real a/link", "/a/link/f", 0,
     NULL, HAS("a/real/f")},
    {"parent that links to what is not there", "ln -s gone link", "/link/f", 0, NULL,
     HAS("gone/f") " && [ -L link ]"},
    {"parent that is an absolute link", "mkdir real; ln -s /real link", "/link/f", EXDEV, ESCAPES,
     "[ -z \"$(ls -A real)\" ]"},
    {"parent that links out of the root", "mkdir a; ln -s ../../killpoint-escape a/link",
     "/a/link/f", EXDEV, ESCAPES, "[ ! -e ../killpoint-escape ] && [ ! -e killpoint-escape ]"},
    {"links in a circle", "ln -s b a; ln -s a b", "/a/f", ELOOP,
     "write file: failed to create parent of /a/f: Too many levels of symbolic links (os error "
     "40)",
     "[ -L a ] && [ -L b ]"},
    {"parent that is a file", "echo x >a", "/a/f", ENOTDIR,
     "write file: failed to create parent of /a/f: Not a directory (os error 20)",
     "[ \"$(cat a)\" = x ]"},
    {"target that is a link", "echo old >kept; ln -s kept f", "/f", 0, NULL,
     HAS("f") " && [ ! -L f ] && [ \"$(cat kept)\" = old ]"},
    {"target that is a folder", "mkdir d", "/d", EISDIR,
     "write file: failed to rename onto /d: Is a directory (os error 21)", "[ \"$(ls -A)\" = d ]"},
    {"temporary of an earlier upload", "echo half >f.smolvm-upload.1.7; chmod 600 f.*", "/f", 0,
     NULL, HAS("f") " && [ $(ls -A) = f ]"},
    {"temporary that is a link", "echo old >kept; ln -s kept f.smolvm-upload.1.7", "/f", 0, NULL,
     HAS("f") " && [ \"$(cat kept)\" = old ] && [ ! -L f ]"},
    {"temporary that is a folder", "mkdir f.smolvm-upload.1.7", "/f", EEXIST,
     "write file: failed to write /f.smolvm-upload.1.7: File exists (os error 17)",
     "[ -d f.smolvm-upload.1.7 ] && [ ! -e f ]"},
};

static void check_shell(const char *name, const char *script)
{
    struct run done = run_sh("cd '%s' && { %s; }", root, script);
    if (done.how != PROC_EXITED || done.code != 0)
        fail_msg("%s: not so: %s", name, script);
    run_release(&done);
}

static void check_result(const struct row *row, const struct agent_result *result)
{
    const char *text = row->text ? row->text : "";
    if (result->errnum != row->errnum || strcmp(result->text, text) != 0)
        fail_msg("%s: error %d, '%s'", row->name, result->errnum, result->text);
}

static void upload_is_whole_or_not_there(void **state)
{
    (void)state;
    need_root();
    for (size_t i = 0; i < sizeof uploads / sizeof *uploads; i++) {
        const struct row *row = &uploads[i];
        if (row->before)
            check_shell(row->name, row->before);
        int fds[2];
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_int_equal(write(fds[1], "new\n", 4), 4);
        io_close(&fds[1]);
        struct agent_job job = {true, row->path, fds[0], 7};
        struct agent_result result = run_agent(&job);
        io_close(&fds[0]);
        check_result(row, &result);
        if (row->errnum == 0)
            assert_int_equal(result.size_bytes, 4);
        check_shell(row->name, row->after);
        check_shell(row->name, "find . -mindepth 1 -delete");
    }
}

static void large_upload_arrives_whole(void **state)
{
    (void)state;
    need_root();
    CLEANUP(io_free) char *from = io_format("%s/from", root);
    CLEANUP(buf_release) struct buf bytes = BUF_INIT;
    while (bytes.len <= 2 * AGENT_SINGLE_SHOT_BYTES)
        buf_printf(&bytes, "%zu ", bytes.len);
    assert_int_equal(io_write_file(AT_FDCWD, from, bytes.data, bytes.len, 0600, NULL), 0);
    CLEANUP(io_close) int fd = open(from, O_RDONLY | O_CLOEXEC);
    struct agent_job job = {true, "/to", fd, 1};
    struct agent_result result = run_agent(&job);
    assert_int_equal(result.errnum, 0);
    assert_int_equal(result.size_bytes, bytes.len);
    check_shell("large", "cmp from to");
}

static void failed_read_leaves_the_old_target(void **state)
{
    (void)state;
    need_root();
    check_shell("before", "echo old >f");
    CLEANUP(io_close) int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* EISDIR */
    struct agent_job job = {true, "/f", fd, 1};
    struct agent_result result = run_agent(&job);
    assert_int_equal(result.errnum, EISDIR);
    assert_string_equal(result.text, "write file: failed to write /f.smolvm-upload.1.1: Is a "
                                     "directory (os error 21)");
    check_shell("after", "[ \"$(cat f)\" = old ] && [ $(ls -A) = f ]");
}

static const struct row downloads[] = {
    {"file", "printf new >f", "/f", 0, NULL, "true"},
    {"through links that stay below the root", "printf new >f; ln -s f a; ln -s /a b", "/b", 0,
     NULL, "true"},
    {"empty file", ": >f", "/f", 0, NULL, "true"},
    {"no such file", NULL, "/f", ENOENT,
     "read file: failed to open /f: No such file or directory (os error 2)", "true"},
    {"folder", "mkdir f", "/f", EISDIR,
     "read file: failed to read /f: Is a directory (os error 21)", "true"},
    {"pipe that nobody writes to", "mkfifo f", "/f", EINVAL,
     "read file: failed to read /f: Invalid argument (os error 22)", "true"},
    {"link that leads nowhere", "ln -s gone f", "/f", ENOENT,
     "read file: failed to open /f: No such file or directory (os error 2)", "true"},
};

static void download_reads_regular_files_alone(void **state)
{
    (void)state;
    need_root();
    for (size_t i = 0; i < sizeof downloads / sizeof *downloads; i++) {
        const struct row *row = &downloads[i];
        if (row->before)
            check_shell(row->name, row->before);
        int fds[2];
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        struct agent_job job = {false, row->path, fds[1], 0};
        struct agent_result result = run_agent(&job);
        io_close(&fds[1]);
        CLEANUP(buf_release) struct buf bytes = BUF_INIT;
        assert_int_equal(io_read_all(fds[0], &bytes, 1000), 0);
        io_close(&fds[0]);
        check_result(row, &result);
        assert_int_equal(result.size_bytes, bytes.len);
        bool empty = row->errnum || strcmp(row->name, "empty file") == 0;
        assert_string_equal(buf_str(&bytes), empty ? "" : "new");
        check_shell(row->name, "find . -mindepth 1 -delete");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(upload_is_whole_or_not_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(large_upload_arrives_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(failed_read_leaves_the_old_target, set_up, tear_down),
        cmocka_unit_test_setup_teardown(download_reads_regular_files_alone, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("agent", tests, NULL, NULL);
}
