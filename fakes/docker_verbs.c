#include "docker_verbs.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "container.h"
#include "smolvm_calls.h"

#define DAEMON "Error response from daemon: "
#define EXIT_DAEMON 125 /* `run` */
#define NAME_BYTES "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
#define SEE_RUN "\nRun 'docker run --help' for more information\n"
#define TAR_BLOCK UINT64_C(512)

static int refuse(struct smolvm_run *run, const char *what)
{
    buf_printf(&run->err, "error: this fake docker %s\n", what);
    return SMOLVM_EXIT_OWN;
}

/* --- which container -------------------------------------------------------------- */

/* By name, by id, or by the beginning of one id alone. -ENOENT, -EEXIST: of more than one. */
static int find_container(struct smolvm_run *run, const char *word, struct record *ret_record,
                          struct err *err)
{
    CLEANUP(io_free_list) char **names = NULL;
    int ret = state_read(run->state_path, word, ret_record, err);
    if (ret != -ENOENT || !*word)
        return ret;
    ret = state_list(run->state_path, &names, err);
    if (ret < 0)
        return ret;
    size_t found = 0;
    for (size_t i = 0; names[i]; i++) {
        struct record record = {0};
        char id[RECORD_ID_SIZE];
        if (state_read(run->state_path, names[i], &record, err) < 0)
            continue;
        record_id(&record, id);
        if (strncmp(id, word, strlen(word)) == 0 && found++ == 0)
            *ret_record = record;
        else
            record_release(&record);
    }
    if (found > 1)
        record_release(ret_record);
    return found == 1 ? 0 : found ? -EEXIST : -ENOENT;
}

/* Sets run->machine; if there is none such, says so and returns the exit status. */
static int take_container(struct smolvm_run *run, const char *word, bool kill,
                          struct record *ret_record)
{
    struct err err;
    int ret = find_container(run, word, ret_record, &err);
    free(run->machine);
    run->machine = io_format("%s", ret == 0 ? ret_record->name : word);
    if (ret == -ENOENT)
        buf_printf(&run->err, DAEMON "%s%s%sNo such container: %s\n",
                   kill ? "cannot kill container: " : "", kill ? word : "", kill ? ": " : "", word);
    else if (ret == -EEXIST)
        buf_printf(&run->err, DAEMON "Multiple IDs found with provided prefix: %s\n", word);
    else if (ret < 0)
        return smolvm_run_own_error(run, &err);
    return ret < 0 ? 1 : 0;
}

/* The same, for the verbs that work inside. */
static int take_running(struct smolvm_run *run, const char *word, bool exec)
{
    CLEANUP(record_release) struct record record = {0};
    char id[RECORD_ID_SIZE];
    int status = take_container(run, word, false, &record);
    if (status != 0 || state_vmm_pid(run->state_path, run->machine) > 0)
        return status;
    if (!exec)
        return refuse(run, "copies from and to running containers alone");
    record_id(&record, id);
    buf_printf(&run->err, DAEMON "container %s is not running\n", id);
    return 1;
}

/* --- exec, cp ------------------------------------------------------------------------ */

/* `-e NAME` takes the caller's value, and nothing where there is none. */
static char **copy_env(const char *const *items)
{
    size_t count = 0, kept = 0;
    while (items[count])
        count++;
    char **env = calloc(count + 1, sizeof *env);
    if (!env)
        abort();
    for (size_t i = 0; i < count; i++) {
        const char *value = strchr(items[i], '=') ? NULL : getenv(items[i]);
        if (value)
            env[kept++] = io_format("%s=%s", items[i], value);
        else if (strchr(items[i], '='))
            env[kept++] = io_format("%s", items[i]);
    }
    return env;
}

static int make_call(struct smolvm_run *run, struct request *request)
{
    struct err err;
    int ret = smolvm_calls_make(run, request, &err);
    if (ret == -ENOTCONN)
        buf_printf(&run->err, DAEMON "container %s is not running\n", run->machine);
    else if (ret < 0)
        return smolvm_run_own_error(run, &err);
    return ret < 0 ? 1 : run->reply.status;
}

static int play_exec(struct smolvm_run *run, const struct docker_args *args)
{
    int status = take_running(run, args->operands[0], true);
    if (status != 0)
        return status;
    if (args->tty && args->interactive && !isatty(STDIN_FILENO)) {
        buf_add(&run->err, "the input device is not a TTY\n");
        return 1;
    }
    CLEANUP(io_free_list) char **env = copy_env(args->env);
    struct request request = {.verb = CLIENT_EXEC,
                              .argv = args->operands + 1,
                              .env = (const char *const *)env,
                              .cwd = args->workdir,
                              .user = args->user,
                              .interactive = args->interactive,
                              .tty = args->tty,
                              .stream = true,
                              .docker = ""};
    return make_call(run, &request);
}

