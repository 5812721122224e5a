#include "explore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "../fakes/container.h"
#include "audit_check.h"
#include "explore_cases.h"
#include "explore_play.h"
#include "explore_results.h"

#define CHECK_SHARE 100 /* one state of so many is executed for real as well */
#define CHECK_LEAST 8

struct search {
    const struct explore_options *options;
    struct exploration *found;
    struct explorer explorer;
    struct explore_results results;
    /* What is being played: jobs[K] is about cases[chosen[K]]. */
    struct explorer_job *jobs;
    size_t *chosen;
};

void exploration_release(struct exploration *exploration)
{
    for (size_t i = 0; i < exploration->n_cases; i++) {
        ending_release(&exploration->cases[i].ending);
        free(exploration->cases[i].token);
    }
    free(exploration->cases);
    for (size_t i = 0; i < exploration->n_seconds; i++)
        crash_points_release(&exploration->seconds[i]);
    free(exploration->seconds);
    io_free(&exploration->copied);
    io_free(&exploration->no_shortcut);
    crash_points_release(&exploration->points);
}

static void search_release(struct search *search)
{
    explore_results_close(&search->results);
    explorer_release(&search->explorer);
    free(search->jobs);
    free(search->chosen);
}

uint32_t explore_level_mask(int level)
{
    uint32_t mask = 0;
    for (size_t i = 0; i < AUDIT_N_CHECKS; i++)
        if ((int)audit_defs()[i].level == level)
            mask |= UINT32_C(1) << i;
    return mask;
}

bool ending_is_good(const struct ending *ending)
{
    return ending->claim == CLAIM_DONE && ending->findings == 0;
}

size_t exploration_open_cases(const struct exploration *exploration)
{
    size_t open = 0;
    for (size_t i = 0; i < exploration->n_cases; i++)
        open += exploration->cases[i].ending.claim == CLAIM_NONE;
    return open;
}

bool exploration_lacks_reruns(const struct exploration *exploration)
{
    bool lacks = false;
    for (size_t i = 0; i < exploration->n_cases; i++)
        lacks |= exploration->cases[i].rerun_failed;
    return lacks;
}

static void *alloc_list(size_t count, size_t size)
{
    void *list = calloc(count + 1, size);
    if (!list)
        abort();
    return list;
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
                        "how many states there are");
    return 0;
}

/* A state stands for a call only when that is always made in the same words. */
static char *why_no_shortcut(const struct explore_options *options, const struct crash_points *a,
                             const struct crash_points *b)
{
    if (options->no_shortcut)
        return io_format("as asked");
    if (strcmp(a->call, b->call) != 0)
        return io_format("the call is another one in each run");
    if (a->has_stdin)
        return io_format("the call reads from its standard input");
    return NULL;
}

static int record(struct search *search, struct err *err)
{
    const struct explore_options *options = search->options;
    struct exploration *found = search->found;
    CLEANUP(io_free) char *first = io_format("%s/first", search->explorer.folder);
    CLEANUP(io_free) char *second = io_format("%s/second", search->explorer.folder);
    CLEANUP(crash_points_release) struct crash_points again = CRASH_POINTS_INIT;
    struct explorer_job jobs[2] = {{.record_path = first, .record_nth = options->nth},
                                   {.record_path = second, .record_nth = options->nth}};
    int ret = explorer_play(&search->explorer, "recording", jobs, 2, NULL, NULL, err);
    for (size_t i = 0; i < 2 && ret == 0; i++)
        ret = explorer_check_undisturbed(&jobs[i].ending, err);
    if (ret == 0 && !crash_points_exist(first))
        ret = err_text(err, EPROTO, "the backend does not make the call %s#%u",
                       rule_call_words[options->call], options->nth);
    found->undisturbed_execs = jobs[0].ending.execs;
    if (ret == 0)
        ret = crash_points_read(first, &found->points, err);
    if (ret == 0)
        ret = crash_points_read(second, &again, err);
    if (ret == 0)
        ret = compare(&found->points, &again, err);
    search->explorer.flight = explorer_flight(jobs[0].run_ms);
    if (ret == 0)
        found->no_shortcut = why_no_shortcut(options, &found->points, &again);
    ending_release(&jobs[0].ending);
    ending_release(&jobs[1].ending);
    io_remove_tree(AT_FDCWD, second, NULL);
    return ret;
}

