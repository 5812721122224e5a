#include "explore_report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "audit_check.h"
#include "explore_cases.h"
#include "report_text.h"

#define KINDS_LISTED 6
#define RANGES_LISTED 8

static const char *const class_titles[CLASS_COUNT] = {
    [CLASS_BROKEN_STORE] = "SUCCESS CLAIMED OVER A STORE THAT SOME CLIENTS CANNOT USE",
    [CLASS_DIRTY_STORE] = "success claimed over a store that works, with dirt left in the guest",
    [CLASS_ENDED] = "the backend crashed or did not end",
    [CLASS_REFUSED] = "failure claimed",
    [CLASS_FINE] = "success claimed over a store that is as after an undisturbed install",
    [CLASS_UNKNOWN] = "nothing is known",
};

/* All cases of one outcome. */
struct row {
    enum explore_class class;
    const struct explore_case *first;
    struct buf where;
    size_t points;
};

struct rows {
    struct row *items;
    size_t count;
};

static void rows_release(struct rows *rows)
{
    for (size_t i = 0; i < rows->count; i++)
        buf_release(&rows->items[i].where);
    free(rows->items);
}

static bool is_same_row(const struct explore_case *a, const struct explore_case *b)
{
    return a->scope == b->scope && a->ending.claim == b->ending.claim && a->retried == b->retried &&
           a->ending.findings == b->ending.findings && a->healed_by == b->healed_by;
}

/* --- which points -------------------------------------------------------------------------- */

/* Whether a case of the row stands for this crash point. */
static bool is_in_row(const struct exploration *found, const struct row *row, size_t point)
{
    for (size_t i = 0; i < found->n_cases; i++)
        if (is_same_row(&found->cases[i], row->first) &&
            explore_stands_for(&found->cases[i], point))
            return true;
    return false;
}

/* "5..288, 290": the ordinals of the row's crash points. */
static void add_ranges(const struct exploration *found, struct row *row)
{
    size_t listed = 0, count = found->points.count;
    buf_add(&row->where, "points ");
    for (size_t from = 0; from < count; from++) {
        size_t to = from;
        if (!is_in_row(found, row, from))
            continue;
        while (to + 1 < count && is_in_row(found, row, to + 1))
            to++;
        if (listed++ < RANGES_LISTED) {
            buf_printf(&row->where, "%s%zu", listed > 1 ? ", " : "", from + 1);
            if (to != from)
                buf_printf(&row->where, "..%zu", to + 1);
        }
        from = to;
    }
    if (listed > RANGES_LISTED)
        buf_printf(&row->where, " and %zu more ranges", listed - RANGES_LISTED);
}

/* "COMM:PLACE 12, …": the kinds of addresses. */
static void add_kinds(const struct exploration *found, struct row *row)
{
    struct kind {
        char name[64];
        size_t n;
    } kinds[256];
    size_t n_kinds = 0;
    for (size_t i = 0; i < found->n_cases; i++) {
        const struct explore_case *item = &found->cases[i];
        if (!is_same_row(item, row->first))
            continue;
        const char *address = item->addresses[0] ? item->addresses[0] : "end";
        size_t len = explore_kind_length(address);
        char name[sizeof kinds->name];
        snprintf(name, sizeof name, "%.*s", (int)len, address);
        size_t k = 0;
        while (k < n_kinds && strcmp(kinds[k].name, name) != 0)
            k++;
        if (k == n_kinds && n_kinds < sizeof kinds / sizeof *kinds) {
            snprintf(kinds[n_kinds].name, sizeof kinds->name, "%s", name);
            kinds[n_kinds++].n = 0;
        }
        if (k < n_kinds)
            kinds[k].n++;
    }
    for (size_t k = 0; k < n_kinds && k < KINDS_LISTED; k++)
        buf_printf(&row->where, "%s%s (%zu)", k ? ", " : "", kinds[k].name, kinds[k].n);
    if (n_kinds > KINDS_LISTED)
        buf_printf(&row->where, " and %zu more kinds", n_kinds - KINDS_LISTED);
}

static void add_row(const struct exploration *found, const struct explore_case *item,
                    struct rows *rows)
{
    rows->items = realloc(rows->items, (rows->count + 1) * sizeof *rows->items);
    if (!rows->items)
        abort();
    struct row *row = &rows->items[rows->count++];
    *row = (struct row){explore_classify(&item->ending), item, BUF_INIT, 0};
    for (size_t i = 0; i < found->n_cases; i++)
        if (is_same_row(&found->cases[i], item))
            row->points += found->cases[i].stands_for;
    if (item->depth == 2)
        buf_printf(&row->where, "%zu pairs", row->points);
    else if (item->scope == EXPLORE_PROCESS)
        add_kinds(found, row);
    else
        add_ranges(found, row);
}

