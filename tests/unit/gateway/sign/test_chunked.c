#include "tests/unit/base/unit.h"

#include "gateway/sign/chunked.h"

#define SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

/* AWS's two examples: 66560 times 'a' in chunks of 64 KiB and 1 KiB. */
#define EXAMPLE_LENGTH 66560

struct given {
    struct auth auth;
    struct chunked chunked;
    struct buf body;
    struct buf decoded;
    struct s3_error error;
};

static void begin(struct given *g, enum auth_payload kind, const char *seed, uint64_t length)
{
    *g = (struct given){0};
    g->auth.payload = kind;
    g->auth.framed = true;
    g->auth.decoded_length = length;
    g->auth.scope = (struct sigv4_scope){STR("20130524"), STR("us-east-1"), STR("s3")};
    g->auth.timestamp = STR("20130524T000000Z");
    g->auth.signature = str_of(seed);
    assert_ok(sigv4_key(STR(SECRET), &g->auth.scope, g->auth.signing_key));
    buf_init(&g->body, 1 << 20);
    buf_init(&g->decoded, 1 << 20);
}

static void end(struct given *g)
{
    chunked_fini(&g->chunked);
    buf_fini(&g->body);
    buf_fini(&g->decoded);
}

/* Feeds the body in pieces of `step` bytes. */
static enum s3_code decode(struct given *g, const char *announced, size_t step)
{
    enum s3_code code = S3_OK;

    chunked_fini(&g->chunked);
    buf_clear(&g->decoded);
    assert_ok(chunked_init(&g->chunked, &g->auth, str_of(announced)));
    for (size_t at = 0; at < g->body.len && code == S3_OK; at += step) {
        struct str in = str_sub(buf_str(&g->body), at, step);
        while (in.len > 0 && code == S3_OK) {
            struct str piece;
            code = chunked_next(&g->chunked, &in, &piece, &g->error);
            buf_append_str(&g->decoded, piece);
        }
    }
    if (code != S3_OK)
        assert_int_equal(chunked_finish(&g->chunked, NULL), code); /* the failure stays */
    return code == S3_OK ? chunked_finish(&g->chunked, &g->error) : code;
}

static void put_many(struct buf *b, char c, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_append_char(b, c);
}

static void put_chunk(struct buf *b, size_t len, const char *signature)
{
    buf_printf(b, "%zx;chunk-signature=%s\r\n", len, signature);
    put_many(b, 'a', len);
    if (len > 0)
        buf_append_cstr(b, "\r\n");
}

