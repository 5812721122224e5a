#include "rule_parse.h"
#include "rule_check.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const char *const lose_words[] = {"all", NULL};

struct parser {
    const char *text;
    size_t at;  /* what is read next */
    size_t end; /* behind the last byte that is no blank */
    const char *const *reply_names;
    struct rule rule;
    size_t where_at;
    size_t key_at[RULE_KEY_COUNT]; /* where each key stands; 0: it does not, as WHERE comes first */
    size_t column;                 /* of the mistake */
    char shown[64];                /* for show() */
    struct err *err;
};

#define refuse(p, offset, ...) ((p)->column = (offset) + 1, err_text((p)->err, EINVAL, __VA_ARGS__))

/* The text's bytes as a message can have them: printable, and not many. */
static const char *show(struct parser *p, size_t offset, size_t len)
{
    size_t kept = len < 40 ? len : 40;
    for (size_t i = 0; i < kept; i++) {
        char c = p->text[offset + i];
        p->shown[i] = c < ' ' || c > '~' ? '?' : c;
    }
    memcpy(p->shown + kept, "...", 4);
    if (kept == len)
        p->shown[kept] = '\0';
    return p->shown;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void skip_blanks(struct parser *p)
{
    while (p->at < p->end && is_blank(p->text[p->at]))
        p->at++;
}

/* How many bytes from offset on are none of stops. */
static size_t span(const struct parser *p, size_t offset, const char *stops)
{
    size_t len = strcspn(p->text + offset, stops);
    return len < p->end - offset ? len : p->end - offset;
}

static int find_word(const char *const *words, const char *word, size_t len)
{
    for (int i = 0; words[i]; i++) {
        if (strlen(words[i]) == len && memcmp(words[i], word, len) == 0)
            return i;
    }
    return -1;
}

/* "a, b, c" in a buffer that the caller releases. */
static const char *list_words(const char *const *words, struct buf *list)
{
    for (size_t i = 0; words[i]; i++)
        buf_printf(list, "%s%s", i ? ", " : "", words[i]);
    return buf_str(list);
}

static int read_word(struct parser *p, const char *what, size_t offset, size_t len,
                     const char *const *words, int *ret_index)
{
    int index = find_word(words, p->text + offset, len);
    if (index < 0) {
        CLEANUP(buf_release) struct buf list = BUF_INIT;
        return refuse(p, offset, "%s \"%s\" is none of: %s", what, show(p, offset, len),
                      list_words(words, &list));
    }
    *ret_index = index;
    return 0;
}

static int read_number(struct parser *p, const char *what, size_t offset, size_t len, int64_t min,
                       int64_t max, int64_t *ret_number)
{
    int64_t number = 0;
    size_t i = 0;
    for (; i < len; i++) {
        char c = p->text[offset + i];
        if (c < '0' || c > '9' || number > max)
            break;
        number = number * 10 + (c - '0');
    }
    if (len == 0 || i < len || number < min || number > max)
        return refuse(p, offset, "%s \"%s\" is no number from %jd to %jd", what,
                      show(p, offset, len), (intmax_t)min, (intmax_t)max);
    *ret_number = number;
    return 0;
}

/* --- CALL and WHERE --------------------------------------------------------------- */

static bool is_where(const char *word, size_t len)
{
    enum op op;
    return find_word(rule_place_words, word, len) >= 0 || op_find(word, len, &op) == 0;
}

/* Reads "CALL[#N] " where the first word is no WHERE. */
static int parse_call(struct parser *p)
{
    size_t start = p->at;
    size_t len = span(p, start, " \t:");
    size_t name_len = span(p, start, " \t:#");
    bool blank_follows = start + len < p->end && p->text[start + len] != ':';
    int call = find_word(rule_call_words, p->text + start, name_len);
    if (call < 0 && name_len == len && !blank_follows)
        return 0;
    if (call < 0 && is_where(p->text + start, name_len))
        return refuse(p, start + name_len, "after \"%s\" only \":KEY=VALUE\" can follow",
                      show(p, start, name_len));
    if (call < 0)
        return read_word(p, "the call", start, name_len, rule_call_words, &call);
    p->rule.call = (enum rule_call)call;
    if (name_len < len) {
        int64_t nth;
        int ret = read_number(p, "the call's number", start + name_len + 1, len - name_len - 1, 1,
                              RULE_ORDINAL_MAX, &nth);
        if (ret < 0)
            return ret;
        p->rule.call_nth = (uint32_t)nth;
    }
    p->at = start + len;
    skip_blanks(p);
    if (p->at == p->end || p->text[p->at] == ':')
        return refuse(p, p->at,
                      "after the call a place is needed: an operation, begin, end, at, …");
    return 0;
}

static int refuse_place(struct parser *p, size_t offset, size_t len)
{
    CLEANUP(buf_release) struct buf list = BUF_INIT;
    list_words(rule_place_words, &list);
    for (unsigned op = 0; op < OP_COUNT; op++)
        buf_printf(&list, ", %s", op_name((enum op)op));
    if (len == 0)
        return refuse(p, offset, "a place is missing, one of: %s", buf_str(&list));
    return refuse(p, offset, "the place \"%s\" is none of: %s", show(p, offset, len),
                  buf_str(&list));
}

static int parse_where(struct parser *p)
{
    p->where_at = p->at;
    size_t all = span(p, p->at, ":");
    int place = find_word(rule_place_words, p->text + p->at, all);
    if (place >= 0) {
        p->rule.place = (enum rule_place)place;
        p->at += all;
        return 0;
    }
    p->rule.place = RULE_OPERATION;
    for (;;) {
        size_t len = span(p, p->at, ",: \t");
        enum op op;
        bool in_list = p->rule.ops || p->text[p->at + len] == ',';
        if (in_list && find_word(rule_place_words, p->text + p->at, len) >= 0)
            return refuse(p, p->at, "\"%s\" stands alone, not beside operations",
                          show(p, p->at, len));
        if (!is_where(p->text + p->at, len))
            return refuse_place(p, p->at, len);
        if (op_find(p->text + p->at, len, &op) == 0)
            p->rule.ops |= OP_BIT(op);
        p->at += len;
        if (p->at == p->end || p->text[p->at] == ':')
            return 0;
        if (p->text[p->at] != ',')
            return refuse(p, p->at, "only \":KEY=VALUE\" can follow the place");
        p->at++;
    }
}

/* --- values ----------------------------------------------------------------------- */

/* The bytes that %XX stand for; *ret_text is the caller's. */
static int read_encoded(struct parser *p, size_t offset, size_t len, char **ret_text)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    buf_add(&text, "");
    size_t read = buf_add_decoded(&text, p->text + offset, len);
    if (read < len)
        return refuse(p, offset + read, "%% must be followed by two hex digits, not both 0");
    *ret_text = steal_ptr(&text.data);
    return 0;
}

