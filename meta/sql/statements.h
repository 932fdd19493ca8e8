/*
 * The catalogue of SQL statements: every statement that the program sends stands in a .def file
 * as one line
 *
 *     STATEMENT(bucket_get, READ, (bucket), "SELECT id FROM buckets WHERE name = :bucket")
 *
 * that is: a name, READ or WRITE, the parameters, the text. The name becomes SQL_bucket_get here,
 * sql_add_bucket_get() in meta/sql/calls.h, and appears in errors and metrics.
 *
 * Parameters have names, each with one type in meta/sql/parameters.def: int (64 bits), bytes, text.
 * NULL is allowed for each. The engines see $1 or ?1, which are made of the names when the database
 * is opened. On PostgreSQL they are declared as int8, bytea and text, so that one in the list of a
 * SELECT needs no cast; a parameter that the text does not mention is fine. Results may be int2,
 * int4, int8, oid or bool (an integer), bytea (bytes), text, varchar or name (text); anything else
 * must be cast in the text, as the numeric that sum() gives: sum(x){PG: ::bigint}.
 *
 * Both engines run the same text but for tokens in braces (meta/sql/dialect.h):
 *   {KEY_SHARE k}   FOR KEY SHARE OF k                | nothing
 *   {FOR_UPDATE k}  FOR UPDATE OF k ({FOR_UPDATE} too) | nothing
 *   {NOW_MS}        the database's clock in milliseconds since 1970, an integer
 *   {KEY_COLUMNS}   the columns of a key's row, which are written once (meta/sql/key_columns.h):
 *                   "bucket, key ...". {OLD_KEY_COLUMNS}: "OLD.bucket, OLD.key ...", for triggers;
 *                   {DEFINE_KEY_COLUMNS}: "bucket BIGINT NOT NULL, ...", for CREATE TABLE
 *   {INTS :ids}     the integers of a JSON array (a text, `[1,2,3]`: sql_json_array()) as a
 *                   table with the columns value and ordinal (from 1); give it an alias:
 *                   FROM {INTS :ids} AS e
 *   {IN_INTS :ids}  behind a column: it is one of them, looked up by an index however many rows
 *                   there are (IN (SELECT ...) may go through all of the table instead)
 *   {TEXTS :x}      the same for an array of strings; value is text
 *   {BLOBS :x}      the same for an array of strings of hex digits; value is the bytes
 *   {PG: ...}       only PostgreSQL gets this; {LITE: ...} only SQLite. They may hold tokens.
 * Quoted strings and comments are left alone.
 *
 * To add a family: a new .def file, and an #include of it in meta/sql/families.def.
 */
#ifndef KISEKI_META_SQL_STATEMENTS_H
#define KISEKI_META_SQL_STATEMENTS_H

#include "meta/sql/key_columns.h"

#include <stddef.h>

enum sql_kind { SQL_READ, SQL_WRITE, SQL_KINDS };

struct sql_text {
    const char *name;
    enum sql_kind kind;
    const char *types;        /* of the parameters, a letter each: i, b, t */
    const char *const *names; /* of the parameters, then NULL; NULL: the text says $1, $2 ... */
    const char *text;
};

/*
 * A statement of columns: its parameters are given as pairs (letter of the type, name). It has no
 * function in meta/sql/calls.h. For tables out and in (meta/sql/dump.def).
 */
#define STATEMENT(name, kind, parameters, text)         SQL_##name,
#define STATEMENT_OF_COLUMNS(name, kind, columns, text) SQL_##name,
enum sql_statement {
#include "meta/sql/families.def"
    SQL_STATEMENTS
};
#undef STATEMENT
#undef STATEMENT_OF_COLUMNS

/* The program's statements, indexed by enum sql_statement. */
extern const struct sql_text sql_catalogue[SQL_STATEMENTS];

#endif
