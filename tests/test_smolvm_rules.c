/*
 * What rules do to a call of the fake smolvm, by scope, action and place.
 */
#include "machine.h"

#define EXEC "smolvm machine exec --name t -- "
#define WITH(rule) "KILLPOINT_FAULTS='" rule "' " EXEC

/* Done one after the other on one machine, whose main command lives. */
static const struct row rows[] = {
    {"tree: nobody of pipelines, orphans and daemons survives", NULL,
     WITH("at:ms=300") "sh -c 'echo a; "
                       "(while :; do echo x >>/root/w1; sleep 0.01; done) | cat & "
                       "setsid sh -c \"while :; do echo y >>/root/w2; sleep 0.01; done\" & "
                       "(while :; do cat /etc/hostname | tail -n1 >>/root/w3; done &) ; "
                       "sleep 30 | cat'; echo $?; " EXEC
                       "sh -c 'test -s /root/w1 -a -s /root/w2 -a -s /root/w3 || echo nothing; "
                       "a=$(cat /root/w? | wc -c); sleep 0.2; test $a = $(cat /root/w? | wc -c) "
                       "|| echo somebody wrote; grep -lx sleep /proc/[0-9]*/comm | wc -l'",
     0, "a\n137\n0\n", ""},
    {"tree: another signal reaches handlers", NULL,
     WITH("at:ms=300:signal=TERM") "sh -c 'exec 2>/dev/null; trap \"echo got; exit 3\" TERM; "
                                   "while :; do sleep 0.01; done'",
     3, "got\n", ""},
    {"tree: a stopped process", NULL,
     WITH("at:ms=300") "sh -c 'echo a; sh -c \"kill -STOP \\$\\$\"; echo b'", 137, "a\n", ""},
    {"process: what it left goes on", NULL,
     WITH("at:ms=200:scope=process") "sh -c 'echo a; (sleep 0.4; echo b >/root/orphan) >/dev/null "
                                     "2>&1 & exec sleep 30'; echo $?; sleep 0.5; " EXEC
                                     "cat /root/orphan",
     0, "a\n137\nb\n", ""},
    {"process: another signal", NULL,
     WITH("at:ms=200:scope=process:signal=USR1") "sh -c 'trap \"echo got; exit 4\" USR1; "
                                                 "while :; do sleep 0.01; done'",
     4, "got\n", ""},
    {"status at begin: not run", NULL,
     WITH("begin:status=6") "touch /root/no; echo $?; " EXEC "test -e /root/no", 1, "6\n", ""},
    {"status at end: run", NULL,
     WITH("end:status=0") "sh -c 'echo a; touch /root/yes; exit 5'; echo $?; " EXEC
                          "test -e /root/yes",
     0, "a\n0\n", ""},
    {"status at a time: the command goes on alone", NULL,
     WITH("at:ms=200:status=4") "sh -c 'echo a; sleep 0.4; echo b >/root/late'; echo $?; "
                                "sleep 0.5; " EXEC "cat /root/late",
     0, "a\n4\nb\n", ""},
    {"status at a call: the command goes on alone", NULL,
     WITH("unlink:path=/root/x:status=4") "sh -c 'echo a; touch /root/x; rm /root/x; "
                                          "sleep 0.3; echo b >/root/after'; echo $?; sleep 1; " EXEC
                                          "sh -c 'cat /root/after; ls /root/x'",
     2, "a\n4\nb\n", "ls: cannot access '/root/x': No such file or directory\n"},
    {"time is over at a call: the command goes on alone", NULL,
     WITH("rename:comm=mv:reply=timed-out") "sh -c 'echo a; touch /root/m; mv /root/m /root/n; "
                                            "sleep 0.3; echo b >/root/on'; echo $?; sleep 1; " EXEC
                                            "sh -c 'cat /root/on; ls /root/m /root/n 2>/dev/null'",
     2, "a\n124\nb\n/root/n\n", "\ncommand timed out after 1000ms"},
    {"reply after a call", NULL,
     WITH("rename:timing=after:reply=lost") "sh -c 'touch /root/y; mv /root/y /root/z; sleep 9'; "
                                            "echo $?; " EXEC "ls /root/z",
     0, "1\n/root/z\n", "Error: io operation failed: connection closed\n"},
    {"reply at begin: not run", NULL,
     WITH("begin:reply=container-gone") "touch /root/no; echo $?; " EXEC "test -e /root/no", 1,
     "1\n", "the container `t` is not running\n"},
    {"time that is over", NULL, WITH("at:ms=0:since=start") "sleep 30", 137, "", ""},
    {"time that never comes", NULL, WITH("at:ms=80000") "echo a", 0, "a\n", ""},
    {"first rule wins", NULL, WITH("exec#1 end:status=5\nend:status=6") "true", 6, "", ""},
    {"rule on the other call", NULL, WITH("cp end:status=5") "echo a", 0, "a\n", ""},
    {"cp killed at begin leaves the old file", "echo old >\"$KILLPOINT_STATE/f\"",
     "cd \"$KILLPOINT_STATE\"; smolvm machine cp f t:/root/f 2>/dev/null; echo new >f; "
     "KILLPOINT_FAULTS='cp begin:reply=lost' smolvm machine cp f t:/root/f 2>/dev/null; echo "
     "$?; " EXEC "cat /root/f",
     0, "1\nold\n", ""},
    {"cp lost after it landed", "echo new >\"$KILLPOINT_STATE/f\"",
     "cd \"$KILLPOINT_STATE\"; KILLPOINT_FAULTS='cp end:reply=lost' smolvm machine cp f t:/root/f "
     "2>/dev/null; echo $?; " EXEC "cat /root/f",
     0, "1\nnew\n", ""},
};

