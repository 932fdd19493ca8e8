#include "fs/read/place.h"

#include "fs/read/pile.h"

#include <stdlib.h>

#define BATCH_FRAGMENTS 512 /* at most, where extents turn out to be small: else fs/read/pile.h */
#define BATCH_ENOUGH    ((uint64_t)META_PIECE_MAX / 4)
#define BATCH_ARENA     ((size_t)64 << 20)
#define UNPACKED_ARENA  ((size_t)4 << 20) /* a piece of 64 MiB in slices of 64 KiB takes 82 KiB */

/* --- extents ---------------------------------------------------------------------------------- */

enum err place_set_items(struct reader *r)
{
    size_t count = r->extent_count + 1, n = 0;
    struct overlay_item *items = count <= FEW_ITEMS ? r->few : malloc(count * sizeof(*items));

    if (r->items != r->few)
        free(r->items);
    r->items = items;
    r->item_count = 0;
    if (items == NULL)
        return err_set(ERR_NOMEM, "out of memory for %zu extents", count);
    if (r->has_data)
        items[n++] = (struct overlay_item){0, r->file->object.data.len, 0};
    for (size_t i = 0; i < r->extent_count; i++) {
        const struct object_extent *e = &r->extents[i];

        items[n++] = (struct overlay_item){e->start, e->start + e->len, e->token};
    }
    r->item_count = n;
    return OK;
}

/*
 * Up to where these extents are complete, if there may be more after them. They are sorted by
 * (start, token): one that is not here begins no earlier than the last one that is.
 */
uint64_t place_known_until(const struct object_extent *extents, size_t count, bool more)
{
    if (!more)
        return UINT64_MAX;
    return count > 0 ? extents[count - 1].start : 0;
}

static void forget_unpacked(struct unpacked *u)
{
    arena_free(u->arena);
    *u = (struct unpacked){0};
}

/* Replaces the batch by `max` extents from r->at on, at most; or by what is seen. Blocks. */
static enum err load_batch(struct reader *r, size_t max)
{
    const struct object *o = &r->file->object;
    struct meta *m = r->file->fs->meta;
    struct arena *a = arena_new(BATCH_ARENA);
    struct object_extent *extents;
    uint64_t known = 0;
    size_t count;
    bool more = false, pile = max > BATCH_FRAGMENTS;
    enum err err;

    if (a == NULL)
        return err_set(ERR_NOMEM, "out of memory for extents");
    if (pile)
        err = pile_extents(m, a, o, r->at, r->end, &extents, &count, &known);
    else
        err = object_extents(m, a, o, r->at, r->end - r->at, max, &extents, &count, &more);
    if (err != OK) {
        arena_free(a);
        return err;
    }
    for (size_t i = 0; i < UNPACKED; i++)
        forget_unpacked(&r->unpacked[i]);
    arena_free(r->batch);
    r->batch = a;
    r->extents = extents;
    r->extent_count = count;
    r->known = pile ? known : place_known_until(extents, count, more);
    return place_set_items(r);
}

/* More writes than max may lie over each other at one place: then ask for more at a time. */
enum err place_load_more(struct reader *r)
{
    enum err err = OK;

    for (size_t max = r->batch_size; err == OK && r->known <= r->at; max *= 2)
        err = load_batch(r, max);
    if (err == OK && r->known - r->at < BATCH_ENOUGH && r->batch_size < BATCH_FRAGMENTS)
        r->batch_size *= 2;
    return err;
}

/* --- from a position to a record -------------------------------------------------------------- */

static enum err unpack(struct reader *r, const struct object_extent *e, struct unpacked **out)
{
    struct unpacked *u;
    enum err err;

    for (size_t i = 0; i < UNPACKED; i++) {
        if (r->unpacked[i].extent == e) {
            *out = &r->unpacked[i];
            return OK;
        }
    }
    u = &r->unpacked[r->unpacked_next++ % UNPACKED];
    forget_unpacked(u);
    u->arena = arena_new(UNPACKED_ARENA);
    if (u->arena == NULL)
        return err_set(ERR_NOMEM, "out of memory for a piece");
    err = record_unpack(u->arena, e->records, &u->records, &u->count);
    if (err != OK) {
        forget_unpacked(u);
        return err_prefix(err, "piece %llu", (unsigned long long)e->piece);
    }
    u->extent = e;
    *out = u;
    return OK;
}

/* The record that has byte `pos` of the piece; NULL when the piece ends before. */
static const struct record *record_at(const struct unpacked *u, uint64_t pos)
{
    size_t low = 0, high = u->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (u->records[mid].pos + u->records[mid].len <= pos)
            low = mid + 1;
        else
            high = mid;
    }
    return low < u->count ? &u->records[low] : NULL;
}

/* What is at byte `at`, up to `limit`. The record lives until other extents are asked for. */
enum err place_locate(struct reader *r, uint64_t at, uint64_t limit, struct place *out)
{
    struct overlay_run run = overlay_at(r->items, r->item_count, at, limit);
    const struct object_extent *e;
    struct unpacked *u = NULL;
    uint64_t pos, bound;
    enum err err;

    *out = (struct place){.len = run.end - at};
    if (run.item == OVERLAY_NONE)
        return err_set(ERR_CORRUPT, "nothing covers bytes %llu..%llu of inode %llu",
                       (unsigned long long)at, (unsigned long long)run.end,
                       (unsigned long long)r->file->object.attr.inode);
    out->data = r->has_data && run.item == 0;
    if (out->data)
        return OK;
    e = &r->extents[run.item - (r->has_data ? 1 : 0)];
    if (e->piece == 0)
        return OK;
    err = unpack(r, e, &u);
    if (err != OK)
        return err;
    pos = e->piece_off + (at - e->start);
    out->record = record_at(u, pos);
    if (out->record == NULL)
        return err_set(ERR_CORRUPT, "piece %llu ends before byte %llu",
                       (unsigned long long)e->piece, (unsigned long long)pos);
    out->skip = pos - out->record->pos;
    bound = limit > r->end ? limit : r->end;
    out->reach = (e->start + e->len < bound ? e->start + e->len : bound) - at;
    if (out->record->len - out->skip < out->reach)
        out->reach = out->record->len - out->skip;
    if (out->reach < out->len)
        out->len = out->reach;
    return OK;
}

bool place_is_in_slice(const struct place *p)
{
    return !p->data && p->record != NULL && p->record->kind == RECORD_SLICE;
}

/*
 * The place's bytes as a part of its slice, and those of the same record behind them: small writes
 * over a file must not make small requests of it. Records are checked when unpacked.
 */
struct slice_want place_want(const struct place *p)
{
    uint32_t start = p->record->slice_off + (uint32_t)p->skip;

    return (struct slice_want){p->record, start, start + (uint32_t)p->reach};
}

/* Where the range ends, or what is known of it. */
uint64_t place_known_end(const struct reader *r)
{
    return r->end < r->known ? r->end : r->known;
}

void place_free(struct reader *r)
{
    for (size_t i = 0; i < UNPACKED; i++)
        forget_unpacked(&r->unpacked[i]);
    arena_free(r->batch);
    if (r->items != r->few)
        free(r->items);
}
