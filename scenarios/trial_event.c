#include "trial_event.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json_cut.h"

#define TEXT_MAX (64u << 10) /* of one text, where an event is too long; then half of it, … */
#define TEXT_MIN 512

json_t *trial_event_text(const char *text, size_t len)
{
    json_t *json = json_stringn(text, len);
    if (json)
        return json;
    CLEANUP(buf_release) struct buf plain = BUF_INIT;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x80)
            buf_append(&plain, &text[i], 1);
        else
            buf_printf(&plain, "\\x%02x", (unsigned char)text[i]);
    return json_stringn(buf_str(&plain), plain.len);
}

static json_t *stream_json(const struct capture *capture)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    capture_text(capture, &text);
    return trial_event_text(buf_str(&text), text.len);
}

static json_t *runs_json(const struct evidence *evidence)
{
    static const char *const how[] = {"exited", "signaled", "timeout"};
    json_t *list = json_array();
    for (size_t i = 0; i < evidence->n_runs; i++) {
        const struct evidence_run *run = &evidence->runs[i];
        const struct proc_result *proc = &run->sandbox.proc;
        json_t *json =
            json_pack("{s:s, s:s, s:i, s:I, s:I, s:o, s:o}", "machine", run->machine, "how",
                      how[proc->how], "code", proc->code, "ms", (json_int_t)proc->ms, "calls",
                      (json_int_t)json_array_size(run->calls), "stdout", stream_json(&proc->out),
                      "stderr", stream_json(&proc->err));
        json_t *store = run->audit ? audit_report_json(run->audit) : NULL;
        if (store)
            json_object_update_new(json, store);
        json_array_append_new(list, json);
    }
    return list;
}

static json_t *calls_json(const struct evidence *evidence)
{
    json_t *list = json_array();
    for (size_t i = 0; i < evidence->n_runs; i++) {
        size_t index;
        json_t *call;
        json_array_foreach(evidence->runs[i].calls, index, call) json_array_append(list, call);
    }
    return list;
}

void trial_event_set_place(json_t *event, const char *path, int line)
{
    CLEANUP(io_free) char *here = getcwd(NULL, 0);
    size_t len = here ? strlen(here) : 0;
    bool below = len > 0 && strncmp(path, here, len) == 0 && path[len] == '/';
    json_object_set_new(event, "file", json_string(below ? path + len + 1 : path));
    json_object_set_new(event, "line", json_integer(line));
}

json_t *trial_event(const struct trial *trial, enum verdict verdict)
{
    json_t *event = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "event", "trial", "id",
                              trial->id, "scenario", trial->scenario->id, "layout", trial->layout,
                              "driver", trial->driver == DRIVER_SMOLVM ? "smolvm" : "docker",
                              "title", trial->scenario->title, "verdict", verdict_name(verdict));
    trial_event_set_place(event, trial->scenario->path, trial->scenario->line);
    return event;
}

void trial_event_add_evidence(json_t *event, const struct evidence *evidence)
{
    json_object_set_new(event, "calls", calls_json(evidence));
    json_object_set_new(event, "runs", runs_json(evidence));
}

/* Copies the event with shorter texts and, if need be, without the last calls. */
static json_t *shorten(const json_t *event, size_t max_text, size_t max_calls)
{
    json_t *shorter = json_cut(event, max_text, SIZE_MAX);
    json_t *calls = json_object_get(shorter, "calls");
    size_t count = json_array_size(calls);
    for (size_t n = count; n > max_calls; n--)
        json_array_remove(calls, n - 1);
    if (count > max_calls)
        json_object_set_new(shorter, "calls_left_out",
                            json_integer((json_int_t)(count - max_calls)));
    return shorter;
}

char *trial_event_dump(const json_t *event, size_t max_bytes)
{
    char *text = json_dumps(event, JSON_COMPACT);
    size_t max_text = TEXT_MAX, max_calls = json_array_size(json_object_get(event, "calls"));
    while (text && strlen(text) > max_bytes && (max_calls > 0 || max_text > TEXT_MIN)) {
        json_t *shorter = shorten(event, max_text, max_calls);
        free(text);
        text = json_dumps(shorter, JSON_COMPACT);
        json_decref(shorter);
        if (max_text > TEXT_MIN)
            max_text /= 2;
        else
            max_calls /= 2;
    }
    return text;
}
