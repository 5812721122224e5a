/*
 * merge.h: the shards of one run, put together again.
 *
 * What comes out is what the run would have been without shards, but for times: the same trials in
 * the same order, and the expectation list judged for the whole.
 */
#ifndef KILLPOINT_MERGE_H
#define KILLPOINT_MERGE_H

#include "results.h"

/*
 * Merges all runs of parts into one, which is added to *ret_whole, and says how it ends. Where a
 * file has a shard several times, as --results adds to a file, its last run counts. -EINVAL, with
 * one text that names the shard: a part is missing, in two files, cut off or interrupted, or of
 * another suite, backend, plan or layout.
 */
int merge_runs(const struct results *parts, struct results *ret_whole, enum run_status *ret_status,
               struct err *err);

/* Writes its first run as a results file, whole or not at all. Errors: io_write_file()'s. */
int merge_write(const struct results *whole, const char *path, struct err *err);

#endif
