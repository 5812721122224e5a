#include "explore_results.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit_check.h"
#include "explore_cases.h"
#include "word_json.h"

#define RESULTS_MAX_BYTES (256u << 20)

static const char *const class_words[CLASS_COUNT] = {"broken",  "dirty", "ended",
                                                     "refused", "fine",  "unknown"};
static const char *const claim_words[] = {"none",  "unknown", "timeout",
                                          "crash", "failure", "success"};
#define N_CLAIMS (sizeof claim_words / sizeof *claim_words)

const char *explore_class_word(enum explore_class class)
{
    return class_words[class];
}

enum explore_class explore_classify(const struct ending *ending)
{
    switch (ending->claim) {
    case CLAIM_NONE:
    case CLAIM_BROKEN: return CLASS_UNKNOWN;
    case CLAIM_TIMEOUT:
    case CLAIM_CRASH: return CLASS_ENDED;
    case CLAIM_FAILED: return CLASS_REFUSED;
    case CLAIM_DONE: break;
    }
    if (ending->findings & explore_level_mask(AUDIT_MUST))
        return CLASS_BROKEN_STORE;
    return ending->findings ? CLASS_DIRTY_STORE : CLASS_FINE;
}

bool explore_is_finding(const struct explore_case *item)
{
    enum explore_class class = explore_classify(&item->ending);
    if (item->ending.claim == CLAIM_NONE || class == CLASS_FINE)
        return false;
    return item->depth == 1 || class != CLASS_REFUSED || item->healed_by != 1;
}

/* --- writing ----------------------------------------------------------------------------- */

/* After the first failure nothing more is written: a torn line stays the last one. */
static void print_line(struct err *failure, FILE *file, json_t *json)
{
    char *line = json ? json_dumps(json, JSON_COMPACT) : NULL;
    if (failure->msg[0] == '\0' && (!line || fprintf(file, "%s\n", line) < 0 || fflush(file) != 0))
        err_set(failure, line ? errno : EILSEQ, "write the results");
    free(line);
    json_decref(json);
}

static json_t *choice_json(const struct explore_options *options)
{
    switch (options->choice) {
    case CHOOSE_DEFAULT: break;
    case CHOOSE_ALL: return json_string("all");
    case CHOOSE_REPRESENTATIVE: return json_string("representative");
    case CHOOSE_RANGE: return json_sprintf("%" PRIu64 "..%" PRIu64, options->from, options->to);
    case CHOOSE_ADDRESS: return json_string(options->address);
    }
    return json_string("default");
}

static json_t *addresses_json(const struct crash_points *points)
{
    json_t *list = json_array();
    for (size_t i = 0; i < points->count; i++)
        json_array_append_new(list, points->items[i].address ? json_string(points->items[i].address)
                                                             : json_null());
    return list;
}

static json_t *begin_event(const struct explore_options *options, const struct exploration *found)
{
    json_t *json = json_pack(
        "{s:s, s:i, s:s, s:s, s:s, s:s, s:s, s:o, s:i, s:i, s:o, s:o, s:b, s:I, s:I, s:I, s:I}",
        "event", "begin", "version", 1, "backend", options->backend_name, "layout", options->layout,
        "layout_digest", options->layout_digest, "backend_digest", options->backend_digest, "trace",
        found->points.trace, "call",
        json_sprintf("%s#%" PRIu32, rule_call_words[options->call], options->nth), "scopes",
        (int)options->scopes, "depth", (int)options->depth, "choice", choice_json(options), "shard",
        json_sprintf("%u/%u", options->shard.number, options->shard.count), "no_shortcut",
        options->no_shortcut, "execs", (json_int_t)found->undisturbed_execs, "points",
        (json_int_t)found->points.count, "states", (json_int_t)found->points.n_states, "places",
        (json_int_t)found->n_places);
    json_object_set_new(json, "addresses", addresses_json(&found->points));
    json_object_set_new(json, "all", json_integer((json_int_t)found->n_all));
    json_object_set_new(json, "cases", json_integer((json_int_t)found->n_cases));
    json_object_set_new(json, "seconds", json_integer((json_int_t)found->n_seconds));
    json_object_set_new(json, "no_second", json_integer((json_int_t)found->n_no_second));
    if (found->no_shortcut)
        json_object_set_new(json, "executed", json_string(found->no_shortcut));
    if (strcmp(options->backend_digest, "-") == 0)
        json_object_set_new(json, "command",
                            word_json_list(options->backend->command[DRIVER_SMOLVM]));
    return json;
}

static json_t *findings_json(uint32_t findings)
{
    json_t *list = json_array();
    for (size_t i = 0; i < AUDIT_N_CHECKS; i++)
        if (findings >> i & 1)
            json_array_append_new(list, json_string(audit_defs()[i].id));
    return list;
}

