/*
 * The catalogue of SQL statements: every statement that the program sends stands in a .def file
 * as one line
 *
 *     STATEMENT(bucket_get, READ, "b", "SELECT id, generation FROM buckets WHERE name = $1")
 *
 * that is: a name, READ or WRITE, the types of the parameters $1, $2 ... one letter each, the
 * text. The name becomes SQL_bucket_get here and appears in errors and metrics.
 *
 * Types: i 64-bit integer, b bytes, t text. NULL is allowed for each. On PostgreSQL they are
 * declared as int8, bytea and text, so `INSERT ... SELECT $1, $2` needs no casts; parameters that
 * the text does not mention are fine. Results may be int2, int4, int8, oid or bool (an integer),
 * bytea (bytes), text, varchar or name (text); anything else must be cast in the text, as the
 * numeric that sum() gives: sum(x){PG: ::bigint}.
 *
 * Both engines run the same text but for tokens in braces (meta/sql/dialect.h):
 *   {KEY_SHARE k}   FOR KEY SHARE OF k                | nothing
 *   {FOR_UPDATE k}  FOR UPDATE OF k ({FOR_UPDATE} too) | nothing
 *   {NOW_MS}        the database's clock in milliseconds since 1970, an integer
 *   {INTS $3}       the integers of a JSON array (a t parameter, `[1,2,3]`: sql_json_array()) as a
 *                   table with the columns value and ordinal (from 1); give it an alias:
 *                   FROM {INTS $3} AS e
 *   {IN_INTS $3}    behind a column: it is one of them, looked up by an index however many rows
 *                   there are (IN (SELECT ...) may go through all of the table instead)
 *   {TEXTS $3}      the same for an array of strings; value is text
 *   {BLOBS $3}      the same for an array of strings of hex digits; value is the bytes
 *   {PG: ...}       only PostgreSQL gets this; {LITE: ...} only SQLite. They may hold tokens.
 * Quoted strings and comments are left alone.
 *
 * To add a family: a new .def file, and an #include of it below and in statements.c.
 */
#ifndef KISEKI_META_SQL_STATEMENTS_H
#define KISEKI_META_SQL_STATEMENTS_H

#include <stddef.h>

enum sql_kind { SQL_READ, SQL_WRITE, SQL_KINDS };

struct sql_text {
    const char *name;
    enum sql_kind kind;
    const char *types;
    const char *text;
};

#define STATEMENT(name, kind, types, text) SQL_##name,
enum sql_statement {
/* The batching's own come first, in this order, in every catalogue. */
#include "meta/sql/txn.def"
/* The program's families. */
#include "meta/sql/bucket.def"
#include "meta/sql/object.def"
#include "meta/sql/upload.def"
#include "meta/sql/write.def"
#include "meta/sql/lock.def"
#include "meta/sql/dump.def"
#include "meta/sql/check.def"
#include "meta/sql/session.def"
#include "meta/sql/account.def"
#include "meta/sql/job.def"
    SQL_STATEMENTS
};
#undef STATEMENT

/* A row of a struct sql_text table, for catalogues (statements.c, tests). */
#define SQL_TEXT_ROW(name, kind, types, text) {#name, SQL_##kind, types, text},

/* The program's statements, indexed by enum sql_statement. */
extern const struct sql_text sql_catalogue[SQL_STATEMENTS];

#endif
