#include "gateway/s3/core/authorize.h"

#include "base/log.h"
#include "gateway/s3/core/authenticate.h"
#include "gateway/s3/core/expected_owner.h"
#include "gateway/s3/core/reply.h"

static struct authorize_answer ask(const struct s3_request *r, const char *action,
                                   enum resource resource)
{
    struct authorize_question question = {.who = r->identity.who,
                                          .action = action,
                                          .resource = resource,
                                          .everybody = r->op->everybody};
    struct authorize_answer answer = authorize(&question);

    if (!answer.allowed)
        log_debug("%s is denied: %s", action, answer.reason);
    return answer;
}

enum s3_code authorize_request(struct s3_request *r)
{
    const struct s3_op *op = r->op;
    bool of_version = op->version_action != NULL && s3_has_arg(r, "versionId");

    r->permit.grant = ask(r, of_version ? op->version_action : op->action, op->resource);
    if (op->source_action != NULL)
        r->permit.source_grant = ask(r, op->source_action, RESOURCE_OBJECT);
    if (r->permit.grant.allowed && (op->source_action == NULL || r->permit.source_grant.allowed))
        return S3_OK;
    return s3_fail(&r->error, S3_ACCESS_DENIED, NULL);
}

bool authorize_wants_owner(const struct s3_request *r)
{
    return r->permit.grant.bucket_owner != 0 || r->permit.source_grant.bucket_owner != 0;
}

/* Whose the bucket must be, as the decision or expected_owner.c has it; 0: anybody's. */
static uint64_t owner_of(const struct s3_request *r, enum owner_of which)
{
    const struct authorize_answer *grant =
        which == OWNER_OF_SOURCE ? &r->permit.source_grant : &r->permit.grant;

    return grant->bucket_owner != 0 ? grant->bucket_owner : r->permit.expected_owner[which];
}

void authorize_begin(struct s3_request *r)
{
    bool proven = r->permit.proof.proven; /* by an earlier step of this request */
    uint64_t source_owner;

    r->permit.proof = (struct access_proof){.key = &r->identity.key, .proven = proven};
    expected_owner_require(r, OWNER_OF_BUCKET, r->bucket, owner_of(r, OWNER_OF_BUCKET));
    source_owner = owner_of(r, OWNER_OF_SOURCE);
    if (source_owner != 0)
        expected_owner_require(r, OWNER_OF_SOURCE, r->source_bucket, source_owner);
    access_begin(&r->permit.proof);
}

/* The key's row changed while the request was running. */
static enum s3_code decide_again(struct s3_request *r)
{
    enum err err = account_key_look_up(r->s3->meta, r->identity.auth.access_key, &r->identity.key);
    enum s3_code code;

    if (err == ERR_NOT_FOUND)
        return auth_check(&r->identity.request, r->arena, NULL, &r->identity.auth, &r->error);
    if (err != OK)
        return s3_fail_err(r, err, "look up the access key");
    code = authenticate_signature(r);
    return code == S3_OK ? s3_fail(&r->error, S3_SLOW_DOWN, NULL) : code;
}

enum s3_code authorize_end(struct s3_request *r, enum s3_code code)
{
    const struct access_proof *p = &r->permit.proof;
    enum err err = OK;

    if (code == S3_OK && !p->proven && p->refused == ACCESS_ALLOWED && r->resume == NULL)
        err = access_check(r->s3->meta);
    access_end();
    if (p->refused == ACCESS_FOREIGN)
        return s3_fail(&r->error, S3_ACCESS_DENIED, NULL);
    if (p->refused == ACCESS_STALE && (code != S3_OK || !p->proven))
        return decide_again(r);
    return err == OK ? code : s3_fail_err(r, err, "prove the access key");
}
