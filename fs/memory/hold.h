/*
 * Memory that a request keeps outside of pages, within the volume's budget: a body that is
 * collected (XML cannot be spilled), what was parsed from it, an answer that nobody takes.
 *
 *     hold_init -> hold_grow ... -> hold_work -> hold_answer -> hold_end
 *
 * The first HOLD_FREE_BYTES of a request are part of what a connection costs. Beyond them the
 * budget is charged by the page: a body HOLD_BODY_CHARGE times, for what is parsed from it is
 * about twice as large. Reservations get a quarter of the budget; large holds and answers use at
 * most three quarters of that quarter, blocks of responses half of it, so that small bodies find
 * room.
 *
 * A hold that finds no room waits: small ones before large ones, each first come, first served,
 * for a limited time (ERR_BUSY). The oldest hold never waits: it goes on beyond the budget, by one
 * body at most, so that bodies which came in parts cannot wait for each other for ever.
 *
 * While a hold waits, or was refused, the clients of all others must send at HOLD_RATE after
 * HOLD_GRACE_MS, and never be silent for so long, or take their answer at HOLD_ANSWER_RATE
 * (downloads excepted). A client that sends too slowly gets ERR_TIMEOUT at its next byte; if none
 * comes within a second its connection is cut, and so is that of a client that takes its answer too
 * slowly. Time spent waiting here, or being worked on, does not count.
 *
 * Threads: a hold is used by one thread at a time. wake and cut are called by any, under the lock
 * of all holds: they must not block nor call into fs/, and are not called after hold_end().
 */
#ifndef KISEKI_FS_MEMORY_HOLD_H
#define KISEKI_FS_MEMORY_HOLD_H

#include "base/err.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOLD_FREE_BYTES  ((size_t)16 << 10)
#define HOLD_BODY_CHARGE 3
#define HOLD_RATE        ((uint64_t)64 << 10)  /* bytes a second, of a body */
#define HOLD_ANSWER_RATE ((uint64_t)256 << 10) /* of an answer, which is ready */
#define HOLD_GRACE_MS    5000

struct fs;

enum hold_state { HOLD_RECEIVES, HOLD_WORKS, HOLD_ANSWERS, HOLD_STREAMS };

struct hold {
    /* the owner's, set by hold_init() */
    struct fs *fs;
    bool large;              /* the body will be */
    void (*wake)(void *arg); /* hold_grow() is worth trying again */
    void (*cut)(void *arg);  /* nothing came for too long: end the connection */
    void *arg;
    /* guarded by holds.lock */
    size_t pages;       /* charged, of which ... */
    size_t beyond;      /* ... were not there: the oldest's */
    size_t wants, asks; /* so many in all, and so many more; it waits */
    bool expired;       /* it has waited too long */
    enum hold_state state;
    uint64_t bytes;   /* received so far, or of the answer */
    int64_t since_ms; /* boot clock: it receives, or answers; later by what it waited */
    int64_t came_ms;  /* boot clock: something came, or may come again */
    int64_t waits_since_ms;
    struct hold *next, *prev;                 /* all that hold something, the oldest first */
    struct hold *next_waiting, *prev_waiting; /* of its queue */
    /* atomic */
    _Atomic int64_t slow_ms; /* told to be too slow, when; 0: it is not */
};

struct hold_queue {
    struct hold *first, *last;
};

/* All of a volume. */
struct holds {
    pthread_mutex_t lock;
    /* guarded by lock */
    struct hold *first, *last;    /* that hold something, the oldest first */
    struct hold_queue waiting[2]; /* small ones, large ones */
    size_t waiting_count, waiting_pages;
    int64_t wait_ms;  /* how long one waits */
    int64_t grace_ms; /* HOLD_GRACE_MS but in tests */
};

void holds_init(struct holds *all);
void holds_fini(struct holds *all);

/* expected: bytes of the body, -1 unknown. */
void hold_init(struct hold *h, struct fs *fs, int64_t expected, void (*wake)(void *arg),
               void (*cut)(void *arg), void *arg);

/*
 * The body is `bytes` long by now. Never blocks. ERR_AGAIN: there is no room for that yet, wake
 * will be called; ERR_BUSY: it took too long; ERR_TIMEOUT: too slow while others wait. The latter
 * two are final.
 */
MUST_USE enum err hold_grow(struct hold *h, uint64_t bytes);
/* The body is whole: what is done now is not the client's fault. */
void hold_work(struct hold *h);
/*
 * From now on only the answer is kept, `bytes` in all. ERR_BUSY: there is no room for so much, and
 * it is more than a connection may keep anyway (HOLD_ANSWER_BYTES). streams: it is only what a
 * download needs, which lasts as long as the client takes. Never blocks.
 */
#define HOLD_ANSWER_BYTES ((size_t)128 << 10)
MUST_USE enum err hold_answer(struct hold *h, uint64_t bytes, bool streams);
void hold_end(struct hold *h); /* twice is fine */

/* The 64 KiB block of a response: false when there is no room for another one. */
bool hold_block_take(struct fs *fs);
void hold_block_give(struct fs *fs);

/* Of the watch (fs/memory/relief.h): serves, expires and cuts. True: somebody waits still. */
bool holds_look(struct fs *fs);
size_t holds_waiting(struct fs *fs);

#endif
