#include "faultrun.h"

#define LENGTH(rows) (sizeof(rows) / sizeof(rows)[0])

static void check_all(const struct faultrun_row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        faultrun_check(&rows[i]);
        free(faultrun_out("rm -rf ./*"));
    }
}

/* --- whom faultrun may look at ------------------------------------------------------------ */

/* As containers have it. */
#define CONFINED "setpriv --bounding-set=-sys_ptrace,-sys_admin --inh-caps=-sys_ptrace,-sys_admin "

static void who_changed_its_user_is_seen_or_said_not_to_be(void **state)
{
    (void)state;
    need_root();
    static const struct faultrun_row rows[] = {
        {"a rule fires",
         CONFINED "$FR --inject unlink:error=EROFS -- " NOBODY
                  "sh -c 'echo a >byn; rm byn 2>/dev/null; echo rm $?'",
         0, "rm 1\n", NULL},
        {"a list", CONFINED "$FR --list -- " NOBODY "sh -c 'echo a >byn; rm byn' | sed s,$PWD,D,",
         0, "1\tsh:open:D/byn#1\n2\tsh:write:D/byn#1\n3\trm:unlink:D/byn#1\n", NULL},
        {"a descriptor, a relative path, other file systems",
         CONFINED "$FR --list -- " NOBODY "perl -e 'chdir q(/dev/shm); open F, q(>kp-byn); "
                  "syswrite F, q(x); truncate F, 0; unlink q(kp-byn)' | cut -f 2",
         0,
         "perl:open:/dev/shm/kp-byn#1\nperl:write:/dev/shm/kp-byn#1\n"
         "perl:truncate:/dev/shm/kp-byn#1\nperl:unlink:/dev/shm/kp-byn#1\n",
         NULL},
        {"who executed nothing since", CONFINED "$FR --list -- perl -e '$> = 65534; open F, q(>f)'",
         125, "", "(perl) cannot be looked at"},
        {"a program that may not be read",
         "cp /bin/rm rmx; chmod 711 rmx; " NOBODY "$FR --list -- sh -c './rmx -f f; :'", 125, "",
         "(rmx) cannot be looked at"},
        {"as the command", "cp /bin/rm rmx; chmod 711 rmx; " NOBODY "$FR --list -- ./rmx -f f", 125,
         "", "(rmx) cannot be looked at"},
        {"holes in memory are the call's own matter",
         CONFINED "$FR --list -- " NOBODY "perl -e 'syscall(87, 4096); print $! + 0'", 0, "14",
         NULL},
    };
    check_all(rows, LENGTH(rows));
}

static void without_its_own_proc_nobody_is_followed(void **state)
{
    (void)state;
    need_root();
    static const struct faultrun_row rows[] = {
    /* where LeakSanitizer cannot look */
#ifndef __SANITIZE_ADDRESS__ /* whose runtime needs /proc itself */
        {"no /proc", "unshare -m sh -c 'mount -t tmpfs none /proc; exec $FR -- true'", 125, "",
         "/proc is not mounted"},
#endif
        {"another's /proc", /* where LeakSanitizer cannot look */
         "ASAN_OPTIONS=detect_leaks=0 unshare -p -f $FR -- true", 125, "",
         "/proc is not mounted, or"},
    };
    check_all(rows, LENGTH(rows));
}

/* --- what the command finds ---------------------------------------------------------------- */

#define IN_PERL                                                                                    \
    "perl -e 'use POSIX; my $m = POSIX::SigSet->new; sigprocmask(SIG_BLOCK, undef, $m); "          \
    "print map { ($SIG{$_} // q(-)) . q( ) } qw(INT QUIT HUP TERM CHLD XFSZ PIPE); "               \
    "print map { $m->ismember($_) } 1 .. 31; print qq(\\n)'"

