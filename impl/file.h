/*
 * file.h: reading a small input file whole.
 */
#ifndef PROVISION_FILE_H
#define PROVISION_FILE_H

#include <stddef.h>

#include "error.h"

#define FILE_MAX_BYTES 1048576

/*
 * Reads a regular file of at most FILE_MAX_BYTES. The bytes are NUL-terminated behind
 * *ret_len and belong to the caller. Never blocks: a FIFO is refused, since the driver
 * would have to read it a second time.
 * Errors: open(2)'s and read(2)'s; EINVAL not a regular file; EFBIG too large.
 */
int file_read(const char *path, char **ret_data, size_t *ret_len, struct error *error);

#endif