/* "2.05kB": by 1000, three digits. */
static void add_size(struct buf *buf, double bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB"};
    size_t unit = 0;
    for (; bytes >= 1000 && unit < 3; unit++)
        bytes /= 1000;
    buf_printf(buf, "%.3g%s", bytes, units[unit]);
}

/* What went over was a tar: a header, whole blocks, two empty ones. */
static void say_copied(struct smolvm_run *run, const char *where)
{
    uint64_t blocks = (run->reply.size_bytes + TAR_BLOCK - 1) / TAR_BLOCK + 3;
    buf_add(&run->err, "Successfully copied ");
    add_size(&run->err, (double)(blocks * TAR_BLOCK));
    buf_printf(&run->err, " to %s\n", where);
}

/* With the working folder before it, as far as there is one. */
static char *absolute(const char *path)
{
    CLEANUP(io_free) char *cwd = path[0] == '/' ? NULL : getcwd(NULL, 0);
    while (cwd && strncmp(path, "./", 2) == 0)
        path += 2;
    return cwd ? io_format("%s/%s", cwd, path) : io_format("%s", path);
}

/* Where a download goes, or the exit status. dst is absolute. */
static int host_target(struct smolvm_run *run, const char *dst, const char *guest, char **ret_path)
{
    struct stat st;
    bool folder = stat(dst, &st) == 0 && S_ISDIR(st.st_mode);
    const char *slash = strrchr(dst, '/');
    CLEANUP(io_free) char *parent = io_format("%.*s", (int)(slash - dst), dst);
    if (!folder && slash > dst && slash[1] && (stat(parent, &st) < 0 || !S_ISDIR(st.st_mode))) {
        buf_printf(&run->err, "invalid output path: directory \"%s\" does not exist\n", parent);
        return 1;
    }
    const char *name = strrchr(guest, '/');
    *ret_path = folder ? io_format("%s/%s", dst, name ? name + 1 : guest) : io_format("%s", dst);
    return 0;
}

static int check_source(struct smolvm_run *run, const char *src)
{
    struct stat st;
    if (lstat(src, &st) < 0) {
        const char *why = errno == ENOENT ? "no such file or directory" : strerror(errno);
        CLEANUP(io_free) char *path = absolute(src);
        char *slash = strrchr(path, '/');
        *slash = '\0';
        CLEANUP(io_free) char *folder = realpath(slash > path ? path : "/", NULL);
        if (folder)
            buf_printf(&run->err, "lstat %s/%s: %s\n", folder, slash + 1, why);
        else
            buf_printf(&run->err, "lstat %s: %s\n", path, why);
        return 1;
    }
    if (stat(src, &st) < 0 || !S_ISREG(st.st_mode))
        return refuse(run, "copies files alone");
    return 0;
}

/* The colon of CONTAINER:PATH; NULL: a path of the host. */
static const char *container_colon(const char *word)
{
    return word[0] == '/' || word[0] == '.' ? NULL : strchr(word, ':');
}

static int play_cp(struct smolvm_run *run, const struct docker_args *args)
{
    const char *src = args->operands[0], *dst = args->operands[1];
    const char *from = container_colon(src), *to = container_colon(dst);
    if (strcmp(src, "-") == 0 || strcmp(dst, "-") == 0)
        return refuse(run, "copies no tar streams");
    if (!from == !to) {
        buf_add(&run->err, from ? "copying between containers is not supported\n"
                                : "must specify at least one container source\n");
        return 1;
    }
    const char *guest = from ? src : dst, *colon = from ? from : to;
    CLEANUP(io_free) char *word = io_format("%.*s", (int)(colon - guest), guest);
    CLEANUP(io_free) char *path = io_format("%s%s", colon[1] == '/' ? "" : "/", colon + 1);
    CLEANUP(io_free) char *host = NULL;
    CLEANUP(io_free) char *shown = from ? absolute(dst) : io_format("%s", dst);
    int status = from ? host_target(run, shown, path, &host) : check_source(run, src);
    if (status == 0)
        status = take_running(run, word, false);
    size_t len = strlen(shown);
    if (status == 0 && from && len > 1 && shown[len - 1] == '/' && access(shown, F_OK) < 0) {
        buf_add(&run->err, "no such directory\n");
        return 1;
    }
    if (status != 0)
        return status;
    const char *slash = strrchr(src, '/');
    struct request request = {.verb = from ? CLIENT_DOWNLOAD : CLIENT_UPLOAD,
                              .guest_path = path,
                              .host_path = from ? host : src,
                              .docker = slash ? slash + 1 : src};
    status = make_call(run, &request);
    /* Unless told so, it speaks to a terminal alone. */
    bool quiet = args->quiet || (!args->loud && !isatty(STDOUT_FILENO));
    if (status == 0 && !run->reply.killed && !quiet)
        say_copied(run, shown);
    return status;
}

