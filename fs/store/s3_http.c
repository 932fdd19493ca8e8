#include "fs/store/s3_internal.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "base/rand.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RETRY_MAX_MS   5000
#define ERROR_TEXT_MAX ((size_t)64 << 10)
/* Measured on loopback with 4 MiB: up to here it gets faster (64 KiB: 1.2 times as slow). */
#define UPLOAD_BUFFER_BYTES   (256L << 10)
#define DOWNLOAD_BUFFER_BYTES (64L << 10)
#define UNSIGNED_PAYLOAD      "UNSIGNED-PAYLOAD"

/* --- the pool of handles: a stack, so that the warm connections are used ---------------------- */

static CURL *pool_take(struct s3_store *s)
{
    CURL *curl = NULL;

    pthread_mutex_lock(&s->lock);
    if (s->idle_count > 0)
        curl = s->idle[--s->idle_count];
    pthread_mutex_unlock(&s->lock);
    return curl ? curl : curl_easy_init();
}

static void pool_give(struct s3_store *s, CURL *curl)
{
    curl_easy_reset(curl);
    pthread_mutex_lock(&s->lock);
    if (s->idle_count < S3_IDLE_MAX) {
        s->idle[s->idle_count++] = curl;
        curl = NULL;
    }
    pthread_mutex_unlock(&s->lock);
    curl_easy_cleanup(curl);
}

void s3_pool_fini(struct s3_store *s)
{
    while (s->idle_count > 0)
        curl_easy_cleanup(s->idle[--s->idle_count]);
}

/* --- one attempt ------------------------------------------------------------------------------ */

/* What curl's callbacks work on; lives on the stack of one attempt. */
struct transfer {
    CURL *curl;
    const struct s3_request *r;
    struct s3_answer *a;
    int iov_at;      /* sending: the piece */
    size_t iov_done; /* and how much of it */
    uint64_t skip;   /* receiving: bytes before the offset, when the range was ignored */
    bool saw_data;
    bool too_long;
};

static size_t on_send(char *to, size_t size, size_t count, void *user)
{
    struct transfer *t = user;
    size_t room = size * count;
    size_t done = 0;

    while (done < room && t->iov_at < t->r->iov_count) {
        const struct iovec *piece = &t->r->iov[t->iov_at];
        size_t n = piece->iov_len - t->iov_done;
        if (n > room - done)
            n = room - done;
        if (n > 0)
            memcpy(to + done, (const char *)piece->iov_base + t->iov_done, n);
        done += n;
        t->iov_done += n;
        if (t->iov_done == piece->iov_len) {
            t->iov_at++;
            t->iov_done = 0;
        }
    }
    return done;
}

/* curl starts over when a kept connection turns out to be closed. */
static int on_rewind(void *user, curl_off_t offset, int origin)
{
    struct transfer *t = user;

    if (offset != 0 || origin != SEEK_SET)
        return CURL_SEEKFUNC_CANTSEEK;
    t->iov_at = 0;
    t->iov_done = 0;
    return CURL_SEEKFUNC_OK;
}

