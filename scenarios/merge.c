#include "merge.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* --- whether they belong together ------------------------------------------------------- */

/* What a value is in words; of a long one, that it is another one must do. */
static char *value_text(const json_t *value)
{
    char *text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    char *shown =
        text ? io_format("%.60s%s", text, strlen(text) > 60 ? "…" : "") : io_format("not there");
    free(text);
    return shown;
}

static int compare_value(const struct run_results *one, const struct run_results *other,
                         const char *key, const json_t *a, const json_t *b, struct err *err)
{
    if (a == b || json_equal(a, b))
        return 0;
    CLEANUP(io_free) char *was = value_text(a);
    CLEANUP(io_free) char *is = value_text(b);
    return err_text(err, EINVAL, "%s is of another run than %s: %s is %s, not %s", other->path,
                    one->path, key, is, was);
}

static int compare_begin(const struct run_results *one, const struct run_results *other,
                         struct err *err)
{
    static const char *const keys[] = {"version",      "backend", "title", "backend_digest",
                                       "expectations", "suite",   "plan"};
    int ret = 0;
    for (size_t i = 0; i < sizeof keys / sizeof *keys && ret == 0; i++)
        ret = compare_value(one, other, keys[i], json_object_get(one->begin, keys[i]),
                            json_object_get(other->begin, keys[i]), err);
    const char *layout;
    json_t *digest;
    json_object_foreach(json_object_get(other->begin, "layouts"), layout, digest)
    {
        const json_t *had = json_object_get(json_object_get(one->begin, "layouts"), layout);
        CLEANUP(io_free) char *key = io_format("the layout %s", layout);
        if (ret == 0 && had)
            ret = compare_value(one, other, key, had, digest, err);
    }
    return ret;
}

static int check_part(const struct results *parts, size_t index, struct err *err)
{
    const struct run_results *run = &parts->runs[index];
    if (!run->end)
        return err_text(err, EINVAL, "%s, shard %u/%u, is cut off: it has no end event", run->path,
                        run->shard.number, run->shard.count);
    if (run_results_is_interrupted(run))
        return err_text(err, EINVAL, "%s, shard %u/%u, is of a run that was interrupted", run->path,
                        run->shard.number, run->shard.count);
    for (size_t i = 0; i < index; i++) {
        const struct run_results *other = &parts->runs[i];
        if (other->shard.count != run->shard.count)
            return err_text(err, EINVAL, "%s is one of %u shards, %s one of %u", other->path,
                            other->shard.count, run->path, run->shard.count);
        if (other->shard.number == run->shard.number)
            return err_text(err, EINVAL, "shard %u/%u is there twice: %s and %s", run->shard.number,
                            run->shard.count, other->path, run->path);
        int ret = compare_begin(other, run, err);
        if (ret < 0)
            return ret;
    }
    for (size_t k = 0; k < run->count; k++)
        if (!run->events[k] != !run_results_has(run, k))
            return err_text(err, EINVAL, "%s, shard %u/%u: '%s' %s", run->path, run->shard.number,
                            run->shard.count, run_results_id(run, k),
                            run->events[k] ? "does not belong to it" : "is missing");
    return 0;
}

/* Names all shards that are missing, so that one look makes up for it. */
static int check_all_there(const struct results *parts, struct err *err)
{
    CLEANUP(buf_release) struct buf missing = BUF_INIT;
    uint32_t count = parts->runs[0].shard.count;
    size_t n = 0;
    for (uint32_t number = 1; number <= count; number++) {
        bool there = false;
        for (size_t i = 0; i < parts->n_runs && !there; i++)
            there = parts->runs[i].shard.number == number;
        if (!there && n++ < 20)
            buf_printf(&missing, " %u/%u", number, count);
    }
    return n == 0 ? 0
                  : err_text(err, EINVAL, "%zu missing: shard%s%s", n, buf_str(&missing),
                             n > 20 ? " and more" : "");
}

/* --- putting together ------------------------------------------------------------------- */

