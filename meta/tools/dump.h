/*
 * A volume's metadata as JSON lines: written from one database, loaded into another, of either
 * engine. The slices stay where they are.
 *
 *     {"kiseki": "dump", "format": 2, "schema": 3, "uuid": ..., counters and generations}
 *     ["keys", 1, "Zmls", ...]        a row: the table, then its columns; bytes in base64
 *     {"end": number of rows}
 *
 * Sessions, their transactions, jobs and locks are not in it: no session lives after a load, so
 * what sessions had left behind is found by the first gateway. Secrets stay sealed under the
 * master key. Memory does not grow with the volume. The same volume gives the same bytes.
 *
 * Both block, and want to be alone: no session may live (ERR_BUSY), and a dump during which
 * a session came fails (ERR_CONFLICT). `each_row` (or NULL) is called with 1 for each row, for
 * progress.
 */
#ifndef KISEKI_META_TOOLS_DUMP_H
#define KISEKI_META_TOOLS_DUMP_H

#include "meta/core/meta.h"

#include <stdio.h>

struct dump_progress {
    void (*each_row)(void *arg);
    void *arg;
};

/* How many rows there will be, about. */
MUST_USE enum err dump_count(struct meta *m, uint64_t *out);
/* ERR_IO: the file could not be written. */
MUST_USE enum err dump_write(struct meta *m, FILE *out, const struct dump_progress *p);

/* What the file's first line says of the volume. */
struct dump_header {
    char uuid[37];
    int64_t generation;
};

/*
 * Into a database that m has just made or that is empty (ERR_NOT_EMPTY otherwise). `claim` is asked
 * with the header before anything is loaded: it gives the generation that the volume gets, by which
 * the database that the dump is from is known to be replaced. ERR_CORRUPT: not a dump, or cut off.
 * After a failure the database is of no use: make it anew. m is to be closed in any case.
 */
typedef enum err dump_claim(void *arg, const struct dump_header *h, int64_t *out_generation);
MUST_USE enum err dump_load(struct meta *m, FILE *in, dump_claim *claim, void *arg,
                            const struct dump_progress *p);

#endif
