#include "meta/tools/dump_tables.h"

#include "meta/sql/statements.h"

#define TABLE(name, types, key, page)                                                              \
    {                                                                                              \
#name, SQL_dump_##name, SQL_load_##name, types, key, page                                  \
    }

const struct dump_table dump_tables[] = {
    TABLE(accounts, "itti", "0", 1000),
    TABLE(access_keys, "tibii", "0", 1000),
    TABLE(buckets, "ibitiiii", "0", 1000),
    TABLE(bucket_config, "itb", "01", 32),
    TABLE(keys, "ibitiiitiitiiti", "01", 1000),
    TABLE(versions, "ibitiiitiiti", "012", 1000),
    TABLE(inodes, "iiiiiitbbbbbb", "0", 24),
    TABLE(inode_pieces, "iiiiiiiii", "012", 1000),
    TABLE(pieces, "iiib", "0", 24),
    TABLE(slices, "iii", "0", 1000),
    TABLE(uploads, "itibiitbbiib", "0", 100),
    TABLE(parts, "iiiitib", "01", 1000),
    TABLE(dead, "iiii", "10", 1000),
    TABLE(doomed, "iiii", "01", 1000),
    TABLE(slice_ranges, "iiii", "0", 1000),
    TABLE(range_tokens, "ii", "0", 1000),
    TABLE(inode_writes, "iiibii", "01", 1000),
    TABLE(fragmented, "iibi", "0", 1000),
    TABLE(usage, "iii", "0", 1000),
};
const size_t dump_table_count = sizeof(dump_tables) / sizeof(dump_tables[0]);
