#include "support.h"

#include <string.h>

#include "../fakes/reply.h"

static void names_and_rows_are_the_same_in_the_same_order(void **state)
{
    (void)state;
    size_t n = 0;
    for (; reply_rows[n].name; n++) {
        assert_string_equal(reply_names[n], reply_rows[n].name);
        assert_ptr_equal(reply_find(reply_names[n]), &reply_rows[n]);
        assert_true(strlen(reply_rows[n].source) > 0);
        for (size_t k = 0; k < n; k++)
            assert_string_not_equal(reply_rows[k].name, reply_rows[n].name);
    }
    assert_null(reply_names[n]);
    assert_true(n >= 7);
    assert_null(reply_find("nosuch"));
    assert_null(reply_find(""));
}

#define LOST "io operation failed: connection closed\n"
#define NOT_RUNNING                                                                                \
    "Error: agent operation failed: connect: machine 'm1' is not running. Use 'smolvm machine "    \
    "start --name m1' first.\n"

static const struct row {
    const char *name;
    enum reply_mode mode;
    int status;
    const char *out, *err;
} rows[] = {
    {"lost", REPLY_BUFFERED, 1, "", "Error: " LOST},
    {"lost", REPLY_STREAM, 1, "", "error: " LOST},
    {"lost", REPLY_INTERACTIVE, 1, "",
     "Error: agent operation failed: run interactive: connection to VM lost\n"},
    {"reset", REPLY_BUFFERED, 1, "",
     "Error: io operation failed: Connection reset by peer (os error 104)\n"},
    {"reset", REPLY_STREAM, 1, "",
     "error: io operation failed: Connection reset by peer (os error 104)\n"},
    {"reset", REPLY_INTERACTIVE, 1, "",
     "Error: io operation failed: Connection reset by peer (os error 104)\n"},
    {"late", REPLY_BUFFERED, 1, "",
     "Error: io operation failed: Resource temporarily unavailable (os error 11)\n"},
    {"not-running", REPLY_BUFFERED, 1, "", NOT_RUNNING},
    {"unreachable", REPLY_INTERACTIVE, 1, "", NOT_RUNNING},
    {"container-gone", REPLY_BUFFERED, 1, "", "the container `m1` is not running\n"},
    {"join-broken-pipe", REPLY_BUFFERED, 1, "", "write to sync socket: Broken pipe\n"},
    {"join-no-process", REPLY_BUFFERED, 1, "",
     "fail startup\nsetns(pid=2, CLONE_NEWUSER): No such process\n"},
    {"join-pid-reused", REPLY_BUFFERED, 1, "",
     "fail startup\ncontainer process not found, the pid was reused: No such process\n"},
    {"client-disconnected", REPLY_BUFFERED, 137, "said", "warned\nclient disconnected"},
    {"timed-out", REPLY_BUFFERED, 124, "said", "warned\ncommand timed out after 1000ms"},
};

static void apply_shows_the_rows_text_and_status(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct reply reply = REPLY_INIT;
        buf_add(&reply.out, "said");
        buf_add(&reply.err, "warned");
        const struct reply_row *row = reply_find(rows[i].name);
        if (!row)
            fail_msg("no row %s", rows[i].name);
        reply_apply(row, "m1", rows[i].mode, &reply);
        if (reply.status != rows[i].status || strcmp(buf_str(&reply.out), rows[i].out) != 0 ||
            strcmp(buf_str(&reply.err), rows[i].err) != 0)
            fail_msg("%s, mode %d: status %d, stdout '%s', stderr '%s'", rows[i].name, rows[i].mode,
                     reply.status, buf_str(&reply.out), buf_str(&reply.err));
        reply_release(&reply);
    }
}

#define CONNECT "error during connect: "
#define API "http://%2Fvar%2Frun%2Fdocker.sock/v1.50/containers/m1"
#define RESET "read unix @->/var/run/docker.sock: read: connection reset by peer\n"

static const struct docker_row {
    const char *name;
    enum reply_docker call;
    const char *guest_path;
    bool upload;
    int status;
    const char *err;
} docker_rows[] = {
    {"lost", REPLY_DOCKER_BEGINS, NULL, false, 1,
     "warned"
     "unexpected EOF\n"},
    {"lost", REPLY_DOCKER_EXEC, NULL, false, 255, "warned"},
    {"lost", REPLY_DOCKER_CP, "/root/a b.crt", true, 1,
     CONNECT "Put \"" API "/archive?noOverwriteDirNonDir=true&path=%2Froot\": EOF\n"},
    {"lost", REPLY_DOCKER_CP, "/x", true, 1,
     CONNECT "Put \"" API "/archive?noOverwriteDirNonDir=true&path=%2F\": EOF\n"},
    {"reset", REPLY_DOCKER_CP, "/root/a_b", false, 1,
     CONNECT "Get \"" API "/archive?path=%2Froot%2Fa_b\": " RESET},
    {"reset", REPLY_DOCKER_BEGINS, NULL, false, 1,
     "warned" CONNECT "Post \"" API "/exec\": " RESET},
    {"reset", REPLY_DOCKER_EXEC, NULL, false, 1, "warned" RESET},
    {"not-running", REPLY_DOCKER_BEGINS, NULL, false, 1,
     "warned"
     "Error response from daemon: container abc is not running\n"},
    {"late", REPLY_DOCKER_EXEC, NULL, false, 125,
     "warned"
     "error: docker has no reply 'late' to this call\n"},
};

/* As docker 28 was found to say it: fakes/README.md. */
static void docker_has_words_of_its_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof docker_rows / sizeof *docker_rows; i++) {
        const struct docker_row *row = &docker_rows[i];
        struct reply reply = REPLY_INIT;
        buf_add(&reply.out, "said");
        buf_add(&reply.err, "warned");
        const struct reply_subject subject = {"abc", "m1", row->guest_path, row->upload};
        reply_apply_docker(reply_find(row->name), &subject, row->call, &reply);
        if (reply.status != row->status || strcmp(buf_str(&reply.out), "said") != 0 ||
            strcmp(buf_str(&reply.err), row->err) != 0)
            fail_msg("%s, call %d: status %d, stderr '%s'", row->name, (int)row->call, reply.status,
                     buf_str(&reply.err));
        reply_release(&reply);
    }
}

static void machines_name_is_no_format(void **state)
{
    (void)state;
    struct reply reply = REPLY_INIT;
    reply_apply(reply_find("container-gone"), "%s%n", REPLY_BUFFERED, &reply);
    assert_string_equal(buf_str(&reply.err), "the container `%s%n` is not running\n");
    reply_release(&reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_rows_are_the_same_in_the_same_order),
        cmocka_unit_test(apply_shows_the_rows_text_and_status),
        cmocka_unit_test(docker_has_words_of_its_own),
        cmocka_unit_test(machines_name_is_no_format),
    };
    return cmocka_run_group_tests_name("reply", tests, NULL, NULL);
}
