#include "gateway/metrics/metrics.h"

#include "base/clock.h"
#include "base/log.h"
#include "fs/fs.h"
#include "gateway/http/server.h"
#include "gateway/metrics/metrics_text.h"
#include "meta/sql/sql.h"

#include <stdatomic.h>
#include <stdlib.h>

/* Status codes are counted by these; others go into the last. */
static const unsigned statuses[] = {200, 204, 206, 304, 400, 403, 404, 409,
                                    411, 412, 416, 500, 501, 503, 0};
#define STATUS_COUNT (sizeof(statuses) / sizeof(statuses[0]))

/* Upper bounds of the latency histogram, in microseconds. */
static const int64_t bounds[] = {250,   500,    1000,   2500,   5000,    10000,   25000,
                                 50000, 100000, 250000, 500000, 1000000, 5000000, 30000000};
#define BOUND_COUNT (sizeof(bounds) / sizeof(bounds[0]))

struct op_counts {
    _Atomic uint64_t by_status[STATUS_COUNT];
    _Atomic uint64_t by_bound[BOUND_COUNT + 1];
    _Atomic uint64_t micros;
};

struct metrics {
    const char *(*op_name)(size_t i);
    size_t op_count;
    int64_t started_s;
    _Atomic uint64_t bytes_in, bytes_out;
    _Atomic uint64_t payloads[AUTH_PAYLOAD_UNSIGNED_TRAILER + 1];
    _Atomic uint64_t errors[S3_CODES];
    struct op_counts ops[]; /* op_count + 1: the last for requests without a row */
};

static void add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static unsigned long long get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit((_Atomic uint64_t *)counter, memory_order_relaxed);
}

enum err metrics_new(const char *(*op_name)(size_t i), size_t op_count, struct metrics **out)
{
    *out = calloc(1, sizeof(**out) + (op_count + 1) * sizeof((*out)->ops[0]));
    if (*out == NULL)
        return err_set(ERR_NOMEM, "out of memory for metrics");
    (*out)->op_name = op_name;
    (*out)->op_count = op_count;
    (*out)->started_s = clock_wall_ms() / 1000;
    return OK;
}

void metrics_free(struct metrics *m)
{
    free(m);
}

void metrics_request(struct metrics *m, size_t op, unsigned status, int64_t micros,
                     uint64_t bytes_in, uint64_t bytes_out)
{
    struct op_counts *counts = &m->ops[op < m->op_count ? op : m->op_count];
    size_t s = 0, b = 0;

    while (s + 1 < STATUS_COUNT && statuses[s] != status)
        s++;
    while (b < BOUND_COUNT && micros > bounds[b])
        b++;
    add(&counts->by_status[s], 1);
    add(&counts->by_bound[b], 1);
    add(&counts->micros, micros > 0 ? (uint64_t)micros : 0);
    add(&m->bytes_in, bytes_in);
    add(&m->bytes_out, bytes_out);
}

void metrics_error(struct metrics *m, enum s3_code code)
{
    if (code != S3_OK && (unsigned)code < S3_CODES)
        add(&m->errors[code], 1);
}

void metrics_payload(struct metrics *m, enum auth_payload kind)
{
    add(&m->payloads[kind], 1);
}

/* --- the page --------------------------------------------------------------------------------- */

static const char *op_label(const struct metrics *m, size_t op)
{
    return op < m->op_count ? m->op_name(op) : "none";
}

static void one(struct buf *out, const char *name, const char *type, const char *help,
                uint64_t value)
{
    metrics_one(out, name, type, help, (int64_t)value);
}

static void write_requests(struct metrics *m, struct buf *out)
{
    metrics_head(out, "kiseki_requests_total", "counter", "Requests by operation and status.");
    for (size_t op = 0; op <= m->op_count; op++) {
        for (size_t s = 0; s < STATUS_COUNT; s++) {
            unsigned long long n = get(&m->ops[op].by_status[s]);

            if (n == 0)
                continue;
            buf_printf(out, "kiseki_requests_total{operation=\"%s\",status=\"", op_label(m, op));
            if (statuses[s] > 0)
                buf_printf(out, "%u\"} %llu\n", statuses[s], n);
            else
                buf_printf(out, "other\"} %llu\n", n);
        }
    }
}

