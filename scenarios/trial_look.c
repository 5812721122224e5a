#include "trial_lab.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../fakes/client.h"
#include "../fakes/container.h"
#include "../fakes/state.h"
#include "json_cut.h"
#include "judge.h"
#include "prestate.h"

#define CALLS_MAX_BYTES (64u << 20) /* of a run, as JSON, their arguments cut */
#define ARGUMENT_MAX_BYTES 4096
#define ARGUMENTS_MAX 64

/* Whether the call is the run's. */
static bool is_call_of(const struct lab *lab, const struct evidence_run *run, const json_t *call)
{
    const char *machine = json_string_value(json_object_get(call, "machine"));
    int64_t start = json_integer_value(json_object_get(call, "start_ns"));
    bool named = machine && strcmp(machine, run->told) == 0;
    bool refused = !machine && lab->n_machines == 1;
    return call && (named || refused) && start >= run->sandbox.start_ns &&
           start <= run->sandbox.end_ns;
}

/* No check looks at the arguments, which may be anything. Returns the call's size. */
static size_t cut_arguments(json_t *call)
{
    json_t *argv = json_cut(json_object_get(call, "argv"), ARGUMENT_MAX_BYTES, ARGUMENTS_MAX);
    json_object_set_new(call, "argv", argv);
    return json_dumpb(call, NULL, 0, JSON_COMPACT);
}

int lab_read_calls(struct lab *lab, struct evidence_run *run, struct err *err)
{
    CLEANUP(io_free) char *path = io_format("%s/journal.ndjson", lab->setup->folder);
    CLEANUP(io_free) char *line = NULL; /* one at a time: together they have no bound */
    size_t room = 0, size = 0;
    if (run->calls) /* already */
        return 0;
    run->calls = json_array();
    CLEANUP(io_fclose) FILE *file = fopen(path, "re");
    if (!file && errno == ENOENT)
        return 0; /* the backend called nothing */
    if (!file)
        return err_set(err, errno, "open %s", path);
    for (ssize_t len; size <= CALLS_MAX_BYTES && (len = getline(&line, &room, file)) > 0;) {
        json_t *call = json_loadb(line, (size_t)len, 0, NULL);
        if (is_call_of(lab, run, call)) {
            size += cut_arguments(call);
            json_array_append(run->calls, call);
        }
        json_decref(call);
    }
    if (ferror(file))
        return err_set(err, errno, "read %s", path);
    return size <= CALLS_MAX_BYTES ? 0
                                   : err_text(err, EFBIG,
                                              "the backend's calls and what they printed are more "
                                              "than %u MiB: too much to be judged",
                                              CALLS_MAX_BYTES >> 20);
}

/* As the last call with rules was told them; of what no call was told, that it did not fire. */
static json_t *told_counts(const struct lab *lab, const struct evidence_run *run)
{
    for (size_t i = json_array_size(run->calls); i > 0; i--) {
        json_t *rules = json_object_get(json_array_get(run->calls, i - 1), "rules");
        if (json_array_size(rules) > 0)
            return json_incref(rules);
    }
    json_t *rules = json_array();
    for (const char *const *rule = lab->scenario->faults; rule && *rule; rule++)
        json_array_append_new(rules, json_pack("{s:s, s:i}", "rule", *rule, "fired", 0));
    return rules;
}

int lab_read_rules(struct lab *lab, struct evidence_run *run, struct err *err)
{
    CLEANUP(buf_release) struct buf json = BUF_INIT;
    if (run->rules) /* already */
        return 0;
    int ret = client_report(lab->setup->folder, run->machine, &json, err);
    CLEANUP(io_free) char *machine = state_machine_path(lab->setup->folder, run->machine);
    if (ret < 0 && access(machine, F_OK) < 0 && errno == ENOENT) {
        lab->evidence.machine_gone = true;
        ret = lab_read_calls(lab, run, err);
        run->rules = ret < 0 ? NULL : told_counts(lab, run);
        return ret;
    }
    if (ret == -ENOTCONN) {
        /* It may be on its way out still, and the audit needs to know that it is gone. */
        ret = client_stop(lab->setup->folder, run->machine, err);
        if (ret < 0)
            return ret;
        CLEANUP(io_free) char *path = io_format("%s/fired.json", machine);
        ret = io_read_file(AT_FDCWD, path, &json, 1 << 20, err);
        if (ret == -ENOENT) { /* the backend stopped it: its calls were told the counts */
            ret = lab_read_calls(lab, run, err);
            run->rules = ret < 0 ? NULL : told_counts(lab, run);
            return ret;
        }
    }
    if (ret < 0)
        return ret;
    run->rules = json_loads(buf_str(&json), 0, NULL);
    return run->rules ? 0 : err_text(err, EPROTO, "the VMM's report is no JSON");
}

