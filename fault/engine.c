#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine_look.h"
#include "engine_rules.h"

enum stop_state {
    STOP_WAITS,   /* in the queue */
    STOP_DELAYED, /* by a rule */
    STOP_RUNS,    /* to its exit */
    STOP_DIES,
    STOP_AGAIN /* its call is done but starts anew after a signal: the same attempt */
};

/* What the engine knows of a stopped thread. */
struct engine_stop {
    struct engine *engine;
    struct engine_tree *tree;
    struct tracee *tracee;
    struct engine_stop *next;  /* in the queue */
    struct engine_stop *outer; /* of the same thread: STOP_AGAIN, under a signal's handler */
    enum stop_state state;
    bool named;   /* the attempt is counted */
    bool touched; /* its files' state is followed */
    bool at_call;
    unsigned row; /* of op_calls() */
    struct attempt attempt;
    struct address address;
    const struct rule *rule; /* of an action that is not over; NULL: none */
    bool skipped;
    struct timer timer;
};

static enum tracer_next take(struct engine_stop *stop);
static void advance(struct engine *engine);

static struct engine_tree *find_tree(const struct engine *engine, int number)
{
    struct engine_tree *tree = engine->trees;
    while (tree && tree->number != number)
        tree = tree->next;
    return tree;
}

/* The tree cannot be followed exactly any more; the first reason is kept. */
static void distrust(struct engine_tree *tree, const struct err *err)
{
    if (tree->err.msg[0] == '\0')
        tree->err = *err;
}

/* --- stops --------------------------------------------------------------------- */

static void on_delay_over(struct loop *loop, struct timer *timer);

static struct engine_stop *stop_new(struct engine *engine, struct engine_tree *tree,
                                    struct tracee *tracee)
{
    struct engine_stop *stop = calloc(1, sizeof *stop);
    if (!stop)
        abort();
    stop->engine = engine;
    stop->tree = tree;
    stop->tracee = tracee;
    stop->outer = tracee->stop;
    stop->timer.fire = on_delay_over;
    tracee->stop = stop;
    return stop;
}

static void stop_free(struct engine_stop *stop)
{
    struct engine *engine = stop->engine;
    for (struct engine_stop **at = &engine->queue; *at; at = &(*at)->next)
        if (*at == stop) {
            *at = stop->next;
            break;
        }
    loop_clear_timer(engine->loop, &stop->timer);
    stop->tracee->stop = stop->outer;
    attempt_release(&stop->attempt);
    address_release(&stop->address);
    free(stop);
}

static void enqueue(struct engine_stop *stop)
{
    struct engine_stop **at = &stop->engine->queue;
    while (*at)
        at = &(*at)->next;
    stop->state = STOP_WAITS;
    stop->next = NULL;
    *at = stop;
}

static void read_attempt(struct engine_stop *stop)
{
    struct err err = {""};
    attempt_release(&stop->attempt);
    stop->attempt = (struct attempt)ATTEMPT_INIT;
    int ret = attempt_read(stop->tracee->tid, stop->row, &stop->tree->root, &stop->attempt, &err);
    if (ret < 0 && ret != -ESRCH) /* who was killed meanwhile attempts nothing */
        distrust(stop->tree, &err);
    if (stop->attempt.path.lost_name)
        engine_look_for_name(stop->tree, &stop->attempt);
}

/* Lets those who wait go on until one of them is under way. */
static void advance(struct engine *engine)
{
    while (!engine->running && engine->queue) {
        struct engine_stop *stop = engine->queue;
        struct tracee *tracee = stop->tracee;
        engine->queue = stop->next;
        if (tracer_is_killing(tracee))
            continue;
        if (!stop->named) /* those before it may have moved what it is about */
            read_attempt(stop);
        tracer_resume(&engine->tracer, tracee, take(stop));
    }
}

static void on_delay_over(struct loop *loop, struct timer *timer)
{
    (void)loop;
    struct engine_stop *stop = container_of(timer, struct engine_stop, timer);
    struct engine *engine = stop->engine;
    if (stop->at_call) {
        enqueue(stop);
        advance(engine);
        return;
    }
    struct tracee *tracee = stop->tracee;
    stop_free(stop);
    tracer_resume(&engine->tracer, tracee, TRACER_RUN);
}

/* --- a call's entry ----------------------------------------------------------------- */

