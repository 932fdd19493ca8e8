/*
 * Writes into an object that is there: PatchObject, as Yandex Object Storage has it
 * (https://yandex.cloud/en/docs/storage/s3/api-ref/object/patch), and appending by PutObject with
 * x-amz-write-offset-bytes
 * (https://docs.aws.amazon.com/AmazonS3/latest/userguide/directory-buckets-objects-append.html).
 */
#include "base/clock.h"
#include "fs/write/range_write.h"
#include "gateway/s3/proto/conditions.h"
#include "gateway/s3/core/ops.h"
#include "gateway/s3/proto/range.h"
#include "gateway/s3/object/range_write.h"
#include "gateway/s3/proto/xml_write.h"

#include <stdio.h>

#define RESULT_MAX     ((size_t)4 << 10)
#define PATCH_MAX      ((uint64_t)5 << 30)
#define APPEND_RETRIES 10 /* of a first append: the key was made, or deleted, a moment ago */

/* --- the conditions of a write ---------------------------------------------------------------- */

struct terms {
    struct conditions conditions;
    bool append;
    bool describes;    /* metadata or a class is given, as for a new object */
    uint64_t offset;   /* must be the size, when appending */
    enum s3_code code; /* why it was refused */
};

static enum s3_code check_object(const struct terms *t, const struct object *now)
{
    enum condition_result result =
        conditions_read(&t->conditions, now->attr.etag, now->attr.mtime_ms, clock_wall_ms());

    if (result != CONDITION_PROCEED)
        return S3_PRECONDITION_FAILED;
    if (t->append && (uint64_t)now->attr.size != t->offset)
        return S3_INVALID_WRITE_OFFSET;
    return t->describes ? S3_INVALID_REQUEST : S3_OK;
}

static enum err check(void *arg, const struct object *now)
{
    struct terms *t = arg;

    t->code = check_object(t, now);
    return t->code == S3_OK ? OK : err_set(ERR_CONDITION, "the object is not as it should be");
}

/* If-Modified-Since says nothing of writes. */
static void terms_of(const struct s3_request *r, struct terms *out)
{
    conditions_of_headers(r->headers, r->header_count, &out->conditions);
    out->conditions.if_modified_since = STR_NONE;
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
    struct object_get get = {.bucket = r->bucket, .key = r->key, .want = OBJECT_ATTR};
    struct object object = {0};
    enum meta_missing missing = META_MISSING_NONE;
    enum err err = object_get(r->s3->meta, r->arena, &get, &object, &missing);
    enum s3_code code;

    *out_missing = err == ERR_NOT_FOUND && missing == META_MISSING_KEY;
    if (*out_missing)
        return S3_OK;
    if (err != OK)
        return s3_fail_commit(r, err, missing, "look at the key");
    code = check_object(t, &object);
    return code == S3_OK ? S3_OK : refuse(r, code);
}

/* --- committing ------------------------------------------------------------------------------- */

/* A write under way: it waits for other writers without a thread. */
struct write_op {
    struct terms terms;
    uint64_t offset;
    struct content content; /* the writer's */
    struct file_change *change;
    enum s3_code (*done)(struct s3_request *r, enum err err, enum meta_missing missing,
                         const struct write_result *result);
    /* of an append */
    struct object_put *put;
    enum s3_code (*made)(struct s3_request *r, const struct object_put *put);
    unsigned tries;
};

static void on_turn(void *http)
{
    http_request_resume_work(http);
}

static enum s3_code go_on(struct s3_request *r)
{
    struct write_op *op = r->state;
    struct write_result result = {0};
    enum meta_missing missing = META_MISSING_NONE;
    enum err err = s3_still_wanted(r);

    if (err == OK)
        err = file_change_go_on(op->change, &result, &missing);
    else
        file_change_give_up(op->change);
    return err == ERR_AGAIN ? s3_wait(r, go_on) : op->done(r, err, missing, &result);
}

static enum s3_code begin_write(struct s3_request *r)
{
    struct write_op *op = r->state;
    struct file_write w = {
        .bucket = r->bucket, .key = r->key, .on_turn = on_turn, .turn_arg = r->http};
    enum err err;

    if (op->terms.append || conditions_any(&op->terms.conditions)) {
        w.check = check;
        w.arg = &op->terms;
    }
    err = file_write_begin(r->s3->fs, r->arena, &w, op->offset, &op->content, &op->change);
    return err == OK ? go_on(r) : op->done(r, err, META_MISSING_NONE, NULL);
}

static enum s3_code write_code(struct s3_request *r, const struct terms *t, enum err err,
                               enum meta_missing missing)
{
    if (err == ERR_CONDITION && t->code != S3_OK)
        return refuse(r, t->code);
    return s3_fail_commit(r, err, missing, "write into the object");
}

static struct write_op *new_write(struct s3_request *r)
{
    struct write_op *op = arena_alloc(r->arena, sizeof(*op));

