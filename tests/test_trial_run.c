/*
 * Whole trials on a real machine, with backends of one line each.
 */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../fakes/container.h"
#include "../fakes/state.h"
#include "../fault/home.h"
#include "../scenarios/judge.h"
#include "../scenarios/trial_run.h"

#define LAYOUT "bookworm-mini"
#define INSTALL                                                                                    \
    "smolvm machine cp {cert} {machine}:{ca_path} && "                                             \
    "smolvm machine exec --name {machine} -- sh -c 'chown root:root {ca_path} && chmod 644 "       \
    "{ca_path} && update-ca-certificates && openssl verify -CAfile {bundle} {ca_path}'"
#define SAY "echo {label} $(openssl x509 -in {cert} -noout -fingerprint -sha256 | sed 's/.*=//')"

#define NOT_JUDGED "store: {must: report, should: report}"

static const struct row {
    const char *name;
    const char *scenario; /* what it has beside the usual keys */
    const char *script;   /* the backend, as sh -c has it */
    enum verdict verdict;
    const char *calls; /* "VERB STATUS " of each run's calls, runs ended by "; " */
    const char *out;   /* of the first run; NULL: not looked at */
} rows[] = {
    {"undisturbed",
     "expect: {claim: success, calls: {cp: 1, exec: 1}, exec_status: [0], "
     "store: {must: pass, should: pass, exact: pass}, log: {label: egress, fingerprint: once}}\n",
     INSTALL " >/dev/null && " SAY, VERDICT_PASS, "cp 0 exec 0 ; ", NULL},
    {"nothing done", "expect: {claim: success, store: {must: pass}}\n", "true", VERDICT_FAIL, "; ",
     ""},
    {"killed before the command",
     "faults: [exec#1 begin]\nexpect: {claim: failure, exec_status: [137]}\n", INSTALL,
     VERDICT_PASS, "cp 0 exec 137 ; ", ""},
    {"rule that never fires", "faults: [exec#2 begin]\nexpect: {claim: success}\n", INSTALL,
     VERDICT_UNRESOLVED, "cp 0 exec 0 ; ", NULL},
    {"client killed", "faults: ['exec#1 end:scope=client']\nexpect: {claim: failure}\n", INSTALL,
     VERDICT_PASS, "cp 0 exec -9 ; ", ""},
    {"VM killed, its files audited",
     "faults: ['exec#1 end:scope=vm']\n"
     "expect: {claim: failure, store: {must: pass}}\n",
     INSTALL, VERDICT_PASS, "cp 0 exec 1 ; ", ""},
    {"prestate is no call of the backend",
     "guest: [{provision: ca}]\nfaults: [exec#1 end:status=5]\n"
     "expect: {claim: failure, exit: 5, calls: {cp: 0, exec: 1}, store: {must: pass}}\n",
     "smolvm machine exec --name {machine} -- true", VERDICT_PASS, "exec 5 ; ", ""},
    {"two runs, one after the other",
     "plan: [{egress: ca}, {egress: rotated}]\n"
     "expect: {claim: success, log: {label: egress, fingerprint: once}, " NOT_JUDGED "}\n",
     INSTALL " >/dev/null && " SAY, VERDICT_PASS, "cp 0 exec 0 ; cp 0 exec 0 ; ", NULL},
    {"two machines at once",
     "plan: [{egress: ca}, {egress: rotated}]\nmachines: each\n"
     "expect: {claim: success, calls: {exec: 1}, store: {must: pass}}\n",
     INSTALL, VERDICT_PASS, "cp 0 exec 0 ; cp 0 exec 0 ; ", NULL},
    {"no route, so the other certificate",
     "plan: {routes: []}\nexpect: {claim: success, log: {label: pipelock}, " NOT_JUDGED "}\n",
     "grep -c '\"routes\": \\[\\]' {plan} && grep -q \"$(basename {cert})\" {plan} && echo {label}",
     VERDICT_PASS, "; ", "1\npipelock\n"},
    {"clean environment", "expect: {claim: success, " NOT_JUDGED "}\n",
     "env -i PATH=\"$PATH\" smolvm machine exec --name {machine} -- echo hi", VERDICT_PASS,
     "exec 0 ; ", "hi\n"},
    {"driver by its absolute path", "expect: {claim: success, " NOT_JUDGED "}\n",
     "env -i \"$SMOLVM\" machine exec --name {machine} -- echo hi", VERDICT_PASS, "exec 0 ; ",
     "hi\n"},
    {"driver by the path it leads to", "expect: {claim: success, " NOT_JUDGED "}\n",
     "\"$(readlink -f \"$SMOLVM\")\" machine exec --name {machine} -- echo hi", VERDICT_PASS,
     "exec 0 ; ", "hi\n"},
    {"rules of the environment are not the trial's", "expect: {claim: success, " NOT_JUDGED "}\n",
     "echo \"[$KILLPOINT_FAULTS$KILLPOINT_STATE]\"; "
     "KILLPOINT_FAULTS=begin smolvm machine exec --name {machine} -- echo hi",
     VERDICT_PASS, "exec 0 ; ", "[]\nhi\n"},
    {"folders of its own", "expect: {claim: success, " NOT_JUDGED "}\n",
     "touch \"$HOME/a\" \"$TMPDIR/b\" && case $HOME:$TMPDIR in */trial/home:*/trial/tmp) echo ok;; "
     "esac",
     VERDICT_PASS, "; ", "ok\n"},
    {"deadline", "limits: {run_ms: 1000}\nexpect: {claim: failure}\n", "sleep 60", VERDICT_TIMEOUT,
     "; ", ""},
    {"crash", "expect: {claim: failure}\n", "kill -SEGV $$", VERDICT_CRASH, "; ", ""},
    {"leak", "expect: {claim: success, " NOT_JUDGED "}\n", "sleep 600 & exit 0", VERDICT_LEAK, "; ",
     ""},
};

