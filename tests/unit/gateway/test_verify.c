#include "tests/unit/base/unit.h"

#include "base/clock.h"
#include "base/hash.h"
#include "gateway/auth/verify.h"
#include "tests/unit/gateway/auth_text.h"

#define ACCESS "AKIAIOSFODNN7EXAMPLE"
#define SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define EMPTY  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* AWS's examples are all signed at this time. */
#define MAY_24_2013 (INT64_C(1369353600) * 1000)

struct given {
    struct arena *arena;
    struct auth_request request;
    struct auth auth;
    struct s3_error error;
};

static const struct str domains[] = {{"s3.amazonaws.com", 16}};

static enum s3_code parse(struct given *g, const char *text, int64_t now_ms)
{
    *g = (struct given){.arena = arena_new(4 << 20)};
    assert_non_null(g->arena);
    assert_true(auth_text_parse(g->arena, str_of(text), now_ms, &g->request));
    g->request.domains = domains;
    g->request.domain_count = 1;
    return auth_parse(&g->request, g->arena, &g->auth, &g->error);
}

static enum s3_code verify(struct given *g, const char *text, int64_t now_ms)
{
    struct auth_key key = {.secret = STR(SECRET), .account_id = 7, .enabled = true};

    enum s3_code code = parse(g, text, now_ms);
    if (code == S3_OK)
        code = auth_check(&g->request, g->arena, &key, &g->auth, &g->error);
    return code;
}

static void check(const char *text, int64_t now_ms, const char *expected)
{
    struct given g;
    const char *got = s3_code_name(verify(&g, text, now_ms));

    if (strcmp(got, expected) != 0)
        fail_msg("%s, not %s (%s) for\n%s", got, expected, g.error.message ? g.error.message : "",
                 text);
    arena_free(g.arena);
}

/* --- version 4: AWS's examples -----------------------------------------------------------------*/

#define CREDENTIAL "Credential=" ACCESS "/20130524/us-east-1/s3/aws4_request"
#define V4         "Authorization: AWS4-HMAC-SHA256 " CREDENTIAL

#define GET_OBJECT                                                                                 \
    "GET /test.txt\nHost: examplebucket.s3.amazonaws.com\n" V4                                     \
    ",SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature="                         \
    "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41\n"                           \
    "Range: bytes=0-9\nx-amz-content-sha256: " EMPTY "\nx-amz-date: 20130524T000000Z\n"

#define PUT_OBJECT                                                                                 \
    "PUT /test%24file.text\nHost: examplebucket.s3.amazonaws.com\n"                                \
    "Date: Fri, 24 May 2013 00:00:00 GMT\n" V4                                                     \
    ", SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class, Signature="    \
    "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd\n"                           \
    "x-amz-date: 20130524T000000Z\nx-amz-storage-class: REDUCED_REDUNDANCY\n"                      \
    "x-amz-content-sha256: 44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072\n"

#define PRESIGNED                                                                                  \
    "GET /test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" ACCESS                      \
    "%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z"                      \
    "&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature="                               \
    "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404\n"                           \
    "Host: examplebucket.s3.amazonaws.com\n"

static void test_verify__aws_examples_of_version_4_hold(void **state)
{
    (void)state;
    check(GET_OBJECT, MAY_24_2013, "OK");
    check(PUT_OBJECT, MAY_24_2013, "OK");
    check("GET /?lifecycle\nHost: examplebucket.s3.amazonaws.com\n" V4
          ",SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature="
          "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543\n"
          "x-amz-date: 20130524T000000Z\nx-amz-content-sha256: " EMPTY "\n",
          MAY_24_2013, "OK");
    check("GET /?max-keys=2&prefix=J\nHost: examplebucket.s3.amazonaws.com\n" V4
          ",SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature="
          "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7\n"
          "x-amz-date: 20130524T000000Z\nx-amz-content-sha256: " EMPTY "\n",
          MAY_24_2013, "OK");
    check(PRESIGNED, MAY_24_2013, "OK");
}

