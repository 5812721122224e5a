#include "support.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "../scenarios/contract.h"
#include "../scenarios/judge.h"

/*
 * Evidence made up by hand. A row says what is expected, what was found, and what the
 * judge must make of it; what it leaves out is an undisturbed install that went well.
 */
#define PRINT "AB:CD:01"
#define OK_CALLS                                                                                   \
    "[{\"verb\": \"cp\", \"status\": 0}, {\"verb\": \"exec\", \"status\": 0, \"start_ns\": 10,"    \
    " \"end_ns\": 20, \"stdout\": {\"head\": \"\"}, \"stderr\": {\"head\": \"\"}}]"
#define TWO_EXECS(first, gap_ms)                                                                   \
    "[{\"verb\": \"exec\", \"status\": " first ", \"start_ns\": 0, \"end_ns\": 5000000},"          \
    " {\"verb\": \"exec\", \"status\": 0, \"start_ns\": " gap_ms "000000}]"
#define FAILED_EXEC                                                                                \
    "[{\"verb\": \"cp\", \"status\": 0}, {\"verb\": \"exec\", \"status\": 1,"                      \
    " \"stdout\": {\"head\": \"one\\ntwo 'x'\\n\"}, \"stderr\": {\"head\": \" bad\\tthing\\n\"}}]"

struct row {
    const char *name;
    struct expect expect;
    int exit;          /* of expect; 0: not judged */
    enum proc_how how; /* the run's end */
    int code;
    const char *out, *err; /* what it said */
    const char *calls, *rules, *leaks;
    const char *store; /* the store check that fails */
    bool vm_lost;
    enum verdict verdict;
    const char *failed; /* ids of what failed; in parentheses: reported alone */
};

#define ANY                                                                                        \
    {                                                                                              \
        0, INT32_MAX                                                                               \
    }
#define RANGE(from, to)                                                                            \
    {                                                                                              \
        from, to                                                                                   \
    }
#define FIRED(n) "[{\"rule\": \"exec#1 begin\", \"fired\": " #n "}]"

static const char *const wanted_texts[] = {"needle", "thread", NULL};
static const char *const out_texts[] = {"one", "", NULL}, *const no_out[] = {"", NULL};
static const char *const ca_file[] = {"must/ca-file", NULL};
static const int one_status[] = {137}, two_statuses[] = {137, 0}, by_signal[] = {-9, 0};

