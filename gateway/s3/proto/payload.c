#include "gateway/s3/proto/payload.h"

#include "base/codec.h"

#include <string.h>

/* What the headers say about the body's integrity. */
struct asked {
    bool has_md5;
    struct str md5;
    bool has_sum; /* a checksum header */
    struct checksum sum;
    bool has_trailer; /* one announced in x-amz-trailer */
    enum checksum_algo trailer;
    bool has_sdk; /* x-amz-sdk-checksum-algorithm */
    enum checksum_algo sdk;
    enum checksum_algo named; /* x-amz-checksum-algorithm; NONE: not there */
};

/* The names in x-amz-trailer; those that are no checksum are none of ours. */
static enum s3_code ask_trailer(struct asked *a, struct str names, struct s3_error *error)
{
    struct str name;

    while (str_split(&names, ',', &name)) {
        enum checksum_algo algo;
        bool known;
        if (!checksum_of_header(str_trim(name), &algo, &known))
            continue;
        if (!known)
            return s3_fail(error, S3_INVALID_REQUEST,
                           "The value specified in the x-amz-trailer header is not supported");
        if (a->has_trailer)
            return s3_fail(error, S3_INVALID_REQUEST,
                           "Expecting a single x-amz-checksum- header. Multiple checksum Types "
                           "are not allowed.");
        a->has_trailer = true;
        a->trailer = algo;
    }
    return S3_OK;
}

