/*
 * Multipart uploads but for their completion: create, part, part by copy, list of parts, abort.
 */
#include "base/clock.h"
#include "base/codec.h"
#include "gateway/s3/core/ops.h"
#include "gateway/s3/proto/range.h"
#include "gateway/s3/object/copy_source.h"
#include "gateway/s3/proto/checksum_pack.h"
#include "gateway/s3/core/object_headers.h"
#include "gateway/s3/core/write_conditions.h"
#include "gateway/s3/proto/xml_write.h"
#include "meta/names/upload.h"

#define PARTS_MAX  10000
#define ANSWER_MAX ((size_t)4 << 20)

/* --- CreateMultipartUpload -------------------------------------------------------------------- */

/* The checksum that the upload is to have: 0 when the client does not ask. */
static enum s3_code asked_checksum(struct s3_request *r, int *out)
{
    struct str algo_name = s3_header(r, "x-amz-checksum-algorithm");
    struct str type_name = s3_header(r, "x-amz-checksum-type");
    enum checksum_algo algo = CHECKSUM_NONE;
    enum checksum_type type = CHECKSUM_TYPE_NONE;
    enum s3_code code = S3_OK;

    *out = 0;
    if (algo_name.len > 0)
        code = checksum_algo_parse(algo_name, &algo, &r->error);
    if (code == S3_OK && type_name.len > 0)
        code = checksum_type_parse(type_name, &type, &r->error);
    if (code != S3_OK || (algo == CHECKSUM_NONE && type == CHECKSUM_TYPE_NONE))
        return code;
    code = checksum_upload_rule(algo, type, &algo, &type, &r->error);
    *out = checksum_code(algo, type);
    return code;
}

static enum s3_code answer_created(struct s3_request *r, const struct upload *upload)
{
    struct buf xml;
    enum s3_code code;

    buf_init(&xml, ANSWER_MAX);
    xml_begin(&xml);
    xml_open_root(&xml, "InitiateMultipartUploadResult");
    xml_text(&xml, "Bucket", r->bucket);
    xml_text(&xml, "Key", r->key);
    xml_text(&xml, "UploadId", upload->upload);
    xml_close(&xml, "InitiateMultipartUploadResult");
    code = s3_reply_xml(r, &xml);
    if (upload->checksum != 0) {
        s3_reply_header_cstr(r, "x-amz-checksum-algorithm",
                             checksum_algo_name(checksum_code_algo(upload->checksum)));
        s3_reply_header_cstr(r, "x-amz-checksum-type",
                             checksum_type_name(checksum_code_type(upload->checksum)));
    }
    return code;
}

enum s3_code op_create_multipart_upload(struct s3_request *r)
{
    struct upload upload = {.key = r->key, .owner = r->permit.grant.owns};
    enum s3_code code = object_headers_of(r, &upload.headers);
    enum err err;

    if (code == S3_OK)
        code = storage_class_of(r, &upload.storage_class);
    if (code == S3_OK)
        code = asked_checksum(r, &upload.checksum);
    if (code == S3_OK && s3_has_conditions(r)) /* the completion decides, on its own conditions */
        code = write_conditions_check_early(r);
    if (code != S3_OK)
        return code;
    upload.initiated_ms = clock_wall_ms();
    err = upload_create(r->s3->meta, r->arena, r->bucket, r->key, &upload);
    code = s3_fail_commit(r, err, META_MISSING_BUCKET, "create the upload");
    return code == S3_OK ? answer_created(r, &upload) : code;
}

/* --- UploadPart ------------------------------------------------------------------------------- */

static enum s3_code part_number(struct s3_request *r, int *out)
{
    struct str text = s3_arg(r, "partNumber");
    uint64_t number = 0;

    if (str_to_u64(text, &number) != OK || number < 1 || number > PARTS_MAX)
        return s3_fail_argument(&r->error,
                                "Part number must be an integer between 1 and 10000, inclusive",
                                "partNumber", text);
    *out = (int)number;
    return S3_OK;
}

static enum s3_code get_upload(struct s3_request *r, struct upload *out)
{
    enum meta_missing missing = META_MISSING_NONE;
    enum err err =
        upload_get(r->s3->meta, r->arena, r->bucket, r->key, s3_arg(r, "uploadId"), out, &missing);

    return s3_fail_commit(r, err, missing, "look at the upload");
}

static enum s3_code open_upload(struct s3_request *r, struct upload *out)
{
    enum s3_code code = get_upload(r, out);

    if (code == S3_OK && out->result.ptr != NULL)
        code = s3_fail_missing(r, META_MISSING_UPLOAD);
    return code;
}

/* A part's checksum has the upload's algorithm: the object's can then be made from the parts'. */
enum s3_code op_upload_part_before_body(struct s3_request *r)
{
    struct upload upload;
    int number;
    enum s3_code code = part_number(r, &number);

    if (code == S3_OK)
        code = open_upload(r, &upload);
    if (code == S3_OK && upload.checksum != 0) {
        r->default_algo = checksum_code_algo(upload.checksum);
        r->algo_is_fixed = true;
    }
    return code;
}

