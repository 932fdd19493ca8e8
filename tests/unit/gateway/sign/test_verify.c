#include "tests/unit/base/unit.h"

#include "tests/unit/gateway/auth_given.h"

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
        {"=86400", "=604800", "SignatureDoesNotMatch"},
        {"=86400", "=604801", "AccessDenied"},
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

static void test_verify__a_source_whose_blanks_the_signature_folds_is_refused(void **state)
{
    const struct signing good = {"GET /b/k\nHost: h\nx-amz-copy-source: /b/a b",
                                 "/b/k",
                                 {ARG("", "")},
                                 0,
                                 {SIGNED_HEADERS("h"), ARG("x-amz-copy-source", "/b/a b")},
                                 4};
    struct signing bad = good;

    (void)state;
    check_signing(&good, "OK");
    bad.arrives = "GET /b/k\nHost: h\nx-amz-copy-source: /b/a  b";
    check_signing(&bad, "InvalidArgument");
    bad.arrives = "GET /b/k\nHost: h\nx-amz-copy-source: /b/a\tb";
    check_signing(&bad, "InvalidArgument");
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

/* --- presigned URLs made here ------------------------------------------------------------------*/

#define URL_ARGS                                                                                   \
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" ACCESS                                    \
    "%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=600"    \
    "&X-Amz-SignedHeaders=host"

/* Signs `query` of a PUT of /b/k, and sends `sent` in its place with the fields given. */
static enum s3_code presign(struct given *g, const char *payload, const char *query,
                            const char *sent, const char *fields)
{
    struct sigv4_header host = {STR("host"), STR("h")};
    struct sigv4_request r = {.method = STR("PUT"),
                              .path = STR("/b/k"),
                              .headers = &host,
                              .header_count = 1,
                              .payload_hash = str_of(payload)};
    struct sigv4_scope scope = {STR("20130524"), STR("us-east-1"), STR("s3")};
    struct arena *arena = arena_new(1 << 16);
    struct sigv4_arg *args;
    struct buf canonical, list;
    uint8_t key[32];
    char signature[SIGV4_SIGNATURE_HEX + 1], text[4096];

    snprintf(text, sizeof(text), "%s&%s", URL_ARGS, query);
    assert_ok(auth_query_args(str_of(text), PERCENT_PLUS_LITERAL, arena, &args, &r.arg_count));
    r.args = args;
    buf_init(&canonical, 65536);
    buf_init(&list, 65536);
    assert_ok(sigv4_canonical(&r, &canonical, &list));
    assert_ok(sigv4_key(STR(SECRET), &scope, key));
    assert_ok(sigv4_sign(key, STR("20130524T000000Z"), &scope, buf_str(&canonical), signature));
    snprintf(text, sizeof(text), "PUT /b/k?%s&X-Amz-Signature=%s&%s\nHost: h\n%s", URL_ARGS,
             signature, sent, fields);
    buf_fini(&canonical);
    buf_fini(&list);
    arena_free(arena);
    return verify(g, text, MAY_24_2013);
}

static void test_verify__a_payload_pinned_in_a_url_can_not_be_loosened(void **state)
{
    static const char other[] = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
    static const struct {
        const char *pinned, *header;
        enum s3_code code;
        enum auth_payload payload;
    } rows[] = {
        {EMPTY, NULL, S3_OK, AUTH_PAYLOAD_SHA256},
        {EMPTY, EMPTY, S3_OK, AUTH_PAYLOAD_SHA256},
        {EMPTY, "UNSIGNED-PAYLOAD", S3_ACCESS_DENIED, AUTH_PAYLOAD_UNSIGNED},
        {EMPTY, "STREAMING-UNSIGNED-PAYLOAD-TRAILER", S3_ACCESS_DENIED, AUTH_PAYLOAD_UNSIGNED},
        {EMPTY, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", S3_ACCESS_DENIED, AUTH_PAYLOAD_UNSIGNED},
        {EMPTY, "", S3_ACCESS_DENIED, AUTH_PAYLOAD_UNSIGNED},
        {EMPTY, other, S3_ACCESS_DENIED, AUTH_PAYLOAD_UNSIGNED},
        {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "UNSIGNED-PAYLOAD", S3_ACCESS_DENIED,
         AUTH_PAYLOAD_UNSIGNED},
        {"", NULL, S3_INVALID_ARGUMENT, AUTH_PAYLOAD_UNSIGNED},
        {"UNSIGNED-PAYLOAD", NULL, S3_OK, AUTH_PAYLOAD_UNSIGNED},
        {"UNSIGNED-PAYLOAD", EMPTY, S3_OK, AUTH_PAYLOAD_SHA256},
        {"UNSIGNED-PAYLOAD", "UNSIGNED-PAYLOAD", S3_OK, AUTH_PAYLOAD_UNSIGNED},
    };
    static const char *const names[] = {"X-Amz-Content-Sha256", "x-amz-content-sha256"};
    char query[256], field[256];
    struct given g;

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        for (size_t n = 0; n < LENGTH_OF(names); n++) {
            snprintf(query, sizeof(query), "%s=%s", names[n], rows[i].pinned);
            snprintf(field, sizeof(field), "x-amz-content-sha256: %s\n",
                     rows[i].header != NULL ? rows[i].header : "");
            enum s3_code code =
                presign(&g, rows[i].pinned, query, query, rows[i].header != NULL ? field : "");
            if (code != rows[i].code)
                fail_msg("%s with %s: %s", query, field, s3_code_name(code));
            assert_int_equal(g.auth.payload, rows[i].payload);
            arena_free(g.arena);
        }
    }
}

static struct str arg_of(const struct given *g, const char *name)
{
    for (size_t i = 0; i < g->auth.arg_count; i++)
        if (str_eq(g->auth.args[i].name, str_of(name)))
            return g->auth.args[i].value;
    return STR_NONE;
}

static void test_verify__the_reading_that_matched_is_reported(void **state)
{
    static const struct {
        const char *query, *sent, *seen;
    } rows[] = {
        {"prefix=a%2Bb", "prefix=a%2Bb", "a+b"},    {"prefix=a%2Bb", "prefix=a+b", "a+b"},
        {"prefix=a%20b", "prefix=a+b", "a b"},      {"prefix=a%20b", "prefix=a%20b", "a b"},
        {"prefix=a%2Bb", "prefix=a%20b", NULL},     {"prefix=a%20b", "prefix=a%2Bb", NULL},
        {"prefix=a%2Bb%20c", "prefix=a+b+c", NULL},
    };
    struct given g;

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        enum s3_code code = presign(&g, "UNSIGNED-PAYLOAD", rows[i].query, rows[i].sent, "");
        if (code != (rows[i].seen != NULL ? S3_OK : S3_SIGNATURE_DOES_NOT_MATCH))
            fail_msg("%s sent as %s: %s", rows[i].query, rows[i].sent, s3_code_name(code));
        if (rows[i].seen != NULL)
            assert_str(arg_of(&g, "prefix"), str_of(rows[i].seen));
        arena_free(g.arena);
    }
}

