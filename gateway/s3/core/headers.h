/*
 * The request headers that S3 gives a meaning, as data: what a second header of the same name
 * means, what an empty one means, and which operations obey it. Pure.
 *
 * - Twice: a header whose value is a list is joined with ", " (RFC 9110 5.3). Of a header with one
 *   value a second one is refused: obeying either would ignore the other. User metadata, checksums
 *   and Content-MD5 stay apart: their readers have rules of their own.
 * - Empty: as if it were absent, since client libraries send headers that were not set. An empty
 *   condition is a condition; so is what decides where the bytes go, or how they are checked.
 * - Obeyed: what S3 gives a meaning and an operation does not obey is answered 501, never ignored.
 *   An x-amz-* header that is not in the table may be a newer one of S3's, so it is answered 501,
 *   too. Headers that S3 only answers with, and those that proxies add, mean nothing.
 *
 * Source: the API reference of Amazon S3 and the models of its SDKs; RFC 9110.
 */
#ifndef KISEKI_GATEWAY_S3_CORE_HEADERS_H
#define KISEKI_GATEWAY_S3_CORE_HEADERS_H

#include "gateway/s3/core/request.h"

/*
 * Brings r->headers into the form that handlers read: each header that S3 knows at most once, and
 * empty ones only where they count. InvalidArgument when one with a single value came twice. The
 * new list is in the arena. Costs no more for a large head than reading it.
 */
enum s3_code headers_normalize(struct s3_request *r);

/* 501 with the Header element for what r->op does not obey; call it once r->op is known. */
enum s3_code headers_check_built(struct s3_request *r);

#endif