/* Where the guest's root and what it changed are; both the caller's. */
static int show_machine(const struct lab *lab, const struct lab_machine *machine, char **ret_merged,
                        char **ret_upper, struct err *err)
{
    CLEANUP(io_free) char *path = state_machine_path(lab->setup->folder, machine->name);
    return lab->setup->kind->show(path, machine->vmm_pid, &lab->layout,
                                  lab->scenario->disk_bytes > 0, ret_merged, ret_upper, err);
}

int lab_make_reference(struct lab *lab, const char *fixture, struct tree *ret_tree, struct err *err)
{
    struct lab_machine *machine = &lab->machines[lab->n_machines];
    if (lab->n_machines == SCENARIO_MACHINES_MAX)
        return err_text(err, E2BIG, "no machine left for the reference");
    int ret = lab_make_machine(lab, err);
    if (ret < 0)
        return ret;
    const struct prestate_machine target = {.state_path = lab->setup->folder,
                                            .name = machine->name,
                                            .fixtures_path = lab->setup->fixtures_path,
                                            .ca_path = TRIAL_CA_PATH,
                                            .bundle = TRIAL_BUNDLE};
    ret =
        client_arm(lab->setup->folder, machine->name, &(const struct arming){.faults = NULL}, err);
    if (ret == 0)
        ret = prestate_provision(&target, fixture, err);
    if (ret < 0)
        return err_wrap(err, ret, "reference");
    CLEANUP(io_free) char *merged = NULL;
    CLEANUP(io_free) char *upper = NULL;
    ret = show_machine(lab, machine, &merged, &upper, err);
    if (ret < 0)
        return ret;
    return tree_snapshot(merged, upper, (const char *const *)lab->layout.layers, ret_tree, err);
}

int trial_read_ca(const char *fixtures_path, const char *fixture, struct buf *ca, struct buf *key,
                  struct err *err)
{
    CLEANUP(io_free) char *ca_path = io_format("%s/%s.crt", fixtures_path, fixture);
    CLEANUP(io_free) char *key_path = io_format("%s/%s.key", fixtures_path, fixture);
    if (access(key_path, R_OK) < 0)
        return 0;
    int ret = io_read_file(AT_FDCWD, ca_path, ca, 1 << 20, err);
    return ret < 0 ? ret : io_read_file(AT_FDCWD, key_path, key, 1 << 20, err);
}

/* *ret_found, where it is not NULL: the files that the exact level was told by. */
static int audit_machine(struct lab *lab, size_t index, const char *fixture, bool exact,
                         struct audit_report *ret_report, struct tree *ret_found, struct err *err)
{
    struct lab_machine *machine = &lab->machines[index];
    CLEANUP(io_free) char *merged = NULL;
    CLEANUP(io_free) char *upper = NULL;
    CLEANUP(buf_release) struct buf ca = BUF_INIT;
    CLEANUP(buf_release) struct buf ca_key = BUF_INIT;
    CLEANUP(tree_release) struct tree reference = {NULL, 0};
    CLEANUP(tree_release) struct tree found = {NULL, 0};
    const char *const *layers = (const char *const *)lab->layout.layers;
    int ret = trial_read_ca(lab->setup->fixtures_path, fixture, &ca, &ca_key, err);
    if (ret == 0)
        ret = show_machine(lab, machine, &merged, &upper, err);
    if (ret == 0 && exact && !lab->trial->reference)
        ret = lab_make_reference(lab, fixture, &reference, err);
    if (ret == 0 && exact)
        ret = tree_snapshot(merged, upper, layers, &found, err);
    if (ret < 0)
        return ret;
    const struct audit_request request = {.root_path = merged,
                                          .ca_pem = ca_key.len ? &ca : NULL,
                                          .ca_key = ca_key.len ? &ca_key : NULL,
                                          .ca_path = TRIAL_CA_PATH,
                                          .bundle_path = TRIAL_BUNDLE,
                                          .known = lab->setup->known,
                                          .reference = !exact ? NULL
                                                       : lab->trial->reference
                                                           ? lab->trial->reference
                                                           : &reference,
                                          .found = exact ? &found : NULL,
                                          .layers = layers};
    ret = audit_run(&request, ret_report, err);
    if (ret == 0 && ret_found) {
        *ret_found = found;
        found = (struct tree){NULL, 0};
    }
    return ret;
}

