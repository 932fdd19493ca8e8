/*
 * A store in a local directory: an object is a file, its name a path below the root.
 *
 * A put writes `.tmp/OWNER-N`, syncs it, renames it into place and syncs the folder, so a file
 * under its final name is whole. A '.' is in no object's name, so `.tmp` collides with none.
 * Files are read with open and pread each time: no cache of descriptors that a limit could bind.
 */
#include "fs/store/backends.h"
#include "fs/store/dir_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A put never outlives its call, but a paused process may end one late; what is left is garbage. */
#define PUT_LIMIT_MS 60000
/* Larger puts are written in such pieces: 4 MiB is on the disk in 0.7 of the time (ext4). */
#define WRITE_BYTES ((size_t)1 << 20)

static struct dir_store *dir_of(struct store *s)
{
    return (struct dir_store *)s;
}

/* A path through a file is as absent as a missing one. */
static bool is_absent(int number)
{
    return number == ENOENT || number == ENOTDIR;
}

/* Nothing is absent from, and nothing can be put into, a folder that is gone. */
enum err dir_check_root(const struct dir_store *d)
{
    struct stat opened, now;
    bool there = d->path != NULL && stat(d->path, &now) == 0;

    if (there && fstat(d->root, &opened) == 0 && opened.st_dev == now.st_dev &&
        opened.st_ino == now.st_ino)
        return OK;
    return err_set(ERR_BUSY,
                   "%s: the folder of the store was %s while in use: put it back (after a restore "
                   "from a backup start again)",
                   d->base.label, there ? "replaced" : "removed");
}

static enum err absent(const struct dir_store *d, const char *name)
{
    enum err err = dir_check_root(d);

    if (err != OK)
        return err;
    return err_set(ERR_NOT_FOUND, "%s: no object %s", d->base.label, name);
}

enum err dir_fail(const struct dir_store *d, const char *what, const char *name)
{
    const char *root = d->base.label;
    int number = errno;

    if (number == ENOENT && d->path != NULL && d->root >= 0 && dir_check_root(d) != OK)
        return dir_check_root(d);
    switch (number) {
    case ENOSPC:
        return err_set(ERR_FULL, "%s: %s %s: the disk is full", root, what, name);
    case EDQUOT:
        return err_set(ERR_FULL, "%s: %s %s: the disk quota is used up", root, what, name);
    case EMFILE:
    case ENFILE:
        return err_set(ERR_BUSY, "%s: %s %s: too many open files (raise the limit)", root, what,
                       name);
    case ENOMEM:
        return err_set(ERR_NOMEM, "%s: %s %s: out of memory", root, what, name);
    case EACCES:
    case EPERM:
    case EROFS:
        return err_set(ERR_DENIED, "%s: %s %s: %s", root, what, name, strerror(number));
    default:
        return err_set(ERR_IO, "%s: %s %s: %s", root, what, name, strerror(number));
    }
}

/* --- put -------------------------------------------------------------------------------------- */

/* At most WRITE_BYTES of the vector from `done` on, as a second vector. Returns its length. */
static int next_of(const struct iovec *iov, int count, size_t done, struct iovec *out)
{
    size_t room = WRITE_BYTES;
    int used = 0;

    for (int i = 0; i < count && room > 0; i++) {
        if (done >= iov[i].iov_len) {
            done -= iov[i].iov_len;
            continue;
        }
        size_t n = iov[i].iov_len - done;
        n = n < room ? n : room;
        out[used].iov_base = (char *)iov[i].iov_base + done;
        out[used++].iov_len = n;
        room -= n;
        done = 0;
    }
    return used;
}

