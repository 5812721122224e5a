/* faultrun: the fault engine alone. Plays rules to a command, and lists its crash points. */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine.h"
#include "inherited.h"
#include "listing.h"

#define EXIT_USAGE 2
#define EXIT_OWN 125 /* our own failure */

struct options {
    bool list, attempts, json, has_scope;
    int report_fd;
    enum rule_scope scope;
    const char *point;
    struct buf rules;
    char **command;
};

struct faultrun {
    struct options options;
    struct inherited inherited;
    struct loop loop;
    struct engine engine;
    struct engine_tree tree;
    struct rule_set rules;
    struct listing listing;
    pid_t pid;
    int status;    /* of the command, as waitpid(2) tells it */
    int killed_by; /* a signal that faultrun got; 0: none */
    bool unfired;  /* a rule or a point */
};

enum { KEY_LIST = 1, KEY_ATTEMPTS, KEY_JSON, KEY_REPORT, KEY_INJECT, KEY_POINT, KEY_SCOPE };

static const struct argp_option argp_options[] = {
    {"list", KEY_LIST, NULL, 0, "after CMD has ended, print its crash points", 0},
    {"attempts", KEY_ATTEMPTS, NULL, 0, "list what changed no file, too", 0},
    {"json", KEY_JSON, NULL, 0, "list as JSON, one object a line, with the files' digest", 0},
    {"report", KEY_REPORT, "FD", 0, "list to this descriptor instead of stdout", 0},
    {"inject", KEY_INJECT, "RULE", 0, "do what RULE says, where it says; may be given again", 0},
    {"point", KEY_POINT, "N|ADDRESS", 0, "kill at this crash point, by number or by address", 0},
    {"scope", KEY_SCOPE, "tree|process", 0,
     "who is killed at --point (default: tree); with process, --list tells of its places too", 0},
    {0}};

