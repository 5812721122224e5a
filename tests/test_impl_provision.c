#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../impl/provision.h"

/*
 * The driver of a row: a shell script that ran $n execs before this call, this one counted.
 * execs is what provision_run() returns; 0 stands for a failure whose text is error.
 */
struct row {
    const char *name;
    const char *driver;
    int upstream;
    int hardened;
    const char *error; /* of each policy that fails, or of the one named first in '|' */
};

#define LOST "Error: io operation failed: connection closed"
#define RESET "Error: io operation failed: Connection reset by peer (os error 104)"
#define EXEC "[ $2 = exec ] || exit 0; "
#define FIRST EXEC "[ $n = 1 ] || exit 0; "

static const struct row rows[] = {
    {"success", "exit 0", 1, 1, NULL},
    {"137 once", FIRST "exit 137", 2, 2, NULL},
    {"137 twice", EXEC "echo o$n; echo e$n >&2; exit 137", 0, 0,
     "second exec failed: exit status 137; stdout \"o2\"; stderr \"e2\"; "
     "the first exec: exit status 137; stdout \"o1\"; stderr \"e1\""},
    {"137, then 1", EXEC "[ $n = 1 ] && exit 137; exit 1", 0, 0,
     "second exec failed: exit status 1; stdout \"\"; stderr \"\"; the first exec: exit status "
     "137; stdout \"\"; stderr \"\""},
    {"status 1", FIRST "echo a; exit 1", 0, 0,
     "exec failed: exit status 1; stdout \"a\"; stderr \"\""},
    {"status 2", FIRST "exit 2", 0, 0, "exec failed: exit status 2; stdout \"\"; stderr \"\""},
    {"status 126", FIRST "exit 126", 0, 0,
     "exec failed: exit status 126; stdout \"\"; stderr \"\""},
    {"status 127", FIRST "exit 127", 0, 0,
     "exec failed: exit status 127; stdout \"\"; stderr \"\""},
    {"status 136", FIRST "exit 136", 0, 0,
     "exec failed: exit status 136; stdout \"\"; stderr \"\""},
    {"status 138", FIRST "exit 138", 0, 0,
     "exec failed: exit status 138; stdout \"\"; stderr \"\""},
    {"status 139", FIRST "exit 139", 0, 0,
     "exec failed: exit status 139; stdout \"\"; stderr \"\""},
    {"driver killed", FIRST "echo a; kill -KILL $$", 0, 2,
     "exec failed: driver killed by signal 9 (SIGKILL); stdout \"a\"; stderr \"\""},
    {"driver terminated", FIRST "kill -TERM $$", 0, 2,
     "exec failed: driver killed by signal 15 (SIGTERM); stdout \"\"; stderr \"\""},
    {"driver killed twice", EXEC "kill -KILL $$", 0, 0,
     "second exec failed: driver killed by signal 9 (SIGKILL); stdout \"\"; stderr \"\"; "
     "the first exec: driver killed by signal 9 (SIGKILL); stdout \"\"; stderr \"\"|"
     "exec failed: driver killed by signal 9 (SIGKILL); stdout \"\"; stderr \"\""},
    {"lost connection", FIRST "echo '" LOST "' >&2; exit 1", 0, 2,
     "exec failed: exit status 1; stdout \"\"; stderr \"" LOST "\""},
    {"connection reset", FIRST "echo '" RESET "' >&2; exit 1", 0, 2,
     "exec failed: exit status 1; stdout \"\"; stderr \"" RESET "\""},
    {"lost after a warning", FIRST "echo W >&2; echo '" LOST "' >&2; exit 1", 0, 2,
     "exec failed: exit status 1; stdout \"\"; stderr \"W\\n" LOST "\""},
    {"the words with the guest's output", FIRST "echo a; echo '" LOST "' >&2; exit 1", 0, 0,
     "exec failed: exit status 1; stdout \"a\"; stderr \"" LOST "\""},
    {"the words with another status", FIRST "echo '" LOST "' >&2; exit 2", 0, 0,
     "exec failed: exit status 2; stdout \"\"; stderr \"" LOST "\""},
    {"the words not last", FIRST "echo '" LOST "' >&2; echo x >&2; exit 1", 0, 0,
     "exec failed: exit status 1; stdout \"\"; stderr \"" LOST "\\nx\""},
    {"more words", FIRST "echo '" LOST " x' >&2; exit 1", 0, 0,
     "exec failed: exit status 1; stdout \"\"; stderr \"" LOST " x\""},
    {"another driver error", FIRST "echo 'Error: vm not found: m' >&2; exit 1", 0, 0,
     "exec failed: exit status 1; stdout \"\"; stderr \"Error: vm not found: m\""},
    {"cp fails", "echo full >&2; exit 1", 0, 0,
     "cp failed: exit status 1; stdout \"\"; stderr \"full\""},
    {"cp ends with 137", "exit 137", 0, 0, "cp failed: exit status 137; stdout \"\"; stderr \"\""},
    {"cp killed", "kill -KILL $$", 0, 0,
     "cp failed: driver killed by signal 9 (SIGKILL); stdout \"\"; stderr \"\""},
    {"cp loses the connection", "echo '" LOST "' >&2; exit 1", 0, 0,
     "cp failed: exit status 1; stdout \"\"; stderr \"" LOST "\""},
};

