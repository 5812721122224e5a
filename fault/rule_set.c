#include "rule_set.h"
#include "rule_parse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

void rule_set_release(struct rule_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        rule_release(&set->rules[i]);
    io_free(&set->rules);
    set->count = 0;
}

static bool same_place(const struct rule *a, const struct rule *b)
{
    if (a->place != b->place)
        return false;
    if (a->place == RULE_OPERATION)
        return (a->ops & b->ops) != 0;
    if (a->place == RULE_AT)
        return a->at_ms == b->at_ms && a->since == b->since;
    /* begin of the call and begin of its processes are two places under one name. */
    return a->place != RULE_BEGIN || (a->scope == RULE_PROCESS) == (b->scope == RULE_PROCESS);
}

static bool collide(const struct rule *a, const struct rule *b)
{
    return a->call == b->call && a->call_nth == b->call_nth && same_place(a, b) &&
           rule_same_text(a->path_glob, b->path_glob) && rule_same_text(a->comm, b->comm) &&
           (a->per != b->per || rule_when_meets(&a->when, &b->when));
}

int rule_set_add(struct rule_set *set, struct rule *rule, struct err *err)
{
    for (size_t i = 0; i < set->count; i++) {
        if (!collide(&set->rules[i], rule))
            continue;
        CLEANUP(buf_release) struct buf text = BUF_INIT;
        rule_print(&set->rules[i], &text);
        return err_text(err, EEXIST, "rule %zu has the same attempts already: %s", i + 1,
                        buf_str(&text));
    }
    set->rules = reallocarray(set->rules, set->count + 1, sizeof *set->rules);
    if (!set->rules)
        abort();
    set->rules[set->count++] = *rule;
    *rule = (struct rule)RULE_INIT;
    return 0;
}

/* One line: a rule, a comment or nothing. */
static int add_line(struct rule_set *set, const char *line, size_t len,
                    const char *const *reply_names, size_t *ret_column, struct err *err)
{
    size_t blanks = strspn(line, " \t");
    if (blanks >= len || line[blanks] == '#')
        return 0;
    CLEANUP(io_free) char *text = strndup(line, len);
    if (!text)
        abort();
    size_t text_len = strlen(text);
    *ret_column = text_len + 1;
    if (text_len < len)
        return err_text(err, EINVAL, "a NUL byte");
    CLEANUP(rule_release) struct rule rule = RULE_INIT;
    int ret = rule_parse(text, reply_names, &rule, ret_column, err);
    if (ret < 0)
        return ret;
    *ret_column = blanks + 1;
    return rule_set_add(set, &rule, err);
}

int rule_set_parse(const char *text, const char *const *reply_names, struct rule_set *ret_set,
                   struct err *err)
{
    CLEANUP(rule_set_release) struct rule_set set = RULE_SET_INIT;
    CLEANUP(buf_release) struct buf bytes = BUF_INIT;
    const char *path = text[0] == '@' ? text + 1 : NULL;
    if (!path)
        buf_add(&bytes, text);
    int ret = path ? io_read_file(AT_FDCWD, path, &bytes, RULE_SET_BYTES_MAX, err) : 0;
    if (ret == 0 && bytes.len > RULE_SET_BYTES_MAX)
        ret = err_text(err, EINVAL, "the rules have more than %d bytes", RULE_SET_BYTES_MAX);
    size_t line_number = 0;
    for (size_t at = 0, next; ret == 0 && at < bytes.len; at = next) {
        const char *line = bytes.data + at;
        const char *newline = memchr(line, '\n', bytes.len - at);
        size_t len = newline ? (size_t)(newline - line) : bytes.len - at;
        next = at + len + 1;
        line_number++;
        size_t column = 1;
        ret = add_line(&set, line, len, reply_names, &column, err);
        if (ret < 0 && path)
            err_wrap(err, ret, "%s:%zu:%zu", path, line_number, column);
        else if (ret < 0)
            err_wrap(err, ret, "rule %zu, column %zu", set.count + 1, column);
    }
    if (ret < 0)
        return ret;
    *ret_set = set;
    set = (struct rule_set)RULE_SET_INIT;
    return 0;
}
