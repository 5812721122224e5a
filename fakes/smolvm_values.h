/*
 * smolvm_values.h: the values of smolvm's flags.
 */
#ifndef KILLPOINT_SMOLVM_VALUES_H
#define KILLPOINT_SMOLVM_VALUES_H

#include "../fault/io.h"

/* A whole number from 0 to max. Returns NULL, or Rust's words for what is wrong. */
const char *smolvm_number_parse(const char *text, int64_t max, int64_t *ret_number);

/*
 * A duration as the crate humantime reads it: `500ms`, `2s`, `1m 30s`; whole numbers with a
 * unit, added up. What is below a millisecond is rounded up.
 * Errors: -EINVAL with the reason in err.
 */
int smolvm_duration_parse(const char *text, int64_t *ret_ms, struct err *err);

/* HOST:GUEST, both 1 to 65535. Returns NULL, or what is wrong. */
const char *smolvm_port_check(const char *value);

#endif
