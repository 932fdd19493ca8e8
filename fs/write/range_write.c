/*
 * A change is made in attempts: look the key up, lock what is to be written, commit. If an attempt
 * finds that the key points to another file by now, the next one starts again.
 *
 *     IDLE -> look -> small file: WAITS_TURN (of the key, in this process) -> IDLE, another look
 *                  -> in pieces:  WAITS_LOCK (of the range, of all gateways) -> commit
 *     IDLE -> after PAUSE_AFTER retries that met others: NAPS -> IDLE
 *
 * In the three waiting states the change must not be touched until on_turn() was called. No thread
 * waits.
 */
#include "fs/write/range_write.h"

#include "base/clock.h"
#include "base/rand.h"
#include "fs/volume.h"
#include "fs/write/writer.h"
#include "meta/files/write.h"

#include <errno.h>
#include <semaphore.h>
#include <string.h>

#define LOCK_MS       10000 /* a lock; WRITE_DEADLINE_MS bounds all of them */
#define ATTEMPT_ARENA ((size_t)8 << 20)
#define PAUSE_MAX_MS  20
#define PAUSE_AFTER   2  /* retries without a pause before them */
#define FOLD_AFTER    64 /* writes of this process: a look-up adds up those not folded */

#define MAKE_TRIES 10 /* of an append whose key others create and delete all the time */

enum change_state { CHANGE_IDLE, CHANGE_WAITS_TURN, CHANGE_WAITS_LOCK, CHANGE_NAPS };

/* A write or a resize, over all its attempts. */
struct file_change {
    struct fs *fs;
    struct arena *a;       /* the caller's */
    struct writer *writer; /* NULL: a resize */
    struct file_write w;
    bool resize;
    uint64_t offset;        /* or the new size */
    struct content content; /* pieces only */
    struct str data;        /* the same bytes, if they are few */
    struct write_result out;
    bool made;
    unsigned makes; /* attempts to make the file that is to be appended to */
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

static bool is_guarded(const struct file_write *w)
{
    return w->append != NULL || object_cond_any(&w->guard.cond);
}

static bool guard_holds(const struct file_write *w, const struct object_attr *now)
{
    if (w->append != NULL && (uint64_t)now->size != w->offset)
        return false;
    return object_cond_holds(&w->guard.cond, now);
}

/* Nothing changes the file between this and the commit: it is locked, or swapped as it was seen. */
static enum err check(struct file_change *x)
{
    const struct object_attr *now = &x->file.object.attr;

    if (guard_holds(&x->w, now))
        return OK;
    x->out = (struct write_result){now->size, arena_str(x->a, now->etag), now->mtime_ms};
    return err_set(ERR_CONDITION, "the file is not as the write wants it");
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

/* FNV-1a. Keys that collide wait for each other; nothing else happens. */
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
 * No lock: the key's row is swapped only if it still points to what was looked up. But the changes
 * of this process go one at a time: otherwise most of them would fail and try again.
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

static enum err commit_locked(struct file_change *x)
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
    err = commit_locked(x);
    lock_release(x->fs->meta, &x->lock, x->done);
    return err;
}

static enum err change_pieces(struct file_change *x)
{
    enum err err;

    end_turn(x); /* a holder of anything takes no range lock */
    x->whole = x->resize || is_guarded(&x->w) || x->offset > (uint64_t)x->file.object.attr.size;
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
    /* After ERR_AGAIN another thread may already go on with this attempt. */
    return err;
}

/* The pause is random, so that competitors do not meet again. */
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

/* The wait is over: the change has what it waited for, or will not get it. */
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

static enum err run_attempts(struct file_change *x)
{
    enum err err;

    x->missing = META_MISSING_NONE;
    err = go_on(x);
    while (err == OK && !x->done)
        err = attempt(x);
    return err;
}

/* There is no such key: the bytes to append become a new file. OK without done: it is there now. */
static enum err make_file(struct file_change *x)
{
    struct file_new f;
    enum err err;

    if (x->offset != 0 || object_cond_wants_key(&x->w.guard.cond))
        return err_set(ERR_NOT_FOUND, "there is no such key to append to");
    f = *x->w.append;
    f.guard.cond = (struct object_cond){.if_absent = true};
    err = file_commit(x->writer, x->a, &f, &x->missing);
    x->made = x->done = err == OK;
    x->out = (struct write_result){(int64_t)x->content.size, f.attr.etag, f.attr.mtime_ms};
    if (err != ERR_CONDITION)
        return err;
    return x->makes++ < MAKE_TRIES ? OK : err_set(ERR_CONFLICT, "the key comes and goes");
}

enum err file_change_go_on(struct file_change *x, struct file_written *out,
                           enum meta_missing *out_missing)
{
    enum err err = OK;