/* Of a case that is no point, but a place: none. */
static json_t *points_json(const struct explore_case *item)
{
    json_t *list = json_array();
    const struct crash_points *points = item->points[0];
    for (size_t i = 0; i < points->count; i++)
        if (explore_stands_for(item, i))
            json_array_append_new(list, json_integer((json_int_t)points->items[i].ordinal));
    return list;
}

static json_t *case_event(const struct explore_case *item)
{
    const struct ending *ending = &item->ending;
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:o, s:o}", "event", "case", "token",
                  item->token, "scope", token_scope_word(item->scope), "class",
                  class_words[explore_classify(ending)], "claim", claim_words[ending->claim],
                  "execs", (json_int_t)ending->execs, "points", (json_int_t)item->stands_for,
                  "findings", findings_json(ending->findings), "at", points_json(item));
    json_t *said = ending->said && ending->claim != CLAIM_DONE ? json_string(ending->said) : NULL;
    if (said)
        json_object_set_new(json, "said", said);
    if (ending->diff)
        json_object_set_new(json, "diff", json_string(ending->diff));
    if (item->healed_by >= 0)
        json_object_set_new(json, "healed", json_integer(item->healed_by));
    return json;
}

static json_t *rerun_event(const struct explore_case *item)
{
    return json_pack("{s:s, s:s, s:i}", "event", "rerun", "token", item->token, "healed_by",
                     item->healed_by);
}

static json_t *check_event(const struct explore_case *item)
{
    return json_pack("{s:s, s:s, s:b}", "event", "check", "token", item->token, "same",
                     item->checked_same);
}

static void add(struct explore_results *results, json_t *event)
{
    if (results->file)
        print_line(&results->err, results->file, event);
    else
        json_decref(event);
}

void explore_results_add_case(struct explore_results *results, const struct explore_case *item)
{
    add(results, case_event(item));
}

void explore_results_add_rerun(struct explore_results *results, const struct explore_case *item)
{
    add(results, rerun_event(item));
}

void explore_results_add_check(struct explore_results *results, const struct explore_case *item)
{
    add(results, check_event(item));
}

static json_t *end_event(const struct exploration *found)
{
    json_int_t points[CLASS_COUNT] = {0};
    json_t *classes = json_object();
    for (size_t i = 0; i < found->n_cases; i++)
        if (found->cases[i].ending.claim != CLAIM_NONE)
            points[explore_classify(&found->cases[i].ending)] +=
                (json_int_t)found->cases[i].stands_for;
    for (int class = 0; class < CLASS_COUNT; class ++)
        json_object_set_new(classes, class_words[class], json_integer(points[class]));
    return json_pack("{s:s, s:I, s:I, s:I, s:o}", "event", "end", "cases",
                     (json_int_t)found->n_cases, "all", (json_int_t)found->n_all, "open",
                     (json_int_t)exploration_open_cases(found), "classes", classes);
}

json_t *explore_results_events(const struct explore_options *options,
                               const struct exploration *found)
{
    json_t *events = json_array();
    json_array_append_new(events, begin_event(options, found));
    for (size_t i = 0; i < found->n_cases; i++)
        if (found->cases[i].ending.claim != CLAIM_NONE)
            json_array_append_new(events, case_event(&found->cases[i]));
    for (size_t i = 0; i < found->n_cases; i++)
        if (found->cases[i].reran)
            json_array_append_new(events, rerun_event(&found->cases[i]));
    for (size_t i = 0; i < found->n_cases; i++)
        if (found->cases[i].was_checked)
            json_array_append_new(events, check_event(&found->cases[i]));
    json_array_append_new(events, end_event(found));
    return events;
}

void explore_results_finish(struct explore_results *results, const struct explore_options *options,
                            const struct exploration *found)
{
    struct stat st;
    if (!results->file || fstat(fileno(results->file), &st) < 0)
        return;
    if (!S_ISREG(st.st_mode)) { /* a pipe or a device has had its lines */
        print_line(&results->err, results->file, end_event(found));
        return;
    }
    CLEANUP(io_free) char *real = realpath(results->path, NULL);
    CLEANUP(io_free) char *path = io_format("%s.new", real ? real : results->path);
    CLEANUP(io_fclose) FILE *file = fopen(path, "we");
    struct err failure = {""};
    size_t index;
    json_t *event, *events = explore_results_events(options, found);
    json_array_foreach(events, index, event)
    {
        if (file)
            print_line(&failure, file, json_incref(event));
    }
    json_decref(events);
    if (!file || (failure.msg[0] == '\0' && rename(path, real ? real : results->path) < 0))
        err_set(&failure, errno, "write %s", path);
    if (failure.msg[0])
        unlink(path);
    results->err = failure; /* all is in it now, whatever failed before */
}

/* --- going on ------------------------------------------------------------------------------ */

static struct explore_case *find_case(struct exploration *found, const char *token)
{
    for (size_t i = 0; token && i < found->n_cases; i++)
        if (strcmp(found->cases[i].token, token) == 0)
            return &found->cases[i];
    return NULL;
}

