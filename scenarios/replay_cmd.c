#include "replay_cmd.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fakes/layout.h"
#include "../fault/home.h"
#include "../fault/proc.h"
#include "cmdline.h"
#include "explore_play.h"
#include "explore_report.h"
#include "suite.h"

#define NAME "killpoint replay"
#define HEAD_MAX 400 /* of what a call wrote */

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
     "The token's backend, where it is not in scenarios/backends: FILE.yaml", 0},
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

static int parse(int argc, char **argv, struct replaying *replaying)
{
    static const struct argp argp = {
        option_table,
        parse_option,
        "TOKEN [-- CMD ARG...]",
        "Kills a backend's call at the one point that a token of `killpoint explore` names, and "
        "shows the calls, the audit, and how the guest differs from an undisturbed install.\v"
        "Exit status: 0 it ends well, 1 findings, 2 wrong usage, or no such layout or backend, 3 "
        "the call has another trace now, or the point was not met.",
        NULL,
        NULL,
        NULL};
    struct err err;
    if (cmdline_parse_command(&argp, NAME, argc, argv, replaying, &replaying->command) < 0)
        return -EINVAL;
    if (!replaying->text)
        return cmdline_fail(NAME, -EINVAL, "a token is missing");
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

/* --- what is shown ------------------------------------------------------------------------------
 */

static const char *text_of(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text ? text : "";
}

/* On one line, with its end left out where it is long. */
static void print_head(const char *title, const char *text)
{
    if (!*text)
        return;
    printf("      %-7s", title);
    for (size_t i = 0; text[i] && i < HEAD_MAX; i++)
        if (text[i] == '\n')
            fputs(text[i + 1] ? "\\n" : "", stdout);
        else
            putchar((unsigned char)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i]);
    puts(strlen(text) > HEAD_MAX ? " ..." : "");
}

static void print_calls(const json_t *event)
{
    size_t index, k;
    json_t *call, *word;
    puts("calls");
    json_array_foreach(json_object_get(event, "calls"), index, call)
    {
        fputs("  ", stdout);
        json_array_foreach(json_object_get(call, "argv"), k, word)
        {
            const char *text = json_string_value(word);
            const char *name = text && k == 0 ? strrchr(text, '/') : NULL;
            printf("%s%.60s%s", k ? " " : "",
                   name   ? name + 1
                   : text ? text
                          : "?",
                   text && strlen(text) > 60 ? "..." : "");
        }
        if (json_is_integer(json_object_get(call, "signal")))
            printf("\n    signal %" JSON_INTEGER_FORMAT "\n",
                   json_integer_value(json_object_get(call, "signal")));
        else
            printf("\n    status %" JSON_INTEGER_FORMAT "\n",
                   json_integer_value(json_object_get(call, "status")));
        print_head("stdout", text_of(json_object_get(call, "stdout"), "head"));
        print_head("stderr", text_of(json_object_get(call, "stderr"), "head"));
    }
}

/* The audit says what differs in one line, "; " between. */
static void print_diff(const char *found)
{
    puts("guest, against an undisturbed install");
    for (const char *at = found; *at;) {
        const char *end = strstr(at, "; ");
        size_t len = end ? (size_t)(end - at) : strlen(at);
        printf("  %.*s\n", (int)len, at);
        at += len + (end ? 2 : 0);
    }
}

static void print_audit(const json_t *event, uint32_t findings)
{
    size_t index;
    json_t *check;
    const char *diff = NULL;
    puts("audit");
    if (findings == 0)
        puts("  nothing is found");
    json_array_foreach(json_object_get(event, "checks"), index, check)
    {
        const char *id = text_of(check, "id"), *found = text_of(check, "found");
        if (strncmp(id, "store/", 6) != 0 || strcmp(text_of(check, "result"), "fail") != 0)
            continue;
        if (strcmp(id + 6, "exact/files") == 0)
            diff = found;
        else
            printf("  %-27s %s\n", id + 6, found);
    }
    if (diff)
        print_diff(diff);
}

static void print_all(const struct replaying *replaying, const struct explore_case *item,
                      const json_t *event)
{
    CLEANUP(buf_release) struct buf outcome = BUF_INIT;
    const json_t *runs = json_object_get(event, "runs");
    explore_add_outcome(item, &outcome);
    printf("%s\non %s, %s killed\n", replaying->text, replaying->layout.name,
           item->scope == EXPLORE_PROCESS ? "one process" : "the whole tree");
    print_calls(event);
    puts("backend");
    print_head("stdout", text_of(json_array_get(runs, 0), "stdout"));
    print_head("stderr", text_of(json_array_get(runs, 0), "stderr"));
    print_audit(event, item->ending.findings);
    printf("%s: %s\n", explore_class_word(explore_classify(&item->ending)), buf_str(&outcome));
}

/* --- the guest, afterwards
 * ------------------------------------------------------------------------ */

/* A shell in the machine, which runs for that long; keyboard signals are the shell's. */
static int open_shell(const char *kept, struct err *err)
{
    CLEANUP(io_free) char *smolvm = NULL;
    int ret = home_find("fakes/smolvm", &smolvm, err);
    if (ret < 0)
        return ret;
    CLEANUP(buf_release) struct buf script = BUF_INIT;
    buf_add(&script, "KILLPOINT_STATE=");
    buf_add_quoted(&script, kept);
    buf_add(&script, "; export KILLPOINT_STATE; s=");
    buf_add_quoted(&script, smolvm);
    buf_add(&script,
            "; \"$s\" machine start --name kp1 >/dev/null 2>&1 || exit; "
            "\"$s\" machine shell --name kp1; \"$s\" machine stop --name kp1 >/dev/null 2>&1");
    const char *argv[] = {"sh", "-c", buf_str(&script), NULL};
    const struct proc_spec spec = {.argv = argv, .stdin_fd = 0, .stdout_fd = 1, .stderr_fd = 2};
    fflush(NULL);
    pid_t pid = proc_spawn(&spec, err);
    if (pid < 0)
        return pid;
    int status = 0;
    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return 0;
}

static int look_at_guest(const struct replaying *replaying, const char *kept, struct err *err)
{
    int ret = replaying->shell ? open_shell(kept, err) : 0;
    if (replaying->keep) {
        CLEANUP(buf_release) struct buf quoted = BUF_INIT;
        buf_add_quoted(&quoted, kept);
        printf("enter with: KILLPOINT_STATE=%s sh -c 'smolvm machine start --name kp1 && "
               "smolvm machine shell --name kp1'\n",
               buf_str(&quoted));
        return ret;
    }
    int removed = io_remove_tree(AT_FDCWD, kept, err);
    return ret < 0 ? ret : removed;
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
        int looked = look_at_guest(replaying, kept, err);
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
