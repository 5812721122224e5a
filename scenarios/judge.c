#include "judge.h"

#include <ctype.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "contract.h"
#include "trial_event.h"

static const char *const verdict_names[VERDICT_COUNT] = {
    "PASS", "FAIL",        "XFAIL", "XPASS",      "TIMEOUT", "CRASH",
    "LEAK", "UNSUPPORTED", "SKIP",  "UNRESOLVED", "ERROR"};

const char *verdict_name(enum verdict verdict)
{
    return verdict_names[verdict];
}

enum verdict verdict_parse(const char *name)
{
    for (int i = 0; i < VERDICT_COUNT; i++)
        if (strcmp(verdict_names[i], name) == 0)
            return (enum verdict)i;
    return VERDICT_ERROR;
}

/* The bench: the checks so far, and where they stand. */
struct bench {
    const struct scenario *scenario;
    json_t *checks;
    const char *prefix; /* "run 2: " in scenarios of several runs */
    bool failed;
};

/* An id and its level, as one of the tables has them. */
struct check_name {
    const char *id, *level;
};

static void add_check(struct bench *bench, const struct check_name *name, const char *result,
                      bool decides, const char *expected, const char *found)
{
    CLEANUP(io_free) char *full = io_format("%s%s", bench->prefix, found);
    json_t *check = json_object();
    json_object_set_new(check, "id", json_string(name->id));
    json_object_set_new(check, "level", json_string(name->level));
    json_object_set_new(check, "result", json_string(result));
    json_object_set_new(check, "decides", json_boolean(decides));
    json_object_set_new(check, "expected", trial_event_text(expected, strlen(expected)));
    json_object_set_new(check, "found", trial_event_text(full, strlen(full)));
    json_array_append_new(bench->checks, check);
    if (decides && strcmp(result, "fail") == 0)
        bench->failed = true;
}

static struct check_name name_of(enum contract_check which)
{
    const struct contract_def *def = &contract_defs[which];
    return (struct check_name){def->id, contract_level_name(def->level)};
}

static void check(struct bench *bench, enum contract_check which, bool pass, const char *expected,
                  const char *found)
{
    const struct check_name name = name_of(which);
    add_check(bench, &name, pass ? "pass" : "fail", true, expected, found);
}

/* The same, of what has its own verdict or none. */
static void report(struct bench *bench, enum contract_check which, bool pass, const char *expected,
                   const char *found)
{
    const struct check_name name = name_of(which);
    add_check(bench, &name, pass ? "pass" : "fail", false, expected, found);
}

/* --- the claim ------------------------------------------------------------------ */

static bool claims_success(const struct evidence_run *run)
{
    return run->sandbox.proc.how == PROC_EXITED && run->sandbox.proc.code == 0;
}

static char *describe_end(const struct evidence_run *run, int64_t run_ms)
{
    const struct proc_result *proc = &run->sandbox.proc;
    if (proc->how == PROC_TIMEOUT)
        return io_format("still running after %lld ms", (long long)run_ms);
    if (proc->how == PROC_SIGNALED)
        return io_format("killed by signal %d (%s)", proc->code, strsignal(proc->code));
    if (run->raw_status != proc->code)
        return io_format("exit status %d, which the backend's exit map calls %d", run->raw_status,
                         proc->code);
    return io_format("exit status %d", proc->code);
}

static void check_claim(struct bench *bench, const struct evidence_run *run)
{
    const struct expect *expect = &bench->scenario->expect;
    int64_t run_ms = bench->scenario->run_ms;
    CLEANUP(io_free) char *end = describe_end(run, run_ms);
    CLEANUP(io_free) char *in_time = io_format("an end within %lld ms", (long long)run_ms);
    static const char *const words[] = {"success (exit status 0)", "failure (exit status not 0)",
                                        "success or failure"};
    bool exited = run->sandbox.proc.how == PROC_EXITED;
    bool pass = exited && (expect->claim == CLAIM_EITHER ||
                           claims_success(run) == (expect->claim == CLAIM_SUCCESS));
    check(bench, CONTRACT_CLAIM, pass, words[expect->claim], end);
    check(bench, CONTRACT_TIME, run->sandbox.proc.how != PROC_TIMEOUT, in_time, end);
    if (expect->exit < 0)
        return;
    CLEANUP(io_free) char *wanted = io_format("exit status %d", expect->exit);
    check(bench, CONTRACT_EXIT, exited && run->sandbox.proc.code == expect->exit, wanted, end);
}

