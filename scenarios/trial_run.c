#include "trial_lab.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../fakes/client.h"
#include "../fakes/container.h"
#include "../fakes/state.h"
#include "../fault/home.h"
#include "prestate.h"
#include "trial_input.h"

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

/* The trial's own name for it, and the way from there to its machines (state.h), so that nothing
 * hangs on the environment. */
static int link_driver(const char *folder, const char *name, struct err *err)
{
    CLEANUP(io_free) char *program = NULL;
    CLEANUP(io_free) char *place = io_format("fakes/%s", name);
    CLEANUP(io_free) char *driver = io_format("%s/bin/%s", folder, name);
    CLEANUP(io_free) char *state = io_format("%s/bin/" STATE_LINK, folder);
    int ret = home_find(place, &program, err);
    if (ret < 0)
        return ret;
    if ((symlink(program, driver) < 0 && errno != EEXIST) ||
        (symlink("..", state) < 0 && errno != EEXIST))
        return err_set(err, errno, "make the driver's links in %s/bin", folder);
    return 0;
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
    return link_driver(folder, lab->trial->driver == DRIVER_DOCKER ? "docker" : "smolvm", err);
}

/* --- the machines ----------------------------------------------------------------- */

int lab_boot_machine(struct lab *lab, struct lab_machine *machine, struct err *err)
{
    const struct boot boot = {.kind = lab->setup->kind,
                              .state_path = lab->setup->folder,
                              .name = machine->name,
                              .owner_fd = lab->owner_read_fd};
    int ret = client_boot(&boot, &machine->vmm_pid, err);
    machine->booted = ret == 0;
    return ret;
}

int lab_make_machine(struct lab *lab, struct err *err)
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
        ret = lab_boot_machine(lab, machine, err);
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
        ret = lab_make_machine(lab, err);
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
    const char **env = pool_alloc(pool, count + extra + 8, sizeof *env);
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
    /* For who calls the driver by another name than ours. */
    env[used++] = pool_format(pool, "SMOLVM_DATA_DIR=%s", folder);
    const char *layouts = getenv("KILLPOINT_LAYOUTS");
    CLEANUP(io_free) char *absolute = layouts ? realpath(layouts, NULL) : NULL;
    if (absolute) /* a machine that is started anew needs them */
        env[used++] = pool_format(pool, "KILLPOINT_LAYOUTS=%s", absolute);
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
        ret = lab_look_after_run(lab, finished - 1, &files, err);
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
        ret = lab_read_rules(lab, &lab->evidence.runs[k], err);
        if (ret == 0)
            ret = lab_read_calls(lab, &lab->evidence.runs[k], err);
    }
    int64_t audit_ns = io_now_ns();
    if (ret == 0)
        ret = lab_audit_machines(lab, err);
    if (ret == 0 && lab->setup->compares_bad)
        lab_compare_bad(lab);
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
    return ret < 0
               ? ret
               : lab_make_reference(&lab, trial->scenario->plans[last].chosen, ret_reference, err);
}
