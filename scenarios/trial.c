#include "trial.h"

#include <stdlib.h>
#include <string.h>

/* --- globs ---------------------------------------------------------------- */

/* One star is gone back to at a time: the last one can take in whatever an earlier one could. */
static bool glob_matches(const char *glob, const char *text, size_t len)
{
    const char *end = text + len, *star = NULL, *retry = NULL;
    while (text < end) {
        if (*glob == '*') {
            star = glob++;
            retry = text;
        } else if (*glob && (*glob == '?' || *glob == *text)) {
            glob++;
            text++;
        } else if (star) {
            glob = star + 1;
            text = ++retry;
        } else {
            return false;
        }
    }
    return !glob[strspn(glob, "*")];
}

bool trial_matches(const char *trial_id, const char *glob)
{
    return glob_matches(glob, trial_id, strlen(trial_id)) ||
           glob_matches(glob, trial_id, strcspn(trial_id, "@")) ||
           glob_matches(glob, trial_id, strcspn(trial_id, "[@"));
}

/* --- trials --------------------------------------------------------------- */

void trials_release(struct trials *trials)
{
    for (size_t i = 0; i < trials->count; i++)
        free(trials->items[i].id);
    free(trials->items);
    *trials = (struct trials)TRIALS_INIT;
}

static bool is_among(const char *text, const char *const *list)
{
    for (; list && *list; list++)
        if (strcmp(text, *list) == 0)
            return true;
    return false;
}

static bool is_tagged(const struct scenario *scenario, const char *const *tags)
{
    bool tagged = !tags || !*tags;
    for (const char *const *tag = scenario->tags; !tagged && tag && *tag; tag++)
        tagged = is_among(*tag, tags);
    return tagged;
}

static bool is_selected(const struct selection *selection, const struct scenario *scenario,
                        const char *id)
{
    if (!is_tagged(scenario, selection->tags) || (selection->ids && !is_among(id, selection->ids)))
        return false;
    if (!selection->globs || !*selection->globs)
        return true;
    for (const char *const *glob = selection->globs; *glob; glob++)
        if (trial_matches(id, *glob))
            return true;
    return false;
}

static void add_trial(struct trials *trials, const struct scenario *scenario, const char *layout,
                      enum driver driver, const struct selection *selection)
{
    char *id = io_format("%s@%s%s", scenario->id, layout, driver == DRIVER_SMOLVM ? "" : "+docker");
    if (!is_selected(selection, scenario, id)) {
        free(id);
        return;
    }
    trials->items = reallocarray(trials->items, trials->count + 1, sizeof *trials->items);
    if (!trials->items)
        abort();
    trials->items[trials->count++] = (struct trial){scenario, id, layout, driver};
}

void scenario_expand(const struct scenario_set *set, const struct selection *selection,
                     struct trials *ret_trials)
{
    struct trials trials = TRIALS_INIT;
    for (size_t i = 0; i < set->count; i++) {
        const struct scenario *scenario = set->items[i];
        const char *const *layout = selection->layouts ? selection->layouts : scenario->layouts;
        for (; *layout; layout++)
            for (size_t k = 0; k < scenario->driver_count; k++)
                if (selection->driver < 0 || selection->driver == (int)scenario->drivers[k])
                    add_trial(&trials, scenario, *layout, scenario->drivers[k], selection);
    }
    *ret_trials = trials;
}
