#include "tests/unit/base/unit.h"

#include "meta/files/record.h"

#include <stdlib.h>

static uint64_t crcs[META_GRANULES_MAX];

static struct record slice_record(uint64_t pos, uint64_t len, uint32_t off, uint32_t slice_len)
{
    for (size_t i = 0; i < META_GRANULES_MAX; i++)
        crcs[i] = UINT64_C(0x0101010101010101) * (i + 1);
    return (struct record){.kind = RECORD_SLICE,
                           .pos = pos,
                           .len = len,
                           .slice = {.id = 77, .tag = UINT64_MAX},
                           .slice_off = off,
                           .slice_len = slice_len,
                           .granule_crcs = crcs};
}

static struct record inline_record(uint64_t pos, struct str bytes)
{
    return (struct record){.kind = RECORD_INLINE, .pos = pos, .len = bytes.len, .bytes = bytes};
}

static struct record hole(uint64_t pos, uint64_t len)
{
    return (struct record){.kind = RECORD_HOLE, .pos = pos, .len = len};
}

static struct str packed(struct buf *b, const struct record *records, size_t count)
{
    buf_clear(b);
    record_pack(b, records, count);
    assert_ok(buf_check(b));
    return buf_str(b);
}

static void test_record__comes_back_as_it_was_packed(void **state)
{
    struct arena *a = arena_new(1 << 20);
    struct buf b;
    struct record in[] = {
        slice_record(0, META_SLICE_MAX, 0, META_SLICE_MAX),
        inline_record(META_SLICE_MAX, STR("tail\0end")),
        hole(META_SLICE_MAX + 8, 5),
        slice_record(META_SLICE_MAX + 13, 10, 65530, 65541),
    };
    struct record *out;
    size_t count;

    (void)state;
    buf_init(&b, 1 << 20);
    assert_ok(record_unpack(a, packed(&b, in, LENGTH_OF(in)), &out, &count));
    assert_int_equal(count, LENGTH_OF(in));
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(out[i].kind, in[i].kind);
        assert_int_equal(out[i].pos, in[i].pos);
        assert_int_equal(out[i].len, in[i].len);
        assert_int_equal(out[i].slice.id, in[i].slice.id);
        assert_int_equal(out[i].slice.tag, in[i].slice.tag);
        assert_int_equal(out[i].slice_off, in[i].slice_off);
        assert_int_equal(out[i].slice_len, in[i].slice_len);
        assert_str(out[i].bytes, in[i].bytes);
    }
    assert_memory_equal(out[0].granule_crcs, crcs, sizeof(crcs));
    assert_memory_equal(out[3].granule_crcs, crcs, 2 * sizeof(crcs[0]));
    assert_ok(record_unpack(a, packed(&b, NULL, 0), &out, &count));
    assert_int_equal(count, 0);
    buf_fini(&b);
    arena_free(a);
}

static void test_record__refuses_what_pack_could_not_have_written(void **state)
{
    const struct {
        const char *what;
        struct record records[2];
        size_t count;
    } cases[] = {
        {"does not begin at 0", {hole(1, 5)}, 1},
        {"a gap", {hole(0, 5), hole(6, 1)}, 2},
        {"an overlap", {hole(0, 5), hole(4, 2)}, 2},
        {"an empty hole", {hole(0, 0)}, 1},
        {"longer than a piece", {hole(0, (uint64_t)META_PIECE_MAX + 1)}, 1},
        {"longer than a piece together", {hole(0, META_PIECE_MAX), hole(META_PIECE_MAX, 1)}, 2},
        {"a length that wraps", {hole(0, 5), hole(5, UINT64_MAX - 2)}, 2},
        {"an empty inline record", {inline_record(0, STR(""))}, 1},
        {"an empty slice", {slice_record(0, 1, 0, 0)}, 1},
        {"a slice too long", {slice_record(0, 1, 0, META_SLICE_MAX)}, 1},
        {"past the slice's end", {slice_record(0, 5, 6, 10)}, 1},
        {"an offset at the slice's end", {slice_record(0, 1, 10, 10)}, 1},
        {"an offset that wraps", {slice_record(0, 5, UINT32_MAX - 2, 10)}, 1},
        {"an unknown kind", {{.kind = (enum record_kind)3, .pos = 0, .len = 1}}, 1},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct arena *a = arena_new(1 << 20);
        struct buf b;
        struct record *out;
        size_t count;

        buf_init(&b, 1 << 20);
        struct str p = packed(&b, cases[i].records, cases[i].count);
        if (str_eq(str_of(cases[i].what), STR("a slice too long")))
            b.data[5 + 17 + 16 + 4 + 2]++; /* slice_len, third byte: 4 MiB becomes 4 MiB + 64 KiB */
        enum err err = record_unpack(a, p, &out, &count);
        if (err != ERR_CORRUPT)
            fail_msg("%s: %s", cases[i].what, err_name(err));
        assert_null(out);
        assert_int_equal(count, 0);
        buf_fini(&b);
        arena_free(a);
    }
}

