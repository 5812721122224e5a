#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fault/proc.h"
#include "guest_user.h"
#include "wire.h"

#define CONTAINER_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

int guest_init(struct guest *guest, const struct container_kind *kind, const struct record *record,
               struct err *err)
{
    *guest = (struct guest)GUEST_INIT;
    guest->kind = kind;
    guest->record = record;
    if (!kind->has_init)
        return 0;
    guest->own_pid_ns_fd = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
    return guest->own_pid_ns_fd < 0 ? err_set(err, errno, "open /proc/self/ns/pid") : 0;
}

void guest_release(struct guest *guest)
{
    io_close(&guest->own_pid_ns_fd);
    guest_main_ended(guest);
    io_close(&guest->last_pid_ns_fd);
}

bool guest_main_lives(const struct guest *guest)
{
    return guest->main_pid > 0 || !guest->kind->has_init;
}

void guest_main_ended(struct guest *guest)
{
    guest->main_pid = 0;
    guest->untouched = false;
    if (guest->main_pid_ns_fd >= 0) {
        io_close(&guest->last_pid_ns_fd);
        guest->last_pid_ns_fd = steal_fd(&guest->main_pid_ns_fd);
    }
    io_close(&guest->main_mnt_ns_fd);
    io_close(&guest->main_root_fd);
}

void guest_process_release(struct guest_process *process)
{
    io_close(&process->in_fd);
    io_close(&process->out_fd);
    io_close(&process->err_fd);
    io_close(&process->report_fd);
}

/* --- in the child ----------------------------------------------------------- */

static void child_fail(int report_fd, enum guest_stage stage, int errnum, const struct err *err)
{
    struct guest_failure failure = {.stage = stage, .errnum = errnum};
    if (err)
        snprintf(failure.text, sizeof failure.text, "%.*s", (int)sizeof failure.text - 1, err->msg);
    ssize_t n = write(report_fd, &failure, sizeof failure);
    (void)n;
    _exit(127);
}

static void child_reset(void)
{
    sigset_t none;
    sigemptyset(&none);
    for (int signum = 1; signum < NSIG; signum++)
        signal(signum, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    umask(022);
}

static int child_enter(const struct guest *guest, struct err *err)
{
    if (guest->main_pid > 0) {
        /* In a chroot, the namespace's own root is not the container's but the host's. */
        if (setns(guest->main_mnt_ns_fd, CLONE_NEWNS) < 0 || fchdir(guest->main_root_fd) < 0 ||
            chroot(".") < 0)
            return err_set(err, errno, "join the container");
        return 0;
    }
    return guest->kind->enter(guest->record, err);
}

/* An init: it ends only when it is killed, and reaps what is left to it. */
static void main_command(int report_fd)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    signal(SIGCHLD, SIG_DFL);
    prctl(PR_SET_NAME, "init");
    prctl(PR_SET_DUMPABLE, 0);
    close(report_fd);
    for (;;) {
        int signum;
        if (sigwait(&all, &signum) == 0 && signum == SIGCHLD)
            while (waitpid(-1, NULL, WNOHANG) > 0)
                ;
    }
}

static const char *variable(const char *const *list, const char *name)
{
    size_t len = strlen(name);
    const char *value = NULL;
    for (; list && *list; list++)
        if (strncmp(*list, name, len) == 0 && (*list)[len] == '=')
            value = *list + len + 1;
    return value;
}

/* Later entries win: an earlier one of the same name is left out. */
static const char **merge_env(const char *const *const *lists, size_t n_lists)
{
    size_t count = 0;
    for (size_t i = 0; i < n_lists; i++)
        for (const char *const *at = lists[i]; at && *at; at++)
            count++;
    const char **merged = calloc(count + 1, sizeof *merged);
    if (!merged)
        abort();
    size_t used = 0;
    for (size_t i = 0; i < n_lists; i++)
        for (const char *const *at = lists[i]; at && *at; at++) {
            size_t name_len = strcspn(*at, "=") + 1;
            size_t slot = 0;
            while (slot < used && strncmp(merged[slot], *at, name_len) != 0)
                slot++;
            merged[slot] = *at;
            used += slot == used;
        }
    return merged;
}

/* Looks argv[0] up as the container runtime does, in the command's own PATH. Returns why
 * it could not be executed. */
static int child_execute(const char *const *argv, const char *const *env)
{
    union {
        const char *const *in;
        char *const *out;
    } arg = {.in = argv}, envp = {.in = env};
    int errnum = ENOENT;
    if (strchr(argv[0], '/')) {
        execve(argv[0], arg.out, envp.out);
        errnum = errno;
    } else if (argv[0][0] != '\0') {
        const char *path = variable(env, "PATH");
        CLEANUP(io_free) char *copy = io_format("%s", path ? path : CONTAINER_PATH);
        char *rest = copy;
        for (char *part = strsep(&rest, ":"); part; part = strsep(&rest, ":")) {
            CLEANUP(io_free) char *file = io_format("%s/%s", *part ? part : ".", argv[0]);
            execve(file, arg.out, envp.out);
            if (errno != ENOENT && errno != ENOTDIR)
                errnum = errno;
        }
    }
    return errnum;
}

