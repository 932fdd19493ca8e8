#include "gateway/sign/verify.h"

#include "base/clock.h"
#include "gateway/sign/signature.h"

struct str auth_header(const struct auth_request *r, struct str name)
{
    for (size_t i = 0; i < r->header_count; i++)
        if (str_eq_nocase(r->headers[i].name, name))
            return r->headers[i].value.ptr != NULL ? r->headers[i].value : STR("");
    return STR_NONE;
}

struct str auth_host(const struct auth_request *r)
{
    return str_trim(r->host.len > 0 ? r->host : auth_header(r, STR("host")));
}

const struct sigv4_arg *auth_arg(const struct auth_request *r, struct str name)
{
    for (size_t i = 0; i < r->arg_count; i++)
        if (str_eq(r->args[i].name, name))
            return &r->args[i];
    return NULL;
}

const struct sigv4_arg *auth_arg_nocase(const struct auth_request *r, struct str name)
{
    for (size_t i = 0; i < r->arg_count; i++)
        if (str_eq_nocase(r->args[i].name, name))
            return &r->args[i];
    return NULL;
}

/* The time as S3 prints it in errors, in the arena. */
static struct str iso_text(struct arena *arena, int64_t ms)
{
    char text[CLOCK_TEXT_MAX];

    clock_iso(ms, text);
    return arena_str(arena, str_of(text));
}

enum s3_code auth_check_skew(const struct auth_request *r, struct arena *arena, int64_t signed_ms,
                             struct str as_sent, struct s3_error *error)
{
    int64_t skew = 0;

    /* Years up to 9999 are far from overflowing. */
    skew = signed_ms > r->now_ms ? signed_ms - r->now_ms : r->now_ms - signed_ms;
    if (skew <= AUTH_SKEW_MS)
        return S3_OK;
    s3_fail(error, S3_REQUEST_TIME_TOO_SKEWED, NULL);
    s3_error_add(error, "RequestTime", as_sent);
    s3_error_add(error, "ServerTime", iso_text(arena, r->now_ms));
    s3_error_add(error, "MaxAllowedSkewMilliseconds", STR("900000"));
    return S3_REQUEST_TIME_TOO_SKEWED;
}

enum s3_code auth_expired(const struct auth_request *r, struct arena *arena, int64_t end_ms,
                          struct s3_error *error)
{
    s3_fail(error, S3_ACCESS_DENIED, "Request has expired");
    s3_error_add(error, "Expires", iso_text(arena, end_ms));
    s3_error_add(error, "ServerTime", iso_text(arena, r->now_ms));
    return S3_ACCESS_DENIED;
}

enum s3_code auth_not_signed(struct str name, struct s3_error *error)
{
    s3_fail(error, S3_ACCESS_DENIED,
            "There were headers present in the request which were not signed");
    s3_error_add(error, "HeadersNotSigned", name);
    return S3_ACCESS_DENIED;
}

static size_t count_headers(const struct auth_request *r, struct str name)
{
    size_t count = 0;

    for (size_t i = 0; i < r->header_count; i++)
        count += str_eq_nocase(r->headers[i].name, name);
    return count;
}

static enum s3_code parse_header(const struct auth_request *r, struct arena *arena,
                                 struct str value, struct auth *out, struct s3_error *error)
{
    if (str_starts(value, STR("AWS4-HMAC-SHA256")))
        return auth_v4_parse_header(r, arena, value, out, error);
    if (str_starts(value, STR("AWS4-ECDSA-P256-SHA256")))
        return s3_fail(error, S3_NOT_IMPLEMENTED, "Signature version 4A is not implemented");
    if (str_starts(value, STR("AWS ")))
        return auth_v2_parse_header(r, arena, value, out, error);
    /* The value may be somebody's password: not echoed. */
    return s3_fail(error, S3_INVALID_ARGUMENT, "Unsupported Authorization Type");
}

