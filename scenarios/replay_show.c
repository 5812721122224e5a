#include "replay_show.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "../fault/home.h"
#include "../fault/proc.h"
#include "report.h"

#define HEAD_MAX 400 /* of what a call wrote */
#define WORD_MAX 60  /* of a word of its command line */

static const char *text_of(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text ? text : "";
}

/* On one line, and nothing in it that a terminal obeys. */
static void print_plain(const char *text, size_t len)
{
    for (size_t i = 0; i < len && text[i]; i++)
        if (text[i] == '\n')
            fputs(text[i + 1] ? "\\n" : "", stdout);
        else
            putchar((unsigned char)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i]);
}

/* With its end left out where it is long. */
static void print_head(const char *title, const char *text)
{
    if (!*text)
        return;
    printf("      %-7s", title);
    print_plain(text, HEAD_MAX);
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
            fputs(k ? " " : "", stdout);
            print_plain(name ? name + 1 : text ? text : "?", WORD_MAX);
            fputs(text && strlen(text) > WORD_MAX ? "..." : "", stdout);
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
    const json_t *left_out = json_object_get(event, "calls_left_out");
    if (left_out)
        printf("  and %d more that are left out\n", (int)json_integer_value(left_out));
}

/* The audit says what differs in one line, "; " between. */
static void print_diff(const char *found)
{
    puts("guest, against an undisturbed install");
    for (const char *at = found; *at;) {
        const char *end = strstr(at, "; ");
        size_t len = end ? (size_t)(end - at) : strlen(at);
        fputs("  ", stdout);
        print_plain(at, len);
        putchar('\n');
        at += len + (end ? 2 : 0);
    }
}

static void print_audit(const json_t *event)
{
    size_t index;
    json_t *check;
    const char *diff = NULL;
    bool found_any = false;
    puts("audit");
    json_array_foreach(json_object_get(event, "checks"), index, check)
    {
        const char *id = text_of(check, "id"), *found = text_of(check, "found");
        if (strncmp(id, "store/", 6) != 0 || strcmp(text_of(check, "result"), "fail") != 0)
            continue;
        found_any = true;
        if (strcmp(id + 6, "exact/files") == 0)
            diff = found;
        else {
            printf("  %-27s ", id + 6);
            print_plain(found, strlen(found));
            putchar('\n');
        }
    }
    if (!found_any)
        puts("  nothing is found");
    if (diff)
        print_diff(diff);
}

void replay_show(const json_t *event)
{
    const json_t *run = json_array_get(json_object_get(event, "runs"), 0);
    print_calls(event);
    puts("backend");
    print_head("stdout", text_of(run, "stdout"));
    print_head("stderr", text_of(run, "stderr"));
    print_audit(event);
}

/* --- the guest, afterwards --------------------------------------------------------------- */

/* A shell in the machine, which runs for that long; keyboard signals are the shell's. */
static int open_shell(const char *kept, const char *machine, struct err *err)
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
    buf_printf(
        &script,
        "; \"$s\" machine start --name %s >/dev/null || exit; \"$s\" machine shell --name %s; "
        "\"$s\" machine stop --name %s >/dev/null 2>&1",
        machine, machine, machine);
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

int replay_enter(const char *kept, const json_t *event, bool shell, bool keep, struct err *err)
{
    const json_t *run = json_array_get(json_object_get(event, "runs"), 0);
    const char *named = results_text(run, "machine"), *machine = *named ? named : "kp1";
    int ret = shell ? open_shell(kept, machine, err) : 0;
    if (keep) {
        report_print_kept(stdout, kept, machine);
        return ret;
    }
    int removed = io_remove_tree(AT_FDCWD, kept, err);
    return ret < 0 ? ret : removed;
}
