/*
 * Lists what a directory store holds, folder by folder, without holding the names: one open folder
 * a level, and a callback for each file.
 */
#include "fs/store/dir_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct walk {
    const struct dir_store *d;
    const char *prefix;
    store_list_fn *each;
    void *user;
};

static enum err walk_folder(const struct walk *w, char *path, size_t len);

static bool is_below(const char *prefix, const char *path)
{
    size_t p = strlen(prefix);
    size_t n = strlen(path);

    return strncmp(prefix, path, p < n ? p : n) == 0;
}

/* One name of a folder. What cannot be an object's name is not ours, and not listed. */
static enum err visit(const struct walk *w, char *path, size_t len)
{
    struct stat st;

    if (!store_name_ok(path) || !is_below(w->prefix, path))
        return OK;
    if (fstatat(w->d->root, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? OK : dir_fail(w->d, "look at", path);
    if (S_ISDIR(st.st_mode))
        return walk_folder(w, path, len);
    if (!S_ISREG(st.st_mode) || len < strlen(w->prefix))
        return OK;
    struct store_entry entry = {
        .name = path,
        .size_bytes = (uint64_t)st.st_size,
        .modified_ms = st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000,
    };
    return w->each(w->user, &entry);
}

/* `path` has room for STORE_NAME_MAX + 1 bytes. As deep as a name has segments: at most 64. */
static enum err walk_folder(const struct walk *w, char *path, size_t len)
{
    enum err err = OK;
    int fd = dir_open_folder(w->d, path, len);
    if (fd < 0)
        return errno == ENOENT ? OK : dir_fail(w->d, "open the folder", path);
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        close(fd);
        return dir_fail(w->d, "open the folder", path);
    }
    while (err == OK) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (entry == NULL) {
            err = errno ? dir_fail(w->d, "read the folder", path) : OK;
            break;
        }
        size_t name_len = strlen(entry->d_name);
        size_t at = len > 0 ? len + 1 : 0;
        if (entry->d_name[0] == '.' || at + name_len > STORE_NAME_MAX)
            continue;
        if (len > 0)
            path[len] = '/';
        memcpy(path + at, entry->d_name, name_len + 1);
        err = visit(w, path, at + name_len);
        path[len] = '\0';
    }
    closedir(dir);
    return err;
}

enum err dir_list(struct store *s, const char *prefix, store_list_fn *each, void *user)
{
    struct walk w = {.d = (struct dir_store *)s, .prefix = prefix, .each = each, .user = user};
    char path[STORE_NAME_MAX + 1] = "";

    return walk_folder(&w, path, 0);
}
