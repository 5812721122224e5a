#include "report.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Bytes of a text on the terminal, from its start and its end; the results have all. */
#define HEAD_MAX 100
#define TAIL_MAX 200

void report_release(struct report *report)
{
    for (size_t i = 0; report->events && i < report->trials->count; i++)
        json_decref(report->events[i]);
    free(report->events);
    report->events = NULL;
}

static const char *text(json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value ? value : "";
}

void report_event(struct report *report, json_t *event)
{
    if (report->results) {
        char *line = json_dumps(event, JSON_COMPACT);
        if (!line || fprintf(report->results, "%s\n", line) < 0 || fflush(report->results) != 0)
            report->failed_to_write = true;
        free(line);
    }
    const char *id = text(event, "id");
    for (size_t i = 0; i < report->trials->count; i++)
        if (strcmp(report->trials->items[i].id, id) == 0 && !report->events[i]) {
            report->events[i] = json_incref(event);
            return;
        }
}

void report_progress(struct report *report, size_t done, size_t total, size_t bad)
{
    (void)report;
    fprintf(stderr, "\r\033[K  %zu of %zu trials, %zu bad", done, total, bad);
}

/* Where a character starts, at this byte or behind it. */
static size_t character_start(const struct buf *line, size_t at)
{
    while (at < line->len && ((unsigned char)line->data[at] & 0xc0) == 0x80)
        at++;
    return at;
}

/*
 * One line, and not a screenful: of what is longer the start and the end, where the last
 * words of a program stand. The trial's folder, which no two runs share, is written as TRIAL.
 */
static void print_text(FILE *out, const char *words, const char *folder)
{
    CLEANUP(buf_release) struct buf line = BUF_INIT;
    size_t folder_len = strlen(folder);
    for (; *words; words++)
        if (folder_len > 0 && strncmp(words, folder, folder_len) == 0) {
            buf_add(&line, "TRIAL");
            words += folder_len - 1;
        } else if (*words == '\n')
            buf_add(&line, "\\n");
        else
            buf_append(&line, (unsigned char)*words < ' ' || *words == 0x7f ? "?" : words, 1);
    size_t head = line.len, tail = line.len;
    if (line.len > HEAD_MAX + TAIL_MAX) {
        head = character_start(&line, HEAD_MAX);
        tail = character_start(&line, line.len - TAIL_MAX);
    }
    fprintf(out, "%.*s%s%s\n", (int)head, buf_str(&line), tail > head ? " … " : "",
            buf_str(&line) + tail);
}

static bool check_fails(json_t *check)
{
    return strcmp(text(check, "result"), "fail") == 0;
}

/* What has to be asked of a backend that did not get to its end is no news. */
static bool is_consequence(enum verdict verdict, const char *id)
{
    return (verdict == VERDICT_CRASH || verdict == VERDICT_TIMEOUT) && strcmp(id, "claim") != 0;
}

static void print_checks(FILE *out, json_t *event, enum verdict verdict)
{
    size_t index, left_out = 0;
    json_t *check;
    json_array_foreach(json_object_get(event, "checks"), index, check)
    {
        const char *id = text(check, "id");
        bool decides = json_is_true(json_object_get(check, "decides"));
        if (!check_fails(check) ||
            (!decides && strcmp(id, "fired") != 0 && strcmp(id, "processes") != 0))
            continue;
        if (decides && is_consequence(verdict, id)) {
            left_out++;
            continue;
        }
        fprintf(out, "    %s\n      expected  ", id);
        print_text(out, text(check, "expected"), text(event, "folder"));
        fputs("      found     ", out);
        print_text(out, text(check, "found"), text(event, "folder"));
    }
    if (left_out > 0)
        fprintf(out, "    %zu more failed, as is to be expected then\n", left_out);
}

static void print_word(FILE *out, const char *before, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-_./:=@%+,";
    CLEANUP(buf_release) struct buf quoted = BUF_INIT;
    if (*word && word[strspn(word, plain)] == '\0')
        buf_add(&quoted, word);
    else
        buf_add_quoted(&quoted, word);
    fprintf(out, "%s%s", before, buf_str(&quoted));
}

