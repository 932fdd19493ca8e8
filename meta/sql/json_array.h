/* JSON arrays for {INTS $n} and {IN_INTS $n} of statements (meta/sql/statements.h). Pure. */
#ifndef KISEKI_META_SQL_JSON_ARRAY_H
#define KISEKI_META_SQL_JSON_ARRAY_H

#include "base/arena.h"

/* "[1,2,3]", as SQL counts (signed); ptr NULL when the arena is full. */
struct str sql_json_array(struct arena *a, const uint64_t *numbers, size_t count);

#endif
