/* Slices to be deleted from the store: queued, given to whoever deletes, ticked off. */
#include "meta/each.h"
#include "meta/internal.h"

#define JOB_LEASE_MS 60000
#define EACH_MAX     4096 /* slices a unit */

/* The run of slices with the same tag at the beginning, at most EACH_MAX. */
static size_t same_tag(const struct slice_name *slices, size_t count)
{
    size_t n = 1;
    while (n < count && n < EACH_MAX && slices[n].tag == slices[0].tag)
        n++;
    return n;
}

static struct str ids_of(struct arena *a, const struct slice_name *slices, size_t count)
{
    uint64_t *ids = arena_array(a, count, sizeof(*ids));
    for (size_t i = 0; ids != NULL && i < count; i++)
        ids[i] = slices[i].id;
    return ids != NULL ? each_of(a, ids, count) : STR_NONE;
}

typedef void (*add_calls)(struct meta *m, struct sql_unit *u, struct str ids, int64_t tag);

/* One unit for each run of slices of one tag; stops at the first that fails. */
static enum err for_runs(struct meta *m, const struct slice_name *slices, size_t count,
                         add_calls add)
{
    enum err e = OK;
    while (e == OK && count > 0) {
        size_t n = same_tag(slices, count);
        struct arena *a = arena_new(META_SMALL_ARENA);
        struct sql_unit u;
        sql_unit_init(&u, SQL_WRITE, a);
        u.results_optional = true;
        struct str ids = a != NULL ? ids_of(a, slices, n) : STR_NONE;
        if (ids.ptr != NULL) {
            add(m, &u, ids, (int64_t)slices[0].tag);
            e = meta_write(m, &u);
        } else {
            e = err_set(ERR_NOMEM, "no memory for %zu slices", n);
        }
        arena_free(a);
        slices += n;
        count -= n;
    }
    return e;
}

static void add_doom(struct meta *m, struct sql_unit *u, struct str ids, int64_t tag)
{
    (void)m;
    struct sql_call *c = sql_add(u, SQL_doomed_add);
    sql_bind_text(c, ids);
    sql_bind_int(c, tag);
}

enum err slices_doom(struct meta *m, const struct slice_name *slices, size_t count)
{
    enum err e = for_runs(m, slices, count, add_doom);
    if (e == OK)
        ranges_settle(m, slices, count);
    return e;
}

static void add_done(struct meta *m, struct sql_unit *u, struct str ids, int64_t tag)
{
    struct sql_call *c = sql_add(u, SQL_doomed_gone);
    sql_bind_text(c, ids);
    sql_bind_int(c, tag);
    c = sql_add(u, SQL_doomed_again);
    sql_bind_text(c, ids);
    sql_bind_int(c, tag);
    sql_bind_int(c, m->late_put_ms);
}

enum err doomed_done(struct meta *m, const struct slice_name *slices, size_t count)
{
    return for_runs(m, slices, count, add_done);
}

static enum err due(struct meta *m, struct arena *a, size_t max, struct sql_call **out)
{
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    *out = sql_add(&u, SQL_doomed_due);
    sql_bind_int(*out, (int64_t)max);
    enum err e = sql_read(m->sql, &u);
    if (e == OK && (*out)->rows == 0)
        e = err_set(ERR_NOT_FOUND, "no doomed slice is due");
    return e;
}

/* The look comes first: an idle gateway writes nothing. */
enum err doomed_take(struct meta *m, struct arena *a, size_t max, struct slice_name **out,
                     size_t *out_count)
{
    *out = NULL;
    *out_count = 0;
    struct sql_call *c = NULL;
    bool ours = false;
    enum err e = due(m, a, max, &c);
    if (e == OK)
        e = job_take(m, "doomed", JOB_LEASE_MS, &ours);
    if (e == OK && !ours)
        e = err_set(ERR_NOT_FOUND, "another session deletes doomed slices");
    if (e == OK)
        e = due(m, a, max, &c); /* the one before us may have ticked them off meanwhile */
    if (e != OK)
        return e;
    struct slice_name *list = arena_array(a, c->rows, sizeof(*list));
    if (list == NULL)
        return err_set(ERR_NOMEM, "no memory for %zu slices", c->rows);
    for (size_t i = 0; i < c->rows; i++)
        list[i] = (struct slice_name){(uint64_t)sql_int(c, i, 0), (uint64_t)sql_int(c, i, 1)};
    *out = list;
    *out_count = c->rows;
    return OK;
}
