#include "docker_args.h"

#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE 1
#define EXIT_FLAG 125
#define EXIT_NOT_BUILT 2

#define ON(verb) (1u << DOCKER_##verb)
#define FIELD(member) offsetof(struct docker_args, member)

enum kind { KIND_SWITCH, KIND_TEXT, KIND_ENV, KIND_NOT_BUILT };

static const struct flag {
    unsigned verbs;
    char letter; /* 0: none */
    const char *word;
    enum kind kind;
    size_t field;
} flags[] = {
    {ON(EXEC), 'u', "user", KIND_TEXT, FIELD(user)},
    {ON(EXEC) | ON(CREATE) | ON(RUN), 'e', "env", KIND_ENV, FIELD(env)},
    {ON(EXEC) | ON(CREATE) | ON(RUN), 'w', "workdir", KIND_TEXT, FIELD(workdir)},
    {ON(EXEC) | ON(CREATE) | ON(RUN), 'i', "interactive", KIND_SWITCH, FIELD(interactive)},
    {ON(EXEC) | ON(CREATE) | ON(RUN), 't', "tty", KIND_SWITCH, FIELD(tty)},
    {ON(RUN), 'd', "detach", KIND_SWITCH, FIELD(detach)},
    {ON(CREATE) | ON(RUN), 0, "name", KIND_TEXT, FIELD(name)},
    {ON(CP) | ON(PS), 'q', "quiet", KIND_SWITCH, FIELD(quiet)},
    {ON(INSPECT), 'f', "format", KIND_TEXT, FIELD(format)},
    {ON(PS), 0, "format", KIND_TEXT, FIELD(format)},
    {ON(PS), 'a', "all", KIND_SWITCH, FIELD(all)},
    {ON(STOP), 't', "timeout", KIND_TEXT, FIELD(ignored)},
    {ON(STOP), 0, "time", KIND_TEXT, FIELD(old_time)},
    {ON(KILL), 's', "signal", KIND_TEXT, FIELD(signal)},
    {ON(RM), 'f', "force", KIND_SWITCH, FIELD(force)},
    {ON(EXEC), 'd', "detach", KIND_NOT_BUILT, 0},
    {ON(EXEC), 0, "env-file", KIND_NOT_BUILT, 0},
    {ON(EXEC), 0, "privileged", KIND_NOT_BUILT, 0},
    {ON(EXEC) | ON(START), 0, "detach-keys", KIND_NOT_BUILT, 0},
    {ON(CP), 'a', "archive", KIND_NOT_BUILT, 0},
    {ON(CP), 'L', "follow-link", KIND_NOT_BUILT, 0},
    {ON(PS), 'f', "filter", KIND_NOT_BUILT, 0},
    {ON(PS), 'l', "latest", KIND_NOT_BUILT, 0},
    {ON(PS), 'n', "last", KIND_NOT_BUILT, 0},
    {ON(PS), 0, "no-trunc", KIND_NOT_BUILT, 0},
    {ON(PS) | ON(INSPECT), 's', "size", KIND_NOT_BUILT, 0},
    {ON(INSPECT), 0, "type", KIND_NOT_BUILT, 0},
    {ON(START), 'a', "attach", KIND_NOT_BUILT, 0},
    {ON(START), 'i', "interactive", KIND_NOT_BUILT, 0},
    {ON(STOP), 's', "signal", KIND_NOT_BUILT, 0},
    {ON(RM), 'v', "volumes", KIND_NOT_BUILT, 0},
    {ON(RM), 'l', "link", KIND_NOT_BUILT, 0},
};

