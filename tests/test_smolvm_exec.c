/*
 * The fake smolvm as a program, with a machine that runs: calls into it, and their ends.
 */
#include "machine.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "../fakes/state.h"

static const struct row guest_rows[] = {
    {"status of the command", NULL, "smolvm machine exec --name t -- sh -c 'exit 7'", 7, "", ""},
    {"status 255", NULL, "smolvm machine exec --name t -- sh -c 'exit 255'", 255, "", ""},
    {"killed command", NULL, "smolvm machine exec --name t -- sh -c 'echo a; kill -9 $$'", 137,
     "a\n", ""},
    {"terminated command", NULL, "smolvm machine exec --name t -- sh -c 'kill -15 $$'", 143, "",
     ""},
    {"all stdout, then all stderr", NULL,
     "smolvm machine exec --name t -- sh -c 'echo 1 >&2; echo 2; echo 3 >&2; echo 4' 2>&1", 0,
     "2\n4\n1\n3\n", ""},
    {"streamed in order", NULL,
     "smolvm machine exec --name t --stream -- sh -c 'echo 1 >&2; sleep 0.1; echo 2; sleep 0.1; "
     "echo 3 >&2; exit 4' 2>&1",
     4, "1\n2\n3\n", ""},
    {"environment and folder", NULL,
     "smolvm machine exec --name t -e A=1 -e B -e =C -e D= -w /etc -- sh -c 'echo $A-$B-${D-no}; "
     "pwd'",
     0, "1--\n/etc\n", ""},
    {"PATH and TERM of the container", NULL,
     "smolvm machine exec --name t -- sh -c 'echo $PATH $TERM'", 0,
     "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin xterm-256color\n", ""},
    {"root without the host's environment", NULL,
     "SECRET=1 smolvm machine exec --name t -- sh -c 'id -u; echo ${SECRET-none} $HOME'", 0,
     "0\nnone /root\n", ""},
    {"stdin is empty without -i", NULL, "echo hi | smolvm machine exec --name t -- cat", 0, "", ""},
    {"stdin with -i", NULL, "echo hi | smolvm machine exec --name t -i -- cat", 0, "hi\n", ""},
    {"shell", NULL, "echo 'echo $((6*7)); exit 3' | smolvm machine shell --name t", 3, "42\n", ""},
    {"timeout", NULL,
     "smolvm machine exec --name t --timeout 200ms -- sh -c 'echo a; sleep 5; echo b'", 124, "a\n",
     "\ncommand timed out after 200ms"},
    {"timeout not reached", NULL, "smolvm machine exec --name t --timeout 1m -- echo a", 0, "a\n",
     ""},
    {"command behind its own flags", NULL, "smolvm machine exec --name t echo --name x", 0,
     "--name x\n", ""},
    {"started already", NULL, "smolvm machine start --name t | sed 's/[0-9][0-9]*/N/'", 0,
     "Machine 't' already running (PID: N)\n", ""},
    {"status", NULL, "smolvm machine status --name t | sed 's/[0-9][0-9]*/N/'", 0,
     "Machine 't': running (PID: N)\n", ""},
    {"cp of a host file that is not there", NULL, "smolvm machine cp /nonexistent t:/x", 1, "",
     "Error: agent operation failed: read local file: /nonexistent: No such file or directory (os "
     "error 2)\n"},
    {"cp to a parent", NULL, "smolvm machine cp /etc/hostname t:/root/../x", 1, "",
     "Error: agent operation failed: cp: invalid guest path /root/../x: parent traversal is not "
     "allowed\n"},
    {"cp to a dot", NULL, "smolvm machine cp /etc/hostname t:./x", 1, "",
     "Error: agent operation failed: cp: invalid guest path ./x: parent traversal is not "
     "allowed\n"},
    {"cp to nothing", NULL, "smolvm machine cp /etc/hostname t:", 1, "",
     "Error: agent operation failed: cp: guest path cannot be empty\n"},
    {"dots inside names are names", "cp /dev/null \"$KILLPOINT_STATE/e\"",
     "smolvm machine cp \"$KILLPOINT_STATE/e\" t:/a..b/.c 2>/dev/null; smolvm machine exec --name "
     "t -- ls -A /a..b",
     0, ".c\n", ""},
    {"cp to a folder", NULL,
     "smolvm machine cp /etc/hostname t:/etc; smolvm machine exec --name t -- sh -c 'ls -d "
     "/etc.smolvm* /*smolvm-upload* 2>/dev/null; exit 0'",
     0, "",
     "Error: agent operation failed: write file: failed to rename onto /etc: Is a directory (os "
     "error 21)\n"},
    {"empty file, shown twice in 0.8.0", "cp /dev/null \"$KILLPOINT_STATE/e\"",
     "cd \"$KILLPOINT_STATE\"; smolvm machine cp e t:root/e", 0, "",
     "\rUploading e -> root/e: 0 B (0 B/s)\rUploading e -> root/e: 0 B (0 B/s)\n"},
    {"empty file, since 0.8.1", "cp /dev/null \"$KILLPOINT_STATE/e\"",
     "cd \"$KILLPOINT_STATE\"; SMOLVM_FAKE_VERSION=0.8.1 smolvm machine cp e t:root/e", 0, "",
     "Uploading e -> root/e: 0 B (0 B/s)\n"},
    {"rule of the environment", NULL,
     "KILLPOINT_FAULTS='exec end:status=9' smolvm machine exec --name t -- sh -c 'echo a'", 9,
     "a\n", ""},
    {"rule of the environment is for one call", NULL,
     "KILLPOINT_FAULTS='begin' smolvm machine exec --name t -- true; smolvm machine exec --name t "
     "-- true",
     0, "", ""},
    {"killed before the command", NULL,
     "KILLPOINT_FAULTS='exec begin' smolvm machine exec --name t -- echo a", 137, "", ""},
    {"rules of a file", "echo 'exec end:status=8' >\"$KILLPOINT_STATE/f\"",
     "cd \"$KILLPOINT_STATE\"; KILLPOINT_FAULTS=@f smolvm machine exec --name t -- true", 8, "",
     ""},
    {"lost reply", NULL,
     "KILLPOINT_FAULTS='exec end:reply=lost' smolvm machine exec --name t -- sh -c 'echo a; echo b "
     ">/root/lost'; smolvm machine exec --name t -- cat /root/lost",
     0, "b\n", "Error: io operation failed: connection closed\n"},
};

