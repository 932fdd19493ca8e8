/*
 * Computes a version 4 signature and compares it, for each reading of the request that its client
 * may have signed.
 */
#include "gateway/sign/signature.h"

#include "base/hash.h"

/*
 * The readings of one request that may have been signed (verify.h says why): every combination of
 * a query, a Host and an accept-encoding. The plain one comes first and nearly always matches, so
 * only a refusal pays for the others; what it pays is bounded: the plain readings of the query,
 * and then others until READ_AGAIN_MAX bytes of canonical text have been hashed. An ordinary
 * request has room for all 36 of them there, one of 15 KB for four.
 */
#define HOSTS_MAX      3
#define ENCODINGS_MAX  6
#define READ_AGAIN_MAX ((size_t)64 << 10)

struct reading {
    struct sigv4_request request;
    struct sigv4_header *headers; /* the request's signed ones, changed for each reading */
    struct str *host;             /* into headers; NULL when not signed (never) */
    struct str *encoding;         /* the same for accept-encoding; NULL when not signed */
};

/* The signed headers, in the arena. */
static bool pick_headers(const struct auth_request *r, const struct auth *a, struct arena *arena,
                         struct reading *out)
{
    size_t count = 0;

    out->headers = arena_array(arena, r->header_count + 1, sizeof(*out->headers));
    if (out->headers == NULL)
        return false;
    for (size_t i = 0; i < r->header_count; i++) {
        struct str name = r->headers[i].name;
        if (!auth_v4_is_signed(a->signed_headers, name))
            continue;
        out->headers[count] = r->headers[i];
        if (str_eq_nocase(name, STR("host"))) {
            out->headers[count].value = auth_host(r);
            out->host = &out->headers[count].value;
        }
        if (str_eq_nocase(name, STR("accept-encoding")))
            out->encoding = &out->headers[count].value;
        count++;
    }
    out->request.headers = out->headers;
    out->request.header_count = count;
    return true;
}

/*
 * The canonical text folds runs of blanks inside of a value. For text that is harmless; a key with
 * two spaces is another key than that with one.
 */
static enum s3_code check_folding(const struct auth_request *r, struct s3_error *error)
{
    struct str value = str_trim(auth_header(r, STR("x-amz-copy-source")));

    for (size_t i = 0; i < value.len; i++) {
        char next = i + 1 < value.len ? value.ptr[i + 1] : 'x';
        if (value.ptr[i] == '\t' || (value.ptr[i] == ' ' && next == ' '))
            return s3_fail_argument(error, "Copy Source must be URL-encoded", "x-amz-copy-source",
                                    value);
    }
    return S3_OK;
}

/* All arguments but the signature itself. */
static bool set_args(struct reading *out, struct arena *arena, const struct sigv4_arg *args,
                     size_t count)
{
    struct sigv4_arg *kept = arena_array(arena, count + 1, sizeof(*kept));
    size_t kept_count = 0;

    if (kept == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!str_eq(args[i].name, STR("X-Amz-Signature")))
            kept[kept_count++] = args[i];
    out->request.args = kept;
    out->request.arg_count = kept_count;
    return true;
}

/* Host as sent, then as it may have been before a proxy touched its port. */
static size_t host_readings(struct str host, struct arena *arena, struct str out[HOSTS_MAX])
{
    size_t count = 0;

    host = str_trim(host);
    out[count++] = host;
    if (str_ends(host, STR(":80"))) {
        out[count++] = str_sub(host, 0, host.len - 3);
    } else if (str_ends(host, STR(":443"))) {
        out[count++] = str_sub(host, 0, host.len - 4);
    } else if (str_find(host, ':') == host.len || str_ends(host, STR("]"))) {
        out[count++] = str_of(arena_printf(arena, STR_FMT ":443", STR_ARG(host)));
        out[count++] = str_of(arena_printf(arena, STR_FMT ":80", STR_ARG(host)));
    }
    return count;
}

static size_t encoding_readings(struct str encoding, struct str out[ENCODINGS_MAX])
{
    const struct str known[ENCODINGS_MAX] = {
        encoding,
        STR("identity"),      /* Go SDK, minio-java, botocore */
        STR("gzip"),          /* Go's http client */
        STR(""),              /* sent as nothing */
        STR("gzip, deflate"), /* Python's clients */
        STR("amz-sdk-decompress"),
    };

    for (size_t i = 0; i < ENCODINGS_MAX; i++)
        out[i] = known[i];
    return ENCODINGS_MAX;
}

/* Does this reading have the signature that was sent? The canonical text stays in *canonical. */
static enum err try_one(const struct reading *reading, struct auth *a, struct buf *canonical,
                        bool *out_match)
{
    struct buf signed_headers;
    char signature[SIGV4_SIGNATURE_HEX + 1];

    buf_clear(canonical);
    buf_init(&signed_headers, AUTH_CANONICAL_MAX);
    enum err err = sigv4_canonical(&reading->request, canonical, &signed_headers);
    a->hashed_bytes += canonical->len;
    if (err == OK)
        err = sigv4_sign(a->signing_key, a->timestamp, &a->scope, buf_str(canonical), signature);
    if (err == OK)
        *out_match = a->signature.len == SIGV4_SIGNATURE_HEX &&
                     bytes_equal_secret(signature, a->signature.ptr, SIGV4_SIGNATURE_HEX);
    buf_fini(&signed_headers);
    return err;
}

