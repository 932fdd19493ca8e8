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

static struct sql_call *of_row(struct sql_unit *u, int statement, uint64_t inode, uint64_t id)
{
    struct sql_call *c = sql_add(u, statement);
    sql_bind_int(c, (int64_t)inode);
    sql_bind_int(c, (int64_t)id);
    return c;
}

enum err lock_row_ask(struct meta *m, struct range_lock *l, bool *out_granted)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    init_unit(&u, a, l->inode);
    sql_bind_int(sql_add(&u, SQL_lock_draw), (int64_t)l->inode);
    struct sql_call *c = of_row(&u, SQL_lock_ask, l->inode, l->id);
    sql_bind_int(c, (int64_t)l->lo);
    sql_bind_int(c, (int64_t)l->hi);
    sql_bind_int(c, l->mode == LOCK_EXCLUSIVE);
    sql_bind_int(c, (int64_t)l->session);
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
    sql_bind_int(sql_add(&u, SQL_lock_draw), (int64_t)l->inode);
    struct sql_call *c = of_row(&u, SQL_lock_grant, l->inode, l->id);
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
        (void)of_row(&u, SQL_lock_look, locks[i]->inode, locks[i]->id);
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
    (void)of_row(&u, SQL_lock_drop, inode, id);
    enum err err = write_unit(m, &u);
    arena_free(a);
    return err;
}
