#include "tests/unit/fs/fake_meta.h"

#define LEN      ((uint32_t)(4 << 20))
#define GRANULES (LEN / META_GRANULE)

static uint8_t bytes[LEN];
static struct volume *v;
static struct record record;

static int set_up(void **state)
{
    (void)state;
    v = volume_new(64 << 20);
    fill(bytes, 5, 0, LEN);
    record = make_slice(v, bytes, LEN);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free((void *)(uintptr_t)record.granule_crcs);
    volume_free(v);
    return 0;
}

static void nap_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* Reads [start, end), holding no fetch from one granule to the next. ERR_BUG: wrong bytes. */
static enum err read_bytes(uint32_t start, uint32_t end)
{
    while (start < end) {
        struct slice_want want = {&record, start, end};
        uint32_t stop = (start / META_GRANULE + 1) * META_GRANULE;
        struct page *page;
        struct fetch *fetch;
        enum err err = slice_read(&v->fs, &want, NULL, true, &page, &fetch);
        bool same;

        if (err != OK)
            return err;
        stop = stop < end ? stop : end;
        same = memcmp(page->data + start % META_GRANULE, bytes + start, stop - start) == 0;
        page_unref(&v->fs.pages, page);
        fetch_unref(fetch);
        if (!same)
            return ERR_BUG;
        start = stop;
    }
    return OK;
}

/* --- many at once ----------------------------------------------------------------------------- */

struct reading {
    pthread_t thread;
    uint32_t start, end;
    enum err result;
};

static void *run_reading(void *arg)
{
    struct reading *r = arg;

    r->result = read_bytes(r->start, r->end);
    return NULL;
}

static void start_readings(struct reading *r, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_int_equal(pthread_create(&r[i].thread, NULL, run_reading, &r[i]), 0);
}

static size_t count_results(struct reading *r, size_t count, enum err result)
{
    size_t n = 0;

    for (size_t i = 0; i < count; i++) {
        pthread_join(r[i].thread, NULL);
        n += r[i].result == result ? 1 : 0;
    }
    return n;
}

static void test_slice_reader__requests_each_byte_once_for_many_readers(void **state)
{
    struct reading r[48];

    (void)state;
    for (int round = 0; round < 40; round++) {
        v->mem->nap_us = round % 4 == 0 ? 2000 : 0; /* at 0, fetches end while others look */
        volume_cold(v);
        v->mem->got_bytes = 0;
        for (size_t i = 0; i < LENGTH_OF(r); i++) {
            r[i].start = i == 0 ? 0 : (uint32_t)(test_random() % LEN);
            r[i].end = i == 0 ? LEN : r[i].start + (uint32_t)(test_random() % (LEN - r[i].start));
        }
        start_readings(r, LENGTH_OF(r));
        assert_int_equal(count_results(r, LENGTH_OF(r), OK), LENGTH_OF(r));
        assert_int_equal(v->mem->got_bytes, LEN);
    }
}

static void test_slice_reader__requests_only_the_gaps(void **state)
{
    (void)state;
    assert_ok(read_bytes(10 * META_GRANULE + 7, 10 * META_GRANULE + 9));
    assert_ok(read_bytes(20 * META_GRANULE, 22 * META_GRANULE));
    assert_int_equal(v->mem->got_bytes, 3 * META_GRANULE);
    assert_ok(read_bytes(5, LEN));
    assert_int_equal(v->mem->got_bytes, LEN);
    assert_int_equal(v->mem->gets, 5);
    assert_ok(read_bytes(0, LEN));
    assert_int_equal(v->mem->gets, 5);
}

static void test_slice_reader__reads_a_slice_that_ends_in_a_short_granule(void **state)
{
    const uint64_t *old = record.granule_crcs;
    static const uint32_t lens[] = {1, META_GRANULE - 1, META_GRANULE + 1, LEN - 1};

    (void)state;
    free((void *)(uintptr_t)old);
    record.granule_crcs = NULL;
    for (size_t i = 0; i < LENGTH_OF(lens); i++) {
        free((void *)(uintptr_t)record.granule_crcs);
        record = make_slice(v, bytes, lens[i]);
        v->mem->got_bytes = 0;
        assert_ok(read_bytes(0, lens[i]));
        assert_int_equal(v->mem->got_bytes, lens[i]);
        volume_cold(v);
        assert_ok(read_bytes(lens[i] - 1, lens[i]));
    }
}

/* --- failures --------------------------------------------------------------------------------- */

