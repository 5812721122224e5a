#include "smolvm_args.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "smolvm_text.h"
#include "smolvm_values.h"

#define V1_0_0 SMOLVM_VERSION(1, 0, 0)
#define V1_0_2 SMOLVM_VERSION(1, 0, 2)

/* --- the tables ---------------------------------------------------------------- */

#define ON(verb) (1u << SMOLVM_##verb)
#define ON_NAMED (ON(START) | ON(STOP) | ON(STATUS) | ON(SHELL))
#define FIELD(member) offsetof(struct smolvm_args, member)

enum kind {
    KIND_SWITCH,
    KIND_TEXT,
    KIND_ENV,
    KIND_NUMBER,
    KIND_CPUS,
    KIND_DURATION,
    KIND_PORT,
    KIND_COUNTED,
    KIND_IGNORED,
    KIND_UNFAKED
};

struct flag {
    unsigned verbs;
    char letter;       /* 0: none */
    const char *word;  /* without its dashes */
    const char *value; /* the value's name; NULL: takes none */
    enum kind kind;
    bool many; /* may be given more than once */
    int since; /* first version that has it */
    size_t field;
};

static const struct flag flags[] = {
    {ON_NAMED, 'n', "name", "NAME", KIND_TEXT, false, 0, FIELD(name)},
    {ON(EXEC), 0, "name", "NAME", KIND_TEXT, false, 0, FIELD(name)},
    {ON(CREATE) | ON(DELETE), 'n', "name", "NAME", KIND_TEXT, false, V1_0_2, FIELD(name)},
    {ON(DELETE), 'f', "force", NULL, KIND_SWITCH, false, 0, FIELD(force)},
    {ON(LS) | ON(STATUS), 0, "json", NULL, KIND_SWITCH, false, 0, FIELD(json)},
    {ON(LS), 'v', "verbose", NULL, KIND_SWITCH, false, 0, FIELD(verbose)},
    {ON(EXEC) | ON(CREATE), 'w', "workdir", "DIR", KIND_TEXT, false, 0, FIELD(workdir)},
    {ON(EXEC) | ON(CREATE), 'e', "env", "KEY=VALUE", KIND_ENV, true, 0, FIELD(env)},
    {ON(EXEC), 0, "timeout", "DURATION", KIND_DURATION, false, 0, FIELD(timeout_ms)},
    {ON(EXEC), 'i', "interactive", NULL, KIND_SWITCH, false, 0, FIELD(interactive)},
    {ON(EXEC), 't', "tty", NULL, KIND_SWITCH, false, 0, FIELD(tty)},
    {ON(EXEC), 0, "stream", NULL, KIND_SWITCH, false, 0, FIELD(stream)},
    {ON(EXEC) | ON(CREATE), 0, "secret-env", "GUEST_VAR=HOST_VAR", KIND_UNFAKED, true, V1_0_0, 0},
    {ON(EXEC) | ON(CREATE), 0, "secret-file", "GUEST_VAR=PATH", KIND_UNFAKED, true, V1_0_0, 0},
    {ON(CREATE), 'I', "image", "IMAGE", KIND_TEXT, false, 0, FIELD(image)},
    {ON(CREATE), 0, "cpus", "N", KIND_CPUS, false, 0, FIELD(cpus)},
    {ON(CREATE), 0, "mem", "MiB", KIND_NUMBER, false, 0, FIELD(memory_mib)},
    {ON(CREATE), 0, "storage", "GiB", KIND_NUMBER, false, 0, FIELD(storage_gib)},
    {ON(CREATE), 0, "overlay", "GiB", KIND_NUMBER, false, 0, FIELD(overlay_gib)},
    {ON(CREATE), 'v', "volume", "HOST:GUEST[:ro]", KIND_UNFAKED, true, 0, 0},
    {ON(CREATE), 'p', "port", "HOST:GUEST", KIND_PORT, true, 0, FIELD(ports)},
    {ON(CREATE), 0, "net", NULL, KIND_SWITCH, false, 0, FIELD(network)},
    {ON(CREATE), 0, "net-backend", "BACKEND", KIND_IGNORED, false, 0, 0},
    {ON(CREATE), 0, "allow-cidr", "CIDR", KIND_COUNTED, true, 0, FIELD(egress_rules)},
    {ON(CREATE), 0, "allow-host", "HOSTNAME", KIND_COUNTED, true, 0, FIELD(egress_rules)},
    {ON(CREATE), 0, "outbound-localhost-only", NULL, KIND_SWITCH, false, 0, FIELD(localhost_only)},
    {ON(CREATE), 0, "gpu", NULL, KIND_UNFAKED, false, 0, 0},
    {ON(CREATE), 0, "gpu-vram", "MiB", KIND_UNFAKED, false, 0, 0},
    {ON(CREATE), 0, "init", "COMMAND", KIND_UNFAKED, true, 0, 0},
    {ON(CREATE), 0, "ssh-agent", NULL, KIND_UNFAKED, false, 0, 0},
    {ON(CREATE), 's', "smolfile", "PATH", KIND_UNFAKED, false, 0, 0},
    {ON(CREATE), 0, "from", "PATH", KIND_UNFAKED, false, 0, 0},
};
#define FLAG_COUNT (sizeof flags / sizeof *flags)

