#include "fs/memory/pages.h"
#include "tests/unit/base/unit.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT   ((size_t)64)
#define QUARTER (LIMIT / 4)
#define EIGHTH  (LIMIT / 8)

static struct pages pages;

static int set_up(void **state)
{
    (void)state;
    assert_ok(pages_init(&pages, LIMIT * PAGE_BYTES));
    return 0;
}

static int tear_down(void **state)
{
    struct pages_stats s;

    (void)state;
    pages_stats(&pages, &s);
    assert_int_equal(s.in_use + s.reserved + s.used[PAGE_UPLOAD] + s.used[PAGE_READ], 0);
    assert_int_equal(s.waiting[PAGE_UPLOAD] + s.waiting[PAGE_READ], 0);
    pages_fini(&pages);
    return 0;
}

/* Takes as many as there are; NULL behind them. */
static size_t take_all(enum page_use use, struct page **out)
{
    size_t n = 0;

    while ((out[n] = pages_take(&pages, use)) != NULL)
        memset(out[n++]->data, 1, PAGE_BYTES);
    return n;
}

static void drop_all(enum page_use use, struct page **taken)
{
    for (size_t i = 0; taken[i] != NULL; i++)
        pages_drop(&pages, use, taken[i]);
}

/* A waiter that counts. */
struct waiter {
    struct pages_waiter w;
    _Atomic int woken;
};

static void wake(void *arg)
{
    ((struct waiter *)arg)->woken++;
}

static void wait(struct waiter *one, enum page_use use, int64_t deadline_ms)
{
    *one = (struct waiter){.w = {.use = use, .wake = wake}};
    one->w.arg = one;
    pages_wait(&pages, &one->w, deadline_ms);
}

static struct page *given(struct waiter *one, bool *out_expired)
{
    return pages_take_given(&pages, &one->w, out_expired);
}

static void test_pages__keep_a_quarter_for_each_use(void **state)
{
    struct page *uploads[LIMIT + 1], *reads[LIMIT + 1];

    (void)state;
    assert_int_equal(take_all(PAGE_UPLOAD, uploads), LIMIT - QUARTER - EIGHTH);
    assert_int_equal(take_all(PAGE_READ, reads), QUARTER);
    assert_true(pages_reserve(&pages, EIGHTH, LIMIT)); /* what requests keep finds room, too */
    assert_false(pages_reserve(&pages, 1, LIMIT));
    pages_unreserve(&pages, EIGHTH);
    drop_all(PAGE_UPLOAD, uploads);
    drop_all(PAGE_READ, reads);
    assert_int_equal(take_all(PAGE_READ, reads), LIMIT - QUARTER - EIGHTH);
    assert_int_equal(take_all(PAGE_UPLOAD, uploads), QUARTER);
    drop_all(PAGE_UPLOAD, uploads);
    drop_all(PAGE_READ, reads);
}

static void test_pages__that_are_reserved_are_not_resident(void **state)
{
    struct page *uploads[LIMIT + 1], *reads[LIMIT + 1];

    (void)state;
    take_all(PAGE_UPLOAD, uploads);
    take_all(PAGE_READ, reads);
    drop_all(PAGE_READ, reads);
    drop_all(PAGE_UPLOAD, uploads);
    assert_int_equal(pages.resident, LIMIT - EIGHTH);
    assert_false(pages_reserve(&pages, QUARTER + 1, LIMIT));
    assert_false(pages_reserve(&pages, 5, 4));
    assert_true(pages_reserve(&pages, QUARTER, LIMIT));
    assert_int_equal(pages.resident, LIMIT - QUARTER);
    assert_false(pages_reserve(&pages, 1, LIMIT));
    /* Uploads and reservations together leave reads their quarter, and the other way round. */
    assert_int_equal(take_all(PAGE_UPLOAD, uploads), LIMIT / 2);
    assert_int_equal(take_all(PAGE_READ, reads), QUARTER);
    assert_int_equal(pages.resident, LIMIT - QUARTER);
    pages_unreserve(&pages, QUARTER);
    drop_all(PAGE_READ, reads);
    drop_all(PAGE_UPLOAD, uploads);
    assert_int_equal(take_all(PAGE_UPLOAD, uploads), LIMIT - QUARTER - EIGHTH);
    drop_all(PAGE_UPLOAD, uploads);
}

