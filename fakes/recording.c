#include "recording.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "call.h"
#include "call_output.h"
#include "upper.h"
#include "vmm.h"

#define CALL_FILE_MAX_BYTES (1u << 20)
#define ZERO_STATE "00000000000000000000000000000000"

void recording_release(struct recording *recording)
{
    io_fclose(&recording->points);
    io_fclose(&recording->places);
    io_close(&recording->dir_fd);
    io_free(&recording->path);
}

static FILE *open_file(int dir_fd, const char *name)
{
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (!file)
        io_close(&fd);
    return file;
}

/* The call as text: two calls are the same exactly when this is. */
static char *describe_call(const struct call *call)
{
    json_t *argv = json_array();
    json_t *env = json_array();
    for (const char *const *at = call->argv; at && *at; at++)
        json_array_append_new(argv, json_stringn_nocheck(*at, strlen(*at)));
    for (const char *const *at = call->env; at && *at; at++)
        json_array_append_new(env, json_stringn_nocheck(*at, strlen(*at)));
    json_t *json =
        json_pack("{s:o, s:o, s:s*, s:s*, s:b, s:b}", "argv", argv, "env", env, "cwd", call->cwd,
                  "path", call->guest_path, "stdin", call->interactive, "tty", call->tty);
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(json);
    if (!text)
        abort();
    return text;
}

static int save_state(int dir_fd, const char *state, const struct vmm *vmm, struct err *err)
{
    if (faccessat(dir_fd, state, F_OK, 0) == 0)
        return 0;
    int ret = vmm->kind->refresh(vmm->machine_fd, &vmm->layout, err);
    if (ret < 0)
        return ret;
    if (mkdirat(dir_fd, state, 0700) < 0)
        return err_set(err, errno, "mkdir %s", state);
    char sum[UPPER_SUM_LEN + 1];
    CLEANUP(io_close) int fd = openat(dir_fd, state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, errno, "open %s", state);
    ret = upper_copy(vmm->machine_fd, fd, sum, err);
    return ret < 0 ? ret : io_write_file(fd, "sum", sum, UPPER_SUM_LEN, 0600, err);
}

