/*
 * Small lists of names and values (a file's headers, tags), packed into one column. Pure.
 * Order is kept; names may repeat. Packed: u32 count, then u32-prefixed name and value each.
 */
#ifndef KISEKI_META_NAMES_PAIRS_H
#define KISEKI_META_NAMES_PAIRS_H

#include "base/arena.h"
#include "base/buf.h"

struct pair {
    struct str name;
    struct str value;
};

struct pairs {
    const struct pair *items;
    size_t count;
};

void pairs_pack(struct buf *out, struct pairs p);
/* Names and values are borrowed from `packed`. An empty string gives an empty list. */
MUST_USE enum err pairs_unpack(struct arena *a, struct str packed, struct pairs *out);
/* First value of that name (ASCII case ignored), or an empty string with ptr NULL. */
struct str pairs_get(struct pairs p, struct str name);

#endif
