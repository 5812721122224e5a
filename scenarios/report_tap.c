#include "report_formats.h"

#include <stdlib.h>
#include <string.h>

#include "report_text.h"

/* One line, with what would begin a directive escaped. */
static void print_description(FILE *file, const char *words)
{
    CLEANUP(buf_release) struct buf clean = BUF_INIT;
    report_add_clean(&clean, words);
    for (const char *at = buf_str(&clean); *at; at++) {
        if (*at == '#' || *at == '\\')
            fputc('\\', file);
        fputc(*at == '\n' || *at == '\t' ? ' ' : *at, file);
    }
}

/* A JSON text is a YAML one. */
static void print_value(FILE *file, const char *key, const char *words)
{
    CLEANUP(buf_release) struct buf clean = BUF_INIT;
    report_add_clean(&clean, words);
    json_t *value = json_string(buf_str(&clean));
    char *text = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
    fprintf(file, "%s: %s\n", key, text ? text : "\"\"");
    free(text);
    json_decref(value);
}

static void print_block(FILE *file, const struct report_item *item)
{
    fputs("  ---\n", file);
    print_value(file, "  verdict", verdict_name(item->verdict));
    print_value(file, "  message", item->message);
    if (item->n_checks > 0)
        fputs("  failed:\n", file);
    for (size_t i = 0; i < item->n_checks; i++) {
        print_value(file, "    - check", item->checks[i].id);
        print_value(file, "      expected", item->checks[i].expected);
        print_value(file, "      found", item->checks[i].found);
    }
    if (item->again)
        print_value(file, "  again", item->again);
    fputs("  ...\n", file);
}

static void print_item(FILE *file, const struct report_item *item, size_t number)
{
    enum verdict verdict = item->verdict;
    bool ok = verdict_is_fine(verdict) && verdict != VERDICT_XFAIL;
    fprintf(file, "%s %zu - ", ok ? "ok" : "not ok", number);
    print_description(file, item->group);
    fputs(": ", file);
    print_description(file, item->name);
    if (verdict_is_fine(verdict) && verdict != VERDICT_PASS) {
        fprintf(file, " # %s ", verdict == VERDICT_XFAIL ? "TODO" : "SKIP");
        print_description(file, item->message);
    }
    fputc('\n', file);
    if (!ok)
        print_block(file, item);
}

void report_print_tap(FILE *file, const struct results *results)
{
    struct report_items items;
    report_items_make(results, &items);
    fprintf(file, "TAP version 14\n1..%zu\n", items.count);
    for (size_t i = 0; i < items.count; i++)
        print_item(file, &items.list[i], i + 1);
    report_items_release(&items);
}
