/*
 * The job "uploads": a completed upload keeps its result for a week, for clients that lost the
 * answer and ask again; then its row goes. An aborted one leaves no row.
 */
#include "meta/sql/json_array.h"
#include "meta/jobs/job_internal.h"
#include "meta/files/reclaim.h"

#define UPLOADS_MAX 500 /* a transaction */

/* *out_count: how many were over; fewer than UPLOADS_MAX: none is left. */
static enum err over(struct meta *m, struct arena *a, uint64_t *ids, size_t *out_count)
{
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c =
        sql_add_uploads_over(&u, p_keep_ms(m->upload_keep_ms), p_most(UPLOADS_MAX));
    enum err err = sql_read(m->sql, &u);
    *out_count = err == OK ? c->rows : 0;
    for (size_t i = 0; i < *out_count; i++)
        ids[i] = (uint64_t)sql_int(c, i, 0);
    return err;
}

static enum err forget(struct meta *m, struct job_hold *h, struct arena *a, const uint64_t *ids,
                       size_t count)
{
    struct sql_unit u;
    struct str array = sql_json_array(a, ids, count);
    if (array.ptr == NULL)
        return err_set(ERR_NOMEM, "no memory to forget uploads");
    job_begin(h, &u, a);
    sql_add_uploads_forget(&u, p_ids(array));
    return job_write(m, h, &u);
}

/* One transaction; *out_count uploads were found, and forgotten if the job is held. */
static enum err forget_some(struct meta *m, struct job_round *r, struct job_hold *h,
                            size_t *out_count)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    uint64_t ids[UPLOADS_MAX];
    enum err err =
        a != NULL ? over(m, a, ids, out_count) : err_set(ERR_NOMEM, "no memory for uploads");
    if (err == OK && *out_count > 0 && !h->held)
        err = job_take(m, r, h);
    if (err == OK && *out_count > 0 && h->held)
        err = forget(m, h, a, ids, *out_count);
    arena_free(a);
    return err;
}

enum err uploads_round(struct meta *m, struct job_round *r)
{
    struct job_hold h = {.held = false};
    size_t count = 0;
    enum err err = OK;

    do {
        err = forget_some(m, r, &h, &count);
        r->done += err == OK && h.held ? count : 0;
    } while (err == OK && h.held && count == UPLOADS_MAX && r->done < r->budget && !job_stops(r));
    r->more = err == OK && h.held && count == UPLOADS_MAX;
    return err;
}
