/*
 * Each kind of step on a real machine; what it did is asked of the machine itself.
 */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../fakes/container.h"
#include "../fakes/state.h"
#include "../fault/home.h"
#include "../scenarios/prestate.h"

#define LAYOUT "bookworm-mini"
#define CA_PATH "/usr/local/share/ca-certificates/bot-bottle-mitm.crt"
#define BUNDLE "/etc/ssl/certs/ca-certificates.crt"

/* A machine that ends when owner_fds[1] is closed. */
static struct {
    char *folder, *fixtures;
    int owner_fds[2];
    struct prestate_machine machine;
} bench = {.owner_fds = {-1, -1}};

static int set_up(void **state)
{
    (void)state;
    need_root();
    need_layout(LAYOUT);
    struct err err = {""};
    bench.folder = dir_make();
    static char name[] = "kp1", image[] = LAYOUT;
    struct record record = {.name = name, .image = image, .layout = image, .started = true};
    assert_int_equal(pipe2(bench.owner_fds, O_CLOEXEC), 0);
    struct boot boot = {.kind = &container_namespaces,
                        .state_path = bench.folder,
                        .name = name,
                        .owner_fd = bench.owner_fds[0]};
    pid_t pid;
    if (home_find("scenarios/fixtures", &bench.fixtures, &err) < 0 ||
        state_create(bench.folder, &record, &err) < 0 || client_boot(&boot, &pid, &err) < 0)
        fail_msg("%s", err.msg);
    bench.machine = (struct prestate_machine){.state_path = bench.folder,
                                              .name = name,
                                              .fixtures_path = bench.fixtures,
                                              .ca_path = CA_PATH,
                                              .bundle = BUNDLE};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    io_close(&bench.owner_fds[1]);
    io_close(&bench.owner_fds[0]);
    int64_t deadline = io_now_ms() + 10000;
    while (bench.folder && state_vmm_pid(bench.folder, "kp1") && io_now_ms() < deadline)
        usleep(1000);
    dir_remove(&bench.folder);
    io_free(&bench.fixtures);
    return 0;
}

/* sh -c in the guest; fails the test unless it ends 0. */
static void check_guest(const char *name, const char *script)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    struct request request = {.verb = CLIENT_EXEC, .faults = "", .argv = argv};
    struct reply reply = REPLY_INIT;
    struct err err = {""};
    if (client_call(bench.folder, "kp1", &request, &reply, &err) < 0)
        fail_msg("%s: %s", name, err.msg);
    client_journaled(&reply);
    if (reply.status != 0)
        fail_msg("%s: not so: %s\n%s%s", name, script, buf_str(&reply.out), buf_str(&reply.err));
    reply_release(&reply);
}

static int apply(const struct step *steps, size_t count, struct err *err)
{
    struct scenario scenario = {.path = "made-up.yaml", .steps = steps, .step_count = count};
    return prestate_apply(&bench.machine, &scenario, err);
}

static const struct row {
    const char *name;
    struct step step;
    const char *check; /* must end 0 in the guest afterwards */
} rows[] = {
    {"run",
     {STEP_RUN, .text = "id -u >/root/made; echo noise; echo noise >&2"},
     "[ $(cat /root/made) = 0 ]"},
    {"write",
     {STEP_WRITE, .path = "/root/f", .text = "it's\n\"x\" $HOME `id`\n", .mode = 0640,
      .owner = "root:mail"},
     "[ \"$(md5sum </root/f)\" = \"$(printf 'it'\\''s\\n\"x\" $HOME `id`\\n' | md5sum)\" ] && "
     "[ $(stat -c %a-%U-%G /root/f) = 640-root-mail ] && [ ! -e /run/killpoint-prestate ]"},
    {"write without owner",
     {STEP_WRITE, .path = "/root/own", .text = "x", .mode = 04755},
     "[ $(stat -c %a-%u-%g /root/own) = 4755-0-0 ]"},
    {"write nothing",
     {STEP_WRITE, .path = "/root/empty", .mode = 0644},
     "[ -f /root/empty ] && [ ! -s /root/empty ]"},
    {"append",
     {STEP_WRITE, .path = "/root/f", .text = "more", .mode = 0600, .append = true},
     "[ \"$(tail -n1 /root/f)\" = more ] && [ $(wc -l </root/f) = 2 ] && "
     "[ $(stat -c %a-%U-%G /root/f) = 640-root-mail ]"},
    {"write a fixture",
     {STEP_WRITE, .path = "/root/ca", .fixture = "ca", .mode = 0644},
     "openssl x509 -in /root/ca -noout"},
    {"write in place of a link's target",
     {STEP_RUN, .text = "ln -s f /root/through"},
     "[ -L /root/through ]"},
    {"symlink",
     {STEP_SYMLINK, .path = "/root/link", .target = "../no where"},
     "[ \"$(readlink /root/link)\" = '../no where' ]"},
    {"symlink over another",
     {STEP_SYMLINK, .path = "/root/link", .target = "/root"},
     "[ \"$(readlink /root/link)\" = /root ]"},
    {"symlink over one to a folder",
     {STEP_SYMLINK, .path = "/root/link", .target = "f"},
     "[ \"$(readlink /root/link)\" = f ]"},
    {"mkdir",
     {STEP_MKDIR, .path = "/root/a/b", .mode = 02750},
     "[ $(stat -c %a /root/a/b) = 2750 ]"},
    {"mkdir that is there",
     {STEP_MKDIR, .path = "/root/a/b", .mode = 0700},
     "[ $(stat -c %a /root/a/b) = 2700 ] || [ $(stat -c %a /root/a/b) = 700 ]"},
    {"remove a tree", {STEP_REMOVE, .path = "/root/a"}, "[ ! -e /root/a ]"},
    {"remove a dangling link", {STEP_REMOVE, .path = "/root/through"}, "[ ! -L /root/through ]"},
    {"provision",
     {STEP_PROVISION, .fixture = "ca"},
     "[ $(stat -c %a-%u-%g " CA_PATH ") = 644-0-0 ] && cmp " CA_PATH " /root/ca && "
     "[ -e /etc/ssl/certs/bot-bottle-mitm.pem ] && openssl verify -CAfile " BUNDLE " " CA_PATH},
    {"provision again", {STEP_PROVISION, .fixture = "ca"}, "cmp " CA_PATH " /root/ca"},
};

