/*
 * The job "reclaim": stamps what died, and frees what no reader can see any more.
 *
 * Each queue is read in the order of its index from a hint on, which is where the last scan found
 * its first row: index entries of rows that are gone stay as long as a snapshot is older
 * (a long backup), and a scan that began at the front would walk over all of them each time. Once a
 * minute it does begin there, for what may have come in below the hint. Hints are kept in memory: a
 * session looks before it takes the job, so it would have to read the job's row every second.
 */
#include "meta/files/reclaim_internal.h"

#include "base/clock.h"
#include "meta/sql/json_array.h"

#include <stdlib.h>

#define STAMP_MAX       10000 /* rows a transaction, so that it stays short */
#define LATE_COMMITS_MS 10000 /* rows become visible in another order than at_ms has, by so much */

/* --- looking ---------------------------------------------------------------------------------- */

static void hints_age(struct queue_hints *h)
{
    int64_t now = clock_wall_ms();

    if (hints_are_old(h->full_ms, now))
        *h = (struct queue_hints){.full_ms = now};
}

static struct sql_call *add_ripe(struct meta *m, struct sql_unit *u, enum dead_kind kind,
                                 size_t max)
{
    struct sql_call *c = sql_add_dead_ripe(
        u, p_keep_ms(m->keep_deleted_ms), p_kind(kind), p_since(m->hints.ripe[kind].stamp),
        p_since_id(m->hints.ripe[kind].id), p_most((int64_t)max));
    return c;
}

enum err reclaim_ripe(struct meta *m, struct arena *a, enum dead_kind kind, size_t max,
                      uint64_t **out, size_t *out_count)
{
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = add_ripe(m, &u, kind, max);
    enum err err = sql_read(m->sql, &u);
    if (err != OK)
        return err;
    uint64_t *ids = arena_array(a, c->rows + 1, sizeof(*ids));
    size_t count = 0;
    for (size_t i = 0; ids != NULL && i < c->rows; i++)
        if (sql_int(c, i, 2) != 0)
            ids[count++] = (uint64_t)sql_int(c, i, 1);
    if (c->rows > 0) {
        /* Smaller ids may come to a stamp that is not full: only within many does the id count. */
        m->hints.ripe[kind].stamp = sql_int(c, 0, 0);
        m->hints.ripe[kind].id = c->rows == max ? sql_int(c, 0, 1) : 0;
    }
    *out = ids;
    *out_count = count;
    return ids != NULL ? OK : err_set(ERR_NOMEM, "no memory to reclaim");
}

static struct sql_call *add_look(struct meta *m, struct sql_unit *u)
{
    struct sql_call *c = sql_add_dead_look(u, p_since(m->hints.unstamped));
    return c;
}

static bool is_unstamped(struct meta *m, const struct sql_call *look)
{
    bool any = !sql_is_null(look, 0, 0);
    if (any)
        m->hints.unstamped = sql_int(look, 0, 0) - LATE_COMMITS_MS;
    return any || sql_int(look, 0, 1) != 0;
}

/* Anything at all? */
static enum err look(struct meta *m, bool *out_any)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *dead = add_look(m, &u);
    struct sql_call *ripe[DEAD_KINDS] = {NULL};
    for (enum dead_kind kind = DEAD_INODE; kind < DEAD_KINDS; kind++)
        ripe[kind] = add_ripe(m, &u, kind, 1);
    enum err err = sql_read(m->sql, &u);
    *out_any = err == OK && is_unstamped(m, dead);
    for (enum dead_kind kind = DEAD_INODE; err == OK && kind < DEAD_KINDS; kind++)
        *out_any = *out_any || sql_int(ripe[kind], 0, 2) != 0;
    arena_free(a);
    return err;
}

/* --- epochs ----------------------------------------------------------------------------------- */

