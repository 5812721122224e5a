#include "explain_topic.h"

#include <string.h>

#include "../fakes/reply.h"
#include "../fault/op.h"
#include "../fault/rule.h"
#include "audit_check.h"
#include "contract.h"
#include "judge.h"

#define LINE_MAX_BYTES 80

void explain_wrap(struct buf *text, size_t indent, const char *words)
{
    size_t used = 0;
    while (*(words += strspn(words, " "))) {
        size_t len = strcspn(words, " ");
        if (used && used + 1 + len > LINE_MAX_BYTES) {
            buf_add(text, "\n");
            used = 0;
        }
        if (!used)
            buf_printf(text, "%*s", (int)(used = indent), "");
        else
            buf_add(text, " ");
        used += len + (used > indent);
        buf_append(text, words, len);
        words += len;
    }
    buf_add(text, "\n");
}

/* --- checks --------------------------------------------------------------- */

static void write_check(struct buf *text, const char *before, const char *id, const char *level)
{
    buf_printf(text, "  %s%s (%s)\n", before, id, level);
}

static void write_why(struct buf *text, const char *why, const char *from)
{
    CLEANUP(io_free) char *source = io_format("Source: %s", from);
    explain_wrap(text, 6, why);
    explain_wrap(text, 6, source);
}

static void write_checks(struct buf *text)
{
    const struct audit_def *defs = audit_defs();
    explain_wrap(text, 0,
                 "Checks of the claim, the calls and the words. What `expect` leaves out is not "
                 "judged.");
    buf_add(text, "\n");
    for (size_t i = 0; i < CONTRACT_N_CHECKS; i++) {
        const struct contract_def *def = &contract_defs[i];
        write_check(text, "", def->id, contract_level_name(def->level));
        explain_wrap(text, 6, def->what);
        write_why(text, def->why, def->source);
    }
    buf_add(text, "\n");
    explain_wrap(text, 0,
                 "Checks of the guest's trust store, by the audit. expect.store says which levels "
                 "decide.");
    buf_add(text, "\n");
    for (size_t i = 0; i < AUDIT_N_CHECKS; i++) {
        CLEANUP(io_free) char *right = io_format("Right: %s.", defs[i].expected);
        write_check(text, "store/", defs[i].id, audit_level_name(defs[i].level));
        explain_wrap(text, 6, right);
        write_why(text, defs[i].why, defs[i].source);
    }
}

/* --- rules ---------------------------------------------------------------- */

static const char *const key_docs[RULE_KEY_COUNT] = {
    [RULE_KEY_MS] = "at: when, in milliseconds",
    [RULE_KEY_SINCE] = "at: counted from the call's begin (exec) or the machine's (start)",
    [RULE_KEY_PATH] = "operations: a glob of the path in the guest; * and ? never match '/'",
    [RULE_KEY_COMM] = "the name of the process, at most 15 bytes",
    [RULE_KEY_WHEN] = "F[..L][+S]: which of the attempts that match, from 1; default: every",
    [RULE_KEY_PER] = "whether when= counts over the whole tree or in each process",
    [RULE_KEY_TIMING] = "before the operation, or after it",
    [RULE_KEY_SIGNAL] = "what is done: this signal; default: KILL",
    [RULE_KEY_PERSIST] = "write: that many bytes are written, then the signal comes",
    [RULE_KEY_ERROR] = "instead of a signal: the operation fails with this error",
    [RULE_KEY_DELAY] = "instead: held that many milliseconds",
    [RULE_KEY_STATUS] = "instead: the call ends with this status",
    [RULE_KEY_REPLY] = "instead: the call ends as one of the replies below says",
    [RULE_KEY_SCOPE] =
        "who gets the signal: the call's processes, the one there, PID 1, the VM, the client",
    [RULE_KEY_LOSE] = "scope=vm: the files go back to the last sync",
};

/* The words that a key's value may be, or NULL. */
static const char *const *values_of(size_t key)
{
    static const char *const lose_words[] = {"all", NULL};
    switch (key) {
    case RULE_KEY_SINCE: return rule_since_words;
    case RULE_KEY_PER: return rule_per_words;
    case RULE_KEY_TIMING: return rule_timing_words;
    case RULE_KEY_SCOPE: return rule_scope_words;
    case RULE_KEY_LOSE: return lose_words;
    default: return NULL;
    }
}

