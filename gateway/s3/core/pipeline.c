#include "gateway/s3/core/pipeline.h"

#include "base/clock.h"
#include "base/log.h"
#include "gateway/metrics/metrics.h"
#include "gateway/s3/core/access_line.h"
#include "gateway/s3/core/authorize.h"
#include "gateway/s3/proto/names.h"
#include "gateway/s3/core/ops.h"
#include "gateway/s3/core/expected_owner.h"

#include <stdio.h>

/* An upload of this size is checked before its body is asked for. */
#define EARLY_BYTES ((int64_t)1 << 20)

static enum http_next fail(struct s3_request *r, enum s3_code code)
{
    /* Without memory a name or a signature looked wrong, perhaps: the client did nothing. */
    if (err_memory_refusals() != r->refusals && s3_code_status(code) < 500)
        code = s3_fail_err(r, ERR_NOMEM, "work on the request");
    s3_reply_error(r, code);
    return HTTP_REPLY;
}

/* Nothing goes on with, or is answered from, texts that could not be copied. */
static enum s3_code check_memory(struct s3_request *r)
{
    enum err err = arena_check(r->arena);

    return err == OK ? S3_OK : s3_fail_err(r, ERR_NOMEM, "work on the request");
}

/* --- authentication -------------------------------------------------------------------------- */

/* Refusals that rest on what the database may have changed since the key was kept here. */
static bool is_about_key(enum s3_code code)
{
    return code == S3_INVALID_ACCESS_KEY_ID || code == S3_SIGNATURE_DOES_NOT_MATCH;
}

/*
 * By the key as it is kept here. False: it is not here, or it refuses the request; the database
 * must be asked, on a worker, since a refusal is proven like a grant.
 */
static bool authenticate(struct s3_request *r)
{
    r->refused = S3_INVALID_ACCESS_KEY_ID;
    if (account_key_find(r->s3->meta, r->auth.access_key, &r->access) == OK)
        r->refused = authorize_signature(r);
    return !is_about_key(r->refused);
}

/*
 * Anybody can ask for keys that do not exist. So that they find no worker busy, only a share of the
 * workers answers such questions; what is too much is refused at once.
 */
static bool may_ask(struct s3_request *r)
{
    r->is_asking = atomic_fetch_add(&r->s3->asking, 1) < S3_ASKING_MAX;
    if (!r->is_asking)
        atomic_fetch_sub(&r->s3->asking, 1);
    return r->is_asking;
}

static void stop_asking(struct s3_request *r)
{
    if (r->is_asking)
        atomic_fetch_sub(&r->s3->asking, 1);
    r->is_asking = false;
}

/* Worker: the key as the database has it. What was refused by the same row stays refused. */
static enum s3_code ask_for_key(struct s3_request *r)
{
    struct access_key known = r->access;
    enum err err = account_key_look_up(r->s3->meta, r->auth.access_key, &r->access);

    stop_asking(r);
    if (err == ERR_NOT_FOUND)
        return auth_check(&r->auth_request, r->arena, NULL, &r->auth, &r->error);
    if (err != OK)
        return s3_fail_err(r, err, "look up the access key");
    if (known.stored_len > 0 && known.enabled == r->access.enabled &&
        str_eq(access_key_stored(&known), access_key_stored(&r->access)))
        return r->refused;
    return authorize_signature(r);
}

/* --- after authentication: what can be refused before the body -------------------------------- */

static enum s3_code not_built(struct s3_request *r)
{
    return s3_fail(&r->error, S3_NOT_IMPLEMENTED,
                   arena_printf(r->arena, "%s is not implemented", r->op->name));
}

/* A browser's upload: its signature, if any, is a field of the form. */
static bool is_form(const struct s3_request *r)
{
    return r->op->is_form &&
           str_starts_nocase(str_trim(s3_header(r, "content-type")), STR("multipart/form-data"));
}

static enum s3_code check_request(struct s3_request *r)
{
    enum s3_code code = S3_OK;

    if (r->op->handle == NULL)
        return not_built(r);
    if (r->op->scope == S3_OBJECT)
        code = names_check_key(r->key, &r->error);
    return code == S3_OK ? s3_refuse_headers(r) : code;
}

/* An upload that is to be refused for whose bucket it is: better before its body than after. */
static bool may_be_foreign(const struct s3_request *r)
{
    return authorize_wants_owner(r) && r->op->body == S3_BODY_FILE &&
           (r->http->wants_100 || r->expected < 0 || r->expected >= EARLY_BYTES);
}

static bool wants_early_check(const struct s3_request *r)
{
    if (may_be_foreign(r) || (expected_owner_given(r) && s3_body_expected(r)))
        return true;
    switch (r->op->early) {
    case S3_EARLY_ALWAYS:
        return true;
    case S3_EARLY_LARGE:
        return r->http->wants_100 &&
               (s3_has_conditions(r) || r->expected < 0 || r->expected >= EARLY_BYTES);
    default:
        return false;
    }
}

/* The handler is next. */
static void choose_lane(struct s3_request *r)
{
    r->step = S3_STEP_HANDLE;
    r->http->lane = r->op->lane;
}

static enum http_next begin_body(struct s3_request *r)
{
    enum s3_code code = s3_body_begin(r);

    if (code != S3_OK)
        return fail(r, code);
    choose_lane(r);
    return s3_body_expected(r) ? HTTP_BODY : HTTP_WORK;
}

