#include "explore_play.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "../fakes/client.h"
#include "../fakes/container.h"
#include "../fakes/state.h"
#include "../fault/home.h"
#include "audit_check.h"
#include "results.h"
#include "trial_run.h"

#define SETTLE_MS 1000 /* what a backend waits before it tries again, at least */
#define RUN_MS 30000   /* of each that shares a core, for a run waits for its turn while it lasts */
#define FLIGHT_LEAST 8
#define FLIGHT_MOST 16

/* What one trial needs besides itself. */
struct prop {
    struct arming arming;
    struct scenario scenario;
    char *rules[2];
    const char *faults[3];
};

struct play {
    struct explorer *explorer;
    const char *what;
    struct explorer_job *jobs;
    void (*on_done)(void *context, size_t job);
    void *context;
};

void ending_release(struct ending *ending)
{
    io_free(&ending->said);
    io_free(&ending->diff);
}

void explorer_release(struct explorer *explorer)
{
    if (explorer->folder)
        io_remove_tree(AT_FDCWD, explorer->folder, NULL);
    io_close(&explorer->lock_fd);
    io_free(&explorer->folder);
    io_free(&explorer->copies);
    tree_release(&explorer->reference);
    scenario_set_release(&explorer->scenarios);
    *explorer = (struct explorer){.lock_fd = -1};
}

/* --- setting up --------------------------------------------------------------------- */

/* A folder that a later run sweeps when this one is killed: its name and lock are a run's. */
static int make_folder(struct explorer *explorer, struct err *err)
{
    CLEANUP(io_free) char *state_path = NULL;
    CLEANUP(io_close) int state_fd = -1;
    CLEANUP(io_free) char *lock = NULL;
    int ret = state_find(&state_path, err);
    if (ret == 0)
        ret = state_lock(state_path, &state_fd, err);
    if (ret < 0)
        return ret;
    explorer->folder = io_format("%s/run-%d-explore", state_path, (int)getpid());
    ret = io_make_dirs(explorer->folder, 0700, err);
    if (ret < 0)
        return ret;
    lock = io_format("%s/lock", explorer->folder);
    ret = io_lock_file(AT_FDCWD, lock, O_CREAT, &explorer->lock_fd);
    return ret < 0 ? err_set(err, -ret, "lock %s", explorer->folder) : 0;
}

/* The scenarios behind it all: nothing goes wrong but what the trial brings along. */
static int make_scenarios(struct explorer *explorer, struct err *err)
{
    struct diags diags = DIAGS_INIT;
    int ret = 0;
    for (int reruns = 0; reruns <= EXPLORE_RERUNS && ret == 0; reruns += EXPLORE_RERUNS) {
        CLEANUP(buf_release) struct buf text = BUF_INIT;
        buf_printf(&text,
                   "format: 1\nid: explore/reruns-%d\ntitle: explored\nlevel: may\n"
                   "layout: ['%s']\nlimits: {run_ms: %d}\nplan: [{}",
                   reruns, explorer->options->layout, RUN_MS);
        for (int i = 0; i < reruns; i++)
            buf_add(&text, ", {}");
        buf_add(&text, "]\nexpect:\n  claim: either\n  reason: it is what is explored\n"
                       "  store: {must: report, should: report, exact: pass}\n");
        ret =
            scenario_parse("explore", buf_str(&text), text.len, NULL, &explorer->scenarios, &diags);
    }
    if (ret < 0)
        err_text(err, EINVAL, "%s", diags.count ? diags.items[0].text : "the scenario");
    diags_release(&diags);
    return ret;
}