/* Every other Host and accept-encoding with the reading's query, as far as that is paid for. */
static enum err try_headers(struct reading *reading, struct auth *a, struct arena *arena,
                            struct buf *canonical, bool *out_match)
{
    struct str hosts[HOSTS_MAX], encodings[ENCODINGS_MAX] = {{0}};
    size_t host_count = 1, encoding_count = 1;
    struct str host = reading->host != NULL ? *reading->host : STR_NONE;
    struct str encoding = reading->encoding != NULL ? *reading->encoding : STR_NONE;
    enum err err = OK;

    host_count = host_readings(host, arena, hosts);
    if (reading->encoding != NULL)
        encoding_count = encoding_readings(encoding, encodings);
    for (size_t h = 0; err == OK && !*out_match && h < host_count; h++) {
        for (size_t c = h == 0; err == OK && !*out_match && c < encoding_count; c++) {
            if (a->hashed_bytes + canonical->len > READ_AGAIN_MAX)
                break;
            if (reading->host != NULL)
                *reading->host = hosts[h];
            if (reading->encoding != NULL)
                *reading->encoding = encodings[c];
            err = try_one(reading, a, canonical, out_match);
        }
    }
    if (reading->host != NULL)
        *reading->host = host;
    if (reading->encoding != NULL)
        *reading->encoding = encoding;
    return err;
}

/* The query with `+` as it stands. A match leaves these arguments in *a. */
static enum err try_literal(const struct auth_request *r, struct arena *arena, struct auth *a,
                            struct reading *reading, struct buf *canonical, bool with_headers,
                            bool *out_match)
{
    struct sigv4_arg *args;
    size_t count;
    enum err err = auth_query_args(r->raw_query, PERCENT_PLUS_LITERAL, arena, &args, &count);

    if (err == ERR_INVALID)
        return OK; /* a broken escape: no match */
    if (err == OK && !set_args(reading, arena, args, count))
        err = err_set(ERR_NOMEM, "no memory to verify a signature");
    if (err == OK)
        err = with_headers ? try_headers(reading, a, arena, canonical, out_match)
                           : try_one(reading, a, canonical, out_match);
    if (err == OK && *out_match) {
        a->args = args;
        a->arg_count = count;
    }
    return err;
}

static enum err try_all(const struct auth_request *r, struct arena *arena, struct auth *a,
                        struct reading *reading, struct buf *canonical, bool *out_match)
{
    bool has_plus = str_find(r->raw_query, '+') < r->raw_query.len;
    enum err err;

    if (!pick_headers(r, a, arena, reading) || !set_args(reading, arena, r->args, r->arg_count))
        return err_set(ERR_NOMEM, "no memory to verify a signature");
    err = try_one(reading, a, canonical, out_match); /* nearly always this */
    if (err == OK && !*out_match && has_plus)
        err = try_literal(r, arena, a, reading, canonical, false, out_match);
    if (err == OK && !*out_match && !set_args(reading, arena, r->args, r->arg_count))
        err = err_set(ERR_NOMEM, "no memory to verify a signature");
    if (err == OK && !*out_match)
        err = try_headers(reading, a, arena, canonical, out_match);
    if (err == OK && !*out_match && has_plus)
        err = try_literal(r, arena, a, reading, canonical, true, out_match);
    return err;
}

/* S3 shows what it signed, so that the author of a client can compare: the plain reading. */
static enum s3_code mismatch(const struct auth_request *r, struct arena *arena, struct auth *a,
                             struct reading *reading, struct buf *canonical, struct s3_error *error)
{
    bool ignored = false;

    s3_fail(error, S3_SIGNATURE_DOES_NOT_MATCH, NULL);
    s3_error_add(error, "AWSAccessKeyId", a->access_key);
    s3_error_add(error, "SignatureProvided", a->signature);
    if (set_args(reading, arena, r->args, r->arg_count) &&
        try_one(reading, a, canonical, &ignored) == OK)
        s3_error_add(error, "CanonicalRequest", arena_str(arena, buf_str(canonical)));
    return S3_SIGNATURE_DOES_NOT_MATCH;
}

enum s3_code auth_v4_check(const struct auth_request *r, struct arena *arena,
                           const struct auth_key *key, struct auth *auth, struct s3_error *error)
{
    struct reading reading = {
        .request = {.method = r->method, .path = r->path, .payload_hash = auth->payload_text}};
    struct buf canonical;
    bool match = false;
    enum s3_code code = S3_OK;

    buf_init(&canonical, AUTH_CANONICAL_MAX);
    enum err err = sigv4_key(key->secret, &auth->scope, auth->signing_key);
    if (err == OK)
        err = try_all(r, arena, auth, &reading, &canonical, &match);
    if (err != OK)
        code =
            err == ERR_TOO_LARGE ? s3_fail(error, S3_INVALID_REQUEST, NULL) : s3_fail_memory(error);
    else if (!match)
        code = mismatch(r, arena, auth, &reading, &canonical, error);
    else
        code = check_folding(r, error);
    buf_fini(&canonical);
    return code;
}
