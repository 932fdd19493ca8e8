#include "gateway/s3/proto/xml_write.h"

#include "base/clock.h"
#include "base/codec.h"

#include <stdio.h>
#include <string.h>

void xml_begin(struct buf *out)
{
    buf_append_cstr(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
}

/* A page of a listing has 15,000 tags: one append for each. */
static void tag(struct buf *out, const char *start, size_t start_len, const char *element)
{
    size_t len = strlen(element);
    char *to = buf_reserve(out, start_len + len + 1);

    if (to == NULL)
        return;
    memcpy(to, start, start_len);
    memcpy(to + start_len, element, len);
    to[start_len + len] = '>';
    buf_added(out, start_len + len + 1);
}

void xml_open(struct buf *out, const char *element)
{
    tag(out, "<", 1, element);
}

void xml_open_root(struct buf *out, const char *element)
{
    buf_append_char(out, '<');
    buf_append_cstr(out, element);
    buf_append_cstr(out, " xmlns=\"" XML_S3_NAMESPACE "\">");
}

void xml_close(struct buf *out, const char *element)
{
    tag(out, "</", 2, element);
}

/* What stands for the character of `len` bytes at `p`; NULL when it stands for itself. */
static const char *replacement(const unsigned char *p, size_t len, char numeric[16])
{
    if (len == 0)
        return "\xEF\xBF\xBD"; /* not UTF-8: U+FFFD */
    if (len == 3)              /* U+FFFE and U+FFFF */
        return p[0] == 0xEF && p[1] == 0xBF && p[2] >= 0xBE
                   ? (p[2] == 0xBE ? "&#xfffe;" : "&#xffff;")
                   : NULL;
    if (len > 1)
        return NULL;
    switch (p[0]) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\r':
        return "&#13;"; /* a parser would read a bare one as a newline */
    case '\n':
    case '\t':
        return NULL;
    }
    if (p[0] >= 0x20)
        return NULL;
    snprintf(numeric, 16, "&#x%x;", (unsigned)p[0]);
    return numeric;
}

/* Nearly every byte of nearly every key: printable ASCII but & < > and ". */
static const bool is_plain[256] = {[' ' ... '!'] = true,
                                   ['#' ... '%'] = true,
                                   ['\'' ... ';'] = true,
                                   ['='] = true,
                                   ['?' ... '~'] = true};

void xml_escape(struct buf *out, struct str text)
{
    size_t copied = 0;

    for (size_t at = 0; at < text.len;) {
        if (is_plain[(unsigned char)text.ptr[at]]) {
            at++;
            continue;
        }
        char numeric[16];
        size_t len = str_utf8_at(text, at);
        const char *instead = replacement((const unsigned char *)text.ptr + at, len, numeric);
        size_t next = at + (len ? len : 1);
        if (instead != NULL) {
            buf_append(out, text.ptr + copied, at - copied);
            buf_append_cstr(out, instead);
            copied = next;
        }
        at = next;
    }
    if (copied < text.len)
        buf_append(out, text.ptr + copied, text.len - copied);
}

void xml_text(struct buf *out, const char *element, struct str text)
{
    xml_open(out, element);
    xml_escape(out, text);
    xml_close(out, element);
}

void xml_cstr(struct buf *out, const char *element, const char *text)
{
    xml_text(out, element, str_of(text));
}

void xml_name(struct buf *out, const char *element, struct str text, bool url)
{
    if (!url) {
        xml_text(out, element, text);
        return;
    }
    xml_open(out, element);
    percent_encode(out, text, PERCENT_KEEP_SLASH);
    xml_close(out, element);
}

void xml_u64(struct buf *out, const char *element, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    xml_open(out, element);
    buf_append(out, digits + at, sizeof(digits) - at);
    xml_close(out, element);
}

void xml_bool(struct buf *out, const char *element, bool value)
{
    xml_cstr(out, element, value ? "true" : "false");
}

void xml_time(struct buf *out, const char *element, int64_t wall_ms)
{
    char text[CLOCK_TEXT_MAX];

    clock_iso(wall_ms, text);
    xml_cstr(out, element, text);
}

void xml_etag(struct buf *out, const char *element, struct str etag)
{
    xml_open(out, element);
    buf_append_cstr(out, "&quot;");
    xml_escape(out, etag);
    buf_append_cstr(out, "&quot;");
    xml_close(out, element);
}
