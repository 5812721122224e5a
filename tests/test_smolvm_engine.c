/*
 * Rules at the calls of a guest's processes, and on start and stop: what the fake smolvm
 * makes of them.
 */
#include "machine.h"

#define EXEC "smolvm machine exec --name t -- "
#define WITH(rule) "KILLPOINT_FAULTS='" rule "' " EXEC
#define STATE "cd \"$KILLPOINT_STATE\"; "

/* One after the other on one machine, whose main command lives. */
static const struct row rows[] = {
    {"tree: dies just before the call", NULL,
     WITH("symlink:comm=ln") "sh -c 'echo a; ln -s x /root/l; echo b'; echo $?; " EXEC
                             "sh -c 'ls /root/l 2>&1'",
     2, "a\n137\nls: cannot access '/root/l': No such file or directory\n", ""},
    {"process: the others go on", NULL,
     WITH("symlink:path=/root/*:scope=process") "sh -c 'ln -s x /root/m; echo $?'", 0, "137\n",
     NULL},
    {"a path that is another's", NULL,
     WITH("symlink:path=/root/no*") "sh -c 'ln -s x /root/n; echo $?'", 0, "0\n", ""},
    {"the third of them", NULL,
     WITH("mkdir:when=3") "sh -c 'for i in 1 2 3 4; do mkdir /root/d$i; done'; echo $?; " EXEC
                          "sh -c 'echo /root/d*'",
     0, "137\n/root/d1 /root/d2\n", ""},
    {"each process for itself", NULL,
     WITH("mkdir:when=2:per=process:scope=process") "sh -c 'mkdir /root/e1; mkdir /root/e2 "
                                                    "/root/e3; echo $?'; " EXEC
                                                    "sh -c 'echo /root/e*'",
     0, "137\n/root/e1 /root/e2\n", NULL},
    {"after the call", NULL,
     WITH("unlink:timing=after") "sh -c 'echo x >/root/g; rm /root/g; echo b'; echo $?; " EXEC
                                 "test -e /root/g",
     1, "137\n", ""},
    {"a torn write", NULL,
     WITH("write:path=/root/torn:persist=3") "sh -c 'echo abcdef >/root/torn'; echo $?; " EXEC
                                             "cat /root/torn",
     0, "137\nabc", ""},
    {"an error", NULL,
     WITH("rename:error=EROFS") "sh -c 'echo x >/root/o; mv /root/o /root/p 2>&1; cat /root/o'", 0,
     "mv: cannot move '/root/o' to '/root/p': Read-only file system\nx\n", ""},
    {"spawn: the parent dies, the child goes on", NULL,
     WITH("spawn:comm=sh:when=1:scope=process") "sh -c '(sleep 0.2; echo late >/root/late) "
                                                ">/dev/null "
                                                "2>&1 & wait; echo no'; echo $?; sleep 0.5; " EXEC
                                                "cat /root/late",
     0, "137\nlate\n", NULL},
    {"exit: no status of its own", NULL,
     WITH("exit:comm=true:scope=process") "sh -c 'sh -c \"exec true\"; echo $?'", 0, "137\n", NULL},
    {"pipewrite: one of a pipeline", NULL,
     WITH("pipewrite:comm=seq:scope=process") "sh -c 'seq 3 | wc -l; echo go on'", 0, "0\ngo on\n",
     NULL},
    {"begin of a process", NULL, WITH("begin:comm=date:scope=process") "sh -c 'date; echo $?'", 0,
     "137\n", NULL},
    {"client: the guest goes on", NULL,
     WITH(
         "mkdir:scope=client") "sh -c 'mkdir /root/r; echo x >/root/r/s'; echo $?; sleep 0.3; " EXEC
                               "cat /root/r/s",
     0, "137\nx\n", NULL},
    {"an orphan is held, and works during the next exec", NULL,
     WITH("mkdir:path=/root/held:delay=700") "sh -c 'mkdir /root/held >/dev/null 2>&1 & sleep 0.2; "
                                             "kill -9 $$' >/dev/null; " EXEC
                                             "sh -c 'test -e /root/held; echo $?; sleep 1; test -e "
                                             "/root/held; echo $?'",
     0, "1\n0\n", ""},
    {"streams", NULL, WITH("mkdir") "sh -c 'echo out; echo err >&2; mkdir /root/t'", 137, "out\n",
     "err\n"},
    {"input", NULL,
     "echo in | KILLPOINT_FAULTS='mkdir:path=/none' smolvm machine exec -i --name t -- cat", 0,
     "in\n", ""},
    {"two at once", NULL,
     WITH("mkdir:path=/root/u1") "mkdir /root/u1 & " WITH(
         "mkdir:path=/root/u2:error=EACCES") "mkdir /root/u2 2>/dev/null; echo $?; wait $!; echo "
                                             "$?",
     0, "1\n137\n", ""},
    {"time", NULL,
     "KILLPOINT_FAULTS='mkdir:path=/none' smolvm machine exec --timeout 300ms --name t -- sh -c "
     "'echo a; sleep 5' 2>/dev/null",
     124, "a\n", ""},
    {"cp dies between write and rename", "echo new >\"$KILLPOINT_STATE/f\"",
     STATE EXEC "sh -c 'echo old >/root/f'; KILLPOINT_FAULTS='cp rename' smolvm machine cp f "
                "t:/root/f 2>/dev/null; echo $?; " EXEC "sh -c 'cat /root/f /root/f.smolvm*'",
     0, "1\nold\nnew\n", ""},
    {"cp on a full disk", NULL,
     STATE "KILLPOINT_FAULTS='cp write:error=ENOSPC' smolvm machine cp f t:/root/f 2>&1 | sed "
           "s/upload.1.[0-9]*/upload.1.N/",
     0,
     "Error: agent operation failed: write file: failed to write /root/f.smolvm-upload.1.N: No "
     "space left on device (os error 28)\n",
     ""},
    {"init: all of the container", NULL,
     WITH("mkdir:scope=init") "sh -c 'mkdir /root/q; echo b'; echo $?; " EXEC "test -e /root/q", 1,
     "137\n", ""},
};

