#include "backend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "keys.h"
#include "needs.h"
#include "validate.h"

static const char *const placeholder_names[] = {"machine", "cert",   "plan", "label",
                                                "ca_path", "bundle", "bin",  "dir"};
#define N_PLACEHOLDERS (sizeof placeholder_names / sizeof *placeholder_names)

/* What the runner sets for each trial; a backend that changed it would miss the fakes. */
static const char *const runners_env[] = {"PATH", "HOME", "TMPDIR", "SMOLVM"};
#define N_RUNNERS_ENV (sizeof runners_env / sizeof *runners_env)

#define STATUSES 256

void backend_release(struct backend *backend)
{
    pool_release(&backend->pool);
    *backend = (struct backend)BACKEND_INIT;
}

/*
 * The next `{word}` of a text, of which *ret_len are the word's bytes, or NULL. Braces
 * behind a '$' are the shell's own.
 */
static const char *next_word(const char *text, size_t *ret_len)
{
    char before = '\0';
    for (; *text; before = *text++) {
        if (*text != '{' || before == '$')
            continue;
        *ret_len = strspn(text + 1, "abcdefghijklmnopqrstuvwxyz_");
        if (*ret_len && text[1 + *ret_len] == '}')
            return text + 1;
    }
    return NULL;
}

/* --- loading -------------------------------------------------------------- */

struct loading {
    const char *path;
    struct backend *backend;
    struct diags *diags;
};

#define SAY(loading, node, ...)                                                                    \
    diags_add((loading)->diags, (loading)->path, (node)->line, (node)->column, __VA_ARGS__)

static void read_name(const struct loading *loading, struct view view)
{
    const char *base = strrchr(loading->path, '/');
    const char *name = schema_text(view, &loading->backend->pool);
    const char *file = pool_format(&loading->backend->pool, "%s.yaml", name);
    base = base ? base + 1 : loading->path;
    if (strcmp(base, file) != 0)
        SAY(loading, view.node, "name: the file must be named %s, this is %s", file, base);
    loading->backend->name = name;
}

/*
 * Words that are nobody's stay as they are, but one that looks like a slip is told. Returns
 * what is behind the next of those, or NULL, and what to say of it.
 */
static const char *next_slip(const char *text, struct err *ret_slip)
{
    size_t len;
    for (const char *at = text; (at = next_word(at, &len)); at += len) {
        CLEANUP(io_free) char *word = io_format("%.*s", (int)len, at);
        const char *near =
            diag_nearest(word, placeholder_names, N_PLACEHOLDERS, sizeof *placeholder_names);
        if (!near || strcmp(near, word) == 0)
            continue;
        err_text(ret_slip, EINVAL, "unknown placeholder '{%s}'; did you mean '{%s}'?", word, near);
        return at + len;
    }
    return NULL;
}

static void check_words(const struct loading *loading, const struct node *node, const char *text)
{
    struct err slip;
    for (const char *at = text; (at = next_slip(at, &slip));)
        SAY(loading, node, "command: %s", slip.msg);
}

static bool uses_word(const char *const *argv, const char *wanted)
{
    size_t len;
    for (; *argv; argv++)
        for (const char *at = *argv; (at = next_word(at, &len)); at += len)
            if (strlen(wanted) == len && !memcmp(wanted, at, len))
                return true;
    return false;
}

static void read_commands(const struct loading *loading, struct view view)
{
    static const char *const names[] = {[DRIVER_SMOLVM] = "smolvm", [DRIVER_DOCKER] = "docker"};
    struct backend *backend = loading->backend;
    for (size_t driver = 0; driver < sizeof names / sizeof *names; driver++) {
        struct view command = schema_get(view, names[driver]);
        if (!schema_has(command))
            continue;
        backend->command[driver] = schema_texts(command, &backend->pool);
        for (size_t i = 0; backend->command[driver][i]; i++)
            check_words(loading, command.node->items[i], backend->command[driver][i]);
    }
    if (!backend->command[DRIVER_SMOLVM] && !backend->command[DRIVER_DOCKER])
        SAY(loading, view.node, "command: smolvm, docker or both are needed");
}

/* declared, NULL-terminated, and what follows from the command lines. */
static void set_capabilities(struct backend *backend, const char *const *declared,
                             bool sees_signals)
{
    size_t count = 0;
    while (declared[count])
        count++;
    const char **all = pool_alloc(&backend->pool, count + 3, sizeof *all);
    for (size_t i = 0; i < count; i++)
        all[i] = declared[i];
    if (sees_signals)
        all[count++] = "driver-signals";
    bool plan = true;
    for (size_t driver = 0; driver < 2; driver++)
        plan &= !backend->command[driver] || uses_word(backend->command[driver], "plan");
    if (plan)
        all[count++] = "plan";
    backend->capabilities = all;
}

