#include <stdlib.h>
#include <string.h>

#include "audit_check.h"
#include "explore_cases.h"
#include "explore_report.h"
#include "report_html.h"

/* Never by colour alone. */
static const char *const letters[CLASS_COUNT] = {
    [CLASS_BROKEN_STORE] = "B", [CLASS_DIRTY_STORE] = "D", [CLASS_ENDED] = "X",
    [CLASS_REFUSED] = "R",      [CLASS_FINE] = "✓",        [CLASS_UNKNOWN] = "?"};

static const char *address_of(const struct explore_case *item, size_t k)
{
    return item->addresses[k] ? item->addresses[k] : "end";
}

static const char *class_word(const struct explore_case *item)
{
    return explore_class_word(explore_classify(&item->ending));
}

/* --- the line ------------------------------------------------------------------------------ */

static void print_link(FILE *file, size_t index, size_t number, const struct explore_case *item,
                       const char *where)
{
    fprintf(file, "<li><a class=\"tag %s\" href=\"#x%zu-%zu\" title=\"%s: ", class_word(item),
            index, number, class_word(item));
    report_put(file, where);
    fprintf(file, "\">%s</a></li>", letters[explore_classify(&item->ending)]);
}

/* One of each crash point, in the order of the recorded call. */
static void print_points(FILE *file, const struct explored *explored, size_t index)
{
    const struct exploration *found = &explored->found;
    for (size_t point = 0; point < found->points.count; point++) {
        const struct crash_point *at = &found->points.items[point];
        size_t i = 0;
        while (i < found->n_cases && (found->cases[i].ending.claim == CLAIM_NONE ||
                                      found->cases[i].scope != EXPLORE_TREE ||
                                      !explore_stands_for(&found->cases[i], point)))
            i++;
        CLEANUP(io_free)
        char *where = io_format("point %zu, %s", point + 1, at->address ? at->address : "end");
        if (i < found->n_cases) {
            print_link(file, index, i, &found->cases[i], where);
            continue;
        }
        fputs("<li><span class=\"tag\" title=\"not played: ", file);
        report_put(file, where);
        fputs("\">–</span></li>", file);
    }
}

static void print_cases(FILE *file, const struct explored *explored, size_t index,
                        enum explore_scope scope)
{
    const struct exploration *found = &explored->found;
    for (size_t i = 0; i < found->n_cases; i++) {
        const struct explore_case *item = &found->cases[i];
        if (item->ending.claim == CLAIM_NONE || item->scope != scope)
            continue;
        CLEANUP(io_free)
        char *where = item->depth == 2
                          ? io_format("%s, then %s", address_of(item, 0), address_of(item, 1))
                          : io_format("%s", address_of(item, 0));
        print_link(file, index, i, item, where);
    }
}

static void print_line(FILE *file, const struct explored *explored, size_t index,
                       enum explore_scope scope)
{
    const struct explore_options *options = &explored->options;
    bool pairs = options->depth == 2, points = scope == EXPLORE_TREE && !pairs;
    if (!(options->scopes & scope))
        return;
    fprintf(file, "<h3>%s</h3>\n<ol class=\"line\">",
            pairs                      ? "Pairs of kills"
            : scope == EXPLORE_TREE    ? "Crash points, the whole tree killed"
            : scope == EXPLORE_PROCESS ? "Places where one process is killed"
                                       : "Writes that are torn");
    if (points)
        print_points(file, explored, index);
    else
        print_cases(file, explored, index, scope);
    fputs("</ol>\n<div class=\"panel\" aria-live=\"polite\"></div>\n", file);
}

/* --- behind each -------------------------------------------------------------------------- */

static void print_where(FILE *file, const struct explored *explored,
                        const struct explore_case *item)
{
    const struct crash_points *points = &explored->found.points;
    fputs("<dt>killed at</dt><dd><ul>", file);
    for (size_t i = 0; item->scope == EXPLORE_TREE && i < points->count; i++)
        if (explore_stands_for(item, i)) {
            fprintf(file, "<li>point %zu, <code>", i + 1);
            report_put(file, points->items[i].address ? points->items[i].address : "end");
            fputs("</code></li>", file);
        }
    for (size_t k = item->scope == EXPLORE_TREE; k < item->depth; k++) {
        fputs(k ? "<li>then <code>" : "<li><code>", file);
        report_put(file, address_of(item, k));
        fputs("</code></li>", file);
    }
    if (item->persist_bytes >= 0)
        fprintf(file, "<li>after %lld bytes of the write</li>", (long long)item->persist_bytes);
    fputs("</ul></dd>\n", file);
}