/* Worst class first; what stays before what heals; in their order else. */
static int by_weight(const void *a, const void *b)
{
    const struct row *one = a, *other = b;
    if (one->class != other->class)
        return one->class < other->class ? -1 : 1;
    int heals = one->first->healed_by, others = other->first->healed_by;
    if (heals != others) /* never before late before early */
        return heals == 0 ? -1 : others == 0 ? 1 : heals > others ? -1 : 1;
    return one->first < other->first ? -1 : 1;
}

static void make_rows(const struct exploration *found, struct rows *rows)
{
    for (size_t i = 0; i < found->n_cases; i++) {
        const struct explore_case *item = &found->cases[i];
        bool seen = item->ending.claim == CLAIM_NONE;
        for (size_t k = 0; k < rows->count && !seen; k++)
            seen = is_same_row(rows->items[k].first, item);
        if (!seen)
            add_row(found, item, rows);
    }
    if (rows->count > 0)
        qsort(rows->items, rows->count, sizeof *rows->items, by_weight);
}

/* --- words ------------------------------------------------------------------------------- */

void explore_add_outcome(const struct explore_case *item, struct buf *text)
{
    const struct ending *ending = &item->ending;
    switch (ending->claim) {
    case CLAIM_NONE: return;
    case CLAIM_BROKEN: buf_add(text, "unknown"); break;
    case CLAIM_TIMEOUT: buf_add(text, "it did not end in time"); break;
    case CLAIM_CRASH: buf_add(text, "it died of a signal"); break;
    case CLAIM_FAILED: buf_add(text, "failure claimed"); break;
    case CLAIM_DONE: buf_add(text, "success claimed"); break;
    }
    if (ending->claim > CLAIM_BROKEN)
        buf_add(text, item->retried ? " after a retry" : " without a retry");
    if (item->healed_by == 0)
        buf_printf(text, "; reruns heal nothing");
    else if (item->healed_by > 0)
        buf_printf(text, "; healed by rerun %d", item->healed_by);
    else if (ending->claim > CLAIM_BROKEN && !ending_is_good(ending))
        buf_add(text, "; not known whether it heals");
}

struct totals {
    size_t points[CLASS_COUNT], cases, parted, checked, reran, may_rerun;
};

static void sum_up(const struct exploration *found, struct totals *totals)
{
    *totals = (struct totals){.cases = 0};
    for (size_t i = 0; i < found->n_cases; i++) {
        const struct explore_case *item = &found->cases[i];
        if (item->ending.claim == CLAIM_NONE)
            continue;
        totals->cases++;
        totals->points[explore_classify(&item->ending)] += item->stands_for;
        totals->checked += item->was_checked;
        totals->parted += item->was_checked && !item->checked_same;
        totals->reran += item->reran;
        totals->may_rerun += item->ending.claim > CLAIM_BROKEN && !ending_is_good(&item->ending);
    }
}

static void add_scopes(unsigned scopes, struct buf *text)
{
    static const enum explore_scope all[] = {EXPLORE_TREE, EXPLORE_PROCESS, EXPLORE_TORN};
    bool first = true;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (scopes & all[i]) {
            buf_printf(text, "%s%s", first ? "" : ", ", token_scope_word(all[i]));
            first = false;
        }
}

/* What was covered, in sentences. */
static void add_coverage(const struct explore_options *options, const struct exploration *found,
                         struct buf *text)
{
    struct totals totals;
    sum_up(found, &totals);
    buf_printf(text, "%s on %s, scope ", options->backend_name, options->layout);
    add_scopes(options->scopes, text);
    buf_printf(text, "%s: %zu crash points in %zu states", options->depth == 2 ? ", two kills" : "",
               found->points.count, found->points.n_states);
    if (options->scopes & EXPLORE_PROCESS)
        buf_printf(text, ", %zu places of process scope", found->n_places);
    buf_printf(text, "; %zu of %zu cases played", totals.cases, found->n_all);
    if (options->depth == 2)
        buf_printf(text,
                   ", behind %zu first kills that were chosen, %zu of them without a second "
                   "exec",
                   found->n_seconds, found->n_no_second);
    if (exploration_open_cases(found) > 0)
        buf_printf(text,
                   found->cut_off ? ", %zu not, for it was cut off" : ", %zu not for want of time",
                   exploration_open_cases(found));
    buf_add(text, "\n");
    if (totals.may_rerun > 0)
        buf_printf(
            text,
            "%zu of the %zu that did not end well were run again to see whether they heal%s\n",
            totals.reran, totals.may_rerun,
            totals.reran < totals.may_rerun ? "; those between two that agree are as these" : "");
    if (found->no_shortcut)
        buf_printf(text, "all were executed for real: %s\n", found->no_shortcut);
    else
        buf_printf(text, "%zu states executed for real as well, %zu with another outcome\n",
                   totals.checked, totals.parted);
}

