#include "call.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "call_client.h"
#include "call_output.h"
#include "call_words.h"
#include "vmm.h"
#include "vmm_rules.h"

static void call_run(struct call *call);

/* Whose orphans go on, with the rules of the call. */
static void leave_tree(struct call *call)
{
    struct call_tree *traced = call->traced;
    traced->call = NULL;
    call->traced = NULL;
    traced->faults = call->own_faults;
    call->own_faults = (struct faults)FAULTS_INIT;
    if (call->faults == &call->own_faults)
        traced->tree.rules = &traced->faults.set;
}

void call_free(struct call *call)
{
    struct loop *loop = &call->vmm->loop;
    loop_unwatch(loop, &call->connection);
    loop_unwatch(loop, &call->out);
    loop_unwatch(loop, &call->err);
    loop_unwatch(loop, &call->in);
    loop_unwatch(loop, &call->report);
    loop_clear_timer(loop, &call->timeout);
    loop_clear_timer(loop, &call->drain);
    loop_clear_timer(loop, &call->hold);
    for (size_t i = 0; i < call->n_alarms; i++)
        loop_clear_timer(loop, &call->alarms[i].timer);
    for (struct call **at = &call->vmm->calls; *at; at = &(*at)->next)
        if (*at == call) {
            *at = call->next;
            break;
        }
    free(call->alarms);
    free(call->argv);
    free(call->env);
    free(call->cli_argv);
    buf_release(&call->request);
    buf_release(&call->in_queue);
    if (call->traced)
        leave_tree(call);
    if (call->vmm->stopper == call)
        call->vmm->stopper = NULL;
    faults_release(&call->own_faults);
    reply_release(&call->reply);
    guest_process_release(&call->process);
    io_close(&call->host_fd);
    wire_release(&call->wire);
    free(call);
}

bool call_is_over(const struct call *call)
{
    bool process_over = call->process.pid <= 0 || call->ended;
    return process_over && call->client_gone && call->state != CALL_HELD;
}

/* --- rules -------------------------------------------------------------------- */

static bool kill_process(struct call *call)
{
    return call->process.pid > 0 && !call->ended && kill(call->process.pid, SIGKILL) == 0;
}

/* Returns whether somebody was there to be signalled. */
static bool signal_scope(struct call *call, const struct rule *rule)
{
    switch (rule->scope) {
    case RULE_TREE:
        if (!call->traced)
            return kill_process(call);
        return tracer_kill(&call->vmm->engine.tracer, call->traced->tree.number, rule->signal) > 0;
    case RULE_PROCESS:
        return call->process.pid > 0 && !call->ended && kill(call->process.pid, rule->signal) == 0;
    case RULE_INIT_PROCESS: return vmm_kill_main(call->vmm) || kill_process(call);
    case RULE_VM: vmm_die(call->vmm, rule);
    case RULE_CLIENT: call_client_kill(call); return true;
    }
    return false;
}

static void force(struct call *call, const struct rule *rule)
{
    if (rule->action == RULE_STATUS)
        call->forced_status = rule->status;
    else if (rule->action == RULE_REPLY)
        call->forced_row = reply_find(rule->reply);
}

static void fire(struct call *call, size_t index)
{
    call->faults->fired[index]++;
    force(call, &call->faults->set.rules[index]);
}

/* The client gets a status or a reply; the command goes on alone. */
static bool answer_now(struct call *call, const struct rule *rule)
{
    if (call->state != CALL_RUNS || call->ended)
        return false;
    force(call, rule);
    call_output_drain(call);
    call_finish(call);
    return true;
}

static void on_alarm(struct loop *loop, struct timer *timer)
{
    (void)loop;
    struct call_alarm *alarm = container_of(timer, struct call_alarm, timer);
    struct call *call = alarm->call;
    if (call->state != CALL_RUNS || call->ended)
        return;
    const struct rule *rule = &call->faults->set.rules[alarm->rule];
    if (rule->action == RULE_SIGNAL) {
        call->faults->fired[alarm->rule]++; /* before a scope that does not return */
        if (!signal_scope(call, rule))
            call->faults->fired[alarm->rule]--;
        return;
    }
    fire(call, alarm->rule);
    answer_now(call, rule);
}

static void set_alarms(struct call *call)
{
    size_t at = 0;
    call->alarms = calloc(call->faults->set.count + 1, sizeof *call->alarms);
    if (!call->alarms)
        abort();
    for (;;) {
        int index = faults_next(call->faults, call->kind, call->nth, RULE_AT, &at);
        if (index < 0)
            return;
        const struct rule *rule = &call->faults->set.rules[index];
        struct call_alarm *alarm = &call->alarms[call->n_alarms++];
        alarm->timer.fire = on_alarm;
        alarm->call = call;
        alarm->rule = (size_t)index;
        int64_t from =
            rule->since == RULE_SINCE_START ? call->vmm->main_started_ms : call->began_ms;
        /* A time that is over already comes at once: the rule belongs to this call. */
        loop_set_timer(&call->vmm->loop, &alarm->timer, from + rule->at_ms);
    }
}

