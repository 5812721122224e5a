/*
 * Every step of the hardened script is there for something: each is taken out in turn, and
 * the scenarios that say why it is there fail then, and (TEST_HEAVY=1) none of the others. The
 * script is played by provision-ca itself; a smolvm before the fake one puts the changed script
 * into its exec. What a guest shows badly has its test in test_impl_script.c: the words while
 * somebody is waited for, 75, and 137 when both turns lost a helper.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../impl/command.h"
#include "../impl/script.h"

#define SCENARIOS_MAX 6

/* What stands once in the script, what stands there without the step, and what fails then. */
struct step {
    const char *name;
    const char *text;
    const char *instead;
    const char *fails[SCENARIOS_MAX];
};

static const struct step steps[] = {
    {"the lock", "flock -n 9 || {", "true || {", {"places/orphan-at-work-recovery"}},
    {"wait before", "  wait_for_others\n  left=", "  left=", {"beside/update-under-way"}},
    {"wait after", "]\n  wait_for_others\n", "]\n", {"beside/update-starts-meanwhile"}},
    {"lists of a killed run",
     "-name \"ca-certificates.tmp.$six\" -o",
     "",
     {"partial/stale-temporaries-in-tmp", "places/before-the-hook"}},
    {"bundle of a killed run",
     "-o -name \"ca-certificates.crt.tmp.$six\"",
     "",
     {"partial/stale-temporaries-in-tmp"}},
    {"no folder", "\\( -type f ", "\\( -true ", {"install/what-is-not-ours"}},
    {"link of a killed ln", "-name \"Cu$six\"", "-false", {"partial/stale-link-temporary"}},
    {"no other link",
     " \\( -lname \"$local/*\" -o -lname \"$roots/*\" \\)",
     "",
     {"install/what-is-not-ours"}},
    {"chown",
     "  chown root:root \"$ca\"\n",
     "",
     {"copied/not-what-was-copied[state=old]", "copied/other-group"}},
    {"chmod", "  chmod 644 \"$ca\"\n", "", {"copied/other-mode"}},
    {"sha256sum", " | sha256sum -c -", "", {"copied/not-what-was-copied[state=old]"}},
    {"links that count as new",
     "ln -sf \"${crt%/*}/./${crt##*/}\" \"$dir/$pem.pem\"",
     ":",
     {"exec/name-lost-silently", "partial/link-without-hash", "places/before-the-hook",
      "places/one-before-the-hook", "places/one-without-a-name"}},
    {"links of all after a kill",
     "if [ \"$turn$left\" = 1 ]; then echo \"$ca\"; else locals; fi",
     "echo \"$ca\"",
     {"places/before-the-hook"}},
    {"hooks are told of no name",
     "echo \"-$dir/.pem\" | \"$hook\" 3>&- 4>&- 9>&- || :",
     ":",
     {"places/one-without-a-name"}},
    {"no link without a name",
     "rm -f \"$dir/.pem\" ",
     "rm -f ",
     {"exec/name-lost-silently", "places/one-without-a-name"}},
    {"half a bundle",
     " \"$dir/ca-certificates.crt.new\"",
     "",
     {"partial/stale-bundle-never-in-place"}},
    {"staging file",
     " \"${ca%/*}\"/*.smolvm-upload.*",
     "",
     {"partial/leftover-upload", "partial/leftover-upload-of-another"}},
    {"hidden staging file",
     " \"${ca%/*}\"/.smolvm-upload.*",
     "",
     {"partial/leftover-hidden-upload", "partial/leftover-upload-of-another"}},
    {"root's own", " -user 0 ", " ", {"install/what-is-not-ours"}},
    {"six characters", "six='[!.][!.][!.][!.][!.][!.]'", "six='*'", {"install/what-is-not-ours"}},
    {"what a killed run left",
     "  [ -z \"$left\" ] || leftovers -delete\n",
     "",
     {"partial/stale-link-temporary", "partial/stale-temporaries-in-tmp",
      "places/before-the-hook"}},
    {"the bundle compared", " | cmp - \"$bundle\"", " >/dev/null", {"exec/loses-the-roots"}},
    {"the bundle asked",
     "  verify -no-CApath -CAfile \"$bundle\"\n",
     "",
     {"exec/unreadable-neighbour"}},
    {"the links asked",
     "  verify -no-CAfile -CApath \"$dir\"\n",
     "",
     {"exec/folder-in-the-way", "exec/found-elsewhere"}},
    {"nowhere else asked",
     "SSL_CERT_FILE=/nonexistent SSL_CERT_DIR=/nonexistent openssl",
     "openssl",
     {"exec/found-elsewhere"}},
    {"nothing inherited",
     "update-ca-certificates 3>&- 4>&- 9>&-",
     "update-ca-certificates",
     {"exec/hook-leaves-a-daemon"}},
    {"as a list is read by hand",
     "while read crt",
     "while IFS= read crt",
     {"install/list-by-hand"}},
    {"no link without a name is made",
     "  [ ! -L \"$dir/.pem\" ]\n",
     "",
     {"exec/name-lost-silently"}},
    {"sync", "  sync -f \"$bundle\" \"$ca\"\n", "", {"places/vm-dies-at-the-end"}},
    {"a second turn",
     "for turn in 1 2",
     "for turn in 1",
     {"exec/name-lost-silently", "places/one-before-the-hook", "places/one-below-find",
      "places/one-in-a-pipeline", "places/one-without-a-name"}},
    {"what a shell tells", "Killed\\|", "", {"places/one-before-the-hook"}},
    {"a status of its own way",
     "echo \"=$?\" >&4; } |\n      sed -un -e 'w /dev/stderr' "
     "-e 's/.*\\(Killed\\|signal 9\\).*/lost/p'",
     "echo \"=$?\"; } |\n      sed -un -e '/^=/!w /dev/stderr' "
     "-e 's/.*\\(Killed\\|signal 9\\).*/lost/p; /^=/p'",
     {"exec/hook-speaks"}},
    {"what find tells", "\\|signal 9", "", {"places/one-below-find"}},
    {"the turn's last process",
     "  } 4>&1)",
     "  } 4>/run/said; cat /run/said; rm /run/said; sync -f /run)",
     {"places/one-and-its-shell-goes-on"}},
};
#define STEP_COUNT (sizeof steps / sizeof *steps)