static void test_verify__a_url_with_two_values_of_an_argument_is_refused(void **state)
{
    struct given g;

    (void)state;
    assert_int_equal(
        presign(&g, "UNSIGNED-PAYLOAD", "versionId=1&versionId=2", "versionId=2&versionId=1", ""),
        S3_INVALID_ARGUMENT);
    arena_free(g.arena);
    assert_int_equal(presign(&g, "UNSIGNED-PAYLOAD", "a=1&b=2&a=1", "a=1&b=2&a=1", ""), S3_OK);
    arena_free(g.arena);
    assert_int_equal(
        presign(&g, "UNSIGNED-PAYLOAD", "x-amz-security-token=t", "x-amz-security-token=t", ""),
        S3_INVALID_TOKEN);
    arena_free(g.arena);
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

/* However many readings a request has: a wrong signature costs little, whatever its length. */
static void test_verify__a_refusal_costs_little(void **state)
{
    enum { MOST = 64 << 10 };
    static const size_t pads[] = {0, 1000, 15000, 30000};

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(pads); i++) {
        struct auth_key key = {STR(SECRET), 7, true};
        struct buf text;
        struct given g;

        buf_init(&text, 64 << 10);
        buf_append_cstr(&text, "GET /b?prefix=a+b\nHost: h\nAccept-Encoding: br\nX-Amz-Meta-Pad: ");
        for (size_t n = 0; n < pads[i]; n++)
            buf_append_char(&text, 'p');
        buf_append_cstr(&text, "\n" V4 ",SignedHeaders=accept-encoding;host;x-amz-content-sha256;"
                               "x-amz-date;x-amz-meta-pad,Signature="
                               "0000000000000000000000000000000000000000000000000000000000000000\n"
                               "x-amz-date: 20130524T000000Z\n"
                               "x-amz-content-sha256: UNSIGNED-PAYLOAD\n");
        assert_ok(buf_check(&text));
        assert_int_equal(parse(&g, text.data, MAY_24_2013), S3_OK);
        assert_int_equal(auth_check(&g.request, g.arena, &key, &g.auth, &g.error),
                         S3_SIGNATURE_DOES_NOT_MATCH);
        /* two plain readings, and the one that is shown, are free */
        assert_in_range(g.auth.hashed_bytes, 3 * pads[i], MOST + 3 * (pads[i] + 500));
        arena_free(g.arena);
        buf_fini(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verify__a_refusal_costs_little),
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
        cmocka_unit_test(test_verify__a_payload_pinned_in_a_url_can_not_be_loosened),
        cmocka_unit_test(test_verify__the_reading_that_matched_is_reported),
        cmocka_unit_test(test_verify__a_url_with_two_values_of_an_argument_is_refused),
        cmocka_unit_test(test_verify__a_source_whose_blanks_the_signature_folds_is_refused),
        cmocka_unit_test(test_verify__the_host_that_is_served_must_be_signed),
        cmocka_unit_test(test_verify__look_up_by_callback),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
