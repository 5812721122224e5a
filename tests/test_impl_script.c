#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../impl/command.h"
#include "../impl/script.h"

static int run_sh(const char *script, char **ret_out, char **ret_err)
{
    CLEANUP(error_release) struct error error = {NULL};
    CLEANUP(command_result_release) struct command_result result = {0};
    if (command_run((const char *const[]){"sh", "-c", script, NULL}, &result, &error) < 0)
        fail_msg("%s", error.text);
    if (result.signaled)
        fail_msg("sh killed by signal %d", result.code);
    if (ret_out)
        *ret_out = stream_text(&result.out);
    if (ret_err)
        *ret_err = stream_text(&result.err);
    return result.code;
}

static void upstream_is_four_commands_joined_by_and(void **state)
{
    (void)state;
    CLEANUP(free_text) char *script = script_upstream("/l/a.crt", "/c/b.crt");
    assert_string_equal(script, "chown root:root /l/a.crt && chmod 644 /l/a.crt && "
                                "update-ca-certificates && "
                                "openssl verify -CAfile /c/b.crt /l/a.crt");
}

static void quoting_survives_the_shell(void **state)
{
    (void)state;
    static const char *const words[] = {"/a/b.crt", "a b", "it's", "''",     "$(id)`id`$x", "*", "",
                                        "~root",    "#x",  "a\nb", "\\n\"!", "a;b&c|d"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        CLEANUP(free_text) char *quoted = script_quote(words[i]);
        CLEANUP(free_text) char *script = format_text("set -- %s; printf '%%s' \"$#$1\"", quoted);
        CLEANUP(free_text) char *out = NULL;
        CLEANUP(free_text) char *expected = format_text("1%s", words[i]);
        assert_int_equal(run_sh(script, &out, NULL), 0);
        assert_string_equal(out, expected);
    }
}

/*
 * A guest made of stand-ins: every tool that the script calls is a script in bin/ that does
 * nothing, or what the script needs, or dies. The files lie in a temporary folder.
 */
static char folder[] = "/tmp/killpoint-script-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    CLEANUP(free_text)
    char *script = format_text(
        "cd %s && mkdir bin tmp 'certs (x)' && cd bin && "
        "for t in chown chmod rm find ln flock sha256sum cmp sync openssl sort xargs sleep; "
        "do printf '#!/bin/sh\\ncat >/dev/null\\n' >$t; done; "
        "printf '#!/bin/sh\\nexit 1\\n' >grep; "
        "printf '#!/bin/sh\\n' >update-ca-certificates; chmod 755 *",
        folder);
    return run_sh(script, NULL, NULL) == 0 ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    CLEANUP(free_text) char *script = format_text("rm -rf %s", folder);
    return run_sh(script, NULL, NULL);
}

/* Runs the hardened script there, by this env; tool, if not NULL, is given this body. */
static int run_hardened_by(const char *env, const char *tool, const char *body, char **ret_err)
{
    CLEANUP(free_text) char *ca = format_text("%s/my (ca),1.crt", folder);
    CLEANUP(free_text) char *bundle = format_text("%s/certs (x)/b.crt", folder);
    CLEANUP(free_text) char *script = script_hardened(ca, bundle, "00ff");
    CLEANUP(free_text) char *quoted = script_quote(script);
    CLEANUP(free_text)
    char *whole = format_text(
        "cd %s && rm -rf trial && cp -r bin trial && : >'my (ca),1.crt' && "
        "rm -f 'certs (x)'/* turns && "
        "if [ -n '%s' ]; then printf '#!/bin/sh\\n%s\\n' >trial/'%s'; chmod 755 trial/'%s'; fi; "
        "TMPDIR=%s/tmp PATH=%s/trial:$PATH exec %s sh -c %s",
        folder, tool ? tool : "", body ? body : "", tool ? tool : "none", tool ? tool : "none",
        folder, folder, env, quoted);
    return run_sh(whole, NULL, ret_err);
}

