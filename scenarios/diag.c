#include "diag.h"

#include "../fault/io.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void diags_release(struct diags *diags)
{
    pool_release(&diags->pool);
    free(diags->items);
    *diags = (struct diags)DIAGS_INIT;
}

void diags_add(struct diags *diags, const char *path, int line, int column, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = io_vformat(fmt, args);
    va_end(args);
    /* A control byte from the file must not reach the reader's terminal. */
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    diags->told++;
    for (size_t i = 0; i < diags->count; i++) {
        const struct diag *old = &diags->items[i];
        if (old->line == line && old->column == column && !strcmp(old->path, path) &&
            !strcmp(old->text, text)) {
            free(text);
            return;
        }
    }
    if (diags->count == diags->cap) {
        diags->cap = diags->cap ? diags->cap * 2 : 16;
        diags->items = reallocarray(diags->items, diags->cap, sizeof *diags->items);
        if (!diags->items)
            abort();
    }
    diags->items[diags->count++] =
        (struct diag){pool_copy(&diags->pool, path), line, column, pool_copy(&diags->pool, text)};
    free(text);
}

/* Stable: a file's diagnostics stay together, in the order of their places. */
static void sort_by_place(struct diags *diags)
{
    for (size_t i = 1; i < diags->count; i++) {
        struct diag item = diags->items[i];
        size_t j = i;
        for (; j > 0; j--) {
            const struct diag *before = &diags->items[j - 1];
            if (strcmp(before->path, item.path) != 0 || before->line < item.line ||
                (before->line == item.line && before->column <= item.column))
                break;
            diags->items[j] = *before;
        }
        diags->items[j] = item;
    }
}

void diags_print(struct diags *diags, FILE *file)
{
    sort_by_place(diags);
    for (size_t i = 0; i < diags->count; i++) {
        const struct diag *diag = &diags->items[i];
        if (diag->line)
            fprintf(file, "%s:%d:%d: error: %s\n", diag->path, diag->line, diag->column,
                    diag->text);
        else
            fprintf(file, "%s: error: %s\n", diag->path, diag->text);
    }
}

#define NAME_MAX_LEN 63

/* Levenshtein's distance, with one row; both lengths are at most NAME_MAX_LEN. */
static size_t distance(const char *a, const char *b)
{
    size_t row[NAME_MAX_LEN + 1];
    size_t a_len = strlen(a), b_len = strlen(b);
    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[b_len];
}

const char *diag_nearest(const char *text, const char *const *names, size_t count, size_t stride)
{
    size_t len = strlen(text);
    size_t best_distance = len / 3 + 1;
    const char *best = NULL;
    if (len > NAME_MAX_LEN)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        const char *name =
            *(const char *const *)(const void *)((const char *)(const void *)names + i * stride);
        if (strlen(name) > NAME_MAX_LEN)
            continue;
        size_t d = distance(text, name);
        if (d < best_distance || (d == best_distance && !best && d < strlen(name))) {
            best = name;
            best_distance = d;
        }
    }
    return best;
}