static void test_pages__go_to_the_upload_whose_turn_it_is(void **state)
{
    struct page *taken[LIMIT + 1], *page;
    struct waiter first, second;
    bool expired;

    (void)state;
    take_all(PAGE_UPLOAD, taken);
    wait(&first, PAGE_UPLOAD, INT64_MAX);
    wait(&second, PAGE_UPLOAD, INT64_MAX);
    pages_wait(&pages, &first.w, INT64_MAX); /* keeps its turn */
    assert_null(given(&first, &expired));
    assert_int_equal(pages_short(&pages, PAGE_UPLOAD), 2);
    pages_drop(&pages, PAGE_UPLOAD, taken[0]);
    assert_int_equal(first.woken, 1);
    assert_int_equal(second.woken, 0);
    assert_null(pages_take(&pages, PAGE_UPLOAD)); /* a newcomer does not overtake */
    taken[0] = given(&first, &expired);
    assert_non_null(taken[0]);
    assert_false(expired);
    pages_drop(&pages, PAGE_UPLOAD, taken[1]);
    assert_int_equal(second.woken, 1);
    /* Who leaves with its page unused passes it on. */
    wait(&first, PAGE_UPLOAD, INT64_MAX);
    pages_forget(&pages, &second.w);
    assert_int_equal(first.woken, 1);
    page = given(&first, &expired);
    assert_non_null(page);
    pages_drop(&pages, PAGE_UPLOAD, page);
    for (size_t i = 2; taken[i] != NULL; i++)
        pages_drop(&pages, PAGE_UPLOAD, taken[i]);
    pages_drop(&pages, PAGE_UPLOAD, taken[0]);
}

static void test_pages__wake_reads_first_while_they_have_little(void **state)
{
    struct page *uploads[LIMIT + 1], *reads[LIMIT + 1];
    struct waiter upload, read;

    (void)state;
    take_all(PAGE_READ, reads);                /* five eighths */
    for (size_t i = 0; i < LIMIT / 2 + 1; i++) /* the cache has them, say: reads hold little */
        pages_uncount(&pages, PAGE_READ, 1);
    take_all(PAGE_UPLOAD, uploads);
    wait(&upload, PAGE_UPLOAD, INT64_MAX);
    wait(&read, PAGE_READ, INT64_MAX);
    assert_true(pages_wanted(&pages));
    page_unref(&pages, reads[0]);
    assert_int_equal(read.woken, 1);
    pages_forget(&pages, &read.w);
    assert_int_equal(upload.woken, 1); /* the reader has left its page */
    pages_forget(&pages, &upload.w);
    for (size_t i = 1; reads[i] != NULL; i++)
        i <= LIMIT / 2 ? page_unref(&pages, reads[i]) : pages_drop(&pages, PAGE_READ, reads[i]);
    drop_all(PAGE_UPLOAD, uploads);
}

static void test_pages__end_waits_that_took_too_long(void **state)
{
    struct page *taken[LIMIT + 1];
    struct waiter waiters[3];
    bool expired;

    (void)state;
    take_all(PAGE_UPLOAD, taken);
    for (size_t i = 0; i < LENGTH_OF(waiters); i++)
        wait(&waiters[i], PAGE_UPLOAD, 100 + (int64_t)i);
    pages_expire(&pages, 99);
    assert_int_equal(waiters[0].woken, 0);
    pages_expire(&pages, 101);
    for (size_t i = 0; i < LENGTH_OF(waiters); i++) {
        assert_int_equal(waiters[i].woken, i < 2);
        assert_null(given(&waiters[i], &expired));
        assert_int_equal(expired, i < 2);
        assert_null(given(&waiters[i], &expired));
        assert_false(expired); /* told once */
        pages_forget(&pages, &waiters[i].w);
    }
    drop_all(PAGE_UPLOAD, taken);
}

