/*
 * A request's body: framing, checksums and lengths are verified in passing, and its bytes go into
 * memory, into a writer, or nowhere, as the row has it.
 *
 * Threads: s3_body_begin() on any; the sink and s3_body_end() on the connection's epoll thread.
 */
#ifndef KISEKI_GATEWAY_S3_CORE_BODY_H
#define KISEKI_GATEWAY_S3_CORE_BODY_H

#include "gateway/s3/core/request.h"

/* The largest object that one PUT, or one part, may bring (Amazon S3: 5 GiB). */
#define S3_PUT_MAX ((int64_t)5 << 30)

/* How many payload bytes will come (r->intake.expected); refuses what no operation takes. */
enum s3_code s3_body_expect(struct s3_request *r);
/* Prepares payload checks, framing and the sink or writer. Without a body, also its end. */
enum s3_code s3_body_begin(struct s3_request *r);
bool s3_body_expected(const struct s3_request *r);
/* The body has ended: framing, checksums and lengths are verified. */
enum s3_code s3_body_end(struct s3_request *r, enum err result);

/*
 * What was received, and what is kept for the answer, is charged to the budget:
 * fs/memory/reservation.h.
 */
void s3_reserve_begin(struct s3_request *r);
/* The answer is made: the body goes. SlowDown when there is no memory for a reader's answer. */
enum s3_code s3_reserve_answer(struct s3_request *r);
void s3_body_release(struct s3_request *r);
void s3_body_free(struct s3_request *r);

#endif
