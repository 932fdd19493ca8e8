/* The master key at start: it must be the volume's; under a first one, what was plain is sealed. */
#include "base/log.h"
#include "meta/access/account_internal.h"
#include "meta/core/handle.h"
#include "meta/core/seal.h"

#define KEYS_ARENA     (256u << 20)  /* about 500,000 access keys */
#define KEY_CHECK_TEXT STR("kiseki") /* what the proof of the master key seals */

/* Is the volume's proof, if it has one, of our key? *out_missing: it has none. */
static enum err check_key(struct meta *m, struct arena *a, bool *out_missing)
{
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add_volume_get(&u);
    enum err err = sql_read(m->control, &u);
    if (err != OK)
        return err;
    *out_missing = sql_is_null(c, 0, 5);
    if (*out_missing)
        return OK;
    if (!m->has_master_key)
        return err_set(ERR_DENIED, "this volume's secrets are sealed under a master key:"
                                   " set KISEKI_MASTER_KEY");
    struct str text;
    err = unseal(m->master_key, str_of(m->volume.uuid), sql_str(c, 0, 5), a, &text);
    if (err == ERR_DENIED)
        return err_set(ERR_DENIED,
                       "the master key is not this volume's: set KISEKI_MASTER_KEY"
                       " to the key that volume %s was sealed under",
                       m->volume.uuid);
    return err;
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
        enum err err = unseal(NULL, name, stored, a, &secret);
        if (err == OK)
            err = seal(m->master_key, name, secret, a, &sealed);
        if (err != OK)
            return err;
        sql_add_secret_seal(u, p_access_key(name), p_plain(stored), p_secret(sealed),
                            p_key_check(proof));
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
    struct sql_call *keys = sql_add_access_keys_all(&get);
    enum err err = sql_read(m->control, &get);
    struct str proof = STR_NONE;
    if (err == OK)
        err = seal(m->master_key, str_of(m->volume.uuid), KEY_CHECK_TEXT, a, &proof);
    if (err != OK)
        return err;
    sql_unit_init(&set, SQL_WRITE, a);
    sql_add_key_check_set(&set, p_key_check(proof));
    err = add_seals(m, a, keys, proof, &set);
    if (err == OK)
        err = sql_write(m->control, &set);
    if (err == OK && set.first->changed == 1)
        log_info("secrets of volume %s are sealed under the master key", m->volume.uuid);
    return err;
}

enum err account_open(struct meta *m)
{
    struct arena *a = arena_new(KEYS_ARENA);
    bool missing = false;
    enum err err = check_key(m, a, &missing);
    if (err == OK && missing && m->has_master_key) {
        err = adopt_key(m, a);
        if (err == OK)
            err = check_key(m, a, &missing);
    }
    arena_free(a);
    return err == OK ? account_preload(m) : err;
}
