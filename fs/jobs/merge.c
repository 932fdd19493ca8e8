#include "fs/jobs/merge.h"

#include "base/clock.h"
#include "base/log.h"
#include "fs/volume.h"
#include "fs/write/range_write.h"
#include "meta/files/merge.h"
#include "meta/lock/lock.h"

#define ARENA_MAX    ((size_t)32 << 20)
#define LOCK_MS      10000
#define ROOM_WAIT_MS 30000
#define LOOK_MS      100 /* between looks whether to stop */

static enum err go_on(const struct job_round *r)
{
    return job_stops(r) ? err_set(ERR_CANCELLED, "merging stops") : OK;
}

/* --- copying ---------------------------------------------------------------------------------- */

/* Woken when the writer has room again. */
struct room {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool free; /* guarded by lock */
};

static void on_room(void *arg)
{
    struct room *room = arg;

    pthread_mutex_lock(&room->lock);
    room->free = true;
    pthread_cond_signal(&room->cond);
    pthread_mutex_unlock(&room->lock);
}

/* Waits for a moment; true when there is room. */
static bool look_for_room(struct room *room)
{
    struct timespec until = clock_mono_after(LOOK_MS);
    int timed_out = 0;
    bool free;

    pthread_mutex_lock(&room->lock);
    while (!room->free && timed_out == 0)
        timed_out = pthread_cond_clockwait(&room->cond, &room->lock, CLOCK_MONOTONIC, &until);
    free = room->free;
    room->free = false;
    pthread_mutex_unlock(&room->lock);
    return free;
}

static enum err wait_for_room(struct room *room, const struct job_round *round)
{
    int64_t deadline = clock_boot_ms() + ROOM_WAIT_MS;
    enum err err = OK;

    while (err == OK && !look_for_room(room)) {
        err = go_on(round);
        if (err == OK && clock_boot_ms() >= deadline)
            err = err_set(ERR_BUSY, "no memory to merge a file");
    }
    return err;
}

static enum err write_all(struct writer *w, struct room *room, const struct job_round *round,
                          struct str bytes)
{
    enum err err = OK;

    while (err == OK && bytes.len > 0) {
        size_t taken;

        err = writer_write(w, bytes, &taken);
        bytes = str_sub(bytes, taken, bytes.len);
        if (err == ERR_AGAIN)
            err = wait_for_room(room, round);
    }
    return err;
}

static enum err copy(struct file *f, uint64_t lo, uint64_t hi, struct writer *w, struct room *room,
                     const struct job_round *round)
{
    struct reader *r;
    struct str bytes;
    enum err err = reader_new(f, lo, hi - lo, &r);

    while (err == OK) {
        err = reader_next(r, true, &bytes);
        if (err != OK || bytes.len == 0)
            break;
        err = write_all(w, room, round, bytes);
        if (err == OK)
            err = go_on(round);
    }
    reader_free(r);
    return err;
}

/* --- one run ---------------------------------------------------------------------------------- */

struct run {
    struct fs *fs;
    struct arena *a;
    const struct merge_file *of;
    const struct job_round *round;
    uint64_t lo, hi;
    uint64_t token; /* above all that was written there before */
    struct file file;
};

static enum err draw_token(struct run *x)
{
    struct range_lock lock;
    enum err err = lock_take(x->fs->meta, x->of->inode, x->lo, x->hi, LOCK_EXCLUSIVE,
                             clock_boot_ms() + LOCK_MS, &lock);

    if (err != OK)
        return err;
    x->token = lock.token;
    lock_release(x->fs->meta, &lock, false);
    return OK;
}

/* ERR_NOT_FOUND: the key has another file by now. */
static enum err open_file(struct run *x)
{
    struct object_get get = {.bucket = x->of->bucket,
                             .key = x->of->key,
                             .want = OBJECT_DATA,
                             .offset = x->lo,
                             .len = x->hi - x->lo};
    enum meta_missing missing;
    enum err err = file_open(x->fs, x->a, &get, &x->file, &missing);

    if (err == OK && x->file.object.attr.inode != x->of->inode)
        err = err_set(ERR_NOT_FOUND, "the file was replaced");
    return err;
}

