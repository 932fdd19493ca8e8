#include "tests/unit/base/unit.h"

#include "meta/names/pairs.h"

static void test_pairs__come_back_in_order_with_repeated_names(void **state)
{
    const struct pair items[] = {{STR("Content-Type"), STR("text/plain")},
                                 {STR("x-amz-meta-a"), STR("1\0002")},
                                 {STR("x-amz-meta-a"), STR("")},
                                 {STR(""), STR("no name")}};
    struct arena *a = arena_new(4096);
    struct buf b;
    struct pairs out;

    (void)state;
    buf_init(&b, 4096);
    pairs_pack(&b, (struct pairs){items, LENGTH_OF(items)});
    assert_ok(buf_check(&b));
    assert_ok(pairs_unpack(a, buf_str(&b), &out));
    assert_int_equal(out.count, LENGTH_OF(items));
    for (size_t i = 0; i < out.count; i++) {
        assert_str(out.items[i].name, items[i].name);
        assert_str(out.items[i].value, items[i].value);
    }
    assert_str(pairs_get(out, STR("X-AMZ-META-A")), STR("1\0002"));
    assert_str(pairs_get(out, STR("content-type")), STR("text/plain"));
    assert_null(pairs_get(out, STR("content")).ptr);
    buf_fini(&b);
    arena_free(a);
}

static void test_pairs__may_be_empty(void **state)
{
    struct arena *a = arena_new(4096);
    struct buf b;
    struct pairs out;

    (void)state;
    buf_init(&b, 4096);
    pairs_pack(&b, (struct pairs){NULL, 0});
    assert_ok(pairs_unpack(a, buf_str(&b), &out));
    assert_int_equal(out.count, 0);
    assert_ok(pairs_unpack(a, STR_NONE, &out));
    assert_int_equal(out.count, 0);
    assert_null(pairs_get(out, STR("x")).ptr);
    buf_fini(&b);
    arena_free(a);
}

static void test_pairs__refuse_truncations_and_lying_counts(void **state)
{
    const struct pair items[] = {{STR("a"), STR("one")}, {STR("bb"), STR("two")}};
    struct arena *a = arena_new(1 << 20);
    struct buf b;
    struct pairs out;

    (void)state;
    buf_init(&b, 4096);
    pairs_pack(&b, (struct pairs){items, LENGTH_OF(items)});
    struct str whole = buf_str(&b);
    for (size_t len = 1; len < whole.len; len++)
        assert_int_equal(pairs_unpack(a, str_sub(whole, 0, len), &out), ERR_CORRUPT);
    buf_put_u8(&b, 0);
    assert_int_equal(pairs_unpack(a, buf_str(&b), &out), ERR_CORRUPT);
    b.len--;
    for (int i = 0; i < 4; i++) /* a count of 2^32 - 1 must not be believed */
        b.data[i] = (char)0xFF;
    assert_int_equal(pairs_unpack(a, buf_str(&b), &out), ERR_CORRUPT);
    assert_int_equal(out.count, 0);
    buf_fini(&b);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs__come_back_in_order_with_repeated_names),
        cmocka_unit_test(test_pairs__may_be_empty),
        cmocka_unit_test(test_pairs__refuse_truncations_and_lying_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
