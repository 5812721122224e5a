#include "support.h"

#include <string.h>

#include "../scenarios/trial.h"

/* --- globs ---------------------------------------------------------------- */

#define FULL "kill/at-times[ms=50]@bookworm"

static void glob_selects_by_id_with_or_without_its_ends(void **state)
{
    static const struct {
        const char *name, *id, *glob;
        bool matches;
    } rows[] = {
        {"the whole id", FULL, FULL, true},
        {"without the layout", FULL, "kill/at-times[ms=50]", true},
        {"without the brackets", FULL, "kill/at-times", true},
        {"another value", FULL, "kill/at-times[ms=5]", false},
        {"brackets are no set", "kill/at-times5@bookworm", "kill/at-times[ms=50]", false},
        {"a part of an id", FULL, "at-times", false},
        {"a prefix", FULL, "kill/at", false},
        {"star at the end", FULL, "kill/*", true},
        {"star takes in slashes", "a/b/c@x", "a*c", true},
        {"star takes in nothing", FULL, "kill/at-times*", true},
        {"star in front", FULL, "*times", true},
        {"star for the layout", FULL, "*@bookworm", true},
        {"star, other layout", FULL, "*@trixie", false},
        {"a star alone", FULL, "*", true},
        {"stars that must go back", "a/aab@x", "*a*ab", true},
        {"more stars than bytes", "ab@x", "**a**b**", true},
        {"the last star decides", "abcbcd@x", "a*bc", false},
        {"question mark is one byte", FULL, "kill/at?times", true},
        {"question mark is not nothing", FULL, "kill/at-times?", false},
        {"question marks for a value", FULL, "kill/at-times[ms=??]", true},
        {"driver belongs to the whole id", "a@x+docker", "a@x+docker", true},
        {"layout alone is not the whole id", "a@x+docker", "a@x", false},
        {"driver's id without its layout", "a@x+docker", "a", true},
        {"an empty glob", FULL, "", false},
        {"layout's name is no id", FULL, "bookworm", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (trial_matches(rows[i].id, rows[i].glob) != rows[i].matches)
            fail_msg("%s: '%s' and '%s'", rows[i].name, rows[i].id, rows[i].glob);
}

static void glob_of_many_stars_ends_soon(void **state)
{
    char id[4097], glob[129];
    (void)state;
    memset(id, 'a', sizeof id - 1);
    id[sizeof id - 1] = '\0';
    for (size_t i = 0; i < sizeof glob - 1; i++)
        glob[i] = i % 2 ? 'a' : '*';
    glob[sizeof glob - 2] = 'b';
    glob[sizeof glob - 1] = '\0';
    assert_false(trial_matches(id, glob));
}

/* --- trials --------------------------------------------------------------- */

static const char *const two_layouts[] = {"bookworm", "trixie", NULL};
static const char *const one_layout[] = {"bookworm", NULL};
static const enum driver both_drivers[] = {DRIVER_SMOLVM, DRIVER_DOCKER};
static struct scenario first = {.id = "a/x",
                                .base_id = "a/x",
                                .layouts = two_layouts,
                                .drivers = both_drivers,
                                .driver_count = 1};
static struct scenario second = {.id = "b/y[ms=5]",
                                 .base_id = "b/y",
                                 .layouts = one_layout,
                                 .drivers = both_drivers,
                                 .driver_count = 2};

static void expand_makes_the_selected_trials_in_order(void **state)
{
    static const struct {
        const char *name;
        const char *layouts[3];
        int driver;
        const char *globs[3];
        const char *ids;
    } rows[] = {
        {"all",
         {0},
         -1,
         {0},
         "a/x@bookworm a/x@trixie b/y[ms=5]@bookworm b/y[ms=5]@bookworm+docker "},
        {"one layout", {"host"}, -1, {0}, "a/x@host b/y[ms=5]@host b/y[ms=5]@host+docker "},
        {"docker", {0}, DRIVER_DOCKER, {0}, "b/y[ms=5]@bookworm+docker "},
        {"smolvm", {0}, DRIVER_SMOLVM, {"b/*"}, "b/y[ms=5]@bookworm "},
        {"a glob", {0}, -1, {"a/x"}, "a/x@bookworm a/x@trixie "},
        {"two globs for one", {0}, -1, {"a/x@trixie", "*trixie"}, "a/x@trixie "},
        {"the set's order",
         {0},
         DRIVER_SMOLVM,
         {"b/y", "a/x@t*"},
         "a/x@trixie b/y[ms=5]@bookworm "},
        {"a glob of the given layout", {"host", "trixie"}, 0, {"a/x@host"}, "a/x@host "},
        {"nothing", {0}, -1, {"c"}, ""},
    };
    struct scenario *items[] = {&first, &second};
    const struct scenario_set set = {.items = items, .count = 2};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(trials_release) struct trials trials = TRIALS_INIT;
        CLEANUP(buf_release) struct buf ids = BUF_INIT;
        const struct selection selection = {rows[i].layouts[0] ? rows[i].layouts : NULL,
                                            rows[i].driver, rows[i].globs};
        scenario_expand(&set, &selection, &trials);
        for (size_t k = 0; k < trials.count; k++)
            buf_printf(&ids, "%s ", trials.items[k].id);
        if (strcmp(buf_str(&ids), rows[i].ids) != 0)
            fail_msg("%s: %s", rows[i].name, buf_str(&ids));
    }
}

static void trial_knows_its_parts(void **state)
{
    struct scenario *items[] = {&second};
    const struct scenario_set set = {.items = items, .count = 1};
    const struct selection selection = {NULL, DRIVER_DOCKER, NULL};
    CLEANUP(trials_release) struct trials trials = TRIALS_INIT;
    (void)state;
    scenario_expand(&set, &selection, &trials);
    assert_int_equal(trials.count, 1);
    assert_ptr_equal(trials.items[0].scenario, &second);
    assert_string_equal(trials.items[0].layout, "bookworm");
    assert_int_equal(trials.items[0].driver, DRIVER_DOCKER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(glob_selects_by_id_with_or_without_its_ends),
        cmocka_unit_test(glob_of_many_stars_ends_soon),
        cmocka_unit_test(expand_makes_the_selected_trials_in_order),
        cmocka_unit_test(trial_knows_its_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
