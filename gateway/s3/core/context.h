/*
 * The context of a request: the buckets that it acts on, its own and a copy's source, as far as
 * decisions about it, or its handler, rest on them (meta/config/bucket_context.h).
 *
 * It comes from memory where it is there, so that most requests find it on the epoll thread; what
 * is not there is loaded by a worker. Either way it is only what was so a while ago: the statements
 * that do the work carry its generation as a proof (meta/access/access.h), and after a mismatch it
 * is loaded and the request decided again (authorize.h).
 *
 * It is not wanted, and costs nothing, where nothing rests on it: a request without a signature,
 * which is refused anyhow, and one of the operator's, who may do everything, unless the row says
 * that its handler reads the context or the client names an owner that it expects.
 */
#ifndef KISEKI_GATEWAY_S3_CORE_CONTEXT_H
#define KISEKI_GATEWAY_S3_CORE_CONTEXT_H

#include "gateway/s3/core/phases.h"

/* Which buckets there are, and what memory has of them. Never blocks. */
enum s3_next context_find(struct s3_request *r);
/* Those that memory had not: wanted when there are such. Blocks: a round trip each. */
bool context_must_load(const struct s3_request *r);
enum s3_next context_load(struct s3_request *r);

/*
 * What is wanted by now, when the access key or a bucket was changed: loads all of that, or what is
 * not known yet. Blocks.
 */
enum s3_code context_reload(struct s3_request *r, bool known_too);
/* The request is over, wherever it ended. */
void context_end(struct s3_request *r);

#endif
