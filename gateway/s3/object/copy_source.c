#include "gateway/s3/object/copy_source.h"

#include "base/clock.h"
#include "gateway/s3/proto/conditions.h"
#include "gateway/s3/core/reply.h"

/* Bytes between checks that the copy is still wanted: some milliseconds of hashing. */
#define LOOK_BYTES ((uint64_t)1 << 20)

static enum err open_as(struct s3_request *r, const struct copy_source *source,
                        enum meta_missing *out_missing)
{
    struct object_get get = {
        .bucket = source->bucket, .key = source->key, .want = OBJECT_DATA, .len = UINT64_MAX};

    return file_open(r->s3->fs, r->arena, &get, &r->file, out_missing);
}

/* A `+` that is no key's may be a form encoder's space: *source is the other reading then. */
static enum err open_with_spaces(struct s3_request *r, struct copy_source *source,
                                 enum meta_missing *out_missing)
{
    struct str header = s3_header(r, "x-amz-copy-source");
    struct copy_source spaced;
    enum err err;

    if (str_find(header, '+') == header.len ||
        names_copy_source(r->arena, header, PERCENT_PLUS_SPACE, &spaced, NULL) != S3_OK)
        return err_set(ERR_NOT_FOUND, "no such key");
    err = open_as(r, &spaced, out_missing);
    if (err == OK)
        *source = spaced;
    return err;
}

static enum s3_code source_missing(struct s3_request *r, const struct copy_source *source,
                                   enum meta_missing missing)
{
    enum s3_code code = s3_fail_missing(r, missing);

    r->error.extra_count = 0;
    if (code == S3_NO_SUCH_KEY)
        s3_error_add(&r->error, "Key", source->key);
    else
        s3_error_add(&r->error, "BucketName", source->bucket);
    return code;
}

enum s3_code copy_source_open(struct s3_request *r, struct copy_source *out)
{
    struct conditions conditions;
    const struct object_attr *attr = &r->file.object.attr;
    enum meta_missing missing = META_MISSING_NONE;
    enum s3_code code = names_copy_source(r->arena, s3_header(r, "x-amz-copy-source"),
                                          PERCENT_PLUS_LITERAL, out, &r->error);
    enum err err;

    if (code != S3_OK)
        return code;
    if (out->version_id.len > 0 && !str_eq(out->version_id, STR("null")))
        return s3_fail_argument(&r->error, "Invalid version id specified", "x-amz-copy-source",
                                out->version_id);
    err = open_as(r, out, &missing);
    if (err == ERR_NOT_FOUND && missing == META_MISSING_KEY)
        err = open_with_spaces(r, out, &missing);
    if (err == ERR_NOT_FOUND)
        return source_missing(r, out, missing);
    if (err != OK)
        return s3_fail_err(r, err, "open the source");
    conditions_of_copy_headers(r->headers, r->header_count, &conditions);
    if (conditions_copy_source(&conditions, attr->etag, attr->mtime_ms, clock_wall_ms()) !=
        CONDITION_PROCEED)
        return s3_fail(&r->error, S3_PRECONDITION_FAILED, NULL);
    return S3_OK;
}

enum s3_code copy_source_check_size(struct s3_request *r, uint64_t len)
{
    if (len <= COPY_SOURCE_MAX)
        return S3_OK;
    return s3_fail(&r->error, S3_INVALID_REQUEST,
                   "The specified copy source is larger than the maximum allowable size for a "
                   "copy source: 5368709120");
}

bool copy_source_is_in_memory(const struct s3_request *r)
{
    return r->file.object.data.ptr != NULL;
}

/* A hole's zeros: CRCs take any number of them at once, digests work for each of them. */
static enum err hash_hole(struct s3_request *r, struct hash *hash, uint64_t len)
{
    uint64_t step = hash->evp != NULL ? LOOK_BYTES : UINT64_MAX;
    enum err err = OK;

    while (err == OK && len > 0) {
        uint64_t n = len < step ? len : step;

        hash_zeros(hash, n);
        len -= n;
        err = s3_still_wanted(r);
    }
    return err;
}

static enum err hash_reader(struct s3_request *r, struct hash *hash, struct reader *reader)
{
    uint64_t hole, seen = 0;
    struct str run = STR_NONE;
    enum err err;

    do {
        err = reader_skip_hole(reader, &hole);
        if (err == OK && hole > 0)
            err = hash_hole(r, hash, hole);
        if (err == OK && hole == 0)
            err = reader_next(reader, true, &run);
        if (err == OK && hole == 0)
            hash_update(hash, run.ptr, run.len);
        seen += run.len;
        if (err == OK && seen >= LOOK_BYTES) {
            err = s3_still_wanted(r);
            seen = 0;
        }
    } while (err == OK && (hole > 0 || run.len > 0));
    return err;
}

static enum err hash_range(struct s3_request *r, struct hash *hash, uint64_t offset, uint64_t len)
{
    struct reader *reader;
    enum err err;

    if (copy_source_is_in_memory(r) || len == 0) {
        struct str bytes = str_sub(r->file.object.data, (size_t)offset, (size_t)len);

        hash_update(hash, bytes.ptr, bytes.len);
        return OK;
    }
    err = reader_new(&r->file, offset, len, &reader);
    if (err != OK)
        return err;
    err = hash_reader(r, hash, reader);
    reader_free(reader);
    return err;
}

enum s3_code copy_source_checksum(struct s3_request *r, enum checksum_algo algo, uint64_t offset,
                                  uint64_t len, struct checksum *out)
{
    struct hash hash = {0};
    enum err err = hash_init(&hash, checksum_hash(algo));

    if (err == OK)
        err = hash_range(r, &hash, offset, len);
    *out = (struct checksum){.algo = algo, .type = CHECKSUM_FULL_OBJECT};
    if (err == OK)
        hash_final(&hash, out->bytes);
    hash_fini(&hash);
    return err == OK ? S3_OK : s3_fail_err(r, err, "read the source for its checksum");
}
