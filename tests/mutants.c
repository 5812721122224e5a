/*
 * mutants [NAME...]: plays every mutant of broken/, or these, and the example backends that are
 * right, and prints the kill table. `make mutants` calls it, and test_broken.c too.
 *
 * Exit status: 0 every mutant is caught by its check and by no unrelated one, and nothing is
 * found on the right backends; 1 not so; 2 wrong usage; 3 something could not be played; 130
 * interrupted.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fault/home.h"
#include "../fault/proc.h"
#include "mutant.h"

#define LAYOUT "bookworm-mini"
#define AT_ONCE 4 /* while some wait or settle, others work */
/* Of the whole suite some calls hang for ten seconds, and must not hold back those that race. */
#define CALLS_RIGHT "4"
#define CALLS_MUTANT "1"
#define EXIT_AS_EXPECTED 0
#define EXIT_UNEXPECTED 1
#define JOBS_MAX 256

static const char *const right_backends[] = {"posix-sh", "python", "docker-sh"};
#define RIGHT_COUNT (sizeof right_backends / sizeof *right_backends)

/*
 * What every mutant plays beside the trials of its file: some of each kind, and none where the
 * mistake's traces hang on when a kill lands.
 */
static const char *const rest[] = {"install/undisturbed",
                                   "certificate/unusable[file=two]",
                                   "cp/fails",
                                   "exec/no-update-ca-certificates",
                                   "kill/before-command",
                                   "machines/*",
                                   "partial/everything-there",
                                   "plan/*",
                                   "retry/not-after-a-status[status=1]",
                                   "rotation/same-ca-twice"};
#define REST_COUNT (sizeof rest / sizeof *rest)

/* One killpoint: a right backend over the whole suite, or a mutant. */
struct job {
    const char *name;
    struct mutant mutant; /* its text is NULL for a right backend */
    char *results, *log;
    pid_t pid; /* 0: not started */
    int status;
    json_t *trials; /* NULL: none were read */
};

struct bench {
    char *program, *folder, *work;
    struct job *jobs;
    size_t n_jobs, started, running;
    bool interrupted;
};

static void bench_release(struct bench *bench)
{
    for (size_t i = 0; i < bench->n_jobs; i++) {
        struct job *job = &bench->jobs[i];
        mutant_release(&job->mutant);
        free(job->results);
        free(job->log);
        json_decref(job->trials);
    }
    if (bench->work)
        io_remove_tree(AT_FDCWD, bench->work, NULL);
    free(bench->jobs);
    free(bench->program);
    free(bench->folder);
    free(bench->work);
}

/* --- what is played ------------------------------------------------------------------- */

static struct job *add_job(struct bench *bench, const char *name)
{
    struct job *job = &bench->jobs[bench->n_jobs++];
    job->name = name;
    job->results = io_format("%s/%s.ndjson", bench->work, name);
    job->log = io_format("%s/%s.log", bench->work, name);
    return job;
}

static int add_mutant(struct bench *bench, const char *name, struct err *err)
{
    CLEANUP(io_free) char *path = io_format("%s/%s.sed", bench->folder, name);
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    int ret = io_read_file(AT_FDCWD, path, &text, 1 << 20, err);
    if (ret < 0)
        return ret;
    struct job *job = add_job(bench, name);
    return mutant_parse(buf_str(&text), &job->mutant)
               ? 0
               : err_text(err, EINVAL, "%s: the comments name no check", path);
}

/* Every *.sed, by name. files keeps the names. */
static int add_all(struct bench *bench, glob_t *files, struct err *err)
{
    CLEANUP(io_free) char *pattern = io_format("%s/*.sed", bench->folder);
    if (glob(pattern, 0, NULL, files) != 0 || files->gl_pathc > JOBS_MAX - RIGHT_COUNT)
        return err_text(err, ENOENT, "%s: no mutants, or too many", pattern);
    int ret = 0;
    for (size_t i = 0; i < files->gl_pathc && ret == 0; i++) {
        char *name = strrchr(files->gl_pathv[i], '/') + 1;
        *strrchr(name, '.') = '\0';
        ret = add_mutant(bench, name, err);
    }
    return ret;
}

