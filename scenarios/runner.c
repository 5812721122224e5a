#include "runner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fakes/client.h"
#include "../fakes/container.h"
#include "../fakes/layout.h"
#include "../fakes/state.h"
#include "../fault/home.h"
#include "../fault/offspring.h"
#include "audit.h"
#include "lanes.h"
#include "needs.h"
#include "trial_event.h"
#include "trial_run.h"

#define FLIGHT_DEFAULT 4
#define PROGRESS_MS 200
#define REMOVE_DEADLINE_MS 5000
#define RESULT_MAX_BYTES (16u << 20)
#define RESULT_TEXT_MAX                                                                            \
    (64u << 10) /* of one text, where a result is longer; then half of it, …                     \
                 */
#define RESULT_TEXT_MIN 512

struct worker {
    struct runner *runner;
    struct lane *lane;
    const struct trial *trial;
    pid_t pid;
    struct watch watch;
    struct buf line;
    struct worker *next;
};

struct runner {
    const struct run_options *options;
    struct run_outcome *outcome;
    struct loop loop;
    struct lanes lanes;
    struct timer progress;
    char *state_path, *folder, *fixtures;
    char *copies; /* NULL: machines are no copied trees */
    int lock_fd;
    pid_t pid;                /* our own */
    struct audit_known known; /* for the audits of all trials */
    struct worker *workers;
    size_t in_flight, next, done, bad;
};

bool verdict_is_fine(enum verdict verdict)
{
    return verdict == VERDICT_PASS || verdict == VERDICT_XFAIL || verdict == VERDICT_SKIP ||
           verdict == VERDICT_UNSUPPORTED;
}

/* No namespace ends who is left, so this process and those of trials do. */
static bool is_copied(const struct runner *runner)
{
    return runner->options->kind == &container_copied;
}

/* --- the folder ------------------------------------------------------------------ */

static int take_lock(const char *folder, int *ret_fd)
{
    CLEANUP(io_free) char *path = io_format("%s/lock", folder);
    return io_lock_file(AT_FDCWD, path, O_CREAT, ret_fd);
}

static void stop_machines(const char *state_path)
{
    char **names = NULL;
    if (state_list(state_path, &names, NULL) < 0)
        return;
    for (char **name = names; *name; name++)
        client_stop(state_path, *name, NULL);
    io_free_list(&names);
}

static void for_each_below(const char *folder, char initial, void (*visit)(const char *path))
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    while (dir && (entry = readdir(dir)))
        if (entry->d_name[0] == initial) {
            CLEANUP(io_free) char *path = io_format("%s/%s", folder, entry->d_name);
            visit(path);
        }
    if (dir)
        closedir(dir);
}

static void stop_lane(const char *folder)
{
    for_each_below(folder, 't', stop_machines);
}

/* Stops the machines of every trial folder, which end by themselves anyway. */
static void stop_run(const char *folder)
{
    for_each_below(folder, 'l', stop_lane); /* and `lock`, which is no folder */
}

/* A machine that a killed trial had only begun to boot may still add a file meanwhile. */
static void remove_run(const char *folder)
{
    int64_t deadline_ms = io_now_ms() + REMOVE_DEADLINE_MS;
    stop_run(folder);
    while (io_remove_tree(AT_FDCWD, folder, NULL) < 0 && io_now_ms() < deadline_ms) {
        poll(NULL, 0, 1);
        stop_run(folder);
    }
}

/* What a killed run left, perhaps before it was renamed: its lock is free. */
static void remove_stale_runs(const char *state_path)
{
    DIR *dir = opendir(state_path);
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        if (strncmp(entry->d_name, "run-", 4) != 0)
            continue;
        CLEANUP(io_free) char *path = io_format("%s/%s", state_path, entry->d_name);
        CLEANUP(io_close) int lock_fd = -1;
        if (take_lock(path, &lock_fd) == 0)
            remove_run(path);
    }
    if (dir)
        closedir(dir);
}