static int make_reference(struct explorer *explorer, struct err *err)
{
    CLEANUP(io_free) char *folder = io_format("%s/reference", explorer->folder);
    CLEANUP(io_free) char *fixtures = NULL;
    int ret = home_find("scenarios/fixtures", &fixtures, err);
    if (ret < 0)
        return ret;
    const struct trial_setup setup = {folder, fixtures,       explorer->options->backend,
                                      NULL,   explorer->kind, explorer->copies};
    const struct trial trial = {.scenario = explorer->scenarios.items[0],
                                .layout = explorer->options->layout,
                                .driver = DRIVER_SMOLVM};
    ret = trial_reference(&setup, &trial, &explorer->reference, err);
    io_remove_tree(AT_FDCWD, folder, NULL);
    return ret;
}

int explorer_open(struct explorer *explorer, const struct explore_options *options, struct err *err)
{
    *explorer = (struct explorer){.options = options, .lock_fd = -1};
    if (options->budget_ms)
        explorer->deadline_ms = io_now_ms() + options->budget_ms;
    int ret = runner_choose_kind(&explorer->kind, &explorer->why_copied);
    if (ret < 0 && err)
        *err = explorer->why_copied;
    if (ret == 0)
        ret = make_folder(explorer, err);
    if (ret == 0 && explorer->kind == &container_copied) {
        explorer->copies = io_format("%s/copies", explorer->folder);
        ret = io_make_dirs(explorer->copies, 0700, err);
    }
    if (ret == 0)
        ret = make_scenarios(explorer, err);
    return ret < 0 ? ret : make_reference(explorer, err);
}

unsigned explorer_flight(int64_t run_ms)
{
    int64_t flight = 2 + SETTLE_MS / (run_ms > 0 ? run_ms : 1);
    return flight < FLIGHT_LEAST  ? FLIGHT_LEAST
           : flight > FLIGHT_MOST ? FLIGHT_MOST
                                  : (unsigned)flight;
}

/* --- how a trial ended ----------------------------------------------------------------- */