static enum s3_code ask_sum(struct asked *a, const struct sigv4_header *h, enum checksum_algo algo,
                            bool known, struct s3_error *error)
{
    if (!known)
        return s3_fail(error, S3_INVALID_REQUEST,
                       "The algorithm type you specified in x-amz-checksum- header is invalid.");
    if (a->has_sum)
        return s3_fail(
            error, S3_INVALID_REQUEST,
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.");
    a->has_sum = true;
    return checksum_parse(algo, h->value, false, &a->sum, error);
}

static enum s3_code ask_header(struct asked *a, const struct sigv4_header *h,
                               struct s3_error *error)
{
    enum checksum_algo algo;
    bool known;

    if (checksum_of_header(h->name, &algo, &known))
        return ask_sum(a, h, algo, known, error);
    if (str_eq_nocase(h->name, STR("x-amz-trailer")))
        return ask_trailer(a, h->value, error);
    if (str_eq_nocase(h->name, STR("x-amz-sdk-checksum-algorithm"))) {
        a->has_sdk = true;
        return checksum_algo_parse(h->value, &a->sdk, error);
    }
    if (str_eq_nocase(h->name, STR("x-amz-checksum-algorithm")))
        return checksum_algo_parse(h->value, &a->named, error);
    if (str_eq_nocase(h->name, STR("content-md5"))) {
        if (a->has_md5)
            return s3_fail(error, S3_INVALID_DIGEST, NULL);
        a->has_md5 = true;
        a->md5 = str_trim(h->value);
    }
    return S3_OK;
}

/* The checksum that the client gives, in whatever way; NONE: none. */
static enum checksum_algo given_algo(const struct asked *a)
{
    if (a->has_sum)
        return a->sum.algo;
    return a->has_trailer ? a->trailer : CHECKSUM_NONE;
}

/* What is said of the algorithm in other headers must be true of the checksum. */
static enum s3_code check_algo(const struct asked *a, struct s3_error *error)
{
    enum checksum_algo given = given_algo(a);

    if (given == CHECKSUM_NONE)
        return S3_OK;
    if (a->has_sdk && a->sdk != given)
        return s3_fail(error, S3_INVALID_REQUEST,
                       "Value for x-amz-sdk-checksum-algorithm header is invalid.");
    if (a->named != CHECKSUM_NONE && a->named != given)
        return s3_fail(error, S3_INVALID_REQUEST,
                       "Value for x-amz-checksum-algorithm header is invalid.");
    return S3_OK;
}

/* Which combinations make sense. */
static enum s3_code check_asked(const struct asked *a, const struct payload_spec *spec,
                                struct s3_error *error)
{
    if (a->has_sum && a->has_trailer)
        return s3_fail(error, S3_INVALID_REQUEST,
                       "Expecting a single x-amz-checksum- header or trailer.");
    if (a->has_trailer && !spec->has_trailer)
        return s3_fail(error, S3_INVALID_REQUEST,
                       "The x-amz-trailer header needs a body that can carry trailers.");
    if (a->has_sdk && !a->has_sum && !a->has_trailer)
        return s3_fail(error, S3_INVALID_REQUEST,
                       "x-amz-sdk-checksum-algorithm specified, but no corresponding "
                       "x-amz-checksum-* or x-amz-trailer headers were found.");
    if (spec->need_integrity && !a->has_md5 && !a->has_sum && !a->has_trailer)
        return s3_fail(error, S3_INVALID_REQUEST,
                       "Missing required header for this request: Content-MD5 OR "
                       "x-amz-checksum-*");
    return check_algo(a, error);
}

static enum err start(struct payload *p, enum hash_kind kind)
{
    for (size_t i = 0; i < p->hash_count; i++)
        if (p->hash[i].kind == kind)
            return OK; /* an x-amz-checksum-sha256 beside a signed body: one pass for both */
    enum err err = hash_init(&p->hash[p->hash_count], kind);
    if (err == OK)
        p->hash_count++;
    return err;
}

static enum err start_hashes(struct payload *p, bool want_md5)
{
    enum err err = OK;

    if (want_md5 || p->check_md5)
        err = start(p, HASH_MD5);
    if (err == OK && p->check_sha256)
        err = start(p, HASH_SHA256);
    if (err == OK && p->algo != CHECKSUM_NONE)
        err = start(p, checksum_hash(p->algo));
    return err;
}

enum s3_code payload_init(struct payload *p, const struct payload_spec *spec,
                          struct s3_error *error)
{
    struct asked a = {0};
    enum s3_code code = S3_OK;

    *p = (struct payload){0};
    for (size_t i = 0; code == S3_OK && i < spec->header_count; i++)
        code = ask_header(&a, &spec->headers[i], error);
    if (code == S3_OK)
        code = check_asked(&a, spec, error);
    if (code != S3_OK)
        return code;

    p->check_md5 = a.has_md5;
    if (a.has_md5 && base64_decode(a.md5, p->md5, sizeof(p->md5)) != OK)
        return s3_fail(error, S3_INVALID_DIGEST, NULL);
    p->check_sha256 = spec->sha256 != NULL;
    if (spec->sha256 != NULL)
        memcpy(p->sha256, spec->sha256, sizeof(p->sha256));
    p->check_sum = a.has_sum || a.has_trailer;
    p->by_trailer = a.has_trailer;
    p->want = a.sum;
    p->algo = p->check_sum ? given_algo(&a) : spec->default_algo;

    if (start_hashes(p, spec->want_md5) != OK) {
        payload_fini(p);
        return s3_fail_memory(error);
    }
    return S3_OK;
}

void payload_update(struct payload *p, const void *data, size_t len)
{
    p->length += len;
    for (size_t i = 0; i < p->hash_count; i++)
        hash_update(&p->hash[i], data, len);
}

/* The trailer that was announced, as p->want; all others are not ours. */
static enum s3_code take_trailer(struct payload *p, const struct sigv4_header *trailers,
                                 size_t count, struct s3_error *error)
{
    struct str name = str_of(checksum_header_name(p->algo));
    const struct sigv4_header *found = NULL;

    for (size_t i = 0; i < count; i++) {
        if (!str_eq_nocase(str_trim(trailers[i].name), name))
            continue;
        if (found != NULL) /* obeying one would ignore the other */
            return s3_fail(error, S3_MALFORMED_TRAILER, NULL);
        found = &trailers[i];
    }
    if (found == NULL)
        return s3_fail(error, S3_MALFORMED_TRAILER, NULL);
    return checksum_parse(p->algo, found->value, false, &p->want, error);
}

enum s3_code payload_finish(struct payload *p, const struct sigv4_header *trailers,
                            size_t trailer_count, struct payload_result *out,
                            struct s3_error *error)
{
    uint8_t digest[HASH_KINDS][HASH_MAX_BYTES] = {{0}};

    for (size_t i = 0; i < p->hash_count; i++)
        hash_final(&p->hash[i], digest[p->hash[i].kind]);
    *out = (struct payload_result){.length = p->length, .client_sum = p->check_sum};
    for (size_t i = 0; i < p->hash_count; i++)
        out->has_md5 |= p->hash[i].kind == HASH_MD5;
    memcpy(out->md5, digest[HASH_MD5], sizeof(out->md5));
    if (p->algo != CHECKSUM_NONE) {
        out->sum.algo = p->algo;
        out->sum.type = CHECKSUM_FULL_OBJECT;
        memcpy(out->sum.bytes, digest[checksum_hash(p->algo)], checksum_size(p->algo));
    }

    if (p->check_sha256 && memcmp(p->sha256, digest[HASH_SHA256], sizeof(p->sha256)) != 0)
        return s3_fail(error, S3_CONTENT_SHA256_MISMATCH, NULL);
    if (p->check_md5 && memcmp(p->md5, out->md5, sizeof(out->md5)) != 0)
        return s3_fail(error, S3_BAD_DIGEST, NULL);
    if (p->by_trailer) {
        enum s3_code code = take_trailer(p, trailers, trailer_count, error);
        if (code != S3_OK)
            return code;
    }
    if (p->check_sum && !checksum_eq(&p->want, &out->sum))
        return s3_fail(error, S3_BAD_DIGEST,
                       "The checksum you specified did not match the calculated checksum.");
    return S3_OK;
}

void payload_fini(struct payload *p)
{
    for (size_t i = 0; i < p->hash_count; i++)
        hash_fini(&p->hash[i]);
    p->hash_count = 0;
}