/* A line to paste: the same trial, by the same backend. */
static void print_again(const struct report *report, const struct trial *trial)
{
    const char *const *layout = trial->scenario->layouts;
    while (*layout && strcmp(*layout, trial->layout) != 0)
        layout++;
    fputs("    again     killpoint run", report->out);
    if (report->backend)
        print_word(report->out, " --backend ", report->backend);
    if (!*layout)
        fprintf(report->out, " --layout %s", trial->layout);
    print_word(report->out, " ", trial->id);
    if (report->command)
        fputs(" --", report->out);
    for (const char *const *word = report->command; word && *word; word++)
        print_word(report->out, " ", *word);
    fputc('\n', report->out);
}

/* A line to paste: a shell in the machine that was left. */
static void print_kept(FILE *out, const char *folder, const char *machine)
{
    print_word(out, "    enter     KILLPOINT_STATE=", folder);
    machine = *machine ? machine : "kp1";
    fprintf(out, " sh -c 'smolvm machine start --name %s && smolvm machine shell --name %s'\n",
            machine, machine);
}

static void print_row(const struct report *report, const struct trial *trial, json_t *event)
{
    enum verdict verdict = verdict_parse(text(event, "verdict"));
    fprintf(report->out, "%-11s %s", text(event, "verdict"), text(event, "id"));
    if (report->terminal && json_object_get(event, "ms"))
        fprintf(report->out, "  (%.1f s)",
                (double)json_integer_value(json_object_get(event, "ms")) / 1000.0);
    if (*text(event, "reason"))
        fprintf(report->out, "  -- %s", text(event, "reason"));
    if (*text(event, "ref"))
        fprintf(report->out, " (%s)", text(event, "ref"));
    fputc('\n', report->out);
    if (verdict_is_fine(verdict))
        return;
    if (*text(event, "error")) {
        fputs("    ", report->out);
        print_text(report->out, text(event, "error"), text(event, "folder"));
    }
    print_checks(report->out, event, verdict);
    json_t *run = json_array_get(json_object_get(event, "runs"), 0);
    if (run && *text(run, "stderr")) {
        fputs("    it said   ", report->out);
        print_text(report->out, text(run, "stderr"), text(event, "folder"));
    }
    if (*text(event, "kept"))
        print_kept(report->out, text(event, "kept"), text(run, "machine"));
    print_again(report, trial);
}

static void print_counts(FILE *out, const struct run_outcome *outcome)
{
    size_t fine = outcome->counts[VERDICT_PASS] + outcome->counts[VERDICT_XFAIL];
    size_t left = outcome->counts[VERDICT_SKIP] + outcome->counts[VERDICT_UNSUPPORTED];
    size_t bad = 0;
    bool first = true;
    for (int verdict = 0; verdict < VERDICT_COUNT; verdict++) {
        bad += verdict_is_fine((enum verdict)verdict) ? 0 : outcome->counts[verdict];
        if (outcome->counts[verdict] == 0)
            continue;
        fprintf(out, "%s%zu %s", first ? "" : ", ", outcome->counts[verdict],
                verdict_name((enum verdict)verdict));
        first = false;
    }
    fprintf(out, "%s\n%zu passed, %zu failed, %zu skipped\n", first ? "nothing was played" : "",
            fine, bad, left);
}

void report_print(struct report *report, const struct run_outcome *outcome)
{
    if (report->terminal)
        fputs("\r\033[K", stderr);
    fprintf(report->out, "%s\n", report->backend_title);
    for (size_t i = 0; i < report->trials->count; i++)
        if (report->events[i])
            print_row(report, &report->trials->items[i], report->events[i]);
    if (outcome->interrupted) {
        size_t played = 0;
        for (size_t i = 0; i < report->trials->count; i++)
            played += report->events[i] != NULL;
        fprintf(report->out, "interrupted: %zu of %zu trials were not played\n",
                report->trials->count - played, report->trials->count);
    }
    print_counts(report->out, outcome);
}
