#include "support.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "certs.h"

#define CA_PATH "/usr/local/share/ca-certificates/bot-bottle-mitm.crt"
#define UPSTREAM_SCRIPT                                                                            \
    "chown root:root " CA_PATH " && chmod 644 " CA_PATH " && update-ca-certificates"               \
    " && openssl verify -CAfile /etc/ssl/certs/ca-certificates.crt " CA_PATH

/* A trial: a folder with bin/smolvm, bin/docker (the same script) and ca.pem. */
struct trial {
    char *folder;
    char *program;
    char fingerprint[96];
};

static char *program_path(void)
{
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(len > 0);
    self[len] = '\0';
    *strrchr(self, '/') = '\0';
    return io_format("%s/../bin/provision-ca", self);
}

static void write_text(const char *path, const char *text, mode_t mode)
{
    struct err err;
    if (io_write_file(AT_FDCWD, path, text, strlen(text), mode, &err) < 0)
        fail_msg("%s", err.msg);
}

/*
 * Each driver call adds its arguments to the file "calls" (one line "call", then each with
 * a leading blank) and its start to "times"; then body runs with $what set to cp or exec
 * and $n to the number of execs so far; after it, unless it exits, the end goes to "times".
 */
static struct trial trial_make(const char *body)
{
    struct trial trial = {dir_make(), program_path(), ""};
    CLEANUP(io_free) char *bin = io_format("%s/bin", trial.folder);
    CLEANUP(io_free) char *smolvm = io_format("%s/smolvm", bin);
    CLEANUP(io_free) char *docker = io_format("%s/docker", bin);
    CLEANUP(io_free) char *cert = io_format("%s/ca.pem", trial.folder);
    CLEANUP(io_free)
    char *script = io_format("#!/bin/sh\n"
                             "cd %s\n"
                             "what=$1; [ \"$1\" != machine ] || what=$2\n"
                             "{ echo call; printf ' %%s\\n' \"$@\"; } >>calls\n"
                             "[ $what = cp ] || echo x >>execs\n"
                             "n=$(cat execs 2>/dev/null | wc -l)\n"
                             "trap 'date +%%s%%N >>times' EXIT\n"
                             "date +%%s%%N >>times\n"
                             "%s\n",
                             trial.folder, body);
    assert_int_equal(mkdir(bin, 0755), 0);
    write_text(smolvm, script, 0755);
    write_text(docker, script, 0755);
    certs_write(cert, &(struct cert_file){0}, trial.fingerprint);
    return trial;
}

static void trial_release(struct trial *trial)
{
    dir_remove(&trial->folder);
    free(trial->program);
}

/* Runs provision-ca there, in an empty environment but for PATH; args is shell text. */
static struct run provision(const struct trial *trial, const char *args)
{
    return run_sh("cd %s && exec env -i PATH=%s/bin:$PATH %s %s", trial->folder, trial->folder,
                  trial->program, args);
}

/* The content of one of the trial's files; "" when it is not there. The caller frees it. */
static char *trial_file(const struct trial *trial, const char *name)
{
    CLEANUP(io_free) char *path = io_format("%s/%s", trial->folder, name);
    CLEANUP(buf_release) struct buf content = BUF_INIT;
    io_read_file(AT_FDCWD, path, &content, 1 << 20, NULL);
    return io_format("%s", buf_str(&content));
}

static void check_text(const char *what, const char *found, const char *expected)
{
    if (strcmp(found, expected) != 0)
        fail_msg("%s: expected\n%s\nfound\n%s", what, expected, found);
}

static void check_one_line(const char *what, const char *text)
{
    const char *newline = strchr(text, '\n');
    if (!newline || newline[1])
        fail_msg("%s: not one line: %s", what, text);
}

struct argv_row {
    const char *name;
    const char *args;
    const char *calls;
};