static void write_histogram(struct metrics *m, struct buf *out)
{
    metrics_head(out, "kiseki_request_seconds", "histogram", "Time to answer, by operation.");
    for (size_t op = 0; op <= m->op_count; op++) {
        const char *label = op_label(m, op);
        unsigned long long total = 0;

        for (size_t b = 0; b <= BOUND_COUNT; b++)
            total += get(&m->ops[op].by_bound[b]);
        if (total == 0)
            continue;
        total = 0;
        for (size_t b = 0; b < BOUND_COUNT; b++) {
            total += get(&m->ops[op].by_bound[b]);
            buf_printf(out, "kiseki_request_seconds_bucket{operation=\"%s\",le=\"%g\"} %llu\n",
                       label, (double)bounds[b] / 1e6, total);
        }
        total += get(&m->ops[op].by_bound[BOUND_COUNT]);
        buf_printf(out, "kiseki_request_seconds_bucket{operation=\"%s\",le=\"+Inf\"} %llu\n", label,
                   total);
        buf_printf(out, "kiseki_request_seconds_sum{operation=\"%s\"} %g\n", label,
                   (double)get(&m->ops[op].micros) / 1e6);
        buf_printf(out, "kiseki_request_seconds_count{operation=\"%s\"} %llu\n", label, total);
    }
}

static void write_errors(struct metrics *m, struct buf *out)
{
    metrics_head(out, "kiseki_errors_total", "counter", "Answers that were errors, by S3's code.");
    for (unsigned code = 0; code < S3_CODES; code++) {
        unsigned long long n = get(&m->errors[code]);

        if (n > 0)
            buf_printf(out, "kiseki_errors_total{code=\"%s\"} %llu\n",
                       s3_code_name((enum s3_code)code), n);
    }
}

static void write_payloads(struct metrics *m, struct buf *out)
{
    static const char *const kinds[] = {
        [AUTH_PAYLOAD_UNSIGNED] = "unsigned",
        [AUTH_PAYLOAD_SHA256] = "signed",
        [AUTH_PAYLOAD_CHUNKED] = "streaming-signed",
        [AUTH_PAYLOAD_CHUNKED_TRAILER] = "streaming-signed-trailer",
        [AUTH_PAYLOAD_UNSIGNED_TRAILER] = "streaming-unsigned-trailer",
    };

    metrics_head(out, "kiseki_payload_kinds_total", "counter",
                 "Verified uploads by kind of payload.");
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        buf_printf(out, "kiseki_payload_kinds_total{kind=\"%s\"} %llu\n", kinds[i],
                   get(&m->payloads[i]));
}

static void write_fs(struct fs *fs, struct buf *out)
{
    struct fs_stats s;

    fs_stats(fs, &s);
    metrics_jobs(&s, out);
    one(out, "kiseki_memory_limit_bytes", "gauge", "Budget of transfers and cache.",
        s.memory_bytes);
    one(out, "kiseki_memory_used_bytes", "gauge", "Of the budget of transfers and cache, in use.",
        s.memory_used);
    one(out, "kiseki_memory_uploads_bytes", "gauge", "Of the budget, held by uploads.",
        s.memory_uploads);
    one(out, "kiseki_memory_reads_bytes", "gauge", "Of the budget, held by reads.", s.memory_reads);
    one(out, "kiseki_memory_requests_bytes", "gauge",
        "Of the budget, reserved for bodies and answers.", s.memory_requests);
    one(out, "kiseki_uploads_waiting", "gauge", "Uploads that wait for memory.", s.uploads_waiting);
    one(out, "kiseki_reads_waiting", "gauge", "Reads that wait for memory.", s.reads_waiting);
    one(out, "kiseki_bodies_waiting", "gauge", "Collected bodies that wait for memory.",
        s.bodies_waiting);
    one(out, "kiseki_cache_hits_total", "counter",
        "Granules (64 KiB of a slice) found in the memory cache.", s.cache_hits);
    one(out, "kiseki_cache_misses_total", "counter",
        "Granules looked for in the memory cache and not found.", s.cache_misses);
    one(out, "kiseki_disk_cache_hits_total", "counter", "Granules found in the disk cache.",
        s.disk_hits);
    one(out, "kiseki_disk_cache_misses_total", "counter",
        "Granules looked for in the disk cache and not found.", s.disk_misses);
    one(out, "kiseki_disk_cache_bytes", "gauge", "What the disk cache holds.", s.disk_bytes);
    one(out, "kiseki_disk_cache_wrong_total", "counter",
        "Entries of the disk cache with a wrong checksum.", s.disk_dropped);
    one(out, "kiseki_disk_cache_errors_total", "counter", "Errors of the disk cache's disk.",
        s.disk_failures);
    one(out, "kiseki_cache_bytes", "gauge", "Bytes in the memory cache.", s.cache_bytes);
    metrics_head(out, "kiseki_store_requests_total", "counter", "Calls of the backing store.");
    for (int op = 0; op < STORE_OPS; op++)
        for (int result = 0; result < STORE_RESULTS; result++)
            buf_printf(out, "kiseki_store_requests_total{operation=\"%s\",result=\"%s\"} %llu\n",
                       store_op_name((enum store_op)op),
                       store_result_name((enum store_result)result),
                       (unsigned long long)s.store.calls[op][result]);
    metrics_head(out, "kiseki_store_seconds_total", "counter",
                 "Time spent in calls of the backing store.");
    for (int op = 0; op < STORE_OPS; op++)
        buf_printf(out, "kiseki_store_seconds_total{operation=\"%s\"} %g\n",
                   store_op_name((enum store_op)op), (double)s.store.micros[op] / 1e6);
    one(out, "kiseki_store_put_bytes_total", "counter", "Bytes put into the backing store.",
        s.store.put_bytes);
    one(out, "kiseki_store_get_bytes_total", "counter", "Bytes read from the backing store.",
        s.store.get_bytes);
    one(out, "kiseki_store_retries_total", "counter",
        "Calls of the backing store that were repeated.", s.store.retries);
}

