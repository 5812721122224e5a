#include "explore.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "../fakes/client.h"
#include "../fakes/state.h"
#include "../fault/home.h"
#include "audit_check.h"
#include "tree.h"
#include "trial_run.h"

#define RERUNS 2
#define TORN_PAGE 4096
#define CHECK_SHARE 100 /* one state of so many is executed for real as well */
#define CHECK_LEAST 8

struct explorer {
    const struct explore_options *options;
    struct exploration *found;
    char *folder;
    int lock_fd;
    struct scenario_set scenarios; /* [n]: undisturbed, then n reruns */
    struct tree reference;
    /* What is being played. */
    const struct trials *trials;
    struct ending *outcomes;
    const char *what;
    bool interrupted;
};

static void ending_release(struct ending *outcome)
{
    io_free(&outcome->said);
}

void exploration_release(struct exploration *exploration)
{
    for (size_t i = 0; i < exploration->n_cases; i++)
        ending_release(&exploration->cases[i].ending);
    free(exploration->cases);
    io_free(&exploration->parted_at);
    crash_points_release(&exploration->points);
}

static void explorer_release(struct explorer *explorer)
{
    if (explorer->folder)
        io_remove_tree(AT_FDCWD, explorer->folder, NULL);
    io_close(&explorer->lock_fd);
    io_free(&explorer->folder);
    tree_release(&explorer->reference);
    scenario_set_release(&explorer->scenarios);
}

uint32_t explore_level_mask(int level)
{
    uint32_t mask = 0;
    for (size_t i = 0; i < AUDIT_N_CHECKS; i++)
        if ((int)audit_defs()[i].level == level)
            mask |= UINT32_C(1) << i;
    return mask;
}

/* --- setting up --------------------------------------------------------------------- */

