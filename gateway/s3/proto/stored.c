#include "gateway/s3/proto/stored.h"

#include "base/clock.h"
#include "gateway/s3/proto/conditions.h"
#include "gateway/s3/proto/xml_write.h"

#include <string.h>

#define FORMAT             1
#define CHECKSUM_PACK_MAX  ((size_t)64)
#define PARTS_PACK_MAX     ((size_t)2 << 20)
#define HEADER_SECTION_MAX ((size_t)8 << 10)
#define USER_METADATA_MAX  ((size_t)2 << 10)

int stored_checksum_code(enum checksum_algo algo, enum checksum_type type)
{
    return (int)algo | (int)type << 8;
}

enum checksum_algo stored_checksum_algo(int code)
{
    int algo = code & 0xff;

    return algo < CHECKSUM_ALGOS ? (enum checksum_algo)algo : CHECKSUM_NONE;
}

enum checksum_type stored_checksum_type(int code)
{
    int type = code >> 8;

    return type <= CHECKSUM_COMPOSITE ? (enum checksum_type)type : CHECKSUM_TYPE_NONE;
}

/* --- packing ---------------------------------------------------------------------------------- */

static void put_checksum(struct buf *b, const struct checksum *sum)
{
    buf_put_u8(b, (uint8_t)sum->algo);
    buf_put_u8(b, (uint8_t)sum->type);
    buf_put_u32(b, sum->parts);
    buf_append(b, sum->bytes, checksum_size(sum->algo));
}

static struct checksum get_checksum(struct unpack *u)
{
    struct checksum sum = {0};
    uint8_t algo = unpack_u8(u), type = unpack_u8(u);
    uint32_t parts = unpack_u32(u);

    if (u->failed || algo >= CHECKSUM_ALGOS || type > CHECKSUM_COMPOSITE) {
        u->failed = true;
        return sum;
    }
    sum = (struct checksum){.algo = algo, .type = type, .parts = parts};
    for (size_t i = 0; i < checksum_size(algo); i++)
        sum.bytes[i] = unpack_u8(u);
    return sum;
}

static struct str packed_in(struct arena *a, struct buf *b)
{
    struct str packed = buf_check(b) == OK ? arena_str(a, buf_str(b)) : STR_NONE;

    buf_fini(b);
    return packed;
}

struct str stored_checksum_pack(struct arena *a, const struct checksum *sum)
{
    struct buf b;

    if (sum->algo == CHECKSUM_NONE)
        return STR("");
    buf_init(&b, CHECKSUM_PACK_MAX);
    buf_put_u8(&b, FORMAT);
    put_checksum(&b, sum);
    return packed_in(a, &b);
}

struct checksum stored_checksum_unpack(struct str packed)
{
    struct unpack u = unpack_of(packed);
    uint8_t format = unpack_u8(&u);
    struct checksum sum = get_checksum(&u);

    return u.failed || format != FORMAT ? (struct checksum){0} : sum;
}

struct str stored_parts_pack(struct arena *a, const struct stored_part *parts, size_t count)
{
    struct buf b;

    buf_init(&b, PARTS_PACK_MAX);
    buf_put_u8(&b, FORMAT);
    buf_put_u32(&b, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        buf_put_u32(&b, parts[i].number);
        buf_put_u64(&b, parts[i].size);
        put_checksum(&b, &parts[i].sum);
    }
    return packed_in(a, &b);
}

enum err stored_parts_unpack(struct arena *a, struct str packed, struct stored_part **out,
                             size_t *out_count)
{
    struct unpack u = unpack_of(packed);
    uint8_t format = unpack_u8(&u);
    uint32_t count = unpack_u32(&u);

    *out = NULL;
    *out_count = 0;
    if (packed.len == 0)
        return OK;
    if (u.failed || format != FORMAT || count > 10000)
        return err_set(ERR_CORRUPT, "the list of parts of an object is damaged");
    *out = arena_array(a, count + 1, sizeof(**out));
    if (*out == NULL)
        return err_set(ERR_NOMEM, "out of memory for %u parts", count);
    for (uint32_t i = 0; i < count; i++) {
        (*out)[i].number = unpack_u32(&u);
        (*out)[i].size = unpack_u64(&u);
        (*out)[i].sum = get_checksum(&u);
    }
    *out_count = count;
    return u.failed ? err_set(ERR_CORRUPT, "the list of parts of an object is damaged") : OK;
}

