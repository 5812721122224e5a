#include "trial_run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../fakes/client.h"
#include "../fakes/container.h"
#include "../fakes/layout.h"
#include "../fakes/state.h"
#include "../fault/home.h"
#include "judge.h"
#include "prestate.h"
#include "scenario_check.h"
#include "trial_input.h"

#define JOURNAL_MAX_BYTES (64u << 20)

/* One machine of the trial. */
struct lab_machine {
    char *name;
    pid_t vmm_pid;
    bool booted;
};

/* The trial while it is played. */
struct lab {
    const struct trial_setup *setup;
    const struct trial *trial;
    const struct scenario *scenario;
    struct layout layout;
    struct lab_machine machines[SCENARIO_MACHINES_MAX];
    size_t n_machines;
    int owner_read_fd, owner_write_fd; /* the machines end when the write end is closed */
    char *rules;
    struct evidence evidence;
};

static void lab_release(struct lab *lab)
{
    for (size_t i = 0; i < lab->n_machines; i++) {
        if (lab->machines[i].booted)
            client_stop(lab->setup->folder, lab->machines[i].name, NULL);
        free(lab->machines[i].name);
    }
    io_close(&lab->owner_read_fd);
    io_close(&lab->owner_write_fd);
    layout_release(&lab->layout);
    free(lab->rules);
    evidence_release(&lab->evidence);
}

/* --- the folder ----------------------------------------------------------------- */

/* A program of the trial's own, so that nothing hangs on the environment. */
static int write_driver(const char *folder, const char *name, struct err *err)
{
    CLEANUP(io_free) char *program = NULL;
    CLEANUP(io_free) char *place = io_format("fakes/%s", name);
    int ret = home_find(place, &program, err);
    if (ret < 0)
        return ret;
    CLEANUP(buf_release) struct buf script = BUF_INIT;
    buf_add(&script, "#!/bin/sh\nunset KILLPOINT_FAULTS\nKILLPOINT_STATE=");
    buf_add_quoted(&script, folder);
    buf_add(&script, "\nexport KILLPOINT_STATE\nexec ");
    buf_add_quoted(&script, program);
    buf_add(&script, " \"$@\"\n");
    CLEANUP(io_free) char *path = io_format("%s/bin/%s", folder, name);
    return io_write_file(AT_FDCWD, path, script.data, script.len, 0755, err);
}

static int make_folder(struct lab *lab, struct err *err)
{
    static const char *const below[] = {"", "/bin", "/home", "/tmp"};
    const char *folder = lab->setup->folder;
    for (size_t i = 0; i < sizeof below / sizeof *below; i++) {
        CLEANUP(io_free) char *path = io_format("%s%s", folder, below[i]);
        int ret = io_make_dirs(path, 0700, err);
        if (ret < 0)
            return ret;
    }
    CLEANUP(io_free) char *slots = io_format("%s/slots", folder);
    if (symlink("../slots", slots) < 0 && errno != EEXIST)
        return err_set(err, errno, "symlink %s", slots);
    CLEANUP(io_free) char *copies = io_format("%s/copies", folder);
    const char *shared = lab->setup->copies_path;
    if (shared && symlink(shared, copies) < 0 && errno != EEXIST)
        return err_set(err, errno, "symlink %s", copies);
    return write_driver(folder, lab->trial->driver == DRIVER_DOCKER ? "docker" : "smolvm", err);
}

/* --- the machines ----------------------------------------------------------------- */

static int boot_machine(struct lab *lab, struct lab_machine *machine, struct err *err)
{
    const struct boot boot = {.kind = lab->setup->kind,
                              .state_path = lab->setup->folder,
                              .name = machine->name,
                              .owner_fd = lab->owner_read_fd};
    int ret = client_boot(&boot, &machine->vmm_pid, err);
    machine->booted = ret == 0;
    return ret;
}

static int make_machine(struct lab *lab, struct err *err)
{
    struct lab_machine *machine = &lab->machines[lab->n_machines];
    lab->n_machines++;
    machine->name = lab->scenario->machine_name == MACHINE_NAME_RANDOM
                        ? trial_input_machine_name()
                        : io_format("kp%zu", lab->n_machines);
    struct record record = {.name = machine->name,
                            .image = lab->layout.name,
                            .layout = lab->layout.name,
                            .disk_bytes = lab->scenario->disk_bytes,
                            .cpus = 4,
                            .memory_mib = 8192,
                            .storage_gib = 20,
                            .overlay_gib = 10,
                            .started = true};
    int ret = state_create(lab->setup->folder, &record, err);
    if (ret == 0)
        ret = boot_machine(lab, machine, err);
    const struct prestate_machine target = {.state_path = lab->setup->folder,
                                            .name = machine->name,
                                            .fixtures_path = lab->setup->fixtures_path,
                                            .ca_path = TRIAL_CA_PATH,
                                            .bundle = TRIAL_BUNDLE};
    if (ret == 0)
        ret = prestate_apply(&target, lab->scenario, err);
    struct arming arming = {.faults = NULL};
    if (lab->trial->arming)
        arming = *lab->trial->arming;
    arming.faults = lab->rules;
    if (ret == 0)
        ret = client_arm(lab->setup->folder, machine->name, &arming, err);
    return ret;
}

