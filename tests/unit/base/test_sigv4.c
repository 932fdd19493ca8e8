/*
 * The examples that Amazon publishes in the S3 API Reference ("Authenticating Requests: Using the
 * Authorization Header", "... Query Parameters", "Signature Calculations: Transferring Payload in
 * Multiple Chunks", "... with trailing headers"), and what they leave open.
 */
#include "tests/unit/base/unit.h"

#include "base/codec.h"
#include "base/hash.h"
#include "base/sigv4.h"

#include <stdlib.h>

#define SECRET     STR("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
#define TIMESTAMP  STR("20130524T000000Z")
#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define HOST                                                                                       \
    {                                                                                              \
        {"host", 4},                                                                               \
        {                                                                                          \
            "examplebucket.s3.amazonaws.com", 30                                                   \
        }                                                                                          \
    }
#define H(name, value)                                                                             \
    {                                                                                              \
        {name, sizeof(name) - 1},                                                                  \
        {                                                                                          \
            value, sizeof(value) - 1                                                               \
        }                                                                                          \
    }

static const struct sigv4_scope scope = {
    .date = {"20130524", 8}, .region = {"us-east-1", 9}, .service = {"s3", 2}};

static void sign_request(const struct sigv4_request *r, char out[SIGV4_SIGNATURE_HEX + 1])
{
    struct buf canonical, names;
    uint8_t key[32];

    buf_init(&canonical, 8192);
    buf_init(&names, 1024);
    assert_ok(sigv4_canonical(r, &canonical, &names));
    assert_ok(sigv4_key(SECRET, &scope, key));
    assert_ok(sigv4_sign(key, TIMESTAMP, &scope, buf_str(&canonical), out));
    buf_fini(&canonical);
    buf_fini(&names);
}