static error_t on_option(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;
    char *end;
    long number;
    switch (key) {
    case KEY_LIST: options->list = true; break;
    case KEY_ATTEMPTS: options->attempts = true; break;
    case KEY_JSON: options->json = true; break;
    case KEY_REPORT:
        number = strtol(arg, &end, 10);
        options->report_fd = number < 0 || number > INT_MAX ? -1 : (int)number;
        if (*end || end == arg || fcntl(options->report_fd, F_GETFD) < 0)
            argp_error(state, "--report=%s is no open descriptor", arg);
        if (options->report_fd > STDERR_FILENO) /* nobody else is to write a list there */
            fcntl(options->report_fd, F_SETFD, FD_CLOEXEC);
        break;
    case KEY_INJECT:
        if (*arg == '@')
            argp_error(state,
                       "--inject=%s: one rule is meant; only KILLPOINT_FAULTS of the fake CLIs "
                       "takes @FILE",
                       arg);
        if (arg[strspn(arg, " \t")] == '\0' || arg[strspn(arg, " \t")] == '#' || strchr(arg, '\n'))
            argp_error(state, "--inject='%s': one rule is meant, and --inject again for more", arg);
        buf_printf(&options->rules, "%s\n", arg);
        break;
    case KEY_POINT: options->point = arg; break;
    case KEY_SCOPE:
        if (strcmp(arg, "tree") != 0 && strcmp(arg, "process") != 0)
            argp_error(state, "--scope=%s: tree or process", arg);
        options->scope = *arg == 't' ? RULE_TREE : RULE_PROCESS;
        options->has_scope = true;
        break;
    case ARGP_KEY_ARG:
        options->command = state->argv + state->next - 1;
        state->next = state->argc;
        break;
    case ARGP_KEY_END:
        if (!options->command)
            argp_error(state, "no command");
        if ((options->attempts || options->json || options->report_fd >= 0) && !options->list)
            argp_error(state, "--attempts, --json and --report go with --list");
        if (options->has_scope && !options->list && !options->point)
            argp_error(state, "--scope goes with --point or --list; a rule has its own scope=");
        break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

/* --- rules ------------------------------------------------------------------------- */

static int check_rules(const struct rule_set *rules, struct err *err)
{
    for (size_t i = 0; i < rules->count; i++) {
        const struct rule *rule = &rules->rules[i];
        CLEANUP(buf_release) struct buf text = BUF_INIT;
        rule_print(rule, &text);
        bool in_tree = (rule->scope == RULE_TREE || rule->scope == RULE_PROCESS) &&
                       rule->action != RULE_STATUS && rule->action != RULE_REPLY;
        bool at_call =
            rule->place >= RULE_SPAWN || (rule->place == RULE_BEGIN && rule->scope == RULE_PROCESS);
        if (rule->call != RULE_EXEC || rule->call_nth > 1 || !at_call || !in_tree)
            return err_text(err, EINVAL,
                            "%s: faultrun has one command and no machine: it plays rules at calls "
                            "and processes, with scope tree or process",
                            buf_str(&text));
    }
    return 0;
}

/* --point ADDRESS is a rule like any other, --point N counts the points on the way. */
static int take_point(struct faultrun *run, struct err *err)
{
    const char *point = run->options.point;
    if (point[0] && strspn(point, "-0123456789") == strlen(point)) {
        errno = 0;
        unsigned long long n = strtoull(point, NULL, 10);
        if (n == 0 || errno || strchr(point, '-'))
            return err_text(err, EINVAL, "--point=%s: points are counted from 1 to %llu", point,
                            ULLONG_MAX);
        run->tree.stop_at_point = n;
        run->tree.stop_scope = run->options.scope;
        return 0;
    }
    CLEANUP(address_release) struct address address = ADDRESS_INIT;
    size_t column = 0;
    int ret = address_parse(point, &address, &column, err);
    if (ret < 0)
        return err_wrap(err, ret, "--point=%s: column %zu", point, column);
    address_add_rule(&address, run->options.scope, &run->options.rules);
    return 0;
}

static int take_rules(struct faultrun *run, struct err *err)
{
    int ret = run->options.point ? take_point(run, err) : 0;
    if (ret == 0 && run->options.rules.len > 0)
        ret = rule_set_parse(buf_str(&run->options.rules), NULL, &run->rules, err);
    if (ret == 0)
        ret = check_rules(&run->rules, err);
    if (ret < 0)
        return ret;
    run->tree.rules = &run->rules;
    run->tree.fired = calloc(run->rules.count + 1, sizeof *run->tree.fired);
    if (!run->tree.fired)
        abort();
    return 0;
}

/* --- the command --------------------------------------------------------------------- */

/* In the child: what cannot be done is told through the pipe, which closes when it runs. */
static void child(const struct faultrun *run, const struct filter *filter, int go_fd, int report_fd)
{
    char go;
    if (read(go_fd, &go, 1) != 1)
        _exit(EXIT_OWN);
    int ret = filter_install(filter);
    if (ret == -EACCES && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
        ret = filter_install(filter);
    int report[2] = {0, ret < 0 ? -ret : 0};
    if (ret == 0) {
        inherited_restore(&run->inherited);
        execvp(run->options.command[0], run->options.command);
        report[0] = 1;
        report[1] = errno;
    }
    ssize_t n = write(report_fd, report, sizeof report);
    (void)n;
    _exit(EXIT_OWN);
}

static int tracer_of(pid_t pid)
{
    char path[64];
    CLEANUP(buf_release) struct buf status = BUF_INIT;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    if (io_read_file(AT_FDCWD, path, &status, 1 << 16, NULL) < 0)
        return 0;
    const char *line = strstr(buf_str(&status), "\nTracerPid:");
    return line ? atoi(line + strlen("\nTracerPid:")) : 0;
}

static int start(struct faultrun *run, int *ret_report_fd, struct err *err)
{
    CLEANUP(filter_release) struct filter filter = {NULL, 0};
    CLEANUP(io_close) int go_fd = -1, let_fd = -1, told_fd = -1, tell_fd = -1;
    int ret = filter_build(engine_filter_wants(&run->tree), &filter, err);
    if (ret < 0)
        return ret;
    if (io_pipe(&go_fd, &let_fd) < 0 || io_pipe(&told_fd, &tell_fd) < 0)
        return err_set(err, errno, "pipe");
    run->pid = fork();
    if (run->pid < 0)
        return err_set(err, errno, "fork");
    if (run->pid == 0) {
        io_close(&let_fd);
        child(run, &filter, go_fd, tell_fd);
    }
    ret = engine_start(&run->engine, &run->tree, run->pid, err);
    int other = ret == -EPERM ? tracer_of(run->pid) : 0;
    if (other > 0)
        return err_text(err, EPERM, "the command is traced by process %d already", other);
    if (ret < 0)
        return ret;
    ssize_t n = write(let_fd, "g", 1);
    (void)n;
    *ret_report_fd = steal_fd(&told_fd);
    return 0;
}

static void on_seen(struct engine_tree *tree, const struct engine_event *event)
{
    listing_add(&container_of(tree, struct faultrun, tree)->listing, event);
}

static void on_ended(struct engine_tree *tree)
{
    loop_stop(&container_of(tree, struct faultrun, tree)->loop);
}

static void on_child(struct loop *loop, pid_t pid, int status)
{
    struct faultrun *run = container_of(loop, struct faultrun, loop);
    if (pid == run->pid && !WIFSTOPPED(status))
        run->status = status;
    engine_status(&run->engine, pid, status);
}

/* A terminal sends the first two to the command as well, and that one decides, unless a rule
 * holds it. */
static void on_signal(struct loop *loop, int signum)
{
    struct faultrun *run = container_of(loop, struct faultrun, loop);
    bool of_terminal = signum == SIGINT || signum == SIGQUIT;
    if (of_terminal && !engine_holds(&run->engine, &run->tree))
        return;
    run->killed_by = signum;
    tracer_kill(&run->engine.tracer, run->tree.number, SIGKILL);
}

/* All that is known of the command's processes comes from there. */
static int check_proc(struct err *err)
{
    char self[32] = "", own[32];
    ssize_t n = readlink("/proc/self", self, sizeof self - 1);
    snprintf(own, sizeof own, "%d", (int)getpid());
    if (n < 0 || strcmp(self, own) != 0)
        return err_text(err, ENOENT,
                        "/proc is not mounted, or shows other processes than those of this PID "
                        "namespace; without it nobody can be followed");
    return 0;
}

static int play(struct faultrun *run, struct err *err)
{
    static const int all[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP};
    int signals[sizeof all / sizeof *all + 1] = {0};
    CLEANUP(io_close) int report_fd = -1;
    for (size_t i = 0, n = 0; i < sizeof all / sizeof *all; i++)
        if (!inherited_is_ignored(all[i]))
            signals[n++] = all[i];
    int ret = check_proc(err);
    if (ret == 0)
        ret = loop_init(&run->loop, on_child, signals, on_signal, err);
    if (ret < 0)
        return ret;
    engine_init(&run->engine, &run->loop);
    ret = start(run, &report_fd, err);
    if (ret == 0)
        ret = loop_run(&run->loop, err);
    if (ret < 0)
        return ret;
    int report[2];
    if (read(report_fd, report, sizeof report) == sizeof report) {
        if (report[0] == 0)
            return err_text(err, report[1], "install the filter: %s", strerror(report[1]));
        err_text(err, report[1], "%s: %s", run->options.command[0], strerror(report[1]));
        run->status = (report[1] == ENOENT ? 127 : 126) << 8; /* as a shell says it */
        fprintf(stderr, "faultrun: %s\n", err->msg);
    }
    return 0;
}

/* --- the end ---------------------------------------------------------------------------- */

/* What may have changed files without being told. */
static void tell_unseen(const struct engine_tree *tree)
{
    if (tree->mappings)
        fprintf(stderr,
                "faultrun: %llu shared writable mappings of files: what is written through them "
                "is not seen\n",
                (unsigned long long)tree->mappings);
    if (tree->state.unreadable)
        fprintf(stderr,
                "faultrun: some files cannot be read, %s first: whether their content changes "
                "cannot be told\n",
                tree->state.unreadable);
}

static void tell_unfired(struct faultrun *run)
{
    const struct engine_tree *tree = &run->tree;
    for (size_t i = 0; i < run->rules.count; i++) {
        CLEANUP(buf_release) struct buf text = BUF_INIT;
        rule_print(&run->rules.rules[i], &text);
        if (tree->fired[i] > 0)
            continue;
        run->unfired = true;
        fprintf(stderr, "faultrun: this rule did not fire: %s (its place was there %llu times)\n",
                buf_str(&text), (unsigned long long)engine_matched(tree, i));
    }
    if (tree->stop_at_point) {
        run->unfired = true;
        fprintf(stderr, "faultrun: there is no point %llu: the command has %llu\n",
                (unsigned long long)tree->stop_at_point, (unsigned long long)tree->points);
    }
}

static int report(struct faultrun *run, struct err *err)
{
    int ret = 0;
    if (run->tree.records)
        ret = engine_verify(&run->tree, err);
    if (ret == 0 && run->tree.err.msg[0])
        ret = err_text(err, EIO, "%s", run->tree.err.msg);
    if (run->options.list) {
        int fd = run->options.report_fd >= 0 ? run->options.report_fd : STDOUT_FILENO;
        int written = listing_write(&run->listing, &run->tree, fd);
        if (written < 0 && ret == 0)
            ret = err_set(err, -written, "write the list");
    }
    tell_unseen(&run->tree);
    tell_unfired(run);
    return ret;
}

static int status_of(const struct faultrun *run)
{
    if (run->killed_by)
        return 128 + run->killed_by;
    if (WIFSIGNALED(run->status))
        return 128 + WTERMSIG(run->status);
    return run->status == 0 && run->unfired ? EXIT_OWN : WEXITSTATUS(run->status);
}

static void release(struct faultrun *run)
{
    engine_release(&run->engine);
    engine_tree_release(&run->tree);
    loop_release(&run->loop);
    listing_release(&run->listing);
    rule_set_release(&run->rules);
    buf_release(&run->options.rules);
    free(run->tree.fired);
}

/*
 * A standard descriptor that is closed must not become one of ours. What stands there instead
 * can neither be read nor written, and the command finds it closed.
 */
static void fill_closed(void)
{
    int fd;
    do
        fd = open("/", O_PATH | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO);
    io_close(&fd);
}

static const char help[] =
    "Runs CMD and kills it, or lets its calls fail, at an exact state-changing system call."
    "\vA RULE is WHERE[:KEY=VALUE]...\n"
    "WHERE: open write truncate rename link symlink unlink mkdir rmdir mknod chmod chown utime "
    "xattr sync, several joined by commas; or begin, spawn, exit, pipewrite.\n"
    "KEY: path=GLOB comm=NAME when=F[..L][+S] per=tree|process timing=before|after; what is done: "
    "signal=NAME (default: KILL) with scope=tree|process, persist=BYTES (a torn write), "
    "error=ERRNO, or delay=MS.\n"
    "  faultrun --inject 'rename:path=/etc/ssl/*:when=2' -- CMD\n"
    "  faultrun --inject 'write:comm=openssl:error=ENOSPC' -- CMD\n"
    "An ADDRESS is what --list prints.\n"
    "\n"
    "faultrun ends after CMD and all that it started. Files on mounts that are made inside the "
    "tree are not followed. Who is not root gets no_new_privs set: programs gain no rights.\n"
    "\n"
    "Exit status: CMD's own, 128+S when signal S ended it, 127 and 126 when it could not be "
    "executed, 2 for wrong usage, 125 for a failure of faultrun itself, and where CMD's would be "
    "0 but a rule or a point did not fire.";

int main(int argc, char **argv)
{
    static const struct argp argp = {argp_options, on_option, "[--] CMD [ARG...]", help, NULL,
                                     NULL,         NULL};
    static const struct engine_owner owner = {on_seen, NULL, on_ended};
    struct faultrun run = {.options = {.report_fd = -1}};
    struct err err = {""};
    run.loop.epoll_fd = run.loop.signal_fd = -1;
    fill_closed();
    inherited_set_aside(&run.inherited);
    argp_err_exit_status = EXIT_USAGE;
    argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &run.options);
    run.tree = (struct engine_tree)ENGINE_TREE_INIT;
    run.tree.owner = &owner;
    run.tree.number = 1;
    run.tree.records = run.options.list;
    run.tree.records_places = run.options.list && run.options.scope == RULE_PROCESS;
    engine_init(&run.engine, &run.loop);
    int status = EXIT_USAGE;
    int ret = take_rules(&run, &err);
    if (ret == 0) {
        status = EXIT_OWN;
        if (run.options.list)
            ret = listing_init(&run.listing, run.options.attempts, run.options.json, &err);
    }
    if (ret == 0 && (ret = play(&run, &err)) == 0 && (ret = report(&run, &err)) == 0)
        status = status_of(&run);
    if (ret < 0)
        fprintf(stderr, "faultrun: %s\n", err.msg);
    release(&run);
    return status;
}
