/*
 * The configuration documents of buckets: rows of `bucket_config`, by (bucket, kind). What a
 * document says is opaque here; meta/config/bucket_context.h has them parsed and kept in memory.
 *
 * Each document has a generation, a random number that is drawn at each change and compared for
 * equality only (meta/README.md, "Generations"); a change draws the bucket's own anew, too, so that
 * one number stands for all that the bucket's configuration says. A change takes the bucket's lock
 * alone (meta/sql/sql.h, "Locks"); the writes that were decided by the configuration share it, and
 * require the bucket's generation (meta/access/access.h). So none of them commits behind a change
 * that it does not know, and a change waits for transactions under way only.
 *
 * Threads: any. They block, one round trip each.
 */
#ifndef KISEKI_META_CONFIG_BUCKET_CONFIG_H
#define KISEKI_META_CONFIG_BUCKET_CONFIG_H

#include "meta/core/meta.h"

#define BUCKET_DOCUMENT_MAX ((size_t)1 << 20)

/*
 * Makes the document, or replaces it. ERR_NOT_FOUND: there is no such bucket. ERR_INVALID: it is
 * too large.
 */
MUST_USE enum err bucket_config_put(struct meta *m, struct str bucket, struct str kind,
                                    struct str body);
/* The same for removing it, which is done when there is none. */
MUST_USE enum err bucket_config_remove(struct meta *m, struct str bucket, struct str kind);

#endif