static const struct row rows[] = {
    /* the claim */
    {"success claimed", .verdict = VERDICT_PASS},
    {"failure where success is right", .code = 1, .verdict = VERDICT_FAIL, .failed = "claim "},
    {"failure claimed", {.claim = CLAIM_FAILURE}, .code = 1, .verdict = VERDICT_PASS},
    {"success where failure is right",
     {.claim = CLAIM_FAILURE},
     .verdict = VERDICT_FAIL,
     .failed = "claim "},
    {"either, success", {.claim = CLAIM_EITHER}, .verdict = VERDICT_PASS},
    {"either, failure", {.claim = CLAIM_EITHER}, .code = 5, .verdict = VERDICT_PASS},
    {"a signal is no refusal",
     {.claim = CLAIM_FAILURE},
     .how = PROC_SIGNALED,
     .code = SIGSEGV,
     .verdict = VERDICT_CRASH,
     .failed = "claim "},
    {"a signal is neither",
     {.claim = CLAIM_EITHER},
     .how = PROC_SIGNALED,
     .code = SIGKILL,
     .verdict = VERDICT_CRASH,
     .failed = "claim "},
    {"a timeout is neither",
     {.claim = CLAIM_EITHER},
     .how = PROC_TIMEOUT,
     .verdict = VERDICT_TIMEOUT,
     .failed = "claim time "},
    {"exit status as wanted",
     {.claim = CLAIM_FAILURE},
     .exit = 2,
     .code = 2,
     .verdict = VERDICT_PASS},
    {"another exit status",
     {.claim = CLAIM_FAILURE},
     .exit = 2,
     .code = 1,
     .verdict = VERDICT_FAIL,
     .failed = "exit "},
    {"signal of the exit status' number",
     {.claim = CLAIM_FAILURE},
     .exit = 9,
     .code = 9,
     .how = PROC_SIGNALED,
     .verdict = VERDICT_CRASH,
     .failed = "claim exit "},
    /* the calls */
    {"as many calls as wanted",
     {.judge_cp = true, .judge_exec = true, .cp = RANGE(1, 1), .exec = RANGE(0, 1)},
     .verdict = VERDICT_PASS},
    {"too few cp",
     {.judge_cp = true, .cp = RANGE(2, 3)},
     .verdict = VERDICT_FAIL,
     .failed = "calls/cp "},
    {"too many cp",
     {.judge_cp = true, .cp = RANGE(0, 0)},
     .verdict = VERDICT_FAIL,
     .failed = "calls/cp "},
    {"too few execs",
     {.judge_exec = true, .exec = RANGE(2, INT32_MAX)},
     .verdict = VERDICT_FAIL,
     .failed = "calls/exec "},
    {"too many execs",
     {.judge_exec = true, .exec = RANGE(1, 1)},
     .calls = TWO_EXECS("0", "9"),
     .verdict = VERDICT_FAIL,
     .failed = "calls/exec "},
    {"settled as long as wanted",
     {.judge_settle = true, .settle_ms = RANGE(1000, INT32_MAX)},
     .calls = TWO_EXECS("137", "1005"),
     .verdict = VERDICT_PASS},
    {"settled too short",
     {.judge_settle = true, .settle_ms = RANGE(1000, INT32_MAX)},
     .calls = TWO_EXECS("137", "1004"),
     .verdict = VERDICT_FAIL,
     .failed = "settle "},
    {"settled too long",
     {.judge_settle = true, .settle_ms = RANGE(1000, 2000)},
     .calls = TWO_EXECS("137", "2006"),
     .verdict = VERDICT_FAIL,
     .failed = "settle "},
    {"no second exec to settle for",
     {.judge_settle = true, .settle_ms = RANGE(1000, 2000)},
     .verdict = VERDICT_PASS},
    {"exec statuses as listed",
     {.exec_status = two_statuses, .exec_status_count = 2},
     .calls = TWO_EXECS("137", "9"),
     .verdict = VERDICT_PASS},
    {"another exec status",
     {.exec_status = two_statuses, .exec_status_count = 2},
     .calls = TWO_EXECS("1", "9"),
     .verdict = VERDICT_FAIL,
     .failed = "exec-status "},
    {"one exec more than listed",
     {.exec_status = one_status, .exec_status_count = 1},
     .calls = TWO_EXECS("137", "9"),
     .verdict = VERDICT_FAIL,
     .failed = "exec-status "},
    {"no exec at all",
     {.exec_status = one_status, .exec_status_count = 1},
     .calls = "[]",
     .verdict = VERDICT_FAIL,
     .failed = "exec-status "},
    {"client killed by a signal",
     {.exec_status = by_signal, .exec_status_count = 2},
     .calls = TWO_EXECS("null, \"signal\": 9", "9"),
     .verdict = VERDICT_PASS},
    {"status 137 is no signal",
     {.exec_status = by_signal, .exec_status_count = 2},
     .calls = TWO_EXECS("137, \"signal\": null", "9"),
     .verdict = VERDICT_FAIL,
     .failed = "exec-status "},
    {"stdout as listed",
     {.exec_stdout = out_texts},
     .calls = "[{\"verb\": \"exec\", \"stdout\": {\"head\": \"so one\"}},"
              " {\"verb\": \"exec\", \"stdout\": {\"head\": \"\"}}]",
     .verdict = VERDICT_PASS},
    {"another stdout, and one where none is right",
     {.exec_stdout = out_texts},
     .calls = "[{\"verb\": \"exec\", \"stdout\": {\"head\": \"two\"}},"
              " {\"verb\": \"exec\", \"stdout\": {\"head\": \"x\"}}]",
     .verdict = VERDICT_FAIL,
     .failed = "exec-stdout exec-stdout "},
    {"stdout of an exec that was not",
     {.exec_stdout = no_out},
     .calls = "[]",
     .verdict = VERDICT_FAIL,
     .failed = "exec-stdout "},
    /* what it says */
    {"label on stderr", {.label = LABEL_EGRESS}, .err = "egress done\n", .verdict = VERDICT_PASS},
    {"label on stdout", {.label = LABEL_PIPELOCK}, .out = "pipelock\n", .verdict = VERDICT_PASS},
    {"other label",
     {.label = LABEL_EGRESS},
     .err = "pipelock\n",
     .verdict = VERDICT_FAIL,
     .failed = "log/label "},
    {"both labels",
     {.label = LABEL_EGRESS},
     .err = "egress, pipelock\n",
     .verdict = VERDICT_FAIL,
     .failed = "log/label "},
    {"no label", {.label = LABEL_PIPELOCK}, .verdict = VERDICT_FAIL, .failed = "log/label "},
    {"fingerprint once",
     {.fingerprint = FINGERPRINT_ONCE},
     .err = "x " PRINT "\n",
     .verdict = VERDICT_PASS},
    {"fingerprint on both streams",
     {.fingerprint = FINGERPRINT_ONCE},
     .out = PRINT,
     .err = PRINT,
     .verdict = VERDICT_FAIL,
     .failed = "log/fingerprint "},
    {"fingerprint missing",
     {.fingerprint = FINGERPRINT_ONCE},
     .err = "AB:CD:02\n",
     .verdict = VERDICT_FAIL,
     .failed = "log/fingerprint "},
    {"no fingerprint", {.fingerprint = FINGERPRINT_NONE}, .verdict = VERDICT_PASS},
    {"fingerprint of nothing done",
     {.fingerprint = FINGERPRINT_NONE},
     .err = PRINT,
     .verdict = VERDICT_FAIL,
     .failed = "log/fingerprint "},
    {"fatal line with everything",
     {.claim = CLAIM_FAILURE, .fatal = FATAL_EXEC},
     .code = 1,
     .calls = FAILED_EXEC,
     .err = "exec failed: status 1, 'one\\ntwo \\'x\\'', 'bad\\tthing'\n",
     .verdict = VERDICT_PASS},
    {"fatal line on stdout",
     {.claim = CLAIM_FAILURE, .fatal = FATAL_EXEC},
     .code = 1,
     .calls = FAILED_EXEC,
     .out = "exec failed: status 1, 'one\\ntwo x', 'bad\\tthing'\n",
     .verdict = VERDICT_FAIL,
     .failed = "log/fatal "},
    {"fatal line without the step",
     {.claim = CLAIM_FAILURE, .fatal = FATAL_EXEC},
     .code = 1,
     .calls = FAILED_EXEC,
     .err = "status 1, one two x bad thing\n",
     .verdict = VERDICT_FAIL,
     .failed = "log/fatal "},
    {"fatal line without the status",
     {.claim = CLAIM_FAILURE, .fatal = FATAL_EXEC},
     .code = 1,
     .calls = FAILED_EXEC,
     .err = "exec: one two x bad thing\n",
     .verdict = VERDICT_FAIL,
     .failed = "log/fatal "},
    {"fatal line without stdout",
     {.claim = CLAIM_FAILURE, .fatal = FATAL_EXEC},
     .code = 1,
     .calls = FAILED_EXEC,
     .err = "exec: status 1: two x bad thing\n",
     .verdict = VERDICT_FAIL,
     .failed = "log/fatal "},
    {"fatal line without stderr",
     {.claim = CLAIM_FAILURE, .fatal = FATAL_EXEC},
     .code = 1,
     .calls = FAILED_EXEC,
     .err = "exec: status 1: one two x\n",
     .verdict = VERDICT_FAIL,
     .failed = "log/fatal "},
    {"fatal line of a call never made",
     {.claim = CLAIM_FAILURE, .fatal = FATAL_CP},
     .code = 1,
     .calls = "[]",
     .err = "cp 1\n",
     .verdict = VERDICT_FAIL,
     .failed = "log/fatal "},
    {"texts",
     {.contains = wanted_texts},
     .out = "a needle",
     .err = "a thread",
     .verdict = VERDICT_PASS},
    {"one text missing",
     {.contains = wanted_texts},
     .out = "a needle",
     .verdict = VERDICT_FAIL,
     .failed = "log/contains "},
    {"no text at all",
     {.contains = wanted_texts},
     .verdict = VERDICT_FAIL,
     .failed = "log/contains log/contains "},
    /* rules, processes, the store */
    {"rule fired", .rules = FIRED(1), .verdict = VERDICT_PASS},
    {"rule did not fire", .rules = FIRED(0), .verdict = VERDICT_UNRESOLVED, .failed = "(fired) "},
    {"rule need not fire",
     {.fired = FIRED_ANY},
     .rules = FIRED(0),
     .verdict = VERDICT_PASS,
     .failed = "(fired) "},
    {"leak", .leaks = "5 sleep\n", .verdict = VERDICT_LEAK, .failed = "(processes) "},
    {"must level judged",
     {.must = JUDGE_PASS},
     .store = "must/bundle-has-ca",
     .verdict = VERDICT_FAIL,
     .failed = "store/must/bundle-has-ca "},
    {"must level reported", .store = "must/bundle-has-ca", .verdict = VERDICT_PASS,
     .failed = "(store/must/bundle-has-ca) "},
    {"what must fail does",
     {.must = JUDGE_PASS, .fails = ca_file},
     .store = "must/ca-file",
     .verdict = VERDICT_PASS},
    {"what must fail does not",
     {.must = JUDGE_PASS, .fails = ca_file},
     .verdict = VERDICT_FAIL,
     .failed = "store/must/ca-file "},
    {"disk lost, judged", {.must = JUDGE_PASS}, .vm_lost = true, .verdict = VERDICT_UNRESOLVED},
    {"disk lost, not judged", .vm_lost = true, .verdict = VERDICT_PASS},
    /* precedence, from the worst down */
    {"broken before all", .code = 99, .rules = FIRED(0), .leaks = "5 sleep\n",
     .verdict = VERDICT_ERROR, .failed = "claim (processes) (fired) "},
    {"timeout before fail", .how = PROC_TIMEOUT, .leaks = "5 sleep\n", .rules = FIRED(0),
     .verdict = VERDICT_TIMEOUT, .failed = "claim time (processes) (fired) "},
    {"crash before fail", .how = PROC_SIGNALED, .code = 6, .leaks = "5 sleep\n",
     .verdict = VERDICT_CRASH, .failed = "claim (processes) "},
    {"unsupported before fail", .code = 77, .leaks = "5 sleep\n", .verdict = VERDICT_UNSUPPORTED,
     .failed = "claim (processes) "},
    {"a signal's number 77 is no word", .how = PROC_SIGNALED, .code = 77, .verdict = VERDICT_CRASH,
     .failed = "claim "},
    {"fail before leak", .code = 1, .leaks = "5 sleep\n", .rules = FIRED(0),
     .verdict = VERDICT_FAIL, .failed = "claim (processes) (fired) "},
    {"leak before unresolved", .leaks = "5 sleep\n", .rules = FIRED(0), .verdict = VERDICT_LEAK,
     .failed = "(processes) (fired) "},
};