static int open_owner_pipe(struct lab *lab, struct err *err)
{
    int ret = io_pipe(&lab->owner_read_fd, &lab->owner_write_fd);
    return ret < 0 ? err_set(err, -ret, "pipe") : 0;
}

static int make_machines(struct lab *lab, struct err *err)
{
    int ret = open_owner_pipe(lab, err);
    if (ret < 0)
        return ret;
    struct buf rules = BUF_INIT;
    for (const char *const *rule = lab->scenario->faults; rule && *rule; rule++)
        buf_printf(&rules, "%s\n", *rule);
    lab->rules = io_format("%s", buf_str(&rules));
    buf_release(&rules);
    size_t wanted = lab->scenario->machines == MACHINES_EACH ? lab->scenario->plan_count : 1;
    if (wanted > SCENARIO_MACHINES_MAX)
        return err_text(err, EINVAL, "%s: at most %d machines", lab->scenario->path,
                        SCENARIO_MACHINES_MAX);
    while (lab->n_machines < wanted) {
        ret = make_machine(lab, err);
        if (ret < 0)
            return ret;
    }
    return 0;
}

/* --- what the backend gets ---------------------------------------------------------- */

extern char **environ;

/* The runner's environment with the trial's own words in it. */
static const char *const *make_env(const struct lab *lab, struct pool *pool)
{
    static const char *const dropped[] = {
        "PATH=", "HOME=", "TMPDIR=", "SMOLVM=", "SMOLVM_", "KILLPOINT_", "DOCKER_", NULL};
    size_t count = 0, used = 0, extra = 0;
    for (char **at = environ; *at; at++)
        count++;
    for (const char *const *at = lab->setup->backend->env; at && *at; at++)
        extra++;
    const char **env = pool_alloc(pool, count + extra + 6, sizeof *env);
    for (char **at = environ; *at; at++) {
        bool drop = false;
        for (const char *const *name = dropped; *name; name++)
            drop |= strncmp(*at, *name, strlen(*name)) == 0;
        if (!drop)
            env[used++] = *at;
    }
    const char *folder = lab->setup->folder, *path = getenv("PATH");
    env[used++] = pool_format(pool, "PATH=%s/bin:%s", folder, path ? path : "/usr/bin:/bin");
    env[used++] = pool_format(pool, "HOME=%s/home", folder);
    env[used++] = pool_format(pool, "TMPDIR=%s/tmp", folder);
    env[used++] = pool_format(pool, "SMOLVM=%s/bin/smolvm", folder);
    for (const char *const *at = lab->setup->backend->env; at && *at; at++)
        env[used++] = *at;
    return env;
}

static int start_backend(struct lab *lab, size_t k, const char *folder, struct sandbox *ret_sandbox,
                         struct err *err)
{
    const struct scenario *scenario = lab->scenario;
    const struct plan *plan = &scenario->plans[k];
    struct evidence_run *run = &lab->evidence.runs[k];
    bool each = scenario->machines == MACHINES_EACH;
    struct pool pool = POOL_INIT;
    const char *cert =
        pool_format(&pool, "%s/%s.crt", folder, plan->label == LABEL_EGRESS ? "first" : "second");
    run->plan = plan;
    run->machine = io_format("%s", lab->machines[each ? k : 0].name);
    run->told = scenario->machine_name == MACHINE_NAME_MISSING ? trial_input_machine_name()
                                                               : io_format("%s", run->machine);
    trial_input_fingerprint(cert, &run->fingerprint);
    CLEANUP(io_free) char *programs = NULL;
    int ret = home_find("bin/killpoint", &programs, err);
    if (ret < 0) {
        pool_release(&pool);
        return ret;
    }
    *strrchr(programs, '/') = '\0';
    const struct placeholder values[] = {
        {"machine", run->told},
        {"cert", cert},
        {"plan", pool_format(&pool, "%s/plan.json", folder)},
        {"label", plan->label == LABEL_EGRESS ? "egress" : "pipelock"},
        {"ca_path", TRIAL_CA_PATH},
        {"bundle", TRIAL_BUNDLE},
        {"bin", programs},
        {NULL, NULL}};
    const struct sandbox_spec spec = {
        .argv = backend_argv(lab->setup->backend, lab->trial->driver, values, &pool),
        .envp = make_env(lab, &pool),
        .cwd = folder,
        .deadline_ms = scenario->run_ms,
        .no_namespaces = !lab->setup->kind->has_init};
    ret = sandbox_start(&spec, ret_sandbox, err);
    pool_release(&pool);
    return ret;
}

