#include "tests/unit/base/unit.h"

#include "gateway/s3/proto/payload.h"

/* Of the body "123456789". */
#define MD5       "JfnnlDI7RTiF9RgfG2JNCw=="
#define CRC32     "y/Q5Jg=="
#define CRC32C    "4waSgw=="
#define CRC64     "rosUhgp5mIg="
#define SHA1      "98O8HYCOBHMq32eZZczDTKeuNEE="
#define SHA256    "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="
#define OTHER_MD5 "1B2M2Y8AsgTpgAmY7PhCfg=="

struct row {
    struct sigv4_header headers[4];
    size_t header_count;
    bool framed, integrity;
    struct sigv4_header trailer;
    enum s3_code at_init, at_finish;
    enum checksum_algo algo; /* what is computed */
    bool client_sum;
};

#define H(name, value)                                                                             \
    {                                                                                              \
        STR(name), STR(value)                                                                      \
    }

static const struct row rows[] = {
    {.algo = CHECKSUM_CRC64NVME},
    {.headers = {H("Content-MD5", MD5)}, .header_count = 1, .algo = CHECKSUM_CRC64NVME},
    {.headers = {H("Content-MD5", OTHER_MD5)}, .header_count = 1, .at_finish = S3_BAD_DIGEST},
    {.headers = {H("Content-MD5", "")}, .header_count = 1, .at_init = S3_INVALID_DIGEST},
    {.headers = {H("Content-MD5", "AWS HAHAHA")}, .header_count = 1, .at_init = S3_INVALID_DIGEST},
    {.headers = {H("Content-MD5", "WUFNaw==")}, .header_count = 1, .at_init = S3_INVALID_DIGEST},
    {.headers = {H("X-Amz-Checksum-Crc32", CRC32)},
     .header_count = 1,
     .algo = CHECKSUM_CRC32,
     .client_sum = true},
    {.headers = {H("x-amz-checksum-crc32", CRC32C)}, .header_count = 1, .at_finish = S3_BAD_DIGEST},
    {.headers = {H("x-amz-checksum-crc32c", CRC32C), H("Content-MD5", MD5)},
     .header_count = 2,
     .algo = CHECKSUM_CRC32C,
     .client_sum = true},
    {.headers = {H("x-amz-checksum-crc64nvme", CRC64)},
     .header_count = 1,
     .algo = CHECKSUM_CRC64NVME,
     .client_sum = true},
    {.headers = {H("x-amz-checksum-sha1", SHA1)},
     .header_count = 1,
     .algo = CHECKSUM_SHA1,
     .client_sum = true},
    {.headers = {H("x-amz-checksum-sha256", SHA256), H("x-amz-sdk-checksum-algorithm", "SHA256")},
     .header_count = 2,
     .algo = CHECKSUM_SHA256,
     .client_sum = true},
    {.headers = {H("x-amz-checksum-sha256", "x")}, .header_count = 1, .at_init = S3_BAD_DIGEST},
    {.headers = {H("x-amz-checksum-sha512", "x")},
     .header_count = 1,
     .at_init = S3_INVALID_REQUEST},
    {.headers = {H("x-amz-checksum-xxhash64", "x")},
     .header_count = 1,
     .at_init = S3_INVALID_REQUEST},
    {.headers = {H("x-amz-checksum-crc32", CRC32), H("x-amz-checksum-crc32c", CRC32C)},
     .header_count = 2,
     .at_init = S3_INVALID_REQUEST},
    {.headers = {H("x-amz-sdk-checksum-algorithm", "CRC32")},
     .header_count = 1,
     .at_init = S3_INVALID_REQUEST},
    {.headers = {H("x-amz-sdk-checksum-algorithm", "MD5"), H("x-amz-checksum-crc32", CRC32)},
     .header_count = 2,
     .at_init = S3_INVALID_REQUEST},
    {.headers = {H("x-amz-sdk-checksum-algorithm", "CRC32"), H("x-amz-checksum-sha256", SHA256)},
     .header_count = 2,
     .at_init = S3_INVALID_REQUEST},
    {.headers = {H("x-amz-checksum-algorithm", "SHA1"), H("x-amz-checksum-sha256", SHA256)},
     .header_count = 2,
     .at_init = S3_INVALID_REQUEST},
    {.headers = {H("x-amz-checksum-algorithm", "SHA256"), H("x-amz-checksum-sha256", SHA256)},
     .header_count = 2,
     .algo = CHECKSUM_SHA256,
     .client_sum = true},
    {.headers = {H("x-amz-trailer", "x-amz-checksum-crc32"),
                 H("x-amz-sdk-checksum-algorithm", "CRC32C")},
     .header_count = 2,
     .framed = true,
     .at_init = S3_INVALID_REQUEST},
    {.headers = {H("x-amz-checksum-mode", "ENABLED")},
     .header_count = 1,
     .algo = CHECKSUM_CRC64NVME},
    {.headers = {H("x-amz-trailer", "x-amz-checksum-crc32")},
     .header_count = 1,
     .framed = true,
     .trailer = H("X-Amz-Checksum-CRC32", CRC32),
     .algo = CHECKSUM_CRC32,
     .client_sum = true},
    {.headers = {H("x-amz-trailer", "x-amz-checksum-crc32")},
     .header_count = 1,
     .framed = true,
     .trailer = H("x-amz-checksum-crc32", CRC32C),
     .at_finish = S3_BAD_DIGEST},
    {.headers = {H("x-amz-trailer", "x-amz-checksum-crc32")},
     .header_count = 1,
     .framed = true,
     .trailer = H("x-amz-checksum-crc32", "crc"),
     .at_finish = S3_BAD_DIGEST},
    {.headers = {H("x-amz-trailer", "x-amz-checksum-crc32")},
     .header_count = 1,
     .framed = true,
     .trailer = H("x-amz-meta-x", CRC32),
     .at_finish = S3_MALFORMED_TRAILER},
    {.headers = {H("x-amz-trailer", "x-amz-checksum-crc32")},
     .header_count = 1,
     .at_init = S3_INVALID_REQUEST},
    {.headers = {H("x-amz-trailer", "x-amz-checksum-sha512")},
     .header_count = 1,
     .framed = true,
     .at_init = S3_INVALID_REQUEST},
    {.headers = {H("x-amz-trailer", "x-amz-checksum-crc32,x-amz-checksum-sha1")},
     .header_count = 1,
     .framed = true,
     .at_init = S3_INVALID_REQUEST},
    {.headers = {H("x-amz-trailer", "x-amz-checksum-crc32"), H("x-amz-checksum-crc32", CRC32)},
     .header_count = 2,
     .framed = true,
     .at_init = S3_INVALID_REQUEST},
    {.integrity = true, .at_init = S3_INVALID_REQUEST},
    {.headers = {H("x-amz-checksum-crc32", CRC32)},
     .header_count = 1,
     .integrity = true,
     .algo = CHECKSUM_CRC32,
     .client_sum = true},
    {.headers = {H("content-md5", MD5)},
     .header_count = 1,
     .integrity = true,
     .algo = CHECKSUM_CRC64NVME},
};

