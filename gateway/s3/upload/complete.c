/*
 * CompleteMultipartUpload: the parts named are checked against those that were uploaded, ETag and
 * checksum are computed from theirs, and one transaction makes the object.
 */
#include "base/clock.h"
#include "base/codec.h"
#include "gateway/s3/core/ops.h"
#include "gateway/s3/proto/checksum_pack.h"
#include "gateway/s3/core/write_conditions.h"
#include "gateway/s3/proto/xml_bodies.h"
#include "gateway/s3/proto/xml_write.h"
#include "meta/names/upload.h"

#include <string.h>

#define PARTS_MAX     10000
#define PART_MIN      ((int64_t)5 << 20)
#define ANSWER_MAX    ((size_t)16 << 10)
#define CONFLICTS_MAX 5 /* a part replaced while we complete: look again */

/* CompleteMultipartUpload: what was uploaded, what was asked, and the object that comes of it. */
struct completion {
    struct complete_body asked;
    struct upload upload;
    struct part *stored; /* by number */
    size_t stored_count;
    struct part *chosen; /* those asked for */
    struct file_new put;
    struct checksum sum;
};

static enum s3_code load(struct s3_request *r, struct completion *c)
{
    enum meta_missing missing = META_MISSING_NONE;
    bool more;
    enum err err = part_list(r->s3->meta, r->arena, r->bucket, r->key, s3_arg(r, "uploadId"), 0,
                             PARTS_MAX, &c->upload, &c->stored, &c->stored_count, &more, &missing);

    return s3_fail_commit(r, err, missing, "list the parts");
}

