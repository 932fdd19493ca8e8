#include "gateway/access/authorize.h"

static struct authorize_answer deny(const char *reason)
{
    return (struct authorize_answer){.allowed = false, .reason = reason};
}

static struct authorize_answer allow(uint64_t account, const char *reason)
{
    return (struct authorize_answer){.allowed = true, .reason = reason, .owns = account};
}

static struct authorize_answer ask_for_account(const struct authorize_question *question)
{
    uint64_t account = question->who.account;

    if (!resource_has_bucket(question->resource))
        return allow(account, "an account may list and make buckets");
    if (question->bucket_owner == 0)
        return allow(account, "there is no such bucket");
    return question->bucket_owner == account ? allow(account, "the bucket is the account's")
                                             : deny("the bucket is another account's");
}

struct authorize_answer authorize(const struct authorize_question *question)
{
    uint64_t account = question->who.account;

    if (question->everybody)
        return allow(account, "the operation is for everybody");
    switch (question->who.kind) {
    case PRINCIPAL_OPERATOR:
        return allow(account, "the operator's account may do everything");
    case PRINCIPAL_ACCOUNT:
        return ask_for_account(question);
    default:
        return deny("without a signature nothing is allowed");
    }
}

bool authorize_rests_on_bucket(const struct principal *who)
{
    return who->kind == PRINCIPAL_ACCOUNT;
}