static const struct verb {
    enum docker_verb verb;
    const char *word, *tail;
    size_t min, max; /* operands */
    bool ends_flags; /* the first operand does */
} verbs[] = {
    {DOCKER_CREATE, "create", "[OPTIONS] IMAGE [COMMAND] [ARG...]", 1, SIZE_MAX, true},
    {DOCKER_RUN, "run", "[OPTIONS] IMAGE [COMMAND] [ARG...]", 1, SIZE_MAX, true},
    {DOCKER_START, "start", "[OPTIONS] CONTAINER [CONTAINER...]", 1, SIZE_MAX, false},
    {DOCKER_EXEC, "exec", "[OPTIONS] CONTAINER COMMAND [ARG...]", 2, SIZE_MAX, true},
    {DOCKER_CP, "cp",
     "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\tdocker cp [OPTIONS] SRC_PATH|- "
     "CONTAINER:DEST_PATH",
     2, 2, false},
    {DOCKER_INSPECT, "inspect", "[OPTIONS] NAME|ID [NAME|ID...]", 1, SIZE_MAX, false},
    {DOCKER_PS, "ps", "[OPTIONS]", 0, 0, false},
    {DOCKER_STOP, "stop", "[OPTIONS] CONTAINER [CONTAINER...]", 1, SIZE_MAX, false},
    {DOCKER_KILL, "kill", "[OPTIONS] CONTAINER [CONTAINER...]", 1, SIZE_MAX, false},
    {DOCKER_RM, "rm", "[OPTIONS] CONTAINER [CONTAINER...]", 1, SIZE_MAX, false},
    {DOCKER_VERSION, "--version", "", 0, SIZE_MAX, true},
    {DOCKER_VERSION, "-v", "", 0, SIZE_MAX, true},
};
#define VERB_COUNT (sizeof verbs / sizeof *verbs)

const char *docker_verb_word(enum docker_verb verb)
{
    for (size_t i = 0; i < VERB_COUNT; i++)
        if (verbs[i].verb == verb)
            return verbs[i].word;
    return "";
}

void docker_args_release(struct docker_args *args)
{
    free(args->env);
    free(args->operands);
    args->env = args->operands = NULL;
}

struct parse {
    const struct verb *verb;
    struct docker_args *args;
    size_t n_env;
    struct buf *text;
};

static void add_usage(struct parse *parse, const char *lead)
{
    const struct verb *verb = parse->verb;
    buf_printf(parse->text,
               "\nUsage:  docker %s %s\n\n%s 'docker %s --help' for more information\n", verb->word,
               verb->tail, lead, verb->word);
}

static int bad_flag(struct parse *parse)
{
    add_usage(parse, "Run");
    return EXIT_FLAG;
}

static int not_built(struct parse *parse, const struct flag *flag)
{
    buf_printf(parse->text, "error: this fake docker has no `%s --%s`\n", parse->verb->word,
               flag->word);
    return EXIT_NOT_BUILT;
}

static const struct flag *find_flag(const struct parse *parse, char letter, const char *word,
                                    size_t len)
{
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        const struct flag *flag = &flags[i];
        if ((flag->verbs & (1u << parse->verb->verb)) &&
            (word ? strlen(flag->word) == len && memcmp(flag->word, word, len) == 0
                  : flag->letter == letter))
            return flag;
    }
    return NULL;
}

static void take_value(struct parse *parse, const struct flag *flag, const char *value)
{
    char *field = (char *)parse->args + flag->field;
    if (flag->kind == KIND_ENV)
        parse->args->env[parse->n_env++] = value;
    else
        memcpy(field, &value, sizeof value);
}

/* *at stands on `--WORD` or `--WORD=VALUE`. */
static int read_word(struct parse *parse, const char *const **at)
{
    const char *word = **at + 2;
    size_t len = strcspn(word, "=");
    const struct flag *flag = find_flag(parse, 0, word, len);
    if (!flag) {
        buf_printf(parse->text, "unknown flag: --%.*s\n", (int)len, word);
        return bad_flag(parse);
    }
    if (flag->kind == KIND_NOT_BUILT)
        return not_built(parse, flag);
    if (flag->kind == KIND_SWITCH) {
        bool on = strcmp(word + len, "=false") != 0;
        *((bool *)parse->args + flag->field) = on;
        parse->args->loud |= !on && flag->field == FIELD(quiet);
        return 0;
    }
    const char *value = word[len] ? word + len + 1 : *++*at;
    if (!value) {
        buf_printf(parse->text, "flag needs an argument: --%s\n", flag->word);
        return bad_flag(parse);
    }
    take_value(parse, flag, value);
    return 0;
}