static long status_of(CURL *curl)
{
    long status = 0;

    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

/* Object bytes. Returning less than it was given makes curl give up. */
static size_t take_object(struct transfer *t, const char *data, size_t len)
{
    size_t given = len;

    if (t->skip > 0) {
        size_t n = t->skip < len ? (size_t)t->skip : len;
        t->skip -= n;
        data += n;
        len -= n;
    }
    size_t room = t->r->out_len - t->a->got;
    if (len > room) {
        t->too_long = true;
        len = room;
    }
    if (len > 0)
        memcpy(t->r->out + t->a->got, data, len);
    t->a->got += len;
    return t->too_long ? 0 : given;
}

static size_t on_receive(char *data, size_t size, size_t count, void *user)
{
    struct transfer *t = user;
    size_t len = size * count;

    if (!t->saw_data) {
        t->saw_data = true;
        t->a->status = status_of(t->curl);
        /* A server may ignore the range and send all. */
        t->skip = t->a->status == 200 ? t->r->offset : 0;
    }
    if (t->a->status / 100 == 2 && t->r->out)
        return take_object(t, data, len);
    /* An error's document: its beginning is enough. */
    if (t->a->status / 100 == 2 || t->a->text.len + len <= ERROR_TEXT_MAX)
        buf_append(&t->a->text, data, len);
    return len;
}

static void path_and_query(const struct s3_store *s, const struct s3_request *r, struct buf *path,
                           struct buf *url)
{
    const struct s3_target *t = &s->target;

    buf_append_char(path, '/');
    if (t->path_style)
        buf_printf(path, "%s%s", t->bucket, r->name ? "/" : "");
    if (r->name)
        buf_printf(path, "%s%s", t->prefix, r->name);
    buf_append_cstr(url, t->base);
    percent_encode(url, buf_str(path), PERCENT_KEEP_SLASH);
    for (size_t i = 0; i < r->arg_count; i++) {
        buf_append_char(url, i == 0 ? '?' : '&');
        percent_encode(url, r->args[i].name, PERCENT_KEEP_NONE);
        buf_append_char(url, '=');
        percent_encode(url, r->args[i].value, PERCENT_KEEP_NONE);
    }
}

/* The value of the Authorization header. */
static enum err authorize(const struct s3_store *s, const struct s3_request *r, struct str path,
                          const char *now, struct buf *out)
{
    const struct sigv4_header headers[] = {
        {STR("host"), str_of(s->target.host)},
        {STR("x-amz-content-sha256"), STR(UNSIGNED_PAYLOAD)},
        {STR("x-amz-date"), str_of(now)},
        {STR("x-amz-checksum-crc32c"), str_of(r->checksum)},
    };
    const struct sigv4_request request = {
        .method = str_of(r->method),
        .path = path,
        .args = r->args,
        .arg_count = r->arg_count,
        .headers = headers,
        .header_count = r->checksum[0] ? 4 : 3,
        .payload_hash = STR(UNSIGNED_PAYLOAD),
    };
    const struct sigv4_scope scope = {
        .date = {now, 8},
        .region = str_of(s->target.region),
        .service = STR("s3"),
    };
    struct buf canonical;
    struct buf names;
    uint8_t key[32];
    char signature[SIGV4_SIGNATURE_HEX + 1];

    buf_init(&canonical, 16384);
    buf_init(&names, 256);
    enum err e = sigv4_canonical(&request, &canonical, &names);
    if (e == OK)
        e = sigv4_key(str_of(s->secret_key), &scope, key);
    if (e == OK)
        e = sigv4_sign(key, str_of(now), &scope, buf_str(&canonical), signature);
    if (e == OK) {
        buf_printf(out,
                   "Authorization: AWS4-HMAC-SHA256 Credential=%s/%.8s/%s/s3/aws4_request, "
                   "SignedHeaders=" STR_FMT ", Signature=%s",
                   s->access_key, now, s->target.region, STR_ARG(buf_str(&names)), signature);
        e = buf_check(out);
    }
    buf_fini(&names);
    buf_fini(&canonical);
    return e;
}

static enum err add_header(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);

    if (!longer)
        return err_set(ERR_NOMEM, "no memory for a header");
    *list = longer;
    return OK;
}

static enum err make_headers(const struct s3_store *s, const struct s3_request *r, struct str path,
                             struct curl_slist **out)
{
    char now[CLOCK_TEXT_MAX];
    char line[S3_HOST_MAX + 32];
    struct buf authorization;
    enum err e;

    clock_amz(clock_wall_ms(), now);
    buf_init(&authorization, 4096);
    e = authorize(s, r, path, now, &authorization);
    if (e == OK)
        e = add_header(out, authorization.data);
    buf_fini(&authorization);
    snprintf(line, sizeof(line), "Host: %s", s->target.host);
    if (e == OK)
        e = add_header(out, line);
    snprintf(line, sizeof(line), "x-amz-date: %s", now);
    if (e == OK)
        e = add_header(out, line);
    if (e == OK)
        e = add_header(out, "x-amz-content-sha256: " UNSIGNED_PAYLOAD);
    snprintf(line, sizeof(line), "x-amz-checksum-crc32c: %s", r->checksum);
    if (e == OK && r->checksum[0])
        e = add_header(out, line);
    /* Otherwise curl waits a second for the store to say 100 Continue. */
    if (e == OK)
        e = add_header(out, "Expect:");
    snprintf(line, sizeof(line), "Range: bytes=%" PRIu64 "-%" PRIu64, r->offset,
             r->offset + r->out_len - 1);
    if (e == OK && r->out)
        e = add_header(out, line);
    return e;
}

static void set_limits(const struct s3_store *s, CURL *curl, int64_t left_ms)
{
    const struct store_options *o = &s->opts;
    int64_t total = left_ms < o->request_timeout_ms ? left_ms : o->request_timeout_ms;
    unsigned int stall_s = (o->stall_timeout_ms + 999) / 1000;

    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)o->connect_timeout_ms);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(total > 0 ? total : 1));
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1024L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)stall_s);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXCONNECTS, 1L);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    /* One connection a handle is what we want; HTTP/2 would add framing and windows to it. */
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    if (s->target.own_endpoint)
        curl_easy_setopt(curl, CURLOPT_PROXY, "");
    if (s->ca_file[0])
        curl_easy_setopt(curl, CURLOPT_CAINFO, s->ca_file);
}

