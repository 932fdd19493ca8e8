/* What `kiseki status` and /ready ask the database. */
#include "meta/core/handle.h"

static enum err sessions(struct arena *a, const struct sql_call *c, struct meta_status *out)
{
    struct meta_session_info *list = arena_array(a, c->rows > 0 ? c->rows : 1, sizeof(*list));
    if (list == NULL)
        return err_set(ERR_NOMEM, "no memory for %zu sessions", c->rows);
    for (size_t i = 0; i < c->rows; i++)
        list[i] = (struct meta_session_info){
            .id = (uint64_t)sql_int(c, i, 0),
            .state = sql_str(c, i, 1),
            .host = sql_str(c, i, 2),
            .version = sql_str(c, i, 3),
            .pid = sql_int(c, i, 4),
            .started_ms = sql_int(c, i, 5),
            .lease_left_ms = sql_int(c, i, 6),
        };
    out->sessions = list;
    out->session_count = c->rows;
    return OK;
}

static enum err locks(struct arena *a, const struct sql_call *c, struct meta_status *out)
{
    struct meta_lock_info *list = arena_array(a, c->rows > 0 ? c->rows : 1, sizeof(*list));
    if (list == NULL)
        return err_set(ERR_NOMEM, "no memory for %zu locks", c->rows);
    for (size_t i = 0; i < c->rows; i++)
        list[i] = (struct meta_lock_info){.inode = (uint64_t)sql_int(c, i, 0),
                                          .lo = sql_int(c, i, 1),
                                          .hi = sql_int(c, i, 2),
                                          .exclusive = sql_int(c, i, 3) != 0,
                                          .granted = sql_int(c, i, 4) != 0,
                                          .session = (uint64_t)sql_int(c, i, 5),
                                          .age_ms = sql_int(c, i, 6)};
    out->lock_list = list;
    out->lock_list_count = c->rows;
    out->locks = sql_int(c, 0, 7);
    return OK;
}

/* By the control handle: a gateway that lost its lease can still say so. */
enum err meta_status(struct meta *m, struct arena *a, struct meta_status *out)
{
    *out = (struct meta_status){0};
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add_status_counts(&u);
    struct sql_call *s = sql_add_status_sessions(&u);
    struct sql_call *l = sql_add_status_locks(&u, p_most(META_STATUS_LOCKS));
    enum err err = sql_read(m->control, &u);
    if (err != OK)
        return err;
    out->buckets = sql_int(c, 0, 0);
    out->objects = sql_int(c, 0, 1);
    out->bytes = sql_int(c, 0, 2);
    out->uploads = sql_int(c, 0, 3);
    out->dead = sql_int(c, 0, 4);
    out->doomed = sql_int(c, 0, 5);
    out->epoch = sql_int(c, 0, 6);
    out->set_aside = sql_int(c, 0, 7);
    out->set_aside_why = sql_str(c, 0, 8);
    err = sessions(a, s, out);
    return err == OK ? locks(a, l, out) : err;
}

enum err meta_ping(struct meta *m)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    sql_add_ping(&u);
    enum err err = sql_read(m->control, &u);
    arena_free(a);
    return err;
}

const struct sql_stats *meta_sql_stats(struct meta *m)
{
    return sql_stats(m->sql);
}
