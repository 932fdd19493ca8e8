#include "gateway/s3/core/write_conditions.h"

#include "gateway/s3/proto/conditions.h"
#include "gateway/s3/core/reply.h"

/* `*`, or the one ETag; OBJECT_NO_ETAG for what names none. */
static bool any_or_etag(struct str header, struct str *out_etag)
{
    switch (conditions_form(header, out_etag)) {
    case CONDITION_ANY:
        return true;
    case CONDITION_NOTHING:
    case CONDITION_LIST:
        *out_etag = OBJECT_NO_ETAG;
        return false;
    default:
        return false;
    }
}

struct object_cond write_conditions(struct str match, struct str none_match)
{
    struct object_cond cond = {0};

    cond.if_present = any_or_etag(match, &cond.if_match);
    cond.if_absent = any_or_etag(none_match, &cond.if_none_match);
    return cond;
}

struct object_cond write_conditions_of(const struct s3_request *r)
{
    struct object_cond cond =
        write_conditions(s3_header(r, "if-match"), s3_header(r, "if-none-match"));

    cond.no_wait = r->http->lane != HTTP_LANE_LONG;
    return cond;
}

enum s3_code write_conditions_check_early(struct s3_request *r)
{
    struct object_get get = {.bucket = r->bucket, .key = r->key};
    struct object object = {0};
    struct conditions conditions;
    enum meta_missing missing = META_MISSING_NONE;
    enum err err = file_stat(r->s3->fs, r->arena, &get, &object, &missing);

    if (err != OK && !(err == ERR_NOT_FOUND && missing == META_MISSING_KEY))
        return s3_fail_commit(r, err, missing, "look at the key");
    conditions_of_headers(r->headers, r->header_count, &conditions);
    switch (conditions_write(&conditions, err == OK ? object.attr.etag : STR_NONE)) {
    case CONDITION_PROCEED:
        return S3_OK;
    case CONDITION_NO_OBJECT:
        return s3_fail_missing(r, META_MISSING_KEY);
    default:
        return s3_fail(&r->error, S3_PRECONDITION_FAILED, NULL);
    }
}
