/*
 * The fields of a version 4 request, from its header or its query: all that can be refused without
 * the secret. Messages are S3's, since SDKs compare some of them.
 */
#include "gateway/sign/signature.h"

#include "base/clock.h"

#define HEADER_MALFORMED "The authorization header is malformed; "

/* Where a request's version 4 fields come from decides which error names them. */
static enum s3_code malformed(const struct auth *a, const char *header_message,
                              const char *query_message, struct s3_error *error)
{
    if (a->kind == AUTH_PRESIGNED_V4)
        return s3_fail(error, S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR, query_message);
    return s3_fail(error, S3_AUTHORIZATION_HEADER_MALFORMED, header_message);
}

bool auth_v4_is_signed(struct str signed_headers, struct str name)
{
    struct str one;

    while (str_split(&signed_headers, ';', &one))
        if (str_eq_nocase(one, name))
            return true;
    return false;
}

/* --- the credential ----------------------------------------------------------------------------*/

/* Cuts what stands behind the last '/' off *s. */
static struct str cut_last(struct str *s)
{
    struct str field;

    for (size_t i = s->len; i-- > 0;) {
        if (s->ptr[i] == '/') {
            field = str_sub(*s, i + 1, s->len);
            *s = str_sub(*s, 0, i);
            return field;
        }
    }
    field = *s;
    *s = STR_NONE;
    return field;
}

static bool is_date(struct str s)
{
    uint64_t ignored;

    return s.len == 8 && str_to_u64(s, &ignored) == OK;
}

/* <access key>/20260101/us-east-1/s3/aws4_request; the key may hold slashes. */
static enum s3_code parse_credential(struct str credential, struct auth *out,
                                     struct s3_error *error)
{
    struct str terminal = cut_last(&credential);

    out->scope.service = cut_last(&credential);
    out->scope.region = cut_last(&credential);
    out->scope.date = cut_last(&credential);
    out->access_key = credential;
    if (credential.len == 0 || out->scope.region.len == 0)
        return malformed(out,
                         HEADER_MALFORMED "the Credential is mal-formed; expecting "
                                          "\"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".",
                         "Error parsing the X-Amz-Credential parameter; the Credential is "
                         "mal-formed; expecting "
                         "\"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".",
                         error);
    if (!str_eq(terminal, STR("aws4_request")))
        return malformed(out,
                         HEADER_MALFORMED "incorrect terminal. This endpoint uses "
                                          "\"aws4_request\".",
                         "Error parsing the X-Amz-Credential parameter; incorrect terminal. This "
                         "endpoint uses \"aws4_request\".",
                         error);
    if (!str_eq(out->scope.service, STR("s3")))
        return malformed(out,
                         HEADER_MALFORMED "incorrect service. This endpoint belongs to \"s3\".",
                         "Error parsing the X-Amz-Credential parameter; incorrect service. This "
                         "endpoint belongs to \"s3\".",
                         error);
    if (!is_date(out->scope.date))
        return malformed(out, HEADER_MALFORMED "incorrect date format.",
                         "Error parsing the X-Amz-Credential parameter; incorrect date format.",
                         error);
    return S3_OK;
}

/* --- what must be signed -----------------------------------------------------------------------*/

/* x-amz- headers that may come unsigned: they cannot change what the request means. */
static bool may_be_unsigned(const struct auth *a, struct str name)
{
    static const char *const added[] = {"x-amz-id-2", "x-amz-request-id", "x-amz-apigw-id"};

    if (str_starts_nocase(name, STR("x-amz-cf-"))) /* CloudFront's own */
        return true;
    for (size_t i = 0; i < sizeof(added) / sizeof(added[0]); i++)
        if (str_eq_nocase(name,
                          str_of(added[i]))) /* of other proxies; operations do not see them */
            return true;
    return a->kind == AUTH_PRESIGNED_V4 && str_eq_nocase(name, STR("x-amz-content-sha256"));
}

static enum s3_code check_signed_headers(const struct auth_request *r, const struct auth *a,
                                         struct s3_error *error)
{
    struct str rest = a->signed_headers, name;
    size_t count = 0;