#define NAME_BYTES "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* Behind the fixed part of a temporary's name: that of mktemp(1), or what `ln -f` makes. */
static size_t random_length(const char *at)
{
    static const char temporary[] = ".tmp.", link[] = "/Cu";
    size_t len = strlen(temporary);
    if (strncmp(at, temporary, len) == 0)
        return len + strspn(at + len, NAME_BYTES);
    len = strlen(link);
    return strncmp(at, link, len) == 0 && strspn(at + len, NAME_BYTES) == 6 ? len + 6 : 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* One difference, with "…" for what is random in it. True: there was something. */
static bool add_steady(const char *at, size_t len, struct buf *text)
{
    const char *end = at + len;
    bool random = false;
    while (at < end) {
        size_t changing = random_length(at);
        if (changing > 0)
            buf_add(text, *at == '/' ? "/Cu…" : ".tmp.…");
        else
            buf_append(text, at, 1);
        random |= changing > 0;
        at += changing > 0 ? changing : 1;
    }
    return random;
}

/*
 * The audit's list of differences, "; " between, in the order of what is the same in each run.
 * Which of several random names a list that was cut short still holds is chance: none stays.
 */
static char *steady_diff(const char *found)
{
    char *items[TREE_DIFFS_LISTED + 1];
    size_t n = 0;
    const char *more = strstr(found, "; and "), *stop = more ? more + 2 : NULL;
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    for (const char *at = found; *at && at != stop && n < TREE_DIFFS_LISTED;) {
        const char *end = strstr(at, "; ");
        size_t len = end ? (size_t)(end - at) : strlen(at);
        CLEANUP(buf_release) struct buf one = BUF_INIT;
        if (!add_steady(at, len, &one) || !more)
            items[n++] = io_format("%s", buf_str(&one));
        at += len + (end ? 2 : 0);
    }
    qsort(items, n, sizeof *items, by_text);
    for (size_t i = 0; i < n; i++) {
        buf_printf(&text, "%s%s", i ? "; " : "", items[i]);
        free(items[i]);
    }
    if (more)
        buf_add(&text, n > 0 ? more : stop);
    return io_format("%s", buf_str(&text));
}

static void take_place(struct ending *ending, const json_t *checks)
{
    size_t index;
    json_t *check;
    json_array_foreach(checks, index, check)
    {
        if (strcmp(json_string_value(json_object_get(check, "id")), "fired") != 0 ||
            strcmp(json_string_value(json_object_get(check, "result")), "fail") != 0)
            continue;
        ending->claim = CLAIM_BROKEN;
        ending_release(ending);
        ending->said = io_format("the place was not met again");
    }
}

/* Of the store alone: a judge's, whose ids begin with store/, or an audit's own. */
static void take_checks(struct ending *ending, const json_t *checks)
{
    size_t index;
    json_t *check;
    json_array_foreach(checks, index, check)
    {
        const char *id = json_string_value(json_object_get(check, "id"));
        if (strncmp(id, "store/", 6) == 0)
            id += 6;
        if (strcmp(json_string_value(json_object_get(check, "result")), "fail") != 0)
            continue;
        for (size_t i = 0; i < AUDIT_N_CHECKS; i++)
            if (strcmp(audit_defs()[i].id, id) == 0)
                ending->findings |= UINT32_C(1) << i;
        if (strcmp(id, "exact/files") == 0 && !ending->diff)
            ending->diff = steady_diff(json_string_value(json_object_get(check, "found")));
    }
}

/* What is another one in each run: the trial's folder, a thread's number, a random name. */
static size_t changing_length(const char *at, const char *folder)
{
    static const char hex[] = "0123456789abcdefABCDEF";
    size_t len = strlen(folder);
    if (len > 0 && strncmp(at, folder, len) == 0)
        return len;
    return (len = strspn(at, hex)) >= 12 ? len : random_length(at);
}

/* The last line that is not empty, the same in each run. */
static char *last_line(const char *text, const char *folder)
{
    size_t len = strlen(text);
    while (len > 0 && text[len - 1] == '\n')
        len--;
    size_t from = len;
    while (from > 0 && !strchr("\n\r", text[from - 1]))
        from--;
    CLEANUP(io_free) char *line = io_format("%.*s", (int)(len - from), text + from);
    CLEANUP(buf_release) struct buf said = BUF_INIT;
    for (const char *at = line; *at; at++) {
        size_t changing = changing_length(at, folder);
        if (changing > 0) {
            buf_add(&said, "…");
            at += changing - 1;
        } else
            buf_append(&said, (unsigned char)*at < ' ' || *at == 0x7f ? "?" : at, 1);
    }
    return io_format("%s", buf_str(&said));
}

static int64_t count_execs(const json_t *event, size_t k)
{
    const json_t *calls = json_object_get(event, "calls");
    int64_t execs = 0;
    size_t from = 0, to, index;
    json_t *run;
    json_array_foreach(json_object_get(event, "runs"), index, run)
    {
        to = from + (size_t)json_integer_value(json_object_get(run, "calls"));
        for (; index == k && from < to; from++) {
            const json_t *verb = json_object_get(json_array_get(calls, from), "verb");
            execs += json_is_string(verb) && strcmp(json_string_value(verb), "exec") == 0;
        }
        from = to;
    }
    return execs;
}

void ending_read(struct ending *ending, const json_t *event, size_t k)
{
    const json_t *run = json_array_get(json_object_get(event, "runs"), k);
    const char *how = json_string_value(json_object_get(run, "how"));
    const char *error = json_string_value(json_object_get(event, how ? "error" : "reason"));
    if (!how && !error)
        error = json_string_value(json_object_get(event, "error"));
    const char *said = results_said(run);
    const char *folder = json_string_value(json_object_get(event, "folder"));
    const json_t *checks = json_object_get(run, "checks"),
                 *whole = json_object_get(event, "checks");
    *ending = (struct ending){.claim = CLAIM_BROKEN};
    ending->said = error || !how ? io_format("%s", error ? error : "no result")
                                 : last_line(said, folder ? folder : "");
    if (error || !how)
        return;
    ending->code = (int)json_integer_value(json_object_get(run, "code"));
    bool done = ending->code == 0;
    ending->claim = strcmp(how, "timeout") == 0    ? CLAIM_TIMEOUT
                    : strcmp(how, "signaled") == 0 ? CLAIM_CRASH
                    : done                         ? CLAIM_DONE
                                                   : CLAIM_FAILED;
    ending->execs = count_execs(event, k);
    take_checks(ending, checks ? checks : whole);
    take_place(ending, whole);
}

int explorer_check_undisturbed(const struct ending *ending, struct err *err)
{
    CLEANUP(buf_release) struct buf checks = BUF_INIT;
    if (ending_is_good(ending))
        return 0;
    for (size_t i = 0; i < AUDIT_N_CHECKS; i++)
        if (ending->findings >> i & 1)
            buf_printf(&checks, " %s", audit_defs()[i].id);
    if (ending->claim == CLAIM_NONE)
        return err_text(err, EPROTO, "there was no time for an undisturbed run");
    if (ending->claim == CLAIM_DONE)
        return err_text(err, EPROTO,
                        "undisturbed, the backend claims success, but the audit finds:%s",
                        buf_str(&checks));
    if (ending->claim == CLAIM_TIMEOUT)
        return err_text(err, EPROTO, "undisturbed, the backend does not end");
    if (ending->claim == CLAIM_CRASH)
        return err_text(err, EPROTO, "undisturbed, the backend is killed by signal %d (%s)",
                        ending->code, strsignal(ending->code));
    bool failed = ending->claim == CLAIM_FAILED;
    CLEANUP(io_free) char *status = failed ? io_format("exit status %d: ", ending->code) : NULL;
    return err_text(err, EPROTO, "undisturbed, the backend does not succeed: %s%s",
                    status ? status : "", ending->said);
}

void explorer_hold_signals(struct explorer_signals *signals)
{
    sigemptyset(&signals->set);
    sigaddset(&signals->set, SIGINT);
    sigaddset(&signals->set, SIGTERM);
    sigaddset(&signals->set, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals->set, &signals->old);
}

bool explorer_let_signals(const struct explorer_signals *signals)
{
    const struct timespec now = {0, 0};
    bool waits = false;
    while (sigtimedwait(&signals->set, NULL, &now) > 0)
        waits = true;
    sigprocmask(SIG_SETMASK, &signals->old, NULL);
    return waits;
}

/* --- playing ------------------------------------------------------------------------- */

static void prop_release(struct prop *prop)
{
    io_free(&prop->rules[0]);
    io_free(&prop->rules[1]);
}

static int fill_rules(const struct explore_case *item, struct prop *prop, struct err *err)
{
    CLEANUP(token_release) struct token token = TOKEN_INIT;
    int ret = token_parse(item->token, &token, err);
    for (size_t k = 0; k < token.n_addresses && ret == 0; k++) {
        CLEANUP(buf_release) struct buf rule = BUF_INIT;
        ret = token_add_rule(&token, k, &rule, err);
        prop->rules[k] = io_format("%s", buf_str(&rule));
        prop->faults[k] = prop->rules[k];
    }
    prop->scenario.faults = prop->faults;
    return ret;
}

static void fill_states(const struct explore_options *options, const struct explore_case *item,
                        struct prop *prop)
{
    for (size_t k = 0; k < item->depth; k++) {
        const struct crash_point *point = &item->points[k]->items[item->point[k]];
        prop->arming.states[k] =
            (struct arming_state){.path = item->points[k]->path,
                                  .state = item->points[k]->states[point->state],
                                  .out_bytes = point->out_bytes,
                                  .err_bytes = point->err_bytes,
                                  .call = options->call,
                                  .nth = options->nth + (uint32_t)k};
    }
}

static int fill_trial(const struct explorer *explorer, const struct explorer_job *job,
                      struct trial *trial, struct prop *prop, struct err *err)
{
    const struct explore_options *options = explorer->options;
    prop->scenario = *explorer->scenarios.items[job->reruns ? 1 : 0];
    prop->scenario.run_ms =
        RUN_MS * (1 + (int64_t)(explorer->flight / (options->jobs ? options->jobs : 1)));
    prop->arming = (struct arming){
        .record_path = job->record_path, .call = options->call, .nth = job->record_nth};
    *trial = (struct trial){.scenario = &prop->scenario,
                            .layout = options->layout,
                            .driver = DRIVER_SMOLVM,
                            .arming = &prop->arming,
                            .reference = &explorer->reference,
                            .until_good = job->reruns};
    if (!job->item)
        return 0;
    if (job->real || job->item->real)
        return fill_rules(job->item, prop, err);
    fill_states(options, job->item, prop);
    return 0;
}

static void on_event(void *context, json_t *event)
{
    struct play *play = context;
    const char *id = json_string_value(json_object_get(event, "id"));
    if (!id)
        return;
    size_t index = strtoul(id, NULL, 10);
    struct explorer_job *job = &play->jobs[index];
    const json_t *runs = json_object_get(event, "runs");
    size_t n = json_array_size(runs);
    job->run_ms = json_integer_value(json_object_get(json_array_get(runs, 0), "ms"));
    ending_read(&job->ending, event, 0);
    job->healed_by = -1;
    if (n > 1 && job->ending.claim > CLAIM_BROKEN) {
        struct ending last;
        ending_read(&last, event, n - 1);
        job->healed_by = ending_is_good(&last) ? (int)n - 1 : 0;
        ending_release(&last);
    }
    if (job->ret_event)
        *job->ret_event = json_incref(event);
    if (play->on_done)
        play->on_done(play->context, index);
}

static void on_progress(void *context, size_t done, size_t total, size_t bad)
{
    (void)bad;
    struct play *play = context;
    const struct explore_options *options = play->explorer->options;
    options->on_progress(options->context, play->what, done, total);
}

static int run_trials(struct play *play, const struct trials *trials, struct err *err)
{
    const struct explore_options *options = play->explorer->options;
    struct run_outcome outcome = {.interrupted = false};
    const struct run_options run = {.backend = options->backend,
                                    .kind = play->explorer->kind,
                                    .copies_path = play->explorer->copies,
                                    .trials = trials,
                                    .jobs = options->jobs,
                                    .flight = play->explorer->flight,
                                    .pins = true,
                                    .keep = play->explorer->keeps ? KEEP_ALL : KEEP_NONE,
                                    .deadline_ms = play->explorer->deadline_ms,
                                    .on_event = on_event,
                                    .on_progress = options->on_progress ? on_progress : NULL,
                                    .context = play};
    if (trials->count == 0)
        return 0;
    int ret = runner_run(&run, &outcome, err);
    return ret == 0 && outcome.interrupted ? err_text(err, EINTR, "interrupted") : ret;
}

int explorer_play(struct explorer *explorer, const char *what, struct explorer_job *jobs,
                  size_t count, void (*on_done)(void *context, size_t job), void *context,
                  struct err *err)
{
    CLEANUP(trials_release)
    struct trials trials = {calloc(count + 1, sizeof *trials.items), count};
    struct prop *props = calloc(count + 1, sizeof *props);
    struct play play = {explorer, what, jobs, on_done, context};
    if (!props || !trials.items)
        abort();
    int ret = 0;
    for (size_t i = 0; i < count && ret == 0; i++) {
        ret = fill_trial(explorer, &jobs[i], &trials.items[i], &props[i], err);
        trials.items[i].id = io_format("%zu", i);
    }
    if (ret == 0)
        ret = run_trials(&play, &trials, err);
    for (size_t i = 0; i < count; i++)
        prop_release(&props[i]);
    free(props);
    return ret;
}
