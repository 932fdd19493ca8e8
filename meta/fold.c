/* Range writes, folded into the rows of their keys. */
#include "meta/internal.h"
#include "meta/write.h"

static enum err fold_file(struct meta *m, int64_t inode)
{
    static const int statements[] = {SQL_fold_lock, SQL_fold_note, SQL_fold_key, SQL_fold_gone};
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, a);
    u.alone = true; /* the key's row is locked, whose place among others is not known */
    u.results_optional = true;
    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++)
        sql_bind_int(sql_add(&u, statements[i]), inode);
    enum err e = meta_write(m, &u);
    arena_free(a);
    return e;
}

enum err write_fold(struct meta *m, size_t max, bool *out_did)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add(&u, SQL_fold_look);
    sql_bind_int(c, (int64_t)max);
    enum err e = sql_read(m->sql, &u);
    *out_did = e == OK && c->rows > 0;
    for (size_t i = 0; e == OK && i < c->rows; i++)
        e = fold_file(m, sql_int(c, i, 0));
    arena_free(a);
    return e;
}
