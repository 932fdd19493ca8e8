/*
 * Who holds memory while others wait for it, and how it is taken from them.
 *
 * Holders (writers with unsent pages; readers with fetches ahead of them) stand in lists by how
 * much they hold, each list in the order of the last change: the first of the highest list holds
 * the most for the longest without progress. Filing and picking cost the same however many there
 * are. A holder is asked to release what it can; what a writer releases is on its way to the
 * store and counts as coming, so that not everybody is asked for one waiter.
 *
 * relief_now() is called by who begins to wait. A thread, the watch, calls it again and ends waits
 * that took too long, as long as somebody waits; else it sleeps.
 *
 * What a holder's class says may be out of date by the time that it is asked: it is then asked in
 * vain once, and filed anew.
 */
#ifndef KISEKI_FS_MEMORY_RELIEF_H
#define KISEKI_FS_MEMORY_RELIEF_H

#include "base/err.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fs;

#define HOLDER_NONE    (-1)
#define HOLDER_CLASSES 8

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
/* Takes it out; nobody is asking it any more when this has returned. */
void holders_remove(struct holders *h, struct holder *one);

/*
 * Asks holders in turn while `more` says so, only those that were filed idle_ms ago or earlier.
 * ask() runs with the lock held, the holder taken out, and gives back what it can; then the holder
 * is filed anew in *out_class, HOLDER_NONE unless told otherwise. A holder that gets more meanwhile
 * files itself afterwards. It returns false to end the round; a holder that
 * gave nothing back must not be filed again, unless idle_ms keeps it from being asked at once.
 */
void holders_ask(struct holders *h, int64_t idle_ms, bool (*more)(struct fs *fs), struct fs *fs,
                 bool (*ask)(struct fs *fs, struct holder *one, int *out_class));

/* The watch. */
struct relief {
    pthread_t thread;
    bool runs; /* of who starts and stops it */
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool awake, quit; /* guarded by lock */
};

MUST_USE enum err relief_start(struct fs *fs);
void relief_stop(struct fs *fs); /* fine when it was not started */

/* Makes holders release as much as is waited for. Never blocks. */
void relief_now(struct fs *fs);
/* Somebody waits: the watch looks after it. Any thread, takes a leaf lock. */
void relief_wake(struct fs *fs);

#endif