static enum err rewrite(struct run *x, struct writer *w, struct room *room)
{
    uint64_t size = (uint64_t)x->file.object.attr.size, end = x->hi < size ? x->hi : size;
    struct range_merge merge = {.bucket = x->of->bucket,
                                .key = x->of->key,
                                .now = &x->file.object,
                                .lo = x->lo,
                                .hi = x->hi,
                                .token = x->token,
                                .lock_ms = LOCK_MS};
    enum err err;

    if (end <= x->lo)
        return OK; /* cut away meanwhile */
    err = copy(&x->file, x->lo, end, w, room, x->round);
    return err == OK ? range_merge(w, x->a, &merge) : err;
}

static enum err merge(struct run *x)
{
    struct room room = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    struct writer_options options = {.on_room = on_room, .arg = &room, .expected = -1};
    struct writer *w = NULL;
    enum err err = draw_token(x);

    if (err == OK)
        err = open_file(x);
    if (err == OK)
        err = writer_new(x->fs, &options, &w);
    if (err == OK)
        err = rewrite(x, w, &room);
    if (w != NULL)
        writer_free(w);
    file_close(&x->file);
    return err;
}

/* --- the round -------------------------------------------------------------------------------- */

/* *out_more: the budget is used up, and there may be others. */
static enum err merge_runs(struct fs *fs, const struct merge_file *of, struct job_round *r,
                           bool *out_more)
{
    struct run x = {.fs = fs, .of = of, .round = r};
    enum err err = OK;

    while (err == OK && r->done < r->budget) {
        err = merge_run(fs->meta, of->inode, x.hi, &x.lo, &x.hi);
        if (err != OK)
            break;
        x.a = arena_new(ARENA_MAX);
        err = x.a != NULL ? merge(&x) : err_set(ERR_NOMEM, "out of memory");
        arena_free(x.a);
        if (err != OK)
            break;
        r->done++;
        log_debug("merged bytes %llu to %llu of inode %llu", (unsigned long long)x.lo,
                  (unsigned long long)x.hi, (unsigned long long)of->inode);
    }
    *out_more = err == OK;
    return err;
}

/* The database or the store is away, or our session is over: nothing is wrong with the file. */
static bool is_everywhere(enum err err)
{
    return err == ERR_CANCELLED || err == ERR_FULL || err == ERR_BUSY || err == ERR_FENCED ||
           err == ERR_TIMEOUT || err == ERR_NOMEM || err == ERR_UNKNOWN;
}

/* Errors that come again: the file is left as it is. */
static bool is_lasting(enum err err)
{
    return err == ERR_CORRUPT || err == ERR_TOO_LARGE || err == ERR_INVALID || err == ERR_BUG;
}

static enum err set_aside(struct fs *fs, const struct merge_file *of, struct job_round *r,
                          enum err why)
{
    struct err_info info;
    bool first = false;
    enum err err;

    err_save(why, &info);
    err = merge_set_aside(fs->meta, of, &first);
    r->failed += err == OK;
    if (err == OK && first && why != ERR_CONFLICT)
        log_warn("inode %llu could not be merged and is set aside: %s",
                 (unsigned long long)of->inode, info.text);
    return err;
}

/* Merges what the file has to merge, or sets it aside; OK: the round may go on. */
static enum err merge_file(struct fs *fs, const struct merge_file *of, struct job_round *r)
{
    bool more = false;
    enum err err = of->bucket.ptr != NULL ? merge_runs(fs, of, r, &more) : OK;

    if (is_lasting(err)) {
        log_error("inode %llu is not merged: %s", (unsigned long long)of->inode, err_text(err));
        r->failed++;
        err = OK;
    }
    if (err == ERR_NOT_FOUND)
        err = OK; /* nothing is left to merge, or the file is gone */
    if (err == OK)
        return more ? OK : merge_done(fs->meta, of);
    return is_everywhere(err) ? err : set_aside(fs, of, r, err);
}

enum err merge_round(struct fs *fs, struct job_round *r)
{
    struct arena *a = arena_new((size_t)1 << 20);
    struct merge_file of;
    enum err err =
        a != NULL ? merge_next(fs->meta, r, a, &of) : err_set(ERR_NOMEM, "out of memory");
    bool found = err == OK;

    if (found)
        err = merge_file(fs, &of, r);
    r->more = found && err == OK;
    arena_free(a);
    return err == ERR_NOT_FOUND && !found ? OK : err;
}
