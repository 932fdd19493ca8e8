/*
 * One HTTP request to the S3 store by libcurl: handles that are used again with their connections,
 * bodies sent from and received into the caller's memory, and limits of time.
 */
#include "fs/store/s3_internal.h"

#include <curl/curl.h>
#include <string.h>

#define ERROR_TEXT_MAX ((size_t)64 << 10)
/* Measured on loopback with 4 MiB: up to here it gets faster (64 KiB: 1.2 times as slow). */
#define UPLOAD_BUFFER_BYTES   (256L << 10)
#define DOWNLOAD_BUFFER_BYTES (64L << 10)

/* --- the pool of handles: a stack, so that the warm connections are used ---------------------- */

static CURL *pool_take(struct s3_store *s)
{
    CURL *curl = NULL;

    pthread_mutex_lock(&s->lock);
    if (s->idle_count > 0)
        curl = s->idle[--s->idle_count];
    pthread_mutex_unlock(&s->lock);
    return curl != NULL ? curl : curl_easy_init();
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

/* Copies to bytes at.. of a vector that has room for them. */
static void scatter(const struct iovec *iov, size_t at, const char *data, size_t len)
{
    while (at >= iov->iov_len)
        at -= iov++->iov_len;
    while (len > 0) {
        size_t n = iov->iov_len - at < len ? iov->iov_len - at : len;

        memcpy((char *)iov->iov_base + at, data, n);
        data += n;
        len -= n;
        at = 0;
        iov++;
    }
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
        scatter(t->r->out, t->a->got, data, len);
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
    if (t->a->status / 100 == 2 && t->r->out != NULL)
        return take_object(t, data, len);
    /* An error's document: its beginning is enough. */
    if (t->a->status / 100 == 2 || t->a->text.len + len <= ERROR_TEXT_MAX)
        buf_append(&t->a->text, data, len);
    return len;
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
    } else if (strcmp(r->method, "POST") == 0) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_len);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, r->iov->iov_base);
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

void s3_perform(struct s3_store *s, const struct s3_request *r, struct s3_answer *a,
                const char *url, struct curl_slist *headers, int64_t left_ms, struct s3_outcome *o)
{
    struct transfer t = {.r = r, .a = a, .curl = pool_take(s)};
    curl_off_t length = -1;

    if (t.curl == NULL) {
        o->code = CURLE_OUT_OF_MEMORY;
        return;
    }
    set_limits(s, t.curl, left_ms);
    set_method(t.curl, r, &t);
    s3_cancellable(s, t.curl);
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
