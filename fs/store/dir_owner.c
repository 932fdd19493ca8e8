/*
 * OWNER is random for each opened store, which holds a lock on `.tmp/OWNER.lock` as long as it
 * lives; opening the store removes the files of owners whose lock is free. `.tmp` itself is
 * locked meanwhile, so that no owner is between making and locking its file.
 */
#include "fs/store/dir_internal.h"

#include "base/log.h"
#include "base/rand.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* True when the owner that a file in .tmp is named after no longer lives. */
static bool owner_is_gone(const struct dir_store *d, const char *file)
{
    char lock[DIR_OWNER_HEX + 8];

    if (strspn(file, "0123456789abcdef") != DIR_OWNER_HEX ||
        strncmp(file, d->owner, DIR_OWNER_HEX) == 0)
        return false;
    snprintf(lock, sizeof(lock), "%.*s.lock", DIR_OWNER_HEX, file);
    int fd = openat(d->tmp, lock, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT;
    bool gone = flock(fd, LOCK_EX | LOCK_NB) == 0;
    close(fd);
    return gone;
}

/* Under the exclusive lock of .tmp, so that no owner is between making and locking its file. */
static size_t remove_leftovers(const struct dir_store *d)
{
    size_t removed = 0;
    int fd = openat(d->tmp, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;

    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    for (entry = readdir(dir); entry != NULL; entry = readdir(dir))
        if (entry->d_name[0] != '.' && owner_is_gone(d, entry->d_name) &&
            unlinkat(d->tmp, entry->d_name, 0) == 0 && strchr(entry->d_name, '-') != NULL)
            removed++;
    closedir(dir);
    return removed;
}

enum err dir_register_owner(struct dir_store *d)
{
    char lock[DIR_OWNER_HEX + 8];

    if (flock(d->tmp, LOCK_EX) < 0)
        return dir_fail(d, "lock", DIR_TMP);
    rand_hex(d->owner, DIR_OWNER_HEX);
    snprintf(lock, sizeof(lock), "%s.lock", d->owner);
    d->lock_fd = openat(d->tmp, lock, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (d->lock_fd < 0)
        return dir_fail(d, "create", DIR_TMP);
    if (flock(d->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return dir_fail(d, "lock", lock);
    size_t removed = remove_leftovers(d);
    if (removed > 0)
        log_info("%s: removed %zu unfinished files", d->base.label, removed);
    flock(d->tmp, LOCK_UN);
    return OK;
}

void dir_leave(struct dir_store *d)
{
    char lock[DIR_OWNER_HEX + 8];

    if (d->lock_fd < 0)
        return;
    snprintf(lock, sizeof(lock), "%s.lock", d->owner);
    unlinkat(d->tmp, lock, 0);
    close(d->lock_fd);
    d->lock_fd = -1;
}
