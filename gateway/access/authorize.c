#include "gateway/access/authorize.h"

static struct authorize_answer deny(const char *reason)
{
    return (struct authorize_answer){.allowed = false, .reason = reason};
}

static struct authorize_answer allow(uint64_t account, uint64_t bucket_owner, const char *reason)
{
    return (struct authorize_answer){
        .allowed = true, .reason = reason, .bucket_owner = bucket_owner, .owns = account};
}

struct authorize_answer authorize(const struct authorize_question *question)
{
    uint64_t account = question->who.account;

    if (question->everybody)
        return allow(account, 0, "the operation is for everybody");
    switch (question->who.kind) {
    case PRINCIPAL_OPERATOR:
        return allow(account, 0, "the operator's account may do everything");
    case PRINCIPAL_ACCOUNT:
        if (!resource_has_bucket(question->resource))
            return allow(account, 0, "an account may list and make buckets");
        return allow(account, account, "an account may act on its own buckets");
    default:
        return deny("without a signature nothing is allowed");
    }
}
