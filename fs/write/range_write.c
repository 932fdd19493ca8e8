/*
 * A change goes on in attempts: look at the key, lock what is to be written, commit. An attempt
 * finds out that the key points to another file meanwhile, and the next one begins anew.
 *
 *     IDLE -> look -> small file: WAITS_TURN (of the key, in this process) -> IDLE, another look
 *                  -> in pieces:  WAITS_LOCK (of the range, of all gateways) -> commit
 *     IDLE -> after some attempts that met others: NAPS -> IDLE
 *
 * In the three states the change is not ours until on_turn() was called, and no thread waits.
 */
#include "fs/write/range_write.h"

#include "base/clock.h"
#include "base/rand.h"
#include "fs/volume.h"
#include "fs/read/reader.h"

#include <errno.h>
#include <semaphore.h>
#include <string.h>

#define LOCK_MS       10000
#define ATTEMPT_ARENA ((size_t)8 << 20)
#define PAUSE_MAX_MS  20
#define PAUSE_AFTER   2  /* attempts without one */
#define FOLD_AFTER    64 /* writes of this process: each look at the file adds up the rest */

enum change_state { CHANGE_IDLE, CHANGE_WAITS_TURN, CHANGE_WAITS_LOCK, CHANGE_NAPS };

/* A write or a resize, over all its attempts. */
struct file_change {
    struct fs *fs;
    struct arena *a; /* the caller's */
    struct file_write w;
    bool resize;
    uint64_t offset;        /* or the new size */
    struct content content; /* pieces only */
    struct str data;        /* the same bytes, if they are few */
    struct write_result out;
    enum meta_missing missing;
    enum change_state state;
    int64_t deadline_ms;
    unsigned attempts;
    int64_t pause_ms;       /* the longest of the next pause */
    struct range_lock turn; /* of the key's small file, over all attempts; or a nap */
    bool has_turn, has_napped;
    bool done;
    /* of this attempt */
    struct arena *attempt;
    struct file file; /* its epoch tag lasts until the commit: the inode stays */
    struct range_lock lock;
    bool whole;
};

/* --- looking ---------------------------------------------------------------------------------- */

/* The file as it is, with its bytes if they are in its row. */
static enum err look(struct file_change *x)
{
    struct object_get get = {.bucket = x->w.bucket, .key = x->w.key, .want = OBJECT_DATA};
    enum err err;

    file_close(&x->file);
    err = file_open(x->fs, x->attempt, &get, &x->file, &x->missing);
    if (err == OK && x->file.object.bucket_versioning != 0)
        err = err_set(ERR_UNSUPPORTED, "writes at a range of an object with versions");
    return err;
}

static void end_attempt(struct file_change *x)
{
    file_close(&x->file);
    arena_free(x->attempt);
    x->attempt = NULL;
}

static enum err check(const struct file_change *x)
{
    return x->w.check != NULL ? x->w.check(x->w.arg, &x->file.object) : OK;
}

static struct range_write write_of(const struct file_change *x, const struct range_lock *lock)
{
    return (struct range_write){.bucket = x->w.bucket,
                                .key = x->w.key,
                                .now = &x->file.object,
                                .offset = x->offset,
                                .content = x->content,
                                .mtime_ms = clock_wall_ms(),
                                .lock = lock};
}

/* --- files that have their bytes in their row ------------------------------------------------- */

/* The file's new bytes: ptr NULL when they are too many to stay in its row. */
static enum err small_bytes(const struct file_change *x, struct str *out)
{
    struct str old = x->file.object.data;
    uint64_t end = x->offset + (x->resize ? 0 : x->data.len);
    uint64_t size = end > old.len || x->resize ? end : old.len;
    char *bytes;

    *out = STR_NONE;
    if (size > x->fs->inline_max || (!x->resize && x->data.ptr == NULL))
        return OK;
    bytes = arena_alloc(x->attempt, (size_t)size + 1);
    if (bytes == NULL)
        return err_set(ERR_NOMEM, "out of memory for %llu bytes", (unsigned long long)size);
    memset(bytes, 0, (size_t)size);
    memcpy(bytes, old.ptr, old.len < size ? old.len : (size_t)size);
    if (!x->resize)
        memcpy(bytes + x->offset, x->data.ptr, x->data.len);
    *out = (struct str){bytes, (size_t)size};
    return OK;
}

