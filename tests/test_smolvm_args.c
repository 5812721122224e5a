#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../fakes/smolvm_args.h"
#include "../fakes/smolvm_text.h"
#include "../fakes/smolvm_values.h"

#define V0_8_0 SMOLVM_VERSION(0, 8, 0)
#define V1_0_2 SMOLVM_VERSION(1, 0, 2)

/* Splits text at blanks, into static storage. */
static const char *const *words(const char *text)
{
    static char copy[1024];
    static const char *argv[64];
    size_t count = 0;
    snprintf(copy, sizeof copy, "smolvm %s", text);
    for (char *at = copy; *at;) {
        argv[count++] = at;
        at += strcspn(at, " ");
        if (*at)
            *at++ = '\0';
    }
    argv[count] = NULL;
    return argv;
}

/* Parses what must parse. */
static struct smolvm_args parse(int version, const char *text)
{
    struct smolvm_args args = {0};
    struct buf said = BUF_INIT;
    if (smolvm_args_parse(version, words(text), &args, &said) != 0)
        fail_msg("`%s` was refused:\n%s", text, buf_str(&said));
    buf_release(&said);
    return args;
}

/* --- refused ------------------------------------------------------------------------- */

#define END "\nFor more information, try '--help'.\n"
#define EXEC_USAGE "\n\nUsage: smolvm machine exec [OPTIONS] <COMMAND>...\n" END
#define CREATE_USAGE "\n\nUsage: smolvm machine create [OPTIONS] [NAME]\n" END