static void the_command_finds_what_faultrun_found(void **state)
{
    (void)state;
    need_root();
    static const struct faultrun_row rows[] = {
        {"descriptors",
         "exec 7</dev/null; ls -l /proc/self/fd | sed 's/.*:.. //; s,/proc/.*,,' >a; "
         "$FR --list --report 9 -- ls -l /proc/self/fd 9>/dev/null | sed 's/.*:.. //; "
         "s,/proc/.*,,' >b; "
         "$FR -- ls -l /proc/self/fd | sed 's/.*:.. //; s,/proc/.*,,' >c; "
         "sed -i 's/pipe:.*//' a b c; diff a b && diff a c && grep -c 7 b",
         0, "1\n", NULL},
        {"signals", IN_PERL " >a; $FR -- " IN_PERL " >b; cmp a b", 0, "", NULL},
        {"ignored and blocked ones",
         "cat >s <<'END'\nuse POSIX; $SIG{$_} = 'IGNORE' for qw(INT HUP CHLD PIPE XFSZ);\n"
         "sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIGUSR1, SIGTERM)); exec @ARGV;\nEND\n"
         "perl s " IN_PERL " >a; perl s $FR -- " IN_PERL " >b; cmp a b; grep -c IGNORE b",
         0, "1\n", NULL},
        {"limits", "ulimit -S -f 7; $FR -- sh -c 'ulimit -f'", 0, "7\n", NULL},
        {"nohup",
         "(trap '' HUP; exec $FR -- sh -c 'echo >up; sleep 0.3; echo survived') & p=$!; "
         "while ! [ -e up ]; do sleep 0.01; done; kill -HUP $p; wait $p",
         0, "survived\n", NULL},
        {"a limit on files that lets nothing through",
         "(ulimit -f 0; $FR --list -- mkdir d | cut -f 2 | sed s,$PWD,D,)", 0,
         "mkdir:mkdir:D/d#1\n", NULL},
        {"and a list that goes to a file",
         "(ulimit -f 0; $FR --list -- mkdir d >l); code=$?; "
         "wc -c <l; exit $code",
         125, "0\n", "File too large"},
        {"no folder for temporary files",
         "f=$(mktemp -p /var/tmp) && cp $FR $f && chmod 755 $f && F=$f unshare -m sh -c '"
         "mount -t tmpfs -o ro none /tmp; mount -t tmpfs -o ro none /dev/shm; "
         "cd /run; $F --list -- true'; code=$?; rm $f; exit $code",
         0, "", NULL},
    };
    check_all(rows, LENGTH(rows));
}

/* --- what cannot be told ------------------------------------------------------------------ */

static void what_cannot_be_told_is_said(void **state)
{
    (void)state;
    need_root();
    static const struct faultrun_row rows[] = {
        {"a file that may not be read",
         "echo x >f; chmod 222 f; " NOBODY "$FR --list --json -- sh -c 'echo y >>f' | "
         "sed s,$PWD,D, | grep -o 'unreadable\":[^,]*'",
         0, "unreadable\":\"D/f\"\n", "cannot be read"},
        {"in a plain list", "echo x >f; chmod 222 f; " NOBODY "$FR --list -- sh -c 'echo y >>f'", 0,
         NULL, "whether their content changes cannot be told"},
        {"a shared mapping in a plain list",
         "$FR --list --report 2 -- perl -e 'open F, q(+>m); truncate F, 4096; "
         "syscall(9, 0, 4096, 3, 1, fileno F, 0) > 0 or die'",
         0, "", "1 shared writable mappings"},
    };
    check_all(rows, LENGTH(rows));
}

/* --- who is held ---------------------------------------------------------------------------- */

static void a_signal_ends_a_delay_at_once(void **state)
{
    (void)state;
    static const struct faultrun_row rows[] = {
        {"SIGINT",
         "env --default-signal=INT $FR --inject mkdir:delay=60000 -- sh -c 'echo >up; mkdir d' & "
         "p=$!; "
         "while ! [ -s up ]; do sleep 0.01; done; sleep 0.2; kill -INT $p; wait $p; code=$?; "
         "test -d d && echo made; exit $code",
         130, "", NULL},
        {"SIGTERM",
         "env --default-signal=INT $FR --inject mkdir:delay=60000 -- sh -c 'echo >up; mkdir d' & "
         "p=$!; "
         "while ! [ -s up ]; do sleep 0.01; done; sleep 0.2; kill $p; wait $p; code=$?; "
         "test -d d && echo made; exit $code",
         143, "", NULL},
        {"SIGINT without a delay is the command's own matter",
         "env --default-signal=INT $FR -- sh -c 'echo >up; sleep 0.5; echo on' & p=$!; "
         "while ! [ -s up ]; do sleep 0.01; done; kill -INT $p; wait $p",
         0, "on\n", NULL},
    };
    check_all(rows, LENGTH(rows));
}

/* --- places --------------------------------------------------------------------------------- */

static void every_write_to_a_socket_is_a_pipewrite(void **state)
{
    (void)state;
    static const struct faultrun_row rows[] = {
        {"send, sendmsg",
         "$FR --inject pipewrite:comm=perl:when=3:scope=process -- sh -c 'perl -e \""
         "use Socket; socketpair(A, B, AF_UNIX, SOCK_STREAM, 0); for (1 .. 5) { send(A, q(x), 0); "
         "syswrite(STDERR, \\$_) }\"; echo $?'",
         0, "137\n", "1Killed"},
        {"as they are listed",
         "$FR --list --scope process -- perl -e "
         "'use Socket; socketpair(A, B, AF_UNIX, SOCK_STREAM, 0); send(A, q(x), 0); "
         "send(STDIN, q(x), 0)' </dev/null | grep pipewrite",
         0, "-\tperl:pipewrite:/#1\n", NULL},
    };
    check_all(rows, LENGTH(rows));
}

