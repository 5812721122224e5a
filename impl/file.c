#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int file_read(const char *path, char **ret_data, size_t *ret_len, struct error *error)
{
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_set(error, errno, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return error_set(error, EINVAL, "%s: not a regular file", path);
    CLEANUP(free_text) char *data = malloc(FILE_MAX_BYTES + 2);
    if (!data)
        abort();
    size_t len = 0;
    while (len <= FILE_MAX_BYTES) {
        ssize_t n = read(fd, data + len, FILE_MAX_BYTES + 1 - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set(error, errno, "%s: %s", path, strerror(errno));
        if (n == 0)
            break;
        len += (size_t)n;
    }
    if (len > FILE_MAX_BYTES)
        return error_set(error, EFBIG, "%s: larger than %d bytes", path, FILE_MAX_BYTES);
    data[len] = '\0';
    *ret_data = data;
    *ret_len = len;
    data = NULL;
    return 0;
}