static const struct {
    const char *name;
    int version;
    const char *argv;
    const char *text;
} refused_rows[] = {
    {"verb that is none", V0_8_0, "machine frobnicate",
     "error: unrecognized subcommand 'frobnicate'\n\nUsage: smolvm machine <COMMAND>\n" END},
    {"top verb that is none", V0_8_0, "frobnicate",
     "error: unrecognized subcommand 'frobnicate'\n\nUsage: smolvm <COMMAND>\n" END},
    {"sandbox is gone since 0.2.0", V0_8_0, "sandbox exec",
     "error: unrecognized subcommand 'sandbox'\n\nUsage: smolvm <COMMAND>\n" END},
    {"flag before the verb", V0_8_0, "machine --foo",
     "error: unexpected argument '--foo' found\n\nUsage: smolvm machine <COMMAND>\n" END},
    {"top flag", V0_8_0, "--foo",
     "error: unexpected argument '--foo' found\n\nUsage: smolvm <COMMAND>\n" END},
    {"unknown flag where a positional could be", V0_8_0, "machine exec --foo",
     "error: unexpected argument '--foo' found\n\n  tip: to pass '--foo' as a value, use '-- "
     "--foo'" EXEC_USAGE},
    {"value of an unknown flag is not shown", V0_8_0, "machine stop --foo=1",
     "error: unexpected argument '--foo' found\n\nUsage: smolvm machine stop [OPTIONS]\n" END},
    {"unknown letter", V0_8_0, "machine ls -q",
     "error: unexpected argument '-q' found\n\nUsage: smolvm machine ls [OPTIONS]\n" END},
    {"unknown letter in a row", V0_8_0, "machine exec -iq x",
     "error: unexpected argument '-q' found\n\n  tip: to pass '-q' as a value, use '-- "
     "-q'" EXEC_USAGE},
    {"exec has no -n", V0_8_0, "machine exec -n m true",
     "error: unexpected argument '-n' found\n\n  tip: to pass '-n' as a value, use '-- "
     "-n'" EXEC_USAGE},
    {"exec without command", V0_8_0, "machine exec --name m",
     "error: the following required arguments were not provided:\n  <COMMAND>..." EXEC_USAGE},
    {"exec without command behind --", V0_8_0, "machine exec --name m --",
     "error: the following required arguments were not provided:\n  <COMMAND>..." EXEC_USAGE},
    {"no value at the end", V0_8_0, "machine exec --name",
     "error: a value is required for '--name <NAME>' but none was supplied\n" END},
    {"flag in place of a value", V0_8_0, "machine exec --name --stream x",
     "error: a value is required for '--name <NAME>' but none was supplied\n" END},
    {"value of a switch", V0_8_0, "machine exec --stream=yes x",
     "error: unexpected value 'yes' for '--stream' found; no more were expected" EXEC_USAGE},
    {"flag twice", V0_8_0, "machine exec --name a --name b x",
     "error: the argument '--name <NAME>' cannot be used multiple times" EXEC_USAGE},
    {"switch twice", V0_8_0, "machine exec -ii x",
     "error: the argument '--interactive' cannot be used multiple times" EXEC_USAGE},
    {"timeout without unit", V0_8_0, "machine exec --timeout 1 x",
     "error: invalid value '1' for '--timeout <DURATION>': time unit needed, for example 1sec or "
     "1ms\n" END},
    {"timeout of nothing", V0_8_0, "machine exec --timeout 0s x",
     "error: invalid value '0s' for '--timeout <DURATION>': duration must be greater than "
     "zero\n" END},
    {"cpus that are no number", V0_8_0, "machine create --cpus x",
     "error: invalid value 'x' for '--cpus <N>': invalid digit found in string\n" END},
    {"too many cpus", V0_8_0, "machine create --cpus 256",
     "error: invalid value '256' for '--cpus <N>': it is not in 1..=255\n" END},
    {"negative memory", V0_8_0, "machine create --mem=-1",
     "error: invalid value '-1' for '--mem <MiB>': invalid digit found in string\n" END},
    {"memory past 32 bits", V0_8_0, "machine create --mem 4294967296",
     "error: invalid value '4294967296' for '--mem <MiB>': number too large to fit in target "
     "type\n" END},
    {"storage of nothing", V0_8_0, "machine create --storage=",
     "error: invalid value '' for '--storage <GiB>': cannot parse integer from empty "
     "string\n" END},
    {"port without guest", V0_8_0, "machine create -p 80",
     "error: invalid value '80' for '--port <HOST:GUEST>': expected HOST:GUEST\n" END},
    {"second positional", V0_8_0, "machine create a b",
     "error: unexpected argument 'b' found" CREATE_USAGE},
    {"from and image", V0_8_0, "machine create a --image x --from y",
     "error: the argument '--from <PATH>' cannot be used with '--image <IMAGE>'" CREATE_USAGE},
    {"machine name without its flag", V0_8_0, "machine start m",
     "error: unexpected argument 'm' found\n\nUsage: smolvm machine start [OPTIONS]\n" END},
    {"delete without name", V0_8_0, "machine delete -f",
     "error: the following required arguments were not provided:\n  <NAME>\n\nUsage: smolvm "
     "machine delete [OPTIONS] <NAME>\n" END},
    {"cp without destination", V0_8_0, "machine cp a",
     "error: the following required arguments were not provided:\n  <DST>\n\nUsage: smolvm "
     "machine cp <SRC> <DST>\n" END},
    {"cp without anything", V0_8_0, "machine cp",
     "error: the following required arguments were not provided:\n  <SRC>\n  <DST>\n\nUsage: "
     "smolvm machine cp <SRC> <DST>\n" END},
    {"cp of three", V0_8_0, "machine cp a b c",
     "error: unexpected argument 'c' found\n\nUsage: smolvm machine cp <SRC> <DST>\n" END},
    {"named create is 1.0.2", V0_8_0, "machine create --name a",
     "error: unexpected argument '--name' found\n\n  tip: to pass '--name' as a value, use '-- "
     "--name'" CREATE_USAGE},
    {"bare create is gone in 1.0.2", V1_0_2, "machine create a",
     "error: unexpected argument 'a' found\n\nUsage: smolvm machine create [OPTIONS] [-- "
     "<COMMAND>...]\n" END},
    {"bare delete is gone in 1.0.2", V1_0_2, "machine delete a",
     "error: unexpected argument 'a' found\n\nUsage: smolvm machine delete [OPTIONS] --name "
     "<NAME>\n" END},
    {"delete without name in 1.0.2", V1_0_2, "machine delete",
     "error: the following required arguments were not provided:\n  --name <NAME>\n\nUsage: "
     "smolvm machine delete [OPTIONS] --name <NAME>\n" END},
    {"secrets are 1.0.0", V0_8_0, "machine exec --secret-env A=B x",
     "error: unexpected argument '--secret-env' found\n\n  tip: to pass '--secret-env' as a value, "
     "use '-- --secret-env'" EXEC_USAGE},
    {"secrets are not in the fake", V1_0_2, "machine exec --secret-env A=B x",
     "error: this fake smolvm does not have 'machine exec --secret-env'\n"},
    {"command of a machine", V1_0_2, "machine create --name a -- sh",
     "error: this fake smolvm does not have a command in 'machine create'\n"},
    {"serve", V0_8_0, "serve start", "error: this fake smolvm does not have 'serve'\n"},
    {"pack", V0_8_0, "pack", "error: this fake smolvm does not have 'pack'\n"},
    {"config", V0_8_0, "config", "error: this fake smolvm does not have 'config'\n"},
    {"run", V0_8_0, "machine run -- x", "error: this fake smolvm does not have 'machine run'\n"},
    {"fork", V0_8_0, "vm fork", "error: this fake smolvm does not have 'machine fork'\n"},
    {"data-dir", V0_8_0, "vm data-dir a",
     "error: this fake smolvm does not have 'machine data-dir'\n"},
    {"volume", V0_8_0, "machine create a -v /x:/y",
     "error: this fake smolvm does not have 'machine create --volume'\n"},
    {"pack image", V0_8_0, "machine create a --from x",
     "error: this fake smolvm does not have 'machine create --from'\n"},
    {"wrong usage comes before a gap of the fake", V0_8_0, "machine create a --init x --foo",
     "error: unexpected argument '--foo' found\n\n  tip: to pass '--foo' as a value, use '-- "
     "--foo'" CREATE_USAGE},
};