static int read_path(struct parser *p, size_t offset, size_t len)
{
    if (p->text[offset] != '/')
        return refuse(p, offset, "path= must begin with \"/\", as every path in the guest does");
    return read_encoded(p, offset, len, &p->rule.path_glob);
}

static int read_comm(struct parser *p, size_t offset, size_t len)
{
    int ret = read_encoded(p, offset, len, &p->rule.comm);
    if (ret == 0 && strlen(p->rule.comm) > RULE_COMM_MAX)
        return refuse(p, offset, "comm= has at most %d bytes, as a process's name in /proc has",
                      RULE_COMM_MAX);
    return ret;
}

/* F[..L][+[S]] */
static int read_when(struct parser *p, size_t offset, size_t len)
{
    size_t plus = offset + span(p, offset, ":+");
    size_t first_len = span(p, offset, ":+.");
    bool has_step = plus < offset + len;
    bool has_last = offset + first_len < plus;
    int64_t first, last = UINT32_MAX, step = 1;
    int ret = read_number(p, "when=F", offset, first_len, 1, RULE_ORDINAL_MAX, &first);
    if (ret < 0)
        return ret;
    if (has_last) {
        size_t dots = offset + first_len;
        if (plus - dots < 2 || p->text[dots + 1] != '.')
            return refuse(p, dots, "when= has the form F[..L][+S]");
        ret = read_number(p, "when=F..L", dots + 2, plus - dots - 2, 1, RULE_ORDINAL_MAX, &last);
        if (ret < 0)
            return ret;
        if (last < first)
            return refuse(p, dots + 2, "when=F..L ends before it begins");
    } else if (!has_step) {
        last = first;
    }
    if (has_step && plus + 1 < offset + len) {
        ret = read_number(p, "when=F+S", plus + 1, offset + len - plus - 1, 1, RULE_ORDINAL_MAX,
                          &step);
        if (ret < 0)
            return ret;
    }
    if (last != UINT32_MAX)
        last = first + (last - first) / step * step;
    if (last == first)
        step = 1;
    p->rule.when = (struct rule_when){(uint32_t)first, (uint32_t)last, (uint32_t)step};
    return 0;
}

