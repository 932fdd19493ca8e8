#include "gateway/s3/proto/range.h"

#include <stdio.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits, possibly none; too large a number becomes UINT64_MAX, which is past every end. */
static bool number(struct str s, uint64_t *out)
{
    uint64_t value = 0;

    for (size_t i = 0; i < s.len; i++) {
        if (!is_digit(s.ptr[i]))
            return false;
        uint64_t digit = (uint64_t)(s.ptr[i] - '0');
        value = value > (UINT64_MAX - digit) / 10 ? UINT64_MAX : value * 10 + digit;
    }
    *out = value;
    return s.len > 0;
}

/* "bytes=a-b", "bytes=a-", "bytes=-n" split at the dash; false for anything else. */
static bool split(struct str header, struct str *out_first, struct str *out_last)
{
    struct str prefix = STR("bytes=");

    header = str_trim(header);
    if (!str_starts_nocase(header, prefix))
        return false;
    header = str_sub(header, prefix.len, header.len);
    size_t dash = str_find(header, '-');
    if (dash == header.len)
        return false;
    *out_first = str_sub(header, 0, dash);
    *out_last = str_sub(header, dash + 1, header.len);
    return true;
}

enum range_result range_parse(struct str header, uint64_t size, struct range *out)
{
    struct str first_text, last_text;
    uint64_t first, last;

    *out = (struct range){0, size};
    if (!split(header, &first_text, &last_text))
        return RANGE_WHOLE;
    if (first_text.len == 0) { /* the last n bytes */
        if (!number(last_text, &last))
            return RANGE_WHOLE;
        if (last == 0)
            return RANGE_UNSATISFIABLE;
        if (size == 0)
            return RANGE_WHOLE;
        out->len = last < size ? last : size;
        out->first = size - out->len;
        return RANGE_PART;
    }
    if (!number(first_text, &first))
        return RANGE_WHOLE;
    if (last_text.len == 0)
        last = UINT64_MAX;
    else if (!number(last_text, &last) || last < first)
        return RANGE_WHOLE;
    if (first >= size)
        return RANGE_UNSATISFIABLE;
    if (last >= size)
        last = size - 1;
    *out = (struct range){first, last - first + 1};
    return RANGE_PART;
}

static enum s3_code bad_copy_range(struct str header, struct s3_error *error)
{
    return s3_fail_argument(error,
                            "The x-amz-copy-source-range value must be of the form "
                            "bytes=first-last where first and last are the zero-based offsets of "
                            "the first and last bytes to copy",
                            "x-amz-copy-source-range", header);
}

enum s3_code range_parse_copy_syntax(struct str header, struct range *out, struct s3_error *error)
{
    struct str first_text, last_text;
    uint64_t first, last;

    if (!split(header, &first_text, &last_text) || !number(first_text, &first) ||
        !number(last_text, &last) || last < first || last == UINT64_MAX)
        return bad_copy_range(header, error);
    *out = (struct range){first, last - first + 1};
    return S3_OK;
}

enum s3_code range_parse_copy(struct str header, uint64_t size, struct range *out,
                              struct s3_error *error)
{
    *out = (struct range){0, size};
    if (header.len == 0)
        return S3_OK;
    enum s3_code code = range_parse_copy_syntax(header, out, error);
    if (code != S3_OK)
        return code;
    if (out->first >= size || out->len > size - out->first)
        return s3_fail(error, S3_INVALID_RANGE,
                       "Range specified is not valid for the size of the source object");
    return S3_OK;
}

/* "*" or a number, which is not looked at: others may make the file longer meanwhile. */
static bool is_complete_length(struct str text)
{
    uint64_t ignored;

    return str_eq(text, STR("*")) || number(text, &ignored);
}

enum s3_code range_parse_content(struct str header, struct range *out, struct s3_error *error)
{
    struct str unit = STR("bytes "), text = str_trim(header);
    bool ok = str_starts_nocase(text, unit);
    size_t dash, slash;
    uint64_t first = 0, last = 0;

    text = str_sub(text, unit.len, text.len);
    slash = str_find(text, '/');
    if (slash < text.len)
        ok = ok && is_complete_length(str_sub(text, slash + 1, text.len));
    text = str_sub(text, 0, slash);
    dash = str_find(text, '-');
    ok = ok && dash < text.len && number(str_sub(text, 0, dash), &first);
    text = str_sub(text, dash + 1, text.len);
    *out = (struct range){first, 0};
    if (ok && text.len == 0)
        return S3_OK;
    ok = ok && number(text, &last) && last >= first && last < INT64_MAX;
    *out = (struct range){first, ok ? last - first + 1 : 0};
    return ok ? S3_OK
              : s3_fail_argument(error,
                                 "The Content-Range value must be of the form bytes first-last/*",
                                 "Content-Range", header);
}

void range_content(const struct range *r, uint64_t size, char out[RANGE_TEXT_MAX])
{
    snprintf(out, RANGE_TEXT_MAX, "bytes %llu-%llu/%llu", (unsigned long long)r->first,
             (unsigned long long)(r->first + r->len - 1), (unsigned long long)size);
}

void range_content_unsatisfiable(uint64_t size, char out[RANGE_TEXT_MAX])
{
    snprintf(out, RANGE_TEXT_MAX, "bytes */%llu", (unsigned long long)size);
}
