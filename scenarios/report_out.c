#include "report_out.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* The file that is meant, whatever it is called: the caller's. It need not be there, nor its
 * folder.
 */
static char *real_name(const char *path)
{
    CLEANUP(io_free) char *there = realpath(path, NULL);
    if (there)
        return io_format("%s", there);
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    CLEANUP(io_free) char *above = io_format("%.*s.", (int)(base - path), path);
    CLEANUP(io_free) char *folder = realpath(above, NULL);
    return folder ? io_format("%s/%s", folder, base) : io_format("%s", path);
}

static int check_distinct(const char *one, const char *other, struct err *err)
{
    if (!one || !other || is_stdout(one) || is_stdout(other))
        return 0;
    CLEANUP(io_free) char *a = real_name(one);
    CLEANUP(io_free) char *b = real_name(other);
    return strcmp(a, b) != 0
               ? 0
               : err_text(err, EINVAL, "a report needs a file of its own: '%s' and '%s' are one",
                          one, other);
}

/* A device or a pipe is written to, a file is replaced: that is up to its folder. */
static bool is_replaced(const char *path)
{
    struct stat st;
    return stat(path, &st) < 0 || S_ISREG(st.st_mode);
}

static int check_place(const char *path, struct err *err)
{
    if (is_replaced(path)) {
        CLEANUP(io_free) char *name = real_name(path);
        const char *slash = strrchr(name, '/');
        CLEANUP(io_free)
        char *folder = io_format("%.*s.", slash ? (int)(slash + 1 - name) : 0, name);
        return access(folder, W_OK | X_OK) < 0 ? err_set(err, errno, "write %s", path) : 0;
    }
    CLEANUP(io_close) int fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
    return fd < 0 ? err_set(err, errno, "write %s", path) : 0;
}

int report_out_check(const struct report_out *out, const char *const *others, size_t n_others,
                     struct err *err)
{
    int ret = 0;
    for (size_t i = 0; i < REPORT_FORMATS && ret == 0; i++) {
        for (size_t k = 0; k < i && ret == 0; k++)
            ret = check_distinct(out->paths[k], out->paths[i], err);
        for (size_t k = 0; k < n_others && ret == 0; k++)
            ret = check_distinct(out->paths[i], others[k], err);
        if (ret == 0 && out->paths[i] && !is_stdout(out->paths[i]))
            ret = check_place(out->paths[i], err);
    }
    return ret;
}

static int print_to(const char *path, FILE *file, size_t format, const struct results *results,
                    struct err *err)
{
    if (!file)
        return err_set(err, errno, "write %s", path);
    printers[format](file, results);
    return fflush(file) != 0 || ferror(file) ? err_set(err, errno, "write %s", path) : 0;
}

static int replace_file(const char *path, size_t format, const struct results *results,
                        struct err *err)
{
    CLEANUP(io_free) char *name = real_name(path);
    CLEANUP(io_free) char *text = NULL;
    size_t len = 0;
    CLEANUP(io_fclose) FILE *file = open_memstream(&text, &len);
    int ret = print_to(path, file, format, results, err);
    if (ret == 0 && (ret = io_write_file(AT_FDCWD, name, text, len, 0666, NULL)) < 0)
        ret = err_set(err, -ret, "write %s", path);
    return ret;
}

static int write_one(const char *path, size_t format, const struct results *results,
                     struct err *err)
{
    if (is_stdout(path))
        return print_to(path, stdout, format, results, err);
    if (is_replaced(path))
        return replace_file(path, format, results, err);
    CLEANUP(io_fclose) FILE *file = fopen(path, "we");
    return print_to(path, file, format, results, err);
}

int report_out_write(const struct report_out *out, const struct results *results, struct err *err)
{
    int ret = 0;
    for (size_t i = 0; i < REPORT_FORMATS && ret == 0; i++)
        if (out->paths[i])
            ret = write_one(out->paths[i], i, results, err);
    return ret;
}