static int read_signal(struct parser *p, size_t offset, size_t len)
{
    const char *word = p->text + offset;
    size_t skip = len > 3 && memcmp(word, "SIG", 3) == 0 ? 3 : 0;
    for (int signum = 1; signum < SIGSYS + 1; signum++) {
        const char *name = sigabbrev_np(signum);
        if (name && strlen(name) == len - skip && memcmp(name, word + skip, len - skip) == 0) {
            p->rule.signal = signum;
            return 0;
        }
    }
    return refuse(p, offset, "\"%s\" is no signal's name", show(p, offset, len));
}

static int read_error(struct parser *p, size_t offset, size_t len)
{
    p->rule.errnum = op_errno(p->text + offset, len);
    p->rule.action = RULE_ERROR;
    if (!p->rule.errnum)
        return refuse(p, offset, "\"%s\" is no error's name", show(p, offset, len));
    return 0;
}

static int read_reply(struct parser *p, size_t offset, size_t len)
{
    p->rule.action = RULE_REPLY;
    const char *word = p->text + offset;
    int index;
    int ret = p->reply_names ? read_word(p, "reply=", offset, len, p->reply_names, &index) : 0;
    if (ret < 0)
        return ret;
    size_t good = strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789-");
    if (!p->reply_names && (good < len || word[0] < 'a'))
        return refuse(p, offset, "reply= has a name of a-z, 0-9 and -, not \"%s\"",
                      show(p, offset, len));
    p->rule.reply = strndup(word, len);
    if (!p->rule.reply)
        abort();
    return 0;
}

