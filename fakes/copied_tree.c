#include "copied_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "upper.h"

#define STACK_MAX 17
#define FRESH "upper.new"

/* The same folder in several trees, topmost first. */
struct stack {
    int fds[STACK_MAX];
    size_t count;
    bool has_upper; /* the first is the upper folder's */
};

static void stack_release(struct stack *stack)
{
    while (stack->count > 0)
        io_close(&stack->fds[--stack->count]);
}

static void stack_push(struct stack *stack, int fd)
{
    stack->fds[stack->count++] = fd;
}

static int open_folder(int dir_fd, const char *name)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int stack_push_layers(struct stack *stack, char *const *layers, struct err *err)
{
    for (; *layers; layers++) {
        if (stack->count == STACK_MAX)
            return err_text(err, E2BIG, "too many layers");
        int fd = open_folder(AT_FDCWD, *layers);
        if (fd < 0)
            return err_set(err, -fd, "open %s", *layers);
        stack_push(stack, fd);
    }
    return 0;
}

static bool is_whiteout(const struct stat *st)
{
    return S_ISCHR(st->st_mode) && st->st_rdev == 0;
}

/* Which folder of the stack shows the name; -1: none does. */
static int stack_find(const struct stack *stack, const char *name, struct stat *ret_stat)
{
    for (size_t i = 0; i < stack->count; i++)
        if (fstatat(stack->fds[i], name, ret_stat, AT_SYMLINK_NOFOLLOW) == 0)
            return is_whiteout(ret_stat) ? -1 : (int)i;
    return -1;
}

