/*
 * Signature version 2: HMAC-SHA-1 over
 *     METHOD \n Content-MD5 \n Content-Type \n Date or Expires \n x-amz-*:values \n resource
 * with the resource "/bucket/key?subresources". It does not cover Host or other arguments, and a
 * presigned URL may carry what would be headers as arguments (boto3 puts x-amz-acl there).
 * Source: "Signing and authenticating REST requests" in the Amazon S3 User Guide.
 */
#include "gateway/sign/signature.h"

#include "base/hash.h"
#include "gateway/s3/proto/names.h"

#include <stdlib.h>
#include <string.h>

#define SHA1_BYTES 20

/*
 * Arguments that are part of the resource: those that AWS lists, and newer ones that select an
 * operation. A selector that is missing here could be added to a presigned URL.
 */
static const char *const selectors[] = {
    "accelerate",
    "acl",
    "analytics",
    "append",
    "attributes",
    "cors",
    "defaultObjectAcl",
    "delete",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "location",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "partNumber",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "renameObject",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "retention",
    "select",
    "select-type",
    "session",
    "storageClass",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
};

/* --- the string to sign ----------------------------------------------------------------------- */

/* One x-amz- header, or an argument that stands for one; sorted by name, then as they came. */
struct amz {
    struct str name;
    struct str value;
    size_t order;
};

struct signing {
    const struct auth_request *r;
    const struct auth *auth;
    struct sigv4_arg *args; /* decoded under this reading */
    size_t arg_count;
    struct arena *arena;
};

static int lower(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : (unsigned char)c;
}

static int compare_nocase(struct str a, struct str b)
{
    for (size_t i = 0; i < a.len && i < b.len; i++) {
        int order = lower(a.ptr[i]) - lower(b.ptr[i]);
        if (order)
            return order;
    }
    return (a.len > b.len) - (a.len < b.len);
}

static int compare_amz(const void *a, const void *b)
{
    const struct amz *x = a, *y = b;
    int order = compare_nocase(x->name, y->name);

    return order ? order : (x->order > y->order) - (x->order < y->order);
}

/* A header, or in a URL the argument that stands for it. */
static struct str header_or_arg(const struct signing *s, struct str name)
{
    struct str value = auth_header(s->r, name);

    if (value.ptr != NULL || s->auth->kind != AUTH_PRESIGNED_V2)
        return str_trim(value);
    for (size_t i = 0; i < s->arg_count; i++)
        if (str_eq_nocase(s->args[i].name, name))
            return s->args[i].value;
    return STR_NONE;
}

static bool is_amz(struct str name)
{
    return str_starts_nocase(name, STR("x-amz-"));
}

static bool put_amz(const struct signing *s, struct buf *out)
{
    size_t count = 0, max = s->r->header_count + s->arg_count;
    struct amz *list = arena_array(s->arena, max + 1, sizeof(*list));

    if (list == NULL)
        return false;
    for (size_t i = 0; i < s->r->header_count; i++) {
        const struct sigv4_header *h = &s->r->headers[i];
        if (is_amz(h->name))
            list[count++] = (struct amz){h->name, str_trim(h->value), i};
    }
    for (size_t i = 0; s->auth->kind == AUTH_PRESIGNED_V2 && i < s->arg_count; i++) {
        const struct sigv4_arg *a = &s->args[i];
        if (is_amz(a->name) && auth_header(s->r, a->name).ptr == NULL)
            list[count++] = (struct amz){a->name, a->value, s->r->header_count + i};
    }
    qsort(list, count, sizeof(*list), compare_amz);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && compare_nocase(list[i - 1].name, list[i].name) == 0) {
            buf_append_char(out, ',');
        } else {
            if (i > 0)
                buf_append_char(out, '\n');
            for (size_t c = 0; c < list[i].name.len; c++)
                buf_append_char(out, (char)lower(list[i].name.ptr[c]));
            buf_append_char(out, ':');
        }
        buf_append_str(out, list[i].value);
    }
    if (count > 0)
        buf_append_char(out, '\n');
    return true;
}

