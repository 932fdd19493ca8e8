#include "tests/unit/base/unit.h"

#include "base/buf.h"

#include <stdlib.h>

static void test_buf__grows_and_ends_with_a_nul(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 1 << 20);
    assert_str(buf_str(&b), STR(""));
    for (int i = 0; i < 10000; i++) {
        buf_append_char(&b, (char)('a' + i % 26));
        assert_ok(buf_check(&b));
        assert_int_equal(b.data[b.len], '\0');
    }
    assert_int_equal(b.len, 10000);
    assert_int_equal(b.data[9999], 'a' + 9999 % 26);
    buf_clear(&b);
    buf_append_cstr(&b, "one");
    buf_append_str(&b, STR(" two"));
    buf_append(&b, NULL, 0);
    buf_printf(&b, " %d", 3);
    assert_str(buf_str(&b), STR("one two 3"));
    buf_fini(&b);
}

static void test_buf__takes_exactly_its_maximum(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 5);
    buf_append_cstr(&b, "12345");
    assert_ok(buf_check(&b));
    assert_str(buf_str(&b), STR("12345"));
    buf_append_char(&b, '6');
    assert_int_equal(buf_check(&b), ERR_TOO_LARGE);
    buf_fini(&b);
    buf_init(&b, 5);
    buf_printf(&b, "%d", 12345);
    assert_ok(buf_check(&b));
    buf_fini(&b);
    buf_init(&b, 5);
    buf_printf(&b, "%d", 123456);
    assert_int_equal(buf_check(&b), ERR_TOO_LARGE);
    buf_fini(&b);
    buf_init(&b, 0);
    buf_append_char(&b, '6');
    assert_int_equal(buf_check(&b), ERR_TOO_LARGE);
    buf_fini(&b);
}

static void test_buf__failure_sticks_until_cleared(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 8);
    buf_append_cstr(&b, "ok");
    buf_append_cstr(&b, "far too long");
    buf_append_cstr(&b, "x");
    buf_printf(&b, "y");
    buf_put_u8(&b, 1);
    assert_null(buf_reserve(&b, 1));
    assert_int_equal(buf_check(&b), ERR_TOO_LARGE);
    assert_str(buf_str(&b), STR("ok"));
    buf_append(&b, "x", SIZE_MAX);
    buf_clear(&b);
    assert_ok(buf_check(&b));
    buf_append_cstr(&b, "again");
    assert_str(buf_str(&b), STR("again"));
    buf_fini(&b);
}

static void test_buf__refuses_sizes_that_overflow(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, SIZE_MAX);
    buf_append_char(&b, 'x');
    assert_null(buf_reserve(&b, SIZE_MAX));
    assert_int_equal(buf_check(&b), ERR_TOO_LARGE);
    buf_clear(&b);
    buf_append_char(&b, 'x');
    assert_null(buf_reserve(&b, SIZE_MAX - 1));
    assert_int_equal(buf_check(&b), ERR_NOMEM);
    buf_fini(&b);
}

static void test_buf__prints_texts_longer_than_its_room(void **state)
{
    struct buf b;
    char text[3000];

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    buf_init(&b, 10000);
    buf_printf(&b, "<%s>", text);
    buf_printf(&b, "<%s>", text);
    assert_ok(buf_check(&b));
    assert_int_equal(b.len, 2 * 3001);
    assert_true(str_ends(buf_str(&b), STR("xx>")));
    buf_fini(&b);
    /* What did not fit leaves no half behind. */
    buf_init(&b, 200);
    buf_append_cstr(&b, "a");
    buf_printf(&b, "%s", text);
    assert_int_equal(buf_check(&b), ERR_TOO_LARGE);
    assert_string_equal(b.data, "a");
    buf_fini(&b);
}

static void test_buf__gives_its_bytes_away(void **state)
{
    struct buf b;
    size_t len = 99;

    (void)state;
    buf_init(&b, 100);
    buf_append_cstr(&b, "mine");
    char *data = buf_take(&b, &len);
    assert_non_null(data);
    assert_string_equal(data, "mine");
    assert_int_equal(len, 4);
    free(data);
    assert_int_equal(b.len, 0);
    buf_append_cstr(&b, "next");
    assert_str(buf_str(&b), STR("next"));
    buf_fini(&b);
    buf_init(&b, 0);
    data = buf_take(&b, &len);
    assert_non_null(data);
    assert_string_equal(data, "");
    assert_int_equal(len, 0);
    free(data);
    buf_fini(&b);
}

static void test_buf__packs_little_endian_and_reads_back(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 1000);
    buf_put_u8(&b, 0xAB);
    buf_put_u32(&b, 0x01020304);
    buf_put_u64(&b, UINT64_C(0x0102030405060708));
    buf_put_bytes(&b, STR("a\0b"));
    buf_put_bytes(&b, STR_NONE);
    assert_ok(buf_check(&b));
    assert_memory_equal(b.data, "\xab\4\3\2\1\10\7\6\5\4\3\2\1\3\0\0\0a\0b\0\0\0\0", 24);
    struct unpack u = unpack_of(buf_str(&b));
    assert_int_equal(unpack_u8(&u), 0xAB);
    assert_int_equal(unpack_u32(&u), 0x01020304);
    assert_true(unpack_u64(&u) == UINT64_C(0x0102030405060708));
    assert_str(unpack_bytes(&u), STR("a\0b"));
    assert_str(unpack_bytes(&u), STR(""));
    assert_false(u.failed);
    assert_int_equal(u.left, 0);
    buf_fini(&b);
}

static void test_buf__reading_past_the_end_fails_and_stays_failed(void **state)
{
    (void)state;
    struct unpack u = unpack_of(STR("\1\2\3"));
    assert_int_equal(unpack_u32(&u), 0);
    assert_true(u.failed);
    assert_int_equal(unpack_u8(&u), 0);
    /* A length that lies. */
    u = unpack_of(STR("\xff\xff\xff\xff"
                      "abc"));
    assert_str(unpack_bytes(&u), STR(""));
    assert_true(u.failed);
    u = unpack_of(STR_NONE);
    assert_true(unpack_u64(&u) == 0);
    assert_true(u.failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buf__grows_and_ends_with_a_nul),
        cmocka_unit_test(test_buf__takes_exactly_its_maximum),
        cmocka_unit_test(test_buf__failure_sticks_until_cleared),
        cmocka_unit_test(test_buf__refuses_sizes_that_overflow),
        cmocka_unit_test(test_buf__prints_texts_longer_than_its_room),
        cmocka_unit_test(test_buf__gives_its_bytes_away),
        cmocka_unit_test(test_buf__packs_little_endian_and_reads_back),
        cmocka_unit_test(test_buf__reading_past_the_end_fails_and_stays_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
