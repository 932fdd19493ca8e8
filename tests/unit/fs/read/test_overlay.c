#include "fs/read/overlay.h"

#include "tests/unit/base/unit.h"

#define BYTES 96
#define ITEMS 12

static void test_overlay__shows_the_later_write_where_two_overlap(void **state)
{
    const struct overlay_item items[] = {{0, 18, 0}, {3, 13, 2}, {8, 15, 3}, {5, 5, 9}};
    const struct overlay_run expected[] = {
        {0, 3, 0}, {3, 8, 1}, {8, 15, 2}, {15, 18, 0}, {18, 20, OVERLAY_NONE}};
    uint64_t at = 0;

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(expected); i++) {
        struct overlay_run run = overlay_at(items, 4, at, 20);

        assert_int_equal(run.start, expected[i].start);
        assert_int_equal(run.end, expected[i].end);
        assert_int_equal(run.item, expected[i].item);
        at = run.end;
    }
}

static void test_overlay__ends_a_run_at_the_limit(void **state)
{
    const struct overlay_item item = {0, 100, 0};
    struct overlay_run run = overlay_at(&item, 1, 40, 50);

    (void)state;
    assert_int_equal(run.end, 50);
    assert_int_equal(overlay_at(NULL, 0, 7, 9).end, 9);
}

/* The model writes items in order of (token, index) over an array of bytes. */
static void paint(const struct overlay_item *items, size_t count, size_t seen[BYTES])
{
    for (size_t b = 0; b < BYTES; b++)
        seen[b] = OVERLAY_NONE;
    for (uint64_t token = 0; token < 8; token++) {
        for (size_t i = 0; i < count; i++)
            for (uint64_t b = items[i].start; items[i].token == token && b < items[i].end; b++)
                seen[b] = i;
    }
}

static void test_overlay__agrees_with_a_model(void **state)
{
    (void)state;
    for (int round = 0; round < 20000; round++) {
        struct overlay_item items[ITEMS];
        size_t seen[BYTES], count = test_random() % (ITEMS + 1);
        uint64_t from = test_random() % BYTES;

        for (size_t i = 0; i < count; i++) {
            items[i].start = test_random() % BYTES;
            items[i].end = items[i].start + test_random() % (BYTES + 1 - items[i].start);
            items[i].token = test_random() % 8;
        }
        paint(items, count, seen);
        for (uint64_t at = from; at < BYTES;) {
            struct overlay_run run = overlay_at(items, count, at, BYTES);

            assert_int_equal(run.start, at);
            assert_true(run.end > at);
            for (; at < run.end; at++)
                assert_int_equal(seen[at], run.item);
            /* As long as can be: it was not cut in two. */
            assert_true(at == BYTES || seen[at] != run.item);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overlay__shows_the_later_write_where_two_overlap),
        cmocka_unit_test(test_overlay__ends_a_run_at_the_limit),
        cmocka_unit_test(test_overlay__agrees_with_a_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
