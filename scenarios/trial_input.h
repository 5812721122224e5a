/*
 * trial_input.h: the files that a backend is given: its certificates and its plan.
 */
#ifndef KILLPOINT_TRIAL_INPUT_H
#define KILLPOINT_TRIAL_INPUT_H

#include "scenario.h"

/*
 * Makes the folder of a run, with plan.json, first.crt (egress) and second.crt (pipelock): a name
 * that holds the label would let a backend that prints the path pass for one that says it.
 */
int trial_input_write(const struct plan *plan, const char *fixtures_path, const char *folder,
                      struct err *err);

/* Adds colon-separated upper-case hex of SHA-256; nothing when the file holds no certificate. */
void trial_input_fingerprint(const char *path, struct buf *print);

#endif
