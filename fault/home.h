/*
 * home.h: finding what lies beside the programs.
 *
 * The programs are not installed: they run from the build folder of a clone, whatever the
 * variant (build/bin, build/fakes, build/asan/bin, build/tests, …) and whatever the current
 * folder. So things are found from the program's own file upwards.
 */
#ifndef KILLPOINT_HOME_H
#define KILLPOINT_HOME_H

#include "err.h"

/*
 * Finds the nearest NAME at or above the folder of this program's file.
 *   name      a relative path; with more than one part (`scenarios/suite`) it is found only
 *             where all its parts are
 *   ret_path  NAME's absolute path; the caller frees it
 * Returns 0 or -errno. Errors: -ENOENT there is none up to the root.
 * Source: proc(5), /proc/self/exe.
 */
int home_find(const char *name, char **ret_path, struct err *err);

#endif