static enum tracer_next run(struct engine_stop *stop)
{
    stop->engine->running = stop->tracee;
    stop->state = STOP_RUNS;
    return TRACER_RUN_TO_EXIT;
}

/* Nobody's call is done until the thread is gone. */
static enum tracer_next die(struct engine_stop *stop)
{
    stop->engine->running = stop->tracee;
    stop->state = STOP_DIES;
    return TRACER_HOLD;
}

static enum tracer_next hold(struct engine_stop *stop, const struct rule *rule)
{
    engine_rules_fired(stop->tree, rule, 1);
    stop->state = STOP_DELAYED;
    loop_set_timer(stop->engine->loop, &stop->timer, io_now_ms() + rule->delay_ms);
    return TRACER_HOLD;
}

static enum tracer_next act_before(struct engine_stop *stop, const struct rule *rule)
{
    pid_t tid = stop->tracee->tid;
    if (rule->action == RULE_DELAY)
        return hold(stop, rule);
    if (rule->action == RULE_ERROR) {
        engine_rules_fired(stop->tree, rule, 1);
        stop->rule = rule;
        stop->skipped = attempt_skip(&stop->attempt, tid) == 0;
        return run(stop);
    }
    if (rule->persist_bytes >= 0) {
        stop->rule = rule;
        attempt_cut(&stop->attempt, tid, (uint64_t)rule->persist_bytes);
        return run(stop);
    }
    if (engine_rules_are_deadly(rule)) {
        if (engine_rules_send(stop->engine, stop->tree, stop->tracee, rule))
            return die(stop);
    } else if (rule->scope == RULE_CLIENT || rule->action != RULE_SIGNAL)
        engine_rules_send(stop->engine, stop->tree, stop->tracee, rule);
    else { /* it comes before the call, so the call waits for it outside of the kernel */
        stop->rule = rule;
        stop->skipped = attempt_skip(&stop->attempt, tid) == 0;
    }
    return run(stop);
}

static enum tracer_next act(struct engine_stop *stop, const struct rule *rule)
{
    if (rule->timing == RULE_BEFORE)
        return act_before(stop, rule);
    stop->rule = rule;
    return run(stop);
}

/* Follows the state of the files that the call is about. */
static void touch(struct engine_stop *stop)
{
    struct engine_tree *tree = stop->tree;
    const struct attempt *attempt = &stop->attempt;
    struct err err = {""};
    if (attempt->op == OP_SYNC || (!tree->records && !tree->stop_at_point))
        return;
    int ret = tree_state_touch(&tree->state, tree->root.fd, buf_str(&attempt->path.path),
                               attempt->has_target, &err);
    if (ret == 0 && attempt->has_target)
        ret = tree_state_touch(&tree->state, tree->root.fd, buf_str(&attempt->target.path), true,
                               &err);
    stop->touched = ret == 0;
    if (ret < 0)
        distrust(tree, &err);
}

static void look_again(struct engine_stop *stop)
{
    struct engine_tree *tree = stop->tree;
    const struct attempt *attempt = &stop->attempt;
    struct err err = {""};
    int ret = tree_state_update(&tree->state, tree->root.fd, buf_str(&attempt->path.path),
                                attempt->has_target, attempt->range, &err);
    if (ret == 0 && attempt->has_target)
        ret = tree_state_update(&tree->state, tree->root.fd, buf_str(&attempt->target.path), true,
                                TREE_STATE_WHOLE, &err);
    if (ret < 0)
        distrust(tree, &err);
}

/* Gives the attempt its address; the first time that it is looked at. */
static void name(struct engine_stop *stop)
{
    struct engine_tree *tree = stop->tree;
    const char *path = buf_str(&stop->attempt.path.path);
    char comm[RULE_COMM_MAX + 1];
    engine_look_comm(stop->tracee->tid, comm);
    engine_look_at_links(tree, &stop->attempt);
    if (stop->attempt.makes_temporary && !stop->attempt.path.exists)
        address_book_temporary(&tree->book, path);
    address_book_name(&tree->book, comm, op_name(stop->attempt.op), path, &stop->address);
    tree->attempts++;
    stop->named = true;
    if (tree->records) {
        CLEANUP(buf_release) struct buf text = BUF_INIT;
        address_print(&stop->address, &text);
        trace_digest_add(&tree->trace, buf_str(&text));
    }
    touch(stop);
}

