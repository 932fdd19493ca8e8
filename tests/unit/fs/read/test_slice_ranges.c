#include "fs/read/slice_ranges.h"

#include "tests/unit/base/unit.h"

static void assert_ranges(const struct slice_range *actual, size_t actual_count,
                          const struct slice_range *expected, size_t count)
{
    assert_int_equal(actual_count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(actual[i].start, expected[i].start);
        assert_int_equal(actual[i].end, expected[i].end);
        assert_int_equal(actual[i].state, expected[i].state);
    }
}

/* The worked example of the design, with its numbers. */
static void test_slice_ranges__find_the_gaps_of_the_worked_example(void **state)
{
    const struct slice_range held[] = {{0, 512, RANGE_READY},
                                       {520, 720, RANGE_READY},
                                       {720, 1021, RANGE_INVALID},
                                       {1021, 1022, RANGE_INVALID},
                                       {1022, 1023, RANGE_READY}};
    const struct slice_range expected_parts[] = {{1020, 1021, RANGE_INVALID},
                                                 {1021, 1022, RANGE_INVALID},
                                                 {1022, 1023, RANGE_READY},
                                                 {1023, 1024, RANGE_GAP}};
    const struct slice_range expected_requests[] = {{1020, 1022, RANGE_GAP},
                                                    {1023, 1024, RANGE_GAP}};
    struct slice_range parts[RANGES_FOUND_MAX(5)], requests[RANGES_FOUND_MAX(5)];
    size_t count;

    (void)state;
    count = ranges_find(held, 5, 1020, 1024, parts);
    assert_ranges(parts, count, expected_parts, 4);
    count = ranges_requests(parts, count, requests);
    assert_ranges(requests, count, expected_requests, 2);
}

/* Its readers before anything was invalidated: only what lies between them is missing. */
static void test_slice_ranges__are_exact_to_the_byte(void **state)
{
    const struct slice_range held[] = {{0, 512, RANGE_READY},
                                       {520, 720, RANGE_FETCHING},
                                       {720, 1021, RANGE_FETCHING},
                                       {1021, 1022, RANGE_READY},
                                       {1022, 1023, RANGE_READY}};
    const struct slice_range expected[] = {{512, 520, RANGE_GAP}, {1023, 1024, RANGE_GAP}};
    struct slice_range parts[RANGES_FOUND_MAX(5)];
    size_t count;

    (void)state;
    count = ranges_find(held, 5, 0, 1024, parts);
    assert_int_equal(count, 7);
    count = ranges_requests(parts, count, parts);
    assert_ranges(parts, count, expected, 2);
    assert_int_equal(ranges_find(held, 5, 600, 600, parts), 0);
}

static void test_slice_ranges__widen_requests_only_into_bytes_that_nobody_holds(void **state)
{
    static const struct {
        const char *what;
        struct slice_range held[2], requests[2], expected[2];
        size_t requests_in, requests_out;
    } cases[] = {
        {"to granules", {{0}}, {{70, 71, RANGE_GAP}}, {{64, 128, RANGE_GAP}}, 1, 1},
        {"not past the slice's end",
         {{0}},
         {{990, 991, RANGE_GAP}},
         {{960, 1000, RANGE_GAP}},
         1,
         1},
        {"not into ready or fetching bytes",
         {{60, 66, RANGE_READY}, {100, 101, RANGE_FETCHING}},
         {{70, 71, RANGE_GAP}},
         {{66, 100, RANGE_GAP}},
         1,
         1},
        {"into invalid bytes",
         {{60, 66, RANGE_INVALID}},
         {{70, 71, RANGE_GAP}},
         {{64, 128, RANGE_GAP}},
         1,
         1},
        {"and are merged",
         {{0}},
         {{70, 71, RANGE_GAP}, {130, 131, RANGE_GAP}},
         {{64, 192, RANGE_GAP}},
         2,
         1},
        {"but not over what is held",
         {{120, 128, RANGE_READY}},
         {{70, 71, RANGE_GAP}, {130, 131, RANGE_GAP}},
         {{64, 120, RANGE_GAP}, {128, 192, RANGE_GAP}},
         2,
         2},
        {"one request stays as it is", {{0}}, {{64, 128, RANGE_GAP}}, {{64, 128, RANGE_GAP}}, 1, 1},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct slice_range requests[2];
        size_t count;

        memcpy(requests, cases[i].requests, sizeof(requests));
        count = ranges_shape(cases[i].held, 2, 64, 1000, requests, cases[i].requests_in);
        if (count != cases[i].requests_out)
            print_error("requests %s\n", cases[i].what);
        assert_ranges(requests, count, cases[i].expected, cases[i].requests_out);
    }
}