static bool is_selector(struct str name)
{
    for (size_t i = 0; i < sizeof(selectors) / sizeof(selectors[0]); i++)
        if (str_eq(name, str_of(selectors[i])))
            return true;
    return false;
}

static int compare_args(const void *a, const void *b)
{
    const struct sigv4_arg *x = a, *y = b;
    int order = str_cmp(x->name, y->name);

    return order ? order : str_cmp(x->value, y->value);
}

/* How clients write the path that they sign. */
enum path_form {
    PATH_AS_SENT,
    PATH_ENCODED,    /* in canonical form, whatever was sent */
    PATH_WITH_SLASH, /* "/bucket/" for a request of "/bucket", as botocore does */
    PATH_FORMS
};

static void put_path(const struct signing *s, enum path_form form, struct buf *out)
{
    struct str bucket = names_lower(
        s->arena, names_host_bucket(auth_host(s->r), s->r->domains, s->r->domain_count));
    struct str path = s->r->raw_path;

    if (bucket.len > 0) {
        buf_append_char(out, '/');
        buf_append_str(out, bucket);
    }
    if (form == PATH_ENCODED)
        percent_encode(out, s->r->path, PERCENT_KEEP_SLASH);
    else
        buf_append_str(out, path);
    if (form == PATH_WITH_SLASH && bucket.len == 0 && path.len > 1 &&
        str_find(str_sub(path, 1, path.len), '/') == path.len - 1)
        buf_append_char(out, '/');
}

/*
 * Values stand in the text as they are, so `versionId=3` in a value would sign as the argument
 * itself does: a holder of the URL could turn one into the other.
 */
static bool hides_selector(struct str value)
{
    struct str piece;
    bool first = true;

    while (str_split(&value, '&', &piece)) {
        if (!first && is_selector(str_sub(piece, 0, str_find(piece, '='))))
            return true;
        first = false;
    }
    return false;
}

/* "/bucket/key?acl&versionId=3": sub-resources sorted, their values decoded. */
static bool put_resource(const struct signing *s, enum path_form form, struct buf *out)
{
    struct sigv4_arg *list = arena_array(s->arena, s->arg_count + 1, sizeof(*list));
    size_t count = 0;

    if (list == NULL)
        return false;
    put_path(s, form, out);
    for (size_t i = 0; i < s->arg_count; i++)
        if (is_selector(s->args[i].name))
            list[count++] = s->args[i];
    qsort(list, count, sizeof(*list), compare_args);
    for (size_t i = 0; i < count; i++) {
        buf_append_char(out, i == 0 ? '?' : '&');
        buf_append_str(out, list[i].name);
        if (list[i].value.ptr != NULL) {
            buf_append_char(out, '=');
            buf_append_str(out, list[i].value);
        }
    }
    return true;
}

static void put_line(struct buf *out, struct str s)
{
    buf_append_str(out, s);
    buf_append_char(out, '\n');
}

static enum err string_to_sign(const struct signing *s, enum path_form form, struct buf *out)
{
    struct str date = s->auth->timestamp; /* Expires */

    if (s->auth->kind == AUTH_HEADER_V2)
        date = auth_header(s->r, STR("x-amz-date")).ptr != NULL
                   ? STR_NONE /* it is among the x-amz- headers */
                   : str_trim(auth_header(s->r, STR("date")));
    put_line(out, s->r->method);
    put_line(out, header_or_arg(s, STR("content-md5")));
    put_line(out, header_or_arg(s, STR("content-type")));
    put_line(out, date);
    if (!put_amz(s, out) || !put_resource(s, form, out))
        return err_set(ERR_NOMEM, "no memory to verify a signature");
    return buf_check(out);
}

/* --- checking --------------------------------------------------------------------------------- */

