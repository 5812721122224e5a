/*
 * mutant.h: what a mutant's file says of itself, and whether the suite agrees.
 *
 * broken/NAME.sed changes the backend posix-sh into one that is wrong in one way. Its comments
 * come first; broken/README.md explains them, and what "no unrelated check" means.
 */
#ifndef KILLPOINT_TESTS_MUTANT_H
#define KILLPOINT_TESTS_MUTANT_H

#include <jansson.h>

#include "../fault/io.h"

#define MUTANT_UNDISTURBED "install/undisturbed"
#define MUTANT_WORDS_MAX 16
#define MUTANT_ANDS_MAX 4

/* One line "# and: CHECK... in GLOB..."; words are NULL-terminated lists. */
struct consequence {
    char *checks[MUTANT_WORDS_MAX];
    char *globs[MUTANT_WORDS_MAX];
};
struct mutant {
    char *text; /* all words point into it */
    const char *check, *glob;
    struct consequence ands[MUTANT_ANDS_MAX];
    size_t n_ands;
    bool shows_undisturbed;
    const char *backend; /* name of the .yaml beside it */
};
void mutant_release(struct mutant *mutant);

/* Reads the comments that a file begins with. Returns false when they are not as they must be. */
bool mutant_parse(const char *text, struct mutant *ret_mutant);

/* The trial events of a results file, by id. Returns 0 or -errno. */
int mutant_read_trials(const char *path, json_t **ret_trials, struct err *err);

/*
 * The rule. good and found are objects of trial events by id: the right backend's over the whole
 * suite, the mutant's. Returns what is wrong, to be freed, or NULL: it was caught as it says.
 */
char *mutant_find_objection(const struct mutant *mutant, json_t *good, json_t *found);

/*
 * The checks that fail and did not for the right backend, each with the number of trials in which
 * they do. A new object.
 */
json_t *mutant_failures(json_t *good, json_t *found);

/* Whether one of the trial's checks that can spoil its verdict failed. */
bool mutant_check_fails(json_t *trial, const char *check);

#endif
