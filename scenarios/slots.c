#include "slots.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../fakes/wire.h"

struct slot {
    struct slots *slots;
    struct watch watch;
    int fd;
    bool granted, counts;
    struct timer patience;
    struct slot *next;
};

static void slot_free(struct slot *slot)
{
    struct slots *slots = slot->slots;
    for (struct slot **at = &slots->queue; *at; at = &(*at)->next)
        if (*at == slot) {
            *at = slot->next;
            break;
        }
    slots->busy -= slot->counts;
    loop_clear_timer(slots->loop, &slot->patience);
    loop_unwatch(slots->loop, &slot->watch);
    io_close(&slot->fd);
    free(slot);
}

static void grant(struct slots *slots)
{
    for (struct slot *slot = slots->queue; slot && slots->busy < slots->limit; slot = slot->next) {
        if (slot->granted)
            continue;
        slot->granted = slot->counts = true;
        slots->busy++;
        loop_set_timer(slots->loop, &slot->patience, io_now_ms() + SLOTS_PATIENCE_MS);
        /* A client that is gone already says so by its hang-up. */
        ssize_t n = send(slot->fd, "g", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        (void)n;
    }
}

static void on_patience_over(struct loop *loop, struct timer *timer)
{
    (void)loop;
    struct slot *slot = container_of(timer, struct slot, patience);
    slot->counts = false;
    slot->slots->busy--;
    grant(slot->slots);
}

static void on_slot(struct loop *loop, struct watch *watch, unsigned events)
{
    (void)loop, (void)events;
    struct slot *slot = container_of(watch, struct slot, watch);
    struct slots *slots = slot->slots;
    char byte;
    if (recv(slot->fd, &byte, 1, MSG_DONTWAIT) > 0)
        return;
    slot_free(slot);
    grant(slots);
}

static void on_listener(struct loop *loop, struct watch *watch, unsigned events)
{
    (void)events;
    struct slots *slots = container_of(watch, struct slots, listener);
    int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct slot *slot = calloc(1, sizeof *slot);
    if (!slot)
        abort();
    *slot = (struct slot){
        .slots = slots, .watch = {-1, on_slot}, .patience = {.fire = on_patience_over}, .fd = fd};
    struct slot **end = &slots->queue;
    while (*end)
        end = &(*end)->next;
    *end = slot;
    loop_watch(loop, &slot->watch, fd, EPOLLIN);
    grant(slots);
}

int slots_init(struct slots *slots, struct loop *loop, const char *folder, unsigned limit,
               struct err *err)
{
    *slots = (struct slots){.loop = loop, .listener = {-1, on_listener}, .limit = limit};
    CLEANUP(io_close) int folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder_fd < 0)
        return err_set(err, errno, "open %s", folder);
    int fd = wire_listen(folder_fd, "slots");
    if (fd < 0)
        return err_set(err, -fd, "listen on %s/slots", folder);
    int ret = loop_watch(loop, &slots->listener, fd, EPOLLIN);
    if (ret < 0) {
        close(fd);
        return err_set(err, -ret, "watch %s/slots", folder);
    }
    return 0;
}

void slots_release(struct slots *slots)
{
    while (slots->queue)
        slot_free(slots->queue);
    int fd = slots->listener.fd;
    if (slots->loop)
        loop_unwatch(slots->loop, &slots->listener);
    io_close(&fd);
}