/* --- create, run, start ---------------------------------------------------------------- */

static bool only_waits(const char *const *command)
{
    return !command[0] || (strcmp(command[0], "sleep") == 0 && command[1] && !command[2]) ||
           (strcmp(command[0], "tail") == 0 && command[1] && command[2] && !command[3] &&
            strcmp(command[1], "-f") == 0 && strcmp(command[2], "/dev/null") == 0);
}

static int conflict(struct smolvm_run *run, const char *prefix)
{
    CLEANUP(record_release) struct record record = {0};
    char id[RECORD_ID_SIZE] = "";
    if (state_read(run->state_path, run->machine, &record, NULL) == 0)
        record_id(&record, id);
    buf_printf(&run->err,
               "%s" DAEMON
               "Conflict. The container name \"/%s\" is already in use by container \"%s\". "
               "You have to remove (or rename) that container to be able to reuse that "
               "name.\n",
               prefix, run->machine, id);
    return 1;
}

/* Makes it and shows its id, unless that is start's to do. */
static int create(struct smolvm_run *run, const struct docker_args *args)
{
    struct err err;
    const char *image = args->operands[0], *prefix = args->verb == DOCKER_RUN ? "docker: " : "";
    if (!only_waits(args->operands + 1))
        return refuse(run, "has containers of its own init alone; their command may only wait: "
                           "sleep infinity");
    CLEANUP(record_release)
    struct record record = {.name = args->name
                                        ? io_format("%s", args->name)
                                        : io_format("kp_%llx", (unsigned long long)io_now_ns()),
                            .image = io_format("%s", image),
                            .workdir = args->workdir ? io_format("%s", args->workdir) : NULL,
                            .env = copy_env(args->env),
                            .created_at = time(NULL)};
    run->machine = io_format("%s", record.name);
    if (!record.name[0] || !record.name[1] || !isalnum((unsigned char)record.name[0]) ||
        record.name[strspn(record.name, NAME_BYTES)]) {
        buf_printf(&run->err,
                   "%s" DAEMON "Invalid container name (%s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are "
                   "allowed\n",
                   prefix, record.name);
        return 1;
    }
    int ret = layout_for_image(image, &record.layout, &err);
    if (ret == -ENOENT) {
        buf_printf(&run->err,
                   "Unable to find image '%s' locally\n%s" DAEMON "pull access denied for %s, "
                   "repository does not exist or may require 'docker login'\n",
                   image, prefix, image);
        return 1;
    }
    if (ret == 0)
        ret = state_create(run->state_path, &record, &err);
    if (ret == -EEXIST)
        return conflict(run, prefix);
    if (ret < 0)
        return smolvm_run_own_error(run, &err);
    char id[RECORD_ID_SIZE];
    record_id(&record, id);
    buf_printf(&run->out, "%s\n", id);
    return 0;
}

static void take_forced(struct smolvm_run *run, const struct reply *forced)
{
    run->reply.killed = forced->killed;
    buf_append(&run->reply.rules_json, buf_str(&forced->rules_json), forced->rules_json.len);
    buf_append(&run->err, buf_str(&forced->err), forced->err.len);
}

static int boot(struct smolvm_run *run, struct record *record)
{
    struct err err;
    CLEANUP(reply_release) struct reply forced = REPLY_INIT;
    forced.status = -1;
    pid_t pid;
    const struct container_kind *kind = container_choose(run->state_path, &err);
    if (kind == &container_copied)
        buf_printf(&run->err,
                   "WARN docker_fake: the container is a copied tree, for real ones are refused "
                   "here (%s)\n",
                   err.msg);
    if (kind->check_place(run->state_path, &err) < 0)
        return smolvm_run_own_error(run, &err);
    const struct boot wanted = {.kind = kind,
                                .state_path = run->state_path,
                                .name = record->name,
                                .faults = run->faults,
                                .ret_reply = &forced,
                                .owner_fd = -1};
    int ret = client_boot(&wanted, &pid, &err);
    take_forced(run, &forced);
    if (forced.status >= 0)
        return forced.status;
    if (ret < 0 && ret != -EALREADY)
        return smolvm_run_own_error(run, &err);
    record->started = true;
    return state_update(run->state_path, record, &err) < 0 ? smolvm_run_own_error(run, &err) : 0;
}

