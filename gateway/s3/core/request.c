/*
 * An HTTP request becomes an S3 request: bucket and key, headers in one form, arguments; and how
 * handlers read them.
 */
#include "base/clock.h"
#include "gateway/s3/core/headers.h"
#include "gateway/s3/proto/names.h"
#include "gateway/s3/core/request.h"

/* HTTP/'s headers and arguments in the form that the pure parts take. */
static enum s3_code make_views(struct s3_request *r)
{
    const struct http_request *http = r->http;
    const struct http_target *target = &http->target;
    struct sigv4_header *headers = arena_array(r->arena, http->header_count + 1, sizeof(*headers));
    struct sigv4_arg *args = arena_array(r->arena, target->arg_count + 1, sizeof(*args));

    if (headers == NULL || args == NULL)
        return s3_fail_memory(&r->error);
    for (size_t i = 0; i < http->header_count; i++) {
        headers[i].name = http->headers[i].name;
        headers[i].value = http->headers[i].value;
    }
    for (size_t i = 0; i < target->arg_count; i++) {
        args[i].name = target->args[i].name;
        args[i].value = target->args[i].has_value ? target->args[i].value : STR_NONE;
    }
    r->headers = headers;
    r->header_count = http->header_count;
    r->args = args;
    r->arg_count = target->arg_count;
    return S3_OK;
}

/* The client's clock is compared with ours at the time when the request arrived. */
static void make_auth_request(struct s3_request *r)
{
    const struct http_target *target = &r->http->target;

    r->identity.request = (struct auth_request){
        .method = r->http->method,
        .host = r->http->host,
        .raw_path = target->raw_path,
        .path = target->path,
        .raw_query = target->raw_query,
        .args = r->args,
        .arg_count = r->arg_count,
        .headers = r->headers,
        .header_count = r->header_count,
        .now_ms = clock_wall_ms(),
        .domains = r->s3->domains,
        .domain_count = r->s3->domain_count,
    };
}

/* Bucket and key by the host and the path, as they were sent. */
static enum s3_code find_names(struct s3_request *r)
{
    const struct http_request *http = r->http;
    struct str path = http->target.path;
    struct str bucket = names_host_bucket(http->host, r->s3->domains, r->s3->domain_count);

    if (path.len == 0 || path.ptr[0] != '/') { /* asterisk form, which is for OPTIONS only */
        if (!str_eq(http->method, STR("OPTIONS")))
            return s3_fail(&r->error, S3_INVALID_URI, NULL);
        return S3_OK;
    }
    if (bucket.len > 0) {
        r->bucket = names_lower(r->arena, bucket);
        r->key = str_sub(path, 1, path.len);
        return r->bucket.ptr != NULL ? S3_OK : s3_fail_memory(&r->error);
    }
    names_split_path(path, &r->bucket, &r->key);
    if (r->bucket.len > 0 || path.len == 1)
        return S3_OK;
    r->key = STR_NONE; /* "//key" is a bucket of no name, not the service */
    s3_fail(&r->error, S3_INVALID_BUCKET_NAME, NULL);
    s3_error_add(&r->error, "BucketName", STR(""));
    return S3_INVALID_BUCKET_NAME;
}

/* Those that stand in the query of a presigned URL, too; each that S3 knows at most once. */
static enum s3_code find_headers(struct s3_request *r)
{
    enum s3_code code =
        auth_headers(&r->identity.request, r->arena, &r->headers, &r->header_count, &r->error);

    return code == S3_OK ? headers_normalize(r) : code;
}

enum s3_code s3_request_open(struct s3_request *r)
{
    enum s3_code code = make_views(r);

    if (code != S3_OK)
        return code;
    make_auth_request(r);
    code = find_names(r);
    return code == S3_OK ? find_headers(r) : code;
}

enum s3_code s3_request_as_signed(struct s3_request *r)
{
    if (r->identity.auth.args == r->args)
        return S3_OK;
    r->args = r->identity.auth.args;
    r->arg_count = r->identity.auth.arg_count;
    r->identity.request.args = r->args;
    r->identity.request.arg_count = r->arg_count;
    return find_headers(r);
}

static const struct sigv4_arg *find_arg(const struct s3_request *r, const char *name)
{
    for (size_t i = 0; i < r->arg_count; i++)
        if (str_eq(r->args[i].name, str_of(name)))
            return &r->args[i];
    return NULL;
}

struct str s3_arg(const struct s3_request *r, const char *name)
{
    const struct sigv4_arg *arg = find_arg(r, name);

    if (arg == NULL)
        return STR_NONE;
    return arg->value.ptr != NULL ? arg->value : STR("");
}

bool s3_has_arg(const struct s3_request *r, const char *name)
{
    return find_arg(r, name) != NULL;
}

struct str s3_header(const struct s3_request *r, const char *name)
{
    for (size_t i = 0; i < r->header_count; i++)
        if (str_eq_nocase(r->headers[i].name, str_of(name)))
            return r->headers[i].value.ptr != NULL ? r->headers[i].value : STR("");
    return STR_NONE;
}

bool s3_has_conditions(const struct s3_request *r)
{
    return s3_header(r, "if-match").ptr != NULL || s3_header(r, "if-none-match").ptr != NULL;
}

enum s3_code s3_arg_number(struct s3_request *r, const char *name, int64_t max, int64_t fallback,
                           int64_t *out)
{
    struct str text = s3_arg(r, name);
    uint64_t value;

    *out = fallback;
    if (text.len == 0)
        return S3_OK;
    if (str_to_u64(text, &value) != OK || value > INT32_MAX)
        return s3_fail_argument(&r->error, "Argument must be an integer between 0 and 2147483647",
                                name, text);
    *out = value > (uint64_t)max ? max : (int64_t)value;
    return S3_OK;
}

enum s3_code s3_version_id(struct s3_request *r, struct str *out)
{
    *out = s3_arg(r, "versionId");
    if (out->len == 0) {
        if (out->ptr == NULL)
            return S3_OK;
        return s3_fail_argument(&r->error, "Version id cannot be the empty string", "versionId",
                                *out);
    }
    if (str_eq(*out, STR("null")))
        return S3_OK;
    return s3_fail_argument(&r->error, "Invalid version id specified", "versionId", *out);
}