struct verb {
    enum smolvm_verb verb; /* SMOLVM_NONE: the real CLI has it, the fake does not */
    const char *word, *alias, *about;
    const char *tail; /* its usage behind the verb */
    unsigned names;   /* positionals it takes, all but create's required */
    const char *const name[2];
};

static const struct verb verbs[] = {
    {SMOLVM_EXEC,
     "exec",
     NULL,
     "Run a command in a running machine",
     "[OPTIONS] <COMMAND>...",
     1,
     {"<COMMAND>..."}},
    {SMOLVM_CREATE, "create", NULL, "Create a machine", "[OPTIONS] [NAME]", 1, {"[NAME]"}},
    {SMOLVM_START, "start", NULL, "Start a machine", "[OPTIONS]", 0, {0}},
    {SMOLVM_STOP, "stop", NULL, "Stop a running machine", "[OPTIONS]", 0, {0}},
    {SMOLVM_DELETE, "delete", "rm", "Delete a machine", "[OPTIONS] <NAME>", 1, {"<NAME>"}},
    {SMOLVM_STATUS, "status", NULL, "Show the state of a machine", "[OPTIONS]", 0, {0}},
    {SMOLVM_LS, "ls", "list", "List all machines", "[OPTIONS]", 0, {0}},
    {SMOLVM_SHELL, "shell", "sh", "Open a shell in a machine", "[OPTIONS]", 0, {0}},
    {SMOLVM_CP,
     "cp",
     NULL,
     "Copy a file between host and machine",
     "<SRC> <DST>",
     2,
     {"<SRC>", "<DST>"}},
    {SMOLVM_NONE, "run", NULL, NULL, NULL, 0, {0}},
    {SMOLVM_NONE, "monitor", NULL, NULL, NULL, 0, {0}},
    {SMOLVM_NONE, "resize", NULL, NULL, NULL, 0, {0}},
    {SMOLVM_NONE, "update", NULL, NULL, NULL, 0, {0}},
    {SMOLVM_NONE, "data-dir", NULL, NULL, NULL, 0, {0}},
    {SMOLVM_NONE, "images", NULL, NULL, NULL, 0, {0}},
    {SMOLVM_NONE, "prune", NULL, NULL, NULL, 0, {0}},
    {SMOLVM_NONE, "fork", NULL, NULL, NULL, 0, {0}},
};
#define VERB_COUNT (sizeof verbs / sizeof *verbs)

/* From 1.0.2 on a machine is named by a flag, and create's own command stands behind `--`. */
static const struct verb verbs_1_0_2[] = {
    {SMOLVM_CREATE, "create", NULL, "Create a machine", "[OPTIONS] [-- <COMMAND>...]", 0, {0}},
    {SMOLVM_DELETE, "delete", "rm", "Delete a machine", "[OPTIONS] --name <NAME>", 0, {0}},
};