static void every_call_into_a_guest_says_its_words(void **state)
{
    (void)state;
    start_machine();
    for (size_t i = 0; i < sizeof guest_rows / sizeof *guest_rows; i++)
        check_row(&guest_rows[i]);
}

static void start_and_stop_say_their_words(void **state)
{
    (void)state;
    struct run done = run_sh("smolvm machine create t --image %s -p 1:2 >/dev/null; "
                             "smolvm machine start -n t | sed 's/[0-9][0-9]*/N/'",
                             some_layout());
    check_success(&done);
    assert_string_equal(done.out, "Machine 't' running (PID: N)\n");
    assert_string_equal(done.err, "Starting machine 't' with 1 port mapping(s)...\n");
    run_release(&done);
    check_out("1\n", "smolvm machine status --name t --json | grep -c '\"state\": \"running\"'");
    check_out("true\n",
              "test -d /proc/$(smolvm machine status --name t | tr -dc 0-9) && echo true");
    check_out("Stopping machine 't'...\nStopped machine: t\n", "smolvm machine stop --name t");
    check_out("Machine 't' is not running (state: stopped)\n", "smolvm machine stop --name t");
    check_out("1\n", "smolvm machine status --name t --json | grep -c '\"pid\": null'");
}

static void machine_can_be_stopped_while_it_starts(void **state)
{
    (void)state;
    struct run done = run_sh("smolvm machine create t --image %s >/dev/null; "
                             "KILLPOINT_FAULTS='start begin:delay=500' smolvm machine start --name "
                             "t >/dev/null 2>&1 & sleep 0.2; timeout 10 smolvm machine stop --name "
                             "t; code=$?; wait; exit $code",
                             some_layout());
    check_success(&done);
    run_release(&done);
    check_out("0\n", "smolvm machine ls | grep -c running || true");
}

static void files_outlive_a_stop_but_not_a_delete(void **state)
{
    (void)state;
    start_machine();
    check_out("", "smolvm machine exec --name t -- sh -c 'echo x >/root/f'");
    check_out("x\n", "smolvm machine stop --name t >/dev/null && smolvm machine start --name t "
                     ">/dev/null 2>&1 && smolvm machine exec --name t -- cat /root/f");
    check_out("Stopping machine 't'...\nCleaning up data directory for vm: t\nDeleted machine: t\n",
              "smolvm machine delete t -f");
    check_out("journal.ndjson\n", "ls -A \"$KILLPOINT_STATE\"");
    check_out("0\n", "grep -c \"$KILLPOINT_STATE\" /proc/self/mountinfo || true");
}