static int read_value(struct parser *p, enum rule_key key, size_t offset, size_t len)
{
    struct rule *rule = &p->rule;
    int index = 0;
    int64_t number = 0;
    int ret;
    switch (key) {
    case RULE_KEY_MS: return read_number(p, "ms=", offset, len, 0, RULE_MS_MAX, &rule->at_ms);
    case RULE_KEY_PATH: return read_path(p, offset, len);
    case RULE_KEY_COMM: return read_comm(p, offset, len);
    case RULE_KEY_WHEN: return read_when(p, offset, len);
    case RULE_KEY_SIGNAL: return read_signal(p, offset, len);
    case RULE_KEY_PERSIST:
        return read_number(p, "persist=", offset, len, 0, RULE_PERSIST_MAX, &rule->persist_bytes);
    case RULE_KEY_ERROR: return read_error(p, offset, len);
    case RULE_KEY_DELAY:
        rule->action = RULE_DELAY;
        return read_number(p, "delay=", offset, len, 1, RULE_MS_MAX, &rule->delay_ms);
    case RULE_KEY_STATUS:
        ret = read_number(p, "status=", offset, len, 0, 255, &number);
        rule->action = RULE_STATUS;
        rule->status = (int)number;
        return ret;
    case RULE_KEY_REPLY: return read_reply(p, offset, len);
    case RULE_KEY_SINCE:
        ret = read_word(p, "since=", offset, len, rule_since_words, &index);
        rule->since = (enum rule_since)index;
        return ret;
    case RULE_KEY_PER:
        ret = read_word(p, "per=", offset, len, rule_per_words, &index);
        rule->per = (enum rule_per)index;
        return ret;
    case RULE_KEY_TIMING:
        ret = read_word(p, "timing=", offset, len, rule_timing_words, &index);
        rule->timing = (enum rule_timing)index;
        return ret;
    case RULE_KEY_SCOPE:
        ret = read_word(p, "scope=", offset, len, rule_scope_words, &index);
        rule->scope = (enum rule_scope)index;
        return ret;
    case RULE_KEY_LOSE:
        rule->lose_all = true;
        return read_word(p, "lose=", offset, len, lose_words, &index);
    case RULE_KEY_COUNT: break;
    }
    return 0;
}

/* Reads ":KEY=VALUE". */
static int parse_key(struct parser *p)
{
    size_t start = ++p->at;
    size_t len = span(p, start, ":= \t");
    int index;
    int ret = read_word(p, "the key", start, len, rule_key_words, &index);
    if (ret < 0)
        return ret;
    enum rule_key key = (enum rule_key)index;
    if (p->key_at[key])
        return refuse(p, start, "%s= is given twice", rule_key_words[key]);
    if (start + len == p->end || p->text[start + len] != '=')
        return refuse(p, start + len, "after \"%s\" there must be \"=\" and a value",
                      rule_key_words[key]);
    size_t value = start + len + 1;
    size_t value_len = span(p, value, ":");
    if (value_len == 0 && key != RULE_KEY_COMM)
        return refuse(p, value, "%s= has no value", rule_key_words[key]);
    for (size_t i = value; i < value + value_len; i++) {
        if ((unsigned char)p->text[i] <= ' ' || p->text[i] == '\x7f')
            return refuse(p, i, "a blank or control byte in a value is written %%%02X",
                          (unsigned)(unsigned char)p->text[i]);
    }
    p->key_at[key] = start;
    p->at = value + value_len;
    return read_value(p, key, value, value_len);
}

static int parse(struct parser *p)
{
    skip_blanks(p);
    if (p->at == p->end)
        return refuse(p, p->at, "the rule is empty");
    if (p->end > RULE_TEXT_MAX)
        return refuse(p, RULE_TEXT_MAX, "a rule has at most %d bytes", RULE_TEXT_MAX);
    int ret = parse_call(p);
    if (ret == 0)
        ret = parse_where(p);
    while (ret == 0 && p->at < p->end)
        ret = parse_key(p);
    if (ret < 0)
        return ret;
    if (p->rule.action != RULE_SIGNAL)
        p->rule.signal = 0;
    enum rule_key key;
    ret = rule_check(&p->rule, p->key_at, &key, p->err);
    if (ret < 0)
        p->column = (key == RULE_KEY_COUNT ? p->where_at : p->key_at[key]) + 1;
    return ret;
}

int rule_parse(const char *text, const char *const *reply_names, struct rule *ret_rule,
               size_t *ret_column, struct err *err)
{
    struct parser p = {.text = text,
                       .end = strlen(text),
                       .reply_names = reply_names,
                       .rule = RULE_INIT,
                       .err = err};
    while (p.end > 0 && is_blank(text[p.end - 1]))
        p.end--;
    int ret = parse(&p);
    if (ret < 0) {
        if (ret_column)
            *ret_column = p.column;
        rule_release(&p.rule);
        return ret;
    }
    *ret_rule = p.rule;
    return 0;
}