static void write_sql(const struct sql_stats *s, struct buf *out)
{
    static const char *const kinds[] = {"read", "write"};

    metrics_head(out, "kiseki_sql_units_total", "counter",
                 "Requests' statements sent to the database.");
    for (size_t i = 0; i < 2; i++)
        buf_printf(out, "kiseki_sql_units_total{kind=\"%s\"} %llu\n", kinds[i], get(&s->units[i]));
    metrics_head(out, "kiseki_sql_batches_total", "counter",
                 "Batches of statements, a round trip each.");
    for (size_t i = 0; i < 2; i++)
        buf_printf(out, "kiseki_sql_batches_total{kind=\"%s\"} %llu\n", kinds[i],
                   get(&s->batches[i]));
    metrics_head(out, "kiseki_sql_seconds_total", "counter",
                 "Time spent in batches of statements.");
    for (size_t i = 0; i < 2; i++)
        buf_printf(out, "kiseki_sql_seconds_total{kind=\"%s\"} %g\n", kinds[i],
                   (double)get(&s->micros[i]) / 1e6);
    one(out, "kiseki_sql_statements_total", "counter", "SQL statements.", get(&s->statements));
    one(out, "kiseki_sql_errors_total", "counter", "Requests' statements that failed.",
        get(&s->errors));
    one(out, "kiseki_sql_retries_total", "counter", "Batches sent again.", get(&s->retries));
    one(out, "kiseki_sql_in_doubt_total", "counter", "Commits whose answer was lost.",
        get(&s->in_doubt));
    one(out, "kiseki_sql_queued", "gauge", "Requests' statements that wait for a connection.",
        get(&s->queued));
    one(out, "kiseki_sql_connected", "gauge", "Connections to the database that are up.",
        get(&s->connected));
}

static void write_server(struct http_server *server, struct buf *out)
{
    struct http_server_stats s;

    http_server_stats(server, &s);
    one(out, "kiseki_certificate_expiry_timestamp_seconds", "gauge",
        "When the certificate in use expires, since 1970; 0 without TLS.",
        (uint64_t)http_server_certificate_expiry(server));
    one(out, "kiseki_connections", "gauge", "Open connections.", s.connections);
    one(out, "kiseki_connections_total", "counter", "Connections accepted.", s.connections_total);
    one(out, "kiseki_requests_in_flight", "gauge", "Requests being answered.", s.requests);
    one(out, "kiseki_requests_suspended", "gauge",
        "Of the requests in flight, waiting for a worker or for memory.", s.suspended);
    one(out, "kiseki_refused_total", "counter", "Malformed requests refused.", s.refused_total);
    one(out, "kiseki_timeouts_total", "counter", "Connections cut for being idle or slow.",
        s.timeouts_total);
    one(out, "kiseki_evicted_total", "counter", "Connections closed for others, all being taken.",
        s.evicted_total);
    one(out, "kiseki_gone_total", "counter", "Requests whose client left before the answer.",
        s.gone_total);
}

void metrics_write(struct metrics *m, struct fs *fs, struct http_server *server, struct buf *out)
{
    metrics_head(out, "kiseki_build_info", "gauge", "The version, as a label; always 1.");
    buf_printf(out, "kiseki_build_info{version=\"%s\"} 1\n", KISEKI_VERSION);
    write_requests(m, out);
    write_histogram(m, out);
    one(out, "kiseki_received_bytes_total", "counter", "Bytes of request bodies.",
        get(&m->bytes_in));
    one(out, "kiseki_sent_bytes_total", "counter", "Bytes of response bodies.", get(&m->bytes_out));
    write_errors(m, out);
    write_payloads(m, out);
    metrics_process(m->started_s, out);
    one(out, "kiseki_log_dropped_total", "counter", "Lines of the log that were dropped.",
        log_dropped());
    if (fs != NULL)
        write_fs(fs, out);
    if (fs != NULL)
        write_sql(meta_sql_stats(fs_meta(fs)), out);
    if (server != NULL)
        write_server(server, out);
}
