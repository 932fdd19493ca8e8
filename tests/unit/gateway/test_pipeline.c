#include "tests/unit/gateway/s3_rig.h"

#include "base/codec.h"
#include "base/hash.h"

#define NO_BODY STR_NONE

static struct rig rig;

static int begin(void **state)
{
    (void)state;
    rig_start(&rig);
    return 0;
}

static int end(void **state)
{
    (void)state;
    rig_stop(&rig);
    return 0;
}

/* Each test has its own bucket. */
static int make_bucket(void **state)
{
    (void)state;
    rig.access = RIG_ACCESS;
    rig.secret = RIG_SECRET;
    rig_expect(&rig, "PUT /bucket", "", STR(""), 200);
    rig_expect(&rig, "PUT /bucket/k", "x-amz-meta-a: 1\n", STR("0123456789"), 200);
    return 0;
}

static void test_pipeline__who_asks_must_be_known(void **state)
{
    (void)state;
    rig.access = "";
    rig_refused(&rig, "GET /bucket/k", "", NO_BODY, 403, "AccessDenied");
    rig_refused(&rig, "PUT /bucket/new", "", STR("x"), 403, "AccessDenied");
    rig.access = "NOBODY";
    rig_refused(&rig, "GET /bucket/k", "", NO_BODY, 403, "InvalidAccessKeyId");
    rig.access = RIG_ACCESS;
    rig.secret = "wrong";
    rig_refused(&rig, "GET /bucket/k", "", NO_BODY, 403, "SignatureDoesNotMatch");
    rig_expect(&rig, "HEAD /bucket/k", "", NO_BODY, 403);
    assert_int_equal(rig.body.len, 0);
    rig.secret = RIG_SECRET;
    rig_refused(&rig, "GET /bucket/new", "", NO_BODY, 404, "NoSuchKey");
}

static void test_pipeline__what_is_not_built_is_501(void **state)
{
    (void)state;
    rig_refused(&rig, "PUT /bucket?policy", "", STR("{}"), 501, "NotImplemented");
    rig_refused(&rig, "PUT /bucket?acl", "", STR(""), 501, "NotImplemented");
    rig_refused(&rig, "PUT /bucket/k?tagging", "", STR("<Tagging/>"), 501, "NotImplemented");
    rig_refused(&rig, "DELETE /bucket/k?tagging", "", NO_BODY, 501, "NotImplemented");
    rig_refused(&rig, "DELETE /bucket?what", "", NO_BODY, 501, "NotImplemented");
    rig_refused(&rig, "PUT /bucket/k", "x-amz-server-side-encryption: AES256\n", STR("x"), 501,
                "NotImplemented");
    assert_str(rig_element(&rig, "Header"), STR("x-amz-server-side-encryption"));
    rig_expect(&rig, "GET /bucket/k", "", NO_BODY, 200);
    assert_str(rig.body, STR("0123456789"));
}

static void test_pipeline__each_missing_thing_has_its_404(void **state)
{
    (void)state;
    rig_refused(&rig, "GET /nobucket/k", "", NO_BODY, 404, "NoSuchBucket");
    assert_str(rig_element(&rig, "BucketName"), STR("nobucket"));
    rig_refused(&rig, "GET /nobucket", "", NO_BODY, 404, "NoSuchBucket");
    rig_refused(&rig, "PUT /nobucket/k", "", STR("x"), 404, "NoSuchBucket");
    rig_refused(&rig, "GET /bucket/none", "", NO_BODY, 404, "NoSuchKey");
    assert_str(rig_element(&rig, "Key"), STR("none"));
    assert_str(rig_element(&rig, "Resource"), STR("/bucket/none"));
    rig_refused(&rig, "GET /bucket/k?uploadId=none", "", NO_BODY, 404, "NoSuchUpload");
    rig_refused(&rig, "GET /bucket?cors", "", NO_BODY, 404, "NoSuchCORSConfiguration");
    rig_expect(&rig, "HEAD /bucket/none", "", NO_BODY, 404);
    assert_int_equal(rig.body.len, 0);
    rig_expect(&rig, "DELETE /bucket/none", "", NO_BODY, 204);
}

