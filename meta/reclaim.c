#include "meta/reclaim.h"

#include "base/log.h"
#include "meta/each.h"
#include "meta/internal.h"

#include <inttypes.h>

#define JOB_LEASE_MS 30000
#define STAMP_MAX    10000 /* rows a transaction, so that it stays short */
#define INODES_MAX   64
#define LINKS_MAX    1000
#define PIECES_MAX   16 /* of about 1,000 slices each */
#define DELTAS_MAX   10000
#define STEPS_MAX    32 /* transactions of one kind a round */

static void begin(struct sql_unit *u, struct arena *a)
{
    sql_unit_init(u, SQL_WRITE, a);
    sql_bind_int(sql_add(u, SQL_reclaim_lock), JOB_LEASE_MS);
}

enum err job_take(struct meta *m, const char *name, int64_t lease_ms, bool *out_ours)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, a);
    struct sql_call *c = sql_add(&u, SQL_job_take);
    sql_bind_text(c, str_of(name));
    sql_bind_int(c, (int64_t)session_id(m));
    sql_bind_int(c, lease_ms);
    enum err e = meta_write(m, &u);
    *out_ours = e == OK && c->rows > 0;
    arena_free(a);
    return e;
}

/* --- epochs ----------------------------------------------------------------------------------- */

static enum err stamp(struct meta *m, struct arena *a)
{
    struct sql_unit u;
    begin(&u, a);
    sql_add(&u, SQL_epoch_next);
    sql_bind_int(sql_add(&u, SQL_dead_stamp), STAMP_MAX);
    return meta_write(m, &u);
}

/* --- sessions that are gone ------------------------------------------------------------------- */

enum err reap_sessions(struct meta *m)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, a);
    struct sql_call *c = sql_add(&u, SQL_sessions_reap);
    sql_add(&u, SQL_locks_orphaned);
    enum err e = meta_write(m, &u);
    for (size_t i = 0; e == OK && i < c->rows; i++)
        log_warn("reaped session %" PRId64 ": its lease was over", sql_int(c, i, 0));
    arena_free(a);
    return e;
}

static enum err clean_range(struct sql_db *db, struct arena *a, const struct sql_call *ranges,
                            size_t row)
{
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, a);
    struct sql_call *c = sql_add(&u, SQL_range_doom);
    for (size_t column = 0; column < 3; column++)
        sql_bind_int(c, sql_int(ranges, row, column));
    sql_bind_int(sql_add(&u, SQL_range_drop), sql_int(ranges, row, 0));
    return sql_write(db, &u);
}

enum err reclaim_ranges(struct meta *m, struct sql_db *db, uint64_t session, size_t *out_done)
{
    (void)m;
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add(&u, SQL_ranges_orphaned);
    sql_bind_int(c, (int64_t)session);
    enum err e = sql_read(db, &u);
    for (size_t i = 0; e == OK && i < c->rows; i++) {
        e = clean_range(db, a, c, i);
        *out_done += e == OK;
    }
    arena_free(a);
    return e;
}

/* --- files and pieces ------------------------------------------------------------------------- */

static enum err ripe(struct meta *m, struct arena *a, int kind, size_t max, struct str *out_ids,
                     size_t *out_count)
{
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add(&u, SQL_dead_ripe);
    sql_bind_int(c, m->keep_deleted_ms);
    sql_bind_int(c, kind);
    sql_bind_int(c, (int64_t)max);
    enum err e = sql_read(m->sql, &u);
    if (e != OK)
        return e;
    uint64_t *ids = arena_array(a, c->rows + 1, sizeof(*ids));
    for (size_t i = 0; ids != NULL && i < c->rows; i++)
        ids[i] = (uint64_t)sql_int(c, i, 0);
    *out_ids = ids != NULL ? each_of(a, ids, c->rows) : STR_NONE;
    *out_count = c->rows;
    return out_ids->ptr != NULL ? OK : err_set(ERR_NOMEM, "no memory to reclaim");
}

/*
 * What is done for the ids of one kind: with links, up to LINKS_MAX of them; then with ids alone.
 */
struct unlinking {
    int kind;
    int by_links[4], by_ids[5]; /* 0 ends */
};
static const struct unlinking inodes = {
    1,
    {SQL_dead_pieces_lock, SQL_dead_pieces_unref, SQL_dead_pieces_queue, SQL_dead_links_drop},
    {SQL_dead_inodes_drop, SQL_dead_tokens_drop, SQL_dead_writes_drop, SQL_dead_fragmented_drop,
     SQL_dead_inodes_done}};