/* A first fetch that fails while others have joined it. */
static void fail_for_joiners(struct reading *r, size_t count, int failures)
{
    const struct fault_rule hold = {.kind = FAULT_HOLD, .ops = 1u << STORE_GET, .nth = 1};

    v->mem->fail_gets = failures;
    v->mem->nap_us = 50000; /* so that who is woken joins the next one */
    assert_ok(store_fault_add(v->fs.store, &hold));
    for (size_t i = 0; i < count; i++)
        r[i] = (struct reading){.start = 0, .end = LEN};
    start_readings(r, count);
    while (store_fault_held(v->fs.store) == 0)
        nap_ms(1);
    nap_ms(50);
    store_fault_release(v->fs.store);
}

static void test_slice_reader__joiners_of_a_failed_fetch_try_once_themselves(void **state)
{
    struct reading r[16];

    (void)state;
    fail_for_joiners(r, LENGTH_OF(r), 1);
    assert_int_equal(count_results(r, LENGTH_OF(r), OK), LENGTH_OF(r) - 1);
    assert_int_equal(v->mem->gets, 2);
}

static void test_slice_reader__joiners_give_up_with_the_same_error(void **state)
{
    struct reading r[16];

    (void)state;
    fail_for_joiners(r, LENGTH_OF(r), 2);
    assert_int_equal(count_results(r, LENGTH_OF(r), ERR_BUSY), LENGTH_OF(r));
    assert_int_equal(v->mem->gets, 2);
    assert_ok(read_bytes(0, LEN)); /* and nothing of it stays */
}

static void test_slice_reader__fetches_a_wrong_granule_once_more(void **state)
{
    const struct fault_rule once = {.kind = FAULT_CORRUPT, .ops = 1u << STORE_GET, .nth = 1};

    (void)state;
    assert_ok(store_fault_add(v->fs.store, &once));
    assert_ok(read_bytes(0, LEN));
    assert_int_equal(v->mem->got_bytes, LEN + META_GRANULE);
}

static void test_slice_reader__keeps_the_good_granules_of_a_corrupt_slice(void **state)
{
    const struct fault_rule wrong = {.kind = FAULT_CORRUPT, .ops = 1u << STORE_GET, .count = 1};

    (void)state;
    assert_ok(store_fault_add(v->fs.store, &wrong)); /* flips a bit in the middle of each get */
    assert_int_equal(read_bytes(0, LEN), ERR_CORRUPT);
    store_fault_clear(v->fs.store);
    v->mem->got_bytes = 0;
    assert_ok(read_bytes(0, LEN)); /* only the bad one is not there */
    assert_int_equal(v->mem->got_bytes, META_GRANULE);
}

static void test_slice_reader__calls_a_missing_or_short_slice_corrupt(void **state)
{
    const struct fault_rule missing = {
        .kind = FAULT_FAIL, .ops = 1u << STORE_GET, .nth = 1, .code = ERR_NOT_FOUND};
    const struct fault_rule cut_once = {.kind = FAULT_CUT, .ops = 1u << STORE_GET, .nth = 1};
    const struct fault_rule cut_short = {.kind = FAULT_CUT, .ops = 1u << STORE_GET};

    (void)state;
    assert_ok(store_fault_add(v->fs.store, &missing));
    assert_int_equal(read_bytes(0, 1), ERR_CORRUPT); /* never "no such key" */
    store_fault_clear(v->fs.store);
    assert_ok(store_fault_add(v->fs.store, &cut_once));
    assert_ok(read_bytes(0, LEN));
    store_fault_clear(v->fs.store);
    volume_cold(v);
    assert_ok(store_fault_add(v->fs.store, &cut_short));
    assert_int_equal(read_bytes(0, LEN), ERR_CORRUPT);
}

/* --- read-ahead ------------------------------------------------------------------------------- */

static void test_slice_reader__reads_ahead_into_a_fetch_that_is_held(void **state)
{
    struct slice_want want = {&record, 3 * META_GRANULE + 1, LEN};
    struct fetch *ahead, *other;
    struct page *page = NULL;

    (void)state;
    assert_int_equal(slice_read_ahead(&v->fs, &want, &ahead), LEN);
    assert_non_null(ahead);
    assert_int_equal(fetch_has(ahead, &want), LEN - want.start);
    for (int i = 0; i < 5000 && page == NULL; i++, nap_ms(1))
        (void)!slice_read(&v->fs, &want, ahead, false, &page, &other);
    assert_non_null(page);
    assert_memory_equal(page->data, bytes + 3 * META_GRANULE, META_GRANULE);
    assert_null(other);
    page_unref(&v->fs.pages, page);
    volume_cold(v); /* what is held is not evicted */
    v->mem->gets = 0;
    want.start = LEN - 1;
    assert_ok(slice_read(&v->fs, &want, ahead, true, &page, &other));
    page_unref(&v->fs.pages, page);
    fetch_unref(ahead);
    want.start = 3 * META_GRANULE;
    assert_int_equal(slice_read_ahead(&v->fs, &want, &ahead), LEN); /* all of it is cached */
    assert_null(ahead);
    assert_int_equal(v->mem->gets, 0);
}