static void print_findings(FILE *file, const struct ending *ending)
{
    if (ending->findings == 0)
        return;
    fputs("<dt>broken</dt><dd><ul>", file);
    for (size_t i = 0; i < AUDIT_N_CHECKS; i++)
        if (ending->findings >> i & 1)
            fprintf(file, "<li><code>%s</code> %s</li>", audit_defs()[i].id, audit_defs()[i].why);
    fputs("</ul></dd>\n", file);
}

/* The audit lists what differs with "; " between. */
static void print_diff(FILE *file, const char *diff)
{
    if (!diff)
        return;
    fputs("<dt>the guest, against an undisturbed install</dt><dd><ul>", file);
    for (const char *at = diff; *at;) {
        const char *end = strstr(at, "; ");
        size_t len = end ? (size_t)(end - at) : strlen(at);
        CLEANUP(io_free) char *one = io_format("%.*s", (int)len, at);
        fputs("<li><code>", file);
        report_put(file, one);
        fputs("</code></li>", file);
        at += len + (end ? 2 : 0);
    }
    fputs("</ul></dd>\n", file);
}

static void print_case(FILE *file, const struct explored *explored, size_t index, size_t number)
{
    const struct explore_case *item = &explored->found.cases[number];
    CLEANUP(buf_release) struct buf outcome = BUF_INIT;
    explore_add_outcome(item, &outcome);
    fprintf(file, "<details id=\"x%zu-%zu\"><summary><span class=\"tag %s\">%s %s</span> %s <code>",
            index, number, class_word(item), letters[explore_classify(&item->ending)],
            class_word(item), token_scope_word(item->scope));
    report_put(file, address_of(item, 0));
    if (item->depth == 2) {
        fputs("</code>, then <code>", file);
        report_put(file, address_of(item, 1));
    }
    fputs("</code></summary>\n<dl>\n", file);
    report_put_pair(file, "outcome", "span", buf_str(&outcome));
    print_where(file, explored, item);
    print_findings(file, &item->ending);
    print_diff(file, item->ending.diff);
    if (item->ending.claim != CLAIM_DONE)
        report_put_pair(file, "it said", "code", item->ending.said);
    report_put_pair(file, "token, for <code>killpoint replay</code>", "code", item->token);
    fputs("</dl></details>\n", file);
}

static void print_legend(FILE *file, const struct exploration *found)
{
    fputs("<ul class=\"counts\">", file);
    for (int class = 0; class < CLASS_COUNT; class ++) {
        size_t points = 0;
        for (size_t i = 0; i < found->n_cases; i++)
            if (found->cases[i].ending.claim != CLAIM_NONE &&
                explore_classify(&found->cases[i].ending) == (enum explore_class) class)
                points += found->cases[i].stands_for;
        const char *word = explore_class_word((enum explore_class) class);
        if (points > 0)
            fprintf(file, "<li><span class=\"tag %s\">%s %s</span> %zu</li>", word, letters[class],
                    word, points);
    }
    fputs("</ul>\n", file);
}

void report_print_timeline(FILE *file, const struct explored *explored, size_t index)
{
    static const enum explore_scope scopes[] = {EXPLORE_TREE, EXPLORE_TORN, EXPLORE_PROCESS};
    const struct exploration *found = &explored->found;
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    fputs("<h2>Every crash point of ", file);
    report_put(file, explored->options.backend_name);
    fputs(" on ", file);
    report_put(file, explored->options.layout);
    fputs("</h2>\n<p class=\"lines\">", file);
    explore_add_summary(&explored->options, found, &text);
    report_put(file, buf_str(&text));
    fputs("</p>\n", file);
    print_legend(file, found);
    for (size_t i = 0; i < sizeof scopes / sizeof *scopes; i++)
        print_line(file, explored, index, scopes[i]);
    fputs("<h3>Each in words</h3>\n", file);
    for (size_t i = 0; i < found->n_cases; i++)
        if (found->cases[i].ending.claim != CLAIM_NONE)
            print_case(file, explored, index, i);
}
