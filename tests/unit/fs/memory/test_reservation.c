#include "base/clock.h"

#include "tests/unit/fs/fake_meta.h"

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)

static struct volume *v; /* 64 pages: 16 can be reserved, 12 by large holds, 8 by blocks */

/* A request, and what it was called for. */
struct request {
    struct reservation res;
    _Atomic int woken, cut;
};

static int set_up(void **state)
{
    (void)state;
    v = volume_new(4 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    volume_free(v);
    return 0;
}

static void on_wake(void *arg)
{
    ((struct request *)arg)->woken++;
}

static void on_cut(void *arg)
{
    ((struct request *)arg)->cut++;
}

static void begin(struct request *r, int64_t expected)
{
    *r = (struct request){.woken = 0};
    reservation_init(&r->res, &v->fs, expected, on_wake, on_cut, r);
}

static size_t reserved(void)
{
    struct pages_stats s;

    pages_stats(&v->fs.pages, &s);
    return s.reserved;
}

/* At most ten seconds. */
static void wait_until(_Atomic int *count)
{
    for (int i = 0; i < 10000 && *count == 0; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_not_equal(*count, 0);
}

static void test_reservation__is_charged_beyond_the_first_bytes(void **state)
{
    struct request r;

    (void)state;
    begin(&r, 200 * 1024);
    assert_ok(reservation_grow(&r.res, 16 * KIB));
    assert_int_equal(reserved(), 0);
    assert_ok(reservation_grow(&r.res, 16 * KIB + 1));
    assert_int_equal(reserved(), RESERVATION_BODY_CHARGE);
    assert_ok(reservation_grow(&r.res, 200 * KIB));
    assert_int_equal(reserved(), 3 * RESERVATION_BODY_CHARGE);
    reservation_work(&r.res);
    assert_ok(reservation_answer(&r.res, 100 * KIB, false));
    assert_int_equal(reserved(), 2);
    reservation_end(&r.res);
    assert_int_equal(reserved(), 0);
    reservation_end(&r.res);
}

static void test_reservation__the_oldest_goes_on_and_the_others_take_turns(void **state)
{
    struct request first, second, third, small;

    (void)state;
    begin(&first, 8 * MIB);
    begin(&second, 8 * MIB);
    begin(&third, -1);
    begin(&small, 100 * 1024);
    assert_ok(reservation_grow(&first.res, 100 * KIB));
    assert_ok(reservation_grow(&second.res, 100 * KIB));
    assert_int_equal(reserved(), 12);
    assert_int_equal(reservation_grow(&second.res, 200 * KIB), ERR_AGAIN);
    assert_int_equal(reservation_grow(&second.res, 200 * KIB), ERR_AGAIN); /* keeps its turn */
    assert_int_equal(reservations_waiting(&v->fs), 1);
    assert_ok(reservation_grow(&first.res, 8 * MIB));
    assert_ok(reservation_grow(&small.res, 80 * KIB)); /* large ones leave room for it */
    assert_int_equal(reservation_grow(&third.res, 300 * KIB), ERR_AGAIN);
    assert_int_equal(reservations_waiting(&v->fs), 2);
    reservation_end(&first.res);
    assert_int_equal(second.woken, 1); /* now the oldest */
    assert_ok(reservation_grow(&second.res, 8 * MIB));
    assert_int_equal(third.woken, 0);
    reservation_end(&small.res);
    reservation_end(&second.res);
    assert_int_equal(third.woken, 1);
    assert_ok(reservation_grow(&third.res, 300 * KIB));
    reservation_end(&third.res);
    assert_int_equal(reservations_waiting(&v->fs), 0);
}

static void test_reservation__ends_a_wait_that_takes_too_long(void **state)
{
    struct request first, second, gone;

    (void)state;
    v->fs.reservations.wait_ms = 100;
    begin(&first, 8 * MIB);
    begin(&second, 8 * MIB);
    begin(&gone, 8 * MIB);
    assert_ok(reservation_grow(&first.res, 8 * MIB));
    assert_int_equal(reservation_grow(&second.res, 1 * MIB), ERR_AGAIN);
    assert_int_equal(reservation_grow(&gone.res, 1 * MIB), ERR_AGAIN);
    reservation_end(&gone.res);
    wait_until(&second.woken);
    assert_int_equal(reservation_grow(&second.res, 1 * MIB), ERR_BUSY);
    assert_int_equal(gone.woken, 0);
    reservation_end(&first.res);
    reservation_end(&second.res);
}

static void test_reservation__counts_all_waits_together(void **state)
{
    struct request first, second;

    (void)state;
    v->fs.reservations.wait_ms = 20000;
    begin(&first, 8 * MIB);
    begin(&second, 8 * MIB);
    second.res.waited_ms = 19950; /* before */
    assert_ok(reservation_grow(&first.res, 8 * MIB));
    assert_int_equal(reservation_grow(&second.res, 1 * MIB), ERR_AGAIN);
    int64_t begun = clock_boot_ms();
    wait_until(&second.woken);
    assert_in_range(clock_boot_ms() - begun, 40, 10000);
    assert_int_equal(reservation_grow(&second.res, 1 * MIB), ERR_BUSY);
    reservation_end(&first.res);
    reservation_end(&second.res);
}

static void test_reservation__cuts_who_stands_still_while_others_wait(void **state)
{
    struct request still, works, waits;

    (void)state;
    v->fs.reservations.grace_ms = 50;
    begin(&still, 8 * MIB);
    begin(&works, 8 * MIB);
    begin(&waits, 8 * MIB);
    assert_ok(reservation_grow(&works.res, 20 * KIB));
    reservation_work(&works.res);
    assert_ok(reservation_grow(&still.res, 100 * KIB));
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL); /* the stillness itself */
    assert_ok(reservation_grow(&still.res, 110 * KIB));        /* nobody waited */
    assert_int_equal(reservation_grow(&waits.res, 1 * MIB), ERR_AGAIN);
    wait_until(&still.cut);
    assert_int_equal(works.cut + waits.cut, 0);
    assert_int_equal(reservation_grow(&still.res, 120 * KIB), ERR_TIMEOUT);
    reservation_end(&still.res);
    reservation_end(&works.res);
    assert_int_equal(waits.woken, 1);
    reservation_end(&waits.res);
}

static void test_reservation__refuses_answers_and_cuts_who_does_not_take_them(void **state)
{
    struct request slow, answer;

    (void)state;
    v->fs.reservations.grace_ms = 0;
    begin(&slow, -1);
    begin(&answer, -1);
    assert_ok(reservation_answer(&slow.res, 12 * 64 * KIB, false));
    assert_ok(reservation_answer(&answer.res, RESERVATION_ANSWER_BYTES,
                                 true)); /* not charged, and not much */
    assert_int_equal(reservation_answer(&answer.res, RESERVATION_ANSWER_BYTES + 1, true), ERR_BUSY);
    while (slow.cut == 0) { /* after three seconds */
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
        assert_int_equal(reservation_answer(&answer.res, 1 * MIB, true), ERR_BUSY);
    }
    reservation_end(&slow.res);
    assert_ok(reservation_answer(&answer.res, 700 * KIB, true));
    reservation_end(&answer.res);
}

static void test_reservation__gives_blocks_some_of_the_room(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++)
        assert_true(reservation_block_take(&v->fs, 64 * KIB));
    assert_false(reservation_block_take(&v->fs, 20 * KIB));
    for (int i = 0; i < 6; i++)
        reservation_block_give(&v->fs, 64 * KIB);
}

