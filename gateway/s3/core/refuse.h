/*
 * What the head of a request decides by itself, before any look at the database.
 */
#ifndef KISEKI_GATEWAY_S3_CORE_REFUSE_H
#define KISEKI_GATEWAY_S3_CORE_REFUSE_H

#include "gateway/s3/core/request.h"

/*
 * Headers that would change the meaning of the request and are not built (NotImplemented), and
 * conditions of a write that no commit could evaluate.
 */
enum s3_code s3_refuse_headers(struct s3_request *r);

#endif
