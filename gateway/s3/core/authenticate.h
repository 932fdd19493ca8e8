/*
 * Who asks: the phases that check a request's signature.
 *
 * The access key is kept in memory (meta/access/account.h), so that most requests are checked on
 * the epoll thread. A refusal is proven like a grant: what the key in memory refuses is asked again
 * by the key as the database has it. A request without a signature is anonymous: a principal like
 * others, which the authorize phase decides about.
 */
#ifndef KISEKI_GATEWAY_S3_CORE_AUTHENTICATE_H
#define KISEKI_GATEWAY_S3_CORE_AUTHENTICATE_H

#include "gateway/s3/core/phases.h"

/* By the key in memory. Never blocks. SlowDown when too many ask the database already. */
enum s3_next authenticate(struct s3_request *r);
/* By the database's key: wanted when the one in memory refused. Blocks. */
bool authenticate_must_ask(const struct s3_request *r);
enum s3_next authenticate_ask(struct s3_request *r);
/* The request is over, wherever it ended. */
void authenticate_end(struct s3_request *r);

/*
 * Checks the signature by r->identity.key. Then r->identity.who is the key's account, and arguments
 * and headers are as they were signed.
 */
enum s3_code authenticate_signature(struct s3_request *r);

#endif
