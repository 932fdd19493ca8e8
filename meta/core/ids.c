/*
 * Stocks of ids and of slice names: blocks are drawn from the database, the next one while a
 * quarter of the last is left, so that few requests wait. A block grows while it is used up within
 * a second.
 */
#include "meta/core/handle.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>

/* A block that lasted less than this is doubled next time. */
#define IDS_FAST_US 1000000

enum err ids_init(struct meta *m, struct meta_ids *ids, bool slices)
{
    ids->meta = m;
    ids->slices = slices;
    ids->block_min = slices ? 256 : 4096;
    ids->block_max = slices ? 4096 : 65536; /* a crash leaves what is left of two to the reaper */
    ids->block = ids->block_min;
    if (pthread_mutex_init(&ids->lock, NULL) != 0)
        return err_set(ERR_NOMEM, "no mutex for ids");
    if (pthread_cond_init(&ids->changed, NULL) != 0) {
        pthread_mutex_destroy(&ids->lock);
        return err_set(ERR_NOMEM, "no condition variable for ids");
    }
    return OK;
}

void ids_fini(struct meta_ids *ids)
{
    ranges_forget(ids);
    pthread_cond_destroy(&ids->changed);
    pthread_mutex_destroy(&ids->lock);
}

/* Takes the block that a fetch brought: [end - count, end). The lock is held. */
static void take_block(struct meta_ids *ids, uint64_t first, uint64_t end)
{
    int64_t now = clock_mono_us();
    if (ids->slices)
        ranges_add(ids, first, end);
    bool fast = ids->fetched_us != 0 && now - ids->fetched_us < IDS_FAST_US;
    if (fast && ids->block < ids->block_max)
        ids->block *= 2;
    else if (!fast && ids->block > ids->block_min)
        ids->block /= 2;
    ids->fetched_us = now;
    if (ids->next == ids->end) {
        ids->first = first;
        ids->next = first;
        ids->end = end;
    } else {
        ids->spare_first = first;
        ids->spare_end = end;
    }
}

/*
 * Counters never go back, unless the database lost what it had acknowledged: it was restored under
 * us, or a standby was promoted that lagged behind. Then what it gives may be in use: names of our
 * session would be issued twice. True when the block is not to be touched, nor the rest of ours,
 * which others may be given now. The lock is held.
 */
static bool given_before(struct meta_ids *ids, uint64_t first, uint64_t end)
{
    bool before = first < ids->highest;
    if (before) {
        log_error("the database gives out %s that it had given out before: it has lost"
                  " transactions that it had acknowledged",
                  ids->slices ? "slice names" : "ids");
        ids->next = ids->end;
        ids->spare_end = ids->spare_first;
    }
    if (end > ids->highest)
        ids->highest = end;
    return before;
}

/* On a thread of the engine: the fetch has ended. */
static void fetched(struct sql_unit *u)
{
    struct meta_ids *ids = u->arg;
    struct arena *arena = ids->arena;
    pthread_mutex_lock(&ids->lock);
    const struct sql_call *take = u->first; /* NULL or alone when there was no memory for a call */
    uint64_t end = (uint64_t)sql_int(take, 0, 0);
    uint64_t first = u->error.code == OK ? end - (uint64_t)take->params[1].num : end;
    if (u->error.code == OK && (take->rows != 1 || (ids->slices && take->next->rows != 1))) {
        u->error.code = ERR_CORRUPT;
        snprintf(u->error.text, sizeof(u->error.text), "a row is missing in `counters`");
    }
    if (u->error.code == OK && given_before(ids, first, end)) {
        u->error.code = ERR_BUSY;
        snprintf(u->error.text, sizeof(u->error.text), "the database went back in time");
    }
    if (u->error.code != OK) {
        ids->failures++;
        ids->error = u->error;
        /* Whether the block was taken does not matter: its numbers will not be given out. */
        if (ids->error.code == ERR_UNKNOWN)
            ids->error.code = ERR_BUSY;
    } else if (!ids->slices || ids->fetching_session == ids->session) {
        take_block(ids, first, end);
    } /* else the range of a session that was lost meanwhile: the reaper's */
    ids->fetching = false;
    pthread_cond_broadcast(&ids->changed);
    pthread_mutex_unlock(&ids->lock);
    arena_free(arena);
}

