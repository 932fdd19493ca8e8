#include "base/clock.h"
#include "tests/unit/fs/big_file.h"

/* --- files of random layout ------------------------------------------------------------------- */

#define FILE_MAX ((size_t)2 << 20)

/* A file and what it should read as. */
struct layout {
    uint64_t size;
    uint8_t *bytes;
    struct object_extent extents[64];
    struct buf packed[64];
    const uint64_t *crcs[1024];
    size_t extent_count, crc_count;
};

static uint64_t below(uint64_t n)
{
    return test_random() % n;
}

/* One record at `pos` of a piece, of up to `most` bytes; its bytes go to `seen`. */
static struct record make_record(struct volume *v, struct layout *l, uint64_t pos, uint64_t most,
                                 uint8_t *seen)
{
    static uint8_t slice[300000];
    struct record r = {.kind = (enum record_kind)below(3), .len = 1 + below(most)};

    if (r.kind == RECORD_SLICE) {
        uint32_t len = 1 + (uint32_t)below(sizeof(slice)), off = (uint32_t)below(len);

        fill(slice, test_random(), 0, len);
        r = make_slice(v, slice, len);
        l->crcs[l->crc_count++] = r.granule_crcs;
        r.slice_off = off;
        r.len = 1 + below(len - off < most ? len - off : most);
        memcpy(seen, slice + off, r.len);
    } else if (r.kind == RECORD_INLINE) {
        r.len = r.len < 5000 ? r.len : 5000;
        fill(seen, test_random(), 0, r.len);
        r.bytes = (struct str){(const char *)seen, r.len};
    } else {
        memset(seen, 0, r.len);
    }
    r.pos = pos;
    return r;
}

/* A piece of `len` bytes, of which an extent shows [off, len). */
static void make_extent(struct volume *v, struct layout *l, uint64_t start, uint64_t len,
                        uint64_t token)
{
    struct object_extent *e = &l->extents[l->extent_count];
    struct buf *packed = &l->packed[l->extent_count++];
    uint64_t off = below(2) * below(70000), pos = 0;
    uint8_t *seen = malloc(off + len);
    struct record records[128];
    size_t count = 0;

    assert_non_null(seen);
    while (pos < off + len) {
        assert_true(count < 128);
        records[count] = make_record(v, l, pos, off + len - pos, seen + pos);
        pos += records[count++].len;
        if (count > 100) { /* many small ones: close with a hole */
            uint64_t rest = off + len - pos;

            if (rest > 0)
                records[count++] = (struct record){.kind = RECORD_HOLE, .pos = pos, .len = rest};
            memset(seen + pos, 0, rest);
            pos += rest;
        }
    }
    buf_init(packed, 4 << 20);
    record_pack(packed, records, count);
    assert_ok(buf_check(packed));
    *e = (struct object_extent){.start = start,
                                .len = len,
                                .piece_off = off,
                                .token = token,
                                .piece = l->extent_count + 1,
                                .records = buf_str(packed)};
    memcpy(l->bytes + start, seen + off, len);
    free(seen);
}

static int by_start(const void *a, const void *b)
{
    const struct object_extent *x = a, *y = b;

    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return x->token < y->token ? -1 : x->token > y->token;
}

/* Pieces side by side or `data`, and later writes over them. */
static void make_layout(struct volume *v, struct layout *l, size_t writes)
{
    *l = (struct layout){.size = 1 + below(FILE_MAX), .bytes = malloc(FILE_MAX)};
    assert_non_null(l->bytes);
    if (below(4) == 0) {
        l->size = 1 + below(60000);
        fill(l->bytes, 3, 0, l->size);
        fake.object.data = (struct str){memcpy(malloc(l->size), l->bytes, l->size), l->size};
    } else {
        for (uint64_t at = 0; at < l->size;) {
            uint64_t most = l->size - at < 400000 ? l->size - at : 400000;
            uint64_t len = l->extent_count < 20 ? 1 + below(most) : l->size - at;

            make_extent(v, l, at, len, 0);
            at += len;
        }
    }
    for (size_t i = 0; i < writes; i++) {
        uint64_t start = below(l->size);
        uint64_t most = l->size - start < 300000 ? l->size - start : 300000;

        make_extent(v, l, start, 1 + below(most), i + 1);
    }
    qsort(l->extents, l->extent_count, sizeof(l->extents[0]), by_start);
    fake.extents = l->extents;
    fake.extent_count = l->extent_count;
    fake.object.attr.size = (int64_t)l->size;
}

