#include "meta/files/merge.h"

#include "meta/jobs/job_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* The next file after `after`, else the first. ERR_NOT_FOUND: none. */
static enum err next_file(struct meta *m, struct arena *a, int64_t after, struct sql_call **out)
{
    for (;;) {
        struct sql_unit u;
        sql_unit_init(&u, SQL_READ, a);
        *out = sql_add_merge_files(&u, p_after_inode(after));
        enum err err = sql_read(m->sql, &u);
        if (err != OK || (*out)->rows > 0)
            return err;
        if (after == 0)
            return err_set(ERR_NOT_FOUND, "nothing to merge here");
        after = 0;
    }
}

/* The next round, of whatever session, goes on after this file. */
static enum err move_on(struct meta *m, struct job_hold *h, struct arena *a, int64_t inode)
{
    struct sql_unit u;
    snprintf(h->state, sizeof(h->state), "%" PRId64, inode);
    job_begin(h, &u, a);
    return job_write(m, h, &u);
}

/* The look comes first: an idle gateway writes nothing. */
enum err merge_next(struct meta *m, const struct job_round *r, struct arena *a,
                    struct merge_file *out)
{
    struct job_hold h = {.held = false};
    struct sql_call *c = NULL;
    enum err err = next_file(m, a, 0, &c);
    if (err == OK)
        err = job_take(m, r, &h);
    if (err == OK && h.held)
        err = next_file(m, a, strtoll(h.state, NULL, 10), &c);
    if (err == OK && h.held)
        err = move_on(m, &h, a, sql_int(c, 0, 0));
    if (err == OK && !h.held)
        err = err_set(ERR_NOT_FOUND, "another session merges files");
    if (err != OK)
        return err;
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
    struct sql_call *c =
        sql_add_merge_run(&u, p_inode((int64_t)inode), p_start((int64_t)from), p_small(MERGE_SMALL),
                          p_least(MERGE_LINKS), p_density(MERGE_DENSITY));
    enum err err = sql_read(m->sql, &u);
    if (err == OK && c->rows == 0)
        err = err_set(ERR_NOT_FOUND, "nothing to merge in this file");
    if (err == OK) {
        uint64_t lo = (uint64_t)sql_int(c, 0, 0), hi = (uint64_t)sql_int(c, 0, 1);
        *out_lo = lo;
        *out_hi = hi - lo < META_PIECE_MAX ? hi : lo + META_PIECE_MAX;
    }
    arena_free(a);
    return err;
}

enum err merge_done(struct meta *m, const struct merge_file *f)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, a);
    u.results_optional = true;
    sql_add_merge_done(&u, p_inode((int64_t)f->inode), p_token((int64_t)f->token));
    enum err err = meta_write(m, &u);
    arena_free(a);
    return err;
}

enum err merge_set_aside(struct meta *m, const struct merge_file *f, bool *out_first)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, a);
    struct sql_call *c = sql_add_merge_set_aside(&u, p_inode((int64_t)f->inode));
    enum err err = meta_write(m, &u);
    *out_first = err == OK && sql_int(c, 0, 0) == 1;
    arena_free(a);
    return err;
}
