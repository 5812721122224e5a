/*
 * smolvm_text.h: what the CLI says, where it differs by version or is said in two places.
 *
 * Every text is one or more whole lines, appended to a buffer. Source: smolvm 0.8.0 and
 * 1.1.3, src/cli/vm_common.rs, machine.rs, src/data/errors.rs.
 */
#ifndef KILLPOINT_SMOLVM_TEXT_H
#define KILLPOINT_SMOLVM_TEXT_H

#include "../fault/io.h"

/* Versions compare as numbers. */
#define SMOLVM_VERSION(major, minor, patch) ((major)*10000 + (minor)*100 + (patch))
#define SMOLVM_VERSION_DEFAULT "0.8.0"

/*
 * "1.0.2" to its number. -EINVAL: not one of the versions whose behaviour is known here,
 * which end where the container path changes (1.2.3: tmpfs on /tmp; 1.4.0: keep-alive).
 */
int smolvm_version_parse(const char *text, int *ret_version, struct err *err);

/* The line of every runtime error. */
void smolvm_text_error(struct buf *err_out, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void smolvm_text_unknown(struct buf *err_out, const char *name);
void smolvm_text_not_running(struct buf *err_out, const char *name);

/* `stop` of an unknown machine. Returns the exit status. */
int smolvm_text_stop_unknown(int version, const char *name, struct buf *out, struct buf *err_out);
/* What `status` calls a machine that is not running; state is `created` or `stopped`. */
const char *smolvm_text_status_word(int version, const char *state);

/*
 * cp's summary line. total_known: an upload knows its size beforehand, a download does not
 * and shows no percentage. elapsed_ms at least 1 counts.
 */
void smolvm_text_copied(struct buf *err_out, int version, const char *label, uint64_t size_bytes,
                        bool total_known, int64_t elapsed_ms);
/* 1234 as "1.2 KB": B, KB, MB, GB by 1024, one decimal; bytes have none. */
void smolvm_text_size(struct buf *buf, double bytes);

#endif