const char *smolvm_verb_word(enum smolvm_verb verb)
{
    for (size_t i = 0; verb != SMOLVM_NONE && i < VERB_COUNT; i++)
        if (verbs[i].verb == verb)
            return verbs[i].word;
    return "";
}

static const struct verb *find_verb(int version, const char *word)
{
    for (size_t i = 0; i < VERB_COUNT; i++) {
        const struct verb *verb = &verbs[i];
        if (strcmp(verb->word, word) != 0 && (!verb->alias || strcmp(verb->alias, word) != 0))
            continue;
        for (size_t j = 0; version >= V1_0_2 && j < 2; j++)
            if (verb->verb == verbs_1_0_2[j].verb)
                verb = &verbs_1_0_2[j];
        return verb;
    }
    return NULL;
}

void smolvm_args_release(struct smolvm_args *args)
{
    free(args->env);
    args->env = NULL;
}

/* --- one parse ------------------------------------------------------------------- */

struct parse {
    int version;
    const struct verb *verb;
    struct smolvm_args args;
    size_t env_count;
    uint64_t seen;       /* bit per row of flags[] */
    const char *unfaked; /* the first thing the fake does not have */
    unsigned names;      /* positionals so far */
    struct buf *text;
};

static const char see_help[] = "\nFor more information, try '--help'.\n";

static int refuse(struct parse *parse, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* clap's error with the usage line below it. */
static int refuse(struct parse *parse, const char *fmt, ...)
{
    char *text;
    va_list list;
    va_start(list, fmt);
    if (vasprintf(&text, fmt, list) < 0)
        abort();
    va_end(list);
    buf_printf(parse->text, "error: %s\n\nUsage: smolvm machine %s %s\n%s", text, parse->verb->word,
               parse->verb->tail, see_help);
    free(text);
    return -EINVAL;
}

static int refuse_argument(struct parse *parse, const char *arg)
{
    /* clap's hint, where a positional could have been meant. */
    if (parse->verb->names > 0 && arg[0] == '-')
        return refuse(parse,
                      "unexpected argument '%s' found\n\n  tip: to pass '%s' as a value, use '-- "
                      "%s'",
                      arg, arg, arg);
    return refuse(parse, "unexpected argument '%s' found", arg);
}

static int refuse_value(struct parse *parse, const struct flag *flag, const char *value,
                        const char *why)
{
    buf_printf(parse->text, "error: invalid value '%s' for '--%s <%s>': %s\n%s", value, flag->word,
               flag->value, why, see_help);
    return -EINVAL;
}

static const struct flag *find_flag(const struct parse *parse, char letter, const char *word,
                                    size_t len)
{
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        const struct flag *flag = &flags[i];
        if (!(flag->verbs & (1u << parse->verb->verb)) || parse->version < flag->since)
            continue;
        if (word ? strlen(flag->word) == len && memcmp(flag->word, word, len) == 0
                 : flag->letter == letter)
            return flag;
    }
    return NULL;
}

/* Stores a checked value in its field. */
static int take_value(struct parse *parse, const struct flag *flag, const char *value)
{
    char *field = (char *)&parse->args + flag->field;
    const char *why = NULL;
    struct err err = {""};
    int64_t number = 0;
    switch (flag->kind) {
    case KIND_TEXT: memcpy(field, &value, sizeof value); break;
    case KIND_ENV: parse->args.env[parse->env_count++] = value; break;
    case KIND_COUNTED: ++*(int *)(void *)field; break;
    case KIND_PORT:
        if (!(why = smolvm_port_check(value)))
            ++*(int *)(void *)field;
        break;
    case KIND_CPUS:
        if (!(why = smolvm_number_parse(value, INT64_MAX / 2, &number)) &&
            (number < 1 || number > 255))
            why = "it is not in 1..=255";
        break;
    case KIND_NUMBER: why = smolvm_number_parse(value, UINT32_MAX, &number); break;
    case KIND_DURATION:
        if (smolvm_duration_parse(value, &number, &err) < 0)
            why = err.msg;
        else if (number == 0)
            why = "duration must be greater than zero";
        break;
    case KIND_SWITCH:
    case KIND_IGNORED:
    case KIND_UNFAKED: break;
    }
    if (why)
        return refuse_value(parse, flag, value, why);
    if (flag->kind == KIND_CPUS || flag->kind == KIND_NUMBER || flag->kind == KIND_DURATION)
        memcpy(field, &number, sizeof number);
    return 0;
}

