/*
 * Which slice names of our ranges are named by a row of `slices` or of `doomed`. A range whose
 * names all are needs no reaper, so its row goes; otherwise a session of many months would leave a
 * row for every few thousand slices that it ever wrote, and its end would doom, once more, all of
 * them that were freed long ago.
 */
#include "meta/sql/json_array.h"
#include "meta/core/handle.h"

#include <stdlib.h>
#include <string.h>

#define RETIRE_MAX 1000 /* ranges a statement */

struct slice_range {
    uint64_t first, end, named;
    uint8_t bits[]; /* one a name, so that one that is marked twice counts once */
};

/* Without memory the range is not followed: its row stays until the session ends. */
void ranges_add(struct meta_ids *ids, uint64_t first, uint64_t end)
{
    if (ids->range_count == ids->range_cap) {
        size_t cap = ids->range_cap > 0 ? 2 * ids->range_cap : 16;
        struct slice_range **grown = realloc(ids->ranges, cap * sizeof(struct slice_range *));
        if (grown == NULL)
            return;
        ids->ranges = grown;
        ids->range_cap = cap;
    }
    struct slice_range *r = calloc(1, sizeof(*r) + (size_t)(end - first + 7) / 8);
    if (r == NULL)
        return;
    r->first = first;
    r->end = end;
    ids->ranges[ids->range_count++] = r;
}

/* Position of the last range that begins at or before `id`; ranges are in order. */
static bool find(const struct meta_ids *ids, uint64_t id, size_t *out)
{
    size_t lo = 0;
    size_t hi = ids->range_count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (ids->ranges[mid]->first <= id)
            lo = mid + 1;
        else
            hi = mid;
    }
    *out = lo - 1;
    return lo > 0 && id < ids->ranges[lo - 1]->end;
}

static void mark_named(struct meta_ids *ids, uint64_t id)
{
    size_t at;
    if (!find(ids, id, &at))
        return;
    struct slice_range *r = ids->ranges[at];
    uint64_t i = id - r->first;
    uint8_t bit = (uint8_t)(1u << (i % 8));
    if ((r->bits[i / 8] & bit) == 0)
        r->named++;
    r->bits[i / 8] |= bit;
}

void ranges_mark_named(struct meta *m, const struct slice_name *names, size_t count)
{
    struct meta_ids *ids = &m->ranges;
    pthread_mutex_lock(&ids->lock);
    for (size_t i = 0; i < count; i++)
        if (names[i].tag == ids->tag)
            mark_named(ids, names[i].id);
    pthread_mutex_unlock(&ids->lock);
}

void ranges_forget(struct meta_ids *ids)
{
    for (size_t i = 0; i < ids->range_count; i++)
        free(ids->ranges[i]);
    free(ids->ranges);
    ids->ranges = NULL;
    ids->range_count = 0;
    ids->range_cap = 0;
}

/*
 * Should the statement fail, the rows stay until the session ends: then the reaper finds every
 * name in `slices`, or dooms once more what was freed.
 */
bool ranges_retire(struct meta *m, struct sql_unit *u)
{
    struct meta_ids *ids = &m->ranges;
    uint64_t firsts[RETIRE_MAX];
    size_t retired = 0;
    size_t kept = 0;
    pthread_mutex_lock(&ids->lock);
    for (size_t i = 0; i < ids->range_count; i++) {
        struct slice_range *r = ids->ranges[i];
        if (r->named == r->end - r->first && retired < RETIRE_MAX) {
            firsts[retired++] = r->first;
            free(r);
        } else {
            ids->ranges[kept++] = r;
        }
    }
    ids->range_count = kept;
    uint64_t session = ids->session;
    pthread_mutex_unlock(&ids->lock);
    if (retired == 0)
        return false;
    sql_add_ranges_retire(u, p_ids(sql_json_array(u->arena, firsts, retired)),
                          p_session((int64_t)session));
    return true;
}
