#include "err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 2, 0))) static void err_format(struct err *err, const char *fmt,
                                                             va_list args)
{
    vsnprintf(err->msg, sizeof err->msg, fmt, args);
}

int err_set(struct err *err, int errnum, const char *fmt, ...)
{
    if (err) {
        va_list args;
        va_start(args, fmt);
        err_format(err, fmt, args);
        va_end(args);
        size_t used = strlen(err->msg);
        snprintf(err->msg + used, sizeof err->msg - used, ": %s", strerror(errnum));
    }
    return -errnum;
}

int err_text(struct err *err, int errnum, const char *fmt, ...)
{
    if (err) {
        va_list args;
        va_start(args, fmt);
        err_format(err, fmt, args);
        va_end(args);
    }
    return -errnum;
}

int err_wrap(struct err *err, int ret, const char *fmt, ...)
{
    if (err) {
        struct err old = *err;
        va_list args;
        va_start(args, fmt);
        err_format(err, fmt, args);
        va_end(args);
        size_t used = strlen(err->msg);
        snprintf(err->msg + used, sizeof err->msg - used, ": %s", old.msg);
    }
    return ret;
}