static json_t *parse_json(const char *text)
{
    json_error_t error;
    json_t *json = json_loads(text, 0, &error);
    if (!json)
        fail_msg("%s: %s", text, error.text);
    return json;
}

static void fill_run(struct evidence_run *run, const struct row *row)
{
    run->sandbox.proc.how = row->how;
    run->sandbox.proc.code = run->raw_status = row->code;
    run->calls = parse_json(row->calls ? row->calls : OK_CALLS);
    run->rules = parse_json(row->rules ? row->rules : "[]");
    buf_add(&run->fingerprint, PRINT);
    if (row->out)
        capture_add(&run->sandbox.proc.out, row->out, strlen(row->out));
    if (row->err)
        capture_add(&run->sandbox.proc.err, row->err, strlen(row->err));
    if (row->leaks)
        buf_add(&run->sandbox.leaks, row->leaks);
}

/* Returns whether the table of the audit has the check that is to fail. */
static bool fill_audit(struct audit_report *report, const char *failing)
{
    bool found = false;
    for (size_t i = 0; i < AUDIT_N_CHECKS; i++) {
        struct audit_result *result = &report->results[i];
        bool fails = failing && strcmp(audit_defs()[i].id, failing) == 0;
        result->def = &audit_defs()[i];
        result->outcome = fails ? AUDIT_FAIL : AUDIT_PASS;
        result->found = fails ? strdup("not there") : NULL;
        found |= fails;
    }
    return found;
}

