/*
 * slots.h: the server of turns: how many machine calls may be at work at once.
 *
 * It listens on FOLDER/slots; fakes/slot.h is the other side. A turn is held for as long
 * as its connection is open, so a killed client gives it back. Who holds one for longer than
 * SLOTS_PATIENCE_MS is taken to wait for something, not to work, and keeps nobody from a turn.
 */
#ifndef KILLPOINT_SLOTS_H
#define KILLPOINT_SLOTS_H

#include "../fault/loop.h"

#define SLOTS_PATIENCE_MS 3000 /* a whole install takes about one second */

struct slot;

struct slots {
    struct loop *loop;
    struct watch listener;
    struct slot *queue; /* oldest first, those at work too */
    unsigned limit, busy;
};

int slots_init(struct slots *slots, struct loop *loop, const char *folder, unsigned limit,
               struct err *err);
void slots_release(struct slots *slots);

#endif
