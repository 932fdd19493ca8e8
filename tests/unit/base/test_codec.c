#include "tests/unit/base/unit.h"

#include "base/codec.h"

static void fill(unsigned char *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        p[i] = (unsigned char)test_random();
}

static void test_codec__hex_goes_both_ways(void **state)
{
    unsigned char in[40], back[40];
    char text[81];

    (void)state;
    for (size_t len = 0; len <= sizeof(in); len++) {
        fill(in, len);
        hex_encode(in, len, text);
        assert_int_equal(strlen(text), 2 * len);
        assert_ok(hex_decode(str_of(text), back, len));
        assert_memory_equal(in, back, len);
    }
    hex_encode("\x01\xab\xff", 3, text);
    assert_string_equal(text, "01abff");
    assert_ok(hex_decode(STR("01aBFf"), back, 3));
    assert_memory_equal(back, "\x01\xab\xff", 3);
}

static void test_codec__hex_is_strict(void **state)
{
    static const char *const bad[] = {"", "1", "123", "12345", "1g34", "12 4", "0x12", "12-4"};
    unsigned char out[2];

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(bad); i++)
        if (hex_decode(str_of(bad[i]), out, 2) != ERR_INVALID)
            fail_msg("\"%s\"", bad[i]);
}

static void test_codec__base64_knows_the_vectors_of_rfc_4648(void **state)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };
    char text[BASE64_SIZE(6)], back[6];

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        size_t len = strlen(cases[i][0]);
        base64_encode(cases[i][0], len, text);
        assert_string_equal(text, cases[i][1]);
        assert_ok(base64_decode(str_of(cases[i][1]), back, len));
        assert_memory_equal(back, cases[i][0], len);
    }
}

static void test_codec__base64_goes_both_ways(void **state)
{
    unsigned char in[70], back[70];
    char text[BASE64_SIZE(70)];

    (void)state;
    for (int round = 0; round < 20; round++) {
        for (size_t len = 0; len <= sizeof(in); len++) {
            fill(in, len);
            base64_encode(in, len, text);
            assert_int_equal(strlen(text), BASE64_SIZE(len) - 1);
            assert_ok(base64_decode(str_of(text), back, len));
            assert_memory_equal(in, back, len);
        }
    }
}

static void test_codec__base64_is_strict(void **state)
{
    static const struct {
        const char *text;
        size_t len;
    } bad[] = {
        {"Zg", 1},   {"Zg=", 1},    {"Zh==", 1}, {"Zm9=", 2},     {"Zm8", 2},
        {"Z===", 0}, {"====", 0},   {"====", 1}, {"Zm9v", 2},     {"Zm8=", 3},
        {"Zm8=", 1}, {"Zg==", 2},   {"Z g=", 2}, {"Zm9-", 3},     {"Zm_v", 3},
        {"=m9v", 3}, {"Zm9v\n", 3}, {"", 1},     {"Zg==Zg==", 4}, {"Z=g=", 1},
    };
    unsigned char out[8];

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(bad); i++)
        if (base64_decode(str_of(bad[i].text), out, bad[i].len) != ERR_INVALID)
            fail_msg("\"%s\" as %zu bytes", bad[i].text, bad[i].len);
}

static void test_codec__percent_encodes_as_aws_does(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 1000);
    percent_encode(&b, STR("AZaz09-_.~ /+%?#&='\"\xc3\xa4\0*"), PERCENT_KEEP_NONE);
    assert_str(buf_str(&b), STR("AZaz09-_.~%20%2F%2B%25%3F%23%26%3D%27%22%C3%A4%00%2A"));
    buf_clear(&b);
    percent_encode(&b, STR("/a b//c"), PERCENT_KEEP_SLASH);
    assert_str(buf_str(&b), STR("/a%20b//c"));
    buf_fini(&b);
}

static void test_codec__percent_goes_both_ways(void **state)
{
    struct buf text, back;
    char in[64];

    (void)state;
    buf_init(&text, 1000);
    buf_init(&back, 1000);
    for (int round = 0; round < 500; round++) {
        size_t len = test_random() % sizeof(in);
        fill((unsigned char *)in, len);
        for (int plus = PERCENT_PLUS_LITERAL; plus <= PERCENT_PLUS_SPACE; plus++) {
            buf_clear(&text);
            buf_clear(&back);
            percent_encode(&text, (struct str){in, len},
                           round % 2 ? PERCENT_KEEP_NONE : PERCENT_KEEP_SLASH);
            assert_ok(percent_decode(&back, buf_str(&text), (enum percent_plus)plus));
            assert_str(buf_str(&back), ((struct str){in, len}));
        }
    }
    buf_fini(&text);
    buf_fini(&back);
}

static void test_codec__percent_decodes_strictly(void **state)
{
    static const char *const bad[] = {"%", "%4", "a%", "%zz", "%4g", "%g4", "%%20", "abc%2"};
    struct buf b;

    (void)state;
    buf_init(&b, 20);
    for (size_t i = 0; i < LENGTH_OF(bad); i++)
        if (percent_decode(&b, str_of(bad[i]), PERCENT_PLUS_SPACE) != ERR_INVALID)
            fail_msg("\"%s\"", bad[i]);
    buf_clear(&b);
    assert_ok(percent_decode(&b, STR("a+%2b%2B%00"), PERCENT_PLUS_SPACE));
    assert_str(buf_str(&b), STR("a ++\0"));
    buf_clear(&b);
    assert_ok(percent_decode(&b, STR("a+b%41"), PERCENT_PLUS_LITERAL));
    assert_str(buf_str(&b), STR("a+bA"));
    assert_int_equal(percent_decode(&b, STR("0123456789012345678901234"), PERCENT_PLUS_LITERAL),
                     ERR_TOO_LARGE);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codec__hex_goes_both_ways),
        cmocka_unit_test(test_codec__hex_is_strict),
        cmocka_unit_test(test_codec__base64_knows_the_vectors_of_rfc_4648),
        cmocka_unit_test(test_codec__base64_goes_both_ways),
        cmocka_unit_test(test_codec__base64_is_strict),
        cmocka_unit_test(test_codec__percent_encodes_as_aws_does),
        cmocka_unit_test(test_codec__percent_goes_both_ways),
        cmocka_unit_test(test_codec__percent_decodes_strictly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
