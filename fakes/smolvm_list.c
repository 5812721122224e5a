#include "smolvm_list.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "smolvm_text.h"

/* Names longer than this are cut in the table. */
#define NAME_COLUMN 18

static void json_release(json_t **json)
{
    json_decref(*json);
}

static const char *state_word(const struct record *record, pid_t pid)
{
    return pid > 0 ? "running" : record->started ? "stopped" : "created";
}

static json_t *machine_to_json(const struct record *record, pid_t pid)
{
    json_t *json = json_pack(
        "{s:s, s:s, s:i, s:I, s:o, s:i, s:i, s:I, s:I, s:I, s:s, s:[], s:[]}", "name", record->name,
        "state", state_word(record, pid), "cpus", record->cpus, "memory_mib",
        (json_int_t)record->memory_mib, "pid", pid > 0 ? json_integer(pid) : json_null(), "mounts",
        0, "ports", record->ports, "created_at", (json_int_t)record->created_at, "storage_gb",
        (json_int_t)record->storage_gib, "overlay_gb", (json_int_t)record->overlay_gib, "image",
        record->image, "entrypoint", "cmd");
    CLEANUP(json_release)
    json_t *rest =
        json_pack("{s:b, s:b, s:n, s:s, s:i, s:i, s:n, s:n, s:n, s:n, s:n, s:b}", "ephemeral", 0,
                  "gpu", 0, "gpu_vram_mib", "restart_policy", "never", "restart_max_retries", 0,
                  "restart_count", 0, "health_cmd", "health_interval_secs", "health_timeout_secs",
                  "health_retries", "health_startup_grace_secs", "network", record->network);
    json_object_update(json, rest);
    return json;
}

static void add_json(struct buf *out, const json_t *json)
{
    char *text = json_dumps(json, JSON_INDENT(2));
    buf_printf(out, "%s\n", text ? text : "null");
    free(text);
}

static void add_row(struct buf *out, const struct record *record, pid_t pid)
{
    CLEANUP(io_free) char *memory = io_format("%lld MiB", (long long)record->memory_mib);
    CLEANUP(io_free) char *storage = io_format("%lld GiB", (long long)record->storage_gib);
    CLEANUP(io_free) char *overlay = io_format("%lld GiB", (long long)record->overlay_gib);
    buf_printf(out, "%-20.*s %-12s %5d %10s %7d %7d %8s %8s\n", NAME_COLUMN, record->name,
               state_word(record, pid), record->cpus, memory, 0, record->ports, storage, overlay);
}

/* What -v shows below a row. */
static void add_details(struct buf *out, const struct record *record, pid_t pid)
{
    if (pid > 0)
        buf_printf(out, "  PID: %d\n", (int)pid);
    if (record->network)
        buf_add(out, "  Network: enabled\n");
    for (size_t i = 0; record->env && record->env[i]; i++)
        buf_printf(out, "  Env: %s\n", record->env[i]);
    if (record->workdir)
        buf_printf(out, "  Workdir: %s\n", record->workdir);
    buf_printf(out, "  Created: %lld\n\n", (long long)record->created_at);
}

static void add_header(struct buf *out)
{
    buf_printf(out, "%-20s %-12s %5s %10s %7s %7s %8s %8s\n", "NAME", "STATE", "CPUS", "MEMORY",
               "MOUNTS", "PORTS", "STORAGE", "OVERLAY");
    for (int i = 0; i < 88; i++)
        buf_add(out, "-");
    buf_add(out, "\n");
}

int smolvm_list_machines(struct smolvm_run *run)
{
    CLEANUP(io_free_list) char **names = NULL;
    CLEANUP(json_release) json_t *array = json_array();
    CLEANUP(buf_release) struct buf rows = BUF_INIT;
    struct err err;
    if (state_list(run->state_path, &names, &err) < 0)
        return smolvm_run_own_error(run, &err);
    for (size_t i = 0; names[i]; i++) {
        CLEANUP(record_release) struct record record = {0};
        int ret = state_read(run->state_path, names[i], &record, &err);
        if (ret == -ENOENT) /* deleted meanwhile */
            continue;
        if (ret < 0)
            return smolvm_run_own_error(run, &err);
        pid_t pid = state_vmm_pid(run->state_path, names[i]);
        json_array_append_new(array, machine_to_json(&record, pid));
        add_row(&rows, &record, pid);
        if (run->args->verbose)
            add_details(&rows, &record, pid);
    }
    if (run->args->json) {
        add_json(&run->out, array);
    } else if (json_array_size(array) == 0) {
        buf_add(&run->out, "No machines found\n");
    } else {
        add_header(&run->out);
        buf_append(&run->out, rows.data, rows.len);
    }
    return 0;
}

int smolvm_list_status(struct smolvm_run *run)
{
    CLEANUP(record_release) struct record record = {0};
    struct err err;
    int ret = smolvm_run_record(run, &record, &err);
    if (ret == -ENOENT) {
        if (run->args->json)
            smolvm_text_error(&run->err,
                              "config operation failed: machine status: machine '%s' not found",
                              run->machine);
        else
            smolvm_text_unknown(&run->err, run->machine);
        return 1;
    }
    if (ret < 0)
        return smolvm_run_own_error(run, &err);
    pid_t pid = state_vmm_pid(run->state_path, run->machine);
    if (run->args->json) {
        CLEANUP(json_release) json_t *json = machine_to_json(&record, pid);
        add_json(&run->out, json);
    } else if (pid > 0) {
        buf_printf(&run->out, "Machine '%s': running (PID: %d)\n", run->machine, (int)pid);
    } else {
        buf_printf(&run->out, "Machine '%s': %s\n", run->machine,
                   smolvm_text_status_word(run->version, state_word(&record, 0)));
    }
    return 0;
}