static void test_sigv4__signs_the_published_get_with_range(void **state)
{
    const struct sigv4_header headers[] = {
        H("Range", "bytes=0-9"),
        H("x-amz-content-sha256", EMPTY_HASH),
        HOST,
        H("x-amz-date", "20130524T000000Z"),
    };
    const struct sigv4_request r = {.method = STR("GET"),
                                    .path = STR("/test.txt"),
                                    .headers = headers,
                                    .header_count = LENGTH_OF(headers),
                                    .payload_hash = STR(EMPTY_HASH)};
    struct buf canonical, names;
    char signature[SIGV4_SIGNATURE_HEX + 1];

    (void)state;
    buf_init(&canonical, 8192);
    buf_init(&names, 1024);
    assert_ok(sigv4_canonical(&r, &canonical, &names));
    assert_str(buf_str(&names), STR("host;range;x-amz-content-sha256;x-amz-date"));
    assert_str(buf_str(&canonical), STR("GET\n"
                                        "/test.txt\n"
                                        "\n"
                                        "host:examplebucket.s3.amazonaws.com\n"
                                        "range:bytes=0-9\n"
                                        "x-amz-content-sha256:" EMPTY_HASH "\n"
                                        "x-amz-date:20130524T000000Z\n"
                                        "\n"
                                        "host;range;x-amz-content-sha256;x-amz-date\n" EMPTY_HASH));
    buf_fini(&canonical);
    buf_fini(&names);
    sign_request(&r, signature);
    assert_string_equal(signature,
                        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

static void test_sigv4__signs_the_published_put(void **state)
{
#define HASH "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
    const struct sigv4_header headers[] = {
        H("Date", "Fri, 24 May 2013 00:00:00 GMT"),
        HOST,
        H("x-amz-content-sha256", HASH),
        H("x-amz-date", "20130524T000000Z"),
        H("x-amz-storage-class", "REDUCED_REDUNDANCY"),
    };
    const struct sigv4_request r = {.method = STR("PUT"),
                                    .path = STR("/test$file.text"),
                                    .headers = headers,
                                    .header_count = LENGTH_OF(headers),
                                    .payload_hash = STR(HASH)};
    char signature[SIGV4_SIGNATURE_HEX + 1];

    (void)state;
    sign_request(&r, signature);
    assert_string_equal(signature,
                        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
#undef HASH
}

static void test_sigv4__signs_the_published_bucket_requests(void **state)
{
    const struct sigv4_header headers[] = {
        HOST,
        H("x-amz-content-sha256", EMPTY_HASH),
        H("x-amz-date", "20130524T000000Z"),
    };
    const struct sigv4_arg lifecycle[] = {H("lifecycle", "")};
    const struct sigv4_arg list[] = {H("prefix", "J"), H("max-keys", "2")};
    struct sigv4_request r = {.method = STR("GET"),
                              .path = STR("/"),
                              .args = lifecycle,
                              .arg_count = LENGTH_OF(lifecycle),
                              .headers = headers,
                              .header_count = LENGTH_OF(headers),
                              .payload_hash = STR(EMPTY_HASH)};
    char signature[SIGV4_SIGNATURE_HEX + 1];

    (void)state;
    sign_request(&r, signature);
    assert_string_equal(signature,
                        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
    r.args = list;
    r.arg_count = LENGTH_OF(list);
    sign_request(&r, signature);
    assert_string_equal(signature,
                        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

static void test_sigv4__signs_the_published_presigned_url(void **state)
{
    const struct sigv4_header headers[] = {HOST};
    const struct sigv4_arg args[] = {
        H("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
        H("X-Amz-Credential", "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"),
        H("X-Amz-Date", "20130524T000000Z"),
        H("X-Amz-Expires", "86400"),
        H("X-Amz-SignedHeaders", "host"),
    };
    const struct sigv4_request r = {.method = STR("GET"),
                                    .path = STR("/test.txt"),
                                    .args = args,
                                    .arg_count = LENGTH_OF(args),
                                    .headers = headers,
                                    .header_count = LENGTH_OF(headers),
                                    .payload_hash = STR("UNSIGNED-PAYLOAD")};
    char signature[SIGV4_SIGNATURE_HEX + 1];

    (void)state;
    sign_request(&r, signature);
    assert_string_equal(signature,
                        "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

/* SHA-256 of `len` times 'a', as hex. */
static void hash_of_letters(size_t len, char out[65])
{
    char *letters = malloc(len + 1);
    uint8_t digest[32];

    assert_non_null(letters);
    memset(letters, 'a', len);
    assert_ok(hash_once(HASH_SHA256, letters, len, digest));
    hex_encode(digest, sizeof(digest), out);
    free(letters);
}

/* Signs chunks of 65536, 1024 and 0 letters after `signature`, which moves on. */
static void check_chunks(char signature[SIGV4_SIGNATURE_HEX + 1], const char *const expected[3])
{
    static const size_t lengths[] = {65536, 1024, 0};
    uint8_t key[32];

    assert_ok(sigv4_key(SECRET, &scope, key));
    for (size_t i = 0; i < LENGTH_OF(lengths); i++) {
        char hash[65], next[SIGV4_SIGNATURE_HEX + 1];
        hash_of_letters(lengths[i], hash);
        assert_ok(sigv4_sign_chunk(key, TIMESTAMP, &scope, str_of(signature), str_of(hash), next));
        assert_string_equal(next, expected[i]);
        memcpy(signature, next, sizeof(next));
    }
}

static void test_sigv4__signs_the_published_chunks(void **state)
{
#define KIND "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    static const char *const expected[] = {
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    };
    const struct sigv4_header headers[] = {
        H("Host", "s3.amazonaws.com"),
        H("x-amz-date", "20130524T000000Z"),
        H("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        H("x-amz-content-sha256", KIND),
        H("Content-Encoding", "aws-chunked"),
        H("x-amz-decoded-content-length", "66560"),
        H("Content-Length", "66824"),
    };
    const struct sigv4_request r = {.method = STR("PUT"),
                                    .path = STR("/examplebucket/chunkObject.txt"),
                                    .headers = headers,
                                    .header_count = LENGTH_OF(headers),
                                    .payload_hash = STR(KIND)};
    char signature[SIGV4_SIGNATURE_HEX + 1];

    (void)state;
    sign_request(&r, signature);
    assert_string_equal(signature,
                        "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9");
    check_chunks(signature, expected);
#undef KIND
}

static void test_sigv4__signs_the_published_trailer(void **state)
{
#define KIND "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
    static const char *const expected[] = {
        "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
        "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
        "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
    };
    const struct sigv4_header headers[] = {
        H("Host", "s3.amazonaws.com"),
        H("x-amz-date", "20130524T000000Z"),
        H("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        H("x-amz-content-sha256", KIND),
        H("Content-Encoding", "aws-chunked"),
        H("x-amz-decoded-content-length", "66560"),
        H("x-amz-trailer", "x-amz-checksum-crc32c"),
    };
    const struct sigv4_request r = {.method = STR("PUT"),
                                    .path = STR("/examplebucket/chunkObject.txt"),
                                    .headers = headers,
                                    .header_count = LENGTH_OF(headers),
                                    .payload_hash = STR(KIND)};
    static const char trailer[] = "x-amz-checksum-crc32c:sOO8/Q==\n";
    char signature[SIGV4_SIGNATURE_HEX + 1], last[SIGV4_SIGNATURE_HEX + 1], hash[65];
    uint8_t digest[32], key[32];

    (void)state;
    sign_request(&r, signature);
    assert_string_equal(signature,
                        "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e");
    check_chunks(signature, expected);
    assert_ok(hash_once(HASH_SHA256, trailer, sizeof(trailer) - 1, digest));
    hex_encode(digest, sizeof(digest), hash);
    assert_ok(sigv4_key(SECRET, &scope, key));
    assert_ok(sigv4_sign_trailer(key, TIMESTAMP, &scope, str_of(signature), str_of(hash), last));
    assert_string_equal(last, "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435");
#undef KIND
}

static void test_sigv4__canonical_form_sorts_encodes_and_folds(void **state)
{
    const struct sigv4_header headers[] = {
        H("X-Amz-Meta-B", "  two \t  words  "),
        H("x-amz-meta-a", "z"),
        H("X-Amz-Meta-A", " a  b"),
        H("HOST", "h:9000"),
        H("x-amz-meta", ""),
        H("X-AMZ-META-A", "y"),
    };
    /* By encoded name ("a%20" before "a-"), then by value; repeated ones stay. */
    const struct sigv4_arg args[] = {
        H("b", "2"), H("a-", "x"),      H("a ", "x"),     H("b", "10"),       H("B", "+/%~"),
        H("b", "2"), H("\xc3\xa4", ""), H("uploads", ""), H("a", "\xc3\xa4"),
    };
    const struct sigv4_request r = {.method = STR("PUT"),
                                    .path = STR("/b/../a//b +%\xc3\xa4\n~"),
                                    .args = args,
                                    .arg_count = LENGTH_OF(args),
                                    .headers = headers,
                                    .header_count = LENGTH_OF(headers),
                                    .payload_hash = STR("UNSIGNED-PAYLOAD")};
    struct buf canonical, names;

    (void)state;
    buf_init(&canonical, 8192);
    buf_init(&names, 1024);
    assert_ok(sigv4_canonical(&r, &canonical, &names));
    assert_str(buf_str(&canonical),
               STR("PUT\n"
                   "/b/../a//b%20%2B%25%C3%A4%0A~\n"
                   "%C3%A4=&B=%2B%2F%25~&a=%C3%A4&a%20=x&a-=x&b=10&b=2&b=2&uploads=\n"
                   "host:h:9000\n"
                   "x-amz-meta:\n"
                   "x-amz-meta-a:z,a b,y\n"
                   "x-amz-meta-b:two words\n"
                   "\n"
                   "host;x-amz-meta;x-amz-meta-a;x-amz-meta-b\n"
                   "UNSIGNED-PAYLOAD"));
    buf_fini(&canonical);
    buf_fini(&names);
}

static void test_sigv4__canonical_form_needs_no_headers_or_arguments(void **state)
{
    const struct sigv4_request r = {
        .method = STR("GET"), .path = STR("/"), .payload_hash = STR("x")};
    struct buf canonical, names;

    (void)state;
    buf_init(&canonical, 8192);
    buf_init(&names, 1024);
    assert_ok(sigv4_canonical(&r, &canonical, &names));
    assert_str(buf_str(&canonical), STR("GET\n/\n\n\n\nx"));
    buf_fini(&canonical);
    buf_fini(&names);
}

static void test_sigv4__canonical_form_sorts_many_arguments_and_headers(void **state)
{
    enum { MANY = 1000 };
    static char text[MANY][8];
    static struct sigv4_header headers[MANY];
    static struct sigv4_arg args[MANY];
    struct sigv4_request r = {.method = STR("GET"),
                              .path = STR("/"),
                              .args = args,
                              .headers = headers,
                              .payload_hash = STR("x")};

    (void)state;
    for (size_t i = 0; i < MANY; i++) { /* 7 is coprime to 1000: every number once */
        snprintf(text[i], sizeof(text[i]), "n%03zu", i * 7 % MANY);
        args[i] = (struct sigv4_arg){str_of(text[i]), STR("v")};
        headers[i] = (struct sigv4_header){str_of(text[i]), STR("v")};
    }
    for (size_t count = 0; count <= MANY; count = count < 40 ? count + 1 : count + 160) {
        struct buf canonical, names, expected;
        buf_init(&canonical, 1 << 20);
        buf_init(&names, 1 << 20);
        buf_init(&expected, 1 << 20);
        bool present[MANY] = {false};
        r.arg_count = r.header_count = count;
        for (size_t i = 0; i < count; i++)
            present[i * 7 % MANY] = true;
        for (size_t n = 0; n < MANY; n++)
            if (present[n])
                buf_printf(&expected, "%sn%03zu", expected.len ? ";" : "", n);
        assert_ok(sigv4_canonical(&r, &canonical, &names));
        assert_str(buf_str(&names), buf_str(&expected));
        size_t lines = 0;
        for (size_t i = 0; i < canonical.len; i++)
            lines += canonical.data[i] == '\n';
        assert_int_equal(lines, 5 + count);
        buf_fini(&canonical);
        buf_fini(&names);
        buf_fini(&expected);
    }
}

static void test_sigv4__canonical_form_stays_within_its_limits(void **state)
{
    const struct sigv4_header headers[] = {HOST};
    const struct sigv4_arg args[] = {H("prefix", "a long value, a long value, a long value")};
    const struct sigv4_request r = {.method = STR("GET"),
                                    .path = STR("/"),
                                    .args = args,
                                    .arg_count = 1,
                                    .headers = headers,
                                    .header_count = 1,
                                    .payload_hash = STR("x")};
    struct buf canonical, names;

    (void)state;
    buf_init(&canonical, 8192);
    buf_init(&names, 1024);
    assert_ok(sigv4_canonical(&r, &canonical, &names));
    size_t whole = canonical.len;
    buf_fini(&canonical);
    buf_fini(&names);
    for (size_t max = 0; max < whole + 10; max++) {
        buf_init(&canonical, max);
        buf_init(&names, 1024);
        enum err err = sigv4_canonical(&r, &canonical, &names);
        assert_int_equal(err, max < whole ? ERR_TOO_LARGE : OK);
        buf_fini(&canonical);
        buf_fini(&names);
    }
    buf_init(&canonical, 1000);
    buf_init(&names, 3);
    assert_int_equal(sigv4_canonical(&r, &canonical, &names), ERR_TOO_LARGE);
    buf_fini(&canonical);
    buf_fini(&names);
}

static void test_sigv4__keys_are_remembered_apart(void **state)
{
    static const struct sigv4_scope scopes[] = {
        {{"20130524", 8}, {"us-east-1", 9}, {"s3", 2}},
        {{"20130525", 8}, {"us-east-1", 9}, {"s3", 2}},
        {{"20130524", 8}, {"us-east-", 8}, {"1s3", 3}},
        {{"20130524", 8}, {"eu-west-1", 9}, {"s3", 2}},
        {{"2013052", 7}, {"4us-east-1", 10}, {"s3", 2}},
        {{"", 0}, {"", 0}, {"", 0}},
    };
    static const char *const secrets[] = {"a", "b", "", "a2"};
    uint8_t keys[LENGTH_OF(scopes) * LENGTH_OF(secrets)][32];
    size_t count = LENGTH_OF(keys);

    (void)state;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < count; i++) {
            uint8_t key[32];
            for (int again = 0; again < 2; again++) { /* the second one is remembered */
                assert_ok(sigv4_key(str_of(secrets[i % 4]), &scopes[i / 4], key));
                if (round == 0 && again == 0)
                    memcpy(keys[i], key, sizeof(key));
                assert_memory_equal(keys[i], key, sizeof(key));
            }
        }
    }
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(keys[i], keys[j], 32);
}

static void test_sigv4__takes_long_secrets_and_refuses_endless_ones(void **state)
{
    char secret[8192];
    uint8_t a[32], b[32];
    char signature[SIGV4_SIGNATURE_HEX + 1];

    (void)state;
    memset(secret, 's', sizeof(secret));
    assert_ok(sigv4_key((struct str){secret, 300}, &scope, a));
    assert_ok(sigv4_key((struct str){secret, 301}, &scope, b));
    assert_memory_not_equal(a, b, 32);
    assert_ok(sigv4_key((struct str){secret, 250}, &scope, a));
    assert_int_equal(sigv4_key((struct str){secret, sizeof(secret)}, &scope, a), ERR_TOO_LARGE);
    assert_int_equal(
        sigv4_sign(a, (struct str){secret, sizeof(secret)}, &scope, STR(""), signature),
        ERR_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sigv4__signs_the_published_get_with_range),
        cmocka_unit_test(test_sigv4__signs_the_published_put),
        cmocka_unit_test(test_sigv4__signs_the_published_bucket_requests),
        cmocka_unit_test(test_sigv4__signs_the_published_presigned_url),
        cmocka_unit_test(test_sigv4__signs_the_published_chunks),
        cmocka_unit_test(test_sigv4__signs_the_published_trailer),
        cmocka_unit_test(test_sigv4__canonical_form_sorts_encodes_and_folds),
        cmocka_unit_test(test_sigv4__canonical_form_needs_no_headers_or_arguments),
        cmocka_unit_test(test_sigv4__canonical_form_sorts_many_arguments_and_headers),
        cmocka_unit_test(test_sigv4__canonical_form_stays_within_its_limits),
        cmocka_unit_test(test_sigv4__keys_are_remembered_apart),
        cmocka_unit_test(test_sigv4__takes_long_secrets_and_refuses_endless_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
