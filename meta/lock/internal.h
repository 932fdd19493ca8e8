/* The inside of meta/lock/: rows of locks in the database (rows.c). Each call is a round trip. */
#ifndef KISEKI_META_LOCK_INTERNAL_H
#define KISEKI_META_LOCK_INTERNAL_H

#include "meta/lock/lock.h"

/* Makes l's row. *out_granted with l->token, or it waits. */
MUST_USE enum err lock_row_ask(struct meta *m, struct range_lock *l, bool *out_granted);
/* Grants the row if nothing is in its way any more. ERR_FENCED: it is gone, with its session. */
MUST_USE enum err lock_row_try(struct meta *m, struct range_lock *l, bool *out_granted);
MUST_USE enum err lock_row_drop(struct meta *m, uint64_t inode, uint64_t id);

#endif