static void copies_have_their_bytes_mode_and_owner(void **state)
{
    (void)state;
    start_machine();
    check_out("",
              "cd \"$KILLPOINT_STATE\" && head -c 3000000 /dev/urandom >big && chmod 600 big && "
              "smolvm machine cp big t:/new/deep/big 2>/dev/null");
    check_out("644 0 0\n755\n", "smolvm machine exec --name t -- stat -c '%a %u %g' /new/deep/big "
                                "&& smolvm machine exec --name t -- stat -c %a /new/deep");
    check_out("",
              "cd \"$KILLPOINT_STATE\" && smolvm machine cp t:/new/deep/big back 2>/dev/null && "
              "cmp big back");
    check_out("1\n", "cd \"$KILLPOINT_STATE\" && SMOLVM_FAKE_VERSION=1.0.2 smolvm machine cp big "
                     "t:/b 2>&1 | grep -cE '^Uploading big -> /b: 2\\.9 MB / 2\\.9 MB \\(100\\.0%, "
                     "[0-9.]+ [KMG]?B/s\\)$'");
    check_out("1\n", "cd \"$KILLPOINT_STATE\" && SMOLVM_FAKE_VERSION=1.0.2 smolvm machine cp t:/b "
                     "back 2>&1 | grep -cE '^Downloading /b -> back: 2\\.9 MB \\([0-9.]+ "
                     "[KMG]?B/s\\)$'");
    struct run done = run_sh("cd \"$KILLPOINT_STATE\" && smolvm machine cp t:/nonexistent gone; "
                             "code=$?; test ! -e gone && exit $code");
    check_clean_failure(&done, 1);
    assert_non_null(strstr(done.err, "Error: agent operation failed: "));
    run_release(&done);
}

static void failed_download_leaves_a_device_alone(void **state)
{
    (void)state;
    start_machine();
    struct run done = run_sh("mknod \"$KILLPOINT_STATE/null\" c 1 3 && smolvm machine cp "
                             "t:/nonexistent \"$KILLPOINT_STATE/null\"; code=$?; test -c "
                             "\"$KILLPOINT_STATE/null\" && exit $code");
    check_clean_failure(&done, 1);
    run_release(&done);
}

static void symlinked_parent_cannot_leave_the_guest(void **state)
{
    (void)state;
    start_machine();
    CLEANUP(io_free) char *target = io_format("%s/outside", (char *)*state);
    assert_int_equal(mkdir(target, 0755), 0);
    struct run done = run_sh("smolvm machine exec --name t -- ln -s '%s' /root/out && "
                             "smolvm machine cp /etc/hostname t:/root/out/f; ls -A '%s'",
                             target, target);
    assert_string_equal(done.out, "");
    run_release(&done);
}

/* The namespace's own root is the host's there, and who joins it must not land in it. */
static void guest_of_a_chrooted_caller_is_no_host(void **state)
{
    (void)state;
    need_root();
    struct run done = run_sh(
        "export M=\"$KILLPOINT_STATE/root\" MARK=/var/tmp/mark-$$; mkdir \"$M\" || exit 90\n"
        "unshare -m --propagation private sh -c 'mount --rbind / \"$M\" && exec chroot \"$M\" sh "
        "-c \"\n"
        "smolvm machine create c --image %s >/dev/null && smolvm machine start --name c >/dev/null "
        "&&\n"
        "smolvm machine exec --name c -- sh -c \\\"echo in >$MARK; cat $MARK\\\"; status=\\$?\n"
        "smolvm machine delete c -f >/dev/null; exit \\$status\"'\n"
        "status=$?; rmdir \"$M\"; rm \"$MARK\" 2>/dev/null && exit 91; exit $status",
        some_layout());
    check_success(&done);
    assert_string_equal(done.out, "in\n");
    run_release(&done);
}

static void killed_client_dies_and_is_journaled_once(void **state)
{
    (void)state;
    start_machine();
    setenv("KILLPOINT_FAULTS", "exec end:scope=client", 1);
    struct run done = run((const char *const[]){"smolvm", "machine", "exec", "--name", "t", "--",
                                                "sh", "-c", "echo a; echo b >/root/f", NULL});
    unsetenv("KILLPOINT_FAULTS");
    assert_int_equal(done.how, PROC_SIGNALED);
    assert_int_equal(done.code, SIGKILL);
    assert_string_equal(done.out, "");
    assert_string_equal(done.err, "");
    run_release(&done);
    check_out("b\n", "smolvm machine exec --name t -- cat /root/f");
    check_journal("1 create t 0 - -\n2 start t 0 - -\n3 exec t - 9 1\n4 exec t 0 - -\n");
}

