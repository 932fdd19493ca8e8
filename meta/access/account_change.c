/*
 * Changes of access keys: those that the configuration gives, and what `kiseki key` does. Whatever
 * changes a key's row takes the key's lock alone (meta/access/access.h).
 */
#include "base/codec.h"
#include "base/hash.h"
#include "base/log.h"
#include "meta/access/account_internal.h"
#include "meta/core/handle.h"
#include "meta/core/seal.h"

#include <string.h>

/* --- what is a key ---------------------------------------------------------------------------- */

/* Printable ASCII without blanks and without those characters. */
static bool is_printable(struct str s, const char *but)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] <= ' ' || s.ptr[i] > '~' || strchr(but, s.ptr[i]) != NULL)
            return false;
    return true;
}

enum err access_key_valid(struct str access_key, struct str secret)
{
    if (access_key.len < 3 || access_key.len > ACCESS_KEY_MAX)
        return err_set(ERR_INVALID, "an access key has 3 to %d characters", ACCESS_KEY_MAX);
    if (!is_printable(access_key, "/=,:"))
        return err_set(ERR_INVALID, "an access key has letters, digits and punctuation, but no"
                                    " blanks, line ends, \"/\", \"=\", \",\" or \":\"");
    if (secret.len < 8 || secret.len > ACCESS_SECRET_MAX)
        return err_set(ERR_INVALID, "a secret key has 8 to %d characters", ACCESS_SECRET_MAX);
    if (!is_printable(secret, ""))
        return err_set(ERR_INVALID, "a secret key has letters, digits and punctuation, but no"
                                    " blanks or line ends");
    return OK;
}

/* The same for a name on every volume, so that configurations can know it beforehand. */
static enum err canonical_id(struct str account, char out[65])
{
    uint8_t digest[HASH_MAX_BYTES];
    enum err err = hash_once(HASH_SHA256, account.ptr, account.len, digest);
    hex_encode(digest, 32, out);
    return err;
}

/* --- putting ---------------------------------------------------------------------------------- */

static void change_of_key(struct sql_unit *u, struct arena *a, struct str access_key)
{
    sql_unit_init(u, SQL_WRITE, a);
    sql_exclude(u, access_lock_of(access_key));
}

static enum err put(struct meta *m, struct arena *a, const struct given_key *k, int enabled)
{
    uint64_t id = 0;
    struct str sealed;
    char canonical[65] = "";
    enum err err = meta_next_id(m, &id);
    if (err == OK)
        err = canonical_id(k->account, canonical);
    if (err == OK)
        err = seal(m->has_master_key ? m->master_key : NULL, k->access_key, k->secret, a, &sealed);
    if (err != OK)
        return err;
    struct sql_unit u;
    change_of_key(&u, a, k->access_key);
    u.results_optional = true;
    sql_add_account_put(&u, p_account((int64_t)id), p_account_name(k->account),
                        p_canonical_id(str_of(canonical)));
    sql_add_access_key_put(&u, p_access_key(k->access_key), p_secret(sealed),
                           p_account_name(k->account), p_enabled(enabled));
    return meta_write(m, &u);
}

/* Does the database have exactly this? ERR_EXISTS: the key was made for another account. */
static enum err is_there(struct meta *m, const struct given_key *k, bool given, bool *out)
{
    struct access_key now;
    enum err err = account_key_look_up(m, k->access_key, &now);
    bool same = err == OK && str_eq(str_of(now.account.name), k->account);
    *out = same && now.enabled && now.given == given && str_eq(str_of(now.secret), k->secret);
    if (err == OK && !same && !now.given && !account_is_root(&now.account))
        err = err_set(ERR_EXISTS,
                      "the access key " STR_FMT " belongs to the account %s (kiseki key list):"
                      " choose another one, or remove it there first",
                      STR_ARG(k->access_key), now.account.name);
    explicit_bzero(&now, sizeof(now));
    return err == ERR_NOT_FOUND ? OK : err;
}

enum err given_key_valid(const struct given_key *k)
{
    struct access_key room;
    if (k->account.len == 0 || k->account.len >= sizeof(room.account.name) ||
        !is_printable(k->account, ""))
        return err_set(ERR_INVALID, "an account's name has 1 to %zu printable characters",
                       sizeof(room.account.name) - 1);
    return access_key_valid(k->access_key, k->secret);
}

static enum err put_if_needed(struct meta *m, const struct given_key *k, bool given)
{
    bool there = false;
    enum err err = given_key_valid(k);
    if (err == OK)
        err = is_there(m, k, given, &there);
    if (err != OK || there)
        return err;
    struct arena *a = arena_new(META_SMALL_ARENA);
    err = put(m, a, k, given ? KEY_GIVEN : KEY_ENABLED);
    arena_free(a);
    return err == OK ? is_there(m, k, given, &there) : err; /* into memory */
}

