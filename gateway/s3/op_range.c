/*
 * Writes into an object that is there: PatchObject, as Yandex Object Storage has it
 * (https://yandex.cloud/en/docs/storage/s3/api-ref/object/patch), and appending by PutObject with
 * x-amz-write-offset-bytes
 * (https://docs.aws.amazon.com/AmazonS3/latest/userguide/directory-buckets-objects-append.html).
 */
#include "base/clock.h"
#include "fs/range_write.h"
#include "gateway/s3/conditions.h"
#include "gateway/s3/ops.h"
#include "gateway/s3/range.h"
#include "gateway/s3/range_ops.h"
#include "gateway/s3/stored.h"
#include "gateway/s3/xml_write.h"

#include <stdio.h>

#define RESULT_MAX     ((size_t)4 << 10)
#define PATCH_MAX      ((uint64_t)5 << 30)
#define APPEND_RETRIES 10 /* of a first append: the key was made, or deleted, a moment ago */

/* --- what a write is judged by ---------------------------------------------------------------- */

struct terms {
    struct conditions conditions;
    bool append;
    bool describes;    /* metadata or a class is given, as for a new object */
    uint64_t offset;   /* must be the size, when appending */
    enum s3_code code; /* why it was refused */
};

static enum s3_code judge_object(const struct terms *t, const struct object *now)
{
    enum condition_result result =
        conditions_read(&t->conditions, now->attr.etag, now->attr.mtime_ms, clock_wall_ms());

    if (result != CONDITION_PROCEED)
        return S3_PRECONDITION_FAILED;
    if (t->append && (uint64_t)now->attr.size != t->offset)
        return S3_INVALID_WRITE_OFFSET;
    return t->describes ? S3_INVALID_REQUEST : S3_OK;
}

static enum err judge(void *arg, const struct object *now)
{
    struct terms *t = arg;

    t->code = judge_object(t, now);
    return t->code == S3_OK ? OK : err_set(ERR_CONDITION, "the object is not as it should be");
}

/* If-Modified-Since says nothing of writes. */
static void terms_of(const struct s3_request *r, struct terms *out)
{
    conditions_of_headers(r->headers, r->header_count, &out->conditions);
    out->conditions.if_modified_since = STR_NONE;
}

/* The text that goes with a code of judge_object(). */
static enum s3_code refuse(struct s3_request *r, enum s3_code code)
{
    return s3_fail(&r->error, code,
                   code == S3_INVALID_REQUEST
                       ? "Metadata and storage class are given with an object's first bytes"
                       : NULL);
}

/* The same before the body, of the object as it is now; S3_OK when there is none. */
static enum s3_code judge_early(struct s3_request *r, struct terms *t, bool *out_missing)
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
        return stored_commit_code(r, err, missing, "look at the key");
    code = judge_object(t, &object);
    return code == S3_OK ? S3_OK : refuse(r, code);
}

/* --- committing ------------------------------------------------------------------------------- */

static enum err write_content(struct s3_request *r, struct terms *t, uint64_t offset,
                              const struct content *content, struct write_result *out,
                              enum meta_missing *out_missing)
{
    struct file_write w = {.bucket = r->bucket, .key = r->key};

    if (t->append || conditions_any(&t->conditions)) {
        w.judge = judge;
        w.arg = t;
    }
    return file_write(r->s3->fs, r->arena, &w, offset, content, out, out_missing);
}

static enum s3_code write_code(struct s3_request *r, const struct terms *t, enum err err,
                               enum meta_missing missing)
{
    if (err == ERR_CONDITION && t->code != S3_OK)
        return refuse(r, t->code);
    return stored_commit_code(r, err, missing, "write into the object");
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
        code = judge_early(r, &t, &missing);
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

enum s3_code op_patch_object(struct s3_request *r)
{
    struct terms t = {.code = S3_OK};
    struct range range;
    struct content content;
    struct write_result result;
    enum meta_missing missing = META_MISSING_NONE;
    enum s3_code code = patch_range(r, &range);
    enum err err;

    if (code != S3_OK)
        return code;
    terms_of(r, &t);
    err = writer_finish(r->writer, r->arena, &content);
    if (err == OK && content.size != range.len && range.len > 0)
        return s3_fail(&r->error, S3_INVALID_REQUEST,
                       "The body is not as long as Content-Range says");
    if (err == OK && content.size == 0)
        return s3_fail(&r->error, S3_MISSING_REQUEST_BODY, NULL);
    if (err == OK)
        err = write_content(r, &t, range.first, &content, &result, &missing);
    writer_settle(r->writer, err);
    code = write_code(r, &t, err, missing);
    return code == S3_OK ? answer_patch(r, &result) : code;
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
        code = judge_early(r, &t, &missing);
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

enum s3_code range_append(struct s3_request *r, struct object_put *put, enum err *out_err,
                          bool *out_made)
{
    struct terms t;
    struct write_result result;
    enum meta_missing missing;
    enum s3_code code = append_terms(r, &t);

    *out_made = false;
    *out_err = ERR_INVALID;
    for (int i = 0; code == S3_OK && i < APPEND_RETRIES; i++) {
        *out_err = write_content(r, &t, t.offset, &put->content, &result, &missing);
        if (*out_err != ERR_NOT_FOUND || missing != META_MISSING_KEY) {
            code = write_code(r, &t, *out_err, missing);
            if (code == S3_OK)
                answer_append(r, &result);
            return code;
        }
        code = append_to_nothing(r, &t);
        if (code != S3_OK)
            return code;
        put->cond = (struct object_cond){.if_absent = true};
        *out_err = object_put(r->s3->meta, put, &missing);
        *out_made = *out_err == OK;
        if (*out_err != ERR_CONDITION)
            return stored_commit_code(r, *out_err, missing, "commit the object");
        /* somebody else made it a moment ago: append to that */
    }
    return code == S3_OK ? s3_fail(&r->error, S3_CONDITIONAL_REQUEST_CONFLICT, NULL) : code;
}