struct bench {
    char *folder, *fixtures;
    struct scenario_set set;
    struct backend backend;
    struct trial trial;
    struct trial_setup setup;
};

static void print_diags(struct diags *diags, const char *name)
{
    diags_print(diags, stderr);
    fail_msg("%s: the scenario is bad", name);
}

static void start(struct bench *bench, const char *name, const char *keys,
                  const char *const *command)
{
    static char id[] = "made/up@" LAYOUT;
    struct diags diags = DIAGS_INIT;
    struct err err = {""};
    CLEANUP(io_free)
    char *text = io_format(
        "format: 1\nid: made/up\ntitle: made up\nlevel: must\nlayout: " LAYOUT "\n%s", keys);
    *bench = (struct bench){.set = SCENARIO_SET_INIT, .backend = BACKEND_INIT};
    if (scenario_parse("made-up.yaml", text, strlen(text), NULL, &bench->set, &diags) < 0)
        print_diags(&diags, name);
    diags_release(&diags);
    assert_int_equal(backend_from_command(command, &bench->backend, NULL), 0);
    if (home_find("scenarios/fixtures", &bench->fixtures, &err) < 0)
        fail_msg("%s", err.msg);
    bench->folder = dir_make();
    bench->trial = (struct trial){bench->set.items[0], id, LAYOUT, DRIVER_SMOLVM};
    bench->setup = (struct trial_setup){.fixtures_path = bench->fixtures,
                                        .backend = &bench->backend,
                                        .kind = &container_namespaces};
    bench->setup.folder = io_format("%s/trial", bench->folder);
}

static void release(struct bench *bench)
{
    CLEANUP(io_free) char *folder = io_format("%s/trial", bench->folder);
    for (int i = 1; i <= 3; i++) {
        CLEANUP(io_free) char *name = io_format("kp%d", i);
        if (state_vmm_pid(folder, name))
            fail_msg("machine %s still runs", name);
    }
    union {
        const char *in;
        char *out;
    } path = {.in = bench->setup.folder};
    free(path.out);
    backend_release(&bench->backend);
    scenario_set_release(&bench->set);
    io_free(&bench->fixtures);
    dir_remove(&bench->folder);
}

static void list_calls(const struct evidence *evidence, struct buf *calls)
{
    for (size_t i = 0; i < evidence->n_runs; i++) {
        size_t index;
        json_t *call;
        json_array_foreach(evidence->runs[i].calls, index, call)
        {
            json_int_t signum = json_integer_value(json_object_get(call, "signal"));
            json_int_t status = json_integer_value(json_object_get(call, "status"));
            buf_printf(calls, "%s %lld ", json_string_value(json_object_get(call, "verb")),
                       (long long)(signum > 0 ? -signum : status));
        }
        buf_add(calls, "; ");
    }
}

