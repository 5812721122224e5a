/*
 * tracer_members.h: the processes that tests/test_tracer.c traces and kills. The test program
 * starts itself anew with a member's name; there is no assertion and no cmocka in a member.
 *
 * Every member holds TRACER_MARK_FD, a file where a line is written by who sees another one
 * end, and TRACER_ALIVE_FD, the end of a pipe that is at its end when nobody lives any more.
 */
#ifndef KILLPOINT_TESTS_TRACER_MEMBERS_H
#define KILLPOINT_TESTS_TRACER_MEMBERS_H

#include <stddef.h>

#define TRACER_MARK_FD 2
#define TRACER_ALIVE_FD 1

/* How many kinds of members live until they are killed, and the name of each of those. */
#define TRACER_N_KINDS 9
const char *tracer_member_kind(size_t i);

/* Waits for a byte on stdin, then is that member. Returns only when it went wrong: 1. */
int tracer_member_main(const char *name);

#endif
