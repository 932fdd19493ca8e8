#include "meta/account.h"

#include "base/codec.h"
#include "base/hash.h"
#include "base/log.h"
#include "meta/internal.h"
#include "meta/seal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the proof of the master key seals. */
#define KEY_CHECK_TEXT STR("kiseki")

/* The tables in memory; immutable once it is in struct meta. Memory grows with the accounts. */
struct account_cache {
    struct arena *arena;
    uint64_t generation;
    struct account *accounts; /* by id */
    size_t account_count;
    struct access_key *keys; /* by access key */
    size_t key_count;
};

#define CACHE_ARENA (256u << 20) /* about 500,000 access keys */

static void cache_free(struct account_cache *c)
{
    if (c != NULL)
        arena_free(c->arena); /* the cache itself lies in it */
}

static const uint8_t *master_key(const struct meta *m)
{
    return m->has_master_key ? m->master_key : NULL;
}

static int key_order(const void *a, const void *b)
{
    const struct access_key *ka = a;
    const struct access_key *kb = b;
    return strcmp(ka->access_key, kb->access_key);
}

static int account_order(const void *a, const void *b)
{
    const struct account *aa = a;
    const struct account *ab = b;
    return aa->id < ab->id ? -1 : aa->id > ab->id;
}

static const struct account *find_account(const struct account_cache *c, uint64_t id)
{
    struct account probe = {.id = id};
    if (c == NULL || c->account_count == 0)
        return NULL;
    return bsearch(&probe, c->accounts, c->account_count, sizeof(probe), account_order);
}

static const struct access_key *find_key(const struct account_cache *c, struct str access_key)
{
    struct access_key probe;
    if (c == NULL || c->key_count == 0 || access_key.len >= sizeof(probe.access_key) ||
        access_key.len == 0 || memchr(access_key.ptr, 0, access_key.len) != NULL)
        return NULL;
    memcpy(probe.access_key, access_key.ptr, access_key.len);
    probe.access_key[access_key.len] = 0;
    return bsearch(&probe, c->keys, c->key_count, sizeof(probe), key_order);
}

enum err account_key_find(struct meta *m, struct str access_key, struct access_key *out)
{
    pthread_rwlock_rdlock(&m->accounts_lock);
    const struct access_key *found = find_key(m->accounts, access_key);
    if (found != NULL)
        *out = *found;
    pthread_rwlock_unlock(&m->accounts_lock);
    return found != NULL ? OK : err_set(ERR_NOT_FOUND, "no such access key");
}

enum err account_find(struct meta *m, uint64_t id, struct account *out)
{
    pthread_rwlock_rdlock(&m->accounts_lock);
    const struct account *found = find_account(m->accounts, id);
    if (found != NULL)
        *out = *found;
    pthread_rwlock_unlock(&m->accounts_lock);
    return found != NULL ? OK : err_set(ERR_NOT_FOUND, "no such account");
}

/* --- loading ---------------------------------------------------------------------------------- */

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

static enum err load_accounts(struct account_cache *cache, const struct sql_call *c)
{
    cache->accounts = arena_array(cache->arena, c->rows + 1, sizeof(*cache->accounts));
    if (cache->accounts == NULL)
        return err_set(ERR_NOMEM, "no memory for %zu accounts", c->rows);
    for (size_t i = 0; i < c->rows; i++) {
        struct account *a = &cache->accounts[cache->account_count];
        a->id = (uint64_t)sql_int(c, i, 0);
        if (copy_text(a->name, sizeof(a->name), sql_str(c, i, 1)) &&
            copy_text(a->canonical_id, sizeof(a->canonical_id), sql_str(c, i, 2)))
            cache->account_count++;
    }
    return OK;
}

/* A key that can not be used is left out and logged: it must not lock out the others. */
static bool load_key(struct meta *m, const struct account_cache *cache, const struct sql_call *c,
                     size_t row, struct arena *scratch, struct access_key *out)
{
    struct str name = sql_str(c, row, 0);
    struct str secret;
    enum err e = unseal(master_key(m), name, sql_str(c, row, 2), scratch, &secret);
    const struct account *account = find_account(cache, (uint64_t)sql_int(c, row, 1));
    if (e == OK && account != NULL && copy_text(out->access_key, sizeof(out->access_key), name) &&
        copy_text(out->secret, sizeof(out->secret), secret)) {
        out->account = *account;
        out->enabled = sql_int(c, row, 3) != 0;
        return true;
    }
    log_warn("access key " STR_FMT " is left out: %s", STR_ARG(name),
             e != OK ? err_text(e) : "its row is not valid");
    return false;
}

