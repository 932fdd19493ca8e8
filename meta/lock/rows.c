/*
 * The rows of range locks: asking for one, granting it when no older one overlaps, deleting it.
 */
#include "meta/core/handle.h"
#include "meta/lock/table.h"

/* Units are ordered by file, as their row locks are: two batches do not lock in opposite orders. */
static void init_unit(struct sql_unit *u, struct arena *a, uint64_t inode)
{
    sql_unit_init(u, SQL_WRITE, a);
    char *order = arena_alloc(a, sizeof(inode));
    for (size_t i = 0; order != NULL && i < sizeof(inode); i++)
        order[i] = (char)(uint8_t)(inode >> (56 - 8 * i));
    u->order_key = order != NULL ? (struct str){order, sizeof(inode)} : STR_NONE;
}

static enum err write_unit(struct meta *m, struct sql_unit *u)
{
    return sql_write(m->grants != NULL ? m->grants : m->sql, u);
}

enum err lock_row_ask(struct meta *m, struct range_lock *l, bool *out_granted)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    init_unit(&u, a, l->inode);
    sql_add_lock_draw(&u, p_inode((int64_t)l->inode));
    struct sql_call *c =
        sql_add_lock_ask(&u, p_inode((int64_t)l->inode), p_lock((int64_t)l->id),
                         p_lo((int64_t)l->lo), p_hi((int64_t)l->hi),
                         p_exclusive(l->mode == LOCK_EXCLUSIVE), p_session((int64_t)l->session));
    enum err err = write_unit(m, &u);
    *out_granted = err == OK && sql_int(c, 0, 0) == 1;
    if (*out_granted)
        l->token = (uint64_t)sql_int(c, 0, 1);
    arena_free(a);
    return err;
}

enum err lock_row_grant(struct meta *m, struct range_lock *l, bool *out_granted)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    init_unit(&u, a, l->inode);
    sql_add_lock_draw(&u, p_inode((int64_t)l->inode));
    struct sql_call *c = sql_add_lock_grant(&u, p_inode((int64_t)l->inode), p_lock((int64_t)l->id));
    enum err err = write_unit(m, &u);
    *out_granted = err == OK && c->rows > 0;
    if (*out_granted)
        l->token = (uint64_t)sql_int(c, 0, 0);
    arena_free(a);
    return err;
}

enum err lock_rows_look(struct meta *m, struct range_lock *const *locks, size_t count,
                        enum lock_row_state *out, bool *out_expired)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    for (size_t i = 0; i < count; i++)
        sql_add_lock_look(&u, p_inode((int64_t)locks[i]->inode), p_lock((int64_t)locks[i]->id));
    enum err err = sql_read(m->sql, &u);
    const struct sql_call *c = u.first;
    for (size_t i = 0; err == OK && i < count; i++, c = c->next) {
        out[i] = c->rows == 0            ? LOCK_ROW_GONE
                 : sql_int(c, 0, 0) == 1 ? LOCK_ROW_FREE
                                         : LOCK_ROW_WAITS;
        *out_expired |= out[i] == LOCK_ROW_WAITS && sql_int(c, 0, 1) > 0;
    }
    arena_free(a);
    return err;
}

enum err lock_row_drop(struct meta *m, uint64_t inode, uint64_t id)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    init_unit(&u, a, inode);
    u.results_optional = true;
    u.frees = true;
    sql_add_lock_drop(&u, p_inode((int64_t)inode), p_lock((int64_t)id));
    enum err err = write_unit(m, &u);
    arena_free(a);
    return err;
}
