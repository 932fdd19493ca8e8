#include "fs/cache/cache.h"

#include "tests/unit/base/unit.h"

#include <pthread.h>
#include <stdatomic.h>

#define LIMIT 512 /* pages */

static struct pages pages;
static struct cache *cache;

static int set_up(void **state)
{
    (void)state;
    assert_ok(pages_init(&pages, LIMIT * PAGE_BYTES));
    assert_ok(cache_new(&pages, &cache));
    pages_set_reclaim(&pages, cache_evict_one, cache);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cache_free(cache);
    assert_int_equal(pages_in_use(&pages), 0);
    pages_fini(&pages);
    return 0;
}

static struct slice_name slice(uint64_t id)
{
    return (struct slice_name){id, 77};
}

/* Puts a new page that says which granule it is; false when there was no page. */
static bool put(uint64_t id, uint32_t granule)
{
    struct page *page = pages_take(&pages, PAGE_READ);
    uint64_t label[2] = {id, granule};

    if (page == NULL)
        return false;
    memcpy(page->data, label, sizeof(label));
    cache_put(cache, slice(id), granule, page);
    pages_drop(&pages, PAGE_READ, page);
    return true;
}

static bool has(uint64_t id, uint32_t granule)
{
    struct page *page = cache_get(cache, slice(id), granule);
    uint64_t label[2];

    if (page == NULL)
        return false;
    memcpy(label, page->data, sizeof(label));
    assert_int_equal(label[0], id);
    assert_int_equal(label[1], granule);
    page_unref(&pages, page);
    return true;
}

static void test_cache__gives_back_what_was_put(void **state)
{
    struct cache_stats stats;

    (void)state;
    assert_true(put(1, 0) && put(1, 1) && put(2, 0));
    assert_true(has(1, 0) && has(1, 1) && has(2, 0));
    assert_false(has(2, 1));
    assert_null(cache_get(cache, (struct slice_name){1, 78}, 0)); /* of another session */
    cache_stats(cache, &stats);
    assert_int_equal(stats.hits, 3);
    assert_int_equal(stats.misses, 2);
    assert_int_equal(stats.entries, 3);
}

static void test_cache__keeps_the_first_of_two_equal_granules(void **state)
{
    struct cache_stats stats;

    (void)state;
    assert_true(put(1, 0) && put(1, 0));
    cache_stats(cache, &stats);
    assert_int_equal(stats.entries, 1);
    assert_int_equal(pages_in_use(&pages), 1);
}

static void test_cache__peeks_without_a_trace(void **state)
{
    struct cache_stats stats;
    struct page *page;

    (void)state;
    assert_true(put(1, 0));
    page = cache_peek(cache, slice(1), 0);
    assert_non_null(page);
    page_unref(&pages, page);
    assert_true(cache_has(cache, slice(1), 0));
    assert_false(cache_has(cache, slice(1), 1));
    cache_stats(cache, &stats);
    assert_int_equal(stats.hits + stats.misses, 0);
}

/* What transfers may have: an eighth is left to reservations. */
#define TRANSFERS (LIMIT / 8 * 7)

/* Page i of these: a quarter of all is for uploads. */
static enum page_use use_of(size_t i)
{
    return i < LIMIT / 4 ? PAGE_UPLOAD : PAGE_READ;
}

static void test_cache__gives_its_pages_to_transfers(void **state)
{
    struct page *taken[TRANSFERS];

    (void)state;
    for (uint32_t g = 0; g < LIMIT; g++)
        assert_true(put(1, g));
    assert_int_equal(pages_in_use(&pages), LIMIT);
    for (size_t i = 0; i < TRANSFERS; i++) {
        taken[i] = pages_take(&pages, use_of(i));
        assert_non_null(taken[i]);
    }
    assert_null(pages_take(&pages, PAGE_READ));
    assert_true(pages_reserve(&pages, LIMIT - TRANSFERS, LIMIT)); /* which evicts the rest */
    assert_false(cache_evict_one(cache));
    pages_unreserve(&pages, LIMIT - TRANSFERS);
    for (size_t i = 0; i < TRANSFERS; i++)
        pages_drop(&pages, use_of(i), taken[i]);
}

static void test_cache__does_not_evict_what_frees_nothing(void **state)
{
    struct page *sent;

    (void)state;
    assert_true(put(1, 0) && put(1, 1));
    sent = cache_get(cache, slice(1), 0);
    assert_true(cache_evict_one(cache));
    assert_false(cache_evict_one(cache)); /* the other one is being sent */
    assert_true(cache_has(cache, slice(1), 0));
    page_unref(&pages, sent);
    assert_true(cache_evict_one(cache));
}

static void count_wake(void *arg)
{
    (*(int *)arg)++;
}

