#include "../fakes/layout.h"
#include "faultrun.h"

#define EXIT_KILLED 137
#define THREE "sh -c 'echo a >\"$D/fx\"; mv \"$D/fx\" \"$D/fy\"; rm \"$D/fy\"'"
#define NOTHING "00000000000000000000000000000000"

/* --- the list, and kills at its points ------------------------------------------------- */

static void the_list_is_in_order_and_the_same_each_time(void **state)
{
    (void)state;
    static const char *const points[] = {"sh:open:D/fx#1", "sh:write:D/fx#1", "mv:rename:D/fx#1",
                                         "rm:unlink:D/fy#1"};
    CLEANUP(io_free) char *first = NULL;
    for (int round = 0; round < faultrun_rounds(20, 100); round++) {
        char *list = faultrun_out("$FR --list --json " THREE " | sed \"s,$D,D,\"");
        if (first)
            assert_string_equal(list, first);
        io_free(&first);
        first = list;
    }
    CLEANUP(io_free) char *copy = io_format("%s", first);
    char *rest = copy;
    for (int k = 1; k <= 4; k++) {
        char *line = strsep(&rest, "\n");
        CLEANUP(io_free) char *number = faultrun_value(line, "point");
        CLEANUP(io_free) char *address = faultrun_value(line, "address");
        CLEANUP(io_free) char *digest = faultrun_value(line, "state");
        assert_int_equal(atoi(number), k);
        assert_string_equal(address, points[k - 1]);
        assert_int_equal(strlen(digest), strlen(NOTHING));
        assert_int_equal(strcmp(digest, NOTHING) == 0, k == 1);
    }
    assert_non_null(strstr(rest, "{\"end\":true,\"points\":4,\"attempts\":4,\"state\":\"" NOTHING));
}

static void a_kill_leaves_what_the_effects_before_it_left(void **state)
{
    (void)state;
    static const char *const left[] = {"", "fx 0 ", "fx 2 ", "fy 2 "};
    CLEANUP(io_free) char *list = faultrun_out("$FR --list --json " THREE);
    char *rest = list;
    for (int k = 1; k <= 4; k++) {
        CLEANUP(io_free) char *listed = faultrun_value(strsep(&rest, "\n"), "state");
        CLEANUP(io_free)
        char *script = io_format("rm -f fx fy; $FR --point %d --list --json " THREE
                                 " >list; code=$?; rm -f list2; tail -n 1 list >&2; rm list; "
                                 "stat -c '%%n %%s' * 2>/dev/null | tr '\\n' ' '; exit $code",
                                 k);
        CLEANUP(run_release) struct run killed = faultrun_play(script);
        check_clean_failure(&killed, EXIT_KILLED);
        assert_string_equal(killed.out, left[k - 1]);
        CLEANUP(io_free) char *found = faultrun_value(killed.err, "state");
        assert_string_equal(found, listed);
    }
}

static void a_point_by_its_address_is_the_same_point(void **state)
{
    (void)state;
    CLEANUP(run_release)
    struct run killed =
        faultrun_play("$FR --point \"mv:rename:$D/fx#1\" " THREE "; code=$?; ls; exit $code");
    check_clean_failure(&killed, EXIT_KILLED);
    assert_string_equal(killed.out, "fx\n");
}

/* --- what is done, seen by a shell ------------------------------------------------------- */

