/*
 * needs.h: what a trial needs of its machines that copied trees (fakes/container.h) have not.
 */
#ifndef KILLPOINT_NEEDS_H
#define KILLPOINT_NEEDS_H

#include "trial.h"

/* The value of a scenario's key `needs` that is about the machine, and no capability of backends.
 */
#define NEEDS_GUEST_PROC "guest-proc"

/* What that is, in words for people, or NULL: nothing. */
const char *needs_of_machine(const struct trial *trial);

#endif
