#include "gateway/auth/internal.h"

#include "gateway/s3/checksum.h"

static bool is_one_of(struct str name, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (str_eq_nocase(name, str_of(list[i])))
            return true;
    }
    return false;
}

/* Arguments that are the signature's own. */
static const char *const signature_args[] = {
    "X-Amz-Algorithm",     "X-Amz-Credential", "X-Amz-Date",           "X-Amz-Expires",
    "X-Amz-SignedHeaders", "X-Amz-Signature",  "X-Amz-Security-Token", "X-Amz-Content-Sha256",
};

/* Version 2's presigners put these there too. */
static const char *const v2_args[] = {"content-md5", "content-type"};

#define LENGTH_OF(array) (sizeof(array) / sizeof((array)[0]))

/*
 * Checksums are left alone: the JavaScript SDK presigns uploads with the checksum of no bytes, and
 * S3 was seen to accept other bodies with such URLs.
 */
static bool is_checksum(struct str name)
{
    enum checksum_algo algo;
    bool known;

    return checksum_of_header(name, &algo, &known) ||
           str_eq_nocase(name, STR("x-amz-sdk-checksum-algorithm"));
}

static bool stands_for_header(const struct auth_request *r, struct str name, bool is_v2)
{
    if (auth_header(r, name).ptr)
        return false;
    if (is_v2 && is_one_of(name, v2_args, LENGTH_OF(v2_args)))
        return true;
    return str_starts_nocase(name, STR("x-amz-")) && !is_checksum(name) &&
           !is_one_of(name, signature_args, LENGTH_OF(signature_args));
}

enum s3_code auth_headers(const struct auth_request *r, struct arena *arena,
                          const struct sigv4_header **out, size_t *out_count)
{
    bool is_v2 = auth_arg(r, STR("AWSAccessKeyId")) && auth_arg(r, STR("Signature"));
    size_t count = r->header_count;

    *out = r->headers;
    *out_count = r->header_count;
    if (!is_v2 && !auth_arg(r, STR("X-Amz-Signature")))
        return S3_OK;
    struct sigv4_header *all = arena_array(arena, count + r->arg_count + 1, sizeof(*all));
    if (!all)
        return S3_INTERNAL_ERROR;
    for (size_t i = 0; i < count; i++)
        all[i] = r->headers[i];
    for (size_t i = 0; i < r->arg_count; i++) {
        if (stands_for_header(r, r->args[i].name, is_v2))
            all[count++] = (struct sigv4_header){r->args[i].name, r->args[i].value};
    }
    *out = all;
    *out_count = count;
    return S3_OK;
}