static void check_row(const struct row *row)
{
    struct bench bench;
    struct evidence evidence = {.runs = NULL};
    struct err err = {""};
    json_t *checks = NULL;
    CLEANUP(buf_release) struct buf calls = BUF_INIT;
    start(&bench, row->name, row->scenario, (const char *const[]){"sh", "-c", row->script, NULL});
    if (trial_run(&bench.setup, &bench.trial, &evidence, &err) < 0)
        fail_msg("%s: %s", row->name, err.msg);
    enum verdict verdict = judge(bench.trial.scenario, &evidence, &checks);
    list_calls(&evidence, &calls);
    const struct proc_result *proc = &evidence.runs[0].sandbox.proc;
    const char *out = buf_str(&proc->out.head);
    CLEANUP(buf_release) struct buf failed = BUF_INIT;
    size_t index;
    json_t *check;
    json_array_foreach(
        checks, index,
        check) if (strcmp(json_string_value(json_object_get(check, "result")), "fail") == 0)
        buf_printf(&failed, "%s: %s\n", json_string_value(json_object_get(check, "id")),
                   json_string_value(json_object_get(check, "found")));
    if (verdict != row->verdict || strcmp(buf_str(&calls), row->calls) != 0 ||
        (row->out && strcmp(out, row->out) != 0))
        fail_msg("%s: %s, calls %s, stdout '%s', stderr '%s'\nfailed:\n%s", row->name,
                 verdict_name(verdict), buf_str(&calls), out, buf_str(&proc->err.head),
                 buf_str(&failed));
    assert_int_equal(evidence.n_audits,
                     bench.trial.scenario->machines == MACHINES_EACH ? evidence.n_runs : 1);
    json_decref(checks);
    evidence_release(&evidence);
    release(&bench);
}

static void trials_give_the_evidence_of_what_happened(void **state)
{
    (void)state;
    need_root();
    need_layout(LAYOUT);
    setenv("KILLPOINT_FAULTS", "cp begin:status=9", 1); /* of somebody who runs killpoint */
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_row(&rows[i]);
    unsetenv("KILLPOINT_FAULTS");
}

static void disk_of_its_own_dies_with_its_vm(void **state)
{
    (void)state;
    need_root();
    need_layout(LAYOUT);
    static const struct row row = {"disk",
                                   "limits: {disk: 16MiB}\nfaults: ['exec#1 end:scope=vm']\n"
                                   "expect: {claim: failure, store: {must: pass}}\n",
                                   INSTALL,
                                   VERDICT_UNRESOLVED,
                                   "cp 0 exec 1 ; ",
                                   ""};
    struct bench bench;
    struct evidence evidence = {.runs = NULL};
    struct err err = {""};
    json_t *checks = NULL;
    start(&bench, row.name, row.scenario, (const char *const[]){"sh", "-c", row.script, NULL});
    if (trial_run(&bench.setup, &bench.trial, &evidence, &err) < 0)
        fail_msg("%s", err.msg);
    assert_true(evidence.vm_lost);
    assert_int_equal(evidence.n_audits, 0);
    assert_int_equal(judge(bench.trial.scenario, &evidence, &checks), VERDICT_UNRESOLVED);
    json_decref(checks);
    evidence_release(&evidence);
    release(&bench);
}

static void what_the_harness_cannot_do_is_an_error(void **state)
{
    (void)state;
    need_root();
    need_layout(LAYOUT);
    static const struct {
        const char *name, *scenario, *program, *layout;
        const char *text; /* in the error */
    } bad[] = {
        {"no such layout", "expect: {claim: success, " NOT_JUDGED "}\n", "true", "no-such",
         "no-such"},
        {"no such backend", "expect: {claim: success, " NOT_JUDGED "}\n", "/nonexistent", LAYOUT,
         "execute /nonexistent"},
        {"prestate that fails", "guest: [run: exit 3]\nexpect: {claim: success}\n", "true", LAYOUT,
         "made-up.yaml:6: prestate: status 3"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct bench bench;
        struct evidence evidence = {.n_runs = 77};
        struct err err = {""};
        start(&bench, bad[i].name, bad[i].scenario, (const char *const[]){bad[i].program, NULL});
        bench.trial.layout = bad[i].layout;
        int ret = trial_run(&bench.setup, &bench.trial, &evidence, &err);
        if (ret >= 0 || !strstr(err.msg, bad[i].text))
            fail_msg("%s: %d, '%s'", bad[i].name, ret, err.msg);
        assert_int_equal(evidence.n_runs, 77); /* untouched */
        release(&bench);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trials_give_the_evidence_of_what_happened),
        cmocka_unit_test(disk_of_its_own_dies_with_its_vm),
        cmocka_unit_test(what_the_harness_cannot_do_is_an_error),
    };
    return cmocka_run_group_tests_name("trial_run", tests, NULL, NULL);
}
