/*
 * Appending, for object/put.c: a PutObject with x-amz-write-offset-bytes. The offset must be the
 * object's size (InvalidWriteOffset otherwise); 0 also makes a key that is not there. Conditions
 * are evaluated with it. Metadata and storage class are those that the object was made with:
 * InvalidRequest when they are given for one that is there.
 */
#ifndef KISEKI_GATEWAY_S3_OBJECT_RANGE_WRITE_H
#define KISEKI_GATEWAY_S3_OBJECT_RANGE_WRITE_H

#include "gateway/s3/core/request.h"

bool range_is_append(const struct s3_request *r);
enum s3_code range_append_before_body(struct s3_request *r);

/*
 * The rest of a handler: `put` lies in the arena. made() answers when the
 * object was made of it, as any PUT is answered.
 */
enum s3_code range_append(struct s3_request *r, struct file_new *put,
                          enum s3_code (*made)(struct s3_request *r, const struct file_new *put));

#endif