/* While I/O threads are all busy, who needs a queued read-ahead runs it, else it is forgotten. */
static void test_slice_reader__does_not_wait_for_a_queue(void **state)
{
    struct slice_want want = {&record, 0, LEN};
    struct fetch *ahead, *other;
    struct page *page;

    (void)state;
    pool_free(v->fs.io);
    assert_ok(pool_new("io", 1, 0, &v->fs.io)); /* refuses all jobs */
    assert_int_equal(slice_read_ahead(&v->fs, &want, &ahead), LEN);
    assert_int_equal(slice_read(&v->fs, &want, ahead, false, &page, &other), ERR_AGAIN);
    assert_int_equal(v->mem->gets, 0);
    assert_ok(slice_read(&v->fs, &want, ahead, true, &page, &other));
    assert_int_equal(v->mem->gets, 1);
    page_unref(&v->fs.pages, page);
    fetch_unref(ahead);
    volume_cold(v);
    assert_int_equal(slice_read_ahead(&v->fs, &want, &ahead), LEN);
    fetch_unref(ahead);
    assert_int_equal(v->mem->gets, 1);
    assert_ok(read_bytes(0, LEN));
}

static void test_slice_reader__asks_for_less_when_memory_is_short(void **state)
{
    struct fetch *held[64];
    struct record others[64];
    size_t n = 0, granules = 0;

    (void)state;
    pool_free(v->fs.io);
    assert_ok(pool_new("io", 1, 0, &v->fs.io));
    for (size_t i = 0; i < 64; i++) {
        struct slice_want want = {&others[i], 0, LEN};
        uint32_t end;

        others[i] = record;
        others[i].slice.id = 1000 + i;
        end = slice_read_ahead(&v->fs, &want, &held[n]);
        if (end == 0)
            break;
        granules += end / META_GRANULE;
        n++;
    }
    assert_true(n >= 4);
    assert_true(granules <= v->fs.pages.limit / 2);
    for (size_t i = 0; i < n; i++)
        fetch_unref(held[i]);
}

static void *give_back(void *arg)
{
    nap_ms(20);
    pages_drop(&v->fs.pages, PAGE_READ, arg);
    return NULL;
}

static void test_slice_reader__waits_for_a_page_with_none_in_hand(void **state)
{
    size_t limit = v->fs.pages.limit - v->fs.pages.limit / 4; /* the rest is for uploads */
    struct page **taken = calloc(limit, sizeof(*taken)), *page;
    struct slice_want want = {&record, 0, LEN};
    struct fetch *fetch;
    pthread_t thread;
    enum err err;

    (void)state;
    assert_non_null(taken);
    for (size_t i = 0; i < limit; i++)
        taken[i] = pages_take(&v->fs.pages, PAGE_READ);
    assert_int_equal(slice_read(&v->fs, &want, NULL, true, &page, &fetch), ERR_AGAIN);
    assert_int_equal(slice_wait_page(&v->fs, 0), ERR_BUSY);
    assert_int_equal(pthread_create(&thread, NULL, give_back, taken[0]), 0);
    do {
        assert_ok(slice_wait_page(&v->fs, INT64_MAX));
        err = slice_read(&v->fs, &want, NULL, true, &page, &fetch);
    } while (err == ERR_AGAIN);
    assert_ok(err);
    assert_int_equal(fetch_has(fetch, &want), META_GRANULE); /* there was one page */
    pthread_join(thread, NULL);
    page_unref(&v->fs.pages, page);
    fetch_unref(fetch);
    for (size_t i = 1; i < limit; i++)
        pages_drop(&v->fs.pages, PAGE_READ, taken[i]);
    free(taken);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_slice_reader__requests_each_byte_once_for_many_readers),
        TEST(test_slice_reader__requests_only_the_gaps),
        TEST(test_slice_reader__reads_a_slice_that_ends_in_a_short_granule),
        TEST(test_slice_reader__joiners_of_a_failed_fetch_try_once_themselves),
        TEST(test_slice_reader__joiners_give_up_with_the_same_error),
        TEST(test_slice_reader__fetches_a_wrong_granule_once_more),
        TEST(test_slice_reader__keeps_the_good_granules_of_a_corrupt_slice),
        TEST(test_slice_reader__calls_a_missing_or_short_slice_corrupt),
        TEST(test_slice_reader__reads_ahead_into_a_fetch_that_is_held),
        TEST(test_slice_reader__does_not_wait_for_a_queue),
        TEST(test_slice_reader__asks_for_less_when_memory_is_short),
        TEST(test_slice_reader__waits_for_a_page_with_none_in_hand),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