/* The stop's turn. It may be freed. */
static enum tracer_next take(struct engine_stop *stop)
{
    static const struct rule kill_rule = RULE_INIT;
    struct engine_tree *tree = stop->tree;
    if (stop->named) /* a delay is over, or the call starts anew */
        return run(stop);
    if (stop->attempt.kind != ATTEMPT_CALL || engine_look_is_own_file(tree, &stop->attempt)) {
        stop_free(stop);
        return TRACER_RUN;
    }
    name(stop);
    if (tree->stop_at_point && tree->points + 1 == tree->stop_at_point) {
        tree->stop_at_point = 0;
        if (tree->stop_scope == RULE_TREE)
            return act_before(stop, &kill_rule);
        tracer_kill_process(&stop->engine->tracer, stop->tracee->process, SIGKILL);
        return die(stop);
    }
    int rule =
        engine_rules_match(tree, stop->tracee, RULE_OPERATION, &stop->attempt, &stop->address);
    return rule < 0 ? run(stop) : act(stop, &tree->rules->rules[rule]);
}

/* --- places without a call to wait for ------------------------------------------------ */

static enum tracer_next at_place(struct engine *engine, struct engine_tree *tree,
                                 struct tracee *tracee, enum rule_place place)
{
    if (!engine_rules_care(tree, place))
        return TRACER_RUN;
    char comm[RULE_COMM_MAX + 1];
    CLEANUP(address_release) struct address address = ADDRESS_INIT;
    engine_look_comm(tracee->tid, comm);
    address_book_name(&tree->book, comm, rule_place_words[place], tracee->lineage, &address);
    if (tree->records_places) {
        struct engine_event event = {.address = &address};
        tree->owner->seen(tree, &event);
    }
    int index = engine_rules_match(tree, tracee, place, NULL, &address);
    if (index < 0)
        return TRACER_RUN;
    const struct rule *rule = &tree->rules->rules[index];
    struct engine_stop *stop = stop_new(engine, tree, tracee);
    if (rule->action == RULE_DELAY)
        return hold(stop, rule);
    bool dies = engine_rules_send(stop->engine, stop->tree, stop->tracee, rule) &&
                engine_rules_are_deadly(rule);
    stop_free(stop);
    return dies ? TRACER_HOLD : TRACER_RUN;
}

static enum tracer_next refuse_foreign(struct engine *engine, struct engine_tree *tree)
{
    struct err err = {""};
    err_text(&err, ENOTSUP,
             "a 32-bit program runs in the tree, whose calls cannot be told: the tree was killed");
    distrust(tree, &err);
    tracer_kill(&engine->tracer, tree->number, SIGKILL);
    return TRACER_HOLD;
}

static struct engine_tree *find_set_up_tree(const struct engine *engine,
                                            const struct tracee *tracee)
{
    struct engine_tree *tree = find_tree(engine, tracee->tree);
    struct err err = {""};
    if (!tree || tree->set_up)
        return tree;
    tree->set_up = true;
    if (engine_look_at_start(tree, tracee->tid, &err) < 0)
        distrust(tree, &err);
    return tree;
}

/* --- the tracer's hooks ------------------------------------------------------------------ */

static enum tracer_next entered(struct tracer *tracer, struct tracee *tracee, unsigned data)
{
    struct engine *engine = container_of(tracer, struct engine, tracer);
    struct engine_tree *tree = find_set_up_tree(engine, tracee);
    if (!tree)
        return TRACER_RUN;
    if (data == FILTER_FOREIGN)
        return refuse_foreign(engine, tree);
    if (data == FILTER_EXIT_GROUP)
        return at_place(engine, tree, tracee, RULE_EXIT);
    if (engine_look_is_pipewrite(tracee->tid, data))
        return at_place(engine, tree, tracee, RULE_PIPEWRITE);
    if (data == FILTER_SEND)
        return TRACER_RUN;
    if (data == FILTER_MMAP) {
        engine_look_at_mapping(tree, tracee->tid);
        return TRACER_RUN;
    }
    struct engine_stop *stop = stop_new(engine, tree, tracee);
    stop->at_call = true;
    stop->row = data;
    read_attempt(stop);
    struct engine_stop *outer = stop->outer;
    if (outer && attempt_is_same_call(&outer->attempt.regs, &stop->attempt.regs)) {
        stop_free(stop);
        stop = outer;
    }
    if (engine->running && stop->attempt.kind == ATTEMPT_CALL) {
        enqueue(stop);
        return TRACER_HOLD;
    }
    return take(stop);
}

