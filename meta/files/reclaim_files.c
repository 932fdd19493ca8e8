/*
 * Dead inodes, and links that died without their inode: what a file was made of loses references.
 *
 * What is to go is read first and then named in the transaction: this job alone changes it, and the
 * transaction proves that it still is this job (meta/jobs/job.h). So each statement finds its rows
 * by their keys, whatever the planner believes about the tables.
 */
#include "meta/files/reclaim_internal.h"

#include "meta/sql/json_array.h"

#define INODES_MAX 512
#define SETS_MAX   64
#define LINKS_MAX  1000 /* a transaction, so that it stays short */

typedef struct sql_call *(*of_ids)(struct sql_unit *u, struct p_ids ids);

/* Where the links of a kind are found, and what else goes when they are gone. */
struct dead_queue {
    enum dead_kind kind;
    size_t max;
    struct sql_call *(*links)(struct sql_unit *u, struct p_ids ids, struct p_most most);
    of_ids drop;
    struct sql_call *(*cut)(struct sql_unit *u, struct p_id id, struct p_inode inode,
                            struct p_start start, struct p_token token);
    of_ids done;
};
static const struct dead_queue of_inodes = {.kind = DEAD_INODE,
                                            .max = INODES_MAX,
                                            .links = sql_add_gone_links_of_inodes,
                                            .drop = sql_add_gone_drop_of_inodes,
                                            .cut = sql_add_gone_cut_of_inode,
                                            .done = sql_add_dead_inodes_done};
static const struct dead_queue died = {.kind = DEAD_LINKS,
                                       .max = SETS_MAX,
                                       .links = sql_add_gone_links_died,
                                       .drop = sql_add_gone_drop_died,
                                       .cut = sql_add_gone_cut_died,
                                       .done = sql_add_died_links_done};

struct work {
    struct reclaim *r;
    struct arena *a;
    const struct dead_queue *queue;
    struct sql_unit u; /* the transaction */
    uint64_t *ids;     /* entries of `dead` */
    size_t count;
    uint64_t *pieces; /* that lose a link each, as often as they lose one */
    size_t piece_count;
    bool unlinked, ranged; /* some have links; some were written at ranges */
};

static enum err out_of_memory(void)
{
    return err_set(ERR_NOMEM, "no memory to reclaim");
}

/* Most small files have neither: three statements free hundreds of them. */
static enum err look_at_inodes(struct work *w)
{
    struct sql_unit u;
    struct str array = sql_json_array(w->a, w->ids, w->count);
    sql_unit_init(&u, SQL_READ, w->a);
    struct sql_call *c = sql_add_dead_inodes_have(&u, p_ids(array));
    enum err err = array.ptr != NULL ? sql_read(w->r->meta->sql, &u) : out_of_memory();
    for (size_t i = 0; err == OK && i < c->rows; i++) {
        w->unlinked = w->unlinked || sql_int(c, i, 1) != 0;
        w->ranged = w->ranged || sql_int(c, i, 2) != 0;
    }
    return err;
}

/* The first entries of the list lose all their links, perhaps all but the last of them. */
static enum err add_drop(struct work *w, const struct sql_call *links)
{
    bool cut = links->rows == LINKS_MAX; /* the last one may have more */
    size_t last = links->rows - 1;
    int64_t last_id = sql_int(links, last, 0);
    size_t whole = 0;
    while (whole < w->count && (!cut || (int64_t)w->ids[whole] != last_id))
        whole++;
    struct str array = sql_json_array(w->a, w->ids, whole);
    if (array.ptr == NULL)
        return out_of_memory();
    w->queue->drop(&w->u, p_ids(array));
    if (!cut)
        return OK;
    w->queue->cut(&w->u, p_id(last_id), p_inode(sql_int(links, last, 1)),
                  p_start(sql_int(links, last, 2)), p_token(sql_int(links, last, 3)));
    return OK;
}

/* Rows of pieces are locked in the order of their ids, before any of them is changed. */
static enum err add_pieces(struct work *w)
{
    struct str array = sql_json_array(w->a, w->pieces, w->piece_count);
    if (array.ptr == NULL)
        return out_of_memory();
    sql_add_gone_pieces_lock(&w->u, p_ids(array));
    enum err err = reclaim_add_counted(&w->u, sql_add_gone_pieces_unref, w->pieces, w->piece_count);
    sql_add_gone_pieces_queue(&w->u, p_ids(array));
    return err;
}

static enum err add_unlinking(struct work *w)
{
    struct sql_unit u;
    struct str array = sql_json_array(w->a, w->ids, w->count);
    sql_unit_init(&u, SQL_READ, w->a);
    struct sql_call *c = w->queue->links(&u, p_ids(array), p_most(LINKS_MAX));
    enum err err = array.ptr != NULL ? sql_read(w->r->meta->sql, &u) : out_of_memory();
    if (err != OK || c->rows == 0)
        return err;
    w->pieces = arena_array(w->a, c->rows, sizeof(*w->pieces));
    if (w->pieces == NULL)
        return out_of_memory();
    for (size_t i = 0; i < c->rows; i++)
        if (sql_int(c, i, 4) != 0) /* 0: a hole */
            w->pieces[w->piece_count++] = (uint64_t)sql_int(c, i, 4);
    if (w->piece_count > 0)
        err = add_pieces(w);
    return err == OK ? add_drop(w, c) : err;
}

/* Those that have links left stay, by what these statements ask. */
static enum err add_end(struct work *w)
{
    static const of_ids ranged[] = {sql_add_dead_tokens_drop, sql_add_dead_writes_drop,
                                    sql_add_dead_fragmented_drop};
    struct str array = sql_json_array(w->a, w->ids, w->count);
    if (array.ptr == NULL)
        return out_of_memory();
    if (w->queue == &of_inodes)
        sql_add_dead_inodes_drop(&w->u, p_ids(array));
    for (size_t i = 0; w->ranged && i < sizeof(ranged) / sizeof(ranged[0]); i++)
        ranged[i](&w->u, p_ids(array));
    w->queue->done(&w->u, p_ids(array));
    return OK;
}

static enum err free_some(struct reclaim *r, struct arena *a, const struct dead_queue *queue,
                          size_t *out_count)
{
    struct work w = {.r = r, .a = a, .queue = queue, .unlinked = queue == &died};
    enum err err = reclaim_ripe(r->meta, a, queue->kind, queue->max, &w.ids, &w.count);
    *out_count = w.count;
    if (err != OK || w.count == 0)
        return err;
    if (queue == &of_inodes)
        err = look_at_inodes(&w);
    job_begin(&r->hold, &w.u, a);
    if (err == OK && w.unlinked)
        err = add_unlinking(&w);
    if (err == OK)
        err = add_end(&w);
    if (err == OK)
        err = job_write(r->meta, &r->hold, &w.u);
    if (err == OK && r->hold.held)
        r->round->done += (size_t)w.u.last->changed;
    return err;
}

enum err reclaim_inodes(struct reclaim *r, struct arena *a, size_t *out_count)
{
    return free_some(r, a, &of_inodes, out_count);
}

enum err reclaim_links(struct reclaim *r, struct arena *a, size_t *out_count)
{
    return free_some(r, a, &died, out_count);
}