static const struct part *find_part(const struct completion *c, uint32_t number)
{
    size_t low = 0, high = c->stored_count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if ((uint32_t)c->stored[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < c->stored_count && (uint32_t)c->stored[low].number == number)
        return &c->stored[low];
    return NULL;
}

static enum s3_code invalid_part(struct s3_request *r, const struct complete_part *asked)
{
    enum s3_code code = s3_fail(&r->error, S3_INVALID_PART, NULL);

    s3_error_add(&r->error, "UploadId", s3_arg(r, "uploadId"));
    s3_error_add(&r->error, "PartNumber", str_of(arena_printf(r->arena, "%u", asked->number)));
    s3_error_add(&r->error, "ETag", asked->etag);
    return code;
}

static enum s3_code check_part(struct s3_request *r, const struct complete_part *asked,
                               const struct part *part)
{
    struct checksum sum;

    if (part == NULL || !str_eq(part->etag, asked->etag))
        return invalid_part(r, asked);
    if (asked->sum.algo == CHECKSUM_NONE)
        return S3_OK;
    sum = checksum_unpack(part->checksum);
    if (sum.algo != asked->sum.algo ||
        memcmp(sum.bytes, asked->sum.bytes, checksum_size(sum.algo)) != 0)
        return invalid_part(r, asked);
    return S3_OK;
}

static enum s3_code too_small(struct s3_request *r, const struct part *part)
{
    enum s3_code code = s3_fail(&r->error, S3_ENTITY_TOO_SMALL, NULL);

    s3_error_add(&r->error, "ProposedSize",
                 str_of(arena_printf(r->arena, "%lld", (long long)part->size)));
    s3_error_add(&r->error, "MinSizeAllowed", STR("5242880"));
    s3_error_add(&r->error, "PartNumber", str_of(arena_printf(r->arena, "%d", part->number)));
    s3_error_add(&r->error, "ETag", part->etag);
    return code;
}

/* A part listed several times in a row counts once, as it is listed last. */
static void drop_repeated(struct complete_body *asked)
{
    size_t kept = 0;

    for (size_t i = 0; i < asked->count; i++) {
        if (i + 1 < asked->count && asked->parts[i + 1].number == asked->parts[i].number)
            continue;
        asked->parts[kept++] = asked->parts[i];
    }
    asked->count = kept;
}

static enum s3_code check_order(struct s3_request *r, const struct complete_body *asked)
{
    for (size_t i = 1; i < asked->count; i++)
        if (asked->parts[i].number <= asked->parts[i - 1].number)
            return s3_fail(&r->error, S3_INVALID_PART_ORDER, NULL);
    return S3_OK;
}

/* The order, the ETags and the sizes of the parts asked for. */
static enum s3_code choose(struct s3_request *r, struct completion *c)
{
    enum s3_code code = check_order(r, &c->asked);

    if (code != S3_OK)
        return code;
    c->chosen = arena_array(r->arena, c->asked.count + 1, sizeof(*c->chosen));
    c->put.attr.size = 0;
    if (c->chosen == NULL)
        return s3_fail_memory(&r->error);
    for (size_t i = 0; i < c->asked.count; i++) {
        const struct complete_part *asked = &c->asked.parts[i];
        const struct part *part = find_part(c, asked->number);

        code = check_part(r, asked, part);
        if (code != S3_OK)
            return code;
        if (i + 1 < c->asked.count && part->size < PART_MIN)
            return too_small(r, part);
        c->chosen[i] = *part;
        c->put.attr.size += part->size;
    }
    return S3_OK;
}

/* The MD5 of the parts' MD5s, and how many there are. */
static enum s3_code make_etag(struct s3_request *r, struct completion *c)
{
    struct hash hash = {0};
    uint8_t md5[16];
    char hex[33];

    if (hash_init(&hash, HASH_MD5) != OK)
        return s3_fail_memory(&r->error);
    for (size_t i = 0; i < c->asked.count; i++) {
        if (hex_decode(c->chosen[i].etag, md5, sizeof(md5)) != OK)
            memset(md5, 0, sizeof(md5));
        hash_update(&hash, md5, sizeof(md5));
    }
    hash_final(&hash, md5);
    hash_fini(&hash);
    hex_encode(md5, sizeof(md5), hex);
    c->put.attr.etag = str_of(arena_printf(r->arena, "%s-%zu", hex, c->asked.count));
    return S3_OK;
}

/* From the parts' checksums, if every part has one of the upload's algorithm. */
static enum s3_code make_checksum(struct s3_request *r, struct completion *c)
{
    int code = c->upload.checksum != 0 ? c->upload.checksum
                                       : checksum_code(CHECKSUM_CRC64NVME, CHECKSUM_FULL_OBJECT);
    struct checksum_join join;
    enum err err = checksum_join_init(&join, checksum_code_algo(code), checksum_code_type(code));

    c->sum = (struct checksum){0};
    if (err != OK)
        return s3_fail_err(r, err, "combine the parts' checksums");
    for (size_t i = 0; err == OK && i < c->asked.count; i++) {
        struct checksum part = checksum_unpack(c->chosen[i].checksum);

        err = checksum_join_add(&join, &part, (uint64_t)c->chosen[i].size);
    }
    if (err == OK)
        checksum_join_finish(&join, &c->sum);
    checksum_join_fini(&join);
    if (err != OK && c->upload.checksum != 0)
        return s3_fail(&r->error, S3_INVALID_REQUEST,
                       "A part was uploaded without the checksum that the upload was created for");
    return S3_OK;
}

/* x-amz-checksum-* and x-amz-mp-object-size of the request must be what we computed. */
static enum s3_code check_claims(struct s3_request *r, const struct completion *c)
{
    struct str size = s3_header(r, "x-amz-mp-object-size");
    struct str type = s3_header(r, "x-amz-checksum-type");
    uint64_t claimed;

    if (size.ptr != NULL &&
        (str_to_u64(size, &claimed) != OK || claimed != (uint64_t)c->put.attr.size))
        return s3_fail(&r->error, S3_INVALID_REQUEST,
                       "The provided 'x-amz-mp-object-size' header does not match what was "
                       "uploaded");
    if (type.ptr != NULL && c->sum.algo != CHECKSUM_NONE &&
        !str_eq_nocase(type, str_of(checksum_type_name(c->sum.type))))
        return s3_fail(&r->error, S3_INVALID_REQUEST,
                       "The provided checksum type is not that of the upload");
    for (size_t i = 0; i < r->header_count; i++) {
        enum checksum_algo algo;
        struct checksum sum;
        bool known;
        enum s3_code code;

        if (!checksum_of_header(r->headers[i].name, &algo, &known))
            continue;
        if (!known || algo != c->sum.algo)
            return s3_fail(&r->error, S3_INVALID_REQUEST,
                           "The checksum given is not of the upload's algorithm");
        code = checksum_parse(algo, r->headers[i].value, true, &sum, &r->error);
        if (code != S3_OK)
            return code;
        if (memcmp(sum.bytes, c->sum.bytes, checksum_size(algo)) != 0)
            return s3_fail(&r->error, S3_BAD_DIGEST,
                           "The checksum you specified did not match what we received.");
    }
    return S3_OK;
}

static struct str pack_parts(struct s3_request *r, const struct completion *c)
{
    struct object_part *parts = arena_array(r->arena, c->asked.count + 1, sizeof(*parts));

    if (parts == NULL)
        return STR_NONE;
    for (size_t i = 0; i < c->asked.count; i++) {
        parts[i].number = (uint32_t)c->chosen[i].number;
        parts[i].size = (uint64_t)c->chosen[i].size;
        /* without an asked-for checksum S3 shows none of the parts' */
        if (c->upload.checksum != 0)
            parts[i].sum = checksum_unpack(c->chosen[i].checksum);
    }
    return object_parts_pack(r->arena, parts, c->asked.count);
}

static enum s3_code describe(struct s3_request *r, struct completion *c)
{
    struct file_new *put = &c->put;

    put->bucket = r->bucket;
    put->key = r->key;
    put->headers = c->upload.headers;
    put->tags = c->upload.tags;
    put->guard.cond = write_conditions_of(r);
    put->parts = pack_parts(r, c);
    put->checksum = checksum_pack(r->arena, &c->sum);
    put->attr.mtime_ms = clock_wall_ms();
    put->attr.owner = c->upload.owner;
    put->attr.storage_class = c->upload.storage_class;
    put->attr.checksum = checksum_code(c->sum.algo, c->sum.type);
    if (put->parts.ptr == NULL || put->checksum.ptr == NULL)
        return s3_fail_memory(&r->error);
    return S3_OK;
}

/* The object's URL as it was asked for, which names the bucket in its path or in its host. */
static struct str location_of(struct s3_request *r)
{
    const char *scheme = r->http->is_tls ? "https" : "http";
    char *url = arena_printf(r->arena, "%s://" STR_FMT STR_FMT, scheme, STR_ARG(r->http->host),
                             STR_ARG(r->http->target.raw_path));

    return url != NULL ? str_of(url) : STR("");
}

static struct str make_result(struct s3_request *r, const struct completion *c)
{
    struct buf xml;
    struct str result;

    buf_init(&xml, ANSWER_MAX);
    xml_begin(&xml);
    xml_open_root(&xml, "CompleteMultipartUploadResult");
    xml_text(&xml, "Location", location_of(r));
    xml_text(&xml, "Bucket", r->bucket);
    xml_text(&xml, "Key", r->key);
    xml_etag(&xml, "ETag", c->put.attr.etag);
    s3_xml_checksum(&xml, &c->sum, true);
    if (c->sum.algo != CHECKSUM_NONE)
        xml_cstr(&xml, "ChecksumType", checksum_type_name(c->sum.type));
    xml_close(&xml, "CompleteMultipartUploadResult");
    result = buf_check(&xml) == OK ? arena_str(r->arena, buf_str(&xml)) : STR_NONE;
    buf_fini(&xml);
    return result;
}

static enum s3_code reply_result(struct s3_request *r, struct str result)
{
    http_reply_bytes(r->http, 200, result);
    s3_reply_header_cstr(r, "Content-Type", "application/xml");
    return S3_OK;
}

/* One attempt. *out_again: a part was replaced between our look and the transaction. */
static enum s3_code attempt(struct s3_request *r, struct completion *c, bool *out_again)
{
    enum meta_missing missing = META_MISSING_NONE;
    struct file_upload upload = {.upload = s3_arg(r, "uploadId")};
    enum err err;
    enum s3_code code = load(r, c);

    *out_again = false;
    if (code == S3_OK && c->upload.result.ptr != NULL)
        return reply_result(r, c->upload.result); /* a replay */
    if (code == S3_OK)
        code = choose(r, c);
    if (code == S3_OK)
        code = make_etag(r, c);
    if (code == S3_OK)
        code = make_checksum(r, c);
    if (code == S3_OK)
        code = check_claims(r, c);
    if (code == S3_OK)
        code = describe(r, c);
    if (code != S3_OK)
        return code;
    upload.parts = c->chosen;
    upload.count = c->asked.count;
    upload.result = make_result(r, c);
    err = upload.result.ptr != NULL ? file_complete(r->s3->fs, &c->put, &upload, &missing)
                                    : err_set(ERR_NOMEM, "out of memory");
    *out_again = err == ERR_CONFLICT;
    code = s3_fail_commit(r, err, missing, "complete the upload");
    return code == S3_OK ? reply_result(r, upload.result) : code;
}

enum s3_code op_complete_multipart_upload(struct s3_request *r)
{
    struct completion c = {0};
    bool again = true;
    enum s3_code code = xml_parse_complete(r->arena, buf_str(&r->body), &c.asked, &r->error);

    if (code == S3_OK)
        drop_repeated(&c.asked);
    for (int i = 0; code == S3_OK && again && i < CONFLICTS_MAX; i++) {
        code = attempt(r, &c, &again);
        if (again && i + 1 < CONFLICTS_MAX)
            code = S3_OK;
    }
    return code;
}