static int make_run_folder(struct runner *runner, struct err *err)
{
    int ret = state_find(&runner->state_path, err);
    if (ret < 0)
        return ret;
    /* A folder that is made but not yet locked looks stale: so one run at a time does this. */
    CLEANUP(io_close) int state_fd = -1;
    ret = state_lock(runner->state_path, &state_fd, err);
    if (ret < 0)
        return ret;
    if (strchr(runner->state_path, ':'))
        return err_text(err, EINVAL,
                        "the state folder %s: a ':' in it would make certificates' paths look like "
                        "MACHINE:PATH to the driver",
                        runner->state_path);
    remove_stale_runs(runner->state_path);
    runner->folder = io_format("%s/run-%d", runner->state_path, (int)getpid());
    ret = io_make_dirs(runner->folder, 0700, err);
    if (ret == 0 && (ret = take_lock(runner->folder, &runner->lock_fd)) < 0)
        ret = err_set(err, -ret, "lock %s", runner->folder);
    const char *copies = runner->options->copies_path;
    if (is_copied(runner))
        runner->copies = copies ? io_format("%s", copies) : io_format("%s/copies", runner->folder);
    if (ret == 0 && runner->copies)
        ret = io_make_dirs(runner->copies, 0700, err);
    if (ret == 0)
        ret = home_find("scenarios/fixtures", &runner->fixtures, err);
    return ret;
}

/* --- one trial, in its own process -------------------------------------------------- */

static json_t *play(const struct runner *runner, const struct trial *trial, const char *folder)
{
    const struct trial_setup setup = {folder,
                                      runner->fixtures,
                                      runner->options->backend,
                                      &runner->known,
                                      runner->options->kind,
                                      runner->copies,
                                      runner->options->compares_bad};
    CLEANUP(evidence_release) struct evidence evidence = {.runs = NULL};
    struct err err;
    int ret = trial_run(&setup, trial, &evidence, &err);
    if (ret < 0) {
        json_t *event = trial_event(trial, VERDICT_ERROR);
        json_object_set_new(event, "error", trial_event_text(err.msg, strlen(err.msg)));
        json_object_set_new(event, "folder", json_string(folder));
        return event;
    }
    json_t *checks = NULL;
    enum verdict verdict = judge(trial->scenario, &evidence, &checks);
    json_t *event = trial_event(trial, verdict);
    json_object_set_new(event, "ms", json_integer(evidence.ms));
    if (verdict == VERDICT_ERROR)
        json_object_set_new(event, "error", json_string("the backend says that it is broken (99)"));
    if (verdict == VERDICT_UNSUPPORTED)
        json_object_set_new(event, "reason", json_string("the backend says so (77)"));
    json_object_set_new(event, "folder", json_string(folder));
    json_object_set_new(event, "checks", checks);
    trial_event_add_evidence(event, &evidence);
    return event;
}

static void worker_main(struct runner *runner, const struct lane *lane, const struct trial *trial,
                        size_t number, int fd)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != runner->pid)
        _exit(1);
    loop_release(&runner->loop);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    CLEANUP(io_free) char *folder = io_format("%s/t%zu", lane->folder, number);
    lane_stay(lane);
    if (is_copied(runner))
        offspring_adopt(true, NULL);
    json_t *event = play(runner, trial, folder);
    if (is_copied(runner))
        offspring_end();
    enum verdict verdict = verdict_parse(json_string_value(json_object_get(event, "verdict")));
    if (runner->options->keep == KEEP_ALL ||
        (runner->options->keep == KEEP_BAD && !verdict_is_fine(verdict))) {
        CLEANUP(io_free)
        char *kept = io_format("%s/kept-%d-%zu", runner->state_path, (int)getppid(), number);
        if (rename(folder, kept) == 0)
            json_object_set_new(event, "kept", json_string(kept));
    } else
        io_remove_tree(AT_FDCWD, folder, NULL);
    char *line = trial_event_dump(event, RESULT_MAX_BYTES);
    int ret = line ? io_write_all(fd, line, strlen(line)) : -EINVAL;
    free(line);
    json_decref(event);
    _exit(ret == 0 ? 0 : 1);
}

/* --- all trials ----------------------------------------------------------------------- */