/* A machine that a rule ended keeps its files, but for those of a disk of its own. */
static bool lost_its_files(const struct lab *lab, const struct lab_machine *machine)
{
    return lab->scenario->disk_bytes > 0 && !state_vmm_pid(lab->setup->folder, machine->name);
}

/* They are looked at in a new boot. */
static int revive_machine(struct lab *lab, struct lab_machine *machine, struct err *err)
{
    return state_vmm_pid(lab->setup->folder, machine->name) ? 0
                                                            : lab_boot_machine(lab, machine, err);
}

/* The fixture that the machine must hold in the end. */
static const char *last_fixture(const struct lab *lab, size_t index)
{
    bool each = lab->scenario->machines == MACHINES_EACH;
    return lab->scenario->plans[each ? index : lab->scenario->plan_count - 1].chosen;
}

static bool is_exact(const struct lab *lab)
{
    return lab->scenario->expect.exact == JUDGE_PASS;
}

int lab_audit_machines(struct lab *lab, struct err *err)
{
    size_t wanted = lab->n_machines;
    lab->evidence.audits = calloc(wanted, sizeof *lab->evidence.audits);
    if (!lab->evidence.audits)
        abort();
    for (size_t i = 0; i < wanted; i++) {
        struct lab_machine *machine = &lab->machines[i];
        struct audit_report *report = &lab->evidence.audits[lab->evidence.n_audits];
        if (lab->evidence.machine_gone)
            continue;
        if (lost_its_files(lab, machine)) {
            lab->evidence.vm_lost = true;
            continue;
        }
        int ret = revive_machine(lab, machine, err);
        struct audit_report **done = &lab->evidence.runs[lab->evidence.n_runs - 1].audit;
        if (*done) { /* it has just been looked at */
            *report = **done;
            free(*done);
            *done = NULL;
        } else if (ret == 0)
            ret = audit_machine(lab, i, last_fixture(lab, i), is_exact(lab), report, NULL, err);
        if (ret < 0)
            return err_wrap(err, ret, "audit");
        lab->evidence.n_audits++;
    }
    return 0;
}

void lab_compare_bad(struct lab *lab)
{
    json_t *checks = NULL;
    enum verdict verdict = judge(lab->scenario, &lab->evidence, &checks);
    json_decref(checks);
    if (verdict == VERDICT_PASS || verdict == VERDICT_UNSUPPORTED || is_exact(lab) ||
        lab->evidence.vm_lost || lab->evidence.machine_gone || lab->n_machines != 1)
        return;
    struct audit_report report;
    struct err err;
    if (audit_machine(lab, 0, last_fixture(lab, 0), true, &report, NULL, &err) < 0)
        return;
    audit_report_release(&lab->evidence.audits[0]);
    lab->evidence.audits[0] = report;
}

/* Whether the run says so, and no check of the store finds anything. */
static bool ended_well(const struct evidence_run *run)
{
    const struct proc_result *proc = &run->sandbox.proc;
    unsigned findings = 0;
    for (int level = AUDIT_MUST; level <= AUDIT_EXACT; level++)
        findings += audit_report_count(run->audit, (enum audit_level)level, AUDIT_FAIL);
    return proc->how == PROC_EXITED && proc->code == 0 && findings == 0;
}

int lab_look_after_run(struct lab *lab, size_t k, struct tree *files, struct err *err)
{
    struct evidence_run *run = &lab->evidence.runs[k];
    CLEANUP(tree_release) struct tree found = {NULL, 0};
    CLEANUP(tree_diffs_release) struct tree_diffs diffs = {.n = 1};
    run->audit = calloc(1, sizeof *run->audit);
    if (!run->audit)
        abort();
    int ret = lab_read_rules(lab, run, err); /* the VMM says what went wrong with it */
    if (ret == 0)
        ret = revive_machine(lab, &lab->machines[0], err);
    if (ret == 0)
        ret = audit_machine(lab, 0, lab->scenario->plans[k].chosen, is_exact(lab), run->audit,
                            &found, err);
    if (ret < 0)
        return ret;
    bool well = ended_well(run);
    if (k > 0 && !well)
        ret = tree_compare(files, &found, (const char *const *)lab->layout.layers, &diffs, err);
    const struct tree before = *files;
    *files = found;
    found = before;
    return ret < 0 ? ret : well || diffs.n == 0;
}