/* A run with the CA that the run before it has installed there. */
static void check_idempotent(struct bench *bench, const struct evidence *evidence, size_t k)
{
    const struct scenario *scenario = bench->scenario;
    const struct evidence_run *run = &evidence->runs[k];
    bool same = k > 0 && k < scenario->plan_count && scenario->machines == MACHINES_ONE &&
                strcmp(scenario->plans[k].chosen, scenario->plans[k - 1].chosen) == 0;
    if (!same || !claims_success(&evidence->runs[k - 1]))
        return;
    CLEANUP(io_free) char *end = describe_end(run, scenario->run_ms);
    check(bench, CONTRACT_IDEMPOTENT, claims_success(run), "success again (exit status 0)", end);
}

/* --- the calls ------------------------------------------------------------------- */

/* The k-th call (from 0) of a verb, or NULL. */
static json_t *find_call(const struct evidence_run *run, const char *verb, size_t k)
{
    size_t index;
    json_t *call;
    json_array_foreach(run->calls, index, call)
    {
        const char *found = json_string_value(json_object_get(call, "verb"));
        if (found && strcmp(found, verb) == 0 && k-- == 0)
            return call;
    }
    return NULL;
}

static size_t count_calls(const struct evidence_run *run, const char *verb)
{
    size_t n = 0;
    while (find_call(run, verb, n))
        n++;
    return n;
}

static void check_range(struct bench *bench, enum contract_check which, int64_t found,
                        const struct range *range, const char *unit, const char *more)
{
    CLEANUP(io_free)
    char *wanted =
        range->min == range->max ? io_format("%lld%s", (long long)range->min, unit)
        : range->max >= INT32_MAX
            ? io_format("at least %lld%s", (long long)range->min, unit)
            : io_format("%lld to %lld%s", (long long)range->min, (long long)range->max, unit);
    CLEANUP(io_free) char *text = io_format("%lld%s%s", (long long)found, unit, more);
    check(bench, which, found >= range->min && found <= range->max, wanted, text);
}

static int64_t call_number(json_t *call, const char *key)
{
    return json_integer_value(json_object_get(call, key));
}

/* As expect.exec_status writes it: the status, or minus the signal. */
static int call_status(json_t *call)
{
    json_t *signum = json_object_get(call, "signal");
    if (json_is_integer(signum) && json_integer_value(signum) > 0)
        return (int)-json_integer_value(signum);
    return (int)call_number(call, "status");
}

static void check_settle(struct bench *bench, const struct evidence_run *run)
{
    json_t *first = find_call(run, "exec", 0), *second = find_call(run, "exec", 1);
    if (!second) {
        const struct check_name name = name_of(CONTRACT_SETTLE);
        add_check(bench, &name, "not-run", false, "two execs", "there was no second exec");
        return;
    }
    int64_t gap_ns = call_number(second, "start_ns") - call_number(first, "end_ns");
    check_range(bench, CONTRACT_SETTLE, gap_ns / 1000000, &bench->scenario->expect.settle_ms, " ms",
                "");
}

static void check_exec_status(struct bench *bench, const struct evidence_run *run)
{
    const struct expect *expect = &bench->scenario->expect;
    CLEANUP(buf_release) struct buf wanted = BUF_INIT;
    CLEANUP(buf_release) struct buf found = BUF_INIT;
    for (size_t i = 0; i < expect->exec_status_count; i++)
        buf_printf(&wanted, "%s%d", i ? ", " : "", expect->exec_status[i]);
    json_t *call;
    for (size_t i = 0; (call = find_call(run, "exec", i)); i++)
        buf_printf(&found, "%s%d", i ? ", " : "", call_status(call));
    check(bench, CONTRACT_EXEC_STATUS, strcmp(buf_str(&wanted), buf_str(&found)) == 0,
          buf_str(&wanted), found.len ? found.data : "no exec");
}