static void client_killed_from_outside_is_journaled_by_the_machine(void **state)
{
    (void)state;
    start_machine();
    struct run done = run_sh("smolvm machine exec --name t -- sleep 30 & sleep 0.2; kill -9 $!; "
                             "wait $!; echo $?");
    assert_string_equal(done.out, "137\n");
    run_release(&done);
    check_out("1\n", "for i in 1 2 3 4 5 6 7 8 9 10; do grep '\"exec\".*\"signal\": 9' "
                     "\"$KILLPOINT_STATE/journal.ndjson\" && break; sleep 0.1; done | wc -l");
}

static void vm_that_dies_takes_the_output_and_the_machine(void **state)
{
    static const struct row row = {
        "VM dies",
        NULL,
        "KILLPOINT_FAULTS='exec at:ms=100:scope=vm' smolvm machine exec --name t -- sh -c 'echo a; "
        "sleep 5'; code=$?; smolvm machine exec --name t -- true; exit $code",
        1,
        "",
        "Error: io operation failed: connection closed\n" NOT_RUNNING("t")};
    (void)state;
    start_machine();
    check_row(&row);
}

static void streamed_output_stays_when_the_vm_dies(void **state)
{
    static const struct row row = {"VM dies under --stream",
                                   NULL,
                                   "KILLPOINT_FAULTS='exec at:ms=200:scope=vm' smolvm machine exec "
                                   "--stream --name t -- sh -c 'echo a; sleep 5'",
                                   1,
                                   "a\n",
                                   "error: io operation failed: connection closed\n"};
    (void)state;
    start_machine();
    check_row(&row);
}

/* Of a fresh container the command is PID 1. (Its namespace's number may be one used before.) */
static void exec_killed_with_the_container_is_followed_by_a_clean_one(void **state)
{
    static const struct row row = {
        "main ends",
        NULL,
        "smolvm machine exec --name t -- sh -c 'test $$ -gt 1' || exit 9; "
        "KILLPOINT_FAULTS='exec at:ms=200:scope=init' smolvm machine exec --name t -- sh -c 'echo "
        "a; echo kept >/root/f; sleep 30'; echo $?; smolvm machine exec --name t -- sh -c 'cat "
        "/root/f; echo $$'",
        0,
        "a\n137\nkept\n1\n",
        ""};
    (void)state;
    start_machine();
    check_row(&row);
}

static void machine_is_found_without_environment_and_in_long_folders(void **state)
{
    char part[101];
    memset(part, 'x', 100);
    part[100] = '\0';
    CLEANUP(io_free) char *deep = io_format("%s/%s/%s", (char *)*state, part, part);
    setenv("KILLPOINT_STATE", deep, 1);
    start_machine();
    struct run done =
        run_sh("env -i PATH=\"$PATH\" SMOLVM_DATA_DIR='%s' smolvm machine exec --name "
               "t -- echo a",
               deep);
    check_success(&done);
    assert_string_equal(done.out, "a\n");
    run_release(&done);
    done = run_sh("smolvm machine delete t -f");
    check_success(&done);
    run_release(&done);
}

static void calls_wait_for_their_turn(void **state)
{
    (void)state;
    start_machine();
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/slots", (char *)*state);
    CLEANUP(io_close) int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 1), 0);
    const char *const argv[] = {"smolvm", "machine", "exec",    "--name", "t",
                                "--",     "touch",   "/root/f", NULL};
    const struct proc_spec spec = {.argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1};
    pid_t pid = proc_spawn(&spec, NULL);
    assert_true(pid > 0);
    CLEANUP(io_close) int turn = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(turn >= 0);
    int status;
    usleep(100000);
    assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
    assert_int_equal(send(turn, "x", 1, MSG_NOSIGNAL), 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    char rest;
    assert_int_equal(recv(turn, &rest, 1, 0), 0); /* the end of the call gives the turn back */
    /* A server that has gone limits nobody. */
    io_close(&listener);
    check_out("", "smolvm machine exec --name t -- true");
}

