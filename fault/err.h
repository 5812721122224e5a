/*
 * err.h: the error object that every function of killpoint fills.
 *
 * A function that can fail returns 0 (or a count) or -errno and takes a
 * `struct err *` as its last parameter. The text is for people, the return value
 * is for code; success leaves the object untouched. NULL is allowed everywhere and
 * drops the text. The object belongs to the caller, nothing is allocated, and only
 * main() prints it.
 */
#ifndef KILLPOINT_ERR_H
#define KILLPOINT_ERR_H

struct err {
    char msg[1024];
};

/* Sets "TEXT: strerror(errnum)". Returns -errnum. errnum is positive. */
int err_set(struct err *err, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Sets TEXT alone, where errno's own words would only confuse. Returns -errnum. */
int err_text(struct err *err, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "CONTEXT: " before the text that is there. Returns ret, which is negative. */
int err_wrap(struct err *err, int ret, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
