/*
 * The line that every request leaves in the log at level info:
 *
 *     request remote= key= op= method= target= status= in= out= us= whole= code= ttfb_us= host=
 *     agent= query=
 *
 * us: from the request line to the end of the answer; ttfb_us: to when its head was ready, -1 if
 * never; code: S3's error code, or "-"; whole: the answer was sent to its end. Everything that a
 * client chose is escaped and cut by base/log.h. What opens something stands in no line:
 * signatures, session tokens and customer keys are replaced in the query. Pure but for the log.
 */
#ifndef KISEKI_GATEWAY_S3_CORE_ACCESS_LINE_H
#define KISEKI_GATEWAY_S3_CORE_ACCESS_LINE_H

#include "gateway/s3/core/request.h"

/* `r` is NULL when there was no memory for it. */
void access_line_write(const struct http_request *http, const struct s3_request *r);

/* S3's error code of the answer; S3_OK when it is none. */
enum s3_code access_line_code(const struct http_request *http, const struct s3_request *r);

/* The query with "REDACTED" for each secret value; cut to `size`. Returns its length. */
size_t access_line_query(struct str raw, char *out, size_t size);

#endif
