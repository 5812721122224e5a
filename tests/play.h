/*
 * play.h: killpoint as a program, with scenarios of a test's own.
 *
 * killpoint takes its scenarios from the nearest `scenarios` folder above its own file. So a
 * test gets a home: a folder with the programs hard-linked (or copied) into it, the project's
 * fixtures and layouts behind symbolic links, and an empty suite that the test fills.
 *
 *   HOME/bin  HOME/fakes  HOME/scenarios/{suite,backends}  HOME/state
 */
#ifndef KILLPOINT_TESTS_PLAY_H
#define KILLPOINT_TESTS_PLAY_H

#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "../fault/home.h"

/* Makes the home of one test, names it in $KP, and its state folder in $KILLPOINT_STATE. */
static inline int play_set_up(void **state)
{
    CLEANUP(io_free) char *program = NULL;
    CLEANUP(io_free) char *scenarios = NULL;
    struct err err;
    if (home_find("bin/killpoint", &program, &err) < 0 ||
        home_find("scenarios/fixtures", &scenarios, &err) < 0)
        fail_msg("%s", err.msg);
    *strrchr(program, '/') = *strrchr(scenarios, '/') = '\0';
    *strrchr(program, '/') = '\0';
    CLEANUP(io_free) char *layouts = NULL;
    if (!getenv("KILLPOINT_LAYOUTS"))
        home_find("layouts", &layouts, NULL);
    char *home = dir_make();
    *state = home;
    setenv("KP", home, 1);
    CLEANUP(io_free) char *folder = io_format("%s/state", home);
    setenv("KILLPOINT_STATE", folder, 1);
    unsetenv("KILLPOINT_FAULTS");
    unsetenv("SMOLVM_FAKE_VERSION");
    unsetenv("GITHUB_ACTIONS"); /* there stderr has annotations too */
    struct run done = run_sh(
        "chmod 755 \"$KP\"; cd \"$KP\" && mkdir -p bin fakes scenarios/suite scenarios/backends && "
        "for f in bin/killpoint bin/provision-ca fakes/smolvm fakes/docker; do "
        "ln '%s/'$f $f 2>/dev/null || cp '%s/'$f $f || exit; done; "
        "ln -s '%s/fixtures' '%s/layouts' scenarios/; [ -z '%s' ] || ln -s '%s' layouts",
        program, program, scenarios, scenarios, layouts ? layouts : "", layouts ? layouts : "");
    check_success(&done);
    run_release(&done);
    return 0;
}

static inline int play_tear_down(void **state)
{
    dir_remove((char **)state);
    return 0;
}

static inline void play_write(const char *name, const char *text)
{
    CLEANUP(io_free) char *path = io_format("%s/scenarios/%s", getenv("KP"), name);
    struct err err;
    if (io_write_file(AT_FDCWD, path, text, strlen(text), 0644, &err) < 0)
        fail_msg("%s", err.msg);
}

/* A scenario play/NAME on bookworm-mini; more is YAML, `expect` too. */
static inline void play_add(const char *name, const char *more)
{
    CLEANUP(io_free) char *file = io_format("suite/%s.yaml", name);
    CLEANUP(io_free)
    char *text = io_format("format: 1\nid: play/%s\ntitle: of a test\nlevel: must\n"
                           "layout: bookworm-mini\n%s\n",
                           name, more);
    play_write(file, text);
}

/* The command line of a backend that does all right. */
#define PLAY_GOOD "{bin}/provision-ca --machine {machine} --plan {plan}"

/* Runs a shell script in the home, with the home's programs first on PATH. */
static inline struct run play(const char *script)
{
    return run_sh("cd \"$KP\" && PATH=\"$KP/bin:$KP/fakes:$PATH\"\n%s", script);
}

static inline void play_check_code(const char *name, const struct run *run, int code)
{
    if (run->how != PROC_EXITED || run->code != code)
        fail_msg("%s: expected exit %d, found %s%d\n--- stdout\n%s\n--- stderr\n%s", name, code,
                 run->how == PROC_EXITED ? "" : "signal or timeout ", run->code, run->out,
                 run->err);
}

static inline void play_check_has(const char *name, const char *text, const char *wanted)
{
    if (!strstr(text, wanted))
        fail_msg("%s: '%s' is missing in\n%s", name, wanted, text);
}

#endif