static int open_bench(struct bench *bench, struct err *err)
{
    const char *tmp = getenv("TMPDIR");
    bench->jobs = calloc(JOBS_MAX, sizeof *bench->jobs);
    if (!bench->jobs)
        abort();
    int ret = home_find("bin/killpoint", &bench->program, err);
    if (ret == 0)
        ret = home_find("tests/broken", &bench->folder, err);
    char *work = io_format("%s/mutants-XXXXXX", tmp ? tmp : "/tmp");
    if (ret == 0 && !mkdtemp(work))
        ret = err_set(err, errno, "mkdtemp %s", work);
    if (ret < 0) {
        free(work);
        return ret;
    }
    bench->work = work;
    for (size_t i = 0; i < RIGHT_COUNT; i++)
        add_job(bench, right_backends[i]);
    return 0;
}

/* --- playing -------------------------------------------------------------------------- */

static int start(struct bench *bench, struct job *job, struct err *err)
{
    CLEANUP(io_free)
    char *file = job->mutant.text ? io_format("%s/%s", bench->folder, job->mutant.backend)
                                  : io_format("%s", job->name);
    const char *argv[REST_COUNT + 16] = {bench->program, "run",       "--backend", file,
                                         "-j",           CALLS_RIGHT, "--layout",  LAYOUT,
                                         "--results",    job->results};
    if (job->mutant.text) { /* of posix-sh, which drives smolvm */
        argv[5] = CALLS_MUTANT;
        argv[10] = "--driver";
        argv[11] = "smolvm";
        argv[12] = job->mutant.glob;
        memcpy(argv + 13, rest, sizeof rest);
    }
    CLEANUP(io_close)
    int log_fd = open(job->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (log_fd < 0)
        return err_set(err, errno, "open %s", job->log);
    setenv("BROKEN", job->name, 1);
    const struct proc_spec spec = {.argv = argv,
                                   .stdin_fd = -1,
                                   .stdout_fd = log_fd,
                                   .stderr_fd = log_fd,
                                   .death_signal = SIGTERM};
    job->pid = proc_spawn(&spec, err);
    bench->running += job->pid > 0;
    return job->pid < 0 ? job->pid : 0;
}

static void reap(struct bench *bench)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        for (size_t i = 0; i < bench->started; i++)
            if (bench->jobs[i].pid == pid) {
                bench->jobs[i].status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
                bench->running--;
            }
}

/* Each killpoint cleans up by itself when it is told to end. */
static void interrupt(struct bench *bench)
{
    for (size_t i = 0; i < bench->started && !bench->interrupted; i++)
        if (bench->jobs[i].pid > 0)
            kill(bench->jobs[i].pid, SIGTERM);
    bench->interrupted = true;
}

static int play(struct bench *bench, struct err *err)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    int ret = 0;
    while (bench->running > 0 ||
           (bench->started < bench->n_jobs && !bench->interrupted && ret == 0)) {
        if (bench->started < bench->n_jobs && bench->running < AT_ONCE && !bench->interrupted &&
            ret == 0) {
            ret = start(bench, &bench->jobs[bench->started++], err);
            continue;
        }
        int signum = sigwaitinfo(&signals, NULL);
        if (signum == SIGINT || signum == SIGTERM)
            interrupt(bench);
        reap(bench);
    }
    return ret;
}

/* --- the table ------------------------------------------------------------------------ */

