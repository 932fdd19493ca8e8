/*
 * PutObject: refused early where that spares a client something; else the content is in the
 * writer, and one commit puts key, file and conditions to the test.
 */
#include "base/clock.h"
#include "base/codec.h"
#include "gateway/s3/core/ops.h"
#include "gateway/s3/object/range_write.h"
#include "gateway/s3/proto/checksum_pack.h"
#include "gateway/s3/core/object_headers.h"
#include "gateway/s3/core/write_conditions.h"

/*
 * PutObject. The commit checks bucket and conditions again; this only spares a client that waits
 * for 100 Continue the upload of what would be refused.
 */
enum s3_code op_put_object_before_body(struct s3_request *r)
{
    return range_is_append(r) ? range_append_before_body(r) : write_conditions_check_early(r);
}

/* Everything but the content. */
static enum s3_code describe(struct s3_request *r, struct file_new *put)
{
    char *etag = arena_alloc(r->arena, 2 * sizeof(r->digest.md5) + 1);
    enum s3_code code = object_headers_of(r, &put->headers);

    if (code == S3_OK)
        code = storage_class_of(r, &put->attr.storage_class);
    if (code != S3_OK)
        return code;
    put->bucket = r->bucket;
    put->key = r->key;
    put->guard.cond = write_conditions_of(r);
    put->checksum = checksum_pack(r->arena, &r->digest.sum);
    if (etag == NULL || put->checksum.ptr == NULL)
        return s3_fail_memory(&r->error);
    hex_encode(r->digest.md5, sizeof(r->digest.md5), etag);
    put->attr.etag = str_of(etag);
    put->attr.mtime_ms = clock_wall_ms();
    put->attr.owner = r->permit.grant.owns;
    put->attr.checksum = checksum_code(r->digest.sum.algo, r->digest.sum.type);
    return S3_OK;
}

static enum s3_code answer(struct s3_request *r, const struct file_new *put)
{
    s3_reply_empty(r, 200);
    s3_reply_etag(r, put->attr.etag);
    s3_reply_checksum(r, &r->digest.sum, true);
    return S3_OK;
}

static enum s3_code commit(struct s3_request *r)
{
    struct file_new *put = r->state;
    enum meta_missing missing = META_MISSING_NONE;
    enum s3_code code;
    enum err err = file_commit(r->writer, r->arena, put, &missing);

    if (err == ERR_AGAIN) { /* its condition wants writers at ranges to be done */
        put->guard.cond.no_wait = false;
        return s3_go_on(r, HTTP_LANE_LONG, commit);
    }
    code = s3_fail_commit(r, err, missing, "commit the object");
    return code == S3_OK ? answer(r, put) : code;
}

enum s3_code op_put_object(struct s3_request *r)
{
    struct file_new *put = arena_alloc(r->arena, sizeof(*put));
    enum s3_code code;

    if (put == NULL)
        return s3_fail_err(r, err_set(ERR_NOMEM, "the request's memory is full"), "put");
    *put = (struct file_new){0};
    code = describe(r, put);
    if (code != S3_OK)
        return code;
    r->state = put;
    return range_is_append(r) ? range_append(r, put, answer) : commit(r);
}
