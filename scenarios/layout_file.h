/*
 * layout_file.h: what a layout's file (scenarios/layouts/NAME.yaml) says together.
 *
 * ci/layouts builds from these files and reads them with awk; here they are only checked,
 * so that a mistake is told with its place before anything is built.
 */
#ifndef KILLPOINT_LAYOUT_FILE_H
#define KILLPOINT_LAYOUT_FILE_H

#include "diag.h"

/*
 * Checks one file: its table, which keys go together, the flat style that awk reads, and
 * that the files it names lie beside it. Returns 0, or -EINVAL with diagnostics added.
 */
int layout_file_check(const char *path, struct diags *diags);

#endif
