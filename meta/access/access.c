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

static int64_t lock_of(struct str kind, struct str name)
{
    return (int64_t)crc64nvme(crc64nvme(0, kind.ptr, kind.len), name.ptr, name.len);
}

int64_t access_lock_of(struct str access_key)
{
    return lock_of(STR("kiseki access key"), access_key);
}

int64_t access_lock_of_bucket(struct str bucket)
{
    return lock_of(STR("kiseki bucket"), bucket);
}

static bool is_about_buckets(void)
{
    for (size_t i = 0; i < ACCESS_BUCKETS; i++)
        if (current->buckets[i].name.len > 0)
            return true;
    return false;
}

/* How many buckets must be there. */
static int64_t buckets_there(void)
{
    const struct access_bucket *one = &current->buckets[0], *two = &current->buckets[1];
    bool twice = two->id != 0 && str_eq(one->name, two->name);
    return (one->id != 0) + (two->id != 0 && !twice);
}

/* The parameters of a proof by the key only, and of one that is about buckets, too. */
#define PROOF_OF_KEY                                                                               \
    p_access_key(str_of(current->key->access_key)), p_secret(access_key_stored(current->key)),     \
        p_account((int64_t)current->key->account.id)
#define PROOF_OF_BUCKETS                                                                           \
    PROOF_OF_KEY, p_bucket(current->buckets[0].name),                                              \
        p_bucket_id((int64_t)current->buckets[0].id),                                              \
        p_generation((int64_t)current->buckets[0].generation),                                     \
        p_source_bucket(current->buckets[1].name),                                                 \
        p_source_bucket_id((int64_t)current->buckets[1].id),                                       \
        p_source_generation((int64_t)current->buckets[1].generation), p_count(buckets_there())
_Static_assert(ACCESS_BUCKETS == 2, "its own and a copy's source");

/* What the proof found; no row: the key's row is another. */
static enum err take_proof(const struct sql_call *c)
{
    if (c->rows == 0 || sql_int(c, 0, 0) == 0) {
        current->refused = ACCESS_STALE_KEY;
        return err_set(ERR_DENIED, "the access key was changed or removed");
    }
    if (sql_int(c, 0, 1) != 0) {
        current->refused = ACCESS_STALE_BUCKET;
        return err_set(ERR_DENIED, "the bucket, or its configuration, was changed");
    }
    current->proven = true;
    return OK;
}

static struct sql_call *add_proof(struct sql_unit *u)
{
    return is_about_buckets() ? sql_add_access_proof(u, PROOF_OF_BUCKETS)
                              : sql_add_access_proof_key(u, PROOF_OF_KEY);
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
    sql_share(u, access_lock_of(str_of(current->key->access_key)));
    for (size_t i = 0; i < ACCESS_BUCKETS; i++)
        if (current->buckets[i].name.len > 0)
            sql_share(u, access_lock_of_bucket(current->buckets[i].name));
    if (is_about_buckets())
        sql_add_access_require(u, PROOF_OF_BUCKETS);
    else
        sql_add_access_require_key(u, PROOF_OF_KEY);
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
    current->refused = ACCESS_STALE_KEY; /* changed, and changed back */
    return err_set(ERR_DENIED, "the access key was changed meanwhile");
}

enum err access_write(struct meta *m, struct sql_unit *u)
{
    access_require(u);
    return access_result(m, meta_write(m, u));
}
