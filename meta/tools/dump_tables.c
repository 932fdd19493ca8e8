#include "meta/tools/dump_tables.h"

#define DUMP(table, page, key, columns)                                                            \
    {#table, &sql_catalogue[SQL_dump_##table], &sql_catalogue[SQL_load_##table], page},
const struct dump_table dump_tables[] = {
#include "meta/sql/dump_columns.def"
    DUMP(usage, 1000, , )};
const size_t dump_table_count = sizeof(dump_tables) / sizeof(dump_tables[0]);