static void make_evidence(const struct row *row, size_t n_runs, struct evidence *evidence)
{
    *evidence = (struct evidence){.n_runs = n_runs, .vm_lost = row->vm_lost};
    evidence->runs = calloc(n_runs, sizeof *evidence->runs);
    fill_run(&evidence->runs[0], row);
    const struct row good = {.name = NULL};
    for (size_t i = 1; i < n_runs; i++)
        fill_run(&evidence->runs[i], &good);
    evidence->n_audits = !row->vm_lost;
    evidence->audits = calloc(1, sizeof *evidence->audits);
    bool found = fill_audit(&evidence->audits[0], row->store);
    if (row->store && !found)
        fail_msg("%s: the audit has no %s", row->name, row->store);
}

static void list_failed(json_t *checks, struct buf *failed)
{
    size_t index;
    json_t *check;
    json_array_foreach(checks, index, check)
    {
        const char *id = json_string_value(json_object_get(check, "id"));
        if (!contract_has(id))
            fail_msg("'%s' is no check", id);
        assert_non_null(json_string_value(json_object_get(check, "level")));
        assert_non_null(json_string_value(json_object_get(check, "expected")));
        assert_non_null(json_string_value(json_object_get(check, "found")));
        if (strcmp(json_string_value(json_object_get(check, "result")), "fail") == 0)
            buf_printf(failed, json_is_true(json_object_get(check, "decides")) ? "%s " : "(%s) ",
                       id);
    }
}