static void test_pipeline__get_and_head_say_the_same(void **state)
{
    struct str etag = STR("\"781e5e245d69b566979b86e28d23f2c7\"");

    (void)state;
    rig_expect(&rig, "GET /bucket/k", "", NO_BODY, 200);
    assert_str(rig.body, STR("0123456789"));
    assert_str(rig_field(&rig, "ETag"), etag);
    assert_str(rig_field(&rig, "x-amz-meta-a"), STR("1"));
    assert_str(rig_field(&rig, "Accept-Ranges"), STR("bytes"));
    rig_expect(&rig, "HEAD /bucket/k", "", NO_BODY, 200);
    assert_int_equal(rig.body.len, 0);
    assert_str(rig_field(&rig, "ETag"), etag);
    assert_str(rig_field(&rig, "Content-Length"), STR("10"));
    assert_int_equal(rig_field(&rig, "x-amz-request-id").len, 16);
}

static void test_pipeline__ranges(void **state)
{
    (void)state;
    rig_expect(&rig, "GET /bucket/k", "Range: bytes=2-4\n", NO_BODY, 206);
    assert_str(rig.body, STR("234"));
    assert_str(rig_field(&rig, "Content-Range"), STR("bytes 2-4/10"));
    rig_expect(&rig, "GET /bucket/k", "Range: bytes=-3\n", NO_BODY, 206);
    assert_str(rig.body, STR("789"));
    rig_expect(&rig, "GET /bucket/k", "Range: bytes=8-100\n", NO_BODY, 206);
    assert_str(rig.body, STR("89"));
    rig_expect(&rig, "HEAD /bucket/k", "Range: bytes=0-0\n", NO_BODY, 206);
    assert_str(rig_field(&rig, "Content-Length"), STR("1"));
    rig_expect(&rig, "GET /bucket/k", "Range: bytes=2-1\n", NO_BODY, 200);
    rig_refused(&rig, "GET /bucket/k", "Range: bytes=10-\n", NO_BODY, 416, "InvalidRange");
    assert_str(rig_element(&rig, "ActualObjectSize"), STR("10"));
    rig_expect(&rig, "GET /bucket/k", "Range: bytes=2-4\nIf-Range: \"other\"\n", NO_BODY, 200);
    rig_expect(&rig, "GET /bucket/k?partNumber=1", "", NO_BODY, 206);
    assert_str(rig.body, STR("0123456789"));
    rig_refused(&rig, "GET /bucket/k?partNumber=1", "Range: bytes=0-1\n", NO_BODY, 400,
                "InvalidRequest");
}

static void test_pipeline__conditions(void **state)
{
    const char *is = "If-Match: \"781e5e245d69b566979b86e28d23f2c7\"\n";
    const char *not = "If-None-Match: 781e5e245d69b566979b86e28d23f2c7\n";

    (void)state;
    rig_expect(&rig, "GET /bucket/k", is, NO_BODY, 200);
    rig_refused(&rig, "GET /bucket/k", "If-Match: \"x\"\n", NO_BODY, 412, "PreconditionFailed");
    rig_expect(&rig, "GET /bucket/k", not, NO_BODY, 304);
    assert_int_equal(rig.body.len, 0);
    assert_non_null(rig_field(&rig, "ETag").ptr);
    assert_str(rig_field(&rig, "Content-Length"), STR("10")); /* RFC 9110 8.6 */
    rig_expect(&rig, "HEAD /bucket/k", not, NO_BODY, 304);
    rig_refused(&rig, "PUT /bucket/k", "If-None-Match: *\n", STR("x"), 412, "PreconditionFailed");
    rig_refused(&rig, "PUT /bucket/none", is, STR("x"), 404, "NoSuchKey");
    rig_refused(&rig, "DELETE /bucket/k", "If-Match: \"x\"\n", NO_BODY, 412, "PreconditionFailed");
    rig_expect(&rig, "GET /bucket/k", "", NO_BODY, 200);
    assert_str(rig.body, STR("0123456789"));
    rig_expect(&rig, "PUT /bucket/k", is, STR("new"), 200);
}

#define KEPT "0123456789"

static void keeps(const char *key)
{
    char line[64];

    snprintf(line, sizeof(line), "GET /bucket/%s", key);
    rig_expect(&rig, line, "", NO_BODY, 200);
    assert_str(rig.body, STR(KEPT));
}

/* An ETag condition that names no ETag lets no write through, whichever operation it guards. */
static void test_pipeline__empty_conditions_let_no_write_through(void **state)
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

static void test_pipeline__conditions_of_many_deletions(void **state)
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
static void test_pipeline__dates_in_many_forms(void **state)
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

static void test_pipeline__headers_given_twice(void **state)
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

static void test_pipeline__ranges_of_nothing(void **state)
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
static void test_pipeline__a_plus_in_a_copy_source(void **state)
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

