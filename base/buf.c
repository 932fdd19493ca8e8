#include "base/buf.h"

#include <endian.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 512

void buf_init(struct buf *b, size_t max_bytes)
{
    *b = (struct buf){.max = max_bytes};
}

void buf_fini(struct buf *b)
{
    free(b->data);
    b->data = NULL;
    b->len = b->cap = 0;
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->failed = OK;
    if (b->data != NULL)
        b->data[0] = '\0';
}

/* Room for `more` bytes and the NUL after them. */
static bool make_room(struct buf *b, size_t more)
{
    if (b->failed != OK)
        return false;
    if (more > b->max - b->len) {
        b->failed = ERR_TOO_LARGE;
        return false;
    }
    size_t need = b->len + more;
    if (need < b->cap)
        return true;
    size_t cap = b->cap > FIRST_CAPACITY / 2 ? b->cap : FIRST_CAPACITY / 2;
    /* Doubling, so that many small appends cost linear time; never past the maximum. */
    cap = cap > b->max / 2 ? b->max : cap * 2;
    if (cap < need)
        cap = need;
    char *data = cap < SIZE_MAX ? realloc(b->data, cap + 1) : NULL;
    if (data == NULL) {
        err_memory_refused();
        b->failed = ERR_NOMEM;
        return false;
    }
    b->data = data;
    b->cap = cap + 1;
    return true;
}

char *buf_reserve(struct buf *b, size_t len)
{
    return make_room(b, len) ? b->data + b->len : NULL;
}

void buf_added(struct buf *b, size_t len)
{
    if (b->failed != OK || b->data == NULL)
        return;
    b->len += len;
    b->data[b->len] = '\0';
}

void buf_append(struct buf *b, const void *data, size_t len)
{
    char *to = buf_reserve(b, len);

    if (to == NULL)
        return;
    if (len)
        memcpy(to, data, len);
    buf_added(b, len);
}

void buf_append_str(struct buf *b, struct str s)
{
    buf_append(b, s.ptr, s.len);
}

void buf_append_cstr(struct buf *b, const char *text)
{
    buf_append_str(b, str_of(text));
}

void buf_append_char(struct buf *b, char c)
{
    buf_append(b, &c, 1);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list args, again;

    if (b->failed != OK)
        return;
    va_start(args, fmt);
    va_copy(again, args);
    size_t room = b->cap - b->len;
    int n = vsnprintf(b->data != NULL ? b->data + b->len : NULL, room, fmt, args);
    va_end(args);
    if (n < 0) {
        b->failed = ERR_INVALID;
    } else if ((size_t)n < room) {
        b->len += (size_t)n;
    } else {
        /* What the first attempt cut off must not stay behind the end. */
        if (b->data != NULL)
            b->data[b->len] = '\0';
        char *to = buf_reserve(b, (size_t)n);
        if (to != NULL) {
            vsnprintf(to, (size_t)n + 1, fmt, again);
            b->len += (size_t)n;
        }
    }
    va_end(again);
}

void buf_put_u8(struct buf *b, uint8_t v)
{
    buf_append(b, &v, sizeof(v));
}

void buf_put_u32(struct buf *b, uint32_t v)
{
    v = htole32(v);
    buf_append(b, &v, sizeof(v));
}

void buf_put_u64(struct buf *b, uint64_t v)
{
    v = htole64(v);
    buf_append(b, &v, sizeof(v));
}

void buf_put_bytes(struct buf *b, struct str s)
{
    if (s.len > UINT32_MAX) {
        if (b->failed == OK)
            b->failed = ERR_TOO_LARGE;
        return;
    }
    buf_put_u32(b, (uint32_t)s.len);
    buf_append_str(b, s);
}

enum err buf_check(const struct buf *b)
{
    switch (b->failed) {
    case OK:
        return OK;
    case ERR_TOO_LARGE:
        return err_set(ERR_TOO_LARGE, "a text grew over its limit of %zu bytes", b->max);
    case ERR_NOMEM:
        return err_set(ERR_NOMEM, "no memory for a text of more than %zu bytes", b->len);
    default:
        return err_set(b->failed, "a text could not be formatted");
    }
}

struct str buf_str(const struct buf *b)
{
    return (struct str){b->data != NULL ? b->data : "", b->len};
}

char *buf_take(struct buf *b, size_t *out_len)
{
    char *data = NULL;

    *out_len = 0;
    if (buf_reserve(b, 0) != NULL) { /* even no bytes are followed by a NUL */
        buf_added(b, 0);
        data = b->data;
        *out_len = b->len;
        b->data = NULL;
    }
    buf_fini(b);
    b->failed = OK;
    return data;
}

struct unpack unpack_of(struct str s)
{
    return (struct unpack){.ptr = (const uint8_t *)s.ptr, .left = s.len};
}

/* The next `len` bytes, or NULL: then nothing can be read any more. */
static const uint8_t *unpack_next(struct unpack *u, size_t len)
{
    if (u->failed || u->left < len) {
        u->failed = true;
        u->left = 0;
        return NULL;
    }
    const uint8_t *at = u->ptr;
    if (len)
        u->ptr += len;
    u->left -= len;
    return at;
}

uint8_t unpack_u8(struct unpack *u)
{
    const uint8_t *at = unpack_next(u, 1);
    return at != NULL ? *at : 0;
}

uint32_t unpack_u32(struct unpack *u)
{
    uint32_t v = 0;
    const uint8_t *at = unpack_next(u, sizeof(v));
    if (at != NULL)
        memcpy(&v, at, sizeof(v));
    return le32toh(v);
}

uint64_t unpack_u64(struct unpack *u)
{
    uint64_t v = 0;
    const uint8_t *at = unpack_next(u, sizeof(v));
    if (at != NULL)
        memcpy(&v, at, sizeof(v));
    return le64toh(v);
}

struct str unpack_bytes(struct unpack *u)
{
    uint32_t len = unpack_u32(u);
    const uint8_t *at = unpack_next(u, len);
    return at != NULL ? (struct str){(const char *)at, len} : STR_NONE;
}
