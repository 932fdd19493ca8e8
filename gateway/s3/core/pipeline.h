/*
 * The S3 layer as the HTTP server sees it: a request goes through the phases of phases.h, on the
 * threads that they need, and is answered by its handler or by an error document.
 */
#ifndef KISEKI_GATEWAY_S3_CORE_PIPELINE_H
#define KISEKI_GATEWAY_S3_CORE_PIPELINE_H

#include "gateway/s3/core/request.h"

/* The handler for http_server_start(); `s3` outlives the server. */
struct http_handler s3_handler(struct s3 *s3);

#endif