static void free_layout(struct layout *l)
{
    for (size_t i = 0; i < l->extent_count; i++)
        buf_fini(&l->packed[i]);
    for (size_t i = 0; i < l->crc_count; i++)
        free((void *)(uintptr_t)l->crcs[i]);
    free((void *)(uintptr_t)fake.object.data.ptr);
    fake.object = (struct object){0};
    fake.extents = NULL;
    fake.extent_count = 0;
    free(l->bytes);
}

/* --- reading ---------------------------------------------------------------------------------- */

/* Reads a range to its end and compares; tries without blocking first, if asked to. */
static enum err read_range(struct file *f, uint64_t offset, uint64_t len, bool try_first,
                           const uint8_t *expected)
{
    struct reader *r;
    uint64_t at = 0;
    struct str run;
    enum err err = reader_new(f, offset, len, &r);

    while (err == OK) {
        err = reader_next(r, !try_first, &run);
        if (err == ERR_AGAIN) {
            assert_true(try_first);
            err = reader_next(r, true, &run);
        }
        if (err == OK && run.len == 0)
            break;
        if (err == OK) {
            assert_true(run.len <= len - at);
            size_t unread = (at + run.len) % 5 == 0 ? run.len / 3 : 0;

            assert_memory_equal(run.ptr, expected + offset + at, run.len);
            at += run.len - unread;
            if (at % 3 > 0 || unread > 0)
                reader_rest(r, unread);
        }
    }
    if (err == OK)
        assert_int_equal(at, len);
    reader_free(r);
    return err;
}

static void check_ranges(struct volume *v, struct layout *l, int ranges)
{
    for (int i = 0; i < ranges; i++) {
        struct arena *a = arena_new(16 << 20);
        uint64_t offset = below(l->size + 1), len = below(l->size - offset + 1);
        struct file f;

        if (below(4) == 0)
            volume_cold(v);
        if (below(8) == 0) /* opened for less than is read, as for a suffix */
            assert_ok(open_file(v, a, below(l->size), below(l->size), &f));
        else
            assert_ok(open_file(v, a, below(2) * offset, UINT64_MAX, &f));
        assert_ok(read_range(&f, offset, len, below(2) == 0, l->bytes));
        file_close(&f);
        arena_free(a);
    }
}

static void test_reader__gives_the_bytes_of_any_layout(void **state)
{
    (void)state;
    for (int round = 0; round < 25; round++) {
        struct volume *v = volume_new(below(2) ? 64 << 20 : 4 << 20);
        struct layout l;

        fake.first_extents = 1 + below(8);
        make_layout(v, &l, 0);
        check_ranges(v, &l, 12);
        free_layout(&l);
        volume_free(v);
    }
}

static void test_reader__shows_later_writes_over_earlier_ones(void **state)
{
    (void)state;
    for (int round = 0; round < 25; round++) {
        struct volume *v = volume_new(64 << 20);
        struct layout l;

        fake.first_extents = 1 + below(8);
        make_layout(v, &l, 1 + below(40));
        check_ranges(v, &l, 12);
        free_layout(&l);
        volume_free(v);
    }
}

static struct pages_stats stats_of(struct volume *v)
{
    struct pages_stats s;

    pages_stats(&v->fs.pages, &s);
    return s;
}

