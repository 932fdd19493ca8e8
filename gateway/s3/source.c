#include "gateway/s3/source.h"

#include "base/clock.h"
#include "gateway/s3/conditions.h"
#include "gateway/s3/owner.h"
#include "gateway/s3/stored.h"

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

enum s3_code source_open(struct s3_request *r, struct copy_source *out)
{
    struct conditions conditions;
    struct object_get get = {.want = OBJECT_DATA, .len = UINT64_MAX};
    const struct object_attr *attr = &r->file.object.attr;
    enum meta_missing missing = META_MISSING_NONE;
    enum s3_code code =
        names_copy_source(r->arena, s3_header(r, "x-amz-copy-source"), out, &r->error);
    enum err err;

    if (code != S3_OK)
        return code;
    if (out->version_id.len > 0 && !str_eq(out->version_id, STR("null")))
        return s3_fail_argument(&r->error, "Invalid version id specified", "x-amz-copy-source",
                                out->version_id);
    code = owner_check(r, "x-amz-source-expected-bucket-owner", out->bucket);
    if (code != S3_OK)
        return code;
    get.bucket = out->bucket;
    get.key = out->key;
    err = file_open(r->s3->fs, r->arena, &get, &r->file, &missing);
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

static enum err hash_range(struct s3_request *r, struct hash *hash, uint64_t offset, uint64_t len)
{
    struct reader *reader;
    struct str run = STR_NONE;
    enum err err;

    if (r->file.object.data.ptr != NULL || len == 0) {
        struct str bytes = str_sub(r->file.object.data, (size_t)offset, (size_t)len);

        hash_update(hash, bytes.ptr, bytes.len);
        return OK;
    }
    err = reader_new(&r->file, offset, len, &reader);
    if (err != OK)
        return err;
    do {
        err = reader_next(reader, true, &run);
        if (err == OK)
            hash_update(hash, run.ptr, run.len);
    } while (err == OK && run.len > 0);
    reader_free(reader);
    return err;
}

enum s3_code source_checksum(struct s3_request *r, enum checksum_algo algo, uint64_t offset,
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
