/*
 * reply.h: the table of what the CLI shows when its connection or the machine fails.
 *
 * `reply=NAME` in a rule names a row; the VMM and the client use the same rows when such
 * a thing happens of itself. The texts are those of smolvm 0.8.0 to 1.14, and of docker 28.
 */
#ifndef KILLPOINT_REPLY_H
#define KILLPOINT_REPLY_H

#include "client.h"

struct reply_row {
    const char *name;
    int status;
    bool keeps_output;       /* what the command wrote so far is shown */
    const char *text;        /* stderr, behind the output; %s: the machine's name */
    const char *stream;      /* with --stream; NULL: the same */
    const char *interactive; /* with -i or -t; NULL: the same */
    const char *source;
};

/* Ends with a row whose name is NULL. */
extern const struct reply_row reply_rows[];
/* The rows' names, NULL-terminated, for rule_parse(). */
extern const char *const reply_names[];

/* NULL: no such row. */
const struct reply_row *reply_find(const char *name);

enum reply_mode { REPLY_BUFFERED, REPLY_STREAM, REPLY_INTERACTIVE };

/* Fills status and adds to err; drops out and err first, unless the row keeps them. */
void reply_apply(const struct reply_row *row, const char *machine, enum reply_mode mode,
                 struct reply *reply);

/* Of docker's calls: an exec whose command has not begun, one that has, a copy. */
enum reply_docker { REPLY_DOCKER_BEGINS, REPLY_DOCKER_EXEC, REPLY_DOCKER_CP };

/* What its words are about. guest_path: of a copy, else NULL. */
struct reply_subject {
    const char *id, *name, *guest_path;
    bool upload;
};

/*
 * The same in docker's words. docker streams: what an exec's command wrote stays. What docker
 * knows nothing of is refused with status 125, in words of our own.
 */
void reply_apply_docker(const struct reply_row *row, const struct reply_subject *subject,
                        enum reply_docker call, struct reply *reply);

#endif
