#include "home.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io.h"

int home_find(const char *name, char **ret_path, struct err *err)
{
    CLEANUP(io_free) char *program = realpath("/proc/self/exe", NULL);
    if (!program)
        return err_set(err, errno, "find this program's file");
    CLEANUP(io_free) char *folder = strdup(program);
    if (!folder)
        abort();
    for (char *slash; (slash = strrchr(folder, '/'));) {
        *slash = '\0';
        CLEANUP(io_free) char *path = io_format("%s/%s", folder, name);
        if (access(path, F_OK) == 0) {
            *ret_path = steal_ptr(&path);
            return 0;
        }
    }
    return err_text(err, ENOENT, "there is no %s in any folder above %s", name, program);
}
