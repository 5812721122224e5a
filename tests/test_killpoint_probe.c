/*
 * killpoint probe as a program, with the project's own scenarios: what it makes of adapters that
 * are fit and of some that are not.
 */
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "../fault/home.h"

#define GOOD "{bin}/provision-ca --machine {machine} --plan {plan}"
#define BROKEN "the adapter is probably broken: it fails where nothing goes wrong\nlook at "

static const struct {
    const char *name;
    const char *arguments;
    int code;
    const char *out, *err; /* must stand there; NULL: that stream is empty */
} rows[] = {
    {"a right one", "-- " GOOD, 0,
     "good        a machine of a random name: success claimed, and the CA is there\n"
     "good        nothing goes wrong: success claimed, and the CA is there\n"
     "good        a certificate file without a certificate: exit status 2\n"
     "good        a machine that does not exist: exit status 1\n"
     "the adapter works: ",
     NULL},
    {"the example in sh", "--backend posix-sh", 0, "the adapter works", NULL},
    {"the example in Python", "--backend python", 0, "the adapter works", NULL},
    {"it always fails", "-- sh -c 'echo no luck >&2; exit 1'", 1,
     "BAD         nothing goes wrong: exit status 1\n      it said: no luck\n", NULL},
    {"it always fails, and calls nothing", "-- false", 1,
     BROKEN "how it finds the driver: no call of smolvm", NULL},
    {"it always succeeds", "-- true", 1,
     "the adapter is probably broken: it claims success, and the CA is not there\nlook at how it "
     "finds the driver",
     NULL},
    {"it has lost its program", "-- sh -c 'exec ./install.sh'", 1, BROKEN "its command line: 127",
     NULL},
    {"it takes the fakes off PATH",
     "-- sh -c 'PATH=/usr/bin:/bin; smolvm machine cp {cert} {machine}:{ca_path} || exit 1'", 1,
     BROKEN "how it finds the driver", NULL},
    {"it uses a flag that there is not",
     "-- sh -c 'smolvm machine cp --bogus {cert} {machine}:{ca_path} || exit 1'", 1,
     BROKEN "its calls: smolvm refused one as wrong usage (status 2): ", NULL},
    {"it swallows the status", "-- sh -c '" GOOD " || true'", 1, "its exit status tells nothing",
     NULL},
    {"it knows one machine", "-- {bin}/provision-ca --machine kp1 --plan {plan}", 1,
     "it does its work for some names alone", NULL},
    {"it supports nothing", "-- sh -c 'exit 77'", 1, "nothing would be judged", NULL},
    {"no such program", "-- /nonexistent/backend", 3,
     "execute /nonexistent/backend: No such file or directory\nthe adapter is not there\n", NULL},
    {"no backend", "", 2, NULL, "killpoint probe: give either --backend NAME or -- CMD"},
    {"an argument too many", "x -- true", 2, NULL, "unexpected argument 'x'"},
    {"an unknown backend", "--backend pyton", 2, NULL, "did you mean 'python'?"},
    {"an unknown layout", "--layout nowhere -- true", 2, NULL, "nowhere"},
};

static void check_stream(const char *name, const char *found, const char *wanted)
{
    if (wanted ? !strstr(found, wanted) : *found != '\0')
        fail_msg("%s: expected '%s', found\n%s", name, wanted ? wanted : "nothing", found);
}

static void an_adapter_is_fit_or_told_what_to_look_at(void **state)
{
    (void)state;
    need_root();
    need_layout("bookworm-mini");
    CLEANUP(dir_remove) char *dir = dir_make();
    CLEANUP(io_free) char *program = NULL;
    struct err err;
    if (home_find("bin/killpoint", &program, &err) < 0)
        fail_msg("%s", err.msg);
    setenv("KILLPOINT_STATE", dir, 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct run done = run_sh("'%s' probe %s", program, rows[i].arguments);
        if (done.how != PROC_EXITED || done.code != rows[i].code)
            fail_msg("%s: expected exit %d, found %d\n%s%s", rows[i].name, rows[i].code, done.code,
                     done.out, done.err);
        check_stream(rows[i].name, done.out, rows[i].out);
        check_stream(rows[i].name, done.err, rows[i].err);
        run_release(&done);
    }
}

/* The file of the README, with the example in Python as the program that it names. */
static void the_readmes_backend_file_is_enough(void **state)
{
    (void)state;
    need_root();
    need_layout("bookworm-mini");
    CLEANUP(dir_remove) char *dir = dir_make();
    CLEANUP(io_free) char *program = NULL;
    CLEANUP(io_free) char *script = NULL;
    struct err err;
    if (home_find("bin/killpoint", &program, &err) < 0 ||
        home_find("scenarios/backends/python.py", &script, &err) < 0)
        fail_msg("%s", err.msg);
    setenv("KILLPOINT_STATE", dir, 1);
    *strrchr(script, '/') = '\0';
    struct run done =
        run_sh("cd '%s' && cp '%s/python.py' mine.py && sed -n '/^    name: mine$/,/^    cap/p' "
               "'%s/../../README.md' >keys && "
               "{ echo 'format: 1'; sed 's/^    //' keys; } >mine.yaml && "
               "[ $(wc -l <mine.py) -le 60 ] && '%s' probe --backend mine.yaml",
               dir, script, script, program);
    check_success(&done);
    check_stream("README.md", done.out, "backend mine: my provisioner\n");
    run_release(&done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_adapter_is_fit_or_told_what_to_look_at),
        cmocka_unit_test(the_readmes_backend_file_is_enough),
    };
    return cmocka_run_group_tests_name("probe", tests, NULL, NULL);
}