void explore_results_read(const json_t *line, struct ending *ret_ending)
{
    const char *claim = json_string_value(json_object_get(line, "claim"));
    const char *said = json_string_value(json_object_get(line, "said"));
    size_t index;
    json_t *finding;
    struct ending ending = {.execs = json_integer_value(json_object_get(line, "execs"))};
    for (size_t i = 0; claim && i < N_CLAIMS; i++)
        if (strcmp(claim, claim_words[i]) == 0)
            ending.claim = (enum explore_claim)i;
    json_array_foreach(json_object_get(line, "findings"), index, finding)
    {
        for (size_t i = 0; i < AUDIT_N_CHECKS; i++)
            if (json_is_string(finding) &&
                strcmp(audit_defs()[i].id, json_string_value(finding)) == 0)
                ending.findings |= UINT32_C(1) << i;
    }
    const char *diff = json_string_value(json_object_get(line, "diff"));
    ending.said = said ? io_format("%s", said) : NULL;
    ending.diff = diff ? io_format("%s", diff) : NULL;
    *ret_ending = ending;
}

static void take_case(const struct exploration *found, struct explore_case *item,
                      const json_t *line)
{
    struct ending ending;
    explore_results_read(line, &ending);
    if (ending.claim <= CLAIM_BROKEN) { /* it may go better now */
        ending_release(&ending);
        return;
    }
    item->retried = ending.execs > found->undisturbed_execs;
    ending_release(&item->ending);
    item->ending = ending;
}

void explore_results_take(struct exploration *found, const json_t *line)
{
    const char *event = json_string_value(json_object_get(line, "event"));
    struct explore_case *item = find_case(found, json_string_value(json_object_get(line, "token")));
    if (!event || !item)
        return;
    if (strcmp(event, "case") == 0)
        take_case(found, item, line);
    else if (strcmp(event, "rerun") == 0) {
        item->reran = true;
        item->healed_by = (int)json_integer_value(json_object_get(line, "healed_by"));
    } else if (strcmp(event, "check") == 0) {
        item->was_checked = true;
        item->checked_same = json_is_true(json_object_get(line, "same"));
    }
}

static int check_begin(const char *path, const json_t *line, const json_t *wanted, struct err *err)
{
    static const char *const keys[] = {"version", "command", "layout_digest", "backend_digest",
                                       "trace",   "call",    "scopes",        "depth",
                                       "choice",  "shard",   "no_shortcut"};
    const char *event = json_string_value(json_object_get(line, "event"));
    if (!event || strcmp(event, "begin") != 0)
        return err_text(err, ESTALE, "%s:1: no results of an exploration", path);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const json_t *a = json_object_get(line, keys[i]), *b = json_object_get(wanted, keys[i]);
        if (json_equal(a, b) || (!a && !b))
            continue;
        char *was = json_dumps(a, JSON_ENCODE_ANY), *is = json_dumps(b, JSON_ENCODE_ANY);
        int ret = err_text(err, ESTALE, "%s:1: of another exploration: %s was %s, now it is %s",
                           path, keys[i], was ? was : "not there", is ? is : "not there");
        free(was);
        free(is);
        return ret;
    }
    return 0;
}

/* Returns how many bytes are whole lines, or -errno. */
static int64_t read_lines(const struct explore_options *options, struct exploration *found,
                          struct err *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    int ret = io_read_file(AT_FDCWD, options->results, &text, RESULTS_MAX_BYTES, err);
    if (ret < 0)
        return ret;
    const char *from = buf_str(&text), *at = from;
    size_t number = 0;
    for (const char *end; ret == 0 && (end = strchr(at, '\n')); at = end + 1) {
        json_t *line = json_loadb(at, (size_t)(end - at), 0, NULL);
        json_t *wanted = number++ == 0 ? begin_event(options, found) : NULL;
        if (!line)
            ret = err_text(err, ESTALE, "%s:%zu: no JSON", options->results, number);
        else if (wanted)
            ret = check_begin(options->results, line, wanted, err);
        else
            explore_results_take(found, line);
        json_decref(wanted);
        json_decref(line);
    }
    if (ret == 0 && number == 0)
        ret = err_text(err, ESTALE, "%s:1: no results of an exploration", options->results);
    return ret < 0 ? ret : at - from;
}

int explore_results_open(struct explore_results *results, const struct explore_options *options,
                         struct exploration *found, struct err *err)
{
    *results = (struct explore_results){.path = options->results};
    if (!options->results)
        return 0;
    int64_t whole = options->resume ? read_lines(options, found, err) : 0;
    if (whole < 0)
        return (int)whole;
    if (options->resume && truncate(options->results, whole) < 0)
        return err_set(err, errno, "go on with %s", options->results);
    results->file = fopen(options->results, options->resume ? "ae" : "we");
    if (!results->file)
        return err_set(err, errno, "write %s", options->results);
    if (!options->resume)
        print_line(&results->err, results->file, begin_event(options, found));
    return 0;
}

void explore_results_close(struct explore_results *results)
{
    io_fclose(&results->file);
}