static enum err load_keys(struct meta *m, struct account_cache *cache, const struct sql_call *c,
                          struct arena *scratch)
{
    cache->keys = arena_array(cache->arena, c->rows + 1, sizeof(*cache->keys));
    if (cache->keys == NULL)
        return err_set(ERR_NOMEM, "no memory for %zu access keys", c->rows);
    for (size_t i = 0; i < c->rows; i++)
        if (load_key(m, cache, c, i, scratch, &cache->keys[cache->key_count]))
            cache->key_count++;
    qsort(cache->keys, cache->key_count, sizeof(*cache->keys), key_order);
    return OK;
}

/* Newer than what is there? Loads may end in another order than they began. */
static void install(struct meta *m, struct account_cache *cache)
{
    pthread_rwlock_wrlock(&m->accounts_lock);
    if (m->accounts == NULL || m->accounts->generation <= cache->generation) {
        struct account_cache *old = m->accounts;
        m->accounts = cache;
        cache = old;
    }
    pthread_rwlock_unlock(&m->accounts_lock);
    cache_free(cache);
}

/* Reads both tables and their generation in one snapshot. */
static enum err load(struct meta *m)
{
    struct arena *scratch = arena_new(CACHE_ARENA);
    struct arena *arena = arena_new(CACHE_ARENA);
    struct account_cache *cache = arena != NULL ? arena_alloc(arena, sizeof(*cache)) : NULL;
    enum err e = cache != NULL ? OK : err_set(ERR_NOMEM, "no memory for accounts");
    if (e != OK)
        goto out;
    cache->arena = arena;
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, scratch);
    u.snapshot = true;
    struct sql_call *generation = sql_add(&u, SQL_auth_generation);
    struct sql_call *accounts = sql_add(&u, SQL_accounts_all);
    struct sql_call *keys = sql_add(&u, SQL_access_keys_all);
    e = sql_read(m->control, &u);
    if (e == OK)
        e = load_accounts(cache, accounts);
    if (e == OK)
        e = load_keys(m, cache, keys, scratch);
    if (e != OK)
        goto out;
    cache->generation = (uint64_t)sql_int(generation, 0, 0);
    install(m, cache);
    arena = NULL;
out:
    arena_free(arena);
    arena_free(scratch);
    return e;
}

static bool is_newer(struct meta *m, uint64_t generation)
{
    pthread_rwlock_rdlock(&m->accounts_lock);
    bool newer = m->accounts == NULL || m->accounts->generation < generation;
    pthread_rwlock_unlock(&m->accounts_lock);
    return newer;
}

enum err account_refresh(struct meta *m)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add(&u, SQL_auth_generation);
    enum err e = sql_read(m->control, &u);
    bool newer = e == OK && is_newer(m, (uint64_t)sql_int(c, 0, 0));
    arena_free(a);
    return newer ? load(m) : e;
}

void account_noticed(struct meta *m, uint64_t generation)
{
    if (!is_newer(m, generation))
        return;
    enum err e = load(m);
    if (e != OK)
        log_warn("reloading accounts: %s", err_text(e));
}

void account_fini(struct meta *m)
{
    cache_free(m->accounts);
    m->accounts = NULL;
}

/* --- putting ---------------------------------------------------------------------------------- */

/* Does the cache have exactly this? */
static bool is_known(struct meta *m, struct str account, struct str access_key, struct str secret)
{
    struct access_key key;
    if (account_key_find(m, access_key, &key) != OK)
        return false;
    bool same = key.enabled && str_eq(str_of(key.account.name), account) &&
                str_eq(str_of(key.secret), secret);
    explicit_bzero(&key, sizeof(key));
    return same;
}

/* The same for a name on every volume, so that configurations can know it beforehand. */
static enum err canonical_id(struct str account, char out[65])
{
    uint8_t digest[HASH_MAX_BYTES];
    enum err e = hash_once(HASH_SHA256, account.ptr, account.len, digest);
    hex_encode(digest, 32, out);
    return e;
}

static enum err put(struct meta *m, struct arena *a, struct str account, struct str access_key,
                    struct str secret)
{
    uint64_t id = 0;
    struct str sealed;
    char canonical[65] = "";
    enum err e = meta_next_id(m, &id);
    if (e == OK)
        e = canonical_id(account, canonical);
    if (e == OK)
        e = seal(master_key(m), access_key, secret, a, &sealed);
    if (e != OK)
        return e;
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, a);
    u.results_optional = true;
    struct sql_call *c = sql_add(&u, SQL_account_put);
    sql_bind_int(c, (int64_t)id);
    sql_bind_text(c, account);
    sql_bind_text(c, str_of(canonical));
    c = sql_add(&u, SQL_access_key_put);
    sql_bind_text(c, access_key);
    sql_bind_bytes(c, sealed);
    sql_bind_text(c, account);
    sql_add(&u, SQL_auth_changed);
    return meta_write(m, &u);
}