static void wrong_usage_is_refused_as_clap_does(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused_rows / sizeof *refused_rows; i++) {
        struct smolvm_args args = {.verb = SMOLVM_NONE};
        struct buf text = BUF_INIT;
        int ret =
            smolvm_args_parse(refused_rows[i].version, words(refused_rows[i].argv), &args, &text);
        if (ret != -EINVAL || strcmp(buf_str(&text), refused_rows[i].text) != 0)
            fail_msg("%s: returned %d, said\n%s--- expected\n%s", refused_rows[i].name, ret,
                     buf_str(&text), refused_rows[i].text);
        assert_int_equal(args.verb, SMOLVM_NONE);
        buf_release(&text);
    }
}

/* --- printed ------------------------------------------------------------------------- */

static const struct {
    const char *name;
    const char *argv;
    int ret;
    const char *part;
} printed_rows[] = {
    {"version", "--version", 1, "smolvm 0.8.0\n"},
    {"short version", "-V", 1, "smolvm 0.8.0\n"},
    {"help", "--help", 1, "Usage: smolvm <COMMAND>\n"},
    {"help as a verb", "help", 1, "Usage: smolvm <COMMAND>\n"},
    {"nothing at all", "", -EINVAL, "Usage: smolvm <COMMAND>\n"},
    {"machine help", "machine --help", 1, "  shell   Open a shell in a machine [aliases: sh]\n"},
    {"help machine", "help machine", 1, "Usage: smolvm machine <COMMAND>\n"},
    {"help of a verb, from the top", "help machine exec", 1, "      --timeout <DURATION>\n"},
    {"help of a verb, from the middle", "machine help cp", 1, "Usage: smolvm machine cp <SRC>"},
    {"help of an alias", "machine rm -h", 1, "Usage: smolvm machine delete [OPTIONS] <NAME>\n"},
    {"help behind other flags", "machine exec --name a -ih", 1, "  -e, --env <KEY=VALUE>...\n"},
    {"help of a verb that is none", "machine help foo", -EINVAL, "unrecognized subcommand 'foo'"},
    {"machine alone", "machine", -EINVAL, "Usage: smolvm machine <COMMAND>\n"},
};

static void help_and_version_are_printed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof printed_rows / sizeof *printed_rows; i++) {
        struct smolvm_args args = {.verb = SMOLVM_NONE};
        struct buf text = BUF_INIT;
        int ret = smolvm_args_parse(V0_8_0, words(printed_rows[i].argv), &args, &text);
        if (ret != printed_rows[i].ret || !strstr(buf_str(&text), printed_rows[i].part))
            fail_msg("%s: returned %d, said\n%s", printed_rows[i].name, ret, buf_str(&text));
        buf_release(&text);
    }
}