/* --- the end ------------------------------------------------------------------ */

static void end_rules(struct call *call)
{
    size_t at = 0;
    int index = faults_next(call->faults, call->kind, call->nth, RULE_END, &at);
    if (index < 0)
        return;
    const struct rule *rule = &call->faults->set.rules[index];
    fire(call, (size_t)index);
    if (rule->action == RULE_SIGNAL) {
        signal_scope(call, rule);
        if (rule->scope != RULE_CLIENT && call->forced_status < 0)
            call->forced_status = 128 + rule->signal;
    }
    if (rule->action == RULE_DELAY) {
        call->state = CALL_HELD;
        loop_set_timer(&call->vmm->loop, &call->hold, io_now_ms() + rule->delay_ms);
    }
}

/* Sends the reply; the client is waited for until it has written its journal line. */
static void call_reply(struct call *call)
{
    if (call->state == CALL_REPLIED)
        return;
    call->state = CALL_REPLIED;
    if (call->client_killed) { /* it was told all that it will be told */
        if (call_is_over(call))
            call_free(call);
        return;
    }
    if (call->reply.out.len > 0)
        call_client_send(call, WIRE_OUT, call->reply.out.data, call->reply.out.len);
    if (call->reply.err.len > 0)
        call_client_send(call, WIRE_ERR, call->reply.err.data, call->reply.err.len);
    call_client_send_end(call, WIRE_REPLY);
    buf_clear(&call->reply.out);
    buf_clear(&call->reply.err);
    if (call_client_flush(call) && call_is_over(call))
        call_free(call);
}

/* Makes the reply from how the process ended and what the rules want told. */
void call_finish(struct call *call)
{
    if (call->state == CALL_REPLIED)
        return;
    if (call->failed)
        call_words_failure(call);
    else if (call->kind == RULE_CP && call->forced_status < 0)
        call_words_copy(call);
    else if (call->ended)
        call->reply.status = WIFSIGNALED(call->wait_status) ? 128 + WTERMSIG(call->wait_status)
                                                            : WEXITSTATUS(call->wait_status);
    if (call->forced_status >= 0)
        call->reply.status = call->forced_status;
    if (call->forced_row)
        call_words_row(call, call->forced_row);
    call_reply(call);
}

static void on_drain_timeout(struct loop *loop, struct timer *timer)
{
    (void)loop;
    struct call *call = container_of(timer, struct call, drain);
    call_output_drain(call);
    call_finish(call);
}

void call_check_drained(struct call *call)
{
    if (!call->ended || call->state == CALL_HELD)
        return;
    if (call->state == CALL_REPLIED || call->client_gone) {
        if (call_is_over(call))
            call_free(call);
        return;
    }
    if (call->process.out_fd < 0 && call->process.err_fd < 0 && call->process.report_fd < 0)
        call_finish(call);
}

static void call_drain(struct call *call)
{
    call->state = CALL_DRAINS;
    loop_set_timer(&call->vmm->loop, &call->drain, io_now_ms() + CALL_DRAIN_MS);
    call_check_drained(call);
}

bool call_child_ended(struct call *call, pid_t pid, int status)
{
    if (call->process.pid != pid || call->ended)
        return false;
    call->ended = true;
    call->wait_status = status;
    loop_clear_timer(&call->vmm->loop, &call->timeout);
    if (call->state == CALL_REPLIED) {
        call_check_drained(call);
        return true;
    }
    end_rules(call);
    if (call->client_gone && call->state != CALL_HELD)
        call_free(call);
    else if (call->state != CALL_HELD)
        call_drain(call);
    return true;
}

/* --- the way in ---------------------------------------------------------------- */

static void on_timeout(struct loop *loop, struct timer *timer)
{
    (void)loop;
    struct call *call = container_of(timer, struct call, timeout);
    if (call->state != CALL_RUNS)
        return;
    call->forced_status = 124;
    call_output_drain(call);
    buf_printf(&call->reply.err, "\n%s timed out after %lldms",
               call->process.joined ? "command" : "container", (long long)call->timeout_ms);
    if (!call->process.joined)
        kill(call->process.pid, SIGKILL);
    call_finish(call);
}

