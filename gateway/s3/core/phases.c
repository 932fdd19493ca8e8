#include "gateway/s3/core/phases.h"

#include "gateway/metrics/metrics.h"
#include "gateway/s3/core/authenticate.h"
#include "gateway/s3/core/authorize.h"
#include "gateway/s3/core/body.h"
#include "gateway/s3/core/context.h"
#include "gateway/s3/core/refuse.h"
#include "gateway/s3/core/reply.h"
#include "gateway/s3/proto/names.h"

/* An upload of at least this size is checked before its body is asked for. */
#define EARLY_BYTES ((int64_t)1 << 20)

enum s3_next s3_phase_end(struct s3_request *r, enum s3_code code)
{
    r->refusal = code;
    return code == S3_OK ? S3_NEXT : S3_REFUSED;
}

/* Texts that could not be copied are neither used nor answered. */
static enum s3_code check_memory(struct s3_request *r)
{
    enum err err = arena_check(r->arena);

    return err == OK ? S3_OK : s3_fail_err(r, ERR_NOMEM, "work on the request");
}

/* --- what the head decides -------------------------------------------------------------------- */

static enum s3_next parse(struct s3_request *r)
{
    return s3_phase_end(r, s3_request_open(r));
}

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

static enum s3_next route(struct s3_request *r)
{
    enum s3_code code = S3_OK;

    r->op = s3_route(r, &code);
    if (code == S3_OK && is_form(r))
        code = not_built(r);
    if (code != S3_OK || !r->op->everybody)
        return s3_phase_end(r, code);
    (void)r->op->handle(r);
    s3_reply_ids(r);
    return S3_ANSWERED;
}

static enum s3_next decide(struct s3_request *r)
{
    enum s3_code code = check_memory(r);

    return code == S3_OK ? authorize_decide(r) : s3_phase_end(r, code);
}

static enum s3_next refuse(struct s3_request *r)
{
    enum s3_code code = S3_OK;

    if (r->op->handle == NULL)
        return s3_phase_end(r, not_built(r));
    if (r->op->scope == S3_OBJECT)
        code = names_check_key(r->key, &r->error);
    if (code == S3_OK)
        code = s3_refuse_headers(r);
    return s3_phase_end(r, code == S3_OK ? s3_body_expect(r) : code);
}

/* --- before the body -------------------------------------------------------------------------- */

/* The bucket was looked up and is not there: the body would be sent in vain. */
static bool is_missing(const struct s3_request *r)
{
    const struct s3_bucket_state *b = &r->buckets[S3_TARGET];

    return b->wanted && b->context == NULL && r->op->body == S3_BODY_FILE && s3_body_expected(r);
}

static bool wants_early_check(const struct s3_request *r)
{
    if (is_missing(r))
        return true;
    switch (r->op->early) {
    case S3_EARLY_ALWAYS:
        return true;
    case S3_EARLY_LARGE:
        return r->http->wants_100 && (s3_has_conditions(r) || r->intake.expected < 0 ||
                                      r->intake.expected >= EARLY_BYTES);
    default:
        return false;
    }
}

static enum s3_code check_before_body(struct s3_request *r)
{
    if (is_missing(r))
        return s3_fail_missing(r, META_MISSING_BUCKET);
    return r->op->before_body != NULL ? r->op->before_body(r) : S3_OK;
}

static enum s3_next check_early(struct s3_request *r)
{
    enum s3_code code;
    bool again;

    do {
        authorize_begin(r);
        code = authorize_end(r, check_before_body(r), &again);
    } while (again);
    return s3_phase_end(r, code);
}

/* --- the body --------------------------------------------------------------------------------- */

static enum s3_next begin_body(struct s3_request *r)
{
    enum s3_code code = s3_body_begin(r);

    return code == S3_OK && s3_body_expected(r) ? S3_TAKE_BODY : s3_phase_end(r, code);
}

static enum s3_next verify(struct s3_request *r)
{
    enum s3_code code = s3_body_end(r, r->intake.result);

    if (code == S3_OK && r->op->body == S3_BODY_FILE)
        metrics_payload(r->s3->metrics, r->identity.auth.payload);
    if (code == S3_OK && r->writer != NULL && !writer_end(r->writer))
        return S3_NEXT_ONCE_STORED;
    return s3_phase_end(r, code);
}

/* --- the handler, in one go or several -------------------------------------------------------- */

static enum s3_code begin_handler(struct s3_request *r)
{
    if (s3_still_wanted(r) != OK)
        return s3_fail_err(r, ERR_CANCELLED, "begin");
    return r->op->handle(r);
}

/* Discards what the handler has made of the request so far, but keeps its body. */
static void forget_work(struct s3_request *r)
{
    http_reply_reset(r->http);
    if (r->unsent != NULL)
        r->unsent->close(r->unsent);
    file_close(&r->file);
    r->unsent = NULL;
    r->file = (struct file){0};
    r->state = NULL;
    r->resume = NULL;
    r->waits = false;
    r->error = (struct s3_error){0};
}

static enum s3_code run_handler(struct s3_request *r, bool *out_again)
{
    enum s3_code (*resume)(struct s3_request * r) = r->resume;
    enum s3_code code;

    r->resume = NULL;
    authorize_begin(r);
    code = resume != NULL ? resume(r) : begin_handler(r);
    return authorize_end(r, code, out_again);
}

/* A commit that was refused for a stale decision left the writer as it was (fs/file.h). */
static enum s3_next handle(struct s3_request *r)
{
    bool again;
    enum s3_code code = run_handler(r, &again);

    while (again) {
        forget_work(r);
        code = run_handler(r, &again);
    }
    if (code == S3_OK && r->resume != NULL)
        return r->waits ? S3_WAIT : S3_AGAIN;
    return s3_phase_end(r, code);
}

static enum s3_next answer(struct s3_request *r)
{
    enum s3_code code = s3_reserve_answer(r);

    s3_reply_ids(r);
    if (code == S3_OK)
        code = check_memory(r);
    return code == S3_OK ? S3_ANSWERED : s3_phase_end(r, code);
}

const struct s3_phase s3_phases[] = {
    {.name = "parse", .run = parse},
    {.name = "route", .run = route},
    {.name = "authenticate", .run = authenticate},
    {.name = "ask for the key",
     .blocks = true,
     .is_wanted = authenticate_must_ask,
     .run = authenticate_ask},
    {.name = "context", .run = context_find},
    {.name = "load the context",
     .blocks = true,
     .is_wanted = context_must_load,
     .run = context_load},
    {.name = "authorize", .run = decide},
    {.name = "prove the denial",
     .blocks = true,
     .is_wanted = authorize_must_prove,
     .run = authorize_prove},
    {.name = "refuse", .run = refuse},
    {.name = "early check", .blocks = true, .is_wanted = wants_early_check, .run = check_early},
    {.name = "body", .run = begin_body},
    {.name = "verify", .is_wanted = s3_body_expected, .run = verify},
    {.name = "handle", .blocks = true, .in_rows_lane = true, .run = handle},
    {.name = "answer", .run = answer},
    {.name = NULL},
};