/* --- read ------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    int version;
    const char *argv;
    enum smolvm_verb verb;
    const char *machine;
} verb_rows[] = {
    {"create", V0_8_0, "machine create a", SMOLVM_CREATE, "a"},
    {"create without name", V0_8_0, "machine create", SMOLVM_CREATE, NULL},
    {"create behind --", V0_8_0, "machine create -- -a", SMOLVM_CREATE, "-a"},
    {"create 1.0.2", V1_0_2, "machine create --name a", SMOLVM_CREATE, "a"},
    {"start", V0_8_0, "vm start --name=a", SMOLVM_START, "a"},
    {"start by letter", V0_8_0, "machine start -n a", SMOLVM_START, "a"},
    {"letter and value in one", V0_8_0, "machine stop -na", SMOLVM_STOP, "a"},
    {"letter, equals, value", V0_8_0, "machine stop -n=a", SMOLVM_STOP, "a"},
    {"value that is a dash", V0_8_0, "machine stop -n -", SMOLVM_STOP, "-"},
    {"delete", V0_8_0, "machine delete -f a", SMOLVM_DELETE, "a"},
    {"flag behind the positional", V0_8_0, "machine rm a --force", SMOLVM_DELETE, "a"},
    {"delete 1.0.2", V1_0_2, "machine delete -f -na", SMOLVM_DELETE, "a"},
    {"status", V0_8_0, "machine status", SMOLVM_STATUS, NULL},
    {"ls", V0_8_0, "machine ls", SMOLVM_LS, NULL},
    {"list", V0_8_0, "machine list --json", SMOLVM_LS, NULL},
    {"shell", V0_8_0, "machine sh -n a", SMOLVM_SHELL, "a"},
    {"exec", V0_8_0, "machine exec --name a x", SMOLVM_EXEC, "a"},
    {"exec takes no positional machine", V0_8_0, "machine exec a x", SMOLVM_EXEC, NULL},
};

static void verbs_and_their_machine_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof verb_rows / sizeof *verb_rows; i++) {
        struct smolvm_args args = parse(verb_rows[i].version, verb_rows[i].argv);
        const char *expected = verb_rows[i].machine;
        if (args.verb != verb_rows[i].verb || !args.name != !expected ||
            (expected && strcmp(args.name, expected) != 0))
            fail_msg("%s: verb %d, machine %s", verb_rows[i].name, (int)args.verb, args.name);
        smolvm_args_release(&args);
    }
}

static const struct {
    const char *name;
    const char *argv;
    const char *command; /* joined by blanks */
} command_rows[] = {
    {"plain", "machine exec ls", "ls"},
    {"behind --", "machine exec -- ls -l", "ls -l"},
    {"flags belong to the command", "machine exec ls --name x -i", "ls --name x -i"},
    {"-- belongs to the command", "machine exec sh -- -c", "sh -- -c"},
    {"only the first -- ends the flags", "machine exec -- -- x", "-- x"},
    {"help behind the command", "machine exec ls --help", "ls --help"},
    {"a dash is a command", "machine exec - x", "- x"},
    {"flags before", "machine exec -e A=1 -w /x --stream cat f", "cat f"},
};

static void command_takes_everything_behind_its_first_word(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof command_rows / sizeof *command_rows; i++) {
        struct smolvm_args args = parse(V0_8_0, command_rows[i].argv);
        struct buf joined = BUF_INIT;
        for (size_t j = 0; args.command[j]; j++)
            buf_printf(&joined, "%s%s", j ? " " : "", args.command[j]);
        if (strcmp(buf_str(&joined), command_rows[i].command) != 0)
            fail_msg("%s: '%s'", command_rows[i].name, buf_str(&joined));
        buf_release(&joined);
        smolvm_args_release(&args);
    }
}

