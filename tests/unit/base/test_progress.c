#include "base/progress.h"
#include "tests/unit/base/unit.h"

#include <unistd.h>

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

/* What a pipe gets at the end. */
static void ends(struct progress p, enum err how, const char *expected)
{
    char text[256] = "";
    int ends[2], old = dup(STDERR_FILENO);

    assert_int_equal(pipe(ends), 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    close(ends[1]);
    progress_end(&p, how);
    assert_true(dup2(old, STDERR_FILENO) >= 0);
    close(old);
    assert_true(read(ends[0], text, sizeof(text) - 1) >= 0);
    close(ends[0]);
    assert_non_null(strstr(text, expected));
    assert_int_equal(text[0] == '\0', expected[0] == '\0');
}

static void test_progress__what_failed_is_not_done(void **state)
{
    (void)state;
    ends((struct progress){.what = "rows", .total = 3, .items = 3}, OK, "/s, done\n");
    ends((struct progress){.what = "rows", .total = 3, .items = 1}, ERR_IO, ", broken off\n");
    ends((struct progress){.what = "rows", .total = 3}, ERR_BUSY, "");
    ends((struct progress){.what = "rows", .total = 3, .items = 1, .quiet = true}, OK, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_progress__shows_rate_and_time_left),
        cmocka_unit_test(test_progress__is_cut_to_its_room),
        cmocka_unit_test(test_progress__what_failed_is_not_done),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
