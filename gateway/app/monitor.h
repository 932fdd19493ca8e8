/*
 * The second listener: /metrics (Prometheus text), /live (the process runs) and /ready (database
 * and store answer). No authentication: bind it where only monitoring comes.
 */
#ifndef KISEKI_GATEWAY_APP_MONITOR_H
#define KISEKI_GATEWAY_APP_MONITOR_H

#include "gateway/http/server.h"
#include "gateway/metrics/metrics.h"
#include "gateway/metrics/survey.h"

struct monitor {
    struct metrics *metrics;
    struct fs *fs;
    struct survey *survey;
    /* the S3 server, for its gauges; NULL until it is up, and while it stops */
    struct http_server *_Atomic server;
    _Atomic bool stopping; /* /ready answers 503 while S3 is still served */
};

/* The handler for http_server_start(); `m` outlives the server. */
struct http_handler monitor_handler(struct monitor *m);

#endif