/* In kB, from /proc/PID/status. */
static long vmm_peak_kb(pid_t pid)
{
    CLEANUP(io_free) char *path = io_format("/proc/%d/status", (int)pid);
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    assert_int_equal(io_read_file(AT_FDCWD, path, &text, 65536, NULL), 0);
    const char *line = strstr(buf_str(&text), "VmHWM:");
    assert_non_null(line);
    return strtol(line + strlen("VmHWM:"), NULL, 10);
}

static void slow_readers_on_both_sides_get_every_byte_and_cost_little_memory(void **state)
{
    start_machine();
    pid_t pid = state_vmm_pid(*state, "t");
    long before_kb = vmm_peak_kb(pid);
    check_out("67108864\n", "smolvm machine exec --name t --stream -- head -c 67108864 /dev/zero | "
                            "{ sleep 1; wc -c; }");
    check_out("67108864\n", "head -c 67108864 /dev/zero | smolvm machine exec --name t -i -- sh -c "
                            "'sleep 1; wc -c'");
    long more_kb = vmm_peak_kb(pid) - before_kb;
    if (more_kb > 16384)
        fail_msg("the VMM took %ld kB for slow readers", more_kb);
}

static const struct row flow_rows[] = {
    {"more stdin than anybody reads", NULL,
     "head -c 8000000 /dev/zero | timeout 20 smolvm machine exec --name t -i -- sh -c 'sleep "
     "0.3; echo a; exit 3'",
     3, "a\n", ""},
    {"as much out as in, read late", NULL,
     "head -c 16000000 /dev/zero | timeout 20 smolvm machine exec --name t -i -- cat | { sleep "
     "0.5; wc -c; }",
     0, "16000000\n", ""},
    {"more out than is read, while stdin waits", NULL,
     "head -c 8000000 /dev/zero | timeout 20 smolvm machine exec --name t -i -- sh -c 'head -c "
     "8000000 /dev/zero; wc -c' | { sleep 0.5; tail -c 8; }",
     0, "8000000\n", ""},
    {"an orphan of a slow reader goes on", NULL,
     "{ timeout 20 smolvm machine exec --name t --stream --timeout 300ms -- sh -c 'head -c 8000000 "
     "/dev/zero; echo 1 >/root/orphan'; echo $? >&2; } | { sleep 0.6; cat; } | tr -d '\\0'; sleep "
     "0.2; smolvm machine exec --name t -- cat /root/orphan",
     0, "1\n", "\ncommand timed out after 300ms124\n"},
};

static void both_directions_flow_and_neither_waits_for_the_other(void **state)
{
    (void)state;
    start_machine();
    for (size_t i = 0; i < sizeof flow_rows / sizeof *flow_rows; i++)
        check_row(&flow_rows[i]);
}

/* The VMM stands still while both streams are written and the time passes. */
static void output_that_waits_when_the_time_is_over_is_not_lost(void **state)
{
    (void)state;
    start_machine();
    static const struct row row = {
        "written before the end",
        NULL,
        "vmm=$(smolvm machine status --name t | tr -dc 0-9); smolvm machine exec --name t "
        "--timeout "
        "600ms -- sh -c 'sleep 0.3; echo a; echo b >&2; sleep 5' & sleep 0.15; kill -STOP $vmm; "
        "sleep 0.75; kill -CONT $vmm; wait $!",
        124,
        "a\n",
        "b\n\ncommand timed out after 600ms"};
    check_row(&row);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_call_into_a_guest_says_its_words),
        TEST(start_and_stop_say_their_words),
        TEST(machine_can_be_stopped_while_it_starts),
        TEST(files_outlive_a_stop_but_not_a_delete),
        TEST(copies_have_their_bytes_mode_and_owner),
        TEST(failed_download_leaves_a_device_alone),
        TEST(symlinked_parent_cannot_leave_the_guest),
        TEST(guest_of_a_chrooted_caller_is_no_host),
        TEST(killed_client_dies_and_is_journaled_once),
        TEST(client_killed_from_outside_is_journaled_by_the_machine),
        TEST(vm_that_dies_takes_the_output_and_the_machine),
        TEST(streamed_output_stays_when_the_vm_dies),
        TEST(exec_killed_with_the_container_is_followed_by_a_clean_one),
        TEST(machine_is_found_without_environment_and_in_long_folders),
        TEST(calls_wait_for_their_turn),
        TEST(slow_readers_on_both_sides_get_every_byte_and_cost_little_memory),
        TEST(both_directions_flow_and_neither_waits_for_the_other),
        TEST(output_that_waits_when_the_time_is_over_is_not_lost),
    };
    return cmocka_run_group_tests_name("smolvm_exec", tests, NULL, NULL);
}
