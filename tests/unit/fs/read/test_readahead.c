#include "tests/unit/fs/big_file.h"

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)

/* --- one sequence, by tables ------------------------------------------------------------------ */

struct step {
    const char *what;
    uint64_t offset, end, expected; /* in KiB */
};

static void run_steps(const struct step *steps, size_t count, uint64_t size, uint64_t cap)
{
    struct readahead_stream s = {0};

    for (size_t i = 0; i < count; i++) {
        uint64_t until =
            readahead_advance(&s, steps[i].offset * KIB, steps[i].end * KIB, size, cap);

        if (until != steps[i].expected * KIB)
            fail_msg("step %zu, %s: %llu KiB, not %llu", i, steps[i].what,
                     (unsigned long long)(until / KIB), (unsigned long long)steps[i].expected);
    }
}

static void test_readahead__doubles_the_window_of_orderly_reads(void **state)
{
    static const struct step steps[] = {
        {"a first read gets nothing", 0, 128, 128},
        {"nor does the second", 128, 256, 256},
        {"the third is one of a sequence", 256, 384, 896},
        {"enough for now", 384, 512, 512},
        {"still a half of it is left", 512, 640, 640},
        {"less than half: twice as much", 640, 768, 1792},
        {"enough", 768, 1024, 1024},
        {"a long read takes it all", 1024, 1792, 3840},
        {"and once more", 1792, 5000, 9096},
        {"up to the maximum", 5000, 9000, 17192},
        {"which stays", 9000, 17192, 25384},
    };

    (void)state;
    run_steps(steps, LENGTH_OF(steps), 1024 * MIB, 1024 * MIB);
}

static void test_readahead__forgives_small_gaps_and_overlaps(void **state)
{
    static const struct step steps[] = {
        {"first", 0, 128, 128},
        {"a gap of a granule", 192, 320, 320},
        {"an overlap", 300, 500, 1012},
        {"a larger gap ends it", 565, 600, 600},
        {"and it begins anew", 600, 700, 700},
        {"here", 700, 800, 1312},
    };

    (void)state;
    run_steps(steps, LENGTH_OF(steps), 1024 * MIB, 1024 * MIB);
}

static void test_readahead__gives_nothing_to_the_disorderly(void **state)
{
    static const struct step steps[] = {
        {"first", 5000, 5128, 5128},     {"back", 100, 228, 228},
        {"onward", 228, 356, 356},       {"far away", 9000, 9128, 9128},
        {"onward", 9128, 9256, 9256},    {"the same again", 9128, 9256, 9256},
        {"and again", 9128, 9256, 9256}, {"a part of it", 9200, 9256, 9256},
        {"backwards", 9100, 9200, 9200}, {"backwards", 9000, 9100, 9100},
    };

    (void)state;
    run_steps(steps, LENGTH_OF(steps), 1024 * MIB, 1024 * MIB);
}

static void test_readahead__stays_within_file_and_memory(void **state)
{
    static const struct step to_the_end[] = {
        {"first", 0, 100, 100}, {"second", 100, 200, 200}, {"third", 200, 300, 600}};
    static const struct step capped[] = {{"first", 0, 100, 100},
                                         {"second", 100, 200, 200},
                                         {"third", 200, 300, 812},
                                         {"no more than the cap", 300, 812, 1512},
                                         {"no more than the cap", 812, 1512, 2212}};
    static const struct step poor[] = {
        {"first", 0, 100, 100}, {"second", 100, 200, 200}, {"third", 200, 300, 300}};

    (void)state;
    run_steps(to_the_end, LENGTH_OF(to_the_end), 600 * KIB, 1024 * MIB);
    run_steps(capped, LENGTH_OF(capped), 1024 * MIB, 700 * KIB);
    run_steps(poor, LENGTH_OF(poor), 1024 * MIB, 511 * KIB);
}

/* --- the table -------------------------------------------------------------------------------- */

static struct readahead table;

/* Sixteen reads in order from `at`; the sum of what was to be fetched. */
static uint64_t read_on(uint64_t inode, uint64_t at, size_t reads)
{
    uint64_t told = 0;

    for (size_t i = 0; i < reads; i++, at += 128 * KIB) {
        uint64_t end = at + 128 * KIB;

        told += readahead_until(&table, inode, at, end, 1024 * MIB) - end;
    }
    return told;
}

