/*
 * The pipeline: what happens to every S3 request before and after its operation's handler.
 * op.h lists the steps; pipeline.c is their order, body.c the body's way, reply.c the answers.
 */
#ifndef KISEKI_GATEWAY_S3_CORE_PIPELINE_H
#define KISEKI_GATEWAY_S3_CORE_PIPELINE_H

#include "gateway/s3/core/op.h"

/* The handler for http_server_start(); `s3` outlives the server. */
struct http_handler s3_handler(struct s3 *s3);

/* Rows of the routing table, and their names: for metrics. */
size_t s3_op_count(void);
const char *s3_op_name(size_t row);

/* --- between the files of the pipeline -------------------------------------------------------- */

/* request.c: a view of the HTTP request for the pure parts; bucket, key and scope. */
enum s3_code s3_request_open(struct s3_request *r);
/*
 * After auth_check: arguments, and headers that stand in the query, as they were signed. Routing
 * holds: readings differ in `+` and space only, which no name of a sub-resource has.
 */
enum s3_code s3_request_as_signed(struct s3_request *r);

/* refuse.c: headers that would change the meaning of the request and are not built: 501. */
enum s3_code s3_refuse_headers(struct s3_request *r);

/* The largest object that one PUT, or one part, may bring (Amazon S3: 5 GiB). */
#define S3_PUT_MAX ((int64_t)5 << 30)

/* body.c: prepares payload checks, framing and the sink or writer. */
enum s3_code s3_body_begin(struct s3_request *r);
bool s3_body_expected(const struct s3_request *r);
/* The body has ended: framing, checksums and lengths are verified. */
enum s3_code s3_body_end(struct s3_request *r, enum err result);
/*
 * What was received, and what is kept for the answer, is charged to the budget of memory
 * (fs/memory/reservation.h).
 */
void s3_reserve_begin(struct s3_request *r);
/* The answer is made: the body goes. SlowDown when there is no memory for a reader's answer. */
enum s3_code s3_reserve_answer(struct s3_request *r);
void s3_body_release(struct s3_request *r);
void s3_body_free(struct s3_request *r);

/* reply.c: ids on every answer, the error document. */
void s3_reply_ids(struct s3_request *r);
void s3_reply_error(struct s3_request *r, enum s3_code code);

#endif
