/*
 * Slices to be deleted from the store: queued, given to the job that deletes them, removed from
 * the queue.
 */
#include "meta/sql/json_array.h"
#include "meta/jobs/job_internal.h"
#include "meta/files/reclaim.h"
#include "meta/names/object_internal.h"

#include "base/clock.h"

#define SLICES_MAX 4096 /* slices a unit */

static struct str ids_of(struct arena *a, const struct slice_name *slices, size_t count)
{
    uint64_t *ids = arena_array(a, count, sizeof(*ids));
    for (size_t i = 0; ids != NULL && i < count; i++)
        ids[i] = slices[i].id;
    return ids != NULL ? sql_json_array(a, ids, count) : STR_NONE;
}

/* What is added to the unit of a run. */
struct run {
    struct meta *m;
    struct job_hold *hold; /* NULL: no job */
    const char *why;
    struct str ids;
    int64_t tag;
    struct sql_call *answer;
};
typedef void (*add_calls)(struct run *run, struct sql_unit *u);

static enum err write_run(struct run *run, const struct slice_name *slices, size_t count,
                          struct arena *a, add_calls add)
{
    struct sql_unit u;
    if (a != NULL)
        run->ids = ids_of(a, slices, count);
    if (a == NULL || run->ids.ptr == NULL)
        return err_set(ERR_NOMEM, "no memory for %zu slices", count);
    run->tag = (int64_t)slices[0].tag;
    if (run->hold != NULL)
        job_begin(run->hold, &u, a);
    else
        sql_unit_init(&u, SQL_WRITE, a);
    u.frees = true;
    u.results_optional = true;
    add(run, &u);
    return run->hold != NULL ? job_write(run->m, run->hold, &u) : meta_write(run->m, &u);
}

/* One unit for each run of slices of one tag; stops at the first that fails. */
static enum err for_runs(struct run *run, const struct slice_name *slices, size_t count,
                         add_calls add, void (*answered)(struct run *run, void *arg), void *arg)
{
    enum err err = OK;
    while (err == OK && count > 0 && (run->hold == NULL || run->hold->held)) {
        size_t n = object_same_tag(slices, count < SLICES_MAX ? count : SLICES_MAX);
        struct arena *a = arena_new(META_SMALL_ARENA);
        err = write_run(run, slices, n, a, add);
        if (err == OK && answered != NULL)
            answered(run, arg);
        arena_free(a);
        slices += n;
        count -= n;
    }
    return err;
}

static void add_doom(struct run *run, struct sql_unit *u)
{
    sql_add_doomed_add(u, p_ids(run->ids), p_tag(run->tag));
}

enum err slices_doom(struct meta *m, const struct slice_name *slices, size_t count)
{
    struct run run = {.m = m};
    enum err err = for_runs(&run, slices, count, add_doom, NULL, NULL);
    if (err == OK)
        ranges_mark_named(m, slices, count);
    return err;
}

/* --- the job ---------------------------------------------------------------------------------- */

static struct job_hold hold_of(const struct job_round *r, int64_t token)
{
    return (struct job_hold){.round = r, .token = token, .held = true};
}

static void add_done(struct run *run, struct sql_unit *u)
{
    sql_add_doomed_gone(u, p_ids(run->ids), p_tag(run->tag));
    sql_add_doomed_again(u, p_ids(run->ids), p_tag(run->tag), p_late_ms(run->m->late_put_ms));
}

enum err doomed_done(struct meta *m, const struct job_round *r, int64_t token,
                     const struct slice_name *slices, size_t count)
{
    struct job_hold hold = hold_of(r, token);
    struct run run = {.m = m, .hold = &hold};
    return for_runs(&run, slices, count, add_done, NULL, NULL);
}

static void add_aside(struct run *run, struct sql_unit *u)
{
    run->answer =
        sql_add_doomed_set_aside(u, p_ids(run->ids), p_tag(run->tag), p_why(str_of(run->why)));
}

static void count_new(struct run *run, void *arg)
{
    size_t *fresh = arg;
    for (size_t i = 0; i < run->answer->rows; i++)
        *fresh += sql_int(run->answer, i, 1) == 1;
}

enum err doomed_set_aside(struct meta *m, const struct job_round *r, int64_t token,
                          const struct slice_name *slices, size_t count, const char *why,
                          size_t *out_new)
{
    struct job_hold hold = hold_of(r, token);
    struct run run = {.m = m, .hold = &hold, .why = why};
    return for_runs(&run, slices, count, add_aside, count_new, out_new);
}

static enum err due(struct meta *m, struct arena *a, size_t max, struct sql_call **out)
{
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    *out = sql_add_doomed_due(&u, p_since(m->doomed_hints.due_ms), p_most((int64_t)max));
    enum err err = sql_read(m->sql, &u);
    if (err == OK && (*out)->rows == 0)
        err = err_set(ERR_NOT_FOUND, "no doomed slice is due");
    if (err == OK)
        m->doomed_hints.due_ms = sql_int(*out, 0, 0);
    return err;
}

/* See meta/files/reclaim.c. */
static void age(struct doomed_hints *h)
{
    int64_t now = clock_wall_ms();
    if (hints_are_old(h->full_ms, now))
        *h = (struct doomed_hints){.full_ms = now};
}

/* The look comes first: an idle gateway writes nothing. */
enum err doomed_take(struct meta *m, const struct job_round *r, struct arena *a, size_t max,
                     struct doomed *out)
{
    struct job_hold hold = {.held = false};
    struct sql_call *c = NULL;
    *out = (struct doomed){.count = 0};
    age(&m->doomed_hints);
    enum err err = due(m, a, 1, &c);
    if (err == OK)
        err = job_take(m, r, &hold);
    if (err == OK && !hold.held)
        err = err_set(ERR_NOT_FOUND, "another session deletes doomed slices");
    if (err == OK)
        err = due(m, a, max, &c); /* the holder before us may have removed some meanwhile */
    if (err != OK)
        return err;
    out->slices = arena_array(a, c->rows, sizeof(*out->slices));
    if (out->slices == NULL)
        return err_set(ERR_NOMEM, "no memory for %zu slices", c->rows);
    for (size_t i = 0; i < c->rows; i++)
        out->slices[i] =
            (struct slice_name){(uint64_t)sql_int(c, i, 1), (uint64_t)sql_int(c, i, 2)};
    out->count = c->rows;
    out->token = hold.token;
    return OK;
}