static void count(struct runner *runner, json_t *event)
{
    enum verdict verdict = verdict_parse(json_string_value(json_object_get(event, "verdict")));
    runner->outcome->counts[verdict]++;
    runner->done++;
    runner->bad += !verdict_is_fine(verdict);
    runner->options->on_event(runner->options->context, event);
    json_decref(event);
}

/* Why, in the words of the expectation list. */
static void add_reason(json_t *event, const struct expectation *entry)
{
    json_object_set_new(event, "reason", json_string(entry->reason));
    json_object_set_new(event, "ref", json_string(entry->ref));
}

/* The backend's expectation list has the last word on a trial that was played. */
static void apply_expectations(struct runner *runner, const struct trial *trial, json_t *event)
{
    enum verdict verdict = verdict_parse(json_string_value(json_object_get(event, "verdict")));
    if (verdict == VERDICT_ERROR || verdict == VERDICT_UNRESOLVED || verdict == VERDICT_UNSUPPORTED)
        return;
    json_t *checks = json_object_get(event, "checks"), *check;
    const char **failing = calloc(json_array_size(checks) + 1, sizeof *failing);
    if (!failing)
        abort();
    size_t index, n = 0;
    bool unfired = false;
    json_array_foreach(checks, index, check)
    {
        const char *id = json_string_value(json_object_get(check, "id"));
        unfired |= strcmp(id, "fired") == 0 &&
                   strcmp(json_string_value(json_object_get(check, "result")), "fail") == 0;
        /* What is known to fail must not hide a process that is left over. */
        if ((json_is_true(json_object_get(check, "decides")) || strcmp(id, "processes") == 0) &&
            strcmp(json_string_value(json_object_get(check, "result")), "fail") == 0)
            failing[n++] = id;
    }
    const struct expectation *entry = NULL;
    enum outcome outcome = expectations_apply(&runner->options->backend->expectations, trial,
                                              verdict != VERDICT_PASS, failing, &entry);
    free(failing);
    if (outcome == OUTCOME_AS_IS)
        return;
    if (unfired && trial->scenario->expect.fired == FIRED_ALL) {
        /* What is known to fail did, but not for the fault's sake. */
        json_object_set_new(event, "verdict", json_string(verdict_name(VERDICT_UNRESOLVED)));
        return;
    }
    json_object_set_new(event, "original_verdict", json_string(verdict_name(verdict)));
    json_object_set_new(
        event, "verdict",
        json_string(verdict_name(outcome == OUTCOME_XFAIL ? VERDICT_XFAIL : VERDICT_XPASS)));
    if (entry)
        add_reason(event, entry);
    if (entry && outcome == OUTCOME_XPASS)
        trial_event_set_place(event, runner->options->backend->expectations.path, entry->line);
}

static void start_trials(struct runner *runner);

static void worker_done(struct worker *worker, int status)
{
    struct runner *runner = worker->runner;
    const struct trial *trial = worker->trial;
    json_t *event = json_loadb(buf_str(&worker->line), worker->line.len, JSON_ALLOW_NUL, NULL);
    if (!event || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        json_decref(event);
        event = trial_event(trial, VERDICT_ERROR);
        CLEANUP(io_free)
        char *text = WIFSIGNALED(status)
                         ? io_format("the trial's process died of signal %d", WTERMSIG(status))
                         : io_format("the trial's process sent no result");
        json_object_set_new(event, "error", json_string(text));
    }
    for (struct worker **at = &runner->workers; *at; at = &(*at)->next)
        if (*at == worker) {
            *at = worker->next;
            break;
        }
    int fd = worker->watch.fd;
    loop_unwatch(&runner->loop, &worker->watch);
    io_close(&fd);
    buf_release(&worker->line);
    worker->lane->in_flight--;
    free(worker);
    runner->in_flight--;
    if (runner->outcome->interrupted) {
        json_decref(event);
        if (runner->in_flight == 0)
            loop_stop(&runner->loop);
        return;
    }
    apply_expectations(runner, trial, event);
    count(runner, event);
    start_trials(runner);
}

