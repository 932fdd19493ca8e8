/*
 * A call: attempts until one succeeds, cannot succeed, or the attempts or the time are used up.
 */
#include "fs/store/s3_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define RETRY_MAX_MS 5000

/* Fails only before anything was sent (memory, signing); what happened is in `o` and `a`. */
static enum err attempt(struct s3_store *s, const struct s3_request *r, struct s3_answer *a,
                        int64_t left_ms, struct s3_outcome *o)
{
    struct buf path;
    struct buf url;
    struct curl_slist *headers = NULL;

    *o = (struct s3_outcome){0};
    a->status = 0;
    a->got = 0;
    a->content_length = -1;
    a->code[0] = a->message[0] = '\0';
    buf_clear(&a->text);
    buf_init(&path, 2048);
    buf_init(&url, 8192);
    s3_path_and_query(s, r, &path, &url);
    enum err err = buf_check(&path);
    if (err == OK)
        err = buf_check(&url);
    if (err == OK)
        err = s3_make_headers(s, r, buf_str(&path), &headers);
    if (err == OK)
        s3_perform(s, r, a, url.data, headers, left_ms, o);
    curl_slist_free_all(headers);
    buf_fini(&url);
    buf_fini(&path);
    if (err == OK && o->code == CURLE_OK && a->status / 100 != 2)
        s3_xml_error(buf_str(&a->text), a);
    return err;
}

/* --- what an outcome means -------------------------------------------------------------------- */

static bool curl_may_retry(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_AGAIN:
        return true;
    default:
        return false;
    }
}

/* Codes of 4xx answers that another attempt may not meet; the two in the middle are damage. */
static bool code_may_retry(const char *code)
{
    static const char *const codes[] = {"RequestTimeout", "BadDigest",
                                        "XAmzContentChecksumMismatch", "OperationAborted"};

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (strcmp(code, codes[i]) == 0)
            return true;
    return false;
}

static bool may_retry(const struct s3_outcome *o, const struct s3_answer *a)
{
    if (o->code != CURLE_OK)
        return curl_may_retry(o->code);
    switch (a->status) {
    case 408:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
        return true;
    default:
        return code_may_retry(a->code);
    }
}

static enum err code_of_curl(const struct s3_outcome *o)
{
    switch (o->code) {
    case CURLE_OK:
        return OK;
    case CURLE_OUT_OF_MEMORY:
        return ERR_NOMEM;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        return ERR_DENIED;
    default:
        return curl_may_retry(o->code) ? ERR_BUSY : ERR_IO;
    }
}

enum err s3_answer_error(const struct s3_answer *a)
{
    switch (a->status) {
    case 401:
    case 403:
        return ERR_DENIED;
    case 404: /* a bucket that is gone is no proof that the object is */
        return strcmp(a->code, "NoSuchBucket") == 0 ? ERR_IO : ERR_NOT_FOUND;
    case 416: /* the range begins behind the object's end */
        return ERR_CORRUPT;
    case 408:
    case 429:
    case 502:
    case 503:
    case 504:
        return ERR_BUSY;
    case 500: /* MinIO, when the disk fills up between two of its looks at it */
        return strstr(a->message, "no space left on device") != NULL ? ERR_FULL : ERR_IO;
    case 507: /* MinIO: the disk is full */
        return ERR_FULL;
    default:
        return ERR_IO;
    }
}

/* The final error, with a text that names the store, the request and the store's own words. */
static enum err conclude(const struct s3_store *s, const struct s3_request *r,
                         const struct s3_answer *a, const struct s3_outcome *o,
                         unsigned int attempts)
{
    const char *name = r->name != NULL ? r->name : "(bucket)";
    const char *where = s->base.label;
    char times[32] = "";

    if (attempts > 1)
        snprintf(times, sizeof(times), " (%u attempts)", attempts);
    if (o->too_long)
        return err_set(ERR_IO, "%s: %s %s: more bytes than asked for", where, r->method, name);
    if (o->code != CURLE_OK)
        return err_set(code_of_curl(o), "%s: %s %s: %s%s", where, r->method, name,
                       o->words[0] ? o->words : curl_easy_strerror(o->code), times);
    if (a->status / 100 == 2)
        return OK;
    return err_set(s3_answer_error(a), "%s: %s %s: %ld %s%s%s%s", where, r->method, name, a->status,
                   a->code, a->message[0] ? ": " : "", a->message, times);
}

/* --- a call with its retries ------------------------------------------------------------------ */

/* Backoff with full jitter: anything below base * 2^n, so that many clients spread out. */
static int64_t backoff_ms(const struct store_options *o, unsigned int attempts)
{
    uint64_t limit = (uint64_t)o->retry_base_ms << (attempts < 16 ? attempts - 1 : 15);

    if (limit > RETRY_MAX_MS)
        limit = RETRY_MAX_MS;
    return (int64_t)(rand_u64() % (limit + 1));
}

enum err s3_call(struct s3_store *s, const struct s3_request *r, struct s3_answer *a)
{
    int64_t deadline = clock_boot_ms() + s->opts.call_timeout_ms;
    struct s3_outcome o;

    for (unsigned int attempts = 1;; attempts++) {
        enum err err = attempt(s, r, a, deadline - clock_boot_ms(), &o);
        if (err != OK)
            return err;
        err = conclude(s, r, a, &o, attempts);
        if (err != OK && s3_is_cancelled(s))
            return err_set(ERR_CANCELLED, "%s: given up, the process stops", s->base.label);
        if (err == OK || attempts >= s->opts.max_attempts || !may_retry(&o, a))
            return err;
        int64_t wait = backoff_ms(&s->opts, attempts);
        if (clock_boot_ms() + wait >= deadline)
            return err;
        log_debug("%s; again in %" PRId64 " ms", err_text(err), wait);
        store_count_retry(&s->base);
        s3_nap(s, wait);
    }
}

void s3_answer_init(struct s3_answer *a)
{
    memset(a, 0, sizeof(*a));
    buf_init(&a->text, S3_TEXT_MAX);
}

void s3_answer_fini(struct s3_answer *a)
{
    buf_fini(&a->text);
}
