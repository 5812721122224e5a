#include "inherited.h"

#include <stddef.h>

void inherited_set_aside(struct inherited *ret_inherited)
{
    const struct sigaction by_default = {.sa_handler = SIG_DFL};
    const struct sigaction ignored = {.sa_handler = SIG_IGN};
    sigaction(SIGCHLD, &by_default, &ret_inherited->sigchld);
    sigaction(SIGXFSZ, &ignored, &ret_inherited->sigxfsz);
    sigprocmask(SIG_SETMASK, NULL, &ret_inherited->mask);
    getrlimit(RLIMIT_FSIZE, &ret_inherited->file_size);
    const struct rlimit raised = {ret_inherited->file_size.rlim_max,
                                  ret_inherited->file_size.rlim_max};
    setrlimit(RLIMIT_FSIZE, &raised);
}

void inherited_restore(const struct inherited *inherited)
{
    setrlimit(RLIMIT_FSIZE, &inherited->file_size);
    sigaction(SIGCHLD, &inherited->sigchld, NULL);
    sigaction(SIGXFSZ, &inherited->sigxfsz, NULL);
    sigprocmask(SIG_SETMASK, &inherited->mask, NULL);
}

bool inherited_is_ignored(int signum)
{
    struct sigaction action;
    return sigaction(signum, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}