/* A client that takes its time, and somebody who needs all memory meanwhile. */
static void test_reader__at_rest_leaves_its_memory_to_others(void **state)
{
    struct volume *v = volume_new(4 << 20);
    struct arena *a = arena_new(16 << 20);
    struct page *taken[64];
    struct layout l;
    struct reader *r;
    struct file f;
    struct str run;
    uint64_t at = 0;
    size_t n = 0;

    (void)state;
    do {
        if (at > 0)
            free_layout(&l);
        make_layout(v, &l, 0);
        at = l.size;
    } while (fake.object.data.ptr != NULL || l.size < 1 << 20);
    volume_cold(v);
    assert_ok(open_file(v, a, 0, UINT64_MAX, &f));
    assert_ok(reader_new(&f, 0, l.size, &r));
    for (at = 0; at < 200000 || stats_of(v).used[PAGE_READ] == 0; at += run.len) {
        assert_ok(reader_next(r, true, &run));
        assert_int_not_equal(run.len, 0);
    }
    reader_rest(r, run.len / 2);
    at -= run.len / 2;
    while (n < 40) { /* what reads may have together */
        taken[n] = pages_take(&v->fs.pages, PAGE_READ);
        if (taken[n] != NULL)
            n++;
        else
            assert_ok(slice_wait_page(&v->fs, clock_boot_ms() + 10000));
    }
    while (n > 0)
        pages_drop(&v->fs.pages, PAGE_READ, taken[--n]);
    while (at < l.size) {
        assert_ok(reader_next(r, true, &run));
        assert_memory_equal(run.ptr, l.bytes + at, run.len);
        at += run.len;
    }
    reader_free(r);
    file_close(&f);
    free_layout(&l);
    arena_free(a);
    volume_free(v);
}

static void test_reader__gives_small_files_at_once_without_waiting(void **state)
{
    struct volume *v = volume_new(16 << 20);
    struct arena *a = arena_new(1 << 20);
    struct reader *r;
    struct file f;
    struct str run;

    (void)state;
    fake.object = (struct object){.attr.size = 11, .data = STR("hello world")};
    assert_ok(open_file(v, a, 0, UINT64_MAX, &f));
    assert_ok(reader_new(&f, 2, 7, &r));
    assert_ok(reader_next(r, false, &run));
    assert_str(run, STR("llo wor"));
    assert_ok(reader_next(r, false, &run));
    assert_int_equal(run.len, 0);
    reader_free(r);
    assert_int_equal(reader_new(&f, 5, 7, &r), ERR_INVALID);
    assert_int_equal(reader_new(&f, UINT64_MAX, 2, &r), ERR_INVALID);
    assert_ok(reader_new(&f, 11, 0, &r));
    assert_ok(reader_next(r, false, &run));
    assert_int_equal(run.len, 0);
    reader_free(r);
    file_close(&f);
    file_close(&f);
    arena_free(a);
    volume_free(v);
}

static void test_reader__lets_go_of_its_epoch_when_there_is_no_file(void **state)
{
    struct volume *v = volume_new(16 << 20);
    struct arena *a = arena_new(1 << 20);
    struct object_get q = {.key = STR("missing"), .want = OBJECT_DATA, .len = UINT64_MAX};
    enum meta_missing missing;
    struct file f;

    (void)state;
    assert_int_equal(file_open(&v->fs, a, &q, &f, &missing), ERR_NOT_FOUND);
    assert_int_equal(missing, META_MISSING_KEY);
    assert_int_equal(fake.reads, 0);
    file_close(&f);
    arena_free(a);
    volume_free(v);
}

/* --- a large file of four slices -------------------------------------------------------------- */

#define SLICES 4
#define BIG    ((uint64_t)SLICES * BIG_SLICE)

struct crowd {
    struct volume *v;
    const struct big_file *file;
    pthread_barrier_t start;
    _Atomic int ok;
};

/* cmocka's assertions are for the main thread: this one counts. */
static void *read_big(void *arg)
{
    struct crowd *c = arg;
    struct arena *a = arena_new(16 << 20);
    struct reader *r = NULL;
    struct file f = {0};
    struct str run = {0};
    uint64_t at = 0;
    enum err err = open_file(c->v, a, 0, UINT64_MAX, &f);

    pthread_barrier_wait(&c->start);
    if (err == OK)
        err = reader_new(&f, 0, BIG, &r);
    while (err == OK && at < BIG) {
        err = reader_next(r, true, &run);
        if (err == OK && (run.len == 0 || memcmp(run.ptr, c->file->bytes + at, run.len) != 0))
            err = ERR_BUG;
        at += run.len;
    }
    if (err == OK)
        c->ok++;
    reader_free(r);
    file_close(&f);
    arena_free(a);
    return NULL;
}