/* One check for each listed exec. */
static void check_exec_stdout(struct bench *bench, const struct evidence_run *run)
{
    const char *const *wanted = bench->scenario->expect.exec_stdout;
    for (size_t i = 0; wanted && wanted[i]; i++) {
        json_t *call = find_call(run, "exec", i);
        json_t *out = json_object_get(call, "stdout");
        const char *head = json_string_value(json_object_get(out, "head"));
        bool good = head && (*wanted[i] ? strstr(head, wanted[i]) != NULL : *head == '\0');
        CLEANUP(io_free)
        char *text = *wanted[i] ? io_format("exec#%zu: %s", i + 1, wanted[i])
                                : io_format("exec#%zu: nothing", i + 1);
        check(bench, CONTRACT_EXEC_STDOUT, good, text,
              !call  ? "no such exec"
              : head ? head
                     : "nothing");
    }
}

/* How many calls of a verb there are; of one that the driver refused the verb is not known. */
static void check_count(struct bench *bench, enum contract_check which,
                        const struct evidence_run *run, const char *verb, const struct range *range)
{
    size_t refused = 0, index;
    json_t *call;
    json_array_foreach(run->calls, index, call)
    {
        refused += json_is_null(json_object_get(call, "machine")) && call_status(call) == 2;
    }
    CLEANUP(io_free)
    char *more =
        refused ? io_format(", and %zu refused by the driver as wrong usage (status 2)", refused)
                : io_format("%s", "");
    check_range(bench, which, (int64_t)count_calls(run, verb), range, "", more);
}

static void check_calls(struct bench *bench, const struct evidence_run *run)
{
    const struct expect *expect = &bench->scenario->expect;
    if (expect->judge_cp)
        check_count(bench, CONTRACT_CP, run, "cp", &expect->cp);
    if (expect->judge_exec)
        check_count(bench, CONTRACT_EXEC, run, "exec", &expect->exec);
    if (expect->judge_settle)
        check_settle(bench, run);
    if (expect->exec_status_count > 0)
        check_exec_status(bench, run);
    check_exec_stdout(bench, run);
}

/* --- what it says ---------------------------------------------------------------- */

static size_t count_text(const struct buf *text, const char *word)
{
    size_t n = 0, len = strlen(word);
    const char *at = buf_str(text), *end = at + text->len;
    while (len > 0 && (at = memmem(at, (size_t)(end - at), word, len))) {
        n++;
        at += len;
    }
    return n;
}

static void check_label(struct bench *bench, const struct buf *said)
{
    enum label label = bench->scenario->expect.label;
    const char *right = label == LABEL_EGRESS ? "egress" : "pipelock";
    const char *wrong = label == LABEL_EGRESS ? "pipelock" : "egress";
    bool has_right = count_text(said, right) > 0, has_wrong = count_text(said, wrong) > 0;
    CLEANUP(io_free)
    char *found = io_format("%s%s%s", has_right ? right : "", has_right && has_wrong ? " and " : "",
                            has_wrong ? wrong : "");
    check(bench, CONTRACT_LABEL, has_right && !has_wrong, right, *found ? found : "neither label");
}

static void check_fingerprint(struct bench *bench, const struct evidence_run *run,
                              const struct buf *said)
{
    const char *print = buf_str(&run->fingerprint);
    size_t n = count_text(said, print);
    bool once = bench->scenario->expect.fingerprint == FINGERPRINT_ONCE;
    CLEANUP(io_free) char *wanted = io_format("%s %s", print, once ? "once" : "not at all");
    CLEANUP(io_free) char *found = io_format("%zu times", n);
    check(bench, CONTRACT_FINGERPRINT, n == (once ? 1 : 0), wanted, found);
}

/*
 * Each line of a stream must come again, but quoting may have changed what is between
 * the words: so every run of plain bytes of a line is looked for by itself.
 */
