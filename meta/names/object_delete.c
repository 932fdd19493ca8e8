/* Deletes keys, one or a thousand at once. */
#include "meta/names/object_internal.h"

/*
 * Each item is a unit of its own, so that the batching keeps all key rows of a transaction in one
 * order, and all are submitted at once, so that many share a transaction. Items that found no row
 * are looked at afterwards, likewise together.
 */

/* Counts units under way; the last one wakes the caller. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t open;       /* guarded by lock */
    bool range_locked; /* the caller's: a holder of one range lock takes no other */
};

struct work {
    struct object_delete *item;
    struct gate *gate;
    struct arena *arena; /* its own: units of one request end on different threads */
    struct sql_unit unit;
    struct sql_call *call;
    bool look; /* found no row: what is there? */
    bool again;
    struct whole_lock whole;
};

static void gate_init(struct gate *g)
{
    (void)pthread_mutex_init(&g->lock, NULL);
    (void)pthread_cond_init(&g->changed, NULL);
    g->open = 0;
    g->range_locked = false;
}

static void gate_fini(struct gate *g)
{
    (void)pthread_cond_destroy(&g->changed);
    (void)pthread_mutex_destroy(&g->lock);
}

static void gate_add(struct gate *g)
{
    (void)pthread_mutex_lock(&g->lock);
    g->open++;
    (void)pthread_mutex_unlock(&g->lock);
}

static void gate_wait(struct gate *g)
{
    (void)pthread_mutex_lock(&g->lock);
    while (g->open > 0)
        (void)pthread_cond_wait(&g->changed, &g->lock);
    (void)pthread_mutex_unlock(&g->lock);
}

static void ended(struct sql_unit *u)
{
    struct gate *g = ((struct work *)u->arg)->gate;
    (void)pthread_mutex_lock(&g->lock);
    if (--g->open == 0)
        (void)pthread_cond_signal(&g->changed);
    (void)pthread_mutex_unlock(&g->lock);
}

static void submit(struct meta *m, struct work *w)
{
    w->unit.order_name = w->item->bucket;
    w->unit.order_key = w->item->key;
    w->unit.done = ended;
    w->unit.arg = w;
    gate_add(w->gate);
    sql_submit(m->sql, &w->unit);
}

/* Conditions on what the key's row says of its file. */
static bool has_file_condition(const struct object_cond *c)
{
    return object_cond_has_etag(c) || c->has_size || c->has_mtime || c->if_absent;
}

static void submit_delete(struct meta *m, struct work *w)
{
    const struct object_delete *d = w->item;
    sql_unit_init(&w->unit, SQL_WRITE, w->arena);
    w->unit.frees = true;
    struct p_bucket bucket = p_bucket(d->bucket);
    struct p_key key = p_key(d->key);
    struct p_version version = p_version(d->version);
    /* what must be absent is not there to be deleted */
    struct str etag_is = d->cond.if_absent ? OBJECT_NO_ETAG : d->cond.if_match;
    w->call = !has_file_condition(&d->cond)
                  ? sql_add_key_delete(&w->unit, bucket, key, version)
                  : sql_add_key_delete_if(
                        &w->unit, bucket, key, version, p_etag_is(etag_is),
                        p_etag_not(d->cond.if_none_match), p_has_size(d->cond.has_size),
                        p_size(d->cond.if_size), p_has_mtime(d->cond.has_mtime),
                        p_mtime_s(d->cond.if_mtime_s), p_lock(whole_lock_id(&w->whole)));
    access_require(&w->unit);
    submit(m, w);
}

static void submit_look(struct meta *m, struct work *w)
{
    sql_unit_init(&w->unit, SQL_READ, w->arena);
    struct sql_call *c =
        sql_add_object_state(&w->unit, p_bucket(w->item->bucket), p_key(w->item->key));
    w->call = c;
    submit(m, w);
}

