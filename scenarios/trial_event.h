/*
 * trial_event.h: a trial as an event of the results; scenarios/README.md lists its members.
 */
#ifndef KILLPOINT_TRIAL_EVENT_H
#define KILLPOINT_TRIAL_EVENT_H

#include "evidence.h"
#include "judge.h"

/* A new event, with the verdict and where the scenario stands. */
json_t *trial_event(const struct trial *trial, enum verdict verdict);

/* Where to look first; from the working folder, as a compiler would say it. */
void trial_event_set_place(json_t *event, const char *path, int line);

/* Text of anybody; where it is no UTF-8, its bytes as `\xNN`. */
json_t *trial_event_text(const char *text, size_t len);

/* Adds `calls` and `runs`. */
void trial_event_add_evidence(json_t *event, const struct evidence *evidence);

/*
 * The event as a line without its end, the caller's, of at most max_bytes: texts of a longer one
 * lose their middle (json_cut.h), and then the last calls go, which `calls_left_out` counts. The
 * verdict and the checks stand, and 64 KiB are always enough for them. NULL: it is no JSON.
 */
char *trial_event_dump(const json_t *event, size_t max_bytes);

#endif
