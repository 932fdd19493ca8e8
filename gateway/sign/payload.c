/*
 * Parses x-amz-content-sha256: how the body comes, signed or not, in chunks or not, and which hash
 * it must have. The table of its values is S3's.
 */
#include "gateway/sign/signature.h"

static const struct {
    const char *text;
    enum auth_payload payload;
} kinds[] = {
    {"UNSIGNED-PAYLOAD", AUTH_PAYLOAD_UNSIGNED},
    {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", AUTH_PAYLOAD_CHUNKED},
    {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", AUTH_PAYLOAD_CHUNKED_TRAILER},
    {"STREAMING-UNSIGNED-PAYLOAD-TRAILER", AUTH_PAYLOAD_UNSIGNED_TRAILER},
};

static enum s3_code parse_kind(struct str value, struct auth *out, struct s3_error *error)
{
    if (str_starts(value, STR("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD")))
        return s3_fail(error, S3_NOT_IMPLEMENTED, "Signature version 4A is not implemented");
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (str_eq(value, str_of(kinds[i].text))) {
            out->payload = kinds[i].payload;
            out->framed = out->payload >= AUTH_PAYLOAD_CHUNKED;
            return S3_OK;
        }
    }
    if (hex_decode(value, out->payload_sha256, sizeof(out->payload_sha256)) == OK) {
        out->payload = AUTH_PAYLOAD_SHA256;
        return S3_OK;
    }
    return s3_fail_argument(
        error,
        "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a "
        "valid sha256 value.",
        "x-amz-content-sha256", value);
}

static enum s3_code parse_decoded_length(const struct auth_request *r, struct auth *out,
                                         struct s3_error *error)
{
    struct str text = auth_header(r, STR("x-amz-decoded-content-length"));

    if (text.ptr == NULL)
        return s3_fail(error, S3_MISSING_CONTENT_LENGTH,
                       "You must provide the x-amz-decoded-content-length HTTP header.");
    if (str_to_u64(str_trim(text), &out->decoded_length) != OK || out->decoded_length > INT64_MAX)
        return s3_fail_argument(error, "The value is not a valid length",
                                "x-amz-decoded-content-length", text);
    return S3_OK;
}

/*
 * The header of a presigned request need not be signed, so it cannot loosen what the URL says: a
 * hash, or a kind of framing, is the author's wish. Under UNSIGNED-PAYLOAD any body is right, and
 * the header may say how it comes.
 */
static enum s3_code check_pinned(struct str pinned, struct str header, struct s3_error *error)
{
    if (header.ptr == NULL || str_eq(str_trim(header), pinned) ||
        str_eq(pinned, STR("UNSIGNED-PAYLOAD")))
        return S3_OK;
    return auth_not_signed(STR("x-amz-content-sha256"), error);
}

/*
 * What was signed, into out->payload_text, and what says how the body comes, into *out_value (ptr
 * NULL: nothing does). By header the two are one. In a URL UNSIGNED-PAYLOAD is signed, unless the
 * URL or a signed header has it.
 */
static enum s3_code find_payload(const struct auth_request *r, struct auth *out,
                                 struct str *out_value, struct s3_error *error)
{
    struct str name = STR("x-amz-content-sha256");
    struct str value = auth_header(r, name);
    const struct sigv4_arg *arg = auth_arg_nocase(r, name);
    bool presigned = out->kind == AUTH_PRESIGNED_V4;

    *out_value = value;
    out->payload_text = STR("UNSIGNED-PAYLOAD");
    if (out->kind == AUTH_HEADER_V4) {
        if (value.ptr == NULL)
            return s3_fail(error, S3_INVALID_REQUEST,
                           "Missing required header for this request: x-amz-content-sha256");
        out->payload_text = str_trim(value);
    } else if ((presigned || out->kind == AUTH_PRESIGNED_V2) && arg != NULL) {
        out->payload_text = arg->value;
        if (value.ptr == NULL)
            *out_value = arg->value.ptr != NULL ? arg->value : STR("");
        return check_pinned(arg->value, value, error);
    } else if (presigned && value.ptr != NULL && auth_v4_is_signed(out->signed_headers, name)) {
        out->payload_text = str_trim(value);
    }
    return S3_OK;
}

enum s3_code auth_parse_payload(const struct auth_request *r, struct auth *out,
                                struct s3_error *error)
{
    struct str value;
    enum s3_code code = find_payload(r, out, &value, error);

    out->payload = AUTH_PAYLOAD_UNSIGNED;
    if (code != S3_OK || value.ptr == NULL)
        return code;
    code = parse_kind(str_trim(value), out, error);
    if (code == S3_OK && out->framed)
        code = parse_decoded_length(r, out, error);
    if (code != S3_OK)
        return code;
    bool chunks_signed =
        out->payload == AUTH_PAYLOAD_CHUNKED || out->payload == AUTH_PAYLOAD_CHUNKED_TRAILER;
    if (chunks_signed && out->kind != AUTH_HEADER_V4 && out->kind != AUTH_PRESIGNED_V4)
        return s3_fail(error, S3_INVALID_REQUEST,
                       "Signed chunks need a request with signature version 4");
    return S3_OK;
}
