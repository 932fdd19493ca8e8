#include "gateway/s3/proto/conditions.h"

#include "base/clock.h"

struct pick {
    struct str name;
    struct str *to;
};

static void pick_headers(const struct sigv4_header *headers, size_t count, const struct pick *picks,
                         size_t pick_count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t p = 0; p < pick_count; p++)
            if (picks[p].to->ptr == NULL && str_eq_nocase(headers[i].name, picks[p].name))
                *picks[p].to = headers[i].value.ptr != NULL ? headers[i].value : STR("");
    }
}

void conditions_of_headers(const struct sigv4_header *headers, size_t count, struct conditions *out)
{
    const struct pick picks[] = {
        {STR("If-Match"), &out->if_match},
        {STR("If-None-Match"), &out->if_none_match},
        {STR("If-Modified-Since"), &out->if_modified_since},
        {STR("If-Unmodified-Since"), &out->if_unmodified_since},
    };

    *out = (struct conditions){0};
    pick_headers(headers, count, picks, sizeof(picks) / sizeof(picks[0]));
}

void conditions_of_copy_headers(const struct sigv4_header *headers, size_t count,
                                struct conditions *out)
{
    const struct pick picks[] = {
        {STR("x-amz-copy-source-if-match"), &out->if_match},
        {STR("x-amz-copy-source-if-none-match"), &out->if_none_match},
        {STR("x-amz-copy-source-if-modified-since"), &out->if_modified_since},
        {STR("x-amz-copy-source-if-unmodified-since"), &out->if_unmodified_since},
    };

    *out = (struct conditions){0};
    pick_headers(headers, count, picks, sizeof(picks) / sizeof(picks[0]));
}

bool conditions_any(const struct conditions *c)
{
    return c->if_match.ptr != NULL || c->if_none_match.ptr != NULL ||
           c->if_modified_since.ptr != NULL || c->if_unmodified_since.ptr != NULL;
}

/* --- ETags -------------------------------------------------------------------------------------*/

struct str conditions_etag_bare(struct str etag)
{
    etag = str_trim(etag);
    if (str_starts(etag, STR("W/")))
        etag = str_sub(etag, 2, etag.len);
    if (etag.len >= 2 && etag.ptr[0] == '"' && etag.ptr[etag.len - 1] == '"')
        etag = str_sub(etag, 1, etag.len - 2);
    return etag;
}

/* Cuts the next member off a list; a quoted one may hold commas. */
static bool next_etag(struct str *list, struct str *out)
{
    while (list->len > 0 && (*list->ptr == ',' || *list->ptr == ' ' || *list->ptr == '\t'))
        *list = str_sub(*list, 1, list->len);
    if (list->len == 0)
        return false;
    bool quoted = false;
    size_t end = 0;
    for (; end < list->len && (quoted || list->ptr[end] != ','); end++)
        if (list->ptr[end] == '"')
            quoted = !quoted;
    *out = conditions_etag_bare(str_sub(*list, 0, end));
    *list = str_sub(*list, end, list->len);
    return true;
}

/* Quotes within, or left over: no ETag looks like this, and none is stored. */
static bool is_etag(struct str bare)
{
    return bare.len > 0 && str_find(bare, '"') == bare.len;
}

bool conditions_etag_listed(struct str list, struct str etag)
{
    struct str member;

    if (str_eq(str_trim(list), STR("*")))
        return true;
    while (next_etag(&list, &member))
        if (is_etag(member) && str_eq(member, etag))
            return true;
    return false;
}

enum condition_form conditions_form(struct str header, struct str *out_etag)
{
    struct str rest = header, member;
    size_t count = 0, good = 0;

    *out_etag = STR_NONE;
    if (header.ptr == NULL)
        return CONDITION_ABSENT;
    if (str_eq(str_trim(header), STR("*")))
        return CONDITION_ANY;
    while (next_etag(&rest, &member)) {
        count++;
        good += is_etag(member);
        *out_etag = member;
    }
    if (count == 1 && good == 1)
        return CONDITION_ETAG;
    return good == 0 ? CONDITION_NOTHING : CONDITION_LIST;
}

/* --- evaluation --------------------------------------------------------------------------------*/

static bool parse_date(struct str text, int64_t *out_sec)
{
    int64_t ms;

    if (clock_parse_any(text, &ms) != OK)
        return false;
    *out_sec = clock_seconds(ms);
    return true;
}

bool conditions_date_valid(struct str text)
{
    int64_t ignored;

    return parse_date(text, &ignored);
}

/* What cannot match would let a write through that was to be guarded. */
static bool guards_nothing(struct str none_match)
{
    struct str ignored;

    return conditions_form(none_match, &ignored) == CONDITION_NOTHING;
}

/* Steps 1 and 2 of RFC 9110 13.2.2: does it fail? */
static bool match_fails(const struct conditions *c, struct str etag, int64_t mtime_ms)
{
    int64_t since;

    if (c->if_match.ptr != NULL)
        return !conditions_etag_listed(c->if_match, etag);
    if (c->if_unmodified_since.ptr != NULL && parse_date(c->if_unmodified_since, &since))
        return clock_seconds(mtime_ms) > since;
    return false;
}

/* Steps 3 and 4. */
static bool none_match_fails(const struct conditions *c, struct str etag, int64_t mtime_ms,
                             int64_t now_ms)
{
    int64_t since;

    if (c->if_none_match.ptr != NULL)
        return conditions_etag_listed(c->if_none_match, etag);
    if (c->if_modified_since.ptr != NULL && parse_date(c->if_modified_since, &since) &&
        since <= clock_seconds(now_ms))
        return clock_seconds(mtime_ms) <= since;
    return false;
}

enum condition_result conditions_read(const struct conditions *c, struct str etag, int64_t mtime_ms,
                                      int64_t now_ms)
{
    if (match_fails(c, etag, mtime_ms))
        return CONDITION_FAILED;
    return none_match_fails(c, etag, mtime_ms, now_ms) ? CONDITION_NOT_MODIFIED : CONDITION_PROCEED;
}

enum condition_result conditions_copy_source(const struct conditions *c, struct str etag,
                                             int64_t mtime_ms, int64_t now_ms)
{
    if (guards_nothing(c->if_none_match))
        return CONDITION_FAILED;
    return conditions_read(c, etag, mtime_ms, now_ms) == CONDITION_PROCEED ? CONDITION_PROCEED
                                                                           : CONDITION_FAILED;
}

enum condition_result conditions_write(const struct conditions *c, struct str etag)
{
    if (guards_nothing(c->if_none_match))
        return CONDITION_FAILED;
    if (c->if_match.ptr != NULL) {
        if (etag.ptr == NULL)
            return CONDITION_NO_OBJECT;
        if (!conditions_etag_listed(c->if_match, etag))
            return CONDITION_FAILED;
    }
    if (c->if_none_match.ptr != NULL && etag.ptr != NULL &&
        conditions_etag_listed(c->if_none_match, etag))
        return CONDITION_FAILED;
    return CONDITION_PROCEED;
}

bool conditions_if_range(struct str header, struct str etag, int64_t mtime_ms)
{
    int64_t date;

    header = str_trim(header);
    if (header.len == 0)
        return true;
    if (str_starts(header, STR("W/")))
        return false;
    if (header.ptr[0] != '"' && parse_date(header, &date))
        return date == clock_seconds(mtime_ms);
    return str_eq(conditions_etag_bare(header), etag);
}
