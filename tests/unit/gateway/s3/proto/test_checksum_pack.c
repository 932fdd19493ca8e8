#include "tests/unit/gateway/s3_given.h"

#include "gateway/s3/proto/checksum_pack.h"

static struct checksum sum_of(enum checksum_algo algo, enum checksum_type type, uint32_t parts)
{
    struct checksum sum = {.algo = algo, .type = type, .parts = parts};

    for (size_t i = 0; i < checksum_size(algo); i++)
        sum.bytes[i] = (uint8_t)(i + 1);
    return sum;
}

static void test_checksum_pack__codes_hold_algorithm_and_type(void **state)
{
    (void)state;
    for (int a = 0; a < CHECKSUM_ALGOS; a++) {
        for (int t = 0; t <= CHECKSUM_COMPOSITE; t++) {
            int code = checksum_code((enum checksum_algo)a, (enum checksum_type)t);

            assert_int_equal(checksum_code_algo(code), a);
            assert_int_equal(checksum_code_type(code), t);
        }
    }
    assert_int_equal(checksum_code(CHECKSUM_NONE, CHECKSUM_TYPE_NONE), 0);
    assert_int_equal(checksum_code_algo(0x7f), CHECKSUM_NONE);
    assert_int_equal(checksum_code_type(0x0701), CHECKSUM_TYPE_NONE);
}

static void test_checksum_pack__checksums_come_back(void **state)
{
    struct arena *a = arena_new(1 << 20);

    (void)state;
    for (int algo = 1; algo < CHECKSUM_ALGOS; algo++) {
        struct checksum sum = sum_of((enum checksum_algo)algo, CHECKSUM_COMPOSITE, 10000), back;
        struct str packed = checksum_pack(a, &sum);

        back = checksum_unpack(packed);
        assert_true(checksum_eq(&sum, &back));
        assert_int_equal(back.type, CHECKSUM_COMPOSITE);
        assert_int_equal(back.parts, 10000);
        for (size_t cut = 0; cut < packed.len; cut++)
            assert_int_equal(checksum_unpack(str_sub(packed, 0, cut)).algo, CHECKSUM_NONE);
    }
    assert_str(checksum_pack(a, &(struct checksum){0}), STR(""));
    assert_int_equal(checksum_unpack(STR("")).algo, CHECKSUM_NONE);
    assert_int_equal(checksum_unpack(STR("\x02\x01\x01____crcc")).algo, CHECKSUM_NONE);
    arena_free(a);
}

static void test_checksum_pack__lists_of_parts_come_back(void **state)
{
    struct arena *a = arena_new(8 << 20);
    struct object_part *parts = arena_array(a, 10000, sizeof(*parts)), *back;
    struct str packed;
    size_t count;

    (void)state;
    for (uint32_t i = 0; i < 10000; i++)
        parts[i] = (struct object_part){i + 1, (UINT64_C(5) << 30) + i,
                                        sum_of(i % CHECKSUM_ALGOS, CHECKSUM_FULL_OBJECT, 0)};
    packed = object_parts_pack(a, parts, 10000);
    assert_non_null(packed.ptr);
    assert_ok(object_parts_unpack(a, packed, &back, &count));
    assert_int_equal(count, 10000);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(back[i].number, i + 1);
        assert_int_equal(back[i].size, parts[i].size);
        assert_int_equal(back[i].sum.algo, parts[i].sum.algo);
    }
    packed = object_parts_pack(a, parts, 3);
    assert_ok(object_parts_unpack(a, STR(""), &back, &count));
    assert_int_equal(count, 0);
    for (size_t cut = 1; cut < packed.len; cut++)
        assert_int_equal(object_parts_unpack(a, str_sub(packed, 0, cut), &back, &count),
                         ERR_CORRUPT);
    assert_int_equal(object_parts_unpack(a, STR("\x01\xff\xff\xff\xff"), &back, &count),
                     ERR_CORRUPT);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checksum_pack__codes_hold_algorithm_and_type),
        cmocka_unit_test(test_checksum_pack__checksums_come_back),
        cmocka_unit_test(test_checksum_pack__lists_of_parts_come_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
