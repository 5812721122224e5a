#include "report_items.h"

#include <stdlib.h>
#include <string.h>

#include "audit_check.h"
#include "explore_report.h"
#include "report_text.h"
#include "word_json.h"

void report_checks_free(struct report_check *checks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(checks[i].expected);
        free(checks[i].found);
    }
    free(checks);
}

void report_items_release(struct report_items *items)
{
    for (size_t i = 0; i < items->count; i++) {
        struct report_item *item = &items->list[i];
        report_checks_free(item->checks, item->n_checks);
        free(item->group);
        free(item->name);
        free(item->message);
        free(item->again);
    }
    free(items->list);
}

static struct report_item *add_item(struct report_items *items)
{
    items->list = reallocarray(items->list, items->count + 1, sizeof *items->list);
    if (!items->list)
        abort();
    struct report_item *item = &items->list[items->count++];
    *item = (struct report_item){.line = 0};
    return item;
}

static char *short_text(const char *words, const char *folder)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    report_add_short(&text, words, folder);
    return io_format("%s", buf_str(&text));
}

/* --- checks ---------------------------------------------------------------------------- */

static struct report_check *add_check(struct report_check **checks, size_t *count)
{
    *checks = reallocarray(*checks, *count + 1, sizeof **checks);
    if (!*checks)
        abort();
    return &(*checks)[(*count)++];
}

/* What has to be asked of a backend that did not get to its end is no news. */
static bool is_consequence(const json_t *event, const char *id)
{
    enum verdict verdict = verdict_parse(results_text(event, "verdict"));
    return (verdict == VERDICT_CRASH || verdict == VERDICT_TIMEOUT) && strcmp(id, "claim") != 0;
}

size_t report_failed_checks(const json_t *event, struct report_check **ret_checks,
                            size_t *ret_count)
{
    const char *folder = results_text(event, "folder");
    size_t index, left_out = 0;
    json_t *check;
    *ret_checks = NULL;
    *ret_count = 0;
    json_array_foreach(json_object_get(event, "checks"), index, check)
    {
        const char *id = results_text(check, "id");
        bool decides = json_is_true(json_object_get(check, "decides"));
        if (strcmp(results_text(check, "result"), "fail") != 0 ||
            (!decides && strcmp(id, "fired") != 0 && strcmp(id, "processes") != 0))
            continue;
        if (decides && is_consequence(event, id)) {
            left_out++;
            continue;
        }
        *add_check(ret_checks, ret_count) =
            (struct report_check){id, short_text(results_text(check, "expected"), folder),
                                  short_text(results_text(check, "found"), folder)};
    }
    return left_out;
}

/* --- trials ------------------------------------------------------------------------------ */

static char *message_of(const json_t *event, const struct report_item *item)
{
    if (*results_text(event, "reason"))
        return io_format("%s", results_text(event, "reason"));
    if (*results_text(event, "error"))
        return short_text(results_text(event, "error"), results_text(event, "folder"));
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    for (size_t i = 0; item->verdict != VERDICT_PASS && i < item->n_checks; i++)
        buf_printf(&text, "%s%s: expected %s, found %s", i ? "; " : "", item->checks[i].id,
                   item->checks[i].expected, item->checks[i].found);
    return io_format("%s", buf_str(&text));
}

static void fill_trial(const json_t *event, struct report_item *item)
{
    const json_t *runs = json_object_get(event, "runs");
    const json_t *last = json_array_get(runs, json_array_size(runs) - 1);
    item->verdict = verdict_parse(results_text(event, "verdict"));
    item->ms = json_integer_value(json_object_get(event, "ms"));
    item->line = (int)json_integer_value(json_object_get(event, "line"));
    item->file = *results_text(event, "file") ? results_text(event, "file") : NULL;
    report_failed_checks(event, &item->checks, &item->n_checks);
    item->message = message_of(event, item);
    if (*results_text(event, "again"))
        item->again = io_format("%s", results_text(event, "again"));
    item->said = last && *results_said(last) ? results_said(last) : NULL;
}

/* "BACKEND on LAYOUT", from the id's end. */
static char *group_of(const struct run_results *run, const char *id)
{
    const char *layout = strrchr(id, '@');
    return io_format("%s on %s", results_text(run->begin, "backend"), layout ? layout + 1 : "");
}

static void add_trials(const struct run_results *run, struct report_items *items)
{
    for (size_t i = 0; i < run->count; i++) {
        const char *id = run_results_id(run, i);
        if (!run->events[i] && !run_results_has(run, i))
            continue;
        struct report_item *item = add_item(items);
        item->group = group_of(run, id);
        item->name = io_format("%s", id);
        item->verdict = VERDICT_ERROR;
        if (run->events[i])
            fill_trial(run->events[i], item);
        else
            item->message = io_format("it was not played: the run was cut off");
    }
}

