#include "vmm_rules.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "call_client.h"
#include "upper.h"

struct faults *vmm_stopping_faults(struct vmm *vmm)
{
    return vmm->stop_faults.fired ? &vmm->stop_faults : &vmm->armed;
}

/* All of the machine's processes; the engine is in the middle of something, so without it. */
static void kill_guests(const struct vmm *vmm)
{
    int status;
    pid_t pid;
    vmm->kind->kill_all();
    while ((pid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR)
        if (pid > 0 && WIFSTOPPED(status))
            ptrace(PTRACE_CONT, pid, 0L, 0L);
}

/* To the calls, whose connections end with the VM. */
static void tell_counts(struct vmm *vmm)
{
    for (struct call *call = vmm->calls; call; call = call->next) {
        CLEANUP(buf_release) struct buf pairs = BUF_INIT;
        CLEANUP(buf_release) struct buf rules = BUF_INIT;
        faults_print_json(call == vmm->stopper ? vmm_stopping_faults(vmm) : call->faults, &rules);
        wire_pair(&pairs, "rules", buf_str(&rules));
        call_client_send(call, WIRE_COUNTS, pairs.data, pairs.len);
        if (!call->client_gone)
            wire_flush(&call->wire);
    }
}

void vmm_die(struct vmm *vmm, const struct rule *rule)
{
    CLEANUP(buf_release) struct buf rules = BUF_INIT;
    struct err err;
    faults_print_json(vmm_stopping_faults(vmm), &rules);
    io_write_file(vmm->machine_fd, "fired.json", buf_str(&rules), rules.len, 0600, NULL);
    tell_counts(vmm);
    /* Nobody may still connect when the calls' connections end. */
    io_close(&vmm->listener.fd);
    if (rule->lose_all && vmm->loses_files) {
        kill_guests(vmm);
        if (upper_restore(vmm->machine_fd, &err) < 0)
            dprintf(STDERR_FILENO, "%s\n", err.msg);
    }
    _exit(128 + SIGKILL);
}

int vmm_parse_faults(const struct vmm *vmm, struct faults *faults, const char *text,
                     struct err *err)
{
    CLEANUP(faults_release) struct faults parsed = FAULTS_INIT;
    int ret = faults_parse(&parsed, text, err);
    if (ret == 0 && !vmm->kind->has_init && faults_need_namespaces(&parsed.set))
        ret = err_text(err, ENOTSUP,
                       "scope=init and scope=vm need namespaces, which are refused here: the "
                       "machine is a copied tree");
    if (ret < 0)
        return ret;
    struct faults old = *faults;
    *faults = parsed;
    parsed = old;
    return 0;
}

int vmm_take_faults(const struct vmm *vmm, struct faults *faults, const char *text, struct err *err)
{
    CLEANUP(faults_release) struct faults parsed = FAULTS_INIT;
    int ret = vmm_parse_faults(vmm, &parsed, text, err);
    if (ret == 0 && !vmm->loses_files && faults_may_lose_files(&parsed))
        ret = err_text(err, ENOTSUP,
                       "lose=all is armed at the machine's start: from there on its syncs are "
                       "followed");
    if (ret < 0)
        return ret;
    struct faults old = *faults;
    *faults = parsed;
    parsed = old;
    return 0;
}

bool vmm_kill_main(struct vmm *vmm)
{
    return vmm->guest.main_pid > 0 && kill(vmm->guest.main_pid, SIGKILL) == 0;
}

void vmm_apply_rule(struct vmm *vmm, struct faults *faults, int index, struct reply *forced)
{
    const struct rule *rule = &faults->set.rules[index];
    bool nobody = rule->scope == RULE_INIT_PROCESS && vmm->guest.main_pid == 0;
    if (rule->action == RULE_SIGNAL && nobody)
        return;
    faults->fired[index]++;
    if (rule->action == RULE_STATUS)
        forced->status = rule->status;
    else if (rule->action == RULE_REPLY)
        reply_apply(reply_find(rule->reply), vmm->record.name, REPLY_BUFFERED, forced);
    else if (rule->action == RULE_SIGNAL && rule->scope == RULE_VM)
        vmm_die(vmm, rule);
    else if (rule->action == RULE_SIGNAL && rule->scope == RULE_CLIENT)
        forced->killed = true;
    else if (rule->action == RULE_SIGNAL)
        vmm_kill_main(vmm);
}

struct vmm_alarm {
    struct timer timer;
    struct vmm *vmm;
    struct faults *faults;
    int index;
    struct vmm_alarm *next;
};

static void on_alarm(struct loop *loop, struct timer *timer)
{
    (void)loop;
    struct vmm_alarm *alarm = container_of(timer, struct vmm_alarm, timer);
    struct reply none = REPLY_INIT;
    vmm_apply_rule(alarm->vmm, alarm->faults, alarm->index, &none);
}

void vmm_clear_alarms(struct vmm *vmm, const struct faults *faults)
{
    struct vmm_alarm **at = &vmm->alarms;
    while (*at) {
        struct vmm_alarm *alarm = *at;
        if (faults && alarm->faults != faults) {
            at = &alarm->next;
            continue;
        }
        *at = alarm->next;
        loop_clear_timer(&vmm->loop, &alarm->timer);
        free(alarm);
    }
}

void vmm_set_alarms(struct vmm *vmm, struct faults *faults, enum rule_call call, int64_t from_ms)
{
    size_t at = 0;
    int index;
    while ((index = faults_next(faults, call, 1, RULE_AT, &at)) >= 0) {
        struct vmm_alarm *alarm = calloc(1, sizeof *alarm);
        if (!alarm)
            abort();
        *alarm = (struct vmm_alarm){{.fire = on_alarm}, vmm, faults, index, vmm->alarms};
        vmm->alarms = alarm;
        const struct rule *rule = &faults->set.rules[index];
        bool since_start = rule->since == RULE_SINCE_START && call == RULE_STOP;
        loop_set_timer(&vmm->loop, &alarm->timer,
                       (since_start ? vmm->main_started_ms : from_ms) + rule->at_ms);
    }
}