/* A folder that a later run sweeps when this one is killed: its name and lock are a run's. */
static int make_folder(struct explorer *explorer, struct err *err)
{
    CLEANUP(io_free) char *state_path = NULL;
    CLEANUP(io_close) int state_fd = -1;
    CLEANUP(io_close) int fd = -1;
    int ret = state_find(&state_path, err);
    if (ret == 0)
        ret = state_lock(state_path, &state_fd, err);
    if (ret < 0)
        return ret;
    explorer->folder = io_format("%s/run-%d-explore", state_path, (int)getpid());
    ret = io_make_dirs(explorer->folder, 0700, err);
    if (ret < 0)
        return ret;
    fd = open(explorer->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ret = fd < 0 ? -errno : io_lock_file(fd, "lock", O_CREAT, &explorer->lock_fd);
    return ret < 0 ? err_set(err, -ret, "lock %s", explorer->folder) : 0;
}

/* The scenarios behind it all: nothing goes wrong but what the trial brings along. */
static int make_scenarios(struct explorer *explorer, struct err *err)
{
    struct diags diags = DIAGS_INIT;
    int ret = 0;
    for (int reruns = 0; reruns <= RERUNS && ret == 0; reruns++) {
        CLEANUP(buf_release) struct buf text = BUF_INIT;
        buf_printf(&text,
                   "format: 1\nid: explore/reruns-%d\ntitle: explored\nlevel: may\n"
                   "layout: ['%s']\nplan: [{}",
                   reruns, explorer->options->layout);
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

/* --- playing ------------------------------------------------------------------------- */

static void take_checks(struct ending *outcome, const json_t *checks)
{
    size_t index;
    json_t *check;
    json_array_foreach(checks, index, check)
    {
        const char *id = json_string_value(json_object_get(check, "id"));
        const char *result = json_string_value(json_object_get(check, "result"));
        if (strcmp(id, "fired") == 0 && strcmp(result, "fail") == 0) {
            outcome->claim = CLAIM_BROKEN;
            ending_release(outcome);
            outcome->said = io_format("the place was not met again");
        }
        if (strncmp(id, "store/", 6) != 0 || strcmp(result, "fail") != 0)
            continue;
        for (size_t i = 0; i < AUDIT_N_CHECKS; i++)
            if (strcmp(audit_defs()[i].id, id + 6) == 0)
                outcome->findings |= UINT32_C(1) << i;
    }
}

/* The last line that is not empty. */
static char *last_line(const char *text)
{
    size_t len = strlen(text);
    while (len > 0 && text[len - 1] == '\n')
        len--;
    size_t from = len;
    while (from > 0 && text[from - 1] != '\n')
        from--;
    return io_format("%.*s", (int)(len - from), text + from);
}

static void take_outcome(struct ending *outcome, const json_t *event)
{
    const json_t *runs = json_object_get(event, "runs");
    const json_t *run = json_array_get(runs, json_array_size(runs) - 1);
    const char *how = json_string_value(json_object_get(run, "how"));
    const char *error = json_string_value(json_object_get(event, "error"));
    const char *said = json_string_value(json_object_get(run, "stderr"));
    *outcome = (struct ending){.claim = CLAIM_BROKEN};
    outcome->said = error || !how ? io_format("%s", error ? error : "no result") : last_line(said);
    if (error || !how)
        return;
    bool done = json_integer_value(json_object_get(run, "code")) == 0;
    outcome->claim = strcmp(how, "timeout") == 0    ? CLAIM_TIMEOUT
                     : strcmp(how, "signaled") == 0 ? CLAIM_CRASH
                     : done                         ? CLAIM_DONE
                                                    : CLAIM_FAILED;
    size_t index;
    json_t *call;
    json_array_foreach(json_object_get(event, "calls"), index, call)
    {
        outcome->execs += strcmp(json_string_value(json_object_get(call, "verb")), "exec") == 0;
    }
    take_checks(outcome, json_object_get(event, "checks"));
}

static void on_event(void *context, json_t *event)
{
    struct explorer *explorer = context;
    const char *id = json_string_value(json_object_get(event, "id"));
    if (id)
        take_outcome(&explorer->outcomes[strtoul(id, NULL, 10)], event);
}

static void on_progress(void *context, size_t done, size_t total, size_t bad)
{
    (void)bad;
    struct explorer *explorer = context;
    const struct explore_options *options = explorer->options;
    options->on_progress(options->context, explorer->what, done, total);
}

/* Plays trials; their ids are their numbers. outcomes: one each. */
static int play(struct explorer *explorer, const char *what, const struct trials *trials,
                struct ending *outcomes, struct err *err)
{
    const struct explore_options *options = explorer->options;
    struct run_outcome counts = {.interrupted = false};
    const struct run_options run = {.backend = options->backend,
                                    .trials = trials,
                                    .jobs = options->jobs,
                                    .on_event = on_event,
                                    .on_progress = options->on_progress ? on_progress : NULL,
                                    .context = explorer};
    if (trials->count == 0)
        return 0;
    for (size_t i = 0; i < trials->count; i++)
        trials->items[i].id = io_format("%zu", i);
    explorer->trials = trials;
    explorer->outcomes = outcomes;
    explorer->what = what;
    int ret = runner_run(&run, &counts, err);
    if (ret == 0 && counts.interrupted) {
        explorer->found->interrupted = true;
        ret = err_text(err, EINTR, "interrupted");
    }
    return ret;
}

static void trials_new(struct trials *trials, size_t count)
{
    *trials = (struct trials){calloc(count + 1, sizeof *trials->items), 0};
    if (!trials->items)
        abort();
}

static struct trial *add_trial(const struct explorer *explorer, struct trials *trials,
                               const struct scenario *scenario)
{
    struct trial *trial = &trials->items[trials->count++];
    *trial = (struct trial){.scenario = scenario,
                            .layout = explorer->options->layout,
                            .driver = DRIVER_SMOLVM,
                            .reference = &explorer->reference};
    return trial;
}

/* --- recording ------------------------------------------------------------------------ */

static int compare(const struct crash_points *a, const struct crash_points *b, struct err *err)
{
    for (size_t i = 0; i < a->count && i < b->count; i++) {
        const char *one = a->items[i].address, *other = b->items[i].address;
        if (one == other || (one && other && strcmp(one, other) == 0))
            continue;
        return err_text(err, EILSEQ, "two recordings of the same part at point %zu: %s, then %s",
                        i + 1, one ? one : "the end", other ? other : "the end");
    }
    if (strcmp(a->trace, b->trace) != 0 || a->n_states != b->n_states)
        return err_text(err, EILSEQ,
                        "two recordings of the same differ in attempts that change nothing, or in "
                        "the states between");
    return 0;
}

static int record(struct explorer *explorer, struct err *err)
{
    struct ending outcomes[2] = {{.execs = 0}, {.execs = 0}};
    struct arming armings[2];
    CLEANUP(io_free) char *first = io_format("%s/first", explorer->folder);
    CLEANUP(io_free) char *second = io_format("%s/second", explorer->folder);
    CLEANUP(trials_release) struct trials trials;
    CLEANUP(crash_points_release) struct crash_points again = CRASH_POINTS_INIT;
    trials_new(&trials, 2);
    for (size_t i = 0; i < 2; i++) {
        armings[i] = (struct arming){.record_path = i ? second : first,
                                     .call = explorer->options->call,
                                     .nth = explorer->options->nth};
        add_trial(explorer, &trials, explorer->scenarios.items[0])->arming = &armings[i];
    }
    int ret = play(explorer, "recording", &trials, outcomes, err);
    for (size_t i = 0; i < 2 && ret == 0; i++)
        if (outcomes[i].claim != CLAIM_DONE || outcomes[i].findings)
            ret = err_text(err, EPROTO, "undisturbed, the backend does not succeed: %s",
                           outcomes[i].said);
    if (ret == 0)
        ret = crash_points_read(first, &explorer->found->points, err);
    if (ret == 0)
        ret = crash_points_read(second, &again, err);
    if (ret == 0)
        ret = compare(&explorer->found->points, &again, err);
    ending_release(&outcomes[0]);
    ending_release(&outcomes[1]);
    io_remove_tree(AT_FDCWD, second, NULL);
    return ret;
}

static int make_reference(struct explorer *explorer, struct err *err)
{
    CLEANUP(io_free) char *folder = io_format("%s/reference", explorer->folder);
    CLEANUP(io_free) char *fixtures = NULL;
    int ret = home_find("scenarios/fixtures", &fixtures, err);
    if (ret < 0)
        return ret;
    const struct trial_setup setup = {folder, fixtures, explorer->options->backend, NULL};
    CLEANUP(trials_release) struct trials trials;
    trials_new(&trials, 1);
    struct trial *trial = add_trial(explorer, &trials, explorer->scenarios.items[0]);
    ret = trial_reference(&setup, trial, &explorer->reference, err);
    io_remove_tree(AT_FDCWD, folder, NULL);
    return ret;
}

/* --- cases ----------------------------------------------------------------------------- */

static struct explore_case *add_case(struct exploration *found, enum explore_scope scope)
{
    found->cases = realloc(found->cases, (found->n_cases + 1) * sizeof *found->cases);
    if (!found->cases)
        abort();
    struct explore_case *item = &found->cases[found->n_cases++];
    *item = (struct explore_case){.scope = scope,
                                  .real = true,
                                  .point = SIZE_MAX,
                                  .persist_bytes = -1,
                                  .stands_for = 1,
                                  .healed_by = -1};
    return item;
}

static void add_states(struct exploration *found)
{
    const struct crash_points *points = &found->points;
    size_t first_case = found->n_cases;
    for (size_t i = 0; i < points->count; i++) {
        struct explore_case *item = NULL;
        for (size_t k = first_case; k < found->n_cases && !item; k++)
            if (points->items[found->cases[k].point].state == points->items[i].state)
                item = &found->cases[k];
        if (item) {
            item->stands_for++;
            continue;
        }
        item = add_case(found, EXPLORE_TREE);
        item->real = false;
        item->point = i;
        item->address = points->items[i].address;
    }
}

/* At each page border of the file that lies inside a write. */
static void add_torn(struct exploration *found)
{
    for (size_t i = 0; i < found->points.count; i++) {
        const struct crash_point *point = &found->points.items[i];
        if (point->write_bytes <= 0 || point->write_from < 0)
            continue;
        int64_t border = (point->write_from / TORN_PAGE + 1) * TORN_PAGE;
        for (; border < point->write_from + point->write_bytes; border += TORN_PAGE) {
            struct explore_case *item = add_case(found, EXPLORE_TORN);
            item->point = i;
            item->address = point->address;
            item->persist_bytes = border - point->write_from;
        }
    }
}

/* Of addresses that differ in N alone the first, the middle and the last. */
static bool is_representative(char *const *all, size_t i)
{
    size_t len = strcspn(all[i], "#") + 1;
    size_t from = i, to = i;
    while (from > 0 && strncmp(all[from - 1], all[i], len) == 0)
        from--;
    while (all[to + 1] && strncmp(all[to + 1], all[i], len) == 0)
        to++;
    return i == from || i == to || i == from + (to - from) / 2;
}

static void add_places(const struct explorer *explorer, struct exploration *found)
{
    const struct crash_points *points = &found->points;
    for (size_t i = 0; i + 1 < points->count; i++) {
        struct explore_case *item = add_case(found, EXPLORE_PROCESS);
        item->point = i;
        item->address = points->items[i].address;
    }
    for (size_t i = 0; points->places[i]; i++) {
        found->n_places++;
        if (!explorer->options->representative || is_representative(points->places, i))
            add_case(found, EXPLORE_PROCESS)->address = points->places[i];
    }
}

/* --- the trials of cases ----------------------------------------------------------------- */

/* What a case's trial needs besides the trial. */
struct prop {
    struct arming arming;
    struct scenario scenario;
    char *rule;
    const char *faults[2];
};

static void prop_release(struct prop *prop)
{
    io_free(&prop->rule);
}

static int fill_rule(const struct explorer *explorer, const struct explore_case *item,
                     struct prop *prop, struct err *err)
{
    CLEANUP(address_release) struct address address = ADDRESS_INIT;
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    int ret = address_parse(item->address, &address, NULL, err);
    if (ret < 0)
        return err_wrap(err, ret, "%s", item->address);
    buf_printf(&text, "%s#%u ", rule_call_words[explorer->options->call], explorer->options->nth);
    address_add_rule(&address, item->scope == EXPLORE_PROCESS ? RULE_PROCESS : RULE_TREE, &text);
    text.data[--text.len] = '\0'; /* its newline */
    if (item->persist_bytes >= 0)
        buf_printf(&text, ":persist=%lld", (long long)item->persist_bytes);
    prop->rule = io_format("%s", buf_str(&text));
    prop->faults[0] = prop->rule;
    return 0;
}

static int fill_trial(const struct explorer *explorer, const struct explore_case *item, bool real,
                      int reruns, struct trial *trial, struct prop *prop, struct err *err)
{
    const struct crash_points *points = &explorer->found->points;
    prop->scenario = *explorer->scenarios.items[reruns];
    trial->scenario = &prop->scenario;
    if (real) {
        prop->scenario.faults = prop->faults;
        return fill_rule(explorer, item, prop, err);
    }
    const struct crash_point *point = &points->items[item->point];
    prop->arming = (struct arming){.replay_path = points->path,
                                   .state = points->states[point->state],
                                   .out_bytes = point->out_bytes,
                                   .err_bytes = point->err_bytes,
                                   .call = explorer->options->call,
                                   .nth = explorer->options->nth};
    trial->arming = &prop->arming;
    return 0;
}

/*
 * Plays these cases with so many reruns. real: by executing, whatever the case says.
 * outcomes: one for each of them.
 */
static int play_cases(struct explorer *explorer, const char *what, const size_t *chosen,
                      size_t count, int reruns, bool real, struct ending *outcomes, struct err *err)
{
    CLEANUP(trials_release) struct trials trials;
    struct prop *props = calloc(count + 1, sizeof *props);
    if (!props)
        abort();
    trials_new(&trials, count);
    int ret = 0;
    for (size_t i = 0; i < count && ret == 0; i++) {
        const struct explore_case *item = &explorer->found->cases[chosen[i]];
        struct trial *trial = add_trial(explorer, &trials, NULL);
        ret = fill_trial(explorer, item, real || item->real, reruns, trial, &props[i], err);
    }
    if (ret == 0)
        ret = play(explorer, what, &trials, outcomes, err);
    for (size_t i = 0; i < count; i++)
        prop_release(&props[i]);
    free(props);
    return ret;
}

static bool is_good(const struct ending *outcome)
{
    return outcome->claim == CLAIM_DONE && outcome->findings == 0;
}

/* --- the whole ---------------------------------------------------------------------------- */

/* Which undisturbed rerun makes it good, for those that are not. */
static int heal(struct explorer *explorer, size_t *chosen, struct err *err)
{
    struct exploration *found = explorer->found;
    struct ending *outcomes = calloc(found->n_cases + 1, sizeof *outcomes);
    if (!outcomes)
        abort();
    for (size_t i = 0; i < found->n_cases; i++)
        found->cases[i].healed_by = is_good(&found->cases[i].ending) ? -1 : 0;
    int ret = 0;
    for (int reruns = 1; reruns <= RERUNS && ret == 0; reruns++) {
        size_t count = 0;
        for (size_t i = 0; i < found->n_cases; i++)
            if (found->cases[i].healed_by == 0 && found->cases[i].ending.claim != CLAIM_BROKEN)
                chosen[count++] = i;
        ret = play_cases(explorer, reruns == 1 ? "rerun once" : "rerun twice", chosen, count,
                         reruns, false, outcomes, err);
        for (size_t i = 0; i < count; i++) {
            if (ret == 0 && is_good(&outcomes[i]))
                found->cases[chosen[i]].healed_by = reruns;
            ending_release(&outcomes[i]);
        }
    }
    free(outcomes);
    return ret;
}

static int by_hash(const void *a, const void *b)
{
    const uint64_t *one = a, *other = b;
    return (*one > *other) - (*one < *other);
}

/* A sample of the states, executed for real: the outcome must be the same. */
static int check_shortcut(struct explorer *explorer, size_t *chosen, struct err *err)
{
    struct exploration *found = explorer->found;
    size_t count = 0, wanted = found->points.n_states / CHECK_SHARE;
    uint64_t(*hashes)[2] = calloc(found->n_cases + 1, sizeof *hashes);
    struct ending *outcomes = calloc(found->n_cases + 1, sizeof *outcomes);
    if (!hashes || !outcomes)
        abort();
    for (size_t i = 0; i < found->n_cases; i++)
        if (!found->cases[i].real && found->cases[i].address) {
            const char *address = found->cases[i].address;
            hashes[count][0] = XXH3_64bits(address, strlen(address));
            hashes[count++][1] = i;
        }
    qsort(hashes, count, sizeof *hashes, by_hash);
    wanted = wanted < CHECK_LEAST ? CHECK_LEAST : wanted;
    count = explorer->options->no_shortcut || count < wanted ? count : wanted;
    for (size_t i = 0; i < count; i++)
        chosen[i] = hashes[i][1];
    int ret = play_cases(explorer, "checking the shortcut", chosen, count, 0, true, outcomes, err);
    for (size_t i = 0; i < count; i++) {
        const struct explore_case *item = &found->cases[chosen[i]];
        bool same = outcomes[i].claim == item->ending.claim &&
                    outcomes[i].findings == item->ending.findings &&
                    outcomes[i].execs == item->ending.execs;
        if (ret == 0 && !same && found->parted++ == 0)
            found->parted_at = io_format("%s", item->address);
        ending_release(&outcomes[i]);
    }
    found->checked = ret == 0 ? count : 0;
    free(hashes);
    free(outcomes);
    return ret;
}

static int play_all(struct explorer *explorer, struct err *err)
{
    struct exploration *found = explorer->found;
    size_t *chosen = calloc(found->n_cases + 1, sizeof *chosen);
    struct ending *outcomes = calloc(found->n_cases + 1, sizeof *outcomes);
    if (!chosen || !outcomes)
        abort();
    for (size_t i = 0; i < found->n_cases; i++)
        chosen[i] = i;
    int ret = play_cases(explorer, "exploring", chosen, found->n_cases, 0, false, outcomes, err);
    for (size_t i = 0; i < found->n_cases; i++)
        found->cases[i].ending = outcomes[i];
    free(outcomes);
    if (ret == 0)
        ret = heal(explorer, chosen, err);
    if (ret == 0)
        ret = check_shortcut(explorer, chosen, err);
    free(chosen);
    return ret;
}

int explore(const struct explore_options *options, struct exploration *ret_exploration,
            struct err *err)
{
    *ret_exploration = (struct exploration){.points = CRASH_POINTS_INIT};
    CLEANUP(explorer_release)
    struct explorer explorer = {.options = options,
                                .found = ret_exploration,
                                .lock_fd = -1,
                                .scenarios = SCENARIO_SET_INIT,
                                .reference = {NULL, 0}};
    int ret = make_folder(&explorer, err);
    if (ret == 0)
        ret = make_scenarios(&explorer, err);
    if (ret == 0)
        ret = make_reference(&explorer, err);
    if (ret == 0)
        ret = record(&explorer, err);
    if (ret < 0)
        return ret;
    if (options->scopes & EXPLORE_TREE)
        add_states(ret_exploration);
    if (options->scopes & EXPLORE_TORN)
        add_torn(ret_exploration);
    if (options->scopes & EXPLORE_PROCESS)
        add_places(&explorer, ret_exploration);
    return play_all(&explorer, err);
}
