/*
 * The marker object: proof that a backing store belongs to a volume's database.
 *
 * It is named "volume" and holds {"kiseki": 1, "uuid": ..., "generation": ...}. The gateway that
 * makes a volume writes it into a store that has none; tools never do. Two volumes never share a
 * store, and a store is never used with a database that is not its own (an older dump that was
 * loaded elsewhere has another generation). A store is released by deleting all of it.
 */
#ifndef KISEKI_FS_MARKER_H
#define KISEKI_FS_MARKER_H

#include "fs/store/store.h"
#include "meta/core/meta.h"

#define MARKER_NAME "volume"

/*
 * ERR_DENIED with a line that says what to do when the store is not this volume's. One without a
 * marker becomes this volume's if `claim` and the volume is empty; without `claim` it is
 * ERR_NOT_FOUND. Blocks.
 */
MUST_USE enum err marker_check(struct meta *m, struct store *s, bool claim);

/*
 * For a database that is loaded from a dump of volume `uuid`: *out_generation is above that of the
 * dump and of the marker, whose volume it must be (ERR_DENIED). marker_set() makes it the store's:
 * every other database of that volume is refused from then on. Both block.
 */
MUST_USE enum err marker_next_generation(struct store *s, const char *uuid, int64_t generation,
                                         int64_t *out_generation);
MUST_USE enum err marker_set(struct store *s, const char *uuid, int64_t generation);

#endif