static int stop_running(struct smolvm_run *run, bool by_rules)
{
    struct err err;
    CLEANUP(reply_release) struct reply forced = REPLY_INIT;
    forced.status = -1;
    int ret = by_rules
                  ? client_stop_by_rules(run->state_path, run->machine, run->faults, &forced, &err)
                  : client_stop(run->state_path, run->machine, &err);
    take_forced(run, &forced);
    if (ret < 0)
        return smolvm_run_own_error(run, &err);
    return forced.status >= 0 ? forced.status : 0;
}

static int play_create(struct smolvm_run *run, const struct docker_args *args)
{
    return create(run, args);
}

static int play_run(struct smolvm_run *run, const struct docker_args *args)
{
    CLEANUP(record_release) struct record record = {0};
    struct err err;
    if (!args->detach)
        return refuse(run, "runs containers with -d alone");
    int status = create(run, args);
    if (status == 1) {
        buf_add(&run->err, SEE_RUN);
        return EXIT_DAEMON;
    }
    if (status != 0)
        return status;
    if (smolvm_run_record(run, &record, &err) < 0)
        return smolvm_run_own_error(run, &err);
    return boot(run, &record);
}

static int start_one(struct smolvm_run *run, const struct docker_args *args, const char *word,
                     struct record *record)
{
    (void)args;
    int status = 0;
    if (!state_main_lives(run->state_path, run->machine)) {
        if (state_vmm_pid(run->state_path, run->machine) > 0)
            status = stop_running(run, false);
        if (status == 0)
            status = boot(run, record);
    }
    if (status == 0)
        buf_printf(&run->out, "%s\n", word);
    return status;
}

/* --- stop, kill, rm ------------------------------------------------------------------- */

static int stop_one(struct smolvm_run *run, const struct docker_args *args, const char *word,
                    struct record *record)
{
    char id[RECORD_ID_SIZE];
    int status = 0;
    if (state_main_lives(run->state_path, run->machine))
        status = stop_running(run, args->verb == DOCKER_STOP);
    else if (args->verb == DOCKER_KILL) {
        record_id(record, id);
        buf_printf(&run->err, DAEMON "cannot kill container: %s: container %s is not running\n",
                   word, id);
        return 1;
    }
    if (status == 0)
        buf_printf(&run->out, "%s\n", word);
    return status;
}

static int remove_one(struct smolvm_run *run, const struct docker_args *args, const char *word,
                      struct record *record)
{
    struct err err;
    (void)record;
    if (state_main_lives(run->state_path, run->machine) && !args->force) {
        buf_printf(&run->err,
                   DAEMON "cannot remove container \"%s\": container is running: stop the "
                          "container before removing or force remove\n",
                   run->machine);
        return 1;
    }
    bool kept = state_vmm_pid(run->state_path, run->machine) > 0;
    int status = kept ? stop_running(run, false) : 0;
    if (status != 0)
        return status;
    if (state_remove(run->state_path, run->machine, &err) < 0)
        return smolvm_run_own_error(run, &err);
    buf_printf(&run->out, "%s\n", word);
    return 0;
}

/* Each container in turn; the last bad status is the call's. */
static int for_each(struct smolvm_run *run, const struct docker_args *args,
                    int (*play)(struct smolvm_run *, const struct docker_args *, const char *,
                                struct record *))
{
    int status = 0;
    for (size_t i = 0; i < args->n_operands; i++) {
        CLEANUP(record_release) struct record record = {0};
        int one = take_container(run, args->operands[i], args->verb == DOCKER_KILL, &record);
        bool missing = one == 1;
        if (one == 0)
            one = play(run, args, args->operands[i], &record);
        if (one != 0 && !(missing && args->force))
            status = one;
    }
    return status;
}

static int play_start(struct smolvm_run *run, const struct docker_args *args)
{
    int status = for_each(run, args, start_one);
    if (status == 1 && args->n_operands == 1)
        buf_printf(&run->err, "Error: failed to start containers: %s\n", args->operands[0]);
    return status;
}