static bool has_lines_of(const struct buf *said, const char *stream)
{
    CLEANUP(io_free) char *copy = io_format("%s", stream);
    char *rest = copy;
    for (char *part = strsep(&rest, "\n\r\t\"'\\`"); part; part = strsep(&rest, "\n\r\t\"'\\`")) {
        while (isspace((unsigned char)*part))
            part++;
        size_t len = strlen(part);
        while (len > 0 && isspace((unsigned char)part[len - 1]))
            part[--len] = '\0';
        if (len > 0 && count_text(said, part) == 0)
            return false;
    }
    return true;
}

static bool is_word_byte(char byte)
{
    return isalnum((unsigned char)byte) || (byte != '\0' && strchr("/_-.", byte));
}

/* The word by itself: a status must not be found in a path, a date or a longer number. */
static bool has_word(const struct buf *said, const char *word)
{
    const char *start = buf_str(said);
    size_t len = strlen(word);
    for (const char *at = start; (at = strstr(at, word)); at++) {
        bool whole = at == start || !is_word_byte(at[-1]);
        bool ends = at[len] == '.' ? !isalnum((unsigned char)at[len + 1]) : !is_word_byte(at[len]);
        if (whole && ends)
            return true;
    }
    return false;
}

static void check_fatal(struct bench *bench, const struct evidence_run *run)
{
    const char *verb = bench->scenario->expect.fatal == FATAL_CP ? "cp" : "exec";
    size_t n = count_calls(run, verb);
    CLEANUP(buf_release) struct buf said = BUF_INIT;
    capture_text(&run->sandbox.proc.err, &said);
    if (n == 0) {
        check(bench, CONTRACT_FATAL, false, "a failed driver call", "no such call was made");
        return;
    }
    json_t *call = find_call(run, verb, n - 1);
    int status = call_status(call);
    CLEANUP(io_free) char *number = io_format("%d", status < 0 ? -status : status);
    const char *out = json_string_value(json_object_get(json_object_get(call, "stdout"), "head"));
    const char *errs = json_string_value(json_object_get(json_object_get(call, "stderr"), "head"));
    const char *missing = !has_word(&said, verb)                   ? "the step"
                          : !has_word(&said, number)               ? "the status or signal"
                          : !has_lines_of(&said, out ? out : "")   ? "the captured stdout"
                          : !has_lines_of(&said, errs ? errs : "") ? "the captured stderr"
                                                                   : NULL;
    CLEANUP(io_free)
    char *wanted =
        io_format("stderr names %s, %s, and what the call printed on both streams", verb, number);
    CLEANUP(io_free)
    char *found =
        missing ? io_format("%s is missing: %s", missing, buf_str(&said)) : io_format("all of it");
    check(bench, CONTRACT_FATAL, missing == NULL, wanted, found);
}

static void check_log(struct bench *bench, const struct evidence_run *run)
{
    const struct expect *expect = &bench->scenario->expect;
    CLEANUP(buf_release) struct buf said = BUF_INIT;
    capture_text(&run->sandbox.proc.out, &said);
    capture_text(&run->sandbox.proc.err, &said);
    if (expect->label != LABEL_ANY)
        check_label(bench, &said);
    if (expect->fingerprint != FINGERPRINT_ANY)
        check_fingerprint(bench, run, &said);
    if (expect->fatal != FATAL_ANY)
        check_fatal(bench, run);
    for (const char *const *text = expect->contains; text && *text; text++)
        check(bench, CONTRACT_CONTAINS, count_text(&said, *text) > 0, *text,
              said.len > 0 ? said.data : "nothing was said");
}

/* --- the store, the faults, the processes ------------------------------------------ */

/* Whether expect.store.fails has the check. */
static bool is_to_fail(const struct expect *expect, const struct audit_def *def)
{
    for (const char *const *id = expect->fails; id && *id; id++)
        if (strcmp(*id, def->id) == 0)
            return true;
    return false;
}

static void check_audited(struct bench *bench, const struct audit_result *result, bool decides)
{
    const struct audit_def *def = result->def;
    const char *found = result->found ? result->found : "";
    CLEANUP(io_free) char *id = io_format("store/%s", def->id);
    const struct check_name name = {id, audit_level_name(def->level)};
    if (!is_to_fail(&bench->scenario->expect, def)) {
        add_check(bench, &name, audit_outcome_name(result->outcome), decides, def->expected, found);
        return;
    }
    CLEANUP(io_free) char *wanted = io_format("not: %s", def->expected);
    add_check(bench, &name, result->outcome == AUDIT_FAIL ? "pass" : "fail", true, wanted, found);
}

