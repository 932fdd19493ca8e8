/*
 * GetObject, HeadObject and GetObjectAttributes: conditions, the part or range that is asked for,
 * and a generator over the reader's runs.
 */
#include "base/clock.h"
#include "gateway/s3/proto/conditions.h"
#include "gateway/s3/core/ops.h"
#include "gateway/s3/proto/range.h"
#include "gateway/s3/proto/checksum_pack.h"
#include "gateway/s3/core/object_headers.h"
#include "gateway/s3/proto/xml_write.h"

#include <stdio.h>

#define ATTRIBUTES_MAX ((size_t)4 << 20)

/* The body of a GET: a reader's runs. */
struct get_body {
    struct http_body body;
    struct reader *reader;
    struct str first; /* read before the head was sent */
};

static enum err get_next(struct http_body *body, bool may_block, struct str *out)
{
    struct get_body *get = (struct get_body *)body;

    if (get->first.len > 0) {
        *out = get->first;
        get->first = STR_NONE;
        return OK;
    }
    return reader_next(get->reader, may_block, out);
}

static void get_rest(struct http_body *body, size_t unread)
{
    reader_rest(((struct get_body *)body)->reader, unread);
}

static void get_close(struct http_body *body)
{
    struct get_body *get = (struct get_body *)body;

    reader_free(get->reader);
    get->reader = NULL;
}

/* What of the object is asked for. */
struct selection {
    bool partial; /* 206 with Content-Range */
    struct range range;
    size_t part_count;   /* of ?partNumber; 0 otherwise */
    struct checksum sum; /* of just these bytes, where it is known */
};

static enum s3_code unsatisfiable(struct s3_request *r, uint64_t size)
{
    enum s3_code code = s3_fail(&r->error, S3_INVALID_RANGE, NULL);
    char text[RANGE_TEXT_MAX];

    range_content_unsatisfiable(size, text);
    r->error.content_range = arena_printf(r->arena, "%s", text);
    s3_error_add(&r->error, "RangeRequested", s3_header(r, "range"));
    s3_error_add(&r->error, "ActualObjectSize",
                 str_of(arena_printf(r->arena, "%llu", (unsigned long long)size)));
    return code;
}

static enum s3_code select_part(struct s3_request *r, const struct object *o, int64_t number,
                                struct selection *out)
{
    struct object_part *parts;
    size_t count;
    enum err err = object_parts_unpack(r->arena, o->parts, &parts, &count);

    if (err != OK)
        return s3_fail_err(r, err, "read the list of parts");
    if (number < 1 || (uint64_t)number > (count > 0 ? count : 1))
        return s3_fail(&r->error, S3_INVALID_PART, NULL);
    out->part_count = count;
    for (int64_t i = 0; count > 0 && i < number - 1; i++)
        out->range.first += parts[i].size;
    out->range.len = count > 0 ? parts[number - 1].size : (uint64_t)o->attr.size;
    out->partial = out->range.len > 0; /* a 206 names a byte in its Content-Range */
    if (count > 0) {
        out->sum = parts[number - 1].sum;
        out->sum.type = checksum_unpack(o->checksum).type;
    }
    return S3_OK;
}

static enum s3_code select_range(struct s3_request *r, const struct object *o,
                                 struct selection *out)
{
    struct str header = s3_header(r, "range");
    uint64_t size = (uint64_t)o->attr.size;

    if (!conditions_if_range(s3_header(r, "if-range"), o->attr.etag, o->attr.mtime_ms))
        header = STR_NONE;
    switch (range_parse(header, size, &out->range)) {
    case RANGE_UNSATISFIABLE:
        return unsatisfiable(r, size);
    case RANGE_PART:
        out->partial = true;
        return S3_OK;
    default:
        return S3_OK;
    }
}

static enum s3_code select_bytes(struct s3_request *r, const struct object *o,
                                 struct selection *out)
{
    int64_t number;
    enum s3_code code;

