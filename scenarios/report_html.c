#include "report_html.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "report_text.h"

void report_put(FILE *file, const char *words)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    report_add_html(&text, words);
    fputs(buf_str(&text), file);
}

void report_put_pair(FILE *file, const char *title, const char *element, const char *words)
{
    if (!words || !*words)
        return;
    fprintf(file, "<dt>%s</dt><dd><%s>", title, element);
    report_put(file, words);
    fprintf(file, "</%s></dd>\n", element);
}

/* --- trials against backends --------------------------------------------------------------- */

/* The rows: every trial that some run was to play, in the order of the first plan that has it. */
struct rows {
    const char **ids;
    size_t count;
};

static size_t find_row(const struct rows *rows, const char *id)
{
    size_t i = 0;
    while (i < rows->count && strcmp(rows->ids[i], id) != 0)
        i++;
    return i;
}

static void make_rows(const struct results *results, struct rows *rows)
{
    size_t room = 1;
    for (size_t i = 0; i < results->n_runs; i++)
        room += results->runs[i].count;
    *rows = (struct rows){calloc(room, sizeof *rows->ids), 0};
    if (!rows->ids)
        abort();
    for (size_t i = 0; i < results->n_runs; i++)
        for (size_t k = 0; k < results->runs[i].count; k++) {
            const char *id = run_results_id(&results->runs[i], k);
            if (run_results_has(&results->runs[i], k) && find_row(rows, id) == rows->count)
                rows->ids[rows->count++] = id;
        }
}

static size_t find_trial(const struct run_results *run, const char *id)
{
    size_t k = 0;
    while (k < run->count && strcmp(run_results_id(run, k), id) != 0)
        k++;
    return k < run->count && run_results_has(run, k) ? k : run->count;
}

static enum verdict verdict_at(const struct run_results *run, size_t k)
{
    return run->events[k] ? verdict_parse(results_text(run->events[k], "verdict")) : VERDICT_ERROR;
}

static void print_verdict(FILE *file, enum verdict verdict, size_t column, size_t k)
{
    const char *word = verdict_name(verdict);
    if (verdict == VERDICT_PASS)
        fprintf(file, "<span class=\"tag %s\">%s</span>", word, word);
    else
        fprintf(file, "<a class=\"tag %s\" href=\"#t%zu-%zu\">%s</a>", word, column, k, word);
}

static void print_cell(FILE *file, const struct results *results, size_t column, const char *id)
{
    const struct run_results *run = &results->runs[column];
    size_t k = find_trial(run, id);
    fputs("<td data-backend=\"", file);
    report_put(file, results_text(run->begin, "backend"));
    fputs("\">", file);
    if (k == run->count)
        fputs("–", file);
    else
        print_verdict(file, verdict_at(run, k), column, k);
    fputs("</td>", file);
}

static bool is_fine_row(const struct results *results, const char *id)
{
    bool fine = true;
    for (size_t i = 0; i < results->n_runs; i++) {
        size_t k = find_trial(&results->runs[i], id);
        fine &= k == results->runs[i].count || verdict_at(&results->runs[i], k) == VERDICT_PASS;
    }
    return fine;
}

/* What the scenario is called, from the first run that says so. */
static const char *title_of(const struct results *results, const char *id)
{
    for (size_t i = 0; i < results->n_runs; i++) {
        size_t k = find_trial(&results->runs[i], id);
        if (k < results->runs[i].count && results->runs[i].events[k])
            return results_text(results->runs[i].events[k], "title");
    }
    return "";
}

static void print_counts(FILE *file, const struct run_results *run)
{
    size_t counts[VERDICT_COUNT];
    run_results_count(run, counts);
    for (int verdict = 0; verdict < VERDICT_COUNT; verdict++)
        if (counts[verdict] > 0)
            fprintf(file, "<li><span class=\"tag %s\">%s</span> %zu</li>",
                    verdict_name((enum verdict)verdict), verdict_name((enum verdict)verdict),
                    counts[verdict]);
}

static void print_backends(FILE *file, const struct results *results)
{
    for (size_t i = 0; i < results->n_runs; i++) {
        const struct run_results *run = &results->runs[i];
        fputs("<h2>Backend ", file);
        report_put(file, results_text(run->begin, "backend"));
        fputs("</h2>\n<p>", file);
        report_put(file, results_text(run->begin, "title"));
        fputs("</p>\n<ul class=\"counts\">", file);
        print_counts(file, run);
        fputs("</ul>\n", file);
        if (run->shard.count > 1)
            fprintf(file, "<p>This is shard %u of %u alone.</p>\n", run->shard.number,
                    run->shard.count);
        if (!run->end || run_results_is_interrupted(run))
            fputs("<p><strong>The run was cut off: it is not whole.</strong></p>\n", file);
    }
}

static void print_matrix(FILE *file, const struct results *results)
{
    struct rows rows;
    make_rows(results, &rows);
    fputs("<h2>Scenarios and backends</h2>\n"
          "<input type=\"checkbox\" id=\"only\"><label for=\"only\">only rows that are not all "
          "PASS</label>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
          "aria-label=\"Verdicts\"><table>\n<thead><tr><th scope=\"col\">trial</th>",
          file);
    for (size_t i = 0; i < results->n_runs; i++) {
        fputs("<th scope=\"col\">", file);
        report_put(file, results_text(results->runs[i].begin, "backend"));
        fputs("</th>", file);
    }
    fputs("</tr></thead>\n<tbody>\n", file);
    for (size_t row = 0; row < rows.count; row++) {
        const char *id = rows.ids[row];
        fprintf(file, "<tr%s><th scope=\"row\"><code>",
                is_fine_row(results, id) ? " class=\"pass\"" : "");
        report_put(file, id);
        fputs("</code> <small>", file);
        report_put(file, title_of(results, id));
        fputs("</small></th>", file);
        for (size_t i = 0; i < results->n_runs; i++)
            print_cell(file, results, i, id);
        fputs("</tr>\n", file);
    }
    fputs("</tbody></table></div>\n", file);
    free(rows.ids);
}