/* How many payload bytes will come; refuses what no operation takes. */
static enum s3_code expect_length(struct s3_request *r)
{
    r->expected = r->auth.framed ? (int64_t)r->auth.decoded_length : r->http->content_length;
    if (r->op->body != S3_BODY_FILE)
        return S3_OK;
    if (r->expected < 0 && !r->http->is_chunked)
        return s3_fail(&r->error, S3_MISSING_CONTENT_LENGTH, NULL);
    if (r->expected > S3_PUT_MAX)
        return s3_fail(&r->error, S3_ENTITY_TOO_LARGE, NULL);
    return S3_OK;
}

static enum http_next admitted(struct s3_request *r)
{
    enum s3_code code = check_memory(r);

    if (code == S3_OK)
        code = authorize_request(r);
    if (code == S3_OK)
        code = check_request(r);
    if (code == S3_OK)
        code = expect_length(r);
    if (code != S3_OK)
        return fail(r, code);
    if (!wants_early_check(r))
        return begin_body(r);
    r->step = S3_STEP_BEFORE_BODY;
    return HTTP_WORK;
}

static enum http_next enter(struct s3_request *r)
{
    if (authenticate(r))
        return r->refused == S3_OK ? admitted(r) : fail(r, r->refused);
    if (!may_ask(r))
        return fail(r, s3_fail(&r->error, S3_SLOW_DOWN, NULL));
    r->step = S3_STEP_AUTH;
    return HTTP_WORK;
}

/* --- the server's calls ----------------------------------------------------------------------- */

static enum http_next on_head(struct http_request *http)
{
    struct s3_request *r = arena_alloc(http->arena, sizeof(*r));
    enum s3_code code;

    if (r == NULL) {
        http_reply_empty(http, 503);
        return HTTP_REPLY;
    }
    http->user = r;
    r->refusals = err_memory_refusals();
    r->http = http;
    r->s3 = http->ctx;
    r->arena = http->arena;
    r->default_algo = CHECKSUM_CRC64NVME;
    s3_reserve_begin(r);
    code = s3_request_open(r);
    if (code == S3_OK)
        r->op = s3_route(r, &code);
    if (code == S3_OK && is_form(r))
        code = not_built(r);
    if (code == S3_OK && r->op->everybody) {
        (void)r->op->handle(r);
        s3_reply_ids(r);
        return HTTP_REPLY;
    }
    if (code == S3_OK)
        code = auth_parse(&r->auth_request, r->arena, &r->auth, &r->error);
    if (code != S3_OK)
        return fail(r, code);
    return r->auth.kind == AUTH_ANONYMOUS ? admitted(r) : enter(r);
}

static enum http_next look_up(struct s3_request *r)
{
    enum s3_code code = ask_for_key(r);

    return code == S3_OK ? admitted(r) : fail(r, code);
}

static enum http_next before_body(struct s3_request *r)
{
    enum s3_code code = S3_OK;

    authorize_begin(r);
    if (expected_owner_given(r))
        code = expected_owner_check(r, OWNER_OF_BUCKET, r->bucket);
    if (code == S3_OK && r->op->before_body != NULL)
        code = r->op->before_body(r);
    code = authorize_end(r, code);
    return code == S3_OK ? begin_body(r) : fail(r, code);
}

/* --- the handler, in one go or several -------------------------------------------------------- */

/*
 * A write whose proof fails takes its whole batch with it on PostgreSQL, and others' writes are
 * sent again. So a write that may be refused for its bucket asks first, in a batch of reads.
 */
static enum err ask_first(struct s3_request *r)
{
    if (s3_op_reads(r->op) || r->proof.proven || !authorize_wants_owner(r))
        return OK;
    return access_check(r->s3->meta);
}

static enum s3_code begin_handler(struct s3_request *r)
{
    enum s3_code code = S3_OK;
    enum err err;

    if (s3_still_wanted(r) != OK)
        return s3_fail_err(r, ERR_CANCELLED, "begin");
    err = ask_first(r);
    if (err != OK)
        return s3_fail_err(r, err, "prove the access key");
    if (expected_owner_given(r))
        code = expected_owner_check(r, OWNER_OF_BUCKET, r->bucket);
    return code == S3_OK ? r->op->handle(r) : code;
}

static enum http_next handle(struct s3_request *r)
{
    enum s3_code (*resume)(struct s3_request * r) = r->resume;
    enum s3_code code;

    r->resume = NULL;
    authorize_begin(r);
    code = resume != NULL ? resume(r) : begin_handler(r);
    code = authorize_end(r, code);
    if (code == S3_OK && r->resume != NULL)
        return r->waits ? HTTP_WAIT : HTTP_WORK;
    if (code == S3_OK)
        code = s3_reserve_answer(r);
    s3_reply_ids(r);
    if (code == S3_OK)
        code = check_memory(r);
    return code == S3_OK ? HTTP_REPLY : fail(r, code);
}

static enum http_next on_work(struct http_request *http)
{
    struct s3_request *r = http->user;

    r->refusals = err_memory_refusals();
    switch (r->step) {
    case S3_STEP_AUTH:
        return look_up(r);
    case S3_STEP_BEFORE_BODY:
        return before_body(r);
    default:
        return handle(r);
    }
}

static enum http_next on_body_end(struct http_request *http, enum err result)
{
    struct s3_request *r = http->user;
    enum s3_code code;

    r->refusals = err_memory_refusals();
    code = s3_body_end(r, result);
    if (code != S3_OK)
        return fail(r, code);
    if (r->op->body == S3_BODY_FILE)
        metrics_payload(r->s3->metrics, r->auth.payload);
    choose_lane(r);
    return r->writer == NULL || writer_end(r->writer) ? HTTP_WORK : HTTP_WAIT;
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
    stop_asking(r);
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
