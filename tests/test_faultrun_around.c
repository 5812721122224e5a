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

int main(void)
{
    const struct CMUnitTest tests[] = {
        faultrun_test(who_changed_its_user_is_seen_or_said_not_to_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
