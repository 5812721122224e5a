#include "vmm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "call_client.h"
#include "upper.h"
#include "vmm_rules.h"

#define EXIT_DEADLINE_MS 5000
#define KILL_AGAIN_MS 20

/* What the boot tells its starter, through stdout. */
static void tell(const struct buf *pairs)
{
    io_write_all(STDOUT_FILENO, pairs->data, pairs->len);
}

static void tell_result(int ret, const struct err *err, const struct reply *forced)
{
    CLEANUP(buf_release) struct buf pairs = BUF_INIT;
    if (forced->killed)
        wire_pair(&pairs, "killed", "");
    if (forced->status >= 0) {
        wire_pair_number(&pairs, "status", forced->status);
        wire_pair(&pairs, "text", buf_str(&forced->err));
    }
    if (forced->rules_json.len > 0)
        wire_pair(&pairs, "rules", buf_str(&forced->rules_json));
    if (ret == 0)
        wire_pair(&pairs, "ready", "");
    else {
        wire_pair(&pairs, "error", err->msg);
        wire_pair_number(&pairs, "errno", -ret);
    }
    tell(&pairs);
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(null_fd, STDOUT_FILENO);
    io_close(&null_fd);
}

/* --- the VMM ------------------------------------------------------------------- */

void vmm_synced(struct vmm *vmm)
{
    struct err err;
    if (vmm->loses_files && upper_save(vmm->machine_fd, &err) < 0)
        vmm->distrust = err;
}

/* --- the main command ------------------------------------------------------------ */

static int start_main(struct vmm *vmm, struct err *err)
{
    unlinkat(vmm->machine_fd, STATE_MAIN_OVER, 0);
    int ret = guest_start_main(&vmm->guest, err);
    vmm->main_started_ms = io_now_ms();
    return ret;
}

/* Everybody of the machine but the VMM. Returns whether nobody is left. */
static bool end_guests(struct vmm *vmm)
{
    int64_t deadline_ms = io_now_ms() + EXIT_DEADLINE_MS;
    vmm->kind->kill_all();
    bool left = loop_reap(&vmm->loop);
    while (left && io_now_ms() < deadline_ms) {
        left = loop_reap_until(&vmm->loop, io_now_ms() + KILL_AGAIN_MS);
        vmm->kind->kill_all();
    }
    return !left;
}

/* The first process of a namespace is reaped last, after the traced ones that joined it. Where
 * there is none, those that would have joined it end. */
static int end_main(struct vmm *vmm, struct err *err)
{
    int64_t deadline_ms = io_now_ms() + EXIT_DEADLINE_MS;
    if (!vmm->kind->has_init)
        return end_guests(vmm) ? 0 : err_text(err, ETIMEDOUT, "the machine's processes do not end");
    vmm_kill_main(vmm);
    loop_reap(&vmm->loop);
    while (vmm->guest.main_pid > 0) {
        if (io_now_ms() >= deadline_ms)
            return err_text(err, ETIMEDOUT, "the main command does not end");
        loop_reap_until(&vmm->loop, deadline_ms);
    }
    return 0;
}

int vmm_replace_files(struct vmm *vmm, const struct replay *replay, struct err *err)
{
    int ret = end_main(vmm, err);
    if (ret == 0)
        ret = vmm->kind->unmount(vmm->machine_fd, &vmm->layout, err);
    if (ret == 0)
        ret = replay_place(replay, vmm->machine_fd, err);
    if (ret == 0)
        ret = vmm->kind->mount(vmm->machine_fd, &vmm->layout, &vmm->record, err);
    return ret < 0 ? ret : start_main(vmm, err);
}

static bool in_call(const struct vmm *vmm)
{
    for (const struct call *call = vmm->calls; call; call = call->next)
        if (call->request.len > 0 && !call->client_gone && call->state != CALL_REPLIED)
            return true;
    return false;
}

