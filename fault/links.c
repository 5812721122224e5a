#include "links.h"

#include <fcntl.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io.h"

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

void links_release(struct links *links)
{
    tdestroy(links->names, free);
    *links = (struct links)LINKS_INIT;
}

void links_add(struct links *links, const char *path)
{
    if (tfind(path, &links->names, compare))
        return;
    if (!tsearch(io_format("%s", path), &links->names, compare))
        abort();
}

void links_forget(struct links *links, const char *path)
{
    char **found = tfind(path, &links->names, compare);
    char *name = found ? *found : NULL;
    if (name)
        tdelete(path, &links->names, compare);
    free(name);
}

struct question {
    int root_fd;
    dev_t dev;
    ino_t ino;
    const char *answer;
};

static void ask(const void *node, VISIT which, void *closure)
{
    const char *path = *(char *const *)node;
    struct question *question = closure;
    struct stat st;
    if ((which != postorder && which != leaf) || question->answer)
        return;
    if (fstatat(question->root_fd, path[1] ? path + 1 : ".", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        st.st_dev == question->dev && st.st_ino == question->ino)
        question->answer = path;
}

const char *links_find(const struct links *links, int root_fd, dev_t dev, ino_t ino)
{
    struct question question = {root_fd, dev, ino, NULL};
    twalk_r(links->names, ask, &question);
    return question.answer;
}