static void add_words(struct buf *text, const char *const *words, const char *between)
{
    for (size_t i = 0; words[i]; i++)
        buf_printf(text, "%s%s", i ? between : "", words[i]);
}

static void write_calls(struct buf *text)
{
    CLEANUP(buf_release) struct buf calls = BUF_INIT;
    buf_add(&calls, "CALL: ");
    add_words(&calls, rule_call_words, ", ");
    buf_add(&calls, "; #N is the N-th of the backend on this machine. Default: every exec.");
    explain_wrap(text, 2, buf_str(&calls));
}

static void write_places(struct buf *text)
{
    CLEANUP(buf_release) struct buf places = BUF_INIT;
    buf_add(&places, "WHERE: the place in that call: ");
    add_words(&places, rule_place_words, ", ");
    buf_add(&places, "; or state-changing operations of its processes, several with ',' between: ");
    for (unsigned op = 0; op < OP_COUNT; op++)
        buf_printf(&places, "%s%s", op ? ", " : "", op_name((enum op)op));
    buf_add(&places, ".");
    explain_wrap(text, 2, buf_str(&places));
}

static void write_replies(struct buf *text)
{
    buf_add(text, "\nReplies (exit status, where it is known from)\n");
    for (const struct reply_row *row = reply_rows; row->name; row++)
        buf_printf(text, "  %-20s %3d  %s\n", row->name, row->status, row->source);
}

static void write_rules(struct buf *text)
{
    buf_add(text, "A rule says what goes wrong:  [CALL[#N] ]WHERE[:KEY=VALUE]...\n");
    explain_wrap(text, 0,
                 "Several: one an item under `faults:`, one a line in $KILLPOINT_FAULTS, which may "
                 "also be @FILE, a file of such lines. The first that matches is played.");
    buf_add(text, "\n");
    write_calls(text);
    write_places(text);
    buf_add(text, "\nKeys\n");
    for (size_t key = 0; key < RULE_KEY_COUNT; key++) {
        const char *const *values = values_of(key);
        buf_printf(text, "  %s=", rule_key_words[key]);
        if (values)
            add_words(text, values, "|");
        buf_add(text, "\n");
        explain_wrap(text, 6, key_docs[key]);
    }
    buf_add(text, "\nExamples\n"
                  "  exec#1 symlink:comm=openssl:path=/etc/ssl/certs/*.0\n"
                  "  exec at:ms=120:since=start:scope=init\n"
                  "  write:path=/etc/ssl/certs/ca-certificates.crt.new:when=3:persist=4096\n"
                  "  cp#1 end:reply=lost\n");
    write_replies(text);
}

/* --- verdicts ------------------------------------------------------------- */

static const char *const verdict_docs[VERDICT_COUNT] = {
    [VERDICT_PASS] = "Everything that the scenario judges holds.",
    [VERDICT_FAIL] = "A check that decides failed.",
    [VERDICT_XFAIL] = "It failed as the backend's expectation list says. Fine.",
    [VERDICT_XPASS] = "The list says it fails, but it passes: the entry is old. Fails the run.",
    [VERDICT_TIMEOUT] = "The backend was over its deadline (limits.run_ms).",
    [VERDICT_CRASH] = "The backend died by a signal: it claimed nothing.",
    [VERDICT_LEAK] = "All is right, but a process outlived the backend.",
    [VERDICT_UNSUPPORTED] = "The backend or machine lacks what it needs, or said so (77). Fine.",
    [VERDICT_SKIP] = "Not played, as the expectation list says. Fine.",
    [VERDICT_UNRESOLVED] = "Nothing is wrong, but a rule never fired: the fault never was.",
    [VERDICT_ERROR] = "The harness or the adapter (status 99) broke: nothing is known.",
};

static void write_verdicts(struct buf *text)
{
    for (size_t verdict = 0; verdict < VERDICT_COUNT; verdict++) {
        buf_printf(text, "  %s\n", verdict_name((enum verdict)verdict));
        explain_wrap(text, 6, verdict_docs[verdict]);
    }
}

const struct explain_topic explain_topics[] = {
    {"checks", "what a verdict is made of, and why", write_checks},
    {"rules", "the grammar of faults, and the replies", write_rules},
    {"verdicts", "how a trial can end", write_verdicts},
    {NULL, NULL, NULL},
};
