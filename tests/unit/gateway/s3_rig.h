/*
 * A gateway in this process over SQLite and a folder, and a client that signs (SigV4 by header,
 * UNSIGNED-PAYLOAD) and reads one answer.
 *
 *     rig_ask(&rig, "PUT /b/k", "x-amz-meta-a: 1\n", STR("body"));
 *     assert_int_equal(rig.status, 200);  rig_field(&rig, "ETag");  rig_body(&rig);
 *
 * The query is signed as it stands, so it must need no escapes.
 */
#ifndef KISEKI_TESTS_UNIT_GATEWAY_S3_RIG_H
#define KISEKI_TESTS_UNIT_GATEWAY_S3_RIG_H

#include "tests/unit/gateway/folder.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "base/sigv4.h"
#include "gateway/http/server.h"
#include "gateway/metrics/metrics.h"
#include "gateway/s3/core/pipeline.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define RIG_ACCESS "RIGACCESS"
#define RIG_SECRET "rig-secret-key"

struct rig {
    char *folder;
    struct fs *fs;
    struct pool *pool;
    struct metrics *metrics;
    struct bucket_contexts *contexts;
    struct s3 s3;
    struct http_server *server;
    /* how to sign: "" for an anonymous request */
    const char *access, *secret;
    /* the answer */
    struct buf answer;
    unsigned status;
    struct str head, body;
};

static inline void rig_start(struct rig *rig)
{
    char meta[600], store[600];
    struct fs_options options = {.meta = {.url = meta, .host = "test"},
                                 .store_url = store,
                                 .memory_bytes = 16 << 20,
                                 .inline_max = 64 << 10};
    struct http_options http = {.listen = "127.0.0.1:0"};
    struct http_handler handler;

    log_setup(LOG_ERROR, LOG_TEXT, STDERR_FILENO);
    memset(rig, 0, sizeof(*rig));
    rig->folder = folder_new();
    snprintf(meta, sizeof(meta), "sqlite:%s/meta.db", rig->folder);
    snprintf(store, sizeof(store), "dir:%s/store", rig->folder);
    assert_ok(fs_open(&options, &rig->fs));
    assert_ok(account_key_put(fs_meta(rig->fs), STR("root"), STR(RIG_ACCESS), STR(RIG_SECRET)));
    assert_ok(account_key_put(fs_meta(rig->fs), STR("other"), STR("OTHER"), STR("other-secret")));
    assert_ok(pool_new("worker", 4, 64, &rig->pool));
    assert_ok(metrics_new(s3_op_name, s3_op_count(), &rig->metrics));
    assert_ok(bucket_contexts_new(fs_meta(rig->fs), NULL, 0, &rig->contexts));
    rig->s3 = (struct s3){.fs = rig->fs,
                          .meta = fs_meta(rig->fs),
                          .metrics = rig->metrics,
                          .contexts = rig->contexts,
                          .region = STR("us-east-1"),
                          .host_id = "host"};
    http.pool = rig->pool;
    handler = s3_handler(&rig->s3);
    assert_ok(http_server_start(&http, &handler, &rig->server));
    buf_init(&rig->answer, 64 << 20);
    rig->access = RIG_ACCESS;
    rig->secret = RIG_SECRET;
}

static inline void rig_stop(struct rig *rig)
{
    http_server_stop(rig->server, 1000);
    http_server_free(rig->server);
    pool_free(rig->pool);
    bucket_contexts_free(rig->contexts);
    fs_close(rig->fs);
    metrics_free(rig->metrics);
    buf_fini(&rig->answer);
    folder_free(rig->folder);
}

/* Query arguments as the signature has them: names and values of "a=b&c". */
static inline size_t rig_args(struct str query, struct sigv4_arg *out)
{
    struct str field;
    size_t count = 0;

    while (str_split(&query, '&', &field)) {
        size_t end = str_find(field, '=');

        out[count].name = str_sub(field, 0, end);
        out[count++].value = str_sub(field, end + 1, field.len);
    }
    return count;
}

static inline void rig_sign(const struct rig *rig, struct str method, struct str target,
                            const char *host, struct str fields, struct buf *out)
{
    struct sigv4_arg args[16];
    char stamp[CLOCK_TEXT_MAX], signature[SIGV4_SIGNATURE_HEX + 1];
    struct sigv4_header headers[16];
    struct str field;
    struct sigv4_request request = {.method = method,
                                    .args = args,
                                    .headers = headers,
                                    .header_count = 3,
                                    .payload_hash = STR("UNSIGNED-PAYLOAD")};
    struct sigv4_scope scope = {.region = STR("us-east-1"), .service = STR("s3")};
    struct buf canonical, names, path;
    uint8_t key[32];

    buf_init(&path, 1 << 16);
    assert_ok(
        percent_decode(&path, str_sub(target, 0, str_find(target, '?')), PERCENT_PLUS_LITERAL));
    request.path = buf_str(&path);
    clock_amz(clock_wall_ms(), stamp);
    scope.date = str_sub(str_of(stamp), 0, 8);
    headers[0] = (struct sigv4_header){STR("host"), str_of(host)};
    headers[1] = (struct sigv4_header){STR("x-amz-date"), str_of(stamp)};
    headers[2] = (struct sigv4_header){STR("x-amz-content-sha256"), request.payload_hash};
    while (str_split(&fields, '\n', &field)) {
        size_t colon = str_find(field, ':');
        struct sigv4_header *h = &headers[request.header_count];

        if (!str_starts(field, STR("x-amz-")))
            continue;
        h->name = str_sub(field, 0, colon);
        h->value = str_trim(str_sub(field, colon + 1, field.len));
        request.header_count++;
    }
    request.arg_count = rig_args(str_sub(target, str_find(target, '?') + 1, target.len), args);
    buf_init(&canonical, 1 << 16);
    buf_init(&names, 1 << 16);
    assert_ok(sigv4_canonical(&request, &canonical, &names));
    assert_ok(sigv4_key(str_of(rig->secret), &scope, key));
    assert_ok(sigv4_sign(key, str_of(stamp), &scope, buf_str(&canonical), signature));
    buf_printf(out,
               "x-amz-date: %s\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\n"
               "Authorization: AWS4-HMAC-SHA256 Credential=%s/" STR_FMT "/us-east-1/s3/"
               "aws4_request, SignedHeaders=" STR_FMT ", Signature=%s\r\n",
               stamp, rig->access, STR_ARG(scope.date), STR_ARG(buf_str(&names)), signature);
    buf_fini(&canonical);
    buf_fini(&names);
    buf_fini(&path);
}

