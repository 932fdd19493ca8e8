#include "tests/unit/base/unit.h"

static void test_str__compares_bytes_with_a_prefix_first(void **state)
{
    (void)state;
    assert_true(str_cmp(STR("a"), STR("a/b")) < 0);
    assert_true(str_cmp(STR("a\xff"), STR("a\x01")) > 0);
    assert_int_equal(str_cmp(STR("a\0b"), STR("a\0b")), 0);
    assert_true(str_cmp(STR("a\0b"), STR("a\0c")) < 0);
    assert_int_equal(str_cmp(STR_NONE, STR("")), 0);
    assert_true(str_cmp(STR_NONE, STR("a")) < 0);
    assert_true(str_eq(STR_NONE, STR("")));
    assert_false(str_eq(STR("a"), STR("A")));
    assert_true(str_eq_nocase(STR("Content-MD5"), STR("content-md5")));
    assert_false(str_eq_nocase(STR("\xc4"), STR("\xe4")));
    assert_false(str_eq_nocase(STR("@"), STR("`")));
}

static void test_str__starts_and_ends(void **state)
{
    (void)state;
    assert_true(str_starts(STR("x-amz-date"), STR("x-amz-")));
    assert_true(str_starts(STR("x"), STR_NONE));
    assert_false(str_starts(STR("x"), STR("xy")));
    assert_true(str_starts_nocase(STR("X-Amz-Date"), STR("x-amz-")));
    assert_false(str_starts_nocase(STR("X-Am"), STR("x-amz-")));
    assert_true(str_ends(STR("a/b/"), STR("/")));
    assert_false(str_ends(STR_NONE, STR("/")));
    assert_true(str_ends(STR_NONE, STR_NONE));
}

static void test_str__trims_and_cuts(void **state)
{
    (void)state;
    assert_str(str_trim(STR(" \t a b\t ")), STR("a b"));
    assert_str(str_trim(STR("   ")), STR(""));
    assert_str(str_trim(STR("\na ")), STR("\na"));
    assert_str(str_trim(STR_NONE), STR(""));
    assert_str(str_sub(STR("hello"), 1, 3), STR("ell"));
    assert_str(str_sub(STR("hello"), 4, SIZE_MAX), STR("o"));
    assert_str(str_sub(STR("hello"), 6, 1), STR(""));
    assert_str(str_sub(STR_NONE, 6, 1), STR(""));
    assert_int_equal(str_find(STR("a=b=c"), '='), 1);
    assert_int_equal(str_find(STR("abc"), '='), 3);
    assert_int_equal(str_find(STR_NONE, '='), 0);
    assert_str(str_of(NULL), STR(""));
}

static void test_str__splits_at_a_separator(void **state)
{
    static const struct {
        const char *text;
        size_t count;
        const char *fields[4];
    } cases[] = {
        {"a,,b", 3, {"a", "", "b"}},
        {"", 0, {0}},
        {"a", 1, {"a"}},
        {",", 1, {""}},
        {"a,", 1, {"a"}},
        {",a", 2, {"", "a"}},
        {"a,b,c,d", 4, {"a", "b", "c", "d"}},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct str rest = str_of(cases[i].text), field;
        size_t count = 0;
        while (str_split(&rest, ',', &field)) {
            assert_true(count < cases[i].count);
            assert_str(field, str_of(cases[i].fields[count]));
            count++;
        }
        assert_int_equal(count, cases[i].count);
    }
}