    while (str_split(&rest, ';', &name)) {
        if (name.len == 0 || ++count > AUTH_SIGNED_HEADERS_MAX)
            return malformed(a, HEADER_MALFORMED "the SignedHeaders are mal-formed.",
                             "X-Amz-SignedHeaders is mal-formed.", error);
        if (auth_header(r, name).ptr == NULL) {
            s3_fail(error, S3_SIGNATURE_DOES_NOT_MATCH,
                    "A header that is in SignedHeaders is not in the request");
            s3_error_add(error, "HeaderName", name);
            return S3_SIGNATURE_DOES_NOT_MATCH;
        }
    }
    if (!auth_v4_is_signed(a->signed_headers, STR("host")))
        return auth_not_signed(STR("host"), error);
    for (size_t i = 0; i < r->header_count; i++) {
        struct str sent = r->headers[i].name;
        if (str_starts_nocase(sent, STR("x-amz-")) && !may_be_unsigned(a, sent) &&
            !auth_v4_is_signed(a->signed_headers, sent))
            return auth_not_signed(sent, error);
    }
    return S3_OK;
}

static enum s3_code check_signature_form(const struct auth *a, struct s3_error *error)
{
    uint8_t ignored[SIGV4_SIGNATURE_HEX / 2];

    if (hex_decode(a->signature, ignored, sizeof(ignored)) == OK)
        return S3_OK;
    return s3_fail(error, S3_SIGNATURE_DOES_NOT_MATCH, NULL);
}

/* --- the header --------------------------------------------------------------------------------*/

/* Credential=..., SignedHeaders=..., Signature=... in any order. */
static bool split_header(struct str value, struct str *out_credential, struct auth *out)
{
    struct str field;

    while (str_split(&value, ',', &field)) {
        field = str_trim(field);
        size_t equals = str_find(field, '=');
        struct str name = str_sub(field, 0, equals);
        struct str content = str_trim(str_sub(field, equals + 1, field.len));
        struct str *to = str_eq(name, STR("Credential"))      ? out_credential
                         : str_eq(name, STR("SignedHeaders")) ? &out->signed_headers
                         : str_eq(name, STR("Signature"))     ? &out->signature
                                                              : NULL;
        if (field.len > 0 && (to == NULL || to->ptr != NULL))
            return false;
        if (to != NULL)
            *to = content;
    }
    return out_credential->len > 0 && out->signed_headers.len > 0 && out->signature.len > 0;
}

/* x-amz-date, or else Date in either form; the text as it was signed and its time. */
static enum s3_code header_date(const struct auth_request *r, struct arena *arena, struct auth *out,
                                int64_t *out_ms, struct s3_error *error)
{
    struct str text = str_trim(auth_header(r, STR("x-amz-date")));

    if (text.len == 0)
        text = str_trim(auth_header(r, STR("date")));
    if (clock_parse_amz(text, out_ms) != OK) {
        char amz[CLOCK_TEXT_MAX];
        if (clock_parse_http(text, out_ms) != OK)
            return s3_fail(error, S3_ACCESS_DENIED,
                           "AWS authentication requires a valid Date or x-amz-date header");
        clock_amz(*out_ms, amz);
        text = arena_str(arena, str_of(amz));
        if (text.ptr == NULL)
            return s3_fail_memory(error);
    }
    out->timestamp = text;
    return S3_OK;
}

static enum s3_code check_scope_date(const struct auth *a, struct s3_error *error)
{
    if (str_eq(a->scope.date, str_sub(a->timestamp, 0, 8)))
        return S3_OK;
    return malformed(a,
                     HEADER_MALFORMED "Invalid credential date. This date is not the same as "
                                      "X-Amz-Date.",
                     "Invalid credential date. This date is not the same as X-Amz-Date.", error);
}

enum s3_code auth_v4_parse_header(const struct auth_request *r, struct arena *arena,
                                  struct str value, struct auth *out, struct s3_error *error)
{
    struct str algorithm = STR("AWS4-HMAC-SHA256"), credential = STR_NONE;
    int64_t signed_ms;

