#include "gateway/metrics/metrics_text.h"

void metrics_head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metrics_one(struct buf *out, const char *name, const char *type, const char *help,
                 int64_t value)
{
    metrics_head(out, name, type, help);
    buf_printf(out, "%s %lld\n", name, (long long)value);
}
