#include "probe.h"

#include <string.h>

enum { RANDOM_NAME, UNDISTURBED, NO_CERTIFICATE, NO_MACHINE };

const struct probe_case probe_cases[PROBE_N_CASES] = {
    [RANDOM_NAME] = {"machines/random-name", true, "a machine of a random name"},
    [UNDISTURBED] = {"install/undisturbed", true, "nothing goes wrong"},
    [NO_CERTIFICATE] = {"certificate/unusable[file=none]", false,
                        "a certificate file without a certificate"},
    [NO_MACHINE] = {"machines/missing", false, "a machine that does not exist"},
};

static const char *text_of(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static bool is(json_t *object, const char *key, const char *word)
{
    return strcmp(text_of(object, key), word) == 0;
}

/* The run, or NULL: it was not played. */
static json_t *run_of(json_t *event)
{
    return json_array_get(json_object_get(event, "runs"), 0);
}

static int code_of(json_t *event)
{
    return (int)json_integer_value(json_object_get(run_of(event), "code"));
}

/* The first failing check of level must of the store, or NULL. */
static json_t *bad_store(json_t *event)
{
    size_t index;
    json_t *check;
    json_array_foreach(json_object_get(event, "checks"), index, check)
    {
        if (strncmp(text_of(check, "id"), "store/must/", 11) == 0 && is(check, "result", "fail"))
            return check;
    }
    return NULL;
}

static enum probe_end judge_success(const struct probe_case *item, json_t *event, struct buf *found)
{
    json_t *check = bad_store(event);
    buf_add(found, "success claimed");
    if (!item->possible)
        return PROBE_BAD;
    if (!check) {
        buf_add(found, ", and the CA is there");
        return PROBE_GOOD;
    }
    buf_printf(found, ", but %s: %s", text_of(check, "id"), text_of(check, "found"));
    return PROBE_BAD;
}

enum probe_end probe_judge(const struct probe_case *item, json_t *event, struct buf *found)
{
    json_t *run = run_of(event);
    int code = code_of(event);
    if (!run && is(event, "verdict", "ERROR")) {
        buf_add(found, text_of(event, "error"));
        return PROBE_UNKNOWN;
    }
    if (!run) {
        buf_printf(found, "not played: %s", text_of(event, "reason"));
        return PROBE_UNSUPPORTED;
    }
    if (is(run, "how", "timeout"))
        buf_add(found, "it does not end");
    else if (is(run, "how", "signaled"))
        buf_printf(found, "killed by signal %d (%s)", code, strsignal(code));
    else if (code == 0)
        return judge_success(item, event, found);
    else
        buf_printf(found, "exit status %d", code);
    if (!is(run, "how", "exited"))
        return PROBE_BAD;
    if (code == 77)
        return PROBE_UNSUPPORTED;
    return item->possible || code == 99 ? PROBE_BAD : PROBE_GOOD;
}

/* --- all together --------------------------------------------------------------------- */

/* A call that the driver refused as wrong usage, or NULL. */
static json_t *refused_call(json_t *event)
{
    size_t index;
    json_t *call;
    json_array_foreach(json_object_get(event, "calls"), index, call)
    {
        if (json_integer_value(json_object_get(call, "status")) == 2)
            return call;
    }
    return NULL;
}

/* It fails where nothing goes wrong: what to look at. */
static void hint(json_t *event, struct buf *text)
{
    json_t *run = run_of(event), *call = refused_call(event);
    int code = is(run, "how", "exited") ? code_of(event) : -1;
    const char *driver = text_of(event, "driver");
    buf_add(text, "look at ");
    if (code == 99)
        buf_add(text, "the adapter itself: 99 says that it is broken\n");
    else if (code == 126 || code == 127)
        buf_printf(
            text,
            "its command line: %d is a shell's word for a program that it cannot %s. It runs "
            "in a folder of its own, so paths must be absolute ({dir} is that of the backend "
            "file)\n",
            code, code == 126 ? "execute" : "find");
    else if (call)
        buf_printf(text, "its calls: %s refused one as wrong usage (status 2): %s\n", driver,
                   text_of(json_object_get(call, "stderr"), "head"));
    else if (json_array_size(json_object_get(event, "calls")) == 0)
        buf_printf(text,
                   "how it finds the driver: no call of %s for the machine {machine} was seen. It "
                   "must take the one that is first on PATH, and leave PATH as it is\n",
                   driver);
    else if (is(run, "how", "timeout"))
        buf_add(text, "what it waits for: its stdin is closed, and nobody answers\n");
    else if (code == 0)
        buf_add(text, "where it installs: the CA belongs at {ca_path}, and update-ca-certificates "
                      "is to be run in the guest\n");
    else
        buf_printf(text, "its own words above, and at the machine: killpoint run --keep %s\n",
                   probe_cases[UNDISTURBED].id);
}

enum probe_end probe_conclude(json_t *const events[PROBE_N_CASES], struct buf *text)
{
    enum probe_end ends[PROBE_N_CASES];
    json_t *unknown = NULL;
    for (size_t i = 0; i < PROBE_N_CASES; i++) {
        CLEANUP(buf_release) struct buf unused = BUF_INIT;
        ends[i] = probe_judge(&probe_cases[i], events[i], &unused);
        if (ends[i] == PROBE_UNKNOWN)
            unknown = events[i];
    }
    if (unknown) {
        bool absent = strncmp(text_of(unknown, "error"), "backend: ", 9) == 0;
        buf_add(text, absent ? "the adapter is not there\nlook at its command line: a path must be "
                               "absolute ({dir} is that of the backend file)\n"
                             : "nothing can be said of the adapter: a trial could not be played\n");
        return PROBE_UNKNOWN;
    }
    if (ends[RANDOM_NAME] == PROBE_BAD && ends[UNDISTURBED] == PROBE_BAD) {
        bool claims =
            is(run_of(events[UNDISTURBED]), "how", "exited") && code_of(events[UNDISTURBED]) == 0;
        buf_printf(text, "the adapter is probably broken: %s\n",
                   claims ? "it claims success, and the CA is not there"
                          : "it fails where nothing goes wrong");
        hint(events[UNDISTURBED], text);
    } else if (ends[UNDISTURBED] == PROBE_UNSUPPORTED)
        buf_add(text, "nothing would be judged: what any backend does is not supported\n");
    else if (ends[RANDOM_NAME] == PROBE_BAD)
        buf_add(text, "it does its work for some names alone\n"
                      "look at where it has the machine's name from: it is {machine}\n");
    else if (ends[NO_CERTIFICATE] == PROBE_BAD || ends[NO_MACHINE] == PROBE_BAD)
        buf_add(text, "its exit status tells nothing: it must claim failure for what cannot be\n"
                      "look at what swallows the status: a pipe, `|| true`, a wrapper\n");
    else if (ends[UNDISTURBED] == PROBE_BAD)
        buf_add(text, "it does not do the same each time: the same work went well once\n");
    else if (ends[NO_CERTIFICATE] != PROBE_GOOD && ends[NO_MACHINE] != PROBE_GOOD)
        buf_add(text,
                "it never claims failure: 77 says that something is not supported, and no more\n"
                "look at what makes 77 of every status\n");
    else {
        buf_add(text, "the adapter works: it can succeed and fail, and takes any machine's name\n");
        return PROBE_GOOD;
    }
    return PROBE_BAD;
}