static const struct faultrun_row usage_rows[] = {
    {"no command", "$FR", 2, "", "no command"},
    {"an option nobody knows", "$FR --lists -- true", 2, "", "--lists"},
    {"point zero", "$FR --point 0 -- true", 2, "", "counted from 1"},
    {"a negative point", "$FR --point=-1 -- true", 2, "", "--point=-1"},
    {"a bad address", "$FR --point x:y -- true", 2, "", "column 4"},
    {"an unknown key", "$FR --inject write:pth=a -- true", 2, "", "rule 1, column 7"},
    {"the second rule's mistake", "$FR --inject write --inject 'write:when=0' -- true", 2, "",
     "rule 2, column 12"},
    {"a rule for machines", "$FR --inject end:status=1 -- true", 2, "", "end:status=1"},
    {"a scope nobody knows", "$FR --scope vm -- true", 2, "", "--scope=vm"},
    {"a closed report", "$FR --list --report 77 -- true", 2, "", "--report=77"},
    {"json without a list", "$FR --json -- true", 2, "", "go with --list"},
    {"no such program", "$FR -- nosuch", 127, "", "nosuch"},
    {"no program", "$FR -- /etc/passwd", 126, "", "/etc/passwd"},
    {"a point that there is not", "$FR --point 9 -- true", 125, "",
     "no point 9: the command has 0"},
    {"an address that there is not", "$FR --point sh:open:/none#1 -- true", 125, "",
     "did not fire: open:path=/none:comm=sh:when=1"},
    {"a rule that did not fire", "$FR --inject unlink -- true", 125, "",
     "did not fire: unlink (its place was there 0 times)"},
    {"a rule that came too early", "touch f g; $FR --inject unlink:when=3 -- rm f g", 125, "",
     "(its place was there 2 times)"},
    {"a rule that did not fire, and a failure", "$FR --inject unlink -- sh -c 'exit 7'", 7, "",
     "did not fire"},
    {"a point past all numbers", "$FR --point 99999999999999999999999 -- true", 2, "",
     "counted from 1"},
    {"a point with a blank", "$FR --point ' 3' -- true", 2, "", "--point= 3: "},
    {"a point with a sign", "$FR --point +1 -- true", 2, "", "--point=+1: "},
    {"a scope of nothing", "$FR --scope process -- true", 2, "", "goes with --point or --list"},
    {"no rule", "$FR --inject '' -- true", 2, "", "one rule is meant"},
    {"a comment", "$FR --inject ' # x' -- true", 2, "", "one rule is meant"},
    {"two rules in one", "$FR --inject 'write\nunlink' -- true", 2, "", "one rule is meant"},
    {"a file of rules", "echo unlink >r; $FR --inject @r -- true", 2, "", "takes @FILE"},
};

static void wrong_usage_says_where(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof usage_rows / sizeof usage_rows[0]; i++)
        faultrun_check(&usage_rows[i]);
}

static const struct faultrun_row end_rows[] = {
    {"the command's status", "$FR -- sh -c 'exit 3'", 3, "", NULL},
    {"the command's signal", "$FR -- sh -c 'kill -9 $$'", 137, "", NULL},
    {"streams pass", "echo in | $FR -- sh -c 'cat; echo err >&2'", 0, "in\n", "err"},
    {"a list on another descriptor", "$FR --list --report 5 -- sh -c 'echo o; >f' 5>l; cat l", 0,
     NULL, NULL},
    {"SIGTERM for faultrun takes all along",
     "$FR -- sh -c 'sleep 100 & echo $! >pid; sleep 100' & p=$!; "
     "while ! [ -s pid ]; do sleep 0.01; done; kill $p; wait $p; code=$?; "
     "case $(ps -o stat= $(cat pid)) in Z* | '') exit $code ;; esac; exit 1",
     143, "", NULL},
    {"closed stdin", "$FR --list -- sh -c 'echo x >n; cat' <&- | wc -l", 0, "2\n", "cat"},
    {"a closed stdout has no list", "$FR --list -- sh -c 'echo x >n' >&-", 125, "",
     "write the list"},
    {"and is closed for the command", "$FR -- sh -c 'echo x' >&-; cat n", 1, "", "sh:"},
    {"a full one", "$FR --list -- sh -c 'echo x >n' >/dev/full", 125, "", "No space left"},
    {"under another tracer", /* where LeakSanitizer cannot look */
     "ASAN_OPTIONS=detect_leaks=0 strace -f -o /dev/null $FR -- true", 125, "",
     "is traced by process"},
    {"a tracer inside cannot attach", "$FR -- strace -o st true", 1, "", "not permitted"},
    {"a user namespace inside", "$FR --list -- unshare -Ur sh -c 'echo x >u' | wc -l", 0, "2\n",
     NULL},
    {"a FIFO's reader and writer hold nobody",
     "mkfifo p; $FR --list -- sh -c '(echo one >p) & echo two >f; cat p; wait' | "
     "sed s,$PWD,D,",
     0, "one\n1\tsh:open:D/f#1\n2\tsh:write:D/f#1\n", NULL},
    {"a full pipe holds nobody",
     "$FR --point 3 -- sh -c 'seq 100000 | (sleep 0.2; echo x >f; cat >/dev/null) & "
     "echo y >g; wait'",
     137, "", NULL},
    {"places of process scope",
     "$FR --list --scope process -- sh -c 'true | cat' | cut -f 2 | "
     "grep -v pipewrite",
     0,
     "cat:begin:/2#1\ncat:exit:/2#1\nsh:begin:/#1\nsh:begin:/1#1\nsh:begin:/2#1\nsh:exit:/#1\n"
     "sh:exit:/1#1\nsh:spawn:/#1\nsh:spawn:/#2\n",
     NULL},
    {"what ln makes beside its target",
     "touch a b; ln -s a l; $FR --list -- sh -c 'ln -sf b l; ln -f a b' | sed s,$PWD,D,", 0,
     "1\tln:symlink:D/XXXXXXXX#1\n2\tln:rename:D/XXXXXXXX#1\n3\tln:link:D/XXXXXXXX#1\n"
     "4\tln:rename:D/XXXXXXXX#2\n",
     NULL},
    {"names are encoded", "$FR --list -- sh -c 'echo >\"a:b c\"' | sed s,$PWD,D,", 0,
     "1\tsh:open:D/a%3Ab%20c#1\n2\tsh:write:D/a%3Ab%20c#1\n", NULL},
    {"temporary names do not show",
     "$FR --list -- sh -c 'mktemp ./a.XXXXXX >/dev/null' | "
     "sed s,$PWD,D,",
     0, "1\tmktemp:open:D/a.XXXXXX#1\n", NULL},
};