    *out = (struct selection){.sum = checksum_unpack(o->checksum)};
    if (!s3_has_arg(r, "partNumber"))
        return select_range(r, o, out);
    if (s3_header(r, "range").len > 0)
        return s3_fail(&r->error, S3_INVALID_REQUEST,
                       "Cannot specify both Range header and partNumber query parameter");
    code = s3_arg_number(r, "partNumber", 10001, 0, &number);
    return code == S3_OK ? select_part(r, o, number, out) : code;
}

/* Where in the file the answer will begin, if the request alone says so. */
static void hint_range(struct s3_request *r, struct object_get *get)
{
    struct str header = s3_header(r, "range");
    struct range range;

    get->len = UINT64_MAX;
    if (s3_has_arg(r, "partNumber") || str_starts_nocase(str_trim(header), STR("bytes=-")))
        return;
    if (range_parse(header, INT64_MAX, &range) == RANGE_PART) {
        get->offset = range.first;
        get->len = range.len;
    }
}

static enum s3_code open_object(struct s3_request *r, enum object_want want)
{
    struct object_get get = {.bucket = r->bucket, .key = r->key, .want = want};
    enum meta_missing missing = META_MISSING_NONE;
    enum s3_code code = s3_version_id(r, &get.version);
    enum err err;

    if (code != S3_OK)
        return code;
    hint_range(r, &get);
    err = file_open(r->s3->fs, r->arena, &get, &r->file, &missing);
    return s3_fail_commit(r, err, missing, "open the object");
}

/* 304 and 412 by the request's conditions. S3_OK with *out_done: the answer is made. */
static enum s3_code check_conditions(struct s3_request *r, const struct object *o, bool *out_done)
{
    struct conditions conditions;

    *out_done = false;
    conditions_of_headers(r->headers, r->header_count, &conditions);
    switch (conditions_read(&conditions, o->attr.etag, o->attr.mtime_ms, clock_wall_ms())) {
    case CONDITION_PROCEED:
        return S3_OK;
    case CONDITION_NOT_MODIFIED: {
        char date[CLOCK_TEXT_MAX];

        *out_done = true;
        http_reply_head_only(r->http, 304, (uint64_t)o->attr.size);
        clock_http(o->attr.mtime_ms, date);
        s3_reply_header_cstr(r, "Last-Modified", date);
        s3_reply_etag(r, o->attr.etag);
        object_headers_reply_caching(r, o);
        return S3_OK;
    }
    default:
        return s3_fail(&r->error, S3_PRECONDITION_FAILED, NULL);
    }
}

/* Status line and headers, the same for GET and HEAD. */
static unsigned reply_head(struct s3_request *r, const struct object *o,
                           const struct selection *selection)
{
    object_headers_reply(r, o);
    if ((!selection->partial || selection->part_count > 0 ||
         selection->range.len == (uint64_t)o->attr.size) &&
        str_eq_nocase(s3_header(r, "x-amz-checksum-mode"), STR("ENABLED")))
        s3_reply_checksum(r, &selection->sum, selection->part_count == 0);
    if (selection->part_count > 0) {
        char count[24];

        snprintf(count, sizeof(count), "%zu", selection->part_count);
        s3_reply_header_cstr(r, "x-amz-mp-parts-count", count);
    }
    if (selection->partial) {
        char text[RANGE_TEXT_MAX];

        range_content(&selection->range, (uint64_t)o->attr.size, text);
        s3_reply_header_cstr(r, "Content-Range", text);
        return 206;
    }
    return 200;
}

/* A GET under way: its answer is ready, but for the first bytes. */
struct get_reply {
    struct get_body body; /* first */
    unsigned status;
    struct range range;
};

/*
 * The first bytes are read before the head is sent, so that what cannot be read answers 500 or 503;
 * later on a failure can only break the connection.
 */
static enum s3_code begin_body(struct s3_request *r, bool may_block, bool *out_again)
{
    struct get_reply *get = r->state;
    enum err err = reader_next(get->body.reader, may_block, &get->body.first);

