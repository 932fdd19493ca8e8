/*
 * Listings of a bucket: objects (both versions of the API), object versions, uploads in progress.
 * Prefixes, delimiters and markers are evaluated in meta/names/; here they become XML.
 */
#include "base/codec.h"
#include "gateway/s3/core/ops.h"
#include "gateway/s3/proto/checksum_pack.h"
#include "gateway/s3/core/object_headers.h"
#include "gateway/s3/proto/xml_write.h"
#include "meta/names/list.h"
#include "meta/names/upload.h"

#define LIST_MAX   1000
#define ANSWER_MAX ((size_t)16 << 20)
#define TOKEN_MAX  ((size_t)4 << 10)

/* What all listings have in common. */
struct listing {
    struct str prefix, delimiter;
    int64_t max;
    bool url; /* encoding-type=url */
};

static enum s3_code parse_listing(struct s3_request *r, const char *max_name, struct listing *out)
{
    struct str encoding = s3_arg(r, "encoding-type");

    *out = (struct listing){.prefix = s3_arg(r, "prefix"), .delimiter = s3_arg(r, "delimiter")};
    if (encoding.len > 0 && !str_eq_nocase(encoding, STR("url")))
        return s3_fail_argument(&r->error, "Invalid Encoding Method specified in Request",
                                "encoding-type", encoding);
    out->url = encoding.len > 0;
    return s3_arg_number(r, max_name, LIST_MAX, LIST_MAX, &out->max);
}

/*
 * `prefix_url`: whether encoding-type covers Prefix. In ListObjects (version 1) it does not:
 * botocore decodes what that operation encodes, and Prefix is not among it.
 */
static void write_common(const struct s3_request *r, const struct listing *l, bool prefix_url,
                         struct buf *xml)
{
    xml_text(xml, "Name", r->bucket);
    xml_name(xml, "Prefix", l->prefix, prefix_url);
    if (l->delimiter.len > 0)
        xml_name(xml, "Delimiter", l->delimiter, l->url);
    if (l->url)
        xml_cstr(xml, "EncodingType", "url");
}

static void write_prefix(struct buf *xml, struct str prefix, bool url)
{
    xml_open(xml, "CommonPrefixes");
    xml_name(xml, "Prefix", prefix, url);
    xml_close(xml, "CommonPrefixes");
}

static void write_prefixes(const struct object_list *list, const struct listing *l, struct buf *xml)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->entries[i].is_prefix)
            write_prefix(xml, list->entries[i].key, l->url);
}

/* What <Contents> and <Version> have in common. */
static void write_attr(const struct s3_request *r, const struct object_attr *attr, bool owner,
                       struct buf *xml)
{
    xml_time(xml, "LastModified", attr->mtime_ms);
    xml_etag(xml, "ETag", attr->etag);
    if (attr->checksum != 0) {
        xml_cstr(xml, "ChecksumAlgorithm", checksum_algo_name(checksum_code_algo(attr->checksum)));
        xml_cstr(xml, "ChecksumType", checksum_type_name(checksum_code_type(attr->checksum)));
    }
    xml_u64(xml, "Size", (uint64_t)attr->size);
    if (owner)
        s3_xml_owner(r, "Owner", attr->owner, xml);
    xml_text(xml, "StorageClass", storage_class_name(attr->storage_class));
}

static void write_contents(const struct s3_request *r, const struct object_list *list,
                           const struct listing *l, bool owner, struct buf *xml)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct object_entry *e = &list->entries[i];

        if (e->is_prefix)
            continue;
        xml_open(xml, "Contents");
        xml_name(xml, "Key", e->key, l->url);
        write_attr(r, &e->attr, owner, xml);
        xml_close(xml, "Contents");
    }
}

static enum s3_code run_list(struct s3_request *r, const struct listing *l, struct str after,
                             bool after_is_prefix, struct object_list *out)
{
    struct object_list_query query = {
        .bucket = r->bucket,
        .prefix = l->prefix,
        .delimiter = l->delimiter,
        .after = after,
        .after_is_prefix = after_is_prefix,
        .max = (size_t)l->max,
    };
    enum err err = object_list(r->s3->meta, r->arena, &query, out);

    return s3_fail_commit(r, err, META_MISSING_BUCKET, "list the bucket");
}

/*
 * A marker that is itself a common prefix (NextMarker of the page before) skips all below it; one
 * inside a prefix does not.
 */
static bool is_common_prefix(const struct listing *l, struct str marker)
{
    struct str rest = str_sub(marker, l->prefix.len, marker.len);

    if (l->delimiter.len == 0 || !str_starts(marker, l->prefix) || rest.len < l->delimiter.len)
        return false;
    for (size_t i = 0; i + l->delimiter.len <= rest.len; i++)
        if (str_eq(str_sub(rest, i, l->delimiter.len), l->delimiter))
            return i + l->delimiter.len == rest.len;
    return false;
}

/* --- ListObjects ------------------------------------------------------------------------------ */

