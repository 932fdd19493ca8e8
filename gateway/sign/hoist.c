/*
 * Headers that a presigner moved into the query: found by their names, and given back to the
 * request as headers. One that contradicts a real header is refused, because one of the two would
 * be ignored.
 */
#include "gateway/sign/signature.h"

#include "gateway/s3/proto/checksum.h"

static bool is_one_of(struct str name, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq_nocase(name, str_of(list[i])))
            return true;
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
 * S3 accepts other bodies with such URLs, as tried.
 */
static bool is_checksum(struct str name)
{
    enum checksum_algo algo;
    bool known;

    return checksum_of_header(name, &algo, &known) ||
           str_eq_nocase(name, STR("x-amz-sdk-checksum-algorithm"));
}

/* Is it, as far as its name goes, what a presigner makes of a header? */
static bool is_header_name(struct str name, bool is_v2)
{
    return (is_v2 && is_one_of(name, v2_args, LENGTH_OF(v2_args))) ||
           str_starts_nocase(name, STR("x-amz-"));
}

static bool stands_for_header(struct str name)
{
    return !is_checksum(name) && !is_one_of(name, signature_args, LENGTH_OF(signature_args));
}

/*
 * A header of that name that says something else: one of the two would be ignored, and of version 2
 * the signature covers the header only.
 */
static bool is_contradicted(const struct auth_request *r, const struct sigv4_arg *arg)
{
    for (size_t i = 0; i < r->header_count; i++)
        if (str_eq_nocase(r->headers[i].name, arg->name) &&
            !str_eq(str_trim(r->headers[i].value), str_trim(arg->value)))
            return true;
    return false;
}

/* What could not be sent as a header would be stored, or signed as part of another one. */
static enum s3_code check_arg(const struct auth_request *r, const struct sigv4_arg *arg,
                              struct s3_error *error)
{
    if (!str_is_token(arg->name) || str_has_control(arg->value))
        return s3_fail_argument(error, "This query argument could not be a header", "query",
                                arg->name);
    if (stands_for_header(arg->name) && is_contradicted(r, arg))
        return s3_fail_argument(error, "The query argument and the header of this name differ",
                                "query", arg->name);
    return S3_OK;
}

enum s3_code auth_headers(const struct auth_request *r, struct arena *arena,
                          const struct sigv4_header **out, size_t *out_count,
                          struct s3_error *error)
{
    bool is_v2 =
        auth_arg(r, STR("AWSAccessKeyId")) != NULL && auth_arg(r, STR("Signature")) != NULL;
    size_t count = r->header_count;

    *out = r->headers;
    *out_count = r->header_count;
    if (!is_v2 && auth_arg(r, STR("X-Amz-Signature")) == NULL)
        return S3_OK;
    struct sigv4_header *all = arena_array(arena, count + r->arg_count + 1, sizeof(*all));
    if (all == NULL)
        return s3_fail_memory(error);
    for (size_t i = 0; i < count; i++)
        all[i] = r->headers[i];
    for (size_t i = 0; i < r->arg_count; i++) {
        const struct sigv4_arg *arg = &r->args[i];
        if (!is_header_name(arg->name, is_v2))
            continue;
        enum s3_code code = check_arg(r, arg, error);
        if (code != S3_OK)
            return code;
        if (stands_for_header(arg->name) && auth_header(r, arg->name).ptr == NULL)
            all[count++] = (struct sigv4_header){arg->name, arg->value};
    }
    *out = all;
    *out_count = count;
    return S3_OK;
}
