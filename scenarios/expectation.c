#include "expectation.h"

#include <errno.h>
#include <string.h>

#include "contract.h"
#include "keys.h"
#include "validate.h"

/* Ids have no ':', so the first one ends the glob. */
static void read_match(const char *path, struct pool *pool, struct expectation *entry,
                       struct diags *diags)
{
    const char *colon = strchr(entry->match, ':');
    entry->glob = entry->match;
    if (colon) {
        entry->glob = pool_copy_n(pool, entry->match, (size_t)(colon - entry->match));
        entry->check = colon + 1;
    }
    if (!*entry->glob)
        diags_add(diags, path, entry->line, entry->column, "match: the glob is empty");
    if (entry->check && !contract_has(entry->check))
        diags_add(diags, path, entry->line, entry->column,
                  "match: there is no check '%.60s' (see `killpoint explain checks`)",
                  entry->check);
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

static void check_repeated(const struct expectations *list, const struct expectation *entry,
                           struct diags *diags)
{
    for (const struct expectation *old = list->items; old < entry; old++)
        if (!strcmp(old->match, entry->match) && same_text(old->layout, entry->layout)) {
            diags_add(diags, list->path, entry->line, entry->column,
                      "match: '%.60s' again, first on line %d", entry->match, old->line);
            return;
        }
}

static void read_entry(struct view view, struct pool *pool, struct expectation *entry)
{
    struct view match = schema_get(view, "match"), expires = schema_get(view, "expires");
    entry->match = schema_text(match, pool);
    entry->verdict = (enum expected)schema_enum(schema_get(view, "verdict"));
    entry->reason = schema_text(schema_get(view, "reason"), pool);
    entry->ref = schema_text(schema_get(view, "ref"), pool);
    entry->layout = schema_text(schema_get(view, "layout"), pool);
    entry->expires = schema_has(expires) ? schema_parse_date(schema_text(expires, pool)) : 0;
    entry->line = match.node->line;
    entry->column = match.node->column;
}

int expectations_load(const char *path, struct pool *pool, struct expectations *ret_list,
                      struct diags *diags)
{
    struct view root;
    size_t before = diags->told;
    if (validate_file(path, &keys_expectations, pool, diags, &root) < 0)
        return -EINVAL;
    struct view items = schema_get(root, "expectations");
    struct expectations list = {.path = pool_copy(pool, path), .count = schema_count(items)};
    list.items = pool_alloc(pool, list.count, sizeof *list.items);
    for (size_t i = 0; i < list.count; i++) {
        read_entry(schema_item(items, i), pool, &list.items[i]);
        read_match(path, pool, &list.items[i], diags);
        check_repeated(&list, &list.items[i], diags);
    }
    if (diags->told != before)
        return -EINVAL;
    *ret_list = list;
    return 0;
}

bool expectation_matches(const struct expectation *entry, const struct trial *trial)
{
    /* A layout's name has neither '@' nor brackets: there the trials' globs are plain ones. */
    return trial_matches(trial->id, entry->glob) &&
           (!entry->layout || trial_matches(trial->layout, entry->layout));
}

size_t expectations_outdated(const struct expectations *list, const struct trials *all, int today,
                             struct diags *diags)
{
    size_t outdated = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct expectation *entry = &list->items[i];
        bool matches = false;
        for (size_t j = 0; j < all->count && !matches; j++)
            matches = expectation_matches(entry, &all->items[j]);
        bool expired = entry->expires && entry->expires < today;
        if (!matches)
            diags_add(diags, list->path, entry->line, entry->column,
                      "'%.100s' matches no trial: remove the entry", entry->match);
        if (expired)
            diags_add(diags, list->path, entry->line, entry->column,
                      "'%.100s' expired after %04d-%02d-%02d", entry->match, entry->expires / 10000,
                      entry->expires / 100 % 100, entry->expires % 100);
        outdated += !matches || expired;
    }
    return outdated;
}

const struct expectation *expectations_skip(const struct expectations *list,
                                            const struct trial *trial)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].verdict == EXPECTED_SKIP && !list->items[i].check &&
            expectation_matches(&list->items[i], trial))
            return &list->items[i];
    return NULL;
}

static bool is_among(const char *text, const char *const *list)
{
    for (; *list; list++)
        if (!strcmp(*list, text))
            return true;
    return false;
}

/* The entry that covers a failing check, or with check NULL a bad end that has none. */
static const struct expectation *find_cover(const struct expectations *list,
                                            const struct trial *trial, const char *check)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct expectation *entry = &list->items[i];
        if ((entry->verdict == EXPECTED_XFAIL || entry->check) &&
            expectation_matches(entry, trial) &&
            (!entry->check || (check && !strcmp(entry->check, check))))
            return entry;
    }
    return NULL;
}

/* The entry whose failure did not come, or NULL. */
static const struct expectation *find_passed(const struct expectations *list,
                                             const struct trial *trial, bool bad,
                                             const char *const *failing)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct expectation *entry = &list->items[i];
        if (entry->verdict == EXPECTED_XFAIL && expectation_matches(entry, trial) &&
            (entry->check ? !is_among(entry->check, failing) : !bad))
            return entry;
    }
    return NULL;
}

enum outcome expectations_apply(const struct expectations *list, const struct trial *trial,
                                bool bad, const char *const *failing,
                                const struct expectation **ret_entry)
{
    const struct expectation *entry = NULL;
    enum outcome outcome = OUTCOME_XFAIL;
    if (bad)
        entry = find_cover(list, trial, failing[0]);
    for (size_t i = 0; entry && failing[i]; i++)
        if (!find_cover(list, trial, failing[i]))
            entry = NULL;
    if (entry || !bad) {
        const struct expectation *passed = find_passed(list, trial, bad, failing);
        if (passed) {
            entry = passed;
            outcome = OUTCOME_XPASS;
        }
    }
    if (ret_entry)
        *ret_entry = entry;
    return entry ? outcome : OUTCOME_AS_IS;
}