static void read_worker(struct worker *worker)
{
    char chunk[65536];
    ssize_t n;
    while ((n = read(worker->watch.fd, chunk, sizeof chunk)) > 0)
        if (worker->line.len < RESULT_MAX_BYTES)
            buf_append(&worker->line, chunk, (size_t)n);
    if (n == 0) { /* the status comes by itself */
        int fd = worker->watch.fd;
        loop_unwatch(&worker->runner->loop, &worker->watch);
        io_close(&fd);
    }
}

static void on_worker(struct loop *loop, struct watch *watch, unsigned events)
{
    (void)loop, (void)events;
    read_worker(container_of(watch, struct worker, watch));
}

static void on_child(struct loop *loop, pid_t pid, int status)
{
    struct runner *runner = container_of(loop, struct runner, loop);
    for (struct worker *worker = runner->workers; worker; worker = worker->next)
        if (worker->pid == pid && !WIFSTOPPED(status)) {
            if (worker->watch.fd >= 0)
                read_worker(worker);
            worker_done(worker, status);
            return;
        }
}

static void on_signal(struct loop *loop, int signum)
{
    (void)signum;
    struct runner *runner = container_of(loop, struct runner, loop);
    runner->outcome->interrupted = true;
    for (struct worker *worker = runner->workers; worker; worker = worker->next)
        kill(worker->pid, SIGKILL); /* its backend and machines end with it */
    if (runner->in_flight == 0)
        loop_stop(loop);
}

static int start_worker(struct runner *runner, const struct trial *trial, struct err *err)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return err_set(err, errno, "pipe");
    struct lane *lane = lanes_emptiest(&runner->lanes);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(fds[0]);
        worker_main(runner, lane, trial, runner->next, fds[1]);
    }
    close(fds[1]);
    if (pid < 0) {
        int ret = err_set(err, errno, "fork");
        close(fds[0]);
        return ret;
    }
    struct worker *worker = calloc(1, sizeof *worker);
    if (!worker)
        abort();
    *worker = (struct worker){.runner = runner,
                              .lane = lane,
                              .trial = trial,
                              .pid = pid,
                              .watch = {-1, on_worker},
                              .next = runner->workers};
    runner->workers = worker;
    lane->in_flight++;
    runner->in_flight++;
    io_set_nonblock(fds[0]);
    loop_watch(&runner->loop, &worker->watch, fds[0], EPOLLIN);
    return 0;
}

/* A trial that is not played: true when it was counted. */
static bool leave_out(struct runner *runner, const struct trial *trial)
{
    const struct backend *backend = runner->options->backend;
    const struct expectation *skip = expectations_skip(&backend->expectations, trial);
    const char *lacks = backend_lacks(backend, trial->scenario);
    const char *needs = is_copied(runner) ? needs_of_machine(trial) : NULL;
    if (!skip && !lacks && !needs && backend->command[trial->driver])
        return false;
    json_t *event = trial_event(trial, skip ? VERDICT_SKIP : VERDICT_UNSUPPORTED);
    CLEANUP(io_free)
    char *reason = lacks   ? io_format("the backend has not: %s", lacks)
                   : needs ? io_format("machines are copied trees here, and this needs %s", needs)
                           : io_format("the backend has no command for this driver");
    if (skip)
        add_reason(event, skip);
    else
        json_object_set_new(event, "reason", json_string(reason));
    count(runner, event);
    return true;
}

static void start_trials(struct runner *runner)
{
    const struct trials *trials = runner->options->trials;
    int64_t deadline_ms = runner->options->deadline_ms;
    unsigned flight = runner->options->flight ? runner->options->flight : FLIGHT_DEFAULT;
    if (deadline_ms && io_now_ms() >= deadline_ms)
        runner->next = trials->count;
    while (runner->next < trials->count &&
           runner->in_flight < (size_t)runner->options->jobs * flight) {
        const struct trial *trial = &trials->items[runner->next++];
        struct err err;
        if (leave_out(runner, trial) || start_worker(runner, trial, &err) == 0)
            continue;
        json_t *event = trial_event(trial, VERDICT_ERROR);
        json_object_set_new(event, "error", trial_event_text(err.msg, strlen(err.msg)));
        count(runner, event);
    }
    if (runner->in_flight == 0)
        loop_stop(&runner->loop);
}