static void read_env(const struct loading *loading, struct view view)
{
    struct pool *pool = &loading->backend->pool;
    size_t count = schema_count(view);
    const char **env = pool_alloc(pool, count + 1, sizeof *env);
    for (size_t i = 0; i < count; i++) {
        const char *name = schema_name(view, i);
        for (size_t k = 0; k < N_RUNNERS_ENV; k++)
            if (!strcmp(name, runners_env[k]))
                SAY(loading, view.node->keys[i], "env: %s is the runner's to set", name);
        env[i] = pool_format(pool, "%s=%s", name, schema_text(schema_item(view, i), pool));
    }
    loading->backend->env = env;
}

static void read_exit_map(const struct loading *loading, struct view view)
{
    size_t count = schema_count(view);
    int *map = count ? pool_alloc(&loading->backend->pool, STATUSES, sizeof *map) : NULL;
    for (int i = 0; i < STATUSES && map; i++)
        map[i] = i;
    for (size_t i = 0; i < count; i++) {
        int64_t status;
        const char *name = schema_name(view, i);
        if (schema_parse_int(name, &status) < 0 || status >= STATUSES)
            SAY(loading, view.node->keys[i], "exit_map: '%.60s' is no exit status, 0 to 255", name);
        else
            map[status] = (int)schema_int(schema_item(view, i));
    }
    loading->backend->exit_map = map;
}

/* The folder of path, absolute: a backend runs in a folder of its trial's own. */
static const char *folder_of(const char *path, struct pool *pool)
{
    CLEANUP(io_free) char *full = realpath(path, NULL);
    if (!full)
        return NULL;
    char *slash = strrchr(full, '/');
    return pool_copy_n(pool, full, slash == full ? 1 : (size_t)(slash - full));
}

static void read_backend(const struct loading *loading, struct view root)
{
    struct backend *backend = loading->backend;
    struct pool *pool = &backend->pool;
    read_name(loading, schema_get(root, "name"));
    backend->title = schema_text(schema_get(root, "title"), pool);
    read_commands(loading, schema_get(root, "command"));
    read_env(loading, schema_get(root, "env"));
    read_exit_map(loading, schema_get(root, "exit_map"));
    const char *signals = schema_text(schema_get(root, "driver_signals"), pool);
    set_capabilities(backend, schema_texts(schema_get(root, "capabilities"), pool),
                     !strcmp(signals, "seen"));
    const char *list = schema_text(schema_get(root, "expectations"), pool);
    if (list) {
        const char *slash = strrchr(loading->path, '/');
        int dir_len = slash && *list != '/' ? (int)(slash + 1 - loading->path) : 0;
        list = pool_format(pool, "%.*s%s", dir_len, loading->path, list);
        expectations_load(list, pool, &backend->expectations, loading->diags);
    }
}

int backend_load(const char *path, struct backend *ret_backend, struct diags *diags)
{
    CLEANUP(backend_release) struct backend backend = BACKEND_INIT;
    const struct loading loading = {path, &backend, diags};
    struct view root;
    size_t before = diags->told;
    if (validate_file(path, &keys_backend, &backend.pool, diags, &root) < 0)
        return -EINVAL;
    backend.path = pool_copy(&backend.pool, path);
    backend.dir = folder_of(path, &backend.pool);
    if (!backend.dir)
        diags_add(diags, path, 0, 0, "the folder cannot be found: %s", strerror(errno));
    read_backend(&loading, root);
    if (diags->told != before)
        return -EINVAL;
    *ret_backend = backend;
    backend = (struct backend)BACKEND_INIT;
    return 0;
}

int backend_from_command(const char *const *argv, struct backend *ret_backend, struct err *err)
{
    static const char *const none[] = {NULL};
    struct backend backend = BACKEND_INIT;
    size_t count = 0;
    for (; argv[count]; count++)
        if (next_slip(argv[count], err))
            return -EINVAL;
    const char **command = pool_alloc(&backend.pool, count + 1, sizeof *command);
    memcpy(command, argv, count * sizeof *command);
    /* It runs in its trial's folder, but was named from here. */
    CLEANUP(io_free) char *program = strchr(argv[0], '/') ? realpath(argv[0], NULL) : NULL;
    if (program)
        command[0] = pool_copy(&backend.pool, program);
    backend.name = "command";
    backend.title = pool_copy(&backend.pool, argv[0]);
    backend.env = none;
    backend.command[DRIVER_SMOLVM] = command;
    set_capabilities(&backend, none, false);
    *ret_backend = backend;
    return 0;
}