/* --- what is known afterwards ---------------------------------------------------------- */

static json_t *parse_line(const char *line, size_t len)
{
    return json_loadb(line, len, 0, NULL);
}

/* The journal's lines that belong to the run: on the machine it was told, within its time. */
static int read_calls(struct lab *lab, struct evidence_run *run, struct err *err)
{
    CLEANUP(io_free) char *path = io_format("%s/journal.ndjson", lab->setup->folder);
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    run->calls = json_array();
    if (access(path, F_OK) < 0)
        return 0; /* the backend called nothing */
    int ret = io_read_file(AT_FDCWD, path, &text, JOURNAL_MAX_BYTES, err);
    if (ret < 0)
        return ret;
    const char *at = buf_str(&text);
    for (const char *end; (end = strchr(at, '\n')); at = end + 1) {
        json_t *call = parse_line(at, (size_t)(end - at));
        const char *machine = json_string_value(json_object_get(call, "machine"));
        int64_t start = json_integer_value(json_object_get(call, "start_ns"));
        bool named = machine && strcmp(machine, run->told) == 0;
        bool refused = !machine && lab->n_machines == 1;
        if (call && (named || refused) && start >= run->sandbox.start_ns &&
            start <= run->sandbox.end_ns)
            json_array_append(run->calls, call);
        json_decref(call);
    }
    return 0;
}

