/* What conditions, headers, ranges and addresses mean, as a client sees it. */
#include "tests/unit/gateway/rig_cases.h"

#include "base/hash.h"

#define KEPT "0123456789"

static void keeps(const char *key)
{
    char line[64];

    snprintf(line, sizeof(line), "GET /bucket/%s", key);
    rig_expect(&rig, line, "", NO_BODY, 200);
    assert_str(rig.body, STR(KEPT));
}

/* An ETag condition that names no ETag lets no write through, whichever operation it guards. */
static void test_meaning__empty_conditions_let_no_write_through(void **state)
{
    static const char *const empty[] = {"", "\"\"", "W/\"\"", ",", "\"a"};
    static const char *const names[] = {"If-Match", "If-None-Match"};
    static const char *const sources[] = {"x-amz-copy-source-if-match",
                                          "x-amz-copy-source-if-none-match"};
    char fields[256];

    (void)state;
    for (size_t i = 0; i < 2 * LENGTH_OF(empty); i++) {
        const char *value = empty[i / 2];

        snprintf(fields, sizeof(fields), "%s: %s\n", names[i % 2], value);
        rig_refused(&rig, "PUT /bucket/k", fields, STR("new"), 412, "PreconditionFailed");
        rig_refused(&rig, "DELETE /bucket/k", fields, NO_BODY, 412, "PreconditionFailed");
        rig_refused(&rig, "POST /bucket/k?uploads", fields, STR(""), 412, "PreconditionFailed");
        snprintf(fields, sizeof(fields), "%s: %s\nContent-Range: bytes 0-1/*\n", names[i % 2],
                 value);
        rig_refused(&rig, "PATCH /bucket/k", fields, STR("xx"), 412, "PreconditionFailed");
        snprintf(fields, sizeof(fields), "%s: %s\nx-amz-write-offset-bytes: 10\n", names[i % 2],
                 value);
        rig_refused(&rig, "PUT /bucket/k", fields, STR("xx"), 412, "PreconditionFailed");
        snprintf(fields, sizeof(fields), "%s: %s\nx-amz-copy-source: bucket/other\n", names[i % 2],
                 value);
        rig_expect(&rig, "PUT /bucket/other", "", STR("other"), 200);
        rig_refused(&rig, "PUT /bucket/k", fields, STR(""), 412, "PreconditionFailed");
        snprintf(fields, sizeof(fields), "%s: %s\nx-amz-copy-source: bucket/other\n",
                 sources[i % 2], value);
        rig_refused(&rig, "PUT /bucket/k", fields, STR(""), 412, "PreconditionFailed");
        keeps("k");
    }
    rig_refused(&rig, "DELETE /bucket/k", "If-None-Match: *\n", NO_BODY, 412, "PreconditionFailed");
    keeps("k");
}

static void test_meaning__conditions_of_many_deletions(void **state)
{
    static const char *const conditions[] = {
        "<ETag></ETag>",
        "<ETag/>",
        "<ETag>\"\"</ETag>",
        "<ETag>W/\"\"</ETag>",
        "<ETag>,</ETag>",
        "<ETag>other</ETag>",
        "<Size>9</Size>",
        "<LastModifiedTime>2009-10-12T17:50:00Z</LastModifiedTime>",
        "<LastModifiedTime>Mon, 12 Oct 2009 7:50:00 UTC</LastModifiedTime>",
    };
    static const char *const malformed[] = {"<Size></Size>",
                                            "<LastModifiedTime></LastModifiedTime>",
                                            "<LastModifiedTime>yesterday</LastModifiedTime>"};
    char body[512], fields[128], md5[40];
    uint8_t digest[16];

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(conditions) + LENGTH_OF(malformed); i++) {
        bool is_good = i < LENGTH_OF(conditions);

        snprintf(body, sizeof(body), "<Delete><Object><Key>k</Key>%s</Object></Delete>",
                 is_good ? conditions[i] : malformed[i - LENGTH_OF(conditions)]);
        assert_ok(hash_once(HASH_MD5, body, strlen(body), digest));
        base64_encode(digest, sizeof(digest), md5);
        snprintf(fields, sizeof(fields), "Content-MD5: %s\n", md5);
        rig_expect(&rig, "POST /bucket?delete", fields, str_of(body), is_good ? 200 : 400);
        assert_str(rig_element(&rig, "Code"),
                   is_good ? STR("PreconditionFailed") : STR("MalformedXML"));
        keeps("k");
    }
}

