/*
 * Writes into an object that is there: PatchObject, as Yandex Object Storage has it
 * (https://yandex.cloud/en/docs/storage/s3/api-ref/object/patch), and appending by PutObject with
 * x-amz-write-offset-bytes
 * (https://docs.aws.amazon.com/AmazonS3/latest/userguide/directory-buckets-objects-append.html).
 */
#include "base/clock.h"
#include "gateway/s3/proto/conditions.h"
#include "gateway/s3/core/ops.h"
#include "gateway/s3/core/write_conditions.h"
#include "gateway/s3/proto/range.h"
#include "gateway/s3/object/range_write.h"
#include "gateway/s3/proto/xml_write.h"

#include <stdio.h>

#define RESULT_MAX ((size_t)4 << 10)
#define PATCH_MAX  ((uint64_t)5 << 30)

/* --- the conditions of a write ---------------------------------------------------------------- */

struct terms {
    struct conditions conditions;
    bool append;
    bool describes;  /* metadata or a class is given, as for a new object */
    uint64_t offset; /* must be the size, when appending */
};

static enum s3_code check_object(const struct terms *t, struct str etag, int64_t mtime_ms,
                                 int64_t size)
{
    if (conditions_read(&t->conditions, etag, mtime_ms, clock_wall_ms()) != CONDITION_PROCEED)
        return S3_PRECONDITION_FAILED;
    if (t->append && (uint64_t)size != t->offset)
        return S3_INVALID_WRITE_OFFSET;
    return t->describes ? S3_INVALID_REQUEST : S3_OK;
}

/* If-Modified-Since says nothing of writes. */
static void terms_of(const struct s3_request *r, struct terms *out)
{
    conditions_of_headers(r->headers, r->header_count, &out->conditions);
    out->conditions.if_modified_since = STR_NONE;
}

/* The same for the commit. If-Match hides If-Unmodified-Since. */
static struct file_guard guard_of(const struct s3_request *r, const struct terms *t)
{
    struct file_guard guard = {.cond = write_conditions_of(r)};
    struct object_cond *cond = &guard.cond;
    int64_t ms;

    cond->if_absent |= t->describes;
    cond->has_unmodified = t->conditions.if_match.ptr == NULL &&
                           clock_parse_any(t->conditions.if_unmodified_since, &ms) == OK;
    if (cond->has_unmodified)
        cond->if_unmodified_s = clock_seconds(ms);
    return guard;
}

/* The text that goes with a code of check_object(). */
static enum s3_code refuse(struct s3_request *r, enum s3_code code)
{
    return s3_fail(&r->error, code,
                   code == S3_INVALID_REQUEST
                       ? "Metadata and storage class are given with an object's first bytes"
                       : NULL);
}

/* The same before the body, of the object as it is now; S3_OK when there is none. */
static enum s3_code check_early(struct s3_request *r, struct terms *t, bool *out_missing)
{
    struct object_get get = {.bucket = r->bucket, .key = r->key};
    struct object object = {0};
    enum meta_missing missing = META_MISSING_NONE;
    enum err err = file_stat(r->s3->fs, r->arena, &get, &object, &missing);
    enum s3_code code;

    *out_missing = err == ERR_NOT_FOUND && missing == META_MISSING_KEY;
    if (*out_missing)
        return S3_OK;
    if (err != OK)
        return s3_fail_commit(r, err, missing, "look at the key");
    code = check_object(t, object.attr.etag, object.attr.mtime_ms, object.attr.size);
    return code == S3_OK ? S3_OK : refuse(r, code);
}

/* --- committing ------------------------------------------------------------------------------- */

/* A key that is not there has no bytes: only offset 0 appends to it, and that makes it. */
static enum s3_code append_to_nothing(struct s3_request *r, const struct terms *t)
{
    if (t->conditions.if_match.ptr != NULL)
        return s3_fail_missing(r, META_MISSING_KEY);
    return t->offset == 0 ? S3_OK : s3_fail(&r->error, S3_INVALID_WRITE_OFFSET, NULL);
}

/* A write under way: it waits for other writers without a thread. */
struct write_op {
    struct terms terms;
    struct file_change *change;
    enum s3_code (*answer)(struct s3_request *r, const struct file_written *written);
    /* of an append */
    struct file_new *put;
    enum s3_code (*made)(struct s3_request *r, const struct file_new *put);
};

static void on_turn(void *http)
{
    http_request_resume_work(http);
}

static enum s3_code write_code(struct s3_request *r, const struct terms *t, enum err err,
                               enum meta_missing missing, const struct file_written *now)
{
    enum s3_code code = S3_OK;

    if (err == ERR_CONDITION)
        code = check_object(t, now->etag, now->mtime_ms, now->size);
    if (code != S3_OK)
        return refuse(r, code);
    if (err == ERR_NOT_FOUND && missing == META_MISSING_KEY && t->append)
        code = append_to_nothing(r, t);
    return code != S3_OK ? code : s3_fail_commit(r, err, missing, "write into the object");
}

static enum s3_code go_on(struct s3_request *r)
{
    struct write_op *op = r->state;
    struct file_written written = {0};
    enum meta_missing missing = META_MISSING_NONE;
    enum err err = s3_still_wanted(r);
    enum s3_code code;

