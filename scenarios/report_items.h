/*
 * report_items.h: what the reports for machines have a line of: trials, entries of expectation
 * lists that have grown old, and the cases of explorations, all in one shape.
 */
#ifndef KILLPOINT_REPORT_ITEMS_H
#define KILLPOINT_REPORT_ITEMS_H

#include "results.h"

struct report_check {
    const char *id;
    char *expected, *found; /* one short line each */
};

struct report_item {
    char *group; /* "BACKEND on LAYOUT", "BACKEND, expectations" */
    char *name;  /* the trial's id, the token */
    enum verdict verdict;
    char *message;               /* one line: why it is not PASS; "" of a PASS */
    struct report_check *checks; /* that failed */
    size_t n_checks;
    char *again;      /* a command that does it again; NULL: none */
    const char *said; /* what the backend wrote to stderr at last; NULL: nothing */
    int64_t ms;
    const char *file; /* where to look first; NULL: nowhere */
    int line;
};

struct report_items {
    struct report_item *list;
    size_t count;
};
void report_items_release(struct report_items *items);

/* All of them, each file's in order; they borrow from the results. What was to be played and was
 * not is an ERROR. */
void report_items_make(const struct results *results, struct report_items *ret_items);

/* The checks of a trial's event that decided, or may have. Without those that follow from a crash
 * or a timeout: how many they are is returned. */
size_t report_failed_checks(const json_t *event, struct report_check **ret_checks,
                            size_t *ret_count);
void report_checks_free(struct report_check *checks, size_t count);

#endif