int vmm_arm(struct vmm *vmm, const char *rules, struct recording *recording,
            struct replays *replays, struct err *err)
{
    struct record record = {0};
    CLEANUP(faults_release) struct faults armed = FAULTS_INIT;
    if (in_call(vmm)) /* it counts by the rules that are armed */
        return err_text(err, EBUSY, "a call to the machine has not ended");
    int ret = vmm_parse_faults(vmm, &armed, rules, err);
    if (ret == 0)
        ret = state_read(vmm->state_path, vmm->record.name, &record, err);
    if (ret < 0)
        return ret;
    /* Nobody who has lived by other rules goes on by these; and what is read-only is so from a
     * container's beginning. */
    bool restart = !vmm->guest.untouched || (record.read_only && *record.read_only);
    ret = restart ? end_main(vmm, err) : 0;
    if (ret < 0) {
        record_release(&record);
        return ret;
    }
    for (struct engine_tree *tree = vmm->engine.trees; tree; tree = tree->next)
        tree->rules = NULL;
    vmm_clear_alarms(vmm, &vmm->armed);
    recording_release(&vmm->recording);
    vmm->recording = *recording;
    *recording = (struct recording)RECORDING_INIT;
    replays_release(&vmm->replays);
    vmm->replays = *replays;
    replays->count = 0;
    struct faults old = vmm->armed;
    vmm->armed = armed;
    armed = old;
    record_release(&vmm->record);
    vmm->record = record;
    memset(vmm->counts, 0, sizeof vmm->counts);
    vmm->loses_files = faults_may_lose_files(&vmm->armed);
    vmm_synced(vmm);
    if (restart)
        return start_main(vmm, err);
    vmm->main_started_ms = io_now_ms();
    return 0;
}

static void on_child(struct loop *loop, pid_t pid, int status)
{
    struct vmm *vmm = container_of(loop, struct vmm, loop);
    if (engine_status(&vmm->engine, pid, status) == TRACER_TAKEN)
        return;
    if (pid == vmm->guest.main_pid) {
        guest_main_ended(&vmm->guest);
        CLEANUP(io_close)
        int over_fd =
            openat(vmm->machine_fd, STATE_MAIN_OVER, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        (void)over_fd;
        return;
    }
    for (struct call *call = vmm->calls; call; call = call->next)
        if (call_child_ended(call, pid, status))
            return;
}

static void on_listener(struct loop *loop, struct watch *watch, unsigned events)
{
    (void)events;
    int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        call_start(container_of(loop, struct vmm, loop), fd);
}

static void on_owner(struct loop *loop, struct watch *watch, unsigned events)
{
    char byte;
    if ((events & EPOLLIN) && read(watch->fd, &byte, 1) > 0)
        return;
    loop_stop(loop);
}

static int boot(struct vmm *vmm, bool owned, struct err *err)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "smolvm-vmm");
    if (fchdir(vmm->machine_fd) < 0)
        return err_set(err, errno, "enter the machine's folder");
    int ret = vmm->kind->settle(&vmm->record, err);
    if (ret == 0)
        ret = vmm->kind->mount(vmm->machine_fd, &vmm->layout, &vmm->record, err);
    if (ret == 0)
        ret = loop_init(&vmm->loop, on_child, NULL, NULL, err);
    engine_init(&vmm->engine, &vmm->loop);
    if (ret == 0)
        ret = guest_init(&vmm->guest, vmm->kind, &vmm->record, err);
    if (ret == 0)
        ret = start_main(vmm, err);
    if (ret < 0)
        return ret;
    int listen_fd = wire_listen(vmm->machine_fd, "sock");
    if (listen_fd < 0)
        return err_set(err, -listen_fd, "listen on the machine's socket");
    vmm->listener = (struct watch){-1, on_listener};
    vmm->owner = (struct watch){-1, on_owner};
    loop_watch(&vmm->loop, &vmm->listener, listen_fd, EPOLLIN);
    if (owned)
        loop_watch(&vmm->loop, &vmm->owner, STDIN_FILENO, EPOLLIN);
    return 0;
}

/* The first rule on `start` at this place. Returns whether the start is to end here. */
static bool start_rule(struct vmm *vmm, enum rule_place place, struct reply *forced)
{
    size_t at = 0;
    int index = faults_next(&vmm->armed, RULE_START, 1, place, &at);
    if (index < 0)
        return false;
    const struct rule *rule = &vmm->armed.set.rules[index];
    struct timespec delay = {rule->delay_ms / 1000, rule->delay_ms % 1000 * 1000000};
    vmm_apply_rule(vmm, &vmm->armed, index, forced);
    if (rule->action == RULE_DELAY)
        nanosleep(&delay, NULL);
    return place == RULE_BEGIN && forced->status >= 0;
}

/* --- stopping ------------------------------------------------------------------ */

static void answer_stopper(struct vmm *vmm, const struct reply *forced, bool ends)
{
    CLEANUP(buf_release) struct buf answer = BUF_INIT;
    CLEANUP(buf_release) struct buf rules = BUF_INIT;
    if (forced->killed)
        wire_pair(&answer, "killed", "");
    if (forced->status >= 0) {
        wire_pair_number(&answer, "status", forced->status);
        wire_pair(&answer, "text", buf_str(&forced->err));
    }
    if (!ends)
        wire_pair(&answer, "runs", "");
    faults_print_json(vmm_stopping_faults(vmm), &rules);
    wire_pair(&answer, "rules", buf_str(&rules));
    if (vmm->stopper) {
        call_client_send(vmm->stopper, WIRE_REPLY, answer.data, answer.len);
        call_client_flush(vmm->stopper);
    }
}

