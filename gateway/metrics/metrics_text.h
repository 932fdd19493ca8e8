/*
 * Prometheus's text format, for all that add to /metrics. Failures are those of the buf.
 */
#ifndef KISEKI_GATEWAY_METRICS_METRICS_TEXT_H
#define KISEKI_GATEWAY_METRICS_METRICS_TEXT_H

#include "base/buf.h"

/* The two lines before a metric; `type`: counter, gauge, histogram. */
void metrics_head(struct buf *out, const char *name, const char *type, const char *help);
/* A metric without labels, and with its head. */
void metrics_one(struct buf *out, const char *name, const char *type, const char *help,
                 int64_t value);

#endif
