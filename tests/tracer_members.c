#include "tracer_members.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fault/io.h"

extern char **environ;

static void mark(const char *line)
{
    ssize_t n = write(TRACER_MARK_FD, line, strlen(line));
    (void)n;
}

static void __attribute__((noreturn)) append_for_ever(void)
{
    CLEANUP(io_free) char *path = io_format("writer.%d", (int)getpid());
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    for (;;)
        if (write(fd, "x", 1) != 1)
            _exit(1);
}

static void *append_in_thread(void *unused)
{
    (void)unused;
    append_for_ever();
}

static void member_writer(void)
{
    pthread_t thread;
    for (int i = 0; i < 2; i++)
        pthread_create(&thread, NULL, append_in_thread, NULL);
    append_for_ever();
}

/* A sibling's end is seen by its parent, and by who reads from it. */
static void member_watchers(void)
{
    int fds[2];
    if (pipe(fds) < 0)
        _exit(1);
    pid_t held = fork();
    if (held == 0) {
        close(fds[0]);
        for (;;)
            pause();
    }
    if (fork() == 0) {
        close(fds[1]);
        char byte;
        if (read(fds[0], &byte, 1) == 0)
            mark("a reader saw its writer end\n");
        _exit(0);
    }
    close(fds[0]);
    close(fds[1]);
    if (waitpid(held, NULL, 0) == held)
        mark("a parent saw its child end\n");
    _exit(0);
}

static void member_in_vfork(void)
{
    if (vfork() == 0)
        for (;;)
            pause();
    mark("a parent's vfork returned\n");
    _exit(0);
}

static void member_forks(void)
{
    for (;;) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(0);
        if (pid > 0)
            waitpid(pid, NULL, 0);
    }
}

static void member_spawns(void)
{
    static char name[] = "true";
    char *argv[] = {name, NULL};
    for (;;) {
        pid_t pid;
        if (posix_spawnp(&pid, "true", NULL, NULL, argv, environ) == 0)
            waitpid(pid, NULL, 0);
    }
}

static void member_pipelines(void)
{
    execlp("sh", "sh", "-c", "while :; do echo a | cat | (cat; :) >/dev/null; done", NULL);
}

static void member_daemon(void)
{
    if (fork() > 0)
        _exit(0);
    setsid();
    if (fork() > 0)
        _exit(0);
    member_writer();
}

static void *forks_in_thread(void *unused)
{
    (void)unused;
    member_forks();
    return NULL;
}

/* The first thread is gone, and the process lives on. */
static void member_without_first_thread(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, forks_in_thread, NULL);
    pthread_create(&thread, NULL, append_in_thread, NULL);
    pthread_exit(NULL);
}

static void *execute_in_thread(void *ready)
{
    while (ready && access(ready, F_OK) < 0)
        usleep(1000);
    execlp("sh", "sh", "-c", "echo executed >>executed; while :; do :; done", NULL);
    _exit(1);
}

static void member_thread_executes(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, execute_in_thread, NULL);
    for (;;)
        pause();
}

/* The thread executes while the first one stands in vfork(2). */
static void member_executes_in_vfork(void)
{
    static char ready[] = "ready";
    pthread_t thread;
    pthread_create(&thread, NULL, execute_in_thread, ready);
    if (vfork() == 0) {
        close(open(ready, O_WRONLY | O_CREAT, 0600));
        for (;;)
            pause();
    }
}

/* Again and again a process that forks is killed by its sibling; its children go on. */
static void member_parent_is_killed(void)
{
    for (int i = 0; i < 300; i++) {
        pid_t parent = fork();
        if (parent == 0)
            for (;;)
                if (fork() == 0)
                    _exit(0);
        usleep((unsigned)(100 + i * 7 % 900));
        kill(parent, SIGKILL);
        waitpid(parent, NULL, 0);
    }
    _exit(0);
}

static volatile sig_atomic_t signals_seen;

static void on_usr1(int signum)
{
    (void)signum;
    signals_seen = signals_seen + 1;
}

/* Says in a file how often a signal to the tree came to a process of three threads. */
static void *sleep_in_thread(void *unused)
{
    for (;;)
        pause();
    return unused;
}

static void member_counts_signals(void)
{
    struct sigaction action = {.sa_handler = on_usr1};
    sigaction(SIGUSR1, &action, NULL);
    pthread_t thread;
    for (int i = 0; i < 2; i++)
        pthread_create(&thread, NULL, sleep_in_thread, NULL);
    close(open("ready", O_WRONLY | O_CREAT, 0600));
    while (!signals_seen)
        usleep(1000);
    usleep(100000);
    _exit(signals_seen);
}

static void member_everything(void);

/* The first TRACER_N_KINDS are those that live until they are killed. */
static const struct member {
    const char *name;
    void (*run)(void);
} members[] = {{"writer", member_writer},
               {"watchers", member_watchers},
               {"in vfork", member_in_vfork},
               {"forks", member_forks},
               {"spawns", member_spawns},
               {"pipelines", member_pipelines},
               {"daemon", member_daemon},
               {"without first thread", member_without_first_thread},
               {"thread executes", member_thread_executes},
               {"executes in vfork", member_executes_in_vfork},
               {"parent is killed", member_parent_is_killed},
               {"counts signals", member_counts_signals},
               {"everything", member_everything}};

static void member_everything(void)
{
    for (size_t i = 0; i < TRACER_N_KINDS; i++)
        if (fork() == 0)
            members[i].run();
    for (;;)
        pause();
}

const char *tracer_member_kind(size_t i)
{
    return members[i].name;
}

int tracer_member_main(const char *name)
{
    char go;
    if (read(STDIN_FILENO, &go, 1) != 1)
        return 1;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (strcmp(members[i].name, name) == 0)
            members[i].run();
    return 1;
}
