#include "meta/merge.h"

#include "meta/internal.h"

#define JOB_LEASE_MS 60000

/* The look comes first: an idle gateway writes nothing. */
enum err merge_next(struct meta *m, struct arena *a, struct merge_file *out)
{
    bool ours = false;
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add(&u, SQL_merge_files);
    enum err e = sql_read(m->sql, &u);
    if (e == OK && c->rows > 0)
        e = job_take(m, "merge", JOB_LEASE_MS, &ours);
    if (e == OK && !ours)
        e = err_set(ERR_NOT_FOUND, "nothing to merge here");
    if (e != OK)
        return e;
    *out = (struct merge_file){.inode = (uint64_t)sql_int(c, 0, 0),
                               .bucket = sql_is_null(c, 0, 1) ? STR_NONE : sql_str(c, 0, 1),
                               .key = sql_str(c, 0, 2),
                               .token = (uint64_t)sql_int(c, 0, 3)};
    return OK;
}

enum err merge_run(struct meta *m, uint64_t inode, uint64_t from, uint64_t *out_lo,
                   uint64_t *out_hi)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add(&u, SQL_merge_run);
    sql_bind_int(c, (int64_t)inode);
    sql_bind_int(c, (int64_t)from);
    sql_bind_int(c, MERGE_SMALL);
    sql_bind_int(c, MERGE_LINKS);
    sql_bind_int(c, MERGE_DENSITY);
    enum err e = sql_read(m->sql, &u);
    if (e == OK && c->rows == 0)
        e = err_set(ERR_NOT_FOUND, "nothing to merge in this file");
    if (e == OK) {
        uint64_t lo = (uint64_t)sql_int(c, 0, 0), hi = (uint64_t)sql_int(c, 0, 1);
        *out_lo = lo;
        *out_hi = hi - lo < META_PIECE_MAX ? hi : lo + META_PIECE_MAX;
    }
    arena_free(a);
    return e;
}

enum err merge_done(struct meta *m, const struct merge_file *f)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, a);
    u.results_optional = true;
    struct sql_call *c = sql_add(&u, SQL_merge_done);
    sql_bind_int(c, (int64_t)f->inode);
    sql_bind_int(c, (int64_t)f->token);
    enum err e = meta_write(m, &u);
    arena_free(a);
    return e;
}