/* After the delay of a rule at begin or end. */
static void on_hold_over(struct loop *loop, struct timer *timer)
{
    (void)loop;
    struct call *call = container_of(timer, struct call, hold);
    if (call->ended) {
        if (call->client_gone) {
            call->state = CALL_DRAINS;
            call_free(call);
        } else
            call_drain(call);
    } else if (call->client_gone) {
        call->state = CALL_READS;
        call_free(call);
    } else
        call_run(call);
}

static int spawn(struct call *call, const struct filter *filter, struct err *err)
{
    struct agent_job job = {call->upload, call->guest_path, call->host_fd, call->vmm->uploads,
                            call->docker};
    struct guest_command command = {.argv = call->argv,
                                    .env = call->env,
                                    .cwd = call->cwd,
                                    .user = call->user,
                                    .interactive = call->interactive,
                                    .tty = call->tty,
                                    .agent = call->kind == RULE_CP ? &job : NULL,
                                    .filter = filter};
    if (call->upload)
        call->vmm->uploads++;
    loop_reap(&call->vmm->loop); /* a main command that is dead already cannot be joined */
    int ret = guest_spawn(&call->vmm->guest, &command, &call->process, err);
    if (ret < 0)
        return ret;
    io_close(&call->host_fd);
    call_output_watch(call);
    return 0;
}

void call_fail(struct call *call, const struct err *err)
{
    call->forced_status = 1;
    buf_printf(&call->reply.err, "Error: agent operation failed: vm exec: %s\n", err->msg);
    call_finish(call);
}

/* --- under the engine ---------------------------------------------------------------- */

static bool on_act_outside(struct engine_tree *tree, const struct rule *rule)
{
    struct call_tree *traced = container_of(tree, struct call_tree, tree);
    if (rule->action != RULE_SIGNAL)
        return traced->call && answer_now(traced->call, rule);
    if (traced->call)
        return signal_scope(traced->call, rule);
    if (rule->scope == RULE_VM)
        vmm_die(traced->vmm, rule);
    return rule->scope == RULE_INIT_PROCESS && vmm_kill_main(traced->vmm);
}

static void on_seen(struct engine_tree *tree, const struct engine_event *event)
{
    struct call_tree *traced = container_of(tree, struct call_tree, tree);
    struct vmm *vmm = traced->vmm;
    struct err err;
    if (traced->recorded && traced->call &&
        recording_add(&vmm->recording, traced->call, event, &err) < 0)
        vmm->distrust = err;
    if (event->done && event->result == 0 && strcmp(event->address->place, "sync") == 0)
        vmm_synced(vmm);
}

/* Nobody writes any more, so the output is all there. */
static int finish_recording(struct call *call, const struct engine_tree *tree, struct err *err)
{
    call_output_drain(call);
    return recording_end(&call->vmm->recording, call, tree, err);
}

/*
 * While it traces, the VMM shares a core with its guest: a stop then wakes nobody on another one,
 * and installs recorded beside each other take a fifth less (make bench). Not longer than that:
 * machines that play in turn would meet on one core and leave another idle.
 */
static void stay_on_core(struct vmm *vmm)
{
    cpu_set_t core;
    int number = sched_getcpu();
    if (number < 0 || vmm->on_core || sched_getaffinity(0, sizeof vmm->cores, &vmm->cores) < 0)
        return;
    CPU_ZERO(&core);
    CPU_SET((size_t)number, &core);
    vmm->on_core = sched_setaffinity(0, sizeof core, &core) == 0; /* refused: it is slower */
}

static void leave_core(struct vmm *vmm)
{
    if (vmm->on_core && !vmm->engine.trees)
        vmm->on_core = sched_setaffinity(0, sizeof vmm->cores, &vmm->cores) < 0;
}

static void on_tree_ended(struct engine_tree *tree)
{
    struct call_tree *traced = container_of(tree, struct call_tree, tree);
    struct err err = {"the call was gone before its processes"};
    if (traced->recorded && (engine_verify(tree, &err) < 0 || !traced->call ||
                             finish_recording(traced->call, tree, &err) < 0))
        traced->vmm->distrust = err;
    if (traced->call)
        traced->call->traced = NULL;
    if (tree->err.msg[0])
        traced->vmm->distrust = tree->err;
    engine_tree_release(tree);
    leave_core(traced->vmm);
    faults_release(&traced->faults);
    free(traced);
}

/* A state stands for the command up to its kill. */
static void put_in_place(struct call *call, const struct replay *replay)
{
    struct vmm *vmm = call->vmm;
    struct err err;
    int ret = replay_check(replay, call, &err);
    if (ret == 0)
        ret = vmm_replace_files(vmm, replay, &err);
    if (ret == 0)
        ret = replay_output(replay, &call->reply.out, &call->reply.err, &err);
    if (call->kind == RULE_EXEC) /* a copy has no status of its own: its agent is gone */
        call->forced_status = 128 + SIGKILL;
    if (ret < 0) {
        vmm->distrust = err;
        call_fail(call, &err);
    } else
        call_finish(call);
}