/* What clients take for a date of HTTP (fault: such conditions were ignored). */
static void test_meaning__dates_in_many_forms(void **state)
{
    static const char *const past[] = {
        "Mon, 12 Oct 2009 17:50:00 UTC", "Mon, 12 Oct 2009 7:50:00 GMT",
        "Mon, 12 Oct 2009 17:50:00 +0200", "12 Oct 09 17:50:00 GMT", "2009-10-12T17:50:00Z"};
    static const char *const future[] = {"Mon, 12 Oct 2099 17:50:00 UTC",
                                         "Mon, 12 Oct 2099 7:50:00 GMT", "2099-10-12T17:50:00Z"};
    char fields[256];

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(past); i++) {
        snprintf(fields, sizeof(fields), "If-Unmodified-Since: %s\n", past[i]);
        rig_refused(&rig, "GET /bucket/k", fields, NO_BODY, 412, "PreconditionFailed");
        rig_expect(&rig, "HEAD /bucket/k", fields, NO_BODY, 412);
        snprintf(fields, sizeof(fields), "If-Unmodified-Since: %s\nContent-Range: bytes 0-0/*\n",
                 past[i]);
        rig_refused(&rig, "PATCH /bucket/k", fields, STR("x"), 412, "PreconditionFailed");
        snprintf(fields, sizeof(fields),
                 "x-amz-copy-source: bucket/k\nx-amz-copy-source-if-unmodified-since: %s\n",
                 past[i]);
        rig_refused(&rig, "PUT /bucket/copy", fields, STR(""), 412, "PreconditionFailed");
        snprintf(fields, sizeof(fields), "x-amz-if-match-last-modified-time: %s\n", past[i]);
        rig_refused(&rig, "DELETE /bucket/k", fields, NO_BODY, 412, "PreconditionFailed");
    }
    for (size_t i = 0; i < LENGTH_OF(future); i++) {
        snprintf(fields, sizeof(fields), "If-Unmodified-Since: %s\n", future[i]);
        rig_expect(&rig, "GET /bucket/k", fields, NO_BODY, 200);
    }
    rig_expect(&rig, "GET /bucket/k", "If-Unmodified-Since: yesterday\n", NO_BODY, 200);
    rig_refused(&rig, "PATCH /bucket/k",
                "If-Unmodified-Since: yesterday\nContent-Range: bytes 0-0/*\n", STR("x"), 400,
                "InvalidArgument");
    rig_refused(&rig, "PUT /bucket/copy",
                "x-amz-copy-source: bucket/k\nx-amz-copy-source-if-modified-since: yesterday\n",
                STR(""), 400, "InvalidArgument");
    keeps("k");
}