enum s3_code auth_parse(const struct auth_request *r, struct arena *arena, struct auth *out,
                        struct s3_error *error)
{
    struct str name = STR("Authorization");
    struct str header = str_trim(auth_header(r, name));
    bool by_v4 = auth_arg(r, STR("X-Amz-Algorithm")) != NULL ||
                 auth_arg(r, STR("X-Amz-Credential")) != NULL ||
                 auth_arg(r, STR("X-Amz-Signature")) != NULL;
    bool by_v2 =
        auth_arg(r, STR("AWSAccessKeyId")) != NULL || auth_arg(r, STR("Signature")) != NULL;

    *out = (struct auth){.kind = AUTH_ANONYMOUS};
    if ((header.len > 0) + by_v4 + by_v2 > 1 || count_headers(r, name) > 1)
        return s3_fail(error, S3_INVALID_ARGUMENT,
                       "Only one auth mechanism allowed; only the X-Amz-Algorithm query "
                       "parameter, Signature query string parameter or the Authorization header "
                       "should be specified");
    /* Tokens belong to temporary keys, which this gateway does not issue. */
    if (auth_header(r, STR("x-amz-security-token")).len > 0 ||
        auth_arg_nocase(r, STR("x-amz-security-token")) != NULL)
        return s3_fail(error, S3_INVALID_TOKEN, NULL);

    enum s3_code code = S3_OK;
    if (header.len > 0)
        code = parse_header(r, arena, header, out, error);
    else if (by_v4)
        code = auth_v4_parse_query(r, arena, out, error);
    else if (by_v2)
        code = auth_v2_parse_query(r, arena, out, error);
    return code == S3_OK ? auth_parse_payload(r, out, error) : code;
}

/*
 * Two values of one argument in a URL: version 4 sorts them and version 2 covers some only, so that
 * a holder of the URL could choose which of them an operation sees first.
 */
static enum s3_code check_repeated(const struct auth *a, struct s3_error *error)
{
    for (size_t i = 1; i < a->arg_count; i++) {
        for (size_t k = 0; k < i; k++)
            if (str_eq(a->args[i].name, a->args[k].name) &&
                !str_eq(a->args[i].value, a->args[k].value))
                return s3_fail_argument(error, "A presigned URL has this argument with two values",
                                        "query", a->args[i].name);
    }
    return S3_OK;
}

static bool is_presigned(const struct auth *a)
{
    return a->kind == AUTH_PRESIGNED_V4 || a->kind == AUTH_PRESIGNED_V2;
}

enum s3_code auth_check(const struct auth_request *r, struct arena *arena,
                        const struct auth_key *key, struct auth *auth, struct s3_error *error)
{
    if (auth->kind == AUTH_ANONYMOUS)
        return s3_fail(error, S3_ACCESS_DENIED, NULL);
    if (key == NULL || !key->enabled) {
        s3_fail(error, S3_INVALID_ACCESS_KEY_ID, NULL);
        s3_error_add(error, "AWSAccessKeyId", auth->access_key);
        return S3_INVALID_ACCESS_KEY_ID;
    }
    auth->account_id = key->account_id;
    auth->args = r->args;
    auth->arg_count = r->arg_count;
    bool is_v4 = auth->kind == AUTH_HEADER_V4 || auth->kind == AUTH_PRESIGNED_V4;
    enum s3_code code = (is_v4 ? auth_v4_check : auth_v2_check)(r, arena, key, auth, error);
    return code == S3_OK && is_presigned(auth) ? check_repeated(auth, error) : code;
}

enum err auth_verify(const struct auth_request *r, struct arena *arena, auth_lookup lookup,
                     void *context, struct auth *out, struct s3_error *error)
{
    struct auth_key key = {0};

    enum s3_code code = auth_parse(r, arena, out, error);
    if (code == S3_OK && out->kind != AUTH_ANONYMOUS) {
        enum err err = lookup(context, out->access_key, &key);
        if (err != OK && err != ERR_NOT_FOUND)
            return err;
        code = auth_check(r, arena, err == OK ? &key : NULL, out, error);
    }
    return code == S3_OK ? OK : err_set(ERR_DENIED, "%s", s3_code_name(code));
}