    if (err == OK)
        err = file_change_go_on(op->change, &written, &missing);
    else
        file_change_give_up(op->change);
    if (err == ERR_AGAIN)
        return s3_wait(r, go_on);
    code = write_code(r, &op->terms, err, missing, &written);
    return code == S3_OK ? op->answer(r, &written) : code;
}

static enum s3_code begin_write(struct s3_request *r, struct write_op *op, uint64_t offset)
{
    struct file_write where = {.bucket = r->bucket,
                               .key = r->key,
                               .offset = offset,
                               .guard = guard_of(r, &op->terms),
                               .append = op->put,
                               .on_turn = on_turn,
                               .turn_arg = r->http};
    enum err err = file_write_begin(r->writer, r->arena, &where, &op->change);

    r->state = op;
    return err == OK ? go_on(r) : s3_fail_err(r, err, "store the bytes");
}

/* --- PatchObject ------------------------------------------------------------------------------ */

static enum s3_code patch_range(struct s3_request *r, struct range *out)
{
    struct str header = s3_header(r, "content-range");
    enum s3_code code;

    if (header.ptr == NULL)
        return s3_fail(&r->error, S3_MISSING_CONTENT_RANGE, NULL);
    code = range_parse_content(header, out, &r->error);
    if (code == S3_OK && out->len > PATCH_MAX)
        code = s3_fail(&r->error, S3_ENTITY_TOO_LARGE, "The range is longer than 5 GiB");
    return code;
}

enum s3_code op_patch_object_before_body(struct s3_request *r)
{
    struct terms t = {0};
    struct range range;
    bool missing = false;
    enum s3_code code = patch_range(r, &range);

    terms_of(r, &t);
    if (code == S3_OK)
        code = check_early(r, &t, &missing);
    return missing ? s3_fail_missing(r, META_MISSING_KEY) : code;
}

static enum s3_code answer_patch(struct s3_request *r, const struct file_written *written)
{
    struct buf xml;

    s3_reply_etag(r, written->etag);
    buf_init(&xml, RESULT_MAX);
    xml_begin(&xml);
    xml_open_root(&xml, "PatchObjectResult");
    xml_open(&xml, "Object");
    xml_time(&xml, "LastModified", written->mtime_ms);
    xml_etag(&xml, "ETag", written->etag);
    xml_close(&xml, "Object");
    xml_close(&xml, "PatchObjectResult");
    return s3_reply_xml(r, &xml);
}

enum s3_code op_patch_object(struct s3_request *r)
{
    struct write_op *op = arena_alloc(r->arena, sizeof(*op));
    struct range range;
    enum s3_code code = patch_range(r, &range);

    if (code == S3_OK && op == NULL)
        code = s3_fail_err(r, err_set(ERR_NOMEM, "the request's memory is full"), "patch");
    if (code != S3_OK)
        return code;
    if (r->digest.length != range.len && range.len > 0)
        return s3_fail(&r->error, S3_INVALID_REQUEST,
                       "The body is not as long as Content-Range says");
    if (r->digest.length == 0)
        return s3_fail(&r->error, S3_MISSING_REQUEST_BODY, NULL);
    *op = (struct write_op){.answer = answer_patch};
    terms_of(r, &op->terms);
    return begin_write(r, op, range.first);
}

/* --- appending -------------------------------------------------------------------------------- */

bool range_is_append(const struct s3_request *r)
{
    return s3_header(r, "x-amz-write-offset-bytes").ptr != NULL;
}

static enum s3_code append_terms(struct s3_request *r, struct terms *out)
{
    struct str header = s3_header(r, "x-amz-write-offset-bytes");

    *out = (struct terms){.append = true};
    terms_of(r, out);
    for (size_t i = 0; i < r->header_count; i++)
        out->describes |= str_starts_nocase(r->headers[i].name, STR("x-amz-meta-")) ||
                          str_eq_nocase(r->headers[i].name, STR("x-amz-storage-class"));
    if (str_to_u64(header, &out->offset) == OK && out->offset <= FILE_SIZE_MAX)
        return S3_OK;
    return s3_fail_argument(&r->error, "The write offset is not a number of bytes.",
                            "x-amz-write-offset-bytes", header);
}

enum s3_code range_append_before_body(struct s3_request *r)
{
    struct terms t;
    bool missing = false;
    enum s3_code code = append_terms(r, &t);

    if (code == S3_OK)
        code = check_early(r, &t, &missing);
    return missing ? append_to_nothing(r, &t) : code;
}

static enum s3_code answer_append(struct s3_request *r, const struct file_written *written)
{
    const struct write_op *op = r->state;
    char size[24];

    if (written->made)
        return op->made(r, op->put);
    s3_reply_empty(r, 200);
    s3_reply_etag(r, written->etag);
    snprintf(size, sizeof(size), "%lld", (long long)written->size);
    s3_reply_header_cstr(r, "x-amz-object-size", size);
    return S3_OK;
}

enum s3_code range_append(struct s3_request *r, struct file_new *put,
                          enum s3_code (*made)(struct s3_request *r, const struct file_new *put))
{
    struct write_op *op = arena_alloc(r->arena, sizeof(*op));
    enum s3_code code;

    if (op == NULL)
        return s3_fail_err(r, err_set(ERR_NOMEM, "the request's memory is full"), "append");
    *op = (struct write_op){.answer = answer_append, .put = put, .made = made};
    code = append_terms(r, &op->terms);
    return code == S3_OK ? begin_write(r, op, op->terms.offset) : code;
}