static void test_pipeline__addresses_that_name_no_bucket(void **state)
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

static void test_pipeline__limits_of_a_page(void **state)
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

static void test_pipeline__no_bucket_has_object_lock(void **state)
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

static void test_pipeline__a_304_repeats_what_a_cache_needs(void **state)
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

static void test_pipeline__who_needs_no_signature(void **state)
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

static void test_pipeline__multipart(void **state)
{
    static char part[5 << 20];
    char line[256], body[512];
    struct str id;
    char upload[128];

    (void)state;
    memset(part, 'p', sizeof(part));
    rig_expect(&rig, "POST /bucket/m?uploads", "", STR(""), 200);
    id = rig_element(&rig, "UploadId");
    snprintf(upload, sizeof(upload), STR_FMT, STR_ARG(id));
    snprintf(line, sizeof(line), "PUT /bucket/m?partNumber=1&uploadId=%s", upload);
    rig_expect(&rig, line, "", ((struct str){part, sizeof(part)}), 200);
    snprintf(body, sizeof(body),
             "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" STR_FMT
             "</ETag></Part>",
             STR_ARG(rig_field(&rig, "ETag")));
    snprintf(line, sizeof(line), "PUT /bucket/m?partNumber=2&uploadId=%s", upload);
    rig_expect(&rig, line, "", STR("tail"), 200);
    snprintf(body + strlen(body), sizeof(body) - strlen(body),
             "<Part><PartNumber>2</PartNumber><ETag>" STR_FMT
             "</ETag></Part></CompleteMultipartUpload>",
             STR_ARG(rig_field(&rig, "ETag")));
    snprintf(line, sizeof(line), "GET /bucket/m?uploadId=%s&max-parts=1", upload);
    rig_expect(&rig, line, "", NO_BODY, 200);
    assert_str(rig_element(&rig, "IsTruncated"), STR("true"));
    assert_str(rig_element(&rig, "NextPartNumberMarker"), STR("1"));
    snprintf(line, sizeof(line), "POST /bucket/m?uploadId=%s", upload);
    rig_expect(&rig, line, "", str_of(body), 200);
    rig_expect(&rig, line, "", str_of(body), 200); /* a replay */
    rig_expect(&rig, "GET /bucket/m?partNumber=2", "", NO_BODY, 206);
    assert_str(rig.body, STR("tail"));
    assert_str(rig_field(&rig, "x-amz-mp-parts-count"), STR("2"));
    assert_str(rig_field(&rig, "Content-Range"), STR("bytes 5242880-5242883/5242884"));
    rig_expect(&rig, "HEAD /bucket/m?partNumber=1", "", NO_BODY, 206);
    assert_str(rig_field(&rig, "Content-Length"), STR("5242880"));
    rig_expect(&rig, "GET /bucket/m", "Range: bytes=5242879-5242880\n", NO_BODY, 206);
    assert_str(rig.body, STR("pt"));
    snprintf(line, sizeof(line), "PUT /bucket/m?partNumber=3&uploadId=%s", upload);
    rig_refused(&rig, line, "", STR("late"), 404, "NoSuchUpload");
}

static void test_pipeline__a_page_of_no_keys_is_whole(void **state)
{
    (void)state;
    rig_expect(&rig, "GET /bucket?list-type=2&max-keys=0", "", NO_BODY, 200);
    assert_str(rig_element(&rig, "IsTruncated"), STR("false"));
    assert_str(rig_element(&rig, "KeyCount"), STR("0"));
    rig_expect(&rig, "GET /bucket?max-keys=0", "", NO_BODY, 200);
    assert_str(rig_element(&rig, "IsTruncated"), STR("false"));
    rig_refused(&rig, "GET /bucket?max-keys=-1", "", NO_BODY, 400, "InvalidArgument");
}

static void as_other(void)
{
    rig.access = "OTHER";
    rig.secret = "other-secret";
}

static void as_root(void)
{
    rig.access = RIG_ACCESS;
    rig.secret = RIG_SECRET;
}

