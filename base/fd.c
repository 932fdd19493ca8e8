#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#define PIECE_MAX ((size_t)4096) /* PIPE_BUF: poll() promises that a pipe has room for it */

static enum err wait_writable(int fd, int wait_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int n;

    do
        n = poll(&p, 1, wait_ms);
    while (n < 0 && errno == EINTR);
    return n == 0 ? ERR_TIMEOUT : OK; /* of anything else write() says what it is */
}

enum err fd_write_within(int fd, const char *data, size_t len, int wait_ms, size_t *out_written)
{
    size_t done = 0;
    enum err err = OK;

    while (done < len) {
        size_t piece = len - done < PIECE_MAX ? len - done : PIECE_MAX;
        ssize_t n;

        err = wait_writable(fd, wait_ms);
        if (err != OK)
            break;
        n = write(fd, data + done, piece);
        if (n > 0) {
            done += (size_t)n;
        } else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
            err = ERR_IO;
            break;
        }
    }
    if (out_written != NULL)
        *out_written = done;
    return err;
}

void fd_open_standard(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == STDIN_FILENO ? O_RDONLY : O_WRONLY) < 0)
            return; /* nothing to be done, and no reader to report it to */
}