/* Returns for how long the rule at this place holds the stop, 0 for not at all. */
static int64_t stop_rule(struct vmm *vmm, enum rule_place place, struct reply *forced)
{
    struct faults *faults = vmm_stopping_faults(vmm);
    size_t at = 0;
    int index = faults_next(faults, RULE_STOP, 1, place, &at);
    if (index < 0)
        return 0;
    vmm_apply_rule(vmm, faults, index, forced);
    return faults->set.rules[index].delay_ms;
}

static void finish_stop(struct vmm *vmm, const struct reply *forced)
{
    answer_stopper(vmm, forced, true);
    loop_stop(&vmm->loop);
}

static void on_end_delay_over(struct loop *loop, struct timer *timer)
{
    (void)timer;
    struct reply none = REPLY_INIT;
    none.status = -1;
    finish_stop(container_of(loop, struct vmm, loop), &none);
}

static void on_stopping(struct loop *loop, struct timer *timer)
{
    struct vmm *vmm = container_of(loop, struct vmm, loop);
    struct reply forced = REPLY_INIT;
    struct err err;
    forced.status = -1;
    end_main(vmm, &err);
    vmm_synced(vmm);
    int64_t delay_ms = stop_rule(vmm, RULE_END, &forced);
    timer->fire = on_end_delay_over;
    if (delay_ms > 0)
        loop_set_timer(loop, timer, io_now_ms() + delay_ms);
    else
        finish_stop(vmm, &forced);
    reply_release(&forced);
}

void vmm_stop(struct vmm *vmm, struct call *call, const char *text)
{
    struct reply forced = REPLY_INIT;
    struct err err;
    if (vmm->stops) /* it ends for both */
        return;
    forced.status = -1;
    vmm->stopper = call;
    vmm->stopping.fire = on_stopping;
    int64_t delay_ms = 0;
    if (*text && vmm_take_faults(vmm, &vmm->stop_faults, text, &err) < 0) {
        forced.status = 1;
        buf_printf(&forced.err, "Error: agent operation failed: stop: %s\n", err.msg);
    } else
        delay_ms = stop_rule(vmm, RULE_BEGIN, &forced);
    if (forced.status >= 0 || forced.killed) {
        answer_stopper(vmm, &forced, false);
        vmm->stopper = NULL;
        faults_release(&vmm->stop_faults);
    } else {
        vmm->stops = true;
        vmm_set_alarms(vmm, vmm_stopping_faults(vmm), RULE_STOP, io_now_ms());
        loop_set_timer(&vmm->loop, &vmm->stopping, io_now_ms() + delay_ms);
    }
    reply_release(&forced);
}

/* Boots as far as the rules on `start` let it, and tells the starter. */
static int start(struct vmm *vmm, const char *rules, bool owned)
{
    struct err err;
    struct reply forced = REPLY_INIT;
    forced.status = -1;
    unlinkat(vmm->machine_fd, "fired.json", 0); /* of an earlier run */
    int ret = vmm_parse_faults(vmm, &vmm->armed, rules, &err);
    int64_t began_ms = io_now_ms();
    if (ret == 0 && start_rule(vmm, RULE_BEGIN, &forced))
        ret = err_text(&err, ECANCELED, "a rule keeps the machine from starting");
    if (ret == 0)
        ret = boot(vmm, owned, &err);
    if (ret == 0) {
        vmm->loses_files = faults_may_lose_files(&vmm->armed);
        vmm_synced(vmm);
        vmm_set_alarms(vmm, &vmm->armed, RULE_START, began_ms);
        start_rule(vmm, RULE_END, &forced);
    }
    faults_print_json(&vmm->armed, &forced.rules_json);
    tell_result(ret, &err, &forced);
    reply_release(&forced);
    return ret;
}

static int vmm_run(struct vmm *vmm, const char *rules, bool owned)
{
    struct err err;
    int ret = start(vmm, rules, owned);
    if (ret == 0 && loop_run(&vmm->loop, &err) < 0)
        dprintf(STDERR_FILENO, "%s\n", err.msg);
    while (vmm->calls)
        call_free(vmm->calls);
    int listen_fd = vmm->listener.fd;
    loop_unwatch(&vmm->loop, &vmm->listener);
    if (ret == 0) {
        io_close(&listen_fd);
        unlinkat(vmm->machine_fd, "sock", 0);
    }
    vmm_clear_alarms(vmm, NULL);
    faults_release(&vmm->stop_faults);
    replays_release(&vmm->replays);
    end_guests(vmm);
    if (ret == 0 && vmm->kind->unmount(vmm->machine_fd, &vmm->layout, &err) < 0)
        dprintf(STDERR_FILENO, "%s\n", err.msg);
    engine_release(&vmm->engine);
    recording_release(&vmm->recording);
    filter_release(&vmm->filter);
    guest_release(&vmm->guest);
    faults_release(&vmm->armed);
    loop_release(&vmm->loop);
    return ret == 0 ? 0 : 1;
}

