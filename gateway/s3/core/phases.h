/*
 * The phases of a request, in their order:
 *
 *     parse -> route -> authenticate -> [ask for the key] -> context -> [load the context]
 *           -> authorize -> [prove the denial] -> refuse -> [early check] -> body -> [verify]
 *           -> [handle] -> answer                                          and, once sent: log
 *
 * parse          bucket, key, arguments, headers normalized (headers.h)
 * route          the row (op.h)
 * authenticate   the signature, by the key as it is kept in memory
 * ask for key    when that refuses: by the key as the database has it
 * context        the buckets that the request acts on, by what is kept in memory of them
 * load           when that is wanted and not there: from the database
 * authorize      may who asks do what the row says to what it acts on?
 * prove          when not: whether that is so in the database, too; else it is decided again
 * refuse         what is not built, keys that are none, conditions that nothing could evaluate
 * early check    before a body that might be sent in vain: before_body, a bucket that is not there
 * body           the sink, or a writer, for what comes
 * verify         framing, checksums and lengths; what is not stored yet goes to the store
 * handle         the row's handler, in one go or several
 * answer         what every answer has
 *
 * Phases in brackets are passed over when they are not wanted. The first phase that refuses ends
 * the order: its code is answered with the error document. A preflight (before route), a website
 * (instead of it) and CORS headers (at answer) are to be phases, too.
 *
 * Threads: a phase that may block is entered from the queue of a lane's workers; any other goes on
 * where the phase before it ran, on the connection's epoll thread or a worker, and must not block.
 */
#ifndef KISEKI_GATEWAY_S3_CORE_PHASES_H
#define KISEKI_GATEWAY_S3_CORE_PHASES_H

#include "gateway/s3/core/request.h"

/* What comes after a phase. */
enum s3_next {
    S3_NEXT,             /* the next phase that is wanted */
    S3_NEXT_ONCE_STORED, /* the same, which blocks, after http_request_resume_work() */
    S3_TAKE_BODY,        /* the same, once the body has come */
    S3_AGAIN,            /* this phase again, by a worker of r->http->lane */
    S3_WAIT,             /* the same after http_request_resume_work() */
    S3_ANSWERED,         /* r->http->reply is filled in */
    S3_REFUSED           /* r->refusal is the code, r->error has its details */
};

struct s3_phase {
    const char *name;
    bool blocks;       /* a worker runs it: */
    bool in_rows_lane; /* of the lane that the row names; else of HTTP_LANE_WORK */
    bool (*is_wanted)(const struct s3_request *r); /* NULL: always */
    enum s3_next (*run)(struct s3_request *r);
};

/* Ends with a phase whose name is NULL. */
extern const struct s3_phase s3_phases[];

/* S3_NEXT, or S3_REFUSED with that code. */
enum s3_next s3_phase_end(struct s3_request *r, enum s3_code code);

#endif