static void forget_gone_names(struct engine_stop *stop, int64_t result)
{
    const struct attempt *attempt = &stop->attempt;
    struct address_book *book = &stop->tree->book;
    bool gone = attempt->op == OP_UNLINK || attempt->op == OP_RMDIR || attempt->op == OP_RENAME;
    if (result == 0 && gone)
        address_book_forget(book, buf_str(&attempt->path.path));
    else if (result < 0 && attempt->makes_temporary && !attempt->path.exists)
        address_book_forget(book, buf_str(&attempt->path.path));
}

/* The call is done, or was not and never will be: what it changed, and that it is told. */
static void conclude(struct engine_stop *stop, int64_t result, bool done)
{
    struct engine_tree *tree = stop->tree;
    struct engine_event event = {.address = &stop->address,
                                 .is_attempt = true,
                                 .write_from = stop->attempt.write_from,
                                 .result = result,
                                 .done = done};
    tree_state_digest(&tree->state, event.before); /* nobody else's call was done since */
    uint64_t before[2] = {tree->state.digest[0], tree->state.digest[1]};
    if (done && stop->touched)
        look_again(stop);
    if (memcmp(before, tree->state.digest, sizeof before) != 0)
        event.point = ++tree->points;
    tree_state_digest(&tree->state, event.after);
    if (result == 0)
        engine_look_at_new_links(tree, &stop->attempt);
    forget_gone_names(stop, result);
    if (tree->records)
        tree->owner->seen(tree, &event);
}

/* At the exit of a call that a rule has changed. Returns what the call returned. */
static int64_t act_at_exit(struct engine_stop *stop, int64_t result)
{
    const struct rule *rule = stop->rule;
    const struct attempt *attempt = &stop->attempt;
    pid_t tid = stop->tracee->tid;
    if (rule->action == RULE_ERROR) {
        attempt_return(attempt, tid, -rule->errnum);
        return -rule->errnum;
    }
    if (rule->persist_bytes >= 0)
        attempt_uncut(attempt, tid);
    return result;
}

static bool starts_anew(int64_t result)
{
    return result <= -512 && result >= -516; /* ERESTARTSYS and its kind */
}

/* After the call: a signal, or a delay. Returns TRACER_HOLD when the thread is not to go on. */
static enum tracer_next act_after(struct engine_stop *stop, const struct rule *rule)
{
    if (rule->action == RULE_DELAY) {
        stop->at_call = false;
        stop->engine->running = NULL;
        return hold(stop, rule);
    }
    if (engine_rules_send(stop->engine, stop->tree, stop->tracee, rule) &&
        engine_rules_are_deadly(rule))
        return die(stop);
    return TRACER_RUN;
}

static enum tracer_next left(struct tracer *tracer, struct tracee *tracee)
{
    struct engine *engine = container_of(tracer, struct engine, tracer);
    struct engine_stop *stop = tracee->stop;
    struct arch_regs regs = {.has_new_number = false};
    if (!stop || stop->state != STOP_RUNS)
        return TRACER_RUN;
    int64_t result = arch_read(tracee->tid, &regs) < 0 ? -EINTR : arch_result(&regs);
    const struct rule *rule = stop->rule;
    stop->rule = NULL;
    engine->running = NULL;
    enum tracer_next next = TRACER_RUN;
    if (rule && stop->skipped && rule->action == RULE_SIGNAL) {
        stop->skipped = false;
        attempt_restart(&stop->attempt, tracee->tid);
        engine_rules_send(stop->engine, stop->tree, stop->tracee, rule);
        stop->state = STOP_AGAIN;
    } else if (starts_anew(result))
        stop->state = STOP_AGAIN;
    else {
        bool done = !stop->skipped;
        if (rule) {
            stop->rule = rule;
            result = act_at_exit(stop, result);
        }
        conclude(stop, result, done || result < 0);
        stop->named = false;
        next = rule && rule->action != RULE_ERROR ? act_after(stop, rule) : TRACER_RUN;
        if (next == TRACER_RUN)
            stop_free(stop);
    }
    if (tracee->stop)
        tracer_tell_execs(tracee); /* what is not over would be taken for the new program's */
    advance(engine);
    return next;
}