/* --- what is behind a verdict ------------------------------------------------------------- */

static void print_checks(FILE *file, const json_t *event)
{
    struct report_check *checks;
    size_t count, left_out = report_failed_checks(event, &checks, &count);
    for (size_t i = 0; i < count; i++) {
        fputs("<dt>check ", file);
        report_put(file, checks[i].id);
        fputs("</dt><dd>expected: <code>", file);
        report_put(file, checks[i].expected);
        fputs("</code><br>found: <code>", file);
        report_put(file, checks[i].found);
        fputs("</code></dd>\n", file);
    }
    if (left_out > 0)
        fprintf(file, "<dt>more</dt><dd>%zu more failed, as is to be expected then</dd>\n",
                left_out);
    report_checks_free(checks, count);
}

static void print_calls(FILE *file, const json_t *event)
{
    size_t index;
    json_t *call;
    const json_t *calls = json_object_get(event, "calls");
    if (json_array_size(calls) == 0)
        return;
    fputs("<dt>its calls</dt><dd>", file);
    json_array_foreach(calls, index, call)
    {
        const json_t *signal = json_object_get(call, "signal");
        bool killed = json_is_integer(signal);
        fputs(index ? ", " : "", file);
        report_put(file, results_text(call, "verb"));
        fprintf(file, " (%s %d)", killed ? "signal" : "status",
                (int)json_integer_value(killed ? signal : json_object_get(call, "status")));
    }
    const json_t *left_out = json_object_get(event, "calls_left_out");
    if (left_out)
        fprintf(file, ", and %d more that are left out", (int)json_integer_value(left_out));
    fputs("</dd>\n", file);
}

static void print_trial(FILE *file, const struct run_results *run, size_t column, size_t k)
{
    const json_t *event = run->events[k];
    const json_t *runs = json_object_get(event, "runs");
    const json_t *last = json_array_get(runs, json_array_size(runs) - 1);
    const char *word = verdict_name(verdict_at(run, k));
    fprintf(file, "<details id=\"t%zu-%zu\"><summary><span class=\"tag %s\">%s</span> <code>",
            column, k, word, word);
    report_put(file, run_results_id(run, k));
    fputs("</code></summary>\n<dl>\n", file);
    report_put_pair(file, "scenario", "span", results_text(event, "title"));
    report_put_pair(file, "reason", "span", results_text(event, "reason"));
    report_put_pair(file, "error", "span",
                    event ? results_text(event, "error")
                          : "it was not played: the run was cut off");
    print_checks(file, event);
    print_calls(file, event);
    report_put_pair(file, "it said", "pre", results_said(last));
    report_put_pair(file, "again", "code", results_text(event, "again"));
    fputs("</dl></details>\n", file);
}

static void print_trials(FILE *file, const struct results *results)
{
    for (size_t i = 0; i < results->n_runs; i++) {
        const struct run_results *run = &results->runs[i];
        fputs("<h2>What is not PASS: ", file);
        report_put(file, results_text(run->begin, "backend"));
        fputs("</h2>\n", file);
        if (run_results_is_nothing(run))
            fputs("<p><span class=\"tag ERROR\">ERROR</span> " RESULTS_NOTHING "</p>\n", file);
        size_t index;
        json_t *entry;
        json_array_foreach(run_results_outdated(run), index, entry)
        {
            fputs("<p><span class=\"tag FAIL\">FAIL</span> <code>", file);
            report_put(file, results_text(entry, "path"));
            fprintf(file, ":%d</code> ", (int)json_integer_value(json_object_get(entry, "line")));
            report_put(file, results_text(entry, "text"));
            fputs("</p>\n", file);
        }
        for (size_t k = 0; k < run->count; k++)
            if (run_results_has(run, k) && verdict_at(run, k) != VERDICT_PASS)
                print_trial(file, run, i, k);
    }
}

/* --- the page ------------------------------------------------------------------------------- */

/* So that the page's own script may run, and no other. */
static void print_policy(FILE *file)
{
    unsigned char digest[EVP_MAX_MD_SIZE], text[2 * EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (EVP_Digest(report_page_script, strlen(report_page_script), digest, &len, EVP_sha256(),
                   NULL) != 1)
        abort();
    EVP_EncodeBlock(text, digest, (int)len);
    fprintf(file,
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
            "style-src 'unsafe-inline'; script-src 'sha256-%s'; base-uri 'none'; "
            "form-action 'none'\">\n",
            (const char *)text);
}

void report_print_html(FILE *file, const struct results *results)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n", file);
    print_policy(file);
    fprintf(file,
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
            "<title>killpoint</title>\n<style>\n%s</style>\n</head>\n<body>\n<main>\n"
            "<h1>killpoint</h1>\n",
            report_page_style);
    print_backends(file, results);
    if (results->n_runs > 0) {
        print_matrix(file, results);
        print_trials(file, results);
    }
    for (size_t i = 0; i < results->n_explorations; i++)
        report_print_timeline(file, results->explorations[i], i);
    fprintf(file, "</main>\n<script>%s</script>\n</body>\n</html>\n", report_page_script);
}
