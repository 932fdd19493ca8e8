/*
 * Finds the row of a request in the table (routes.c): method, scope, and the arguments and headers
 * that select. What no row knows and S3 may give a meaning is refused, never ignored.
 */
#include "gateway/s3/core/request.h"

static bool is(const char *name, struct str text)
{
    return name != NULL && str_eq(text, str_of(name));
}

bool s3_op_takes_arg(const struct s3_op *op, struct str name)
{
    struct str rest = str_of(op->args != NULL ? op->args : ""), one;

    if (is(op->query, name) || is(op->query2, name))
        return true;
    while (str_split(&rest, ',', &one))
        if (str_eq(one, name))
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

/*
 * Sub-resources that select an operation, whether they have a value or not. partNumber selects only
 * together with uploadId: without it a write would be to the whole key.
 */
static bool selects_a_row(const struct s3_request *r, struct str name)
{
    for (const struct s3_op *op = s3_ops; op->name != NULL; op++)
        if (is(op->query, name) || (is_write(r) && is(op->query2, name)))
            return true;
    return false;
}

/* What some operation of this method and scope takes is no operation of its own. */
static bool is_known(const struct s3_op *like, struct str name)
{
    if (str_eq(name, STR("x-id"))) /* SDKs repeat the operation's name in it */
        return true;
    for (const struct s3_op *op = s3_ops; op->name != NULL; op++)
        if (op->scope == like->scope && str_eq(str_of(op->method), str_of(like->method)) &&
            s3_op_takes_arg(op, name))
            return true;
    return false;
}

/*
 * An argument without a value may be a sub-resource that is newer than the table, and is refused
 * rather than ignored: falling through to a plain PUT or DELETE would do something else than was
 * asked, and a listing would not be what was asked for. A GET of an object is distinguished from
 * others by S3's known sub-resources (the rows) only: what else stands there (`?1300000000`) is for
 * caches on the way.
 */
static bool may_be_newer(const struct s3_op *op, const struct sigv4_arg *arg)
{
    return arg->value.ptr == NULL && (!s3_op_reads(op) || op->scope != S3_OBJECT) &&
           !is_known(op, arg->name);
}

/* A sub-resource beside the one that selected the row would be ignored: refuse it. */
static bool has_foreign_argument(const struct s3_op *op, const struct s3_request *r,
                                 struct str *out_name)
{
    for (size_t i = 0; i < r->arg_count; i++) {
        *out_name = r->args[i].name;
        if (!s3_op_takes_arg(op, r->args[i].name) &&
            (selects_a_row(r, r->args[i].name) || may_be_newer(op, &r->args[i])))
            return true;
    }
    return false;
}

/* Most writes make a version of their own, so they cannot be to one that is there. */
static bool refuses_version(const struct s3_op *op, const struct s3_request *r)
{
    return op->scope == S3_OBJECT && is_write(r) && s3_has_arg(r, "versionId") &&
           !s3_op_takes_arg(op, STR("versionId"));
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
        if (refuses_version(op, r)) {
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