static int take_flag(struct parse *parse, const struct flag *flag, const char *value)
{
    uint64_t bit = UINT64_C(1) << (flag - flags);
    if (!flag->many && (parse->seen & bit))
        return refuse(parse, "the argument '--%s%s%s%s' cannot be used multiple times", flag->word,
                      flag->value ? " <" : "", flag->value ? flag->value : "",
                      flag->value ? ">" : "");
    parse->seen |= bit;
    if (flag->kind == KIND_UNFAKED && !parse->unfaked)
        parse->unfaked = flag->word;
    if (flag->value)
        return take_value(parse, flag, value);
    if (flag->kind == KIND_SWITCH)
        *((bool *)&parse->args + flag->field) = true;
    return 0;
}

/* --- arguments --------------------------------------------------------------------- */

static void add_help(struct parse *parse)
{
    struct buf *text = parse->text;
    buf_clear(text);
    buf_printf(text, "%s\n\nUsage: smolvm machine %s %s\n\nOptions:\n", parse->verb->about,
               parse->verb->word, parse->verb->tail);
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        const struct flag *flag = &flags[i];
        if (!(flag->verbs & (1u << parse->verb->verb)) || parse->version < flag->since)
            continue;
        char letter[] = {'-', flag->letter, ',', '\0'};
        buf_printf(text, "  %-3s --%s%s%s%s%s%s\n", flag->letter ? letter : "", flag->word,
                   flag->value ? " <" : "", flag->value ? flag->value : "", flag->value ? ">" : "",
                   flag->many ? "..." : "",
                   flag->kind == KIND_UNFAKED ? "  (not in the fake)" : "");
    }
    buf_add(text, "  -h, --help\n");
}

/* The value of a flag whose word or letter ends at the argument's end: the next argument,
 * unless that looks like a flag. NULL: refused. */
static const char *next_value(struct parse *parse, const struct flag *flag, const char *const **at)
{
    const char *next = (*at)[1];
    if (next && (next[0] != '-' || !next[1])) {
        ++*at;
        return next;
    }
    buf_printf(parse->text, "error: a value is required for '--%s <%s>' but none was supplied\n%s",
               flag->word, flag->value, see_help);
    return NULL;
}

/* *at stands on `--WORD` or `--WORD=VALUE`. Returns as smolvm_args_parse. */
static int read_word(struct parse *parse, const char *const **at)
{
    const char *word = **at + 2, *equals = strchr(word, '=');
    size_t len = equals ? (size_t)(equals - word) : strlen(word);
    if (strcmp(word, "help") == 0) {
        add_help(parse);
        return 1;
    }
    const struct flag *flag = find_flag(parse, 0, word, len);
    if (!flag) {
        CLEANUP(io_free) char *name = io_format("--%.*s", (int)len, word);
        return refuse_argument(parse, name);
    }
    if (!flag->value && equals)
        return refuse(parse, "unexpected value '%s' for '--%s' found; no more were expected",
                      equals + 1, flag->word);
    const char *value = equals ? equals + 1 : NULL;
    if (flag->value && !value && !(value = next_value(parse, flag, at)))
        return -EINVAL;
    return take_flag(parse, flag, value);
}

