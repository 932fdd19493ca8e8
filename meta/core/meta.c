#include "meta/core/handle.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

#define LEASE_MS       15000
#define UPLOAD_KEEP_MS (7 * 24 * 3600 * (int64_t)1000)
#define LATE_PUT_MS    (15 * 60 * 1000)

static int64_t or_default(int64_t v, int64_t when_zero)
{
    return v > 0 ? v : when_zero;
}

static enum err copy_options(struct meta *m, const struct meta_options *o)
{
    m->lease_ms = or_default(o->lease_ms, LEASE_MS);
    m->beat_ms = m->lease_ms / 3;
    m->keep_deleted_ms = or_default(o->keep_deleted_ms, 0);
    m->upload_keep_ms = UPLOAD_KEEP_MS;
    m->late_put_ms = or_default(o->late_put_ms, LATE_PUT_MS);
    m->host = strdup(o->host != NULL ? o->host : "");
    if (m->host == NULL)
        return err_set(ERR_NOMEM, "no memory for a volume");
    if (o->master_key.len != 0 && o->master_key.len != META_KEY_BYTES)
        return err_set(ERR_INVALID, "the master key has %zu bytes, it must have %d",
                       o->master_key.len, META_KEY_BYTES);
    m->has_master_key = o->master_key.len != 0;
    if (m->has_master_key)
        memcpy(m->master_key, o->master_key.ptr, META_KEY_BYTES);
    return OK;
}

static enum err init_locks(struct meta *m)
{
    if (pthread_mutex_init(&m->reads.lock, NULL) != 0)
        return err_set(ERR_NOMEM, "no locks for a volume");
    enum err err = session_init(m);
    if (err == OK)
        err = locks_init(m);
    if (err == OK)
        err = ids_init(m, &m->ids, false);
    if (err == OK)
        err = ids_init(m, &m->ranges, true);
    return err;
}

/*
 * The control handle gives up early: its heartbeats must learn in time that no server answers. They
 * also notice first that a silent primary was replaced.
 */
static enum err connect(struct meta *m, const struct meta_options *o)
{
    struct sql_options control = {.connections = 1,
                                  .wait_ms = m->lease_ms / 3,
                                  .answer_ms = m->lease_ms / 5,
                                  .must_have = o->must_exist ? "volume" : NULL};
    enum err err = sql_open(o->url, &control, &m->control);
    if (err != OK)
        return err;
    struct sql_options work = {.connections = o->connections, .sibling = m->control};
    struct sql_options grants = {.connections = 1, .unflushed = true, .sibling = m->control};
    err = sql_open(o->url, &work, &m->sql);
    if (err == OK && sql_is_postgres(m->sql))
        err = sql_open(o->url, &grants, &m->grants);
    return err;
}

enum err meta_open(const struct meta_options *o, struct meta **out)
{
    *out = NULL;
    struct meta *m = calloc(1, sizeof(*m));
    if (m == NULL)
        return err_set(ERR_NOMEM, "no memory for a volume");
    enum err err = init_locks(m);
    if (err != OK) { /* nothing to undo but memory: locks that could not be made */
        free(m);
        return err;
    }
    err = copy_options(m, o);
    if (err == OK)
        err = account_init(m);
    if (err == OK)
        err = connect(m, o);
    if (err == OK)
        err = schema_open(m, o);
    if (err == OK)
        err = account_open(m);
    if (err == OK)
        *out = m;
    else
        meta_close(m);
    return err;
}

void meta_cancel(struct meta *m)
{
    if (m == NULL)
        return;
    sql_hurry(m->sql);
    if (m->grants != NULL)
        sql_hurry(m->grants);
    locks_cancel(m);
}

void meta_close(struct meta *m)
{
    if (m == NULL)
        return;
    locks_stop(m);
    session_stop(m);
    sql_close(m->grants);
    sql_close(m->sql);
    m->grants = NULL;
    m->sql = NULL;
    if (m->control != NULL)
        session_end(m);
    sql_close(m->control);
    account_fini(m);
    ids_fini(&m->ranges);
    ids_fini(&m->ids);
    session_fini(m);
    locks_fini(m);
    pthread_mutex_destroy(&m->reads.lock);
    explicit_bzero(m->master_key, sizeof(m->master_key));
    free(m->host);
    free(m);
}

void meta_volume(struct meta *m, struct meta_volume *out)
{
    *out = m->volume;
}
