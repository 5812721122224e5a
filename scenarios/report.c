#include "report.h"

#include <stdlib.h>
#include <string.h>

#include "report_formats.h"
#include "report_text.h"

static void print_text(FILE *out, const char *words, const char *folder)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    report_add_short(&text, words, folder);
    fprintf(out, "%s\n", buf_str(&text));
}

static void print_checks(FILE *out, const json_t *event)
{
    struct report_check *checks;
    size_t count, left_out = report_failed_checks(event, &checks, &count);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "    %s\n      expected  %s\n      found     %s\n", checks[i].id,
                checks[i].expected, checks[i].found);
    if (left_out > 0)
        fprintf(out, "    %zu more failed, as is to be expected then\n", left_out);
    report_checks_free(checks, count);
}

void report_print_kept(FILE *out, const char *folder, const char *machine)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    report_add_word(&text, folder);
    machine = *machine ? machine : "kp1";
    fprintf(out,
            "    enter     KILLPOINT_STATE=%s sh -c 'smolvm machine start --name %s && smolvm "
            "machine shell --name %s'\n",
            buf_str(&text), machine, machine);
}

static void print_row(FILE *out, const json_t *event, bool times)
{
    fprintf(out, "%-11s %s", results_text(event, "verdict"), results_text(event, "id"));
    if (times && json_object_get(event, "ms"))
        fprintf(out, "  (%.1f s)",
                (double)json_integer_value(json_object_get(event, "ms")) / 1000.0);
    if (*results_text(event, "reason"))
        fprintf(out, "  -- %s", results_text(event, "reason"));
    if (*results_text(event, "ref"))
        fprintf(out, " (%s)", results_text(event, "ref"));
    fputc('\n', out);
    if (verdict_is_fine(verdict_parse(results_text(event, "verdict"))))
        return;
    const char *folder = results_text(event, "folder");
    const json_t *run = json_array_get(json_object_get(event, "runs"), 0);
    if (*results_text(event, "error")) {
        fputs("    ", out);
        print_text(out, results_text(event, "error"), folder);
    }
    print_checks(out, event);
    if (*results_said(run)) {
        fputs("    it said   ", out);
        print_text(out, results_said(run), folder);
    }
    if (*results_text(event, "kept"))
        report_print_kept(out, results_text(event, "kept"), results_text(run, "machine"));
    if (*results_text(event, "again"))
        fprintf(out, "    again     %s\n", results_text(event, "again"));
}

static void print_counts(FILE *out, const size_t *counts)
{
    size_t fine = counts[VERDICT_PASS] + counts[VERDICT_XFAIL];
    size_t left = counts[VERDICT_SKIP] + counts[VERDICT_UNSUPPORTED];
    size_t bad = 0;
    bool first = true;
    for (int verdict = 0; verdict < VERDICT_COUNT; verdict++) {
        bad += verdict_is_fine((enum verdict)verdict) ? 0 : counts[verdict];
        if (counts[verdict] == 0)
            continue;
        fprintf(out, "%s%zu %s", first ? "" : ", ", counts[verdict],
                verdict_name((enum verdict)verdict));
        first = false;
    }
    fprintf(out, "%s\n%zu passed, %zu failed, %zu skipped\n", first ? "nothing was played" : "",
            fine, bad, left);
}

void report_print_table(FILE *out, const struct run_results *run, bool times)
{
    size_t counts[VERDICT_COUNT], own = 0, open = 0;
    fprintf(out, "backend %s: %s\n", results_text(run->begin, "backend"),
            results_text(run->begin, "title"));
    if (json_object_get(run->begin, "copied"))
        fprintf(out, RUNNER_COPIED_NOTE ": what needs more is UNSUPPORTED\n",
                results_text(run->begin, "copied"));
    for (size_t i = 0; i < run->count; i++) {
        own += run_results_has(run, i);
        open += run_results_has(run, i) && !run->events[i];
        if (run->events[i])
            print_row(out, run->events[i], times);
    }
    if (!run->end || run_results_is_interrupted(run))
        fprintf(out, "interrupted: %zu of %zu trials were not played\n", open, own);
    run_results_count(run, counts);
    print_counts(out, counts);
    if (run_results_is_nothing(run))
        fputs(RESULTS_NOTHING ": it has failed\n", out);
    size_t outdated = json_array_size(run_results_outdated(run));
    if (outdated > 0)
        fprintf(out, "%zu entries of the expectation list are outdated, so the run has failed\n",
                outdated);
}

void report_print_problems(FILE *file, const struct results *results)
{
    const char *actions = getenv("GITHUB_ACTIONS");
    for (size_t i = 0; i < results->n_runs; i++) {
        size_t index;
        json_t *entry;
        json_array_foreach(run_results_outdated(&results->runs[i]), index, entry) fprintf(
            file, "%s:%d:%d: error: %s\n", results_text(entry, "path"),
            (int)json_integer_value(json_object_get(entry, "line")),
            (int)json_integer_value(json_object_get(entry, "column")), results_text(entry, "text"));
    }
    if (actions && strcmp(actions, "true") == 0)
        report_print_annotations(file, results);
}
