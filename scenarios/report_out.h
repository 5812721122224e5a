/*
 * report_out.h: the options for reports, which every verb that has results takes alike.
 *
 * A verb's parser takes report_out_argp as a child and gives it, at ARGP_KEY_INIT, a struct
 * report_out in state->child_inputs[].
 */
#ifndef KILLPOINT_REPORT_OUT_H
#define KILLPOINT_REPORT_OUT_H

#include <argp.h>

#include "results.h"

enum report_format { REPORT_JUNIT, REPORT_TAP, REPORT_MARKDOWN, REPORT_HTML, REPORT_FORMATS };

struct report_out {
    const char *verb;                  /* "killpoint run", for messages */
    const char *paths[REPORT_FORMATS]; /* NULL: not wanted; "-": stdout */
};
extern const struct argp report_out_argp;

/* Whether any is wanted; whether stdout is one's, so that nothing else belongs there. */
bool report_out_is_wanted(const struct report_out *out);
bool report_out_has_stdout(const struct report_out *out);

/*
 * Whether each file can be written, before an hour's work and not after it; touches none. others
 * are files that the verb reads or writes itself, NULL where there is none. Errors: -EINVAL: a
 * report's file is another one's, or one of others; those of access(2) and open(2).
 */
int report_out_check(const struct report_out *out, const char *const *others, size_t n_others,
                     struct err *err);

/*
 * Writes what is wanted. A file is replaced by a whole one at once, and until then stays as it was:
 * a run that is refused or interrupted does not call this. Errors: those of open(2), write(2) and
 * rename(2).
 */
int report_out_write(const struct report_out *out, const struct results *results, struct err *err);

#endif