    out->kind = AUTH_HEADER_V4;
    value = str_sub(value, algorithm.len, value.len);
    if (value.len == 0 || (*value.ptr != ' ' && *value.ptr != '\t') ||
        !split_header(value, &credential, out))
        return s3_fail(error, S3_AUTHORIZATION_HEADER_MALFORMED,
                       HEADER_MALFORMED "expecting Credential, SignedHeaders and Signature.");
    enum s3_code code = parse_credential(credential, out, error);
    if (code == S3_OK)
        code = header_date(r, arena, out, &signed_ms, error);
    if (code == S3_OK)
        code = auth_check_skew(r, arena, signed_ms, out->timestamp, error);
    if (code == S3_OK)
        code = check_scope_date(out, error);
    if (code == S3_OK)
        code = check_signed_headers(r, out, error);
    if (code == S3_OK && !auth_header(r, STR("x-amz-date")).len &&
        !auth_v4_is_signed(out->signed_headers, STR("date")))
        code = auth_not_signed(STR("date"), error);
    return code == S3_OK ? check_signature_form(out, error) : code;
}

/* --- the presigned URL -------------------------------------------------------------------------*/

static struct str arg_text(const struct auth_request *r, struct str name)
{
    const struct sigv4_arg *arg = auth_arg(r, name);

    return arg != NULL ? arg->value : STR_NONE;
}

/* Each of the signature's own arguments once: a second one could mean something to others. */
static bool has_all_once(const struct auth_request *r)
{
    const struct str names[] = {
        STR("X-Amz-Algorithm"), STR("X-Amz-Credential"),    STR("X-Amz-Date"),
        STR("X-Amz-Expires"),   STR("X-Amz-SignedHeaders"), STR("X-Amz-Signature"),
    };

    for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
        size_t count = 0;
        for (size_t i = 0; i < r->arg_count; i++)
            count += str_eq(r->args[i].name, names[n]) && r->args[i].value.len > 0;
        if (count != 1)
            return false;
    }
    return true;
}

static enum s3_code check_lifetime(const struct auth_request *r, struct arena *arena,
                                   const struct auth *a, struct s3_error *error)
{
    int64_t signed_ms, seconds;

    if (clock_parse_amz(a->timestamp, &signed_ms) != OK)
        return s3_fail(error, S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR,
                       "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"");
    if (str_to_i64(arg_text(r, STR("X-Amz-Expires")), &seconds) != OK)
        return s3_fail(error, S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR,
                       "X-Amz-Expires should be a number");
    if (seconds > AUTH_EXPIRES_MAX_SEC) /* 403 as the public suite has it */
        return s3_fail(error, S3_ACCESS_DENIED,
                       "X-Amz-Expires must be less than a week (in seconds); that is, the given "
                       "X-Amz-Expires must be less than 604800 seconds");
    if (signed_ms > r->now_ms + AUTH_SKEW_MS)
        return s3_fail(error, S3_ACCESS_DENIED, "Request is not valid yet");
    if (seconds <= 0) /* over before it began */
        return auth_expired(r, arena, signed_ms, error);
    if (r->now_ms > signed_ms + seconds * 1000)
        return auth_expired(r, arena, signed_ms + seconds * 1000, error);
    return S3_OK;
}

enum s3_code auth_v4_parse_query(const struct auth_request *r, struct arena *arena,
                                 struct auth *out, struct s3_error *error)
{
    out->kind = AUTH_PRESIGNED_V4;
    if (!has_all_once(r))
        return s3_fail(error, S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR,
                       "Query-string authentication version 4 requires the X-Amz-Algorithm, "
                       "X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and "
                       "X-Amz-Expires parameters.");
    struct str algorithm = arg_text(r, STR("X-Amz-Algorithm"));
    if (str_eq(algorithm, STR("AWS4-ECDSA-P256-SHA256")))
        return s3_fail(error, S3_NOT_IMPLEMENTED, "Signature version 4A is not implemented");
    if (!str_eq(algorithm, STR("AWS4-HMAC-SHA256")))
        return s3_fail(error, S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR,
                       "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"");
    out->timestamp = arg_text(r, STR("X-Amz-Date"));
    out->signed_headers = arg_text(r, STR("X-Amz-SignedHeaders"));
    out->signature = arg_text(r, STR("X-Amz-Signature"));
    enum s3_code code = parse_credential(arg_text(r, STR("X-Amz-Credential")), out, error);
    if (code == S3_OK)
        code = check_lifetime(r, arena, out, error);
    if (code == S3_OK)
        code = check_scope_date(out, error);
    if (code == S3_OK)
        code = check_signed_headers(r, out, error);
    return code == S3_OK ? check_signature_form(out, error) : code;
}
