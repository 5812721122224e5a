/*
 * slot.h: a turn among the machine calls that run at once.
 *
 * A runner that plays many trials limits how many exec and cp calls are at work: it
 * listens on STATE/slots, which may be a symbolic link to its socket. A call connects, waits for
 * one byte, and holds the connection for as long as it works; its end, however it ends, gives the
 * turn back. Without that socket there is no limit.
 */
#ifndef KILLPOINT_SLOT_H
#define KILLPOINT_SLOT_H

#include "../fault/io.h"

/*
 * Waits for a turn. Returns 0 with *ret_fd to be closed after the call (-1: no limit), or
 * -errno. A server that goes away, refuses, or has left its socket behind limits nobody.
 */
int slot_take(const char *state_path, int *ret_fd, struct err *err);

#endif
