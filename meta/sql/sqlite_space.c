#include "meta/sql/sqlite_space.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RESERVE_BYTES ((off_t)4 << 20)
#define MARGIN_BYTES  ((off_t)2 << 20) /* more that must be free before writes are taken again */
#define LOG_BYTES     ((off_t)1 << 20)
#define LOOK_US       1000000

static char *beside(const char *path, const char *suffix)
{
    size_t room = strlen(path) + strlen(suffix) + 1;
    char *name = malloc(room);
    if (name != NULL)
        snprintf(name, room, "%s%s", path, suffix);
    return name;
}

enum err sqlite_space_init(struct sqlite_space *s, const char *path)
{
    (void)pthread_mutex_init(&s->lock, NULL);
    s->path = strdup(path);
    s->reserve = beside(path, "-reserve");
    s->log = beside(path, "-wal");
    if (s->path == NULL || s->reserve == NULL || s->log == NULL)
        return err_set(ERR_NOMEM, "SQLite: no memory");
    return OK;
}

void sqlite_space_fini(struct sqlite_space *s)
{
    if (s->path != NULL)
        (void)pthread_mutex_destroy(&s->lock);
    free(s->path);
    free(s->reserve);
    free(s->log);
}

/* --- the reserve ------------------------------------------------------------------------------ */

/*
 * More than the reserve is allocated, and the rest released. The log's length stays as SQLite has
 * it; that file carries no locks, so it may be opened and closed here.
 */
static bool allocate(struct sqlite_space *s)
{
    int fd = open(s->reserve, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool good = posix_fallocate(fd, 0, RESERVE_BYTES + MARGIN_BYTES) == 0;
    good = ftruncate(fd, good ? RESERVE_BYTES : 0) == 0 && good;
    (void)close(fd);
    fd = good ? open(s->log, O_RDWR | O_CLOEXEC) : -1;
    if (fd >= 0) {
        (void)fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, LOG_BYTES);
        (void)close(fd);
    }
    return good;
}

void sqlite_space_reserve(struct sqlite_space *s)
{
    struct stat st;
    if (stat(s->reserve, &st) == 0 && st.st_size >= RESERVE_BYTES && st.st_blocks > 0)
        return;
    if (!allocate(s))
        log_warn("%s: no room for a reserve of %lld MiB: on a full disk nothing could be deleted",
                 s->reserve, (long long)RESERVE_BYTES >> 20);
}

bool sqlite_space_release(struct sqlite_space *s)
{
    if (atomic_exchange(&s->full, true))
        return false;
    if (truncate(s->reserve, 0) != 0)
        log_warn("%s: %s", s->reserve, strerror(errno));
    log_error(
        "the disk of the database %s is full: objects can be read and deleted, but nothing is "
        "written until there is room",
        s->path);
    return true;
}

bool sqlite_space_is_full(const struct sqlite_space *s)
{
    return atomic_load(&s->full);
}

void sqlite_space_look(struct sqlite_space *s)
{
    if (!atomic_load(&s->full))
        return;
    int64_t now = clock_mono_us();
    (void)pthread_mutex_lock(&s->lock);
    bool due = now >= s->next_look_us;
    if (due)
        s->next_look_us = now + LOOK_US;
    (void)pthread_mutex_unlock(&s->lock);
    if (!due || !allocate(s))
        return;
    atomic_store(&s->full, false);
    log_info("there is room again on the disk of the database %s", s->path);
}

/* --- the file --------------------------------------------------------------------------------- */

/* False: it is not there, or another one is. Under lock. */
static bool compare(struct sqlite_space *s, const struct stat *st)
{
    if (!s->known) {
        s->known = true;
        s->device = st->st_dev;
        s->inode = st->st_ino;
    }
    return s->device == st->st_dev && s->inode == st->st_ino;
}

enum err sqlite_space_same(struct sqlite_space *s)
{
    struct stat st;
    bool there = stat(s->path, &st) == 0;
    (void)pthread_mutex_lock(&s->lock);
    bool same = there && compare(s, &st);
    bool news = same == s->missed;
    s->missed = !same;
    (void)pthread_mutex_unlock(&s->lock);
    if (news && !same)
        log_error("the database %s was %s while it is in use: nothing is written any more; put it "
                  "back, or stop this process",
                  s->path, there ? "replaced by another file" : "removed");
    if (news && same)
        log_info("the database %s is back", s->path);
    return same ? OK
                : err_set(ERR_BUSY, "SQLite: the database %s was %s while it is in use", s->path,
                          there ? "replaced by another file" : "removed");
}
