#include "fs/range_write.h"

#include "base/clock.h"
#include "base/rand.h"
#include "fs/internal.h"
#include "fs/reader.h"

#include <string.h>
#include <time.h>

#define LOCK_MS       10000
#define ATTEMPT_ARENA ((size_t)8 << 20)
#define PAUSE_MAX_US  20000
#define PAUSE_AFTER   2  /* attempts without one */
#define FOLD_AFTER    64 /* writes of this process: all who look at a file add up the rest */

/* One call of file_write() or file_resize(), over all its attempts. */
struct change {
    struct fs *fs;
    struct arena *a; /* the caller's */
    const struct file_write *w;
    bool resize;
    uint64_t offset;        /* or the new size */
    struct content content; /* pieces only */
    struct str data;        /* the same bytes, if they are few */
    struct write_result *out;
    enum meta_missing *out_missing;
    /* of this attempt */
    struct arena *attempt;
    struct file file; /* its epoch tag lasts until the commit: the inode stays */
    bool done;
};

/* --- looking ---------------------------------------------------------------------------------- */

/* The file as it is, with its bytes if they are in its row. */
static enum err look(struct change *x)
{
    struct object_get get = {.bucket = x->w->bucket, .key = x->w->key, .want = OBJECT_DATA};
    enum err err;

    file_close(&x->file);
    err = file_open(x->fs, x->attempt, &get, &x->file, x->out_missing);
    if (err == OK && x->file.object.bucket_versioning != 0)
        err = err_set(ERR_UNSUPPORTED, "writes at a range of an object with versions");
    return err;
}

static enum err judge(const struct change *x)
{
    return x->w->judge != NULL ? x->w->judge(x->w->arg, &x->file.object) : OK;
}

static struct range_write write_of(const struct change *x, const struct range_lock *lock)
{
    return (struct range_write){.bucket = x->w->bucket,
                                .key = x->w->key,
                                .now = &x->file.object,
                                .offset = x->offset,
                                .content = x->content,
                                .mtime_ms = clock_wall_ms(),
                                .lock = lock};
}

/* --- files that have their bytes in their row ------------------------------------------------- */

/* The file's new bytes: ptr NULL when they are too many to stay in its row. */
static enum err small_bytes(const struct change *x, struct str *out)
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

/* No lock: the key's row is swapped only if it still points to what was looked at. */
static enum err change_small(struct change *x)
{
    struct range_write w = write_of(x, NULL);
    struct str bytes;
    bool unpacked;
    enum err err = judge(x);

    if (err == OK)
        err = small_bytes(x, &bytes);
    if (err != OK)
        return err;
    if (bytes.ptr != NULL)
        return write_small(x->fs->meta, x->a, &w, bytes, x->out, &x->done);
    return write_unpack(x->fs->meta, x->a, &w, &unpacked); /* the next attempt finds pieces */
}

/* --- files in pieces -------------------------------------------------------------------------- */

static enum err change_locked(struct change *x, const struct range_lock *lock, bool whole)
{
    struct range_write w = write_of(x, lock);
    struct meta *m = x->fs->meta;
    enum err err;

    if (!whole) {
        err = write_plain(m, x->a, &w, x->out, &x->done);
        if (x->done && atomic_fetch_add(&x->fs->unfolded, 1) % FOLD_AFTER == FOLD_AFTER - 1)
            jobs_poke(x->fs->jobs);
        return err;
    }
    err = look(x); /* from here on nothing changes but the key itself, which the commit sees */
    if (err == OK && x->file.object.attr.inode == lock->inode)
        err = judge(x);
    if (err != OK || x->file.object.attr.inode != lock->inode)
        return err;
    w = write_of(x, lock);
    if (x->resize)
        return write_cut(m, x->a, &w, x->offset, x->out, &x->done);
    return write_whole(m, x->a, &w, x->out, &x->done);
}

static enum err change_pieces(struct change *x)
{
    bool whole = x->resize || x->w->judge != NULL || x->offset > (uint64_t)x->file.object.attr.size;
    uint64_t lo = whole ? 0 : x->offset;
    uint64_t hi = whole ? LOCK_TO_END : x->offset + x->content.size;
    struct range_lock lock;
    enum err err = lock_take(x->fs->meta, x->file.object.attr.inode, lo, hi, LOCK_EXCLUSIVE,
                             clock_boot_ms() + LOCK_MS, &lock);

    if (err == ERR_TIMEOUT)
        return err_set(ERR_BUSY, "others write at this range of the file");
    if (err != OK)
        return err;
    err = change_locked(x, &lock, whole);
    lock_release(x->fs->meta, &lock, x->done);
    return err;
}

/* --- attempts --------------------------------------------------------------------------------- */

static enum err attempt(struct change *x)
{
    enum err err;

    x->attempt = arena_new(ATTEMPT_ARENA);
    if (x->attempt == NULL)
        return err_set(ERR_NOMEM, "out of memory for a write");
    err = look(x);
    if (err == OK && !x->resize && x->content.size == 0) {
        const struct object_attr *now = &x->file.object.attr;

        err = judge(x);
        *x->out = (struct write_result){now->size, arena_str(x->a, now->etag), now->mtime_ms};
        x->done = true;
    } else if (err == OK) {
        err = x->file.object.data.ptr != NULL ? change_small(x) : change_pieces(x);
    }
    file_close(&x->file);
    arena_free(x->attempt);
    return err;
}

/* Competitors must not meet again. */
static void pause_us(uint64_t most)
{
    struct timespec t = {.tv_nsec = (long)(rand_u64() % most) * 1000};

    (void)nanosleep(&t, NULL);
}

static enum err change(struct change *x)
{
    int64_t deadline = clock_boot_ms() + WRITE_DEADLINE_MS;
    uint64_t most = 1000;
    enum err err = OK;

    *x->out_missing = META_MISSING_NONE;
    for (int n = 0; err == OK && !x->done; n++) {
        if (n > PAUSE_AFTER) {
            pause_us(most);
            most = most * 2 < PAUSE_MAX_US ? most * 2 : PAUSE_MAX_US;
        }
        if (clock_boot_ms() > deadline)
            return err_set(ERR_BUSY, "the object is written by others all the time");
        err = attempt(x);
    }
    return err;
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

enum err file_write(struct fs *fs, struct arena *a, const struct file_write *w, uint64_t offset,
                    const struct content *content, struct write_result *out,
                    enum meta_missing *out_missing)
{
    struct change x = {
        .fs = fs, .a = a, .w = w, .offset = offset, .out = out, .out_missing = out_missing};
    enum err err;

    if (offset > FILE_SIZE_MAX || content->size > FILE_SIZE_MAX - offset)
        return err_set(ERR_TOO_LARGE, "a file of over %llu bytes",
                       (unsigned long long)FILE_SIZE_MAX);
    x.data = content->piece_count == 0 && content->size > 0 ? content->data : STR_NONE;
    err = content_as_pieces(fs, a, content, &x.content);
    return err == OK ? change(&x) : err;
}

enum err file_resize(struct fs *fs, struct arena *a, const struct file_write *w, uint64_t size,
                     struct write_result *out, enum meta_missing *out_missing)
{
    struct change x = {.fs = fs,
                       .a = a,
                       .w = w,
                       .resize = true,
                       .offset = size,
                       .out = out,
                       .out_missing = out_missing};

    if (size > FILE_SIZE_MAX)
        return err_set(ERR_TOO_LARGE, "a file of over %llu bytes",
                       (unsigned long long)FILE_SIZE_MAX);
    return change(&x);
}