static void rules_do_at_calls_what_they_say(void **state)
{
    (void)state;
    start_machine();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_row(&rows[i]);
}

static void a_vm_that_dies_keeps_or_loses_files(void **state)
{
    (void)state;
    static const struct row cases[] = {
        {"keeps", "KILLPOINT_FAULTS='mkdir:scope=vm' smolvm machine start --name t",
         EXEC "sh -c 'echo a >/root/a; sync; echo b >/root/b; mkdir /root/c' 2>/dev/null; echo $?; "
              "smolvm machine start --name t >/dev/null 2>&1; " EXEC
              "ls /root; smolvm machine stop "
              "--name t >/dev/null; ",
         0, "1\na\nb\n", NULL},
        {"loses what came after the sync",
         "KILLPOINT_FAULTS='mkdir:scope=vm:lose=all' smolvm machine start --name t",
         EXEC "sh -c 'echo c >/root/c; sync; echo d >/root/d; mkdir /root/e' 2>/dev/null; echo $?; "
              "smolvm machine start --name t >/dev/null 2>&1; " EXEC
              "ls /root; smolvm machine stop "
              "--name t >/dev/null; ",
         0, "1\na\nb\nc\n", NULL},
        {"loses all without a sync",
         "KILLPOINT_FAULTS='mkdir:scope=vm:lose=all' smolvm machine start --name t",
         EXEC "sh -c 'echo x >/root/x; rm /root/a; mkdir /root/e' 2>/dev/null; echo $?; "
              "smolvm machine start --name t >/dev/null 2>&1; " EXEC
              "ls /root; smolvm machine stop "
              "--name t >/dev/null; ",
         0, "1\na\nb\nc\n", NULL},
    };
    struct run done = run_sh("smolvm machine create t --image %s", some_layout());
    check_success(&done);
    run_release(&done);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_row(&cases[i]);
}

