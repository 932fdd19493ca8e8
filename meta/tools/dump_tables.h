/* The tables of a dump, as meta/sql/dump.def has them. Nothing above meta/ includes this. */
#ifndef KISEKI_META_TOOLS_DUMP_TABLES_H
#define KISEKI_META_TOOLS_DUMP_TABLES_H

#include <stddef.h>

#define DUMP_FORMAT 1

struct dump_table {
    const char *name;
    int dump, load;    /* statements */
    const char *types; /* of the columns: i, b or t */
    const char *key;   /* the columns of its key, by digit */
    size_t page;       /* rows a statement: few where rows are large */
};

extern const struct dump_table dump_tables[];
extern const size_t dump_table_count;

#endif
