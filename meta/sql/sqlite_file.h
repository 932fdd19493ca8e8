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

#endif