#define BYTES 160
#define LIMIT 150

static enum slice_range_state model_state(const struct slice_range *held, size_t count, uint32_t b)
{
    static const enum slice_range_state order[] = {RANGE_READY, RANGE_FETCHING, RANGE_INVALID};

    for (size_t s = 0; s < LENGTH_OF(order); s++) {
        for (size_t i = 0; i < count; i++)
            if (held[i].state == order[s] && held[i].start <= b && b < held[i].end)
                return order[s];
    }
    return RANGE_GAP;
}

/* Against a model that looks at each byte. */
static void check_one(const struct slice_range *held, size_t count, uint32_t start, uint32_t end)
{
    struct slice_range parts[RANGES_FOUND_MAX(8)], requests[RANGES_FOUND_MAX(8)];
    bool requested[BYTES] = {false};
    size_t part_count = ranges_find(held, count, start, end, parts), request_count;
    uint32_t at = start;

    assert_true(part_count <= RANGES_FOUND_MAX(count));
    for (size_t i = 0; i < part_count; at = parts[i++].end) {
        assert_int_equal(parts[i].start, at);
        assert_true(parts[i].end > at);
        for (uint32_t b = parts[i].start; b < parts[i].end; b++)
            assert_int_equal(parts[i].state, model_state(held, count, b));
    }
    assert_int_equal(at, end > start ? end : start);
    request_count = ranges_requests(parts, part_count, requests);
    request_count = ranges_shape(held, count, 16, LIMIT, requests, request_count);
    for (size_t i = 0; i < request_count; i++) {
        assert_true(i == 0 || requests[i].start > requests[i - 1].end);
        assert_true(requests[i].end <= LIMIT);
        for (uint32_t b = requests[i].start; b < requests[i].end; b++)
            requested[b] = true;
    }
    for (uint32_t b = 0; b < LIMIT; b++) {
        enum slice_range_state s = model_state(held, count, b);
        bool missing = s == RANGE_GAP || s == RANGE_INVALID;

        assert_false(requested[b] && !missing);                          /* never twice */
        assert_false(b >= start && b < end && missing && !requested[b]); /* and all of it */
    }
}

static void test_slice_ranges__agree_with_a_model(void **state)
{
    (void)state;
    for (int round = 0; round < 20000; round++) {
        struct slice_range held[8];
        size_t count = test_random() % 8;
        uint32_t start, end;

        for (size_t i = 0; i < count; i++) {
            held[i].start = (uint32_t)(test_random() % LIMIT);
            held[i].end = held[i].start + (uint32_t)(test_random() % (LIMIT + 1 - held[i].start));
            held[i].state = (enum slice_range_state)(test_random() % 3);
        }
        start = (uint32_t)(test_random() % LIMIT);
        end = start + (uint32_t)(test_random() % (LIMIT + 1 - start));
        check_one(held, count, start, end);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slice_ranges__find_the_gaps_of_the_worked_example),
        cmocka_unit_test(test_slice_ranges__are_exact_to_the_byte),
        cmocka_unit_test(test_slice_ranges__widen_requests_only_into_bytes_that_nobody_holds),
        cmocka_unit_test(test_slice_ranges__agree_with_a_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
