#include "engine_look.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "sight.h"

void engine_look_comm(pid_t tid, char comm[RULE_COMM_MAX + 1])
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/comm", (int)tid);
    CLEANUP(io_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, comm, RULE_COMM_MAX);
    if (n > 0 && comm[n - 1] == '\n')
        n--;
    comm[n > 0 ? n : 0] = '\0';
}

int engine_look_at_start(struct engine_tree *tree, pid_t tid, struct err *err)
{
    for (int fd = 0; fd < 3; fd++) {
        char path[64];
        struct stat st;
        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)tid, fd);
        if (sight_stat(tid, path, &st) == 0 && S_ISREG(st.st_mode)) {
            tree->own_files[fd].dev = st.st_dev;
            tree->own_files[fd].ino = st.st_ino;
        }
    }
    return resolve_root_open(tid, &tree->root, err);
}

bool engine_look_is_own_file(const struct engine_tree *tree, const struct attempt *attempt)
{
    const struct stat *st = &attempt->path.stat;
    for (size_t i = 0; attempt->by_fd && i < 3; i++)
        if (tree->own_files[i].ino && tree->own_files[i].ino == st->st_ino &&
            tree->own_files[i].dev == st->st_dev)
            return true;
    return false;
}

void engine_look_for_name(struct engine_tree *tree, struct attempt *attempt)
{
    const struct stat *st = &attempt->path.stat;
    const char *name = links_find(&tree->links, tree->root.fd, st->st_dev, st->st_ino);
    if (name) {
        buf_clear(&attempt->path.path);
        buf_add(&attempt->path.path, name);
    } else if (attempt->kind == ATTEMPT_CALL)
        tree_state_cannot_read(&tree->state, buf_str(&attempt->path.path));
}

static bool has_other_names(const struct attempt *attempt)
{
    const struct stat *st = &attempt->path.stat;
    return attempt->path.exists && st->st_nlink > 1 && !S_ISDIR(st->st_mode);
}

void engine_look_at_links(struct engine_tree *tree, const struct attempt *attempt)
{
    if (has_other_names(attempt) && !attempt->path.lost_name)
        links_add(&tree->links, buf_str(&attempt->path.path));
}

void engine_look_at_new_links(struct engine_tree *tree, const struct attempt *attempt)
{
    if (attempt->op == OP_LINK)
        links_add(&tree->links, buf_str(&attempt->path.path));
    else if (attempt->op == OP_UNLINK)
        links_forget(&tree->links, buf_str(&attempt->path.path));
    else if (attempt->op == OP_RENAME && attempt->has_target && has_other_names(attempt))
        links_add(&tree->links, buf_str(&attempt->target.path));
}

bool engine_look_is_pipewrite(pid_t tid, unsigned data)
{
    size_t count;
    const struct op_call *calls = op_calls(&count);
    int place = data == FILTER_SEND ? 1 : 0;
    if (data < count && calls[data].op == OP_WRITE)
        place = calls[data].args.fd;
    struct arch_regs regs;
    struct stat st;
    char path[64];
    if (!place || arch_read(tid, &regs) < 0)
        return false;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)tid, (int)arch_argument(&regs, place - 1));
    return sight_stat(tid, path, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

void engine_look_at_mapping(struct engine_tree *tree, pid_t tid)
{
    struct arch_regs regs;
    struct stat st;
    char path[64];
    if (arch_read(tid, &regs) < 0)
        return;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)tid, (int)arch_argument(&regs, 4));
    if (lstat(path, &st) == 0 && (st.st_mode & S_IWUSR) && sight_stat(tid, path, &st) == 0 &&
        S_ISREG(st.st_mode) && st.st_nlink > 0)
        tree->mappings++;
}