static const struct argv_row argv_rows[] = {
    {"smolvm", "--machine m1 --cert ca.pem --policy upstream",
     "call\n machine\n cp\n ca.pem\n m1:" CA_PATH "\n"
     "call\n machine\n exec\n --name\n m1\n --\n sh\n -c\n " UPSTREAM_SCRIPT "\n"},
    {"docker", "--machine m1 --cert ca.pem --policy upstream --driver docker",
     "call\n cp\n ca.pem\n m1:" CA_PATH "\n"
     "call\n exec\n -u\n 0\n m1\n sh\n -c\n " UPSTREAM_SCRIPT "\n"},
    {"paths with blanks",
     "--machine m1 --cert ./ca.pem --policy upstream --ca-path '/l/my ca.crt' --bundle \"/it's\"",
     "call\n machine\n cp\n ./ca.pem\n m1:/l/my ca.crt\n"
     "call\n machine\n exec\n --name\n m1\n --\n sh\n -c\n chown root:root '/l/my ca.crt' && "
     "chmod 644 '/l/my ca.crt' && update-ca-certificates && openssl verify -CAfile "
     "'/it'\\''s' '/l/my ca.crt'\n"},
};

static void driver_sees_exactly_these_arguments(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof argv_rows / sizeof *argv_rows; i++) {
        CLEANUP(trial_release) struct trial trial = trial_make("exit 0");
        CLEANUP(run_release) struct run run = provision(&trial, argv_rows[i].args);
        check_success(&run);
        CLEANUP(io_free) char *calls = trial_file(&trial, "calls");
        check_text(argv_rows[i].name, calls, argv_rows[i].calls);
    }
}

static void hardened_makes_the_same_calls_twice_alike(void **state)
{
    (void)state;
    CLEANUP(trial_release)
    struct trial trial = trial_make("[ $what = cp ] || [ $n = 2 ] || exit 137");
    CLEANUP(run_release) struct run run = provision(&trial, "--machine m --cert ca.pem --settle 0");
    check_success(&run);
    CLEANUP(io_free) char *calls = trial_file(&trial, "calls");
    static const char cp[] = "call\n machine\n cp\n ca.pem\n m:" CA_PATH "\n";
    static const char exec[] =
        "call\n machine\n exec\n --name\n m\n --\n sh\n -c\n ca=" CA_PATH " ";
    assert_memory_equal(calls, cp, sizeof cp - 1);
    const char *first = calls + sizeof cp - 1;
    assert_memory_equal(first, exec, sizeof exec - 1);
    size_t half = strlen(first) / 2;
    assert_int_equal(strlen(first), 2 * half);
    assert_memory_equal(first, first + half, half);
}