static void each_kind_of_step_does_what_it_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err err = {""};
        if (apply(&rows[i].step, 1, &err) < 0)
            fail_msg("%s: %s", rows[i].name, err.msg);
        check_guest(rows[i].name, rows[i].check);
    }
    struct run left = run_sh("ls -A '%s'", bench.folder);
    assert_string_equal(left.out, "machines\n"); /* no journal, no file of a step */
    run_release(&left);
}

static void steps_are_done_in_order_until_one_fails(void **state)
{
    (void)state;
    const struct step steps[] = {{STEP_RUN, .text = "echo 1 >>/root/order", .line = 3},
                                 {STEP_RUN, .text = "echo 2 >>/root/order", .line = 4},
                                 {STEP_RUN, .text = "echo o; echo why >&2; exit 3", .line = 5},
                                 {STEP_RUN, .text = "echo 3 >>/root/order", .line = 6}};
    struct err err = {""};
    assert_int_equal(apply(steps, 0, &err), 0);
    assert_int_equal(apply(steps, 4, &err), -EIO);
    assert_string_equal(err.msg, "made-up.yaml:5: prestate: status 3: o\nwhy\n");
    check_guest("order", "[ \"$(cat /root/order)\" = \"$(printf '1\\n2')\" ]");
}

static void step_that_cannot_be_done_is_an_error(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct step step;
        const char *text; /* in the error */
    } bad[] = {
        {"remove what is not there", {STEP_REMOVE, .path = "/root/none"}, "/root/none"},
        {"write into no folder",
         {STEP_WRITE, .path = "/root/none/f", .text = "x", .mode = 0644},
         "/root/none/f"},
        {"write for nobody",
         {STEP_WRITE, .path = "/root/f", .mode = 0644, .owner = "no:body"},
         "no:body"},
        {"append to no folder",
         {STEP_WRITE, .path = "/root/none/f", .text = "x", .append = true},
         "/root/none/f"},
        {"unknown fixture",
         {STEP_WRITE, .path = "/root/f", .fixture = "no-such", .mode = 0644},
         ""},
        {"provision of an unknown fixture",
         {STEP_PROVISION, .fixture = "no-such"},
         "install no-such undisturbed"},
        {"mkdir below a file", {STEP_MKDIR, .path = "/etc/passwd/d", .mode = 0755}, "/etc/passwd"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err err = {""};
        struct step step = bad[i].step;
        step.line = 9;
        int ret = apply(&step, 1, &err);
        if (ret >= 0 || strncmp(err.msg, "made-up.yaml:9: prestate: ", 26) != 0 ||
            !strstr(err.msg, bad[i].text))
            fail_msg("%s: %d, '%s'", bad[i].name, ret, err.msg);
    }
}

static void read_only_path_holds_from_the_arming_on(void **state)
{
    (void)state;
    static const struct step steps[] = {{STEP_MKDIR, .path = "/srv/ro", .mode = 0755},
                                        {STEP_READ_ONLY, .path = "/srv/ro"},
                                        {STEP_READ_ONLY, .path = "/etc/ssl"},
                                        {STEP_RUN, .text = "echo x >/srv/ro/f"}};
    struct err err = {""};
    if (apply(steps, 4, &err) < 0 ||
        client_arm(bench.folder, "kp1", &(const struct arming){.faults = NULL}, &err) < 0)
        fail_msg("%s", err.msg);
    check_guest("read-only", "[ \"$(cat /srv/ro/f)\" = x ] && ! (: >/srv/ro/g) 2>/dev/null && "
                             "! (: >/etc/ssl/g) 2>/dev/null && : >/srv/h");
}

static void machine_that_does_not_run_is_an_error(void **state)
{
    (void)state;
    static const struct step step = {STEP_RUN, .text = "true", .line = 2};
    struct scenario scenario = {.path = "made-up.yaml", .steps = &step, .step_count = 1};
    struct prestate_machine missing = bench.machine;
    struct err err = {""};
    missing.name = "none";
    assert_true(prestate_apply(&missing, &scenario, &err) < 0);
    assert_non_null(strstr(err.msg, "made-up.yaml:2: prestate: "));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_kind_of_step_does_what_it_says),   TEST(steps_are_done_in_order_until_one_fails),
        TEST(step_that_cannot_be_done_is_an_error),  TEST(read_only_path_holds_from_the_arming_on),
        TEST(machine_that_does_not_run_is_an_error),
    };
    return cmocka_run_group_tests_name("prestate", tests, NULL, NULL);
}
