/*
 * explain_topic.h: what `killpoint explain` tells beside the keys: checks, rules, verdicts.
 */
#ifndef KILLPOINT_EXPLAIN_TOPIC_H
#define KILLPOINT_EXPLAIN_TOPIC_H

#include "../fault/io.h"

struct explain_topic {
    const char *name;
    const char *title;
    void (*write)(struct buf *text);
};
/* Ends with a NULL name. */
extern const struct explain_topic explain_topics[];

/* Appends text in lines of at most 80 bytes, each behind indent blanks, and a newline. */
void explain_wrap(struct buf *text, size_t indent, const char *words);

#endif