/* How often each rule fired: the VMM says so, or has left it in writing when a rule ended it. */
static int read_rules(struct lab *lab, struct evidence_run *run, struct err *err)
{
    CLEANUP(buf_release) struct buf json = BUF_INIT;
    if (run->rules) /* already */
        return 0;
    int ret = client_report(lab->setup->folder, run->machine, &json, err);
    if (ret == -ENOTCONN) {
        /* It may be on its way out still, and the audit needs to know that it is gone. */
        ret = client_stop(lab->setup->folder, run->machine, err);
        if (ret < 0)
            return ret;
        CLEANUP(io_free) char *folder = state_machine_path(lab->setup->folder, run->machine);
        CLEANUP(io_free) char *path = io_format("%s/fired.json", folder);
        ret = io_read_file(AT_FDCWD, path, &json, 1 << 20, err);
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

/* A reference for the exact level: the final certificate, installed undisturbed. */
static int make_reference(struct lab *lab, const char *fixture, struct tree *ret_tree,
                          struct err *err)
{
    struct lab_machine *machine = &lab->machines[lab->n_machines];
    if (lab->n_machines == SCENARIO_MACHINES_MAX)
        return err_text(err, E2BIG, "no machine left for the reference");
    int ret = make_machine(lab, err);
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
        ret = make_reference(lab, fixture, &reference, err);
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
    return state_vmm_pid(lab->setup->folder, machine->name) ? 0 : boot_machine(lab, machine, err);
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

static int audit_machines(struct lab *lab, struct err *err)
{
    size_t wanted = lab->n_machines;
    lab->evidence.audits = calloc(wanted, sizeof *lab->evidence.audits);
    if (!lab->evidence.audits)
        abort();
    for (size_t i = 0; i < wanted; i++) {
        struct lab_machine *machine = &lab->machines[i];
        struct audit_report *report = &lab->evidence.audits[lab->evidence.n_audits];
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

/*
 * What ended badly is held against an undisturbed install, too, whether or not that was to be
 * judged. Where that cannot be made, the verdict stands without.
 */
static void compare_bad(struct lab *lab)
{
    json_t *checks = NULL;
    enum verdict verdict = judge(lab->scenario, &lab->evidence, &checks);
    json_decref(checks);
    if (verdict == VERDICT_PASS || verdict == VERDICT_UNSUPPORTED || is_exact(lab) ||
        lab->evidence.vm_lost || lab->n_machines != 1)
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

/* Looks at the k-th run's machine. *files: before the run, then behind it. Returns 1 when no
 * further run would tell anything new, 0 or -errno. */
static int look_after_run(struct lab *lab, size_t k, struct tree *files, struct err *err)
{
    struct evidence_run *run = &lab->evidence.runs[k];
    CLEANUP(tree_release) struct tree found = {NULL, 0};
    CLEANUP(tree_diffs_release) struct tree_diffs diffs = {.n = 1};
    run->audit = calloc(1, sizeof *run->audit);
    if (!run->audit)
        abort();
    int ret = read_rules(lab, run, err); /* the VMM says what went wrong with it */
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

static void map_status(const struct lab *lab, struct evidence_run *run)
{
    struct proc_result *proc = &run->sandbox.proc;
    run->raw_status = proc->code;
    if (proc->how == PROC_EXITED)
        proc->code = backend_status(lab->setup->backend, proc->code);
}

/* One run after the other on one machine, or all at once, each on its own. */
static int run_backends(struct lab *lab, struct err *err)
{
    struct sandbox sandboxes[SCENARIO_MACHINES_MAX];
    CLEANUP(tree_release) struct tree files = {NULL, 0};
    size_t n = lab->scenario->plan_count, started = 0, finished = 0;
    size_t at_once = lab->scenario->machines == MACHINES_EACH ? n : 1;
    int ret = 0;
    while (finished < n && ret == 0) {
        while (started < n && started < finished + at_once && ret == 0) {
            CLEANUP(io_free)
            char *folder = io_format("%s/plan%zu", lab->setup->folder, started + 1);
            sandboxes[started % SCENARIO_MACHINES_MAX] = (struct sandbox)SANDBOX_INIT;
            ret = trial_input_write(&lab->scenario->plans[started], lab->setup->fixtures_path,
                                    folder, err);
            if (ret == 0)
                ret = start_backend(lab, started, folder,
                                    &sandboxes[started % SCENARIO_MACHINES_MAX], err);
            started += ret == 0;
        }
        if (ret == 0)
            ret = sandbox_finish(&sandboxes[finished % SCENARIO_MACHINES_MAX],
                                 &lab->evidence.runs[finished].sandbox, err);
        if (ret == 0) {
            map_status(lab, &lab->evidence.runs[finished]);
            sandbox_release(&sandboxes[finished++ % SCENARIO_MACHINES_MAX]);
        } else
            err_wrap(err, ret, "backend");
        if (ret < 0 || !lab->trial->until_good)
            continue;
        ret = look_after_run(lab, finished - 1, &files, err);
        if (ret == 1)
            n = lab->evidence.n_runs = finished;
        ret = ret < 0 ? ret : 0;
    }
    while (finished < started)
        sandbox_release(&sandboxes[finished++ % SCENARIO_MACHINES_MAX]);
    return ret;
}

/* --- the whole ------------------------------------------------------------------------- */

static int play(struct lab *lab, struct err *err)
{
    size_t n = lab->scenario->plan_count;
    int64_t start_ms = io_now_ms();
    int ret = layout_open(lab->trial->layout, &lab->layout, err);
    if (ret == 0)
        ret = make_folder(lab, err);
    if (ret == 0)
        ret = make_machines(lab, err);
    lab->evidence.runs = calloc(n, sizeof *lab->evidence.runs);
    if (!lab->evidence.runs)
        abort();
    lab->evidence.n_runs = n;
    if (ret == 0)
        ret = run_backends(lab, err);
    for (size_t k = 0; k < lab->evidence.n_runs && ret == 0; k++) {
        /* First the VMM is asked: it may still have a killed client's line to write. */
        ret = read_rules(lab, &lab->evidence.runs[k], err);
        if (ret == 0)
            ret = read_calls(lab, &lab->evidence.runs[k], err);
    }
    int64_t audit_ns = io_now_ns();
    if (ret == 0)
        ret = audit_machines(lab, err);
    if (ret == 0 && lab->setup->compares_bad)
        compare_bad(lab);
    lab->evidence.audit_ms = (double)(io_now_ns() - audit_ns) / 1e6;
    lab->evidence.ms = io_now_ms() - start_ms;
    return ret;
}

int trial_run(const struct trial_setup *setup, const struct trial *trial,
              struct evidence *ret_evidence, struct err *err)
{
    CLEANUP(lab_release)
    struct lab lab = {.setup = setup,
                      .trial = trial,
                      .scenario = trial->scenario,
                      .owner_read_fd = -1,
                      .owner_write_fd = -1};
    int ret = play(&lab, err);
    if (ret < 0)
        return ret;
    *ret_evidence = lab.evidence;
    lab.evidence = (struct evidence){.runs = NULL};
    return 0;
}

int trial_reference(const struct trial_setup *setup, const struct trial *trial,
                    struct tree *ret_reference, struct err *err)
{
    CLEANUP(lab_release)
    struct lab lab = {.setup = setup,
                      .trial = trial,
                      .scenario = trial->scenario,
                      .owner_read_fd = -1,
                      .owner_write_fd = -1};
    int ret = layout_open(trial->layout, &lab.layout, err);
    if (ret == 0)
        ret = make_folder(&lab, err);
    if (ret == 0)
        ret = open_owner_pipe(&lab, err);
    size_t last = trial->scenario->plan_count - 1;
    return ret < 0 ? ret
                   : make_reference(&lab, trial->scenario->plans[last].chosen, ret_reference, err);
}