/* Those that wait for many seconds: played for the steps that name them alone. */
static const char *const slow[] = {"beside/update-under-way", "beside/update-starts-meanwhile",
                                   "exec/hook-leaves-a-daemon", "places/orphan-at-work-recovery"};

static bool is_slow(const char *id)
{
    for (size_t i = 0; i < sizeof slow / sizeof *slow; i++)
        if (strcmp(slow[i], id) == 0)
            return true;
    return false;
}

static char folder[] = "/tmp/killpoint-steps-XXXXXX";
static char *programs; /* build/bin */

static const char backend[] = "format: 1\nname: step\ntitle: the hardened script with a step less\n"
                              "command:\n  smolvm: [sh, '{dir}/play', '{machine}', '{plan}']\n"
                              "driver_signals: unseen\ncapabilities: [hardened-policy]\n";

/* A smolvm that has the exec run this folder's body behind the first line of the script. */
static const char smolvm[] = "#!/bin/sh\n[ \"$2\" = exec ] || exec \"$REAL\" \"$@\"\n"
                             "first=$(printf '%s\\n' \"$8\" | head -n 1)\n"
                             "exec \"$REAL\" machine exec --name \"$4\" -- sh -c \"$first\n"
                             "$(cat \"${0%/*}/body\")\"\n";

static void write_file(const char *name, const char *text)
{
    CLEANUP(free_text) char *path = format_text("%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0)
        fail_msg("cannot write %s", path);
}

static int run_sh(const char *script, struct command_result *ret_result)
{
    CLEANUP(error_release) struct error error = {NULL};
    const char *const argv[] = {"sh", "-c", script, NULL};
    if (command_run(argv, ret_result, &error) < 0)
        fail_msg("%s", error.text);
    return ret_result->signaled ? 128 + ret_result->code : ret_result->code;
}

static int make_folder(void **state)
{
    (void)state;
    char self[4096];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len < 0 || !mkdtemp(folder))
        return -1;
    self[len] = '\0';
    *strrchr(self, '/') = '\0';
    programs = format_text("%s/../bin", self);
    CLEANUP(free_text)
    char *play = format_text("REAL=$SMOLVM SMOLVM=%s/smolvm\nexport REAL SMOLVM\n"
                             "exec '%s/provision-ca' --machine \"$1\" --plan \"$2\"\n",
                             folder, programs);
    write_file("step.yaml", backend);
    write_file("play", play);
    write_file("smolvm", smolvm);
    CLEANUP(command_result_release) struct command_result result = {0};
    CLEANUP(free_text) char *chmod = format_text("chmod 755 %s %s/smolvm", folder, folder);
    return run_sh(chmod, &result);
}

