/*
 * Tokens in braces of statements and scripts (meta/sql/statements.h lists them), expanded for one
 * engine. Pure. Quoted strings and comments are copied as they are. For SQLite `$1` becomes `?1`,
 * because it numbers `$n` in order of appearance.
 */
#ifndef KISEKI_META_SQL_DIALECT_H
#define KISEKI_META_SQL_DIALECT_H

#include "base/buf.h"

enum sql_dialect { SQL_POSTGRES, SQL_SQLITE };

/* Appends the expansion. ERR_BUG: an unknown token or a brace without its partner. */
MUST_USE enum err sql_expand(enum sql_dialect dialect, struct str text, struct buf *out);

#endif
