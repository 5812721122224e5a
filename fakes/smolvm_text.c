#include "smolvm_text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *text;
    int number;
} versions[] = {
    {"0.8.0", SMOLVM_VERSION(0, 8, 0)}, {"0.8.1", SMOLVM_VERSION(0, 8, 1)},
    {"0.8.2", SMOLVM_VERSION(0, 8, 2)}, {"0.9.0", SMOLVM_VERSION(0, 9, 0)},
    {"1.0.0", SMOLVM_VERSION(1, 0, 0)}, {"1.0.1", SMOLVM_VERSION(1, 0, 1)},
    {"1.0.2", SMOLVM_VERSION(1, 0, 2)}, {"1.0.4", SMOLVM_VERSION(1, 0, 4)},
    {"1.1.0", SMOLVM_VERSION(1, 1, 0)}, {"1.1.3", SMOLVM_VERSION(1, 1, 3)},
};
#define VERSION_COUNT (sizeof versions / sizeof *versions)

int smolvm_version_parse(const char *text, int *ret_version, struct err *err)
{
    CLEANUP(buf_release) struct buf known = BUF_INIT;
    for (size_t i = 0; i < VERSION_COUNT; i++) {
        if (strcmp(text, versions[i].text) == 0) {
            *ret_version = versions[i].number;
            return 0;
        }
        buf_printf(&known, " %s", versions[i].text);
    }
    return err_text(err, EINVAL, "SMOLVM_FAKE_VERSION='%s' is not known here; there are:%s", text,
                    buf_str(&known));
}

void smolvm_text_error(struct buf *err_out, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = io_vformat(fmt, args);
    va_end(args);
    buf_printf(err_out, "Error: %s\n", text);
    free(text);
}

void smolvm_text_unknown(struct buf *err_out, const char *name)
{
    smolvm_text_error(err_out, "vm not found: %s", name);
}

void smolvm_text_not_running(struct buf *err_out, const char *name)
{
    smolvm_text_error(err_out,
                      "agent operation failed: connect: machine '%s' is not running. Use 'smolvm "
                      "machine start --name %s' first.",
                      name, name);
}

int smolvm_text_stop_unknown(int version, const char *name, struct buf *out, struct buf *err_out)
{
    if (version >= SMOLVM_VERSION(1, 1, 3)) {
        smolvm_text_unknown(err_out, name);
        return 1;
    }
    buf_printf(out, "Machine '%s' not found or not running\n", name);
    return 0;
}

const char *smolvm_text_status_word(int version, const char *state)
{
    return version >= SMOLVM_VERSION(1, 1, 3) ? state : "not running";
}

void smolvm_text_size(struct buf *buf, double bytes)
{
    static const char *const units[] = {"B", "KB", "MB", "GB"};
    size_t unit = 0;
    while (bytes >= 1024 && unit < 3) {
        bytes /= 1024;
        unit++;
    }
    buf_printf(buf, "%.*f %s", unit == 0 ? 0 : 1, bytes, units[unit]);
}

void smolvm_text_copied(struct buf *err_out, int version, const char *label, uint64_t size_bytes,
                        bool total_known, int64_t elapsed_ms)
{
    CLEANUP(buf_release) struct buf size = BUF_INIT, rate = BUF_INIT, line = BUF_INIT;
    smolvm_text_size(&size, (double)size_bytes);
    smolvm_text_size(&rate, (double)size_bytes * 1000 / (double)(elapsed_ms > 0 ? elapsed_ms : 1));
    if (total_known && size_bytes > 0)
        buf_printf(&line, "%s: %s / %s (100.0%%, %s/s)", label, buf_str(&size), buf_str(&size),
                   buf_str(&rate));
    else
        buf_printf(&line, "%s: %s (%s/s)", label, buf_str(&size), buf_str(&rate));
    /* 0.8.0 draws the bar once for the last chunk and once more at the end. */
    if (version < SMOLVM_VERSION(0, 8, 1))
        buf_printf(err_out, "\r%s\r%s\n", buf_str(&line), buf_str(&line));
    else
        buf_printf(err_out, "%s\n", buf_str(&line));
}