/* --- the monitor ------------------------------------------------------------------ */

/* A holder without a pid file is on its way out, or on its way in: it is waited for. */
static int take_lock(const char *machine_path, int *ret_fd, struct err *err)
{
    CLEANUP(io_free) char *path = io_format("%s/lock", machine_path);
    CLEANUP(io_free) char *pid_path = io_format("%s/pid", machine_path);
    int64_t deadline_ms = io_now_ms() + EXIT_DEADLINE_MS;
    int ret;
    while ((ret = io_lock_file(AT_FDCWD, path, 0, ret_fd)) == -EAGAIN &&
           access(pid_path, F_OK) < 0 && io_now_ms() < deadline_ms)
        poll(NULL, 0, 1);
    if (ret == -EAGAIN)
        return err_text(err, EALREADY, "the machine runs already");
    return ret < 0 ? err_set(err, -ret, "lock %s", path) : 0;
}

static int prepare(struct vmm *vmm, const char *name, int *ret_lock_fd, struct err *err)
{
    CLEANUP(io_free) char *path = state_machine_path(vmm->state_path, name);
    int ret = state_read(vmm->state_path, name, &vmm->record, err);
    if (ret < 0)
        return ret;
    ret = take_lock(path, ret_lock_fd, err);
    if (ret == 0)
        ret = layout_open(vmm->record.layout, &vmm->layout, err);
    if (ret < 0)
        return ret;
    ret = vmm->kind->part(err);
    if (ret < 0)
        return ret;
    /* Opened only now: a descriptor from before would lead into the host's mounts. */
    vmm->machine_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return vmm->machine_fd < 0 ? err_set(err, errno, "open %s", path) : 0;
}

static void vmm_release(struct vmm *vmm)
{
    record_release(&vmm->record);
    layout_release(&vmm->layout);
    io_close(&vmm->machine_fd);
}

static int monitor(struct vmm *vmm, pid_t vmm_pid)
{
    CLEANUP(buf_release) struct buf pairs = BUF_INIT;
    char text[24];
    int len = snprintf(text, sizeof text, "%d\n", (int)vmm_pid);
    struct err err;
    if (io_write_file(vmm->machine_fd, "pid", text, (size_t)len, 0600, &err) < 0)
        dprintf(STDERR_FILENO, "%s\n", err.msg);
    wire_pair_number(&pairs, "pid", vmm_pid);
    tell(&pairs);
    close(STDOUT_FILENO);
    close(STDIN_FILENO);
    int status = 0;
    while (waitpid(vmm_pid, &status, 0) < 0 && errno == EINTR)
        ;
    unlinkat(vmm->machine_fd, "pid", 0); /* it runs no more, and the lock is still held */
    vmm->kind->bury();
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int vmm_main(int argc, char **argv)
{
    if (argc < 5 || argc > 6) {
        dprintf(STDERR_FILENO, "usage: smolvm _boot-vm --owned|--free --namespaces|--copied STATE "
                               "NAME [RULES]\n");
        return 2;
    }
    struct vmm vmm = {.state_path = argv[3], .machine_fd = -1};
    vmm.kind =
        strcmp(argv[2], container_copied.option) == 0 ? &container_copied : &container_namespaces;
    vmm.listener.fd = vmm.owner.fd = -1;
    vmm.guest = (struct guest)GUEST_INIT;
    vmm.recording = (struct recording)RECORDING_INIT;
    vmm.loop.epoll_fd = vmm.loop.signal_fd = -1;
    CLEANUP(io_close) int lock_fd = -1;
    struct err err;
    int ret = prepare(&vmm, argv[4], &lock_fd, &err);
    if (ret < 0) {
        tell_result(ret, &err, &(const struct reply){.status = -1});
        vmm_release(&vmm);
        return 1;
    }
    pid_t pid = fork();
    if (pid < 0) {
        err_set(&err, errno, "fork");
        tell_result(-EAGAIN, &err, &(const struct reply){.status = -1});
        vmm_release(&vmm);
        return 1;
    }
    int status;
    if (pid == 0) {
        io_close(&lock_fd);
        status = vmm_run(&vmm, argc > 5 ? argv[5] : NULL, strcmp(argv[1], "--owned") == 0);
    } else
        status = monitor(&vmm, pid);
    vmm_release(&vmm);
    return status;
}