/* Returns whether all that is to be judged could be seen. */
static bool check_store(struct bench *bench, const struct evidence *evidence)
{
    const struct expect *expect = &bench->scenario->expect;
    const enum judge levels[] = {expect->must, expect->should, expect->exact};
    bool seen = true;
    for (size_t k = 0; k < AUDIT_N_CHECKS && (evidence->machine_gone || evidence->vm_lost); k++) {
        const struct audit_def *def = &audit_defs()[k];
        bool gone = evidence->machine_gone; /* by the backend, so there is none to be trusted */
        bool decides = levels[def->level] == JUDGE_PASS || (!gone && is_to_fail(expect, def));
        CLEANUP(io_free) char *id = io_format("store/%s", def->id);
        const struct check_name name = {id, audit_level_name(def->level)};
        add_check(bench, &name, gone ? "fail" : "not-run", decides, def->expected,
                  gone ? "the machine is not there any more"
                       : "the machine died, and its disk with it");
        seen &= gone || !decides;
    }
    for (size_t i = 0; i < evidence->n_audits; i++)
        for (size_t k = 0; k < AUDIT_N_CHECKS; k++) {
            const struct audit_result *result = &evidence->audits[i].results[k];
            check_audited(bench, result, levels[result->def->level] == JUDGE_PASS);
        }
    return seen;
}

/* Returns whether every rule that must have fired has. */
static bool check_fired(struct bench *bench, const struct evidence_run *run)
{
    bool all = true;
    size_t index;
    json_t *rule;
    json_array_foreach(run->rules, index, rule)
    {
        int64_t fired = json_integer_value(json_object_get(rule, "fired"));
        CLEANUP(io_free) char *found = io_format("%lld times", (long long)fired);
        all &= fired > 0;
        report(bench, CONTRACT_FIRED, fired > 0, json_string_value(json_object_get(rule, "rule")),
               found);
    }
    return all || bench->scenario->expect.fired == FIRED_ANY;
}

static void check_leaks(struct bench *bench, const struct evidence_run *run)
{
    const struct buf *leaks = &run->sandbox.leaks;
    report(bench, CONTRACT_PROCESSES, leaks->len == 0, "none outlives the backend",
           leaks->len ? leaks->data : "none");
}

enum verdict judge(const struct scenario *scenario, const struct evidence *evidence,
                   json_t **ret_checks)
{
    struct bench bench = {.scenario = scenario, .checks = json_array()};
    bool fired = true, timeout = false, crash = false, unsupported = false, broken = false,
         leak = false;
    for (size_t i = 0; i < evidence->n_runs; i++) {
        const struct evidence_run *run = &evidence->runs[i];
        const struct proc_result *proc = &run->sandbox.proc;
        CLEANUP(io_free)
        char *prefix = evidence->n_runs > 1 ? io_format("run %zu: ", i + 1) : io_format("%s", "");
        bench.prefix = prefix;
        check_claim(&bench, run);
        check_idempotent(&bench, evidence, i);
        check_calls(&bench, run);
        check_log(&bench, run);
        check_leaks(&bench, run);
        fired &= check_fired(&bench, run);
        timeout |= proc->how == PROC_TIMEOUT;
        crash |= proc->how == PROC_SIGNALED;
        unsupported |= proc->how == PROC_EXITED && proc->code == 77;
        broken |= proc->how == PROC_EXITED && proc->code == 99;
        leak |= run->sandbox.leaks.len > 0;
    }
    bench.prefix = "";
    bool seen = check_store(&bench, evidence);
    *ret_checks = bench.checks;
    return broken          ? VERDICT_ERROR
           : timeout       ? VERDICT_TIMEOUT
           : crash         ? VERDICT_CRASH
           : unsupported   ? VERDICT_UNSUPPORTED
           : bench.failed  ? VERDICT_FAIL
           : leak          ? VERDICT_LEAK
           : fired && seen ? VERDICT_PASS
                           : VERDICT_UNRESOLVED;
}
