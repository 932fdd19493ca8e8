/*
 * Counters and histograms of the gateway, as Prometheus text.
 *
 * All updates are relaxed atomics on fixed arrays (operations by their row in the routing table),
 * so counting costs nanoseconds and never blocks. metrics_write() also asks fs/, meta/ and the HTTP
 * servers for theirs.
 * Names: kiseki_requests_total{operation,status}, kiseki_request_seconds (histogram by operation),
 * kiseki_received_bytes_total, kiseki_sent_bytes_total, kiseki_payload_kinds_total{kind},
 * kiseki_errors_total{code}, process_*; docs/metrics.md lists all, and a test compares.
 * Threads: any, at once; new and free by main.
 */
#ifndef KISEKI_GATEWAY_METRICS_METRICS_H
#define KISEKI_GATEWAY_METRICS_METRICS_H

#include "base/buf.h"
#include "gateway/sign/verify.h"

struct fs;
struct http_server;
struct metrics;

/* `op_name(i)`: the name of operation number i < op_count; constant. */
MUST_USE enum err metrics_new(const char *(*op_name)(size_t i), size_t op_count,
                              struct metrics **out);
void metrics_free(struct metrics *m);

/* A request has ended. `op` is the row's number, or op_count for requests that found no row. */
void metrics_request(struct metrics *m, size_t op, unsigned status, int64_t micros,
                     uint64_t bytes_in, uint64_t bytes_out);
/* An answer was an error: counted by S3's code. S3_OK is no error, and is not counted. */
void metrics_error(struct metrics *m, enum s3_code code);
/* A verified upload's kind of payload (S3-FACTS: five kinds). */
void metrics_payload(struct metrics *m, enum auth_payload kind);

/* Appends the whole page. fs and server may be NULL. Does not block on SQL or the store. */
void metrics_write(struct metrics *m, struct fs *fs, struct http_server *server, struct buf *out);

/* metrics_process.c: the figures that Prometheus's client libraries give of every process. */
void metrics_process(int64_t started_s, struct buf *out);

/* metrics_jobs.c: what metrics_write() says of background jobs. */
struct fs_stats;
void metrics_jobs(const struct fs_stats *fs, struct buf *out);

#endif