/* The worst in one sentence. */
static void add_verdict(const struct explore_options *options, const struct exploration *found,
                        struct buf *text)
{
    struct totals totals;
    sum_up(found, &totals);
    size_t all = 0;
    for (int class = 0; class < CLASS_COUNT; class ++)
        all += totals.points[class];
    if (found->cut_off)
        buf_printf(text, "This exploration was cut off: %zu of %zu cases are missing. ",
                   exploration_open_cases(found), found->n_cases);
    buf_printf(text,
               "Of %zu %s, %zu end in a claimed success over a store that some clients cannot use, "
               "%zu in one over a dirty guest, %zu in a claimed failure, %zu as if nothing had "
               "been",
               all, options->depth == 2 ? "pairs of kills" : "kills",
               totals.points[CLASS_BROKEN_STORE], totals.points[CLASS_DIRTY_STORE],
               totals.points[CLASS_REFUSED], totals.points[CLASS_FINE]);
    if (totals.points[CLASS_ENDED] > 0)
        buf_printf(text, ", %zu in a crash or not at all", totals.points[CLASS_ENDED]);
    if (totals.points[CLASS_UNKNOWN] > 0)
        buf_printf(text, ", %zu nobody knows how", totals.points[CLASS_UNKNOWN]);
    buf_add(text, ".\n");
}

void explore_add_summary(const struct explore_options *options, const struct exploration *found,
                         struct buf *text)
{
    add_verdict(options, found, text);
    add_coverage(options, found, text);
}

/* --- on a terminal --------------------------------------------------------------------------- */

static void print_findings(FILE *file, uint32_t findings, bool markdown)
{
    for (int level = AUDIT_MUST; level <= AUDIT_EXACT; level++)
        for (size_t i = 0; i < AUDIT_N_CHECKS; i++) {
            const struct audit_def *def = &audit_defs()[i];
            if ((int)def->level == level && (findings >> i & 1))
                markdown ? fprintf(file, "`%s` %s ", def->id, def->why)
                         : fprintf(file, "      %-27s %s\n", def->id, def->why);
        }
}

static void print_row(FILE *file, const struct row *row)
{
    CLEANUP(buf_release) struct buf outcome = BUF_INIT;
    const struct ending *ending = &row->first->ending;
    explore_add_outcome(row->first, &outcome);
    fprintf(file, "  %s, %s: %s\n", token_scope_word(row->first->scope), buf_str(&row->where),
            buf_str(&outcome));
    fprintf(file, "      %s\n", row->first->token);
    print_findings(file, ending->findings, false);
    if (ending->claim != CLAIM_DONE && ending->said)
        fprintf(file, "      it said: %.300s\n", ending->said);
}

void explore_print_table(FILE *file, const struct explore_options *options,
                         const struct exploration *found)
{
    CLEANUP(rows_release) struct rows rows = {NULL, 0};
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    struct totals totals;
    sum_up(found, &totals);
    make_rows(found, &rows);
    for (size_t i = 0; i < rows.count; i++) {
        enum explore_class class = rows.items[i].class;
        if (i == 0 || class != rows.items[i - 1].class)
            fprintf(file, "%s: %zu\n", class_titles[class], totals.points[class]);
        if (class != CLASS_FINE)
            print_row(file, &rows.items[i]);
    }
    fputc('\n', file);
    explore_add_summary(options, found, &text);
    fputs(buf_str(&text), file);
    for (size_t i = 0; i < found->n_cases; i++)
        if (found->cases[i].was_checked && !found->cases[i].checked_same) {
            fprintf(file, "the first of them: %s\n", found->cases[i].token);
            break;
        }
}

/* --- Markdown --------------------------------------------------------------------------------- */

static void print_markdown(FILE *file, const char *words)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    report_add_markdown(&text, words);
    fputs(buf_str(&text), file);
}

void explore_print_markdown(FILE *file, const struct explore_options *options,
                            const struct exploration *found)
{
    CLEANUP(rows_release) struct rows rows = {NULL, 0};
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    make_rows(found, &rows);
    fputs("## killpoint explore: ", file);
    print_markdown(file, options->backend_name);
    fprintf(file, " on %s\n\n", options->layout);
    add_verdict(options, found, &text);
    fprintf(file, "%s\n", buf_str(&text));
    fputs("| how it ends | kills | where | what is broken | token |\n"
          "|---|---|---|---|---|\n",
          file);
    for (size_t i = 0; i < rows.count; i++) {
        const struct row *row = &rows.items[i];
        CLEANUP(buf_release) struct buf outcome = BUF_INIT;
        explore_add_outcome(row->first, &outcome);
        fprintf(file, "| %s | %zu | %s: ", buf_str(&outcome), row->points,
                token_scope_word(row->first->scope));
        print_markdown(file, buf_str(&row->where));
        fputs(" | ", file);
        if (row->first->ending.findings == 0)
            fputs("nothing", file);
        print_findings(file, row->first->ending.findings, true);
        fputs("| <code>", file);
        print_markdown(file, row->first->token);
        fputs("</code> |\n", file);
    }
    buf_clear(&text);
    add_coverage(options, found, &text);
    fprintf(file, "\n%s", buf_str(&text));
}
