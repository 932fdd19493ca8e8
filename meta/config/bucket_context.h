/*
 * What decisions about a bucket rest on, kept in memory with the proof of it: its row, and its
 * configuration documents, parsed. A *context* is one state of all that; it never changes.
 *
 *     context = bucket_context_find(cache, name);            from memory; never blocks
 *     if (context == NULL)
 *         err = bucket_context_load(cache, name, &context);  one statement; ERR_NOT_FOUND
 *     ... decide by it; the statements that do the work prove its id and generation ...
 *     bucket_context_unref(context);
 *
 * The states of a bucket in memory:
 *
 *     unknown --load--> known --a proof failed: load--> known, its next state
 *        ^                |
 *        +--- evicted, or gone: load answered ERR_NOT_FOUND
 *
 * What is kept is no proof, neither for a grant nor for a refusal: the statements that do a
 * request's work return whether (id, generation) are still those (a read) or require it (a write);
 * a refusal asks for nothing else (meta/access/access.h). After a mismatch the bucket is loaded
 * and the request decided again. Ids are never used again and generations are random, so no other
 * bucket, and no later state, passes for this one; hence it does not matter either in which order
 * two loads end. A bucket that does not exist is not remembered: who asks for it asks the database,
 * and a million names that are nobody's leave nothing behind.
 *
 * Documents have generations of their own. A load asks for the bodies only of those that are not
 * parsed already, so a change of one document costs neither the parsing nor the transfer of the
 * others, which both states share.
 *
 * Memory: BUCKET_CONTEXTS_MAX buckets, whose documents have BUCKET_CONTEXTS_BYTES together. What
 * has more than an eighth of that is used by the request that loaded it, and not kept.
 * Threads: any, for everything. The lock of the cache is held for a look-up or an exchange of
 * pointers, never while SQL runs or something is parsed. A context is counted; whoever got one
 * unrefs it, and reads it without a lock.
 */
#ifndef KISEKI_META_CONFIG_BUCKET_CONTEXT_H
#define KISEKI_META_CONFIG_BUCKET_CONTEXT_H

#include "meta/core/meta.h"

#include <stdatomic.h>

#define BUCKET_CONTEXTS_MAX   4096
#define BUCKET_CONTEXTS_BYTES ((size_t)16 << 20)
#define BUCKET_KINDS_MAX      16

/* A kind of document: a row of a table that whoever makes the cache has. */
struct bucket_kind {
    const char *name; /* bucket_config.kind: letters */
    /*
     * Makes *out of a body, and says how many bytes it takes. Pure, on any thread that loads.
     * ERR_CORRUPT: it is none; ERR_NOMEM.
     */
    enum err (*parse)(struct str body, void **out, size_t *out_bytes);
    void (*free)(void *parsed);
};

struct bucket_document; /* shared by the states that have it */

/* Immutable. */
struct bucket_context {
    uint64_t id;
    uint64_t generation; /* of all of it */
    uint64_t owner;
    int versioning; /* as in struct bucket */
    bool object_lock;
    int64_t created_ms;
    struct str name, region;
    struct str owner_canonical_id; /* of accounts; it never changes */

    /* the cache's own */
    _Atomic unsigned refs;
    size_t bytes;                                        /* of the documents */
    struct bucket_document *documents[BUCKET_KINDS_MAX]; /* by kind; NULL: it has none */
};

struct bucket_contexts;

/* `kinds` outlive the cache; at most BUCKET_KINDS_MAX. ERR_NOMEM. */
MUST_USE enum err bucket_contexts_new(struct meta *m, const struct bucket_kind *kinds, size_t count,
                                      struct bucket_contexts **out);
/* Contexts that are still referenced live on. NULL is fine. */
void bucket_contexts_free(struct bucket_contexts *c);

/* What is in memory, referenced; NULL: it is not there. Never blocks. */
struct bucket_context *bucket_context_find(struct bucket_contexts *c, struct str bucket);
/*
 * What the database has, referenced, and into memory. One round trip. ERR_NOT_FOUND: there is no
 * such bucket; ERR_CORRUPT: a document that cannot be parsed: nothing can be decided.
 */
MUST_USE enum err bucket_context_load(struct bucket_contexts *c, struct str bucket,
                                      struct bucket_context **out);
/* NULL is fine. */
void bucket_context_unref(struct bucket_context *context);

/* The parsed document of kinds[kind]; NULL: the bucket has none. Lives as long as the context. */
const void *bucket_context_document(const struct bucket_context *context, size_t kind);

/* How many buckets are in memory, and the bytes of their documents; for tests. */
size_t bucket_contexts_count(struct bucket_contexts *c, size_t *out_bytes);

#endif