static void test_readahead__follows_many_files_and_few_places_of_each(void **state)
{
    (void)state;
    readahead_init(&table, 1024 * MIB);
    for (uint64_t i = 0; i < 16; i++) /* 25 sequences at once */
        for (uint64_t inode = 1; inode <= 25; inode++)
            read_on(inode, i * 128 * KIB, 1);
    for (uint64_t inode = 1; inode <= 25; inode++)
        assert_true(read_on(inode, 16 * 128 * KIB, 16) > 0);
    for (uint64_t i = 0; i < 3; i++) { /* of one file */
        for (uint64_t place = 0; place < READAHEAD_OF_FILE; place++) {
            uint64_t told = read_on(99, place * 64 * MIB + i * 128 * KIB, 1);

            assert_true((told > 0) == (i == 2));
        }
    }
    readahead_fini(&table);
}

static void test_readahead__is_not_pushed_out_by_random_readers_of_another_file(void **state)
{
    (void)state;
    readahead_init(&table, 1024 * MIB);
    assert_true(read_on(1, 0, 4) > 0);
    for (uint64_t i = 0; i < 10000; i++)
        assert_int_equal(read_on(2, i * 7919 % 8000 * 128 * KIB, 1), 0);
    assert_true(read_on(1, 512 * KIB, 16) > 0);
    readahead_fini(&table);
}

static void test_readahead__shares_an_eighth_of_the_memory(void **state)
{
    uint64_t alone, shared = 0;

    (void)state;
    readahead_init(&table, 64 * MIB);
    alone = read_on(1, 0, 512);
    assert_true(alone >= 60 * MIB); /* all the way */
    for (uint64_t i = 0; i < 64; i++) {
        for (uint64_t inode = 1; inode <= 32; inode++) {
            uint64_t end = 64 * MIB + (i + 1) * 128 * KIB;
            uint64_t until = readahead_until(&table, inode, end - 128 * KIB, end, 1024 * MIB);

            shared = until - end > shared ? until - end : shared;
        }
    }
    assert_true(shared <= MIB); /* of 8 MiB, when many have a window */
    /* Whole files and ends of files are no sequences. */
    assert_int_equal(readahead_until(&table, 50, 0, MIB, MIB), MIB);
    assert_int_equal(readahead_until(&table, 50, 5, 5, MIB), 5);
    readahead_fini(&table);
}

/* --- with a reader ---------------------------------------------------------------------------- */

#define SLICES 4
#define SIZE   ((uint64_t)SLICES * BIG_SLICE)
#define READ   (128 * KIB)

static struct volume *v;
static struct big_file file;

static int set_up(void **state)
{
    (void)state;
    v = volume_new(128 << 20);
    big_file_init(&file, v, SLICES);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    big_file_fini(&file);
    volume_free(v);
    return 0;
}