static void test_meaning__headers_given_twice(void **state)
{
    (void)state;
    rig_refused(&rig, "GET /bucket/k", "Range: bytes=0-1\nRange: bytes=2-3\n", NO_BODY, 400,
                "InvalidArgument");
    rig_refused(&rig, "PATCH /bucket/k", "Content-Range: bytes 0-0/*\nContent-Range: bytes 1-1/*\n",
                STR("x"), 400, "InvalidArgument");
    rig_expect(&rig, "GET /bucket/k",
               "If-None-Match: a\nIf-None-Match: \"781e5e245d69b566979b86e28d23f2c7\"\n", NO_BODY,
               304);
    rig_expect(&rig, "GET /bucket/k",
               "If-Match: a\nIf-Match: \"781e5e245d69b566979b86e28d23f2c7\"\n", NO_BODY, 200);
    rig_expect(&rig, "PUT /bucket/two",
               "Cache-Control: no-cache\nCache-Control: no-store\nContent-Encoding: gzip\n"
               "Content-Encoding: br\nContent-Language: de\nContent-Language: en\n",
               STR("x"), 200);
    rig_expect(&rig, "GET /bucket/two", "", NO_BODY, 200);
    assert_str(rig_field(&rig, "Cache-Control"), STR("no-cache, no-store"));
    assert_str(rig_field(&rig, "Content-Encoding"), STR("gzip, br"));
    assert_str(rig_field(&rig, "Content-Language"), STR("de, en"));
    keeps("k");
}

static void test_meaning__ranges_of_nothing(void **state)
{
    static const char *const methods[] = {"GET", "HEAD"};
    char line[64];

    (void)state;
    rig_expect(&rig, "PUT /bucket/empty", "", STR(""), 200);
    for (size_t i = 0; i < 2; i++) {
        snprintf(line, sizeof(line), "%s /bucket/empty", methods[i]);
        rig_expect(&rig, line, "Range: bytes=-13\n", NO_BODY, 200);
        assert_null(rig_field(&rig, "Content-Range").ptr);
        assert_int_equal(rig.body.len, 0);
        rig_expect(&rig, line, "Range: bytes=0-\n", NO_BODY, 416);
        rig_expect(&rig, line, "Range: bytes=0-0\n", NO_BODY, 416);
        rig_expect(&rig, line, "Range: bytes=-0\n", NO_BODY, 416);
        snprintf(line, sizeof(line), "%s /bucket/empty?partNumber=1", methods[i]);
        rig_expect(&rig, line, "", NO_BODY, 200);
        assert_null(rig_field(&rig, "Content-Range").ptr);
        snprintf(line, sizeof(line), "%s /bucket/k", methods[i]);
        rig_expect(&rig, line, "Range: bytes= -1\n", NO_BODY, 200);
        assert_str(rig_field(&rig, "Content-Length"), STR("10"));
    }
}

/* A key with a plus, one with a space, and a client that means either by `+`. */
static void test_meaning__a_plus_in_a_copy_source(void **state)
{
    (void)state;
    rig_refused(&rig, "PUT /bucket/to", "x-amz-copy-source: bucket/a+b\n", STR(""), 404,
                "NoSuchKey");
    assert_str(rig_element(&rig, "Key"), STR("a+b"));
    rig_expect(&rig, "PUT /bucket/a%20b", "", STR("space"), 200);
    rig_expect(&rig, "PUT /bucket/to", "x-amz-copy-source: /bucket/a+b\n", STR(""), 200);
    rig_expect(&rig, "GET /bucket/to", "", NO_BODY, 200);
    assert_str(rig.body, STR("space"));
    rig_refused(&rig, "PUT /bucket/a%20b", "x-amz-copy-source: bucket/a+b\n", STR(""), 400,
                "InvalidRequest"); /* it is a copy onto itself */
    rig_expect(&rig, "PUT /bucket/a+b", "", STR("plus"), 200);
    rig_expect(&rig, "PUT /bucket/to", "x-amz-copy-source: bucket%2Fa+b?versionId=null\n", STR(""),
               200);
    rig_expect(&rig, "GET /bucket/to", "", NO_BODY, 200);
    assert_str(rig.body, STR("plus"));
    rig_expect(&rig, "DELETE /bucket/a+b", "", NO_BODY, 204);
    rig_expect(&rig, "DELETE /bucket/a%20b", "", NO_BODY, 204);
}

