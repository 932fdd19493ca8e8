#include "base/progress.h"
#include "tests/unit/base/unit.h"

static void shows(struct progress p, int64_t elapsed_us, const char *expected)
{
    char text[200];

    progress_text(&p, elapsed_us, text, sizeof(text));
    assert_string_equal(text, expected);
}

static void test_progress__shows_rate_and_time_left(void **state)
{
    (void)state;
    shows((struct progress){.what = "rows"}, 0, "rows: 0, 0/s");
    shows((struct progress){.what = "rows", .items = 500}, 2000000, "rows: 500, 250/s");
    shows((struct progress){.what = "slices", .total = 1000, .items = 250, .bytes = 3 << 20},
          10000000, "slices: 250 of 1000 (25 %), 25/s, 3.0 MiB, 307.2 KiB/s, 0m30s left");
    shows((struct progress){.what = "slices", .total = 100000, .items = 1}, 1000000,
          "slices: 1 of 100000 (0 %), 1/s, 27h46m left");
    shows((struct progress){.what = "slices", .total = 10, .items = 10, .bytes = 512}, 1000000,
          "slices: 10 of 10 (100 %), 10/s, 512 B, 512 B/s");
    shows((struct progress){.what = "slices", .total = 10, .items = 11}, 1000000,
          "slices: 11, 11/s");
    shows((struct progress){.what = "slices", .total = 10, .items = 10, .waits_for = "a reader"},
          1000000, "slices: 10 of 10 (100 %), 10/s; a reader");
}

static void test_progress__is_cut_to_its_room(void **state)
{
    struct progress p = {.what = "slices", .total = 1000, .items = 250, .bytes = 3 << 20};
    char text[12];

    (void)state;
    progress_text(&p, 1000000, text, sizeof(text));
    assert_string_equal(text, "slices: 250");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_progress__shows_rate_and_time_left),
        cmocka_unit_test(test_progress__is_cut_to_its_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
