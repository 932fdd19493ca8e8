/*
 * The inside of fs/file.h: the state of a reader, and how it finds out where a byte of its
 * file is, by the file's extents and the records of their pieces.
 *
 * The extents that come with an object may not be all; further ones are looked up in batches
 * (place_load_more), a piece's records are unpacked when a byte of it is asked for.
 *
 * Threads: those of fs/file.h.
 */
#ifndef KISEKI_FS_READ_PLACE_H
#define KISEKI_FS_READ_PLACE_H

#include "fs/volume.h"
#include "fs/read/overlay.h"
#include "fs/file.h"
#include "fs/read/slice_reader.h"

#define PLACE_BATCH 16 /* extents of a further look-up: up to 1 GiB of a file */
#define UNPACKED    2
#define HOLDS       3
#define FEW_ITEMS   9 /* extents that come with an object, and its data */

/* The records of one extent. */
struct unpacked {
    const struct object_extent *extent; /* NULL: empty */
    struct arena *arena;
    struct record *records;
    size_t count;
};

/* Bytes of the file before `end`, and after the holds before it, are in this fetch. */
struct held_fetch {
    struct fetch *fetch;
    uint64_t end;
};

struct reader {
    /* immutable */
    struct file *file;
    uint64_t end;
    bool has_data;
    /* of the one thread that reads */
    uint64_t at;
    uint64_t known; /* extents below are all that matter for [at, known) */
    const struct object_extent *extents;
    size_t extent_count;
    size_t batch_size;          /* extents to ask for next */
    struct arena *batch;        /* has the extents; NULL: the file's own */
    struct overlay_item *items; /* data first if there is any, then extents */
    size_t item_count;
    struct unpacked unpacked[UNPACKED];
    unsigned unpacked_next;
    uint64_t run_at; /* where in the file the run in `page` begins */
    struct str run;
    /* with the lock held: memory pressure may take the holds from a reader that rests */
    pthread_mutex_t lock;
    struct page *page; /* of the run given out last */
    bool lent;         /* the run is in use: reader_rest() was not called */
    struct held_fetch holds[HOLDS];
    size_t hold_count;
    uint64_t ahead; /* bytes before it are fetched or requested */
    /* in fs->readers while there is anything of it */
    struct holder holder;
    _Atomic int64_t used_ms; /* boot clock */
    /* of the one thread that reads */
    uint64_t until; /* the end of what is worth fetching: beyond `end` for later readers */
    struct overlay_item few[FEW_ITEMS];
};

/* A run of the file and where its bytes are: in `data`, or in a record. */
struct place {
    uint64_t len;
    bool data;
    const struct record *record; /* NULL: a hole of any length */
    uint64_t skip;               /* bytes of the record before the run */
    uint64_t reach;              /* bytes of the record from there on, under later writes, too */
};

/* What is at byte `at`, up to `limit`. The record lives until other extents are asked for. */
MUST_USE enum err place_locate(struct reader *r, uint64_t at, uint64_t limit, struct place *out);
/* True: want() gives the bytes' place in their slice. */
bool place_is_in_slice(const struct place *p);
struct slice_want place_want(const struct place *p);

/* Looks up further extents, so that r->at is known. Blocks. */
MUST_USE enum err place_load_more(struct reader *r);
/* Where the range ends, or what is known of it. */
uint64_t place_known_end(const struct reader *r);
/* Up to where these extents tell everything, if there may be more after them. */
uint64_t place_known_until(const struct object_extent *extents, size_t count, bool more);
/* After r->extents were set. */
MUST_USE enum err place_set_items(struct reader *r);
void place_free(struct reader *r);

#endif
