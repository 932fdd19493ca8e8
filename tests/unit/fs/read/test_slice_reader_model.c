/*
 * The readers of slices against a naive model: random interleavings of reads, read-ahead,
 * eviction, and requests that end well, fail, or bring wrong bytes, in any order. Always the right
 * bytes; no request for a byte that is cached or on its way; so no two requests overlap.
 */
#include "base/clock.h"
#include "tests/unit/fs/gate_store.h"

#define LEN     ((uint32_t)(20 * META_GRANULE + 777))
#define READERS 8
#define READS   40
#define ROUNDS  6

static struct volume *v;
static struct gate_store gate;
static uint8_t bytes[GATE_SLICES][LEN];
static struct record records[GATE_SLICES];

/* What went against the rules; the test fails at its end, not in another thread. */
static _Atomic int overlapping, needless, wrong_bytes, wrong_errors, right_reads, failed_reads;

/* --- the rules, at each request --------------------------------------------------------------- */

static void check_request(struct gate_store *g, const struct gate_request *r)
{
    for (size_t i = 0; i < GATE_REQUESTS; i++) {
        const struct gate_request *other = &g->requests[i];

        if (other != r && other->waits && other->slice == r->slice && other->start < r->end &&
            r->start < other->end)
            overlapping++;
    }
    for (uint32_t at = r->start; at < r->end; at += META_GRANULE)
        if (cache_has(v->fs.cache, records[r->slice].slice, at / META_GRANULE))
            needless++;
}

/* --- readers ---------------------------------------------------------------------------------- */

struct reading {
    pthread_t thread;
    unsigned seed;
    _Atomic int *left; /* readers that are not done */
};

/* Holds what it reads ahead for a while, as fs/read/reader.c does. */
static enum err read_range(unsigned *seed, size_t slice, uint32_t at, uint32_t end)
{
    struct fetch *ahead = NULL;
    enum err err = OK;

    while (err == OK && at < end) {
        struct slice_want want = {&records[slice], at, end};
        uint32_t stop = (at / META_GRANULE + 1) * META_GRANULE;
        struct page *page;
        struct fetch *fetch;

        if (ahead == NULL && rand_r(seed) % 3 == 0)
            (void)slice_read_ahead(&v->fs, &want, &ahead);
        err = slice_read(&v->fs, &want, ahead, true, &page, &fetch);
        if (err != OK)
            break;
        stop = stop < end ? stop : end;
        if (memcmp(page->data + at % META_GRANULE, bytes[slice] + at, stop - at) != 0)
            wrong_bytes++;
        page_unref(&v->fs.pages, page);
        fetch_unref(fetch);
        if (rand_r(seed) % 4 == 0) {
            fetch_unref(ahead);
            ahead = NULL;
        }
        at = stop;
    }
    fetch_unref(ahead);
    return err;
}

static void *run_reading(void *arg)
{
    struct reading *r = arg;

    for (int i = 0; i < READS; i++) {
        size_t slice = (size_t)rand_r(&r->seed) % GATE_SLICES;
        uint32_t start = (uint32_t)rand_r(&r->seed) % LEN;
        uint32_t end = start + 1 + (uint32_t)rand_r(&r->seed) % (LEN - start);
        enum err err = read_range(&r->seed, slice, start, end);

        if (err == OK)
            right_reads++;
        else
            failed_reads++;
        if (err != OK && err != ERR_CORRUPT && err != ERR_BUSY)
            wrong_errors++;
    }
    (*r->left)--;
    return NULL;
}

/* --- who decides ------------------------------------------------------------------------------ */

/* One of those that wait ends somehow. With the gate's lock held. */
static void end_one(unsigned *seed)
{
    size_t nth = (size_t)rand_r(seed) % gate.waiting;
    size_t i = 0;
    unsigned dice = (unsigned)rand_r(seed) % 10;
    enum verdict verdict = dice == 0 ? VERDICT_ERROR : dice == 1 ? VERDICT_CORRUPT : VERDICT_OK;
    struct gate_request *r;

    while (!gate.requests[i].waits || gate.requests[i].verdict != VERDICT_NONE || nth > 0) {
        nth -= gate.requests[i].waits && gate.requests[i].verdict == VERDICT_NONE && nth > 0;
        i = (i + 1) % GATE_REQUESTS;
    }
    r = &gate.requests[i];
    gate_decide(&gate, r, verdict, rand_r(seed) % 2 == 0 ? ERR_BUSY : ERR_CORRUPT,
                r->start + (uint32_t)rand_r(seed) % (r->end - r->start));
}

