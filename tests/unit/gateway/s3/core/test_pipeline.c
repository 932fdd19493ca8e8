#include "tests/unit/gateway/rig_cases.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_pipeline__who_asks_must_be_known),
        CASE(test_pipeline__what_is_not_built_is_501),
        CASE(test_pipeline__each_missing_thing_has_its_404),
        CASE(test_pipeline__get_and_head_say_the_same),
        CASE(test_pipeline__ranges),
        CASE(test_pipeline__conditions),
        CASE(test_pipeline__multipart),
        CASE(test_pipeline__a_page_of_no_keys_is_whole),
        CASE(test_pipeline__an_expected_owner_is_the_buckets),
        CASE(test_pipeline__copies_say_what_is_missing),
        CASE(test_pipeline__a_wrong_checksum_leaves_the_old_object),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
