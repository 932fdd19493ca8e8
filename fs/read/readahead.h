/*
 * Read-ahead across requests: a client that reads a file in order gets what comes next before
 * asking.
 *
 * A client that reads a big file in ranges makes a request for each; within one, fs/read/reader.c
 * reads ahead to its end, and this table says how far beyond. It remembers where the latest reads
 * of a file ended: a read that begins there, or within a granule of it, and goes on from there, is
 * one of a sequence. The third of a sequence gets a window, and each further one twice of it:
 *
 *     read   read   read+512K   ...(within the window: nothing)   +1M   +2M   +4M   +8M   +8M
 *
 * More is asked for when less than half of the window is left, so that requests to the store get
 * large. A read from elsewhere is a sequence of its own and has no window: random readers cost
 * nothing. All windows together get at most an eighth of the memory.
 *
 * What it says is a hint: bytes that were announced and never fetched are read when they are asked
 * for. Bounded: READAHEAD_STREAMS sequences, READAHEAD_OF_FILE of one file; the least recently used
 * go.
 * Threads: any; one lock, a leaf.
 */
#ifndef KISEKI_FS_READ_READAHEAD_H
#define KISEKI_FS_READ_READAHEAD_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#define READAHEAD_STREAMS 128
#define READAHEAD_OF_FILE 4
#define READAHEAD_FIRST   ((uint64_t)512 << 10)
#define READAHEAD_MAX     ((uint64_t)8 << 20)
#define READAHEAD_NEAR    ((uint64_t)64 << 10)

/* One sequence of reads. */
struct readahead_stream {
    uint64_t inode;  /* 0: none */
    uint64_t next;   /* where its last read ended */
    uint64_t ahead;  /* bytes before it have been announced */
    uint64_t window; /* 0: none yet */
    unsigned reads;  /* in order so far, as far as it matters */
    uint64_t used;   /* tick of its last read */
};

struct readahead {
    uint64_t budget; /* immutable: bytes that all windows together may have */
    pthread_mutex_t lock;
    /* guarded by lock */
    uint64_t tick; /* reads so far */
    struct readahead_stream streams[READAHEAD_STREAMS];
};

void readahead_init(struct readahead *ra, uint64_t memory_bytes);
void readahead_fini(struct readahead *ra); /* fine on a zeroed struct */

/*
 * A read of [offset, end) of a file begins. Bytes up to the result should be fetched after them, if
 * they are not there yet: `end` itself for none, never beyond `size`.
 */
uint64_t readahead_until(struct readahead *ra, uint64_t inode, uint64_t offset, uint64_t end,
                         uint64_t size);

/*
 * The pure part: a read of [offset, end) that belongs to the sequence moves it on. Returns as
 * above; no window gets larger than `cap`.
 */
uint64_t readahead_advance(struct readahead_stream *s, uint64_t offset, uint64_t end, uint64_t size,
                           uint64_t cap);

#endif
