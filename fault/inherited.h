/*
 * inherited.h: what the command inherits and its tracer cannot have for itself.
 *
 * inherited_set_aside() at the tracer's start, before anything of it is changed, and
 * inherited_restore() in the child before its execve: the command finds its signals and its
 * limit as if nobody stood between it and whoever started the tracer. Between the two the
 * tracer sees its children's ends though they were to be ignored, and what it keeps for
 * itself is not counted as the command's files: the limit is raised as far as it goes, and
 * SIGXFSZ is an error of write(2).
 * Source: execve(2), "dispositions"; setrlimit(2), RLIMIT_FSIZE.
 */
#ifndef KILLPOINT_INHERITED_H
#define KILLPOINT_INHERITED_H

#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>

struct inherited {
    struct sigaction sigchld, sigxfsz;
    sigset_t mask;
    struct rlimit file_size;
};

void inherited_set_aside(struct inherited *ret_inherited);

/* Async-signal-safe. */
void inherited_restore(const struct inherited *inherited);

/* Whether the signal is ignored, as nohup(1) and background jobs of a shell have it. */
bool inherited_is_ignored(int signum);

#endif