static const struct unlinking links = {
    3,
    {SQL_died_pieces_lock, SQL_died_pieces_unref, SQL_died_pieces_queue, SQL_died_links_drop},
    {SQL_died_links_done}};

static enum err unlink_pieces(struct meta *m, struct arena *a, const struct unlinking *what,
                              bool *out_did)
{
    struct str ids;
    size_t count = 0;
    enum err e = ripe(m, a, what->kind, INODES_MAX, &ids, &count);
    *out_did = e == OK && count > 0;
    if (!*out_did)
        return e;
    struct sql_unit u;
    begin(&u, a);
    for (size_t i = 0; i < 4; i++) {
        struct sql_call *c = sql_add(&u, what->by_links[i]);
        sql_bind_text(c, ids);
        sql_bind_int(c, LINKS_MAX);
    }
    for (size_t i = 0; i < 5 && what->by_ids[i] != 0; i++)
        sql_bind_text(sql_add(&u, what->by_ids[i]), ids);
    return meta_write(m, &u);
}

/* Unlinks pieces of ripe inodes; an inode without links left goes itself. */
static enum err free_inodes(struct meta *m, struct arena *a, bool *out_did)
{
    return unlink_pieces(m, a, &inodes, out_did);
}

/* Links that later writes hide, or that were merged. */
static enum err free_links(struct meta *m, struct arena *a, bool *out_did)
{
    return unlink_pieces(m, a, &links, out_did);
}

static enum err set_aside(struct meta *m, struct arena *a, uint64_t piece, enum err why)
{
    log_error("piece %" PRIu64 " can not be reclaimed and is set aside: %s", piece, err_text(why));
    struct sql_unit u;
    begin(&u, a);
    sql_bind_int(sql_add(&u, SQL_piece_set_aside), (int64_t)piece);
    return meta_write(m, &u);
}

/* Adds what counts down the slices of one piece, and appends their ids to all[*count]. */
static enum err add_piece(struct sql_unit *u, struct arena *a, uint64_t piece,
                          const struct record *records, size_t record_count, uint64_t *all,
                          size_t *count)
{
    uint64_t *ids = all + *count;
    size_t n = 0;
    for (size_t i = 0; i < record_count; i++)
        if (records[i].kind == RECORD_SLICE)
            ids[n++] = records[i].slice.id;
    *count += n;
    struct str each = each_of(a, ids, n);
    struct sql_call *c = sql_add(u, SQL_slices_unref);
    sql_bind_int(c, (int64_t)piece);
    sql_bind_text(c, each);
    return each.ptr != NULL ? OK : err_set(ERR_NOMEM, "no memory to reclaim");
}

struct unpacked {
    struct record *records;
    size_t count;
};

/* ERR_CORRUPT: that piece was set aside; begin anew. */
static enum err unpack_all(struct meta *m, struct arena *a, const struct sql_call *c,
                           struct unpacked *out, size_t *out_records)
{
    *out_records = 0;
    for (size_t i = 0; i < c->rows; i++) {
        enum err e = record_unpack(a, sql_str(c, i, 1), &out[i].records, &out[i].count);
        if (e == ERR_CORRUPT) {
            enum err aside = set_aside(m, a, (uint64_t)sql_int(c, i, 0), e);
            return aside != OK ? aside : ERR_CORRUPT;
        }
        if (e != OK)
            return e;
        *out_records += out[i].count;
    }
    return OK;
}

static enum err drop_pieces(struct meta *m, struct arena *a, const struct sql_call *c,
                            struct str pieces)
{
    struct unpacked *unpacked = arena_array(a, c->rows + 1, sizeof(*unpacked));
    size_t records = 0;
    size_t slices = 0;
    if (unpacked == NULL)
        return err_set(ERR_NOMEM, "no memory to reclaim");
    enum err e = unpack_all(m, a, c, unpacked, &records);
    if (e != OK)
        return e;
    uint64_t *all = arena_array(a, records + 1, sizeof(*all));
    if (all == NULL)
        return err_set(ERR_NOMEM, "no memory to reclaim");
    struct sql_unit u;
    begin(&u, a);
    for (size_t i = 0; e == OK && i < c->rows; i++)
        e = add_piece(&u, a, (uint64_t)sql_int(c, i, 0), unpacked[i].records, unpacked[i].count,
                      all, &slices);
    struct str each = each_of(a, all, slices);
    if (e != OK || each.ptr == NULL)
        return e != OK ? e : err_set(ERR_NOMEM, "no memory to reclaim");
    sql_bind_text(sql_add(&u, SQL_slices_queue), each);
    sql_bind_text(sql_add(&u, SQL_slices_drop), each);
    sql_bind_text(sql_add(&u, SQL_pieces_drop), pieces);
    sql_bind_text(sql_add(&u, SQL_pieces_done), pieces);
    return meta_write(m, &u);
}