static void success_is_one_line_with_label_and_fingerprint(void **state)
{
    (void)state;
    static const struct {
        const char *args, *label, *tail;
    } rows[] = {
        {"--cert ca.pem", "egress", ""},
        {"--cert ca.pem --label pipelock", "pipelock", ""},
        {"--plan plan.json", "pipelock", ""},
        {"--plan plan.json --policy upstream", "pipelock", ""},
        {"--cert ca.pem --policy upstream --ca-path /again", "egress", " by a second exec"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(trial_release)
        struct trial trial = trial_make("echo out; echo err >&2; case \"$*\" in *exec*again*) "
                                        "[ $n = 2 ] || exit 137;; esac");
        CLEANUP(io_free) char *plan = io_format("%s/plan.json", trial.folder);
        write_text(plan, "{\"egress\": {\"routes\": []}, \"pipelock\": {\"ca_cert\": \"ca.pem\"}}",
                   0644);
        CLEANUP(io_free) char *args = io_format("--machine m7 --settle 0 %s", rows[i].args);
        CLEANUP(run_release) struct run run = provision(&trial, args);
        check_success(&run);
        CLEANUP(io_free)
        char *line = io_format("provision-ca: %s CA %s installed into m7%s\n", rows[i].label,
                               trial.fingerprint, rows[i].tail);
        check_text(rows[i].args, run.err, line);
        check_text(rows[i].args, run.out, "");
    }
}

static void plan_with_routes_sends_the_egress_ca_from_the_plans_folder(void **state)
{
    (void)state;
    CLEANUP(trial_release) struct trial trial = trial_make("[ $what != cp ] || cat \"$3\" >sent");
    CLEANUP(io_free) char *folder = io_format("%s/plans", trial.folder);
    CLEANUP(io_free) char *plan = io_format("%s/plan.json", folder);
    CLEANUP(io_free) char *cert = io_format("%s/egress.pem", folder);
    char fingerprint[96];
    assert_int_equal(mkdir(folder, 0755), 0);
    certs_write(cert, &(struct cert_file){0}, fingerprint);
    write_text(plan,
               "{\"egress\": {\"routes\": [\"api.example.com\"], \"ca_cert\": \"egress.pem\"},"
               " \"pipelock\": {\"ca_cert\": \"/nonexistent\"}}",
               0644);
    CLEANUP(run_release) struct run run = provision(&trial, "--machine m --plan plans/plan.json");
    check_success(&run);
    assert_non_null(strstr(run.err, "egress CA "));
    assert_non_null(strstr(run.err, fingerprint));
    CLEANUP(io_free) char *sent = trial_file(&trial, "sent");
    CLEANUP(io_free) char *egress = trial_file(&trial, "plans/egress.pem");
    assert_string_equal(sent, egress);
}

struct refusal {
    const char *name;
    const char *args;
    const char *text; /* part of the line on stderr */
};

#define GOOD "--machine m --cert ca.pem "
static const struct refusal refusals[] = {
    {"nothing", "", "--machine is missing"},
    {"no machine", "--cert ca.pem", "--machine is missing"},
    {"no certificate", "--machine m", "--plan or --cert is missing"},
    {"plan and cert", GOOD "--plan p", "--plan and --cert exclude each other"},
    {"label with plan", "--machine m --plan p --label egress", "--label goes with --cert"},
    {"unknown label", GOOD "--label x", "--label must be egress or pipelock, not 'x'"},
    {"unknown driver", GOOD "--driver x", "--driver must be smolvm or docker, not 'x'"},
    {"unknown policy", GOOD "--policy x", "--policy must be upstream or hardened, not 'x'"},
    {"unknown option", GOOD "--frob", "unrecognized option '--frob'"},
    {"unknown letter", GOOD "-x", "invalid option -- 'x'"},
    {"argument missing", "--machine", "option '--machine' requires an argument"},
    {"a word too many", GOOD "extra", "unexpected argument 'extra'"},
    {"a word behind --", GOOD "-- extra", "unexpected argument 'extra'"},
    {"two mistakes", "--machine '' --driver x", "--machine '' is no machine's name"},
    {"machine like an option", "--machine=-m --cert ca.pem", "no machine's name"},
    {"machine with a colon", "--machine a:b --cert ca.pem", "no machine's name"},
    {"settle empty", GOOD "--settle ''", "--settle must be a number of seconds"},
    {"settle a word", GOOD "--settle soon", "--settle must be a number of seconds"},
    {"settle negative", GOOD "--settle -1", "--settle must be a number of seconds"},
    {"settle with a unit", GOOD "--settle 1s", "--settle must be a number of seconds"},
    {"settle infinite", GOOD "--settle inf", "--settle must be a number of seconds"},
    {"settle exponent", GOOD "--settle 1e1", "--settle must be a number of seconds"},
    {"settle hexadecimal", GOOD "--settle 0x1", "--settle must be a number of seconds"},
    {"settle a point", GOOD "--settle .", "--settle must be a number of seconds"},
    {"settle too long", GOOD "--settle 3601", "from 0 to 3600"},
    {"ca-path relative", GOOD "--ca-path x", "--ca-path 'x' is not absolute"},
    {"bundle relative", GOOD "--bundle ''", "--bundle '' is not absolute"},
    {"cert not there", "--machine m --cert nope.pem", "nope.pem: No such file or directory"},
    {"cert a folder", "--machine m --cert bin", "bin: not a regular file"},
    {"cert with a colon", "--machine m --cert a:b", "a:b: the driver's cp would not take"},
    {"cert like an option", "--machine m --cert=-x.pem", "-x.pem: the driver's cp would not take"},
    {"plan not there", "--machine m --plan nope.json", "nope.json: No such file or directory"},
    {"plan not JSON", "--machine m --plan ca.pem", "ca.pem:1:"},
};

static void check_refused(const struct trial *trial, const char *name, const char *args,
                          const char *text)
{
    CLEANUP(run_release) struct run run = provision(trial, args);
    check_clean_failure(&run, 2);
    check_one_line(name, run.err);
    check_text(name, run.out, "");
    if (!strstr(run.err, text))
        fail_msg("%s: expected '%s', found '%s'", name, text, run.err);
    CLEANUP(io_free) char *calls = trial_file(trial, "calls");
    check_text(name, calls, "");
}

static void wrong_usage_is_one_line_and_status_2_before_any_call(void **state)
{
    (void)state;
    CLEANUP(trial_release) struct trial trial = trial_make("exit 0");
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        check_refused(&trial, refusals[i].name, refusals[i].args, refusals[i].text);
}

static void bad_certificates_are_refused_before_any_call(void **state)
{
    (void)state;
    static const struct {
        struct cert_file file;
        bool upstream_takes_it;
        const char *text;
    } rows[] = {
        {{.only_text = ""}, false, "empty"},
        {{.only_text = "x"}, false, "no certificate"},
        {{.certs = 2}, false, "2 certificates"},
        {{.der = true}, false, "DER"},
        {{.not_ca = true}, true, "CA:TRUE"},
        {{.starts_in_days = -3, .ends_in_days = -2}, true, "expired"},
        {{.starts_in_days = 2}, true, "not yet valid"},
        {{.private_key = true}, true, "private key"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(trial_release) struct trial trial = trial_make("exit 0");
        CLEANUP(io_free) char *cert = io_format("%s/ca.pem", trial.folder);
        certs_write(cert, &rows[i].file, NULL);
        check_refused(&trial, rows[i].text, "--machine m --cert ca.pem", rows[i].text);
        static const char upstream[] = "--machine m --cert ca.pem --policy upstream";
        if (!rows[i].upstream_takes_it) {
            check_refused(&trial, rows[i].text, upstream, rows[i].text);
            continue;
        }
        CLEANUP(run_release) struct run run = provision(&trial, upstream);
        check_success(&run);
    }
}

static void help_goes_to_stdout(void **state)
{
    (void)state;
    CLEANUP(trial_release) struct trial trial = trial_make("exit 0");
    CLEANUP(run_release) struct run run = provision(&trial, "--help");
    check_success(&run);
    check_text("stderr", run.err, "");
    assert_non_null(strstr(run.out, "--settle=SECONDS"));
}

static void failures_are_one_line_with_both_streams(void **state)
{
    (void)state;
    static const struct {
        const char *body, *line;
    } rows[] = {
        {"echo ' a \"b\"'; echo c; printf 'd\\te\\033' >&2; exit 4",
         "cp failed: exit status 4; stdout \"a \\\"b\\\"\\nc\"; stderr \"d\\te\\x1b\""},
        {"[ $what = cp ] || { echo o; trap - EXIT; kill -KILL $$; }",
         "exec failed: driver killed by signal 9 (SIGKILL); stdout \"o\"; stderr \"\""},
        {"[ $what = cp ] || { echo o$n; echo e$n >&2; exit 137; }",
         "second exec failed: exit status 137; stdout \"o2\"; stderr \"e2\"; the first exec: "
         "exit status 137; stdout \"o1\"; stderr \"e1\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(trial_release) struct trial trial = trial_make(rows[i].body);
        CLEANUP(run_release)
        struct run run =
            provision(&trial, "--machine m --cert ca.pem --policy upstream --settle 0.0");
        check_clean_failure(&run, 1);
        CLEANUP(io_free) char *line = io_format("provision-ca: %s\n", rows[i].line);
        check_text(rows[i].body, run.err, line);
        check_text(rows[i].body, run.out, "");
    }
}

static void missing_driver_is_status_1_and_named(void **state)
{
    (void)state;
    CLEANUP(trial_release) struct trial trial = trial_make("exit 0");
    CLEANUP(run_release)
    struct run run = run_sh("cd %s && PATH=/nonexistent SMOLVM= %s --machine m --cert ca.pem",
                            trial.folder, trial.program);
    check_clean_failure(&run, 1);
    check_text("stderr", run.err,
               "provision-ca: cp failed: cannot start smolvm: No such file or directory\n");
}

static void smolvm_variable_names_the_driver(void **state)
{
    (void)state;
    CLEANUP(trial_release) struct trial trial = trial_make("exit 0");
    CLEANUP(run_release)
    struct run run = run_sh("cd %s && SMOLVM=%s/bin/smolvm %s --machine m --cert ca.pem",
                            trial.folder, trial.folder, trial.program);
    check_success(&run);
    CLEANUP(io_free) char *calls = trial_file(&trial, "calls");
    assert_non_null(strstr(calls, "call\n machine\n exec\n"));
}

static void ten_mebibytes_on_both_streams_end_in_one_line(void **state)
{
    (void)state;
    CLEANUP(trial_release)
    struct trial trial = trial_make("[ $what = cp ] && exit 0\n"
                                    "echo HEAD; echo head >&2\n"
                                    "{ head -c 10485760 /dev/zero | tr '\\0' e; } >&2 &\n"
                                    "head -c 10485760 /dev/zero | tr '\\0' o; wait\n"
                                    "echo TAIL; echo tail >&2; exit 1");
    CLEANUP(run_release)
    struct run run = run_sh("cd %s && PATH=%s/bin:$PATH %s --machine m --cert ca.pem 2>line; "
                            "s=$?; tr -s oe <line; exit $s",
                            trial.folder, trial.folder, trial.program);
    check_clean_failure(&run, 1);
    check_text("squeezed", run.out,
               "provision-ca: exec failed: exit status 1; stdout "
               "\"HEAD\\no[10354698 bytes left out]oTAIL\"; stderr "
               "\"head\\ne[10354698 bytes left out]etail\"\n");
}

/* The time between the end of the first exec and the start of the second, in ms. */
static long long gap_ms(const struct trial *trial)
{
    CLEANUP(io_free) char *times = trial_file(trial, "times");
    long long at[6]; /* cp, exec, exec: start and end of each, in ns */
    assert_int_equal(sscanf(times, "%lld %lld %lld %lld %lld %lld", &at[0], &at[1], &at[2], &at[3],
                            &at[4], &at[5]),
                     6);
    return (at[4] - at[3]) / 1000000;
}

static void second_exec_waits_for_the_settle_time(void **state)
{
    (void)state;
    static const struct {
        const char *args;
        long long min_ms, max_ms;
    } rows[] = {
        {"", 1000, 5000},
        {"--settle 0.3", 300, 3000},
        {"--settle 1.25", 1250, 5000},
        {"--settle 0", 0, 950},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(trial_release)
        struct trial trial = trial_make("[ $what = cp ] || [ $n = 2 ] || exit 137");
        CLEANUP(io_free)
        char *args = io_format("--machine m --cert ca.pem --policy upstream %s", rows[i].args);
        CLEANUP(run_release) struct run run = provision(&trial, args);
        check_success(&run);
        long long gap = gap_ms(&trial);
        if (gap < rows[i].min_ms || gap > rows[i].max_ms)
            fail_msg("'%s': a gap of %lld ms", rows[i].args, gap);
    }
}

static void closed_standard_streams_do_no_harm(void **state)
{
    (void)state;
    static const char *const closed[] = {"<&-", ">&-", "<&- >&-", "2>&-", "<&- >&- 2>&-"};
    for (size_t i = 0; i < sizeof closed / sizeof *closed; i++) {
        CLEANUP(trial_release)
        struct trial trial =
            trial_make("echo out; echo err >&2; cat; readlink /proc/$$/fd/0 >stdin");
        CLEANUP(io_free) char *args = io_format("--machine m --cert ca.pem %s", closed[i]);
        CLEANUP(run_release) struct run run = provision(&trial, args);
        check_success(&run);
        CLEANUP(io_free) char *calls = trial_file(&trial, "stdin");
        check_text(closed[i], calls, "/dev/null\n");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(driver_sees_exactly_these_arguments),
        cmocka_unit_test(hardened_makes_the_same_calls_twice_alike),
        cmocka_unit_test(success_is_one_line_with_label_and_fingerprint),
        cmocka_unit_test(plan_with_routes_sends_the_egress_ca_from_the_plans_folder),
        cmocka_unit_test(wrong_usage_is_one_line_and_status_2_before_any_call),
        cmocka_unit_test(bad_certificates_are_refused_before_any_call),
        cmocka_unit_test(help_goes_to_stdout),
        cmocka_unit_test(failures_are_one_line_with_both_streams),
        cmocka_unit_test(missing_driver_is_status_1_and_named),
        cmocka_unit_test(smolvm_variable_names_the_driver),
        cmocka_unit_test(ten_mebibytes_on_both_streams_end_in_one_line),
        cmocka_unit_test(second_exec_waits_for_the_settle_time),
        cmocka_unit_test(closed_standard_streams_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