/* --- using ---------------------------------------------------------------- */

const char *backend_lacks(const struct backend *backend, const struct scenario *scenario)
{
    for (const char *const *need = scenario->needs; *need; need++) {
        const char *const *has = backend->capabilities;
        if (strcmp(*need, NEEDS_GUEST_PROC) == 0)
            continue;
        while (*has && strcmp(*has, *need) != 0)
            has++;
        if (!*has)
            return *need;
    }
    return NULL;
}

int backend_status(const struct backend *backend, int status)
{
    return backend->exit_map ? backend->exit_map[status] : status;
}

static const char *find_value(const struct backend *backend, const struct placeholder *values,
                              const char *name, size_t len)
{
    for (; values->name; values++)
        if (strlen(values->name) == len && !memcmp(values->name, name, len))
            return values->value;
    return len == 3 && !memcmp("dir", name, len) ? backend->dir : NULL;
}

/* One pass: a brace inside a value is text. */
static char *replace(const struct backend *backend, const struct placeholder *values,
                     const char *text, struct pool *pool)
{
    CLEANUP(buf_release) struct buf done = BUF_INIT;
    const char *word;
    size_t len;
    for (const char *at = text; (word = next_word(at, &len)); at = word + len) {
        const char *value = find_value(backend, values, word, len);
        if (!value)
            continue;
        buf_append(&done, text, (size_t)(word - 1 - text));
        buf_add(&done, value);
        text = word + len + 1;
    }
    buf_add(&done, text);
    return pool_copy(pool, buf_str(&done));
}

const char *const *backend_argv(const struct backend *backend, enum driver driver,
                                const struct placeholder *values, struct pool *pool)
{
    const char *const *command = backend->command[driver];
    size_t count = 0;
    if (!command)
        return NULL;
    while (command[count])
        count++;
    const char **argv = pool_alloc(pool, count + 1, sizeof *argv);
    for (size_t i = 0; i < count; i++)
        argv[i] = replace(backend, values, command[i], pool);
    return argv;
}

static bool is_on_path(const char *name)
{
    const char *at = getenv("PATH");
    for (at = at ? at : ""; *at; at += strspn(at, ":")) {
        size_t len = strcspn(at, ":");
        CLEANUP(io_free) char *path = io_format("%.*s/%s", (int)len, at, name);
        if (access(path, X_OK) == 0)
            return true;
        at += len;
    }
    return false;
}

int backend_check_programs(const struct backend *backend, struct err *err)
{
    static const struct placeholder none = {NULL, NULL};
    for (size_t i = 0; i < sizeof backend->command / sizeof *backend->command; i++) {
        CLEANUP(pool_release) struct pool pool = POOL_INIT;
        if (!backend->command[i])
            continue;
        const char *name = replace(backend, &none, backend->command[i][0], &pool);
        size_t len;
        if (next_word(name, &len) || strcmp(name, "smolvm") == 0 || strcmp(name, "docker") == 0)
            continue; /* a trial's own */
        struct stat st;
        bool is_path = strchr(name, '/') != NULL;
        if (is_path && stat(name, &st) == 0 && S_ISDIR(st.st_mode))
            return err_text(err, EISDIR, "the backend's program %s is a folder", name);
        if (is_path ? access(name, X_OK) < 0 : !is_on_path(name))
            return err_text(err, errno, "the backend's program %s: %s", name,
                            is_path ? strerror(errno) : "it is not on PATH");
    }
    return 0;
}

void backend_digest(const struct backend *backend, char ret_text[13])
{
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    for (const char *const *at = backend->command[DRIVER_SMOLVM]; at && *at; at++)
        buf_printf(&text, "%s\n", *at);
    for (const char *const *at = backend->env; at && *at; at++)
        buf_printf(&text, "%s\n", *at);
    for (int i = 0; backend->exit_map && i < STATUSES; i++)
        buf_printf(&text, "%d\n", backend->exit_map[i]);
    snprintf(ret_text, 13, "%012llx",
             (unsigned long long)(XXH3_64bits(buf_str(&text), text.len) & 0xffffffffffff));
}
