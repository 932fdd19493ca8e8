#include "gateway/s3/pipeline.h"

/*
 * Every x-amz-* header is one of three things: built (here by name or prefix), built for some
 * values or operations, or refused with 501. Nothing is ignored because nobody thought of it.
 */
static const char *const built[] = {
    "x-amz-date",
    "x-amz-content-sha256",
    "x-amz-decoded-content-length",
    "x-amz-trailer",
    "x-amz-te",
    "x-amz-user-agent",
    "x-amz-api-version",
    "x-amz-storage-class",
    "x-amz-metadata-directive",
    "x-amz-object-attributes",
    "x-amz-optional-object-attributes",
    "x-amz-max-parts",
    "x-amz-part-number-marker",
    "x-amz-mp-object-size",
    "x-amz-expected-bucket-owner",
    "x-amz-request-payer",               /* nobody pays: no effect */
    "x-amz-bypass-governance-retention", /* nothing is retained: no effect */
    "x-amz-if-match-size",
    "x-amz-if-match-last-modified-time",
};

static const char *const built_prefixes[] = {
    "x-amz-meta-",
    "x-amz-checksum-",
    "x-amz-sdk-",
};

/* Values of other headers that ask for nothing that is not so anyway. */
static const struct {
    const char *name;
    const char *value;
} built_values[] = {
    {"x-amz-acl", "private"},
    {"x-amz-acl", "bucket-owner-full-control"},
    {"x-amz-object-ownership", "BucketOwnerEnforced"},
    {"x-amz-bucket-object-lock-enabled", "false"},
    {"x-amz-tagging-directive", "COPY"},
    {"x-amz-object-lock-legal-hold", "OFF"},
};

/* Of CopyObject and UploadPartCopy; of a range only where there are parts. */
static bool is_built_for_copies(const struct s3_op *op, struct str name)
{
    if (str_eq_nocase(name, STR("x-amz-copy-source-range")))
        return op->query != NULL;
    return str_eq_nocase(name, STR("x-amz-copy-source")) ||
           str_eq_nocase(name, STR("x-amz-source-expected-bucket-owner")) ||
           str_starts_nocase(name, STR("x-amz-copy-source-if-"));
}

static bool is_built(const struct s3_request *r, struct str name, struct str value)
{
    for (size_t i = 0; i < sizeof(built) / sizeof(built[0]); i++) {
        if (str_eq_nocase(name, str_of(built[i])))
            return true;
    }
    for (size_t i = 0; i < sizeof(built_prefixes) / sizeof(built_prefixes[0]); i++) {
        if (str_starts_nocase(name, str_of(built_prefixes[i])))
            return true;
    }
    for (size_t i = 0; i < sizeof(built_values) / sizeof(built_values[0]); i++) {
        if (str_eq_nocase(name, str_of(built_values[i].name)) &&
            str_eq(value, str_of(built_values[i].value)))
            return true;
    }
    if (r->op->appends && str_eq_nocase(name, STR("x-amz-write-offset-bytes")))
        return true;
    return r->op->header != NULL && is_built_for_copies(r->op, name);
}

/* A commit compares with one ETag or with `*`: a list, or a second header, would go unjudged. */
static bool is_one_etag(const struct s3_request *r, struct str name, struct str value)
{
    size_t count = 0;

    for (size_t i = 0; i < r->header_count; i++)
        count += str_eq_nocase(r->headers[i].name, name) ? 1 : 0;
    return count == 1 && str_find(value, ',') == value.len;
}

/*
 * Standard headers that would make something else of a write: conditions that nothing judges, and
 * a range of the object, which is not what PUT writes (RFC 9110 14.5).
 */
static bool is_unjudged(const struct s3_request *r, struct str name, struct str value)
{
    if (str_eq(r->http->method, STR("GET")) || str_eq(r->http->method, STR("HEAD")))
        return false;
    if (str_eq_nocase(name, STR("if-match")) || str_eq_nocase(name, STR("if-none-match")))
        return !r->op->conditions || !is_one_etag(r, name, value);
    return !r->op->patches && (str_eq_nocase(name, STR("if-unmodified-since")) ||
                               str_eq_nocase(name, STR("content-range")));
}

enum s3_code s3_refuse_headers(struct s3_request *r)
{
    for (size_t i = 0; i < r->header_count; i++) {
        struct str name = r->headers[i].name;
        struct str value = r->headers[i].value;
        enum s3_code code;

        if (str_starts_nocase(name, STR("x-amz-")) ? is_built(r, name, value)
                                                   : !is_unjudged(r, name, value))
            continue;
        if (str_eq_nocase(name, STR("x-amz-security-token")))
            return s3_fail(&r->error, S3_INVALID_TOKEN, NULL);
        code = s3_fail(&r->error, S3_NOT_IMPLEMENTED, NULL);
        s3_error_add(&r->error, "Header", name);
        return code;
    }
    return S3_OK;
}