int recording_begin(struct recording *recording, const struct call *call, struct err *err)
{
    CLEANUP(io_free) char *text = describe_call(call);
    int ret = io_make_dirs(recording->path, 0700, err);
    if (ret < 0)
        return ret;
    recording->dir_fd = open(recording->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (recording->dir_fd < 0)
        return err_set(err, errno, "open %s", recording->path);
    recording->points = open_file(recording->dir_fd, "points.ndjson");
    recording->places = open_file(recording->dir_fd, "places");
    if (!recording->points || !recording->places)
        return err_set(err, errno, "write in %s", recording->path);
    ret = io_write_file(recording->dir_fd, "call.json", text, strlen(text), 0600, err);
    return ret < 0 ? ret : save_state(recording->dir_fd, ZERO_STATE, call->vmm, err);
}

int recording_add(struct recording *recording, const struct call *call,
                  const struct engine_event *event, struct err *err)
{
    CLEANUP(buf_release) struct buf address = BUF_INIT;
    address_print(event->address, &address);
    if (!event->is_attempt) {
        fprintf(recording->places, "%s\n", buf_str(&address));
        return 0;
    }
    if (event->point == 0)
        return 0;
    json_t *json = json_pack("{s:I, s:s%, s:s, s:I, s:I}", "point", (json_int_t)event->point,
                             "address", buf_str(&address), address.len, "state", event->before,
                             "out", (json_int_t)call_output_so_far(call, false), "err",
                             (json_int_t)call_output_so_far(call, true));
    if (!json)
        return err_text(err, EILSEQ, "the address %s is no UTF-8", buf_str(&address));
    if (event->address->place == op_name(OP_WRITE) && event->result > 1)
        json_object_set_new(json, "write",
                            json_pack("{s:I, s:I}", "from", (json_int_t)event->write_from, "bytes",
                                      (json_int_t)event->result));
    char *line = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (!line || fprintf(recording->points, "%s\n", line) < 0) {
        free(line);
        return err_set(err, errno, "write the points");
    }
    free(line);
    return save_state(recording->dir_fd, event->after, call->vmm, err);
}

static int finish_file(FILE **file)
{
    bool bad = fflush(*file) != 0 || ferror(*file);
    io_fclose(file);
    return bad ? -EIO : 0;
}

int recording_end(struct recording *recording, const struct call *call,
                  const struct engine_tree *tree, struct err *err)
{
    char state[TREE_STATE_DIGEST_LEN + 1], trace[TRACE_DIGEST_LEN + 1];
    tree_state_digest(&tree->state, state);
    trace_digest_print(&tree->trace, trace);
    json_t *json =
        json_pack("{s:b, s:I, s:I, s:s, s:s, s:I}", "end", 1, "points", (json_int_t)tree->points,
                  "attempts", (json_int_t)tree->attempts, "state", state, "trace", trace,
                  "mappings", (json_int_t)tree->mappings);
    if (tree->err.msg[0])
        json_object_set_new(json, "distrust", json_string(tree->err.msg));
    char *line = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (!line)
        abort();
    fprintf(recording->points, "%s\n", line);
    free(line);
    const struct buf *out = &call->reply.out, *errors = &call->reply.err;
    int ret = io_write_file(recording->dir_fd, "stdout", buf_str(out), out->len, 0600, err);
    if (ret == 0)
        ret = io_write_file(recording->dir_fd, "stderr", buf_str(errors), errors->len, 0600, err);
    if (ret == 0 && (finish_file(&recording->places) < 0 || finish_file(&recording->points) < 0))
        ret = err_text(err, EIO, "write in %s", recording->path);
    return ret;
}

/* --- putting in place --------------------------------------------------------------- */

void replays_release(struct replays *replays)
{
    for (size_t i = 0; i < replays->count; i++) {
        io_free(&replays->items[i].path);
        io_free(&replays->items[i].state);
    }
    replays->count = 0;
}

const struct replay *replays_find(const struct replays *replays, const struct call *call)
{
    for (size_t i = 0; i < replays->count; i++)
        if (replays->items[i].call == call->kind && replays->items[i].nth == call->nth)
            return &replays->items[i];
    return NULL;
}

static int read_part(const struct replay *replay, const char *name, struct buf *text,
                     struct err *err)
{
    CLEANUP(io_free) char *path = io_format("%s/%s", replay->path, name);
    return io_read_file(AT_FDCWD, path, text, 64u << 20, err);
}

int replay_check(const struct replay *replay, const struct call *call, struct err *err)
{
    CLEANUP(buf_release) struct buf recorded = BUF_INIT;
    CLEANUP(io_free) char *text = describe_call(call);
    int ret = read_part(replay, "call.json", &recorded, err);
    if (ret == 0 && strcmp(text, buf_str(&recorded)) != 0)
        ret = err_text(err, ESTALE, "the call is not the recorded one: %s, not %s", text,
                       buf_str(&recorded));
    return ret;
}

int replay_place(const struct replay *replay, int machine_fd, struct err *err)
{
    CLEANUP(io_free) char *path = io_format("%s/%s", replay->path, replay->state);
    CLEANUP(io_close) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, errno, "open %s", path);
    char sum[UPPER_SUM_LEN + 1];
    CLEANUP(buf_release) struct buf saved = BUF_INIT;
    int ret = io_read_file(fd, "sum", &saved, UPPER_SUM_LEN, err);
    if (ret == 0)
        ret = io_remove_tree(machine_fd, "upper", err);
    if (ret == 0)
        ret = upper_copy(fd, machine_fd, sum, err);
    if (ret == 0 && strcmp(sum, buf_str(&saved)) != 0)
        ret = err_text(err, EILSEQ, "the saved state %s is damaged: its digest is %s, not %s",
                       replay->state, sum, buf_str(&saved));
    return ret;
}

static int read_output(const struct replay *replay, const char *name, uint64_t bytes,
                       struct buf *text, struct err *err)
{
    CLEANUP(buf_release) struct buf all = BUF_INIT;
    int ret = read_part(replay, name, &all, err);
    if (ret == 0 && all.len < bytes)
        ret = err_text(err, ERANGE, "the recording has only %zu bytes of %s", all.len, name);
    if (ret == 0)
        buf_append(text, buf_str(&all), bytes);
    return ret;
}

int replay_output(const struct replay *replay, struct buf *out, struct buf *errors, struct err *err)
{
    int ret = read_output(replay, "stdout", replay->out_bytes, out, err);
    return ret < 0 ? ret : read_output(replay, "stderr", replay->err_bytes, errors, err);
}
