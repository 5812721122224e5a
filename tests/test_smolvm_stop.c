/*
 * Rules on start and stop that meet other rules, other calls, and the files that a VM loses.
 */
#include "machine.h"

#include "../fakes/client.h"

#define EXEC "smolvm machine exec --name t -- "
#define START "smolvm machine start --name t >/dev/null 2>&1; "
#define QUIET_STOP "smolvm machine stop --name t >/dev/null"
#define RULES(rules) "KILLPOINT_FAULTS='" rules "' "

static void create_machine(void)
{
    struct run done = run_sh("smolvm machine create t --image %s", some_layout());
    check_success(&done);
    run_release(&done);
}

/* Each begins with a machine that does not run, and ends with one. */
static const struct row start_rows[] = {
    {"a status at begin keeps it down", NULL,
     RULES("start begin:status=7") "smolvm machine start --name t 2>/dev/null; echo $?; smolvm "
                                   "machine status --name t",
     0, "7\nMachine 't': not running\n", ""},
    {"a reply at begin keeps it down", NULL,
     RULES("start begin:reply=unreachable") "smolvm machine start --name t; echo $?; smolvm "
                                            "machine status --name t",
     0, "1\nMachine 't': not running\n", "Starting machine 't'...\n" NOT_RUNNING("t")},
    {"a status at the end, and it runs", NULL,
     RULES("start end:status=7") "smolvm machine start --name t 2>/dev/null; echo $?; " EXEC
                                 "echo yes; " QUIET_STOP,
     0, "7\nyes\n", ""},
    {"the client dies at the end, and it runs", NULL,
     "(" RULES("start end:scope=client") "smolvm machine start --name t); echo $?; " EXEC
                                         "echo yes; " QUIET_STOP,
     0, "137\nyes\n", NULL},
    {"the VM dies at begin", NULL,
     RULES("start begin:scope=vm") "smolvm machine start --name t >/dev/null 2>&1; echo $?; smolvm "
                                   "machine status --name t",
     0, "1\nMachine 't': not running\n", ""},
    {"the VM dies at the end", NULL,
     RULES("start end:scope=vm") "smolvm machine start --name t >/dev/null 2>&1; echo $?; smolvm "
                                 "machine status --name t",
     0, "1\nMachine 't': not running\n", ""},
    {"the main command dies at the end", NULL,
     RULES("start end:scope=init") START EXEC "sh -c 'echo $$'; " QUIET_STOP, 0, "1\n", ""},
    {"the VM dies after a while", NULL,
     RULES("start at:ms=200:scope=vm") START "sleep 0.5; smolvm machine status --name t", 0,
     "Machine 't': not running\n", ""},
    {"the VM dies under a call, some time after the start", NULL,
     RULES("start at:ms=300:scope=vm") START EXEC "sh -c 'echo a; sleep 30'", 1, "",
     "Error: io operation failed: connection closed\n"},
};

static void rules_on_start_say_what_comes_of_it(void **state)
{
    (void)state;
    create_machine();
    for (size_t i = 0; i < sizeof start_rows / sizeof *start_rows; i++)
        check_row(&start_rows[i]);
}

static const struct row stop_rows[] = {
    {"a refused stop takes its times along", START,
     RULES("stop begin:status=3\nstop at:ms=150:scope=vm") QUIET_STOP "; echo $?; sleep 0.4; " EXEC
                                                                      "echo yes; " QUIET_STOP,
     0, "3\nyes\n", ""},
    {"a refused stop leaves the start's times",
     RULES("start at:ms=600:scope=vm\nstop begin:status=3") START,
     QUIET_STOP "; echo $?; " EXEC "echo yes; sleep 0.9; smolvm machine status --name t", 0,
     "3\nyes\nMachine 't': not running\n", ""},
    {"a stop that waits leaves the start's times",
     RULES("start at:ms=400:scope=init\nstop begin:delay=1000") START,
     "(" QUIET_STOP ") & sleep 0.7; " EXEC "sh -c 'echo $$'; wait", 0, "1\n", ""},
    {"the VM dies while a stop waits", START,
     RULES("stop begin:delay=60000\nstop at:ms=200:scope=vm") QUIET_STOP
     "; echo $?; smolvm machine status --name t",
     0, "0\nMachine 't': not running\n", ""},
    {"the main command dies while a stop waits", START,
     "(" RULES("stop begin:delay=1000\nstop at:ms=200:scope=init") QUIET_STOP
     ") & sleep 0.5; " EXEC "sh -c 'echo $$'; wait",
     0, "1\n", ""},
    {"a second stop waits with the first", START,
     "(" RULES("stop begin:delay=700\nstop at:ms=400:scope=init") QUIET_STOP
     ") & sleep 0.2; " RULES("stop begin:status=9") QUIET_STOP "; echo $?; wait; "
                                                               "smolvm machine status --name t",
     0, "0\nMachine 't': not running\n", ""},
    {"a call goes on while a stop waits, and ends with it", START,
     "(" RULES("stop begin:delay=500") QUIET_STOP ") & sleep 0.1; " EXEC "echo a; " EXEC
                                                  "sleep 30; echo $?; wait",
     0, "a\n1\n", "Error: io operation failed: connection closed\n"},
    {"the client of a waiting stop is killed", START,
     RULES("stop begin:delay=500") "smolvm machine stop --name t >/dev/null & sleep 0.2; kill -9 "
                                   "$!; sleep 0.8; smolvm machine status --name t",
     0, "Machine 't': not running\n", NULL},
    {"armed rules hold for each stop", RULES("stop begin:status=4") START,
     QUIET_STOP "; echo $?; " QUIET_STOP "; echo $?; " RULES("stop begin:status=5") QUIET_STOP
     "; echo $?; " RULES("stop end:status=6") QUIET_STOP "; echo $?",
     0, "4\n4\n5\n6\n", ""},
    {"bad rules stop nothing", START,
     RULES("stop end:error=EIO") "smolvm machine stop --name t 2>/dev/null; echo $?; " EXEC
                                 "echo yes; " QUIET_STOP,
     0, "2\nyes\n", ""},
};