static void exec_reads_all_its_flags(void **state)
{
    (void)state;
    struct smolvm_args args = parse(
        V0_8_0, "machine exec -it -eA=1 --env B -e =C --workdir /x --timeout 2s --stream -- c");
    assert_true(args.interactive && args.tty && args.stream);
    assert_string_equal(args.workdir, "/x");
    assert_int_equal(args.timeout_ms, 2000);
    assert_string_equal(args.env[0], "A=1");
    assert_string_equal(args.env[1], "B");
    assert_string_equal(args.env[2], "=C");
    assert_null(args.env[3]);
    smolvm_args_release(&args);
}

static void create_reads_all_its_flags_and_has_defaults(void **state)
{
    (void)state;
    struct smolvm_args args = parse(V0_8_0, "machine create a");
    assert_int_equal(args.cpus, 4);
    assert_int_equal(args.memory_mib, 8192);
    assert_int_equal(args.storage_gib, 20);
    assert_int_equal(args.overlay_gib, 10);
    assert_false(args.network || args.localhost_only);
    smolvm_args_release(&args);
    args = parse(V0_8_0, "machine create a -I bookworm --cpus 2 --mem 512 --storage 5 --overlay 6 "
                         "-p 1:2 -p 3:4 --net --net-backend tsi --allow-cidr 10.0.0.0/8 "
                         "--allow-host h --outbound-localhost-only -e A=1 -w /w");
    assert_string_equal(args.image, "bookworm");
    assert_int_equal(args.cpus, 2);
    assert_int_equal(args.memory_mib, 512);
    assert_int_equal(args.storage_gib, 5);
    assert_int_equal(args.overlay_gib, 6);
    assert_int_equal(args.ports, 2);
    assert_int_equal(args.egress_rules, 2);
    assert_true(args.network && args.localhost_only);
    assert_string_equal(args.workdir, "/w");
    smolvm_args_release(&args);
}

static void copy_reads_its_two_paths(void **state)
{
    (void)state;
    struct smolvm_args args = parse(V0_8_0, "machine cp -- -a m:/b");
    assert_string_equal(args.src, "-a");
    assert_string_equal(args.dst, "m:/b");
    smolvm_args_release(&args);
}

/* --- values -------------------------------------------------------------------------- */

static const struct {
    const char *text;
    int ret;
    int64_t ms;
} duration_rows[] = {
    {"500ms", 0, 500},
    {"2s", 0, 2000},
    {"1m 30s", 0, 90000},
    {"1m30s", 0, 90000},
    {"1 minute 2 seconds", 0, 62000},
    {"2h", 0, 7200000},
    {"1day", 0, 86400000},
    {"1us", 0, 1},
    {"1500us", 0, 2},
    {"0s", 0, 0},
    {" 1s ", 0, 1000},
    {"", -EINVAL, 0},
    {" ", -EINVAL, 0},
    {"1", -EINVAL, 0},
    {"1s2", -EINVAL, 0},
    {"s", -EINVAL, 0},
    {"-1s", -EINVAL, 0},
    {"1.5s", -EINVAL, 0},
    {"1 fortnight", -EINVAL, 0},
    {"1S", -EINVAL, 0},
    {"999999999999w", -EINVAL, 0},
    {"9999999999999s", -EINVAL, 0},
};

static void durations_are_read_as_humantime_does(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof duration_rows / sizeof *duration_rows; i++) {
        int64_t ms = -1;
        struct err err = {""};
        int ret = smolvm_duration_parse(duration_rows[i].text, &ms, &err);
        if (ret != duration_rows[i].ret || (ret == 0 ? ms != duration_rows[i].ms : ms != -1) ||
            (ret < 0 && !err.msg[0]))
            fail_msg("'%s': returned %d, %lld ms, '%s'", duration_rows[i].text, ret, (long long)ms,
                     err.msg);
    }
}

static void numbers_are_read_to_their_limit(void **state)
{
    (void)state;
    int64_t number = -1;
    assert_null(smolvm_number_parse("255", 255, &number));
    assert_int_equal(number, 255);
    assert_null(smolvm_number_parse("+07", 255, &number));
    assert_int_equal(number, 7);
    assert_non_null(smolvm_number_parse("256", 255, &number));
    assert_non_null(smolvm_number_parse("99999999999999999999", INT64_MAX, &number));
    assert_non_null(smolvm_number_parse("+", 255, &number));
    assert_non_null(smolvm_number_parse("0x1", 255, &number));
    assert_int_equal(number, 7);
}

