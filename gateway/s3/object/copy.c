/*
 * CopyObject: the new object links the source's pieces, so no data moves. Only a checksum of an
 * algorithm that the source lacks has its bytes read, on a thread for long work.
 */
#include "base/clock.h"
#include "gateway/s3/core/ops.h"
#include "gateway/s3/object/copy_source.h"
#include "gateway/s3/proto/checksum_pack.h"
#include "gateway/s3/core/object_headers.h"
#include "gateway/s3/core/write_conditions.h"
#include "gateway/s3/proto/xml_write.h"

#define RESULT_MAX ((size_t)4 << 10)

static enum s3_code replaces_metadata(struct s3_request *r, bool *out)
{
    struct str directive = s3_header(r, "x-amz-metadata-directive");

    *out = str_eq(directive, STR("REPLACE"));
    if (*out || directive.len == 0 || str_eq(directive, STR("COPY")))
        return S3_OK;
    return s3_fail_argument(&r->error, "Unknown metadata directive.", "x-amz-metadata-directive",
                            directive);
}

static bool is_onto_itself(const struct s3_request *r, const struct copy_source *source)
{
    return str_eq(source->bucket, r->bucket) && str_eq(source->key, r->key);
}

/* A copy under way: its checksum may be computed later, on another thread. */
struct copy {
    struct copy_source source;
    struct file_new put;
    struct checksum sum;
    bool replace;
    enum checksum_algo asked; /* CHECKSUM_NONE: sum is known */
};

/* The source's checksum stays, unless another algorithm is asked for: then the bytes are read. */
static enum s3_code choose_checksum(struct s3_request *r, struct copy *c)
{
    struct str asked = s3_header(r, "x-amz-checksum-algorithm");
    enum s3_code code;

    c->asked = CHECKSUM_NONE;
    c->sum = checksum_unpack(r->file.object.checksum);
    if (asked.len == 0)
        return S3_OK;
    code = checksum_algo_parse(asked, &c->asked, &r->error);
    if (c->asked == c->sum.algo && c->sum.type == CHECKSUM_FULL_OBJECT)
        c->asked = CHECKSUM_NONE;
    return code;
}

static enum s3_code describe(struct s3_request *r, struct copy *c)
{
    const struct object *source = &r->file.object;
    struct file_new *put = &c->put;
    enum s3_code code = storage_class_of(r, &put->attr.storage_class);

    put->headers = source->headers;
    if (code == S3_OK && c->replace)
        code = object_headers_of(r, &put->headers);
    if (code != S3_OK)
        return code;
    put->bucket = r->bucket;
    put->key = r->key;
    put->tags = source->tags;
    put->parts = source->parts;
    put->guard.cond = write_conditions_of(r);
    put->attr.etag = source->attr.etag;
    put->attr.owner = r->permit.grant.owns;
    return S3_OK;
}

static enum s3_code answer(struct s3_request *r, const struct copy *c)
{
    struct buf xml;

    buf_init(&xml, RESULT_MAX);
    xml_begin(&xml);
    xml_open_root(&xml, "CopyObjectResult");
    xml_time(&xml, "LastModified", c->put.attr.mtime_ms);
    xml_etag(&xml, "ETag", c->put.attr.etag);
    s3_xml_checksum(&xml, &c->sum, true);
    if (c->sum.algo != CHECKSUM_NONE)
        xml_cstr(&xml, "ChecksumType", checksum_type_name(c->sum.type));
    xml_close(&xml, "CopyObjectResult");
    return s3_reply_xml(r, &xml);
}

static enum s3_code commit(struct s3_request *r)
{
    struct copy *c = r->state;
    struct file_new *put = &c->put;
    enum meta_missing missing = META_MISSING_NONE;
    enum s3_code code;
    enum err err;

    put->checksum = checksum_pack(r->arena, &c->sum);
    put->attr.mtime_ms = clock_wall_ms();
    put->attr.checksum = checksum_code(c->sum.algo, c->sum.type);
    if (put->checksum.ptr == NULL)
        return s3_fail_memory(&r->error);
    err = file_copy(&r->file, put, &missing);
    if (err == ERR_AGAIN) { /* its condition wants writers at ranges to be done */
        put->guard.cond.no_wait = false;
        return s3_go_on(r, HTTP_LANE_LONG, commit);
    }
    code = s3_fail_commit(r, err, missing, "commit the copy");
    return code == S3_OK ? answer(r, c) : code;
}

static enum s3_code read_and_commit(struct s3_request *r)
{
    struct copy *c = r->state;
    enum s3_code code =
        copy_source_checksum(r, c->asked, 0, (uint64_t)r->file.object.attr.size, &c->sum);

    c->put.guard.cond.no_wait = false; /* these threads may wait */
    return code == S3_OK ? commit(r) : code;
}

/* CopyObject: links the source's pieces to a new file; no data moves. */
enum s3_code op_copy_object(struct s3_request *r)
{
    struct copy *c = arena_alloc(r->arena, sizeof(*c));
    uint64_t size;
    enum s3_code code;

    if (c == NULL)
        return s3_fail_err(r, err_set(ERR_NOMEM, "the request's memory is full"), "copy");
    *c = (struct copy){0};
    r->state = c;
    code = replaces_metadata(r, &c->replace);
    if (code == S3_OK)
        code = copy_source_open(r, &c->source);
    if (code == S3_OK && is_onto_itself(r, &c->source) && !c->replace &&
        s3_header(r, "x-amz-storage-class").len == 0)
        code = s3_fail(&r->error, S3_INVALID_REQUEST,
                       "This copy request is illegal because it is trying to copy an object to "
                       "itself without changing the object's metadata, storage class, website "
                       "redirect location or encryption attributes.");
    if (code == S3_OK)
        code = describe(r, c);
    if (code == S3_OK)
        code = choose_checksum(r, c);
    if (code != S3_OK)
        return code;
    size = (uint64_t)r->file.object.attr.size;
    if (c->asked == CHECKSUM_NONE && size <= COPY_SOURCE_MAX)
        return commit(r);
    if (c->asked == CHECKSUM_NONE) /* it reads nothing, but has a row for each 64 MiB to link */
        return s3_go_on(r, HTTP_LANE_LONG, commit);
    code = copy_source_check_size(r, size);
    if (code != S3_OK)
        return code;
    return copy_source_is_in_memory(r) ? read_and_commit(r)
                                       : s3_go_on(r, HTTP_LANE_LONG, read_and_commit);
}
