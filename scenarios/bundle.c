#include "bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <xxhash.h>

#include "../fakes/layout.h"
#include "json_cut.h"
#include "report_text.h"
#include "trial_event.h"
#include "word_json.h"

#define TEXT_MAX 16384 /* of one string, in bytes, and what is tried next is half of it */
#define LIST_MAX 200
#define SCENARIO_MAX_BYTES (1u << 20)
#define PROGRAM_MAX_BYTES (256u << 20)
#define LINE_MAX_BYTES 100

static const char *text_of(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text ? text : "";
}

/* --- bounds ----------------------------------------------------------------------- */

/* The event is what may be too long. -EFBIG: it is something else. */
static int dump_bounded(json_t *bundle, const json_t *event, char **ret_text, struct err *err)
{
    size_t max_list = LIST_MAX;
    for (size_t max_text = TEXT_MAX; max_text > 0; max_text /= 2) {
        json_object_set_new(bundle, "event", json_cut(event, max_text, max_list));
        char *text = json_dumps(bundle, JSON_INDENT(1) | JSON_ENSURE_ASCII);
        if (!text)
            abort();
        if (strlen(text) <= BUNDLE_MAX_BYTES) {
            *ret_text = text;
            return 0;
        }
        free(text);
        max_list = max_list > 8 ? max_list / 2 : max_list;
    }
    return err_text(err, EFBIG, "the bundle would be longer than %u bytes", BUNDLE_MAX_BYTES);
}

/* --- writing ----------------------------------------------------------------------- */

static int add_layout(json_t *bundle, const char *name, struct err *err)
{
    CLEANUP(layout_release) struct layout layout = LAYOUT_INIT;
    int ret = layout_open(name, &layout, err);
    if (ret < 0)
        return ret;
    json_object_set_new(bundle, "layout",
                        json_pack("{s:s, s:s, s:s, s:o}", "name", name, "digest", layout.digest,
                                  "debian_version", layout.debian_version, "packages",
                                  word_json_list((const char *const *)layout.packages)));
    return 0;
}

static int add_scenario(json_t *bundle, const struct scenario *scenario, struct err *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    int ret = io_read_file(AT_FDCWD, scenario->path, &text, SCENARIO_MAX_BYTES, err);
    if (ret == 0)
        json_object_set_new(bundle, "scenario",
                            json_pack("{s:o, s:s%}", "path",
                                      trial_event_text(scenario->path, strlen(scenario->path)),
                                      "text", buf_str(&text), text.len));
    return ret;
}

/* This very program: there is no other version of it. */
static void add_versions(json_t *bundle)
{
    CLEANUP(buf_release) struct buf program = BUF_INIT;
    struct utsname kernel;
    char digest[17];
    io_read_file(AT_FDCWD, "/proc/self/exe", &program, PROGRAM_MAX_BYTES, NULL);
    snprintf(digest, sizeof digest, "%016llx",
             (unsigned long long)XXH3_64bits(buf_str(&program), program.len));
    json_object_set_new(bundle, "killpoint", json_string(digest));
    if (uname(&kernel) == 0)
        json_object_set_new(
            bundle, "kernel",
            json_sprintf("%s %s %s", kernel.sysname, kernel.release, kernel.machine));
}

/* As replay takes it, from whatever folder that is called. */
static void add_backend(json_t *bundle, const struct bundle_maker *maker)
{
    const char *name = maker->backend ? maker->backend : maker->command[0];
    CLEANUP(io_free) char *file = maker->backend ? realpath(name, NULL) : NULL;
    bool is_file = file && (strchr(name, '/') || strstr(name, ".yaml"));
    json_t *backend = json_pack("{s:o}", "name", word_json(is_file ? file : name));
    if (maker->command)
        json_object_set_new(backend, "command", word_json_list(maker->command));
    json_object_set_new(bundle, "backend", backend);
}

static const struct trial *find_trial(const struct trials *trials, const char *id)
{
    for (size_t i = 0; i < trials->count; i++)
        if (strcmp(trials->items[i].id, id) == 0)
            return &trials->items[i];
    return NULL;
}

static char *name_file(const struct bundle_maker *maker, const char *id)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "._@+=-";
    CLEANUP(io_free) char *name = io_format("%s", id);
    for (char *at = name; *(at += strspn(at, plain));)
        *at = '_';
    return io_format("%s/%.100s-%08x.json", maker->folder, name,
                     (unsigned)XXH32(id, strlen(id), 0));
}

int bundle_write(const struct bundle_maker *maker, const json_t *event, struct err *err)
{
    const struct trial *trial = find_trial(maker->trials, text_of(event, "id"));
    if (!trial)
        return err_text(err, ENOENT, "there is no trial %s", text_of(event, "id"));
    CLEANUP(io_free) char *path = name_file(maker, trial->id);
    CLEANUP(buf_release) struct buf again = BUF_INIT;
    buf_add(&again, "killpoint replay ");
    report_add_word(&again, path);
    json_t *bundle = json_pack("{s:i, s:s}", "bundle", 1, "again", buf_str(&again));
    add_versions(bundle);
    if (maker->copied)
        json_object_set_new(bundle, "copied", json_string(maker->copied));
    add_backend(bundle, maker);
    int ret = add_layout(bundle, trial->layout, err);
    if (ret == 0)
        ret = add_scenario(bundle, trial->scenario, err);
    CLEANUP(io_free) char *text = NULL;
    if (ret == 0)
        ret = dump_bounded(bundle, event, &text, err);
    json_decref(bundle);
    return ret < 0 ? ret : io_write_file(AT_FDCWD, path, text, strlen(text), 0644, err);
}

