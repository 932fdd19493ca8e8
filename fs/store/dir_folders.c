/*
 * Before a folder is used the first time by this process, the chain of its ancestors is made and
 * synced. That a folder exists is no proof that its entry is on the disk: another thread or
 * process may have made it a moment ago and not synced its parent yet.
 */
#include "fs/store/dir_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* FNV-1a, never 0 (an empty slot). Names are our own: no client can choose them to collide. */
static uint64_t hash_path(const char *path, size_t len)
{
    uint64_t h = 14695981039346656037u;

    for (size_t i = 0; i < len; i++)
        h = (h ^ (uint8_t)path[i]) * 1099511628211u;
    return h | 1;
}

size_t dir_parent_len(const char *path, size_t len)
{
    while (len > 0 && path[len - 1] != '/')
        len--;
    return len > 0 ? len - 1 : 0;
}

int dir_open_folder(const struct dir_store *d, const char *path, size_t len)
{
    char text[STORE_NAME_MAX + 1];

    memcpy(text, path, len);
    text[len] = '\0';
    return openat(d->root, len > 0 ? text : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

enum err dir_sync_folder(const struct dir_store *d, const char *path, size_t len)
{
    int fd = dir_open_folder(d, path, len);
    if (fd < 0)
        return dir_fail(d, "open the folder of", path);
    enum err err = fsync(fd) == 0 ? OK : dir_fail(d, "sync the folder of", path);
    close(fd);
    return err;
}

static _Atomic uint64_t *known_slot(const struct dir_store *d, uint64_t hash)
{
    return &d->known[(hash >> 16) % DIR_KNOWN_SLOTS];
}

/* One level: `text` is terminated at its end, its parent is text[0..parent). */
static enum err make_folder(const struct dir_store *d, const char *text, size_t parent)
{
    uint64_t hash = hash_path(text, strlen(text));
    enum err err;

    if (atomic_load(known_slot(d, hash)) == hash)
        return OK;
    if (mkdirat(d->root, text, 0700) < 0 && errno != EEXIST)
        return dir_fail(d, "make the folder", text);
    err = dir_sync_folder(d, text, parent);
    if (err == OK)
        atomic_store(known_slot(d, hash), hash);
    return err;
}

/* Makes path[0..len) and all above it, durably, from the root down. */
static enum err make_folders(const struct dir_store *d, const char *path, size_t len)
{
    char text[STORE_NAME_MAX + 1];
    size_t parent = 0;

    for (size_t end = 1; end <= len; end++) {
        if (end < len && path[end] != '/')
            continue;
        memcpy(text, path, end);
        text[end] = '\0';
        enum err err = make_folder(d, text, parent);
        if (err != OK)
            return err;
        parent = end;
    }
    return OK;
}

void dir_forget_folders(const struct dir_store *d, const char *path, size_t len)
{
    for (; len > 0; len = dir_parent_len(path, len))
        atomic_store(known_slot(d, hash_path(path, len)), 0);
}

enum err dir_ensure_folder(const struct dir_store *d, const char *path, size_t len)
{
    uint64_t hash = hash_path(path, len);

    if (len == 0 || atomic_load(known_slot(d, hash)) == hash)
        return OK;
    return make_folders(d, path, len);
}

/* Syncs the folder that the entry `path` stands in. 0 or -1 and errno. */
static int sync_parent(const char *path)
{
    char text[PATH_MAX];
    size_t len = dir_parent_len(path, strlen(path));

    memcpy(text, path, len);
    text[len] = '\0';
    int fd =
        open(len > 0 ? text : (path[0] == '/' ? "/" : "."), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int result = fsync(fd);
    close(fd);
    return result;
}

enum err dir_make_root(const char *path)
{
    char text[PATH_MAX];
    size_t len = strlen(path);

    if (len == 0 || len >= sizeof(text))
        return err_set(ERR_INVALID, "dir:PATH: the path is empty or too long");
    memcpy(text, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (text[i] != '/' && text[i] != '\0')
            continue;
        text[i] = '\0';
        bool made = mkdir(text, 0700) == 0;
        if ((!made && errno != EEXIST) || (made && sync_parent(text) < 0))
            return err_set(errno == EACCES || errno == EPERM || errno == EROFS ? ERR_DENIED
                                                                               : ERR_IO,
                           "cannot make the folder %s of the store: %s", text, strerror(errno));
        text[i] = i < len ? '/' : '\0';
    }
    return OK;
}