static void a_command_ends_as_it_would_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof end_rows / sizeof end_rows[0]; i++) {
        faultrun_check(&end_rows[i]);
        free(faultrun_out("rm -rf ./*"));
    }
}

/* Whoever of a pipeline comes first: a process is known by its place among its parent's children.
 */
static void processes_beside_each_other_have_the_same_names_each_time(void **state)
{
    (void)state;
    CLEANUP(run_release)
    struct run done = faultrun_play(
        "for i in $(seq 40); do $FR --list --scope process --report 3 -- sh -c 'for i in 1 2 3; do "
        "(true; echo a | sed s/a/b/ | cat) & done; wait; (sleep 0 & sleep 0; :) | cat' "
        "3>&1 >/dev/null | md5sum; done | sort -u | wc -l");
    check_success(&done);
    assert_string_equal(done.out, "1\n");
}

static void digests_do_not_know_random_names(void **state)
{
    (void)state;
    CLEANUP(io_free) char *first = NULL;
    for (int round = 0; round < 3; round++) {
        char *list = faultrun_out(
            "$FR --list --json -- sh -c 'd=$(mktemp -d ./t.XXXXXX); echo a >$d/f; a=$(mktemp "
            "./u.XXXXXX); b=$(mktemp ./u.XXXXXX); echo b >$a; mv $a g; echo c >$b; rm -r $b $d' "
            "| sed s,$PWD,D,");
        if (first)
            assert_string_equal(list, first);
        io_free(&first);
        first = list;
        free(faultrun_out("rm -rf ./*"));
    }
}

/* --- actions --------------------------------------------------------------------------------- */

/* Makes one call of each operation, and says which of them did not succeed. */
static const char calls[] =
    "cat >calls <<'END'\n"
    "use POSIX; use Fcntl; my $n;\n"
    "sub t { my ($op, $ok) = @_; my $e = $! + 0; print \"$op $e\\n\" unless $ok; $! = 0; }\n"
    "$! = 0; open(my $kept, '+<', 'kept') or die;\n"
    "t('open', sysopen(my $f, 'made', O_WRONLY|O_CREAT|O_EXCL, 0600));\n"
    "t('write', syswrite($kept, 'abc') == 3);\n"
    "t('truncate', truncate($kept, 1));\n"
    "t('rename', rename('old', 'new'));\n"
    "t('link', link('kept', 'other'));\n"
    "t('symlink', symlink('kept', 'soft'));\n"
    "t('unlink', unlink('gone'));\n"
    "t('mkdir', mkdir('dir'));\n"
    "t('rmdir', rmdir('empty'));\n"
    "t('mknod', POSIX::mkfifo('fifo', 0600));\n"
    "t('chmod', chmod(0600, 'kept'));\n"
    "t('chown', chown(-1, -1, 'kept'));\n"
    "t('utime', utime(1, 1, 'kept'));\n"
    "my ($p, $k, $v) = ('kept', 'user.k', 'v'); t('xattr', syscall(188, $p, $k, $v, 1, 0) == "
    "0);\n"                                         /* setxattr, x86_64 */
    "t('sync', syscall(74, fileno($kept)) == 0);\n" /* fsync */
    "END\n";

