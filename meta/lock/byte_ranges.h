/*
 * Holders of, and waiters for, the bytes of one file. Pure: no I/O, no locks.
 *
 * A list in order of asking. A request is granted when nothing before it conflicts with it:
 * neither a holder nor a waiter. So conflicting requests are served first come, first
 * served, and a stream of shared ones never starves an exclusive one; what does not conflict
 * passes.
 *
 *     asked     [====A====)      shared
 *                   [====B====)  exclusive: waits for A
 *     then    [=C=)              shared: granted, beside A
 *                     [=D=)      shared: waits, B was first
 *
 * Ranges are half open and not empty. A request belongs to its caller, and stays where it is from
 * add to remove. Everything is O(requests) or O(requests^2), for some dozens.
 */
#ifndef KISEKI_META_LOCK_BYTE_RANGES_H
#define KISEKI_META_LOCK_BYTE_RANGES_H

#include <stdbool.h>
#include <stdint.h>

struct byte_range {
    /* immutable from add to remove */
    uint64_t lo, hi; /* [lo, hi) */
    bool exclusive;
    /* of the list */
    bool granted;
    struct byte_range *next, *prev;
};

struct byte_ranges {
    struct byte_range *first, *last;
};

/* Appends it; r->granted tells whether it need not wait. */
void byte_ranges_add(struct byte_ranges *s, struct byte_range *r);
/* Holder or waiter, it is gone. byte_ranges_next() tells whom that sets free. */
void byte_ranges_remove(struct byte_ranges *s, struct byte_range *r);
/* Grants one more request that need not wait any longer; NULL: there is none. */
struct byte_range *byte_ranges_next(struct byte_ranges *s);

#endif
