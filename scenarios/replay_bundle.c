#include "replay_bundle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../fakes/container.h"
#include "bundle.h"
#include "cmdline.h"
#include "replay_show.h"
#include "runner.h"
#include "suite.h"
#include "word_json.h"

#define NAME "killpoint replay"

enum { EXIT_FINDINGS = 1, EXIT_USAGE = 2, EXIT_UNTRUSTED = 3, EXIT_INTERRUPTED = 130 };

struct replaying {
    const struct replay_bundle *replay;
    json_t *bundle, *event; /* then and now */
    struct backend backend;
    struct suite suite;
    struct trials trials; /* the one */
    struct diags diags;
};

static void replaying_release(struct replaying *replaying)
{
    json_decref(replaying->bundle);
    json_decref(replaying->event);
    trials_release(&replaying->trials);
    suite_release(&replaying->suite);
    backend_release(&replaying->backend);
    diags_release(&replaying->diags);
}

static const char *text_of(const json_t *json, const char *part, const char *key)
{
    return json_string_value(json_object_get(json_object_get(json, part), key));
}

/* --- what it is about ---------------------------------------------------------------- */

/* The command line that was behind --. */
static int load_command(struct replaying *replaying, const json_t *command, struct err *err)
{
    struct pool *pool = &replaying->suite.pool;
    size_t count = json_array_size(command);
    const char **argv = pool_alloc(pool, count + 1, sizeof *argv);
    for (size_t i = 0; i < count; i++) {
        CLEANUP(buf_release) struct buf word = BUF_INIT;
        if (word_json_read(json_array_get(command, i), &word) < 0)
            return err_text(err, EINVAL, "%s: the bundle's backend.command is no list of words",
                            replaying->replay->path);
        argv[i] = pool_copy(pool, buf_str(&word));
    }
    if (count == 0)
        return err_text(err, EINVAL, "%s: the bundle's backend.command is empty",
                        replaying->replay->path);
    return backend_from_command(argv, &replaying->backend, err);
}

static int load_backend(struct replaying *replaying, struct err *err)
{
    const struct replay_bundle *replay = replaying->replay;
    const json_t *command =
        json_object_get(json_object_get(replaying->bundle, "backend"), "command");
    if (replay->command)
        return backend_from_command(replay->command, &replaying->backend, err);
    if (!replay->backend && command)
        return load_command(replaying, command, err);
    CLEANUP(buf_release) struct buf name = BUF_INIT;
    word_json_read(json_object_get(json_object_get(replaying->bundle, "backend"), "name"), &name);
    return suite_load_backend(replay->backend ? replay->backend : buf_str(&name),
                              &replaying->backend, &replaying->diags, err);
}

/* By its whole id: a glob may select more. */
static int find_trial(struct replaying *replaying, struct err *err)
{
    const char *id = text_of(replaying->bundle, "event", "id");
    const char *const layouts[] = {text_of(replaying->bundle, "layout", "name"), NULL};
    const struct selection selection = {.layouts = layouts, .driver = -1, .globs = NULL};
    struct trials *trials = &replaying->trials;
    int ret = suite_select(&replaying->suite, &selection, trials, err);
    if (ret < 0)
        return ret;
    for (size_t i = 0; i < trials->count; i++)
        if (strcmp(trials->items[i].id, id) == 0) {
            struct trial found = trials->items[i];
            trials->items[i] = trials->items[0];
            trials->items[0] = found;
            for (size_t k = 1; k < trials->count; k++)
                free(trials->items[k].id);
            trials->count = 1;
            return bundle_check(replaying->bundle, &trials->items[0], err);
        }
    return err_text(err, ESTALE, "the suite has no trial %s any more", id);
}

