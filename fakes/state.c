#include "state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <xxhash.h>

#define SHM_MIN_BYTES (1024ULL * 1024 * 1024)
#define RECORD_MAX_BYTES (1024 * 1024)
#define NAME_MAX_BYTES 63
/* No machine can be called so. */
#define NEW_NAME ".new"
#define GONE_NAME ".gone"

void record_release(struct record *record)
{
    free(record->name);
    free(record->image);
    free(record->layout);
    free(record->workdir);
    io_free_list(&record->env);
    io_free_list(&record->read_only);
    *record = (struct record){0};
}

void record_id(const struct record *record, char ret_id[RECORD_ID_SIZE])
{
    uint64_t seed = (uint64_t)record->created_at;
    for (size_t i = 0; i < 4; i++) {
        uint64_t part = XXH64(record->name, strlen(record->name), seed * 4 + i);
        snprintf(ret_id + 16 * i, 17, "%016llx", (unsigned long long)part);
    }
}

static void json_release(json_t **json)
{
    json_decref(*json);
}

static void dir_close(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

/* --- where the state lives -------------------------------------------------- */

/*
 * A container's /dev/shm takes no devices and no programs. That matters where machines are copied
 * trees in it, not overlays mounted over it, as without CAP_SYS_ADMIN.
 */
static bool shm_serves(const struct statvfs *vfs)
{
    return !(vfs->f_flag & (ST_NOEXEC | ST_NODEV)) || prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN) > 0;
}

static bool shm_is_large(void)
{
    struct statvfs vfs;
    /* The size, not what is free: the place must not change while machines fill it. */
    return statvfs("/dev/shm", &vfs) == 0 &&
           (uint64_t)vfs.f_blocks * vfs.f_frsize >= SHM_MIN_BYTES &&
           access("/dev/shm", W_OK) == 0 && shm_serves(&vfs);
}

static char *default_path(void)
{
    const char *tmp = getenv("TMPDIR");
    if (shm_is_large())
        tmp = "/dev/shm";
    else if (!tmp || !*tmp)
        tmp = "/tmp";
    return io_format("%s/killpoint-%u", tmp, (unsigned)geteuid());
}

/* NULL: there is no such link. */
static char *path_beside_program(void)
{
    const char *name = (const char *)getauxval(AT_EXECFN);
    const char *slash = name ? strrchr(name, '/') : NULL;
    struct stat st;
    CLEANUP(io_free)
    char *path =
        slash ? io_format("%.*s/" STATE_LINK, (int)(slash - name), name) : io_format(STATE_LINK);
    return lstat(path, &st) == 0 && S_ISLNK(st.st_mode) ? steal_ptr(&path) : NULL;
}

int state_find(char **ret_path, struct err *err)
{
    CLEANUP(io_free) char *path = path_beside_program();
    const char *given = getenv("KILLPOINT_STATE");
    if (!given || !*given)
        given = getenv("SMOLVM_DATA_DIR");
    if (path)
        unsetenv("KILLPOINT_FAULTS");
    else
        path = given && *given ? io_format("%s", given) : default_path();
    int ret = io_make_dirs(path, 0700, err);
    if (ret < 0)
        return err_wrap(err, ret, "state folder");
    CLEANUP(io_free) char *real = realpath(path, NULL);
    if (!real)
        return err_set(err, errno, "state folder %s", path);
    struct stat st;
    if (stat(real, &st) < 0)
        return err_set(err, errno, "state folder %s", real);
    /* The default's name can be guessed and its parent is open to all. */
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid())
        return err_text(err, EPERM, "state folder %s is not a folder of this user", real);
    *ret_path = steal_ptr(&real);
    return 0;
}

