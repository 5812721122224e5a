#include "report_formats.h"

#include <string.h>

#include "explore_report.h"
#include "report_text.h"

static void print_cell(FILE *file, const char *words)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    report_add_markdown(&text, words);
    fprintf(file, " %s |", buf_str(&text));
}

/* One table: of what is bad, or of what is known to be. */
static void print_rows(FILE *file, const struct report_items *items, bool bad)
{
    for (size_t i = 0; i < items->count; i++) {
        const struct report_item *item = &items->list[i];
        bool known = item->verdict == VERDICT_XFAIL || item->verdict == VERDICT_SKIP;
        if (bad ? verdict_is_fine(item->verdict) : !known)
            continue;
        CLEANUP(buf_release) struct buf message = BUF_INIT;
        report_add_short(&message, item->message, "");
        fputs("|", file);
        print_cell(file, verdict_name(item->verdict));
        print_cell(file, item->name);
        print_cell(file, buf_str(&message));
        if (bad)
            print_cell(file, item->again ? item->again : "");
        fputc('\n', file);
    }
}

static size_t count_verdicts(const struct report_items *items, bool bad)
{
    size_t count = 0;
    for (size_t i = 0; i < items->count; i++) {
        enum verdict verdict = items->list[i].verdict;
        count +=
            bad ? !verdict_is_fine(verdict) : verdict == VERDICT_XFAIL || verdict == VERDICT_SKIP;
    }
    return count;
}

static void print_counts(FILE *file, const struct report_items *items)
{
    bool first = true;
    for (int verdict = 0; verdict < VERDICT_COUNT; verdict++) {
        size_t count = 0;
        for (size_t i = 0; i < items->count; i++)
            count += items->list[i].verdict == (enum verdict)verdict;
        if (count == 0)
            continue;
        fprintf(file, "%s%zu %s", first ? "" : ", ", count, verdict_name((enum verdict)verdict));
        first = false;
    }
    fputs(first ? "nothing was played\n" : "\n", file);
}

static void print_run(FILE *file, const struct run_results *run)
{
    struct report_items items;
    CLEANUP(buf_release) struct buf title = BUF_INIT;
    report_items_make(&(struct results){.runs = (struct run_results *)(uintptr_t)run, .n_runs = 1},
                      &items);
    report_add_markdown(&title, results_text(run->begin, "backend"));
    buf_add(&title, ": ");
    report_add_markdown(&title, results_text(run->begin, "title"));
    fprintf(file, "## killpoint: backend %s\n\n", buf_str(&title));
    print_counts(file, &items);
    if (count_verdicts(&items, true) > 0) {
        fputs("\n| verdict | trial | what is wrong | again |\n|---|---|---|---|\n", file);
        print_rows(file, &items, true);
    }
    if (count_verdicts(&items, false) > 0) {
        fprintf(file, "\n<details><summary>%zu known not to be right</summary>\n\n",
                count_verdicts(&items, false));
        fputs("| verdict | trial | reason |\n|---|---|---|\n", file);
        print_rows(file, &items, false);
        fputs("\n</details>\n", file);
    }
    report_items_release(&items);
}

void report_print_markdown(FILE *file, const struct results *results)
{
    for (size_t i = 0; i < results->n_runs; i++) {
        fputs(i ? "\n" : "", file);
        print_run(file, &results->runs[i]);
    }
    for (size_t i = 0; i < results->n_explorations; i++) {
        const struct explored *explored = results->explorations[i];
        fputs(i + results->n_runs ? "\n" : "", file);
        explore_print_markdown(file, &explored->options, &explored->found);
    }
}

void report_print_annotations(FILE *file, const struct results *results)
{
    struct report_items items;
    report_items_make(results, &items);
    for (size_t i = 0; i < items.count; i++) {
        const struct report_item *item = &items.list[i];
        CLEANUP(buf_release) struct buf text = BUF_INIT;
        CLEANUP(io_free) char *title = io_format("%s %s", verdict_name(item->verdict), item->name);
        if (verdict_is_fine(item->verdict))
            continue;
        buf_add(&text, "::error ");
        if (item->file) {
            buf_add(&text, "file=");
            report_add_property(&text, item->file);
            buf_printf(&text, ",line=%d,", item->line > 0 ? item->line : 1);
        }
        buf_add(&text, "title=");
        report_add_property(&text, title);
        buf_add(&text, "::");
        report_add_message(&text, *item->message ? item->message : verdict_name(item->verdict));
        fprintf(file, "%s\n", buf_str(&text));
    }
    report_items_release(&items);
}