static int crowd_reads(struct volume *v, const struct big_file *l, size_t threads)
{
    struct crowd c = {.v = v, .file = l};
    pthread_t ids[64];

    pthread_barrier_init(&c.start, NULL, (unsigned)threads);
    for (size_t i = 0; i < threads; i++)
        assert_int_equal(pthread_create(&ids[i], NULL, read_big, &c), 0);
    for (size_t i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    pthread_barrier_destroy(&c.start);
    return c.ok;
}

static void test_reader__lets_64_threads_share_one_fetch_of_each_slice(void **state)
{
    struct volume *v = volume_new(128 << 20);
    struct big_file l;

    (void)state;
    big_file_init(&l, v, SLICES);
    v->mem->nap_us = 20000;
    assert_int_equal(crowd_reads(v, &l, 64), 64);
    assert_int_equal(v->mem->gets, 4);
    assert_int_equal(v->mem->got_bytes, BIG);
    big_file_fini(&l);
    volume_free(v);
}

static void test_reader__works_in_less_memory_than_its_readers_would_like(void **state)
{
    struct volume *v = volume_new(4 << 20); /* the least there may be */
    struct big_file l;

    (void)state;
    big_file_init(&l, v, SLICES);
    assert_int_equal(crowd_reads(v, &l, 32), 32);
    big_file_fini(&l);
    volume_free(v);
}

static void test_reader__fetches_only_the_granules_of_a_small_range(void **state)
{
    struct volume *v = volume_new(128 << 20);
    struct arena *a = arena_new(16 << 20);
    struct big_file l;
    struct file f;

    (void)state;
    big_file_init(&l, v, SLICES);
    assert_ok(open_file(v, a, 0, UINT64_MAX, &f));
    assert_ok(read_range(&f, 5000000, 100, false, l.bytes));
    assert_int_equal(v->mem->got_bytes, META_GRANULE);
    assert_ok(read_range(&f, META_GRANULE - 1, 2, false, l.bytes));
    assert_int_equal(v->mem->got_bytes, 3 * META_GRANULE);
    assert_int_equal(v->mem->gets, 2);
    assert_ok(read_range(&f, BIG_SLICE - 1, 2, true, l.bytes)); /* of two slices */
    assert_int_equal(v->mem->got_bytes, 5 * META_GRANULE);
    file_close(&f);
    arena_free(a);
    big_file_fini(&l);
    volume_free(v);
}

/* A file smaller than a granule that is not kept in the database: one request, then the cache. */
static void test_reader__reads_a_file_of_one_granule_whole(void **state)
{
    static const uint32_t lens[] = {1, 100, 30000, META_GRANULE - 1, META_GRANULE};
    static uint8_t bytes[META_GRANULE];

    (void)state;
    fill(bytes, 4, 0, sizeof(bytes));
    for (size_t i = 0; i < LENGTH_OF(lens); i++) {
        struct volume *v = volume_new(16 << 20);
        struct arena *a = arena_new(1 << 20);
        struct record record = make_slice(v, bytes, lens[i]);
        struct object_extent extent = {.piece = 1, .len = lens[i]};
        struct buf packed;
        struct file f;

        buf_init(&packed, 1 << 20);
        record_pack(&packed, &record, 1);
        extent.records = buf_str(&packed);
        fake.extents = &extent;
        fake.extent_count = 1;
        fake.object.attr.size = lens[i];
        assert_ok(open_file(v, a, 0, UINT64_MAX, &f));
        assert_ok(read_range(&f, lens[i] / 2, 1, true, bytes));
        assert_int_equal(v->mem->got_bytes, lens[i]);
        assert_ok(read_range(&f, 0, lens[i], true, bytes));
        assert_int_equal(v->mem->gets, 1);
        file_close(&f);
        buf_fini(&packed);
        free((void *)(uintptr_t)record.granule_crcs);
        arena_free(a);
        volume_free(v);
    }
}

static void test_reader__reads_ahead_while_it_is_sent(void **state)
{
    struct volume *v = volume_new(128 << 20);
    struct arena *a = arena_new(16 << 20);
    struct big_file l;
    struct file f;
    struct reader *r;
    struct str run;

    (void)state;
    big_file_init(&l, v, SLICES);
    assert_ok(open_file(v, a, 0, UINT64_MAX, &f));
    assert_ok(reader_new(&f, 0, BIG, &r));
    assert_int_equal(reader_next(r, false, &run), ERR_AGAIN);
    assert_ok(reader_next(r, true, &run));
    for (int i = 0; i < 2000 && v->mem->gets < 3; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_equal(v->mem->gets, 3);
    for (uint64_t at = run.len; at < 3 * BIG_SLICE; at += run.len) {
        enum err err = ERR_AGAIN;

        for (int i = 0; i < 2000 && err == ERR_AGAIN; i++) { /* it may still be verified */
            err = reader_next(r, false, &run);
            if (err == ERR_AGAIN)
                nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        }
        assert_ok(err);
        assert_memory_equal(run.ptr, l.bytes + at, run.len);
    }
    reader_free(r);
    file_close(&f);
    arena_free(a);
    big_file_fini(&l);
    volume_free(v);
}

static void test_reader__never_gives_wrong_bytes(void **state)
{
    const struct fault_rule wrong = {.kind = FAULT_CORRUPT, .ops = 1u << STORE_GET};
    const struct fault_rule once = {.kind = FAULT_CORRUPT, .ops = 1u << STORE_GET, .nth = 1};
    struct volume *v = volume_new(128 << 20);
    struct arena *a = arena_new(16 << 20);
    struct big_file l;
    struct file f;

    (void)state;
    big_file_init(&l, v, SLICES);
    assert_ok(open_file(v, a, 0, UINT64_MAX, &f));
    assert_ok(store_fault_add(v->fs.store, &wrong));
    assert_int_equal(read_range(&f, 0, BIG, false, l.bytes), ERR_CORRUPT);
    assert_int_equal(read_range(&f, 2 * BIG_SLICE + BIG_SLICE / 2, 9, false, l.bytes), ERR_CORRUPT);
    store_fault_clear(v->fs.store);
    volume_cold(v);
    assert_ok(store_fault_add(v->fs.store, &once)); /* damaged under way */
    assert_ok(read_range(&f, 0, BIG, false, l.bytes));
    file_close(&f);
    arena_free(a);
    big_file_fini(&l);
    volume_free(v);
}

static void test_reader__gives_up_when_the_lease_is_over(void **state)
{
    struct volume *v = volume_new(128 << 20);
    struct arena *a = arena_new(16 << 20);
    struct big_file l;
    struct file f;
    struct reader *r;
    struct str run;

    (void)state;
    big_file_init(&l, v, SLICES);
    assert_ok(open_file(v, a, 0, UINT64_MAX, &f));
    assert_ok(reader_new(&f, 0, BIG, &r));
    assert_ok(reader_next(r, true, &run));
    fake.fenced = true;
    assert_int_equal(reader_next(r, true, &run), ERR_FENCED);
    reader_free(r);
    file_close(&f);
    arena_free(a);
    big_file_fini(&l);
    volume_free(v);
}

static void test_reader__calls_bytes_that_nothing_covers_damage(void **state)
{
    struct volume *v = volume_new(128 << 20);
    struct arena *a = arena_new(16 << 20);
    struct big_file l;
    struct file f;

    (void)state;
    big_file_init(&l, v, SLICES);
    l.extent.len = BIG - 1;
    assert_ok(open_file(v, a, 0, UINT64_MAX, &f));
    assert_ok(read_range(&f, 0, BIG - 1, false, l.bytes));
    assert_int_equal(read_range(&f, BIG - 2, 2, false, l.bytes), ERR_CORRUPT);
    file_close(&f);
    arena_free(a);
    big_file_fini(&l);
    volume_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reader__gives_the_bytes_of_any_layout),
        cmocka_unit_test(test_reader__shows_later_writes_over_earlier_ones),
        cmocka_unit_test(test_reader__at_rest_leaves_its_memory_to_others),
        cmocka_unit_test(test_reader__gives_small_files_at_once_without_waiting),
        cmocka_unit_test(test_reader__lets_go_of_its_epoch_when_there_is_no_file),
        cmocka_unit_test(test_reader__lets_64_threads_share_one_fetch_of_each_slice),
        cmocka_unit_test(test_reader__works_in_less_memory_than_its_readers_would_like),
        cmocka_unit_test(test_reader__fetches_only_the_granules_of_a_small_range),
        cmocka_unit_test(test_reader__reads_a_file_of_one_granule_whole),
        cmocka_unit_test(test_reader__reads_ahead_while_it_is_sent),
        cmocka_unit_test(test_reader__never_gives_wrong_bytes),
        cmocka_unit_test(test_reader__gives_up_when_the_lease_is_over),
        cmocka_unit_test(test_reader__calls_bytes_that_nothing_covers_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
