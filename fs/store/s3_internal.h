/*
 * What the files of the S3 store share.
 *
 *     s3.c       the operations, opening and probing
 *     s3_del.c   many deletions in one call
 *     s3_url.c   the URL -> struct s3_target
 *     s3_call.c  a call: attempts, what their outcome means, backoff
 *     s3_sign.c  address, headers and signature of an attempt
 *     s3_http.c  an attempt: send and receive; the pool of curl handles
 *     s3_xml.c   error and listing documents
 *
 * Payloads are sent as UNSIGNED-PAYLOAD: SHA-256 of a slice would take longer than sending it. So
 * that a put is not acknowledged with bytes that were damaged under way (the granule checksums
 * would tell only at the first read, when it is too late), each put carries its CRC32C, which the
 * store verifies. Measured with 4 MiB: 0.4 ms of our CPU, beside 1.7 ms for sending; MinIO answers
 * in the same time with and without. Stores that do not know the header ignore it.
 */
#ifndef KISEKI_FS_STORE_S3_INTERNAL_H
#define KISEKI_FS_STORE_S3_INTERNAL_H

#include "base/sigv4.h"
#include "fs/store/store.h"

#include <curl/curl.h>
#include <pthread.h>

#define S3_TEXT_MAX    ((size_t)8 << 20) /* an answer that is not an object: a listing's page */
#define S3_SOCKETS_MAX 256               /* that can be shut down at once */
#define S3_IDLE_MAX    64                /* connections kept open while they are idle */
#define S3_PREFIX_MAX  256
#define S3_REGION_MAX  64
#define S3_HOST_MAX    320
#define S3_BUCKET_MAX  63
#define S3_SECRET_MAX  256

/* Where the objects are; immutable after parsing. */
struct s3_target {
    char bucket[S3_BUCKET_MAX + 1];
    char prefix[S3_PREFIX_MAX + 2]; /* "" or ending in '/' */
    char region[S3_REGION_MAX];
    char base[S3_HOST_MAX + 16]; /* scheme and host, to put before a path */
    char host[S3_HOST_MAX];      /* the Host header */
    bool path_style;
    bool checksum;
    bool own_endpoint; /* given by the user: reached directly, not through a proxy */
};

struct s3_store {
    struct store base;
    /* immutable after open */
    struct s3_target target;
    struct store_options opts; /* its texts point to what follows */
    char access_key[S3_SECRET_MAX];
    char secret_key[S3_SECRET_MAX];
    char ca_file[4096];
    /* guarded by lock */
    pthread_mutex_t lock;
    pthread_cond_t cancel; /* base.cancelled was set */
    int sockets[S3_SOCKETS_MAX];
    size_t socket_count;
    CURL *idle[S3_IDLE_MAX]; /* each with its connection */
    size_t idle_count;
    /* atomic */
    _Atomic bool no_del_many; /* the store has said that it has no DeleteObjects */
};

/* One call, borrowed from the caller. */
struct s3_request {
    const char *method; /* GET, PUT, HEAD, DELETE, POST */
    const char *name;   /* of an object; NULL: the bucket itself */
    const struct sigv4_arg *args;
    size_t arg_count;
    const struct iovec *iov; /* PUT; POST: one piece */
    int iov_count;
    size_t body_len;
    char md5[32];            /* base64 MD5 of the body, "" for none */
    char checksum[16];       /* base64 CRC32C of the body, "" for none */
    const struct iovec *out; /* GET of an object: out_len bytes from offset; NULL: none */
    uint64_t offset;
    size_t out_len;
};

#define S3_CODE_MAX 64

struct s3_answer {
    long status; /* 0: no answer */
    size_t got;  /* bytes put into s3_request.out, in order */
    int64_t content_length;
    char code[S3_CODE_MAX]; /* S3's error code, "" if none */
    char message[256];
    struct buf text;
};

/* From "BUCKET[/PREFIX][?...]". */
MUST_USE enum err s3_target_parse(const char *spec, struct s3_target *out);

void s3_answer_init(struct s3_answer *a);
void s3_answer_fini(struct s3_answer *a);

/* OK for a 2xx answer, else an error with its text, after retries; the answer is filled anyway. */
MUST_USE enum err s3_call(struct s3_store *s, const struct s3_request *r, struct s3_answer *a);
/* How an attempt ended, beside s3_answer. */
struct s3_outcome {
    CURLcode code;
    bool too_long;
    char words[CURL_ERROR_SIZE];
};

/* Appends the path as it is signed and the whole URL. */
void s3_path_and_query(const struct s3_store *s, const struct s3_request *r, struct buf *path,
                       struct buf *url);
/* All headers, signed for now. The list is the caller's, also after a failure. */
MUST_USE enum err s3_make_headers(const struct s3_store *s, const struct s3_request *r,
                                  struct str path, struct curl_slist **out);
/* Sends and receives once, within left_ms. */
void s3_perform(struct s3_store *s, const struct s3_request *r, struct s3_answer *a,
                const char *url, struct curl_slist *headers, int64_t left_ms, struct s3_outcome *o);
/* s3_cancel.c: what store_cancel() ends. */
bool s3_is_cancelled(struct s3_store *s);
void s3_nap(struct s3_store *s, int64_t ms);
void s3_cancellable(struct s3_store *s, CURL *curl); /* this handle's next transfer */
void s3_cancel(struct store *store);
/* Closes the idle connections. */
void s3_pool_fini(struct s3_store *s);

/* Code and Message of an error document; they stay as they are when it is none. */
void s3_xml_error(struct str document, struct s3_answer *a);

/* s3_del.c: see struct store_ops. */
bool s3_del_many(struct store *store, const char *const *names, size_t count,
                 struct err_info *results);
/* The Error elements of an answer to DeleteObjects; false: not well-formed. */
typedef void s3_refused_fn(void *user, const char *key, const char *code, const char *message);
MUST_USE bool s3_xml_refused(struct str document, s3_refused_fn *each, void *user);
/* What a status and S3's code mean, as s3_call() answers them. */
enum err s3_answer_error(const struct s3_answer *a);

/* A page of ListObjectsV2. `keys` are as the store gave them, with the prefix. */
struct s3_page {
    store_list_fn *each;
    void *user;
    const char *prefix; /* of the volume, cut off the keys */
    bool truncated;
    struct buf token; /* the next page's */
};
MUST_USE enum err s3_xml_page(struct str document, struct s3_page *page);

#endif