static int open_terminal(void)
{
    return open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
}

/* The terminal becomes 0, 1 and 2; its master goes to the VMM. */
static int child_terminal(int master, int report_fd)
{
    if (master < 0 || unlockpt(master) < 0)
        return -errno;
    int slave = ioctl(master, TIOCGPTPEER, O_RDWR);
    if (slave < 0 || ioctl(slave, TIOCSCTTY, 0) < 0)
        return -errno;
    ssize_t n = wire_put_fd(report_fd, "T", 1, master);
    if (n < 0)
        return (int)n;
    close(master);
    for (int i = 0; i < 3; i++)
        if (dup2(slave, i) < 0)
            return -errno;
    if (slave > 2)
        close(slave);
    return 0;
}

struct child_ends {
    int in, out, err, report;
};

/* master: a terminal from outside; -1: the guest's own devpts has one. */
static void child_streams(const struct guest_command *command, const struct child_ends *ends,
                          int master)
{
    int ret = 0;
    if (command->tty)
        ret = child_terminal(master < 0 ? open_terminal() : master, ends->report);
    else {
        int in = ends->in >= 0 ? ends->in : open("/dev/null", O_RDONLY);
        if (dup2(in, 0) < 0 || dup2(ends->out, 1) < 0 || dup2(ends->err, 2) < 0)
            ret = -errno;
        if (in != ends->in && in > 2)
            close(in);
    }
    if (ret < 0)
        child_fail(ends->report, GUEST_SETUP, -ret, NULL);
}

/*
 * Nothing of ours is to be found where the guest may look. Not without a PID namespace: there the
 * guest sees the host anyway, and a tracer without CAP_SYS_PTRACE would not see the process.
 */
static void child_hide(const struct guest *guest)
{
    if (guest->kind->has_init)
        prctl(PR_SET_DUMPABLE, 0);
}

static void child_agent(const struct guest *guest, const struct agent_job *job, int report_fd)
{
    int low = report_fd < job->host_fd ? report_fd : job->host_fd;
    int high = report_fd < job->host_fd ? job->host_fd : report_fd;
    proc_close_others((const int[]){low, high}, 2);
    prctl(PR_SET_NAME, "smolvm-agent");
    child_hide(guest);
    struct agent_result result;
    agent_run(job, &result);
    ssize_t n = write(report_fd, &result, sizeof result);
    _exit(n == (ssize_t)sizeof result ? 0 : 127);
}

/* With the capability to, if there is one; no_new_privs takes setuid programs away. */
static void child_filter(const struct guest *guest, const struct guest_command *command,
                         int report_fd)
{
    int ret = guest->kind->has_init ? 0 : filter_spare_others();
    if (ret == 0 && command->filter)
        ret = filter_install(command->filter);
    if (ret == -EACCES && command->filter && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
        ret = filter_install(command->filter);
    if (ret < 0)
        child_fail(report_fd, GUEST_SETUP, -ret, NULL);
}

static void child_run(const struct guest *guest, const struct guest_command *command,
                      const struct child_ends *ends)
{
    struct err err;
    child_reset();
    setsid();
    /* Without mounts the guest has no terminals. */
    int master = command->tty && !guest->kind->has_init ? open_terminal() : -1;
    int ret = child_enter(guest, &err);
    if (ret < 0)
        child_fail(ends->report, GUEST_SETUP, -ret, &err);
    char go;
    if (read(ends->report, &go, 1) != 1)
        _exit(127);
    if (command->agent) /* the agent belongs to the VM, not to the container */
        child_filter(guest, command, ends->report);
    if (command->agent)
        child_agent(guest, command->agent, ends->report);
    child_streams(command, ends, master);
    child_hide(guest);
    proc_close_others(&ends->report, 1);
    child_filter(guest, command, ends->report);
    ret = container_confine(&err);
    if (ret < 0)
        child_fail(ends->report, GUEST_SETUP, -ret, &err);
    struct rlimit files = {1024, 1024};
    setrlimit(RLIMIT_NOFILE, &files);
    struct guest_user user;
    ret = guest_user_find(command->user, &user, &err);
    if (ret < 0)
        child_fail(ends->report, GUEST_USER, -ret, &err);
    ret = guest_user_become(&user, &err);
    if (ret < 0)
        child_fail(ends->report, GUEST_SETUP, -ret, &err);
    char home[sizeof user.home + 8];
    snprintf(home, sizeof home, "HOME=%s", user.home);
    const char *cwd = command->cwd ? command->cwd : guest->record->workdir;
    if (cwd && chdir(cwd) < 0)
        child_fail(ends->report, GUEST_CHDIR, errno, NULL);
    const char *const base[] = {"PATH=" CONTAINER_PATH, "TERM=xterm-256color", home, NULL};
    const char *const *const lists[] = {base, (const char *const *)guest->record->env,
                                        command->env};
    const char **env = merge_env(lists, 3);
    ret = child_execute(command->argv, env);
    free(env);
    child_fail(ends->report, GUEST_EXECUTE, ret, NULL);
}

/* --- in the VMM --------------------------------------------------------------- */

/* fork() whose child is in pid_ns_fd's PID namespace, or first in a new one (-1), if there are. */
static pid_t fork_into(const struct guest *guest, int pid_ns_fd)
{
    if (!guest->kind->has_init) {
        pid_t child = fork();
        return child < 0 ? -errno : child;
    }
    int ret = pid_ns_fd >= 0 ? setns(pid_ns_fd, CLONE_NEWPID) : unshare(CLONE_NEWPID);
    pid_t pid = ret < 0 ? -errno : fork();
    if (pid == 0)
        return 0;
    if (pid < 0)
        pid = -errno;
    if (setns(guest->own_pid_ns_fd, CLONE_NEWPID) < 0)
        abort();
    return pid;
}

static int open_of(pid_t pid, const char *name, int flags)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    return open(path, flags | O_CLOEXEC);
}