/* Starts the command, under the engine where a rule needs that. */
static int spawn_traced(struct call *call, struct err *err)
{
    static const struct engine_owner owner = {on_seen, on_act_outside, on_tree_ended};
    struct vmm *vmm = call->vmm;
    struct engine_tree tree = ENGINE_TREE_INIT;
    tree.owner = &owner;
    tree.number = ++vmm->last_tree;
    tree.rules = &call->faults->set;
    tree.fired = call->faults->fired;
    tree.call = call->kind;
    tree.nth = call->nth;
    const struct recording *recording = &vmm->recording;
    bool recorded = recording->path && call->kind == recording->call && call->nth == recording->nth;
    tree.records = recorded || vmm->loses_files; /* with the second, syncs are to be seen */
    tree.records_places = recorded;
    bool stops = engine_needs_filter(&tree);
    int ret = 0;
    if (stops)
        stay_on_core(vmm);
    if (stops && !vmm->filter.program)
        ret = filter_build(FILTER_EXITS | FILTER_SENDS, &vmm->filter, err);
    if (ret == 0 && recorded)
        ret = recording_begin(&vmm->recording, call, err);
    if (ret == 0)
        ret = spawn(call, stops ? &vmm->filter : NULL, err);
    if (ret < 0)
        leave_core(vmm);
    if (ret < 0 || (!stops && !faults_kill_trees(call->faults, call->kind, call->nth)))
        return ret;
    struct call_tree *traced = calloc(1, sizeof *traced);
    if (!traced)
        abort();
    *traced = (struct call_tree){tree, vmm, call, FAULTS_INIT, recorded};
    ret = engine_start(&vmm->engine, &traced->tree, call->process.pid, err);
    if (ret == 0)
        call->traced = traced;
    else {
        free(traced);
        kill_process(call);
    }
    return ret;
}

static void call_run(struct call *call)
{
    struct err err;
    call->state = CALL_RUNS;
    call->began_ms = io_now_ms();
    if (spawn_traced(call, &err) < 0) {
        call_fail(call, &err);
        return;
    }
    size_t at = 0;
    int index = faults_next(call->faults, call->kind, call->nth, RULE_BEGIN, &at);
    const struct rule *rule = index < 0 ? NULL : &call->faults->set.rules[index];
    if (rule && rule->action == RULE_SIGNAL && !signal_scope(call, rule))
        call->faults->fired[index]--;
    guest_go(&call->process);
    set_alarms(call);
    if (call->timeout_ms > 0)
        loop_set_timer(&call->vmm->loop, &call->timeout, call->began_ms + call->timeout_ms);
}

/* Rules at `begin` that keep the command from running, or hold it. */
void call_begin(struct call *call)
{
    const struct replay *replay = replays_find(&call->vmm->replays, call);
    if (replay) {
        put_in_place(call, replay);
        return;
    }
    size_t at = 0;
    int index = faults_next(call->faults, call->kind, call->nth, RULE_BEGIN, &at);
    const struct rule *rule = index < 0 ? NULL : &call->faults->set.rules[index];
    /* docker's container is over with its main command; smolvm makes a fresh one for the call. */
    if (call->docker && call->kind == RULE_EXEC && !guest_main_lives(&call->vmm->guest)) {
        call->forced_row = reply_find("not-running");
        call_finish(call);
        return;
    }
    if (rule)
        fire(call, (size_t)index);
    if (rule && rule->action == RULE_DELAY) {
        call->state = CALL_HELD;
        loop_set_timer(&call->vmm->loop, &call->hold, io_now_ms() + rule->delay_ms);
    } else if (rule && (rule->action == RULE_STATUS || rule->action == RULE_REPLY))
        call_finish(call);
    else
        call_run(call);
}

void call_start(struct vmm *vmm, int connection_fd)
{
    struct call *call = calloc(1, sizeof *call);
    if (!call)
        abort();
    call->vmm = vmm;
    call->next = vmm->calls;
    vmm->calls = call;
    call->process = (struct guest_process)GUEST_PROCESS_INIT;
    call->host_fd = call->forced_status = -1;
    call->faults = &vmm->armed;
    call->started_ns = io_now_ns();
    call->timeout.fire = on_timeout;
    call->drain.fire = on_drain_timeout;
    call->hold.fire = on_hold_over;
    call_output_init(call);
    call_client_init(call, connection_fd);
}