static void test_meaning__addresses_that_name_no_bucket(void **state)
{
    static char location[65000];
    static char body[66000];

    (void)state;
    rig_refused(&rig, "GET //bucket/k", "", NO_BODY, 400, "InvalidBucketName");
    rig_expect(&rig, "HEAD //bucket/k", "", NO_BODY, 400);
    rig_refused(&rig, "PUT //bucket/k", "", STR("x"), 400, "InvalidBucketName");
    memset(location, 'x', sizeof(location) - 1);
    snprintf(body, sizeof(body),
             "<CreateBucketConfiguration><LocationConstraint>%s</LocationConstraint>"
             "</CreateBucketConfiguration>",
             location);
    rig_refused(&rig, "PUT /far-away", "", str_of(body), 400, "InvalidLocationConstraint");
    rig_refused(&rig, "GET /far-away", "", NO_BODY, 404, "NoSuchBucket");
}

static void test_meaning__limits_of_a_page(void **state)
{
    (void)state;
    rig_expect(&rig, "GET /?max-buckets=10000", "", NO_BODY, 200);
    rig_refused(&rig, "GET /?max-buckets=10001", "", NO_BODY, 400, "InvalidArgument");
    rig_refused(&rig, "GET /?max-buckets=0", "", NO_BODY, 400, "InvalidArgument");
    rig_refused(&rig, "GET /bucket?uploads&max-uploads=-1", "", NO_BODY, 400, "InvalidArgument");
    rig_refused(&rig, "GET /bucket?list-type=2&max-keys=-1", "", NO_BODY, 400, "InvalidArgument");
    rig_refused(&rig, "GET /bucket?versions&max-keys=-1", "", NO_BODY, 400, "InvalidArgument");
    rig_refused(&rig, "GET /bucket/k?uploadId=u&max-parts=-1", "", NO_BODY, 400, "InvalidArgument");
    rig_expect(&rig, "GET /bucket?max-keys=2147483647", "", NO_BODY, 200);
    assert_str(rig_element(&rig, "MaxKeys"), STR("1000"));
}

static void test_meaning__no_bucket_has_object_lock(void **state)
{
    static const char *const lines[] = {"GET /bucket/k?retention", "GET /bucket/k?legal-hold",
                                        "GET /bucket/missing?retention"};

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(lines); i++) {
        rig_refused(&rig, lines[i], "", NO_BODY, 400, "InvalidRequest");
        assert_str(rig_element(&rig, "Message"),
                   STR("Bucket is missing Object Lock Configuration"));
    }
    rig_refused(&rig, "GET /nobucket/k?retention", "", NO_BODY, 404, "NoSuchBucket");
}

static void test_meaning__a_304_repeats_what_a_cache_needs(void **state)
{
    const char *not = "If-None-Match: 781e5e245d69b566979b86e28d23f2c7\n";

    (void)state;
    rig_expect(&rig, "PUT /bucket/k", "Cache-Control: no-cache\nExpires: never\n", STR(KEPT), 200);
    rig_expect(&rig, "GET /bucket/k", not, NO_BODY, 304);
    assert_str(rig_field(&rig, "Cache-Control"), STR("no-cache"));
    assert_str(rig_field(&rig, "Expires"), STR("never"));
    rig_expect(&rig, "GET /bucket/k?response-cache-control=private&response-expires=now", not,
               NO_BODY, 304);
    assert_str(rig_field(&rig, "Cache-Control"), STR("private"));
    assert_str(rig_field(&rig, "Expires"), STR("now"));
    assert_str(rig_field(&rig, "ETag"), STR("\"781e5e245d69b566979b86e28d23f2c7\""));
}

