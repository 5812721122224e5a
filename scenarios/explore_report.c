#include "explore_report.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "audit_check.h"

static const char *const class_titles[CLASS_COUNT] = {
    [CLASS_BROKEN_STORE] = "SUCCESS CLAIMED OVER A BROKEN STORE",
    [CLASS_DIRTY_STORE] = "success claimed over a dirty store",
    [CLASS_ENDED] = "the backend crashed or did not end",
    [CLASS_REFUSED] = "failure claimed",
    [CLASS_FINE] = "success, and nothing is wrong",
    [CLASS_UNKNOWN] = "nothing is known",
};
static const char *const class_words[CLASS_COUNT] = {"broken",  "dirty", "ended",
                                                     "refused", "fine",  "unknown"};
static const char *const claim_words[] = {"unknown", "timeout", "crash", "failure", "success"};

enum explore_class explore_classify(const struct ending *ending)
{
    switch (ending->claim) {
    case CLAIM_BROKEN: return CLASS_UNKNOWN;
    case CLAIM_TIMEOUT:
    case CLAIM_CRASH: return CLASS_ENDED;
    case CLAIM_FAILED: return CLASS_REFUSED;
    case CLAIM_DONE: break;
    }
    if (ending->findings & explore_level_mask(AUDIT_MUST))
        return CLASS_BROKEN_STORE;
    return ending->findings ? CLASS_DIRTY_STORE : CLASS_FINE;
}

static const char *scope_word(enum explore_scope scope)
{
    return scope == EXPLORE_TREE ? "tree" : scope == EXPLORE_TORN ? "torn" : "process";
}

static void print_token(FILE *file, const struct explore_options *options,
                        const struct exploration *exploration, const struct explore_names *names,
                        const struct explore_case *item)
{
    fprintf(file, "kp1:%s:%s:%s:%s#%" PRIu32 ":%s:%s", names->layout_digest,
            exploration->points.trace, names->backend_digest, rule_call_words[options->call],
            options->nth, scope_word(item->scope), item->address ? item->address : "end");
    if (item->persist_bytes >= 0)
        fprintf(file, "+%" PRId64, item->persist_bytes);
}

static bool is_same_row(const struct explore_case *a, const struct explore_case *b)
{
    return a->scope == b->scope && a->ending.claim == b->ending.claim &&
           a->ending.findings == b->ending.findings && a->healed_by == b->healed_by;
}

static void print_findings(FILE *file, uint32_t findings)
{
    for (int level = AUDIT_MUST; level <= AUDIT_EXACT; level++)
        for (size_t i = 0; i < AUDIT_N_CHECKS; i++) {
            const struct audit_def *def = &audit_defs()[i];
            if ((int)def->level == level && (findings >> i & 1))
                fprintf(file, "      %-26s %s\n", def->id, def->why);
        }
}

static void print_row(FILE *file, const struct explore_options *options,
                      const struct exploration *exploration, const struct explore_names *names,
                      size_t from, size_t to)
{
    const struct explore_case *first = &exploration->cases[from];
    size_t points = 0;
    for (size_t i = from; i <= to; i++)
        points += exploration->cases[i].stands_for;
    if (first->scope == EXPLORE_TREE) {
        uint64_t a = exploration->points.items[first->point].ordinal;
        uint64_t b = exploration->points.items[exploration->cases[to].point].ordinal;
        fprintf(file, "  points %" PRIu64 "..%" PRIu64 " (%zu)", a, b, points);
    } else
        fprintf(file, "  %s, %zu place%s", scope_word(first->scope), points,
                points == 1 ? "" : "s");
    if (first->healed_by == 0)
        fputs(": permanent", file);
    else if (first->healed_by > 0)
        fprintf(file, ": healed by rerun %d", first->healed_by);
    fputs("\n      at ", file);
    print_token(file, options, exploration, names, first);
    fputc('\n', file);
    print_findings(file, first->ending.findings);
    if (first->ending.claim != CLAIM_DONE && first->ending.said)
        fprintf(file, "      it said: %.300s\n", first->ending.said);
}

void explore_print_table(FILE *file, const struct explore_options *options,
                         const struct exploration *exploration, const struct explore_names *names)
{
    size_t points[CLASS_COUNT] = {0}, cases[CLASS_COUNT] = {0}, permanent = 0;
    for (size_t i = 0; i < exploration->n_cases; i++) {
        const struct explore_case *item = &exploration->cases[i];
        enum explore_class class = explore_classify(&item->ending);
        points[class] += item->stands_for;
        cases[class]++;
        permanent += item->healed_by == 0 ? item->stands_for : 0;
    }
    for (int class = 0; class < CLASS_COUNT; class ++) {
        if (cases[class] == 0)
            continue;
        fprintf(file, "%s: %zu points, %zu played\n", class_titles[class], points[class],
                cases[class]);
        for (size_t i = 0; class != CLASS_FINE && i < exploration->n_cases; i++) {
            size_t to = i;
            if ((int)explore_classify(&exploration->cases[i].ending) != class)
                continue;
            while (to + 1 < exploration->n_cases &&
                   is_same_row(&exploration->cases[i], &exploration->cases[to + 1]))
                to++;
            print_row(file, options, exploration, names, i, to);
            i = to;
        }
    }
    fprintf(file,
            "%s on %s: %zu crash points in %zu states, %zu places of process scope; %zu points "
            "leave damage that two reruns do not heal\n",
            names->backend, names->layout, exploration->points.count, exploration->points.n_states,
            exploration->n_places, permanent);
    fprintf(file, "%zu states executed for real as well, %zu with another outcome\n",
            exploration->checked, exploration->parted);
    if (exploration->parted_at)
        fprintf(file, "the first of them: %s\n", exploration->parted_at);
}

static json_t *findings_json(uint32_t findings)
{
    json_t *list = json_array();
    for (size_t i = 0; i < AUDIT_N_CHECKS; i++)
        if (findings >> i & 1)
            json_array_append_new(list, json_string(audit_defs()[i].id));
    return list;
}

static bool print_line(FILE *file, json_t *json)
{
    char *line = json ? json_dumps(json, JSON_COMPACT) : NULL;
    bool good = line && fprintf(file, "%s\n", line) > 0;
    free(line);
    json_decref(json);
    return good;
}

bool explore_print_events(FILE *file, const struct explore_options *options,
                          const struct exploration *exploration, const struct explore_names *names)
{
    bool good = true;
    for (size_t i = 0; i < exploration->n_cases; i++) {
        const struct explore_case *item = &exploration->cases[i];
        char *token = NULL;
        size_t len;
        FILE *memory = open_memstream(&token, &len);
        if (!memory)
            abort();
        print_token(memory, options, exploration, names, item);
        fclose(memory);
        json_t *event = json_pack(
            "{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:i, s:o}", "event", "case", "token", token,
            "scope", scope_word(item->scope), "class", class_words[explore_classify(&item->ending)],
            "claim", claim_words[item->ending.claim], "execs", (json_int_t)item->ending.execs,
            "points", (json_int_t)item->stands_for, "healed_by", item->healed_by, "findings",
            findings_json(item->ending.findings));
        free(token);
        good = print_line(file, event) && good;
    }
    json_t *end = json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I}", "event", "end", "backend", names->backend,
        "layout", names->layout, "trace", exploration->points.trace, "points",
        (json_int_t)exploration->points.count, "states", (json_int_t)exploration->points.n_states,
        "checked", (json_int_t)exploration->checked, "parted", (json_int_t)exploration->parted);
    return print_line(file, end) && good && fflush(file) == 0;
}
