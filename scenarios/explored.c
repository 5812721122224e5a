#include "explored.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CASES_MAX 1000000 /* so many nobody plays; they would only take memory */

void explored_free(struct explored *explored)
{
    if (!explored)
        return;
    for (size_t i = 0; i < explored->found.n_cases; i++)
        token_release(&explored->tokens[i]);
    free(explored->tokens);
    exploration_release(&explored->found);
    json_decref(explored->lines);
    free(explored);
}

static const char *text(const json_t *line, const char *key)
{
    const char *value = json_string_value(json_object_get(line, key));
    return value ? value : "";
}

static size_t number(const json_t *line, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(line, key));
    return value > 0 ? (size_t)value : 0;
}

static int load_options(const json_t *begin, struct explore_options *options, struct err *err)
{
    *options = (struct explore_options){.backend_name = text(begin, "backend"),
                                        .layout = text(begin, "layout"),
                                        .scopes = (unsigned)number(begin, "scopes"),
                                        .depth = (unsigned)number(begin, "depth")};
    if (shard_parse(text(begin, "shard"), &options->shard) < 0)
        return err_text(err, EINVAL, "'%s' is no shard", text(begin, "shard"));
    if (options->depth < 1 || options->depth > 2)
        return err_text(err, EINVAL, "depth is neither 1 nor 2");
    return token_parse_call(text(begin, "call"), &options->call, &options->nth, err);
}

/* A point that no case stands for has a state of its own, which is behind all of theirs. */
static int load_points(const json_t *begin, struct exploration *found, struct err *err)
{
    const json_t *addresses = json_object_get(begin, "addresses");
    struct crash_points *points = &found->points;
    points->count = json_array_size(addresses);
    points->items = calloc(points->count + 1, sizeof *points->items);
    if (!points->items)
        abort();
    for (size_t i = 0; i < points->count; i++) {
        const char *address = json_string_value(json_array_get(addresses, i));
        points->items[i] =
            (struct crash_point){.ordinal = i + 1,
                                 .address = address ? io_format("%s", address) : NULL,
                                 .state = SIZE_MAX};
    }
    points->n_states = number(begin, "states");
    found->n_places = number(begin, "places");
    found->n_all = number(begin, "all");
    found->undisturbed_execs = (int64_t)number(begin, "execs");
    if (*text(begin, "executed"))
        found->no_shortcut = io_format("%s", text(begin, "executed"));
    size_t seconds = number(begin, "seconds");
    if (seconds > points->count)
        return err_text(err, EINVAL, "%zu second calls behind %zu points", seconds, points->count);
    found->seconds = calloc(seconds + 1, sizeof *found->seconds); /* their number is all there is */
    if (!found->seconds)
        abort();
    found->n_seconds = seconds;
    found->n_no_second = number(begin, "no_second");
    return 0;
}

static int load_case(struct explored *explored, const json_t *line, size_t index, struct err *err)
{
    struct exploration *found = &explored->found;
    struct token *token = &explored->tokens[index];
    const json_t *at = json_object_get(line, "at"), *healed = json_object_get(line, "healed");
    int ret = token_parse(text(line, "token"), token, err);
    if (ret < 0)
        return ret;
    struct explore_case *item = &found->cases[index];
    struct ending ending;
    explore_results_read(line, &ending);
    *item = (struct explore_case){.scope = token->scope,
                                  .points = {&found->points, NULL},
                                  .point = {SIZE_MAX, SIZE_MAX},
                                  .addresses = {token->addresses[0], token->addresses[1]},
                                  .depth = token->n_addresses,
                                  .persist_bytes = token->persist_bytes,
                                  .stands_for = number(line, "points"),
                                  .token = io_format("%s", text(line, "token")),
                                  .ending = ending,
                                  .retried = ending.execs > found->undisturbed_execs,
                                  .healed_by = healed ? (int)json_integer_value(healed) : -1};
    found->n_cases = index + 1;
    for (size_t i = 0; i < json_array_size(at); i++) {
        json_int_t ordinal = json_integer_value(json_array_get(at, i));
        if (ordinal < 1 || (size_t)ordinal > found->points.count)
            return err_text(err, EINVAL, "%s: there is no such point", item->token);
        if (i == 0)
            item->point[0] = (size_t)ordinal - 1;
        if (item->scope == EXPLORE_TREE)
            found->points.items[ordinal - 1].state = item->point[0];
    }
    return 0;
}

/* What was chosen and has no line was not played. */
static void add_open_cases(struct explored *explored, size_t chosen)
{
    struct exploration *found = &explored->found;
    while (found->n_cases < chosen) {
        explored->tokens[found->n_cases] = (struct token)TOKEN_INIT;
        found->cases[found->n_cases++] = (struct explore_case){.points = {&found->points, NULL},
                                                               .point = {SIZE_MAX, SIZE_MAX},
                                                               .depth = explored->options.depth,
                                                               .healed_by = -1};
    }
}

/* What went wrong before it was resumed has another line. */
static bool is_there(const struct exploration *found, const char *token)
{
    bool there = false;
    for (size_t i = 0; i < found->n_cases && !there; i++)
        there = strcmp(found->cases[i].token, token) == 0;
    return there;
}

static int load_cases(struct explored *explored, struct err *err)
{
    size_t index, n = 0, room = json_array_size(explored->lines);
    size_t chosen = number(json_array_get(explored->lines, 0), "cases");
    json_t *line;
    if (chosen > CASES_MAX)
        return err_text(err, EINVAL, "%zu cases are too many", chosen);
    room = room > chosen ? room : chosen;
    explored->found.cases = calloc(room + 1, sizeof *explored->found.cases);
    explored->tokens = calloc(room + 1, sizeof *explored->tokens);
    if (!explored->found.cases || !explored->tokens)
        abort();
    json_array_foreach(explored->lines, index, line)
    {
        bool is_case = strcmp(text(line, "event"), "case") == 0;
        int ret = is_case && !is_there(&explored->found, text(line, "token"))
                      ? load_case(explored, line, n++, err)
                      : 0;
        if (ret < 0)
            return ret;
        explore_results_take(&explored->found, line);
    }
    add_open_cases(explored, chosen);
    line = json_array_get(explored->lines, json_array_size(explored->lines) - 1);
    explored->found.cut_off = strcmp(text(line, "event"), "end") != 0;
    return 0;
}

int explored_load(json_t *lines, struct explored **ret_explored, struct err *err)
{
    struct explored *explored = calloc(1, sizeof *explored);
    if (!explored)
        abort();
    explored->lines = json_incref(lines);
    const json_t *begin = json_array_get(lines, 0);
    int ret = load_options(begin, &explored->options, err);
    if (ret == 0)
        ret = load_points(begin, &explored->found, err);
    if (ret == 0)
        ret = load_cases(explored, err);
    if (ret < 0)
        explored_free(explored);
    else
        *ret_explored = explored;
    return ret;
}
