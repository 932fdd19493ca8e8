/*
 * Statements and scripts as one engine wants them. Pure. Quoted strings and comments are copied as
 * they are.
 *   tokens in braces   are expanded (meta/sql/statements.h lists them)
 *   :name              becomes $1 or ?1, by its place in the list of parameters
 *   $1                 in a text without names: as it is, or ?1 for SQLite, which numbers `$n` in
 *                      order of appearance
 */
#ifndef KISEKI_META_SQL_DIALECT_H
#define KISEKI_META_SQL_DIALECT_H

#include "base/buf.h"

enum sql_dialect { SQL_POSTGRES, SQL_SQLITE };

/*
 * Appends the expansion. `names` are those of the parameters, the last one NULL; NULL for a text
 * without. ERR_BUG: an unknown token or name, a number among names, a brace without its partner.
 */
MUST_USE enum err sql_expand(enum sql_dialect dialect, struct str text, const char *const *names,
                             struct buf *out);

#endif