static void add_outdated(const struct run_results *run, struct report_items *items)
{
    size_t index;
    json_t *entry;
    json_array_foreach(run_results_outdated(run), index, entry)
    {
        struct report_item *item = add_item(items);
        item->group = io_format("%s, expectations", results_text(run->begin, "backend"));
        item->file = results_text(entry, "path");
        item->line = (int)json_integer_value(json_object_get(entry, "line"));
        item->name = io_format("%s:%d", item->file, item->line);
        item->verdict = VERDICT_FAIL;
        item->message = io_format("%s", results_text(entry, "text"));
    }
}

static void add_nothing(const struct run_results *run, struct report_items *items)
{
    if (!run_results_is_nothing(run))
        return;
    struct report_item *item = add_item(items);
    item->group = io_format("%s, the run", results_text(run->begin, "backend"));
    item->name = io_format("nothing was judged");
    item->verdict = VERDICT_ERROR;
    item->message = io_format(RESULTS_NOTHING);
}

/* --- explorations --------------------------------------------------------------------------- */

static enum verdict case_verdict(const struct explore_case *item)
{
    switch (explore_classify(&item->ending)) {
    case CLASS_UNKNOWN: return VERDICT_ERROR;
    case CLASS_ENDED: return item->ending.claim == CLAIM_CRASH ? VERDICT_CRASH : VERDICT_TIMEOUT;
    default: return explore_is_finding(item) ? VERDICT_FAIL : VERDICT_PASS;
    }
}

/* The line to paste; a backend behind -- is given again. */
static char *replay_line(const struct explored *explored, const struct explore_case *item)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    const json_t *command = json_object_get(json_array_get(explored->lines, 0), "command");
    size_t index;
    json_t *word;
    buf_add(&text, "killpoint replay ");
    report_add_word(&text, item->token);
    json_array_foreach(command, index, word)
    {
        buf_add(&text, index ? " " : " -- ");
        CLEANUP(buf_release) struct buf bytes = BUF_INIT;
        word_json_read(word, &bytes);
        report_add_word(&text, buf_str(&bytes));
    }
    return io_format("%s", buf_str(&text));
}

static void fill_case(const struct explored *explored, const struct explore_case *from,
                      struct report_item *item)
{
    CLEANUP(buf_release) struct buf outcome = BUF_INIT;
    explore_add_outcome(from, &outcome);
    item->name = io_format("%s", from->token);
    item->verdict = case_verdict(from);
    item->message = io_format("%s", item->verdict == VERDICT_PASS ? "" : buf_str(&outcome));
    item->again = replay_line(explored, from);
    item->said = from->ending.said;
    for (size_t i = 0; i < AUDIT_N_CHECKS; i++) {
        const struct audit_def *def = &audit_defs()[i];
        if (!(from->ending.findings >> i & 1))
            continue;
        char *found = def->level == AUDIT_EXACT && from->ending.diff
                          ? io_format("%s", from->ending.diff)
                          : io_format("not so: %s", def->why);
        *add_check(&item->checks, &item->n_checks) =
            (struct report_check){def->id, io_format("%s", def->expected), found};
    }
}

static void add_cases(const struct explored *explored, struct report_items *items)
{
    const struct exploration *found = &explored->found;
    for (size_t i = 0; i < found->n_cases; i++) {
        if (found->cases[i].ending.claim == CLAIM_NONE)
            continue;
        struct report_item *item = add_item(items);
        item->group = io_format("%s on %s, explored", explored->options.backend_name,
                                explored->options.layout);
        fill_case(explored, &found->cases[i], item);
    }
    if (!found->cut_off)
        return;
    struct report_item *item = add_item(items);
    item->group =
        io_format("%s on %s, explored", explored->options.backend_name, explored->options.layout);
    item->name = io_format("cut off");
    item->verdict = VERDICT_ERROR;
    item->message = io_format("%zu of %zu cases were not played: the exploration was cut off",
                              exploration_open_cases(found), found->n_cases);
}

void report_items_make(const struct results *results, struct report_items *ret_items)
{
    *ret_items = (struct report_items){NULL, 0};
    for (size_t i = 0; i < results->n_runs; i++) {
        add_trials(&results->runs[i], ret_items);
        add_outdated(&results->runs[i], ret_items);
        add_nothing(&results->runs[i], ret_items);
    }
    for (size_t i = 0; i < results->n_explorations; i++)
        add_cases(results->explorations[i], ret_items);
}
