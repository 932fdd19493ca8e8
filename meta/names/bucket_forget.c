/*
 * The job "buckets": what deleted buckets leave. DeleteBucket only takes the bucket's row, and
 * queues its id in `dead` as kind 4 if uploads are in progress there: with thousands of parts they
 * would keep every writer waiting. No request finds such an upload any more, since all look for it
 * by the bucket's row; here they are aborted, some parts a transaction. No epoch matters: the
 * parts' inodes are queued by the trigger, and wait for theirs.
 */
#include "meta/jobs/job_internal.h"
#include "meta/files/reclaim.h"

#define UPLOADS_MAX 64   /* locked at once */
#define PARTS_MAX   1000 /* a transaction */

/* *out_bucket 0: none. */
static enum err next_gone(struct meta *m, struct arena *a, uint64_t *out_bucket)
{
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add_gone_next(&u);
    enum err err = sql_read(m->sql, &u);
    *out_bucket = err == OK && c->rows > 0 ? (uint64_t)sql_int(c, 0, 0) : 0;
    return err;
}

/* One transaction. The uploads' rows first: an UploadPart that holds one is seen then. */
static enum err forget_some(struct meta *m, struct job_hold *h, struct arena *a, uint64_t bucket,
                            size_t *out_done)
{
    struct sql_unit u;
    job_begin(h, &u, a);
    struct p_bucket_id id = p_bucket_id((int64_t)bucket);
    struct p_most most = p_most(UPLOADS_MAX);
    sql_add_gone_lock(&u, id, most);
    struct sql_call *parts = sql_add_gone_parts(&u, id, most, p_parts_most(PARTS_MAX));
    struct sql_call *uploads = sql_add_gone_uploads(&u, id, most);
    sql_add_gone_done(&u, id);
    enum err err = job_write(m, h, &u);
    *out_done = err == OK && h->held ? (size_t)(parts->changed + uploads->changed) + 1 : 0;
    return err;
}

enum err buckets_round(struct meta *m, struct job_round *r)
{
    struct job_hold h = {.held = false};
    uint64_t bucket = 0;
    enum err err = OK;

    do {
        struct arena *a = arena_new(META_SMALL_ARENA);
        size_t done = 0;
        err = a != NULL ? next_gone(m, a, &bucket) : err_set(ERR_NOMEM, "no memory for buckets");
        if (err == OK && bucket != 0 && !h.held)
            err = job_take(m, r, &h);
        if (err == OK && bucket != 0 && h.held)
            err = forget_some(m, &h, a, bucket, &done);
        r->done += done;
        arena_free(a);
    } while (err == OK && bucket != 0 && h.held && r->done < r->budget && !job_stops(r));
    r->more = err == OK && bucket != 0 && h.held;
    return err;
}
