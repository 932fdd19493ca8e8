#include "meta/sql/sqlite_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_MS 5000 /* a writer that holds the whole file waits no longer for anything */

/* Makes the folders above `path`, as mkdir -p does. */
static enum err make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int rc = mkdir(path, 0700);
        int why = errno;
        *slash = '/';
        if (rc != 0 && why != EEXIST)
            return err_set(why == EACCES ? ERR_DENIED : ERR_IO,
                           "cannot make the folder of the SQLite database %s: %s; give "
                           "sqlite:PATH a place that this user may write",
                           path, strerror(why));
    }
    return OK;
}

static enum err refused(const char *path, int why)
{
    return err_set(why == EACCES ? ERR_DENIED : ERR_IO,
                   "cannot open the SQLite database %s: %s; give sqlite:PATH a file that this "
                   "user may write",
                   path, strerror(why));
}

/* The name of a new file is on disk when its folder is. */
static void sync_folder(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash != NULL && slash != path)
        *slash = '\0';
    int fd = open(slash == NULL   ? "."
                  : slash == path ? "/"
                                  : path,
                  O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (slash != NULL && slash != path)
        *slash = '/';
    if (fd >= 0) {
        (void)fsync(fd); /* some file systems refuse; SQLite syncs its own files anyway */
        (void)close(fd);
    }
}

/*
 * The file itself with mode 0600 (its log inherits that). One that is there is not opened: closing
 * it would drop the locks that SQLite holds on it in this process (POSIX locks belong to a process
 * and a file, not to a descriptor), and the next process that closed the database would take
 * itself for the last one and remove the log that we still write.
 */
static enum err make_file(char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST)
        return access(path, R_OK | W_OK) == 0 ? OK : refused(path, errno);
    if (fd < 0)
        return refused(path, errno);
    (void)close(fd);
    sync_folder(path);
    return OK;
}

enum err sqlite_file_make(char *path)
{
    enum err err = make_folders(path);
    return err == OK ? make_file(path) : err;
}

/* Readers of a log that is open nowhere else make the files beside it, and remove them again. */
static enum err holds(sqlite3 *db, const char *path, const char *table)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(db, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?",
                                -1, &s, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(s, 1, table, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(s);
    (void)sqlite3_finalize(s);
    return rc == SQLITE_DONE
               ? err_set(ERR_NOT_FOUND, "the SQLite database %s has no table %s", path, table)
               : OK;
}

enum err sqlite_file_holds(const char *path, const char *table)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return errno == ENOENT || errno == ENOTDIR
                   ? err_set(ERR_NOT_FOUND, "there is no SQLite database %s", path)
                   : refused(path, errno);
    if (access(path, R_OK | W_OK) != 0)
        return refused(path, errno);
    if (st.st_size == 0)
        return err_set(ERR_NOT_FOUND, "the SQLite database %s is empty", path);
    sqlite3 *db = NULL;
    enum err err = OK;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK) {
        (void)sqlite3_busy_timeout(db, LOOK_MS);
        err = holds(db, path, table);
    }
    (void)sqlite3_close(db);
    return err;
}
