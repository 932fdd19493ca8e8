/*
 * Who may do what: one function, asked for every operation by the authorize phase
 * (gateway/s3/core/phases.h), never by a handler.
 *
 * Until there are policies the rule is short. The account `root` may do everything. Any other
 * account may list and make buckets, and act on those that it made and on what is in them. Nobody
 * may do anything without a signature, but for what the row of an operation gives to everybody.
 *
 * The function is pure: it decides by what it is told, and the statements that do the request's
 * work prove that it is still so (meta/access/access.h): so a decision costs no round trip, and
 * holds at the moment of the commit. A bucket that does not exist is refused to nobody: the handler
 * answers NoSuchBucket.
 *
 * Threads: any. Nothing is owned.
 */
#ifndef KISEKI_GATEWAY_ACCESS_AUTHORIZE_H
#define KISEKI_GATEWAY_ACCESS_AUTHORIZE_H

#include <stdbool.h>
#include <stdint.h>

/* What an action is done to. */
enum resource {
    RESOURCE_NONE,       /* the account itself: ListBuckets */
    RESOURCE_NEW_BUCKET, /* a name that is nobody's yet */
    RESOURCE_BUCKET,
    RESOURCE_OBJECT, /* one that is there or one that is made, in a bucket that is there */
    RESOURCE_OBJECTS /* those that the body names, all of one bucket */
};

/* It is of a bucket that must be there, and whose owner counts. */
static inline bool resource_has_bucket(enum resource resource)
{
    return resource >= RESOURCE_BUCKET;
}

/* Who asks. */
enum principal_kind {
    PRINCIPAL_ANONYMOUS, /* no signature */
    PRINCIPAL_ACCOUNT,   /* a key of the account */
    PRINCIPAL_OPERATOR   /* the account `root`, whose gateways these are */
};

struct principal {
    enum principal_kind kind;
    uint64_t account; /* 0: anonymous */
};

struct authorize_question {
    struct principal who;
    const char *action; /* "s3:GetObject" */
    enum resource resource;
    bool everybody;        /* the operation needs no account */
    uint64_t bucket_owner; /* 0: there is no such bucket, or none is in question */
};

struct authorize_answer {
    bool allowed;
    const char *reason; /* for the debug log; a constant */
    uint64_t owns;      /* the account that owns what the operation makes; 0: it makes nothing */
};

struct authorize_answer authorize(const struct authorize_question *question);
/* Whether its answer may depend on the bucket. */
bool authorize_rests_on_bucket(const struct principal *who);

#endif