enum s3_code op_upload_part(struct s3_request *r)
{
    struct file_part put = {.bucket = r->bucket, .key = r->key, .upload = s3_arg(r, "uploadId")};
    enum meta_missing missing = META_MISSING_NONE;
    char *etag = arena_alloc(r->arena, 2 * sizeof(r->digest.md5) + 1);
    enum s3_code code = part_number(r, &put.part.number);
    enum err err;

    put.part.checksum = checksum_pack(r->arena, &r->digest.sum);
    if (code == S3_OK && (etag == NULL || put.part.checksum.ptr == NULL))
        code = s3_fail_memory(&r->error);
    if (code != S3_OK)
        return code;
    hex_encode(r->digest.md5, sizeof(r->digest.md5), etag);
    put.part.etag = str_of(etag);
    put.part.mtime_ms = clock_wall_ms();
    err = file_commit_part(r->writer, r->arena, &put, &missing);
    code = s3_fail_commit(r, err, missing, "commit the part");
    if (code != S3_OK)
        return code;
    s3_reply_empty(r, 200);
    s3_reply_etag(r, put.part.etag);
    if (r->digest.client_sum)
        s3_reply_checksum(r, &r->digest.sum, true);
    return S3_OK;
}

/* --- UploadPartCopy --------------------------------------------------------------------------- */

/*
 * The ETag of a copied part: the source's when it is the MD5 of just these bytes, else an opaque
 * one of the same form that the same copy always gets.
 */
static enum s3_code copied_etag(struct s3_request *r, const struct range *range, struct str *out)
{
    const struct object *source = &r->file.object;
    char *hex = arena_alloc(r->arena, 33);
    char *text;
    uint8_t md5[16];

    if (range->len == (uint64_t)source->attr.size && source->attr.etag.len == 32 &&
        str_find(source->attr.etag, '-') == source->attr.etag.len) {
        *out = source->attr.etag;
        return S3_OK;
    }
    text = arena_printf(r->arena, "%llu %llu %llu", (unsigned long long)source->attr.inode,
                        (unsigned long long)range->first, (unsigned long long)range->len);
    if (hex == NULL || text == NULL || hash_once(HASH_MD5, text, str_of(text).len, md5) != OK)
        return s3_fail_memory(&r->error);
    hex_encode(md5, sizeof(md5), hex);
    *out = str_of(hex);
    return S3_OK;
}

/* A part that is copied: its checksum may be computed later, on another thread. */
struct part_copy {
    struct file_part put;
    struct upload upload;
    struct range range;
    struct checksum sum;
    enum checksum_algo asked; /* CHECKSUM_NONE: sum is known, or none is wanted */
};

/* Taken from the source where it can be; read only when the upload was created for an algorithm. */
static void copied_checksum(struct s3_request *r, struct part_copy *c)
{
    const struct object *source = &r->file.object;
    struct checksum whole = checksum_unpack(source->checksum);
    enum checksum_algo algo = checksum_code_algo(c->upload.checksum);
    enum checksum_algo wanted = algo != CHECKSUM_NONE ? algo : CHECKSUM_CRC64NVME;

    c->sum = (struct checksum){0};
    c->asked = algo;
    if (whole.algo == wanted && whole.type == CHECKSUM_FULL_OBJECT &&
        c->range.len == (uint64_t)source->attr.size) {
        c->sum = whole;
        c->asked = CHECKSUM_NONE;
    }
}

static enum s3_code answer_copied(struct s3_request *r, const struct part *part,
                                  const struct checksum *sum)
{
    struct buf xml;

    buf_init(&xml, ANSWER_MAX);
    xml_begin(&xml);
    xml_open_root(&xml, "CopyPartResult");
    xml_time(&xml, "LastModified", part->mtime_ms);
    xml_etag(&xml, "ETag", part->etag);
    s3_xml_checksum(&xml, sum, false);
    xml_close(&xml, "CopyPartResult");
    return s3_reply_xml(r, &xml);
}

static enum s3_code copy_range(struct s3_request *r, struct range *out)
{
    uint64_t size = (uint64_t)r->file.object.attr.size;
    enum s3_code code =
        range_parse_copy(s3_header(r, "x-amz-copy-source-range"), size, out, &r->error);

    return code == S3_OK ? copy_source_check_size(r, out->len) : code;
}

static enum s3_code commit_copy(struct s3_request *r, struct part_copy *c)
{
    enum meta_missing missing = META_MISSING_NONE;
    enum s3_code code;
    enum err err;

    c->put.part.mtime_ms = clock_wall_ms();
    c->put.part.checksum = checksum_pack(r->arena, &c->sum);
    err = file_copy_part(&r->file, c->range.first, c->range.len, &c->put, &missing);
    code = s3_fail_commit(r, err, missing, "commit the copied part");
    return code == S3_OK ? answer_copied(r, &c->put.part, &c->sum) : code;
}

