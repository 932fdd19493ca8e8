#include "meta/internal.h"
#include "meta/lock/internal.h"

/* Units are ordered by file, as their row locks are: two batches do not lock in opposite orders. */
static void begin(struct sql_unit *u, struct arena *a, uint64_t inode)
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
    begin(&u, a, l->inode);
    sql_bind_int(sql_add(&u, SQL_lock_draw), (int64_t)l->inode);
    struct sql_call *c = of_row(&u, SQL_lock_ask, l->inode, l->id);
    sql_bind_int(c, (int64_t)l->lo);
    sql_bind_int(c, (int64_t)l->hi);
    sql_bind_int(c, l->mode == LOCK_EXCLUSIVE);
    sql_bind_int(c, (int64_t)l->session);
    enum err e = write_unit(m, &u);
    *out_granted = e == OK && sql_int(c, 0, 0) == 1;
    if (*out_granted)
        l->token = (uint64_t)sql_int(c, 0, 1);
    arena_free(a);
    return e;
}

static enum err grant(struct meta *m, struct arena *a, struct range_lock *l, bool *out_granted)
{
    struct sql_unit u;
    begin(&u, a, l->inode);
    sql_bind_int(sql_add(&u, SQL_lock_draw), (int64_t)l->inode);
    struct sql_call *c = of_row(&u, SQL_lock_grant, l->inode, l->id);
    enum err e = write_unit(m, &u);
    *out_granted = e == OK && c->rows > 0;
    if (*out_granted)
        l->token = (uint64_t)sql_int(c, 0, 0);
    return e;
}

enum err lock_row_try(struct meta *m, struct range_lock *l, bool *out_granted)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = of_row(&u, SQL_lock_look, l->inode, l->id);
    enum err e = sql_read(m->sql, &u);
    if (e == OK && c->rows == 0)
        e = err_set(ERR_FENCED, "the session that waited for a range lock is over");
    else if (e == OK && sql_int(c, 0, 0) == 1)
        e = grant(m, a, l, out_granted);
    else if (e == OK && sql_int(c, 0, 1) > 0)
        e = reap_sessions(m); /* it may be one of them that is in the way */
    arena_free(a);
    return e;
}

enum err lock_row_drop(struct meta *m, uint64_t inode, uint64_t id)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    begin(&u, a, inode);
    u.results_optional = true;
    (void)of_row(&u, SQL_lock_drop, inode, id);
    enum err e = write_unit(m, &u);
    arena_free(a);
    return e;
}
