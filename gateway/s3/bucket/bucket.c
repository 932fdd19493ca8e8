/* Operations on a bucket itself: list, create, head, delete, location. */
#include "base/codec.h"
#include "gateway/s3/proto/names.h"
#include "gateway/s3/core/ops.h"
#include "gateway/s3/proto/xml_bodies.h"
#include "gateway/s3/proto/xml_write.h"
#include "meta/names/bucket.h"

#define ANSWER_MAX       ((size_t)8 << 20)
#define LIST_BUCKETS_MAX 10000

static enum s3_code bucket_code(struct s3_request *r, enum err err, const char *what)
{
    switch (err) {
    case OK:
        return S3_OK;
    case ERR_NOT_FOUND:
        return s3_fail_missing(r, META_MISSING_BUCKET);
    case ERR_NOT_EMPTY: {
        enum s3_code code = s3_fail(&r->error, S3_BUCKET_NOT_EMPTY, NULL);

        s3_error_add(&r->error, "BucketName", r->bucket);
        return code;
    }
    default:
        return s3_fail_err(r, err, what);
    }
}

/* --- ListBuckets ------------------------------------------------------------------------------ */

static enum s3_code list_parameters(struct s3_request *r, int64_t *max, struct buf *after)
{
    struct str token = s3_arg(r, "continuation-token");
    enum s3_code code = s3_arg_number(r, "max-buckets", INT32_MAX, LIST_BUCKETS_MAX, max);

    if (code == S3_OK && (*max < 1 || *max > LIST_BUCKETS_MAX))
        code = s3_fail_argument(&r->error,
                                "Argument max-buckets must be an integer between 1 and 10000",
                                "max-buckets", s3_arg(r, "max-buckets"));
    if (code != S3_OK)
        return code;
    if (percent_decode(after, token, PERCENT_PLUS_LITERAL) != OK)
        return s3_fail_argument(&r->error, "The continuation token provided is incorrect",
                                "continuation-token", token);
    return S3_OK;
}

static void write_buckets(struct s3_request *r, struct buf *xml, const struct bucket *buckets,
                          size_t count, bool more)
{
    bool paged = s3_has_arg(r, "max-buckets") || s3_has_arg(r, "prefix") ||
                 s3_has_arg(r, "continuation-token");

    xml_begin(xml);
    xml_open_root(xml, "ListAllMyBucketsResult");
    xml_open(xml, "Owner");
    xml_cstr(xml, "ID", r->identity.key.account.canonical_id);
    xml_cstr(xml, "DisplayName", r->identity.key.account.name);
    xml_close(xml, "Owner");
    xml_open(xml, "Buckets");
    for (size_t i = 0; i < count; i++) {
        xml_open(xml, "Bucket");
        xml_text(xml, "Name", buckets[i].name);
        xml_time(xml, "CreationDate", buckets[i].created_ms);
        if (paged)
            xml_text(xml, "BucketRegion", r->s3->region);
        xml_close(xml, "Bucket");
    }
    xml_close(xml, "Buckets");
    if (more && count > 0)
        xml_name(xml, "ContinuationToken", buckets[count - 1].name, true);
    if (s3_has_arg(r, "prefix"))
        xml_text(xml, "Prefix", s3_arg(r, "prefix"));
    xml_close(xml, "ListAllMyBucketsResult");
}

/* The buckets of the account that asks. */
enum s3_code op_list_buckets(struct s3_request *r)
{
    struct str region = s3_arg(r, "bucket-region");
    struct bucket *buckets = NULL;
    size_t count = 0;
    bool more = false;
    int64_t max;
    struct buf after, xml;
    enum err err = OK;
    enum s3_code code;