static void example(struct given *g)
{
    begin(g, AUTH_PAYLOAD_CHUNKED,
          "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9", EXAMPLE_LENGTH);
    put_chunk(&g->body, 65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648");
    put_chunk(&g->body, 1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497");
    put_chunk(&g->body, 0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9");
    buf_append_cstr(&g->body, "\r\n");
}

static void trailer_example(struct given *g, const char *line_end)
{
    begin(g, AUTH_PAYLOAD_CHUNKED_TRAILER,
          "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e", EXAMPLE_LENGTH);
    put_chunk(&g->body, 65536, "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2");
    put_chunk(&g->body, 1024, "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7");
    put_chunk(&g->body, 0, "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992");
    buf_printf(&g->body,
               "x-amz-checksum-crc32c:sOO8/Q==%sx-amz-trailer-signature:"
               "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n",
               line_end);
}

static void assert_example_decoded(struct given *g)
{
    assert_int_equal(g->decoded.len, EXAMPLE_LENGTH);
    for (size_t i = 0; i < g->decoded.len; i++)
        assert_int_equal(g->decoded.data[i], 'a');
}

static const size_t steps[] = {1, 2, 3, 7, 80, 1024, 65536, 1 << 20};

static void test_chunked__aws_example_in_pieces_of_any_size(void **state)
{
    struct given g;

    (void)state;
    example(&g);
    for (size_t i = 0; i < LENGTH_OF(steps); i++) {
        assert_int_equal(decode(&g, "", steps[i]), S3_OK);
        assert_example_decoded(&g);
    }
    end(&g);
}

static void test_chunked__aws_example_with_a_signed_trailer(void **state)
{
    /* The second is how AWS's page shows it. */
    static const char *const line_ends[] = {"\r\n", "\n\r\n", "\n"};
    struct given g;

    (void)state;
    for (size_t e = 0; e < LENGTH_OF(line_ends); e++) {
        trailer_example(&g, line_ends[e]);
        for (size_t i = 0; i < LENGTH_OF(steps); i++) {
            assert_int_equal(decode(&g, "x-amz-checksum-crc32c", steps[i]), S3_OK);
            assert_example_decoded(&g);
            assert_int_equal(g.chunked.trailer_count, 1);
            assert_str(g.chunked.trailers[0].name, STR("x-amz-checksum-crc32c"));
            assert_str(g.chunked.trailers[0].value, STR("sOO8/Q=="));
        }
        end(&g);
    }
}

static void test_chunked__no_byte_may_change(void **state)
{
    struct given g;

    (void)state;
    trailer_example(&g, "\r\n");
    size_t data_from = 5 + 17 + 64 + 2;
    for (size_t i = 0; i + 2 < g.body.len; i++) {
        if (i == data_from + 10)
            i = data_from + 65536 - 10; /* the rest of the data is like its ends */
        char was = g.body.data[i];
        g.body.data[i] = (char)(was ^ 1);
        enum s3_code code = decode(&g, "x-amz-checksum-crc32c", g.body.len);
        if (code == S3_OK)
            fail_msg("byte %zu ('%c') does not matter", i, was);
        g.body.data[i] = was;
    }
    end(&g);
}

static void test_chunked__a_body_cut_anywhere_is_not_complete(void **state)
{
    struct given g;

    (void)state;
    trailer_example(&g, "\r\n");
    size_t whole = g.body.len;
    for (size_t len = 0; len + 2 < whole; len += len > 200 && len < 65000 ? 997 : 1) {
        g.body.len = len;
        if (decode(&g, "x-amz-checksum-crc32c", whole) == S3_OK)
            fail_msg("%zu of %zu bytes were enough", len, whole);
    }
    g.body.len = whole;
    end(&g);
}

/* An unsigned body with this text and what becomes of it. */
static void check_unsigned(const char *text, uint64_t length, const char *announced,
                           const char *expected)
{
    struct given g;

    begin(&g, AUTH_PAYLOAD_UNSIGNED_TRAILER, "", length);
    buf_append_cstr(&g.body, text);
    for (size_t i = 0; i < LENGTH_OF(steps); i++) {
        const char *got = s3_code_name(decode(&g, announced, steps[i]));
        if (strcmp(got, expected) != 0)
            fail_msg("%s, not %s, for \"%s\" in steps of %zu", got, expected, text, steps[i]);
        assert_true(g.decoded.len <= length); /* more than announced never goes out */
    }
    end(&g);
}

static void test_chunked__unsigned_bodies(void **state)
{
    static const struct {
        const char *text;
        uint64_t length;
        const char *announced;
        const char *expected;
    } rows[] = {
        {"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", 5, "x-amz-checksum-crc32",
         "OK"},
        {"5\r\nhello\r\n0\r\nX-Amz-Checksum-CRC32: NhCmhg==\r\n\r\n", 5, "a, X-AMZ-Checksum-crc32",
         "OK"},
        {"2\r\nhe\r\n03;ext=1\r\nllo\r\n0\r\n\r\n", 5, "", "OK"},
        {"0\r\n\r\n", 0, "", "OK"},
        {"0\r\n", 0, "", "OK"},
        {"0\r\n\r\n\r\n", 0, "", "OK"},
        {"5\nhello\n0\n\n", 5, "", "InvalidRequest"},
        /* a line that another reader would end elsewhere */
        {"5\nhello\r\n0\r\n\r\n", 5, "", "InvalidRequest"},
        {"5;a=1\nhello\r\n0\r\n\r\n", 5, "", "InvalidRequest"},
        {"5\r\nhello\n0\r\n\r\n", 5, "", "InvalidRequest"},
        {"5\r\nhello\r\n0\n\r\n", 5, "", "InvalidRequest"},
        {"5\r\nhello\r\n0;a\n\r\n", 5, "", "InvalidRequest"},
        {"5\r\nhello\r\n0\r\n\n", 5, "", "InvalidRequest"},
        {"0\r\na:1\r\n\n", 0, "a", "InvalidRequest"},
        {"0\r\n\r\n\n", 0, "", "InvalidRequest"},
        {"5\r\r\nhello\r\n0\r\n\r\n", 5, "", "InvalidRequest"},
        {"5;a\rb\r\nhello\r\n0\r\n\r\n", 5, "", "InvalidRequest"},
        {"5;a\r\r\nhello\r\n0\r\n\r\n", 5, "", "InvalidRequest"},
        {"5\r\nhello\r\r\n0\r\n\r\n", 5, "", "InvalidRequest"},
        {"5\r\nhello\r\n0\r\n\r\r\n", 5, "", "InvalidRequest"},
        {"5;a\x01\r\nhello\r\n0\r\n\r\n", 5, "", "InvalidRequest"},
        {"0\r\na:1\rb:2\r\n\r\n", 0, "a", "InvalidRequest"},
        {"0\r\na:1\r\r\n\r\n", 0, "a", "InvalidRequest"},
        {" 5\r\nhello\r\n0\r\n\r\n", 5, "", "InvalidRequest"},
        {"5 \r\nhello\r\n0\r\n\r\n", 5, "", "InvalidRequest"},
        {"5\t;a\r\nhello\r\n0\r\n\r\n", 5, "", "InvalidRequest"},
        {"0\r\na:1\n\r\n", 0, "a", "OK"},
        {"5;a=\"b\tc\"\r\nhello\r\n0\r\n\r\n", 5, "", "OK"},
        {"", 0, "", "IncompleteBody"},
        {"0", 0, "", "IncompleteBody"},
        {"5\r\nhello\r\n0\r\n\r\n", 6, "", "IncompleteBody"},
        {"5\r\nhello\r\n0\r\n\r\n", 4, "", "IncompleteBody"},
        {"5\r\nhello\r\n", 5, "", "IncompleteBody"},
        {"5\r\nhel", 5, "", "IncompleteBody"},
        {"5\r\nhello0\r\n\r\n", 5, "", "InvalidRequest"},
        {"5\r\nhello!\r\n0\r\n\r\n", 5, "", "InvalidRequest"},
        {"0\r\n\r\nmore", 0, "", "InvalidRequest"},
        {"0\r\n\r\nmore\r\n", 0, "", "InvalidRequest"},
        {"-5\r\nhello\r\n0\r\n\r\n", 5, "", "InvalidRequest"},
        {"0x5\r\nhello\r\n0\r\n\r\n", 5, "", "InvalidRequest"},
        {"\r\n0\r\n\r\n", 0, "", "InvalidRequest"},
        {";\r\n0\r\n\r\n", 0, "", "InvalidRequest"},
        {"10000000000000000\r\n", 5, "", "InvalidRequest"},
        {"ffffffffffffffff\r\n", 5, "", "IncompleteBody"},
        {"0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", 0, "", "MalformedTrailerError"},
        {"0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", 0, "x-amz-checksum-crc32c",
         "MalformedTrailerError"},
        {"0\r\na:1\r\nA:2\r\n\r\n", 0, "a", "MalformedTrailerError"},
        {"0\r\na\r\n\r\n", 0, "a", "MalformedTrailerError"},
        {"0\r\n:a\r\n\r\n", 0, "a", "MalformedTrailerError"},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++)
        check_unsigned(rows[i].text, rows[i].length, rows[i].announced, rows[i].expected);
}

static void test_chunked__lines_and_trailers_have_limits(void **state)
{
    struct given g;

    (void)state;
    begin(&g, AUTH_PAYLOAD_UNSIGNED_TRAILER, "", 0);
    put_many(&g.body, '0', 100000);
    assert_int_equal(decode(&g, "", 4096), S3_INVALID_REQUEST);
    buf_clear(&g.body);
    buf_append_cstr(&g.body, "0\r\n");
    for (int i = 0; i <= CHUNKED_TRAILERS_MAX; i++)
        buf_printf(&g.body, "a%d:x\r\n", i);
    assert_int_equal(decode(&g, "a0,a1,a2,a3,a4,a5,a6,a7,a8", 4096), S3_MALFORMED_TRAILER);
    end(&g);
}

static void sign_chunk(struct given *g, char previous[SIGV4_SIGNATURE_HEX + 1], size_t len)
{
    char data[16384], hex[65], signature[SIGV4_SIGNATURE_HEX + 1];
    uint8_t digest[32];

    memset(data, 'a', sizeof(data));
    assert_ok(hash_once(HASH_SHA256, data, len, digest));
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < 32; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    assert_ok(sigv4_sign_chunk(g->auth.signing_key, g->auth.timestamp, &g->auth.scope,
                               (struct str){previous, SIGV4_SIGNATURE_HEX}, (struct str){hex, 64},
                               signature));
    memcpy(previous, signature, sizeof(signature));
    put_chunk(&g->body, len, signature);
}

static void test_chunked__only_the_last_signed_chunk_may_be_small(void **state)
{
    static const struct {
        size_t sizes[4];
        enum s3_code code;
    } rows[] = {
        {{8192, 8192, 1, 0}, S3_OK},
        {{1, 0, 0, 0}, S3_OK},
        {{8192, 8191, 1, 0}, S3_INVALID_CHUNK_SIZE},
        {{1, 8192, 0, 0}, S3_INVALID_CHUNK_SIZE},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        struct given g;
        char previous[SIGV4_SIGNATURE_HEX + 1];
        const size_t *s = rows[i].sizes;
        memset(previous, '7', SIGV4_SIGNATURE_HEX);
        previous[SIGV4_SIGNATURE_HEX] = '\0';
        char seed[SIGV4_SIGNATURE_HEX + 1];
        memcpy(seed, previous, sizeof(seed));
        begin(&g, AUTH_PAYLOAD_CHUNKED, seed, s[0] + s[1] + s[2]);
        for (size_t c = 0; c == 0 || s[c - 1] > 0; c++)
            sign_chunk(&g, previous, s[c]);
        buf_append_cstr(&g.body, "\r\n");
        assert_int_equal(decode(&g, "", 1000), rows[i].code);
        end(&g);
    }
}

static void test_chunked__a_signed_trailer_needs_its_signature(void **state)
{
    struct given g;

    (void)state;
    trailer_example(&g, "\r\n");
    char *at = strstr(g.body.data, "x-amz-trailer-signature");
    assert_non_null(at);
    g.body.len = (size_t)(at - g.body.data);
    assert_int_equal(decode(&g, "x-amz-checksum-crc32c", 999), S3_SIGNATURE_DOES_NOT_MATCH);
    buf_append_cstr(&g.body, "\r\n");
    assert_int_equal(decode(&g, "x-amz-checksum-crc32c", 999), S3_SIGNATURE_DOES_NOT_MATCH);
    end(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chunked__aws_example_in_pieces_of_any_size),
        cmocka_unit_test(test_chunked__aws_example_with_a_signed_trailer),
        cmocka_unit_test(test_chunked__no_byte_may_change),
        cmocka_unit_test(test_chunked__a_body_cut_anywhere_is_not_complete),
        cmocka_unit_test(test_chunked__unsigned_bodies),
        cmocka_unit_test(test_chunked__lines_and_trailers_have_limits),
        cmocka_unit_test(test_chunked__only_the_last_signed_chunk_may_be_small),
        cmocka_unit_test(test_chunked__a_signed_trailer_needs_its_signature),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