static int remove_folder(void **state)
{
    (void)state;
    CLEANUP(command_result_release) struct command_result result = {0};
    CLEANUP(free_text) char *script = format_text("rm -rf %s", folder);
    free(programs);
    return run_sh(script, &result);
}

/* The script behind its first line, which has the names. */
static char *body(void)
{
    CLEANUP(free_text) char *script = script_hardened("/a", "/b", "c");
    return format_text("%s", strchr(script, '\n') + 1);
}

/*
 * The step's scenarios; with TEST_HEAVY=1 those of all steps, each once, but the slow ones of
 * others than this: that without it no other fails takes minutes. NULL: of all steps.
 */
static char *scenarios_for(const struct step *step)
{
    bool all = !step || getenv("TEST_HEAVY");
    char *list = NULL;
    size_t size;
    FILE *file = open_memstream(&list, &size);
    if (!file)
        abort();
    for (size_t i = 0; i < STEP_COUNT; i++)
        for (size_t j = 0; j < SCENARIOS_MAX && steps[i].fails[j]; j++) {
            fflush(file);
            CLEANUP(free_text) char *quoted = format_text(" '%s'", steps[i].fails[j]);
            bool own = step && steps[i].name == step->name;
            if (!strstr(list, quoted) && (own || (all && !is_slow(steps[i].fails[j]))))
                fputs(quoted, file);
        }
    fclose(file);
    return list;
}

/* Plays them with this script; the ids that failed, sorted, a line each. */
static char *play(const char *text, const char *scenarios)
{
    write_file("body", text);
    CLEANUP(command_result_release) struct command_result result = {0};
    CLEANUP(free_text)
    char *script = format_text(
        "'%s/killpoint' run --backend %s/step.yaml --layout bookworm-mini %s >%s/out 2>&1; s=$?; "
        "[ $s -le 1 ] || { cat %s/out >&2; exit $s; }; "
        "sed -n 's/^\\(FAIL\\|TIMEOUT\\|LEAK\\|CRASH\\) *\\([^@]*\\)@.*/\\2/p' %s/out | sort",
        programs, folder, scenarios, folder, folder, folder);
    int status = run_sh(script, &result);
    if (status != 0) {
        CLEANUP(free_text) char *err = stream_text(&result.err);
        fail_msg("killpoint run: status %d: %s", status, err);
    }
    return stream_text(&result.out);
}

static void the_whole_script_fails_in_none(void **state)
{
    (void)state;
    CLEANUP(free_text) char *text = body();
    CLEANUP(free_text) char *scenarios = scenarios_for(NULL);
    CLEANUP(free_text) char *failed = play(text, scenarios);
    assert_string_equal(failed, "");
}

static void without_it_its_scenarios_fail_and_no_other(void **state)
{
    const struct step *step = *state;
    CLEANUP(free_text) char *text = body();
    char *at = strstr(text, step->text);
    if (!at || strstr(at + 1, step->text))
        fail_msg("%s: not once in the script: %s", step->name, step->text);
    *at = '\0';
    CLEANUP(free_text)
    char *less = format_text("%s%s%s", text, step->instead, at + strlen(step->text));
    CLEANUP(free_text) char *scenarios = scenarios_for(step);
    CLEANUP(free_text) char *failed = play(less, scenarios);
    char expected[512] = "";
    for (size_t i = 0; i < SCENARIOS_MAX && step->fails[i]; i++) {
        strcat(expected, step->fails[i]);
        strcat(expected, "\n");
    }
    if (strcmp(failed, expected) != 0)
        fail_msg("without '%s': expected\n%sfound\n%s", step->name, expected, failed);
}

int main(void)
{
    struct CMUnitTest tests[STEP_COUNT + 1] = {cmocka_unit_test(the_whole_script_fails_in_none)};
    struct step rows[STEP_COUNT];
    for (size_t i = 0; i < STEP_COUNT; i++) {
        rows[i] = steps[i];
        tests[i + 1] = (struct CMUnitTest){
            steps[i].name, without_it_its_scenarios_fail_and_no_other, NULL, NULL, &rows[i]};
    }
    return cmocka_run_group_tests_name("steps", tests, make_folder, remove_folder);
}
