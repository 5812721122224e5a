#include "offspring.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct relative {
    pid_t pid, parent;
    bool below;
};

struct relatives {
    struct relative *items;
    size_t count;
};

/* Who lived below this process when it began to adopt: not ours to end. */
static pid_t *others;
static size_t n_others;

/* The parent stands behind the name, which may hold any byte. */
static void add(struct relatives *relatives, int proc_fd, const char *name)
{
    char path[300], text[512];
    snprintf(path, sizeof path, "%s/stat", name);
    CLEANUP(io_close) int fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (n <= 0)
        return; /* it is gone */
    text[n] = '\0';
    const char *behind = strrchr(text, ')');
    int parent;
    if (!behind || sscanf(behind + 1, " %*c %d", &parent) != 1)
        return;
    relatives->items =
        reallocarray(relatives->items, relatives->count + 1, sizeof *relatives->items);
    if (!relatives->items)
        abort();
    relatives->items[relatives->count++] = (struct relative){(pid_t)atoi(name), parent, false};
}

static void look_around(struct relatives *relatives)
{
    DIR *dir = opendir("/proc");
    struct dirent *entry;
    while (dir && (entry = readdir(dir)))
        if (isdigit((unsigned char)entry->d_name[0]))
            add(relatives, dirfd(dir), entry->d_name);
    if (dir)
        closedir(dir);
}

/* Whether the parent is this process or is below it. */
static bool is_below(const struct relatives *relatives, pid_t parent)
{
    if (parent == getpid())
        return true;
    for (size_t i = 0; i < relatives->count; i++)
        if (relatives->items[i].pid == parent)
            return relatives->items[i].below;
    return false;
}

static bool is_other(pid_t pid)
{
    for (size_t i = 0; i < n_others; i++)
        if (others[i] == pid)
            return true;
    return false;
}

size_t offspring_list(pid_t **ret_pids)
{
    struct relatives relatives = {NULL, 0};
    size_t found = 0;
    look_around(&relatives);
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < relatives.count; i++) {
            struct relative *one = &relatives.items[i];
            if (one->below || is_other(one->pid) || !is_below(&relatives, one->parent))
                continue;
            one->below = more = true;
            found++;
        }
    }
    pid_t *pids = calloc(found + 1, sizeof *pids);
    if (!pids)
        abort();
    size_t used = 0;
    for (size_t i = 0; i < relatives.count; i++)
        if (relatives.items[i].below)
            pids[used++] = relatives.items[i].pid;
    free(relatives.items);
    *ret_pids = pids;
    return found;
}

int offspring_adopt(bool adopt, struct err *err)
{
    unsigned long on = adopt;
    if (prctl(PR_SET_CHILD_SUBREAPER, on, 0L, 0L, 0L) < 0)
        return err_set(err, errno, "adopt orphans");
    free(others);
    others = NULL;
    n_others = 0;
    if (adopt)
        n_others = offspring_list(&others);
    return 0;
}

size_t offspring_kill(void)
{
    CLEANUP(io_free) pid_t *pids = NULL;
    size_t count = offspring_list(&pids);
    for (size_t i = 0; i < count; i++)
        kill(pids[i], SIGKILL);
    return count;
}

/* Who is missed, for he was forked meanwhile, is found the next time. */
void offspring_end(void)
{
    while (offspring_kill() > 0) {
        while (waitpid(-1, NULL, __WALL | WNOHANG) > 0)
            ;
        poll(NULL, 0, 1);
    }
}