static void ports_are_two_numbers(void **state)
{
    (void)state;
    assert_null(smolvm_port_check("1:65535"));
    static const char *const wrong[] = {"1", "1:", ":1", "0:1", "1:0", "1:65536", "1:2:3", "a:b"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (!smolvm_port_check(wrong[i]))
            fail_msg("'%s' passed", wrong[i]);
}

/* --- texts --------------------------------------------------------------------------- */

static const struct {
    double bytes;
    const char *text;
} size_rows[] = {
    {0, "0 B"},       {1, "1 B"},          {1023, "1023 B"},       {1024, "1.0 KB"},
    {1234, "1.2 KB"}, {1048576, "1.0 MB"}, {1073741824, "1.0 GB"}, {5e12, "4656.6 GB"},
};

static void sizes_are_shown_by_1024(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof size_rows / sizeof *size_rows; i++) {
        struct buf text = BUF_INIT;
        smolvm_text_size(&text, size_rows[i].bytes);
        assert_string_equal(buf_str(&text), size_rows[i].text);
        buf_release(&text);
    }
}

static const struct {
    const char *name;
    int version;
    uint64_t size_bytes;
    bool total_known;
    const char *text;
} copied_rows[] = {
    {"0.8.0 shows it twice", V0_8_0, 1234, true,
     "\rUp: 1.2 KB / 1.2 KB (100.0%, 12.1 KB/s)\rUp: 1.2 KB / 1.2 KB (100.0%, 12.1 KB/s)\n"},
    {"once since 0.8.1", SMOLVM_VERSION(0, 8, 1), 1234, true,
     "Up: 1.2 KB / 1.2 KB (100.0%, 12.1 KB/s)\n"},
    {"nothing to copy", V1_0_2, 0, true, "Up: 0 B (0 B/s)\n"},
    {"download", V1_0_2, 1234, false, "Up: 1.2 KB (12.1 KB/s)\n"},
};

static void copy_is_summed_up_in_one_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof copied_rows / sizeof *copied_rows; i++) {
        struct buf text = BUF_INIT;
        smolvm_text_copied(&text, copied_rows[i].version, "Up", copied_rows[i].size_bytes,
                           copied_rows[i].total_known, 100);
        if (strcmp(buf_str(&text), copied_rows[i].text) != 0)
            fail_msg("%s: '%s'", copied_rows[i].name, buf_str(&text));
        buf_release(&text);
    }
}

static void only_known_versions_are_taken(void **state)
{
    (void)state;
    int version = -1;
    assert_int_equal(smolvm_version_parse("1.0.2", &version, NULL), 0);
    assert_int_equal(version, V1_0_2);
    assert_int_equal(smolvm_version_parse(SMOLVM_VERSION_DEFAULT, &version, NULL), 0);
    assert_int_equal(version, V0_8_0);
    static const char *const wrong[] = {"", "1", "1.0.2 ", "v0.8.0", "0.7.2", "1.9.3"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct err err = {""};
        assert_int_equal(smolvm_version_parse(wrong[i], &version, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "0.8.0"));
    }
    assert_int_equal(version, V0_8_0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_usage_is_refused_as_clap_does),
        cmocka_unit_test(help_and_version_are_printed),
        cmocka_unit_test(verbs_and_their_machine_are_read),
        cmocka_unit_test(command_takes_everything_behind_its_first_word),
        cmocka_unit_test(exec_reads_all_its_flags),
        cmocka_unit_test(create_reads_all_its_flags_and_has_defaults),
        cmocka_unit_test(copy_reads_its_two_paths),
        cmocka_unit_test(durations_are_read_as_humantime_does),
        cmocka_unit_test(numbers_are_read_to_their_limit),
        cmocka_unit_test(ports_are_two_numbers),
        cmocka_unit_test(sizes_are_shown_by_1024),
        cmocka_unit_test(copy_is_summed_up_in_one_line),
        cmocka_unit_test(only_known_versions_are_taken),
    };
    return cmocka_run_group_tests_name("smolvm_args", tests, NULL, NULL);
}
