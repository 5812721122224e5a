#include "rule.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <string.h>

const char *const rule_key_words[] = {"ms",     "since",  "path",    "comm",  "when",  "per",
                                      "timing", "signal", "persist", "error", "delay", "status",
                                      "reply",  "scope",  "lose",    NULL};
const char *const rule_call_words[] = {"exec", "start", "cp", "stop", NULL};
const char *const rule_place_words[] = {"begin", "end", "at", "spawn", "exit", "pipewrite", NULL};
const char *const rule_since_words[] = {"exec", "start", NULL};
const char *const rule_per_words[] = {"tree", "process", NULL};
const char *const rule_timing_words[] = {"before", "after", NULL};
const char *const rule_scope_words[] = {"tree", "process", "init", "vm", "client", NULL};

void rule_release(struct rule *rule)
{
    io_free(&rule->path_glob);
    io_free(&rule->comm);
    io_free(&rule->reply);
}

static void print_encoded(const char *key, const char *value, struct buf *text)
{
    if (!value)
        return;
    buf_printf(text, ":%s=", key);
    buf_add_encoded(text, value);
}

static void print_place(const struct rule *rule, struct buf *text)
{
    if (rule->call != RULE_EXEC || rule->call_nth) {
        buf_add(text, rule_call_words[rule->call]);
        if (rule->call_nth)
            buf_printf(text, "#%" PRIu32, rule->call_nth);
        buf_add(text, " ");
    }
    if (rule->place != RULE_OPERATION)
        buf_add(text, rule_place_words[rule->place]);
    const char *comma = "";
    for (unsigned op = 0; rule->place == RULE_OPERATION && op < OP_COUNT; op++) {
        if (rule->ops & OP_BIT(op)) {
            buf_printf(text, "%s%s", comma, op_name((enum op)op));
            comma = ",";
        }
    }
    if (rule->place == RULE_AT)
        buf_printf(text, ":ms=%" PRId64, rule->at_ms);
    if (rule->since != RULE_SINCE_EXEC)
        buf_printf(text, ":since=%s", rule_since_words[rule->since]);
}

static void print_when(const struct rule_when *when, struct buf *text)
{
    if (when->first == 1 && when->last == UINT32_MAX && when->step == 1)
        return;
    buf_printf(text, ":when=%" PRIu32, when->first);
    if (when->last != UINT32_MAX && when->last != when->first)
        buf_printf(text, "..%" PRIu32, when->last);
    if (when->last == UINT32_MAX || when->step != 1)
        buf_printf(text, "+%" PRIu32, when->step);
}

static void print_action(const struct rule *rule, struct buf *text)
{
    switch (rule->action) {
    case RULE_SIGNAL:
        if (rule->signal != SIGKILL)
            buf_printf(text, ":signal=%s", sigabbrev_np(rule->signal));
        if (rule->persist_bytes >= 0)
            buf_printf(text, ":persist=%" PRId64, rule->persist_bytes);
        break;
    case RULE_ERROR: buf_printf(text, ":error=%s", op_errno_name(rule->errnum)); break;
    case RULE_DELAY: buf_printf(text, ":delay=%" PRId64, rule->delay_ms); break;
    case RULE_STATUS: buf_printf(text, ":status=%d", rule->status); break;
    case RULE_REPLY: buf_printf(text, ":reply=%s", rule->reply); break;
    }
}

void rule_print(const struct rule *rule, struct buf *text)
{
    print_place(rule, text);
    print_encoded("path", rule->path_glob, text);
    print_encoded("comm", rule->comm, text);
    print_when(&rule->when, text);
    if (rule->per != RULE_PER_TREE)
        buf_printf(text, ":per=%s", rule_per_words[rule->per]);
    if (rule->timing != RULE_BEFORE)
        buf_printf(text, ":timing=%s", rule_timing_words[rule->timing]);
    print_action(rule, text);
    if (rule->scope != RULE_TREE)
        buf_printf(text, ":scope=%s", rule_scope_words[rule->scope]);
    if (rule->lose_all)
        buf_add(text, ":lose=all");
}

bool rule_same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool when_equal(const struct rule_when *a, const struct rule_when *b)
{
    return a->first == b->first && a->last == b->last && a->step == b->step;
}

bool rule_equal(const struct rule *a, const struct rule *b)
{
    return a->call == b->call && a->call_nth == b->call_nth && a->place == b->place &&
           a->ops == b->ops && a->at_ms == b->at_ms && a->since == b->since &&
           rule_same_text(a->path_glob, b->path_glob) && rule_same_text(a->comm, b->comm) &&
           when_equal(&a->when, &b->when) && a->per == b->per && a->timing == b->timing &&
           a->action == b->action && a->signal == b->signal &&
           a->persist_bytes == b->persist_bytes && a->errnum == b->errnum &&
           a->delay_ms == b->delay_ms && a->status == b->status &&
           rule_same_text(a->reply, b->reply) && a->scope == b->scope && a->lose_all == b->lose_all;
}

bool rule_in_call(const struct rule *rule, enum rule_call call, uint32_t nth)
{
    return rule->call == call && (rule->call_nth == 0 || rule->call_nth == nth);
}

bool rule_matches(const struct rule *rule, const char *path, const char *comm)
{
    if (rule->comm && !rule_same_text(rule->comm, comm))
        return false;
    return !rule->path_glob || (path && fnmatch(rule->path_glob, path, FNM_PATHNAME) == 0);
}

bool rule_when_has(const struct rule_when *when, uint64_t n)
{
    return n >= when->first && (when->last == UINT32_MAX || n <= when->last) &&
           (n - when->first) % when->step == 0;
}

/* The inverse of a modulo m, where they have no common divisor. */
static int64_t inverse_modulo(int64_t a, int64_t m)
{
    int64_t rest = m, next = a % m, x = 0, next_x = 1;
    while (next > 0) {
        int64_t times = rest / next;
        int64_t new_rest = rest - times * next, new_x = x - times * next_x;
        rest = next;
        next = new_rest;
        x = next_x;
        next_x = new_x;
    }
    return ((x % m) + m) % m;
}

bool rule_when_meets(const struct rule_when *a, const struct rule_when *b)
{
    if (a->first > b->first)
        return rule_when_meets(b, a);
    int64_t common = a->step, step_b = b->step;
    while (step_b > 0) {
        int64_t rest = common % step_b;
        common = step_b;
        step_b = rest;
    }
    int64_t gap = (int64_t)b->first - a->first;
    if (gap % common != 0)
        return false;
    /* The smallest number of b's row that is in a's: the steps' remainder theorem. */
    int64_t modulo_a = a->step / common, modulo_b = b->step / common;
    int64_t steps = gap / common % modulo_b * inverse_modulo(modulo_a, modulo_b) % modulo_b;
    int64_t number = a->first + a->step * steps;
    int64_t period = a->step * modulo_b;
    if (number < b->first)
        number += (b->first - number + period - 1) / period * period;
    int64_t last_a = a->last == UINT32_MAX ? INT64_MAX : a->last;
    int64_t last_b = b->last == UINT32_MAX ? INT64_MAX : b->last;
    return number <= last_a && number <= last_b;
}