/* The row was there, and the condition held: the file is written at ranges, or is no more. */
static enum err lock_ranged(struct meta *m, struct work *w)
{
    struct object_cond *c = &w->item->cond;
    struct object_state now = {.bucket = true,
                               .key = true,
                               .etag = sql_str(w->call, 0, 2),
                               .ranged = sql_str(w->call, 0, 3).len > 0,
                               .inode = (uint64_t)sql_int(w->call, 0, 4)};
    if (!now.ranged)
        return OK;
    if (w->gate->range_locked && !w->whole.held) {
        w->again = true;
        return OK;
    }
    enum err err = whole_lock_take(m, c, &now, &w->whole, &w->again);
    w->gate->range_locked = w->whole.held;
    return err;
}

static void explain(struct meta *m, struct work *w)
{
    struct object_delete *d = w->item;
    d->result = err_restore(&w->unit.error);
    if (d->result != OK)
        return;
    bool key = !sql_is_null(w->call, 0, 1);
    if (w->call->rows == 0) {
        d->result = err_set(ERR_NOT_FOUND, "no such bucket");
        d->missing = META_MISSING_BUCKET;
    } else if (object_cond_any(&d->cond) && !key) {
        d->result = err_set(ERR_NOT_FOUND, "no such key");
        d->missing = META_MISSING_KEY;
    } else if (object_cond_any(&d->cond)) {
        d->result = lock_ranged(m, w);
        if (d->result == OK && !w->again)
            d->result = err_set(ERR_CONDITION, "the key is not as the condition wants it");
    }
}

/* Deletes those that are marked; marks those that must be tried again. */
static bool delete_round(struct meta *m, struct work *works, size_t count, struct gate *gate)
{
    bool again = false;
    for (size_t i = 0; i < count; i++) {
        struct work *w = &works[i];
        if (!w->again)
            continue;
        w->gate = gate;
        w->arena = arena_new(META_SMALL_ARENA);
        if (w->arena == NULL)
            w->item->result = err_set(ERR_NOMEM, "no memory for a deletion");
        else
            submit_delete(m, w);
    }
    gate_wait(gate);
    for (size_t i = 0; i < count; i++) {
        struct work *w = &works[i];
        w->look = false;
        if (!w->again || w->arena == NULL)
            continue;
        w->item->result = access_result(m, err_restore(&w->unit.error));
        w->look = w->item->result == OK && w->call->rows == 0;
        if (w->look)
            submit_look(m, w);
    }
    gate_wait(gate);
    for (size_t i = 0; i < count; i++) {
        struct work *w = &works[i];
        w->again = false;
        if (w->look)
            explain(m, w);
        arena_free(w->arena);
        w->arena = NULL;
        again = again || w->again;
        if (!w->again && w->whole.held) {
            whole_lock_release(m, &w->whole);
            gate->range_locked = false;
        }
    }
    return again;
}

static void delete_all(struct meta *m, struct work *works, size_t count)
{
    struct gate gate;
    gate_init(&gate);
    for (size_t i = 0; i < count; i++)
        works[i].again = true;
    while (delete_round(m, works, count, &gate)) {
    }
    gate_fini(&gate);
}

void object_delete(struct meta *m, struct object_delete *items, size_t count)
{
    enum err err = OK;
    if (!atomic_load(&m->session.opened))
        err = err_set(ERR_FENCED, "no session was opened: this process only reads");
    struct arena *a = arena_new(OBJECT_WRITE_ARENA);
    struct work *works = a != NULL ? arena_array(a, count, sizeof(*works)) : NULL;
    if (err == OK && works == NULL)
        err = err_set(ERR_NOMEM, "no memory for %zu deletions", count);
    for (size_t i = 0; i < count; i++) {
        items[i].missing = META_MISSING_NONE;
        items[i].result = err;
        if (err == OK)
            works[i].item = &items[i];
    }
    if (err == OK)
        delete_all(m, works, count);
    arena_free(a);
}
