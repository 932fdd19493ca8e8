#include "gateway/s3/core/pipeline.h"

#include "gateway/metrics/metrics.h"
#include "gateway/s3/core/access_line.h"
#include "gateway/s3/core/authenticate.h"
#include "gateway/s3/core/body.h"
#include "gateway/s3/core/context.h"
#include "gateway/s3/core/phases.h"
#include "gateway/s3/core/reply.h"

static enum http_next refuse(struct s3_request *r)
{
    enum s3_code code = r->refusal;

    /* For lack of memory a name or a signature may have looked wrong: not the client's error. */
    if (err_memory_refusals() != r->refusals && s3_code_status(code) < 500)
        code = s3_fail_err(r, ERR_NOMEM, "work on the request");
    s3_reply_error(r, code);
    return HTTP_REPLY;
}

static void next_phase(struct s3_request *r)
{
    do
        r->phase++;
    while (r->phase->is_wanted != NULL && !r->phase->is_wanted(r));
}

static void choose_lane(struct s3_request *r)
{
    r->http->lane = r->phase->in_rows_lane ? r->op->lane : HTTP_LANE_WORK;
}

/* Runs phases from r->phase on, as far as they go on this thread. */
static enum http_next run(struct s3_request *r)
{
    r->refusals = err_memory_refusals();
    for (;;) {
        switch (r->phase->run(r)) {
        case S3_AGAIN:
            return HTTP_WORK;
        case S3_WAIT:
            return HTTP_WAIT;
        case S3_ANSWERED:
            return HTTP_REPLY;
        case S3_REFUSED:
            return refuse(r);
        case S3_TAKE_BODY:
            next_phase(r);
            return HTTP_BODY;
        case S3_NEXT_ONCE_STORED:
            next_phase(r);
            choose_lane(r);
            return HTTP_WAIT;
        case S3_NEXT:
            break;
        }
        next_phase(r);
        if (r->phase->blocks) {
            choose_lane(r);
            return HTTP_WORK;
        }
    }
}

/* --- the server's calls ----------------------------------------------------------------------- */

static enum http_next on_head(struct http_request *http)
{
    struct s3_request *r = arena_alloc(http->arena, sizeof(*r));

    if (r == NULL) {
        http_reply_empty(http, 503);
        return HTTP_REPLY;
    }
    http->user = r;
    r->http = http;
    r->s3 = http->ctx;
    r->arena = http->arena;
    r->default_algo = CHECKSUM_CRC64NVME;
    r->phase = s3_phases;
    s3_reserve_begin(r);
    return run(r);
}

static enum http_next on_work(struct http_request *http)
{
    return run(http->user);
}

static enum http_next on_body_end(struct http_request *http, enum err result)
{
    struct s3_request *r = http->user;

    r->intake.result = result;
    return run(r);
}

static void on_done(struct http_request *http)
{
    struct s3_request *r = http->user;
    const struct s3 *s3 = http->ctx;
    size_t op = s3_op_count();

    if (r != NULL && r->op != NULL)
        op = (size_t)(r->op - s3_ops);
    metrics_request(s3->metrics, op, http->reply.status, http->end_us - http->start_us,
                    http->bytes_in, http->bytes_out);
    metrics_error(s3->metrics, access_line_code(http, r));
    access_line_write(http, r);
    if (r == NULL)
        return;
    authenticate_end(r);
    context_end(r);
    s3_body_free(r);
    if (r->unsent != NULL)
        r->unsent->close(r->unsent);
    file_close(&r->file);
}

/* The server refuses by itself: malformed HTTP, or no worker is free. */
static void on_refuse(struct http_request *http, unsigned status, const char *why)
{
    struct s3_request blank = {.http = http, .s3 = http->ctx, .arena = http->arena};
    struct s3_request *r = http->user != NULL ? http->user : &blank;
    enum s3_code code = status == 503   ? S3_SLOW_DOWN
                        : status == 500 ? S3_INTERNAL_ERROR
                                        : S3_BAD_REQUEST;

    s3_reply_error(r, s3_fail(&r->error, code, why));
    http->reply.status = status;
}

/* What handlers may be waiting for ends now. */
static void on_cut(void *s3)
{
    fs_cancel(((struct s3 *)s3)->fs);
}

struct http_handler s3_handler(struct s3 *s3)
{
    return (struct http_handler){
        .head = on_head,
        .work = on_work,
        .body_end = on_body_end,
        .done = on_done,
        .refuse = on_refuse,
        .cut = on_cut,
        .ctx = s3,
    };
}
