/*
 * The S3 backing store: its operations made of single calls, how a store is opened and probed, and
 * what its refusals advise. One call with its retries is s3_call.c, one attempt s3_http.c.
 */
#include "fs/store/s3_internal.h"

#include "base/codec.h"
#include "base/hash.h"
#include "base/log.h"
#include "fs/store/backends.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * How long after a put's last attempt was given up the store may still finish it: as many time
 * limits of a call, at most a minute.
 */
#define LATE_PUTS   15
#define LATE_PUT_MS 60000

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_started;

static void start_curl(void)
{
    curl_started = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static struct s3_store *s3_of(struct store *s)
{
    return (struct s3_store *)s;
}

/* A call whose answer has no further use. */
static enum err call(struct s3_store *s, const struct s3_request *r)
{
    struct s3_answer a;

    s3_answer_init(&a);
    enum err err = s3_call(s, r, &a);
    s3_answer_fini(&a);
    return err;
}

/* --- objects ---------------------------------------------------------------------------------- */

static enum err crc32c_base64(const struct iovec *iov, int count, char out[16])
{
    struct hash h = {0};
    uint8_t digest[HASH_MAX_BYTES];

    enum err err = hash_init(&h, HASH_CRC32C);
    if (err == OK) {
        for (int i = 0; i < count; i++)
            hash_update(&h, iov[i].iov_base, iov[i].iov_len);
        hash_final(&h, digest);
        base64_encode(digest, hash_size(HASH_CRC32C), out);
    }
    hash_fini(&h);
    return err;
}

static enum err s3_put(struct store *store, const char *name, const struct iovec *iov, int count,
                       size_t len)
{
    struct s3_store *s = s3_of(store);
    struct s3_request r = {
        .method = "PUT", .name = name, .iov = iov, .iov_count = count, .body_len = len};

    enum err err = s->target.checksum ? crc32c_base64(iov, count, r.checksum) : OK;
    if (err == OK)
        err = call(s, &r);
    /* Whatever is missing here, it is not the object. */
    if (err == ERR_NOT_FOUND) {
        struct err_info info;
        err_save(err, &info);
        err = err_set(ERR_IO, "%s", info.text);
    }
    return err;
}

static enum err s3_get(struct store *store, const char *name, uint64_t offset,
                       const struct iovec *iov, int count, size_t len)
{
    struct s3_store *s = s3_of(store);
    struct s3_request r = {
        .method = "GET", .name = name, .out = iov, .offset = offset, .out_len = len};
    struct s3_answer a;

    (void)count;
    s3_answer_init(&a);
    enum err err = s3_call(s, &r, &a);
    if (err == OK && a.got != len)
        err = err_set(ERR_CORRUPT, "%s: %s ends at %" PRIu64 ", asked for %zu from %" PRIu64,
                      store->label, name, offset + a.got, len, offset);
    s3_answer_fini(&a);
    return err;
}

static enum err s3_size(struct store *store, const char *name, uint64_t *out)
{
    struct s3_store *s = s3_of(store);
    struct s3_request r = {.method = "HEAD", .name = name};
    struct s3_answer a;

    s3_answer_init(&a);
    enum err err = s3_call(s, &r, &a);
    if (err == OK && a.content_length < 0)
        err = err_set(ERR_IO, "%s: HEAD %s: no Content-Length", store->label, name);
    if (err == OK)
        *out = (uint64_t)a.content_length;
    s3_answer_fini(&a);
    return err;
}

static enum err s3_del(struct store *store, const char *name)
{
    struct s3_request r = {.method = "DELETE", .name = name};

    enum err err = call(s3_of(store), &r);
    return err == ERR_NOT_FOUND ? OK : err;
}

/* --- listing ---------------------------------------------------------------------------------- */

static struct sigv4_arg arg(const char *name, struct str value)
{
    return (struct sigv4_arg){.name = str_of(name), .value = value};
}

/* One page into `a`; `token` is empty for the first. */
static enum err fetch_page(struct s3_store *s, const char *prefix, struct str token,
                           const char *max_keys, struct s3_answer *a)
{
    char full[S3_PREFIX_MAX + STORE_NAME_MAX + 2];
    struct sigv4_arg args[4];
    size_t count = 0;

    snprintf(full, sizeof(full), "%s%s", s->target.prefix, prefix);
    if (token.len > 0)
        args[count++] = arg("continuation-token", token);
    args[count++] = arg("list-type", STR("2"));
    args[count++] = arg("max-keys", str_of(max_keys));
    args[count++] = arg("prefix", str_of(full));
    struct s3_request r = {.method = "GET", .args = args, .arg_count = count};
    enum err err = s3_call(s, &r, a);
    return err == OK ? buf_check(&a->text) : err;
}

/* The answer is whole before the first callback, so a retry repeats none. */
static enum err s3_list(struct store *store, const char *prefix, store_list_fn *each, void *user)
{
    struct s3_store *s = s3_of(store);
    struct s3_page page = {.each = each, .user = user, .prefix = s->target.prefix};
    struct s3_answer a;
    enum err err;

    s3_answer_init(&a);
    buf_init(&page.token, 4096);
    do {
        err = fetch_page(s, prefix, buf_str(&page.token), "1000", &a);
        if (err == OK)
            err = s3_xml_page(buf_str(&a.text), &page);
        else if (err == ERR_NOT_FOUND)
            err = err_set(ERR_IO, "%s: the bucket cannot be listed: 404", store->label);
    } while (err == OK && page.truncated);
    buf_fini(&page.token);
    s3_answer_fini(&a);
    return err;
}

/* --- open and close --------------------------------------------------------------------------- */

static void s3_close(struct store *store)
{
    struct s3_store *s = s3_of(store);

    s3_pool_fini(s);
    pthread_cond_destroy(&s->cancel);
    pthread_mutex_destroy(&s->lock);
    explicit_bzero(s->secret_key, sizeof(s->secret_key));
    free(s);
}

static const struct store_ops s3_ops = {
    .put = s3_put,
    .get = s3_get,
    .size = s3_size,
    .del = s3_del,
    .del_many = s3_del_many,
    .list = s3_list,
    .cancel = s3_cancel,
    .close = s3_close,
};

/* Success when another process of the same account was faster: two gateways may start at once. */
static enum err create_bucket(struct s3_store *s)
{
    char body[256] = "";
    struct iovec iov = {.iov_base = body};
    struct s3_request r = {.method = "PUT", .iov = &iov, .iov_count = 1};
    struct s3_answer a;

    /* us-east-1 is the one region that must not be named. */
    if (strcmp(s->target.region, "us-east-1") != 0)
        snprintf(body, sizeof(body),
                 "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                 "<LocationConstraint>%s</LocationConstraint></CreateBucketConfiguration>",
                 s->target.region);
    iov.iov_len = r.body_len = strlen(body);
    s3_answer_init(&a);
    enum err err = s3_call(s, &r, &a);
    if (err != OK && strcmp(a.code, "BucketAlreadyOwnedByYou") == 0)
        err = OK;
    else if (err != OK)
        err = err_prefix(err,
                         "the bucket %s does not exist and could not be made; create it, or allow "
                         "the key s3:CreateBucket",
                         s->target.bucket);
    else
        log_info("%s: made the bucket", s->base.label);
    s3_answer_fini(&a);
    return err;
}

/* Puts what a user can do about a failed probe before the store's own words. */
static enum err advise(const struct s3_store *s, const struct s3_answer *a, enum err err)
{
    const char *code = a->code;

    if (strcmp(code, "InvalidAccessKeyId") == 0)
        return err_prefix(err,
                          "the store does not know the access key; check KISEKI_STORE_ACCESS_KEY");
    if (strcmp(code, "SignatureDoesNotMatch") == 0)
        return err_prefix(
            err, "the secret key is wrong for the access key; check KISEKI_STORE_SECRET_KEY");
    if (strcmp(code, "RequestTimeTooSkewed") == 0)
        return err_prefix(err, "this machine's clock and the store's differ; set the clock");
    if (strcmp(code, "AuthorizationHeaderMalformed") == 0 || strcmp(code, "PermanentRedirect") == 0)
        return err_prefix(err, "the bucket is not in region %s; set region= of the store's URL",
                          s->target.region);
    if (a->status == 401 || a->status == 403)
        return err_prefix(err,
                          "the store's key may not list the bucket %s; it needs s3:ListBucket, "
                          "s3:GetObject, s3:PutObject and s3:DeleteObject",
                          s->target.bucket);
    if (err == ERR_BUSY)
        return err_prefix(err, "the store cannot be reached or is overloaded; check its endpoint");
    if (err == ERR_DENIED)
        return err_prefix(err, "the store's certificate is not trusted; give its CA file");
    return err_prefix(err, "the store cannot be used");
}

/* Lists one object: proves address, region, keys and bucket. */
static enum err probe(struct s3_store *s, bool may_create)
{
    struct s3_answer a;

    s3_answer_init(&a);
    enum err err = fetch_page(s, "", STR_NONE, "1", &a);
    if (err != OK && may_create && strcmp(a.code, "NoSuchBucket") == 0) {
        err = create_bucket(s);
        if (err == OK)
            err = probe(s, false);
    } else if (err != OK && s->opts.must_have != NULL && strcmp(a.code, "NoSuchBucket") == 0) {
        err = err_set(ERR_NOT_FOUND, "there is no store %s: its bucket does not exist",
                      s->base.label);
    } else if (err != OK) {
        err = advise(s, &a, err);
    }
    s3_answer_fini(&a);
    return err;
}

static enum err copy_option(char *out, size_t size, const char *value, const char *what)
{
    size_t len = value != NULL ? strlen(value) : 0;

    if (len >= size)
        return err_set(ERR_INVALID, "the store's %s is too long", what);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)value[i] < ' ')
            return err_set(ERR_INVALID, "the store's %s has a control character or line end in it",
                           what);
    memcpy(out, value != NULL ? value : "", len + 1);
    return OK;
}

