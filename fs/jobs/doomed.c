/*
 * A batch of doomed slices is cut into chunks of what the store deletes in one call; a few chunks
 * are deleted at once, by the I/O threads, so that uploads and downloads keep most of those.
 */
#include "fs/jobs/doomed.h"

#include "base/log.h"
#include "fs/volume.h"
#include "meta/files/reclaim.h"

#define BATCH     1024
#define PARALLEL  8
#define WHY_MAX   200
#define ARENA_MAX ((size_t)16 << 20)

/* A batch under way. */
struct batch {
    struct fs *fs;
    const struct job_round *round;
    struct slice_name *slices;
    struct err_info *results;
    size_t count, chunk;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    /* guarded by lock */
    size_t next;    /* the first that no thread has taken */
    size_t running; /* threads */
};

struct deleter {
    struct pool_job job;
    struct batch *batch;
};

/* Takes a chunk; false: none is left, or it is to stop. */
static bool take(struct batch *b, size_t *out_from, size_t *out_count)
{
    bool stops = job_stops(b->round);

    pthread_mutex_lock(&b->lock);
    *out_from = b->next;
    *out_count = stops ? 0 : b->count - b->next < b->chunk ? b->count - b->next : b->chunk;
    b->next += *out_count;
    pthread_mutex_unlock(&b->lock);
    return *out_count > 0;
}

static void delete_chunk(struct batch *b, size_t from, size_t count)
{
    char texts[STORE_DEL_MAX][SLICE_NAME_TEXT];
    const char *names[STORE_DEL_MAX] = {NULL};

    for (size_t i = 0; i < count; i++) {
        slice_name_text(b->slices[from + i], texts[i]);
        names[i] = texts[i];
    }
    store_del_many(b->fs->store, names, count, b->results + from);
    for (size_t i = 0; i < count; i++)
        disk_cache_forget(b->fs->disk, b->slices[from + i]);
}

static void delete_some(struct pool_job *job)
{
    struct batch *b = ((struct deleter *)job)->batch;
    size_t from, count;

    while (take(b, &from, &count))
        delete_chunk(b, from, count);
    pthread_mutex_lock(&b->lock);
    b->running--;
    pthread_cond_signal(&b->ended);
    pthread_mutex_unlock(&b->lock);
}

/* Results of what was not reached, because it is to stop, stay ERR_CANCELLED. */
static void delete_all(struct batch *b)
{
    struct deleter deleters[PARALLEL];
    size_t threads = (b->count + b->chunk - 1) / b->chunk;

    if (threads > PARALLEL)
        threads = PARALLEL;
    for (size_t i = 0; i < b->count; i++)
        b->results[i].code = ERR_CANCELLED;
    b->running = threads;
    for (size_t i = 0; i < threads; i++) {
        deleters[i] = (struct deleter){.job = {.run = delete_some, .owner = IO_WRITES}, .batch = b};
        pool_submit_always(b->fs->io, &deleters[i].job);
    }
    pthread_mutex_lock(&b->lock);
    while (b->running > 0)
        pthread_cond_wait(&b->ended, &b->lock);
    pthread_mutex_unlock(&b->lock);
}

/* --- what became of them ---------------------------------------------------------------------- */

static size_t pick_deleted(const struct batch *b, struct slice_name *out)
{
    size_t count = 0;

    for (size_t i = 0; i < b->count; i++)
        if (b->results[i].code == OK)
            out[count++] = b->slices[i];
    return count;
}

/* The store's own words, of which the database takes only what is surely text. */
static void reason(const struct err_info *info, char out[WHY_MAX])
{
    size_t i = 0;

    for (; i < WHY_MAX - 1 && info->text[i] != '\0'; i++)
        out[i] = info->text[i] >= ' ' && info->text[i] <= '~' ? info->text[i] : '?';
    out[i] = '\0';
}

/*
 * Failures one by one: they are few, or the store refuses all and this is slow but bounded by the
 * batch.
 */
static enum err set_aside(struct batch *b, struct job_round *r, int64_t token)
{
    enum err err = OK;
    size_t fresh = 0;
    const struct err_info *example = NULL;

    for (size_t i = 0; i < b->count && err == OK; i++) {
        char why[WHY_MAX];
        size_t before = fresh;

        if (b->results[i].code == OK || b->results[i].code == ERR_CANCELLED)
            continue;
        reason(&b->results[i], why);
        err = doomed_set_aside(b->fs->meta, r, token, &b->slices[i], 1, why, &fresh);
        if (fresh > before && example == NULL)
            example = &b->results[i];
        r->failed += err == OK;
    }
    if (example != NULL)
        log_warn("%zu slices could not be deleted, such as: %s; they are tried again later, more "
                 "and more rarely (kiseki status counts them)",
                 fresh, example->text);
    return err;
}

/* Every attempt of the batch met a store that is away: nothing is wrong with the slices. */
static bool store_is_away(const struct batch *b, size_t *out_example)
{
    bool any = false;

    for (size_t i = 0; i < b->count; i++) {
        if (b->results[i].code == ERR_CANCELLED)
            continue;
        if (b->results[i].code != ERR_BUSY && b->results[i].code != ERR_FULL &&
            b->results[i].code != ERR_TIMEOUT)
            return false;
        *out_example = i;
        any = true;
    }
    return any;
}

static enum err delete_batch(struct fs *fs, struct job_round *r, struct arena *a,
                             const struct doomed *d)
{
    struct batch b = {.fs = fs,
                      .round = r,
                      .slices = d->slices,
                      .results = arena_array(a, d->count, sizeof(*b.results)),
                      .count = d->count,
                      .chunk = store_del_chunk(fs->store),
                      .lock = PTHREAD_MUTEX_INITIALIZER,
                      .ended = PTHREAD_COND_INITIALIZER};
    struct slice_name *gone = arena_array(a, d->count, sizeof(*gone));
    size_t count, example = 0;
    enum err err;

    if (b.results == NULL || gone == NULL)
        return err_set(ERR_NOMEM, "out of memory for %zu doomed slices", d->count);
    delete_all(&b);
    if (store_is_away(&b, &example))
        return err_restore(&b.results[example]);
    count = pick_deleted(&b, gone);
    err = doomed_done(fs->meta, r, d->token, gone, count);
    r->done += err == OK ? count : 0;
    return err == OK ? set_aside(&b, r, d->token) : err;
}

enum err doomed_round(struct fs *fs, struct job_round *r)
{
    enum err err = OK;
    size_t count = BATCH;

    while (err == OK && count == BATCH && r->done + r->failed < r->budget && !job_stops(r)) {
        struct arena *a = arena_new(ARENA_MAX);
        struct doomed d;

        err = a != NULL ? doomed_take(fs->meta, r, a, BATCH, &d)
                        : err_set(ERR_NOMEM, "out of memory");
        if (err == OK)
            err = delete_batch(fs, r, a, &d);
        count = err == OK ? d.count : 0;
        arena_free(a);
    }
    r->more = err == OK && count == BATCH;
    return err == ERR_NOT_FOUND ? OK : err;
}
