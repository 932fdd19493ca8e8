#include "base/clock.h"
#include "gateway/s3/ops.h"
#include "gateway/s3/source.h"
#include "gateway/s3/stored.h"
#include "gateway/s3/xml_write.h"

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

/* The source's checksum stays, unless another algorithm is asked for: then the bytes are read. */
static enum s3_code choose_checksum(struct s3_request *r, struct checksum *out)
{
    struct str asked = s3_header(r, "x-amz-checksum-algorithm");
    const struct object *source = &r->file.object;
    enum checksum_algo algo;
    enum s3_code code;

    *out = stored_checksum_unpack(source->checksum);
    if (asked.len == 0)
        return S3_OK;
    code = checksum_algo_parse(asked, &algo, &r->error);
    if (code != S3_OK || (algo == out->algo && out->type == CHECKSUM_FULL_OBJECT))
        return code;
    return source_checksum(r, algo, 0, (uint64_t)source->attr.size, out);
}

static enum s3_code describe(struct s3_request *r, bool replace, struct object_put *put,
                             struct checksum *sum)
{
    const struct object *source = &r->file.object;
    enum s3_code code = stored_class_of(r, &put->attr.storage_class);

    put->headers = source->headers;
    if (code == S3_OK && replace)
        code = stored_headers_of(r, &put->headers);
    if (code == S3_OK)
        code = choose_checksum(r, sum);
    if (code != S3_OK)
        return code;
    put->bucket = r->bucket;
    put->key = r->key;
    put->tags = source->tags;
    put->parts = source->parts;
    put->cond = stored_write_cond(r);
    put->checksum = stored_checksum_pack(r->arena, sum);
    put->attr.size = source->attr.size;
    put->attr.etag = source->attr.etag;
    put->attr.mtime_ms = clock_wall_ms();
    put->attr.owner = r->access.account.id;
    put->attr.checksum = stored_checksum_code(sum->algo, sum->type);
    return put->checksum.ptr != NULL ? S3_OK : s3_fail(&r->error, S3_INTERNAL_ERROR, NULL);
}

static enum s3_code answer(struct s3_request *r, const struct object_put *put,
                           const struct checksum *sum)
{
    struct buf xml;

    buf_init(&xml, RESULT_MAX);
    xml_begin(&xml);
    xml_open_root(&xml, "CopyObjectResult");
    xml_time(&xml, "LastModified", put->attr.mtime_ms);
    xml_etag(&xml, "ETag", put->attr.etag);
    stored_xml_checksum(&xml, sum, true);
    if (sum->algo != CHECKSUM_NONE)
        xml_cstr(&xml, "ChecksumType", checksum_type_name(sum->type));
    xml_close(&xml, "CopyObjectResult");
    return s3_reply_xml(r, &xml);
}

/* CopyObject: links the source's pieces to a new file; no data moves. */
enum s3_code op_copy_object(struct s3_request *r)
{
    struct copy_source source;
    struct object_put put = {0};
    struct checksum sum;
    enum meta_missing missing = META_MISSING_NONE;
    bool replace;
    enum err err;
    enum s3_code code = replaces_metadata(r, &replace);

    if (code == S3_OK)
        code = source_open(r, &source);
    if (code == S3_OK && is_onto_itself(r, &source) && !replace &&
        s3_header(r, "x-amz-storage-class").len == 0)
        code = s3_fail(&r->error, S3_INVALID_REQUEST,
                       "This copy request is illegal because it is trying to copy an object to "
                       "itself without changing the object's metadata, storage class, website "
                       "redirect location or encryption attributes.");
    if (code == S3_OK)
        code = describe(r, replace, &put, &sum);
    if (code != S3_OK)
        return code;
    err = meta_next_id(r->s3->meta, &put.inode);
    if (err == OK)
        err = object_copy(r->s3->meta, &put, &r->file.object, &missing);
    code = stored_commit_code(r, err, missing, "commit the copy");
    return code == S3_OK ? answer(r, &put, &sum) : code;
}
