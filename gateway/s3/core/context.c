#include "gateway/s3/core/context.h"

#include "gateway/s3/core/authorize.h"
#include "gateway/s3/core/expected_owner.h"
#include "gateway/s3/core/reply.h"
#include "gateway/s3/proto/names.h"

/* "" when there is none, or none that the handler would take. */
static struct str source_bucket(struct s3_request *r)
{
    struct copy_source source;
    struct s3_error ignored;

    if (r->op->source_action != NULL &&
        names_copy_source(r->arena, s3_header(r, "x-amz-copy-source"), PERCENT_PLUS_LITERAL,
                          &source, &ignored) == S3_OK)
        return source.bucket;
    return STR_NONE;
}

/* Does anything rest on this bucket? */
static bool is_wanted(const struct s3_request *r, enum s3_role role)
{
    if (r->op->handle == NULL || r->buckets[role].name.len == 0 ||
        r->identity.who.kind == PRINCIPAL_ANONYMOUS)
        return false;
    return authorize_rests_on_bucket(&r->identity.who) || expected_owner_given(r, role) ||
           (role == S3_TARGET && r->op->reads_context);
}

enum s3_next context_find(struct s3_request *r)
{
    if (resource_has_bucket(r->op->resource))
        r->buckets[S3_TARGET].name = r->bucket;
    r->buckets[S3_SOURCE].name = source_bucket(r);
    for (int role = 0; role < S3_ROLES; role++) {
        struct s3_bucket_state *b = &r->buckets[role];

        b->wanted = is_wanted(r, (enum s3_role)role);
        if (b->wanted)
            b->context = bucket_context_find(r->s3->contexts, b->name);
    }
    return S3_NEXT;
}

bool context_must_load(const struct s3_request *r)
{
    for (int role = 0; role < S3_ROLES; role++)
        if (r->buckets[role].wanted && r->buckets[role].context == NULL)
            return true;
    return false;
}

/* A bucket that is not there stays without a context: the handler answers NoSuchBucket. */
static enum s3_code load(struct s3_request *r, struct s3_bucket_state *b)
{
    enum err err;

    bucket_context_unref(b->context);
    err = bucket_context_load(r->s3->contexts, b->name, &b->context);
    return err == OK || err == ERR_NOT_FOUND ? S3_OK : s3_fail_err(r, err, "look at the bucket");
}

static enum s3_code load_all(struct s3_request *r, bool known_too)
{
    enum s3_code code = S3_OK;

    for (int role = 0; code == S3_OK && role < S3_ROLES; role++) {
        struct s3_bucket_state *b = &r->buckets[role];

        if (b->wanted && (known_too || b->context == NULL))
            code = load(r, b);
    }
    return code;
}

enum s3_next context_load(struct s3_request *r)
{
    return s3_phase_end(r, load_all(r, false));
}

/* The key may be another account's by now, whose requests rest on more. */
enum s3_code context_reload(struct s3_request *r, bool known_too)
{
    for (int role = 0; role < S3_ROLES; role++)
        r->buckets[role].wanted = is_wanted(r, (enum s3_role)role);
    return load_all(r, known_too);
}

void context_end(struct s3_request *r)
{
    for (int role = 0; role < S3_ROLES; role++) {
        bucket_context_unref(r->buckets[role].context);
        r->buckets[role].context = NULL;
    }
}