static void rules_on_stop_meet_others(void **state)
{
    (void)state;
    create_machine();
    for (size_t i = 0; i < sizeof stop_rows / sizeof *stop_rows; i++)
        check_row(&stop_rows[i]);
}

static void rules_that_are_armed_anew_drop_the_times_of_the_start(void **state)
{
    (void)state;
    struct err err;
    create_machine();
    struct run done = run_sh(RULES("cp end\nstart at:ms=500:scope=vm") START);
    run_release(&done);
    if (client_arm(*state, "t", &(const struct arming){.faults = "exec#2 end:status=5"}, &err) < 0)
        fail_msg("%s", err.msg);
    check_out("0\n5\n0\n", "sleep 0.8; for i in 1 2 3; do " EXEC "true; echo $?; done");
}

static char *main_pid_ns(const char *state_path)
{
    CLEANUP(io_free) char *path = io_format("%s/machines/t/pid", state_path);
    struct run done =
        run_sh("for p in $(pgrep -P $(sed 1q '%s')); do readlink /proc/$p/ns/pid; done", path);
    char *text = io_format("%s", done.out);
    run_release(&done);
    return text;
}

/* How many processes are in that PID namespace. */
static void check_population(const char *pid_ns, const char *expected)
{
    CLEANUP(io_free)
    char *command = io_format("readlink /proc/[0-9]*/ns/pid 2>/dev/null | grep -cxF '%.*s' || true",
                              (int)strcspn(pid_ns, "\n"), pid_ns);
    check_out(expected, command);
}

static void arm_again(const char *state_path)
{
    struct err err;
    if (client_arm(state_path, "t", &(const struct arming){.faults = NULL}, &err) < 0)
        fail_msg("%s", err.msg);
}

/* A container that nobody has run in stays; whoever has is ended with it. */
static void arming_sets_up_anew_what_was_used(void **state)
{
    create_machine();
    struct run done = run_sh(START);
    run_release(&done);
    CLEANUP(io_free) char *first = main_pid_ns(*state);
    assert_string_not_equal(first, "");
    arm_again(*state);
    CLEANUP(io_free) char *unused = main_pid_ns(*state);
    assert_string_equal(unused, first);
    check_out("0\n", EXEC "sh -c 'sleep 600 >/dev/null 2>&1 &'; echo $?");
    check_population(first, "2\n");
    arm_again(*state);
    CLEANUP(io_free) char *used = main_pid_ns(*state);
    assert_string_not_equal(used, first);
    check_population(first, "0\n");
}

/* --- lose=all ------------------------------------------------------------------------------ */

#define LOSE "mkdir:path=/die:scope=vm:lose=all"
#define DIE EXEC "mkdir /die 2>/dev/null; " START

