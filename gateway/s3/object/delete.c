/*
 * DeleteObject and DeleteObjects. A key that is not there is deleted already; many keys are one
 * call of meta/, and each has its own line of the answer.
 */
#include "base/clock.h"
#include "gateway/s3/proto/names.h"
#include "gateway/s3/core/ops.h"
#include "gateway/s3/core/write_conditions.h"
#include "gateway/s3/proto/xml_bodies.h"
#include "gateway/s3/proto/xml_write.h"

#define RESULT_MAX ((size_t)16 << 20)

static enum s3_code delete_cond(struct s3_request *r, struct object_cond *out)
{
    struct str size = s3_header(r, "x-amz-if-match-size");
    struct str mtime = s3_header(r, "x-amz-if-match-last-modified-time");
    int64_t ms;

    *out = write_conditions_of(r);
    if (size.ptr != NULL) {
        out->has_size = true;
        if (str_to_i64(size, &out->if_size) != OK)
            return s3_fail_argument(&r->error, "Invalid size", "x-amz-if-match-size", size);
    }
    if (mtime.ptr != NULL) {
        out->has_mtime = true;
        if (clock_parse_any(mtime, &ms) != OK)
            return s3_fail_argument(&r->error, "Invalid date", "x-amz-if-match-last-modified-time",
                                    mtime);
        out->if_mtime_s = ms / 1000;
    }
    return S3_OK;
}

/* A key that is not there is deleted already, whatever condition it was to meet. */
static enum s3_code delete_code(struct s3_request *r, const struct object_delete *item)
{
    if (item->result == ERR_NOT_FOUND && item->missing == META_MISSING_KEY)
        return S3_OK;
    return s3_fail_commit(r, item->result, item->missing, "delete an object");
}

enum s3_code op_delete_object(struct s3_request *r)
{
    struct object_delete item = {.bucket = r->bucket, .key = r->key};
    enum s3_code code = s3_version_id(r, &item.version);

    if (code == S3_OK)
        code = delete_cond(r, &item.cond);
    if (code != S3_OK)
        return code;
    file_remove(r->s3->fs, &item, 1);
    if (item.result == ERR_AGAIN) /* its condition wants writers at ranges to be done */
        return s3_go_on(r, HTTP_LANE_LONG, op_delete_object);
    code = delete_code(r, &item);
    return code == S3_OK ? s3_reply_empty(r, 204) : code;
}

/* --- DeleteObjects ---------------------------------------------------------------------------- */

/* One key of the request, and what can be said of it before the database is asked. */
struct entry {
    const struct delete_item *asked;
    enum s3_code refused;
    struct s3_error error;
    struct object_delete *item; /* NULL when refused */
};

static enum s3_code check_entry(const struct delete_item *asked, struct s3_error *error)
{
    enum s3_code code = names_check_key(asked->key, error);

    if (code == S3_OK && asked->version_id.len > 0 && !str_eq(asked->version_id, STR("null")))
        code = s3_fail(error, S3_NO_SUCH_VERSION, NULL);
    return code;
}

static void fill_item(struct s3_request *r, const struct delete_item *asked,
                      struct object_delete *out)
{
    *out = (struct object_delete){
        .bucket = r->bucket, .key = asked->key, .version = asked->version_id};
    if (asked->has_etag)
        out->cond = write_conditions(asked->etag, STR_NONE);
    out->cond.has_size = asked->has_size;
    out->cond.if_size = (int64_t)asked->size;
    out->cond.has_mtime = asked->has_mtime;
    out->cond.if_mtime_s = asked->mtime_ms / 1000;
}

static void write_deleted(struct buf *xml, const struct delete_item *asked)
{
    xml_open(xml, "Deleted");
    xml_text(xml, "Key", asked->key);
    if (asked->version_id.len > 0)
        xml_text(xml, "VersionId", asked->version_id);
    xml_close(xml, "Deleted");
}

static void write_failed(struct buf *xml, const struct delete_item *asked,
                         const struct s3_error *error)
{
    xml_open(xml, "Error");
    xml_text(xml, "Key", asked->key);
    if (asked->version_id.len > 0)
        xml_text(xml, "VersionId", asked->version_id);
    xml_cstr(xml, "Code", s3_code_name(error->code));
    xml_cstr(xml, "Message",
             error->message != NULL ? error->message : s3_code_message(error->code));
    xml_close(xml, "Error");
}

/* The request's own error is used to translate, one key at a time. */
static enum s3_code entry_code(struct s3_request *r, struct entry *e)
{
    enum s3_code code;

    if (e->item == NULL)
        return e->refused;
    code = delete_code(r, e->item);
    e->error = r->error;
    e->error.code = code;
    return code;
}

static enum s3_code answer(struct s3_request *r, struct entry *entries, size_t count, bool quiet)
{
    struct buf xml;

    buf_init(&xml, RESULT_MAX);
    xml_begin(&xml);
    xml_open_root(&xml, "DeleteResult");
    for (size_t i = 0; i < count; i++) {
        struct entry *e = &entries[i];
        enum s3_code code = entry_code(r, e);

        if (code == S3_NO_SUCH_BUCKET) {
            buf_fini(&xml);
            return s3_fail_missing(r, META_MISSING_BUCKET);
        }
        if (code != S3_OK)
            write_failed(&xml, e->asked, &e->error);
        else if (!quiet)
            write_deleted(&xml, e->asked);
    }
    xml_close(&xml, "DeleteResult");
    return s3_reply_xml(r, &xml);
}

enum s3_code op_delete_objects(struct s3_request *r)
{
    struct delete_body body;
    struct object_delete *items;
    struct entry *entries;
    size_t count = 0;
    enum s3_code code = xml_parse_delete(r->arena, buf_str(&r->body), &body, &r->error);

    if (code != S3_OK)
        return code;
    items = arena_array(r->arena, body.count + 1, sizeof(*items));
    entries = arena_array(r->arena, body.count + 1, sizeof(*entries));
    if (items == NULL || entries == NULL)
        return s3_fail_memory(&r->error);
    for (size_t i = 0; i < body.count; i++) {
        entries[i].asked = &body.items[i];
        entries[i].refused = check_entry(&body.items[i], &entries[i].error);
        entries[i].error.code = entries[i].refused;
        if (entries[i].refused != S3_OK)
            continue;
        entries[i].item = &items[count++];
        fill_item(r, &body.items[i], entries[i].item);
    }
    file_remove(r->s3->fs, items, count);
    return answer(r, entries, body.count, body.quiet);
}
