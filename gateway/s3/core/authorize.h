/*
 * The decision who may do what (gateway/access/authorize.h), for a request.
 *
 *     decide ----- allowed ----> the work -- its statements prove it --> answer
 *       |  ^                        |
 *     denied  \                  stale: a key or a bucket is not what the decision was made by
 *       |      \                    |
 *     prove -- stale --> load it anew, check the signature again
 *       |
 *     refuse
 *
 * It is made by what is in memory: the access key and the buckets' contexts (context.h). So it
 * costs no round trip, and the statements that do the request's work carry what it rests on as a
 * proof (meta/access/access.h): it holds at the moment of the commit. A refusal is proven likewise,
 * by a statement that does nothing else. What turns out to be stale is loaded and decided again,
 * AUTHORIZE_TRIES times at most, since somebody may change a bucket faster than it can be decided
 * about: then SlowDown.
 */
#ifndef KISEKI_GATEWAY_S3_CORE_AUTHORIZE_H
#define KISEKI_GATEWAY_S3_CORE_AUTHORIZE_H

#include "gateway/s3/core/phases.h"

#define AUTHORIZE_TRIES 10

/* The authorize phase. Never blocks. A denial that rests on memory waits for its proof. */
enum s3_next authorize_decide(struct s3_request *r);
/* The phase behind it, wanted for denials: proves it, or decides anew. Blocks. */
bool authorize_must_prove(const struct s3_request *r);
enum s3_next authorize_prove(struct s3_request *r);

/* From here to authorize_end() this thread's statements prove what the decision rests on. */
void authorize_begin(struct s3_request *r);
/*
 * `code` as the operation gave it. If no statement has proven anything, it asks. When the proof
 * failed, loads what is stale and decides again: the code of a refusal; or S3_OK and *out_again:
 * nothing of the operation was done that cannot be done once more, by its handler from the
 * beginning. SlowDown after too many tries. Blocks. Each step of a handler that goes on later
 * (r->resume) is between the two by itself.
 */
enum s3_code authorize_end(struct s3_request *r, enum s3_code code, bool *out_again);

#endif
