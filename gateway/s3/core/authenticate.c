#include "gateway/s3/core/authenticate.h"

#include "gateway/s3/core/reply.h"

enum s3_code authenticate_signature(struct s3_request *r)
{
    struct auth_key key = {
        .secret = str_of(r->access.secret),
        .account_id = (int64_t)r->access.account.id,
        .enabled = r->access.enabled,
    };
    enum s3_code code;

    r->http->owner = r->access.account.id;
    r->who = (struct principal){
        .kind = account_is_root(&r->access.account) ? PRINCIPAL_OPERATOR : PRINCIPAL_ACCOUNT,
        .account = r->access.account.id,
    };
    code = auth_check(&r->auth_request, r->arena, &key, &r->auth, &r->error);
    return code == S3_OK ? s3_request_as_signed(r) : code;
}

/* Refusals that rest on what the database may have changed since the key was kept here. */
static bool is_about_key(enum s3_code code)
{
    return code == S3_INVALID_ACCESS_KEY_ID || code == S3_SIGNATURE_DOES_NOT_MATCH;
}

/*
 * Anybody can ask for keys that do not exist. So that they find no worker busy, only a share of the
 * workers answers such questions; what is too much is refused at once.
 */
static bool may_ask(struct s3_request *r)
{
    r->is_asking = atomic_fetch_add(&r->s3->asking, 1) < S3_ASKING_MAX;
    if (!r->is_asking)
        atomic_fetch_sub(&r->s3->asking, 1);
    return r->is_asking;
}

void authenticate_end(struct s3_request *r)
{
    if (r->is_asking)
        atomic_fetch_sub(&r->s3->asking, 1);
    r->is_asking = false;
}

enum s3_next authenticate(struct s3_request *r)
{
    enum s3_code code = auth_parse(&r->auth_request, r->arena, &r->auth, &r->error);

    if (code != S3_OK || r->auth.kind == AUTH_ANONYMOUS)
        return s3_phase_end(r, code);
    r->refused = S3_INVALID_ACCESS_KEY_ID;
    if (account_key_find(r->s3->meta, r->auth.access_key, &r->access) == OK)
        r->refused = authenticate_signature(r);
    if (!is_about_key(r->refused))
        return s3_phase_end(r, r->refused);
    return may_ask(r) ? S3_NEXT : s3_phase_end(r, s3_fail(&r->error, S3_SLOW_DOWN, NULL));
}

bool authenticate_must_ask(const struct s3_request *r)
{
    return r->is_asking;
}

/* What was refused by the same row stays refused. */
static enum s3_code ask_for_key(struct s3_request *r)
{
    struct access_key known = r->access;
    enum err err = account_key_look_up(r->s3->meta, r->auth.access_key, &r->access);

    authenticate_end(r);
    if (err == ERR_NOT_FOUND)
        return auth_check(&r->auth_request, r->arena, NULL, &r->auth, &r->error);
    if (err != OK)
        return s3_fail_err(r, err, "look up the access key");
    if (known.stored_len > 0 && known.enabled == r->access.enabled &&
        str_eq(access_key_stored(&known), access_key_stored(&r->access)))
        return r->refused;
    return authenticate_signature(r);
}

enum s3_next authenticate_ask(struct s3_request *r)
{
    return s3_phase_end(r, ask_for_key(r));
}
