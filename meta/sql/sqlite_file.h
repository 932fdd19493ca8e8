/* The file of an SQLite database before SQLite opens it. Any thread. */
#ifndef KISEKI_META_SQL_SQLITE_FILE_H
#define KISEKI_META_SQL_SQLITE_FILE_H

#include "base/err.h"

/*
 * Makes the folders above `path` (0700) and an empty file (0600; SQLite's log gets the same mode)
 * where there is none; one that is there is not opened. `path` is written to meanwhile and is as
 * before afterwards. ERR_DENIED, ERR_IO; the text says what to do.
 */
MUST_USE enum err sqlite_file_make(char *path);

/*
 * ERR_NOT_FOUND unless `path` is a database with this table: a missing or empty file, or a database
 * of something else, which is read and not written to. ERR_DENIED, ERR_IO as above. What cannot be
 * read as a database is passed: opening it will say why.
 */
MUST_USE enum err sqlite_file_holds(const char *path, const char *table);

#endif
