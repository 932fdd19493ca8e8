/*
 * Signature version 2: what can be checked without the secret. v2_check.c has the rest.
 */
#include "gateway/sign/signature.h"

#include "base/clock.h"

static enum s3_code no_date(struct s3_error *error)
{
    return s3_fail(error, S3_ACCESS_DENIED,
                   "AWS authentication requires a valid Date or x-amz-date header");
}

static bool parse_date(struct str date, int64_t *out_ms)
{
    return clock_parse_any(date, out_ms) == OK && *out_ms >= 0;
}

/* "AWS <access key>:<base64>" */
enum s3_code auth_v2_parse_header(const struct auth_request *r, struct arena *arena,
                                  struct str value, struct auth *out, struct s3_error *error)
{
    int64_t signed_ms;
    struct str date;

    out->kind = AUTH_HEADER_V2;
    value = str_trim(str_sub(value, 4, value.len));
    size_t colon = value.len;
    while (colon > 0 && value.ptr[colon - 1] != ':') /* a signature has none, a key might */
        colon--;
    if (colon < 2)
        return s3_fail(error, S3_INVALID_ARGUMENT,
                       "Authorization header is invalid -- one and only one ' ' (space) required");
    out->access_key = str_sub(value, 0, colon - 1);
    out->signature = str_sub(value, colon, value.len);
    date = auth_header(r, STR("x-amz-date"));
    if (date.ptr == NULL)
        date = auth_header(r, STR("date"));
    date = str_trim(date);
    if (!parse_date(date, &signed_ms))
        return no_date(error);
    return auth_check_skew(r, arena, signed_ms, date, error);
}

enum s3_code auth_v2_parse_query(const struct auth_request *r, struct arena *arena,
                                 struct auth *out, struct s3_error *error)
{
    const struct sigv4_arg *key = auth_arg(r, STR("AWSAccessKeyId"));
    const struct sigv4_arg *signature = auth_arg(r, STR("Signature"));
    const struct sigv4_arg *expires = auth_arg(r, STR("Expires"));
    int64_t seconds;

    out->kind = AUTH_PRESIGNED_V2;
    if (key == NULL || signature == NULL || expires == NULL || key->value.len == 0)
        return s3_fail(error, S3_ACCESS_DENIED,
                       "Query-string authentication requires the Signature, Expires and "
                       "AWSAccessKeyId parameters");
    out->access_key = key->value;
    out->signature = signature->value;
    out->timestamp = expires->value;
    if (str_to_i64(expires->value, &seconds) != OK)
        return s3_fail(error, S3_ACCESS_DENIED, "Invalid date (should be seconds since epoch)");
    if (seconds > INT64_MAX / 1000 - 1)
        seconds = INT64_MAX / 1000 - 1;
    if (seconds < 0)
        seconds = 0;
    if (r->now_ms > seconds * 1000)
        return auth_expired(r, arena, seconds * 1000, error);
    return S3_OK;
}
