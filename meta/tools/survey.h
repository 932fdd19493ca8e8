/*
 * What a volume holds and what waits in it, for metrics: sums of the usage rows a bucket (never a
 * count of keys), and backlogs counted up to a bound, so that it costs the same with a million
 * waiting. One round trip through the handle of the work. Blocks; errors as in meta/core/meta.h.
 */
#ifndef KISEKI_META_TOOLS_SURVEY_H
#define KISEKI_META_TOOLS_SURVEY_H

#include "meta/core/meta.h"

#define SURVEY_BUCKETS  100    /* of the largest */
#define SURVEY_COUNT_TO 100000 /* backlogs are counted so far */

struct meta_bucket_use {
    struct str name;
    int64_t objects, bytes;
};

struct meta_survey {
    int64_t buckets, objects, bytes;       /* of the whole volume */
    const struct meta_bucket_use *largest; /* by bytes; in the arena */
    size_t largest_count;
    int64_t uploads, dead, doomed, unfolded; /* at most SURVEY_COUNT_TO each */
    int64_t sessions;
};

MUST_USE enum err meta_survey(struct meta *m, struct arena *a, struct meta_survey *out);

/* Until this process must stop writing if no heartbeat succeeds; 0 without a session. No wait. */
int64_t meta_lease_left_ms(struct meta *m);

#endif