/* More than pages, and 1024: one of those of the most usual size has to go at once. */
static void test_pages__refuse_uploads_when_too_many_wait(void **state)
{
    static struct waiter waiters[LIMIT + 1024];
    struct page *taken[LIMIT + 1];
    struct waiter one;
    int refused = 0;
    bool expired;

    (void)state;
    take_all(PAGE_UPLOAD, taken);
    one = (struct waiter){.w = {.use = PAGE_UPLOAD, .wake = wake, .turn = {.pages = 5}}};
    one.w.arg = &one;
    for (size_t i = 0; i < LENGTH_OF(waiters); i++)
        wait(&waiters[i], PAGE_UPLOAD, INT64_MAX);
    pages_wait(&pages, &one.w, INT64_MAX);
    for (size_t i = 0; i < LENGTH_OF(waiters); i++) {
        (void)given(&waiters[i], &expired);
        refused += expired;
    }
    assert_int_equal(refused, 1);
    assert_int_equal(one.woken, 0);
    for (size_t i = 0; i < LENGTH_OF(waiters); i++)
        pages_forget(&pages, &waiters[i].w);
    pages_forget(&pages, &one.w);
    drop_all(PAGE_UPLOAD, taken);
}

static _Atomic int watched;

static void watch(void *arg)
{
    (void)arg;
    watched++;
}

static void test_pages__call_the_watch_for_the_first_waiter(void **state)
{
    struct page *taken[LIMIT + 1];
    struct waiter waiters[2];

    (void)state;
    pages_set_watch(&pages, watch, NULL);
    take_all(PAGE_UPLOAD, taken);
    assert_int_equal(watched, 0);
    wait(&waiters[0], PAGE_UPLOAD, INT64_MAX);
    wait(&waiters[1], PAGE_UPLOAD, INT64_MAX);
    assert_int_equal(watched, 1);
    pages_forget(&pages, &waiters[0].w);
    pages_forget(&pages, &waiters[1].w);
    drop_all(PAGE_UPLOAD, taken);
}

/* --- many threads ----------------------------------------------------------------------------- */

static _Atomic bool wrong;

/* Takes, waits when there is none, writes its name into the page, and looks again. */
static void *use(void *arg)
{
    uint8_t name = (uint8_t)(uintptr_t)arg;
    enum page_use kind = name % 2 == 0 ? PAGE_UPLOAD : PAGE_READ;
    struct page *mine[40];

    for (int round = 0; round < 300; round++) {
        size_t n = 0;

        while (n < LENGTH_OF(mine) / (1 + (size_t)round % 3)) {
            struct waiter one = {.w = {.use = kind, .wake = wake}};
            bool expired = false;

            mine[n] = pages_take(&pages, kind);
            if (mine[n] == NULL && n > 0)
                break; /* nobody may wait with something in hand here: who would give it back? */
            if (mine[n] == NULL) {
                one.w.arg = &one;
                pages_wait(&pages, &one.w, INT64_MAX);
                while (one.woken == 0)
                    sched_yield();
                mine[n] = pages_take_given(&pages, &one.w, &expired);
                pages_forget(&pages, &one.w);
            }
            if (mine[n] == NULL)
                continue;
            mine[n]->data[7] = name;
            n++;
        }
        if (round % 7 == 0 && pages_reserve(&pages, 3, LIMIT))
            pages_unreserve(&pages, 3);
        while (n-- > 0) {
            wrong = wrong || mine[n]->data[7] != name;
            pages_drop(&pages, kind, mine[n]);
        }
    }
    return NULL;
}

static void test_pages__hold_under_many_threads(void **state)
{
    pthread_t threads[8];

    (void)state;
    for (uintptr_t i = 0; i < LENGTH_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use, (void *)(i + 1)), 0);
    for (size_t i = 0; i < LENGTH_OF(threads); i++)
        pthread_join(threads[i], NULL);
    assert_false(wrong);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_pages__keep_a_quarter_for_each_use),
        TEST(test_pages__that_are_reserved_are_not_resident),
        TEST(test_pages__go_to_the_upload_whose_turn_it_is),
        TEST(test_pages__wake_reads_first_while_they_have_little),
        TEST(test_pages__refuse_uploads_when_too_many_wait),
        TEST(test_pages__end_waits_that_took_too_long),
        TEST(test_pages__call_the_watch_for_the_first_waiter),
        TEST(test_pages__hold_under_many_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
