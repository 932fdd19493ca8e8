#include "gateway/s3/core/ops.h"
#include "gateway/s3/core/pipeline.h"

/*
 * Arguments that may stand without a value and select nothing. Any other bare argument may be a
 * sub-resource that is newer than this table, and is refused rather than ignored: falling through
 * to a plain PUT or DELETE would do something else than was asked, and a listing would not be what
 * was asked for. A GET of an object is distinguished from others by S3's known sub-resources (the
 * rows) only: what else stands there (`?1300000000`) is for caches on the way.
 */
static const char *const harmless_bare_args[] = {
    "prefix",
    "delimiter",
    "marker",
    "max-keys",
    "encoding-type",
    "start-after",
    "fetch-owner",
    "list-type",
    "versionId",
    "key-marker",
    "max-uploads",
    "continuation-token",
    "max-parts",
    "x-id",
    "max-buckets",
    "upload-id-marker",
    "version-id-marker",
    "part-number-marker",
};

/* Sub-resources that select an operation, or belong to one, whether they have a value or not. */
static bool selects_a_row(struct str name)
{
    for (const struct s3_op *op = s3_ops; op->name != NULL; op++)
        if (op->query != NULL && str_eq(name, str_of(op->query)))
            return true;
    return false;
}

static bool is_harmless(struct str name)
{
    for (size_t i = 0; i < sizeof(harmless_bare_args) / sizeof(harmless_bare_args[0]); i++)
        if (str_eq(name, str_of(harmless_bare_args[i])))
            return true;
    return false;
}

static enum s3_scope scope_of(const struct s3_request *r)
{
    if (r->bucket.len == 0)
        return S3_SERVICE;
    return r->key.len == 0 ? S3_BUCKET : S3_OBJECT;
}

static bool row_matches(const struct s3_op *op, const struct s3_request *r)
{
    return op->scope == scope_of(r) && str_eq(r->http->method, str_of(op->method)) &&
           (op->query == NULL || s3_has_arg(r, op->query)) &&
           (op->query2 == NULL || s3_has_arg(r, op->query2)) &&
           (op->header == NULL || s3_header(r, op->header).ptr != NULL);
}

static bool is_write(const struct s3_request *r)
{
    return !str_eq(r->http->method, STR("GET")) && !str_eq(r->http->method, STR("HEAD"));
}

/* partNumber belongs to a GET, or to an upload; elsewhere the write would be to the whole key. */
static bool is_stray_part(const struct s3_op *op, const struct s3_request *r, struct str name)
{
    return op->query2 == NULL && is_write(r) && str_eq(name, STR("partNumber"));
}

static bool may_be_newer(const struct s3_op *op, const struct s3_request *r,
                         const struct sigv4_arg *arg)
{
    return arg->value.ptr == NULL && !is_harmless(arg->name) &&
           (is_write(r) || op->scope != S3_OBJECT);
}

/* A sub-resource beside the one that selected the row would be ignored: refuse it. */
static bool has_foreign_argument(const struct s3_op *op, const struct s3_request *r,
                                 struct str *out_name)
{
    for (size_t i = 0; i < r->arg_count; i++) {
        struct str name = r->args[i].name;

        *out_name = name;
        if (op->query != NULL && str_eq(name, str_of(op->query)))
            continue;
        if (selects_a_row(name) || is_stray_part(op, r, name) || may_be_newer(op, r, &r->args[i]))
            return true;
    }
    return false;
}

/* A write makes a version of its own, so it cannot be to one that is there; DELETE can. */
static bool takes_no_version(const struct s3_op *op, const struct s3_request *r)
{
    return op->scope == S3_OBJECT && op->handle != NULL && is_write(r) &&
           !str_eq(r->http->method, STR("DELETE"));
}

static bool method_is_known(struct str method)
{
    for (const struct s3_op *op = s3_ops; op->name != NULL; op++)
        if (str_eq(method, str_of(op->method)))
            return true;
    return false;
}

/*
 * A client that puts the bucket into a host name which is no --domain of ours seems to ask for
 * nonsense at "/": the text says what is likely wrong.
 */
static enum s3_code explain_host(struct s3_request *r, enum s3_code code)
{
    const char *message = r->error.message;
    char *longer;

    if (scope_of(r) != S3_SERVICE)
        return code;
    longer = arena_printf(r->arena,
                          "%s. The path names no bucket: use path-style requests, or give "
                          "the domain of virtual-host requests to the server",
                          message != NULL ? message : "This method needs a bucket");
    if (longer != NULL)
        r->error.message = longer;
    return code;
}

const struct s3_op *s3_route(struct s3_request *r, enum s3_code *out_code)
{
    struct str foreign;

    *out_code = S3_OK;
    for (const struct s3_op *op = s3_ops; op->name != NULL; op++) {
        if (!row_matches(op, r))
            continue;
        if (has_foreign_argument(op, r, &foreign)) {
            *out_code =
                explain_host(r, s3_fail_not_built(&r->error, r->arena, "query argument", foreign));
            return NULL;
        }
        if (takes_no_version(op, r) && s3_has_arg(r, "versionId")) {
            *out_code = s3_fail_argument(&r->error, "This operation does not accept a version-id.",
                                         "versionId", s3_arg(r, "versionId"));
            return NULL;
        }
        return op;
    }
    *out_code = method_is_known(r->http->method)
                    ? explain_host(r, s3_fail(&r->error, S3_METHOD_NOT_ALLOWED, NULL))
                    : s3_fail(&r->error, S3_NOT_IMPLEMENTED, "This method is not implemented");
    return NULL;
}

size_t s3_op_count(void)
{
    size_t count = 0;

    while (s3_ops[count].name != NULL)
        count++;
    return count;
}

const char *s3_op_name(size_t row)
{
    return s3_ops[row].name;
}
