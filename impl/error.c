#include "error.h"

#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((format(printf, 1, 0))) static char *format_args(const char *fmt, va_list args)
{
    char *text = NULL;
    if (vasprintf(&text, fmt, args) < 0)
        abort();
    return text;
}

char *format_text(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = format_args(fmt, args);
    va_end(args);
    return text;
}

int error_set(struct error *error, int errnum, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = format_args(fmt, args);
    va_end(args);
    free(error->text);
    error->text = text;
    return -errnum;
}

void error_release(struct error *error)
{
    free_text(&error->text);
}

void free_text(char **text)
{
    free(*text);
    *text = NULL;
}

void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void close_file(FILE **file)
{
    if (*file)
        fclose(*file);
    *file = NULL;
}