static void test_meaning__who_needs_no_signature(void **state)
{
    const char *form = "Content-Type: multipart/form-data; boundary=x\n";

    (void)state;
    rig_refused(&rig, "POST /bucket", form, STR("--x--"), 501, "NotImplemented");
    rig_expect(&rig, "HEAD /", "", NO_BODY, 200);
    rig.access = "";
    rig_refused(&rig, "POST /bucket", form, STR("--x--"), 501, "NotImplemented");
    rig_refused(&rig, "POST /bucket", "", STR("--x--"), 403, "AccessDenied");
    rig_expect(&rig, "HEAD /", "", NO_BODY, 200);
    assert_int_equal(rig.body.len, 0);
    assert_non_null(rig_field(&rig, "x-amz-request-id").ptr);
    rig_refused(&rig, "GET /", "", NO_BODY, 403, "AccessDenied");
    rig_expect(&rig, "HEAD /bucket", "", NO_BODY, 403);
}

/* The head of a PUT that waits for 100 Continue, sent and answered by that; the socket. */
static int put_waits(const char *target, const char *fields)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons(http_server_port(rig.server))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char host[64], answer[64] = "";
    struct buf sent;

    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    buf_init(&sent, 64 << 10);
    snprintf(host, sizeof(host), "127.0.0.1:%u", http_server_port(rig.server));
    buf_printf(&sent, "PUT %s HTTP/1.1\r\nHost: %s\r\n", target, host);
    rig_sign(&rig, STR("PUT"), str_of(target), host, str_of(fields), &sent);
    buf_printf(&sent,
               "%.*s\r\nConnection: close\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
               (int)strlen(fields) - 1, fields);
    assert_int_equal(send(fd, buf_str(&sent).ptr, buf_str(&sent).len, MSG_NOSIGNAL),
                     buf_str(&sent).len);
    assert_true(recv(fd, answer, sizeof(answer) - 1, 0) > 0);
    assert_memory_equal(answer, "HTTP/1.1 100", 12);
    buf_fini(&sent);
    return fd;
}

/* Between the look at the owner and the commit the bucket goes, and another makes one like it. */
static void test_meaning__an_expected_owner_guards_the_commit(void **state)
{
    char mine[128], answer[256] = "";
    int fd;

    (void)state;
    rig_expect(&rig, "GET /", "", NO_BODY, 200);
    snprintf(mine, sizeof(mine), "x-amz-expected-bucket-owner: " STR_FMT "\n",
             STR_ARG(rig_element(&rig, "ID")));
    for (int changes = 0; changes < 2; changes++) {
        as_root();
        rig_expect(&rig, "PUT /changing", "", STR(""), 200);
        fd = put_waits("/changing/k", mine);
        if (changes) {
            rig_expect(&rig, "DELETE /changing", "", NO_BODY, 204);
            as_other();
            rig_expect(&rig, "PUT /changing", "", STR(""), 200);
        }
        assert_int_equal(send(fd, "abc", 3, MSG_NOSIGNAL), 3);
        assert_true(recv(fd, answer, sizeof(answer) - 1, MSG_WAITALL) > 12);
        assert_memory_equal(answer, changes ? "HTTP/1.1 403" : "HTTP/1.1 200", 12);
        close(fd);
        rig_expect(&rig, "GET /changing/k", "", NO_BODY, changes ? 404 : 200);
        if (!changes)
            rig_expect(&rig, "DELETE /changing/k", "", NO_BODY, 204);
        rig_expect(&rig, "DELETE /changing", "", NO_BODY, 204);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_meaning__empty_conditions_let_no_write_through),
        CASE(test_meaning__conditions_of_many_deletions),
        CASE(test_meaning__dates_in_many_forms),
        CASE(test_meaning__headers_given_twice),
        CASE(test_meaning__ranges_of_nothing),
        CASE(test_meaning__a_plus_in_a_copy_source),
        CASE(test_meaning__addresses_that_name_no_bucket),
        CASE(test_meaning__limits_of_a_page),
        CASE(test_meaning__no_bucket_has_object_lock),
        CASE(test_meaning__a_304_repeats_what_a_cache_needs),
        CASE(test_meaning__who_needs_no_signature),
        CASE(test_meaning__an_expected_owner_guards_the_commit),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
