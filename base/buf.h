/*
 * A growing byte string with a maximum.
 *
 * Every growing buffer of the project has a limit, so that no input can make it grow without
 * bound. Failures are sticky: once an append does not fit or memory is out, `failed` is set, later
 * appends do nothing, and the one check at the end (buf_check) sees it. So writers such as the
 * XML one need no check a line. The bytes are always followed by a NUL that `len` does not count.
 *
 * Ownership: the struct belongs to its user; buf_fini frees the bytes; buf_take moves them out.
 * Threads: one user at a time.
 */
#ifndef KISEKI_BASE_BUF_H
#define KISEKI_BASE_BUF_H

#include "base/err.h"
#include "base/str.h"

struct buf {
    char *data; /* NULL until the first append */
    size_t len;
    size_t cap;
    size_t max;      /* immutable after init: the most bytes it may hold */
    enum err failed; /* OK, ERR_TOO_LARGE or ERR_NOMEM */
};

void buf_init(struct buf *b, size_t max_bytes);
void buf_fini(struct buf *b);
/* Forgets the bytes and the failure, keeps the memory. */
void buf_clear(struct buf *b);

void buf_append(struct buf *b, const void *data, size_t len);
void buf_append_str(struct buf *b, struct str s);
void buf_append_cstr(struct buf *b, const char *text);
void buf_append_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Little-endian numbers and length-prefixed (u32) bytes, for packed rows. */
void buf_put_u8(struct buf *b, uint8_t v);
void buf_put_u32(struct buf *b, uint32_t v);
void buf_put_u64(struct buf *b, uint64_t v);
void buf_put_bytes(struct buf *b, struct str s);

/* Makes room for `len` more bytes and returns where they go (NULL on failure); then buf_added. */
char *buf_reserve(struct buf *b, size_t len);
void buf_added(struct buf *b, size_t len);

/* OK, or the first failure with its text set. */
MUST_USE enum err buf_check(const struct buf *b);

/* The bytes, borrowed until the next change. */
struct str buf_str(const struct buf *b);
/* Moves the bytes to the caller, which frees them with free(); the buf is empty afterwards. */
char *buf_take(struct buf *b, size_t *out_len);

/*
 * Reading packed bytes back: a cursor over borrowed memory with the same sticky failure. Reads
 * past the end give 0 or the empty string and set `failed`.
 */
struct unpack {
    const uint8_t *ptr;
    size_t left;
    bool failed;
};
struct unpack unpack_of(struct str s);
uint8_t unpack_u8(struct unpack *u);
uint32_t unpack_u32(struct unpack *u);
uint64_t unpack_u64(struct unpack *u);
struct str unpack_bytes(struct unpack *u); /* as buf_put_bytes wrote it; borrowed */

#endif