/* 0 or -1 and errno. What is written begins to go to the disk while the rest is copied. */
static int write_all(int fd, const struct iovec *iov, int count, size_t len)
{
    struct iovec part[STORE_IOV_MAX];
    size_t done = 0;

    while (done < len) {
        int used = next_of(iov, count, done, part);
        ssize_t n = writev(fd, part, used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = EIO;
        if (n <= 0)
            return -1;
        /* A hint only: fsync decides. */
        if (done + (size_t)n < len)
            (void)sync_file_range(fd, (off_t)done, (off_t)n, SYNC_FILE_RANGE_WRITE);
        done += (size_t)n;
    }
    return 0;
}

static enum err write_temporary(const struct dir_store *d, const char *tmp, const char *name,
                                const struct iovec *iov, int count, size_t len)
{
    int fd = openat(d->tmp, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == ENOENT && dir_check_root(d) == OK
                   ? err_set(ERR_BUSY, "%s: its folder " DIR_TMP " is gone; restart", d->base.label)
                   : dir_fail(d, "create", name);
    enum err err = OK;
    if (write_all(fd, iov, count, len) < 0)
        err = dir_fail(d, "write", name);
    else if (fsync(fd) < 0)
        err = dir_fail(d, "sync", name);
    /* NFS reports a failed write here. */
    if (close(fd) < 0 && err == OK)
        err = dir_fail(d, "close", name);
    return err;
}

static enum err rename_into_place(const struct dir_store *d, const char *tmp, const char *name)
{
    size_t folder = dir_parent_len(name, strlen(name));
    enum err err = dir_ensure_folder(d, name, folder);

    if (err == OK && renameat(d->tmp, tmp, d->root, name) < 0) {
        if (errno != ENOENT)
            return dir_fail(d, "rename", name);
        dir_forget_folders(d, name, folder);
        err = dir_ensure_folder(d, name, folder);
        if (err == OK && renameat(d->tmp, tmp, d->root, name) < 0)
            err = err_set(ERR_IO, "%s: rename %s: %s", d->base.label, name, strerror(errno));
    }
    return err == OK ? dir_sync_folder(d, name, folder) : err;
}

static enum err dir_put(struct store *s, const char *name, const struct iovec *iov, int count,
                        size_t len)
{
    struct dir_store *d = dir_of(s);
    char tmp[64];

    snprintf(tmp, sizeof(tmp), "%s-%" PRIx64, d->owner, atomic_fetch_add(&d->next_tmp, 1));
    enum err err = write_temporary(d, tmp, name, iov, count, len);
    if (err == OK)
        err = rename_into_place(d, tmp, name);
    if (err == OK)
        err = dir_check_root(d);
    if (err != OK) {
        struct err_info info;
        err_save(err, &info);
        unlinkat(d->tmp, tmp, 0);
        err = err_restore(&info);
    }
    return err;
}

/* --- get, size, del --------------------------------------------------------------------------- */

static enum err read_piece(const struct dir_store *d, int fd, const char *name, uint64_t offset,
                           const struct iovec *piece)
{
    enum err err = OK;
    size_t done = 0;

    while (err == OK && done < piece->iov_len) {
        ssize_t n = pread(fd, (char *)piece->iov_base + done, piece->iov_len - done,
                          (off_t)(offset + done));
        if (n > 0)
            done += (size_t)n;
        else if (n == 0)
            err = err_set(ERR_CORRUPT, "%s: %s ends at %" PRIu64 ", asked for %zu from %" PRIu64,
                          d->base.label, name, offset + done, piece->iov_len, offset);
        else if (errno != EINTR)
            err = dir_fail(d, "read", name);
    }
    return err;
}

static enum err dir_get(struct store *s, const char *name, uint64_t offset, const struct iovec *iov,
                        int count, size_t len)
{
    const struct dir_store *d = dir_of(s);
    enum err err = OK;

    (void)len;
    int fd = openat(d->root, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return is_absent(errno) ? absent(d, name) : dir_fail(d, "open", name);
    for (int i = 0; err == OK && i < count; offset += iov[i++].iov_len)
        err = read_piece(d, fd, name, offset, &iov[i]);
    close(fd);
    return err;
}

static enum err dir_size(struct store *s, const char *name, uint64_t *out)
{
    const struct dir_store *d = dir_of(s);
    struct stat st;

    if (fstatat(d->root, name, &st, 0) < 0)
        return is_absent(errno) ? absent(d, name) : dir_fail(d, "look at", name);
    if (!S_ISREG(st.st_mode))
        return absent(d, name);
    *out = (uint64_t)st.st_size;
    return dir_check_root(d); /* /ready asks for the marker: what is moved away takes no puts */
}

static enum err dir_del(struct store *s, const char *name)
{
    const struct dir_store *d = dir_of(s);

    if (unlinkat(d->root, name, 0) == 0)
        return OK;
    return is_absent(errno) ? dir_check_root(d) : dir_fail(d, "delete", name);
}

/* --- open and close --------------------------------------------------------------------------- */

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

static void dir_close(struct store *s)
{
    struct dir_store *d = dir_of(s);

    dir_leave(d);
    close_fd(d->tmp);
    close_fd(d->root);
    free(d->known);
    free(d->path);
    free(d);
}

static const struct store_ops dir_ops = {
    .put = dir_put,
    .get = dir_get,
    .size = dir_size,
    .del = dir_del,
    .list = dir_list,
    .close = dir_close,
};

static enum err open_folders(struct dir_store *d, const char *path, const char *must_have)
{
    struct stat st;

    d->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->root < 0 && must_have != NULL && is_absent(errno))
        return err_set(ERR_NOT_FOUND, "there is no store %s", d->base.label);
    if (d->root < 0)
        return dir_fail(d, "open", path);
    d->path = realpath(path, NULL);
    if (d->path == NULL)
        return dir_fail(d, "look at", path);
    if (must_have != NULL && fstatat(d->root, must_have, &st, 0) < 0)
        return is_absent(errno) ? absent(d, must_have) : dir_fail(d, "look at", must_have);
    if (mkdirat(d->root, DIR_TMP, 0700) < 0 && errno != EEXIST)
        return dir_fail(d, "make the folder", DIR_TMP);
    d->tmp = openat(d->root, DIR_TMP, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->tmp < 0)
        return dir_fail(d, "open", DIR_TMP);
    return OK;
}

enum err store_dir_open(const char *path, const char *must_have, struct store **out)
{
    char label[sizeof(((struct store *)0)->label)];
    enum err err = must_have == NULL ? dir_make_root(path) : OK;
    if (err != OK)
        return err;

    struct dir_store *d = calloc(1, sizeof(*d));
    if (d == NULL)
        return err_set(ERR_NOMEM, "no memory for the store");
    snprintf(label, sizeof(label), "dir:%s", path);
    store_init(&d->base, &dir_ops, label);
    d->base.put_limit_ms = PUT_LIMIT_MS;
    d->root = d->tmp = d->lock_fd = -1;
    d->known = calloc(DIR_KNOWN_SLOTS, sizeof(*d->known));
    err = d->known != NULL ? open_folders(d, path, must_have)
                           : err_set(ERR_NOMEM, "no memory for the store");
    if (err == OK)
        err = dir_register_owner(d);
    if (err == OK) {
        *out = &d->base;
        return OK;
    }
    struct err_info info;
    err_save(err, &info);
    dir_close(&d->base);
    return err_restore(&info);
}