static void main_child(const struct guest *guest, int report_fd)
{
    struct err err;
    child_reset();
    setsid();
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int i = 0; i < 3; i++)
        dup2(null_fd, i);
    int ret = guest->kind->enter(guest->record, &err);
    if (ret == 0)
        ret = container_confine(&err);
    if (ret < 0)
        child_fail(report_fd, GUEST_SETUP, -ret, &err);
    proc_close_others(&report_fd, 1);
    main_command(report_fd);
}

int guest_start_main(struct guest *guest, struct err *err)
{
    if (!guest->kind->has_init)
        return 0;
    CLEANUP(io_close) int read_fd = -1;
    CLEANUP(io_close) int write_fd = -1;
    int ret = io_pipe(&read_fd, &write_fd);
    if (ret < 0)
        return err_set(err, -ret, "pipe");
    pid_t pid = fork_into(guest, -1);
    if (pid == 0)
        main_child(guest, write_fd);
    if (pid < 0)
        return err_set(err, -pid, "start the main command");
    io_close(&write_fd);
    struct guest_failure failure;
    ssize_t n;
    do
        n = read(read_fd, &failure, sizeof failure);
    while (n < 0 && errno == EINTR);
    if (n != 0)
        return err_text(err, n == (ssize_t)sizeof failure ? failure.errnum : EIO,
                        "start the main command: %s",
                        n == (ssize_t)sizeof failure ? failure.text : "no report");
    guest->main_pid = pid;
    guest->untouched = true;
    guest->main_pid_ns_fd = open_of(pid, "ns/pid", O_RDONLY);
    guest->main_mnt_ns_fd = open_of(pid, "ns/mnt", O_RDONLY);
    guest->main_root_fd = open_of(pid, "root", O_PATH | O_DIRECTORY);
    if (guest->main_pid_ns_fd < 0 || guest->main_mnt_ns_fd < 0 || guest->main_root_fd < 0)
        return err_set(err, errno, "open the container's namespaces");
    return 0;
}

static void child_ends_release(struct child_ends *ends)
{
    io_close(&ends->in);
    io_close(&ends->out);
    io_close(&ends->err);
    io_close(&ends->report);
}

static int make_streams(const struct guest_command *command, struct guest_process *process,
                        struct child_ends *ends)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    process->report_fd = pair[0];
    ends->report = pair[1];
    if (command->tty || command->agent)
        return 0;
    int ret = io_pipe(&process->out_fd, &ends->out);
    if (ret == 0)
        ret = io_pipe(&process->err_fd, &ends->err);
    if (ret == 0 && command->interactive)
        ret = io_pipe(&ends->in, &process->in_fd);
    return ret;
}

int guest_spawn(struct guest *guest, const struct guest_command *command,
                struct guest_process *ret_process, struct err *err)
{
    CLEANUP(guest_process_release) struct guest_process process = GUEST_PROCESS_INIT;
    CLEANUP(child_ends_release) struct child_ends ends = {-1, -1, -1, -1};
    int ret = make_streams(command, &process, &ends);
    if (ret < 0)
        return err_set(err, -ret, "pipes for the command");
    guest->untouched = false;
    process.joined = guest_main_lives(guest);
    process.pid = fork_into(guest, guest->main_pid_ns_fd);
    if (process.pid == -ENOMEM && guest->main_pid > 0) {
        /* The namespace is dying, though its first process is not reaped yet. */
        guest_main_ended(guest);
        process.joined = false;
        process.pid = fork_into(guest, -1);
    }
    if (process.pid == 0)
        child_run(guest, command, &ends);
    if (process.pid < 0)
        return err_set(err, -process.pid, "start the command");
    *ret_process = process;
    process = (struct guest_process)GUEST_PROCESS_INIT;
    return 0;
}

void guest_go(struct guest_process *process)
{
    ssize_t n = send(process->report_fd, "g", 1, MSG_NOSIGNAL);
    (void)n;
}
