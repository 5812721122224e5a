/*
 * trial_input.h: what a backend is given: its certificates, its plan, and the name of a machine.
 */
#ifndef KILLPOINT_TRIAL_INPUT_H
#define KILLPOINT_TRIAL_INPUT_H

#include "scenario.h"

/*
 * Makes the folder of one run, with plan.json, first.crt (egress) and second.crt (pipelock): a
 * name that holds the label would let a backend that prints the path pass for one that says it.
 * The fixture "unreadable" is a folder in the certificate's place. Returns 0 or -errno.
 */
int trial_input_write(const struct plan *plan, const char *fixtures_path, const char *folder,
                      struct err *err);

/*
 * Appends the SHA-256 of a file's first PEM certificate, whose bytes are not decoded, as upper-case
 * hex with colons; nothing where there is none.
 */
void trial_input_fingerprint(const char *path, struct buf *print);

/* A machine's name that nobody can know before; the caller frees it. */
char *trial_input_machine_name(void);

#endif
