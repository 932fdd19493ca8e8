/*
 * What the files of the directory store share.
 *
 *     dir.c          put, get, size, delete; opening
 *     dir_folders.c  folders that are proven to be on the disk
 *     dir_owner.c    temporary names, their owners, what dead owners left
 *     dir_list.c     the walk over all objects
 */
#ifndef KISEKI_FS_STORE_DIR_INTERNAL_H
#define KISEKI_FS_STORE_DIR_INTERNAL_H

#include "fs/store/store.h"

#define DIR_OWNER_HEX 16
#define DIR_TMP       ".tmp"
/* Remembered folders, 512 KiB: two levels of 256. A slot is lossy; forgetting costs an fsync. */
#define DIR_KNOWN_SLOTS 65536

struct dir_store {
    struct store base;
    /* immutable after open */
    int root;
    int tmp;     /* .tmp */
    char *path;  /* as the user gave it, from the folder that was current then */
    int lock_fd; /* holds the flock of .tmp/OWNER.lock */
    char owner[DIR_OWNER_HEX + 1];
    /* atomic */
    _Atomic uint64_t next_tmp;
    _Atomic uint64_t *known; /* hash of a folder whose chain is on the disk, by hash % slots */
};

/* The error of a system call that failed, by errno: never ERR_NOT_FOUND. */
enum err dir_fail(const struct dir_store *d, const char *what, const char *name);

/*
 * ERR_BUSY unless the folder that was opened is still the one at its path: what is written to one
 * that was removed or moved away is lost, and what is not in it is not gone.
 */
MUST_USE enum err dir_check_root(const struct dir_store *d);

/* Folders are path[0..len) below the root; "" is the root. At most STORE_NAME_MAX bytes. */
size_t dir_parent_len(const char *path, size_t len);
/* -1 and errno on failure. */
int dir_open_folder(const struct dir_store *d, const char *path, size_t len);
MUST_USE enum err dir_sync_folder(const struct dir_store *d, const char *path, size_t len);
/* Afterwards the folder and all above it are on the disk. Costs nothing when known. */
MUST_USE enum err dir_ensure_folder(const struct dir_store *d, const char *path, size_t len);
/* Folders were removed behind our back: forget what we knew about this chain. */
void dir_forget_folders(const struct dir_store *d, const char *path, size_t len);
/* mkdir -p, each new entry synced. Relative to the working directory, as a user types it. */
MUST_USE enum err dir_make_root(const char *path);

/* Takes our lock file and removes what dead owners left. */
MUST_USE enum err dir_register_owner(struct dir_store *d);
/* Removes the lock file; fine when there is none. */
void dir_leave(struct dir_store *d);

MUST_USE enum err dir_list(struct store *s, const char *prefix, store_list_fn *each, void *user);

#endif