static int run_hardened(const char *tool, const char *body, char **ret_err)
{
    return run_hardened_by("env", tool, body, ret_err);
}

static void hardened_succeeds_when_every_tool_does(void **state)
{
    (void)state;
    CLEANUP(free_text) char *err = NULL;
    int status = run_hardened(NULL, NULL, &err);
    if (status != 0)
        fail_msg("status %d: %s", status, err);
}

static void hardened_hands_on_how_each_tool_ended(void **state)
{
    (void)state;
    static const char *const tools[] = {
        "flock", "find", "chown",   "chmod",    "rm", "update-ca-certificates",
        "cmp",   "sync", "openssl", "sha256sum"};
    for (size_t i = 0; i < sizeof tools / sizeof *tools; i++) {
        int killed = run_hardened(tools[i], "kill -KILL $$", NULL);
        int failed = run_hardened(tools[i], "exit 41", NULL);
        if (killed != 137 || failed != 41)
            fail_msg("%s: found %d and %d", tools[i], killed, failed);
    }
    /* Without it nothing is known of how the turn ended. */
    assert_int_equal(run_hardened("sed", "kill -KILL $$", NULL), 137);
    assert_int_equal(run_hardened("sed", "exit 41", NULL), 137);
    /* The bundle lies elsewhere here: a link to update-ca-certificates' own, say. */
    assert_int_equal(
        run_hardened("openssl", "[ $3 = -CAfile ] || [ $4 = /etc/ssl/certs ] || exit 9", NULL), 0);
    /* The certificate may lie on another file system than the bundle. */
    assert_int_equal(run_hardened("sync", "case $3 in *,1.crt) ;; *) exit 9 ;; esac", NULL), 0);
}

