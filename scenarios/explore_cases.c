#include "explore_cases.h"

#include <stdlib.h>
#include <string.h>

#define TORN_PAGE 4096

static struct explore_case *add_case(struct exploration *found, enum explore_scope scope,
                                     const struct crash_points *points, size_t point)
{
    found->cases = realloc(found->cases, (found->n_cases + 1) * sizeof *found->cases);
    if (!found->cases)
        abort();
    struct explore_case *item = &found->cases[found->n_cases++];
    *item = (struct explore_case){.scope = scope,
                                  .real = true,
                                  .points = {points, NULL},
                                  .point = {point, SIZE_MAX},
                                  .depth = 1,
                                  .persist_bytes = -1,
                                  .stands_for = 1,
                                  .healed_by = -1};
    item->addresses[0] = point == SIZE_MAX ? NULL : points->items[point].address;
    return item;
}

/* The case behind `from` that has the state of this point already. */
static struct explore_case *find_state(struct exploration *found, size_t from, size_t k,
                                       const struct crash_points *points, size_t point)
{
    for (size_t i = from; i < found->n_cases; i++)
        if (points->items[found->cases[i].point[k]].state == points->items[point].state)
            return &found->cases[i];
    return NULL;
}

void explore_add_states(struct exploration *found, const struct crash_points *points, bool real)
{
    size_t first = found->n_cases;
    for (size_t i = 0; i < points->count; i++) {
        struct explore_case *item = find_state(found, first, 0, points, i);
        if (item)
            item->stands_for++;
        else
            add_case(found, EXPLORE_TREE, points, i)->real = real;
    }
}

void explore_add_torn(struct exploration *found)
{
    for (size_t i = 0; i < found->points.count; i++) {
        const struct crash_point *point = &found->points.items[i];
        if (point->write_bytes <= 0 || point->write_from < 0)
            continue;
        int64_t border = (point->write_from / TORN_PAGE + 1) * TORN_PAGE;
        for (; border < point->write_from + point->write_bytes; border += TORN_PAGE)
            add_case(found, EXPLORE_TORN, &found->points, i)->persist_bytes =
                border - point->write_from;
    }
}

void explore_add_places(struct exploration *found)
{
    const struct crash_points *points = &found->points;
    for (size_t i = 0; i + 1 < points->count; i++)
        add_case(found, EXPLORE_PROCESS, points, i);
    for (; points->places[found->n_places]; found->n_places++)
        add_case(found, EXPLORE_PROCESS, points, SIZE_MAX)->addresses[0] =
            points->places[found->n_places];
}

void explore_add_pairs(struct exploration *found, const struct explore_case *first,
                       const struct crash_points *second)
{
    const struct explore_case one = *first; /* the list may move */
    size_t from = found->n_cases;
    for (size_t i = 0; i < second->count; i++) {
        struct explore_case *item = find_state(found, from, 1, second, i);
        if (item) {
            item->stands_for += one.stands_for;
            continue;
        }
        item = add_case(found, EXPLORE_TREE, one.points[0], one.point[0]);
        item->real = one.real;
        item->depth = 2;
        item->points[1] = second;
        item->point[1] = i;
        item->addresses[1] = second->items[i].address;
        item->stands_for = one.stands_for;
    }
}

/* --- choosing ---------------------------------------------------------------------------- */

size_t explore_kind_length(const char *address)
{
    size_t len = strcspn(address, ":");
    return address[len] ? len + 1 + strcspn(address + len + 1, ":") : len;
}

static bool is_alike(const char *a, const char *b)
{
    if (!a || !b)
        return a == b;
    size_t len = explore_kind_length(a);
    return len == explore_kind_length(b) && strncmp(a, b, len) == 0;
}

static bool is_alike_case(const struct explore_case *a, const struct explore_case *b)
{
    bool alike = a->scope == b->scope && a->depth == b->depth &&
                 (a->point[0] == SIZE_MAX) == (b->point[0] == SIZE_MAX);
    if (alike && a->depth == 2) /* one first kill, and its second ones */
        return a->point[0] == b->point[0] && is_alike(a->addresses[1], b->addresses[1]);
    return alike && is_alike(a->addresses[0], b->addresses[0]);
}

