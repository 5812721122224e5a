#include "explore_points.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECORDING_MAX_BYTES (256u << 20)

void crash_points_release(struct crash_points *points)
{
    for (size_t i = 0; i < points->count; i++)
        free(points->items[i].address);
    free(points->items);
    free(points->states);
    io_free_list(&points->places);
    io_free(&points->path);
    io_free(&points->call);
}

static size_t find_state(struct crash_points *points, const char *digest)
{
    for (size_t i = points->n_states; i > 0; i--) /* most are among the last */
        if (strcmp(points->states[i - 1], digest) == 0)
            return i - 1;
    points->states = realloc(points->states, (points->n_states + 1) * sizeof *points->states);
    if (!points->states)
        abort();
    snprintf(points->states[points->n_states], sizeof *points->states, "%s", digest);
    return points->n_states++;
}

static struct crash_point *add_point(struct crash_points *points)
{
    points->items = realloc(points->items, (points->count + 1) * sizeof *points->items);
    if (!points->items)
        abort();
    struct crash_point *point = &points->items[points->count++];
    *point = (struct crash_point){.ordinal = points->count};
    return point;
}

/* One line. Returns 1 for the last one. */
static int take_line(struct crash_points *points, const json_t *line, struct err *err)
{
    const char *state = json_string_value(json_object_get(line, "state"));
    const char *distrust = json_string_value(json_object_get(line, "distrust"));
    const char *trace = json_string_value(json_object_get(line, "trace"));
    if (!state || strlen(state) != TREE_STATE_DIGEST_LEN)
        return err_text(err, EPROTO, "a line of the recording has no state");
    if (distrust)
        return err_text(err, EPROTO, "the recording is not exact: %s", distrust);
    struct crash_point *point = add_point(points);
    point->state = find_state(points, state);
    point->out_bytes = (uint64_t)json_integer_value(json_object_get(line, "out"));
    point->err_bytes = (uint64_t)json_integer_value(json_object_get(line, "err"));
    if (trace) {
        snprintf(points->trace, sizeof points->trace, "%s", trace);
        points->attempts = (uint64_t)json_integer_value(json_object_get(line, "attempts"));
        return 1;
    }
    const json_t *write = json_object_get(line, "write");
    point->address = io_format("%s", json_string_value(json_object_get(line, "address")));
    point->write_from = json_integer_value(json_object_get(write, "from"));
    point->write_bytes = json_integer_value(json_object_get(write, "bytes"));
    return 0;
}

/* Numbers in them by their size. */
static int by_address(const void *a, const void *b)
{
    return strverscmp(*(char *const *)a, *(char *const *)b);
}

static int read_places(struct crash_points *points, struct err *err)
{
    CLEANUP(io_free) char *path = io_format("%s/places", points->path);
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    int ret = io_read_file(AT_FDCWD, path, &text, RECORDING_MAX_BYTES, err);
    if (ret < 0)
        return ret;
    size_t count = 0;
    for (const char *at = buf_str(&text); (at = strchr(at, '\n')); at++)
        count++;
    points->places = calloc(count + 1, sizeof *points->places);
    if (!points->places)
        abort();
    char *rest = text.data;
    for (size_t i = 0; i < count; i++)
        points->places[i] = io_format("%s", strsep(&rest, "\n"));
    qsort(points->places, count, sizeof *points->places, by_address);
    return 0;
}

static int read_call(struct crash_points *points, struct err *err)
{
    CLEANUP(io_free) char *path = io_format("%s/call.json", points->path);
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    int ret = io_read_file(AT_FDCWD, path, &text, RECORDING_MAX_BYTES, err);
    if (ret < 0)
        return ret;
    json_t *json = json_loadb(buf_str(&text), text.len, 0, NULL);
    points->has_stdin = json_is_true(json_object_get(json, "stdin"));
    json_decref(json);
    points->call = io_format("%s", buf_str(&text));
    return 0;
}

bool crash_points_exist(const char *path)
{
    CLEANUP(io_free) char *file = io_format("%s/points.ndjson", path);
    return access(file, F_OK) == 0;
}

int crash_points_read(const char *path, struct crash_points *ret_points, struct err *err)
{
    CLEANUP(crash_points_release) struct crash_points points = CRASH_POINTS_INIT;
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    CLEANUP(io_free) char *file = io_format("%s/points.ndjson", path);
    points.path = io_format("%s", path);
    int ret = io_read_file(AT_FDCWD, file, &text, RECORDING_MAX_BYTES, err);
    if (ret < 0)
        return ret;
    int last = 0;
    for (const char *at = buf_str(&text), *end; last == 0 && (end = strchr(at, '\n'));
         at = end + 1) {
        json_t *line = json_loadb(at, (size_t)(end - at), 0, NULL);
        last = take_line(&points, line, err);
        json_decref(line);
    }
    if (last == 0)
        return err_text(err, EPROTO, "%s: the recording has no end", path);
    ret = last < 0 ? last : read_places(&points, err);
    if (ret == 0)
        ret = read_call(&points, err);
    if (ret == 0) {
        *ret_points = points;
        points = (struct crash_points)CRASH_POINTS_INIT;
    }
    return ret;
}
