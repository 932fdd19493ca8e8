/*
 * If-Match and If-None-Match of a request that writes: as the commit needs them, and evaluated
 * early. The commit decides (struct object_cond, meta/names/object.h); both take their meaning from
 * gateway/s3/proto/conditions.h.
 */
#ifndef KISEKI_GATEWAY_S3_CORE_WRITE_CONDITIONS_H
#define KISEKI_GATEWAY_S3_CORE_WRITE_CONDITIONS_H

#include "gateway/s3/core/request.h"

/*
 * If-Match and If-None-Match of a write (ptr NULL: absent), for meta/'s transaction. One that names
 * no ETag matches no object; a list has been refused before (refuse.c).
 */
struct object_cond write_conditions(struct str match, struct str none_match);
/* Those of the request. Outside of HTTP_LANE_LONG the commit does not wait for range locks. */
struct object_cond write_conditions_of(const struct s3_request *r);
/*
 * Evaluates the conditions of a write on the key as it is now: only to refuse early, the commit
 * decides. Blocks. S3_OK when the key is missing and no condition wants it; NoSuchBucket.
 */
enum s3_code write_conditions_check_early(struct s3_request *r);

#endif
