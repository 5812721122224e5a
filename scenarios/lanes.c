#include "lanes.h"

#include <sched.h>
#include <stdlib.h>

/* The n-th of them; they come round again. */
static int nth_core(const cpu_set_t *cores, size_t n)
{
    n %= (size_t)CPU_COUNT(cores);
    int core = 0;
    while (!CPU_ISSET((size_t)core, cores) || n-- > 0)
        core++;
    return core;
}

int lanes_open(struct lanes *lanes, struct loop *loop, const char *folder, unsigned jobs, bool pins,
               struct err *err)
{
    cpu_set_t cores;
    bool pinned = pins && jobs > 0 && sched_getaffinity(0, sizeof cores, &cores) == 0 &&
                  jobs % (unsigned)CPU_COUNT(&cores) == 0;
    size_t wanted = pinned ? jobs : 1;
    *lanes = (struct lanes){calloc(wanted, sizeof *lanes->items), 0};
    if (!lanes->items)
        abort();
    int ret = 0;
    while (lanes->count < wanted && ret == 0) {
        struct lane *lane = &lanes->items[lanes->count];
        lane->slots.listener.fd = -1;
        lane->core = pinned ? nth_core(&cores, lanes->count) : -1;
        lane->folder = io_format("%s/l%zu", folder, lanes->count++);
        ret = io_make_dirs(lane->folder, 0700, err);
        if (ret == 0)
            ret = slots_init(&lane->slots, loop, lane->folder, pinned ? 1 : jobs, err);
    }
    return ret;
}

void lanes_close(struct lanes *lanes)
{
    for (size_t i = 0; i < lanes->count; i++) {
        slots_release(&lanes->items[i].slots);
        free(lanes->items[i].folder);
    }
    free(lanes->items);
    *lanes = (struct lanes){NULL, 0};
}

struct lane *lanes_emptiest(const struct lanes *lanes)
{
    struct lane *best = lanes->items;
    for (size_t i = 1; i < lanes->count; i++)
        if (lanes->items[i].in_flight < best->in_flight)
            best = &lanes->items[i];
    return best;
}

void lane_stay(const struct lane *lane)
{
    cpu_set_t set;
    if (lane->core < 0)
        return;
    CPU_ZERO(&set);
    CPU_SET((size_t)lane->core, &set);
    sched_setaffinity(0, sizeof set, &set);
}
