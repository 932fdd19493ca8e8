/*
 * Memory that a request keeps outside of pages, within the volume's budget: a body that is
 * collected (XML cannot be spilled), what was parsed from it, an answer that its client does not
 * take.
 *
 *     reservation_init -> reservation_grow ... -> reservation_work -> reservation_answer
 *                      -> reservation_end
 *
 * The first RESERVATION_FREE_BYTES of a request are part of what a connection costs. Beyond them
 * the budget is charged by the page: a body RESERVATION_BODY_CHARGE times, because what is parsed
 * from it is about twice as large. Reservations get a quarter of the budget. So that small bodies
 * find room, a large body or an answer is granted only while all reservations together stay within
 * three quarters of that quarter, and a block of a response only while they stay within three
 * eighths of it.
 *
 * A reservation that finds no room waits for a limited time, all its waits together (ERR_BUSY):
 * small ones before large ones, each first come, first served. The oldest never waits: it exceeds
 * the budget, by one body at most, so that bodies that have come in part cannot wait for each other
 * forever.
 *
 * While one waits, or an answer was refused, the clients of all others must send at
 * RESERVATION_RATE after RESERVATION_GRACE_MS, and never be silent for that long, or take their
 * answer at RESERVATION_ANSWER_RATE (downloads excepted). A client that sends too slowly gets
 * ERR_TIMEOUT at its next byte; if none comes within a second its connection is cut. The connection
 * of a client that takes its answer too slowly is cut, too. Time spent waiting here, or in a
 * handler, does not count.
 *
 * Threads: a reservation is used by one thread at a time. wake and cut are called by any, under the
 * lock of all reservations: they must not block nor call into fs/, and are not called after
 * reservation_end().
 */
#ifndef KISEKI_FS_MEMORY_RESERVATION_H
#define KISEKI_FS_MEMORY_RESERVATION_H

#include "base/err.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESERVATION_FREE_BYTES  ((size_t)16 << 10)
#define RESERVATION_BODY_CHARGE 3
#define RESERVATION_RATE        ((uint64_t)64 << 10)  /* bytes a second, of a body */
#define RESERVATION_ANSWER_RATE ((uint64_t)256 << 10) /* of an answer, which is ready */
#define RESERVATION_GRACE_MS    5000

struct fs;

enum reservation_state {
    RESERVATION_RECEIVES,
    RESERVATION_WORKS,
    RESERVATION_ANSWERS,
    RESERVATION_STREAMS
};

struct reservation {
    /* the owner's, set by reservation_init() */
    struct fs *fs;
    bool large;              /* the body will be */
    void (*wake)(void *arg); /* reservation_grow() is worth trying again */
    void (*cut)(void *arg);  /* nothing came for too long: end the connection */
    void *arg;
    /* guarded by reservations.lock */
    size_t pages;  /* charged, of which ... */
    size_t beyond; /* ... were not there: the oldest's */
    size_t wants;  /* pages in all that it waits for; 0: it does not wait */
    bool expired;  /* it has waited too long */
    enum reservation_state state;
    uint64_t bytes;   /* received so far, or of the answer */
    int64_t since_ms; /* boot clock: it receives, or answers; later by what it waited */
    int64_t came_ms;  /* boot clock: something came, or may come again */
    int64_t waits_since_ms;
    int64_t waited_ms;                               /* before that */
    struct reservation *next, *prev;                 /* all that have pages, the oldest first */
    struct reservation *next_waiting, *prev_waiting; /* of its queue */
    /* atomic */
    _Atomic int64_t slow_ms; /* when it was found too slow; 0: it is not */
};

struct reservation_queue {
    struct reservation *first, *last;
};

/* All of a volume. */
struct reservations {
    pthread_mutex_t lock;
    /* guarded by lock */
    struct reservation *first, *last;    /* that have pages, the oldest first */
    struct reservation_queue waiting[2]; /* small ones, large ones */
    size_t waiting_count;
    int64_t wait_ms;  /* how long one waits in all */
    int64_t grace_ms; /* RESERVATION_GRACE_MS but in tests */
};

void reservations_init(struct reservations *all);
void reservations_fini(struct reservations *all);

/* expected: bytes of the body, -1 unknown. */
void reservation_init(struct reservation *h, struct fs *fs, int64_t expected,
                      void (*wake)(void *arg), void (*cut)(void *arg), void *arg);

/*
 * The body is `bytes` long by now. Never blocks. ERR_AGAIN: there is no room for that yet, and wake
 * will be called; ERR_BUSY: it took too long; ERR_TIMEOUT: too slow while others wait. The latter
 * two are final.
 */
MUST_USE enum err reservation_grow(struct reservation *h, uint64_t bytes);
/* The body is whole: what is done now is not the client's fault. */
void reservation_work(struct reservation *h);
/*
 * From now on only the answer is kept, `bytes` in all. ERR_BUSY: there is no room for that, and it
 * is more than a connection may keep without room (RESERVATION_ANSWER_BYTES). streams: it is only
 * what a download needs, which may last for as long as its client reads. Never blocks.
 */
#define RESERVATION_ANSWER_BYTES ((size_t)128 << 10)
MUST_USE enum err reservation_answer(struct reservation *h, uint64_t bytes, bool streams);
void reservation_end(struct reservation *h); /* twice is fine */

/*
 * The block of a response: false when there is no room for another one of that size. Blocks of one
 * page (64 KiB) find room where larger ones do not.
 */
bool reservation_block_take(struct fs *fs, size_t bytes);
void reservation_block_give(struct fs *fs, size_t bytes);

/* The watch calls it (fs/memory/pressure.h): serves, expires and cuts. True: one still waits. */
bool reservations_look(struct fs *fs);
size_t reservations_waiting(struct fs *fs);

#endif
