/*
 * error.h: the error text of provision-ca, and clean-up by scope.
 *
 * A function that can fail returns 0 (or a count) or -errno and takes a `struct error *`
 * as its last parameter, never NULL. The text is one line, written for an operator; only
 * main() prints it. An error holds at most one text and is released by its owner.
 */
#ifndef PROVISION_ERROR_H
#define PROVISION_ERROR_H

#include <stdio.h>

/* Runs fn(&variable) at the end of its scope. Start such a variable at NULL or -1. */
#define CLEANUP(fn) __attribute__((cleanup(fn)))

struct error {
    char *text; /* NULL: no error; owned */
};

/* Sets the text and returns -errnum. The text is all that is said: add %s of strerror. */
int error_set(struct error *error, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void error_release(struct error *error);

/* asprintf that aborts when memory ends; the caller frees the result. */
char *format_text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Destructors for CLEANUP. close_fd() sets the variable to -1. */
void free_text(char **text);
void close_fd(int *fd);
void close_file(FILE **file);

#endif