static void an_error_is_the_call_s_own(void **state)
{
    (void)state;
    CLEANUP(io_free)
    char *script =
        io_format("%sfor op in open write truncate rename link symlink unlink mkdir rmdir mknod "
                  "chmod chown utime xattr sync; do rm -rf try; mkdir -p try/empty; "
                  "(cd try; touch kept old gone; case $op in sync) e=EIO;; *) e=EPERM;; esac; "
                  "$FR --inject \"$op:path=$D/try/*:when=1:error=$e\" -- perl ../calls); done",
                  calls);
    CLEANUP(io_free) char *out = faultrun_out(script);
    assert_string_equal(out, "open 1\nwrite 1\ntruncate 1\nrename 1\nlink 1\nsymlink 1\nunlink 1\n"
                             "mkdir 1\nrmdir 1\nmknod 1\nchmod 1\nchown 1\nutime 1\nxattr 1\n"
                             "sync 5\n");
}

static const struct faultrun_row action_rows[] = {
    {"a handled signal before a call: it is made once, after the handler",
     "PERL_SIGNALS=unsafe $FR --inject mkdir:signal=TERM --list --attempts --report 9 -- perl -e "
     "'$SIG{TERM} = sub { print -d q(made) ? 1 : 0 }; mkdir q(made); print -d q(made) ? 1 : 0, "
     "qq(\\n)' 9>list; grep -c mkdir list",
     0, "01\n1\n", NULL},
    {"and after it",
     "$FR --inject mkdir:signal=TERM:timing=after -- perl -e "
     "'$SIG{TERM} = sub { print -d q(made) ? 1 : 0 }; mkdir q(made); print qq(\\n)'",
     0, "1\n", NULL},
    {"a stopped tree goes on when it is told to",
     "$FR --inject mkdir:signal=STOP:scope=process -- sh -c "
     "'mkdir made & sleep 0.3; test -d made; echo $?; kill -CONT $!; wait; test -d made; echo $?'",
     0, "1\n0\n", NULL},
    {"a delay holds the call, and nobody else",
     "$FR --inject mkdir:delay=400 -- sh -c "
     "'mkdir made & echo x >f; test -d made; echo $?; wait; test -d made; echo $?'",
     0, "1\n0\n", NULL},
    {"a delay after the call",
     "$FR --inject mkdir:delay=400:timing=after -- sh -c "
     "'mkdir made & sleep 0.2; test -d made; echo $?; kill -0 $!; echo $?; wait'",
     0, "0\n0\n", NULL},
    {"a torn writev",
     "$FR --inject write:path=$D/f:persist=5 -- perl -e "
     "'open F, q(>f); my ($a, $b) = (q(abc), q(defg)); "
     "my $v = pack(q(PQPQ), $a, 3, $b, 4); syscall(20, fileno F, $v, 2)'; cat f",
     0, "abcde", NULL},
    {"a shared mapping is counted",
     "$FR --list --json -- perl -e 'open F, q(+>m); truncate F, 4096; "
     "syscall(9, 0, 4096, 3, 1, fileno F, 0) > 0 or die' | grep -o 'mappings\":[0-9]*'",
     0, "mappings\":1\n", "1 shared writable mappings"},
    {"io_uring is not there", "$FR -- perl -e 'syscall(425, 1, 0); print $! + 0'", 0, "38", NULL},
};

static void rules_act_as_they_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof action_rows / sizeof action_rows[0]; i++) {
        faultrun_check(&action_rows[i]);
        free(faultrun_out("rm -rf ./*"));
    }
}

/* --- one of many is killed ----------------------------------------------------------------- */