/* Returns the exit status; 0: go on. */
static int prepare(struct replaying *replaying)
{
    struct err err;
    int ret = bundle_read(replaying->replay->path, &replaying->bundle, &err);
    if (ret == 0)
        ret = suite_load(&replaying->suite, &replaying->diags, &err);
    if (ret == 0)
        ret = load_backend(replaying, &err);
    if (replaying->diags.count > 0) {
        diags_print(&replaying->diags, stderr);
        return EXIT_USAGE;
    }
    if (ret == 0)
        ret = find_trial(replaying, &err);
    return ret < 0 ? cmdline_fail(NAME, EXIT_USAGE, "%s", err.msg) : 0;
}

/* --- playing ---------------------------------------------------------------------------- */

static void on_event(void *context, json_t *event)
{
    struct replaying *replaying = context;
    replaying->event = json_incref(event);
}

static int play(struct replaying *replaying, bool *ret_interrupted, struct err *err)
{
    const struct container_kind *kind;
    const struct replay_bundle *replay = replaying->replay;
    struct run_outcome outcome = {.interrupted = false};
    int ret = runner_choose_kind(&kind, err);
    if (ret < 0)
        return ret;
    if (kind == &container_copied)
        fprintf(stderr, NAME ": " RUNNER_COPIED_NOTE "\n", err->msg);
    const struct run_options run = {.backend = &replaying->backend,
                                    .kind = kind,
                                    .trials = &replaying->trials,
                                    .jobs = 1,
                                    .keep = replay->keep || replay->shell ? KEEP_ALL : KEEP_NONE,
                                    .compares_bad = true,
                                    .on_event = on_event,
                                    .context = replaying};
    ret = runner_run(&run, &outcome, err);
    *ret_interrupted = outcome.interrupted;
    return ret;
}

static void print_outcome(const struct replaying *replaying)
{
    CLEANUP(buf_release) struct buf now = BUF_INIT;
    CLEANUP(buf_release) struct buf then = BUF_INIT;
    bundle_add_outcome(replaying->event, &now);
    bundle_add_outcome(json_object_get(replaying->bundle, "event"), &then);
    printf("%s\n", replaying->trials.items[0].id);
    replay_show(replaying->event);
    const char *error = json_string_value(json_object_get(replaying->event, "error"));
    const char *reason = json_string_value(json_object_get(replaying->event, "reason"));
    if (error || reason)
        printf("%s\n", error ? error : reason);
    if (strcmp(buf_str(&now), buf_str(&then)) == 0)
        printf("the outcome is the same: %s\n", buf_str(&now));
    else
        printf("the outcome is another one: %s\nthe bundle has: %s\n", buf_str(&now),
               buf_str(&then));
}

static int status_of(enum verdict verdict)
{
    if (verdict == VERDICT_PASS || verdict == VERDICT_XFAIL)
        return 0;
    /* What was not played, or not by us, says nothing. */
    return verdict == VERDICT_ERROR || verdict == VERDICT_UNRESOLVED || verdict_is_fine(verdict)
               ? EXIT_UNTRUSTED
               : EXIT_FINDINGS;
}

int replay_bundle(const struct replay_bundle *replay)
{
    CLEANUP(replaying_release)
    struct replaying replaying = {.replay = replay,
                                  .backend = BACKEND_INIT,
                                  .suite = SUITE_INIT,
                                  .trials = TRIALS_INIT,
                                  .diags = DIAGS_INIT};
    struct err err;
    bool interrupted = false;
    int status = prepare(&replaying);
    if (status != 0)
        return status;
    int ret = play(&replaying, &interrupted, &err);
    if (interrupted)
        return EXIT_INTERRUPTED;
    if (ret < 0 || !replaying.event)
        return cmdline_fail(NAME, EXIT_UNTRUSTED, "%s", ret < 0 ? err.msg : "nothing was played");
    print_outcome(&replaying);
    const char *kept = json_string_value(json_object_get(replaying.event, "kept"));
    if (kept && replay_enter(kept, replaying.event, replay->shell, replay->keep, &err) < 0)
        return cmdline_fail(NAME, EXIT_UNTRUSTED, "%s", err.msg);
    const char *verdict = json_string_value(json_object_get(replaying.event, "verdict"));
    return cmdline_finish(NAME, status_of(verdict_parse(verdict)));
}
