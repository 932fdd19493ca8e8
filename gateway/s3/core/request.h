/*
 * A request's context: what its phases find out, and what its handler reads.
 *
 * Ownership: it lies in the request's arena and lives until the answer is sent; what it borrows of
 * `http` does, too. Threads: one at a time, whichever works for the request.
 */
#ifndef KISEKI_GATEWAY_S3_CORE_REQUEST_H
#define KISEKI_GATEWAY_S3_CORE_REQUEST_H

#include "fs/file.h"
#include "fs/fs.h"
#include "fs/memory/reservation.h"
#include "gateway/access/authorize.h"
#include "gateway/errors/errors.h"
#include "gateway/http/request.h"
#include "gateway/s3/core/op.h"
#include "gateway/s3/proto/payload.h"
#include "gateway/sign/chunked.h"
#include "gateway/sign/verify.h"
#include "meta/access/access.h"
#include "meta/config/bucket_context.h"

#include <stdatomic.h>

struct metrics;
struct s3_phase;

/* Requests at once that may ask the database for an access key: a quarter of the usual workers. */
#define S3_ASKING_MAX 16

/* What all requests share. Immutable after start, but for what fs/, metrics and contexts guard. */
struct s3 {
    struct fs *fs;
    struct meta *meta;
    struct metrics *metrics;
    struct bucket_contexts *contexts;
    struct str region;
    const struct str *domains; /* virtual-host domains */
    size_t domain_count;
    char host_id[33];        /* x-amz-id-2: tells gateways apart */
    _Atomic unsigned asking; /* requests that ask for an access key now */
};

/* Who asks; filled by the phases that authenticate. */
struct s3_identity {
    struct principal who;        /* anonymous without a signature */
    struct access_key key;       /* of the signature; its account is who.account */
    struct auth auth;            /* the signature, and how it protects the body */
    struct auth_request request; /* what was signed */
    enum s3_code refused;        /* what the key in memory said */
    bool is_asking;              /* counted in s3->asking */
};

/* What the request may do; filled by authorize, and proven by the statements that do the work. */
struct s3_permit {
    struct authorize_answer grant;
    bool is_denied; /* by what is in memory: the refusal is to be proven */
    unsigned tries; /* how often something turned out to be stale */
    struct access_proof proof;
};

/* The buckets that a request acts on: that in its address, and that which a copy reads from. */
enum s3_role { S3_TARGET, S3_SOURCE, S3_ROLES };
_Static_assert((int)S3_ROLES == ACCESS_BUCKETS, "each is in the proof");

struct s3_bucket_state {
    struct str name;                /* "" none */
    bool wanted;                    /* decisions, or the handler, use the context */
    struct bucket_context *context; /* wanted, and NULL behind the context phases: no such bucket */
};

/* How the body arrives: body.c's own. */
struct s3_intake {
    int64_t expected; /* payload bytes, -1 unknown */
    struct http_sink sink;
    struct payload payload;
    struct chunked chunked;
    bool has_payload; /* payload is in use */
    bool framed;      /* chunked is in use */
    size_t decoded;   /* bytes at the front of the next piece that chunked has seen already */
    struct reservation reservation; /* of the body in memory and of the answer */
    enum s3_code failed;            /* why it was not taken */
    enum err result;                /* how its arrival ended */
};

struct s3_request {
    struct http_request *http;
    struct s3 *s3;
    struct arena *arena;

    /* parse and route: what is asked for */
    const struct s3_op *op;             /* NULL while routing failed */
    struct str bucket;                  /* "" in service scope */
    struct str key;                     /* "" in bucket scope */
    const struct sigv4_header *headers; /* the request's, for the pure parts */
    size_t header_count;
    const struct sigv4_arg *args;
    size_t arg_count;

    /* authenticate to authorize: who asks, and what it may do */
    struct s3_identity identity;
    struct s3_bucket_state buckets[S3_ROLES]; /* context.h */
    struct s3_permit permit;

    /* body: what has come of it when the handler runs */
    struct s3_intake intake;
    struct buf body;              /* S3_BODY_MEMORY */
    struct writer *writer;        /* S3_BODY_FILE; the pipeline frees it */
    struct payload_result digest; /* of what was received */
    /* S3_BODY_FILE: which checksum to compute when the client gives none; before_body may set it */
    enum checksum_algo default_algo;
    bool algo_is_fixed; /* no other than default_algo is taken: UploadPart */

    /* the handler's */
    struct file file; /* the object that is read; closed when the reply is sent */
    void *state;      /* of a handler that goes on later; in the arena */
    struct http_body
        *unsent;           /* a generator that the reply has not got yet; closed by the pipeline */
    struct s3_error error; /* details of the code that a phase, or the handler, ends with */

    /* the pipeline's own */
    const struct s3_phase *phase; /* that runs, or that is next on a worker or after the body */
    enum s3_code refusal;         /* of S3_REFUSED */
    enum s3_code (*resume)(struct s3_request *r); /* of s3_go_on() and s3_wait() */
    bool waits;
    unsigned refusals; /* err_memory_refusals() when this thread began */
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