static enum tracer_next began(struct tracer *tracer, struct tracee *tracee, bool executed)
{
    struct engine *engine = container_of(tracer, struct engine, tracer);
    struct engine_tree *tree = find_set_up_tree(engine, tracee);
    if (executed) { /* what another thread's call was about to do is over */
        if (engine->running == tracee)
            engine->running = NULL;
        while (tracee->stop)
            stop_free(tracee->stop);
        advance(engine);
        if (tree && engine_rules_care(tree, RULE_BEGIN))
            tracer_tell_execs(tracee);
    }
    return tree ? at_place(engine, tree, tracee, RULE_BEGIN) : TRACER_RUN;
}

static enum tracer_next spawned(struct tracer *tracer, struct tracee *tracee)
{
    struct engine *engine = container_of(tracer, struct engine, tracer);
    struct engine_tree *tree = find_tree(engine, tracee->tree);
    return tree ? at_place(engine, tree, tracee, RULE_SPAWN) : TRACER_RUN;
}

static void gone(struct tracer *tracer, struct tracee *tracee, int number)
{
    struct engine *engine = container_of(tracer, struct engine, tracer);
    struct engine_tree *tree = find_tree(engine, number);
    while (tracee->stop) {
        struct engine_stop *stop = tracee->stop;
        if (stop->named && (stop->state == STOP_RUNS || stop->state == STOP_DIES))
            conclude(stop, -EINTR, stop->state == STOP_RUNS);
        stop_free(stop);
    }
    if (engine->running == tracee)
        engine->running = NULL;
    if (tree && tracee->tid == tracee->process)
        engine_rules_forget(tree, tracee->process);
    advance(engine);
    if (!tree || tracer_count(tracer, tree->number) > 0)
        return;
    for (struct engine_tree **at = &engine->trees; *at; at = &(*at)->next)
        if (*at == tree) {
            *at = tree->next;
            break;
        }
    tree->owner->ended(tree);
}

/* --- trees -------------------------------------------------------------------------------- */

static const struct tracer_hooks hooks = {entered, left, began, spawned, gone};

void engine_init(struct engine *engine, struct loop *loop)
{
    *engine = (struct engine){.tracer = {NULL, &hooks}, .loop = loop};
}

void engine_release(struct engine *engine)
{
    for (struct tracee *at = engine->tracer.tracees; at; at = at->next)
        while (at->stop)
            stop_free(at->stop);
    engine->tracer.hooks = NULL;
    tracer_release(&engine->tracer);
}

static void add_file_name(struct tree_state *state, const char *path, struct buf *name)
{
    address_book_add_file(&container_of(state, struct engine_tree, state)->book, path, name);
}

int engine_start(struct engine *engine, struct engine_tree *tree, pid_t pid, struct err *err)
{
    int ret = tracer_seize(&engine->tracer, pid, tree->number, err);
    if (ret < 0)
        return ret;
    tree->engine = engine;
    tree->state.add_name = add_file_name;
    tree->next = engine->trees;
    engine->trees = tree;
    return 0;
}

enum tracer_result engine_status(struct engine *engine, pid_t pid, int status)
{
    return tracer_status(&engine->tracer, pid, status);
}

bool engine_holds(const struct engine *engine, const struct engine_tree *tree)
{
    for (const struct tracee *at = engine->tracer.tracees; at; at = at->next)
        if (at->stop && at->stop->tree == tree && at->stop->state == STOP_DELAYED)
            return true;
    return false;
}

int engine_verify(struct engine_tree *tree, struct err *err)
{
    CLEANUP(io_free) char *path = NULL;
    int changed = tree_state_rehash(&tree->state, tree->root.fd, &path, err);
    if (changed <= 0)
        return changed;
    return err_text(err, EILSEQ, "%d files changed and no attempt told so; the first is %s",
                    changed, path);
}

void engine_tree_release(struct engine_tree *tree)
{
    engine_rules_forget(tree, -1);
    tree_state_release(&tree->state);
    address_book_release(&tree->book);
    links_release(&tree->links);
    resolve_root_release(&tree->root);
}