/* *at stands on `-X…`: switches in a row, at last perhaps one with its value. */
static int read_letters(struct parse *parse, const char *const **at)
{
    for (const char *letter = **at + 1; *letter; letter++) {
        if (*letter == 'h') {
            add_help(parse);
            return 1;
        }
        const struct flag *flag = find_flag(parse, *letter, NULL, 0);
        if (!flag) {
            char name[] = {'-', *letter, '\0'};
            return refuse_argument(parse, name);
        }
        const char *value = NULL;
        if (flag->value && letter[1])
            value = letter + 1 + (letter[1] == '=');
        else if (flag->value && !(value = next_value(parse, flag, at)))
            return -EINVAL;
        int ret = take_flag(parse, flag, value);
        if (ret != 0 || value)
            return ret;
    }
    return 0;
}

static int take_positional(struct parse *parse, const char *arg)
{
    if (parse->names >= parse->verb->names)
        return refuse(parse, "unexpected argument '%s' found", arg);
    if (parse->verb->verb == SMOLVM_CP)
        *(parse->names == 0 ? &parse->args.src : &parse->args.dst) = arg;
    else
        parse->args.name = arg;
    parse->names++;
    return 0;
}

static int read_arguments(struct parse *parse, const char *const *at)
{
    bool escaped = false;
    for (; *at; at++) {
        int ret;
        if (!escaped && strcmp(*at, "--") == 0) {
            escaped = true;
            continue;
        }
        if (!escaped && (*at)[0] == '-' && (*at)[1])
            ret = (*at)[1] == '-' ? read_word(parse, &at) : read_letters(parse, &at);
        else if (parse->verb->verb == SMOLVM_EXEC) {
            parse->args.command = at;
            return 0;
        } else if (escaped && parse->verb->verb == SMOLVM_CREATE && parse->version >= V1_0_2) {
            parse->unfaked = parse->unfaked ? parse->unfaked : "";
            return 0;
        } else
            ret = take_positional(parse, *at);
        if (ret != 0)
            return ret;
    }
    return 0;
}

/* What can be said only when all arguments are known. */
static int check_whole(struct parse *parse)
{
    static const char *const conflicts[][2] = {{"from", "image"}, {"from", "smolfile"}};
    for (size_t i = 0; parse->verb->verb == SMOLVM_CREATE && i < 2; i++) {
        const struct flag *one = find_flag(parse, 0, conflicts[i][0], strlen(conflicts[i][0]));
        const struct flag *two = find_flag(parse, 0, conflicts[i][1], strlen(conflicts[i][1]));
        if (one && two && (parse->seen & (UINT64_C(1) << (one - flags))) &&
            (parse->seen & (UINT64_C(1) << (two - flags))))
            return refuse(parse, "the argument '--%s <%s>' cannot be used with '--%s <%s>'",
                          one->word, one->value, two->word, two->value);
    }
    CLEANUP(buf_release) struct buf missing = BUF_INIT;
    if (parse->verb->verb == SMOLVM_EXEC && !parse->args.command)
        buf_add(&missing, "\n  <COMMAND>...");
    if (parse->verb->verb == SMOLVM_DELETE && !parse->args.name)
        buf_printf(&missing, "\n  %s", parse->version >= V1_0_2 ? "--name <NAME>" : "<NAME>");
    for (unsigned i = parse->names; parse->verb->verb == SMOLVM_CP && i < 2; i++)
        buf_printf(&missing, "\n  %s", parse->verb->name[i]);
    if (missing.len > 0)
        return refuse(parse, "the following required arguments were not provided:%s",
                      buf_str(&missing));
    if (!parse->unfaked)
        return 0;
    if (parse->unfaked[0])
        buf_printf(parse->text, "error: this fake smolvm does not have 'machine %s --%s'\n",
                   parse->verb->word, parse->unfaked);
    else
        buf_printf(parse->text, "error: this fake smolvm does not have a command in 'machine %s'\n",
                   parse->verb->word);
    return -EINVAL;
}

/* --- the levels above ---------------------------------------------------------------- */

static void add_top_help(struct buf *text)
{
    buf_add(text, "A fake of smolvm, for tests of what drives it\n\n"
                  "Usage: smolvm <COMMAND>\n\nCommands:\n"
                  "  machine  Manage machines [aliases: vm]\n"
                  "  help     Print this message or the help of the given subcommand\n\n"
                  "Options:\n  -h, --help\n  -V, --version\n");
}

