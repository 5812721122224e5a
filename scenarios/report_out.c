#include "report_out.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "cmdline.h"
#include "report_formats.h"
#include "report_html.h"

#define OPT_FIRST 768 /* the options' keys, in the order of the formats */

static const struct argp_option option_table[] = {
    {"junit", OPT_FIRST + REPORT_JUNIT, "FILE", 0, "Write a JUnit report; -: to stdout", 0},
    {"tap", OPT_FIRST + REPORT_TAP, "FILE", 0, "Write TAP 14", 0},
    {"markdown", OPT_FIRST + REPORT_MARKDOWN, "FILE", 0, "Write a job summary", 0},
    {"html", OPT_FIRST + REPORT_HTML, "FILE", 0, "Write one HTML file with all of it", 0},
    {0},
};

static void (*const printers[REPORT_FORMATS])(FILE *file, const struct results *results) = {
    [REPORT_JUNIT] = report_print_junit,
    [REPORT_TAP] = report_print_tap,
    [REPORT_MARKDOWN] = report_print_markdown,
    [REPORT_HTML] = report_print_html};

static bool is_stdout(const char *path)
{
    return path && strcmp(path, "-") == 0;
}

bool report_out_is_wanted(const struct report_out *out)
{
    bool wanted = false;
    for (size_t i = 0; i < REPORT_FORMATS; i++)
        wanted |= out->paths[i] != NULL;
    return wanted;
}

bool report_out_has_stdout(const struct report_out *out)
{
    bool has = false;
    for (size_t i = 0; i < REPORT_FORMATS; i++)
        has |= is_stdout(out->paths[i]);
    return has;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct report_out *out = state->input;
    if (key < OPT_FIRST || key >= OPT_FIRST + REPORT_FORMATS)
        return ARGP_ERR_UNKNOWN;
    if (is_stdout(arg) && report_out_has_stdout(out))
        return -cmdline_fail(out->verb, -EINVAL, "only one report can go to stdout");
    out->paths[key - OPT_FIRST] = arg;
    return 0;
}

const struct argp report_out_argp = {option_table, parse_option, NULL, NULL, NULL, NULL, NULL};

int report_out_check(const struct report_out *out, struct err *err)
{
    for (size_t i = 0; i < REPORT_FORMATS; i++) {
        if (!out->paths[i] || is_stdout(out->paths[i]))
            continue;
        int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK;
        CLEANUP(io_close) int fd = open(out->paths[i], flags, 0666);
        if (fd < 0)
            return err_set(err, errno, "write %s", out->paths[i]);
    }
    return 0;
}

static int write_one(const char *path, size_t format, const struct results *results,
                     struct err *err)
{
    CLEANUP(io_fclose) FILE *opened = is_stdout(path) ? NULL : fopen(path, "we");
    FILE *file = is_stdout(path) ? stdout : opened;
    if (!file)
        return err_set(err, errno, "write %s", path);
    printers[format](file, results);
    if (fflush(file) != 0 || ferror(file))
        return err_set(err, errno, "write %s", path);
    return 0;
}

int report_out_write(const struct report_out *out, const struct results *results, struct err *err)
{
    int ret = 0;
    for (size_t i = 0; i < REPORT_FORMATS && ret == 0; i++)
        if (out->paths[i])
            ret = write_one(out->paths[i], i, results, err);
    return ret;
}
