/* JSON arrays for {INTS $n} and {IN_INTS $n} of statements (meta/sql/statements.h). Pure. */
#ifndef KISEKI_META_SQL_JSON_ARRAY_H
#define KISEKI_META_SQL_JSON_ARRAY_H

#include "base/arena.h"

/* Bytes that so many numbers take at most: 20 characters and a comma each. */
#define SQL_JSON_ARRAY_BYTES(count) ((size_t)(count)*21 + 3)

/* "[1,2,3]", as SQL counts (signed); ptr NULL when the arena is full. */
struct str sql_json_array(struct arena *a, const uint64_t *numbers, size_t count);
/* The same in `text`, which has SQL_JSON_ARRAY_BYTES(count). */
struct str sql_json_array_in(char *text, const uint64_t *numbers, size_t count);

#endif