    if (op != NULL)
        *op = (struct write_op){.terms = {.code = S3_OK}};
    r->state = op;
    return op;
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
    struct terms t = {.code = S3_OK};
    struct range range;
    bool missing = false;
    enum s3_code code = patch_range(r, &range);

    terms_of(r, &t);
    if (code == S3_OK)
        code = check_early(r, &t, &missing);
    return missing ? s3_fail_missing(r, META_MISSING_KEY) : code;
}

static enum s3_code answer_patch(struct s3_request *r, const struct write_result *result)
{
    struct buf xml;

    s3_reply_etag(r, result->etag);
    buf_init(&xml, RESULT_MAX);
    xml_begin(&xml);
    xml_open_root(&xml, "PatchObjectResult");
    xml_open(&xml, "Object");
    xml_time(&xml, "LastModified", result->mtime_ms);
    xml_etag(&xml, "ETag", result->etag);
    xml_close(&xml, "Object");
    xml_close(&xml, "PatchObjectResult");
    return s3_reply_xml(r, &xml);
}

static enum s3_code patched(struct s3_request *r, enum err err, enum meta_missing missing,
                            const struct write_result *result)
{
    const struct write_op *op = r->state;
    enum s3_code code;

    writer_resolve(r->writer, err);
    code = write_code(r, &op->terms, err, missing);
    return code == S3_OK ? answer_patch(r, result) : code;
}

enum s3_code op_patch_object(struct s3_request *r)
{
    struct write_op *op = new_write(r);
    struct range range;
    enum s3_code code = patch_range(r, &range);
    enum err err;

    if (code != S3_OK)
        return code;
    err = op != NULL ? writer_finish(r->writer, r->arena, &op->content)
                     : err_set(ERR_NOMEM, "the request's memory is full");
    if (err != OK)
        return s3_fail_err(r, err, "store the bytes");
    if (op->content.size != range.len && range.len > 0)
        return s3_fail(&r->error, S3_INVALID_REQUEST,
                       "The body is not as long as Content-Range says");
    if (op->content.size == 0)
        return s3_fail(&r->error, S3_MISSING_REQUEST_BODY, NULL);
    terms_of(r, &op->terms);
    op->offset = range.first;
    op->done = patched;
    return begin_write(r);
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

/* A key that is not there has no bytes: only offset 0 appends to it, and that makes it. */
static enum s3_code append_to_nothing(struct s3_request *r, const struct terms *t)
{
    if (t->conditions.if_match.ptr != NULL)
        return s3_fail_missing(r, META_MISSING_KEY);
    return t->offset == 0 ? S3_OK : s3_fail(&r->error, S3_INVALID_WRITE_OFFSET, NULL);
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

static void answer_append(struct s3_request *r, const struct write_result *result)
{
    char size[24];

    s3_reply_empty(r, 200);
    s3_reply_etag(r, result->etag);
    snprintf(size, sizeof(size), "%lld", (long long)result->size);
    s3_reply_header_cstr(r, "x-amz-object-size", size);
}

/* There is no such key: the bytes become a new object. */
static enum s3_code make_object(struct s3_request *r)
{
    struct write_op *op = r->state;
    enum meta_missing missing = META_MISSING_NONE;
    enum s3_code code = append_to_nothing(r, &op->terms);
    enum err err;

    if (code != S3_OK)
        return code;
    op->put->cond = (struct object_cond){.if_absent = true};
    err = object_put(r->s3->meta, op->put, &missing);
    if (err == ERR_CONDITION && op->tries++ < APPEND_RETRIES)
        return begin_write(r); /* another request made it a moment ago: append to that */
    writer_resolve(r->writer, err);
    if (err == ERR_CONDITION)
        return s3_fail(&r->error, S3_CONDITIONAL_REQUEST_CONFLICT, NULL);
    code = s3_fail_commit(r, err, missing, "commit the object");
    return code == S3_OK ? op->made(r, op->put) : code;
}

static enum s3_code appended(struct s3_request *r, enum err err, enum meta_missing missing,
                             const struct write_result *result)
{
    const struct write_op *op = r->state;
    enum s3_code code;

    if (err == ERR_NOT_FOUND && missing == META_MISSING_KEY)
        return make_object(r);
    writer_resolve(r->writer, err);
    code = write_code(r, &op->terms, err, missing);
    if (code == S3_OK)
        answer_append(r, result);
    return code;
}

enum s3_code range_append(struct s3_request *r, struct object_put *put,
                          enum s3_code (*made)(struct s3_request *r, const struct object_put *put))
{
    struct write_op *op = new_write(r);
    enum s3_code code;

    if (op == NULL)
        return s3_fail_err(r, err_set(ERR_NOMEM, "the request's memory is full"), "append");
    code = append_terms(r, &op->terms);
    if (code != S3_OK)
        return code;
    op->offset = op->terms.offset;
    op->content = put->content;
    op->put = put;
    op->made = made;
    op->done = appended;
    return begin_write(r);
}