/* FNV-1a. Keys that collide wait for each other, and that is all. */
static uint64_t number_of_key(const struct file_change *x)
{
    const struct str parts[2] = {x->w.bucket, x->w.key};
    uint64_t h = UINT64_C(14695981039346656037);

    for (size_t p = 0; p < 2; p++) {
        for (size_t i = 0; i < parts[p].len; i++)
            h = (h ^ (uint8_t)parts[p].ptr[i]) * UINT64_C(1099511628211);
        h = (h ^ 0xFF) * UINT64_C(1099511628211);
    }
    return h;
}

static void end_turn(struct file_change *x)
{
    if (x->has_turn)
        lock_release(x->fs->meta, &x->turn, false);
    x->has_turn = false;
}

/*
 * A change that must wait keeps nothing of what it looked up: it is old by then, and many may
 * wait.
 */
static enum err take_turn(struct file_change *x)
{
    uint64_t number = number_of_key(x);
    enum err err = lock_turn_begin(x->fs->meta, number, 0, x->w.on_turn, x->w.turn_arg, &x->turn);

    if (err == ERR_TIMEOUT) { /* it is not free at once */
        end_attempt(x);
        x->state = CHANGE_WAITS_TURN;
        err = lock_turn_begin(x->fs->meta, number, clock_boot_ms() + LOCK_MS, x->w.on_turn,
                              x->w.turn_arg, &x->turn);
        if (err == ERR_AGAIN)
            return err;
        x->state = CHANGE_IDLE;
    }
    x->has_turn = err == OK;
    return err;
}

/*
 * No lock: the key's row is swapped only if it still points to what was looked at. But of this
 * process one at a time, or most would write for nothing.
 */
static enum err change_small(struct file_change *x)
{
    struct range_write w = write_of(x, NULL);
    struct str bytes;
    bool unpacked;
    enum err err = OK;

    if (!x->has_turn) {
        err = take_turn(x);
        if (err != OK || x->attempt == NULL)
            return err; /* the next attempt looks anew */
    }
    err = check(x);
    if (err == OK)
        err = small_bytes(x, &bytes);
    if (err != OK)
        return err;
    if (bytes.ptr != NULL)
        return write_small(x->fs->meta, x->a, &w, bytes, &x->out, &x->done);
    return write_unpack(x->fs->meta, x->a, &w, &unpacked); /* the next attempt finds pieces */
}

/* --- files in pieces -------------------------------------------------------------------------- */

static enum err commit(struct file_change *x)
{
    struct range_write w = write_of(x, &x->lock);
    struct meta *m = x->fs->meta;
    enum err err;

    if (!x->whole) {
        err = write_plain(m, x->a, &w, &x->out, &x->done);
        if (x->done && atomic_fetch_add(&x->fs->unfolded, 1) % FOLD_AFTER == FOLD_AFTER - 1)
            jobs_poke(x->fs->jobs);
        return err;
    }
    err = look(x); /* from here on nothing changes but the key itself, which the commit sees */
    if (err == OK && x->file.object.attr.inode == x->lock.inode)
        err = check(x);
    if (err != OK || x->file.object.attr.inode != x->lock.inode)
        return err;
    if (x->offset > (uint64_t)x->file.object.attr.size + FILE_GAP_MAX)
        return err_set(ERR_TOO_LARGE, "a gap of over %llu bytes", (unsigned long long)FILE_GAP_MAX);
    w = write_of(x, &x->lock);
    if (x->resize)
        return write_cut(m, x->a, &w, x->offset, &x->out, &x->done);
    return write_whole(m, x->a, &w, &x->out, &x->done);
}

/* The lock's answer. */
static enum err change_locked(struct file_change *x, enum err err)
{
    if (err == ERR_TIMEOUT)
        return err_set(ERR_BUSY, "others write at this range of the file");
    if (err != OK)
        return err;
    err = commit(x);
    lock_release(x->fs->meta, &x->lock, x->done);
    return err;
}

static enum err change_pieces(struct file_change *x)
{
    enum err err;

