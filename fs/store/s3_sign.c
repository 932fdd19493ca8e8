/*
 * Address and headers of a request to the S3 store: path or virtual-host style, signed with
 * signature version 4 unless no key is given.
 */
#include "fs/store/s3_internal.h"

#include "base/clock.h"
#include "base/codec.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>

#define UNSIGNED_PAYLOAD "UNSIGNED-PAYLOAD"

void s3_path_and_query(const struct s3_store *s, const struct s3_request *r, struct buf *path,
                       struct buf *url)
{
    const struct s3_target *t = &s->target;

    buf_append_char(path, '/');
    if (t->path_style)
        buf_printf(path, "%s%s", t->bucket, r->name != NULL ? "/" : "");
    if (r->name != NULL)
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
    enum err err = sigv4_canonical(&request, &canonical, &names);
    if (err == OK)
        err = sigv4_key(str_of(s->secret_key), &scope, key);
    if (err == OK)
        err = sigv4_sign(key, str_of(now), &scope, buf_str(&canonical), signature);
    if (err == OK) {
        buf_printf(out,
                   "Authorization: AWS4-HMAC-SHA256 Credential=%s/%.8s/%s/s3/aws4_request, "
                   "SignedHeaders=" STR_FMT ", Signature=%s",
                   s->access_key, now, s->target.region, STR_ARG(buf_str(&names)), signature);
        err = buf_check(out);
    }
    buf_fini(&names);
    buf_fini(&canonical);
    return err;
}

static enum err add_header(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);

    if (longer == NULL)
        return err_set(ERR_NOMEM, "no memory for a header");
    *list = longer;
    return OK;
}

enum err s3_make_headers(const struct s3_store *s, const struct s3_request *r, struct str path,
                         struct curl_slist **out)
{
    char now[CLOCK_TEXT_MAX];
    char line[S3_HOST_MAX + 32];
    struct buf authorization;
    enum err err;

    clock_amz(clock_wall_ms(), now);
    buf_init(&authorization, 4096);
    err = authorize(s, r, path, now, &authorization);
    if (err == OK)
        err = add_header(out, authorization.data);
    buf_fini(&authorization);
    snprintf(line, sizeof(line), "Host: %s", s->target.host);
    if (err == OK)
        err = add_header(out, line);
    snprintf(line, sizeof(line), "x-amz-date: %s", now);
    if (err == OK)
        err = add_header(out, line);
    if (err == OK)
        err = add_header(out, "x-amz-content-sha256: " UNSIGNED_PAYLOAD);
    snprintf(line, sizeof(line), "x-amz-checksum-crc32c: %s", r->checksum);
    if (err == OK && r->checksum[0])
        err = add_header(out, line);
    snprintf(line, sizeof(line), "Content-MD5: %s", r->md5);
    if (err == OK && r->md5[0])
        err = add_header(out, line);
    if (err == OK && r->md5[0])
        err = add_header(out, "Content-Type: application/xml");
    /* Otherwise curl waits a second for the store to say 100 Continue. */
    if (err == OK)
        err = add_header(out, "Expect:");
    snprintf(line, sizeof(line), "Range: bytes=%" PRIu64 "-%" PRIu64, r->offset,
             r->offset + r->out_len - 1);
    if (err == OK && r->out != NULL)
        err = add_header(out, line);
    return err;
}