enum s3_code op_list_objects(struct s3_request *r)
{
    struct str marker = s3_arg(r, "marker");
    struct object_list list;
    struct listing l;
    struct buf xml;
    enum s3_code code = parse_listing(r, "max-keys", &l);

    if (code == S3_OK)
        code = run_list(r, &l, marker, is_common_prefix(&l, marker), &list);
    if (code != S3_OK)
        return code;
    buf_init(&xml, ANSWER_MAX);
    xml_begin(&xml);
    xml_open_root(&xml, "ListBucketResult");
    write_common(r, &l, false, &xml);
    xml_name(&xml, "Marker", marker, l.url);
    if (list.more && l.delimiter.len > 0 && list.count > 0)
        xml_name(&xml, "NextMarker", list.entries[list.count - 1].key, l.url);
    xml_u64(&xml, "MaxKeys", (uint64_t)l.max);
    xml_bool(&xml, "IsTruncated", list.more);
    write_contents(r, &list, &l, true, &xml);
    write_prefixes(&list, &l, &xml);
    xml_close(&xml, "ListBucketResult");
    return s3_reply_xml(r, &xml);
}

/* --- ListObjectsV2 ---------------------------------------------------------------------------- */

/*
 * A token is the last entry of the page, hex after a letter that says what it was: k a key, p a
 * common prefix. So it outlives the deletion of its key.
 */
static struct str make_token(struct arena *a, const struct object_entry *last)
{
    char *text = arena_alloc(a, 2 * last->key.len + 2);

    if (text == NULL)
        return STR("");
    text[0] = last->is_prefix ? 'p' : 'k';
    hex_encode(last->key.ptr, last->key.len, text + 1);
    return str_of(text);
}

static enum s3_code parse_token(struct s3_request *r, struct str *after, bool *is_prefix)
{
    struct str token = s3_arg(r, "continuation-token");
    struct str hex = str_sub(token, 1, token.len);
    size_t len = hex.len / 2;
    char *key;

    if (token.len == 0)
        return S3_OK;
    key = arena_alloc(r->arena, len + 1);
    if (token.len > TOKEN_MAX || (token.ptr[0] != 'k' && token.ptr[0] != 'p') || hex.len % 2 != 0 ||
        key == NULL || hex_decode(hex, key, len) != OK)
        return s3_fail_argument(&r->error, "The continuation token provided is incorrect",
                                "continuation-token", token);
    *after = (struct str){key, len};
    *is_prefix = token.ptr[0] == 'p';
    return S3_OK;
}

static void write_v2_head(const struct s3_request *r, const struct listing *l,
                          const struct object_list *list, struct buf *xml)
{
    write_common(r, l, l->url, xml);
    if (s3_has_arg(r, "start-after"))
        xml_name(xml, "StartAfter", s3_arg(r, "start-after"), l->url);
    if (s3_has_arg(r, "continuation-token"))
        xml_text(xml, "ContinuationToken", s3_arg(r, "continuation-token"));
    if (list->more && list->count > 0)
        xml_text(xml, "NextContinuationToken",
                 make_token(r->arena, &list->entries[list->count - 1]));
    xml_u64(xml, "KeyCount", list->count);
    xml_u64(xml, "MaxKeys", (uint64_t)l->max);
    xml_bool(xml, "IsTruncated", list->more);
}

enum s3_code op_list_objects_v2(struct s3_request *r)
{
    struct str after = s3_arg(r, "start-after");
    bool after_is_prefix = false;
    struct object_list list;
    struct listing l;
    struct buf xml;
    enum s3_code code = parse_listing(r, "max-keys", &l);

    if (code == S3_OK && !str_eq(s3_arg(r, "list-type"), STR("2")))
        code = s3_fail_argument(&r->error, "Invalid List Type specified in Request", "list-type",
                                s3_arg(r, "list-type"));
    if (code == S3_OK)
        code = parse_token(r, &after, &after_is_prefix);
    if (code == S3_OK)
        code = run_list(r, &l, after, after_is_prefix, &list);
    if (code != S3_OK)
        return code;
    buf_init(&xml, ANSWER_MAX);
    xml_begin(&xml);
    xml_open_root(&xml, "ListBucketResult");
    write_v2_head(r, &l, &list, &xml);
    write_contents(r, &list, &l, str_eq_nocase(s3_arg(r, "fetch-owner"), STR("true")), &xml);
    write_prefixes(&list, &l, &xml);
    xml_close(&xml, "ListBucketResult");
    return s3_reply_xml(r, &xml);
}

/* --- ListObjectVersions: what is there, with version id null ---------------------------------- */

static void write_versions(const struct s3_request *r, const struct object_list *list,
                           const struct listing *l, struct buf *xml)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct object_entry *e = &list->entries[i];

        if (e->is_prefix)
            continue;
        xml_open(xml, "Version");
        xml_name(xml, "Key", e->key, l->url);
        xml_text(xml, "VersionId", e->attr.version);
        xml_bool(xml, "IsLatest", true);
        write_attr(r, &e->attr, true, xml);
        xml_close(xml, "Version");
    }
}