static char folder[] = "/tmp/killpoint-provision-XXXXXX";
static char driver[64], calls[64];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(driver, sizeof driver, "%s/driver", folder);
    snprintf(calls, sizeof calls, "%s/calls", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(driver);
    unlink(calls);
    return rmdir(folder);
}

static void write_driver(const char *body)
{
    unlink(calls);
    FILE *file = fopen(driver, "we");
    assert_non_null(file);
    fprintf(file,
            "#!/bin/sh\necho $2 >>%s\n"
            "n=$(grep -c exec %s)\n%s\n",
            calls, calls, body);
    fclose(file);
    assert_int_equal(chmod(driver, 0755), 0);
}

static struct provision provision_of(enum policy policy)
{
    return (struct provision){DRIVER_SMOLVM, policy,       driver, "m",
                              "/ca.pem",     "/guest.crt", "true", 0};
}

static void check_row(const struct row *row, enum policy policy)
{
    int expected = policy == POLICY_UPSTREAM ? row->upstream : row->hardened;
    write_driver(row->driver);
    struct provision p = provision_of(policy);
    CLEANUP(error_release) struct error error = {NULL};
    int ret = provision_run(&p, &error);
    if (expected > 0) {
        if (ret != expected)
            fail_msg("%s: expected %d execs, found %d: %s", row->name, expected, ret,
                     error.text ? error.text : "");
        return;
    }
    const char *bar = strchr(row->error, '|');
    const char *text = bar && policy == POLICY_UPSTREAM ? bar + 1 : row->error;
    size_t len = bar && policy == POLICY_HARDENED ? (size_t)(bar - row->error) : strlen(text);
    if (ret != -EIO || strlen(error.text) != len || strncmp(error.text, text, len) != 0)
        fail_msg("%s: expected '%.*s', found %d '%s'", row->name, (int)len, text, ret,
                 error.text ? error.text : "");
}

static void policies_retry_what_they_may_and_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        check_row(&rows[i], POLICY_UPSTREAM);
        check_row(&rows[i], POLICY_HARDENED);
    }
}

/* What the real one said when its daemon was killed, and what it says when nothing was begun. */
static const struct {
    const char *name, *exec;
    bool retried;
} docker_rows[] = {
    {"while the command ran", "echo said; echo 'warned' >&2; exit 255", true},
    {"before it began", "echo 'unexpected EOF' >&2; exit 1", true},
    {"in the request",
     "echo 'error during connect: Post \"http://%2Fs/v1.50/containers/t/exec\": EOF' >&2; exit 1",
     true},
    {"reset in its output",
     "echo said; echo 'read unix @->/s: read: connection reset by peer' >&2; exit 1", true},
    {"the same over TCP",
     "echo 'read tcp 10.0.0.1:2->10.0.0.2:3: read: connection reset by peer' >&2; exit 1", true},
    {"the command's own word", "echo said; echo 'unexpected EOF' >&2; exit 1", false},
    {"another status", "echo 'unexpected EOF' >&2; exit 2", false},
    {"more behind it", "echo 'unexpected EOF, but' >&2; exit 1", false},
    {"no daemon: nothing was begun",
     "echo 'Cannot connect to the Docker daemon at unix:///s. Is the docker daemon running?' >&2; "
     "exit 1",
     false},
    {"no container", "echo 'Error response from daemon: No such container: t' >&2; exit 1", false},
    {"not there", "echo 'OCI runtime exec failed: exec failed: x'; exit 127", false},
    {"smolvm's word", "echo '" LOST "' >&2; exit 1", false},
};

static void docker_is_called_again_when_its_daemon_is_lost(void **state)
{
    (void)state;
    CLEANUP(free_text) char *again = format_text("%s.again", driver);
    for (size_t i = 0; i < sizeof docker_rows / sizeof *docker_rows; i++) {
        CLEANUP(free_text)
        char *script = format_text("[ $1 = exec ] || exit 0\n"
                                   "[ ! -e $0.again ] || exit 0; : >$0.again; %s",
                                   docker_rows[i].exec);
        write_driver(script);
        for (enum policy policy = POLICY_UPSTREAM; policy <= POLICY_HARDENED; policy++) {
            struct provision p = provision_of(policy);
            p.driver = DRIVER_DOCKER;
            CLEANUP(error_release) struct error error = {NULL};
            int expected = docker_rows[i].retried && policy == POLICY_HARDENED ? 2 : -EIO;
            int ret = provision_run(&p, &error);
            unlink(again);
            if (ret != expected)
                fail_msg("%s, policy %d: expected %d, found %d", docker_rows[i].name, (int)policy,
                         expected, ret);
        }
    }
}

static void missing_driver_is_named_with_its_step(void **state)
{
    (void)state;
    struct provision p = provision_of(POLICY_UPSTREAM);
    p.driver_path = "/nonexistent/smolvm";
    CLEANUP(error_release) struct error error = {NULL};
    assert_int_equal(provision_run(&p, &error), -ENOENT);
    assert_string_equal(error.text,
                        "cp failed: cannot start /nonexistent/smolvm: No such file or directory");
    write_driver("[ $2 = exec ] || { rm -f $0; exit 0; }");
    p.driver_path = driver;
    assert_int_equal(provision_run(&p, &error), -ENOENT);
    assert_int_equal(strncmp(error.text, "exec failed: cannot start", 25), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policies_retry_what_they_may_and_nothing_else),
        cmocka_unit_test(docker_is_called_again_when_its_daemon_is_lost),
        cmocka_unit_test(missing_driver_is_named_with_its_step),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