/* As a shell tells it whose status nobody looks at; found is how often it ran. */
static void hardened_takes_a_second_turn_when_a_helper_was_killed(void **state)
{
    (void)state;
    static const struct {
        const char *name, *body;
        int status;
        const char *turns;
    } rows[] = {
        {"undisturbed", "echo >>turns", 0, "1"},
        {"told by a shell", "echo >>turns; [ -s once ] || { echo 1 >once; echo Killed >&2; }", 0,
         "2"},
        {"told by find", "echo >>turns; [ -s once ] || { echo 1 >once; echo t: signal 9 >&2; }", 0,
         "2"},
        {"killed itself", "echo >>turns; [ -s once ] || { echo 1 >once; kill -KILL $$; }", 0, "2"},
        {"failed once", "echo >>turns; [ -s once ] || { echo 1 >once; exit 4; }", 0, "2"},
        {"told each time", "echo >>turns; echo Killed >&2", 137, "2"},
        {"failed each time", "echo >>turns; exit 4", 4, "2"},
        {"docker's word for a lost daemon", "echo >>turns; exit 255", 1, "2"},
        {"told, and its loss seen, each time", "echo >>turns; echo Killed >&2; exit 1", 137, "2"},
        {"waited in vain", "echo >>turns; exit 75", 75, "1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(free_text) char *turns = NULL;
        CLEANUP(free_text) char *err = NULL;
        CLEANUP(free_text)
        char *count = format_text("cd %s && wc -l <turns && rm -f once", folder);
        int status = run_hardened("update-ca-certificates", rows[i].body, &err);
        run_sh(count, &turns, NULL);
        if (status != rows[i].status || strncmp(turns, rows[i].turns, 1) != 0)
            fail_msg("%s: status %d after %s turns: %s", rows[i].name, status, turns, err);
    }
}

static void hardened_waits_for_an_earlier_installation(void **state)
{
    (void)state;
    CLEANUP(free_text) char *err = NULL;
    assert_int_equal(run_hardened("flock", "[ $1 = -w ] && exit 75; exit 1", &err), 75);
    assert_non_null(strstr(err, "waiting for an earlier installation"));
}

/* What a hook says is handed on, and is no word about how the turn ended. */
static void hardened_hands_on_what_is_said(void **state)
{
    (void)state;
    CLEANUP(free_text) char *err = NULL;
    assert_int_equal(
        run_hardened("update-ca-certificates", "echo =5 >&2; echo =x >&2; echo -n half >&2", &err),
        0);
    assert_string_equal(err, "=5\n=x\nhalf");
    CLEANUP(free_text) char *err_failed = NULL;
    assert_int_equal(run_hardened("update-ca-certificates", "echo =0 >&2; echo -n half >&2; exit 3",
                                  &err_failed),
                     3);
    assert_string_equal(err_failed, "=0\nhalf=0\nhalf");
}

/* What is matched is in English; the order of names is the one that the guest has. */
static void hardened_asks_for_untranslated_words_alone(void **state)
{
    (void)state;
    static const char body[] = "echo $LC_MESSAGES,$LC_COLLATE,$LC_CTYPE,$LC_ALL,$LANGUAGE >&2";
    static const char *const names[] = {"LC_ALL", "LC_COLLATE", "LC_CTYPE", "LANG", "LANGUAGE"};
    static const struct {
        const char *values[5], *found;
    } rows[] = {
        {{"de_DE", "fr_FR", "it_IT", "en_GB", "de"}, "C,de_DE,de_DE,,\n"},
        {{NULL, "fr_FR", "it_IT", "en_GB", "de"}, "C,fr_FR,it_IT,,\n"},
        {{NULL, NULL, NULL, "en_GB", NULL}, "C,en_GB,en_GB,,\n"},
        {{NULL, NULL, NULL, NULL, NULL}, "C,,,,\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(free_text) char *env = format_text("env");
        for (size_t j = 0; j < sizeof names / sizeof *names; j++) {
            const char *value = rows[i].values[j];
            char *longer = format_text("%s %s=%s", env, names[j], value ? value : "");
            free(env);
            env = longer;
        }
        CLEANUP(free_text) char *err = NULL;
        assert_int_equal(run_hardened_by(env, "update-ca-certificates", body, &err), 0);
        assert_string_equal(err, rows[i].found);
    }
}

/* grep looks at one process, which is called like an update and is alive or a zombie. */
static void hardened_waits_for_who_is_alive(void **state)
{
    (void)state;
    for (int alive = 0; alive < 2; alive++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            close(ends[1]);
            char byte;
            prctl(PR_SET_NAME, "update-ca-certificates");
            ssize_t got = alive ? read(ends[0], &byte, 1) : 0;
            _exit((int)got);
        }
        close(ends[0]);
        siginfo_t info;
        if (!alive)
            assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
        CLEANUP(free_text)
        char *body = format_text("exec /bin/grep \"$1\" \"$2\" /proc/%d/stat", (int)pid);
        CLEANUP(free_text) char *err = NULL;
        int status = run_hardened("grep", body, &err);
        close(ends[1]);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        bool told = strstr(err, "waiting for another update-ca-certificates") != NULL;
        if (status != (alive ? 75 : 0) || told != alive)
            fail_msg("%s: status %d: %s", alive ? "alive" : "a zombie", status, err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(upstream_is_four_commands_joined_by_and),
        cmocka_unit_test(quoting_survives_the_shell),
        cmocka_unit_test(hardened_succeeds_when_every_tool_does),
        cmocka_unit_test(hardened_hands_on_how_each_tool_ended),
        cmocka_unit_test(hardened_takes_a_second_turn_when_a_helper_was_killed),
        cmocka_unit_test(hardened_waits_for_an_earlier_installation),
        cmocka_unit_test(hardened_hands_on_what_is_said),
        cmocka_unit_test(hardened_asks_for_untranslated_words_alone),
        cmocka_unit_test(hardened_waits_for_who_is_alive),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
