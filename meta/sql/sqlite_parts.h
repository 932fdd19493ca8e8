/* Parts of the SQLite driver that stand alone (sqlite_parts.c); for sqlite.c. */
#ifndef KISEKI_META_SQL_SQLITE_PARTS_H
#define KISEKI_META_SQL_SQLITE_PARTS_H

#include "base/err.h"

#include <stdbool.h>

struct sqlite3;

/* What an (extended) result code means; `preparing`: it came before the statement ran. */
enum err sqlite_code_of(int rc, bool preparing);

/* The disk is full, or the quota; or the log's shared memory found no room, asked for ahead. */
bool sqlite_finds_no_room(struct sqlite3 *db, int rc);

/* True for failures of the whole database, for which a unit is not to blame. */
bool sqlite_concerns_all(enum err err);

/* Functions that statements use (meta/sql/dialect.h). */
void sqlite_add_functions(struct sqlite3 *db);

#endif
