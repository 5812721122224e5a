#include "results.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner.h"

#define RESULTS_MAX_BYTES ((size_t)1 << 30)

const char *results_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

const char *results_said(const json_t *run)
{
    const char *said = results_text(run, "stderr");
    return *said ? said : results_text(run, "stdout");
}

static void run_results_release(struct run_results *run)
{
    for (size_t i = 0; i < run->count; i++)
        json_decref(run->events[i]);
    free(run->events);
    json_decref(run->begin);
    json_decref(run->end);
    free(run->path);
}

void results_release(struct results *results)
{
    for (size_t i = 0; i < results->n_runs; i++)
        run_results_release(&results->runs[i]);
    for (size_t i = 0; i < results->n_explorations; i++)
        explored_free(results->explorations[i]);
    free(results->runs);
    free(results->explorations);
    *results = (struct results)RESULTS_INIT;
}

/* --- one run -------------------------------------------------------------------------- */

const char *run_results_id(const struct run_results *run, size_t k)
{
    return json_string_value(json_array_get(json_object_get(run->begin, "plan"), k));
}

bool run_results_has(const struct run_results *run, size_t k)
{
    return shard_holds(&run->shard, run_results_id(run, k));
}

static enum verdict verdict_of(const json_t *event)
{
    return verdict_parse(results_text(event, "verdict"));
}

bool run_results_is_bad(const struct run_results *run, size_t k)
{
    return run->events[k] ? !verdict_is_fine(verdict_of(run->events[k])) : run_results_has(run, k);
}

int results_add_run(struct results *results, json_t *begin, struct err *err)
{
    struct run_results run = {.begin = begin};
    const json_t *plan = json_object_get(begin, "plan"), *id;
    size_t index;
    if (!json_is_array(plan) || shard_parse(results_text(begin, "shard"), &run.shard) < 0)
        return err_text(err, EINVAL, "no begin event of a run");
    json_array_foreach(plan, index, id)
    {
        if (!json_is_string(id))
            return err_text(err, EINVAL, "no begin event of a run: the plan holds no ids");
    }
    run.count = json_array_size(plan);
    run.events = calloc(run.count + 1, sizeof(json_t *));
    results->runs = reallocarray(results->runs, results->n_runs + 1, sizeof *results->runs);
    if (!run.events || !results->runs)
        abort();
    json_incref(begin);
    results->runs[results->n_runs++] = run;
    return 0;
}

int run_results_add(struct run_results *run, json_t *event, struct err *err)
{
    const char *what = results_text(event, "event"), *id = results_text(event, "id");
    if (strcmp(what, "end") == 0 && !run->end) {
        run->end = json_incref(event);
        return 0;
    }
    if (strcmp(what, "trial") != 0 || run->end)
        return err_text(err, EINVAL, "an event '%.40s' has no place there", what);
    for (size_t i = 0; i < run->count; i++) {
        if (strcmp(run_results_id(run, i), id) != 0)
            continue;
        if (run->events[i])
            return err_text(err, EINVAL, "the trial '%.200s' again", id);
        run->events[i] = json_incref(event);
        return 0;
    }
    return err_text(err, EINVAL, "the trial '%.200s' is not in the plan", id);
}

bool results_last_is_bad(const struct results *results, size_t run, size_t k)
{
    const struct run_results *one = &results->runs[run];
    if (!run_results_is_bad(one, k))
        return false;
    const char *id = run_results_id(one, k), *backend = results_text(one->begin, "backend");
    for (size_t i = run + 1; i < results->n_runs; i++) {
        const struct run_results *later = &results->runs[i];
        if (strcmp(results_text(later->begin, "backend"), backend) != 0)
            continue;
        for (size_t j = 0; j < later->count; j++)
            if (later->events[j] && strcmp(run_results_id(later, j), id) == 0)
                return false;
    }
    return true;
}

void run_results_count(const struct run_results *run, size_t ret_counts[VERDICT_COUNT])
{
    memset(ret_counts, 0, VERDICT_COUNT * sizeof *ret_counts);
    for (size_t i = 0; i < run->count; i++)
        if (run->events[i])
            ret_counts[verdict_of(run->events[i])]++;
}

bool run_results_is_interrupted(const struct run_results *run)
{
    return json_is_true(json_object_get(run->end, "interrupted"));
}

bool run_results_is_nothing(const struct run_results *run)
{
    return json_integer_value(json_object_get(run->end, "exit")) == RUN_NOTHING;
}

json_t *run_results_outdated(const struct run_results *run)
{
    return run->shard.count == 1 ? json_object_get(run->end, "outdated") : NULL;
}

/* --- the end of a run -------------------------------------------------------------------- */

/* The harness' own trouble comes before findings. */
static enum run_status status_of(const struct run_results *run, const size_t *counts,
                                 bool interrupted, size_t outdated)
{
    bool whole = run->shard.count == 1;
    if (interrupted)
        return RUN_INTERRUPTED;
    if (counts[VERDICT_ERROR] > 0 || counts[VERDICT_UNRESOLVED] > 0)
        return RUN_HARNESS;
    for (int verdict = 0; verdict < VERDICT_COUNT; verdict++)
        if (counts[verdict] > 0 && !verdict_is_fine((enum verdict)verdict))
            return RUN_UNEXPECTED;
    if (whole && outdated > 0)
        return RUN_UNEXPECTED;
    /* Who says that nothing is supported is not believed; a list that skips all is its owner's. */
    bool judged = counts[VERDICT_PASS] + counts[VERDICT_XFAIL] > 0;
    bool skipped = counts[VERDICT_SKIP] > 0 && counts[VERDICT_UNSUPPORTED] == 0;
    return judged || skipped || !whole ? RUN_AS_EXPECTED : RUN_NOTHING;
}