/* *at stands on `-abc`. */
static int read_letters(struct parse *parse, const char *const **at)
{
    const char *all = **at + 1;
    for (const char *letter = all; *letter; letter++) {
        const struct flag *flag = find_flag(parse, *letter, NULL, 0);
        if (!flag) {
            buf_printf(parse->text, "unknown shorthand flag: '%c' in -%s\n", *letter, letter);
            return bad_flag(parse);
        }
        if (flag->kind == KIND_NOT_BUILT)
            return not_built(parse, flag);
        if (flag->kind == KIND_SWITCH) {
            *((bool *)parse->args + flag->field) = true;
            continue;
        }
        const char *value = letter[1] ? letter + 1 + (letter[1] == '=') : *++*at;
        if (!value) {
            buf_printf(parse->text, "flag needs an argument: '%c' in -%s\n", *letter, letter);
            return bad_flag(parse);
        }
        take_value(parse, flag, value);
        return 0;
    }
    return 0;
}

static int read_arguments(struct parse *parse, const char *const *at)
{
    struct docker_args *args = parse->args;
    bool only_operands = false;
    for (; *at; at++) {
        int ret = 0;
        if (only_operands || (*at)[0] != '-' || !(*at)[1]) {
            args->operands[args->n_operands++] = *at;
            only_operands |= parse->verb->ends_flags;
        } else if (strcmp(*at, "--") == 0)
            only_operands = true;
        else
            ret = (*at)[1] == '-' ? read_word(parse, &at) : read_letters(parse, &at);
        if (ret != 0)
            return ret;
    }
    return 0;
}

static int check_count(struct parse *parse)
{
    const struct verb *verb = parse->verb;
    size_t n = parse->args->n_operands;
    if (n >= verb->min && n <= verb->max)
        return 0;
    if (verb->max == 0)
        buf_printf(parse->text, "docker: 'docker %s' accepts no arguments\n", verb->word);
    else
        buf_printf(parse->text, "docker: 'docker %s' requires %s%zu argument%s\n", verb->word,
                   verb->min == verb->max ? "" : "at least ", verb->min, verb->min == 1 ? "" : "s");
    add_usage(parse, verb->max == SIZE_MAX ? "See" : "Run");
    return EXIT_USAGE;
}

int docker_args_parse(const char *const *argv, struct docker_args *ret_args, struct buf *text)
{
    struct parse parse = {.args = ret_args, .text = text};
    const char *word = argv[1] ? argv[1] : "";
    for (size_t i = 0; i < VERB_COUNT; i++)
        if (strcmp(verbs[i].word, word) == 0)
            parse.verb = &verbs[i];
    if (!parse.verb && word[0] == '-' && word[1]) {
        if (word[1] == '-')
            buf_printf(text, "unknown flag: --%.*s\n", (int)strcspn(word + 2, "="), word + 2);
        else
            buf_printf(text, "unknown shorthand flag: '%c' in %s\n", word[1], word);
        buf_add(text, "\nUsage:  docker [OPTIONS] COMMAND [ARG...]\n\nRun 'docker --help' for more "
                      "information\n");
        return EXIT_FLAG;
    }
    if (!parse.verb) {
        buf_printf(
            text,
            "docker: unknown command: docker %s\n\nRun 'docker --help' for more information\n",
            word);
        return EXIT_USAGE;
    }
    size_t count = 0;
    while (argv[count])
        count++;
    ret_args->verb = parse.verb->verb;
    ret_args->env = calloc(count + 1, sizeof *ret_args->env);
    ret_args->operands = calloc(count + 1, sizeof *ret_args->operands);
    if (!ret_args->env || !ret_args->operands)
        abort();
    int ret = read_arguments(&parse, argv + 2);
    if (ret == 0 && ret_args->old_time)
        buf_add(text, "Flag --time has been deprecated, use --timeout instead\n");
    return ret != 0 ? ret : check_count(&parse);
}