static void check_row(size_t i)
{
    const struct row *r = &rows[i];
    struct payload_spec spec = {.headers = r->headers,
                                .header_count = r->header_count,
                                .has_trailer = r->framed,
                                .default_algo = CHECKSUM_CRC64NVME,
                                .want_md5 = true,
                                .need_integrity = r->integrity};
    struct payload p;
    struct payload_result result;

    enum s3_code code = payload_init(&p, &spec, NULL);
    if (code != r->at_init)
        fail_msg("row %zu begins with %s", i, s3_code_name(code));
    if (code != S3_OK)
        return;
    payload_update(&p, "1234", 4);
    payload_update(&p, "", 0);
    payload_update(&p, "56789", 5);
    code = payload_finish(&p, &r->trailer, r->trailer.name.len > 0, &result, NULL);
    if (code != r->at_finish)
        fail_msg("row %zu ends with %s", i, s3_code_name(code));
    payload_fini(&p);
    if (code != S3_OK)
        return;
    assert_int_equal(result.length, 9);
    assert_true(result.has_md5);
    assert_int_equal(result.md5[0], 0x25);
    assert_int_equal(result.sum.algo, r->algo);
    assert_int_equal(result.client_sum, r->client_sum);
}

static void test_payload__headers_and_trailers(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++)
        check_row(i);
}

static void test_payload__a_trailer_that_comes_twice_is_refused(void **state)
{
    const struct sigv4_header headers[] = {H("x-amz-trailer", "x-amz-checksum-crc32")};
    const struct sigv4_header trailers[] = {H("x-amz-checksum-crc32", CRC32),
                                            H("X-Amz-Checksum-Crc32", CRC32)};
    struct payload_spec spec = {.headers = headers, .header_count = 1, .has_trailer = true};
    struct payload p;
    struct payload_result result;

    (void)state;
    assert_int_equal(payload_init(&p, &spec, NULL), S3_OK);
    payload_update(&p, "123456789", 9);
    assert_int_equal(payload_finish(&p, trailers, 2, &result, NULL), S3_MALFORMED_TRAILER);
    payload_fini(&p);
}

static void test_payload__the_signed_hash_must_be_the_bodys(void **state)
{
    uint8_t sha256[32];
    const struct sigv4_header headers[] = {H("x-amz-checksum-sha256", SHA256)};
    struct payload_spec spec = {
        .headers = headers, .header_count = 1, .sha256 = sha256, .want_md5 = true};
    struct payload p;
    struct payload_result result;

    (void)state;
    assert_ok(hash_once(HASH_SHA256, "123456789", 9, sha256));
    assert_int_equal(payload_init(&p, &spec, NULL), S3_OK);
    assert_int_equal(p.hash_count, 2); /* one pass serves both uses of SHA-256 */
    payload_update(&p, "123456789", 9);
    assert_int_equal(payload_finish(&p, NULL, 0, &result, NULL), S3_OK);
    payload_fini(&p);

    assert_int_equal(payload_init(&p, &spec, NULL), S3_OK);
    payload_update(&p, "123456780", 9);
    assert_int_equal(payload_finish(&p, NULL, 0, &result, NULL), S3_CONTENT_SHA256_MISMATCH);
    payload_fini(&p);
}

static void test_payload__computes_only_what_is_wanted(void **state)
{
    struct payload_spec spec = {0};
    struct payload p;
    struct payload_result result;

    (void)state;
    assert_int_equal(payload_init(&p, &spec, NULL), S3_OK);
    assert_int_equal(p.hash_count, 0);
    payload_update(&p, "x", 1);
    assert_int_equal(payload_finish(&p, NULL, 0, &result, NULL), S3_OK);
    assert_false(result.has_md5);
    assert_int_equal(result.sum.algo, CHECKSUM_NONE);
    payload_fini(&p);
    payload_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_payload__headers_and_trailers),
        cmocka_unit_test(test_payload__a_trailer_that_comes_twice_is_refused),
        cmocka_unit_test(test_payload__the_signed_hash_must_be_the_bodys),
        cmocka_unit_test(test_payload__computes_only_what_is_wanted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
