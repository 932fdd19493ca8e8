#include "meta/access/account.h"

#include "base/log.h"
#include "meta/access/account_internal.h"
#include "meta/core/handle.h"
#include "meta/core/seal.h"

#include <stdlib.h>
#include <string.h>

/*
 * What is in memory: a table of sets, an item's hash says which; a set that is full gives up its
 * entries in turn. Only those who may change accounts decide what is in there.
 */
#define WAYS         4
#define KEY_SETS     (ACCOUNT_CACHE_KEYS / WAYS)
#define ACCOUNT_SETS 256
/* Keys that a gateway knows from the start, so that its first crowd need not ask for each. */
#define PRELOADED 1000

struct account_cache {
    pthread_rwlock_t lock;
    /* guarded by lock; an empty name or id 0: a free place */
    struct access_key keys[KEY_SETS][WAYS];
    struct account accounts[ACCOUNT_SETS][WAYS];
    unsigned next_way;
};

enum err account_init(struct meta *m)
{
    struct account_cache *c = calloc(1, sizeof(*c));
    if (c == NULL || pthread_rwlock_init(&c->lock, NULL) != 0) {
        free(c);
        return err_set(ERR_NOMEM, "no memory for accounts");
    }
    m->accounts = c;
    return OK;
}

void account_fini(struct meta *m)
{
    if (m->accounts == NULL)
        return;
    pthread_rwlock_destroy(&m->accounts->lock);
    explicit_bzero(m->accounts, sizeof(*m->accounts));
    free(m->accounts);
    m->accounts = NULL;
}

bool account_is_root(const struct account *a)
{
    return strcmp(a->name, ACCOUNT_ROOT) == 0;
}

struct str access_key_stored(const struct access_key *k)
{
    return (struct str){k->stored, k->stored_len};
}

/* --- in memory -------------------------------------------------------------------------------- */

static struct access_key *set_of(struct account_cache *c, struct str access_key)
{
    return c->keys[(uint64_t)access_lock_of(access_key) % KEY_SETS];
}

static struct access_key *find_key(struct account_cache *c, struct str access_key)
{
    struct access_key *set = set_of(c, access_key);
    for (size_t i = 0; access_key.len > 0 && i < WAYS; i++)
        if (str_eq(str_of(set[i].access_key), access_key))
            return &set[i];
    return NULL;
}

static struct account *find_account(struct account_cache *c, uint64_t id)
{
    struct account *set = c->accounts[id % ACCOUNT_SETS];
    for (size_t i = 0; id != 0 && i < WAYS; i++)
        if (set[i].id == id)
            return &set[i];
    return NULL;
}

static void keep_account(struct account_cache *c, const struct account *a)
{
    struct account *place = find_account(c, a->id);
    if (place == NULL)
        place = &c->accounts[a->id % ACCOUNT_SETS][c->next_way++ % WAYS];
    *place = *a;
}

static void keep(struct meta *m, const struct access_key *k)
{
    struct account_cache *c = m->accounts;
    struct str name = str_of(k->access_key);
    pthread_rwlock_wrlock(&c->lock);
    struct access_key *place = find_key(c, name);
    if (place == NULL) {
        struct access_key *set = set_of(c, name);
        place = &set[c->next_way++ % WAYS];
        for (size_t i = 0; i < WAYS; i++)
            if (set[i].access_key[0] == '\0')
                place = &set[i];
    }
    *place = *k;
    keep_account(c, &k->account);
    pthread_rwlock_unlock(&c->lock);
}

void account_forget(struct meta *m, struct str access_key)
{
    pthread_rwlock_wrlock(&m->accounts->lock);
    struct access_key *place = find_key(m->accounts, access_key);
    if (place != NULL)
        explicit_bzero(place, sizeof(*place));
    pthread_rwlock_unlock(&m->accounts->lock);
}

enum err account_key_find(struct meta *m, struct str access_key, struct access_key *out)
{
    pthread_rwlock_rdlock(&m->accounts->lock);
    const struct access_key *found = find_key(m->accounts, access_key);
    if (found != NULL)
        *out = *found;
    pthread_rwlock_unlock(&m->accounts->lock);
    return found != NULL ? OK : err_set(ERR_NOT_FOUND, "no such access key in memory");
}

/* --- from the database ------------------------------------------------------------------------ */

/* False when it does not fit or holds a NUL byte: not one of ours. */
static bool copy_text(char *out, size_t size, struct str s)
{
    if (s.len >= size || (s.len > 0 && memchr(s.ptr, 0, s.len) != NULL))
        return false;
    if (s.len > 0)
        memcpy(out, s.ptr, s.len);
    out[s.len] = 0;
    return true;
}