static void check_row(const struct row *row, size_t n_runs, struct buf *ret_found)
{
    struct scenario scenario = {.path = "made-up.yaml", .expect = row->expect};
    scenario.expect.exit = row->exit ? row->exit : -1;
    struct evidence evidence;
    CLEANUP(buf_release) struct buf failed = BUF_INIT;
    json_t *checks = NULL;
    make_evidence(row, n_runs, &evidence);
    enum verdict verdict = judge(&scenario, &evidence, &checks);
    list_failed(checks, &failed);
    if (verdict != row->verdict || strcmp(buf_str(&failed), row->failed ? row->failed : "") != 0)
        fail_msg("%s: %s, failed: %s", row->name, verdict_name(verdict), buf_str(&failed));
    if (ret_found) {
        char *dump = json_dumps(checks, JSON_COMPACT);
        buf_add(ret_found, dump);
        free(dump);
    }
    json_decref(checks);
    evidence_release(&evidence);
    assert_null(evidence.runs);
}

static void evidence_is_judged_as_the_scenario_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_row(&rows[i], 1, NULL);
}

/* Each check of the audit, at its own level and no other. */
static void each_check_of_the_store_decides_at_its_level_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < AUDIT_N_CHECKS; i++)
        for (int judged = AUDIT_MUST; judged <= AUDIT_EXACT; judged++) {
            const struct audit_def *def = &audit_defs()[i];
            bool decides = judged == (int)def->level;
            CLEANUP(io_free)
            char *failed = io_format(decides ? "store/%s " : "(store/%s) ", def->id);
            const struct row row = {.name = def->id,
                                    .expect = {.must = judged == AUDIT_MUST,
                                               .should = judged == AUDIT_SHOULD,
                                               .exact = judged == AUDIT_EXACT},
                                    .store = def->id,
                                    .verdict = decides ? VERDICT_FAIL : VERDICT_PASS,
                                    .failed = failed};
            check_row(&row, 1, NULL);
        }
}

static void worst_of_several_runs_decides_and_is_numbered(void **state)
{
    (void)state;
    static const struct row bad[] = {
        {"fails", .code = 1, .verdict = VERDICT_FAIL, .failed = "claim "},
        {"crashes", .how = PROC_SIGNALED, .code = 6, .verdict = VERDICT_CRASH, .failed = "claim "},
        {"late", .how = PROC_TIMEOUT, .verdict = VERDICT_TIMEOUT, .failed = "claim time "},
        {"unfired", .rules = FIRED(0), .verdict = VERDICT_UNRESOLVED, .failed = "(fired) "},
        {"leaks", .leaks = "5 x\n", .verdict = VERDICT_LEAK, .failed = "(processes) "},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CLEANUP(buf_release) struct buf found = BUF_INIT;
        check_row(&bad[i], 3, &found);
        assert_non_null(strstr(buf_str(&found), "\"found\":\"run 1: "));
        assert_non_null(strstr(buf_str(&found), "\"found\":\"run 3: "));
    }
    CLEANUP(buf_release) struct buf one = BUF_INIT;
    check_row(&bad[0], 1, &one);
    assert_null(strstr(buf_str(&one), "run 1: "));
}

