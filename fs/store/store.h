/*
 * A backing store: where slices and the volume's marker object live, as named immutable objects.
 *
 *     store_open("dir:PATH" | "s3://BUCKET[/PREFIX]?endpoint=...") -> struct store
 *     fs/ --store_put, store_get ...--> store.c (checks, counts) --ops--> dir.c | s3.c | fault.c
 *
 * Names are made by fs/ and never by a client: 1..128 bytes of [a-z0-9/-], with no empty segment,
 * and no object's name may be a folder of another's ("a" beside "a/b"). Objects are immutable: a
 * put of an existing name replaces it with equal bytes, so every call may be repeated.
 *
 * Threads: every function but open and close may be called by any number of threads at once; calls
 * block on the disk or the network and hold no lock of ours meanwhile. Every call ends within
 * options.call_timeout_ms (s3; retries included); a local disk has no such limit. The process must
 * ignore SIGPIPE.
 * Errors, all with a text: ERR_NOT_FOUND no such object; ERR_CORRUPT an object shorter than asked;
 * ERR_DENIED permission refused; ERR_FULL no room left; ERR_BUSY the store is away, overloaded or
 * did not answer in time (after retries); ERR_IO everything else that failed; ERR_INVALID a
 * malformed name or URL; ERR_TOO_LARGE over STORE_OBJECT_MAX.
 * A put that failed may still land until store_put_limit_ms() after it began: its leftovers
 * must be deleted again after that time.
 * Ownership: names, vectors and results are borrowed for the call.
 */
#ifndef KISEKI_FS_STORE_STORE_H
#define KISEKI_FS_STORE_STORE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdatomic.h>
#include <sys/uio.h>

#define STORE_NAME_MAX   128
#define STORE_OBJECT_MAX ((size_t)16 << 20) /* a slice of 4 MiB and room to grow */
#define STORE_IOV_MAX    1024               /* as writev has it */

/* Zero or NULL means the default in parentheses. Texts are copied. */
struct store_options {
    const char *access_key; /* s3: both are required */
    const char *secret_key;
    const char *ca_file;             /* s3 over https: certificates to trust (the system's) */
    unsigned int connect_timeout_ms; /* (5,000) */
    unsigned int stall_timeout_ms;   /* an attempt that moves under 1 KiB/s for so long (10,000) */
    unsigned int request_timeout_ms; /* one attempt (30,000) */
    unsigned int call_timeout_ms;    /* a call with all its retries (60,000) */
    unsigned int max_attempts;       /* (6) */
    unsigned int retry_base_ms;      /* backoff: random below base * 2^n, at most 5 s (100) */
    const char *must_have; /* an object without which it is not opened (none: it is created) */
};

enum store_op { STORE_PUT, STORE_GET, STORE_SIZE, STORE_DEL, STORE_LIST, STORE_OPS };

/* How a call ended, as metrics tell it apart. */
enum store_result {
    STORE_RESULT_OK,
    STORE_RESULT_NOT_FOUND,
    STORE_RESULT_DENIED,
    STORE_RESULT_BUSY,
    STORE_RESULT_ERROR,
    STORE_RESULTS
};

struct store_stats {
    uint64_t calls[STORE_OPS][STORE_RESULTS];
    uint64_t micros[STORE_OPS]; /* spent in calls, retries included */
    uint64_t put_bytes;         /* of calls that succeeded */
    uint64_t get_bytes;
    uint64_t retries; /* attempts beyond the first */
};

/* One object of a listing; `name` is valid during the callback only. */
struct store_entry {
    const char *name;
    uint64_t size_bytes;
    int64_t modified_ms; /* wall clock of the store */
};

/* Anything but OK ends the listing, and store_list returns it. */
typedef enum err store_list_fn(void *user, const struct store_entry *entry);

/*
 * What a backend does. store.c has checked names, sizes and offsets before; `len` is above 0 in
 * get. Contracts are those of the wrappers below.
 */
struct store;
struct store_ops {
    enum err (*put)(struct store *s, const char *name, const struct iovec *iov, int count,
                    size_t len);
    enum err (*get)(struct store *s, const char *name, uint64_t offset, const struct iovec *iov,
                    int count, size_t len);
    enum err (*size)(struct store *s, const char *name, uint64_t *out);
    enum err (*del)(struct store *s, const char *name);
    /* Or NULL: one by one. Sets results[count]; false: not this time, one by one. */
    bool (*del_many)(struct store *s, const char *const *names, size_t count,
                     struct err_info *results);
    enum err (*list)(struct store *s, const char *prefix, store_list_fn *each, void *user);
    void (*cancel)(struct store *s); /* ends calls that run, base.cancelled is set; may be NULL */
    void (*close)(struct store *s);  /* frees `s` */
};