static enum err set_up(struct s3_store *s, const char *spec, const struct store_options *opts)
{
    const struct s3_target *t = &s->target;
    char label[sizeof(s->base.label)];

    enum err err = s3_target_parse(spec, &s->target);
    if (err != OK)
        return err;
    snprintf(label, sizeof(label), "s3://%s%s%.*s at %.90s", t->bucket, t->prefix[0] ? "/" : "", 80,
             t->prefix, t->base);
    store_init(&s->base, &s3_ops, label);
    s->base.put_limit_ms = (int64_t)opts->call_timeout_ms * LATE_PUTS;
    if (s->base.put_limit_ms > LATE_PUT_MS)
        s->base.put_limit_ms = LATE_PUT_MS;
    s->base.put_limit_ms += (int64_t)opts->call_timeout_ms;
    err = copy_option(s->access_key, sizeof(s->access_key), opts->access_key, "access key");
    if (err == OK)
        err = copy_option(s->secret_key, sizeof(s->secret_key), opts->secret_key, "secret key");
    if (err == OK)
        err = copy_option(s->ca_file, sizeof(s->ca_file), opts->ca_file, "CA file's path");
    if (err == OK && (s->access_key[0] == '\0' || s->secret_key[0] == '\0'))
        err = err_set(ERR_INVALID,
                      "%s needs keys; set KISEKI_STORE_ACCESS_KEY and KISEKI_STORE_SECRET_KEY",
                      label);
    s->opts = *opts;
    s->opts.access_key = s->access_key;
    s->opts.secret_key = s->secret_key;
    s->opts.ca_file = s->ca_file;
    return err;
}

enum err store_s3_open(const char *spec, const struct store_options *opts, struct store **out)
{
    pthread_once(&curl_once, start_curl);
    if (curl_started != CURLE_OK)
        return err_set(ERR_IO, "libcurl cannot start: %s", curl_easy_strerror(curl_started));
    struct s3_store *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return err_set(ERR_NOMEM, "no memory for the store");
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->cancel, NULL);
    uint64_t size;
    enum err err = set_up(s, spec, opts);
    if (err == OK)
        err = probe(s, opts->must_have == NULL);
    if (err == OK && opts->must_have != NULL)
        err = s3_size(&s->base, opts->must_have, &size);
    if (err == OK) {
        *out = &s->base;
        return OK;
    }
    struct err_info info;
    err_save(err, &info);
    s3_close(&s->base);
    return err_restore(&info);
}
