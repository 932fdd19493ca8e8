#include "meta/tools/survey.h"

#include "base/clock.h"
#include "meta/core/handle.h"

int64_t meta_lease_left_ms(struct meta *m)
{
    int64_t fence = atomic_load(&m->session.fence_boot_ms);
    int64_t left = fence > 0 ? fence - clock_boot_ms() : 0;

    return left > 0 ? left : 0;
}

static enum err take_buckets(struct arena *a, const struct sql_call *c, struct meta_survey *out)
{
    struct meta_bucket_use *list = arena_array(a, c->rows + 1, sizeof(*list));

    if (list == NULL)
        return err_set(ERR_NOMEM, "no memory for %zu buckets", c->rows);
    for (size_t i = 0; i < c->rows; i++)
        list[i] = (struct meta_bucket_use){sql_str(c, i, 0), sql_int(c, i, 1), sql_int(c, i, 2)};
    out->largest = list;
    out->largest_count = c->rows;
    return OK;
}

enum err meta_survey(struct meta *m, struct arena *a, struct meta_survey *out)
{
    struct sql_unit u;
    struct sql_call *sums, *buckets, *backlog;
    enum err err;

    *out = (struct meta_survey){0};
    sql_unit_init(&u, SQL_READ, a);
    sums = sql_add_survey_sums(&u);
    buckets = sql_add_survey_buckets(&u, p_most(SURVEY_BUCKETS));
    backlog = sql_add_survey_backlog(&u, p_most(SURVEY_COUNT_TO));
    err = sql_read(m->sql, &u);
    if (err != OK)
        return err;
    out->buckets = sql_int(sums, 0, 0);
    out->objects = sql_int(sums, 0, 1);
    out->bytes = sql_int(sums, 0, 2);
    out->sessions = sql_int(sums, 0, 3);
    out->uploads = sql_int(backlog, 0, 0);
    out->dead = sql_int(backlog, 0, 1);
    out->doomed = sql_int(backlog, 0, 2);
    out->unfolded = sql_int(backlog, 0, 3);
    return take_buckets(a, buckets, out);
}