/* Once, so that the audits of all trials need not parse the same roots again. */
static void learn_layouts(struct runner *runner)
{
    const struct trials *trials = runner->options->trials;
    for (size_t i = 0; i < trials->count; i++) {
        CLEANUP(layout_release) struct layout layout = LAYOUT_INIT;
        bool seen = false;
        for (size_t j = 0; j < i && !seen; j++)
            seen = strcmp(trials->items[i].layout, trials->items[j].layout) == 0;
        if (seen || layout_open(trials->items[i].layout, &layout, NULL) < 0)
            continue; /* what is not built is the trial's error to report */
        for (char **layer = layout.layers; *layer; layer++)
            audit_learn(*layer, &runner->known);
    }
}

/* Likewise, so that not each trial's server needs a certificate of its own. */
static void learn_cas(struct runner *runner)
{
    const struct trials *trials = runner->options->trials;
    for (size_t i = 0; i < trials->count; i++) {
        const struct scenario *scenario = trials->items[i].scenario;
        for (size_t k = 0; k < scenario->plan_count; k++) {
            CLEANUP(buf_release) struct buf ca = BUF_INIT;
            CLEANUP(buf_release) struct buf key = BUF_INIT;
            const char *fixture = scenario->plans[k].chosen;
            if (trial_read_ca(runner->fixtures, fixture, &ca, &key, NULL) == 0 && key.len > 0)
                audit_learn_ca(&ca, &key, &runner->known);
        }
    }
}

static void on_progress(struct loop *loop, struct timer *timer)
{
    struct runner *runner = container_of(timer, struct runner, progress);
    runner->options->on_progress(runner->options->context, runner->done,
                                 runner->options->trials->count, runner->bad);
    loop_set_timer(loop, timer, io_now_ms() + PROGRESS_MS);
}

static void runner_release(struct runner *runner)
{
    if (is_copied(runner)) {
        offspring_end();
        offspring_adopt(false, NULL);
    }
    audit_known_release(&runner->known);
    lanes_close(&runner->lanes);
    loop_release(&runner->loop);
    if (runner->folder && runner->lock_fd >= 0)
        remove_run(runner->folder);
    io_close(&runner->lock_fd);
    free(runner->state_path);
    free(runner->folder);
    free(runner->fixtures);
    free(runner->copies);
}

int runner_choose_kind(const struct container_kind **ret_kind, struct err *ret_why)
{
    CLEANUP(io_free) char *state_path = NULL;
    struct err err;
    int ret = state_find(&state_path, ret_why);
    if (ret < 0)
        return ret;
    const struct container_kind *kind = container_choose(state_path, ret_why);
    ret = kind->check_place(state_path, &err);
    if (ret < 0) {
        *ret_why = err;
        return -ENOTSUP;
    }
    *ret_kind = kind;
    return 0;
}

int runner_run(const struct run_options *options, struct run_outcome *ret_outcome, struct err *err)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, 0};
    CLEANUP(runner_release)
    struct runner runner = {
        .options = options, .outcome = ret_outcome, .lock_fd = -1, .pid = getpid()};
    runner.loop.epoll_fd = runner.loop.signal_fd = -1;
    runner.progress.fire = on_progress;
    int ret = is_copied(&runner) ? offspring_adopt(true, err) : 0;
    if (ret == 0)
        ret = loop_init(&runner.loop, on_child, signals, on_signal, err);
    if (ret == 0) /* no signal can end us from here on, so the folder is removed again */
        ret = make_run_folder(&runner, err);
    if (ret == 0)
        ret = lanes_open(&runner.lanes, &runner.loop, runner.folder, options->jobs, options->pins,
                         err);
    if (ret < 0)
        return ret;
    if (options->on_progress)
        loop_set_timer(&runner.loop, &runner.progress, io_now_ms() + PROGRESS_MS);
    learn_layouts(&runner);
    learn_cas(&runner);
    start_trials(&runner);
    return loop_run(&runner.loop, err);
}
