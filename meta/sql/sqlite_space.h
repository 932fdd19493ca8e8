/*
 * The disk under an SQLite database: room that is kept back, and whether the file is still there.
 *
 *     room --a write finds none--> full: the reserve is freed; only what frees something, or keeps
 *      ^                            |    the session alive, is written (struct sql_unit, `frees`)
 *      +-- the reserve fits again --+    asked once a second
 *
 * The reserve is a file beside the database, PATH-reserve, with RESERVE_BYTES allocated; and the
 * write-ahead log gets LOG_BYTES allocated ahead, which no other file can take meanwhile. Deleting
 * frees pages inside of the database, so it can go on for ever on the room of the log.
 *
 * A database whose file was removed or replaced can still be written to, and all of that is lost:
 * sqlite_space_same() is asked around each transaction (two system calls).
 *
 * Threads: any.
 */
#ifndef KISEKI_META_SQL_SQLITE_SPACE_H
#define KISEKI_META_SQL_SQLITE_SPACE_H

#include "base/err.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct sqlite_space {
    /* immutable after init */
    char *path, *reserve, *log;

    _Atomic bool full;
    pthread_mutex_t lock;
    /* guarded by lock */
    bool known; /* the file was there once: it is this one */
    dev_t device;
    ino_t inode;
    bool missed;          /* logged that it is not there any more */
    int64_t next_look_us; /* while full */
};

MUST_USE enum err sqlite_space_init(struct sqlite_space *s, const char *path);
void sqlite_space_fini(struct sqlite_space *s);

/* Makes the reserve, unless that cannot be: then there is none. Blocks on the disk. */
void sqlite_space_reserve(struct sqlite_space *s);
/* The disk is full: frees the reserve. False: that was so already. */
bool sqlite_space_release(struct sqlite_space *s);
bool sqlite_space_is_full(const struct sqlite_space *s);
/* While full, once a second: is there room for the reserve again? */
void sqlite_space_look(struct sqlite_space *s);

/* ERR_BUSY unless the file at the path is the one that was there at first. */
MUST_USE enum err sqlite_space_same(struct sqlite_space *s);

#endif