enum run_status run_results_finish(struct run_results *run, bool interrupted, json_t *outdated,
                                   int64_t ms)
{
    size_t counts[VERDICT_COUNT];
    json_t *words = json_object();
    run_results_count(run, counts);
    for (int verdict = 0; verdict < VERDICT_COUNT; verdict++)
        if (counts[verdict] > 0)
            json_object_set_new(words, verdict_name((enum verdict)verdict),
                                json_integer((json_int_t)counts[verdict]));
    enum run_status status = status_of(run, counts, interrupted, json_array_size(outdated));
    run->end = json_pack("{s:s, s:o, s:i, s:I, s:b, s:o}", "event", "end", "counts", words, "exit",
                         (int)status, "ms", (json_int_t)ms, "interrupted", interrupted, "outdated",
                         outdated);
    return status;
}

int results_append(const char *path, FILE **ret_file, struct err *err)
{
    struct stat st;
    char last = '\n';
    CLEANUP(io_fclose) FILE *file = fopen(path, "ae");
    if (!file || fstat(fileno(file), &st) < 0)
        return err_set(err, errno, "open %s", path);
    CLEANUP(io_close)
    int fd = S_ISREG(st.st_mode) && st.st_size > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0 && pread(fd, &last, 1, st.st_size - 1) == 1 && last != '\n')
        fputc('\n', file);
    *ret_file = steal_ptr(&file);
    return 0;
}

int results_check_target(const char *path, struct err *err)
{
    struct stat st;
    char first = '{';
    if (strcmp(path, "-") == 0)
        return err_text(err, EINVAL, "results go to a file, and \"-\" is none");
    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0)
        return 0;
    CLEANUP(io_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && pread(fd, &first, 1, 0) == 1 && first != '{')
        return err_text(err, EINVAL, "%s holds something else than results: it is left as it is",
                        path);
    return 0;
}

int results_write_event(FILE *file, const json_t *event)
{
    char *line = json_dumps(event, JSON_COMPACT);
    int ret = !line ? -EILSEQ : fprintf(file, "%s\n", line) < 0 || fflush(file) != 0 ? -errno : 0;
    free(line);
    return ret;
}

/* --- files ------------------------------------------------------------------------------- */

/* What the next lines belong to. */
struct reading {
    struct results *results;
    const char *path;
    size_t number;
    struct run_results *run; /* NULL: none */
    json_t *exploration;     /* its lines; NULL: none */
};

/* An exploration is understood as a whole. */
static int end_exploration(struct reading *reading, struct err *err)
{
    struct results *results = reading->results;
    struct explored *explored = NULL;
    if (!reading->exploration)
        return 0;
    int ret = explored_load(reading->exploration, &explored, err);
    json_decref(reading->exploration);
    reading->exploration = NULL;
    if (ret < 0)
        return ret;
    results->explorations = reallocarray(results->explorations, results->n_explorations + 1,
                                         sizeof *results->explorations);
    if (!results->explorations)
        abort();
    results->explorations[results->n_explorations++] = explored;
    return 0;
}

static int begin(struct reading *reading, json_t *line, struct err *err)
{
    int ret = end_exploration(reading, err);
    if (ret < 0)
        return ret;
    reading->run = NULL;
    if (json_object_get(line, "trace")) {
        reading->exploration = json_pack("[O]", line);
        return 0;
    }
    ret = results_add_run(reading->results, line, err);
    if (ret < 0)
        return ret;
    reading->run = &reading->results->runs[reading->results->n_runs - 1];
    reading->run->path = io_format("%s", reading->path);
    return 0;
}

static int take_line(struct reading *reading, json_t *line, struct err *err)
{
    if (strcmp(results_text(line, "event"), "begin") == 0)
        return begin(reading, line, err);
    if (reading->run)
        return run_results_add(reading->run, line, err);
    if (!reading->exploration)
        return err_text(err, EINVAL, "no begin event");
    json_array_append(reading->exploration, line);
    return 0;
}

/* What was being written when its writer died has no end: nothing is behind it but another run. */
static int read_lines(struct reading *reading, const char *text, size_t len, struct err *err)
{
    const char *at = text, *end;
    bool torn = false;
    int ret = 0;
    for (; ret == 0 && (end = memchr(at, '\n', len - (size_t)(at - text))); at = end + 1) {
        json_t *line = json_loadb(at, (size_t)(end - at), JSON_ALLOW_NUL, NULL);
        bool begins = strcmp(results_text(line, "event"), "begin") == 0;
        if (torn && !begins) {
            json_decref(line);
            break;
        }
        reading->number++;
        torn = !json_is_object(line);
        ret = torn ? 0 : take_line(reading, line, err);
        json_decref(line);
    }
    if (ret == 0 && torn)
        ret = err_text(err, EINVAL, "no JSON object");
    return ret < 0 ? ret : end_exploration(reading, err);
}

int results_add_file(struct results *results, const char *path, struct err *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    struct reading reading = {.results = results, .path = path};
    size_t before = results->n_runs + results->n_explorations;
    int ret = io_read_file(AT_FDCWD, path, &text, RESULTS_MAX_BYTES, err);
    if (ret < 0)
        return ret;
    ret = read_lines(&reading, buf_str(&text), text.len, err);
    json_decref(reading.exploration);
    if (ret < 0)
        return err_wrap(err, ret, "%s:%zu", path, reading.number);
    if (results->n_runs + results->n_explorations == before)
        return err_text(err, ENODATA, "%s: there are no events in it", path);
    return 0;
}
