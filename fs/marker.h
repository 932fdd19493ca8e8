/*
 * The marker object: proof that a backing store belongs to a volume's database.
 *
 * It is named "volume" and holds {"kiseki": 1, "uuid": ..., "generation": ...}. A new volume writes
 * it into a store that has none. Two volumes never share a store, and a store is never used with
 * a database that is not its own (an older dump that was loaded elsewhere has another generation).
 */
#ifndef KISEKI_FS_MARKER_H
#define KISEKI_FS_MARKER_H

#include "fs/store/store.h"
#include "meta/meta.h"

#define MARKER_NAME "volume"

/* Blocks. ERR_DENIED with a line that says what to do when the store is not this volume's. */
MUST_USE enum err marker_check(struct meta *m, struct store *s);

#endif
