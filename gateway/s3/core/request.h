/*
 * A request's context: what its phases find out, and what its handler reads.
 *
 * Ownership: it lies in the request's arena and lives until the answer is sent; what it borrows of
 * `http` does, too. Threads: one at a time, whichever works for the request.
 */
#ifndef KISEKI_GATEWAY_S3_CORE_REQUEST_H
#define KISEKI_GATEWAY_S3_CORE_REQUEST_H

#include "fs/memory/reservation.h"
#include "fs/read/reader.h"
#include "fs/write/writer.h"
#include "gateway/access/authorize.h"
#include "gateway/errors/errors.h"
#include "gateway/http/request.h"
#include "gateway/s3/core/op.h"
#include "gateway/s3/proto/payload.h"
#include "gateway/sign/chunked.h"
#include "gateway/sign/verify.h"
#include "meta/access/access.h"

#include <stdatomic.h>

struct metrics;
struct s3_phase;

/* Requests at once that may ask the database for an access key: a quarter of the usual workers. */
#define S3_ASKING_MAX 16

/* What all requests share. Immutable after start, but for what fs/ and metrics guard. */
struct s3 {
    struct fs *fs;
    struct meta *meta;
    struct metrics *metrics;
    struct str region;
    const struct str *domains; /* virtual-host domains */
    size_t domain_count;
    char host_id[33];        /* x-amz-id-2: tells gateways apart */
    _Atomic unsigned asking; /* requests that ask for an access key now */
};

struct s3_request {
    /* set by the pipeline before the handler runs */
    struct http_request *http;
    struct s3 *s3;
    struct arena *arena;
    const struct s3_op *op;             /* NULL while routing failed */
    struct str bucket;                  /* "" in service scope */
    struct str key;                     /* "" in bucket scope */
    struct str source_bucket;           /* that a copy reads from; "" none */
    bool is_head;                       /* HEAD: errors carry no body */
    const struct sigv4_header *headers; /* the request's, for the pure parts */
    size_t header_count;
    const struct sigv4_arg *args;
    size_t arg_count;
    struct auth auth;
    struct access_key access;             /* the key of the signature */
    struct principal who;                 /* who asks; anonymous without a signature */
    struct authorize_answer grant;        /* what it may do, and what depends on the bucket */
    struct authorize_answer source_grant; /* of a copy: the same of its source */
    struct access_proof proof;
    uint64_t expected_owner[ACCESS_BUCKETS]; /* by enum owner_of: found to be as expected; 0: not */

    /* the body, when handle runs */
    struct buf body;              /* S3_BODY_MEMORY */
    struct reservation reservation;             /* of `body` and the answer; the pipeline's */
    struct writer *writer;        /* S3_BODY_FILE; the pipeline frees it */
    struct payload_result digest; /* of what was received */
    /* S3_BODY_FILE: which checksum to compute when the client gives none; before_body may set it */
    enum checksum_algo default_algo;
    bool algo_is_fixed; /* no other than default_algo is taken: UploadPart */

    /* the handler's */
    struct s3_error error;
    struct file file; /* closed by the pipeline when the reply is sent */

    void *state; /* of a handler that goes on later; in the arena */
    /* a generator that the reply has not got yet: the pipeline closes it */
    struct http_body *unsent;

    /* the pipeline's own */
    const struct s3_phase *phase; /* that runs, or that is next on a worker or after the body */
    enum s3_code refusal;         /* of S3_REFUSED */
    enum err received;            /* how the body's arrival ended */
    enum s3_code (*resume)(struct s3_request *r); /* of s3_go_on() and s3_wait() */
    bool waits;
    struct auth_request auth_request;
    struct http_sink sink;
    struct payload payload;
    struct chunked chunked;
    bool framed;          /* chunked is in use */
    bool has_payload;     /* payload is in use */
    enum s3_code refused; /* what authentication by the key in memory said */
    bool is_asking;       /* counted in s3->asking */
    unsigned refusals;    /* err_memory_refusals() when this step began */
    size_t decoded;       /* bytes at the front of the next piece that chunked has seen already */
    int64_t expected;     /* payload bytes, -1 unknown */
    enum s3_code failed;
};

/* --- the request phases ----------------------------------------------------------------------- */

/* A view of the HTTP request for the pure parts; bucket, key and scope; headers normalized. */
enum s3_code s3_request_open(struct s3_request *r);
/*
 * After auth_check: arguments, and headers that stand in the query, as they were signed. Routing
 * holds: readings differ in `+` and space only, which no name of a sub-resource has.
 */
enum s3_code s3_request_as_signed(struct s3_request *r);

/* --- going on later --------------------------------------------------------------------------- */

/*
 * For handlers: `return s3_go_on(...)` has `next` called on a thread of that lane. From a lane's
 * queue the request may also be refused: nothing but the request's own things may be held.
 */
enum s3_code s3_go_on(struct s3_request *r, enum http_lane lane,
                      enum s3_code (*next)(struct s3_request *r));
/*
 * The same after http_request_resume_work(r->http), which somebody has promised to call: no thread
 * waits. `next` is called in any case, in HTTP_LANE_WORK.
 */
enum s3_code s3_wait(struct s3_request *r, enum s3_code (*next)(struct s3_request *r));
/*
 * OK, or ERR_CANCELLED: the gateway stops, or the client has left. Work that takes longer than some
 * milliseconds asks every few MiB.
 */
MUST_USE enum err s3_still_wanted(const struct s3_request *r);

/* --- parameters ------------------------------------------------------------------------------- */

/* The first value of a query argument; ptr NULL when it is missing, not NULL when it is empty. */
struct str s3_arg(const struct s3_request *r, const char *name);
bool s3_has_arg(const struct s3_request *r, const char *name);
/* A header's value; ptr NULL when missing. Those that S3 knows come once (headers.h). */
struct str s3_header(const struct s3_request *r, const char *name);
/* If-Match or If-None-Match is there. */
bool s3_has_conditions(const struct s3_request *r);
/*
 * A whole number 0..max of a query argument (`fallback` when missing or empty); larger ones are
 * cut to `max`. InvalidArgument otherwise.
 */
enum s3_code s3_arg_number(struct s3_request *r, const char *name, int64_t max, int64_t fallback,
                           int64_t *out);

/* versionId: absent, "null" or unknown here (NoSuchVersion). */
enum s3_code s3_version_id(struct s3_request *r, struct str *out);

#endif