static void test_reservation__gives_large_blocks_while_there_is_room_for_others(void **state)
{
    (void)state;
    assert_true(reservation_block_take(&v->fs, 256 * KIB));
    assert_false(reservation_block_take(&v->fs, 256 * KIB));
    for (int i = 0; i < 2; i++)
        assert_true(reservation_block_take(&v->fs, 64 * KIB));
    assert_false(reservation_block_take(&v->fs, 64 * KIB));
    for (int i = 0; i < 2; i++)
        reservation_block_give(&v->fs, 64 * KIB);
    reservation_block_give(&v->fs, 256 * KIB);
}

/* Uploads have all that they may have: an answer gets its block all the same. */
static void test_reservation__gives_blocks_beside_uploads(void **state)
{
    struct page *taken[65];
    size_t n = 0;

    (void)state;
    while ((taken[n] = pages_take(&v->fs.pages, PAGE_UPLOAD)) != NULL)
        n++;
    assert_true(reservation_block_take(&v->fs, 256 * KIB));
    reservation_block_give(&v->fs, 256 * KIB);
    while (n > 0)
        pages_drop(&v->fs.pages, PAGE_UPLOAD, taken[--n]);
}

/* Uploads have all that they may have: a body gets its room all the same. */
static void test_reservation__has_its_share_beside_uploads(void **state)
{
    struct page *taken[65];
    struct request first, second;
    size_t n = 0;

    (void)state;
    begin(&first, 100 * 1024);
    begin(&second, 100 * 1024);
    while ((taken[n] = pages_take(&v->fs.pages, PAGE_UPLOAD)) != NULL)
        n++;
    assert_int_equal(n, 40);
    assert_ok(reservation_grow(&first.res, 80 * KIB));
    assert_ok(reservation_grow(&second.res, 80 * KIB));
    pages_drop(&v->fs.pages, PAGE_UPLOAD, taken[--n]);
    assert_non_null(taken[n] = pages_take(&v->fs.pages, PAGE_UPLOAD));
    n++;
    reservation_end(&first.res);
    reservation_end(&second.res);
    while (n > 0)
        pages_drop(&v->fs.pages, PAGE_UPLOAD, taken[--n]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_reservation__is_charged_beyond_the_first_bytes),
        TEST(test_reservation__the_oldest_goes_on_and_the_others_take_turns),
        TEST(test_reservation__ends_a_wait_that_takes_too_long),
        TEST(test_reservation__counts_all_waits_together),
        TEST(test_reservation__cuts_who_stands_still_while_others_wait),
        TEST(test_reservation__refuses_answers_and_cuts_who_does_not_take_them),
        TEST(test_reservation__gives_blocks_some_of_the_room),
        TEST(test_reservation__gives_large_blocks_while_there_is_room_for_others),
        TEST(test_reservation__gives_blocks_beside_uploads),
        TEST(test_reservation__has_its_share_beside_uploads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