static void test_record__refuses_every_truncation_and_trailing_byte(void **state)
{
    struct record in[] = {slice_record(0, 100, 0, 65541), inline_record(100, STR("abc")),
                          hole(103, 1)};
    struct arena *a = arena_new(64 << 20);
    struct buf b;
    struct record *out;
    size_t count;

    (void)state;
    buf_init(&b, 1 << 20);
    struct str p = packed(&b, in, LENGTH_OF(in));
    for (size_t len = 0; len < p.len; len++) {
        char *copy = malloc(len + 1); /* ASan sees a read past it */
        assert_non_null(copy);
        char *exact = realloc(copy, len > 0 ? len : 1);
        memcpy(exact, p.ptr, len);
        assert_int_equal(record_unpack(a, (struct str){exact, len}, &out, &count), ERR_CORRUPT);
        free(exact);
    }
    buf_put_u8(&b, 0);
    assert_int_equal(record_unpack(a, buf_str(&b), &out, &count), ERR_CORRUPT);
    b.len--;
    b.data[0] = 2; /* version */
    assert_int_equal(record_unpack(a, buf_str(&b), &out, &count), ERR_CORRUPT);
    buf_fini(&b);
    arena_free(a);
}

/* Whatever the bytes are: no crash, and what is accepted keeps every promise of the header. */
static void check_accepted(const struct record *r, size_t count)
{
    uint64_t pos = 0;
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        assert_int_equal(r[i].pos, pos);
        assert_true(r[i].len > 0 && r[i].len <= META_PIECE_MAX);
        pos += r[i].len;
        if (r[i].kind == RECORD_SLICE) {
            assert_true(r[i].slice_len <= META_SLICE_MAX);
            assert_true(r[i].slice_off + r[i].len <= r[i].slice_len);
            for (uint32_t g = 0; g < record_granules(r[i].slice_len); g++)
                sum += r[i].granule_crcs[g];
        } else if (r[i].kind == RECORD_INLINE) {
            assert_int_equal(r[i].bytes.len, r[i].len);
            for (size_t k = 0; k < r[i].bytes.len; k++)
                sum += (uint8_t)r[i].bytes.ptr[k];
        }
    }
    assert_true(pos <= META_PIECE_MAX);
    (void)sum;
}

static void test_record__survives_random_mutations(void **state)
{
    struct record in[] = {slice_record(0, 100, 0, 65541), inline_record(100, STR("some bytes")),
                          hole(110, 7), slice_record(117, 3, 4, 9)};
    struct buf b;
    size_t accepted = 0;

    (void)state;
    buf_init(&b, 1 << 20);
    struct str p = packed(&b, in, LENGTH_OF(in));
    for (int round = 0; round < 20000; round++) {
        struct arena *a = arena_new(1 << 20);
        size_t len = test_random() % 4 == 0 ? test_random() % (p.len + 1) : p.len;
        uint8_t *bytes = malloc(len > 0 ? len : 1);
        assert_non_null(bytes);
        memcpy(bytes, p.ptr, len);
        for (uint64_t n = test_random() % 4; len > 0 && n > 0; n--)
            bytes[test_random() % len] = (uint8_t)(test_random() % 3 == 0 ? 0xFF : test_random());
        struct record *out;
        size_t count;
        if (record_unpack(a, (struct str){(char *)bytes, len}, &out, &count) == OK) {
            accepted++;
            check_accepted(out, count);
        }
        free(bytes);
        arena_free(a);
    }
    assert_true(accepted > 0); /* mutated checksums are fine, so some must pass */
    buf_fini(&b);
}

static void test_record__says_no_memory_when_the_arena_is_full(void **state)
{
    struct record in[] = {slice_record(0, 100, 0, META_SLICE_MAX)};
    struct arena *a = arena_new(200);
    struct buf b;
    struct record *out;
    size_t count;

    (void)state;
    buf_init(&b, 1 << 20);
    assert_int_equal(record_unpack(a, packed(&b, in, 1), &out, &count), ERR_NOMEM);
    buf_fini(&b);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record__comes_back_as_it_was_packed),
        cmocka_unit_test(test_record__refuses_what_pack_could_not_have_written),
        cmocka_unit_test(test_record__refuses_every_truncation_and_trailing_byte),
        cmocka_unit_test(test_record__survives_random_mutations),
        cmocka_unit_test(test_record__says_no_memory_when_the_arena_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
