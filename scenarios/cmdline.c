#include "cmdline.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../fault/io.h"

/* The parser around a verb's own: getopt's line is enough, argp's "Try --help" is not wanted. */
static error_t parse_quietly(int key, char *arg, struct argp_state *state)
{
    (void)arg;
    if (key != ARGP_KEY_INIT)
        return ARGP_ERR_UNKNOWN;
    state->err_stream = NULL;
    state->child_inputs[0] = state->input;
    return 0;
}

int cmdline_parse(const struct argp *argp, const char *name, int argc, char **argv, void *input)
{
    const struct argp_child children[] = {{argp, 0, NULL, 0}, {0}};
    const struct argp outer = {NULL, parse_quietly, NULL, NULL, children, NULL, NULL};
    CLEANUP(io_free) char *shown = io_format("%s", name);
    char *kept = argv[0];
    argv[0] = shown; /* getopt and --help name the program by it */
    error_t ret = argp_parse(&outer, argc, argv, 0, NULL, input);
    argv[0] = kept;
    return ret ? -EINVAL : 0;
}

int cmdline_parse_command(const struct argp *argp, const char *name, int argc, char **argv,
                          void *input, const char *const **ret_command)
{
    int own = 1;
    while (own < argc && strcmp(argv[own], "--") != 0)
        own++;
    *ret_command = own < argc ? (const char *const *)argv + own + 1 : NULL;
    char *rest = argv[own];
    argv[own] = NULL;
    int ret = cmdline_parse(argp, name, own, argv, input);
    argv[own] = rest;
    if (ret == 0 && *ret_command && !**ret_command)
        return cmdline_fail(name, -EINVAL, "no command behind --");
    return ret;
}

int cmdline_fail(const char *name, int status, const char *fmt, ...)
{
    va_list args;
    fprintf(stderr, "%s: ", name);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    return status;
}

int cmdline_finish(const char *name, int status)
{
    if (fflush(stdout) != 0)
        return cmdline_fail(name, 3, "write stdout: %s", strerror(errno));
    return status;
}

unsigned cmdline_cores(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) < 0 ? 1 : (unsigned)CPU_COUNT(&set);
}