    while (err == OK && !x->done) {
        err = run_attempts(x);
        if (err == ERR_AGAIN)
            return err; /* another thread may use x by now */
        end_turn(x);
        if (err == ERR_NOT_FOUND && x->missing == META_MISSING_KEY && x->w.append != NULL)
            err = make_file(x);
    }
    if (x->writer != NULL && !x->made)
        writer_resolve(x->writer, err);
    *out = (struct file_written){x->out.size, x->out.etag, x->out.mtime_ms, x->made};
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

/* --- interface -------------------------------------------------------------------------------- */

/* Bytes in memory become one piece with one inline record. */
static enum err content_as_pieces(struct fs *fs, struct arena *a, const struct content *content,
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

static enum err new_change(struct fs *fs, struct arena *a, const struct file_write *where,
                           struct file_change **out)
{
    struct file_change *x = arena_alloc(a, sizeof(*x));

    *out = x;
    if (x == NULL)
        return err_set(ERR_NOMEM, "the request's memory is full");
    *x = (struct file_change){.fs = fs,
                              .a = a,
                              .w = *where,
                              .offset = where->offset,
                              .pause_ms = 1,
                              .deadline_ms = clock_boot_ms() + WRITE_DEADLINE_MS};
    return OK;
}

enum err file_write_begin(struct writer *w, struct arena *a, const struct file_write *where,
                          struct file_change **out)
{
    struct fs *fs = writer_fs(w);
    struct content content;
    struct file_change *x;
    enum err err = new_change(fs, a, where, &x);

    *out = x;
    if (err == OK)
        err = writer_finish(w, a, &content);
    if (err != OK)
        return err;
    if (where->offset > FILE_SIZE_MAX || content.size > FILE_SIZE_MAX - where->offset)
        return err_set(ERR_TOO_LARGE, "a file of over %llu bytes",
                       (unsigned long long)FILE_SIZE_MAX);
    x->writer = w;
    x->data = content.piece_count == 0 && content.size > 0 ? content.data : STR_NONE;
    return content_as_pieces(fs, a, &content, &x->content);
}

static void post(void *arg)
{
    (void)sem_post(arg);
}

static enum err run(struct file_change *x, struct file_written *out, enum meta_missing *out_missing)
{
    sem_t turn;
    enum err err;

    (void)sem_init(&turn, 0, 0);
    x->w.on_turn = post;
    x->w.turn_arg = &turn;
    err = file_change_go_on(x, out, out_missing);
    while (err == ERR_AGAIN) {
        while (sem_wait(&turn) != 0 && errno == EINTR)
            continue;
        err = file_change_go_on(x, out, out_missing);
    }
    (void)sem_destroy(&turn);
    return err;
}

enum err file_write(struct writer *w, struct arena *a, const struct file_write *where,
                    struct file_written *out, enum meta_missing *out_missing)
{
    struct file_change *x;
    enum err err = file_write_begin(w, a, where, &x);

    *out_missing = META_MISSING_NONE;
    return err == OK ? run(x, out, out_missing) : err;
}

enum err file_resize(struct fs *fs, struct arena *a, const struct file_write *where,
                     struct file_written *out, enum meta_missing *out_missing)
{
    struct file_change *x;
    enum err err;

    *out_missing = META_MISSING_NONE;
    if (where->offset > FILE_SIZE_MAX)
        return err_set(ERR_TOO_LARGE, "a file of over %llu bytes",
                       (unsigned long long)FILE_SIZE_MAX);
    err = new_change(fs, a, where, &x);
    if (err != OK)
        return err;
    x->resize = true;
    return run(x, out, out_missing);
}

/* --- merging ---------------------------------------------------------------------------------- */

static enum err merge_locked(struct meta *m, struct arena *a, const struct range_merge *x,
                             const struct content *content)
{
    struct range_write w = {
        .bucket = x->bucket, .key = x->key, .now = x->now, .offset = x->lo, .content = *content};
    struct range_lock lock;
    bool done = false;
    enum err err = lock_take(m, x->now->attr.inode, x->lo, x->hi, LOCK_EXCLUSIVE,
                             clock_boot_ms() + x->lock_ms, &lock);

    if (err != OK)
        return err;
    w.lock = &lock;
    err = write_merged(m, a, &w, x->token, x->hi, &done);
    lock_release(m, &lock, done);
    return err == OK && !done ? err_set(ERR_CONFLICT, "the file was replaced") : err;
}

enum err range_merge(struct writer *w, struct arena *a, const struct range_merge *x)
{
    struct fs *fs = writer_fs(w);
    struct content content, pieces;
    enum err err = writer_finish(w, a, &content);

    if (err == OK)
        err = content_as_pieces(fs, a, &content, &pieces);
    if (err == OK)
        err = merge_locked(fs->meta, a, x, &pieces);
    writer_resolve(w, err);
    return err;
}
