/*
 * A request's memory: everything is allocated from the arena and freed with it at once.
 *
 * Blocks of 4 KiB (larger when asked) in a list. Allocation gives zeroed, 16-byte aligned memory
 * or NULL when memory is out or the arena's limit is reached; arena_* helpers pass NULL on, and
 * take NULL for an arena, which gives nothing. An arena remembers that it refused something once:
 * sql_read() and sql_write() do not send what was made in such an arena, and the pipeline does not
 * answer with it, so that a text that could not be copied is never stored or shown as empty.
 * Threads: one user at a time (a request is worked on by one thread at a time).
 */
#ifndef KISEKI_BASE_ARENA_H
#define KISEKI_BASE_ARENA_H

#include "base/err.h"
#include "base/str.h"

struct arena;

/* An arena that gives out at most `max_bytes`; NULL when memory is out. */
struct arena *arena_new(size_t max_bytes);
void arena_free(struct arena *a); /* NULL is fine */

/* What it refused last: ERR_TOO_LARGE over its limit, ERR_NOMEM out of memory or NULL; else OK. */
MUST_USE enum err arena_check(const struct arena *a);

void *arena_alloc(struct arena *a, size_t size);
/* Bytes given out so far. */
size_t arena_used(const struct arena *a);
/* Zeroed room for `count` items of `size`; NULL on overflow. */
void *arena_array(struct arena *a, size_t count, size_t size);
/* Copies, followed by a NUL byte that is not counted. A failed copy has ptr NULL. */
struct str arena_str(struct arena *a, struct str s);
char *arena_cstr(struct arena *a, struct str s);
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