int state_check_name(const char *name, struct err *err)
{
    static const char alnum[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    static const char others[] = "-_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    size_t len = strlen(name);
    if (len == 0)
        return err_text(err, EINVAL, "machine name cannot be empty");
    if (len > NAME_MAX_BYTES)
        return err_text(err, EINVAL, "machine name is longer than %d characters", NAME_MAX_BYTES);
    if (!strchr(alnum, name[0]))
        return err_text(err, EINVAL, "machine name '%s' must start with a letter or a digit", name);
    if (strspn(name, others) != len)
        return err_text(err, EINVAL, "machine name '%s' may hold only letters, digits, '-' and '_'",
                        name);
    if (strstr(name, "--") || name[len - 1] == '-')
        return err_text(err, EINVAL, "machine name '%s' may not hold '--' or end with '-'", name);
    return 0;
}

char *state_machine_path(const char *state_path, const char *name)
{
    return io_format("%s/machines/%s", state_path, name);
}

/* --- records ----------------------------------------------------------------- */

static json_t *list_to_json(char *const *list)
{
    json_t *array = json_array();
    for (size_t i = 0; list && list[i]; i++)
        json_array_append_new(array, json_string(list[i]));
    return array;
}

/* -EINVAL: some string is not UTF-8, which JSON cannot hold. */
static int record_write(const char *folder, const struct record *record, struct err *err)
{
    json_error_t why;
    CLEANUP(json_release)
    json_t *json = json_pack_ex(
        &why, 0, "{s:s, s:s, s:s, s:s?, s:o, s:o, s:I, s:I, s:b, s:i, s:I, s:I, s:I, s:b, s:i}",
        "name", record->name, "image", record->image, "layout", record->layout, "workdir",
        record->workdir, "env", list_to_json(record->env), "read_only",
        list_to_json(record->read_only), "disk_bytes", (json_int_t)record->disk_bytes, "created_at",
        (json_int_t)record->created_at, "started", record->started, "cpus", record->cpus,
        "memory_mib", (json_int_t)record->memory_mib, "storage_gib",
        (json_int_t)record->storage_gib, "overlay_gib", (json_int_t)record->overlay_gib, "network",
        record->network, "ports", record->ports);
    if (!json)
        return err_text(err, EINVAL, "machine '%s': record: %s", record->name, why.text);
    char *text = json_dumps(json, JSON_INDENT(2));
    if (!text)
        return err_set(err, ENOMEM, "machine '%s': record", record->name);
    CLEANUP(io_free) char *path = io_format("%s/record.json", folder);
    int ret = io_write_file(AT_FDCWD, path, text, strlen(text), 0600, err);
    free(text);
    return ret;
}

static char *copy_string(const char *text)
{
    return text ? io_format("%s", text) : NULL;
}

/* NULL when the array is none, or holds something else than strings. */
static char **list_from_json(const json_t *array)
{
    size_t count = json_array_size(array);
    char **list = calloc(count + 1, sizeof *list);
    for (size_t i = 0; list && i < count; i++) {
        const char *text = json_string_value(json_array_get(array, i));
        if (!text) {
            io_free_list(&list);
            return NULL;
        }
        list[i] = copy_string(text);
    }
    return list;
}

static int record_parse(const json_t *json, struct record *ret_record, const char **ret_why)
{
    const char *name, *image, *layout;
    json_t *workdir, *env, *read_only;
    json_int_t disk, created, memory, storage, overlay;
    int started, cpus, network, ports;
    json_error_t why;
    /* json_unpack_ex() only reads, but takes no const. */
    union {
        const json_t *in;
        json_t *out;
    } root = {json};
    if (json_unpack_ex(
            root.out, &why, 0,
            "{s:s, s:s, s:s, s:o, s:o, s:o, s:I, s:I, s:b, s:i, s:I, s:I, s:I, s:b, s:i}", "name",
            &name, "image", &image, "layout", &layout, "workdir", &workdir, "env", &env,
            "read_only", &read_only, "disk_bytes", &disk, "created_at", &created, "started",
            &started, "cpus", &cpus, "memory_mib", &memory, "storage_gib", &storage, "overlay_gib",
            &overlay, "network", &network, "ports", &ports) < 0) {
        *ret_why = "a key is missing or has a wrong type";
        return -EINVAL;
    }
    char **env_list = list_from_json(env), **read_only_list = list_from_json(read_only);
    if (!env_list || !read_only_list) {
        io_free_list(&env_list);
        io_free_list(&read_only_list);
        *ret_why = "env and read_only are lists of strings";
        return -EINVAL;
    }
    *ret_record = (struct record){.name = copy_string(name),
                                  .image = copy_string(image),
                                  .layout = copy_string(layout),
                                  .workdir = copy_string(json_string_value(workdir)),
                                  .env = env_list,
                                  .read_only = read_only_list,
                                  .disk_bytes = disk,
                                  .created_at = created,
                                  .started = started,
                                  .cpus = cpus,
                                  .memory_mib = memory,
                                  .storage_gib = storage,
                                  .overlay_gib = overlay,
                                  .network = network,
                                  .ports = ports};
    return 0;
}

int state_read(const char *state_path, const char *name, struct record *ret_record, struct err *err)
{
    /* A name that no machine can have is an unknown machine, and never a path. */
    if (state_check_name(name, NULL) < 0)
        return err_text(err, ENOENT, "no machine '%s'", name);
    CLEANUP(io_free) char *folder = state_machine_path(state_path, name);
    CLEANUP(io_free) char *path = io_format("%s/record.json", folder);
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    int ret = io_read_file(AT_FDCWD, path, &text, RECORD_MAX_BYTES, err);
    if (ret < 0)
        return ret;
    json_error_t where;
    CLEANUP(json_release) json_t *json = json_loadb(buf_str(&text), text.len, 0, &where);
    const char *why = where.text;
    if (!json || record_parse(json, ret_record, &why) < 0)
        return err_text(err, EINVAL, "%s: %s", path, why);
    return 0;
}

int state_update(const char *state_path, const struct record *record, struct err *err)
{
    CLEANUP(io_free) char *folder = state_machine_path(state_path, record->name);
    if (access(folder, F_OK) < 0)
        return err_set(err, errno, "machine '%s'", record->name);
    return record_write(folder, record, err);
}

/* --- machines ---------------------------------------------------------------- */

int state_lock(const char *state_path, int *ret_fd, struct err *err)
{
    CLEANUP(io_close) int fd = open(state_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int ret;
    do
        ret = fd < 0 ? -1 : flock(fd, LOCK_EX);
    while (ret < 0 && errno == EINTR);
    if (ret < 0)
        return err_set(err, errno, "lock %s", state_path);
    *ret_fd = steal_fd(&fd);
    return 0;
}

/* With the state's lock: what killed makers and removers left. */
static int sweep(const char *state_path, struct err *err)
{
    CLEANUP(io_free) char *fresh = state_machine_path(state_path, NEW_NAME);
    CLEANUP(io_free) char *gone = state_machine_path(state_path, GONE_NAME);
    int ret = io_remove_tree(AT_FDCWD, fresh, err);
    return ret < 0 ? ret : io_remove_tree(AT_FDCWD, gone, err);
}

static void remove_if_empty(const char *state_path)
{
    CLEANUP(io_free) char *machines = io_format("%s/machines", state_path);
    rmdir(machines);
}

/* Built under a name that is never listed, then moved: a machine is there whole or not. */
static int make_machine(const char *state_path, const struct record *record, struct err *err)
{
    CLEANUP(io_free) char *fresh = state_machine_path(state_path, NEW_NAME);
    CLEANUP(io_free) char *folder = state_machine_path(state_path, record->name);
    CLEANUP(io_free) char *lock = io_format("%s/lock", fresh);
    int ret = io_make_dirs(fresh, 0700, err);
    if (ret < 0)
        return ret;
    CLEANUP(io_close) int lock_fd = open(lock, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (lock_fd < 0)
        return err_set(err, errno, "make %s", lock);
    ret = record_write(fresh, record, err);
    if (ret == 0 && renameat2(AT_FDCWD, fresh, AT_FDCWD, folder, RENAME_NOREPLACE) < 0)
        ret = errno == EEXIST ? err_text(err, EEXIST, "machine '%s' already exists", record->name)
                              : err_set(err, errno, "make %s", folder);
    return ret;
}

int state_create(const char *state_path, const struct record *record, struct err *err)
{
    CLEANUP(io_close) int state_fd = -1;
    int ret = state_check_name(record->name, err);
    if (ret == 0)
        ret = state_lock(state_path, &state_fd, err);
    if (ret == 0)
        ret = sweep(state_path, err);
    if (ret < 0)
        return ret;
    ret = make_machine(state_path, record, err);
    if (ret < 0) {
        sweep(state_path, NULL);
        remove_if_empty(state_path);
    }
    return ret;
}

int state_remove(const char *state_path, const char *name, struct err *err)
{
    if (state_check_name(name, NULL) < 0)
        return err_text(err, ENOENT, "no machine '%s'", name);
    CLEANUP(io_free) char *folder = state_machine_path(state_path, name);
    CLEANUP(io_free) char *gone = state_machine_path(state_path, GONE_NAME);
    CLEANUP(io_free) char *lock = io_format("%s/lock", folder);
    CLEANUP(io_close) int state_fd = -1;
    CLEANUP(io_close) int lock_fd = -1;
    int ret = state_lock(state_path, &state_fd, err);
    if (ret == 0)
        ret = sweep(state_path, err);
    if (ret < 0)
        return ret;
    /* Held to the end: no VMM can start on a folder that is going away. */
    if (io_lock_file(AT_FDCWD, lock, 0, &lock_fd) == -EAGAIN)
        return err_text(err, EBUSY, "machine '%s' is running", name);
    /* One rename makes it unknown, so that a kill while its files go leaves no half machine. */
    if (rename(folder, gone) < 0)
        return err_set(err, errno, "remove %s", folder);
    ret = sweep(state_path, err);
    remove_if_empty(state_path);
    return ret;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int state_list(const char *state_path, char ***ret_names, struct err *err)
{
    CLEANUP(io_free) char *machines = io_format("%s/machines", state_path);
    CLEANUP(dir_close) DIR *dir = opendir(machines);
    if (!dir && errno != ENOENT)
        return err_set(err, errno, "open %s", machines);
    size_t count = 0;
    CLEANUP(io_free_list) char **names = calloc(1, sizeof *names);
    struct dirent *entry;
    while (names && dir && (entry = readdir(dir))) {
        if (state_check_name(entry->d_name, NULL) < 0)
            continue;
        char **more = reallocarray(names, count + 2, sizeof *names);
        if (!more)
            break;
        names = more;
        names[count++] = io_format("%s", entry->d_name);
        names[count] = NULL;
    }
    if (!names)
        return err_set(err, ENOMEM, "list %s", machines);
    qsort(names, count, sizeof *names, compare_names);
    *ret_names = steal_ptr(&names);
    return 0;
}

pid_t state_vmm_pid(const char *state_path, const char *name)
{
    if (state_check_name(name, NULL) < 0)
        return 0;
    CLEANUP(io_free) char *folder = state_machine_path(state_path, name);
    CLEANUP(io_free) char *pid_path = io_format("%s/pid", folder);
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    if (io_read_file(AT_FDCWD, pid_path, &text, 64, NULL) < 0)
        return 0;
    CLEANUP(io_free) char *lock = io_format("%s/lock", folder);
    CLEANUP(io_close) int lock_fd = open(lock, O_RDONLY | O_CLOEXEC);
    struct flock holder = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (lock_fd < 0 || fcntl(lock_fd, F_OFD_GETLK, &holder) < 0 || holder.l_type == F_UNLCK)
        return 0;
    return (pid_t)strtol(buf_str(&text), NULL, 10);
}

bool state_main_lives(const char *state_path, const char *name)
{
    CLEANUP(io_free)
    char *over = io_format("%s/machines/%s/" STATE_MAIN_OVER, state_path, name);
    return state_vmm_pid(state_path, name) > 0 && access(over, F_OK) < 0;
}