enum err account_key_put(struct meta *m, struct str account_name, struct str access_key,
                         struct str secret)
{
    struct access_key room;
    if (account_name.len == 0 || account_name.len >= sizeof(room.account.name))
        return err_set(ERR_INVALID, "an account's name has 1 to %zu bytes",
                       sizeof(room.account.name) - 1);
    if (access_key.len == 0 || access_key.len >= sizeof(room.access_key))
        return err_set(ERR_INVALID, "an access key has 1 to %zu bytes",
                       sizeof(room.access_key) - 1);
    if (secret.len == 0 || secret.len >= sizeof(room.secret))
        return err_set(ERR_INVALID, "a secret key has 1 to %zu bytes", sizeof(room.secret) - 1);
    enum err e = account_refresh(m);
    if (e != OK || is_known(m, account_name, access_key, secret))
        return e;
    struct arena *a = arena_new(META_SMALL_ARENA);
    e = put(m, a, account_name, access_key, secret);
    arena_free(a);
    return e == OK ? account_refresh(m) : e;
}

/* --- the master key --------------------------------------------------------------------------- */

/* Is the volume's proof, if it has one, of our key? *out_missing: it has none. */
static enum err check_key(struct meta *m, struct arena *a, bool *out_missing)
{
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add(&u, SQL_volume_get);
    enum err e = sql_read(m->control, &u);
    if (e != OK)
        return e;
    *out_missing = sql_is_null(c, 0, 5);
    if (*out_missing)
        return OK;
    if (!m->has_master_key)
        return err_set(ERR_DENIED, "this volume's secrets are sealed under a master key:"
                                   " set KISEKI_MASTER_KEY");
    struct str text;
    e = unseal(m->master_key, str_of(m->volume.uuid), sql_str(c, 0, 5), a, &text);
    if (e == ERR_DENIED)
        return err_set(ERR_DENIED,
                       "the master key is not this volume's: set KISEKI_MASTER_KEY"
                       " to the key that volume %s was sealed under",
                       m->volume.uuid);
    return e;
}

static enum err add_seals(struct meta *m, struct arena *a, const struct sql_call *keys,
                          struct str proof, struct sql_unit *u)
{
    for (size_t i = 0; i < keys->rows; i++) {
        struct str name = sql_str(keys, i, 0);
        struct str stored = sql_str(keys, i, 2);
        struct str secret, sealed;
        if (seal_is_sealed(stored))
            continue;
        enum err e = unseal(NULL, name, stored, a, &secret);
        if (e == OK)
            e = seal(m->master_key, name, secret, a, &sealed);
        if (e != OK)
            return e;
        struct sql_call *c = sql_add(u, SQL_secret_seal);
        sql_bind_text(c, name);
        sql_bind_bytes(c, stored);
        sql_bind_bytes(c, sealed);
        sql_bind_bytes(c, proof);
    }
    return OK;
}

/*
 * A first master key: its proof becomes the volume's unless another gateway's did just now, and
 * what was kept plain is sealed.
 */
static enum err adopt_key(struct meta *m, struct arena *a)
{
    struct sql_unit get, set;
    sql_unit_init(&get, SQL_READ, a);
    struct sql_call *keys = sql_add(&get, SQL_access_keys_all);
    enum err e = sql_read(m->control, &get);
    struct str proof = STR_NONE;
    if (e == OK)
        e = seal(m->master_key, str_of(m->volume.uuid), KEY_CHECK_TEXT, a, &proof);
    if (e != OK)
        return e;
    sql_unit_init(&set, SQL_WRITE, a);
    sql_bind_bytes(sql_add(&set, SQL_key_check_set), proof);
    e = add_seals(m, a, keys, proof, &set);
    if (e == OK)
        e = sql_write(m->control, &set);
    if (e == OK && set.first->changed == 1)
        log_info("secrets of volume %s are sealed under the master key", m->volume.uuid);
    return e;
}

enum err account_open(struct meta *m)
{
    struct arena *a = arena_new(CACHE_ARENA);
    bool missing = false;
    enum err e = check_key(m, a, &missing);
    if (e == OK && missing && m->has_master_key) {
        e = adopt_key(m, a);
        if (e == OK)
            e = check_key(m, a, &missing);
    }
    arena_free(a);
    return e == OK ? load(m) : e;
}