    end_turn(x); /* a holder of anything takes no range lock */
    x->whole = x->resize || x->w.check != NULL || x->offset > (uint64_t)x->file.object.attr.size;
    x->state = CHANGE_WAITS_LOCK;
    err = lock_begin(x->fs->meta, x->file.object.attr.inode, x->whole ? 0 : x->offset,
                     x->whole ? LOCK_TO_END : x->offset + x->content.size, LOCK_EXCLUSIVE,
                     clock_boot_ms() + LOCK_MS, x->w.on_turn, x->w.turn_arg, &x->lock);
    if (err == ERR_AGAIN)
        return err;
    x->state = CHANGE_IDLE;
    return change_locked(x, err);
}

/* --- attempts --------------------------------------------------------------------------------- */

static enum err try_once(struct file_change *x)
{
    enum err err;

    x->attempt = arena_new(ATTEMPT_ARENA);
    if (x->attempt == NULL)
        return err_set(ERR_NOMEM, "out of memory for a write");
    err = look(x);
    if (err == OK && !x->resize && x->content.size == 0) {
        const struct object_attr *now = &x->file.object.attr;

        err = check(x);
        x->out = (struct write_result){now->size, arena_str(x->a, now->etag), now->mtime_ms};
        x->done = true;
    } else if (err == OK) {
        err = x->file.object.data.ptr != NULL ? change_small(x) : change_pieces(x);
    }
    /* A change that waits for the range's lock goes on with this attempt, and may do so already. */
    return err;
}

/* Competitors must not meet again. */
static enum err pause_before(struct file_change *x)
{
    int64_t ms = 1 + (int64_t)(rand_u64() % (uint64_t)x->pause_ms);

    x->pause_ms = x->pause_ms * 2 < PAUSE_MAX_MS ? x->pause_ms * 2 : PAUSE_MAX_MS;
    x->state = CHANGE_NAPS;
    return lock_nap_begin(x->fs->meta, ms, x->w.on_turn, x->w.turn_arg, &x->lock);
}

static enum err attempt(struct file_change *x)
{
    enum err err;

    if (clock_boot_ms() > x->deadline_ms)
        return err_set(ERR_BUSY, "the object is written by others all the time");
    if (x->attempts > PAUSE_AFTER && !x->has_napped)
        return pause_before(x);
    x->has_napped = false;
    x->attempts++;
    err = try_once(x);
    if (err != ERR_AGAIN)
        end_attempt(x);
    return err;
}

/* What was waited for has come, or will not. */
static enum err go_on(struct file_change *x)
{
    enum change_state state = x->state;
    struct range_lock *waited = state == CHANGE_WAITS_TURN ? &x->turn : &x->lock;
    enum err err;

    if (state == CHANGE_IDLE)
        return OK;
    err = lock_go_on(x->fs->meta, waited);
    if (err == ERR_AGAIN)
        return err;
    x->state = CHANGE_IDLE;
    x->has_napped = state == CHANGE_NAPS;
    if (state == CHANGE_WAITS_LOCK)
        err = change_locked(x, err);
    x->has_turn |= state == CHANGE_WAITS_TURN && err == OK;
    end_attempt(x);
    return err == ERR_TIMEOUT ? err_set(ERR_BUSY, "others write this object") : err;
}

enum err file_change_go_on(struct file_change *x, struct write_result *out,
                           enum meta_missing *out_missing)
{
    enum err err;

    x->missing = META_MISSING_NONE;
    err = go_on(x);
    while (err == OK && !x->done)
        err = attempt(x);
    if (err == ERR_AGAIN)
        return err; /* x is not ours any more */
    end_turn(x);
    *out = x->out;
    *out_missing = x->missing;
    return err;
}

void file_change_give_up(struct file_change *x)
{
    if (x->state == CHANGE_WAITS_LOCK)
        lock_release(x->fs->meta, &x->lock, false);
    if (x->state == CHANGE_WAITS_TURN)
        lock_release(x->fs->meta, &x->turn, false);
    x->state = CHANGE_IDLE;
    end_turn(x);
    end_attempt(x);
}

enum err content_as_pieces(struct fs *fs, struct arena *a, const struct content *content,
                           struct content *out)
{
    struct content_piece *piece;
    struct record record = {
        .kind = RECORD_INLINE, .len = content->data.len, .bytes = content->data};
    struct buf packed;
    enum err err;