/* Records the second call from the state of each first case that was chosen. */
static int record_seconds(struct search *search, struct err *err)
{
    const struct explore_options *options = search->options;
    struct exploration *found = search->found;
    size_t count = found->n_cases;
    char **paths = alloc_list(count, sizeof *paths);
    struct explorer_job *jobs = alloc_list(count, sizeof *jobs);
    found->seconds = alloc_list(count, sizeof *found->seconds);
    for (size_t i = 0; i < count; i++) {
        paths[i] = io_format("%s/second-%zu", search->explorer.folder, i);
        jobs[i] = (struct explorer_job){
            .item = &found->cases[i], .record_path = paths[i], .record_nth = options->nth + 1};
    }
    int ret =
        explorer_play(&search->explorer, "recording the second call", jobs, count, NULL, NULL, err);
    for (size_t i = 0; i < count; i++) {
        found->seconds[i] = (struct crash_points)CRASH_POINTS_INIT;
        if (ret == 0 && jobs[i].ending.claim <= CLAIM_BROKEN)
            ret = err_text(err, EPROTO, "%s: %s", found->cases[i].token,
                           jobs[i].ending.said ? jobs[i].ending.said : "there was no time");
        ending_release(&jobs[i].ending);
        /* Who does not call again leaves no recording. */
        if (ret == 0 && crash_points_exist(paths[i]))
            ret = crash_points_read(paths[i], &found->seconds[i], err);
        else
            found->n_no_second++;
        free(paths[i]);
    }
    found->n_seconds = count;
    free(paths);
    free(jobs);
    return ret;
}

/* --- what is played ---------------------------------------------------------------------- */

static void drop_cases(struct exploration *found)
{
    for (size_t i = 0; i < found->n_cases; i++)
        free(found->cases[i].token);
    free(found->cases);
    found->cases = NULL;
    found->n_cases = 0;
}

/* Of the first kills those that the options choose, each with all second ones; then a choice of
 * the pairs. */
static int make_pairs(struct search *search, struct err *err)
{
    const struct explore_options *options = search->options;
    struct exploration *found = search->found;
    struct explore_options firsts = *options;
    firsts.shard = (struct shard)SHARD_ALL;
    if (options->choice == CHOOSE_DEFAULT && !options->mini)
        firsts.choice = CHOOSE_REPRESENTATIVE;
    explore_add_states(found, &found->points, found->no_shortcut != NULL);
    explore_choose_cases(&firsts, found);
    int ret = record_seconds(search, err);
    if (ret < 0)
        return ret;
    struct exploration pairs = {.cases = NULL};
    for (size_t i = 0; i < found->n_cases; i++)
        explore_add_pairs(&pairs, &found->cases[i], &found->seconds[i]);
    drop_cases(found);
    found->cases = pairs.cases;
    found->n_cases = pairs.n_cases;
    return 0;
}

static int make_cases(struct search *search, struct err *err)
{
    const struct explore_options *options = search->options;
    struct exploration *found = search->found;
    int ret = 0;
    if (options->depth == 2)
        ret = make_pairs(search, err);
    else {
        if (options->scopes & EXPLORE_TREE)
            explore_add_states(found, &found->points, found->no_shortcut != NULL);
        if (options->scopes & EXPLORE_TORN)
            explore_add_torn(found);
        if (options->scopes & EXPLORE_PROCESS)
            explore_add_places(found);
    }
    if (ret < 0)
        return ret;
    explore_choose_cases(options, found);
    if (found->n_cases == 0 && found->n_all > 0 && options->shard.count == 1)
        return err_text(err, ERANGE, "no crash point is chosen, of %zu", found->n_all);
    return 0;
}

/* --- playing ------------------------------------------------------------------------------- */

/* Adds the cases to be played that are representative, or those that are not. */
static size_t want_cases(struct search *search, bool representative, size_t count)
{
    struct exploration *found = search->found;
    for (size_t i = 0; i < found->n_cases; i++)
        if (found->cases[i].ending.claim == CLAIM_NONE &&
            explore_is_representative(found, i) == representative) {
            /* A loop's second turn is the first that finds something done: where a row begins. */
            bool reruns =
                representative || explore_is_second(found, i) || found->cases[i].depth == 2;
            search->jobs[count] = (struct explorer_job){
                .item = &found->cases[i], .reruns = reruns && !search->options->rounds};
            search->chosen[count++] = i;
        }
    return count;
}

struct hashed {
    uint64_t hash;
    size_t index;
};

static int by_hash(const void *a, const void *b)
{
    const struct hashed *one = a, *other = b;
    return (one->hash > other->hash) - (one->hash < other->hash);
}

