/* JSON arrays for the {EACH $n} of statements (meta/sql/statements.h). Pure. */
#ifndef KISEKI_META_SQL_EACH_H
#define KISEKI_META_SQL_EACH_H

#include "base/arena.h"

/* "[1,2,3]", as SQL counts (signed); ptr NULL when the arena is full. */
struct str each_of(struct arena *a, const uint64_t *numbers, size_t count);

#endif
