/*
 * call_output.h: the streams of a call's process: stdin, stdout, stderr or a terminal, and
 * the pipe through which it reports.
 */
#ifndef KILLPOINT_CALL_OUTPUT_H
#define KILLPOINT_CALL_OUTPUT_H

#include "call.h"

/* What is kept of each stream; the rest is dropped in silence, as the agent does. */
#define CALL_OUTPUT_MAX_BYTES (11u << 20)

void call_output_init(struct call *call);
/* Puts the spawned process's streams into the loop. */
void call_output_watch(struct call *call);
/* Reads on, or not until a client that has much to take has taken it all: the command then
 * waits, as at any pipe. To be called whenever one of the two may have changed. */
void call_output_pace(struct call *call);
/* How much the command has written to stdout, or to stderr, by now. */
uint64_t call_output_so_far(const struct call *call, bool of_stderr);
/* Takes what can be read now, for a call that ends before its streams do. */
void call_output_drain(struct call *call);

#endif
