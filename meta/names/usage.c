/* The job "usage": deltas of objects and bytes, which writes insert, are added up a bucket. */
#include "meta/jobs/job_internal.h"
#include "meta/files/reclaim.h"

#define DELTAS_MAX 10000 /* a transaction */

static enum err fold(struct meta *m, struct job_hold *h, size_t *out_count)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    if (a == NULL)
        return err_set(ERR_NOMEM, "no memory to add up usage");
    job_begin(h, &u, a);
    sql_add_usage_fold(&u, p_most(DELTAS_MAX));
    sql_add_usage_folded(&u, p_most(DELTAS_MAX));
    sql_add_usage_forget(&u);
    struct sql_call *left = sql_add_usage_look_again(&u);
    enum err err = job_write(m, h, &u);
    *out_count = err == OK && h->held && sql_int(left, 0, 0) != 0 ? DELTAS_MAX : 0;
    arena_free(a);
    return err;
}

static enum err look(struct meta *m, bool *out_any)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add_usage_look(&u);
    enum err err = sql_read(m->sql, &u);
    *out_any = err == OK && sql_int(c, 0, 0) != 0;
    arena_free(a);
    return err;
}

enum err usage_round(struct meta *m, struct job_round *r)
{
    struct job_hold h = {.held = false};
    bool any = false;
    size_t left = 1;
    enum err err = look(m, &any);
    if (err == OK && any)
        err = job_take(m, r, &h);
    while (err == OK && h.held && left > 0 && r->done < r->budget && !job_stops(r)) {
        err = fold(m, &h, &left);
        r->done += err == OK && h.held ? DELTAS_MAX : 0;
    }
    r->more = err == OK && h.held && left > 0;
    return err;
}
