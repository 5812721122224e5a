/*
 * command.h: running the driver and keeping what it says.
 *
 * A command runs to its end with /dev/null as stdin. Both its streams are read as they
 * come, so it never waits for us, and of each stream only the first and the last bytes are
 * kept, so memory is bounded. The command has ended when its process has: a stream that a
 * grandchild still holds open is read as far as it is filled, and not waited for.
 */
#ifndef PROVISION_COMMAND_H
#define PROVISION_COMMAND_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "error.h"

#define STREAM_HEAD_BYTES 65536
#define STREAM_TAIL_BYTES 65536

/* One captured stream. Zeroes are an empty one. */
struct stream {
    char *kept;          /* head, then the ring of the tail; NULL while empty; owned */
    uint64_t size_bytes; /* all that came */
};

void stream_add(struct stream *stream, const char *data, size_t len);
/*
 * Writes what was kept in double quotes: blanks at both ends trimmed, quotes and
 * backslashes escaped, all but printable ASCII as \n, \t, \r or \xHH, so that it is one
 * line whatever it holds. What was not kept reads "[N bytes left out]".
 */
void stream_quote(const struct stream *stream, FILE *file);
/* What was kept and nothing else, NUL-terminated; the caller frees it. */
char *stream_text(const struct stream *stream);

struct command_result {
    bool signaled; /* the command itself died by a signal */
    int code;      /* the signal, or the exit status */
    struct stream out, err;
    int64_t end_ns; /* CLOCK_MONOTONIC, when the end was seen */
};

/*
 * Runs argv (NULL-terminated; argv[0] is looked up on PATH) to its end, however long.
 * SIGPIPE and SIGCHLD are at their defaults in it. Blocks SIGCHLD while it runs; the
 * process must have no other children, and its descriptors 0, 1 and 2 must be open.
 * ret_result belongs to the caller also when the status is not 0.
 * Errors: execve(2)'s and fork(2)'s when it cannot be started; pipe2(2)'s and
 * signalfd(2)'s.
 */
int command_run(const char *const *argv, struct command_result *ret_result, struct error *error);
void command_result_release(struct command_result *result);

#endif
