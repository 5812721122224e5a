#include "provision.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command.h"

#define STATUS_SIGKILL 137 /* 128 + SIGKILL, as shells and drivers tell it */
#define STATUS_DOCKER_LOST 255
#define ARGV_MAX 10

static bool succeeded(const struct command_result *result)
{
    return !result->signaled && result->code == 0;
}

static void describe(const struct command_result *result, FILE *file)
{
    if (result->signaled) {
        const char *name = sigabbrev_np(result->code);
        fprintf(file, "driver killed by signal %d (SIG%s)", result->code, name ? name : "?");
    } else {
        fprintf(file, "exit status %d", result->code);
    }
    fputs("; stdout ", file);
    stream_quote(&result->out, file);
    fputs("; stderr ", file);
    stream_quote(&result->err, file);
}

/* Says that a step failed for good; first is the exec before it, or NULL. */
static int fail(const char *step, const struct command_result *result,
                const struct command_result *first, struct error *error)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    if (!file)
        abort();
    fprintf(file, "%s failed: ", step);
    describe(result, file);
    if (first) {
        fputs("; the first exec: ", file);
        describe(first, file);
    }
    if (fclose(file) != 0)
        abort();
    error_release(error);
    error->text = text;
    return -EIO;
}

/* Runs one step and puts its name before the text when the driver cannot be started. */
static int run_step(const char *step, const char *const *argv, struct command_result *ret_result,
                    struct error *error)
{
    int ret = command_run(argv, ret_result, error);
    if (ret < 0) {
        CLEANUP(free_text) char *why = error->text;
        error->text = NULL;
        error_set(error, -ret, "%s failed: %s", step, why);
    }
    return ret;
}

static int copy(const struct provision *p, struct error *error)
{
    CLEANUP(free_text) char *target = format_text("%s:%s", p->machine, p->ca_path);
    const char *smolvm[] = {p->driver_path, "machine", "cp", p->cert_path, target, NULL};
    const char *docker[] = {p->driver_path, "cp", p->cert_path, target, NULL};
    CLEANUP(command_result_release) struct command_result result = {0};
    int ret = run_step("cp", p->driver == DRIVER_SMOLVM ? smolvm : docker, &result, error);
    if (ret < 0)
        return ret;
    return succeeded(&result) ? 0 : fail("cp", &result, NULL, error);
}

static void exec_argv(const struct provision *p, const char *argv[ARGV_MAX])
{
    const char *smolvm[ARGV_MAX] = {p->driver_path, "machine", "exec", "--name",  p->machine,
                                    "--",           "sh",      "-c",   p->script, NULL};
    const char *docker[ARGV_MAX] = {p->driver_path, "exec", "-u",      "0", p->machine,
                                    "sh",           "-c",   p->script, NULL};
    memcpy(argv, p->driver == DRIVER_SMOLVM ? smolvm : docker, sizeof smolvm);
}

static bool starts_with(const char *line, const char *word)
{
    return strncmp(line, word, strlen(word)) == 0;
}

static bool ends_with(const char *line, const char *word)
{
    size_t len = strlen(line), word_len = strlen(word);
    return len >= word_len && strcmp(line + len - word_len, word) == 0;
}

static bool is_smolvms_word(const char *line)
{
    static const char number[] = "Connection reset by peer (os error ";
    static const char prefix[] = "Error: io operation failed: ";
    if (!starts_with(line, prefix))
        return false;
    line += sizeof prefix - 1;
    if (!starts_with(line, number))
        return strcmp(line, "connection closed") == 0;
    line += sizeof number - 1;
    return strcmp(line + strspn(line, "0123456789"), ")") == 0;
}

/* silent: no output came. What came before a reset stays shown. */
static bool is_dockers_word(const char *line, bool silent)
{
    if (starts_with(line, "read unix ") || starts_with(line, "read tcp "))
        return ends_with(line, ": read: connection reset by peer");
    return silent &&
           (strcmp(line, "unexpected EOF") == 0 || starts_with(line, "error during connect: "));
}

/*
 * True for the driver's own last word on a lost reply. smolvm then shows no output of the guest.
 * docker's is no word but 255, which the hardened script never returns (script.c), once the
 * command has begun.
 */
static bool lost_machine(const struct provision *p, const struct command_result *result)
{
    bool silent = result->out.size_bytes == 0;
    if (p->driver == DRIVER_DOCKER && result->code == STATUS_DOCKER_LOST)
        return true;
    if (result->code != 1)
        return false;
    CLEANUP(free_text) char *text = stream_text(&result->err);
    size_t len = strlen(text);
    while (len > 0 && strchr("\n\r ", text[len - 1]))
        text[--len] = '\0';
    const char *line = strrchr(text, '\n');
    line = line ? line + 1 : text;
    return p->driver == DRIVER_DOCKER ? is_dockers_word(line, silent)
                                      : silent && is_smolvms_word(line);
}

static bool may_retry(const struct provision *p, const struct command_result *result)
{
    if (!result->signaled && result->code == STATUS_SIGKILL)
        return true;
    if (p->policy == POLICY_UPSTREAM)
        return false;
    return result->signaled || lost_machine(p, result);
}

static void settle(int64_t end_ns)
{
    struct timespec until = {.tv_sec = end_ns / 1000000000, .tv_nsec = end_ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
}

int provision_run(const struct provision *p, struct error *error)
{
    int ret = copy(p, error);
    if (ret < 0)
        return ret;
    const char *argv[ARGV_MAX];
    exec_argv(p, argv);
    CLEANUP(command_result_release) struct command_result first = {0};
    if ((ret = run_step("exec", argv, &first, error)) < 0)
        return ret;
    if (succeeded(&first))
        return 1;
    if (!may_retry(p, &first))
        return fail("exec", &first, NULL, error);

    settle(first.end_ns + p->settle_ns);
    CLEANUP(command_result_release) struct command_result second = {0};
    if ((ret = run_step("second exec", argv, &second, error)) < 0)
        return ret;
    return succeeded(&second) ? 2 : fail("second exec", &second, &first, error);
}