static bool account_of(const struct sql_call *c, size_t row, size_t first, struct account *out)
{
    out->id = (uint64_t)sql_int(c, row, first);
    return copy_text(out->name, sizeof(out->name), sql_str(c, row, first + 1)) &&
           copy_text(out->canonical_id, sizeof(out->canonical_id), sql_str(c, row, first + 2));
}

bool account_key_of(const struct sql_call *c, size_t row, struct access_key *out)
{
    struct str stored = sql_str(c, row, 1);
    memset(out, 0, sizeof(*out));
    out->enabled = sql_int(c, row, 2) != 0;
    out->given = sql_int(c, row, 2) == KEY_GIVEN;
    out->created_ms = sql_int(c, row, 3);
    if (stored.len > sizeof(out->stored))
        return false;
    memcpy(out->stored, stored.ptr, stored.len);
    out->stored_len = stored.len;
    return copy_text(out->access_key, sizeof(out->access_key), sql_str(c, row, 0)) &&
           account_of(c, row, 4, &out->account);
}

/* With its secret. A key that cannot be used is as one that is not there, and logged. */
static enum err open_key(struct meta *m, const struct sql_call *c, size_t row,
                         struct access_key *out)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct str secret = STR_NONE;
    enum err err = a != NULL ? OK : err_set(ERR_NOMEM, "no memory for an access key");
    if (err == OK && !account_key_of(c, row, out))
        err = err_set(ERR_CORRUPT, "its row is not valid");
    if (err == OK)
        err = unseal(m->has_master_key ? m->master_key : NULL, str_of(out->access_key),
                     access_key_stored(out), a, &secret);
    if (err == OK && !copy_text(out->secret, sizeof(out->secret), secret))
        err = err_set(ERR_CORRUPT, "its secret is not valid");
    if (secret.len > 0)
        explicit_bzero((char *)(uintptr_t)secret.ptr, secret.len);
    arena_free(a);
    if (err == OK || err == ERR_NOMEM)
        return err;
    log_warn("access key " STR_FMT " cannot be used: %s", STR_ARG(sql_str(c, row, 0)),
             err_text(err));
    return err_set(ERR_NOT_FOUND, "the access key cannot be used");
}

enum err account_key_look_up(struct meta *m, struct str access_key, struct access_key *out)
{
    if (access_key.len == 0 || access_key.len > ACCESS_KEY_MAX || !str_is_utf8(access_key) ||
        memchr(access_key.ptr, 0, access_key.len) != NULL)
        return err_set(ERR_NOT_FOUND, "nothing that could be an access key");
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add_access_key_get(&u, p_access_key(access_key));
    enum err err = sql_read(m->sql, &u);
    if (err == OK)
        err = c->rows > 0 ? open_key(m, c, 0, out) : err_set(ERR_NOT_FOUND, "no such access key");
    if (err == OK)
        keep(m, out);
    else if (err == ERR_NOT_FOUND)
        account_forget(m, access_key);
    arena_free(a);
    return err;
}

enum err account_find(struct meta *m, uint64_t id, struct account *out)
{
    pthread_rwlock_rdlock(&m->accounts->lock);
    const struct account *found = find_account(m->accounts, id);
    if (found != NULL)
        *out = *found;
    pthread_rwlock_unlock(&m->accounts->lock);
    if (found != NULL)
        return OK;
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add_account_get(&u, p_account((int64_t)id));
    enum err err = sql_read(m->sql, &u);
    if (err == OK && (c->rows == 0 || !account_of(c, 0, 0, out)))
        err = err_set(ERR_NOT_FOUND, "no such account");
    arena_free(a);
    if (err != OK)
        return err;
    pthread_rwlock_wrlock(&m->accounts->lock);
    keep_account(m->accounts, out);
    pthread_rwlock_unlock(&m->accounts->lock);
    return OK;
}

enum err account_preload(struct meta *m)
{
    struct arena *a = arena_new(META_ROUND_ARENA);
    struct access_key k;
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c =
        sql_add_access_keys_page(&u, p_after_access_key(STR("")), p_most(PRELOADED));
    enum err err = sql_read(m->control, &u);
    for (size_t i = 0; err == OK && i < c->rows; i++)
        if (open_key(m, c, i, &k) == OK)
            keep(m, &k);
    explicit_bzero(&k, sizeof(k));
    arena_free(a);
    return err;
}