static void rules_hold_on_start_and_stop(void **state)
{
    (void)state;
    static const struct row cases[] = {
        {"stop: a status at begin, and it runs on", NULL,
         "KILLPOINT_FAULTS='stop begin:status=3' smolvm machine stop --name t; echo $?; " EXEC
         "echo yes",
         0, "Stopping machine 't'...\n3\nyes\n", ""},
        {"stop: the client dies, and it runs on", NULL,
         "(KILLPOINT_FAULTS='stop begin:scope=client' smolvm machine stop --name t); echo $?; " EXEC
         "echo yes",
         0, "137\nyes\n", NULL},
        {"stop: a reply at the end, and it is down", NULL,
         "KILLPOINT_FAULTS='stop end:reply=lost' smolvm machine stop --name t; echo $?; smolvm "
         "machine status --name t",
         0, "Stopping machine 't'...\n1\nMachine 't': not running\n",
         "Error: io operation failed: connection closed\n"},
        {"start: the main command ends by itself",
         "KILLPOINT_FAULTS='start at:ms=60:scope=init' smolvm machine start --name t",
         "sleep 0.3; " EXEC "sh -c 'echo $$'", 0, "1\n", ""},
        {"stop: the VM dies first", NULL,
         "KILLPOINT_FAULTS='stop begin:scope=vm' smolvm machine stop --name t; echo $?", 0,
         "Stopping machine 't'...\nStopped machine: t\n0\n", ""},
    };
    start_machine();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_row(&cases[i]);
}

static void a_stop_waits_as_long_as_its_rule_says(void **state)
{
    (void)state;
    static const char *const places[] = {"begin", "end"};
    start_machine();
    for (size_t i = 0; i < 2; i++) {
        struct run done = run_sh("KILLPOINT_FAULTS='stop %s:delay=400' smolvm machine stop --name "
                                 "t >/dev/null",
                                 places[i]);
        check_success(&done);
        if (done.ms < 400)
            fail_msg("%s: only %lld ms", places[i], (long long)done.ms);
        run_release(&done);
        done = run_sh("smolvm machine start --name t >/dev/null");
        check_success(&done);
        run_release(&done);
    }
}

static void who_is_held_does_not_outlive_the_machine(void **state)
{
    (void)state;
    static const char *const ends[] = {"smolvm machine stop --name t",
                                       "smolvm machine delete -f t"};
    start_machine();
    for (size_t i = 0; i < 2; i++) {
        struct run done = run_sh(
            "KILLPOINT_FAULTS='mkdir:delay=60000' smolvm machine exec --name t -- mkdir /root/x & "
            "sleep 0.5; %s >/dev/null; wait $!; grep -l smolvm-vmm /proc/[0-9]*/comm 2>/dev/null | "
            "while read -r f; do tr '\\0' ' ' <${f%%comm}cmdline | grep -F \"$KILLPOINT_STATE\"; "
            "done; grep -F \"$KILLPOINT_STATE\" /proc/mounts; true",
            ends[i]);
        assert_string_equal(done.out, "");
        run_release(&done);
        if (i == 0) {
            done = run_sh("smolvm machine start --name t >/dev/null");
            check_success(&done);
            run_release(&done);
        }
    }
}

static void the_journal_tells_how_often_each_rule_fired(void **state)
{
    (void)state;
    start_machine();
    struct run done =
        run_sh("KILLPOINT_FAULTS='mkdir:error=EACCES\nrmdir:error=EBUSY' " EXEC
               "sh -c 'mkdir /root/a; mkdir /root/b' 2>/dev/null; "
               "tail -n1 \"$KILLPOINT_STATE/journal.ndjson\" | grep -o '\"fired\": [0-9]*'");
    check_success(&done);
    assert_string_equal(done.out, "\"fired\": 2\n\"fired\": 0\n");
    run_release(&done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rules_do_at_calls_what_they_say, machine_set_up,
                                        machine_tear_down),
        cmocka_unit_test_setup_teardown(a_vm_that_dies_keeps_or_loses_files, machine_set_up,
                                        machine_tear_down),
        cmocka_unit_test_setup_teardown(rules_hold_on_start_and_stop, machine_set_up,
                                        machine_tear_down),
        cmocka_unit_test_setup_teardown(a_stop_waits_as_long_as_its_rule_says, machine_set_up,
                                        machine_tear_down),
        cmocka_unit_test_setup_teardown(who_is_held_does_not_outlive_the_machine, machine_set_up,
                                        machine_tear_down),
        cmocka_unit_test_setup_teardown(the_journal_tells_how_often_each_rule_fired, machine_set_up,
                                        machine_tear_down),
    };
    return cmocka_run_group_tests_name("smolvm_engine", tests, NULL, NULL);
}