static void set_method(CURL *curl, const struct s3_request *r, struct transfer *t)
{
    if (strcmp(r->method, "PUT") == 0) {
        curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)r->body_len);
        curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_send);
        curl_easy_setopt(curl, CURLOPT_READDATA, t);
        curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, on_rewind);
        curl_easy_setopt(curl, CURLOPT_SEEKDATA, t);
        if (r->body_len > (64 << 10))
            curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER_BYTES);
    } else if (strcmp(r->method, "HEAD") == 0) {
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    } else if (strcmp(r->method, "GET") != 0) {
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, r->method);
    }
    if (r->out_len > (64 << 10))
        curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, DOWNLOAD_BUFFER_BYTES);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_receive);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
}

/* How an attempt ended: curl's code, its words, and s3_answer for the rest. */
struct outcome {
    CURLcode code;
    bool too_long;
    char words[CURL_ERROR_SIZE];
};

static void perform(struct s3_store *s, const struct s3_request *r, struct s3_answer *a,
                    const char *url, struct curl_slist *headers, int64_t left_ms, struct outcome *o)
{
    struct transfer t = {.r = r, .a = a, .curl = pool_take(s)};
    curl_off_t length = -1;

    if (!t.curl) {
        o->code = CURLE_OUT_OF_MEMORY;
        return;
    }
    set_limits(s, t.curl, left_ms);
    set_method(t.curl, r, &t);
    curl_easy_setopt(t.curl, CURLOPT_URL, url);
    curl_easy_setopt(t.curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(t.curl, CURLOPT_ERRORBUFFER, o->words);
    o->code = curl_easy_perform(t.curl);
    o->too_long = t.too_long;
    a->status = status_of(t.curl);
    curl_easy_getinfo(t.curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    a->content_length = length;
    pool_give(s, t.curl);
}

/* Fails only before anything was sent (memory, signing); what happened is in `o` and `a`. */
static enum err attempt(struct s3_store *s, const struct s3_request *r, struct s3_answer *a,
                        int64_t left_ms, struct outcome *o)
{
    struct buf path;
    struct buf url;
    struct curl_slist *headers = NULL;

    *o = (struct outcome){0};
    a->status = 0;
    a->got = 0;
    a->content_length = -1;
    a->code[0] = a->message[0] = '\0';
    buf_clear(&a->text);
    buf_init(&path, 2048);
    buf_init(&url, 8192);
    path_and_query(s, r, &path, &url);
    enum err e = buf_check(&path);
    if (e == OK)
        e = buf_check(&url);
    if (e == OK)
        e = make_headers(s, r, buf_str(&path), &headers);
    if (e == OK)
        perform(s, r, a, url.data, headers, left_ms, o);
    curl_slist_free_all(headers);
    buf_fini(&url);
    buf_fini(&path);
    if (e == OK && o->code == CURLE_OK && a->status / 100 != 2)
        s3_xml_error(buf_str(&a->text), a);
    return e;
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

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (strcmp(code, codes[i]) == 0)
            return true;
    }
    return false;
}

static bool may_retry(const struct outcome *o, const struct s3_answer *a)
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

static enum err code_of_curl(const struct outcome *o)
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

static enum err code_of_status(const struct s3_answer *a)
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
    case 507: /* MinIO: the disk is full */
        return ERR_BUSY;
    default:
        return ERR_IO;
    }
}

/* The final error, with a text that names the store, the request and the store's own words. */
static enum err conclude(const struct s3_store *s, const struct s3_request *r,
                         const struct s3_answer *a, const struct outcome *o, unsigned int attempts)
{
    const char *name = r->name ? r->name : "(bucket)";
    const char *where = s->base.label;

    if (o->too_long)
        return err_set(ERR_IO, "%s: %s %s: more bytes than asked for", where, r->method, name);
    if (o->code != CURLE_OK)
        return err_set(code_of_curl(o), "%s: %s %s: %s (%u attempts)", where, r->method, name,
                       o->words[0] ? o->words : curl_easy_strerror(o->code), attempts);
    if (a->status / 100 == 2)
        return OK;
    return err_set(code_of_status(a), "%s: %s %s: %ld %s%s%s (%u attempts)", where, r->method, name,
                   a->status, a->code, a->message[0] ? ": " : "", a->message, attempts);
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

static void sleep_ms(int64_t ms)
{
    struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};

    nanosleep(&ts, NULL);
}

enum err s3_call(struct s3_store *s, const struct s3_request *r, struct s3_answer *a)
{
    int64_t deadline = clock_boot_ms() + s->opts.call_timeout_ms;
    struct outcome o;

    for (unsigned int attempts = 1;; attempts++) {
        enum err e = attempt(s, r, a, deadline - clock_boot_ms(), &o);
        if (e != OK)
            return e;
        e = conclude(s, r, a, &o, attempts);
        if (e == OK || attempts >= s->opts.max_attempts || !may_retry(&o, a))
            return e;
        int64_t wait = backoff_ms(&s->opts, attempts);
        if (clock_boot_ms() + wait >= deadline)
            return e;
        log_debug("%s; again in %" PRId64 " ms", err_text(e), wait);
        store_count_retry(&s->base);
        sleep_ms(wait);
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
