#include "gateway/s3/core/authenticate.h"

#include "gateway/s3/core/reply.h"

enum s3_code authenticate_signature(struct s3_request *r)
{
    struct auth_key key = {
        .secret = str_of(r->identity.key.secret),
        .account_id = (int64_t)r->identity.key.account.id,
        .enabled = r->identity.key.enabled,
    };
    enum s3_code code;

    r->http->owner = r->identity.key.account.id;
    r->identity.who = (struct principal){
        .kind = account_is_root(&r->identity.key.account) ? PRINCIPAL_OPERATOR : PRINCIPAL_ACCOUNT,
        .account = r->identity.key.account.id,
    };
    code = auth_check(&r->identity.request, r->arena, &key, &r->identity.auth, &r->error);
    return code == S3_OK ? s3_request_as_signed(r) : code;
}

/* Refusals that rest on what the database may have changed since the key was kept here. */
static bool is_about_key(enum s3_code code)
{
    return code == S3_INVALID_ACCESS_KEY_ID || code == S3_SIGNATURE_DOES_NOT_MATCH;
}

/*
 * Anybody can ask for keys that do not exist. So that this cannot occupy all workers, only a share
 * of them answers such questions; further ones are refused at once.
 */
static bool may_ask(struct s3_request *r)
{
    r->identity.is_asking = atomic_fetch_add(&r->s3->asking, 1) < S3_ASKING_MAX;
    if (!r->identity.is_asking)
        atomic_fetch_sub(&r->s3->asking, 1);
    return r->identity.is_asking;
}

void authenticate_end(struct s3_request *r)
{
    if (r->identity.is_asking)
        atomic_fetch_sub(&r->s3->asking, 1);
    r->identity.is_asking = false;
}

enum s3_next authenticate(struct s3_request *r)
{
    enum s3_code code = auth_parse(&r->identity.request, r->arena, &r->identity.auth, &r->error);

    if (code != S3_OK || r->identity.auth.kind == AUTH_ANONYMOUS)
        return s3_phase_end(r, code);
    r->identity.refused = S3_INVALID_ACCESS_KEY_ID;
    if (account_key_find(r->s3->meta, r->identity.auth.access_key, &r->identity.key) == OK)
        r->identity.refused = authenticate_signature(r);
    if (!is_about_key(r->identity.refused))
        return s3_phase_end(r, r->identity.refused);
    return may_ask(r) ? S3_NEXT : s3_phase_end(r, s3_fail(&r->error, S3_SLOW_DOWN, NULL));
}

bool authenticate_must_ask(const struct s3_request *r)
{
    return r->identity.is_asking;
}

/* What was refused by the same row stays refused. */
static enum s3_code ask_for_key(struct s3_request *r)
{
    struct access_key known = r->identity.key;
    enum err err = account_key_look_up(r->s3->meta, r->identity.auth.access_key, &r->identity.key);

    authenticate_end(r);
    if (err == ERR_NOT_FOUND)
        return auth_check(&r->identity.request, r->arena, NULL, &r->identity.auth, &r->error);
    if (err != OK)
        return s3_fail_err(r, err, "look up the access key");
    if (known.stored_len > 0 && known.enabled == r->identity.key.enabled &&
        str_eq(access_key_stored(&known), access_key_stored(&r->identity.key)))
        return r->identity.refused;
    return authenticate_signature(r);
}

enum s3_next authenticate_ask(struct s3_request *r)
{
    return s3_phase_end(r, ask_for_key(r));
}