static void one_of_a_pipeline_dies_and_the_others_go_on(void **state)
{
    (void)state;
    static const struct faultrun_row rows[] = {
        {"by a rule",
         "$FR --inject write:comm=perl:path=$D/one:when=2:scope=process -- sh -c '"
         "echo in | perl -e \"open F, q(>one); syswrite F, qq(1\\n); syswrite F, qq(2\\n); print "
         "qq(no\\n)\""
         " | (cat; echo last); echo rest >rest; echo code $?'; cat one rest",
         0, "last\ncode 0\n1\nrest\n", "Killed"},
        {"by a point",
         "$FR --point 3 --scope process -- sh -c '"
         "echo in | perl -e \"open F, q(>one); syswrite F, qq(1\\n); syswrite F, qq(2\\n); print "
         "qq(no\\n)\""
         " | (cat; echo last); echo rest >rest; echo code $?'; cat one rest",
         0, "last\ncode 0\n1\nrest\n", "Killed"},
        {"at its exit, output and all",
         "$FR --inject exit:comm=cat:scope=process -- sh -c 'echo a | cat; echo $?'", 0, "a\n137\n",
         "Killed"},
        {"before it begins",
         "$FR --inject begin:comm=cat:scope=process -- sh -c 'cat /dev/null; echo $?'", 0, "137\n",
         "Killed"},
        {"after a fork, the parent", "$FR --inject spawn:scope=process -- sh -c 'true & echo no'",
         137, "", NULL},
        {"at a write into a pipe",
         "$FR --inject pipewrite:comm=sh:when=2:scope=process -- sh -c "
         "'(echo a; echo b; echo c) | cat; echo on'",
         0, "a\non\n", "Killed"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        faultrun_check(&rows[i]);
}

/* --- as others than root --------------------------------------------------------------------- */

static void an_unprivileged_user_sees_the_same(void **state)
{
    (void)state;
    need_root();
    static const struct faultrun_row rows[] = {
        {"a list", "cp $FR fr; " NOBODY "./fr --list -- sh -c 'echo x >n; rm n' | wc -l", 0, "3\n",
         NULL},
        {"a kill", NOBODY "./fr --point 2 -- sh -c 'echo x >n'; wc -c <n", 0, "0\n", NULL},
        {"no new rights",
         "cp /usr/bin/id id; chown root id; chmod 4755 id; " NOBODY "./fr -- ./id -u; " NOBODY
         "./fr -- grep NoNewPrivs /proc/self/status",
         0, "65534\nNoNewPrivs:\t1\n", NULL},
        {"root keeps them", "$FR -- " NOBODY "./id -u; $FR -- grep NoNewPrivs /proc/self/status", 0,
         "0\nNoNewPrivs:\t0\n", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        faultrun_check(&rows[i]);
}

/* faultrun is static: it needs nothing of the guest but /proc. */
#ifndef __SANITIZE_ADDRESS__ /* that faultrun is dynamic, and cannot be copied into a guest */
static void a_guest_has_its_own_names(void **state)
{
    (void)state;
    need_root();
    need_layout("bookworm-mini");
    CLEANUP(layout_release) struct layout layout = LAYOUT_INIT;
    assert_int_equal(layout_open("bookworm-mini", &layout, NULL), 0);
    setenv("LOWER", layout.layers[0], 1);
    CLEANUP(run_release)
    struct run done = faultrun_play(
        "m=$PWD/m; export m; unshare -m sh -ec '"
        "mkdir m; mount -t tmpfs tmpfs m; mkdir m/u m/w m/r; mount -t overlay overlay -o "
        "lowerdir=$LOWER,upperdir=$m/u,workdir=$m/w m/r; "
        "mount -t proc proc m/r/proc; cp $FR m/r/fr; "
        "chroot m/r /fr --list -- sh -c \"cd /var; echo x >/tmp/../tmp/a; echo x >b\"'");
    check_success(&done);
    assert_string_equal(done.out, "1\tsh:open:/tmp/a#1\n2\tsh:write:/tmp/a#1\n"
                                  "3\tsh:open:/var/b#1\n4\tsh:write:/var/b#1\n");
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        faultrun_test(the_list_is_in_order_and_the_same_each_time),
        faultrun_test(a_kill_leaves_what_the_effects_before_it_left),
        faultrun_test(a_point_by_its_address_is_the_same_point),
        faultrun_test(wrong_usage_says_where),
        faultrun_test(a_command_ends_as_it_would_alone),
        faultrun_test(processes_beside_each_other_have_the_same_names_each_time),
        faultrun_test(digests_do_not_know_random_names),
        faultrun_test(an_error_is_the_call_s_own),
        faultrun_test(rules_act_as_they_say),
        faultrun_test(one_of_a_pipeline_dies_and_the_others_go_on),
        faultrun_test(an_unprivileged_user_sees_the_same),
#ifndef __SANITIZE_ADDRESS__
        faultrun_test(a_guest_has_its_own_names),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
