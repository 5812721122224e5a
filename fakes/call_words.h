/*
 * call_words.h: what each CLI says of a call that went wrong.
 */
#ifndef KILLPOINT_CALL_WORDS_H
#define KILLPOINT_CALL_WORDS_H

#include "call.h"
#include "reply.h"

/* Each fills call->reply. */
void call_words_row(struct call *call, const struct reply_row *row);
/* The command could not be started: call->failure. */
void call_words_failure(struct call *call);
/* A copy has ended, well or not: call->result. */
void call_words_copy(struct call *call);

#endif
