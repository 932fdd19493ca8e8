/*
 * The columns of a key's row, written once: for the tables `keys` and `versions` (meta/core), for
 * the trigger that moves a displaced row from one to the other, for the statements that write a
 * key's row, for dump and load. A new column is a line here and an ALTER TABLE in the newest
 * migration.
 *
 * A column is (letter of its type, name), with its default as a string where it has one. Types: i
 * integer, b bytes, t text, none of them NULL; ni, nb, nt: may be NULL.
 */
#ifndef KISEKI_META_SQL_KEY_COLUMNS_H
#define KISEKI_META_SQL_KEY_COLUMNS_H

#include "meta/sql/for_each.h"

/* What a PUT gives. */
#define KEY_COLUMNS_GIVEN                                                                          \
    (i, bucket), (b, key), (i, seq), (t, version), (i, marker), (ni, inode), (i, size), (t, etag), \
        (i, mtime_ms), (i, owner), (t, class), (i, checksum)
/* What begins anew with each version: a statement that overwrites a key's row resets them. */
#define KEY_COLUMNS_RESET                                                                          \
    (t, ranged, "''"), (i, writes, "0"), (i, rev, "0"), (ni, lock_mode, "NULL"),                   \
        (ni, retain_until_ms, "NULL"), (i, hold, "0"), (nb, acl, "NULL")
#define KEY_COLUMNS KEY_COLUMNS_GIVEN, KEY_COLUMNS_RESET

/* "bucket, key, ...": of a list of columns, of which there is one at least. */
#define COLUMN_NAMES(...)               COLUMN_NAMES_OF(__VA_ARGS__)
#define COLUMN_NAMES_OF(first, ...)     COLUMN_NAME_OF first FOR_EACH(COMMA_NAME, __VA_ARGS__)
#define COMMA_NAME(column)              ", " COLUMN_NAME_OF column
#define COLUMN_NAME_OF(type, name, ...) #name
/* "OLD.bucket, OLD.key, ...". */
#define COLUMN_OLDS(...)               COLUMN_OLDS_OF(__VA_ARGS__)
#define COLUMN_OLDS_OF(first, ...)     COLUMN_OLD_OF first FOR_EACH(COLUMN_COMMA_OLD, __VA_ARGS__)
#define COLUMN_COMMA_OLD(column)       ", " COLUMN_OLD_OF column
#define COLUMN_OLD_OF(type, name, ...) "OLD." #name
/* "bucket BIGINT NOT NULL, ...", as CREATE TABLE has them. */
#define COLUMN_DEFINITIONS(...) COLUMN_DEFINITIONS_OF(__VA_ARGS__)
#define COLUMN_DEFINITIONS_OF(first, ...)                                                          \
    COLUMN_DEFINITION_OF first FOR_EACH(COLUMN_COMMA_DEFINITION, __VA_ARGS__)
#define COLUMN_COMMA_DEFINITION(column) ", " COLUMN_DEFINITION_OF column
#define COLUMN_DEFINITION_OF(type, name, ...)                                                      \
#name " " COLUMN_SQL_##type __VA_OPT__(" DEFAULT " __VA_ARGS__)
#define COLUMN_SQL_i  "BIGINT NOT NULL"
#define COLUMN_SQL_b  "BYTEA NOT NULL"
#define COLUMN_SQL_t  "TEXT NOT NULL"
#define COLUMN_SQL_ni "BIGINT"
#define COLUMN_SQL_nb "BYTEA"
#define COLUMN_SQL_nt "TEXT"
/* ", ranged = '', ...": each at its default, behind other assignments. */
#define COLUMN_RESETS(...)                 FOR_EACH(COLUMN_RESET, __VA_ARGS__)
#define COLUMN_RESET(column)               COLUMN_RESET_OF column
#define COLUMN_RESET_OF(type, name, value) ", " #name " = " value

#endif