    buf_init(&after, 4096);
    code = list_parameters(r, &max, &after);
    if (code == S3_OK && (region.len == 0 || str_eq(region, r->s3->region)))
        err = bucket_list(r->s3->meta, r->arena, r->identity.who.account, s3_arg(r, "prefix"),
                          buf_str(&after), (size_t)max, &buckets, &count, &more);
    buf_fini(&after);
    if (code != S3_OK)
        return code;
    if (err != OK)
        return s3_fail_err(r, err, "list the buckets");
    buf_init(&xml, ANSWER_MAX);
    write_buckets(r, &xml, buckets, count, more);
    return s3_reply_xml(r, &xml);
}

/*
 * Answers everybody and says nothing: load balancers ask `HEAD /` whether a server is there, and
 * would take a refusal for a failure. Whether it can serve is what /ready says
 * (gateway/app/monitor.h).
 */
enum s3_code op_head_service(struct s3_request *r)
{
    return s3_reply_empty(r, 200);
}

/* --- one bucket ------------------------------------------------------------------------------- */

/* 200 for one's own bucket in us-east-1, 409 elsewhere, as S3 has it. */
static enum s3_code bucket_is_there(struct s3_request *r, const struct bucket *bucket)
{
    enum s3_code code;

    if (bucket->owner == r->identity.who.account && str_eq(r->s3->region, STR("us-east-1")))
        return S3_OK;
    code = s3_fail(&r->error,
                   bucket->owner == r->identity.who.account ? S3_BUCKET_ALREADY_OWNED_BY_YOU
                                                            : S3_BUCKET_ALREADY_EXISTS,
                   NULL);
    s3_error_add(&r->error, "BucketName", r->bucket);
    return code;
}

enum s3_code op_create_bucket(struct s3_request *r)
{
    struct bucket bucket;
    struct str location;
    enum err err;
    enum s3_code code = names_check_bucket(r->bucket, &r->error);

    if (code == S3_OK)
        code = xml_parse_create_bucket(r->arena, buf_str(&r->body), &location, &r->error);
    if (code == S3_OK && location.len > 0 && !names_region_valid(location)) {
        code = s3_fail(&r->error, S3_INVALID_LOCATION_CONSTRAINT, NULL);
        s3_error_add(&r->error, "LocationConstraint", str_sub(location, 0, NAMES_BUCKET_MAX));
    }
    if (code != S3_OK)
        return code;
    err = bucket_create(r->s3->meta, r->arena, r->bucket, r->permit.grant.owns,
                        location.len > 0 ? location : r->s3->region, &bucket);
    code =
        err == ERR_EXISTS ? bucket_is_there(r, &bucket) : bucket_code(r, err, "create the bucket");
    if (code != S3_OK)
        return code;
    s3_reply_empty(r, 200);
    s3_reply_header(r, "Location", str_of(arena_printf(r->arena, "/" STR_FMT, STR_ARG(r->bucket))));
    return S3_OK;
}

enum s3_code op_head_bucket(struct s3_request *r)
{
    if (r->buckets[S3_TARGET].context == NULL)
        return s3_fail_missing(r, META_MISSING_BUCKET);
    s3_reply_empty(r, 200);
    s3_reply_header(r, "x-amz-bucket-region", r->s3->region);
    s3_reply_header_cstr(r, "x-amz-access-point-alias", "false");
    return S3_OK;
}

enum s3_code op_delete_bucket(struct s3_request *r)
{
    enum s3_code code = bucket_code(r, bucket_delete(r->s3->meta, r->bucket), "delete the bucket");

    return code == S3_OK ? s3_reply_empty(r, 204) : code;
}

enum s3_code op_get_bucket_location(struct s3_request *r)
{
    const struct bucket_context *bucket = r->buckets[S3_TARGET].context;
    struct buf xml;

    if (bucket == NULL)
        return s3_fail_missing(r, META_MISSING_BUCKET);
    buf_init(&xml, ANSWER_MAX);
    xml_begin(&xml);
    xml_open_root(&xml, "LocationConstraint");
    if (!str_eq(bucket->region, STR("us-east-1")))
        xml_escape(&xml, bucket->region);
    xml_close(&xml, "LocationConstraint");
    return s3_reply_xml(r, &xml);
}