enum s3_code op_list_object_versions(struct s3_request *r)
{
    struct str key_marker = s3_arg(r, "key-marker");
    struct str version_marker = s3_arg(r, "version-id-marker");
    struct object_list list;
    struct listing l;
    struct buf xml;
    enum s3_code code = parse_listing(r, "max-keys", &l);

    if (code == S3_OK && version_marker.len > 0 && key_marker.len == 0)
        code = s3_fail_argument(&r->error,
                                "A version-id marker cannot be specified without a key marker.",
                                "version-id-marker", version_marker);
    if (code == S3_OK)
        code = run_list(r, &l, key_marker, is_common_prefix(&l, key_marker), &list);
    if (code != S3_OK)
        return code;
    buf_init(&xml, ANSWER_MAX);
    xml_begin(&xml);
    xml_open_root(&xml, "ListVersionsResult");
    write_common(r, &l, l.url, &xml);
    xml_name(&xml, "KeyMarker", key_marker, l.url);
    xml_text(&xml, "VersionIdMarker", version_marker);
    if (list.more && list.count > 0) {
        const struct object_entry *last = &list.entries[list.count - 1];

        xml_name(&xml, "NextKeyMarker", last->key, l.url);
        if (!last->is_prefix)
            xml_text(&xml, "NextVersionIdMarker", last->attr.version);
    }
    xml_u64(&xml, "MaxKeys", (uint64_t)l.max);
    xml_bool(&xml, "IsTruncated", list.more);
    write_versions(r, &list, &l, &xml);
    write_prefixes(&list, &l, &xml);
    xml_close(&xml, "ListVersionsResult");
    return s3_reply_xml(r, &xml);
}

/* --- ListMultipartUploads --------------------------------------------------------------------- */

static void write_upload(const struct s3_request *r, const struct upload_entry *e, bool url,
                         struct buf *xml)
{
    xml_open(xml, "Upload");
    xml_name(xml, "Key", e->key, url);
    xml_text(xml, "UploadId", e->upload.upload);
    s3_xml_owner(r, "Initiator", e->upload.owner, xml);
    s3_xml_owner(r, "Owner", e->upload.owner, xml);
    xml_text(xml, "StorageClass", storage_class_name(e->upload.storage_class));
    xml_time(xml, "Initiated", e->upload.initiated_ms);
    if (e->upload.checksum != 0) {
        xml_cstr(xml, "ChecksumAlgorithm",
                 checksum_algo_name(checksum_code_algo(e->upload.checksum)));
        xml_cstr(xml, "ChecksumType", checksum_type_name(checksum_code_type(e->upload.checksum)));
    }
    xml_close(xml, "Upload");
}

static void write_uploads(const struct s3_request *r, const struct upload_entry *entries,
                          size_t count, bool url, struct buf *xml)
{
    for (size_t i = 0; i < count; i++)
        if (!entries[i].is_prefix)
            write_upload(r, &entries[i], url, xml);
    for (size_t i = 0; i < count; i++)
        if (entries[i].is_prefix)
            write_prefix(xml, entries[i].key, url);
}

enum s3_code op_list_multipart_uploads(struct s3_request *r)
{
    struct upload_list_query query = {.bucket = r->bucket,
                                      .key_marker = s3_arg(r, "key-marker"),
                                      .upload_marker = s3_arg(r, "upload-id-marker")};
    struct upload_entry *entries = NULL;
    size_t count = 0;
    bool more = false;
    struct listing l;
    struct buf xml;
    enum s3_code code = parse_listing(r, "max-uploads", &l);

    if (code != S3_OK)
        return code;
    query.prefix = l.prefix;
    query.delimiter = l.delimiter;
    query.max = (size_t)l.max;
    code = s3_fail_commit(r, upload_list(r->s3->meta, r->arena, &query, &entries, &count, &more),
                          META_MISSING_BUCKET, "list the uploads");
    if (code != S3_OK)
        return code;
    buf_init(&xml, ANSWER_MAX);
    xml_begin(&xml);
    xml_open_root(&xml, "ListMultipartUploadsResult");
    xml_text(&xml, "Bucket", r->bucket);
    xml_name(&xml, "KeyMarker", query.key_marker, l.url);
    xml_text(&xml, "UploadIdMarker", query.upload_marker);
    if (more && count > 0) {
        xml_name(&xml, "NextKeyMarker", entries[count - 1].key, l.url);
        if (!entries[count - 1].is_prefix)
            xml_text(&xml, "NextUploadIdMarker", entries[count - 1].upload.upload);
    }
    xml_name(&xml, "Prefix", l.prefix, l.url);
    if (l.delimiter.len > 0)
        xml_name(&xml, "Delimiter", l.delimiter, l.url);
    if (l.url)
        xml_cstr(&xml, "EncodingType", "url");
    xml_u64(&xml, "MaxUploads", (uint64_t)l.max);
    xml_bool(&xml, "IsTruncated", more);
    write_uploads(r, entries, count, l.url, &xml);
    xml_close(&xml, "ListMultipartUploadsResult");
    return s3_reply_xml(r, &xml);
}