/* Two plans, the second with the same CA or not, and how the two runs ended. */
static const struct {
    const char *name;
    const char *second;
    enum machines machines;
    int codes[2];
    const char *result; /* of the check; NULL: it is not made */
} twice[] = {
    {"well twice", "ca", MACHINES_ONE, {0, 0}, "pass"},
    {"not the second time", "ca", MACHINES_ONE, {0, 1}, "fail"},
    {"not the first time", "ca", MACHINES_ONE, {1, 1}, NULL},
    {"another CA", "rotated", MACHINES_ONE, {0, 1}, NULL},
    {"another machine", "ca", MACHINES_EACH, {0, 1}, NULL},
};

static void the_same_ca_once_more_is_to_succeed_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof twice / sizeof *twice; i++) {
        const struct plan plans[] = {{.chosen = "ca"}, {.chosen = twice[i].second}};
        const struct scenario scenario = {.path = "made-up.yaml",
                                          .expect = {.claim = CLAIM_EITHER, .exit = -1},
                                          .plan_count = 2,
                                          .plans = plans,
                                          .machines = twice[i].machines};
        const struct row row = {.name = NULL};
        struct evidence evidence;
        json_t *checks = NULL, *check;
        size_t index;
        const char *result = NULL;
        make_evidence(&row, 2, &evidence);
        for (size_t k = 0; k < 2; k++)
            evidence.runs[k].sandbox.proc.code = twice[i].codes[k];
        enum verdict verdict = judge(&scenario, &evidence, &checks);
        json_array_foreach(checks, index, check)
        {
            if (strcmp(json_string_value(json_object_get(check, "id")), "idempotent") == 0)
                result = json_string_value(json_object_get(check, "result"));
        }
        if (!result != !twice[i].result || (result && strcmp(result, twice[i].result) != 0))
            fail_msg("%s: %s", twice[i].name, result ? result : "not judged");
        bool fails = result && strcmp(result, "fail") == 0;
        assert_int_equal(verdict, fails ? VERDICT_FAIL : VERDICT_PASS);
        json_decref(checks);
        evidence_release(&evidence);
    }
}

static void a_mapped_status_is_judged_and_both_are_told(void **state)
{
    (void)state;
    const struct scenario scenario = {.path = "made-up.yaml",
                                      .expect = {.claim = CLAIM_FAILURE, .exit = 2}};
    const struct row row = {.name = NULL, .code = 2};
    struct evidence evidence;
    json_t *checks = NULL;
    make_evidence(&row, 1, &evidence);
    evidence.runs[0].raw_status = 64;
    assert_int_equal(judge(&scenario, &evidence, &checks), VERDICT_PASS);
    char *text = json_dumps(checks, JSON_COMPACT);
    assert_non_null(strstr(text, "exit status 64, which the backend's exit map calls 2"));
    free(text);
    json_decref(checks);
    evidence_release(&evidence);
}

static void bytes_that_are_no_utf8_are_shown_in_hex(void **state)
{
    (void)state;
    static const struct row row = {"bytes",
                                   {.label = LABEL_EGRESS},
                                   .err = "\xff\xfe",
                                   .leaks = "5 \xff\n",
                                   .verdict = VERDICT_FAIL,
                                   .failed = "log/label (processes) "};
    CLEANUP(buf_release) struct buf found = BUF_INIT;
    check_row(&row, 1, &found);
    assert_non_null(strstr(buf_str(&found), "5 \\\\xff"));
}

static void verdicts_have_names_both_ways(void **state)
{
    (void)state;
    for (int i = 0; i < VERDICT_COUNT; i++)
        assert_int_equal(verdict_parse(verdict_name((enum verdict)i)), i);
    assert_int_equal(verdict_parse("pass"), VERDICT_ERROR);
    assert_int_equal(verdict_parse(""), VERDICT_ERROR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(evidence_is_judged_as_the_scenario_says),
        cmocka_unit_test(each_check_of_the_store_decides_at_its_level_alone),
        cmocka_unit_test(worst_of_several_runs_decides_and_is_numbered),
        cmocka_unit_test(the_same_ca_once_more_is_to_succeed_again),
        cmocka_unit_test(a_mapped_status_is_judged_and_both_are_told),
        cmocka_unit_test(bytes_that_are_no_utf8_are_shown_in_hex),
        cmocka_unit_test(verdicts_have_names_both_ways),
    };
    return cmocka_run_group_tests_name("judge", tests, NULL, NULL);
}