int bundle_make_folder(const char *path, struct err *err)
{
    if (mkdir(path, 0777) < 0 && errno != EEXIST)
        return err_set(err, errno, "make %s", path);
    if (access(path, W_OK | X_OK) < 0)
        return err_set(err, errno, "write in %s", path);
    return 0;
}

/* --- reading ------------------------------------------------------------------------ */

int bundle_read(const char *path, json_t **ret_bundle, struct err *err)
{
    static const char *const texts[][2] = {{"layout", "name"},   {"layout", "digest"},
                                           {"scenario", "path"}, {"scenario", "text"},
                                           {"event", "id"},      {"event", "verdict"}};
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    json_error_t error;
    int ret = io_read_file(AT_FDCWD, path, &text, BUNDLE_MAX_BYTES, err);
    if (ret < 0)
        return ret;
    json_t *bundle =
        json_loadb(buf_str(&text), text.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (!bundle)
        return err_text(err, EINVAL, "%s:%d:%d: %s", path, error.line, error.column, error.text);
    const json_t *version = json_object_get(bundle, "bundle");
    if (!json_is_integer(version) || json_integer_value(version) != 1)
        ret = err_text(err, EINVAL, "%s: no bundle of version 1", path);
    for (size_t i = 0; i < sizeof texts / sizeof *texts && ret == 0; i++)
        if (!json_is_string(json_object_get(json_object_get(bundle, texts[i][0]), texts[i][1])))
            ret = err_text(err, EINVAL, "%s: the bundle has no %s.%s", path, texts[i][0],
                           texts[i][1]);
    CLEANUP(buf_release) struct buf name = BUF_INIT;
    const json_t *backend = json_object_get(bundle, "backend");
    if (ret == 0 && word_json_read(json_object_get(backend, "name"), &name) < 0)
        ret = err_text(err, EINVAL, "%s: the bundle has no backend.name", path);
    if (ret < 0)
        json_decref(bundle);
    else
        *ret_bundle = bundle;
    return ret;
}

/* The length of the line at text, what stands behind it left out. */
static int line_length(const char *text)
{
    size_t len = strcspn(text, "\n");
    return (int)(len < LINE_MAX_BYTES ? len : LINE_MAX_BYTES);
}

static int check_scenario(const json_t *bundle, const struct scenario *scenario, struct err *err)
{
    CLEANUP(buf_release) struct buf now = BUF_INIT;
    const char *then = text_of(json_object_get(bundle, "scenario"), "text");
    int ret = io_read_file(AT_FDCWD, scenario->path, &now, SCENARIO_MAX_BYTES, err);
    const char *at = buf_str(&now), *line = at, *line_then = then;
    int number = 1;
    if (ret < 0 || strcmp(at, then) == 0)
        return ret;
    for (; *at && *at == *then; at++, then++)
        if (*at == '\n') {
            number++;
            line = at + 1;
            line_then = then + 1;
        }
    return err_text(
        err, ESTALE, "%s:%d: the scenario is not the bundle's any more: '%.*s', which was '%.*s'",
        scenario->path, number, line_length(line), line, line_length(line_then), line_then);
}

/* Both lists are sorted. */
static int check_layout(const json_t *bundle, const char *name, struct err *err)
{
    CLEANUP(layout_release) struct layout layout = LAYOUT_INIT;
    const json_t *then = json_object_get(bundle, "layout");
    const json_t *packages = json_object_get(then, "packages");
    int ret = layout_open(name, &layout, err);
    if (ret < 0 || strcmp(layout.digest, text_of(then, "digest")) == 0)
        return ret;
    size_t i = 0;
    const char *was = json_string_value(json_array_get(packages, 0));
    while (was && layout.packages[i] && strcmp(was, layout.packages[i]) == 0)
        was = json_string_value(json_array_get(packages, ++i));
    const char *is = layout.packages[i];
    const char *no_package = "no package more";
    if (!was && !is)
        return err_text(
            err, ESTALE,
            "layout %s is not the bundle's any more: the same packages, but other trust "
            "store files (digest %.12s, which was %.12s)",
            name, layout.digest, text_of(then, "digest"));
    return err_text(err, ESTALE, "layout %s is not the bundle's any more: %s, which was %s", name,
                    is ? is : no_package, was ? was : no_package);
}

int bundle_check(const json_t *bundle, const struct trial *trial, struct err *err)
{
    int ret = check_scenario(bundle, trial->scenario, err);
    return ret < 0 ? ret : check_layout(bundle, trial->layout, err);
}

void bundle_add_outcome(const json_t *event, struct buf *text)
{
    size_t index;
    const json_t *check;
    const char *before = ": ";
    buf_add(text, text_of(event, "verdict"));
    json_array_foreach(json_object_get(event, "checks"), index, check)
    {
        if (!json_is_true(json_object_get(check, "decides")) ||
            strcmp(text_of(check, "result"), "fail") != 0)
            continue;
        buf_printf(text, "%s%s", before, text_of(check, "id"));
        before = ", ";
    }
}
