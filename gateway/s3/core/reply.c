/*
 * Answers: headers and documents of success, and the one place where errors become S3 codes, error
 * documents and log lines.
 */
#include "base/log.h"
#include "gateway/s3/core/reply.h"
#include "gateway/s3/proto/xml_write.h"

#include <stdlib.h>

#define ERROR_MAX ((size_t)16 << 10)

void s3_reply_header(struct s3_request *r, const char *name, struct str value)
{
    if (http_reply_header(r->http, name, value) != OK)
        log_warn("response header %s was left out: it cannot be sent", name);
}

void s3_reply_header_cstr(struct s3_request *r, const char *name, const char *value)
{
    s3_reply_header(r, name, str_of(value));
}

void s3_reply_etag(struct s3_request *r, struct str etag)
{
    if (http_reply_printf(r->http, "ETag", "\"" STR_FMT "\"", STR_ARG(etag)) != OK)
        log_warn("response header ETag was left out: it cannot be sent");
}

void s3_reply_checksum(struct s3_request *r, const struct checksum *sum, bool with_parts)
{
    char text[CHECKSUM_TEXT_MAX];

    if (sum->algo == CHECKSUM_NONE)
        return;
    checksum_text(sum, with_parts, text);
    s3_reply_header_cstr(r, checksum_header_name(sum->algo), text);
    s3_reply_header_cstr(r, "x-amz-checksum-type", checksum_type_name(sum->type));
}

void s3_reply_ids(struct s3_request *r)
{
    s3_reply_header_cstr(r, "x-amz-request-id", r->http->id);
    s3_reply_header_cstr(r, "x-amz-id-2", r->s3->host_id);
}

static void free_bytes(void *data)
{
    free(data);
}

/* The bytes of *xml become the reply's. */
static void reply_taken(struct s3_request *r, unsigned status, struct buf *xml)
{
    size_t len = 0;
    char *data = buf_take(xml, &len);

    http_reply_bytes(r->http, status, (struct str){data, len});
    r->http->reply.bytes_free = free_bytes;
    r->http->reply.bytes_arg = data;
    s3_reply_header_cstr(r, "Content-Type", "application/xml");
}

enum s3_code s3_reply_xml(struct s3_request *r, struct buf *xml)
{
    enum err err = buf_check(xml);

    if (err != OK) {
        buf_fini(xml);
        return s3_fail_err(r, err, "write the answer");
    }
    reply_taken(r, 200, xml);
    return S3_OK;
}

enum s3_code s3_reply_empty(struct s3_request *r, unsigned status)
{
    http_reply_empty(r->http, status);
    return S3_OK;
}

/* Errors are ours to mend; what passes by itself is a warning; what a client did is neither. */
static enum log_level level_of(enum err err, enum s3_code code)
{
    if (err == ERR_CANCELLED || s3_code_status(code) < 500 || code == S3_NOT_IMPLEMENTED)
        return LOG_DEBUG;
    return s3_code_status(code) == 503 && err != ERR_DENIED ? LOG_WARN : LOG_ERROR;
}

enum s3_code s3_fail_err(struct s3_request *r, enum err err, const char *doing)
{
    enum s3_code code = s3_code_of(err);

    if (err == ERR_DENIED && r->permit.proof.refused != ACCESS_ALLOWED) /* the pipeline says why */
        return s3_fail(&r->error, S3_ACCESS_DENIED, NULL);
    log_line(level_of(err, code), "%s: could not %s: %s", s3_code_name(code), doing, err_text(err));
    s3_fail(&r->error, code, s3_text_of(err));
    r->error.is_logged = true;
    return code;
}

/* Every 500 and 503 stands in the log with its request's id and a reason. */
static void log_failure(const struct s3_request *r, enum s3_code code)
{
    unsigned status = s3_code_status(code);

    if ((status != 500 && status != 503) || r->error.is_logged)
        return;
    log_line(status == 500 ? LOG_ERROR : LOG_WARN, "%s: %s: %s", s3_code_name(code),
             r->op != NULL ? r->op->name : "no operation yet",
             r->error.message != NULL ? r->error.message : s3_code_message(code));
}

/* Once an upload is refused in the middle, the rest of its body is not worth reading. */
void s3_reply_error(struct s3_request *r, enum s3_code code)
{
    unsigned status = s3_code_status(code);
    struct buf xml;

    r->error.code = code;
    log_failure(r, code);
    http_reply_reset(r->http);
    s3_reply_ids(r);
    if (status == 416 && r->error.content_range != NULL)
        s3_reply_header_cstr(r, "Content-Range", r->error.content_range);
    if (status == 304) {
        http_reply_empty(r->http, status);
        return;
    }
    buf_init(&xml, ERROR_MAX);
    s3_error_write(&xml, &r->error, r->http->target.raw_path, str_of(r->http->id),
                   str_of(r->s3->host_id));
    if (buf_check(&xml) != OK) { /* it repeats something that is too long: say what, and no more */
        struct s3_error brief = {0};

        (void)s3_fail(&brief, code, NULL);
        buf_clear(&xml);
        s3_error_write(&xml, &brief, STR_NONE, str_of(r->http->id), str_of(r->s3->host_id));
    }
    if (buf_check(&xml) == OK) {
        reply_taken(r, status, &xml);
    } else {
        buf_fini(&xml);
        http_reply_empty(r->http, status);
    }
}

enum s3_code s3_fail_missing(struct s3_request *r, enum meta_missing missing)
{
    enum s3_code code;

    switch (missing) {
    case META_MISSING_KEY:
        code = s3_fail(&r->error, S3_NO_SUCH_KEY, NULL);
        s3_error_add(&r->error, "Key", r->key);
        return code;
    case META_MISSING_UPLOAD:
        code = s3_fail(&r->error, S3_NO_SUCH_UPLOAD, NULL);
        s3_error_add(&r->error, "UploadId", s3_arg(r, "uploadId"));
        return code;
    default:
        code = s3_fail(&r->error, S3_NO_SUCH_BUCKET, NULL);
        s3_error_add(&r->error, "BucketName", r->bucket);
        return code;
    }
}

enum s3_code s3_fail_commit(struct s3_request *r, enum err err, enum meta_missing missing,
                            const char *what)
{
    switch (err) {
    case OK:
        return S3_OK;
    case ERR_NOT_FOUND:
        return s3_fail_missing(r, missing);
    case ERR_CONDITION:
        return s3_fail(&r->error, S3_PRECONDITION_FAILED, NULL);
    case ERR_CONFLICT:
        return s3_fail(&r->error, S3_CONDITIONAL_REQUEST_CONFLICT, NULL);
    default:
        return s3_fail_err(r, err, what);
    }
}

void s3_xml_checksum(struct buf *xml, const struct checksum *sum, bool with_parts)
{
    char text[CHECKSUM_TEXT_MAX];

    if (sum->algo == CHECKSUM_NONE)
        return;
    checksum_text(sum, with_parts, text);
    xml_cstr(xml, checksum_element_name(sum->algo), text);
}

void s3_xml_owner(const struct s3_request *r, const char *element, uint64_t id, struct buf *xml)
{
    struct account account;

    if (account_find(r->s3->meta, id, &account) != OK)
        return;
    xml_open(xml, element);
    xml_cstr(xml, "ID", account.canonical_id);
    xml_cstr(xml, "DisplayName", account.name);
    xml_close(xml, element);
}
