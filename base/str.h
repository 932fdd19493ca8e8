/*
 * Borrowed strings: a pointer and a length, not terminated, never owned.
 *
 * Keys, header values and query arguments may hold NUL bytes or be slices of a larger text,
 * so the project passes struct str and not char * wherever a client's bytes are meant.
 * Pure functions; NULL with length 0 is the empty string.
 */
#ifndef KISEKI_BASE_STR_H
#define KISEKI_BASE_STR_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str {
    const char *ptr;
    size_t len;
};

/* A literal as struct str; STR_FMT/STR_ARG print one: printf(STR_FMT, STR_ARG(s)). */
#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})
#define STR_NONE     ((struct str){NULL, 0})
#define STR_FMT      "%.*s"
#define STR_ARG(s)   (int)(s).len, (s).ptr ? (s).ptr : ""

/* A C string as struct str; NULL gives the empty one. */
struct str str_of(const char *text);

bool str_eq(struct str a, struct str b);
bool str_eq_nocase(struct str a, struct str b); /* ASCII only */
/* Byte order as memcmp, a proper prefix first: <0, 0, >0. */
int str_cmp(struct str a, struct str b);
bool str_starts(struct str s, struct str prefix);
bool str_starts_nocase(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);

/* Without leading and trailing spaces and tabs. */
struct str str_trim(struct str s);
/* Bytes from `from` (clipped), at most `len`. */
struct str str_sub(struct str s, size_t from, size_t len);
/* Position of the first `c`, or s.len. */
size_t str_find(struct str s, char c);

/*
 * Cuts the next field off *rest at `sep`; false when nothing is left. "a,,b" has three fields, ""
 * none, and a separator at the very end begins no further one: "a," has one.
 */
bool str_split(struct str *rest, char sep, struct str *out_field);

/*
 * Whole strings as numbers: decimal digits only, no sign (i64: an optional '-'), no spaces, at
 * least one digit. ERR_INVALID for anything else and on overflow.
 */
MUST_USE enum err str_to_u64(struct str s, uint64_t *out);
MUST_USE enum err str_to_i64(struct str s, int64_t *out);

/* RFC 9110 5.6.2: what a header's name and a method may consist of; false for an empty one. */
bool str_is_token(struct str s);
/* A byte that no header's value may hold: below 0x20 (but for a tab), or 0x7f. */
bool str_has_control(struct str s);

/* True for well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF). */
bool str_is_utf8(struct str s);
/* Bytes (1..4) of the well-formed UTF-8 sequence at position `at`, 0 if there is none. */
size_t str_utf8_at(struct str s, size_t at);

#endif
