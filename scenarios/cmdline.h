/*
 * cmdline.h: what the verbs' command lines have in common.
 *
 * Wrong usage is one line on stderr, `killpoint VERB: what`; --help goes to stdout and ends
 * the program with 0. These functions print: only a verb's function may call them.
 */
#ifndef KILLPOINT_CMDLINE_H
#define KILLPOINT_CMDLINE_H

#include <argp.h>

/*
 * Parses a verb's arguments. argv[0] is not looked at; name ("killpoint list") stands for
 * it in messages. A parser that refuses an argument says so with cmdline_fail() and
 * returns EINVAL. Returns 0 or -EINVAL, the line being out.
 */
int cmdline_parse(const struct argp *argp, const char *name, int argc, char **argv, void *input);

/*
 * The same for a verb that takes a command behind the first `--`, which argp would take for its
 * own. *ret_command borrows from argv; NULL: there is no `--`.
 */
int cmdline_parse_command(const struct argp *argp, const char *name, int argc, char **argv,
                          void *input, const char *const **ret_command);

/* Prints "NAME: TEXT" on stderr. Returns status. */
int cmdline_fail(const char *name, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* How many processors this process may use. */
unsigned cmdline_cores(void);

/* For a verb's end: status, or 3 with a line when stdout did not take everything. */
int cmdline_finish(const char *name, int status);

#endif
