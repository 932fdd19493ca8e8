#include "meta/access/access.h"

#include "base/hash.h"
#include "base/hooks.h"
#include "meta/core/handle.h"

#include <string.h>

static _Thread_local struct access_proof *current;

void access_begin(struct access_proof *p)
{
    current = p;
}

void access_end(void)
{
    current = NULL;
}

int64_t access_lock_of(struct str access_key)
{
    int64_t number = (int64_t)crc64nvme(0, "kiseki access key", 17);
    return (int64_t)crc64nvme((uint64_t)number, access_key.ptr, access_key.len);
}

static bool is_about_buckets(void)
{
    for (size_t i = 0; i < ACCESS_BUCKETS; i++)
        if (current->buckets[i].name.len > 0)
            return true;
    return false;
}

/* One of two statements: about the key only, or about buckets, too. */
static struct sql_call *add(struct sql_unit *u, int of_key, int of_buckets)
{
    bool buckets = is_about_buckets();
    struct sql_call *c = sql_add(u, buckets ? of_buckets : of_key);
    sql_bind_text(c, str_of(current->key->access_key));
    sql_bind_bytes(c, access_key_stored(current->key));
    sql_bind_int(c, (int64_t)current->key->account.id);
    for (size_t i = 0; buckets && i < ACCESS_BUCKETS; i++) {
        sql_bind_bytes(c, current->buckets[i].name);
        sql_bind_int(c, (int64_t)current->buckets[i].owner);
    }
    return c;
}

/* What the proof found; no row: the key's row is another. */
static enum err take_proof(const struct sql_call *c)
{
    if (c->rows == 0 || sql_int(c, 0, 0) == 0)
        current->refused = ACCESS_STALE;
    else if (sql_int(c, 0, 1) != 0)
        current->refused = ACCESS_FOREIGN;
    else
        current->proven = true;
    return current->refused == ACCESS_ALLOWED
               ? OK
               : err_set(ERR_DENIED, current->refused == ACCESS_STALE
                                         ? "the access key was changed or removed"
                                         : "the bucket belongs to another account");
}

static struct sql_call *add_proof(struct sql_unit *u)
{
    return add(u, SQL_access_proof_key, SQL_access_proof);
}

static bool is_asked(void)
{
    return current != NULL && !hook_broken("access-proof");
}

enum err access_check(struct meta *m)
{
    if (!is_asked())
        return OK;
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = add_proof(&u);
    enum err err = sql_read(m->sql, &u);
    if (err == OK)
        err = take_proof(c);
    arena_free(a);
    return err;
}

enum err access_read(struct meta *m, struct sql_unit *u)
{
    struct sql_call *c = is_asked() ? add_proof(u) : NULL;
    enum err err = sql_read(m->sql, u);
    return err == OK && c != NULL ? take_proof(c) : err;
}

void access_require(struct sql_unit *u)
{
    if (!is_asked())
        return;
    sql_bind_int(sql_add(u, SQL_access_share), access_lock_of(str_of(current->key->access_key)));
    add(u, SQL_access_require_key, SQL_access_require);
}

enum err access_result(struct meta *m, enum err err)
{
    if (!is_asked())
        return err;
    if (err == OK)
        current->proven = true;
    if (err != ERR_EXISTS) /* which nothing but access_require makes of a unit */
        return err;
    err = access_check(m);
    if (err != OK)
        return err;
    current->refused = ACCESS_STALE; /* changed, and changed back */
    return err_set(ERR_DENIED, "the access key was changed meanwhile");
}

enum err access_write(struct meta *m, struct sql_unit *u)
{
    access_require(u);
    return access_result(m, meta_write(m, u));
}
