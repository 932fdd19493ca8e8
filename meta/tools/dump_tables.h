/* The tables of a dump (meta/sql/dump_columns.def). Nothing above meta/ includes this. */
#ifndef KISEKI_META_TOOLS_DUMP_TABLES_H
#define KISEKI_META_TOOLS_DUMP_TABLES_H

#include "meta/sql/statements.h"

#define DUMP_FORMAT 2

struct dump_table {
    const char *name;
    const struct sql_text *dump; /* its parameters: the columns of the key, and how many rows */
    const struct sql_text *load; /* its parameters: the columns */
    size_t page;                 /* rows a statement: few where rows are large */
};

extern const struct dump_table dump_tables[];
extern const size_t dump_table_count;

#endif