/* Adds a sample of the states, to be executed for real as well. Returns the new count. */
static size_t want_checks(struct search *search, size_t count)
{
    struct exploration *found = search->found;
    struct hashed *all = alloc_list(found->n_cases, sizeof *all);
    size_t states = 0, wanted = found->n_cases / CHECK_SHARE;
    for (size_t i = 0; i < found->n_cases; i++) {
        const struct explore_case *item = &found->cases[i];
        if (!item->real)
            all[states++] = (struct hashed){XXH3_64bits(item->token, strlen(item->token)), i};
    }
    qsort(all, states, sizeof *all, by_hash);
    wanted = wanted < CHECK_LEAST ? CHECK_LEAST : wanted;
    for (size_t i = 0; i < states && i < wanted; i++)
        if (!found->cases[all[i].index].was_checked) {
            search->jobs[count] =
                (struct explorer_job){.item = &found->cases[all[i].index], .real = true};
            search->chosen[count++] = all[i].index;
        }
    free(all);
    return count;
}

static bool may_heal(const struct explore_case *item)
{
    return item->ending.claim > CLAIM_BROKEN && !ending_is_good(&item->ending);
}

static void take_reruns(struct search *search, struct explore_case *item, int healed_by)
{
    item->reran = healed_by >= 0;
    item->healed_by = healed_by;
    if (item->reran)
        explore_results_add_rerun(&search->results, item);
}

static void on_played(void *context, size_t job)
{
    struct search *search = context;
    struct explore_case *item = &search->found->cases[search->chosen[job]];
    if (search->jobs[job].real) /* it may be there before what it is held against */
        return;
    ending_release(&item->ending);
    item->ending = search->jobs[job].ending;
    item->retried = item->ending.execs > search->found->undisturbed_execs;
    if (!item->real && item->ending.claim > CLAIM_BROKEN &&
        item->ending.execs < search->options->nth + (int64_t)item->depth - 1) {
        item->ending.claim = CLAIM_BROKEN; /* there was nothing that a state could stand for */
        ending_release(&item->ending);
        item->ending.said = io_format("the call was not made again");
    }
    explore_results_add_case(&search->results, item);
    if (search->jobs[job].reruns && may_heal(item))
        take_reruns(search, item, search->jobs[job].healed_by);
}

/* The outcome of what was executed for real must be the same. */
static void compare_check(struct search *search, size_t job)
{
    struct ending *real = &search->jobs[job].ending;
    struct explore_case *item = &search->found->cases[search->chosen[job]];
    /* Who does not come to its place when executed has another outcome too. */
    if (real->claim != CLAIM_NONE && item->ending.claim > CLAIM_BROKEN) {
        item->was_checked = true;
        item->checked_same = real->claim == item->ending.claim &&
                             real->findings == item->ending.findings &&
                             real->execs == item->ending.execs;
        explore_results_add_check(&search->results, item);
    }
    ending_release(real);
}

static int play_cases(struct search *search, struct err *err)
{
    /* What is executed for real keeps the cores busy while the first of the others settle; what is
     * cut short by its budget has seen something of all. */
    unsigned rounds = search->options->rounds;
    size_t count = rounds > 0 ? 0 : want_checks(search, 0);
    for (unsigned i = 0; i < rounds || i == 0; i++) {
        count = want_cases(search, true, count);
        count = want_cases(search, false, count);
    }
    int64_t start_ms = io_now_ms();
    int ret =
        explorer_play(&search->explorer, "exploring", search->jobs, count, on_played, search, err);
    search->found->play_ms = io_now_ms() - start_ms;
    for (size_t i = 0; i < count; i++)
        if (search->jobs[i].real)
            compare_check(search, i);
    return ret;
}

/* --- reruns ---------------------------------------------------------------------------------- */

static bool is_one_row(const struct explore_case *a, const struct explore_case *b)
{
    return a->scope == b->scope && a->depth == b->depth && a->ending.claim == b->ending.claim &&
           a->ending.execs == b->ending.execs && a->ending.findings == b->ending.findings &&
           may_heal(a) && may_heal(b);
}

static void want_rerun(struct search *search, size_t index, size_t *count)
{
    const struct explore_case *item = &search->found->cases[index];
    if (item->reran || item->rerun_failed || (*count && search->chosen[*count - 1] == index))
        return;
    search->jobs[*count] = (struct explorer_job){.item = item, .reruns = true};
    search->chosen[(*count)++] = index;
}