static void rules_do_to_a_call_what_they_say(void **state)
{
    (void)state;
    start_machine();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_row(&rows[i]);
}

static void delays_hold_the_call_at_both_ends(void **state)
{
    (void)state;
    static const char *const places[] = {"begin", "end"};
    start_machine();
    for (size_t i = 0; i < 2; i++) {
        struct run done = run_sh("KILLPOINT_FAULTS='%s:delay=400' " EXEC "echo a", places[i]);
        check_success(&done);
        assert_string_equal(done.out, "a\n");
        if (done.ms < 400)
            fail_msg("%s: only %lld ms", places[i], (long long)done.ms);
        run_release(&done);
    }
}

/* The first kill ends the machine's main command, the second a container that has none. */
static void init_of_a_fresh_container_is_its_command(void **state)
{
    (void)state;
    static const struct row row = {
        "init",
        NULL,
        WITH("at:ms=100:scope=init") "sleep 30; echo $?; " WITH(
            "at:ms=300:scope=init") "sh -c 'echo $$; setsid sleep 31 & sleep 30'; echo $?; " EXEC
                                    "sh -c 'echo $$; grep -lx sleep /proc/[0-9]*/comm | wc -l'",
        0,
        "137\n1\n137\n1\n0\n",
        ""};
    start_machine();
    check_row(&row);
}

static void calls_at_once_have_rules_of_their_own(void **state)
{
    (void)state;
    start_machine();
    check_out(
        "a\n137\nb\n5\nc\n0\n",
        "cd \"$KILLPOINT_STATE\"; "
        "(" WITH("at:ms=300") "sh -c 'echo a; sleep 30'; echo $?) >1 & "
                              "(" WITH("end:status=5") "sh -c 'sleep 0.6; echo b'; echo $?) >2 & "
                                                       "(" EXEC "sh -c 'sleep 0.6; echo c'; echo "
                                                       "$?) >3 & wait; cat 1 2 3");
}

static void rules_of_the_start_count_the_machines_calls(void **state)
{
    (void)state;
    struct run done = run_sh("smolvm machine create t --image %s >/dev/null && "
                             "KILLPOINT_FAULTS='exec#2 end:status=9' "
                             "smolvm machine start --name t >/dev/null",
                             some_layout());
    check_success(&done);
    run_release(&done);
    check_out("0\n9\n0\n", "for i in 1 2 3; do " EXEC "true; echo $?; done");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, machine_set_up, machine_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rules_do_to_a_call_what_they_say),
        TEST(delays_hold_the_call_at_both_ends),
        TEST(init_of_a_fresh_container_is_its_command),
        TEST(calls_at_once_have_rules_of_their_own),
        TEST(rules_of_the_start_count_the_machines_calls),
    };
    return cmocka_run_group_tests_name("smolvm rules", tests, NULL, NULL);
}