    *out_again = err == ERR_AGAIN;
    if (err == ERR_AGAIN)
        return S3_OK;
    if (err != OK)
        return s3_fail_err(r, err, "begin to read");
    r->unsent = NULL;
    r->http->lane = HTTP_LANE_STORE; /* whatever comes from it later */
    http_reply_generator(r->http, get->status, &get->body.body, get->range.len);
    return S3_OK;
}

static enum s3_code wait_for_store(struct s3_request *r)
{
    bool again;
    enum err err = s3_still_wanted(r);

    return err == OK ? begin_body(r, true, &again) : s3_fail_err(r, err, "begin to read");
}

static enum s3_code reply_reader(struct s3_request *r, unsigned status, const struct range *range)
{
    struct get_reply *get = arena_alloc(r->arena, sizeof(*get));
    enum err err = get != NULL ? OK : err_set(ERR_NOMEM, "out of memory");
    bool again = false;
    enum s3_code code;

    if (err != OK)
        return s3_fail_err(r, err, "begin to read");
    *get = (struct get_reply){.body.body = {.next = get_next, .rest = get_rest, .close = get_close},
                              .status = status,
                              .range = *range};
    r->state = get;
    err = reader_new(&r->file, range->first, range->len, &get->body.reader);
    if (err != OK)
        return s3_fail_err(r, err, "begin to read");
    r->unsent = &get->body.body;
    code = begin_body(r, false, &again);
    return again ? s3_go_on(r, HTTP_LANE_STORE, wait_for_store) : code;
}

/*
 * What GET and HEAD have in common, up to the headers. *out_status 0: the answer is made already.
 */
static enum s3_code begin_reply(struct s3_request *r, enum object_want want,
                                struct selection *selection, unsigned *out_status)
{
    const struct object *o = &r->file.object;
    bool done = false;
    enum s3_code code = open_object(r, want);

    *out_status = 0;
    if (code == S3_OK)
        code = check_conditions(r, o, &done);
    if (code != S3_OK || done)
        return code;
    code = select_bytes(r, o, selection);
    if (code == S3_OK)
        *out_status = reply_head(r, o, selection);
    return code;
}

enum s3_code op_get_object(struct s3_request *r)
{
    struct selection selection;
    const struct object *o = &r->file.object;
    unsigned status;
    enum s3_code code = begin_reply(r, OBJECT_DATA, &selection, &status);

    if (code != S3_OK || status == 0)
        return code;
    if (o->data.ptr == NULL && selection.range.len > 0)
        return reply_reader(r, status, &selection.range);
    http_reply_bytes(r->http, status,
                     str_sub(o->data, (size_t)selection.range.first, (size_t)selection.range.len));
    return S3_OK;
}

enum s3_code op_head_object(struct s3_request *r)
{
    struct selection selection;
    unsigned status;
    enum s3_code code = begin_reply(r, OBJECT_ATTR, &selection, &status);

    if (code == S3_OK && status != 0)
        http_reply_head_only(r->http, status, selection.range.len);
    return code;
}

/* --- GetObjectAttributes ---------------------------------------------------------------------- */

struct wanted {
    bool etag, checksum, parts, storage_class, size;
};

static enum s3_code parse_wanted(struct s3_request *r, struct wanted *out)
{
    struct str value, field;
    bool any = false;

    *out = (struct wanted){0};
    for (size_t i = 0; i < r->header_count; i++) {
        if (!str_eq_nocase(r->headers[i].name, STR("x-amz-object-attributes")))
            continue;
        value = r->headers[i].value;
        while (str_split(&value, ',', &field)) {
            field = str_trim(field);
            any = true;
            if (str_eq(field, STR("ETag")))
                out->etag = true;
            else if (str_eq(field, STR("Checksum")))
                out->checksum = true;
            else if (str_eq(field, STR("ObjectParts")))
                out->parts = true;
            else if (str_eq(field, STR("StorageClass")))
                out->storage_class = true;
            else if (str_eq(field, STR("ObjectSize")))
                out->size = true;
            else
                return s3_fail_argument(&r->error, "Invalid attribute name specified.",
                                        "x-amz-object-attributes", field);
        }
    }
    if (!any)
        return s3_fail_argument(&r->error,
                                "The x-amz-object-attributes header specifying the attributes to "
                                "be retrieved is either missing or empty",
                                "x-amz-object-attributes", STR(""));
    return S3_OK;
}

