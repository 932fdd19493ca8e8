/*
 * Memory pressure: which writers and readers hold memory while others wait for it, and how they are
 * asked to release it.
 *
 * Holders (writers with unsent pages; readers with fetches ahead of them) are in lists by how much
 * they hold, each list in the order of the last change: the first one of the highest list holds the
 * most, and has made no progress for the longest time. Filing and picking cost the same however
 * many there are. A holder is asked to release what it can. What a writer releases is on its way to
 * the store and counts as coming, so that one waiter does not cause all holders to be asked.
 *
 * A transfer that begins to wait calls pressure_now(), and wakes a thread, the watch, as a
 * reservation does. The watch calls pressure_now() again and ends waits that took too long, as long
 * as anything waits; otherwise it sleeps.
 *
 * A holder's class may be out of date when the holder is asked: then it is asked once in vain, and
 * filed again.
 */
#ifndef KISEKI_FS_MEMORY_PRESSURE_H
#define KISEKI_FS_MEMORY_PRESSURE_H

#include "base/err.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fs;

#define HOLDER_NONE    (-1)
#define HOLDER_CLASSES 8 /* 0 to 7: the bits of a writer's count of full pages, at most 64 */

/* Embedded in what holds memory. */
struct holder {
    _Atomic int class; /* HOLDER_NONE: in no list; changes under holders.lock */
    /* guarded by holders.lock */
    int64_t filed_ms; /* boot clock */
    struct holder *next, *prev;
};

struct holders {
    pthread_mutex_t lock;
    /* guarded by lock */
    struct {
        struct holder *first, *last;
    } lists[HOLDER_CLASSES];
};

void holders_init(struct holders *h);
void holders_fini(struct holders *h);
void holder_init(struct holder *one);

/* Files it at the end of the class's list, unless it is in that list; HOLDER_NONE: takes it out. */
void holders_file(struct holders *h, struct holder *one, int class);
/* Takes it out; after this has returned it is no longer asked. */
void holders_remove(struct holders *h, struct holder *one);

/*
 * Asks holders in turn while `more` says so, only those that were filed idle_ms ago or earlier.
 * ask() runs with the lock held and the holder taken out. It releases what it can, and sets
 * *out_class (HOLDER_NONE at first), where the holder is filed anew. A holder that gets more
 * meanwhile files itself afterwards. ask() returns false to end the round; a holder that released
 * nothing must not be filed again, unless idle_ms keeps it from being asked at once.
 */
void holders_ask(struct holders *h, int64_t idle_ms, bool (*more)(struct fs *fs), struct fs *fs,
                 bool (*ask)(struct fs *fs, struct holder *one, int *out_class));

/* The watch. */
struct pressure {
    pthread_t thread;
    bool runs; /* of the thread that starts and stops it */
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool awake, quit; /* guarded by lock */
};

MUST_USE enum err pressure_start(struct fs *fs);
void pressure_stop(struct fs *fs); /* fine when it was not started */

/* Makes holders release as much as is waited for. Never blocks. */
void pressure_now(struct fs *fs);
/* Something waits: the watch looks after it. Any thread, takes a leaf lock. */
void pressure_wake(struct fs *fs);

#endif
