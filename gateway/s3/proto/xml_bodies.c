#include "gateway/s3/proto/xml_bodies.h"

#include "base/clock.h"
#include "gateway/s3/proto/conditions.h"
#include "gateway/s3/proto/xml_read.h"

static enum s3_code malformed(struct s3_error *error)
{
    return s3_fail(error, S3_MALFORMED_XML, NULL);
}

/* The document's root, if it has that name. */
static enum s3_code read_root(struct arena *arena, struct str body, const char *name,
                              const struct xml_node **out, struct s3_error *error)
{
    struct xml_node *root;
    enum err err = xml_read(arena, body, &root);

    *out = root;
    if (err == ERR_NOMEM)
        return s3_fail_memory(error);
    if (err != OK || !xml_is(root, name))
        return malformed(error);
    return S3_OK;
}

static size_t count_children(const struct xml_node *node, const char *name)
{
    size_t count = 0;

    for (const struct xml_node *c = node->child; c != NULL; c = c->next)
        count += xml_is(c, name);
    return count;
}

/* --- Delete ------------------------------------------------------------------------------------*/

static bool read_delete_item(const struct xml_node *node, struct delete_item *out)
{
    const struct xml_node *key = xml_child(node, "Key");
    const struct xml_node *etag = xml_child(node, "ETag");
    const struct xml_node *mtime = xml_child(node, "LastModifiedTime");
    const struct xml_node *size = xml_child(node, "Size");

    if (key == NULL || key->child != NULL)
        return false;
    out->key = key->text;
    out->version_id = xml_child_text(node, "VersionId");
    out->has_etag = etag != NULL;
    out->has_mtime = mtime != NULL;
    out->has_size = size != NULL;
    if (etag != NULL)
        out->etag = etag->text.ptr != NULL ? etag->text : STR("");
    if (mtime != NULL && clock_parse_any(mtime->text, &out->mtime_ms) != OK)
        return false;
    return size == NULL || str_to_u64(str_trim(size->text), &out->size) == OK;
}

enum s3_code xml_parse_delete(struct arena *arena, struct str body, struct delete_body *out,
                              struct s3_error *error)
{
    const struct xml_node *root;
    enum s3_code code = read_root(arena, body, "Delete", &root, error);

    *out = (struct delete_body){0};
    if (code != S3_OK)
        return code;
    size_t count = count_children(root, "Object");
    if (count == 0 || count > XML_DELETE_MAX)
        return malformed(error);
    out->quiet = str_eq_nocase(str_trim(xml_child_text(root, "Quiet")), STR("true"));
    out->items = arena_array(arena, count, sizeof(*out->items));
    if (out->items == NULL)
        return s3_fail_memory(error);
    for (const struct xml_node *c = root->child; c != NULL; c = c->next) {
        if (!xml_is(c, "Object"))
            continue;
        if (!read_delete_item(c, &out->items[out->count++]))
            return malformed(error);
    }
    return S3_OK;
}

/* --- CompleteMultipartUpload -------------------------------------------------------------------*/

static enum s3_code read_part_sum(const struct xml_node *node, struct complete_part *out,
                                  struct s3_error *error)
{
    for (const struct xml_node *c = node->child; c != NULL; c = c->next) {
        enum checksum_algo algo;
        bool known;
        if (!checksum_of_element(c->name, &algo, &known))
            continue;
        if (!known || out->sum.algo != CHECKSUM_NONE)
            return s3_fail(error, S3_INVALID_REQUEST,
                           "A part may have one checksum, of type CRC32, CRC32C, CRC64NVME, SHA1 "
                           "or SHA256.");
        enum s3_code code = checksum_parse(algo, c->text, false, &out->sum, error);
        if (code != S3_OK)
            return code;
    }
    return S3_OK;
}

static enum s3_code read_part(const struct xml_node *node, struct complete_part *out,
                              struct s3_error *error)
{
    const struct xml_node *etag = xml_child(node, "ETag");
    struct str text = str_trim(xml_child_text(node, "PartNumber"));
    uint64_t number;

    if (etag == NULL || str_to_u64(text, &number) != OK)
        return malformed(error);
    if (number < 1 || number > XML_COMPLETE_MAX)
        return s3_fail_argument(error, "Part number must be an integer between 1 and 10000",
                                "partNumber", text);
    out->number = (uint32_t)number;
    out->etag = conditions_etag_bare(etag->text);
    return read_part_sum(node, out, error);
}

enum s3_code xml_parse_complete(struct arena *arena, struct str body, struct complete_body *out,
                                struct s3_error *error)
{
    const struct xml_node *root;
    enum s3_code code = read_root(arena, body, "CompleteMultipartUpload", &root, error);

    *out = (struct complete_body){0};
    if (code != S3_OK)
        return code;
    size_t count = count_children(root, "Part");
    if (count == 0 || count > XML_COMPLETE_MAX)
        return malformed(error);
    out->parts = arena_array(arena, count, sizeof(*out->parts));
    if (out->parts == NULL)
        return s3_fail_memory(error);
    for (const struct xml_node *c = root->child; c != NULL && code == S3_OK; c = c->next)
        if (xml_is(c, "Part"))
            code = read_part(c, &out->parts[out->count++], error);
    return code;
}

/* --- CreateBucketConfiguration -----------------------------------------------------------------*/

enum s3_code xml_parse_create_bucket(struct arena *arena, struct str body, struct str *out_location,
                                     struct s3_error *error)
{
    const struct xml_node *root;

    *out_location = STR_NONE;
    if (str_trim(body).len == 0)
        return S3_OK;
    enum s3_code code = read_root(arena, body, "CreateBucketConfiguration", &root, error);
    if (code != S3_OK)
        return code;
    /* Directory buckets, and tags at creation: they change what is made, so not ignored. */
    if (xml_child(root, "Location") != NULL || xml_child(root, "Bucket") != NULL ||
        xml_child(root, "Tags") != NULL)
        return s3_fail(error, S3_NOT_IMPLEMENTED,
                       "Only LocationConstraint is implemented in a CreateBucketConfiguration");
    *out_location = str_trim(xml_child_text(root, "LocationConstraint"));
    return S3_OK;
}