/* How it was ended is wrong, or NULL. */
static char *object_to_status(const struct job *job)
{
    int wanted = job->mutant.text ? EXIT_UNEXPECTED : EXIT_AS_EXPECTED;
    if (job->trials && job->status == wanted)
        return NULL;
    CLEANUP(buf_release) struct buf said = BUF_INIT;
    io_read_file(AT_FDCWD, job->log, &said, 1 << 20, NULL);
    return io_format("killpoint ended with %d instead of %d:\n%s", job->status, wanted,
                     buf_str(&said));
}

static void add_count(struct buf *text, const char *check, json_t *count)
{
    buf_printf(text, "%s%s (%lld)", text->len ? ", " : "", check,
               (long long)json_integer_value(count));
}

static bool print_mutant(const struct job *job, json_t *good)
{
    CLEANUP(buf_release) struct buf caught = BUF_INIT;
    CLEANUP(buf_release) struct buf others = BUF_INIT;
    CLEANUP(io_free) char *must = io_format("%s in %s", job->mutant.check, job->mutant.glob);
    json_t *failures = mutant_failures(good, job->trials), *count;
    const char *check;
    json_object_foreach(failures, check, count)
        add_count(strcmp(check, job->mutant.check) == 0 ? &caught : &others, check, count);
    char *objection = object_to_status(job);
    if (!objection)
        objection = mutant_find_objection(&job->mutant, good, job->trials);
    printf("%-28s %-57s %-38s %s\n", job->name, must, caught.len ? buf_str(&caught) : "nothing",
           others.len ? buf_str(&others) : "-");
    if (objection)
        printf("  WRONG: %s\n", objection);
    bool fine = !objection;
    free(objection);
    json_decref(failures);
    return fine;
}

static bool print_right(const struct job *job)
{
    CLEANUP(io_free) char *objection = object_to_status(job);
    printf("%-28s %-57s %s\n", job->name, "no finding beside its expectation list",
           objection ? "WRONG" : "none");
    if (objection)
        printf("  %s\n", objection);
    return !objection;
}

static int print(const struct bench *bench)
{
    size_t caught = 0, right = 0;
    printf("%-28s %-57s %-38s %s\n", "MUTANT", "MUST BE CAUGHT BY", "CAUGHT BY (TRIALS)",
           "OTHER CHECKS THAT FAILED, AS IT SAYS");
    for (size_t i = RIGHT_COUNT; i < bench->n_jobs; i++)
        caught += print_mutant(&bench->jobs[i], bench->jobs[0].trials);
    printf("\nRIGHT BACKENDS\n");
    for (size_t i = 0; i < RIGHT_COUNT; i++)
        right += print_right(&bench->jobs[i]);
    printf("\n%zu of %zu mutants are caught, each by its check and by no unrelated one; "
           "%zu of %zu right backends are as expected\n",
           caught, bench->n_jobs - RIGHT_COUNT, right, RIGHT_COUNT);
    if (fflush(stdout) != 0)
        return 3;
    return caught == bench->n_jobs - RIGHT_COUNT && right == RIGHT_COUNT ? 0 : 1;
}

int main(int argc, char **argv)
{
    CLEANUP(bench_release) struct bench bench = {NULL};
    glob_t files = {0};
    struct err err;
    int ret = open_bench(&bench, &err);
    if (ret == 0 && argc == 1)
        ret = add_all(&bench, &files, &err);
    for (int i = 1; i < argc && i < JOBS_MAX - (int)RIGHT_COUNT && ret == 0; i++)
        ret = add_mutant(&bench, argv[i], &err);
    if (ret < 0) {
        fprintf(stderr, "mutants: %s\n", err.msg);
        globfree(&files);
        return 2;
    }
    ret = play(&bench, &err);
    if (ret < 0)
        fprintf(stderr, "mutants: %s\n", err.msg);
    for (size_t i = 0; i < bench.n_jobs; i++)
        mutant_read_trials(bench.jobs[i].results, &bench.jobs[i].trials, NULL);
    int status = bench.interrupted ? 130 : ret < 0 ? 3 : print(&bench);
    globfree(&files);
    return status;
}
