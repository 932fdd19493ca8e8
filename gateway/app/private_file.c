#include "gateway/app/private_file.h"

#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* -1: errno says why. `size` bytes: there may be more. */
static ssize_t read_all(int fd, char *out, size_t size)
{
    size_t len = 0;
    ssize_t n = 1;

    while (n > 0 && len < size) {
        n = read(fd, out + len, size - len);
        if (n < 0 && errno == EINTR)
            n = 1;
        else if (n > 0)
            len += (size_t)n;
    }
    return n < 0 ? -1 : (ssize_t)len;
}

enum err private_file_read(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum err err = OK;
    ssize_t n;

    if (fd < 0)
        return err_set(errno == ENOENT ? ERR_NOT_FOUND : ERR_DENIED, "cannot read %s: %m", path);
    n = read_all(fd, out, size);
    if (n < 0)
        err = err_set(ERR_IO, "cannot read %s: %m", path);
    else if ((size_t)n == size)
        err = err_set(ERR_TOO_LARGE, "%s holds more than %zu bytes", path, size - 1);
    else if (memchr(out, '\0', (size_t)n) != NULL)
        err = err_set(ERR_INVALID, "%s holds a NUL byte", path);
    close(fd);
    if (err != OK) {
        explicit_bzero(out, size);
        return err;
    }
    while (n > 0 && (out[n - 1] == '\n' || out[n - 1] == '\r'))
        n--;
    out[n] = '\0';
    return OK;
}

/* A new name in the folder of `path` is on disk. */
static enum err sync_folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char folder[4096] = ".";
    int fd;
    enum err err = OK;

    if (slash != NULL)
        snprintf(folder, sizeof(folder), "%.*s", slash == path ? 1 : (int)(slash - path), path);
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        err = err_set(ERR_IO, "cannot write %s: %m", folder);
    if (fd >= 0)
        close(fd);
    return err;
}

enum err private_file_write(const char *path, const char *text)
{
    char fresh[4096 + 8];
    size_t len = str_of(text).len;
    enum err err = OK;
    int fd;

    snprintf(fresh, sizeof(fresh), "%s.new", path);
    if (unlink(fresh) != 0 && errno != ENOENT) /* left by a start that was killed */
        return err_set(ERR_DENIED, "cannot write %s: %m", fresh);
    fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(ERR_DENIED, "cannot write %s: %m", fresh);
    if (write(fd, text, len) != (ssize_t)len || fsync(fd) != 0)
        err = err_set(ERR_IO, "cannot write %s: %m", fresh);
    close(fd);
    if (err == OK && rename(fresh, path) != 0)
        err = err_set(ERR_IO, "cannot write %s: %m", path);
    return err == OK ? sync_folder_of(path) : err;
}