enum err account_key_put(struct meta *m, struct str account_name, struct str access_key,
                         struct str secret)
{
    struct given_key k = {account_name, access_key, secret};
    return put_if_needed(m, &k, false);
}

/* --- given keys ------------------------------------------------------------------------------- */

static bool is_given(struct str access_key, const struct given_key *keys, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(keys[i].access_key, access_key))
            return true;
    return false;
}

typedef struct sql_call *(*removal)(struct sql_unit *u, struct p_access_key access_key);

static enum err drop(struct meta *m, struct arena *a, struct str access_key, removal add,
                     bool *out_done)
{
    struct sql_unit u;
    change_of_key(&u, a, access_key);
    struct sql_call *c = add(&u, p_access_key(access_key));
    enum err err = meta_write(m, &u);
    *out_done = err == OK && c->changed > 0;
    if (err == OK)
        account_forget(m, access_key);
    return err;
}

static enum err drop_others(struct meta *m, struct arena *a, const struct given_key *keys,
                            size_t count)
{
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add_access_keys_given(&u);
    enum err err = sql_read(m->sql, &u);
    for (size_t i = 0; err == OK && i < c->rows; i++) {
        bool done = false;
        if (is_given(sql_str(c, i, 0), keys, count))
            continue;
        err = drop(m, a, sql_str(c, i, 0), sql_add_access_key_ungive, &done);
        if (done)
            log_info("removed access key " STR_FMT ": it is not in the configuration any more",
                     STR_ARG(sql_str(c, i, 0)));
    }
    return err;
}

enum err account_keys_give(struct meta *m, const struct given_key *keys, size_t count)
{
    enum err err = OK;
    for (size_t i = 0; err == OK && i < count; i++)
        err = put_if_needed(m, &keys[i], true);
    if (err != OK)
        return err;
    struct arena *a = arena_new(META_ROUND_ARENA);
    err = drop_others(m, a, keys, count);
    arena_free(a);
    return err;
}

/* --- kiseki key ------------------------------------------------------------------------------- */

static enum err check_own(struct meta *m, struct arena *a, struct str access_key)
{
    struct access_key now;
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add_access_key_get(&u, p_access_key(access_key));
    enum err err = sql_read(m->sql, &u);
    if (err != OK)
        return err;
    if (c->rows == 0 || !account_key_of(c, 0, &now))
        return err_set(ERR_NOT_FOUND, "there is no access key \"" STR_FMT "\"",
                       STR_ARG(access_key));
    if (account_is_root(&now.account))
        return err_set(ERR_DENIED, "this is the root key: to replace it, start the gateways with"
                                   " another KISEKI_ACCESS_KEY and KISEKI_SECRET_KEY (or remove"
                                   " the file `credentials` of the data folder)");
    if (now.given)
        return err_set(ERR_DENIED, "this key is given by KISEKI_TEST_USERS: take it out of there");
    return OK;
}

enum err account_key_enable(struct meta *m, struct str access_key, bool enabled)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_call *c = NULL;
    enum err err = check_own(m, a, access_key);
    if (err == OK) {
        struct sql_unit u;
        change_of_key(&u, a, access_key);
        c = sql_add_access_key_enable(&u, p_access_key(access_key),
                                      p_enabled(enabled ? KEY_ENABLED : KEY_DISABLED));
        err = meta_write(m, &u);
    }
    if (err == OK && c->changed == 0)
        err = err_set(ERR_NOT_FOUND, "the access key was removed meanwhile");
    account_forget(m, access_key);
    arena_free(a);
    return err;
}

enum err account_key_remove(struct meta *m, struct str access_key)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    bool done = false;
    enum err err = check_own(m, a, access_key);
    if (err == OK)
        err = drop(m, a, access_key, sql_add_access_key_drop, &done);
    if (err == OK && !done)
        err = err_set(ERR_NOT_FOUND, "the access key was removed meanwhile");
    arena_free(a);
    return err;
}

enum err account_keys_list(struct meta *m, struct arena *a, struct str after, size_t max,
                           struct access_key **out, size_t *out_count)
{
    *out = NULL;
    *out_count = 0;
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c =
        sql_add_access_keys_page(&u, p_after_access_key(after), p_most((int64_t)max));
    enum err err = sql_read(m->control, &u);
    struct access_key *list = err == OK ? arena_array(a, c->rows + 1, sizeof(*list)) : NULL;
    if (err == OK && list == NULL)
        err = err_set(ERR_NOMEM, "no memory for %zu access keys", c->rows);
    for (size_t i = 0; err == OK && i < c->rows; i++)
        if (account_key_of(c, i, &list[*out_count]))
            ++*out_count;
    *out = list;
    return err;
}
