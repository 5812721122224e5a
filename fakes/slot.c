#include "slot.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wire.h"

int slot_take(const char *state_path, int *ret_fd, struct err *err)
{
    CLEANUP(io_close) int folder_fd = open(state_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder_fd < 0)
        return err_set(err, errno, "open %s", state_path);
    struct stat st;
    if (fstatat(folder_fd, "slots", &st, 0) < 0 || !S_ISSOCK(st.st_mode)) {
        *ret_fd = -1;
        return 0;
    }
    int connected = wire_connect(folder_fd, "slots");
    if (connected < 0 && connected != -ECONNREFUSED && connected != -ENOENT)
        return err_set(err, -connected, "connect %s/slots", state_path);
    CLEANUP(io_close) int fd = connected < 0 ? -1 : connected;
    char turn;
    ssize_t n;
    do
        n = fd < 0 ? 0 : read(fd, &turn, 1);
    while (n < 0 && errno == EINTR);
    *ret_fd = n == 1 ? steal_fd(&fd) : -1;
    return 0;
}