/* The reading's sub-resources can be taken for nothing else. */
static bool is_plain(const struct signing *s)
{
    for (size_t i = 0; i < s->arg_count; i++)
        if (is_selector(s->args[i].name) && hides_selector(s->args[i].value))
            return false;
    return true;
}

static enum err try_one(const struct signing *s, enum path_form form, struct str secret,
                        const uint8_t claimed[SHA1_BYTES], struct buf *text, bool *out_match)
{
    uint8_t signature[SHA1_BYTES];

    buf_clear(text);
    enum err err = string_to_sign(s, form, text);
    if (err == OK)
        err = hmac_sha1(secret, buf_str(text), signature);
    if (err == OK)
        *out_match = bytes_equal_secret(signature, claimed, SHA1_BYTES);
    return err;
}

/* Readings: `+` in values as a space or as itself, and the forms of the path. */
static enum err try_all(struct signing *s, struct str secret, const uint8_t claimed[SHA1_BYTES],
                        struct buf *text, bool *out_match)
{
    bool has_plus = str_find(s->r->raw_query, '+') < s->r->raw_query.len;
    enum err err = OK;

    for (int plus = 0; err == OK && !*out_match && plus <= has_plus; plus++) {
        err = auth_query_args(s->r->raw_query, plus ? PERCENT_PLUS_LITERAL : PERCENT_PLUS_SPACE,
                              s->arena, &s->args, &s->arg_count);
        if (err == ERR_INVALID)
            return OK; /* a broken escape: no match */
        for (int form = 0; err == OK && !*out_match && form < PATH_FORMS; form++)
            err = try_one(s, (enum path_form)form, secret, claimed, text, out_match);
        *out_match = *out_match && is_plain(s);
    }
    return err;
}

/* Base64; a `+` that came unencoded in a URL reads as a space. */
static bool decode_signature(struct str text, uint8_t out[SHA1_BYTES])
{
    char fixed[BASE64_SIZE(SHA1_BYTES)];

    if (text.len != sizeof(fixed) - 1)
        return false;
    for (size_t i = 0; i < text.len; i++)
        fixed[i] = text.ptr[i] == ' ' ? '+' : text.ptr[i];
    return base64_decode((struct str){fixed, text.len}, out, SHA1_BYTES) == OK;
}

static enum s3_code mismatch(const struct signing *s, struct str text, struct s3_error *error)
{
    s3_fail(error, S3_SIGNATURE_DOES_NOT_MATCH, NULL);
    s3_error_add(error, "AWSAccessKeyId", s->auth->access_key);
    s3_error_add(error, "SignatureProvided", s->auth->signature);
    s3_error_add(error, "StringToSign", arena_str(s->arena, text));
    return S3_SIGNATURE_DOES_NOT_MATCH;
}

enum s3_code auth_v2_check(const struct auth_request *r, struct arena *arena,
                           const struct auth_key *key, struct auth *auth, struct s3_error *error)
{
    struct signing s = {.r = r, .auth = auth, .arena = arena};
    uint8_t claimed[SHA1_BYTES];
    struct buf text;
    bool match = false;
    enum s3_code code = S3_OK;
    enum err err = OK;

    buf_init(&text, AUTH_CANONICAL_MAX);
    /* One that is no signature matches none, and the client still reads what we sign. */
    bool readable = decode_signature(auth->signature, claimed);
    if (!readable)
        memset(claimed, 0, sizeof(claimed));
    err = try_all(&s, key->secret, claimed, &text, &match);
    match = match && readable;
    if (err != OK)
        code =
            err == ERR_TOO_LARGE ? s3_fail(error, S3_INVALID_REQUEST, NULL) : s3_fail_memory(error);
    else if (!match)
        code = mismatch(&s, buf_str(&text), error);
    else {
        auth->args = s.args;
        auth->arg_count = s.arg_count;
    }
    buf_fini(&text);
    return code;
}
