/*
 * call_client.h: the client's side of a call: its request, its stdin, its reply.
 *
 * Everything that comes over the connection ends here; what a whole request starts is
 * call.c's. The runner's control words (arm, report, stop) come the same way.
 */
#ifndef KILLPOINT_CALL_CLIENT_H
#define KILLPOINT_CALL_CLIENT_H

#include "call.h"

/* Takes over the connection and waits for its request. */
void call_client_init(struct call *call, int connection_fd);

/* Queues bytes as frames; nothing is sent to a client that is gone. */
void call_client_send(struct call *call, enum wire_type type, const void *data, size_t len);
/* Queues the last frame: REPLY or KILLED, with status and fired rules. */
void call_client_send_end(struct call *call, enum wire_type type);
/* Sends what can be sent. Returns false when the client was gone and the call with it. */
bool call_client_flush(struct call *call);
/* Asks the loop for what the connection can do now. */
void call_client_watch(struct call *call);
/* A rule kills the client: it is told to die of SIGKILL. */
void call_client_kill(struct call *call);

#endif