/* Asks for a block. The lock is held, `fetching` was set by the caller; the lock is let go. */
static void fetch_and_unlock(struct meta_ids *ids)
{
    ids->arena = arena_new(META_SMALL_ARENA);
    ids->fetching_session = ids->session;
    struct sql_unit *u = &ids->unit;
    sql_unit_init(u, SQL_WRITE, ids->arena);
    u->order_key = ids->slices ? STR("slice") : STR("id");
    u->done = fetched;
    u->arg = ids;
    sql_add_ids_take(u, p_counter(u->order_key), p_count((int64_t)ids->block));
    if (ids->slices) {
        sql_add_range_insert(u, p_count((int64_t)ids->block), p_session((int64_t)ids->session),
                             p_tag((int64_t)ids->tag));
    }
    pthread_mutex_unlock(&ids->lock);
    sql_submit(ids->meta->sql, u);
}

/* One number; true when one was there. The lock is held. */
static bool give(struct meta_ids *ids, uint64_t *out)
{
    if (ids->next == ids->end && ids->spare_first != ids->spare_end) {
        ids->first = ids->spare_first;
        ids->next = ids->spare_first;
        ids->end = ids->spare_end;
        ids->spare_end = ids->spare_first;
    }
    if (ids->next == ids->end)
        return false;
    *out = ids->next++;
    return true;
}

static bool running_low(const struct meta_ids *ids)
{
    return !ids->fetching && ids->spare_first == ids->spare_end &&
           ids->end - ids->next < ids->block / 4;
}

static enum err no_session(void)
{
    return err_set(ERR_FENCED, "no session: its lease is over, or none was opened");
}

static enum err next(struct meta_ids *ids, uint64_t *out, uint64_t *out_tag)
{
    enum err err = OK;
    pthread_mutex_lock(&ids->lock);
    uint64_t failures = ids->failures;
    for (;;) {
        if (ids->slices && ids->session == 0) {
            err = no_session();
            break;
        }
        bool given = give(ids, out);
        if (given)
            *out_tag = ids->tag;
        if (!ids->fetching && (!given || running_low(ids))) {
            ids->fetching = true;
            fetch_and_unlock(ids);
            if (given)
                return OK;
            pthread_mutex_lock(&ids->lock);
        }
        if (given)
            break;
        if (ids->fetching)
            pthread_cond_wait(&ids->changed, &ids->lock);
        if (ids->failures != failures) {
            err = err_restore(&ids->error);
            break;
        }
    }
    pthread_mutex_unlock(&ids->lock);
    return err;
}

enum err meta_next_id(struct meta *m, uint64_t *out)
{
    uint64_t tag;
    if (!atomic_load(&m->session.opened))
        return no_session();
    return next(&m->ids, out, &tag);
}

enum err slice_name_next(struct meta *m, struct slice_name *out)
{
    return next(&m->ranges, &out->id, &out->tag);
}

void ids_restart(struct meta_ids *ids, uint64_t session, uint64_t tag)
{
    pthread_mutex_lock(&ids->lock);
    ids->session = session;
    ids->tag = tag;
    ids->next = ids->end;
    ids->spare_first = ids->spare_end;
    ranges_forget(ids);
    pthread_cond_broadcast(&ids->changed);
    pthread_mutex_unlock(&ids->lock);
}

void ids_wait_idle(struct meta_ids *ids)
{
    pthread_mutex_lock(&ids->lock);
    while (ids->fetching)
        pthread_cond_wait(&ids->changed, &ids->lock);
    pthread_mutex_unlock(&ids->lock);
}

/* The range [first, ...) was used up to `next`. */
static void shrink(const struct meta_ids *ids, struct sql_unit *u, uint64_t first, uint64_t next_id)
{
    struct p_first range = p_first((int64_t)first);
    struct p_session session = p_session((int64_t)ids->session);
    if (next_id == first)
        sql_add_range_return(u, range, session);
    else
        sql_add_range_shrink(u, range, session, p_last((int64_t)next_id - 1));
}

void ids_shrink(struct meta_ids *ids, struct sql_unit *u)
{
    pthread_mutex_lock(&ids->lock);
    if (ids->next != ids->end)
        shrink(ids, u, ids->first, ids->next);
    if (ids->spare_first != ids->spare_end)
        shrink(ids, u, ids->spare_first, ids->spare_first);
    pthread_mutex_unlock(&ids->lock);
}