static const struct row loss_rows[] = {
    {"what came before the start is kept", START EXEC "sh -c 'echo a >/root/a'; " QUIET_STOP,
     RULES(LOSE) START EXEC "rm /root/a; " DIE EXEC "ls -A /root/a; " QUIET_STOP, 0, "/root/a\n",
     ""},
    {"a removed file, a replaced folder, a link", NULL,
     RULES(LOSE) START EXEC "sh -c 'rm /etc/hostname; rm -r /var/log; mkdir /var/log; ln -s x "
                            "/root/l; chmod 4711 /bin/sh; sync'; " EXEC
                            "sh -c 'echo b >/etc/hostname; touch /var/log/x; rm /root/l; chmod 755 "
                            "/bin/sh'; " DIE EXEC
                            "sh -c 'test -e /etc/hostname; echo $?; ls -A /var/log; readlink "
                            "/root/l; stat -Lc %a /bin/sh; chmod 755 /bin/sh'; " QUIET_STOP,
     0, "1\nx\n4711\n", ""},
    {"a clean stop is a sync", NULL,
     RULES(LOSE) START EXEC "sh -c 'echo c >/root/c'; " QUIET_STOP "; " RULES(LOSE) START DIE EXEC
     "cat /root/c; " QUIET_STOP,
     0, "c\n", ""},
    {"a small copy is lost, and a large one's name: only its bytes are synced",
     "cd \"$KILLPOINT_STATE\"; echo small >small; head -c 1100000 /dev/zero >large",
     RULES(LOSE) START "cd \"$KILLPOINT_STATE\"; for f in large small; do smolvm machine cp $f "
                       "t:/root/$f 2>/dev/null; done; " DIE EXEC "ls /root; " QUIET_STOP,
     0, "a\nc\nl\nlarge.smolvm-upload.1.0\n", ""},
    {"a stop that the VM dies in at begin", NULL,
     RULES("stop begin:scope=vm:lose=all") START EXEC
     "sh -c 'echo d >/root/d'; " QUIET_STOP "; " START EXEC "ls /root/d 2>&1; " QUIET_STOP,
     0, "ls: cannot access '/root/d': No such file or directory\n", ""},
    {"a stop that the VM dies in at the end", NULL,
     RULES("stop end:scope=vm:lose=all") START EXEC "sh -c 'echo e >/root/e'; " QUIET_STOP
                                                    "; " START EXEC "ls /root/e; " QUIET_STOP,
     0, "/root/e\n", ""},
    {"at the start's begin there is nothing to be lost",
     RULES(LOSE) START EXEC "sh -c 'echo f >/root/f'; "
                            "kill -9 $(smolvm machine status --name t | tr -dc 0-9); sleep 0.2",
     RULES("start begin:scope=vm:lose=all") START START EXEC "ls /root/f; " QUIET_STOP, 0,
     "/root/f\n", ""},
    {"a call cannot bring it: syncs are followed from the start on", START,
     RULES(LOSE) EXEC "true; echo $?; " RULES("stop begin:scope=vm:lose=all") QUIET_STOP
     "; echo $?; " QUIET_STOP,
     0, "1\n1\n",
     "Error: agent operation failed: vm exec: lose=all is armed at the machine's start: from there "
     "on its syncs are followed\n"
     "Error: agent operation failed: stop: lose=all is armed at the machine's start: from there on "
     "its syncs are followed\n"},
};

static void a_vm_loses_what_was_not_synced(void **state)
{
    (void)state;
    create_machine();
    for (size_t i = 0; i < sizeof loss_rows / sizeof *loss_rows; i++)
        check_row(&loss_rows[i]);
}

/* --- counts -------------------------------------------------------------------------------- */

static void the_journal_counts_what_ended_the_machine(void **state)
{
    (void)state;
    create_machine();
    struct run done =
        run_sh(RULES("start end:status=0") "smolvm machine start --name t; " RULES("end:scope=vm")
                   EXEC "true; smolvm machine start --name "
                        "t; " RULES("stop begin:scope=vm") "smolvm machine stop --name t");
    run_release(&done);
    check_journal("1 create t 0 - -\n"
                  "2 start t 0 - 1\n"
                  "3 exec t 1 - 1\n"
                  "4 start t 0 - -\n"
                  "5 stop t 0 - 1\n");
}

static void counts_are_of_this_run_of_the_machine(void **state)
{
    (void)state;
    create_machine();
    struct run done = run_sh(RULES("exec end:scope=vm") START EXEC "true; " START);
    run_release(&done);
    check_out("gone\n", "test -e \"$KILLPOINT_STATE\"/machines/t/fired.json || echo gone");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rules_on_start_say_what_comes_of_it),
        TEST(rules_on_stop_meet_others),
        TEST(rules_that_are_armed_anew_drop_the_times_of_the_start),
        TEST(arming_sets_up_anew_what_was_used),
        TEST(a_vm_loses_what_was_not_synced),
        TEST(the_journal_counts_what_ended_the_machine),
        TEST(counts_are_of_this_run_of_the_machine),
    };
    return cmocka_run_group_tests_name("smolvm stop", tests, NULL, NULL);
}