/* Embedded as first member in every backend's struct; set up by store_init. */
struct store {
    /* immutable after open */
    const struct store_ops *ops;
    int64_t put_limit_ms;
    char label[256]; /* for logs, no secrets: "dir:/data", "s3://bucket/p at http://host:1" */
    /* atomic */
    atomic_bool cancelled; /* by store_cancel() */
    struct {
        _Atomic uint64_t calls[STORE_OPS][STORE_RESULTS];
        _Atomic uint64_t micros[STORE_OPS];
        _Atomic uint64_t put_bytes;
        _Atomic uint64_t get_bytes;
        _Atomic uint64_t retries;
    } count;
};

/*
 * Opens a store by its URL and proves that it can be used (folder writable, bucket listable),
 * creating the folder or the bucket when it is missing:
 *     dir:PATH
 *     s3://BUCKET[/PREFIX]?endpoint=http://HOST:PORT&region=R&style=path|virtual&checksum=off
 * Without endpoint it is AWS at that region, virtual-host style, https; with one it is path style.
 * Region defaults to us-east-1. checksum=off stops sending CRC32C with each put, for a store that
 * refuses it. The text of a failure says what to do. `opts` may be NULL.
 * With opts->must_have nothing is created or written: ERR_NOT_FOUND where there is no such folder,
 * bucket or object.
 */
MUST_USE enum err store_open(const char *url, const struct store_options *opts, struct store **out);
/*
 * The process is about to stop: calls that wait for the network, and all that begin later, end with
 * ERR_CANCELLED. A put that is given up may still land, as one that failed. Never blocks. Any
 * thread. NULL is fine.
 */
void store_cancel(struct store *s);
/* No call may be running. NULL is fine. */
void store_close(struct store *s);

/*
 * Durable when it returns OK. `len` is the sum of the vector and may be 0; count <= STORE_IOV_MAX.
 */
MUST_USE enum err store_put(struct store *s, const char *name, const struct iovec *iov, int count,
                            size_t len);
/* The same for bytes in one piece. */
MUST_USE enum err store_put_bytes(struct store *s, const char *name, const void *data, size_t len);

/* Exactly `len` bytes from `offset` into `out`, or an error (then `out` holds anything). */
MUST_USE enum err store_get(struct store *s, const char *name, uint64_t offset, size_t len,
                            void *out);
/* The same into several places; `len` is the sum of the vector, count <= STORE_IOV_MAX. */
MUST_USE enum err store_getv(struct store *s, const char *name, uint64_t offset,
                             const struct iovec *iov, int count, size_t len);
/* Appends a whole small object (the volume's marker); ERR_TOO_LARGE over the buffer's maximum. */
MUST_USE enum err store_get_all(struct store *s, const char *name, struct buf *out);
MUST_USE enum err store_size(struct store *s, const char *name, uint64_t *out);

/*
 * OK also when absent. On a directory the removal is not synced: after a loss of power a deleted
 * object may be back, which costs space and nothing else.
 */
MUST_USE enum err store_del(struct store *s, const char *name);

/*
 * The same for several, in one call where the store has one (DeleteObjects; a store that answers it
 * with 501 gets single calls from then on): results[i] is what store_del() would have answered.
 * count <= STORE_DEL_MAX.
 */
#define STORE_DEL_MAX 250
void store_del_many(struct store *s, const char *const *names, size_t count,
                    struct err_info *results);
/* How many are best given to one call: 1 where each is a call of its own. */
size_t store_del_chunk(const struct store *s);

/*
 * Every object whose name starts with `prefix` ("" or [a-z0-9/-]*), in any order; objects put or
 * deleted meanwhile may or may not appear. For fsck and tests: it reads the whole listing.
 */
MUST_USE enum err store_list(struct store *s, const char *prefix, store_list_fn *each, void *user);

/* How long after its begin a put that failed or timed out can still take effect. */
int64_t store_put_limit_ms(const struct store *s);
/* The store for people and logs, without secrets. Lives as long as the store. */
const char *store_label(const struct store *s);
/* A snapshot; counters only grow. */
void store_stats(const struct store *s, struct store_stats *out);
const char *store_op_name(enum store_op op);             /* "put" */
const char *store_result_name(enum store_result result); /* "not_found" */

/* --- for backends ----------------------------------------------------------------------------- */

bool store_name_ok(const char *name);
bool store_prefix_ok(const char *prefix);
void store_init(struct store *s, const struct store_ops *ops, const char *label);
void store_count_retry(struct store *s);

#endif
