#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define HEAD_BYTES 4096
#define TAIL_BYTES 65536

/* --- text -------------------------------------------------------------------- */

/*
 * Length of the UTF-8 sequence at text, 0 when there is none (Unicode table 3-7: no
 * overlong forms, no surrogates, nothing past U+10FFFF).
 */
static size_t sequence_length(const unsigned char *text, size_t left)
{
    unsigned char low = 0x80, high = 0xbf;
    size_t length;
    if (text[0] < 0x80)
        return 1;
    if (text[0] >= 0xc2 && text[0] <= 0xdf)
        length = 2;
    else if ((text[0] & 0xf0) == 0xe0)
        length = 3;
    else if (text[0] >= 0xf0 && text[0] <= 0xf4)
        length = 4;
    else
        return 0;
    switch (text[0]) {
    case 0xe0: low = 0xa0; break;
    case 0xed: high = 0x9f; break;
    case 0xf0: low = 0x90; break;
    case 0xf4: high = 0x8f; break;
    default: break;
    }
    if (length > left || text[1] < low || text[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

/* Appends text as valid UTF-8 of at most max_bytes. NUL is replaced too: JSON readers stop there.
 */
static void add_valid(struct buf *buf, const char *text, size_t len, size_t max_bytes)
{
    static const char replacement[] = "\xef\xbf\xbd";
    size_t end = buf->len + max_bytes;
    for (size_t i = 0; i < len;) {
        size_t length = sequence_length((const unsigned char *)text + i, len - i);
        bool good = length > 0 && text[i] != '\0';
        size_t wanted = good ? length : sizeof replacement - 1;
        if (wanted > end - buf->len)
            return;
        buf_append(buf, good ? text + i : replacement, wanted);
        i += length > 0 ? length : 1;
    }
}

static json_t *valid_string(const char *text, size_t len, size_t max_bytes)
{
    struct buf valid = BUF_INIT;
    add_valid(&valid, text, len, max_bytes);
    json_t *json = json_stringn(buf_str(&valid), valid.len);
    buf_release(&valid);
    return json;
}

/* --- the line ---------------------------------------------------------------- */

static json_t *stream_to_json(const struct buf *stream)
{
    const char *data = stream ? buf_str(stream) : "";
    size_t len = stream ? stream->len : 0;
    XXH128_hash_t digest = XXH3_128bits(data, len);
    char hex[33];
    snprintf(hex, sizeof hex, "%016llx%016llx", (unsigned long long)digest.high64,
             (unsigned long long)digest.low64);
    return json_pack("{s:I, s:s, s:o}", "bytes", (json_int_t)len, "xxh128", hex, "head",
                     valid_string(data, len, HEAD_BYTES));
}

static json_t *argv_to_json(const char *const *argv)
{
    json_t *array = json_array();
    for (size_t i = 0; argv[i]; i++)
        json_array_append_new(array, valid_string(argv[i], strlen(argv[i]), SIZE_MAX / 2));
    return array;
}

static json_t *entry_to_json(const struct journal_entry *entry, int64_t seq)
{
    bool killed = entry->signal != 0;
    json_t *rules = entry->rules_json ? json_loads(entry->rules_json, 0, NULL) : json_array();
    if (!rules)
        return NULL;
    json_t *machine = json_null();
    if (entry->machine)
        machine = valid_string(entry->machine, strlen(entry->machine), SIZE_MAX / 2);
    return json_pack(
        "{s:I, s:I, s:I, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "seq", (json_int_t)seq,
        "start_ns", (json_int_t)entry->start_ns, "end_ns", (json_int_t)entry->end_ns, "argv",
        argv_to_json(entry->argv), "verb", entry->verb, "machine", machine, "status",
        killed ? json_null() : json_integer(entry->status), "signal",
        killed ? json_integer(entry->signal) : json_null(), "stdout", stream_to_json(entry->out),
        "stderr", stream_to_json(entry->err), "rules", rules);
}

/* --- the file ---------------------------------------------------------------- */

/* Where the last whole line starts and ends; both 0 in a file without one. */
static int find_last_line(int fd, off_t size, off_t *ret_start, off_t *ret_end)
{
    char block[TAIL_BYTES];
    off_t end = -1, at = size;
    while (at > 0) {
        size_t want = at < TAIL_BYTES ? (size_t)at : TAIL_BYTES;
        if (pread(fd, block, want, at - (off_t)want) != (ssize_t)want)
            return -EIO;
        at -= (off_t)want;
        for (size_t i = want; i-- > 0;) {
            if (block[i] != '\n')
                continue;
            if (end >= 0) {
                *ret_start = at + (off_t)i + 1;
                *ret_end = end;
                return 0;
            }
            end = at + (off_t)i + 1;
        }
    }
    *ret_start = 0;
    *ret_end = end < 0 ? 0 : end;
    return 0;
}

/* Sets the next line's number, and cuts off what a writer left that died in its write. */
static int prepare(int fd, int64_t *ret_seq)
{
    struct stat st;
    off_t start, end;
    if (fstat(fd, &st) < 0)
        return -errno;
    int ret = find_last_line(fd, st.st_size, &start, &end);
    if (ret < 0)
        return ret;
    if (end < st.st_size && ftruncate(fd, end) < 0)
        return -errno;
    char head[64] = "";
    long long seq = 0;
    if (end > 0 && pread(fd, head, sizeof head - 1, start) < 0)
        return -errno;
    if (end > 0 && sscanf(head, "{\"seq\": %lld", &seq) != 1)
        return -EINVAL;
    *ret_seq = seq + 1;
    return 0;
}

int journal_append(const char *state_path, const struct journal_entry *entry, struct err *err)
{
    CLEANUP(io_free) char *path = io_format("%s/journal.ndjson", state_path);
    CLEANUP(io_close) int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(err, errno, "open %s", path);
    while (flock(fd, LOCK_EX) < 0)
        if (errno != EINTR)
            return err_set(err, errno, "lock %s", path);
    int64_t seq = 0;
    int ret = prepare(fd, &seq);
    if (ret < 0)
        return err_set(err, -ret, "read %s", path);
    json_t *json = entry_to_json(entry, seq);
    char *text = json ? json_dumps(json, 0) : NULL;
    json_decref(json);
    if (!text)
        return err_set(err, EINVAL, "journal line");
    struct buf line = BUF_INIT;
    buf_printf(&line, "%s\n", text);
    free(text);
    ret = io_write_all(fd, line.data, line.len);
    buf_release(&line);
    return ret < 0 ? err_set(err, -ret, "write %s", path) : 0;
}
