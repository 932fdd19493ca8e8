/*
 * A store that goes wrong on request: it wraps another one, for tests of everything above.
 *
 *     store_dir_open(...) -> inner;  store_fault_new(inner, seed, &s);  store_fault_add(s, &rule)
 *
 * Rules are tried in the order of adding and the first that fires decides the call; a call that no
 * rule fires for passes through. Calls are counted by operation and name before rules are tried.
 * Ownership: the wrapper owns the inner store from a successful store_fault_new on.
 * Threads: as any store; rules may be added and cleared while calls run.
 */
#ifndef KISEKI_FS_STORE_FAULT_H
#define KISEKI_FS_STORE_FAULT_H

#include "fs/store/store.h"

enum fault_kind {
    FAULT_FAIL,    /* does nothing, returns rule.code */
    FAULT_LOST,    /* does it, but returns rule.code: the answer was lost */
    FAULT_SLOW,    /* sleeps rule.delay_ms, then does it */
    FAULT_CORRUPT, /* a bit of what is put or got is flipped, and the call says OK */
    FAULT_CUT,     /* put: half of the object is stored, says OK; get: ERR_CORRUPT; else as FAIL */
    FAULT_HOLD     /* waits until store_fault_release, then does it */
};

struct fault_rule {
    enum fault_kind kind;
    unsigned int ops;       /* bits 1 << enum store_op; 0 for all */
    const char *prefix;     /* names that start so; NULL for all; copied */
    uint64_t nth;           /* fires on the nth matching call (from 1); 0: see per_mille */
    uint64_t count;         /* on so many calls from there on; 0 is one */
    unsigned int per_mille; /* with nth 0: how many of 1,000 calls, by the seed; 0 is all */
    enum err code;          /* for FAIL and LOST; OK (0) means ERR_IO */
    unsigned int delay_ms;  /* for SLOW */
};

MUST_USE enum err store_fault_new(struct store *inner, uint64_t seed, struct store **out);
/* ERR_NOMEM beyond 16 rules. */
MUST_USE enum err store_fault_add(struct store *s, const struct fault_rule *rule);
/* Forgets the rules and lets held calls go on. */
void store_fault_clear(struct store *s);

/* Calls waiting in FAULT_HOLD now; and all of them let go (later ones are held again). */
size_t store_fault_held(struct store *s);
void store_fault_release(struct store *s);

/* Calls of `op` so far; `name` NULL counts all names. */
uint64_t store_fault_calls(struct store *s, enum store_op op, const char *name);

#endif