/* Every prefetch has run, or was given up. */
static void wait_for_prefetches(void)
{
    for (int i = 0; i < 20000 && fake.reads > 0; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_equal(fake.reads, 0);
}

/* One request: opened for just its bytes, as gateway/s3/object/get.c does it. */
static void request(uint64_t offset, uint64_t len)
{
    struct arena *a = arena_new(16 << 20);
    struct reader *r;
    struct file f;
    struct str run;

    assert_ok(open_file(v, a, offset, len, &f));
    assert_ok(reader_new(&f, offset, len, &r));
    for (uint64_t at = offset; at < offset + len; at += run.len) {
        assert_ok(reader_next(r, true, &run));
        assert_true(run.len > 0);
        assert_memory_equal(run.ptr, file.bytes + at, run.len);
    }
    reader_free(r);
    file_close(&f);
    arena_free(a);
}

static void test_readahead__makes_few_large_requests_of_many_orderly_reads(void **state)
{
    (void)state;
    for (uint64_t at = 0; at < SIZE; at += READ) {
        request(at, READ);
        wait_for_prefetches(); /* a client that is not faster than the store */
    }
    assert_int_equal(v->mem->got_bytes, SIZE); /* each byte once */
    assert_true(v->mem->gets <= 16);           /* for 128 reads */
}

/* A client that does not wait: who needs bytes that are on their way joins. */
static void test_readahead__fetches_no_byte_twice_for_a_fast_client(void **state)
{
    (void)state;
    v->mem->nap_us = 1000;
    for (uint64_t at = 0; at < SIZE; at += READ)
        request(at, READ);
    wait_for_prefetches();
    assert_int_equal(v->mem->got_bytes, SIZE);
    assert_true(v->mem->gets < 64);
}

static void test_readahead__costs_random_readers_nothing(void **state)
{
    uint64_t asked = 0;

    (void)state;
    for (uint64_t i = 0; i < 500; i++) {
        uint64_t at = test_random() % (SIZE / READ) * READ;

        volume_cold(v);
        request(at, READ);
        asked += READ;
    }
    assert_int_equal(v->mem->got_bytes, asked);
}

/* The slice must stay until it has been fetched, though nobody has the file open any more. */
static void test_readahead__holds_an_epoch_tag_until_it_is_done(void **state)
{
    const struct fault_rule hold = {.kind = FAULT_HOLD, .ops = 1u << STORE_GET};
    bool held;

    (void)state;
    request(0, READ);
    request(READ, READ);
    volume_cold(v);
    request(2 * READ, READ - 1); /* its granules are there, and what follows is held */
    wait_for_prefetches();
    assert_ok(store_fault_add(v->fs.store, &hold));
    request(3 * READ - 1, READ); /* window enough: fetches nothing */
    assert_int_equal(fake.reads, 0);
    request(4 * READ - 1, 2 * READ); /* 384 KiB are left of 512: less than half afterwards */
    for (int i = 0; i < 20000 && store_fault_held(v->fs.store) == 0; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    held = store_fault_held(v->fs.store) > 0 && fake.reads > 0;
    store_fault_clear(v->fs.store);
    assert_true(held);
    wait_for_prefetches();
}

/* What nobody has asked for is fetched only into pages that are free. */
static void test_readahead__gives_up_when_memory_is_short(void **state)
{
    struct page *taken[2048];
    size_t n = 0;

    (void)state;
    for (uint64_t at = SIZE / 4; at > 0; at -= READ) /* into the cache; backwards: nothing else */
        request(at - READ, READ);
    assert_int_equal(v->mem->got_bytes, SIZE / 4);
    while (n < LENGTH_OF(taken) && (taken[n] = pages_take(&v->fs.pages, PAGE_READ)) != NULL)
        n++;
    for (uint64_t at = 0; at < SIZE / 4; at += READ)
        request(at, READ);
    wait_for_prefetches();
    assert_int_equal(v->mem->got_bytes, SIZE / 4);
    while (n > 0)
        pages_drop(&v->fs.pages, PAGE_READ, taken[--n]);
    for (uint64_t at = SIZE / 4; at < SIZE / 2; at += READ)
        request(at, READ);
    wait_for_prefetches();
    assert_true(v->mem->got_bytes > SIZE / 2);
}

#define WITH_VOLUME(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readahead__doubles_the_window_of_orderly_reads),
        cmocka_unit_test(test_readahead__forgives_small_gaps_and_overlaps),
        cmocka_unit_test(test_readahead__gives_nothing_to_the_disorderly),
        cmocka_unit_test(test_readahead__stays_within_file_and_memory),
        cmocka_unit_test(test_readahead__follows_many_files_and_few_places_of_each),
        cmocka_unit_test(test_readahead__is_not_pushed_out_by_random_readers_of_another_file),
        cmocka_unit_test(test_readahead__shares_an_eighth_of_the_memory),
        WITH_VOLUME(test_readahead__makes_few_large_requests_of_many_orderly_reads),
        WITH_VOLUME(test_readahead__fetches_no_byte_twice_for_a_fast_client),
        WITH_VOLUME(test_readahead__costs_random_readers_nothing),
        WITH_VOLUME(test_readahead__holds_an_epoch_tag_until_it_is_done),
        WITH_VOLUME(test_readahead__gives_up_when_memory_is_short),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
