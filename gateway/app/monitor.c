#include "gateway/app/monitor.h"

#include "base/log.h"
#include "fs/fs.h"

#define PAGE_MAX ((size_t)1 << 20)

static enum http_next reply_text(struct http_request *r, unsigned status, const char *text)
{
    http_reply_bytes(r, status, str_of(text));
    if (http_reply_header(r, "Content-Type", STR("text/plain; charset=utf-8")) != OK)
        log_debug("out of memory for a header");
    return HTTP_REPLY;
}

static enum http_next reply_metrics(struct http_request *r)
{
    struct monitor *m = r->ctx;
    struct str text;
    struct buf page;

    buf_init(&page, PAGE_MAX);
    metrics_write(m->metrics, m->fs, m->server, &page);
    survey_write(m->survey, &page);
    text = buf_check(&page) == OK ? arena_str(r->arena, buf_str(&page)) : STR_NONE;
    buf_fini(&page);
    if (text.ptr == NULL)
        return reply_text(r, 500, "out of memory\n");
    http_reply_bytes(r, 200, text);
    if (http_reply_header(r, "Content-Type", STR("text/plain; version=0.0.4")) != OK)
        log_debug("out of memory for a header");
    return HTTP_REPLY;
}

static enum http_next on_head(struct http_request *r)
{
    struct str path = r->target.path;

    if (!str_eq(r->method, STR("GET")) && !str_eq(r->method, STR("HEAD")))
        return reply_text(r, 405, "only GET\n");
    if (str_eq(path, STR("/live")))
        return reply_text(r, 200, "ok\n");
    if (str_eq(path, STR("/ready"))) {
        r->lane = HTTP_LANE_STORE; /* it asks the store, which may be away */
        return HTTP_WORK;
    }
    if (str_eq(path, STR("/metrics")))
        return reply_metrics(r);
    return reply_text(r, 404, "there is /metrics, /live and /ready\n");
}

static enum http_next on_work(struct http_request *r)
{
    struct monitor *m = r->ctx;
    enum err err;

    if (m->server == NULL || atomic_load(&m->stopping))
        return reply_text(r, 503, "starting or stopping\n");
    err = fs_ready(m->fs);
    if (err == OK)
        return reply_text(r, 200, "ok\n");
    log_warn("not ready: %s", err_text(err));
    return reply_text(r, 503, "not ready: the log says why\n");
}

static enum http_next on_body_end(struct http_request *r, enum err result)
{
    (void)result;
    return reply_text(r, 400, "no body, please\n");
}

static void on_done(struct http_request *r)
{
    (void)r;
}

struct http_handler monitor_handler(struct monitor *m)
{
    return (struct http_handler){
        .head = on_head,
        .work = on_work,
        .body_end = on_body_end,
        .done = on_done,
        .ctx = m,
    };
}