/* Of the row from..to: its ends and one inside; between two that differ, the middle. */
static void want_of_row(struct search *search, size_t from, size_t to, size_t *count)
{
    const struct explore_case *cases = search->found->cases;
    size_t before = *count;
    bool inside = false;
    for (size_t i = from + 1; i < to && !inside; i++)
        inside = cases[i].reran;
    want_rerun(search, from, count);
    if (!inside)
        want_rerun(search, from + (to - from) / 2, count);
    want_rerun(search, to, count);
    if (*count > before)
        return;
    size_t last = from;
    for (size_t i = from + 1; i <= to; i++) {
        if (!cases[i].reran)
            continue;
        if (cases[i].healed_by != cases[last].healed_by && i > last + 1)
            want_rerun(search, last + (i - last) / 2, count);
        last = i;
    }
}

/* Those between two that agree are as these. */
static void fill_row(struct exploration *found, size_t from, size_t to)
{
    for (size_t i = from + 1; i <= to; i++)
        if (!found->cases[i].reran && !found->cases[i].rerun_failed)
            found->cases[i].healed_by = found->cases[i - 1].healed_by;
}

static void on_rerun(void *context, size_t job)
{
    struct search *search = context;
    struct explorer_job *done = &search->jobs[job];
    struct explore_case *item = &search->found->cases[search->chosen[job]];
    item->rerun_failed = done->healed_by < 0; /* it was not played, or ended well this time */
    if (!item->rerun_failed)
        take_reruns(search, item, done->healed_by);
    ending_release(&done->ending);
}

static size_t end_of_row(const struct search *search, size_t from)
{
    const struct exploration *found = search->found;
    size_t to = from;
    while (search->options->depth == 1 && to + 1 < found->n_cases &&
           is_one_row(&found->cases[from], &found->cases[to + 1]))
        to++;
    return to;
}

/* For want of time. */
static bool lacks_some(const struct search *search, size_t count)
{
    bool lacks = false;
    for (size_t i = 0; i < count; i++)
        lacks |= !search->found->cases[search->chosen[i]].reran &&
                 !search->found->cases[search->chosen[i]].rerun_failed;
    return lacks;
}

static size_t want_reruns(struct search *search)
{
    struct exploration *found = search->found;
    size_t count = 0;
    for (size_t i = 0, to; i < found->n_cases; i = to + 1) {
        to = end_of_row(search, i);
        if (may_heal(&found->cases[i]))
            want_of_row(search, i, to, &count);
    }
    return count;
}

static int heal(struct search *search, struct err *err)
{
    struct exploration *found = search->found;
    for (size_t count; (count = want_reruns(search)) > 0;) {
        int ret = explorer_play(&search->explorer, "rerunning", search->jobs, count, on_rerun,
                                search, err);
        if (ret < 0)
            return ret;
        if (lacks_some(search, count))
            return 0;
    }
    for (size_t i = 0, to; i < found->n_cases; i = to + 1) {
        to = end_of_row(search, i);
        if (may_heal(&found->cases[i]))
            fill_row(found, i, to);
    }
    return 0;
}

/* --- the whole ---------------------------------------------------------------------------- */

static int explore_all(struct search *search, struct err *err)
{
    const struct explore_options *options = search->options;
    struct exploration *found = search->found;
    int ret = explorer_open(&search->explorer, options, err);
    if (search->explorer.kind == &container_copied)
        found->copied = io_format("%s", search->explorer.why_copied.msg);
    if (ret == 0)
        ret = record(search, err);
    if (ret == 0)
        ret = make_cases(search, err);
    if (ret == 0)
        ret = explore_results_open(&search->results, options, found, err);
    if (ret < 0)
        return ret;
    /* Each may be played and checked. */
    size_t room = found->n_cases * (2 + options->rounds);
    search->jobs = alloc_list(room, sizeof *search->jobs);
    search->chosen = alloc_list(room, sizeof *search->chosen);
    ret = play_cases(search, err);
    if (ret == 0 && !options->rounds)
        ret = heal(search, err);
    if (ret == 0)
        explore_results_finish(&search->results, options, found);
    found->results_err = search->results.err;
    return ret;
}

int explore(const struct explore_options *options, struct exploration *ret_exploration,
            struct err *err)
{
    *ret_exploration = (struct exploration){.points = CRASH_POINTS_INIT};
    CLEANUP(search_release) struct search search = {.options = options, .found = ret_exploration};
    struct explorer_signals signals;
    explorer_hold_signals(&signals);
    int ret = explore_all(&search, err);
    explorer_release(&search.explorer);
    if (explorer_let_signals(&signals) && ret >= 0)
        ret = err_text(err, EINTR, "interrupted");
    return ret;
}
