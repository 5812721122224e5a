#include "replay_cmd.h"

#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../fakes/container.h"
#include "cmdline.h"
#include "explore_play.h"
#include "explore_report.h"
#include "replay_bundle.h"
#include "replay_show.h"
#include "runner.h"
#include "suite.h"

#define NAME "killpoint replay"

enum { EXIT_FINDINGS = 1, EXIT_USAGE = 2, EXIT_UNTRUSTED = 3, EXIT_INTERRUPTED = 130 };
enum { OPT_BACKEND = 256, OPT_KEEP, OPT_SHELL };

struct replaying {
    const char *text, *backend_name;
    const char *const *command;
    bool keep, shell;
    struct token token;
    struct backend backend;
    struct layout layout;
    struct crash_points points;
    struct explorer explorer;
    int64_t undisturbed_execs;
};

static const struct argp_option option_table[] = {
    {"backend", OPT_BACKEND, "NAME", 0,
     "The token's backend, where it is not in scenarios/backends: FILE.yaml; or another one than "
     "the bundle's",
     0},
    {"keep", OPT_KEEP, NULL, 0, "Keep the guest, and print how to enter it", 0},
    {"shell", OPT_SHELL, NULL, 0, "Open a shell in the guest afterwards", 0},
    {0},
};

static void replaying_release(struct replaying *replaying)
{
    explorer_release(&replaying->explorer);
    crash_points_release(&replaying->points);
    layout_release(&replaying->layout);
    backend_release(&replaying->backend);
    token_release(&replaying->token);
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct replaying *replaying = state->input;
    switch (key) {
    case OPT_BACKEND: replaying->backend_name = arg; return 0;
    case OPT_KEEP: replaying->keep = true; return 0;
    case OPT_SHELL: replaying->shell = true; return 0;
    case ARGP_KEY_ARG:
        if (replaying->text)
            return -cmdline_fail(NAME, -EINVAL, "what is '%s' for?", arg);
        replaying->text = arg;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* A token begins like no file's name that anybody gives. */
static bool is_bundle(const struct replaying *replaying)
{
    return strncmp(replaying->text, "kp1:", 4) != 0 && strchr(replaying->text, '.');
}

static int parse(int argc, char **argv, struct replaying *replaying)
{
    static const struct argp argp = {
        option_table,
        parse_option,
        "TOKEN|BUNDLE [-- CMD ARG...]",
        "Kills a backend's call at the one point that a token of `killpoint explore` names, or "
        "plays "
        "the one case that a bundle of `killpoint run --evidence` is of, and shows the calls, the "
        "audit, and how the guest differs from an undisturbed install.\v"
        "A bundle is played with its own backend, or with another that is given, and it is told "
        "whether the outcome is the same. "
        "Exit status: 0 it ends well, 1 findings, 2 wrong usage, no such layout or backend, or "
        "they "
        "or the scenario are not the bundle's any more, 3 the call has another trace now, or the "
        "point was not met.",
        NULL,
        NULL,
        NULL};
    struct err err;
    if (cmdline_parse_command(&argp, NAME, argc, argv, replaying, &replaying->command) < 0)
        return -EINVAL;
    if (!replaying->text)
        return cmdline_fail(NAME, -EINVAL, "a token or a bundle is missing");
    if (is_bundle(replaying))
        return 0;
    if (token_parse(replaying->text, &replaying->token, &err) < 0)
        return cmdline_fail(NAME, -EINVAL, "%s: %s", replaying->text, err.msg);
    bool behind = strcmp(replaying->token.backend, "-") == 0;
    if (behind != (replaying->command != NULL))
        return cmdline_fail(NAME, -EINVAL,
                            behind ? "the token is of a command behind --: give it again"
                                   : "the token names its backend: no command goes behind --");
    return 0;
}

/* --- what the token is about ----------------------------------------------------------------- */

static int find_layout(struct replaying *replaying, struct err *err)
{
    char **names = NULL;
    int ret = layout_list(&names, err);
    CLEANUP(buf_release) struct buf built = BUF_INIT;
    bool found = false;
    for (char **name = names; ret == 0 && *name && !found; name++) {
        struct layout layout = LAYOUT_INIT;
        if (layout_open(*name, &layout, NULL) < 0)
            continue;
        buf_printf(&built, " %s (%.12s)", *name, layout.digest);
        found = strncmp(layout.digest, replaying->token.layout, TOKEN_DIGITS) == 0;
        if (found)
            replaying->layout = layout;
        else
            layout_release(&layout);
    }
    if (ret == 0) {
        io_free_list(&names);
        if (!found)
            ret = err_text(err, ENOENT, "no layout that is built has the token's digest %s;%s",
                           replaying->token.layout, buf_str(&built));
    }
    return ret;
}

static int try_backend(struct replaying *replaying, const char *name, struct err *err)
{
    CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
    char digest[TOKEN_DIGITS + 1];
    int ret = suite_load_backend(name, &replaying->backend, &diags, err);
    if (diags.count > 0)
        ret = err_text(err, EINVAL, "%s", diags.items[0].text);
    if (ret < 0)
        return ret;
    backend_digest(&replaying->backend, digest);
    if (strcmp(digest, replaying->token.backend) == 0)
        return 0;
    backend_release(&replaying->backend);
    replaying->backend = (struct backend)BACKEND_INIT;
    return err_text(err, ENOENT, "backend %s has the digest %s, not the token's %s", name, digest,
                    replaying->token.backend);
}

static int find_backend(struct replaying *replaying, struct err *err)
{
    struct pool pool = POOL_INIT;
    CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
    const char *const *names = NULL;
    if (replaying->command)
        return backend_from_command(replaying->command, &replaying->backend, err);
    if (replaying->backend_name)
        return try_backend(replaying, replaying->backend_name, err);
    int ret = suite_names("backends", &pool, &diags, &names, err);
    if (ret == 0)
        ret = -ENOENT;
    for (const char *const *name = names; ret == -ENOENT && name && *name; name++)
        ret = try_backend(replaying, *name, err) < 0 ? -ENOENT : 0;
    if (ret == -ENOENT)
        ret = err_text(err, ENOENT,
                       "no backend in scenarios/backends has the token's digest %s: its command "
                       "was changed, or it is a file of its own (--backend FILE.yaml)",
                       replaying->token.backend);
    pool_release(&pool);
    return ret;
}

/* Where the first address of the token is in this recording. */
static int find_place(const struct replaying *replaying, struct err *err)
{
    const struct token *token = &replaying->token;
    const struct crash_points *points = &replaying->points;
    const char *address = token->addresses[0];
    bool known = !address;
    for (size_t i = 0; i < points->count && !known; i++)
        known = points->items[i].address && strcmp(points->items[i].address, address) == 0;
    for (char **place = points->places; *place && !known; place++)
        known = strcmp(*place, address) == 0;
    if (strcmp(points->trace, token->trace) != 0)
        return err_text(err, EILSEQ,
                        "the call has another trace now, %s instead of %s; %s is %s in it",
                        points->trace, token->trace, address ? address : "end",
                        known ? "still" : "not any more");
    return known ? 0 : err_text(err, EILSEQ, "there is no %s in the recorded call", address);
}

static int check_trace(struct replaying *replaying, struct err *err)
{
    CLEANUP(io_free) char *path = io_format("%s/first", replaying->explorer.folder);
    struct explorer_job job = {.record_path = path, .record_nth = replaying->token.nth};
    int ret = explorer_play(&replaying->explorer, "recording", &job, 1, NULL, NULL, err);
    if (ret == 0)
        ret = explorer_check_undisturbed(&job.ending, err);
    replaying->undisturbed_execs = job.ending.execs;
    ending_release(&job.ending);
    if (ret == 0)
        ret = crash_points_read(path, &replaying->points, err);
    return ret < 0 ? ret : find_place(replaying, err);
}

/* --- what is shown ------------------------------------------------------------------------- */

static void print_all(const struct replaying *replaying, const struct explore_case *item,
                      const json_t *event)
{
    CLEANUP(buf_release) struct buf outcome = BUF_INIT;
    explore_add_outcome(item, &outcome);
    printf("%s\non %s, %s killed\n", replaying->text, replaying->layout.name,
           item->scope == EXPLORE_PROCESS ? "one process" : "the whole tree");
    replay_show(event);
    printf("%s: %s\n", explore_class_word(explore_classify(&item->ending)), buf_str(&outcome));
}

/* --- the whole
 * -------------------------------------------------------------------------------------- */

/* Once more from the start, and then until it ends well. */
static int rerun(struct replaying *replaying, struct explore_case *item, struct err *err)
{
    struct explorer_job job = {.item = item, .real = true, .reruns = true};
    replaying->explorer.keeps = false;
    int ret = explorer_play(&replaying->explorer, "rerunning", &job, 1, NULL, NULL, err);
    if (ret == 0 && job.ending.claim > CLAIM_BROKEN)
        item->healed_by = job.healed_by;
    ending_release(&job.ending);
    return ret;
}

static int play(struct replaying *replaying, struct err *err)
{
    struct explore_case item = {.scope = replaying->token.scope,
                                .real = true,
                                .depth = replaying->token.n_addresses,
                                .token = (char *)(uintptr_t)replaying->text, /* borrowed */
                                .healed_by = -1};
    json_t *event = NULL;
    struct explorer_job job = {.item = &item, .real = true, .ret_event = &event};
    replaying->explorer.keeps = replaying->keep || replaying->shell;
    int ret = explorer_play(&replaying->explorer, "replaying", &job, 1, NULL, NULL, err);
    item.ending = job.ending;
    item.retried = item.ending.execs > replaying->undisturbed_execs;
    if (ret == 0 && item.ending.claim > CLAIM_BROKEN && !ending_is_good(&item.ending))
        ret = rerun(replaying, &item, err);
    const char *kept = json_string_value(json_object_get(event, "kept"));
    if (ret == 0 && item.ending.claim <= CLAIM_BROKEN)
        ret = err_text(err, EPROTO, "%s", item.ending.said);
    if (ret == 0)
        print_all(replaying, &item, event);
    if (kept) {
        int looked = replay_enter(kept, event, replaying->shell, replaying->keep, err);
        ret = ret < 0 ? ret : looked;
    }
    bool finding = explore_is_finding(&item);
    json_decref(event);
    ending_release(&item.ending);
    return ret < 0 ? ret : finding;
}

int replay_cmd(int argc, char **argv)
{
    CLEANUP(replaying_release)
    struct replaying replaying = {.token = TOKEN_INIT,
                                  .backend = BACKEND_INIT,
                                  .layout = LAYOUT_INIT,
                                  .points = CRASH_POINTS_INIT,
                                  .explorer = {.lock_fd = -1}};
    struct err err;
    if (parse(argc, argv, &replaying) < 0)
        return EXIT_USAGE;
    if (is_bundle(&replaying)) {
        const struct replay_bundle bundle = {replaying.text, replaying.backend_name,
                                             replaying.command, replaying.keep, replaying.shell};
        return replay_bundle(&bundle);
    }
    int ret = find_layout(&replaying, &err);
    if (ret == 0)
        ret = find_backend(&replaying, &err);
    if (ret < 0)
        return cmdline_fail(NAME, EXIT_USAGE, "%s", err.msg);
    const struct explore_options options = {.backend = &replaying.backend,
                                            .layout = replaying.layout.name,
                                            .shard = SHARD_ALL,
                                            .call = replaying.token.call,
                                            .nth = replaying.token.nth,
                                            .jobs = 1};
    struct explorer_signals signals;
    explorer_hold_signals(&signals);
    ret = explorer_open(&replaying.explorer, &options, &err);
    if (replaying.explorer.kind == &container_copied)
        fprintf(stderr, NAME ": " RUNNER_COPIED_NOTE "\n", replaying.explorer.why_copied.msg);
    if (ret == 0)
        ret = check_trace(&replaying, &err);
    if (ret == 0)
        ret = play(&replaying, &err);
    explorer_release(&replaying.explorer);
    if (explorer_let_signals(&signals) || ret == -EINTR)
        return EXIT_INTERRUPTED;
    if (ret < 0)
        return cmdline_fail(NAME, EXIT_UNTRUSTED, "%s", err.msg);
    return cmdline_finish(NAME, ret ? EXIT_FINDINGS : 0);
}