/* Those of one kind, which were seen: by their ids, whatever the planner believes of the table. */
static enum err add_stamps(struct sql_unit *u, const struct sql_call *seen, enum dead_kind kind)
{
    uint64_t *ids = arena_array(u->arena, seen->rows + 1, sizeof(*ids));
    size_t count = 0;
    for (size_t i = 0; ids != NULL && i < seen->rows; i++)
        if (sql_int(seen, i, 0) == (int64_t)kind)
            ids[count++] = (uint64_t)sql_int(seen, i, 1);
    struct str array = ids != NULL ? sql_json_array(u->arena, ids, count) : STR_NONE;
    if (array.ptr == NULL)
        return err_set(ERR_NOMEM, "no memory to reclaim");
    if (count == 0)
        return OK;
    sql_add_dead_stamp(u, p_kind(kind), p_ids(array));
    return OK;
}

/* *out_count is of rows that may be left. */
static enum err stamp(struct reclaim *r, struct arena *a, size_t *out_count)
{
    struct meta *m = r->meta;
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = add_look(m, &u);
    struct sql_call *seen =
        sql_add_dead_unstamped(&u, p_since(m->hints.unstamped), p_most(STAMP_MAX));
    enum err err = sql_read(m->sql, &u);
    *out_count = 0;
    if (err != OK || !is_unstamped(m, c))
        return err;
    job_begin(&r->hold, &u, a);
    sql_add_epoch_next(&u);
    for (enum dead_kind kind = DEAD_INODE; err == OK && kind <= DEAD_BUCKET; kind++)
        err = add_stamps(&u, seen, kind);
    if (err == OK)
        err = job_write(m, &r->hold, &u);
    if (err != OK || !r->hold.held)
        return err;
    r->round->done += seen->rows;
    *out_count = seen->rows == STAMP_MAX ? STAMP_MAX : 0;
    return OK;
}

/* --- the round -------------------------------------------------------------------------------- */

static int by_number(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* Of sorted numbers, those that stand there `times` times; *out_more: some stand there oftener. */
static size_t pick(const uint64_t *sorted, size_t count, size_t times, uint64_t *out,
                   bool *out_more)
{
    size_t picked = 0;
    *out_more = false;
    for (size_t i = 0, run; i < count; i += run) {
        run = 1;
        while (i + run < count && sorted[i + run] == sorted[i])
            run++;
        if (run == times)
            out[picked++] = sorted[i];
        *out_more = *out_more || run > times;
    }
    return picked;
}

enum err reclaim_add_counted(struct sql_unit *u, counted add, uint64_t *numbers, size_t count)
{
    uint64_t *some = arena_array(u->arena, count + 1, sizeof(*some));
    bool more = count > 0;
    if (some == NULL)
        return err_set(ERR_NOMEM, "no memory to reclaim");
    if (count > 0) /* qsort takes no NULL */
        qsort(numbers, count, sizeof(*numbers), by_number);
    for (size_t times = 1; more; times++) {
        size_t n = pick(numbers, count, times, some, &more);
        if (n == 0)
            continue;
        struct str array = sql_json_array(u->arena, some, n);
        if (array.ptr == NULL)
            return err_set(ERR_NOMEM, "no memory to reclaim");
        add(u, p_ids(array), p_times((int64_t)times));
    }
    return OK;
}

typedef enum err (*step)(struct reclaim *r, struct arena *a, size_t *out_count);

/* Until nothing is left, the budget is used up, the job is lost or it is to stop. */
static enum err repeat(struct reclaim *r, step run)
{
    enum err err = OK;
    size_t used = 0, count = 1;

    while (err == OK && count > 0 && r->hold.held && !job_stops(r->round)) {
        struct arena *a = arena_new(META_ROUND_ARENA);
        err = a != NULL ? run(r, a, &count) : err_set(ERR_NOMEM, "no memory to reclaim");
        arena_free(a);
        used += count;
        if (used < r->round->budget)
            continue;
        r->round->more = true;
        break;
    }
    return err;
}

enum err reclaim_round(struct meta *m, struct job_round *round)
{
    static const step steps[] = {stamp, reclaim_inodes, reclaim_links, reclaim_pieces};
    struct reclaim r = {.meta = m, .round = round};
    bool any = false;

    hints_age(&m->hints);
    enum err err = look(m, &any);
    if (err != OK || !any)
        return err;
    err = job_take(m, round, &r.hold);
    for (size_t i = 0; err == OK && i < sizeof(steps) / sizeof(steps[0]); i++)
        err = repeat(&r, steps[i]);
    return err;
}