static enum s3_code header_number(struct s3_request *r, const char *name, uint64_t fallback,
                                  uint64_t *out)
{
    struct str text = s3_header(r, name);

    *out = fallback;
    if (text.len == 0)
        return S3_OK;
    if (str_to_u64(text, out) != OK || *out > INT32_MAX)
        return s3_fail_argument(&r->error, "Argument must be an integer", name, text);
    return S3_OK;
}

static enum s3_code write_parts(struct s3_request *r, const struct object *o, struct buf *xml)
{
    struct object_part *parts;
    size_t count, i = 0, shown = 0;
    uint64_t marker, max;
    enum err err = object_parts_unpack(r->arena, o->parts, &parts, &count);
    enum s3_code code = header_number(r, "x-amz-part-number-marker", 0, &marker);

    if (code == S3_OK)
        code = header_number(r, "x-amz-max-parts", 1000, &max);
    if (code != S3_OK)
        return code;
    if (err != OK)
        return s3_fail_err(r, err, "read the list of parts");
    if (count == 0)
        return S3_OK;
    max = max > 1000 ? 1000 : max;
    xml_open(xml, "ObjectParts");
    xml_u64(xml, "PartsCount", count);
    xml_u64(xml, "PartNumberMarker", marker);
    xml_u64(xml, "MaxParts", max);
    while (i < count && parts[i].number <= marker)
        i++;
    for (; i < count && shown < max; i++, shown++) {
        xml_open(xml, "Part");
        xml_u64(xml, "PartNumber", parts[i].number);
        xml_u64(xml, "Size", parts[i].size);
        s3_xml_checksum(xml, &parts[i].sum, false);
        xml_close(xml, "Part");
    }
    xml_u64(xml, "NextPartNumberMarker", i > 0 ? parts[i - 1].number : 0);
    xml_bool(xml, "IsTruncated", i < count);
    xml_close(xml, "ObjectParts");
    return S3_OK;
}

static enum s3_code write_attributes(struct s3_request *r, const struct object *o,
                                     const struct wanted *wanted, struct buf *xml)
{
    struct checksum sum = checksum_unpack(o->checksum);
    enum s3_code code = S3_OK;

    xml_begin(xml);
    xml_open_root(xml, "GetObjectAttributesResponse");
    if (wanted->etag)
        xml_text(xml, "ETag", o->attr.etag);
    if (wanted->checksum && sum.algo != CHECKSUM_NONE) {
        xml_open(xml, "Checksum");
        s3_xml_checksum(xml, &sum, true);
        xml_cstr(xml, "ChecksumType", checksum_type_name(sum.type));
        xml_close(xml, "Checksum");
    }
    if (wanted->parts)
        code = write_parts(r, o, xml);
    if (wanted->storage_class)
        xml_text(xml, "StorageClass", storage_class_name(o->attr.storage_class));
    if (wanted->size)
        xml_u64(xml, "ObjectSize", (uint64_t)o->attr.size);
    xml_close(xml, "GetObjectAttributesResponse");
    return code;
}

enum s3_code op_get_object_attributes(struct s3_request *r)
{
    struct wanted wanted;
    struct buf xml;
    char date[CLOCK_TEXT_MAX];
    bool done = false;
    enum s3_code code = parse_wanted(r, &wanted);

    if (code == S3_OK)
        code = open_object(r, OBJECT_ATTR);
    if (code == S3_OK)
        code = check_conditions(r, &r->file.object, &done);
    if (code != S3_OK || done)
        return code;
    buf_init(&xml, ATTRIBUTES_MAX);
    code = write_attributes(r, &r->file.object, &wanted, &xml);
    if (code != S3_OK) {
        buf_fini(&xml);
        return code;
    }
    clock_http(r->file.object.attr.mtime_ms, date);
    code = s3_reply_xml(r, &xml);
    s3_reply_header_cstr(r, "Last-Modified", date);
    return code;
}