/* Counts down the slices of pieces that no inode links any more; those at zero are doomed. */
static enum err free_pieces(struct meta *m, struct arena *a, bool *out_did)
{
    struct str ids;
    size_t count = 0;
    enum err e = ripe(m, a, 2, PIECES_MAX, &ids, &count);
    *out_did = e == OK && count > 0;
    if (!*out_did)
        return e;
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add(&u, SQL_pieces_records);
    sql_bind_text(c, ids);
    e = sql_read(m->sql, &u);
    if (e == OK)
        e = drop_pieces(m, a, c, ids);
    return e == ERR_CORRUPT ? OK : e;
}

/* --- usage ------------------------------------------------------------------------------------ */

static enum err fold_usage(struct meta *m, struct arena *a)
{
    struct sql_unit u;
    begin(&u, a);
    sql_bind_int(sql_add(&u, SQL_usage_fold), DELTAS_MAX);
    sql_bind_int(sql_add(&u, SQL_usage_folded), DELTAS_MAX);
    sql_add(&u, SQL_usage_forget);
    return meta_write(m, &u);
}

/* --- the round -------------------------------------------------------------------------------- */

struct todo {
    bool unstamped, inodes, pieces, links, expired, ranges, deltas;
};

static enum err look(struct meta *m, struct todo *out)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add(&u, SQL_reclaim_look);
    sql_bind_int(c, m->keep_deleted_ms);
    enum err e = sql_read(m->sql, &u);
    if (e == OK)
        *out = (struct todo){
            .unstamped = sql_int(c, 0, 0) != 0,
            .inodes = sql_int(c, 0, 1) != 0,
            .pieces = sql_int(c, 0, 2) != 0,
            .links = sql_int(c, 0, 3) != 0,
            .expired = sql_int(c, 0, 4) != 0,
            .ranges = sql_int(c, 0, 5) != 0,
            .deltas = sql_int(c, 0, 6) != 0,
        };
    arena_free(a);
    return e;
}

typedef enum err (*step)(struct meta *m, struct arena *a);
typedef enum err (*repeated_step)(struct meta *m, struct arena *a, bool *out_did);

static enum err once(struct meta *m, step run)
{
    struct arena *a = arena_new(META_ROUND_ARENA);
    enum err e = run(m, a);
    arena_free(a);
    return e;
}

/* Until nothing is left, at most STEPS_MAX times: a round ends, and other jobs get their turn. */
static enum err repeat(struct meta *m, repeated_step run)
{
    enum err e = OK;
    bool did = true;
    for (int i = 0; e == OK && did && i < STEPS_MAX; i++) {
        struct arena *a = arena_new(META_ROUND_ARENA);
        e = run(m, a, &did);
        arena_free(a);
    }
    return e;
}

static enum err work(struct meta *m, const struct todo *todo)
{
    enum err e = OK;
    size_t ranges = 0;
    if (todo->ranges || todo->expired)
        e = reclaim_ranges(m, m->sql, 0, &ranges);
    if (e == OK && todo->unstamped)
        e = once(m, stamp);
    if (e == OK && todo->inodes)
        e = repeat(m, free_inodes);
    if (e == OK && todo->links)
        e = repeat(m, free_links);
    if (e == OK && (todo->pieces || todo->inodes || todo->links))
        e = repeat(m, free_pieces);
    if (e == OK && todo->deltas)
        e = once(m, fold_usage);
    return e;
}

/* The look comes first: an idle gateway writes nothing. */
enum err reclaim_round(struct meta *m, bool *out_did)
{
    *out_did = false;
    struct todo todo = {0};
    enum err e = look(m, &todo);
    bool any = todo.unstamped || todo.inodes || todo.pieces || todo.links || todo.expired ||
               todo.ranges || todo.deltas;
    if (e != OK || !any)
        return e;
    bool ours = false;
    if (todo.expired) /* first: the job may be one of theirs */
        e = reap_sessions(m);
    if (e == OK)
        e = job_take(m, "reclaim", JOB_LEASE_MS, &ours);
    if (e != OK || !ours)
        return e;
    *out_did = true;
    return work(m, &todo);
}