static void add_machine_help(struct buf *text)
{
    buf_add(text, "Manage machines\n\nUsage: smolvm machine <COMMAND>\n\nCommands:\n");
    for (size_t i = 0; i < VERB_COUNT && verbs[i].verb != SMOLVM_NONE; i++)
        buf_printf(text, "  %-7s %s%s%s%s\n", verbs[i].word, verbs[i].about,
                   verbs[i].alias ? " [aliases: " : "", verbs[i].alias ? verbs[i].alias : "",
                   verbs[i].alias ? "]" : "");
    buf_add(text, "  help    Print this message or the help of the given subcommand\n\n"
                  "Options:\n  -h, --help\n");
}

static int refuse_subcommand(struct buf *text, const char *path, const char *word)
{
    if (word[0] == '-' && word[1])
        buf_printf(text, "error: unexpected argument '%s' found\n", word);
    else
        buf_printf(text, "error: unrecognized subcommand '%s'\n", word);
    buf_printf(text, "\nUsage: %s <COMMAND>\n%s", path, see_help);
    return -EINVAL;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

/* argv stands behind `machine`. */
static int parse_machine(int version, const char *const *argv, struct smolvm_args *ret_args,
                         struct buf *text)
{
    bool help = argv[0] && is_help(argv[0]);
    if (!argv[0] || (help && !argv[1])) {
        add_machine_help(text);
        return help ? 1 : -EINVAL;
    }
    struct parse parse = {.version = version, .text = text};
    parse.verb = find_verb(version, argv[help]);
    if (!parse.verb)
        return refuse_subcommand(text, "smolvm machine", argv[help]);
    if (parse.verb->verb == SMOLVM_NONE) {
        buf_printf(text, "error: this fake smolvm does not have 'machine %s'\n", parse.verb->word);
        return -EINVAL;
    }
    if (help) {
        add_help(&parse);
        return 1;
    }
    size_t count = 0;
    while (argv[count])
        count++;
    parse.args = (struct smolvm_args){.verb = parse.verb->verb,
                                      .cpus = 4,
                                      .memory_mib = 8192,
                                      .storage_gib = 20,
                                      .overlay_gib = 10,
                                      .env = calloc(count + 1, sizeof *argv)};
    if (!parse.args.env)
        abort();
    int ret = read_arguments(&parse, argv + 1);
    if (ret == 0)
        ret = check_whole(&parse);
    if (ret == 0)
        *ret_args = parse.args;
    else
        smolvm_args_release(&parse.args);
    return ret;
}

int smolvm_args_parse(int version, const char *const *argv, struct smolvm_args *ret_args,
                      struct buf *text)
{
    static const char *const unfaked[] = {"serve", "pack", "config"};
    const char *word = argv[0] ? argv[1] : NULL;
    if (!word) {
        add_top_help(text);
        return -EINVAL;
    }
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        buf_printf(text, "smolvm %d.%d.%d\n", version / 10000, version / 100 % 100, version % 100);
        return 1;
    }
    bool help = is_help(word);
    if (help && (word[0] == '-' || !argv[2])) {
        add_top_help(text);
        return 1;
    }
    if (help)
        word = argv[2];
    if (strcmp(word, "machine") == 0 || strcmp(word, "vm") == 0) {
        if (help && !argv[3]) {
            add_machine_help(text);
            return 1;
        }
        const char *const asked[] = {"help", help ? argv[3] : NULL, NULL};
        return parse_machine(version, help ? asked : argv + 2, ret_args, text);
    }
    for (size_t i = 0; i < sizeof unfaked / sizeof *unfaked; i++) {
        if (strcmp(word, unfaked[i]) != 0)
            continue;
        buf_printf(text, "error: this fake smolvm does not have '%s'\n", word);
        return -EINVAL;
    }
    return refuse_subcommand(text, "smolvm", word);
}
