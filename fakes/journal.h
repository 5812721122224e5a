/*
 * journal.h: STATE/journal.ndjson, one line for every call of a CLI.
 *
 * {"seq":N, "start_ns":…, "end_ns":…, "argv":[…], "verb":"exec", "machine":"m"|null,
 *  "status":N|null, "signal":N|null, "stdout":{"bytes":N,"xxh128":"…","head":"…"},
 *  "stderr":{…}, "rules":[{"rule":"…","fired":N}]}
 *
 * start_ns and end_ns are CLOCK_MONOTONIC. head holds at most 4096 bytes, made valid UTF-8.
 * Lines are appended under a lock on the file, so seq counts without gaps; a reader may
 * find the file at any time and never sees half a line.
 */
#ifndef KILLPOINT_JOURNAL_H
#define KILLPOINT_JOURNAL_H

#include "../fault/io.h"

struct journal_entry {
    int64_t start_ns, end_ns;
    const char *const *argv; /* of the CLI, NULL-terminated */
    const char *verb;        /* "exec", "cp", "create", …; "" when the arguments were refused */
    const char *machine;     /* NULL: none named */
    int status;              /* exit status; -1 when a signal ended it */
    int signal;              /* 0 when it exited */
    const struct buf *out, *err;
    const char *rules_json; /* JSON list; NULL: none */
};

int journal_append(const char *state_path, const struct journal_entry *entry, struct err *err);

#endif
