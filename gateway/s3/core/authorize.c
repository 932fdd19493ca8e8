#include "gateway/s3/core/authorize.h"

#include "base/log.h"
#include "gateway/s3/core/authenticate.h"
#include "gateway/s3/core/context.h"
#include "gateway/s3/core/expected_owner.h"
#include "gateway/s3/core/reply.h"

/* --- the decision ----------------------------------------------------------------------------- */

static struct authorize_answer ask(const struct s3_request *r, const char *action,
                                   enum resource resource, enum s3_role role)
{
    const struct bucket_context *context = r->buckets[role].context;
    struct authorize_question question = {.who = r->identity.who,
                                          .action = action,
                                          .resource = resource,
                                          .everybody = r->op->everybody,
                                          .bucket_owner = context != NULL ? context->owner : 0};
    struct authorize_answer answer = authorize(&question);

    if (!answer.allowed)
        log_debug("%s is denied: %s", action, answer.reason);
    return answer;
}

static bool decide(struct s3_request *r)
{
    const struct s3_op *op = r->op;
    bool of_version = op->version_action != NULL && s3_has_arg(r, "versionId");

    r->permit.grant = ask(r, of_version ? op->version_action : op->action, op->resource, S3_TARGET);
    r->permit.is_denied = !r->permit.grant.allowed || !expected_owner_holds(r, S3_TARGET) ||
                          !expected_owner_holds(r, S3_SOURCE);
    if (op->source_action != NULL && !r->permit.is_denied)
        r->permit.is_denied = !ask(r, op->source_action, RESOURCE_OBJECT, S3_SOURCE).allowed;
    return !r->permit.is_denied;
}

static enum s3_code denied(struct s3_request *r)
{
    return s3_fail(&r->error, S3_ACCESS_DENIED, NULL);
}

enum s3_next authorize_decide(struct s3_request *r)
{
    if (decide(r) || r->identity.who.kind != PRINCIPAL_ANONYMOUS)
        return S3_NEXT;
    return s3_phase_end(r, denied(r));
}

bool authorize_must_prove(const struct s3_request *r)
{
    return r->permit.is_denied;
}

/* --- the proof -------------------------------------------------------------------------------- */

void authorize_begin(struct s3_request *r)
{
    bool proven = r->permit.proof.proven; /* by an earlier step of this request */

    r->permit.proof = (struct access_proof){.key = &r->identity.key, .proven = proven};
    for (int role = 0; role < S3_ROLES; role++) {
        const struct s3_bucket_state *b = &r->buckets[role];

        if (b->wanted)
            r->permit.proof.buckets[role] = (struct access_bucket){
                .name = b->name,
                .id = b->context != NULL ? b->context->id : 0,
                .generation = b->context != NULL ? b->context->generation : 0};
    }
    access_begin(&r->permit.proof);
}

/* The key by its row, and the signature by the key. */
static enum s3_code reload_key(struct s3_request *r)
{
    enum err err = account_key_look_up(r->s3->meta, r->identity.auth.access_key, &r->identity.key);

    if (err == ERR_NOT_FOUND)
        return auth_check(&r->identity.request, r->arena, NULL, &r->identity.auth, &r->error);
    return err == OK ? authenticate_signature(r) : s3_fail_err(r, err, "look up the access key");
}

/* Loads what the last proof found to be stale. */
static enum s3_code reload(struct s3_request *r)
{
    bool of_bucket = r->permit.proof.refused == ACCESS_STALE_BUCKET;
    enum s3_code code;

    r->error = (struct s3_error){0};
    code = of_bucket ? S3_OK : reload_key(r);
    return code == S3_OK ? context_reload(r, of_bucket) : code;
}

static enum s3_code try_again(struct s3_request *r)
{
    if (++r->permit.tries < AUTHORIZE_TRIES)
        return S3_OK;
    return s3_fail(&r->error, S3_SLOW_DOWN,
                   "The access key or the bucket's configuration changes too often.");
}

/* Decides until it is allowed, or the denial is proven. */
static enum s3_code settle(struct s3_request *r)
{
    enum s3_code code = S3_OK;

    while (code == S3_OK && !decide(r)) {
        enum err err;

        authorize_begin(r);
        err = access_check(r->s3->meta);
        access_end();
        if (err == OK)
            return denied(r);
        if (r->permit.proof.refused == ACCESS_ALLOWED)
            return s3_fail_err(r, err, "prove a refusal");
        code = try_again(r);
        if (code == S3_OK)
            code = reload(r);
    }
    return code;
}

enum s3_next authorize_prove(struct s3_request *r)
{
    return s3_phase_end(r, settle(r));
}

/* What the operation has done, perhaps in part, stays done when it may not go on. */
static enum s3_code decide_again(struct s3_request *r, bool done, bool *out_again)
{
    enum s3_code code = try_again(r);

    if (code == S3_OK)
        code = reload(r);
    if (code == S3_OK)
        code = settle(r);
    *out_again = code == S3_OK;
    return done ? S3_OK : code;
}

enum s3_code authorize_end(struct s3_request *r, enum s3_code code, bool *out_again)
{
    const struct access_proof *p = &r->permit.proof;
    enum err err = OK;

    *out_again = false;
    if (code == S3_OK &&
        r->resume != NULL) { /* somebody may be about to call it: asks at the end */
        r->permit.proof.proven = p->proven && p->refused == ACCESS_ALLOWED;
        access_end();
        return code;
    }
    if (code == S3_OK && !p->proven && p->refused == ACCESS_ALLOWED)
        err = access_check(r->s3->meta);
    access_end();
    if (p->refused != ACCESS_ALLOWED)
        return decide_again(r, code == S3_OK && p->proven, out_again);
    return err == OK ? code : s3_fail_err(r, err, "prove the access key");
}