static void test_verify__tells_what_it_found(void **state)
{
    struct given g;

    (void)state;
    assert_int_equal(verify(&g, PUT_OBJECT, MAY_24_2013), S3_OK);
    assert_int_equal(g.auth.kind, AUTH_HEADER_V4);
    assert_str(g.auth.access_key, STR(ACCESS));
    assert_int_equal(g.auth.account_id, 7);
    assert_int_equal(g.auth.payload, AUTH_PAYLOAD_SHA256);
    assert_int_equal(g.auth.payload_sha256[0], 0x44);
    assert_str(g.auth.scope.region, STR("us-east-1"));
    arena_free(g.arena);
    assert_int_equal(verify(&g, PRESIGNED, MAY_24_2013), S3_OK);
    assert_int_equal(g.auth.kind, AUTH_PRESIGNED_V4);
    assert_int_equal(g.auth.payload, AUTH_PAYLOAD_UNSIGNED);
    arena_free(g.arena);
    assert_int_equal(parse(&g, "GET /b/k\nHost: h\n", 0), S3_OK);
    assert_int_equal(g.auth.kind, AUTH_ANONYMOUS);
    arena_free(g.arena);
}

/* The text with every `from` replaced, in static memory. */
static const char *with(const char *text, const char *from, const char *to)
{
    static char out[4096];
    const char *at = strstr(text, from);

    assert_non_null(at);
    int n = snprintf(out, sizeof(out), "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    assert_true(n > 0 && (size_t)n < sizeof(out));
    return out;
}

static void test_verify__any_change_breaks_the_signature(void **state)
{
    static const char *const changes[][2] = {
        {"GET ", "PUT "},
        {"/test.txt", "/test.txs"},
        {"/test.txt", "/test.txt?acl"},
        {"bytes=0-9", "bytes=0-8"},
        {"examplebucket.", "examplebuckeu."},
        {"us-east-1", "us-east-2"},
        {"Signature=f0", "Signature=f1"},
        {"x-amz-content-sha256: e3", "x-amz-content-sha256: e4"},
        {"20130524T000000Z", "20130524T000001Z"},
        {"Range: bytes=0-9\n", "Range: bytes=0-9\nRange: bytes=0-9\n"},
        {"Range: bytes=0-9\n", ""},
        {"41\n", "40\n"},
        {"41\n", "4\n"},
        {"41\n", "41a\n"},
        {"41\n", "4g\n"},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(changes); i++)
        check(with(GET_OBJECT, changes[i][0], changes[i][1]), MAY_24_2013, "SignatureDoesNotMatch");
    check(with(PRESIGNED, "86400", "86401"), MAY_24_2013, "SignatureDoesNotMatch");
    check(with(PRESIGNED, "GET", "DELETE"), MAY_24_2013, "SignatureDoesNotMatch");
    check(with(PRESIGNED, "?X-Amz", "?uploads&X-Amz"), MAY_24_2013, "SignatureDoesNotMatch");
}

static void test_verify__harmless_changes_do_not(void **state)
{
    (void)state;
    check(with(GET_OBJECT, "/test.txt", "/%74est%2Etxt"), MAY_24_2013, "OK");
    check(with(GET_OBJECT, "bytes=0-9", "  bytes=0-9"), MAY_24_2013, "OK");
    check(with(GET_OBJECT, "amazonaws.com\n", "amazonaws.com:80\n"), MAY_24_2013, "OK");
    check(with(GET_OBJECT, "amazonaws.com\n", "amazonaws.com:443\n"), MAY_24_2013, "OK");
    check(with(GET_OBJECT, "amazonaws.com\n", "amazonaws.com:444\n"), MAY_24_2013,
          "SignatureDoesNotMatch");
    check(with(GET_OBJECT, "Host:", "User-Agent: unsigned\nHOST:"), MAY_24_2013, "OK");
}

static void test_verify__version_4_refusals(void **state)
{
    static const struct {
        const char *from, *to, *code;
    } rows[] = {
        {"AWS4-HMAC-SHA256 ", "AWS4-ECDSA-P256-SHA256 ", "NotImplemented"},
        {"AWS4-HMAC-SHA256 ", "Bearer ", "InvalidArgument"},
        {"AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256x", "AuthorizationHeaderMalformed"},
        {"/s3/", "/ec2/", "AuthorizationHeaderMalformed"},
        {"/us-east-1", "", "AuthorizationHeaderMalformed"},
        {"aws4_request", "aws5_request", "AuthorizationHeaderMalformed"},
        {"20130524/", "20130525/", "AuthorizationHeaderMalformed"},
        {"20130524/", "2013052x/", "AuthorizationHeaderMalformed"},
        {"Credential=", "Credentials=", "AuthorizationHeaderMalformed"},
        {"Signature=", "Signature=,Signature=", "AuthorizationHeaderMalformed"},
        {"SignedHeaders=host;", "SignedHeaders=host;;", "AuthorizationHeaderMalformed"},
        {"SignedHeaders=host;", "SignedHeaders=", "AccessDenied"},
        {"range;x-amz-content-sha256;", "range;", "AccessDenied"},
        {"Range:", "x-amz-acl: public-read\nRange:", "AccessDenied"},
        {"x-amz-date: 20130524T000000Z", "x-amz-date: yesterday", "AccessDenied"},
        {"x-amz-content-sha256: " EMPTY "\n", "", "SignatureDoesNotMatch"},
        {"x-amz-content-sha256: " EMPTY, "x-amz-content-sha256: UNSIGNED", "InvalidArgument"},
        {"x-amz-content-sha256: " EMPTY,
         "x-amz-content-sha256: STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "NotImplemented"},
        {"x-amz-content-sha256: " EMPTY, "x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER",
         "MissingContentLength"},
        {"Range:", "x-amz-security-token: t\nRange:", "InvalidToken"},
        {"Range:", "Authorization: AWS a:b\nRange:", "InvalidArgument"},
        {"/test.txt", "/test.txt?Signature=x", "InvalidArgument"},
        {"/test.txt", "/test.txt?X-Amz-Signature=x", "InvalidArgument"},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++)
        check(with(GET_OBJECT, rows[i].from, rows[i].to), MAY_24_2013, rows[i].code);
}

static void test_verify__a_header_without_hash_is_refused(void **state)
{
    const char *text = "GET /\nHost: h\n" V4 ",SignedHeaders=host;x-amz-date,Signature=" EMPTY
                       "\nx-amz-date: 20130524T000000Z\n";

    (void)state;
    check(text, MAY_24_2013, "InvalidRequest");
}

static void test_verify__time_limits(void **state)
{
    const int64_t minute = 60 * 1000, day = 24 * 60 * minute;

    (void)state;
    check(GET_OBJECT, MAY_24_2013 + 15 * minute, "OK");
    check(GET_OBJECT, MAY_24_2013 + 15 * minute + 1, "RequestTimeTooSkewed");
    check(GET_OBJECT, MAY_24_2013 - 15 * minute, "OK");
    check(GET_OBJECT, MAY_24_2013 - 15 * minute - 1, "RequestTimeTooSkewed");
    check(PRESIGNED, MAY_24_2013 + day, "OK");
    check(PRESIGNED, MAY_24_2013 + day + 1, "AccessDenied");
    check(PRESIGNED, MAY_24_2013 - 15 * minute, "OK");
    check(PRESIGNED, MAY_24_2013 - 15 * minute - 1, "AccessDenied");
}

static void test_verify__presigned_refusals(void **state)
{
    static const struct {
        const char *from, *to, *code;
    } rows[] = {
        {"=86400", "=604801", "AuthorizationQueryParametersError"},
        {"=86400", "=-1000", "AccessDenied"},
        {"=86400", "=0", "AccessDenied"},
        {"=86400", "=99999999999999999999", "AuthorizationQueryParametersError"},
        {"=86400", "=1d", "AuthorizationQueryParametersError"},
        {"&X-Amz-Expires=86400", "", "AuthorizationQueryParametersError"},
        {"&X-Amz-Expires=86400", "&X-Amz-Expires=86400&X-Amz-Expires=5",
         "AuthorizationQueryParametersError"},
        {"=20130524T000000Z", "=20130524", "AuthorizationQueryParametersError"},
        {"AWS4-HMAC-SHA256", "AWS4-HMAC-SHA512", "AuthorizationQueryParametersError"},
        {"AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", "NotImplemented"},
        {"%2Fs3%2F", "%2Fsns%2F", "AuthorizationQueryParametersError"},
        {"Headers=host", "Headers=date", "SignatureDoesNotMatch"},
        {"Headers=host", "Headers=host%3Bx-amz-acl", "SignatureDoesNotMatch"},
        {"Host:", "x-amz-acl: public-read\nHost:", "AccessDenied"},
        {"Host:", "x-amz-copy-source: /b/k\nHost:", "AccessDenied"},
        {"Host:", "Authorization: AWS a:b\nHost:", "InvalidArgument"},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++)
        check(with(PRESIGNED, rows[i].from, rows[i].to), MAY_24_2013, rows[i].code);
}

static void test_verify__an_unknown_or_disabled_key_is_refused(void **state)
{
    struct auth_key key = {.secret = STR(SECRET), .account_id = 7, .enabled = false};
    struct given g;

    (void)state;
    assert_int_equal(parse(&g, GET_OBJECT, MAY_24_2013), S3_OK);
    assert_int_equal(auth_check(&g.request, g.arena, NULL, &g.auth, &g.error),
                     S3_INVALID_ACCESS_KEY_ID);
    assert_int_equal(auth_check(&g.request, g.arena, &key, &g.auth, &g.error),
                     S3_INVALID_ACCESS_KEY_ID);
    arena_free(g.arena);
}

/* --- readings: requests signed here in a way that differs from what arrives --------------------*/

struct signing {
    const char *arrives; /* request line and headers */
    const char *path;    /* decoded; this and what follows as the client signed it */
    struct sigv4_arg args[4];
    size_t arg_count;
    struct sigv4_header headers[6];
    size_t header_count;
};

static void check_signing(const struct signing *s, const char *expected)
{
    struct sigv4_request r = {.method = STR("GET"),
                              .path = str_of(s->path),
                              .args = s->args,
                              .arg_count = s->arg_count,
                              .headers = s->headers,
                              .header_count = s->header_count,
                              .payload_hash = STR("UNSIGNED-PAYLOAD")};
    struct sigv4_scope scope = {STR("20130524"), STR("us-east-1"), STR("s3")};
    struct buf canonical, list;
    uint8_t key[32];
    char signature[SIGV4_SIGNATURE_HEX + 1], text[4096];

    buf_init(&canonical, 65536);
    buf_init(&list, 65536);
    assert_ok(sigv4_canonical(&r, &canonical, &list));
    assert_ok(sigv4_key(STR(SECRET), &scope, key));
    assert_ok(sigv4_sign(key, STR("20130524T000000Z"), &scope, buf_str(&canonical), signature));
    snprintf(text, sizeof(text),
             "%s\n" V4 ",SignedHeaders=" STR_FMT ",Signature=%s\n"
             "x-amz-date: 20130524T000000Z\nx-amz-content-sha256: UNSIGNED-PAYLOAD\n",
             s->arrives, STR_ARG(buf_str(&list)), signature);
    buf_fini(&canonical);
    buf_fini(&list);
    check(text, MAY_24_2013, expected);
}

#define SIGNED_HEADERS(host)                                                                       \
    {STR("host"), STR(host)}, {STR("x-amz-date"), STR("20130524T000000Z")},                        \
    {                                                                                              \
        STR("x-amz-content-sha256"), STR("UNSIGNED-PAYLOAD")                                       \
    }

#define ARG(name, value)                                                                           \
    {                                                                                              \
        STR(name), STR(value)                                                                      \
    }

static void test_verify__tolerated_readings(void **state)
{
    const struct signing good[] = {
        {"GET /b?prefix=a+b\nHost: h", "/b", {ARG("prefix", "a b")}, 1, {SIGNED_HEADERS("h")}, 3},
        {"GET /b?prefix=a+b\nHost: h", "/b", {ARG("prefix", "a+b")}, 1, {SIGNED_HEADERS("h")}, 3},
        {"GET /b?x=2&x=1&a\nHost: h",
         "/b",
         {ARG("x", "2"), ARG("x", "1"), ARG("a", "")},
         3,
         {SIGNED_HEADERS("h")},
         3},
        {"GET /b/a+b//../%25c\nHost: h",
         "/b/a+b//../%c",
         {ARG("", "")},
         0,
         {SIGNED_HEADERS("h")},
         3},
        {"GET /b\nHost: h", "/b", {ARG("", "")}, 0, {SIGNED_HEADERS("h:443")}, 3},
        {"GET /b\nHost: [::1]", "/b", {ARG("", "")}, 0, {SIGNED_HEADERS("[::1]:80")}, 3},
        {"GET /b\nHost: h\nAccept-Encoding: gzip, br",
         "/b",
         {ARG("", "")},
         0,
         {SIGNED_HEADERS("h"), ARG("accept-encoding", "identity")},
         4},
        {"GET /b\nHost: h\nX-Amz-Meta-A: 1\nx-amz-meta-a:  2",
         "/b",
         {ARG("", "")},
         0,
         {SIGNED_HEADERS("h"), ARG("x-amz-meta-a", "1"), ARG("x-amz-meta-a", "2")},
         5},
        {"GET /b\nHost: h\nX-Amz-Meta-A: one    two",
         "/b",
         {ARG("", "")},
         0,
         {SIGNED_HEADERS("h"), ARG("x-amz-meta-a", "one  two")},
         4},
    };
    const struct signing bad[] = {
        {"GET /b?prefix=a+b\nHost: h", "/b", {ARG("prefix", "a-b")}, 1, {SIGNED_HEADERS("h")}, 3},
        {"GET /b\nHost: h", "/b", {ARG("", "")}, 0, {SIGNED_HEADERS("h:9000")}, 3},
        {"GET /b/a//c\nHost: h", "/b/a/c", {ARG("", "")}, 0, {SIGNED_HEADERS("h")}, 3},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(good); i++)
        check_signing(&good[i], "OK");
    for (size_t i = 0; i < LENGTH_OF(bad); i++)
        check_signing(&bad[i], "SignatureDoesNotMatch");
}

static void test_verify__the_host_that_is_served_must_be_signed(void **state)
{
    struct auth_key key = {.secret = STR(SECRET), .account_id = 7, .enabled = true};
    struct given g;

    (void)state;
    assert_int_equal(parse(&g, GET_OBJECT, MAY_24_2013), S3_OK);
    g.request.host = STR("otherbucket.s3.amazonaws.com");
    assert_int_equal(auth_check(&g.request, g.arena, &key, &g.auth, &g.error),
                     S3_SIGNATURE_DOES_NOT_MATCH);
    g.request.host = STR("examplebucket.s3.amazonaws.com");
    assert_int_equal(auth_check(&g.request, g.arena, &key, &g.auth, &g.error), S3_OK);
    arena_free(g.arena);
}

/* --- version 2: AWS's examples -----------------------------------------------------------------*/

#define V2 "Authorization: AWS " ACCESS ":"

static void test_verify__aws_examples_of_version_2_hold(void **state)
{
    static const struct {
        int64_t seconds;
        const char *text;
    } rows[] = {
        {1175024202, "GET /photos/puppy.jpg\nHost: johnsmith.s3.amazonaws.com\n"
                     "Date: Tue, 27 Mar 2007 19:36:42 +0000\n" V2 "bWq2s1WEIj+Ydj0vQ697zp+IXMU=\n"},
        {1175030145, "PUT /photos/puppy.jpg\nContent-Type: image/jpeg\nContent-Length: 94328\n"
                     "Host: johnsmith.s3.amazonaws.com\nDate: Tue, 27 Mar 2007 21:15:45 +0000\n" V2
                     "MyyxeRY7whkBe+bq8fHCL/2kKUg=\n"},
        {1175024561, "GET /?prefix=photos&max-keys=50&marker=puppy\nUser-Agent: Mozilla/5.0\n"
                     "Host: johnsmith.s3.amazonaws.com\nDate: Tue, 27 Mar 2007 19:42:41 +0000\n" V2
                     "htDYFYduRNen8P9ZfE/s9SuKy0U=\n"},
        {1175024686,
         "GET /?acl\nHost: johnsmith.s3.amazonaws.com\nDate: Tue, 27 Mar 2007 19:44:46 +0000\n" V2
         "c2WLPFtWHVgbEmeEG93a4cG37dM=\n"},
        {1175029568,
         "PUT /static.johnsmith.net/db-backup.dat.gz\nHost: s3.amazonaws.com:8080\n"
         "Date: Tue, 27 Mar 2007 21:06:08 +0000\nx-amz-acl: public-read\n"
         "content-type: application/x-download\nContent-MD5: 4gJE4saaMU4BqNR0kLY+lw==\n"
         "X-Amz-Meta-ReviewedBy: joe@johnsmith.net\nX-Amz-Meta-ReviewedBy: jane@johnsmith.net\n"
         "X-Amz-Meta-FileChecksum: 0x02661779\nX-Amz-Meta-ChecksumAlgorithm: crc32\n" V2
         "ilyl83RwaSoYIEdixDQcA4OnAnc=\n"},
        {1175046589, "GET /dictionary/fran%C3%A7ais/pr%c3%a9f%c3%a8re\nHost: s3.amazonaws.com\n"
                     "Date: Wed, 28 Mar 2007 01:49:49 +0000\n" V2 "DNEZGsoieTZ92F3bUfSPQcbGmlM=\n"},
    };
    char changed[2048];

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        check(rows[i].text, rows[i].seconds * 1000, "OK");
        snprintf(changed, sizeof(changed), "HEAD%s", strchr(rows[i].text, ' '));
        check(changed, rows[i].seconds * 1000, "SignatureDoesNotMatch");
        check(rows[i].text, rows[i].seconds * 1000 + 16 * 60 * 1000, "RequestTimeTooSkewed");
    }
}

#define PRESIGNED_V2                                                                               \
    "GET /photos/puppy.jpg?AWSAccessKeyId=" ACCESS                                                 \
    "&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D&Expires=1175139620\n"                             \
    "Host: johnsmith.s3.amazonaws.com\n"

static void test_verify__presigned_version_2(void **state)
{
    const int64_t end = INT64_C(1175139620) * 1000;
    static const struct {
        const char *from, *to, *code;
    } rows[] = {
        {"GET", "GET", "OK"},
        {"M%2B", "M+", "OK"},            /* an unencoded plus in the signature */
        {"?AWS", "?prefix=x&AWS", "OK"}, /* version 2 does not cover it */
        {"GET", "PUT", "SignatureDoesNotMatch"},
        {"puppy", "kitty", "SignatureDoesNotMatch"},
        {"?AWS", "?acl&AWS", "SignatureDoesNotMatch"},
        {"?AWS", "?legal-hold&AWS", "SignatureDoesNotMatch"},
        {"?AWS", "?versionId=1&AWS", "SignatureDoesNotMatch"},
        {"?AWS", "?response-content-type=text%2Fhtml&AWS", "SignatureDoesNotMatch"},
        {"?AWS", "?x-amz-acl=public-read&AWS", "SignatureDoesNotMatch"},
        {"Host: johnsmith", "x-amz-copy-source: /a/b\nHost: johnsmith", "SignatureDoesNotMatch"},
        {"Host: johnsmith", "Content-Type: text/html\nHost: johnsmith", "SignatureDoesNotMatch"},
        {"Host: johnsmith", "Host: johnsmiti", "SignatureDoesNotMatch"},
        {"=1175139620", "=1175139621", "SignatureDoesNotMatch"},
        {"=1175139620", "=soon", "AccessDenied"},
        {"=1175139620", "=-1", "AccessDenied"},
        {"=1175139620", "=9223372036854775807", "SignatureDoesNotMatch"},
        {"&Expires=1175139620", "", "AccessDenied"},
        {"NpgC", "NpgD", "SignatureDoesNotMatch"},
        {"NpgC", "Np", "SignatureDoesNotMatch"},
        {"NpgC", "Np*C", "SignatureDoesNotMatch"},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++)
        check(with(PRESIGNED_V2, rows[i].from, rows[i].to), end, rows[i].code);
    check(PRESIGNED_V2, end + 1, "AccessDenied");
}

static void check_v2(const char *to_sign, const char *text)
{
    uint8_t signature[20];
    char base64[BASE64_SIZE(20)], whole[2048], escaped[128];
    struct buf b;

    assert_ok(hmac_sha1(STR(SECRET), str_of(to_sign), signature));
    base64_encode(signature, sizeof(signature), base64);
    buf_init(&b, sizeof(escaped) - 1);
    percent_encode(&b, str_of(base64), PERCENT_KEEP_NONE);
    snprintf(escaped, sizeof(escaped), STR_FMT, STR_ARG(buf_str(&b)));
    buf_fini(&b);
    const char *mark = strchr(text, '@');
    assert_non_null(mark);
    snprintf(whole, sizeof(whole), "%.*s%s%s", (int)(mark - text), text, escaped, mark + 1);
    check(whole, 0, "OK");
}

/* As boto3, aws-cli 1 and s3cmd make them. */
static void test_verify__presigned_version_2_of_real_clients(void **state)
{
    (void)state;
    check_v2("PUT\n\n\n99\nx-amz-acl:private\n/b/k",
             "PUT /b/k?AWSAccessKeyId=A&Signature=@&Expires=99&x-amz-acl=private\nHost: h\n");
    check_v2("PUT\n\n\n99\nx-amz-acl:private\n/b/k",
             "PUT /b/k?AWSAccessKeyId=A&Signature=@&Expires=99&x-amz-acl=private\nHost: h\n"
             "x-amz-acl: private\n");
    check_v2("PUT\n\ntext/plain\n99\n/b/k",
             "PUT /b/k?AWSAccessKeyId=A&Signature=@&content-type=text%2Fplain&Expires=99\n"
             "Host: h\n");
    check_v2(
        "GET\n\n\n99\n/b/k?response-content-disposition=attachment; filename=a b&versionId=null",
        "GET /b/k?versionId=null&response-content-disposition=attachment%3B%20filename%3Da+b"
        "&AWSAccessKeyId=A&Signature=@&Expires=99\nHost: h\n");
    check_v2("GET\n\n\n99\n/b/a%20b", "GET /b/a%20b?AWSAccessKeyId=A&Signature=@&Expires=99\n"
                                      "Host: h\n");
    check_v2("GET\n\n\n99\n/b/?acl",
             "GET /b?acl&AWSAccessKeyId=A&Signature=@&Expires=99\nHost: h\n");
    check_v2("GET\n\n\n99\n/b/a~b", "GET /b/a%7eb?AWSAccessKeyId=A&Signature=@&Expires=99\n"
                                    "Host: h\n");
}

static void test_verify__version_2_dates_with_a_zone(void **state)
{
    const char *text = "GET /photos/puppy.jpg\nHost: johnsmith.s3.amazonaws.com\n"
                       "Date: Tue, 27 Mar 2007 12:36:42 -0700\n" V2 "x\n";

    (void)state;
    check(text, INT64_C(1175024202000), "SignatureDoesNotMatch");
    check(text, INT64_C(1175024202000) - 7 * 3600 * 1000, "RequestTimeTooSkewed");
}

static void test_verify__version_2_refusals(void **state)
{
    (void)state;
    check("GET /\nHost: h\nAuthorization: AWS HAHAHA\n", 0, "InvalidArgument");
    check("GET /\nHost: h\n" V2 "x\n", 0, "AccessDenied");
    check("GET /\nHost: h\nDate: Bad Date\n" V2 "x\n", 0, "AccessDenied");
    check("GET /\nHost: h\nx-amz-date: Tue, 07 Jul 1950 21:53:04 GMT\n" V2 "x\n", 0,
          "AccessDenied");
    check("GET /\nHost: h\nx-amz-date: Tue, 07 Jul 9999 21:53:04 GMT\n" V2 "x\n", 0,
          "RequestTimeTooSkewed");
    check("GET /?AWSAccessKeyId=A\nHost: h\n", 0, "AccessDenied");
    check("GET /?Signature=A\nHost: h\n", 0, "AccessDenied");
}

/* --- look-up -----------------------------------------------------------------------------------*/

static enum err lookup(void *context, struct str access_key, struct auth_key *out)
{
    assert_str(access_key, STR(ACCESS));
    *out = (struct auth_key){.secret = STR(SECRET), .account_id = 9, .enabled = true};
    return *(enum err *)context;
}

static void test_verify__look_up_by_callback(void **state)
{
    struct given g;
    enum err answer = OK;

    (void)state;
    assert_int_equal(parse(&g, GET_OBJECT, MAY_24_2013), S3_OK);
    assert_ok(auth_verify(&g.request, g.arena, lookup, &answer, &g.auth, &g.error));
    assert_int_equal(g.auth.account_id, 9);
    answer = ERR_NOT_FOUND;
    assert_int_equal(auth_verify(&g.request, g.arena, lookup, &answer, &g.auth, &g.error),
                     ERR_DENIED);
    assert_int_equal(g.error.code, S3_INVALID_ACCESS_KEY_ID);
    answer = ERR_AGAIN;
    assert_int_equal(auth_verify(&g.request, g.arena, lookup, &answer, &g.auth, &g.error),
                     ERR_AGAIN);
    arena_free(g.arena);
}

/* --- arguments that stand for headers ----------------------------------------------------------*/

static void check_headers(const char *text, const char *expected)
{
    struct given g;
    const struct sigv4_header *headers;
    size_t count;
    struct buf b;

    (void)parse(&g, text, 0);
    buf_init(&b, 4096);
    assert_int_equal(auth_headers(&g.request, g.arena, &headers, &count), S3_OK);
    for (size_t i = g.request.header_count; i < count; i++)
        buf_printf(&b, STR_FMT "=" STR_FMT ";", STR_ARG(headers[i].name),
                   STR_ARG(headers[i].value));
    assert_str(buf_str(&b), str_of(expected));
    buf_fini(&b);
    arena_free(g.arena);
}

static void test_verify__arguments_of_a_presigned_url_stand_for_headers(void **state)
{
    (void)state;
    check_headers("GET /b/k?x-amz-acl=private\nHost: h\n", "");
    check_headers("PUT /b/k?X-Amz-Signature=s&X-Amz-Date=d&X-Amz-Acl=private&x-amz-meta-a=1%202"
                  "&content-type=text&prefix=p&x-amz-copy-source=%2Fa%2Fb\nHost: h\n",
                  "X-Amz-Acl=private;x-amz-meta-a=1 2;x-amz-copy-source=/a/b;");
    check_headers("PUT /b/k?X-Amz-Signature=s&x-amz-acl=private\nHost: h\nX-AMZ-ACL: x\n", "");
    check_headers("PUT /b/k?X-Amz-Signature=s&x-amz-checksum-crc32=AAAAAA%3D%3D"
                  "&x-amz-sdk-checksum-algorithm=CRC32&x-amz-checksum-mode=ENABLED\nHost: h\n",
                  "x-amz-checksum-mode=ENABLED;");
    check_headers("PUT /b/k?AWSAccessKeyId=a&Signature=s&Expires=1&content-type=text%2Fplain"
                  "&x-amz-acl=private\nHost: h\n",
                  "content-type=text/plain;x-amz-acl=private;");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verify__aws_examples_of_version_4_hold),
        cmocka_unit_test(test_verify__tells_what_it_found),
        cmocka_unit_test(test_verify__any_change_breaks_the_signature),
        cmocka_unit_test(test_verify__harmless_changes_do_not),
        cmocka_unit_test(test_verify__version_4_refusals),
        cmocka_unit_test(test_verify__a_header_without_hash_is_refused),
        cmocka_unit_test(test_verify__time_limits),
        cmocka_unit_test(test_verify__presigned_refusals),
        cmocka_unit_test(test_verify__an_unknown_or_disabled_key_is_refused),
        cmocka_unit_test(test_verify__tolerated_readings),
        cmocka_unit_test(test_verify__the_host_that_is_served_must_be_signed),
        cmocka_unit_test(test_verify__aws_examples_of_version_2_hold),
        cmocka_unit_test(test_verify__presigned_version_2),
        cmocka_unit_test(test_verify__presigned_version_2_of_real_clients),
        cmocka_unit_test(test_verify__version_2_dates_with_a_zone),
        cmocka_unit_test(test_verify__version_2_refusals),
        cmocka_unit_test(test_verify__look_up_by_callback),
        cmocka_unit_test(test_verify__arguments_of_a_presigned_url_stand_for_headers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