static enum s3_code read_and_commit(struct s3_request *r)
{
    struct part_copy *c = r->state;
    enum s3_code code = copy_source_checksum(r, c->asked, c->range.first, c->range.len, &c->sum);

    return code == S3_OK ? commit_copy(r, c) : code;
}

enum s3_code op_upload_part_copy(struct s3_request *r)
{
    struct part_copy *c = arena_alloc(r->arena, sizeof(*c));
    struct copy_source source;
    enum s3_code code;

    if (c == NULL)
        return s3_fail_err(r, err_set(ERR_NOMEM, "the request's memory is full"), "copy a part");
    *c = (struct part_copy){
        .put = {.bucket = r->bucket, .key = r->key, .upload = s3_arg(r, "uploadId")}};
    r->state = c;
    code = part_number(r, &c->put.part.number);
    if (code == S3_OK)
        code = open_upload(r, &c->upload);
    if (code == S3_OK)
        code = copy_source_open(r, &source);
    if (code == S3_OK)
        code = copy_range(r, &c->range);
    if (code == S3_OK)
        code = copied_etag(r, &c->range, &c->put.part.etag);
    if (code != S3_OK)
        return code;
    copied_checksum(r, c);
    if (c->asked == CHECKSUM_NONE)
        return commit_copy(r, c);
    return copy_source_is_in_memory(r) ? read_and_commit(r)
                                       : s3_go_on(r, HTTP_LANE_LONG, read_and_commit);
}

/* --- ListParts -------------------------------------------------------------------------------- */

static void write_part(const struct part *part, struct buf *xml)
{
    struct checksum sum = checksum_unpack(part->checksum);

    xml_open(xml, "Part");
    xml_u64(xml, "PartNumber", (uint64_t)part->number);
    xml_time(xml, "LastModified", part->mtime_ms);
    xml_etag(xml, "ETag", part->etag);
    xml_u64(xml, "Size", (uint64_t)part->size);
    s3_xml_checksum(xml, &sum, false);
    xml_close(xml, "Part");
}

static void write_parts(struct s3_request *r, const struct upload *upload, const struct part *parts,
                        size_t count, bool more, struct buf *xml)
{
    if (upload->checksum != 0) {
        xml_cstr(xml, "ChecksumAlgorithm",
                 checksum_algo_name(checksum_code_algo(upload->checksum)));
        xml_cstr(xml, "ChecksumType", checksum_type_name(checksum_code_type(upload->checksum)));
    }
    s3_xml_owner(r, "Initiator", upload->owner, xml);
    s3_xml_owner(r, "Owner", upload->owner, xml);
    xml_text(xml, "StorageClass", storage_class_name(upload->storage_class));
    xml_u64(xml, "NextPartNumberMarker", count > 0 ? (uint64_t)parts[count - 1].number : 0);
    xml_bool(xml, "IsTruncated", more);
    for (size_t i = 0; i < count; i++)
        write_part(&parts[i], xml);
}

enum s3_code op_list_parts(struct s3_request *r)
{
    enum meta_missing missing = META_MISSING_NONE;
    struct upload upload;
    struct part *parts;
    size_t count;
    int64_t max, marker;
    bool more;
    struct buf xml;
    enum err err;
    enum s3_code code = s3_arg_number(r, "max-parts", 1000, 1000, &max);

    if (code == S3_OK)
        code = s3_arg_number(r, "part-number-marker", INT32_MAX, 0, &marker);
    if (code != S3_OK)
        return code;
    err = part_list(r->s3->meta, r->arena, r->bucket, r->key, s3_arg(r, "uploadId"), (int)marker,
                    (size_t)max, &upload, &parts, &count, &more, &missing);
    code = s3_fail_commit(r, err, missing, "list the parts");
    if (code == S3_OK && upload.result.ptr != NULL)
        code = s3_fail_missing(r, META_MISSING_UPLOAD);
    if (code != S3_OK)
        return code;
    buf_init(&xml, ANSWER_MAX);
    xml_begin(&xml);
    xml_open_root(&xml, "ListPartsResult");
    xml_text(&xml, "Bucket", r->bucket);
    xml_name(&xml, "Key", r->key, str_eq_nocase(s3_arg(r, "encoding-type"), STR("url")));
    xml_text(&xml, "UploadId", s3_arg(r, "uploadId"));
    xml_u64(&xml, "PartNumberMarker", (uint64_t)marker);
    xml_u64(&xml, "MaxParts", (uint64_t)max);
    write_parts(r, &upload, parts, count, more, &xml);
    xml_close(&xml, "ListPartsResult");
    return s3_reply_xml(r, &xml);
}

/* --- AbortMultipartUpload --------------------------------------------------------------------- */

enum s3_code op_abort_multipart_upload(struct s3_request *r)
{
    enum meta_missing missing = META_MISSING_NONE;
    enum err err = upload_abort(r->s3->meta, r->bucket, r->key, s3_arg(r, "uploadId"), &missing);
    enum s3_code code = s3_fail_commit(r, err, missing, "abort the upload");

    return code == S3_OK ? s3_reply_empty(r, 204) : code;
}
