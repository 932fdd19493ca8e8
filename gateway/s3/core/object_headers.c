#include "gateway/s3/core/object_headers.h"

#include "base/clock.h"
#include "gateway/s3/core/reply.h"

#include <string.h>

#define HEADER_SECTION_MAX ((size_t)8 << 10)
#define USER_METADATA_MAX  ((size_t)2 << 10)

/* --- of a request ----------------------------------------------------------------------------- */

static const char *const kept_headers[] = {
    "Content-Type",     "Content-Encoding", "Content-Disposition",
    "Content-Language", "Cache-Control",    "Expires",
};
#define KEPT_COUNT (sizeof(kept_headers) / sizeof(kept_headers[0]))

/* "aws-chunked,gzip" -> "gzip": the framing is the request's, not the object's. */
static struct str without_framing(struct arena *a, struct str encoding)
{
    struct buf kept;
    struct str field;

    buf_init(&kept, encoding.len + 1);
    while (str_split(&encoding, ',', &field)) {
        if (str_eq_nocase(str_trim(field), STR("aws-chunked")))
            continue;
        if (kept.len > 0)
            buf_append_char(&kept, ',');
        buf_append_str(&kept, kept.len > 0 ? field : str_trim(field));
    }
    encoding = buf_check(&kept) == OK ? arena_str(a, buf_str(&kept)) : STR_NONE;
    buf_fini(&kept);
    return encoding;
}

static struct str lower_case(struct arena *a, struct str name)
{
    struct str copy = arena_str(a, name);
    char *text = (char *)copy.ptr;

    for (size_t i = 0; text != NULL && i < copy.len; i++)
        if (text[i] >= 'A' && text[i] <= 'Z')
            text[i] = (char)(text[i] - 'A' + 'a');
    return copy;
}

/* Repeated user metadata headers of one name are one value, joined by a comma, as S3 has it. */
static enum s3_code add_user_metadata(struct s3_request *r, struct pair *items, size_t *count,
                                      struct str name, struct str value, size_t *total)
{
    struct str lower = lower_case(r->arena, name);

    *total += name.len - strlen("x-amz-meta-") + value.len;
    if (*total > USER_METADATA_MAX) {
        enum s3_code code = s3_fail(&r->error, S3_METADATA_TOO_LARGE, NULL);

        s3_error_add(&r->error, "MaxSizeAllowed", STR("2048"));
        return code;
    }
    for (size_t i = 0; i < *count; i++) {
        if (str_eq(items[i].name, lower)) {
            items[i].value = str_of(arena_printf(r->arena, STR_FMT "," STR_FMT,
                                                 STR_ARG(items[i].value), STR_ARG(value)));
            return S3_OK;
        }
    }
    items[(*count)++] = (struct pair){lower, value};
    return S3_OK;
}

/* S3's limit for the headers of a PUT: what is kept of them has to fit into an answer. */
static enum s3_code check_header_section(struct s3_request *r)
{
    size_t total = 0;

    for (size_t i = 0; i < r->header_count; i++)
        total += r->headers[i].name.len + r->headers[i].value.len;
    if (total <= HEADER_SECTION_MAX)
        return S3_OK;
    s3_fail(&r->error, S3_REQUEST_HEADER_SECTION_TOO_LARGE, NULL);
    s3_error_add(&r->error, "MaxSizeAllowed", STR("8192"));
    return S3_REQUEST_HEADER_SECTION_TOO_LARGE;
}

enum s3_code object_headers_of(struct s3_request *r, struct pairs *out)
{
    struct pair *items = arena_array(r->arena, r->header_count + KEPT_COUNT, sizeof(*items));
    size_t count = 0, total = 0;

    if (items == NULL)
        return s3_fail_memory(&r->error);
    if (check_header_section(r) != S3_OK)
        return S3_REQUEST_HEADER_SECTION_TOO_LARGE;
    for (size_t i = 0; i < KEPT_COUNT; i++) {
        struct str value = s3_header(r, kept_headers[i]);

        if (strcmp(kept_headers[i], "Content-Encoding") == 0)
            value = without_framing(r->arena, value);
        if (value.len > 0)
            items[count++] = (struct pair){str_of(kept_headers[i]), value};
    }
    for (size_t i = 0; i < r->header_count; i++) {
        enum s3_code code;

        if (!str_starts_nocase(r->headers[i].name, STR("x-amz-meta-")))
            continue;
        code = add_user_metadata(r, items, &count, r->headers[i].name, r->headers[i].value, &total);
        if (code != S3_OK)
            return code;
    }
    *out = (struct pairs){items, count};
    return S3_OK;
}

static const char *const classes[] = {
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER",
    "DEEP_ARCHIVE",
    "OUTPOSTS",
    "GLACIER_IR",
    "SNOW",
    "EXPRESS_ONEZONE",
};

enum s3_code storage_class_of(struct s3_request *r, struct str *out)
{
    struct str name = s3_header(r, "x-amz-storage-class");

    *out = STR("");
    if (name.len == 0 || str_eq(name, STR("STANDARD")))
        return S3_OK;
    *out = name;
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
        if (str_eq(name, str_of(classes[i])))
            return S3_OK;
    return s3_fail(&r->error, S3_INVALID_STORAGE_CLASS, NULL);
}

struct str storage_class_name(struct str stored)
{
    return stored.len > 0 ? stored : STR("STANDARD");
}

/* --- of an answer ----------------------------------------------------------------------------- */

/* `response-content-type=...` replaces Content-Type and so on. */
static struct str override_of(const struct s3_request *r, struct str header)
{
    char name[40] = "response-";
    size_t at = strlen(name);

    if (header.len > sizeof(name) - at - 1)
        return STR_NONE;
    for (size_t i = 0; i < header.len; i++) {
        char c = header.ptr[i];

        name[at++] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    name[at] = '\0';
    return s3_arg(r, name);
}

/* The value asked for, else the one kept; false: neither. */
static bool reply_kept(struct s3_request *r, struct pairs headers, const char *name)
{
    struct str value = override_of(r, str_of(name));

    if (value.len == 0)
        value = pairs_get(headers, str_of(name));
    if (value.len == 0)
        return false;
    s3_reply_header(r, name, value);
    return true;
}

static void reply_headers(struct s3_request *r, struct pairs headers)
{
    bool has_type = reply_kept(r, headers, kept_headers[0]);

    for (size_t i = 1; i < KEPT_COUNT; i++)
        (void)reply_kept(r, headers, kept_headers[i]);
    if (!has_type)
        s3_reply_header_cstr(r, "Content-Type", "binary/octet-stream");
    for (size_t i = 0; i < headers.count; i++) {
        char *name;

        if (!str_starts(headers.items[i].name, STR("x-amz-meta-")))
            continue;
        name = arena_cstr(r->arena, headers.items[i].name);
        if (name != NULL)
            s3_reply_header(r, name, headers.items[i].value);
    }
}

void object_headers_reply_caching(struct s3_request *r, const struct object *o)
{
    (void)reply_kept(r, o->headers, "Cache-Control");
    (void)reply_kept(r, o->headers, "Expires");
}

void object_headers_reply(struct s3_request *r, const struct object *o)
{
    char date[CLOCK_TEXT_MAX];

    clock_http(o->attr.mtime_ms, date);
    s3_reply_header_cstr(r, "Last-Modified", date);
    s3_reply_header_cstr(r, "Accept-Ranges", "bytes");
    s3_reply_etag(r, o->attr.etag);
    reply_headers(r, o->headers);
    if (o->attr.storage_class.len > 0)
        s3_reply_header(r, "x-amz-storage-class", o->attr.storage_class);
}