static void test_str__reads_numbers_strictly(void **state)
{
    static const char *const bad[] = {"", "+1", " 1", "1 ", "0x1", "1.0", "-", "--1", "a", "1a"};
    uint64_t u = 0;
    int64_t i = 0;

    (void)state;
    assert_ok(str_to_u64(STR("18446744073709551615"), &u));
    assert_true(u == UINT64_MAX);
    assert_ok(str_to_u64(STR("0007"), &u));
    assert_true(u == 7);
    assert_int_equal(str_to_u64(STR("18446744073709551616"), &u), ERR_INVALID);
    assert_int_equal(str_to_u64(STR("99999999999999999999999"), &u), ERR_INVALID);
    assert_int_equal(str_to_u64(STR("-1"), &u), ERR_INVALID);
    assert_int_equal(str_to_u64(STR("1\0"), &u), ERR_INVALID);
    assert_true(u == 7); /* untouched by failures */
    assert_ok(str_to_i64(STR("-9223372036854775808"), &i));
    assert_true(i == INT64_MIN);
    assert_ok(str_to_i64(STR("9223372036854775807"), &i));
    assert_true(i == INT64_MAX);
    assert_int_equal(str_to_i64(STR("9223372036854775808"), &i), ERR_INVALID);
    assert_int_equal(str_to_i64(STR("-9223372036854775809"), &i), ERR_INVALID);
    for (size_t n = 0; n < LENGTH_OF(bad); n++)
        if (str_to_u64(str_of(bad[n]), &u) != ERR_INVALID ||
            str_to_i64(str_of(bad[n]), &i) != ERR_INVALID)
            fail_msg("\"%s\" was taken for a number", bad[n]);
}

static void test_str__knows_well_formed_utf8(void **state)
{
    static const struct {
        struct str text;
        bool valid;
    } cases[] = {
        {{"", 0}, true},
        {{"plain", 5}, true},
        {{"a\0b", 3}, true},
        {{"\xc3\xa4\xe2\x82\xac\xf0\x9f\x8e\xb6", 9}, true},
        {{"\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf", 11}, true},
        {{"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8}, true},
        {{"\xed\x9f\xbf\xee\x80\x80", 6}, true},
        {{"\x80", 1}, false},
        {{"\xc0\x80", 2}, false}, /* overlong */
        {{"\xc1\xbf", 2}, false},
        {{"\xe0\x9f\xbf", 3}, false},
        {{"\xf0\x8f\xbf\xbf", 4}, false},
        {{"\xed\xa0\x80", 3}, false}, /* surrogates */
        {{"\xed\xbf\xbf", 3}, false},
        {{"\xf4\x90\x80\x80", 4}, false}, /* over U+10FFFF */
        {{"\xf5\x80\x80\x80", 4}, false},
        {{"\xff", 1}, false},
        {{"a\xc3", 2}, false}, /* cut */
        {{"\xe2\x82", 2}, false},
        {{"\xf0\x9f\x8e", 3}, false},
        {{"\xc3(", 2}, false},
        {{"\xe2\x82(", 3}, false},
        {{"\xf0\x9f\x8e(", 4}, false},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++)
        if (str_is_utf8(cases[i].text) != cases[i].valid)
            fail_msg("case %zu", i);
}

static void test_str__accepts_exactly_the_encodings_of_all_code_points(void **state)
{
    size_t valid = 0;

    (void)state;
    /* All 4-byte strings of two lead bytes' neighbourhoods would be many; count 3-byte ones. */
    for (unsigned v = 0xE00000; v <= 0xEFFFFF; v++) {
        char text[3] = {(char)(v >> 16), (char)(v >> 8), (char)v};
        valid += str_is_utf8((struct str){text, 3});
    }
    assert_int_equal(valid, 0x10000 - 0x800 - 0x800); /* U+0800..U+FFFF without surrogates */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_str__compares_bytes_with_a_prefix_first),
        cmocka_unit_test(test_str__starts_and_ends),
        cmocka_unit_test(test_str__trims_and_cuts),
        cmocka_unit_test(test_str__splits_at_a_separator),
        cmocka_unit_test(test_str__reads_numbers_strictly),
        cmocka_unit_test(test_str__knows_well_formed_utf8),
        cmocka_unit_test(test_str__accepts_exactly_the_encodings_of_all_code_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