    *out = *content;
    if (content->piece_count > 0 || content->size == 0)
        return OK;
    piece = arena_alloc(a, sizeof(*piece));
    buf_init(&packed, content->data.len + 64);
    record_pack(&packed, &record, 1);
    err = piece != NULL ? buf_check(&packed) : err_set(ERR_NOMEM, "out of memory for a write");
    if (err == OK) {
        *piece =
            (struct content_piece){.len = content->size, .records = arena_str(a, buf_str(&packed))};
        err = piece->records.ptr != NULL ? meta_next_id(fs->meta, &piece->id)
                                         : err_set(ERR_NOMEM, "out of memory for a write");
        *out = (struct content){.size = content->size, .pieces = piece, .piece_count = 1};
    }
    buf_fini(&packed);
    return err;
}

/* --- interface -------------------------------------------------------------------------------- */

static enum err new_change(struct fs *fs, struct arena *a, const struct file_write *w,
                           struct file_change **out)
{
    struct file_change *x = arena_alloc(a, sizeof(*x));

    *out = x;
    if (x == NULL)
        return err_set(ERR_NOMEM, "the request's memory is full");
    *x = (struct file_change){.fs = fs,
                              .a = a,
                              .w = *w,
                              .pause_ms = 1,
                              .deadline_ms = clock_boot_ms() + WRITE_DEADLINE_MS};
    return OK;
}

enum err file_write_begin(struct fs *fs, struct arena *a, const struct file_write *w,
                          uint64_t offset, const struct content *content, struct file_change **out)
{
    struct file_change *x;
    enum err err = new_change(fs, a, w, &x);

    *out = x;
    if (err == OK && (offset > FILE_SIZE_MAX || content->size > FILE_SIZE_MAX - offset))
        err =
            err_set(ERR_TOO_LARGE, "a file of over %llu bytes", (unsigned long long)FILE_SIZE_MAX);
    if (err != OK)
        return err;
    x->offset = offset;
    x->data = content->piece_count == 0 && content->size > 0 ? content->data : STR_NONE;
    return content_as_pieces(fs, a, content, &x->content);
}

static void post(void *arg)
{
    (void)sem_post(arg);
}

static enum err run(struct file_change *x, sem_t *turn, struct write_result *out,
                    enum meta_missing *out_missing)
{
    enum err err = file_change_go_on(x, out, out_missing);

    while (err == ERR_AGAIN) {
        while (sem_wait(turn) != 0 && errno == EINTR)
            continue;
        err = file_change_go_on(x, out, out_missing);
    }
    return err;
}

enum err file_write(struct fs *fs, struct arena *a, const struct file_write *w, uint64_t offset,
                    const struct content *content, struct write_result *out,
                    enum meta_missing *out_missing)
{
    struct file_write blocking = *w;
    struct file_change *x;
    sem_t turn;
    enum err err;

    *out_missing = META_MISSING_NONE;
    (void)sem_init(&turn, 0, 0);
    blocking.on_turn = post;
    blocking.turn_arg = &turn;
    err = file_write_begin(fs, a, &blocking, offset, content, &x);
    if (err == OK)
        err = run(x, &turn, out, out_missing);
    (void)sem_destroy(&turn);
    return err;
}

enum err file_resize(struct fs *fs, struct arena *a, const struct file_write *w, uint64_t size,
                     struct write_result *out, enum meta_missing *out_missing)
{
    struct file_write blocking = *w;
    struct file_change *x;
    sem_t turn;
    enum err err;

    *out_missing = META_MISSING_NONE;
    if (size > FILE_SIZE_MAX)
        return err_set(ERR_TOO_LARGE, "a file of over %llu bytes",
                       (unsigned long long)FILE_SIZE_MAX);
    (void)sem_init(&turn, 0, 0);
    blocking.on_turn = post;
    blocking.turn_arg = &turn;
    err = new_change(fs, a, &blocking, &x);
    if (err == OK) {
        x->resize = true;
        x->offset = size;
        err = run(x, &turn, out, out_missing);
    }
    (void)sem_destroy(&turn);
    return err;
}