static inline void rig_exchange(struct rig *rig, struct str sent)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons(http_server_port(rig->server))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ssize_t n;

    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    for (size_t at = 0; at < sent.len; at += (size_t)n) {
        n = send(fd, sent.ptr + at, sent.len - at, MSG_NOSIGNAL);
        if (n <= 0)
            break; /* refused in the middle: the answer says why */
    }
    buf_clear(&rig->answer);
    do {
        char *room = buf_reserve(&rig->answer, 64 << 10);

        assert_non_null(room);
        n = recv(fd, room, 64 << 10, 0);
        buf_added(&rig->answer, n > 0 ? (size_t)n : 0);
    } while (n > 0);
    close(fd);
}

static inline void rig_ask(struct rig *rig, const char *line, const char *fields, struct str body)
{
    struct str rest = str_of(line), all = str_of(fields), method, field, text;
    struct buf sent;
    char host[64];
    size_t end;

    buf_init(&sent, body.len + (64 << 10));
    snprintf(host, sizeof(host), "127.0.0.1:%u", http_server_port(rig->server));
    assert_true(str_split(&rest, ' ', &method));
    buf_printf(&sent, "%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", line, host);
    if (rig->access[0] != '\0')
        rig_sign(rig, method, rest, host, all, &sent);
    while (str_split(&all, '\n', &field))
        buf_printf(&sent, STR_FMT "\r\n", STR_ARG(field));
    if (body.ptr != NULL)
        buf_printf(&sent, "Content-Length: %zu\r\n", body.len);
    buf_append_cstr(&sent, "\r\n");
    buf_append_str(&sent, body);
    rig_exchange(rig, buf_str(&sent));
    buf_fini(&sent);
    text = buf_str(&rig->answer);
    for (end = 0; end + 4 <= text.len && memcmp(text.ptr + end, "\r\n\r\n", 4) != 0;)
        end++;
    if (end + 4 > text.len || text.len < 12)
        fail_msg("%s: no answer: " STR_FMT, line, STR_ARG(text));
    rig->head = str_sub(text, 0, end + 2);
    rig->body = str_sub(text, end + 4, text.len);
    rig->status = 0;
    for (size_t i = 9; i < 12; i++)
        rig->status = rig->status * 10 + (unsigned)(text.ptr[i] - '0');
}

/* A field of the answer; ptr NULL when there is none. */
static inline struct str rig_field(const struct rig *rig, const char *name)
{
    struct str rest = rig->head, line;

    while (str_split(&rest, '\n', &line)) {
        size_t colon = str_find(line, ':');

        if (colon < line.len && str_eq_nocase(str_sub(line, 0, colon), str_of(name)))
            return str_trim(str_sub(line, colon + 1, line.len - colon - 2)); /* not the CR */
    }
    return STR_NONE;
}

/* What stands between the first <name> and </name> of the body. */
static inline struct str rig_element(const struct rig *rig, const char *name)
{
    char open[64], close[64];
    const char *from, *to;

    snprintf(open, sizeof(open), "<%s>", name);
    snprintf(close, sizeof(close), "</%s>", name);
    from = memmem(rig->body.ptr, rig->body.len, open, strlen(open));
    to = memmem(rig->body.ptr, rig->body.len, close, strlen(close));
    if (from == NULL || to == NULL)
        return STR_NONE;
    from += strlen(open);
    return (struct str){from, (size_t)(to - from)};
}

#define rig_expect(rig, line, fields, sent, expected)                                              \
    do {                                                                                           \
        rig_ask(rig, line, fields, sent);                                                          \
        if ((rig)->status != (expected))                                                           \
            fail_msg("%s: %u, not %u: " STR_FMT, line, (rig)->status, (unsigned)(expected),        \
                     STR_ARG((rig)->body));                                                        \
    } while (0)

/* Expects an error document with that code and the ids of the answer's fields. */
#define rig_refused(rig, line, fields, sent, expected, code)                                       \
    do {                                                                                           \
        rig_expect(rig, line, fields, sent, expected);                                             \
        assert_str(rig_element(rig, "Code"), STR(code));                                           \
        assert_str(rig_element(rig, "RequestId"), rig_field(rig, "x-amz-request-id"));             \
        assert_int_equal(rig_field(rig, "x-amz-request-id").len, 16);                              \
    } while (0)

#endif