static bool undecided(void)
{
    for (size_t i = 0; i < GATE_REQUESTS; i++)
        if (gate.requests[i].waits && gate.requests[i].verdict == VERDICT_NONE)
            return true;
    return false;
}

/* Mostly lets several requests come before one of them ends. */
static void decide_until_done(unsigned *seed, const _Atomic int *left)
{
    while (*left > 0) {
        struct timespec soon = clock_mono_after(2);
        int timed_out = 0;

        pthread_mutex_lock(&gate.lock);
        while (timed_out == 0 && *left > 0 && (gate.waiting < 4 || rand_r(seed) % 4 == 0))
            timed_out = pthread_cond_clockwait(&gate.changed, &gate.lock, CLOCK_MONOTONIC, &soon);
        if (undecided())
            end_one(seed);
        pthread_mutex_unlock(&gate.lock);
        for (int n = rand_r(seed) % 8 == 0 ? rand_r(seed) % 40 : 0; n > 0; n--)
            (void)cache_evict_one(v->fs.cache);
    }
}

/* --- the test --------------------------------------------------------------------------------- */

static int set_up(void **state)
{
    (void)state;
    v = volume_new(64 << 20);
    gate_init(&gate);
    gate.came = check_request;
    for (size_t i = 0; i < GATE_SLICES; i++) {
        fill(bytes[i], i + 1, 0, LEN);
        records[i] = make_slice(v, bytes[i], LEN);
        slice_name_text(records[i].slice, gate.slices[i].name);
        gate.slices[i].bytes = bytes[i];
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < GATE_SLICES; i++)
        free((void *)(uintptr_t)records[i].granule_crcs);
    volume_free(v);
    gate_fini(&gate);
    return 0;
}

static unsigned seed_of_test(void)
{
    const char *given = getenv("KISEKI_TEST_SEED");
    unsigned seed = given != NULL ? (unsigned)strtoul(given, NULL, 10) : (unsigned)clock_mono_us();

    print_message("KISEKI_TEST_SEED=%u\n", seed);
    return seed;
}

static void one_round(unsigned seed)
{
    struct reading readings[READERS];
    _Atomic int left = READERS;

    volume_cold(v);
    for (unsigned i = 0; i < READERS; i++) {
        readings[i] = (struct reading){.seed = seed * READERS + i, .left = &left};
        assert_int_equal(pthread_create(&readings[i].thread, NULL, run_reading, &readings[i]), 0);
    }
    decide_until_done(&seed, &left);
    for (unsigned i = 0; i < READERS; i++)
        pthread_join(readings[i].thread, NULL);
}

static void test_slice_reader_model__right_bytes_and_no_needless_request(void **state)
{
    struct store *behind = v->fs.store;
    unsigned seed = seed_of_test();

    (void)state;
    v->fs.store = &gate.base;
    for (unsigned i = 0; i < ROUNDS; i++)
        one_round(seed + i);
    /* read-ahead that nobody waited for may still be at the gate */
    for (int quiet = 0; quiet < 20;) {
        clock_nap(1);
        pthread_mutex_lock(&gate.lock);
        quiet = gate.waiting == 0 ? quiet + 1 : 0;
        if (undecided())
            end_one(&seed);
        pthread_mutex_unlock(&gate.lock);
    }
    v->fs.store = behind;
    assert_int_equal(wrong_bytes, 0);
    assert_int_equal(overlapping, 0);
    assert_int_equal(needless, 0);
    assert_int_equal(wrong_errors, 0);
    assert_true(right_reads > READERS * READS); /* of all rounds: not only failures were seen */
    assert_true(failed_reads > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(
        test_slice_reader_model__right_bytes_and_no_needless_request, set_up, tear_down)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