/* A page that only the cache holds is as good as a free one: whoever waits gets it. */
static void test_cache__lets_nobody_wait_beside_it(void **state)
{
    struct page *taken[TRANSFERS], *sent;
    int woken = 0;
    bool expired;
    struct pages_waiter w = {.use = PAGE_UPLOAD, .wake = count_wake, .arg = &woken};

    (void)state;
    for (size_t i = 0; i < TRANSFERS; i++)
        taken[i] = pages_take(&pages, use_of(i));
    assert_true(pages_reserve(&pages, LIMIT - TRANSFERS, LIMIT));
    /* It came into the cache after the taker was refused, before it waits. */
    assert_null(pages_take(&pages, PAGE_UPLOAD));
    cache_put(cache, slice(1), 0, taken[0]);
    pages_drop(&pages, PAGE_UPLOAD, taken[0]);
    pages_wait(&pages, &w, INT64_MAX);
    assert_int_equal(woken, 1);
    taken[0] = pages_take_given(&pages, &w, &expired);
    assert_non_null(taken[0]);
    /* It is in the cache but sent, and the response ends. */
    cache_put(cache, slice(1), 1, taken[1]);
    sent = taken[1];
    pages_uncount(&pages, PAGE_UPLOAD, 1);
    pages_wait(&pages, &w, INT64_MAX);
    assert_int_equal(woken, 1);
    page_unref(&pages, sent);
    assert_int_equal(woken, 2);
    taken[1] = pages_take_given(&pages, &w, &expired);
    assert_non_null(taken[1]);
    /* It would come into the cache while somebody waits. */
    pages_wait(&pages, &w, INT64_MAX);
    cache_put(cache, slice(1), 2, taken[2]);
    pages_drop(&pages, PAGE_UPLOAD, taken[2]);
    assert_int_equal(woken, 3);
    assert_false(cache_has(cache, slice(1), 2));
    taken[2] = pages_take_given(&pages, &w, &expired);
    assert_non_null(taken[2]);
    pages_unreserve(&pages, LIMIT - TRANSFERS);
    for (size_t i = 0; i < TRANSFERS; i++)
        pages_drop(&pages, use_of(i), taken[i]);
}

static void test_cache__resists_a_scan(void **state)
{
    size_t kept = 0;

    (void)state;
    for (uint32_t g = 0; g < 128; g++)
        assert_true(put(1, g));
    for (int round = 0; round < 3; round++)
        for (uint32_t g = 0; g < 128; g++)
            assert_true(has(1, g));
    for (uint32_t i = 0; i < 20 * LIMIT; i++) /* read once each */
        assert_true(put(2 + i / 64, i % 64));
    for (uint32_t g = 0; g < 128; g++)
        kept += has(1, g) ? 1 : 0;
    assert_true(kept > 120);
}

static void test_cache__remembers_who_left_too_early(void **state)
{
    size_t kept = 0;

    (void)state;
    for (uint32_t g = 0; g < 32; g++)
        assert_true(put(1, g));
    for (uint32_t i = 0; i < LIMIT; i++) /* pushes them out */
        assert_true(put(2 + i / 64, i % 64));
    for (uint32_t g = 0; g < 32; g++)
        assert_true(has(1, g) || put(1, g)); /* they come back, to the main queue */
    for (uint32_t i = 0; i < 4 * LIMIT; i++)
        assert_true(put(100 + i / 64, i % 64));
    for (uint32_t g = 0; g < 32; g++)
        kept += has(1, g) ? 1 : 0;
    assert_true(kept > 20);
}

static _Atomic bool stop;

static void *use(void *arg)
{
    uint64_t seed = (uint64_t)(uintptr_t)arg;

    for (int i = 0; i < 20000; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        uint64_t id = seed >> 33 & 3;
        uint32_t granule = (uint32_t)(seed >> 40) % 400;
        struct page *page = cache_get(cache, slice(id), granule);
        uint64_t label[2] = {id, granule};

        if (page == NULL) {
            page = pages_take(&pages, PAGE_READ);
            if (page == NULL)
                continue;
            memcpy(page->data, label, sizeof(label));
            cache_put(cache, slice(id), granule, page);
            pages_uncount(&pages, PAGE_READ, 1);
        } else if (memcmp(page->data, label, sizeof(label)) != 0) {
            stop = true;
        }
        page_unref(&pages, page);
    }
    return NULL;
}

static void test_cache__holds_under_many_threads(void **state)
{
    pthread_t threads[8];

    (void)state;
    for (uintptr_t i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use, (void *)(i + 1)), 0);
    for (size_t i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    assert_false(stop);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_cache__gives_back_what_was_put),
        TEST(test_cache__keeps_the_first_of_two_equal_granules),
        TEST(test_cache__peeks_without_a_trace),
        TEST(test_cache__gives_its_pages_to_transfers),
        TEST(test_cache__does_not_evict_what_frees_nothing),
        TEST(test_cache__lets_nobody_wait_beside_it),
        TEST(test_cache__resists_a_scan),
        TEST(test_cache__remembers_who_left_too_early),
        TEST(test_cache__holds_under_many_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