/* The folder of that name, which from-th shows: those below it that are not hidden, too. */
static int stack_enter(const struct stack *stack, size_t from, const char *name,
                       struct stack *ret_stack)
{
    struct stat st;
    *ret_stack = (struct stack){.count = 0, .has_upper = stack->has_upper && from == 0};
    for (size_t i = from; i < stack->count; i++) {
        if (fstatat(stack->fds[i], name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (!S_ISDIR(st.st_mode))
            return 0;
        int fd = open_folder(stack->fds[i], name);
        if (fd < 0)
            return fd;
        stack_push(ret_stack, fd);
    }
    return 0;
}

/* --- names ------------------------------------------------------------------------ */

struct names {
    char **list;
    size_t count;
};

static void names_release(struct names *names)
{
    io_free_list(&names->list);
}

static int names_add(struct names *names, int dir_fd)
{
    char **more = NULL;
    int fd = open_folder(dir_fd, ".");
    int ret = fd < 0 ? fd : upper_read_names(fd, &more);
    size_t count = 0;
    while (ret == 0 && more[count])
        count++;
    if (ret == 0) {
        names->list = reallocarray(names->list, names->count + count + 1, sizeof *names->list);
        if (!names->list)
            abort();
        memcpy(names->list + names->count, more, (count + 1) * sizeof *more);
        names->count += count;
    }
    free(more);
    return ret;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All names of the tree's folder and of the stack, each once. */
static int names_read(struct names *names, int merged_fd, const struct stack *stack)
{
    int ret = names_add(names, merged_fd);
    for (size_t i = 0; i < stack->count && ret == 0; i++)
        ret = names_add(names, stack->fds[i]);
    if (ret < 0)
        return ret;
    size_t used = 0;
    qsort(names->list, names->count, sizeof *names->list, by_name);
    for (size_t i = 0; i < names->count; i++)
        if (used > 0 && strcmp(names->list[used - 1], names->list[i]) == 0)
            free(names->list[i]);
        else
            names->list[used++] = names->list[i];
    names->list[used] = NULL;
    names->count = used;
    return 0;
}

/* --- what both ways have in common ------------------------------------------------- */

struct work {
    struct upper_copier copier;
    struct timespec placed;
};

static bool is_since(const struct timespec *time, const struct timespec *since)
{
    return time->tv_sec != since->tv_sec ? time->tv_sec > since->tv_sec
                                         : time->tv_nsec >= since->tv_nsec;
}

/* Whether the tree's entry is still the one that was copied from there. */
static bool is_same(const struct work *work, const struct stat *merged, const struct stat *source)
{
    return !is_since(&merged->st_ctim, &work->placed) && merged->st_mode == source->st_mode &&
           merged->st_uid == source->st_uid && merged->st_gid == source->st_gid &&
           merged->st_rdev == source->st_rdev &&
           (S_ISDIR(source->st_mode) || merged->st_size == source->st_size) &&
           merged->st_mtim.tv_sec == source->st_mtim.tv_sec &&
           merged->st_mtim.tv_nsec == source->st_mtim.tv_nsec;
}

static bool is_left_out(const char *path)
{
    return strcmp(path, "merged/dev") == 0 || strcmp(path, FRESH "/dev") == 0;
}

static int work_begin(struct work *work, int copy_fd, int to_fd, struct err *err)
{
    struct stat st;
    work->placed = (struct timespec){0, 0};
    if (fstatat(copy_fd, "placed", &st, AT_SYMLINK_NOFOLLOW) == 0)
        work->placed = st.st_mtim;
    return upper_copier_init(&work->copier, to_fd, err);
}

static void work_release(struct work *work)
{
    upper_copier_release(&work->copier);
}

/* --- placing ------------------------------------------------------------------------ */

static int place_folder(struct work *work, int merged_fd, const struct stack *stack,
                        const char *path);

/* A folder: from-th of the stack shows it, as *source. */
static int place_into(struct work *work, int dir_fd, const struct stack *stack, size_t from,
                      const struct stat *source, const char *name, const char *path)
{
    CLEANUP(stack_release) struct stack below;
    if (mkdirat(dir_fd, name, 0700) < 0 && errno != EEXIST)
        return -errno;
    CLEANUP(io_close) int fd = open_folder(dir_fd, name);
    struct stat now;
    int ret = stack_enter(stack, from, name, &below);
    if (ret == 0)
        ret = fd < 0 ? fd : place_folder(work, fd, &below, path);
    if (ret == 0 && fstat(fd, &now) < 0)
        ret = -errno;
    if (ret < 0 || is_same(work, &now, source))
        return ret;
    return upper_copier_add_metadata(&work->copier, stack->fds[from], dir_fd, name, source);
}

static int place_entry(struct work *work, int dir_fd, const struct stack *stack, const char *name,
                       const char *path)
{
    struct stat merged, source;
    int from = stack_find(stack, name, &source);
    bool have = fstatat(dir_fd, name, &merged, AT_SYMLINK_NOFOLLOW) == 0;
    bool is_folder = from >= 0 && S_ISDIR(source.st_mode);
    bool is_upper = from == 0 && stack->has_upper;
    /* Of several names each must be the file that the others are. */
    bool has_twins = is_upper && !is_folder && source.st_nlink > 1;
    if (is_left_out(path) ||
        (have && from >= 0 && !is_folder && !has_twins && is_same(work, &merged, &source)))
        return 0;
    if (have && !(is_folder && S_ISDIR(merged.st_mode))) {
        int ret = io_remove_tree(dir_fd, name, NULL);
        if (ret < 0)
            return ret;
    }
    if (from < 0)
        return 0;
    if (is_folder)
        return place_into(work, dir_fd, stack, (size_t)from, &source, name, path);
    return upper_copier_add(&work->copier, stack->fds[from], dir_fd, name, is_upper ? path : NULL);
}

static int place_folder(struct work *work, int merged_fd, const struct stack *stack,
                        const char *path)
{
    CLEANUP(names_release) struct names names = {NULL, 0};
    int ret = names_read(&names, merged_fd, stack);
    for (size_t i = 0; i < names.count && ret == 0; i++) {
        CLEANUP(io_free) char *below = io_format("%s/%s", path, names.list[i]);
        ret = place_entry(work, merged_fd, stack, names.list[i], below);
    }
    return ret;
}

/* Its time is now; what changes from here on has a later one, or the same. */
static int mark_placed(int copy_fd, struct err *err)
{
    return io_write_file(copy_fd, "placed", "", 0, 0600, err);
}

int copied_tree_place(int copy_fd, int upper_fd, char *const *layers, struct err *err)
{
    CLEANUP(stack_release) struct stack stack = {.has_upper = true};
    CLEANUP(work_release) struct work work;
    struct stat root;
    int ret = work_begin(&work, copy_fd, copy_fd, err);
    int fd = ret < 0 ? ret : open_folder(upper_fd, ".");
    if (ret == 0 && fd >= 0) {
        stack_push(&stack, fd);
        ret = stack_push_layers(&stack, layers, err);
    } else if (ret == 0)
        ret = err_set(err, -fd, "open the upper folder");
    if (ret < 0)
        return ret;
    /* The root's own attributes are the layer's, where an upper folder was just made. */
    size_t shown = stack.count - 1;
    if (fstat(stack.fds[shown], &root) < 0)
        return err_set(err, errno, "stat the layer");
    if (mkdirat(copy_fd, "merged", 0755) < 0 && errno != EEXIST)
        return err_set(err, errno, "make the tree");
    CLEANUP(io_close) int merged_fd = open_folder(copy_fd, "merged");
    ret = merged_fd < 0 ? merged_fd : place_folder(&work, merged_fd, &stack, "merged");
    if (ret == 0 && (fchown(merged_fd, root.st_uid, root.st_gid) < 0 ||
                     fchmod(merged_fd, root.st_mode & 07777) < 0))
        ret = -errno;
    return ret < 0 ? err_set(err, -ret, "put the tree in place") : mark_placed(copy_fd, err);
}

/* --- collecting ---------------------------------------------------------------------- */

/* A folder of the upper, made when there is something to put into it. */
struct place {
    struct place *parent; /* NULL: it is the upper folder itself */
    const char *name;
    int fd; /* -1: not made yet */
};

static int place_open(struct place *place)
{
    if (place->fd >= 0)
        return place->fd;
    int parent_fd = place_open(place->parent);
    if (parent_fd < 0)
        return parent_fd;
    if (mkdirat(parent_fd, place->name, 0700) < 0)
        return -errno;
    return place->fd = open_folder(parent_fd, place->name);
}

static int collect_folder(struct work *work, int merged_fd, const struct stack *stack,
                          struct place *place, const char *path);

/* A folder that the layers have too. */
static int collect_into(struct work *work, int dir_fd, const struct stack *stack, size_t from,
                        const struct stat *merged, bool same, struct place *parent,
                        const char *name, const char *path)
{
    CLEANUP(stack_release) struct stack below;
    struct place place = {parent, name, -1};
    CLEANUP(io_close) int fd = open_folder(dir_fd, name);
    int ret = stack_enter(stack, from, name, &below);
    if (ret == 0)
        ret = fd < 0 ? fd : collect_folder(work, fd, &below, &place, path);
    if (ret == 0 && !same && (ret = place_open(&place)) > 0)
        ret = 0;
    /* Last, for what is put into it changes its time. */
    if (ret == 0 && place.fd >= 0)
        ret = upper_copier_add_metadata(&work->copier, dir_fd, parent->fd, name, merged);
    io_close(&place.fd);
    return ret;
}

static int collect_entry(struct work *work, int dir_fd, const struct stack *stack,
                         struct place *place, const char *name, const char *path)
{
    struct stat merged, source;
    int from = stack_find(stack, name, &source);
    bool have = fstatat(dir_fd, name, &merged, AT_SYMLINK_NOFOLLOW) == 0;
    if ((!have && from < 0) || is_left_out(path))
        return 0;
    bool same = have && from >= 0 && is_same(work, &merged, &source);
    if (have && from >= 0 && S_ISDIR(merged.st_mode) && S_ISDIR(source.st_mode))
        return collect_into(work, dir_fd, stack, (size_t)from, &merged, same, place, name, path);
    if (same)
        return 0;
    int fd = place_open(place);
    if (fd < 0)
        return fd;
    if (!have)
        return mknodat(fd, name, S_IFCHR, 0) < 0 ? -errno : 0;
    return upper_copier_add(&work->copier, dir_fd, fd, name, path);
}

static int collect_folder(struct work *work, int merged_fd, const struct stack *stack,
                          struct place *place, const char *path)
{
    CLEANUP(names_release) struct names names = {NULL, 0};
    int ret = names_read(&names, merged_fd, stack);
    for (size_t i = 0; i < names.count && ret == 0; i++) {
        CLEANUP(io_free) char *below = io_format("%s/%s", path, names.list[i]);
        ret = collect_entry(work, merged_fd, stack, place, names.list[i], below);
        if (ret == -ENOENT) /* somebody still works there: it is gone since it was listed */
            ret = 0;
    }
    return ret;
}

int copied_tree_collect(int copy_fd, int to_fd, char *const *layers, struct err *err)
{
    CLEANUP(stack_release) struct stack stack = {.count = 0};
    CLEANUP(work_release) struct work work;
    int ret = work_begin(&work, copy_fd, to_fd, err);
    if (ret == 0)
        ret = io_remove_tree(to_fd, FRESH, err);
    if (ret == 0)
        ret = stack_push_layers(&stack, layers, err);
    if (ret < 0)
        return ret;
    CLEANUP(io_close) int merged_fd = open_folder(copy_fd, "merged");
    if (merged_fd < 0 || mkdirat(to_fd, FRESH, 0755) < 0)
        return err_set(err, merged_fd < 0 ? -merged_fd : errno, "collect the tree's changes");
    struct place root = {NULL, FRESH, open_folder(to_fd, FRESH)};
    ret = root.fd < 0 ? root.fd : collect_folder(&work, merged_fd, &stack, &root, FRESH);
    io_close(&root.fd);
    if (ret < 0)
        return err_set(err, -ret, "collect the tree's changes");
    ret = io_remove_tree(to_fd, "upper", err);
    if (ret == 0 && renameat(to_fd, FRESH, to_fd, "upper") < 0)
        ret = err_set(err, errno, "rename " FRESH);
    return ret;
}
