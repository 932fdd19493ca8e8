/*
 * How statements are called: a function for each (meta/sql/statements.h), which adds it to a unit
 * with its parameters by name:
 *
 *     sql_add_object_head(&u, p_bucket(bucket), p_key(key));
 *
 * Each parameter has a type of its own: a wrong name, order or count does not compile. It costs
 * nothing when the program runs: the values are copied to where the driver takes them from.
 * Bytes and text are borrowed. NULL is p_etag_or_null(STR_NONE) or p_size_null().
 *
 * The functions return NULL only when the arena is full, as sql_add() does; results are read as
 * those of nothing then. For files of meta/ only.
 */
#ifndef KISEKI_META_SQL_CALLS_H
#define KISEKI_META_SQL_CALLS_H

#include "meta/sql/sql.h"

static inline struct sql_value sql_value_int(int64_t v)
{
    return (struct sql_value){.type = SQL_INT, .num = v};
}

/* An empty string is empty, not NULL, whatever its ptr. */
static inline struct sql_value sql_value_str(enum sql_type type, struct str v)
{
    return (struct sql_value){.type = type, .str = {v.ptr != NULL ? v.ptr : "", v.len}};
}

static inline struct sql_value sql_value_null(void)
{
    return (struct sql_value){.type = SQL_NULL, .str = {"", 0}};
}

/* Those of bytes and text have a second form: a ptr of NULL is NULL. */
#define SQL_PARAMETER_int(name)                                                                    \
    static inline struct p_##name p_##name(int64_t v)                                              \
    {                                                                                              \
        return (struct p_##name){sql_value_int(v)};                                                \
    }                                                                                              \
    static inline struct p_##name p_##name##_null(void)                                            \
    {                                                                                              \
        return (struct p_##name){sql_value_null()};                                                \
    }
#define SQL_PARAMETER_bytes(name) SQL_PARAMETER_STR(name, SQL_BYTES)
#define SQL_PARAMETER_text(name)  SQL_PARAMETER_STR(name, SQL_TEXT)
#define SQL_PARAMETER_STR(name, type)                                                              \
    static inline struct p_##name p_##name(struct str v)                                           \
    {                                                                                              \
        return (struct p_##name){sql_value_str(type, v)};                                          \
    }                                                                                              \
    static inline struct p_##name p_##name##_or_null(struct str v)                                 \
    {                                                                                              \
        return (struct p_##name){v.ptr != NULL ? sql_value_str(type, v) : sql_value_null()};       \
    }
#define PARAMETER(name, type)                                                                      \
    struct p_##name {                                                                              \
        struct sql_value value;                                                                    \
    };                                                                                             \
    SQL_PARAMETER_##type(name)
#include "meta/sql/parameters.def"
#undef PARAMETER

/* The last value only fills the list of a statement without parameters. */
#define SQL_ARGUMENT(name) , struct p_##name v_##name
#define SQL_VALUE(name)    v_##name.value,
#define STATEMENT(name, kind, parameters, text)                                                    \
    static inline struct sql_call *sql_add_##name(                                                 \
        struct sql_unit *u FOR_EACH_IN(SQL_ARGUMENT, parameters))                                  \
    {                                                                                              \
        const struct sql_value values[] = {FOR_EACH_IN(SQL_VALUE, parameters){.type = SQL_NULL}};  \
        _Static_assert(sizeof(values) / sizeof(values[0]) <= SQL_PARAMS_MAX + 1, "parameters");    \
        return sql_add_values(u, SQL_##name, values, sizeof(values) / sizeof(values[0]) - 1);      \
    }
#define STATEMENT_OF_COLUMNS(name, kind, columns, text)
#include "meta/sql/families.def"
#undef STATEMENT
#undef STATEMENT_OF_COLUMNS

#endif
