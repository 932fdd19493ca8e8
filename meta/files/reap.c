/*
 * The job "sessions": sessions whose lease is over are removed, and what they left is cleaned
 * up.
 */
#include "meta/jobs/job_internal.h"
#include "meta/files/reclaim.h"

#include "base/log.h"

#include <inttypes.h>

enum err reap_sessions(struct meta *m)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, a);
    u.frees = true;
    struct sql_call *c = sql_add_sessions_reap(&u);
    sql_add_locks_orphaned(&u);
    enum err err = meta_write(m, &u);
    for (size_t i = 0; err == OK && i < c->rows; i++)
        log_warn("reaped session %" PRId64 ": its lease was over", sql_int(c, i, 0));
    arena_free(a);
    return err;
}

static enum err clean_range(struct sql_db *db, struct arena *a, const struct sql_call *ranges,
                            size_t row)
{
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, a);
    u.frees = true;
    struct p_first first = p_first(sql_int(ranges, row, 0));
    sql_add_range_doom(&u, first, p_last(sql_int(ranges, row, 1)), p_tag(sql_int(ranges, row, 2)));
    sql_add_range_drop(&u, p_first(sql_int(ranges, row, 0)));
    return sql_write(db, &u);
}

/* Two sessions that do it at once doom nothing twice: a range is deleted with what it dooms. */
enum err reclaim_ranges(struct meta *m, struct sql_db *db, uint64_t session, size_t *out_done)
{
    (void)m;
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add_ranges_orphaned(&u, p_session((int64_t)session));
    enum err err = sql_read(db, &u);
    for (size_t i = 0; err == OK && i < c->rows; i++) {
        err = clean_range(db, a, c, i);
        *out_done += err == OK;
    }
    arena_free(a);
    return err;
}

static enum err look(struct meta *m, bool *out_expired, bool *out_ranges)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add_sessions_look(&u);
    enum err err = sql_read(m->sql, &u);
    *out_expired = err == OK && sql_int(c, 0, 0) != 0;
    *out_ranges = err == OK && sql_int(c, 0, 1) != 0;
    arena_free(a);
    return err;
}

/* Reaping comes first: the job may be one of theirs. */
enum err sessions_round(struct meta *m, struct job_round *r)
{
    struct job_hold h = {.held = false};
    bool expired, ranges;
    size_t last = 0;
    enum err err = look(m, &expired, &ranges);
    if (err == OK && expired)
        err = reap_sessions(m);
    if (err == OK && (expired || ranges))
        err = job_take(m, r, &h);
    while (err == OK && h.held && !job_stops(r)) {
        err = reclaim_ranges(m, m->sql, 0, &r->done);
        r->more = err == OK && r->done > last;
        if (!r->more || r->done >= r->budget)
            break;
        last = r->done;
    }
    return err;
}