static void a_process_without_a_name_has_an_address(void **state)
{
    (void)state;
    static const struct faultrun_row rows[] = {
        {"listed, and killed there",
         "echo 'syscall(157, 15, my $n = q()); mkdir q(a); mkdir q(b)' >s; "
         "a=$($FR --list -- perl s | sed -n 's/^2\t//p'); rmdir a b; echo \"$a\" | sed s,$PWD,D,; "
         "$FR --point \"$a\" -- perl s; code=$?; ls -d ?; exit $code",
         137, ":mkdir:D/b#1\na\ns\n", NULL},
    };
    check_all(rows, LENGTH(rows));
}

/* Each list is followed by kills at its points, by number and by address. */
static void a_file_is_known_by_a_name_that_it_has(void **state)
{
    (void)state;
    static const struct faultrun_row rows[] = {
        {"the name of its descriptor is gone",
         "echo 'open F, q(>h); syswrite F, q(1); link q(h), q(h2); unlink q(h); syswrite F, q(2); "
         "chmod 0600, *F' >s; $FR --list -- perl s >l; sed s,$PWD,D, l; rm h2; "
         "$FR --point 5 -- perl s; cat h2; echo; rm h2; $FR --point \"$(sed -n '6s/..//p' l)\" -- "
         "perl s; stat -c '%a %s' h2",
         0,
         "1\tperl:open:D/h#1\n2\tperl:write:D/h#1\n3\tperl:link:D/h2#1\n4\tperl:unlink:D/h#1\n"
         "5\tperl:write:D/h2#1\n6\tperl:chmod:D/h2#1\n1\n644 2\n",
         NULL},
        {"an older name, that a call used",
         "echo a >h; ln h h2; echo 'chmod 0600, q(h2); open F, q(>>h); unlink q(h); syswrite F, "
         "q(2)' >s; $FR --list -- perl s | sed s,$PWD,D,",
         0, "1\tperl:chmod:D/h2#1\n2\tperl:unlink:D/h#1\n3\tperl:write:D/h2#1\n", NULL},
        {"a renamed one",
         "echo 'open F, q(>h); link q(h), q(h2); rename q(h2), q(h3); unlink q(h); syswrite F, "
         "q(2)' "
         ">s; $FR --list -- perl s | sed \"s,$PWD,D,; 1,4d\"",
         0, "5\tperl:write:D/h3#1\n", NULL},
        {"one that nobody named",
         "echo a >h; ln h h2; echo 'open F, q(>>h); unlink q(h); syswrite F, q(2)' >s; "
         "$FR --list -- perl s | sed s,$PWD,D,",
         0, "1\tperl:unlink:D/h#1\n", "cannot be told"},
    };
    check_all(rows, LENGTH(rows));
}

/* What read the whole of a file at each call would read 100 GB here. */
static void large_files_cost_what_is_written(void **state)
{
    (void)state;
    static const struct faultrun_row rows[] = {
        {"a sparse one", "timeout 20 $FR --list --report 2 -- truncate -s 20G f 2>&1 | cut -f 1", 0,
         "1\n2\n", NULL},
        {"overwritten in place, by every call that does it",
         "head -c 64M /dev/zero | tr '\\0' x >f; cat >s <<'END'\n"
         "open F, q(+<f); my ($a, $b) = (q(ab), q(cd)); my $v = pack(q(PQPQ), $a, 2, $b, 2);\n"
         "for (1 .. 400) { sysseek(F, $_ * 9000, 0); syswrite F, q(a); syscall(20, fileno F, $v, "
         "2); "
         "syscall(296, fileno F, $v, 2, $_ * 8990, 0); syscall(18, fileno F, $a, 2, $_ * 8980) }\n"
         "END\ntimeout 20 $FR --list --report 9 -- perl s 9>l; echo $?; wc -l <l",
         0, "0\n1600\n", NULL},
    };
    check_all(rows, LENGTH(rows));
}

static void a_handle_cannot_truncate(void **state)
{
    (void)state;
    static const struct faultrun_row rows[] = {
        {"open_by_handle_at", "$FR -- perl -e 'syscall(304, -1, 0, 512); print $! + 0'", 0, "1",
         NULL},
    };
    check_all(rows, LENGTH(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        faultrun_test(who_changed_its_user_is_seen_or_said_not_to_be),
        faultrun_test(without_its_own_proc_nobody_is_followed),
        faultrun_test(the_command_finds_what_faultrun_found),
        faultrun_test(what_cannot_be_told_is_said),
        faultrun_test(a_signal_ends_a_delay_at_once),
        faultrun_test(every_write_to_a_socket_is_a_pipewrite),
        faultrun_test(a_process_without_a_name_has_an_address),
        faultrun_test(a_file_is_known_by_a_name_that_it_has),
        faultrun_test(large_files_cost_what_is_written),
        faultrun_test(a_handle_cannot_truncate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