bool explore_stands_for(const struct explore_case *item, size_t point)
{
    const struct crash_points *points = item->points[0];
    if (item->scope == EXPLORE_TREE && item->point[0] != SIZE_MAX)
        return points->items[item->point[0]].state == points->items[point].state;
    return item->point[0] == point;
}

static size_t begin_of_row(const struct exploration *found, size_t index)
{
    while (index > 0 && is_alike_case(&found->cases[index - 1], &found->cases[index]))
        index--;
    return index;
}

bool explore_is_second(const struct exploration *found, size_t index)
{
    return index == begin_of_row(found, index) + 1;
}

bool explore_is_representative(const struct exploration *found, size_t index)
{
    const struct explore_case *all = found->cases;
    size_t from = begin_of_row(found, index), to = index;
    while (to + 1 < found->n_cases && is_alike_case(&all[to + 1], &all[index]))
        to++;
    return index == from || index == to || index == from + (to - from) / 2;
}

static bool is_named(const struct explore_options *options, const char *address, uint64_t ordinal)
{
    if (options->choice == CHOOSE_RANGE)
        return ordinal >= options->from && ordinal <= options->to;
    return strcmp(address ? address : "end", options->address) == 0;
}

/* Any of the points that the case stands for. */
static bool stands_for_chosen(const struct explore_options *options,
                              const struct explore_case *item)
{
    const struct crash_points *points = item->points[0];
    if (item->point[0] == SIZE_MAX)
        return options->choice == CHOOSE_ADDRESS && is_named(options, item->addresses[0], 0);
    bool chosen = false;
    for (size_t i = 0; i < points->count && !chosen; i++)
        chosen = explore_stands_for(item, i) &&
                 is_named(options, points->items[i].address, points->items[i].ordinal);
    return chosen;
}

static bool is_chosen(const struct explore_options *options, const struct exploration *found,
                      size_t index)
{
    const struct explore_case *item = &found->cases[index];
    bool is_large = item->scope == EXPLORE_PROCESS || item->depth == 2;
    switch (options->choice) {
    case CHOOSE_ALL: return true;
    case CHOOSE_RANGE:
    case CHOOSE_ADDRESS: return stands_for_chosen(options, item);
    case CHOOSE_REPRESENTATIVE: return explore_is_representative(found, index);
    case CHOOSE_DEFAULT: break;
    }
    return options->mini || !is_large || explore_is_representative(found, index);
}

static void give_token(const struct explore_options *options, const struct exploration *found,
                       struct explore_case *item)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    struct token token = {.call = options->call,
                          .nth = options->nth,
                          .scope = item->scope,
                          .addresses = {(char *)(uintptr_t)item->addresses[0],
                                        (char *)(uintptr_t)item->addresses[1]}, /* borrowed */
                          .n_addresses = item->depth,
                          .persist_bytes = item->persist_bytes};
    snprintf(token.layout, sizeof token.layout, "%s", options->layout_digest);
    snprintf(token.backend, sizeof token.backend, "%s", options->backend_digest);
    snprintf(token.trace, sizeof token.trace, "%s", found->points.trace);
    token_print(&token, &text);
    item->token = io_format("%s", buf_str(&text));
}

void explore_choose_cases(const struct explore_options *options, struct exploration *found)
{
    bool *chosen = calloc(found->n_cases + 1, sizeof *chosen);
    size_t kept = 0;
    if (!chosen)
        abort();
    for (size_t i = 0; i < found->n_cases; i++)
        chosen[i] = is_chosen(options, found, i);
    found->n_all = found->n_cases;
    for (size_t i = 0; i < found->n_cases; i++) {
        struct explore_case *item = &found->cases[i];
        give_token(options, found, item);
        if (chosen[i] && shard_holds(&options->shard, item->token))
            found->cases[kept++] = *item;
        else
            io_free(&item->token);
    }
    found->n_cases = kept;
    free(chosen);
}
