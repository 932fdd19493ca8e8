#include "base/codec.h"

#include <string.h>

static const char hex_lower[] = "0123456789abcdef";
static const char hex_upper[] = "0123456789ABCDEF";
static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* 0..15, or -1. */
static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

void hex_encode(const void *data, size_t len, char *out)
{
    const unsigned char *in = data;

    for (size_t i = 0; i < len; i++) {
        out[2 * i] = hex_lower[in[i] >> 4];
        out[2 * i + 1] = hex_lower[in[i] & 15];
    }
    out[2 * len] = '\0';
}

enum err hex_decode(struct str text, void *out, size_t len)
{
    unsigned char *to = out;

    if (text.len % 2 != 0 || text.len / 2 != len)
        return err_set(ERR_INVALID, "%zu hex digits where %zu bytes are expected", text.len, len);
    for (size_t i = 0; i < len; i++) {
        int high = hex_value(text.ptr[2 * i]), low = hex_value(text.ptr[2 * i + 1]);
        if (high < 0 || low < 0)
            return err_set(ERR_INVALID, "not a hex digit at position %zu", 2 * i);
        to[i] = (unsigned char)(high << 4 | low);
    }
    return OK;
}

void base64_encode(const void *data, size_t len, char *out)
{
    const unsigned char *in = data;
    size_t i;

    for (i = 0; i + 3 <= len; i += 3) {
        unsigned v = (unsigned)in[i] << 16 | (unsigned)in[i + 1] << 8 | in[i + 2];
        *out++ = base64_digits[v >> 18];
        *out++ = base64_digits[v >> 12 & 63];
        *out++ = base64_digits[v >> 6 & 63];
        *out++ = base64_digits[v & 63];
    }
    if (i < len) {
        bool two = i + 2 == len;
        unsigned v = (unsigned)in[i] << 16 | (two ? (unsigned)in[i + 1] << 8 : 0);
        *out++ = base64_digits[v >> 18];
        *out++ = base64_digits[v >> 12 & 63];
        *out++ = two ? base64_digits[v >> 6 & 63] : '=';
        *out++ = '=';
    }
    *out = '\0';
}

/* 0..63, or -1. */
static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four digits, of which the last `pad` are '=', to 3 - pad bytes. */
static bool base64_quad(const char *digits, size_t pad, unsigned char *to)
{
    unsigned v = 0;

    for (size_t i = 0; i < 4 - pad; i++) {
        int digit = base64_value(digits[i]);
        if (digit < 0)
            return false;
        v |= (unsigned)digit << (18 - 6 * i);
    }
    for (size_t i = 0; i < 3 - pad; i++)
        to[i] = (unsigned char)(v >> (16 - 8 * i));
    /* One value has one spelling: bits that no byte takes must be zero. */
    return (v & (0xFFFFFFU >> (8 * (3 - pad)))) == 0;
}

enum err base64_decode(struct str text, void *out, size_t len)
{
    unsigned char *to = out;

    if (text.len % 4 != 0 || text.len != BASE64_SIZE(len) - 1)
        return err_set(ERR_INVALID, "base64 of %zu characters where %zu bytes are expected",
                       text.len, len);
    size_t pad = text.len / 4 * 3 - len;
    for (size_t i = 1; i <= pad; i++)
        if (text.ptr[text.len - i] != '=')
            return err_set(ERR_INVALID, "base64 of more than the %zu bytes expected", len);
    for (size_t i = 0; i < text.len / 4; i++)
        if (!base64_quad(text.ptr + 4 * i, 4 * i + 4 == text.len ? pad : 0, to + 3 * i))
            return err_set(ERR_INVALID, "broken base64 near position %zu", 4 * i);
    return OK;
}

/* RFC 3986's unreserved characters, one bit each: 0-9 - . A-Z _ a-z ~ */
static const uint64_t unreserved[4] = {UINT64_C(0x03FF600000000000), UINT64_C(0x47FFFFFE87FFFFFE)};

static bool is_unreserved(char c)
{
    unsigned char u = (unsigned char)c;
    return unreserved[u >> 6] >> (u & 63) & 1;
}

void percent_encode(struct buf *out, struct str s, enum percent_keep keep)
{
    size_t at = 0;

    while (at < s.len) {
        size_t run = at; /* what stays as it is goes over in one piece */
        while (run < s.len &&
               (is_unreserved(s.ptr[run]) || (s.ptr[run] == '/' && keep == PERCENT_KEEP_SLASH)))
            run++;
        buf_append(out, s.ptr + at, run - at);
        if (run < s.len) {
            unsigned char c = (unsigned char)s.ptr[run++];
            char escape[3] = {'%', hex_upper[c >> 4], hex_upper[c & 15]};
            buf_append(out, escape, sizeof(escape));
        }
        at = run;
    }
}

enum err percent_decode(struct buf *out, struct str s, enum percent_plus plus)
{
    /* No longer than its source, so one reservation serves for all bytes. */
    char *to = buf_reserve(out, s.len);
    size_t n = 0;

    if (to == NULL)
        return buf_check(out);
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '+' && plus == PERCENT_PLUS_SPACE) {
            c = ' ';
        } else if (c == '%') {
            int high = i + 2 < s.len ? hex_value(s.ptr[i + 1]) : -1;
            int low = i + 2 < s.len ? hex_value(s.ptr[i + 2]) : -1;
            if (high < 0 || low < 0)
                return err_set(ERR_INVALID, "broken percent-encoding at position %zu", i);
            c = (char)(high << 4 | low);
            i += 2;
        }
        to[n++] = c;
    }
    buf_added(out, n);
    return OK;
}