static int play_stop(struct smolvm_run *run, const struct docker_args *args)
{
    const char *signal = args->signal ? args->signal : "KILL";
    if (strcmp(signal, "KILL") != 0 && strcmp(signal, "SIGKILL") != 0 && strcmp(signal, "9") != 0)
        return refuse(run, "kills by SIGKILL alone");
    return for_each(run, args, stop_one);
}

static int play_rm(struct smolvm_run *run, const struct docker_args *args)
{
    return for_each(run, args, remove_one);
}

/* --- inspect, ps ---------------------------------------------------------------------- */

/* Adds what the template asks for. -ENOTSUP: one that is not built. */
static int add_inspected(struct smolvm_run *run, const char *template, const struct record *record)
{
    bool running = state_main_lives(run->state_path, record->name);
    char id[RECORD_ID_SIZE];
    record_id(record, id);
    if (strcmp(template, "{{.State.Running}}") == 0)
        buf_printf(&run->out, "%s\n", running ? "true" : "false");
    else if (strcmp(template, "{{.State.Status}}") == 0)
        buf_printf(&run->out, "%s\n", running ? "running" : record->started ? "exited" : "created");
    else if (strcmp(template, "{{.State.ExitCode}}") == 0) /* it only waits, so it was killed */
        buf_printf(&run->out, "%d\n", record->started && !running ? 137 : 0);
    else if (strcmp(template, "{{.Id}}") == 0)
        buf_printf(&run->out, "%s\n", id);
    else if (strcmp(template, "{{.Name}}") == 0)
        buf_printf(&run->out, "/%s\n", record->name);
    else
        return -ENOTSUP;
    return 0;
}

static int play_inspect(struct smolvm_run *run, const struct docker_args *args)
{
    CLEANUP(record_release) struct record record = {0};
    struct err err;
    if (!args->format || args->n_operands != 1)
        return refuse(run, "inspects one container, with -f");
    int ret = find_container(run, args->operands[0], &record, &err);
    run->machine = io_format("%s", ret == 0 ? record.name : args->operands[0]);
    if (ret == -ENOENT) {
        buf_add(&run->out, "\n");
        buf_printf(&run->err, "Error: No such object: %s\n", args->operands[0]);
        return 1;
    }
    if (ret < 0)
        return smolvm_run_own_error(run, &err);
    if (add_inspected(run, args->format, &record) < 0)
        return refuse(run, "knows -f {{.State.Running}}, {{.State.Status}}, {{.State.ExitCode}}, "
                           "{{.Id}} and {{.Name}} alone");
    return 0;
}

static int play_ps(struct smolvm_run *run, const struct docker_args *args)
{
    CLEANUP(io_free_list) char **names = NULL;
    struct err err;
    bool by_name = args->format && strcmp(args->format, "{{.Names}}") == 0;
    if (!args->quiet && !by_name)
        return refuse(run, "lists with -q or --format {{.Names}} alone");
    if (state_list(run->state_path, &names, &err) < 0)
        return smolvm_run_own_error(run, &err);
    for (size_t i = 0; names[i]; i++) {
        CLEANUP(record_release) struct record record = {0};
        char id[RECORD_ID_SIZE];
        if (state_read(run->state_path, names[i], &record, &err) < 0 ||
            (!args->all && !state_main_lives(run->state_path, names[i])))
            continue;
        record_id(&record, id);
        buf_printf(&run->out, "%.*s\n", by_name ? 255 : 12, by_name ? names[i] : id);
    }
    return 0;
}

static int play_version(struct smolvm_run *run, const struct docker_args *args)
{
    (void)args;
    buf_add(&run->out, "Docker version 28.2.2, build e6534b4\n");
    return 0;
}

static const struct {
    enum docker_verb verb;
    int (*play)(struct smolvm_run *run, const struct docker_args *args);
} plays[] = {
    {DOCKER_CREATE, play_create},   {DOCKER_RUN, play_run},         {DOCKER_START, play_start},
    {DOCKER_EXEC, play_exec},       {DOCKER_CP, play_cp},           {DOCKER_STOP, play_stop},
    {DOCKER_KILL, play_stop},       {DOCKER_RM, play_rm},           {DOCKER_PS, play_ps},
    {DOCKER_INSPECT, play_inspect}, {DOCKER_VERSION, play_version},
};

int docker_verb_run(struct smolvm_run *run, const struct docker_args *args)
{
    for (size_t i = 0; i < sizeof plays / sizeof *plays; i++)
        if (plays[i].verb == args->verb)
            return plays[i].play(run, args);
    abort();
}