static json_t *whole_begin(const struct results *parts)
{
    json_t *begin = json_deep_copy(parts->runs[0].begin);
    json_object_set_new(begin, "shard", json_string("1/1"));
    json_object_set_new(begin, "trials", json_integer((json_int_t)parts->runs[0].count));
    json_object_del(begin, "seed");
    for (size_t i = 1; i < parts->n_runs; i++) {
        json_t *copied = json_object_get(parts->runs[i].begin, "copied");
        if (copied && !json_object_get(begin, "copied"))
            json_object_set(begin, "copied", copied);
        json_object_update(json_object_get(begin, "layouts"),
                           json_object_get(parts->runs[i].begin, "layouts"));
    }
    return begin;
}

/* Every shard has the same list; an entry may have expired between two of them. */
static json_t *whole_outdated(const struct results *parts)
{
    json_t *all = json_array();
    for (size_t i = 0; i < parts->n_runs; i++) {
        size_t index, k;
        json_t *entry, *old;
        json_array_foreach(json_object_get(parts->runs[i].end, "outdated"), index, entry)
        {
            bool known = false;
            json_array_foreach(all, k, old) known |= json_equal(old, entry) == 1;
            if (!known)
                json_array_append(all, entry);
        }
    }
    return all;
}

static int add_events(const struct results *parts, struct run_results *whole, struct err *err)
{
    int ret = 0;
    for (size_t k = 0; k < whole->count && ret == 0; k++)
        for (size_t i = 0; i < parts->n_runs && ret == 0; i++)
            if (parts->runs[i].events[k])
                ret = run_results_add(whole, parts->runs[i].events[k], err);
    return ret;
}

static int merge_latest(const struct results *parts, struct results *ret_whole,
                        enum run_status *ret_status, struct err *err)
{
    int ret = parts->n_runs > 0 ? 0 : err_text(err, EINVAL, "there is no run");
    for (size_t i = 0; i < parts->n_runs && ret == 0; i++)
        ret = check_part(parts, i, err);
    if (ret == 0)
        ret = check_all_there(parts, err);
    if (ret < 0)
        return ret;
    json_t *begin = whole_begin(parts);
    ret = results_add_run(ret_whole, begin, err);
    json_decref(begin);
    if (ret < 0)
        return ret;
    struct run_results *whole = &ret_whole->runs[ret_whole->n_runs - 1];
    ret = add_events(parts, whole, err);
    int64_t ms = 0;
    for (size_t i = 0; i < parts->n_runs; i++)
        ms += json_integer_value(json_object_get(parts->runs[i].end, "ms"));
    if (ret == 0)
        *ret_status = run_results_finish(whole, false, whole_outdated(parts), ms);
    return ret;
}

/* Whether its file has the same shard again further down, so that this one was begun anew. */
static bool is_superseded(const struct results *parts, size_t index)
{
    const struct run_results *run = &parts->runs[index];
    for (size_t i = index + 1; i < parts->n_runs; i++) {
        const struct run_results *later = &parts->runs[i];
        if (strcmp(later->path, run->path) == 0 && later->shard.number == run->shard.number &&
            later->shard.count == run->shard.count)
            return true;
    }
    return false;
}

int merge_runs(const struct results *parts, struct results *ret_whole, enum run_status *ret_status,
               struct err *err)
{
    struct results latest = RESULTS_INIT; /* borrows the runs */
    latest.runs = calloc(parts->n_runs + 1, sizeof *latest.runs);
    if (!latest.runs)
        abort();
    for (size_t i = 0; i < parts->n_runs; i++)
        if (!is_superseded(parts, i))
            latest.runs[latest.n_runs++] = parts->runs[i];
    int ret = merge_latest(&latest, ret_whole, ret_status, err);
    free(latest.runs);
    return ret;
}

static void add_line(struct buf *text, const json_t *event)
{
    char *line = json_dumps(event, JSON_COMPACT);
    buf_printf(text, "%s\n", line ? line : "");
    free(line);
}

int merge_write(const struct results *whole, const char *path, struct err *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    const struct run_results *run = &whole->runs[0];
    add_line(&text, run->begin);
    for (size_t k = 0; k < run->count; k++)
        add_line(&text, run->events[k]);
    add_line(&text, run->end);
    return io_write_file(AT_FDCWD, path, buf_str(&text), text.len, 0666, err);
}
