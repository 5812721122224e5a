#include "token.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define END_WORD "end"

void token_release(struct token *token)
{
    io_free(&token->addresses[0]);
    io_free(&token->addresses[1]);
}

static const struct {
    enum explore_scope scope;
    const char *word;
} scopes[] = {{EXPLORE_TREE, "tree"}, {EXPLORE_PROCESS, "process"}, {EXPLORE_TORN, "torn"}};
#define N_SCOPES (sizeof scopes / sizeof *scopes)

const char *token_scope_word(enum explore_scope scope)
{
    for (size_t i = 0; i < N_SCOPES; i++)
        if (scopes[i].scope == scope)
            return scopes[i].word;
    return NULL;
}

void token_print(const struct token *token, struct buf *text)
{
    buf_printf(text, "kp1:%s:%s:%s:%s#%" PRIu32 ":%s:", token->layout, token->trace, token->backend,
               rule_call_words[token->call], token->nth, token_scope_word(token->scope));
    for (size_t i = 0; i < token->n_addresses; i++)
        buf_printf(text, "%s%s", i ? "+" : "",
                   token->addresses[i] ? token->addresses[i] : END_WORD);
    if (token->persist_bytes >= 0)
        buf_printf(text, ":persist=%" PRId64, token->persist_bytes);
}

/* The next field, up to ':'. Moves *at behind it. False: there is none. */
static bool next_field(const char **at, char *field, size_t size)
{
    size_t len = strcspn(*at, ":");
    if ((*at)[len] != ':' || len == 0 || len >= size)
        return false;
    memcpy(field, *at, len);
    field[len] = '\0';
    *at += len + 1;
    return true;
}

static bool is_digest(const char *text)
{
    return strlen(text) == TOKEN_DIGITS && strspn(text, "0123456789abcdef") == TOKEN_DIGITS;
}

static int read_number(const char *text, uint32_t *ret_number, const char **ret_end)
{
    char *end;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    if (*text < '1' || *text > '9' || errno || number > RULE_ORDINAL_MAX)
        return -EINVAL;
    *ret_number = (uint32_t)number;
    *ret_end = end;
    return 0;
}

int token_parse_call(const char *text, enum rule_call *ret_call, uint32_t *ret_nth, struct err *err)
{
    static const char word[] = "exec#";
    const char *end;
    uint32_t nth;
    if (strncmp(word, text, strlen(word)) != 0 ||
        read_number(text + strlen(word), &nth, &end) < 0 || *end)
        return err_text(err, EINVAL, "'%s' is no call: exec#N", text);
    *ret_call = RULE_EXEC;
    *ret_nth = nth;
    return 0;
}

/* A place of `len` bytes. */
static int take_place(struct token *token, const char *text, size_t len, struct err *err)
{
    CLEANUP(io_free) char *place = io_format("%.*s", (int)len, text);
    CLEANUP(address_release) struct address address = ADDRESS_INIT;
    if (strcmp(place, END_WORD) == 0) {
        token->n_addresses++;
        return 0;
    }
    int ret = address_parse(place, &address, NULL, err);
    if (ret < 0)
        return err_wrap(err, ret, "'%s' is no address", place);
    token->addresses[token->n_addresses++] = steal_ptr(&place);
    return 0;
}

/* How long the place at text is: a word, or an address to the end of its #N. */
static size_t place_length(const char *text)
{
    size_t len = strlen(END_WORD);
    if (strncmp(text, END_WORD, len) == 0 && (text[len] == '\0' || text[len] == '+'))
        return len;
    len = strcspn(text, "#");
    return text[len] ? len + 1 + strspn(text + len + 1, "0123456789") : len;
}

static int read_places(struct token *token, const char *at, struct err *err)
{
    static const char persist[] = ":persist=";
    size_t len = place_length(at);
    int ret = take_place(token, at, len, err);
    at += len;
    if (ret == 0 && token->scope == EXPLORE_TORN) {
        char *end;
        if (strncmp(at, persist, strlen(persist)) != 0 || at[strlen(persist)] < '0' ||
            at[strlen(persist)] > '9')
            return err_text(err, EINVAL, "a torn write needs %sBYTES", persist);
        token->persist_bytes = strtoll(at + strlen(persist), &end, 10);
        if (end - at > (ptrdiff_t)strlen(persist) + 18 ||
            (at[strlen(persist)] == '0' && end - at > (ptrdiff_t)strlen(persist) + 1))
            return err_text(err, EINVAL, "'%s' is not how a number of bytes is written", at);
        at = end;
    } else if (ret == 0 && *at == '+') {
        len = place_length(at + 1);
        ret = take_place(token, at + 1, len, err);
        at += 1 + len;
    }
    if (ret == 0 && *at)
        return err_text(err, EINVAL, "'%s' is too much", at);
    return ret;
}

int token_parse(const char *text, struct token *ret_token, struct err *err)
{
    CLEANUP(token_release) struct token token = TOKEN_INIT;
    const char *at = text;
    char version[8], call[32], scope[16];
    if (!next_field(&at, version, sizeof version) || strcmp(version, "kp1") != 0)
        return err_text(err, EINVAL, "a token begins with kp1:");
    if (!next_field(&at, token.layout, sizeof token.layout) || !is_digest(token.layout))
        return err_text(err, EINVAL, "the layout is not %d hex digits", TOKEN_DIGITS);
    if (!next_field(&at, token.trace, sizeof token.trace) || !is_digest(token.trace))
        return err_text(err, EINVAL, "the trace is not %d hex digits", TOKEN_DIGITS);
    if (!next_field(&at, token.backend, sizeof token.backend) ||
        (!is_digest(token.backend) && strcmp(token.backend, "-") != 0))
        return err_text(err, EINVAL, "the backend is neither %d hex digits nor -", TOKEN_DIGITS);
    if (!next_field(&at, call, sizeof call))
        return err_text(err, EINVAL, "the call is missing");
    int ret = token_parse_call(call, &token.call, &token.nth, err);
    if (ret < 0)
        return ret;
    if (!next_field(&at, scope, sizeof scope))
        return err_text(err, EINVAL, "the scope is missing");
    for (size_t i = 0; i < N_SCOPES; i++)
        if (strcmp(scope, scopes[i].word) == 0)
            token.scope = scopes[i].scope;
    if (!token.scope)
        return err_text(err, EINVAL, "'%s' is no scope: tree, process or torn", scope);
    ret = read_places(&token, at, err);
    if (ret < 0)
        return ret;
    *ret_token = token;
    token = (struct token)TOKEN_INIT;
    return 0;
}

int token_add_rule(const struct token *token, size_t k, struct buf *text, struct err *err)
{
    buf_printf(text, "%s#%" PRIu32 " ", rule_call_words[token->call], token->nth + (uint32_t)k);
    if (!token->addresses[k]) {
        buf_add(text, END_WORD); /* of the command: its status is not told */
        return 0;
    }
    CLEANUP(address_release) struct address address = ADDRESS_INIT;
    int ret = address_parse(token->addresses[k], &address, NULL, err);
    if (ret < 0)
        return err_wrap(err, ret, "%s", token->addresses[k]);
    address_add_rule(&address, token->scope == EXPLORE_PROCESS ? RULE_PROCESS : RULE_TREE, text);
    text->data[--text->len] = '\0'; /* its newline */
    if (token->persist_bytes >= 0)
        buf_printf(text, ":persist=%" PRId64, token->persist_bytes);
    return 0;
}
