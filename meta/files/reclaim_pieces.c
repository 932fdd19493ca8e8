/* Pieces that no inode links any more: their slices lose references, those at zero are doomed. */
#include "meta/files/reclaim_internal.h"

#include "base/log.h"
#include "meta/sql/json_array.h"

#include <inttypes.h>

#define PIECES_MAX 256
#define BYTES_MAX  (4u << 20) /* of their records, so that a transaction stays short */

static enum err out_of_memory(void)
{
    return err_set(ERR_NOMEM, "no memory to reclaim");
}

static enum err set_aside(struct reclaim *r, struct arena *a, uint64_t piece, enum err why)
{
    log_error("piece %" PRIu64 " cannot be reclaimed and is set aside: %s", piece, err_text(why));
    struct sql_unit u;
    r->round->failed++;
    job_begin(&r->hold, &u, a);
    sql_add_piece_set_aside(&u, p_piece((int64_t)piece));
    return job_write(r->meta, &r->hold, &u);
}

struct work {
    struct reclaim *r;
    struct arena *a;
    uint64_t *ids; /* entries of `dead` that are handled here */
    size_t count;
    uint64_t *slices; /* as often as records name them */
    size_t slice_count, slice_cap;
};

static enum err make_room(struct work *w, size_t more)
{
    if (w->slice_count + more <= w->slice_cap)
        return OK;
    size_t cap = 2 * (w->slice_count + more);
    uint64_t *slices = arena_array(w->a, cap, sizeof(*slices));
    if (slices == NULL)
        return out_of_memory();
    for (size_t i = 0; i < w->slice_count; i++)
        slices[i] = w->slices[i];
    w->slices = slices;
    w->slice_cap = cap;
    return OK;
}

/* ERR_CORRUPT: that piece was set aside; begin anew. */
static enum err add_piece(struct work *w, uint64_t piece, struct str packed)
{
    struct record *records;
    size_t count = 0;
    enum err err = record_unpack(w->a, packed, &records, &count);
    if (err == ERR_CORRUPT) {
        err = set_aside(w->r, w->a, piece, err);
        return err != OK ? err : ERR_CORRUPT;
    }
    if (err == OK)
        err = make_room(w, count);
    for (size_t i = 0; err == OK && i < count; i++)
        if (records[i].kind == RECORD_SLICE)
            w->slices[w->slice_count++] = records[i].slice.id;
    return err;
}

typedef struct sql_call *(*statement)(struct sql_unit *u, struct p_ids ids);

static enum err read_ids(struct work *w, statement add, struct sql_call **out)
{
    struct sql_unit u;
    struct str array = sql_json_array(w->a, w->ids, w->count);
    sql_unit_init(&u, SQL_READ, w->a);
    *out = add(&u, p_ids(array));
    return array.ptr != NULL ? sql_read(w->r->meta->sql, &u) : out_of_memory();
}

static bool has(const struct sql_call *c, size_t rows, uint64_t id)
{
    for (size_t i = 0; i < rows; i++)
        if ((uint64_t)sql_int(c, i, 0) == id)
            return true;
    return false;
}

/*
 * Leaves in the list what this transaction can take: so many bytes of records, at least one piece;
 * and all that have no row to free, whose entries just go.
 */
static enum err choose(struct work *w)
{
    struct sql_call *c;
    size_t taken = 0, kept = 0;
    enum err err = read_ids(w, sql_add_pieces_lengths, &c);
    if (err != OK)
        return err;
    for (int64_t bytes = 0; taken < c->rows && bytes < BYTES_MAX; taken++)
        bytes += sql_int(c, taken, 1);
    for (size_t i = 0; i < w->count; i++)
        if (has(c, taken, w->ids[i]) || !has(c, c->rows, w->ids[i]))
            w->ids[kept++] = w->ids[i];
    w->count = kept;
    return OK;
}

static enum err drop(struct work *w)
{
    struct sql_unit u;
    struct str pieces = sql_json_array(w->a, w->ids, w->count);
    job_begin(&w->r->hold, &u, w->a);
    enum err err = reclaim_add_counted(&u, sql_add_slices_unref, w->slices, w->slice_count);
    struct str slices = sql_json_array(w->a, w->slices, w->slice_count);
    if (err != OK || pieces.ptr == NULL || slices.ptr == NULL)
        return err != OK ? err : out_of_memory();
    sql_add_slices_queue(&u, p_ids(slices));
    sql_add_slices_drop(&u, p_ids(slices));
    sql_add_pieces_drop(&u, p_ids(pieces));
    sql_add_pieces_done(&u, p_ids(pieces));
    err = job_write(w->r->meta, &w->r->hold, &u);
    if (err == OK && w->r->hold.held)
        w->r->round->done += w->count;
    return err;
}

enum err reclaim_pieces(struct reclaim *r, struct arena *a, size_t *out_count)
{
    struct work w = {.r = r, .a = a};
    struct sql_call *c = NULL;
    enum err err = reclaim_ripe(r->meta, a, DEAD_PIECE, PIECES_MAX, &w.ids, &w.count);
    *out_count = w.count;
    if (err != OK || w.count == 0)
        return err;
    err = choose(&w);
    if (err == OK)
        err = read_ids(&w, sql_add_pieces_records, &c);
    for (size_t i = 0; err == OK && i < c->rows; i++)
        err = add_piece(&w, (uint64_t)sql_int(c, i, 0), sql_str(c, i, 1));
    if (err == OK)
        err = drop(&w);
    return err == ERR_CORRUPT ? OK : err;
}