/* --- headers in ------------------------------------------------------------------------------- */

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
    return packed_in(a, &kept);
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

enum s3_code stored_headers_of(struct s3_request *r, struct pairs *out)
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

enum s3_code stored_class_of(struct s3_request *r, struct str *out)
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

struct str stored_class_name(struct str stored)
{
    return stored.len > 0 ? stored : STR("STANDARD");
}

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

struct object_cond stored_cond_of(struct str match, struct str none_match)
{
    struct object_cond cond = {0};

    cond.if_present = any_or_etag(match, &cond.if_match);
    cond.if_absent = any_or_etag(none_match, &cond.if_none_match);
    return cond;
}

struct object_cond stored_write_cond(const struct s3_request *r)
{
    struct object_cond cond =
        stored_cond_of(s3_header(r, "if-match"), s3_header(r, "if-none-match"));

    cond.no_wait = r->http->lane != HTTP_LANE_LONG;
    return cond;
}

enum s3_code stored_check_early(struct s3_request *r)
{
    struct object_get get = {.bucket = r->bucket, .key = r->key, .want = OBJECT_ATTR};
    struct object object = {0};
    struct conditions conditions;
    enum meta_missing missing = META_MISSING_NONE;
    enum err err = object_get(r->s3->meta, r->arena, &get, &object, &missing);

    if (err != OK && !(err == ERR_NOT_FOUND && missing == META_MISSING_KEY))
        return stored_commit_code(r, err, missing, "look at the key");
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

enum s3_code stored_commit_code(struct s3_request *r, enum err err, enum meta_missing missing,
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

enum s3_code stored_version_of(struct s3_request *r, struct str *out)
{
    *out = s3_arg(r, "versionId");
    if (out->len == 0) {
        if (out->ptr == NULL)
            return S3_OK;
        return s3_fail_argument(&r->error, "Version id cannot be the empty string", "versionId",
                                *out);
    }
    if (str_eq(*out, STR("null")))
        return S3_OK;
    return s3_fail_argument(&r->error, "Invalid version id specified", "versionId", *out);
}

/* --- headers out ------------------------------------------------------------------------------ */

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

void stored_reply_caching(struct s3_request *r, const struct object *o)
{
    (void)reply_kept(r, o->headers, "Cache-Control");
    (void)reply_kept(r, o->headers, "Expires");
}

void stored_reply_checksum(struct s3_request *r, const struct checksum *sum, bool with_parts)
{
    char text[CHECKSUM_TEXT_MAX];

    if (sum->algo == CHECKSUM_NONE)
        return;
    checksum_text(sum, with_parts, text);
    s3_reply_header_cstr(r, checksum_header_name(sum->algo), text);
    s3_reply_header_cstr(r, "x-amz-checksum-type", checksum_type_name(sum->type));
}

void stored_xml_checksum(struct buf *xml, const struct checksum *sum, bool with_parts)
{
    char text[CHECKSUM_TEXT_MAX];

    if (sum->algo == CHECKSUM_NONE)
        return;
    checksum_text(sum, with_parts, text);
    xml_cstr(xml, checksum_element_name(sum->algo), text);
}

void stored_reply(struct s3_request *r, const struct object *o)
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

void stored_xml_owner(const struct s3_request *r, const char *element, uint64_t id, struct buf *xml)
{
    struct account account;

    if (account_find(r->s3->meta, id, &account) != OK)
        return;
    xml_open(xml, element);
    xml_cstr(xml, "ID", account.canonical_id);
    xml_cstr(xml, "DisplayName", account.name);
    xml_close(xml, element);
}
