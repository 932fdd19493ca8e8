/*
 * What the head of a request decides before its body is read: headers that are not built (501), and
 * conditions of a write that no commit can evaluate: it compares one ETag or `*`, and a date.
 */
#include "gateway/s3/proto/conditions.h"
#include "gateway/s3/core/headers.h"
#include "gateway/s3/core/refuse.h"

static enum s3_code refuse_header(struct s3_request *r, enum s3_code code, const char *element,
                                  const char *name)
{
    s3_fail(&r->error, code, NULL);
    s3_error_add(&r->error, element, str_of(name));
    return code;
}

/* A list is not compared; conditions.h says why an empty condition cannot guard a write. */
static enum s3_code check_condition(struct s3_request *r, const char *name, bool is_none_match)
{
    struct str ignored;
    enum condition_form form = conditions_form(s3_header(r, name), &ignored);

    if (form == CONDITION_LIST)
        return s3_fail_not_built(&r->error, r->arena, "header", str_of(name));
    if (form == CONDITION_NOTHING && is_none_match)
        return refuse_header(r, S3_PRECONDITION_FAILED, "Condition", name);
    return S3_OK;
}

/* A date that cannot be read guards nothing; a read ignores it (RFC 9110 13.1.3). */
static enum s3_code check_dates(struct s3_request *r)
{
    static const char *const names[] = {
        "If-Unmodified-Since",
        "x-amz-copy-source-if-modified-since",
        "x-amz-copy-source-if-unmodified-since",
        "x-amz-if-match-last-modified-time",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct str value = s3_header(r, names[i]);

        if (value.ptr != NULL && !conditions_date_valid(value))
            return s3_fail_argument(&r->error, "The date of the condition cannot be read", names[i],
                                    value);
    }
    return S3_OK;
}

enum s3_code s3_refuse_headers(struct s3_request *r)
{
    enum s3_code code = headers_check_built(r);
    bool conditional = (r->op->takes & S3_TAKES_CONDITIONS) != 0;

    if (code != S3_OK || s3_op_reads(r->op))
        return code;
    code = check_dates(r);
    if (code == S3_OK && conditional)
        code = check_condition(r, "If-Match", false);
    if (code == S3_OK && conditional)
        code = check_condition(r, "If-None-Match", true);
    return code;
}
