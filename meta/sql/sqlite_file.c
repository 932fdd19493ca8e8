#include "meta/sql/sqlite_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* The file itself with mode 0600 (its log inherits that), and its name in the folder on disk. */
static enum err make_file(char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(errno == EACCES ? ERR_DENIED : ERR_IO,
                       "cannot open the SQLite database %s: %s; give sqlite:PATH a file that this "
                       "user may write",
                       path, strerror(errno));
    (void)close(fd);
    char *slash = strrchr(path, '/');
    if (slash != NULL && slash != path)
        *slash = '\0';
    fd = open(slash == NULL ? "." : slash == path ? "/" : path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (slash != NULL && slash != path)
        *slash = '/';
    if (fd >= 0) {
        (void)fsync(fd); /* some file systems refuse; SQLite syncs its own files anyway */
        (void)close(fd);
    }
    return OK;
}

enum err sqlite_file_make(char *path)
{
    enum err e = make_folders(path);
    return e == OK ? make_file(path) : e;
}