static void test_pipeline__an_expected_owner_is_the_buckets(void **state)
{
    const char *other = "x-amz-expected-bucket-owner: 999999999999\n";
    char mine[128], source[256];

    (void)state;
    rig_expect(&rig, "GET /", "", NO_BODY, 200);
    snprintf(mine, sizeof(mine), "x-amz-expected-bucket-owner: " STR_FMT "\n",
             STR_ARG(rig_element(&rig, "ID")));
    rig_expect(&rig, "GET /bucket/k", mine, NO_BODY, 200);
    rig_refused(&rig, "GET /bucket/k", other, NO_BODY, 403, "AccessDenied");
    rig_refused(&rig, "PUT /bucket/k", other, STR("x"), 403, "AccessDenied");
    snprintf(source, sizeof(source), "x-amz-copy-source: bucket/k\nx-amz-source-%s",
             other + strlen("x-amz-"));
    rig_refused(&rig, "PUT /bucket/copy", source, STR(""), 403, "AccessDenied");
    snprintf(source, sizeof(source), "x-amz-copy-source: bucket/k\nx-amz-source-%s",
             mine + strlen("x-amz-"));
    rig_expect(&rig, "PUT /bucket/copy", source, STR(""), 200);
    /* it is the bucket's owner that counts, not who asks */
    as_other();
    rig_expect(&rig, "PUT /others", "", STR(""), 200);
    rig_expect(&rig, "GET /", "", NO_BODY, 200);
    as_root();
    rig_refused(&rig, "GET /others", mine, NO_BODY, 403, "AccessDenied");
    snprintf(mine, sizeof(mine), "x-amz-expected-bucket-owner: " STR_FMT "\n",
             STR_ARG(rig_element(&rig, "ID")));
    rig_refused(&rig, "GET /nobucket/k", other, NO_BODY, 404, "NoSuchBucket");
}

static void test_pipeline__copies_say_what_is_missing(void **state)
{
    (void)state;
    rig_refused(&rig, "PUT /bucket/c", "x-amz-copy-source: nobucket/k\n", STR(""), 404,
                "NoSuchBucket");
    assert_str(rig_element(&rig, "BucketName"), STR("nobucket"));
    rig_refused(&rig, "PUT /bucket/c", "x-amz-copy-source: bucket/none\n", STR(""), 404,
                "NoSuchKey");
    assert_str(rig_element(&rig, "Key"), STR("none"));
    rig_refused(&rig, "PUT /nobucket/c", "x-amz-copy-source: bucket/k\n", STR(""), 404,
                "NoSuchBucket");
    assert_str(rig_element(&rig, "BucketName"), STR("nobucket"));
    rig_refused(&rig, "PUT /bucket/k", "x-amz-copy-source: bucket/k\n", STR(""), 400,
                "InvalidRequest");
}

static void test_pipeline__a_wrong_checksum_leaves_the_old_object(void **state)
{
    (void)state;
    rig_refused(&rig, "PUT /bucket/k", "x-amz-checksum-crc32: AAAAAA==\n", STR("other"), 400,
                "BadDigest");
    rig_refused(&rig, "PUT /bucket/k", "Content-MD5: 1B2M2Y8AsgTpgAmY7PhCfg==\n", STR("other"), 400,
                "BadDigest");
    rig_refused(&rig, "PUT /bucket/k", "Content-MD5: nonsense\n", STR("other"), 400,
                "InvalidDigest");
    rig_expect(&rig, "GET /bucket/k", "", NO_BODY, 200);
    assert_str(rig.body, STR("0123456789"));
}

#define CASE(test) cmocka_unit_test_setup(test, make_bucket)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_pipeline__who_asks_must_be_known),
        CASE(test_pipeline__what_is_not_built_is_501),
        CASE(test_pipeline__each_missing_thing_has_its_404),
        CASE(test_pipeline__get_and_head_say_the_same),
        CASE(test_pipeline__ranges),
        CASE(test_pipeline__conditions),
        CASE(test_pipeline__empty_conditions_let_no_write_through),
        CASE(test_pipeline__conditions_of_many_deletions),
        CASE(test_pipeline__dates_in_many_forms),
        CASE(test_pipeline__headers_given_twice),
        CASE(test_pipeline__ranges_of_nothing),
        CASE(test_pipeline__a_plus_in_a_copy_source),
        CASE(test_pipeline__addresses_that_name_no_bucket),
        CASE(test_pipeline__limits_of_a_page),
        CASE(test_pipeline__no_bucket_has_object_lock),
        CASE(test_pipeline__a_304_repeats_what_a_cache_needs),
        CASE(test_pipeline__who_needs_no_signature),
        CASE(test_pipeline__multipart),
        CASE(test_pipeline__a_page_of_no_keys_is_whole),
        CASE(test_pipeline__an_expected_owner_is_the_buckets),
        CASE(test_pipeline__copies_say_what_is_missing),
        CASE(test_pipeline__a_wrong_checksum_leaves_the_old_object),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
