#include "tests/unit/base/unit.h"

#include "base/arena.h"

static bool is_zero(const unsigned char *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (p[i] != 0)
            return false;
    return true;
}

static void test_arena__gives_zeroed_aligned_pieces_that_do_not_overlap(void **state)
{
    struct {
        unsigned char *at;
        size_t len;
    } pieces[2000];
    struct arena *a = arena_new(64 << 20);

    (void)state;
    assert_non_null(a);
    for (size_t i = 0; i < LENGTH_OF(pieces); i++) {
        size_t len = test_random() % (i % 50 == 0 ? 20000 : 300);
        unsigned char *p = arena_alloc(a, len);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        assert_true(is_zero(p, len));
        memset(p, (int)(i & 0xFF), len);
        pieces[i].at = p;
        pieces[i].len = len;
    }
    for (size_t i = 0; i < LENGTH_OF(pieces); i++)
        for (size_t n = 0; n < pieces[i].len; n++)
            assert_int_equal(pieces[i].at[n], i & 0xFF);
    arena_free(a);
}

static void test_arena__stops_at_its_limit(void **state)
{
    struct arena *a = arena_new(1000);

    (void)state;
    assert_non_null(arena_alloc(a, 600));
    assert_null(arena_alloc(a, 401));
    assert_non_null(arena_alloc(a, 400));
    assert_null(arena_alloc(a, 1));
    struct str s = arena_str(a, STR("x"));
    assert_null(s.ptr);
    assert_null(arena_printf(a, "%d", 1));
    arena_free(a);
    arena_free(NULL);
}

static void test_arena__remembers_what_it_refused(void **state)
{
    struct arena *a = arena_new(100);

    (void)state;
    assert_non_null(arena_str(a, STR("x")).ptr);
    assert_ok(arena_check(a));
    assert_null(arena_printf(a, "%200d", 1));
    assert_non_null(arena_str(a, STR("x")).ptr);
    assert_int_equal(arena_check(a), ERR_TOO_LARGE);
    arena_free(a);
    a = arena_new(SIZE_MAX);
    assert_null(arena_alloc(a, SIZE_MAX / 4));
    assert_int_equal(arena_check(a), ERR_NOMEM);
    arena_free(a);
}

static void test_arena__none_gives_nothing(void **state)
{
    (void)state;
    assert_null(arena_alloc(NULL, 1));
    assert_null(arena_array(NULL, 1, 1));
    assert_null(arena_cstr(NULL, STR("x")));
    assert_null(arena_str(NULL, STR("x")).ptr);
    assert_null(arena_printf(NULL, "x"));
    assert_int_equal(arena_check(NULL), ERR_NOMEM);
}

static void test_arena__refuses_sizes_that_overflow(void **state)
{
    struct arena *a = arena_new(SIZE_MAX);

    (void)state;
    assert_null(arena_alloc(a, SIZE_MAX));
    assert_null(arena_alloc(a, SIZE_MAX - 20));
    assert_null(arena_array(a, SIZE_MAX / 2, 3));
    assert_null(arena_cstr(a, (struct str){"", SIZE_MAX}));
    assert_non_null(arena_array(a, 10, 7));
    arena_free(a);
}

static void test_arena__copies_end_with_a_nul(void **state)
{
    struct arena *a = arena_new(100000);

    (void)state;
    struct str s = arena_str(a, STR("a\0b"));
    assert_str(s, STR("a\0b"));
    assert_int_equal(s.ptr[3], '\0');
    assert_string_equal(arena_cstr(a, STR_NONE), "");
    assert_non_null(arena_str(a, STR_NONE).ptr);
    assert_string_equal(arena_printf(a, "%s-%d", "x", 5), "x-5");
    const char *wide = arena_printf(a, "%9000d", 5);
    assert_non_null(wide);
    assert_int_equal(strlen(wide), 9000);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena__gives_zeroed_aligned_pieces_that_do_not_overlap),
        cmocka_unit_test(test_arena__stops_at_its_limit),
        cmocka_unit_test(test_arena__remembers_what_it_refused),
        cmocka_unit_test(test_arena__none_gives_nothing),
        cmocka_unit_test(test_arena__refuses_sizes_that_overflow),
        cmocka_unit_test(test_arena__copies_end_with_a_nul),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
