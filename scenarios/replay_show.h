/*
 * replay_show.h: what `killpoint replay` prints of a trial that was played again. These functions
 * print: only a verb's function may call them.
 */
#ifndef KILLPOINT_REPLAY_SHOW_H
#define KILLPOINT_REPLAY_SHOW_H

#include <jansson.h>

#include "../fault/io.h"

/* The calls, the backend's words, the audit, and how the guest differs, of a trial's event. */
void replay_show(const json_t *event);

/*
 * The guest of a trial whose folder was kept: a shell in it, and how to enter it where the folder
 * stays; else it is removed.
 */
int replay_enter(const char *kept, const json_t *event, bool shell, bool keep, struct err *err);

#endif
